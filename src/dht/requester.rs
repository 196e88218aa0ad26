//! The DHT thread: asks a node for the peers of every torrent, over and over.
//!
//! The node is behind [`DhtBackend`]: a pymdht beside us or our own. Every
//! torrent has its lookup each `dht_request_interval`, one after the other,
//! and a record for each; a torrent that joins the run is looked up soon.
//! Private torrents (BEP 27) never are.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::intake::{Offer, PeerIntake};
use crate::model::record::{Lookup, Record};
use crate::model::{InfoHash, PeerAddress, Source, Torrent, TorrentId};
use crate::stop::StopToken;

use super::pending::PendingLookups;
use super::pymdht::{PymdhtClient, PymdhtError};

/// Longest time until a torrent that joined the run is noticed.
const LOOK_FOR_NEW: Duration = Duration::from_secs(2);

/// A node that finds peers.
pub trait DhtBackend: Send {
    /// Looks `info_hash` up and hands each peer to `found` as it comes, each
    /// once; announces that we listen on `announce_port`, if there is one.
    ///
    /// Returns by `deadline`, and soon when the run ends. Peers that were
    /// handed over before an error count.
    fn lookup(
        &mut self,
        info_hash: InfoHash,
        announce_port: Option<u16>,
        deadline: Deadline,
        found: &mut dyn FnMut(PeerAddress),
    ) -> Result<(), DhtError>;

    /// What it is, in a word for the manifest.
    fn name(&self) -> &'static str;

    /// Takes leave at the end of the run.
    fn close(&mut self) {}
}

/// Why a lookup failed. Whoever failed has told the log what a person must
/// look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DhtError {
    /// The run ends.
    Stopped,
    /// The deadline passed before the lookup was over.
    TimedOut,
    /// Anything else, in words without addresses.
    Failed(String),
}

impl fmt::Display for DhtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the run ends"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for DhtError {}

impl DhtBackend for PymdhtClient {
    fn lookup(
        &mut self,
        info_hash: InfoHash,
        announce_port: Option<u16>,
        deadline: Deadline,
        found: &mut dyn FnMut(PeerAddress),
    ) -> Result<(), DhtError> {
        match Self::lookup(self, info_hash, announce_port, deadline, found) {
            Ok(_) => Ok(()),
            Err(PymdhtError::Stopped) => Err(DhtError::Stopped),
            Err(PymdhtError::Unfinished) => Err(DhtError::TimedOut),
            Err(error) => Err(DhtError::Failed(error.to_string())),
        }
    }

    fn name(&self) -> &'static str {
        "pymdht"
    }

    fn close(&mut self) {
        Self::close(self);
    }
}

/// Says which torrents are measured now; asked over and over, so that
/// torrents can join a run.
pub trait TorrentList: Send + Sync {
    /// All torrents of the run so far.
    fn torrents(&self) -> Vec<Arc<Torrent>>;
}

impl<F: Fn() -> Vec<Arc<Torrent>> + Send + Sync> TorrentList for F {
    fn torrents(&self) -> Vec<Arc<Torrent>> {
        self()
    }
}

/// What the DHT thread needs.
#[derive(Clone)]
pub struct RequesterContext {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends the thread, also in the middle of a lookup.
    pub stop: StopToken,
    /// Which torrents.
    pub torrents: Arc<dyn TorrentList>,
    /// Which magnet links that wait for their metadata.
    pub pending: PendingLookups,
    /// Takes the peers.
    pub intake: Arc<dyn PeerIntake>,
    /// To the writer; a full channel makes the thread wait, a closed one ends
    /// it.
    pub records: Sender<Record>,
    /// `dht_request_interval`: from lookup to lookup of one torrent.
    pub interval: Duration,
    /// Longest time of one lookup.
    pub lookup_timeout: Duration,
    /// Our listening port, with `-p` only.
    pub announce_port: Option<u16>,
}

/// The run ends: it was told to, or the writer is gone.
#[derive(Debug, PartialEq, Eq)]
struct Ended;

/// Looks torrents up until the run ends; the body of the DHT thread.
pub fn run(context: RequesterContext, backend: &mut dyn DhtBackend) {
    let mut requester = Requester {
        context,
        due: HashMap::new(),
    };
    while let Ok(wait) = requester.step(backend) {
        if requester.context.stop.wait(wait) {
            break;
        }
    }
    backend.close();
}

struct Requester {
    context: RequesterContext,
    /// When each torrent is looked up next; at once where nothing stands.
    due: HashMap<TorrentId, Instant>,
}

impl Requester {
    /// Does every lookup that is due; tells how long to wait.
    fn step(&mut self, backend: &mut dyn DhtBackend) -> Result<Duration, Ended> {
        let torrents = self.context.torrents.torrents();
        for torrent in torrents.iter().filter(|torrent| !torrent.private) {
            let now = self.context.clock.now();
            if self.due.get(&torrent.id).is_some_and(|due| *due > now) {
                continue;
            }
            if self.context.stop.is_stopped() {
                return Err(Ended);
            }
            let next = now.checked_add(self.context.interval).unwrap_or(now);
            self.due.insert(torrent.id, next);
            self.look_up_pending(backend)?;
            self.look_up(torrent, backend)?;
        }
        self.look_up_pending(backend)?;
        let now = self.context.clock.now();
        let next = self.due.values().min();
        let wait = next.map_or(LOOK_FOR_NEW, |due| due.saturating_duration_since(now));
        Ok(wait.min(LOOK_FOR_NEW))
    }

    /// Magnet links do not wait for the round to end: nothing is measured
    /// without their metadata. Whether they are private nobody knows yet.
    fn look_up_pending(&self, backend: &mut dyn DhtBackend) -> Result<(), Ended> {
        let context = &self.context;
        loop {
            let now = context.clock.now();
            let Some((hash, peers)) = context.pending.next(now, context.interval) else {
                return Ok(());
            };
            if context.stop.is_stopped() {
                return Err(Ended);
            }
            let deadline = Deadline::after(now, context.lookup_timeout);
            let mut count = 0_u32;
            let mut found = |address| {
                count = count.saturating_add(1);
                // What there is no room for is found again.
                let _ = peers.try_send(address);
            };
            if let Err(error) = backend.lookup(hash, None, deadline, &mut found) {
                log::debug!("DHT lookup failed: info_hash={hash} reason=\"{error}\"");
            }
            log::debug!("DHT lookup for a magnet link: info_hash={hash} peers={count}");
        }
    }

    fn look_up(&self, torrent: &Torrent, backend: &mut dyn DhtBackend) -> Result<(), Ended> {
        let context = &self.context;
        let start = context.clock.now();
        let (mut received, mut duplicates) = (0_u32, 0_u32);
        let mut found = |address| match context.intake.offer(torrent.id, Source::Dht, address) {
            Offer::New => received = received.saturating_add(1),
            Offer::Known => {
                received = received.saturating_add(1);
                duplicates = duplicates.saturating_add(1);
            }
            Offer::Own | Offer::Barred | Offer::Uncallable => {}
        };
        let deadline = Deadline::after(start, context.lookup_timeout);
        let port = context.announce_port;
        let result = backend.lookup(torrent.info_hash, port, deadline, &mut found);
        let id = torrent.id;
        match &result {
            Ok(()) => {
                log::debug!("DHT lookup done: torrent={id} peers={received} known={duplicates}");
            }
            // What was found before counts; an empty row would only tell that
            // the run ended.
            Err(DhtError::Stopped) if received == 0 => return Err(Ended),
            Err(error) => {
                log::debug!("DHT lookup failed: torrent={id} peers={received} reason=\"{error}\"");
            }
        }
        let record = Record::Lookup(Lookup {
            at: context.clock.timestamp(),
            torrent: id,
            received,
            duplicates,
            duration: context.clock.now().saturating_duration_since(start),
        });
        context.records.send(record).map_err(|_| Ended)
    }
}

#[cfg(test)]
mod tests;
