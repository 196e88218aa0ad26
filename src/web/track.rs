//! Asks trackers for whoever uses the page, politely: no tracker is asked for
//! a torrent again before its interval is over; until then the last answer is
//! the answer, and says so.

pub(super) mod question;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::answer::Refused;
use super::job::Jobs;
use crate::clock::Clock;
use crate::config::WebSettings;
use crate::config::settings::TrackerSettings;
use crate::model::record::ScrapeFigures;
use crate::model::{AddressRules, InfoHash, PeerId, PseudonymKey, Reason, Timestamp};
use crate::net::http::{HttpError, SystemHttp};
use crate::net::resolve::Resolver;
use crate::net::udp::SystemUdp;
use crate::outside::outside_text;
use crate::storage::StorageError;
use crate::storage::geo::{GeoDatabase, Locate, Nowhere};
use crate::storage::history::{FILE, History, TrackEntry, TrackedPeer};
use crate::tracker::announce::AnnounceAnswer;
use crate::tracker::inquiry::Inquiry;
use crate::tracker::{RetryIn, SystemRandom, TrackerClient, TrackerError};
use question::Question;

/// Seconds between announces where a tracker names none, as in the Torrent
/// Peer Tracker.
const INTERVAL_DEFAULT: u32 = 1800;

/// Longest interval that a tracker can impose.
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// Before a tracker that failed is asked again.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Peers of one answer that are told and stored; all are counted.
pub(super) const PEERS_TOLD: usize = 1000;

/// Swarms whose last answer is in memory.
const SWARMS_MAX: usize = 1000;

/// A swarm at a tracker.
type Swarm = (InfoHash, String);

/// The last answer of a swarm; locked while somebody asks.
type Slot = Arc<tokio::sync::Mutex<Option<TrackEntry>>>;

/// What tracking needs.
pub(super) struct Tracking {
    client: TrackerClient,
    /// What was tracked.
    pub(super) history: History,
    places: Mutex<Box<dyn Locate>>,
    pseudonyms: PseudonymKey,
    store_addresses: bool,
    slots: Mutex<HashMap<Swarm, Slot>>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    /// What came of it, addresses included.
    pub(super) entry: TrackEntry,
    /// The tracker was not asked: its interval is not over.
    pub(super) repeated: bool,
}

impl Tracking {
    /// Opens the history in `folder`.
    pub(super) fn open(
        settings: &WebSettings,
        tracker: TrackerSettings,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        let folder_failed = |source| StorageError::Folder {
            path: folder.to_owned(),
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
            history,
            places: Mutex::new(places),
            pseudonyms: PseudonymKey::new(name),
            store_addresses: settings.store_addresses,
            slots: Mutex::default(),
        })
    }

    /// Asks the trackers of `question` one after the other until one answers.
    pub(super) async fn answer(
        self: &Arc<Self>,
        jobs: &Jobs,
        question: Question,
    ) -> Result<Tracked, Refused> {
        let mut last = Err(Refused::new(StatusCode::BAD_REQUEST, "no tracker to ask"));
        for url in &question.trackers {
            last = self.ask_one(jobs, &question, url).await;
            if last
                .as_ref()
                .is_ok_and(|tracked| tracked.entry.error.is_none())
            {
                break;
            }
        }
        last
    }

    async fn ask_one(
        self: &Arc<Self>,
        jobs: &Jobs,
        question: &Question,
        url: &str,
    ) -> Result<Tracked, Refused> {
        let slot = self.slot((question.info_hash, url.to_owned()))?;
        let (tracking, jobs) = (Arc::clone(self), jobs.clone());
        let (question, url) = (question.clone(), url.to_owned());
        // A task of its own: whoever asked may leave, but what the tracker
        // answered is to be known then.
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
                .run(move || tracking.ask(&question, &url, first))
                .await??;
            *known = Some(tracked.entry.clone());
            Ok(tracked)
        });
        let text = "a defect ended the work; the log has a line with CRITICAL";
        task.await
            .unwrap_or_else(|_| Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text)))
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
                let text = "too many swarms are being tracked: try again later";
                return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
            }
        }
        Ok(Arc::clone(slots.entry(swarm).or_default()))
    }

    /// Asks, on the thread of a job; `first` since the program began.
    fn ask(&self, question: &Question, url: &str, first: bool) -> Result<Tracked, Refused> {
        let now = self.client.clock.timestamp();
        let of_history = || {
            self.history
                .last(question.info_hash, url)
                .map_err(|error| unstored(&error))
        };
        if first && let Some(entry) = of_history()?.filter(|entry| entry.next > now) {
            return Ok(Tracked {
                entry,
                repeated: true,
            });
        }
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
                self.entry(question, url, now, (&answer, scraped))
            }
            // Nobody was asked.
            Err(error) if status_of(&error) == StatusCode::FORBIDDEN => {
                return Err(refused(&error));
            }
            Err(error) => failed(question, url, now, &error),
        };
        let stored = self.history.add(&self.to_store(&entry));
        if let Err(error) = inquiry.leave() {
            log::debug!("a tracker did not take leave of us: {error}");
        }
        stored.map_err(|error| unstored(&error))?;
        Ok(Tracked {
            entry,
            repeated: false,
        })
    }

    fn entry(
        &self,
        question: &Question,
        url: &str,
        now: Timestamp,
        (answer, scraped): (&AnnounceAnswer, Option<ScrapeFigures>),
    ) -> TrackEntry {
        let interval = answer.interval.unwrap_or(INTERVAL_DEFAULT);
        let wait = Duration::from_secs(interval.max(answer.min_interval.unwrap_or(0)).into())
            .min(INTERVAL_MAX);
        let scraped = scraped.unwrap_or_default();
        let places = self.places.lock();
        let peers = answer
            .peers
            .iter()
            .take(PEERS_TOLD)
            .map(|peer| TrackedPeer {
                ip: peer.ip().to_string(),
                port: peer.port(),
                country: places.locate(peer.ip()).country,
            });
        TrackEntry {
            id: 0,
            at: now,
            info_hash: question.info_hash,
            tracker_url: url.to_owned(),
            peer_count: (answer.peers.len() + answer.left_out) as u64,
            interval,
            complete: answer.seeders.or(scraped.seeders).unwrap_or(0),
            incomplete: answer.leechers.or(scraped.leechers).unwrap_or(0),
            downloaded: scraped.completed.unwrap_or(0),
            error: None,
            next: now.plus(wait),
            peers: peers.collect(),
        }
    }

    /// `entry` as it may be stored.
    fn to_store(&self, entry: &TrackEntry) -> TrackEntry {
        let mut entry = entry.clone();
        if !self.store_addresses {
            for peer in &mut entry.peers {
                let ip: Result<IpAddr, _> = peer.ip.parse();
                peer.ip =
                    ip.map_or_else(|_| String::new(), |ip| self.pseudonyms.of(ip).to_string());
            }
        }
        entry
    }
}

fn failed(question: &Question, url: &str, now: Timestamp, error: &TrackerError) -> TrackEntry {
    let wait = match error.retry() {
        Some(RetryIn::Never) => INTERVAL_MAX,
        Some(RetryIn::After(time)) => time.clamp(AFTER_FAILURE, INTERVAL_MAX),
        None => AFTER_FAILURE,
    };
    TrackEntry {
        id: 0,
        at: now,
        info_hash: question.info_hash,
        tracker_url: url.to_owned(),
        peer_count: 0,
        interval: 0,
        complete: 0,
        incomplete: 0,
        downloaded: 0,
        error: Some(outside_text(error.to_string().as_bytes())),
        next: now.plus(wait),
        peers: Vec::new(),
    }
}

/// The status of a failed question: our fault, a place that nobody may be
/// sent to, or the tracker's.
fn status_of(error: &TrackerError) -> StatusCode {
    match error {
        TrackerError::Url(_) | TrackerError::Http(HttpError::BadUrl) => StatusCode::BAD_REQUEST,
        TrackerError::Net(error) | TrackerError::Http(HttpError::Net(error))
            if error.reason == Reason::ReservedAddress =>
        {
            StatusCode::FORBIDDEN
        }
        TrackerError::NoRandom | TrackerError::NoThread | TrackerError::Aborted => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The history does not work.
pub(super) fn unstored(error: &StorageError) -> Refused {
    log::error!("{error}");
    Refused::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the history cannot be read or written; see the log",
    )
}

/// What the Torrent Peer Tracker calls a result: peers and figures, or the
/// error.
pub(super) fn result_json(entry: &TrackEntry) -> Value {
    if let Some(error) = &entry.error {
        return json!({ "error": error });
    }
    json!({
        "peers": entry.peers,
        "interval": entry.interval,
        "complete": entry.complete,
        "incomplete": entry.incomplete,
        "downloaded": entry.downloaded,
    })
}

impl Tracked {
    /// The answer to `POST /track`, with its status.
    pub(super) fn answer(&self) -> (StatusCode, Value) {
        let entry = &self.entry;
        let status = if entry.error.is_some() {
            StatusCode::BAD_GATEWAY
        } else {
            StatusCode::OK
        };
        let mut value = result_json(entry);
        if let Value::Object(fields) = &mut value {
            let more = json!({
                "peer_count": entry.peer_count,
                "info_hash": entry.info_hash.to_string(),
                "tracker_url": entry.tracker_url,
                "timestamp": entry.at.to_string(),
                "next_request": entry.next.to_string(),
                "from_last_result": self.repeated,
            });
            if let Value::Object(more) = more {
                fields.extend(more);
            }
        }
        (status, value)
    }
}
