//! Asks trackers and the DHT for whoever uses the page, politely: nobody is
//! asked for a torrent again before the interval is over; until then the last
//! answer is the answer, and says so.

pub(super) mod answer;
pub(super) mod entry;
pub(super) mod question;
pub(super) mod swarm;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;

use super::answer::Refused;
use super::job::Jobs;
use crate::clock::Clock;
use crate::config::WebSettings;
use crate::config::settings::Settings;
use crate::inspection::FindPeers;
use crate::model::{AddressRules, InfoHash, PeerId, PieceCount, PseudonymKey};
use crate::net::http::SystemHttp;
use crate::net::resolve::Resolver;
use crate::net::udp::SystemUdp;
use crate::storage::StorageError;
use crate::storage::geo::{GeoDatabase, Locate, Nowhere};
use crate::storage::history::{FILE, History, TrackEntry};
use crate::tracker::inquiry::Inquiry;
use crate::tracker::{SystemRandom, TrackerClient, TrackerError};
use answer::Answer;
use entry::{DHT, failed, not_found, status_of, unstored};
use question::Question;

/// Seconds between announces where a tracker names none, as in the Torrent
/// Peer Tracker.
const INTERVAL_DEFAULT: u32 = 1800;

/// Longest interval that a tracker can impose.
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// For one look-up in the DHT, the beginnings of a node included.
const LOOK_UP: Duration = Duration::from_secs(30);

/// Peers of one answer that are told and stored; all are counted.
pub(super) const PEERS_TOLD: usize = 1000;

/// Swarms whose last answer is in memory.
const SWARMS_MAX: usize = 1000;

/// A swarm at a tracker, or in the DHT.
type Swarm = (InfoHash, String);

/// The last answer of a swarm; locked while somebody asks.
type Slot = Arc<tokio::sync::Mutex<Option<TrackEntry>>>;

/// What tracking needs.
pub(super) struct Tracking {
    client: TrackerClient,
    finder: Option<Arc<dyn FindPeers>>,
    /// What was tracked.
    pub(super) history: History,
    places: Mutex<Box<dyn Locate>>,
    pseudonyms: PseudonymKey,
    store_addresses: bool,
    slots: Mutex<HashMap<Swarm, Slot>>,
    /// Pieces of torrents whose file was sent or whose metadata a peer gave, and
    /// whether they are private.
    sizes: Mutex<HashMap<InfoHash, (PieceCount, bool)>>,
}

/// What one tracker, or the DHT, has answered.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    /// What came of it, addresses included.
    pub(super) entry: TrackEntry,
    /// Nobody was asked: the interval is not over.
    pub(super) repeated: bool,
}

/// Whom to ask.
#[derive(Debug, Clone)]
enum Whom {
    /// The tracker at this URL.
    Tracker(String),
    /// The DHT.
    Dht,
}

impl Tracking {
    /// Opens the history in the output folder of `whole`.
    pub(super) fn open(
        settings: &WebSettings,
        whole: &Settings,
        finder: Option<Arc<dyn FindPeers>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        let (folder, tracker) = (&whole.output, whole.tracker.clone());
        let folder_failed = |source| StorageError::Folder {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(folder_failed)?;
        let history = History::open(
            &folder.join(FILE),
            settings.history_entries,
            settings.history_keep,
        )?;
        let rules = AddressRules {
            allow_private: settings.allow_private,
            ..AddressRules::default()
        };
        let resolver = Resolver::new().under(Arc::new(rules));
        let random =
            |error: getrandom::Error| folder_failed(std::io::Error::other(error.to_string()));
        let (mut id, mut key, mut name) = ([0; 20], [0; 4], [0; 20]);
        getrandom::fill(&mut id).map_err(random)?;
        getrandom::fill(&mut key).map_err(random)?;
        getrandom::fill(&mut name).map_err(random)?;
        let places: Box<dyn Locate> = match settings.geolocation.as_deref().map(GeoDatabase::open) {
            Some(Ok(places)) => Box::new(places),
            Some(Err(error)) => {
                log::info!("{error}");
                Box::new(Nowhere)
            }
            None => Box::new(Nowhere),
        };
        Ok(Self {
            client: TrackerClient {
                clock,
                random: Arc::new(SystemRandom),
                http: Arc::new(SystemHttp::direct(tracker.redirects_max, resolver.clone())),
                udp: Arc::new(SystemUdp::new(resolver)),
                families: None,
                settings: tracker,
                peer_id: PeerId::alphanumeric(id),
                key: u32::from_ne_bytes(key),
            },
            finder,
            history,
            places: Mutex::new(places),
            pseudonyms: PseudonymKey::new(name),
            store_addresses: settings.store_addresses,
            slots: Mutex::default(),
            sizes: Mutex::default(),
        })
    }

    /// Whether torrents can be looked up in the DHT.
    pub(super) const fn knows_dht(&self) -> bool {
        self.finder.is_some()
    }

    /// Asks the trackers of `question` one after the other until one answers,
    /// and meanwhile the DHT, if that is wanted.
    pub(super) async fn answer(
        self: &Arc<Self>,
        jobs: &Jobs,
        question: Question,
    ) -> Result<Answer, Refused> {
        self.note_size(&question);
        let private = self.size(question.info_hash).is_some_and(|(_, it)| it);
        if private && question.trackers.is_empty() {
            let text = "the torrent is private (BEP 27), and no tracker is named";
            return Err(Refused::new(StatusCode::BAD_REQUEST, text));
        }
        let dht = (question.dht && !private).then(|| {
            let (tracking, jobs, question) = (Arc::clone(self), jobs.clone(), question.clone());
            tokio::spawn(async move { tracking.ask_one(&jobs, &question, Whom::Dht).await })
        });
        let mut tracker = None;
        for url in &question.trackers {
            let whom = Whom::Tracker(url.clone());
            let last = self.ask_one(jobs, &question, whom).await;
            let answered = last.as_ref().is_ok_and(|it| it.entry.error.is_none());
            tracker = Some(last);
            if answered {
                break;
            }
        }
        let dht = match dht {
            Some(task) => Some(task.await.unwrap_or_else(|_| Err(defect()))),
            None => None,
        };
        match (tracker.transpose(), dht) {
            (Ok(tracker), dht) => Ok(Answer {
                tracker,
                dht,
                refused: None,
            }),
            // A tracker that may not be asked is no reason to keep the rest.
            (Err(refused), None | Some(Err(_))) => Err(refused),
            (Err(refused), dht) => Ok(Answer {
                tracker: None,
                dht,
                refused: Some(refused),
            }),
        }
    }

    async fn ask_one(
        self: &Arc<Self>,
        jobs: &Jobs,
        question: &Question,
        whom: Whom,
    ) -> Result<Tracked, Refused> {
        let name = match &whom {
            Whom::Tracker(url) => url.clone(),
            Whom::Dht => DHT.to_owned(),
        };
        let slot = self.slot((question.info_hash, name))?;
        let (tracking, jobs) = (Arc::clone(self), jobs.clone());
        let question = question.clone();
        // A task of its own: whoever asked may leave, but what was answered
        // is to be known then.
        let task = tokio::spawn(async move {
            let mut known = slot.lock_owned().await;
            let now = tracking.client.clock.timestamp();
            if let Some(entry) = known.as_ref().filter(|entry| entry.next > now) {
                let entry = entry.clone();
                return Ok(Tracked {
                    entry,
                    repeated: true,
                });
            }
            let first = known.is_none();
            let tracked = jobs
                .run(move || tracking.ask(&question, &whom, first))
                .await??;
            *known = Some(tracked.entry.clone());
            Ok(tracked)
        });
        task.await.unwrap_or_else(|_| Err(defect()))
    }

    fn slot(&self, swarm: Swarm) -> Result<Slot, Refused> {
        let now = self.client.clock.timestamp();
        let mut slots = self.slots.lock();
        if slots.len() >= SWARMS_MAX && !slots.contains_key(&swarm) {
            slots.retain(|_, slot| match slot.try_lock() {
                Ok(known) => known.as_ref().is_some_and(|entry| entry.next > now),
                Err(_) => true,
            });
            if slots.len() >= SWARMS_MAX {
                // The history knows the end of its interval, too.
                let known = |slot: &Slot| slot.try_lock().ok()?.as_ref().map(|entry| entry.at);
                let all = slots
                    .iter()
                    .filter_map(|(it, slot)| Some((known(slot)?, it)));
                let oldest = all.min_by_key(|(at, _)| *at).map(|(_, it)| it.clone());
                oldest.map(|it| slots.remove(&it));
            }
            if slots.len() >= SWARMS_MAX {
                let text = "too many swarms are being tracked: try again later";
                return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
            }
        }
        Ok(Arc::clone(slots.entry(swarm).or_default()))
    }

    /// Asks, on the thread of a job; `first` since the program began.
    fn ask(&self, question: &Question, whom: &Whom, first: bool) -> Result<Tracked, Refused> {
        let now = self.client.clock.timestamp();
        let name = match whom {
            Whom::Tracker(url) => url,
            Whom::Dht => DHT,
        };
        let of_history = || {
            self.history
                .last(question.info_hash, name)
                .map_err(|error| unstored(&error))
        };
        if first && let Some(entry) = of_history()?.filter(|entry| entry.next > now) {
            return Ok(Tracked {
                entry,
                repeated: true,
            });
        }
        let mut entry = match whom {
            Whom::Tracker(url) => self.ask_tracker(question, url)?,
            Whom::Dht => self.look_up(question)?,
        };
        let stored = self.history.add(&self.to_store(&entry));
        entry.id = stored.map_err(|error| unstored(&error))?;
        Ok(Tracked {
            entry,
            repeated: false,
        })
    }

    fn ask_tracker(&self, question: &Question, url: &str) -> Result<TrackEntry, Refused> {
        let now = self.client.clock.timestamp();
        let refused = |error: &TrackerError| Refused::new(status_of(error), error.to_string());
        let inquiry = Inquiry::new(
            &self.client,
            url,
            question.info_hash,
            question.port,
            question.size,
        )
        .map_err(|error| refused(&error))?;
        let entry = match inquiry.announce() {
            Ok(answer) => {
                let scraped = inquiry.scrape().ok().flatten();
                self.answered(question, url, now, (&answer, scraped))
            }
            // Nobody was asked.
            Err(error) if status_of(&error) == StatusCode::FORBIDDEN => {
                return Err(refused(&error));
            }
            Err(error) => failed(question, url, now, &error),
        };
        if let Err(error) = inquiry.leave() {
            log::debug!("a tracker did not take leave of us: {error}");
        }
        Ok(entry)
    }

    fn look_up(&self, question: &Question) -> Result<TrackEntry, Refused> {
        let text = "the DHT is off: web.dht is false, or the run has no DHT node of its own (-d)";
        let finder = self
            .finder
            .as_ref()
            .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, text))?;
        let now = self.client.clock.timestamp();
        Ok(match finder.find(question.info_hash, LOOK_UP) {
            Ok(peers) => self.found(question, now, &peers),
            Err(error) => not_found(question, now, error),
        })
    }
}

fn defect() -> Refused {
    let text = "a defect ended the work; the log has a line with CRITICAL";
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}
