//! Local service discovery (BEP 14): peers of our own network, which announce
//! themselves by multicast; and our announces, when we listen.
//!
//! One thread for each address family (`lsd4`, `lsd6`). Anybody in the local
//! network can send such announces, with a false address too: datagrams are
//! limited in size and rate, new addresses in number. Private torrents are
//! neither announced nor taken (BEP 27).

mod turns;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::intake::Offer;
use crate::model::record::{Exchanged, Record};
use crate::model::{InfoHash, Origin, PeerAddress, Reason, TorrentId};
use crate::net::multicast::{GroupSocket, GroupUdp};
use crate::net::{NetError, Operation};
use crate::protocol::lsd::{Announce, GROUP_V4, GROUP_V6, LENGTH_MAX};

use super::engine::Engine;
use super::scheduler::pace::Allowance;
use turns::Turns;

/// Announces that are read a second, on average.
const PER_SECOND: f64 = 50.0;

/// New addresses that are taken for one torrent in a run, of each family: a
/// local network has no more, and false announces cost no more.
const ADDRESSES_MAX: u32 = 1_000;

/// How often the thread looks for the end of the run.
const TICK: Duration = Duration::from_millis(100);

/// Who announces itself in the local network.
pub struct Neighbours {
    engine: Arc<Engine>,
    /// Our own announces bear it.
    cookie: Vec<u8>,
    seats: Vec<Seat>,
    counts: Counts,
}

/// What a thread works with; it outlives one that fails.
struct Seat {
    /// Name of the thread.
    name: &'static str,
    group: SocketAddr,
    state: Mutex<State>,
}

struct State {
    socket: Box<dyn GroupSocket>,
    turns: Turns,
    allowance: Allowance,
    /// New addresses so far.
    taken: HashMap<TorrentId, u32>,
}

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    malformed: AtomicU64,
    held_off: AtomicU64,
    sent: AtomicU64,
}

/// Announces so far, our own ones left out of the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeighbourCounts {
    /// Read and understood.
    pub received: u64,
    /// No announces.
    pub malformed: u64,
    /// Beyond the limits: not read, or their peers not taken.
    pub held_off: u64,
    /// Sent, by interface where we choose it.
    pub sent: u64,
}

impl Neighbours {
    /// Joins both groups; a machine without one family does with the other.
    ///
    /// # Errors
    /// When neither can be joined: the error of IPv4.
    pub fn join(engine: &Arc<Engine>) -> Result<Self, NetError> {
        let from = engine.settings.listen.address;
        let sockets = [("lsd4", GROUP_V4), ("lsd6", GROUP_V6)]
            .map(|(name, group)| (name, group, GroupUdp::join(group, from)));
        let mut refused = None;
        let mut joined: Vec<(&'static str, SocketAddr, Box<dyn GroupSocket>)> = Vec::new();
        for (name, group, socket) in sockets {
            match socket {
                Ok(socket) => joined.push((name, group, Box::new(socket))),
                Err(error) => {
                    log::info!("no local service discovery by {name}: {error}");
                    refused.get_or_insert(error);
                }
            }
        }
        match refused {
            Some(error) if joined.is_empty() => Err(error),
            _ => Self::with(engine, joined),
        }
    }

    fn with(
        engine: &Arc<Engine>,
        sockets: Vec<(&'static str, SocketAddr, Box<dyn GroupSocket>)>,
    ) -> Result<Self, NetError> {
        let mut cookie = [0; 8];
        getrandom::fill(&mut cookie).map_err(|_| NetError {
            operation: Operation::Open,
            reason: Reason::Aborted,
        })?;
        let now = engine.clock.now();
        let seat = |(name, group, socket)| Seat {
            name,
            group,
            state: Mutex::new(State {
                socket,
                turns: Turns::new(now),
                allowance: Allowance::new(PER_SECOND, now),
                taken: HashMap::new(),
            }),
        };
        Ok(Self {
            engine: Arc::clone(engine),
            cookie: format!("{:016x}", u64::from_ne_bytes(cookie)).into_bytes(),
            seats: sockets.into_iter().map(seat).collect(),
            counts: Counts::default(),
        })
    }

    /// Names of the threads, in the order of [`Neighbours::run`].
    pub fn threads(&self) -> impl Iterator<Item = &'static str> {
        self.seats.iter().map(|seat| seat.name)
    }

    /// The body of the thread at `index`; returns at the end of the run.
    pub fn run(&self, index: usize) {
        let Some(seat) = self.seats.get(index) else {
            return;
        };
        let mut state = seat.state.lock();
        while !self.engine.stop.is_stopped() {
            self.step(seat.group, &mut state);
        }
    }

    /// Announces so far.
    pub fn counts(&self) -> NeighbourCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NeighbourCounts {
            received: read(&self.counts.received),
            malformed: read(&self.counts.malformed),
            held_off: read(&self.counts.held_off),
            sent: read(&self.counts.sent),
        }
    }

    /// Announces us if that is due, and takes one datagram if one comes.
    fn step(&self, group: SocketAddr, state: &mut State) {
        let now = self.engine.clock.now();
        if state.turns.is_due(now) {
            self.announce(group, state, now);
        }
        // One byte more, so that what is too long is known to be.
        let mut buffer = [0; LENGTH_MAX + 1];
        match state.socket.receive_from(&mut buffer, TICK) {
            Ok((length, from)) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                self.take(datagram, from, state);
            }
            Err(error) if error.reason == Reason::TimedOut => {}
            Err(error) => {
                log::debug!("local service discovery: {error}");
                // Whoever runs this looks whether it is the end.
                let _ = self.engine.stop.wait(TICK);
            }
        }
    }

    /// Only who listens is anybody's peer.
    fn announce(&self, group: SocketAddr, state: &mut State, now: Instant) {
        let torrents = self.engine.directory.all();
        let open = torrents.iter().filter(|torrent| !torrent.private);
        let open: Vec<InfoHash> = open.map(|torrent| torrent.info_hash).collect();
        let torrents = state.turns.take(&open, now);
        if let Some(port) = self.engine.settings.visit.listen_port
            && !torrents.is_empty()
        {
            let announce = Announce {
                port,
                torrents,
                cookie: Some(self.cookie.clone()),
            };
            let sent = state.socket.announce(&announce.encode(group));
            self.counts.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
    }

    fn take(&self, datagram: &[u8], from: SocketAddr, state: &mut State) {
        let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        if !state.allowance.take(self.engine.clock.now()) {
            count(&self.counts.held_off);
            return;
        }
        let Ok(announce) = Announce::parse(datagram) else {
            count(&self.counts.malformed);
            return;
        };
        if announce.cookie.as_ref() == Some(&self.cookie) {
            return;
        }
        count(&self.counts.received);
        if is_link_local(from.ip()) {
            // It cannot be called without the interface, which no address of
            // ours can hold.
            return;
        }
        let address = PeerAddress::new(from.ip(), announce.port);
        for hash in &announce.torrents {
            let torrent = self.engine.directory.find(hash);
            if let Some(torrent) = torrent.filter(|torrent| !torrent.private) {
                self.offer(torrent.id, address, &mut state.taken);
            }
        }
    }

    fn offer(&self, torrent: TorrentId, address: PeerAddress, taken: &mut HashMap<TorrentId, u32>) {
        let taken = taken.entry(torrent).or_default();
        if *taken >= ADDRESSES_MAX {
            self.counts.held_off.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let duplicates = match self.engine.scheduler.offer_local(torrent, address) {
            Offer::New => {
                *taken += 1;
                0
            }
            Offer::Known => 1,
            Offer::Own | Offer::Barred | Offer::Uncallable => return,
        };
        self.engine.record(Record::Exchange(Exchanged {
            torrent,
            origin: Origin::Lsd,
            received: 1,
            duplicates,
        }));
    }
}

/// `fe80::/10`.
const fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests;
