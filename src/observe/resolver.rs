//! Gets the metadata of torrents that were heard of (BEP 9).
//!
//! A few threads `resolve-N` take one torrent each from the queue: they ask
//! who was heard, then the DHT, and fetch from several peers at once with the
//! fetcher of magnet links. Nothing but metadata is ever asked for. What was
//! resolved goes to the archive and to the pipeline.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::dht::node::{DhtHandle, LookupEvent, LookupRequest};
use crate::model::{InfoHash, PeerAddress};
use crate::net::{Connect, NetError, Stream};
use crate::stop::StopToken;
use crate::torrent::metadata::{Fetcher, torrent_file};
use crate::torrent::summary::Summary;

use super::block::Blocked;
use super::pipeline::{ARCHIVE, FoundTorrent, News, addresses_of, archived, is_blocked};
use super::queue::{Job, ResolveQueue};

/// Time for one torrent in all.
const LIMIT: Duration = Duration::from_secs(60);

/// Of it, for the look-up.
const LOOKUP_LIMIT: Duration = Duration::from_secs(20);

/// Peers asked for one torrent at most.
const PEERS_MAX: usize = 64;

/// Sleep of a thread without work.
const IDLE: Duration = Duration::from_millis(500);

/// What the threads share.
pub struct Resolver {
    /// What waits.
    pub queue: Arc<Mutex<ResolveQueue>>,
    /// Fetches.
    pub fetcher: Fetcher,
    /// Nodes that look up, in turns.
    pub nodes: Vec<Arc<DhtHandle>>,
    /// What is not wanted.
    pub blocked: Arc<Blocked>,
    /// Keeps torrent files.
    pub archive: Archive,
    /// Takes what was found.
    pub news: Sender<News>,
    /// Takes torrents whose swarm is worth measuring.
    pub measured: Sender<InfoHash>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The end.
    pub stop: StopToken,
    /// Counters.
    pub counts: ResolveCounts,
}

/// What became of the torrents that were taken.
#[derive(Debug, Default)]
pub struct ResolveCounts {
    /// Metadata that came.
    pub resolved: AtomicU64,
    /// Torrents that nobody gave.
    pub failed: AtomicU64,
    /// Torrent files that could not be kept.
    pub not_archived: AtomicU64,
    /// Torrents at which a defect of ours ended the try.
    pub panics: AtomicU64,
}

/// Connects, and notes when: for `last_send_time` of the sources.
struct Calls {
    connect: Arc<dyn Connect>,
    queue: Arc<Mutex<ResolveQueue>>,
    hash: InfoHash,
    clock: Arc<dyn Clock>,
}

impl Connect for Calls {
    fn connect(&self, address: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError> {
        let now = self.clock.timestamp();
        self.queue.lock().called(self.hash, address.ip(), now);
        self.connect.connect(address, wait)
    }
}

/// Gives a torrent back to the queue as failed, even after a panic.
struct InHand<'a> {
    resolver: &'a Resolver,
    hash: InfoHash,
    done: bool,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut queue = self.resolver.queue.lock();
        if self.done {
            queue.resolved(self.hash);
        } else {
            queue.failed(self.hash, self.resolver.clock.timestamp());
        }
    }
}

impl Resolver {
    /// Body of a thread `resolve-N`. A defect ends the try at one torrent,
    /// which waits again, and not the thread.
    pub fn run(&self, number: usize) {
        while !self.stop.is_stopped() {
            let job = self.queue.lock().next_job();
            match job {
                Some(job) => {
                    let whole = catch_unwind(AssertUnwindSafe(|| self.resolve(job, number)));
                    if whole.is_err() {
                        self.counts.panics.fetch_add(1, Ordering::Relaxed);
                    }
                }
                None if self.stop.wait(IDLE) => return,
                None => {}
            }
        }
    }

    fn resolve(&self, mut job: Job, number: usize) {
        let mut in_hand = InHand {
            resolver: self,
            hash: job.info_hash,
            done: false,
        };
        if self.blocked.blocks(&job.info_hash, None) || self.archive.has(job.info_hash) {
            in_hand.done = true;
            return;
        }
        let hash = job.info_hash;
        if let Some(info) = self.fetch(&job, number) {
            in_hand.done = true;
            if let Some((heard, sources)) = self.queue.lock().heard_of(hash) {
                (job.heard, job.sources) = (heard, sources);
            }
            self.counts.resolved.fetch_add(1, Ordering::Relaxed);
            self.keep(job, &info);
        } else {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
            log::debug!("torrent not resolved info_hash={hash}");
        }
    }

    /// Notes when each source was called.
    fn fetch(&self, job: &Job, number: usize) -> Option<Vec<u8>> {
        let deadline = Deadline::after(self.clock.now(), LIMIT);
        let (send, peers) = bounded(PEERS_MAX);
        for address in job.sources.iter().flat_map(addresses_of) {
            // The channel has room for those that count.
            let _ = send.try_send(address);
        }
        self.look_up(job.info_hash, number, &send);
        drop(send);
        let calls = Calls {
            connect: Arc::clone(&self.fetcher.connect),
            queue: Arc::clone(&self.queue),
            hash: job.info_hash,
            clock: Arc::clone(&self.clock),
        };
        let fetcher = Fetcher {
            connect: Arc::new(calls),
            ..self.fetcher.clone()
        };
        fetcher.run(job.info_hash, &peers, deadline).ok()
    }

    /// Names the peers that the DHT knows.
    fn look_up(&self, info_hash: InfoHash, number: usize, peers: &Sender<PeerAddress>) {
        let turn = number.checked_rem(self.nodes.len()).unwrap_or(0);
        let Some(node) = self.nodes.get(turn) else {
            return;
        };
        let request = LookupRequest {
            info_hash,
            announce_port: None,
            private: false,
            limit: LOOKUP_LIMIT,
        };
        if let Ok(events) = node.lookup(&request) {
            self.take_peers(&events, peers);
        }
    }

    fn take_peers(&self, events: &Receiver<LookupEvent>, peers: &Sender<PeerAddress>) {
        let deadline = Deadline::after(self.clock.now(), LOOKUP_LIMIT + Duration::from_secs(1));
        while let Some(left) = deadline.left(self.clock.now()) {
            let event = select! {
                recv(events) -> event => event,
                recv(self.stop.channel()) -> _ => return,
                default(left) => return,
            };
            let Ok(LookupEvent::Peers(found)) = event else {
                return;
            };
            if found.into_iter().any(|peer| peers.try_send(peer).is_err()) {
                // Enough are known.
                return;
            }
        }
    }

    fn keep(&self, job: Job, info: &[u8]) {
        let summary = match Summary::of_info(info) {
            Ok(summary) => summary,
            Err(error) => {
                let hash = job.info_hash;
                log::info!("metadata of no use info_hash={hash} reason=\"{error}\"");
                return;
            }
        };
        if !is_blocked(&self.blocked, &summary)
            && let Err(error) = self.archive.store(job.info_hash, info)
        {
            self.counts.not_archived.fetch_add(1, Ordering::Relaxed);
            log::error!("torrent file not kept: {error}");
        }
        let found = FoundTorrent {
            job,
            summary,
            at: self.clock.timestamp(),
        };
        // There are enough others when too many wait.
        let _ = self.measured.try_send(found.summary.infohash);
        // Waits when the disk is slow; the writer outlives this thread.
        let _ = self.news.send(News::Found(Box::new(found)));
    }
}

/// A folder of torrent files, `<INFOHASH>.torrent` in upper case.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    bytes_max: u64,
    bytes: AtomicU64,
}

impl Archive {
    /// Uses the archive below `folder`, made when something is stored, for at
    /// most `bytes_max` bytes.
    pub fn new(folder: PathBuf, bytes_max: u64) -> Self {
        let entries = fs::read_dir(folder.join(ARCHIVE)).into_iter().flatten();
        let sizes = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        Self {
            bytes: AtomicU64::new(sizes.sum()),
            folder,
            bytes_max,
        }
    }

    /// The file of a torrent, whether it is there or not.
    pub fn path(&self, hash: InfoHash) -> PathBuf {
        archived(&self.folder, hash)
    }

    /// Whether it is there.
    pub fn has(&self, hash: InfoHash) -> bool {
        self.path(hash).is_file()
    }

    /// Keeps an info dictionary, written beside and moved.
    pub fn store(&self, hash: InfoHash, info: &[u8]) -> io::Result<PathBuf> {
        let bytes = torrent_file(info, &[]);
        let length = bytes.len() as u64;
        if self.bytes.load(Ordering::Relaxed).saturating_add(length) > self.bytes_max {
            let text = "the archive has reached its part of observe.disk_max_bytes";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        fs::create_dir_all(self.folder.join(ARCHIVE))?;
        let path = self.path(hash);
        let part = path.with_extension("part");
        let written = write_new(&part, &bytes).and_then(|()| fs::rename(&part, &path));
        if let Err(error) = written {
            // Half a file is of no use; failing again changes nothing.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Ok(path)
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::dht::node::id::NodeId;
    use crate::model::{PeerId, Timestamp};
    use crate::observe::queue::SourceNode;
    use crate::stop::stop_pair;
    use crate::torrent::metadata::{FetchContext, FetchSettings};

    const INFO: &[u8] =
        b"d6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:....................e";

    /// A way to peers that is broken.
    struct Broken;

    impl Connect for Broken {
        fn connect(&self, _: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
            Err(NetError::timed_out(crate::net::Operation::Connect))
        }
    }

    /// A clock that fails when the time is asked for a second time.
    struct Failing(AtomicU64);

    impl Clock for Failing {
        fn now(&self) -> Instant {
            assert!(self.0.fetch_add(1, Ordering::Relaxed) == 0, "on purpose");
            Instant::now()
        }

        fn timestamp(&self) -> Timestamp {
            Timestamp(7)
        }

        fn wall_drift_ms(&self) -> i64 {
            0
        }
    }

    #[test]
    fn a_defect_costs_one_try_and_no_thread() {
        let folder = tempfile::tempdir().unwrap();
        let (trigger, stop) = stop_pair();
        let (news, _heard) = bounded(1);
        let (measured, _wanted) = bounded(1);
        let clock: Arc<dyn Clock> = Arc::new(Failing(AtomicU64::new(0)));
        let queue = Arc::new(Mutex::new(ResolveQueue::new([0; 20])));
        let hash = InfoHash::of(INFO);
        let source = SourceNode {
            address: PeerAddress::from_compact([192, 0, 2, 1, 0, 1]),
            id: NodeId::new([1; 20]),
            peer_port: None,
            last_seen: Timestamp(0),
            last_sent: Timestamp(0),
        };
        queue.lock().heard(hash, source, NodeId::new([2; 20]));
        let resolver = Arc::new(Resolver {
            queue: Arc::clone(&queue),
            fetcher: Fetcher {
                connect: Arc::new(Broken),
                context: FetchContext {
                    clock: Arc::clone(&clock),
                    stop: stop.clone(),
                    own_id: PeerId::alphanumeric([0; 20]),
                    settings: FetchSettings::default(),
                },
            },
            nodes: Vec::new(),
            blocked: Arc::default(),
            archive: Archive::new(folder.path().to_owned(), 100),
            news,
            measured,
            clock,
            stop,
            counts: ResolveCounts::default(),
        });
        let own = Arc::clone(&resolver);
        let thread = std::thread::spawn(move || own.run(0));
        while resolver.counts.panics.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        let lengths = queue.lock().lengths();
        assert_eq!((lengths.failed, lengths.in_hand), (1, 0), "it waits again");
        assert!(!thread.is_finished());
        trigger.stop();
        thread.join().unwrap();
    }

    #[test]
    fn the_archive_keeps_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let hash = InfoHash::of(INFO);
        let archive = Archive::new(folder.path().to_owned(), 100);
        assert!(!archive.has(hash));
        let path = archive.store(hash, INFO).unwrap();
        assert!(archive.has(hash));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("{}.torrent", hash.to_string().to_uppercase()));
        let summary = Summary::of_file(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((summary.infohash, summary.size), (hash, 5));
        let other = InfoHash::new([1; 20]);
        let refused = archive.store(other, INFO).unwrap_err();
        assert!(refused.to_string().contains("disk_max_bytes"));
        let again = Archive::new(folder.path().to_owned(), 100);
        assert!(again.store(other, INFO).is_err(), "what is there counts");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
