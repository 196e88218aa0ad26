//! One address family of a node without socket, thread and clock: packets and
//! the time go in, packets come out.
//!
//! Called by fuzzers and benchmarks, on any thread; a running node does the
//! same behind its socket (see [`super::DhtNode`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::address::Family;
use super::core::{Core, Now, Setup, Wanted};
use super::persist::SavedNodes;
use super::random::Random;
use super::settings::DhtSettings;
use super::sink::{LookupEvent, Sink};
use super::status::FamilyStatus;
use crate::model::{InfoHash, PeerAddress, Timestamp};

/// A node that others drive.
pub struct Machine {
    core: Core,
}

/// What a node keeps in memory, as numbers of entries; each entry is of
/// bounded size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Nodes of the routing table.
    pub nodes: usize,
    /// Announced peers of all torrents.
    pub peers: usize,
    /// Questions that wait for an answer.
    pub questions: usize,
    /// Look-ups under way, those for the table included.
    pub lookups: usize,
    /// Packets that wait to be sent.
    pub packets: usize,
}

impl Machine {
    /// A node whose random numbers all come from `seed`.
    pub fn new(settings: DhtSettings, family: Family, seed: [u8; 32], now: Instant) -> Self {
        let setup = Setup {
            settings: Arc::new(settings),
            family,
            hook: None,
            board: Arc::default(),
            saved: SavedNodes::default(),
            random: Random::from_seed(seed),
        };
        Self {
            core: Core::new(setup, now),
        }
    }

    /// Takes a packet that came from `from`. Its answer, if there is one, is
    /// among the packets to send at once.
    pub fn receive(&mut self, packet: &[u8], from: SocketAddr, now: Instant) {
        self.core.receive(packet, from, at(now));
    }

    /// Does what is due; to be called every 10 ms or so, and harmless when it
    /// comes later.
    pub fn tick(&mut self, now: Instant) {
        self.core.tick(at(now));
    }

    /// The next packet to send, and where.
    pub fn next_packet(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let packet = self.core.next_outgoing()?;
        Some((packet.to, packet.bytes))
    }

    /// Somebody names a node.
    pub fn add_node(&mut self, address: SocketAddr) {
        self.core.add_node(PeerAddress::from(address));
    }

    /// Begins a look-up, if there is room for one more; announces `port` to
    /// the closest nodes behind it.
    pub fn look_up(
        &mut self,
        info_hash: InfoHash,
        port: Option<u16>,
        limit: Duration,
        now: Instant,
    ) -> Option<Receiver<LookupEvent>> {
        if !self.core.has_room() {
            return None;
        }
        let (sink, events) = Sink::new(1, now);
        let wanted = Wanted {
            info_hash,
            announce: port,
            limit,
            sink: Arc::new(sink),
        };
        self.core.look_up(wanted, at(now));
        Some(events)
    }

    /// What it says about itself.
    pub fn status(&mut self, now: Instant) -> FamilyStatus {
        self.core.status(now)
    }

    /// What it keeps.
    pub fn held(&self, now: Instant) -> Held {
        self.core.held(now)
    }
}

/// Nobody reads the wall clock of a node without a hook.
const fn at(now: Instant) -> Now {
    Now {
        instant: now,
        stamp: Timestamp(0),
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Machine(..)")
    }
}
