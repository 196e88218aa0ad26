//! Magnet links whose metadata are not there yet (BEP 9), in the background
//! of a run.
//!
//! Up to [`THREADS_MAX`] threads `magnet-N` take the links in turn. Each asks
//! peers of every source (`x.pe`, the trackers of the link, the DHT) for the
//! metadata; the torrent then joins the run with the next number. A link that
//! nobody serves is tried again and again, with growing pauses, until the run
//! stops.

mod sources;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;

use crate::analyzer::engine::Engine;
use crate::deadline::Deadline;
use crate::dht::pending::PendingLookups;
use crate::model::record::{InputFile, Record};
use crate::model::{InfoHash, PieceCount, Torrent, TorrentId};
use crate::net::resolve::Resolver;
use crate::torrent::import::torrent_of;
use crate::torrent::metadata::{
    FetchContext, FetchSettings, Fetcher, MetadataCache, PeerSources, torrent_file,
};
use crate::torrent::metainfo::Metainfo;
use crate::tracker::TorrentTrackers;

use super::links::Wanted;
use super::trackers::Trackers;

/// Links tried at one time; others wait their turn.
const THREADS_MAX: usize = 16;

/// Threads of one try beside its connections: `magnet-N`, `magnet-tr-N` with
/// its `tracker-request`, `magnet-peers` with its `resolve`.
const THREADS_BESIDE: usize = 5;

/// One try, when other links wait.
const TRY_SHORT: Duration = Duration::from_secs(5 * 60);

/// One try, when none waits.
const TRY_LONG: Duration = Duration::from_secs(30 * 60);

/// Pause behind a first try that failed.
const PAUSE_FIRST: Duration = Duration::from_secs(5);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30 * 60);

/// Longest sleep of a thread without a link.
const SLEEP: Duration = Duration::from_secs(2);

/// Pause before a peer that failed is asked again, at most.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// Addresses on their way to the fetcher.
const PEERS_WAITING_MAX: usize = 1024;

/// The links of a run that wait for their metadata.
pub(super) struct Magnets {
    engine: Arc<Engine>,
    trackers: Arc<Trackers>,
    fetcher: Fetcher,
    cache: MetadataCache,
    resolver: Resolver,
    lookups: Option<PendingLookups>,
    /// Those that no thread has in hand.
    waiting: Mutex<Vec<Pending>>,
    /// Those without metadata, in hand or not.
    left: AtomicUsize,
    threads: usize,
    joined: (Sender<Arc<Torrent>>, Receiver<Arc<Torrent>>),
}

/// A link without metadata.
struct Pending {
    wanted: Wanted,
    /// Kept from try to try, so that `started` is sent once.
    trackers: Option<Arc<TorrentTrackers>>,
    failures: u32,
    due: Instant,
}

/// A link that a thread tries; goes back to the others when that fails, even
/// by a panic.
struct InHand<'a> {
    magnets: &'a Magnets,
    pending: Option<Pending>,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        pending.failures = pending.failures.saturating_add(1);
        pending.due = self.magnets.next_try(&pending);
        self.magnets.waiting.lock().push(pending);
    }
}

impl Magnets {
    /// Nothing is started yet.
    pub(super) fn new(
        engine: &Arc<Engine>,
        trackers: &Arc<Trackers>,
        lookups: Option<PendingLookups>,
        cache: MetadataCache,
        wanted: Vec<Wanted>,
    ) -> Self {
        let now = engine.clock.now();
        let waiting: Vec<Pending> = wanted
            .into_iter()
            .map(|wanted| Pending {
                wanted,
                trackers: None,
                failures: 0,
                due: now,
            })
            .collect();
        Self {
            engine: Arc::clone(engine),
            trackers: Arc::clone(trackers),
            fetcher: fetcher(engine),
            cache,
            resolver: Resolver::new(),
            lookups,
            left: AtomicUsize::new(waiting.len()),
            threads: waiting.len().min(THREADS_MAX),
            waiting: Mutex::new(waiting),
            joined: unbounded(),
        }
    }

    /// Links without metadata.
    pub(super) fn pending(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Threads that `links` without metadata have at one time at most: those
    /// that try them, each with its trackers, the look-up of its peers and
    /// the connections, and later the one of each torrent that joins.
    pub(super) fn threads_at_most(links: usize) -> u64 {
        let each = FetchSettings::default()
            .parallel
            .saturating_add(THREADS_BESIDE);
        let tried = links.min(THREADS_MAX).saturating_mul(each);
        u64::try_from(tried.saturating_add(links)).unwrap_or(u64::MAX)
    }

    /// How many threads [`Self::run`] is for.
    pub(super) const fn threads(&self) -> usize {
        self.threads
    }

    /// Torrents that have joined the run, each once.
    pub(super) const fn joined(&self) -> &Receiver<Arc<Torrent>> {
        &self.joined.1
    }

    /// Body of a thread `magnet-N`.
    pub(super) fn run(&self, number: usize) {
        while !self.engine.stop.is_stopped() {
            if let Some(in_hand) = self.take() {
                self.try_link(in_hand, number);
            } else if self.engine.stop.wait(SLEEP) {
                return;
            }
        }
    }

    /// The link that has been due for longest.
    fn take(&self) -> Option<InHand<'_>> {
        let now = self.engine.clock.now();
        let mut waiting = self.waiting.lock();
        let due = waiting.iter().enumerate().filter(|(_, it)| it.due <= now);
        let (index, _) = due.min_by_key(|(_, it)| it.due)?;
        Some(InHand {
            magnets: self,
            pending: Some(waiting.remove(index)),
        })
    }

    fn try_link(&self, mut in_hand: InHand<'_>, number: usize) {
        let Some(pending) = &mut in_hand.pending else {
            return;
        };
        let hash = pending.wanted.info_hash;
        let now = self.engine.clock.now();
        let time = if self.waiting.lock().is_empty() {
            TRY_LONG
        } else {
            TRY_SHORT
        };
        let (send, named) = bounded(PEERS_WAITING_MAX);
        let (send_hints, hints) = bounded(PEERS_WAITING_MAX);
        let sources = self.start_sources(pending, number, (send, send_hints));
        let peers = PeerSources {
            named: &named,
            hints: &hints,
            // A call of ours would be a caller that never was.
            is_own: &|address| self.engine.scheduler.is_own(address),
        };
        let deadline = Deadline::after(now, time);
        let fetched = self.fetcher.run_with(hash, &peers, deadline);
        drop(sources);
        match fetched {
            Ok(info) => {
                if self.join(&pending.wanted, &info) {
                    in_hand.pending = None;
                    self.left.fetch_sub(1, Ordering::Relaxed);
                }
            }
            Err(failure) => {
                log::info!(
                    "magnet link still without metadata: info_hash={hash} reason=\"{failure}\""
                );
            }
        }
    }

    /// Makes the torrent and tells everybody; `false` when the run has ended
    /// before.
    fn join(&self, wanted: &Wanted, info: &[u8]) -> bool {
        let hash = wanted.info_hash;
        let metainfo = match Metainfo::from_info(info, wanted.trackers.clone()) {
            Ok(metainfo) => metainfo,
            Err(error) => {
                log::warn!("magnet link skipped: info_hash={hash} reason=\"{error}\"");
                let note = format!("skipped: {error}");
                self.engine.record(self.input(wanted, (None, None), note));
                return true;
            }
        };
        let sha1 = self.keep(wanted, info);
        if self.engine.stop.is_stopped() {
            return false;
        }
        let mut notes = vec!["metadata of a magnet link, from peers".to_owned()];
        notes.extend(metainfo.notes.iter().cloned());
        let path = self.cache.path(hash);
        let threshold = self.engine.settings.complete_threshold;
        let added = self.engine.directory.add(
            hash,
            |id| torrent_of(id, path, metainfo, threshold),
            |torrent| {
                self.engine.record(Record::Torrent(Arc::clone(torrent)));
                let input = self.input(wanted, (Some(torrent.id), sha1), notes.join("; "));
                self.engine.record(input);
            },
        );
        self.trackers.link_done(hash);
        if let Some(torrent) = added {
            log::info!(
                "magnet link imported: info_hash={hash} torrent={}",
                torrent.id
            );
            // The supervisor listens until the run ends.
            let _ = self.joined.0.send(torrent);
        }
        true
    }

    /// For the next run; the SHA-1 of the file.
    fn keep(&self, wanted: &Wanted, info: &[u8]) -> Option<InfoHash> {
        let hash = wanted.info_hash;
        if let Err(error) = self.cache.store(hash, info, &wanted.trackers) {
            log::warn!("metadata not kept: info_hash={hash} reason=\"{error}\"");
            return None;
        }
        Some(InfoHash::of(&torrent_file(info, &wanted.trackers)))
    }

    fn input(
        &self,
        wanted: &Wanted,
        (torrent, sha1): (Option<TorrentId>, Option<InfoHash>),
        note: String,
    ) -> Record {
        Record::Input(Box::new(InputFile {
            path: self.cache.path(wanted.info_hash),
            sha1,
            torrent,
            note: Some(note),
        }))
    }

    /// With growing pauses; where only trackers name peers, not before one
    /// of them may be asked again.
    fn next_try(&self, pending: &Pending) -> Instant {
        let factor = 1 << pending.failures.saturating_sub(1).min(10);
        let pause = PAUSE_FIRST.saturating_mul(factor).min(PAUSE_MAX);
        let now = self.engine.clock.now();
        let next = now.checked_add(pause).unwrap_or(now);
        let only_trackers = self.lookups.is_none() && pending.wanted.peers.is_empty();
        let asked = pending.trackers.as_ref().filter(|_| only_trackers);
        let due = asked.and_then(|trackers| trackers.next_due());
        due.map_or(next, |due| due.max(next))
    }
}

/// Its connections stand in the register of the run, which ends them at once.
fn fetcher(engine: &Engine) -> Fetcher {
    let settings = &engine.settings;
    Fetcher {
        connect: Arc::clone(&engine.connect),
        context: FetchContext {
            clock: Arc::clone(&engine.clock),
            stop: engine.stop.clone(),
            own_id: engine.own_id,
            settings: FetchSettings {
                quiet_timeout: settings.visit.quiet_timeout,
                budget: settings.visit.budget,
                retry_delay: settings.policy.first_delay.min(RETRY_DELAY_MAX),
                metadata_number: settings.input.metadata_number,
                dht: settings.dht.is_some(),
                ..FetchSettings::default()
            },
        },
    }
}

/// A torrent that stands for `info_hash` while nothing else is known of it.
fn unknown(info_hash: InfoHash, trackers: Vec<String>) -> Option<Torrent> {
    Some(Torrent {
        // No torrent of a run that has fewer than 65,535.
        id: TorrentId::from_index(usize::from(u16::MAX) - 1)?,
        info_hash,
        trackers,
        pieces: PieceCount(1),
        // Large enough that something is left: trackers name no seeders to
        // those who have everything.
        piece_length: 1 << 30,
        threshold: PieceCount(1),
        path: std::path::PathBuf::new(),
        display_name: None,
        private: false,
    })
}
