//! What all threads of a running swarm share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use parking_lot::{Mutex, MutexGuard};

use super::plan::{CallerPort, Plan, PlannedParty, PlannedTorrent, millis};
use super::truth::{Contact, MagnetCounts, MetadataContact, TruthRecord};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::stop::StopToken;

/// A plan that is being acted out.
pub(super) struct Story {
    pub(super) plan: Plan,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Timestamp,
    pub(super) stop: StopToken,
    pub(super) ports: Ports,
    /// Where each peer listens.
    places: Vec<SocketAddr>,
    /// Contacts so far of each peer and each caller.
    pub(super) peer_visits: Vec<AtomicU32>,
    pub(super) caller_visits: Vec<AtomicU32>,
    /// Callers that have a call in progress; see [`Story::turn`].
    busy: Vec<AtomicBool>,
    turns: Vec<usize>,
    contacts: Mutex<TruthRecord>,
    /// By torrent.
    magnets: Mutex<BTreeMap<usize, MagnetCounts>>,
    /// Whom peers named to the analyzer (BEP 11), by torrent.
    exchanged: Mutex<BTreeMap<usize, BTreeSet<SocketAddr>>>,
}

/// The ports of the swarm, chosen by the system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// Where peers listen.
    pub(super) open: u16,
    /// Where nobody ever listens.
    pub(super) refusing: u16,
    /// Where peers begin to listen late.
    pub(super) late: u16,
    /// Where nobody ever listens either, told by callers.
    pub(super) closed: [u16; CallerPort::CLOSED],
}

impl Ports {
    /// The port that a caller tells.
    pub(super) fn told(&self, port: CallerPort) -> u16 {
        match port {
            CallerPort::Open => self.open,
            CallerPort::Closed(number) => self.closed.get(number).copied().unwrap_or(0),
        }
    }
}

impl Story {
    pub(super) fn new(
        plan: Plan,
        (clock, started): (Arc<dyn Clock>, Timestamp),
        stop: StopToken,
        (ports, places): (Ports, Vec<SocketAddr>),
        record: TruthRecord,
    ) -> Self {
        Self {
            started,
            peer_visits: plan.peers.iter().map(|_| AtomicU32::new(0)).collect(),
            caller_visits: plan.callers.iter().map(|_| AtomicU32::new(0)).collect(),
            busy: plan
                .callers
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect(),
            contacts: Mutex::new(record),
            turns: turns(&plan),
            magnets: Mutex::default(),
            exchanged: Mutex::default(),
            plan,
            clock,
            stop,
            ports,
            places,
        }
    }

    /// What is true while `caller` calls. Those behind one address take turns:
    /// an analyzer that takes them for one sees their calls in order.
    pub(super) fn turn(&self, caller: usize) -> Option<&AtomicBool> {
        self.busy.get(*self.turns.get(caller)?)
    }

    /// Milliseconds since the story began.
    pub(super) fn elapsed(&self) -> u64 {
        let elapsed = self.clock.timestamp().millis() - self.started.millis();
        u64::try_from(elapsed).unwrap_or(0)
    }

    /// Waits until `at` milliseconds of the story; `false` when the lab is to
    /// stop. Looks at the clock often, because a test may move it.
    pub(super) fn wait_until(&self, at: u64) -> bool {
        loop {
            let left = at.saturating_sub(self.elapsed());
            if left == 0 {
                return !self.stop.is_stopped();
            }
            let tick = millis(super::sockets::TICK);
            if self
                .stop
                .wait(std::time::Duration::from_millis(left.min(tick)))
            {
                return false;
            }
        }
    }

    /// Where the peer at `index` says that it listens.
    pub(super) fn address_of(&self, index: usize) -> Option<SocketAddr> {
        self.places.get(index).copied()
    }

    /// Whether parties take part no more: see [`Plan::curfew`].
    pub(super) fn is_over(&self) -> bool {
        self.elapsed() >= self.plan.curfew()
    }

    pub(super) fn record(&self, contact: Contact) {
        self.contacts.lock().add(contact);
    }

    /// A conversation about metadata, which is over.
    pub(super) fn record_metadata(&self, contact: &MetadataContact) {
        let torrent = self.plan.torrents.get(contact.torrent);
        let blocks = torrent.map_or(0, PlannedTorrent::metadata_blocks);
        let mut magnets = self.magnets.lock();
        let counts = magnets.entry(contact.torrent).or_default();
        counts.add(contact, blocks);
        drop(magnets);
        self.contacts.lock().add_metadata(contact);
    }

    /// A tracker names the analyzer to itself.
    pub(super) fn named_itself(&self, torrent: usize) {
        let planned = self.plan.torrents.get(torrent);
        if planned.is_some_and(|torrent| torrent.magnet.is_some()) {
            let mut magnets = self.magnets.lock();
            let counts = magnets.entry(torrent).or_default();
            counts.itself |= counts.whole.is_none();
        }
    }

    /// A peer names others.
    pub(super) fn exchange(&self, torrent: usize, named: &[SocketAddr]) {
        let mut exchanged = self.exchanged.lock();
        exchanged.entry(torrent).or_default().extend(named);
    }

    /// Whom peers named so far, by torrent.
    pub(super) fn exchanged(&self) -> BTreeMap<usize, BTreeSet<SocketAddr>> {
        self.exchanged.lock().clone()
    }

    /// What became of metadata so far, by torrent.
    pub(super) fn magnets(&self) -> BTreeMap<usize, MagnetCounts> {
        self.magnets.lock().clone()
    }

    /// Where the contacts went.
    pub(super) fn recorded(&self) -> MutexGuard<'_, TruthRecord> {
        self.contacts.lock()
    }
}

/// For each caller the first with which it takes turns, mostly itself.
fn turns(plan: &Plan) -> Vec<usize> {
    let callers = plan.callers.iter().enumerate();
    let first = |(index, caller): (usize, &PlannedParty)| {
        let shared = |other: &PlannedParty| other.is_translated() && other.ip == caller.ip;
        plan.callers.iter().position(shared).unwrap_or(index)
    };
    callers.map(first).collect()
}
