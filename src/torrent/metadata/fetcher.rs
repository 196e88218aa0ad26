//! Asks several peers at once for the metadata of one torrent.
//!
//! The caller's thread keeps the list of peers and starts a thread for each
//! conversation. Those that are still talking when the metadata are there end
//! by themselves soon after.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, unbounded};
use parking_lot::Mutex;

use super::fetch::{FetchContext, FetchError, fetch};
use crate::deadline::Deadline;
use crate::model::{InfoHash, PeerAddress, Reason};
use crate::net::Connect;
use crate::protocol::metadata::{MetadataAssembly, PeerNumber};
use crate::threads::{self, VISIT_STACK};

/// Addresses kept for one torrent; what is beyond is dropped.
const PEERS_MAX: usize = 10_000;

/// Fetches metadata; one serves all magnet links.
#[derive(Clone)]
pub struct Fetcher {
    /// Opens the connections.
    pub connect: Arc<dyn Connect>,
    /// What every conversation needs.
    pub context: FetchContext,
}

/// Where the peers of one torrent come from.
pub struct PeerSources<'a> {
    /// Peers that somebody knows now; asked again after a failure.
    pub named: &'a Receiver<PeerAddress>,
    /// Peers that a link names (`x.pe`), perhaps for years: asked once, unless
    /// they are named too.
    pub hints: &'a Receiver<PeerAddress>,
    /// Whether an address is our own, which is never asked.
    pub is_own: &'a dyn Fn(&PeerAddress) -> bool,
}

/// Why there are no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchFailure {
    /// The deadline passed.
    TimedOut {
        /// Peers that were asked.
        asked: usize,
    },
    /// Every peer was asked as often as allowed, and no others will come.
    NoMorePeers {
        /// Peers that were asked.
        asked: usize,
    },
    /// The run ends.
    Stopped,
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { asked } => write!(f, "no metadata in time, {asked} peers asked"),
            Self::NoMorePeers { asked } => write!(f, "none of {asked} peers gave the metadata"),
            Self::Stopped => f.write_str("the run ends"),
        }
    }
}

impl std::error::Error for FetchFailure {}

/// The end of one conversation.
type Ended = (PeerAddress, Result<(), FetchError>);

/// Tells the end of a conversation when it goes, even after a panic.
struct EndNote {
    ended: Sender<Ended>,
    address: PeerAddress,
    result: Result<(), FetchError>,
}

impl EndNote {
    fn of(mut self, conversation: impl FnOnce() -> Result<(), FetchError>) {
        self.result = conversation();
    }
}

impl Drop for EndNote {
    fn drop(&mut self) {
        // Nobody listens once the metadata are there.
        let _ = self.ended.send((self.address, self.result));
    }
}

/// What is known of one peer.
#[derive(Debug)]
struct Candidate {
    number: PeerNumber,
    /// Conversations so far.
    asked: u8,
    /// Only the link names it.
    hint: bool,
    /// It failed, and is not asked again because it is only a hint.
    spent: bool,
}

/// The peers of one torrent.
#[derive(Default)]
struct Candidates {
    known: HashMap<PeerAddress, Candidate>,
    waiting: VecDeque<PeerAddress>,
    /// Failed, and to be asked again from then on; in the order of time.
    failed: VecDeque<(Instant, PeerAddress)>,
    talking: usize,
}

impl Candidates {
    /// Takes a peer, at `retry` if it was asked as a hint already.
    fn add(&mut self, address: PeerAddress, hint: bool, retry: Instant) {
        if let Some(known) = self.known.get_mut(&address) {
            known.hint &= hint;
            if !hint && std::mem::take(&mut known.spent) {
                self.failed.push_back((retry, address));
            }
            return;
        }
        let number = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        if address.is_callable() && self.known.len() < PEERS_MAX {
            let candidate = Candidate {
                number: PeerNumber(number),
                asked: 0,
                hint,
                spent: false,
            };
            self.known.insert(address, candidate);
            self.waiting.push_back(address);
        }
    }

    fn next(&mut self, now: Instant) -> Option<PeerAddress> {
        let again = self.failed.pop_front_if(|(due, _)| *due <= now);
        let fresh = self.waiting.pop_front();
        match (fresh, again) {
            (Some(fresh), Some(again)) => {
                self.failed.push_front(again);
                Some(fresh)
            }
            (fresh, again) => fresh.or(again.map(|(_, address)| address)),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.waiting.is_empty() && self.failed.is_empty() && self.talking == 0
    }

    /// Whether one failed that only the link names.
    fn has_spent(&self) -> bool {
        self.known.values().any(|it| it.spent)
    }

    fn asked(&self) -> usize {
        self.known.values().filter(|it| it.asked > 0).count()
    }
}

impl Fetcher {
    /// Asks the peers that come out of `peers`, each address once and again
    /// after a failure, until the info dictionary of `info_hash` is there:
    /// its bytes, with the right SHA-1. Ends by `deadline`, at the end of the
    /// run, or when the channel is closed and no peer is left to ask.
    pub fn run(
        &self,
        info_hash: InfoHash,
        peers: &Receiver<PeerAddress>,
        deadline: Deadline,
    ) -> Result<Vec<u8>, FetchFailure> {
        let (_, no_hints) = bounded(0);
        let sources = PeerSources {
            named: peers,
            hints: &no_hints,
            is_own: &|_| false,
        };
        self.run_with(info_hash, &sources, deadline)
    }

    /// [`Fetcher::run`] with peers of several kinds; ends when both channels
    /// are closed and no peer is left to ask, and some time after the only ones
    /// left are those that the link names: the next try is to ask them again.
    pub fn run_with(
        &self,
        info_hash: InfoHash,
        sources: &PeerSources<'_>,
        deadline: Deadline,
    ) -> Result<Vec<u8>, FetchFailure> {
        let size_max = self.context.settings.size_max;
        let assembly = Arc::new(Mutex::new(MetadataAssembly::new(info_hash, size_max)));
        let (send, ended) = unbounded::<Ended>();
        let mut candidates = Candidates::default();
        let nobody = never();
        let (mut named, mut hints) = (Some(sources.named), Some(sources.hints));
        let mut rest: Option<Instant> = None;
        loop {
            if let Some(metadata) = assembly.lock().metadata() {
                return Ok(metadata.to_vec());
            }
            let asked = candidates.asked();
            let now = self.context.clock.now();
            let left = deadline.left(now).ok_or(FetchFailure::TimedOut { asked })?;
            self.start_conversations(&mut candidates, &assembly, &send);
            let exhausted = hints.is_none() && candidates.is_exhausted();
            let spent = exhausted && candidates.has_spent();
            rest = rest.or(Some(self.retry_time())).filter(|_| spent);
            if exhausted && named.is_none() || rest.is_some_and(|rest| rest <= now) {
                return Err(FetchFailure::NoMorePeers {
                    asked: candidates.asked(),
                });
            }
            let left = rest.map_or(left, |rest| left.min(rest.saturating_duration_since(now)));
            let wait = self.wait(&candidates, left);
            let mut take = |address: PeerAddress, hint| {
                if !(sources.is_own)(&address) {
                    candidates.add(address, hint, self.retry_time());
                }
            };
            select! {
                recv(named.unwrap_or(&nobody)) -> address => if let Ok(address) = address {
                    take(address, false);
                } else {
                    named = None;
                },
                recv(hints.unwrap_or(&nobody)) -> address => if let Ok(address) = address {
                    take(address, true);
                } else {
                    hints = None;
                },
                recv(ended) -> end => if let Ok(end) = end {
                    self.note_end(&mut candidates, &assembly, end);
                },
                recv(self.context.stop.channel()) -> _ => return Err(FetchFailure::Stopped),
                default(wait) => {}
            }
        }
    }

    /// Until the deadline, or until a peer that failed is due again.
    fn wait(&self, candidates: &Candidates, left: Duration) -> Duration {
        let free = candidates.talking < self.context.settings.parallel;
        let now = self.context.clock.now();
        let due = candidates.failed.front().filter(|_| free);
        due.map_or(left, |(due, _)| {
            left.min(due.saturating_duration_since(now))
        })
    }

    fn start_conversations(
        &self,
        candidates: &mut Candidates,
        assembly: &Arc<Mutex<MetadataAssembly>>,
        ended: &Sender<Ended>,
    ) {
        while candidates.talking < self.context.settings.parallel {
            let Some(address) = candidates.next(self.context.clock.now()) else {
                return;
            };
            let Some(candidate) = candidates.known.get_mut(&address) else {
                continue;
            };
            candidate.asked = candidate.asked.saturating_add(1);
            let number = candidate.number;
            let fetcher = self.clone();
            let assembly = Arc::clone(assembly);
            let end = EndNote {
                ended: ended.clone(),
                address,
                result: Err(FetchError::Net(Reason::Aborted)),
            };
            let started = threads::spawn("metadata", VISIT_STACK, move || {
                let converse = || fetcher.converse(&assembly, number, address.socket_addr());
                end.of(converse);
            });
            match started {
                Ok(_) => candidates.talking += 1,
                // The note of its end has been sent already.
                Err(error) => {
                    candidates.talking += 1;
                    log::warn!("no thread to fetch metadata: {error}");
                    return;
                }
            }
        }
    }

    fn converse(
        &self,
        assembly: &Mutex<MetadataAssembly>,
        number: PeerNumber,
        address: SocketAddr,
    ) -> Result<(), FetchError> {
        let wait = self.context.settings.quiet_timeout;
        let stream = self.connect.connect(address, wait);
        let mut stream = stream.map_err(|error| FetchError::Net(error.reason))?;
        fetch(&self.context, assembly, number, stream.as_mut())
    }

    /// A peer that failed is asked again later, unless it lied or cannot help.
    fn note_end(
        &self,
        candidates: &mut Candidates,
        assembly: &Mutex<MetadataAssembly>,
        (address, result): Ended,
    ) {
        candidates.talking = candidates.talking.saturating_sub(1);
        let (Some(candidate), Err(error)) = (candidates.known.get_mut(&address), result) else {
            return;
        };
        let number = candidate.number;
        let assembly = assembly.lock();
        let info_hash = assembly.info_hash();
        let peer = number.0;
        log::debug!("no metadata from peer: info_hash={info_hash} peer={peer} reason=\"{error}\"");
        let hopeless = matches!(
            error,
            FetchError::OwnAddress | FetchError::OtherTorrent | FetchError::NoExtensions
        );
        let over = candidate.asked >= self.context.settings.attempts;
        if hopeless || over || assembly.is_excluded(number) {
            return;
        }
        if candidate.hint {
            candidate.spent = true;
        } else {
            candidates.failed.push_back((self.retry_time(), address));
        }
    }

    fn retry_time(&self) -> Instant {
        let now = self.context.clock.now();
        now.checked_add(self.context.settings.retry_delay)
            .unwrap_or(now)
    }
}

#[cfg(test)]
mod tests;
