//! The node of one address family, without its socket.
//!
//! Pure: packets and the time go in, packets come out. Its thread is in
//! [`super::thread`]. All memory is bounded: table, store, look-ups, open
//! questions and every queue.

mod incoming;
mod lookups;
mod probes;
mod upkeep;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use self::lookups::Active;
pub(super) use self::lookups::Wanted;
use self::upkeep::Upkeep;
use super::address::{AddressFilter, Family};
use super::board::Board;
use super::hook::QueryHook;
use super::id::NodeId;
use super::krpc::{Body, Message, Method, Query, TransactionId, Want};
use super::machine::Held;
use super::persist::SavedNodes;
use super::probe::ProbeAnswer;
use super::random::Random;
use super::rate::{InboundLimit, TokenBucket};
use super::reach::{Reach, Votes};
use super::routing::{BUCKET_SIZE, Quality, RoutingTable};
use super::server::{Server, VERSION};
use super::settings::DhtSettings;
use super::status::{Counts, FamilyStatus};
use super::transactions::{Pending, Purpose, Transactions};
use crate::model::{PeerAddress, Timestamp};

/// Time after the last packet for which missed answers count against nodes;
/// after it our own network is the likelier cause.
const ALIVE: Duration = Duration::from_secs(60);

/// Time after a single question in which another is likely to follow.
const PROBED: Duration = Duration::from_secs(5);

/// The time, in both forms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) stamp: Timestamp,
}

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
    /// Of a query: what waits for its answer.
    pub(super) transaction: Option<[u8; 2]>,
}

/// What a node is made from.
pub(super) struct Setup {
    pub(super) settings: Arc<DhtSettings>,
    pub(super) family: Family,
    pub(super) hook: Option<Arc<dyn QueryHook>>,
    pub(super) board: Arc<Board>,
    pub(super) saved: SavedNodes,
    pub(super) random: Random,
}

/// The node.
pub(super) struct Core {
    settings: Arc<DhtSettings>,
    family: Family,
    filter: AddressFilter,
    hook: Option<Arc<dyn QueryHook>>,
    board: Arc<Board>,
    random: Random,
    routing: RoutingTable,
    server: Server,
    transactions: Transactions,
    lookups: BTreeMap<u32, Active>,
    next_lookup: u32,
    probes: HashMap<u32, Sender<ProbeAnswer>>,
    next_probe: u32,
    last_probe: Option<Instant>,
    queries: TokenBucket,
    answers: TokenBucket,
    inbound: InboundLimit,
    reach: Reach,
    votes: Votes,
    upkeep: Upkeep,
    outbox: VecDeque<Outgoing>,
    counts: Counts,
    last_heard: Option<Instant>,
}

impl Core {
    pub(super) fn new(setup: Setup, now: Instant) -> Self {
        let Setup {
            settings,
            family,
            hook,
            board,
            saved,
            mut random,
        } = setup;
        let id = settings
            .node_id
            .or(saved.id)
            .unwrap_or_else(|| first_id(&settings, family, &mut random));
        Self {
            family,
            filter: AddressFilter {
                family,
                allow_private: settings.allow_private,
            },
            hook,
            board,
            routing: RoutingTable::new(id, settings.restrict_addresses),
            server: Server::new(&settings, &mut random, now),
            transactions: Transactions::new(settings.query_timeout),
            lookups: BTreeMap::new(),
            next_lookup: 0,
            probes: HashMap::new(),
            next_probe: 0,
            last_probe: None,
            queries: TokenBucket::new(settings.packets_per_second, settings.packets_burst, now),
            answers: TokenBucket::new(settings.answers_per_second, settings.answers_burst, now),
            inbound: InboundLimit::new(settings.per_address_per_second, settings.per_address_burst),
            reach: Reach::new(settings.read_only),
            votes: Votes::default(),
            upkeep: Upkeep::new(saved.nodes, &settings, now),
            outbox: VecDeque::new(),
            counts: Counts::default(),
            last_heard: None,
            random,
            settings,
        }
    }

    /// A node in the place of this one, whose state a defect may have left
    /// wrong: with the same id, the nodes of the table (which are asked
    /// anew) and the counters. Look-ups and announced peers are lost.
    pub(super) fn successor(&mut self, now: Instant) -> Self {
        let setup = Setup {
            settings: Arc::clone(&self.settings),
            family: self.family,
            hook: self.hook.clone(),
            board: Arc::clone(&self.board),
            saved: self.saved(now),
            random: Random::from_seed(self.random.bytes()),
        };
        Self {
            counts: self.counts,
            ..Self::new(setup, now)
        }
    }

    /// The next packet to send.
    pub(super) fn next_outgoing(&mut self) -> Option<Outgoing> {
        self.outbox.pop_front()
    }

    /// The system did not send a packet; a query is not waited for.
    pub(super) fn not_sent(&mut self, transaction: Option<[u8; 2]>) {
        self.counts.unsent += 1;
        if let Some(pending) = transaction.and_then(|id| self.transactions.cancel(id)) {
            self.unanswered(&pending, false);
        }
    }

    /// So many packets since the start never came here.
    pub(super) const fn overflowed(&mut self, count: u64) {
        self.counts.overflowed = count;
    }

    /// Does what is due. Called every few milliseconds while look-ups are
    /// under way, and ten times a second otherwise.
    pub(super) fn tick(&mut self, now: Now) {
        while let Some(pending) = self.transactions.expired(now.instant) {
            self.counts.timeouts += 1;
            let alive = self
                .last_heard
                .is_some_and(|at| now.instant.saturating_duration_since(at) < ALIVE);
            self.unanswered(&pending, alive);
        }
        self.keep_up(now);
        self.poll_lookups(now);
    }

    /// Whether look-ups are under way, or single questions were a moment ago,
    /// which want short waits.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        let probed = |at| now.saturating_duration_since(at) < PROBED;
        !self.lookups.is_empty() || self.last_probe.is_some_and(probed)
    }

    /// The state for outside.
    pub(super) fn status(&mut self, now: Instant) -> FamilyStatus {
        let (nodes_good, nodes_known) = self.routing.count(Quality::Good, now);
        FamilyStatus {
            id: Some(self.routing.own()),
            nodes_good,
            nodes_known,
            lookups: self
                .lookups
                .values()
                .filter(|active| active.is_outside())
                .count(),
            torrents: self.server.store().torrents(),
            read_only: self.reach.is_read_only(now),
            counts: self.counts,
        }
    }

    /// How much is in memory.
    pub(super) fn held(&self, now: Instant) -> Held {
        Held {
            nodes: self.routing.count(Quality::Good, now).1,
            peers: self.server.store().len(),
            questions: self.transactions.len(),
            lookups: self.lookups.len(),
            packets: self.outbox.len(),
        }
    }

    /// What to keep for the next run.
    pub(super) fn saved(&self, now: Instant) -> SavedNodes {
        SavedNodes {
            id: Some(self.routing.own()),
            nodes: self.routing.usable(now).collect(),
        }
    }

    /// Sends a query, whatever the budget says; `false` when too many wait
    /// for answers.
    fn ask(&mut self, pending: Pending, method: Method<'_>, now: Instant) -> bool {
        let Some(id) = self.transactions.open(pending, &mut self.random, now) else {
            return false;
        };
        let Some(transaction) = TransactionId::new(&id) else {
            return false;
        };
        let both = self.other_wants_nodes();
        let query = Query {
            sender: self.routing.own(),
            want: Want { v4: both, v6: both },
            method,
        };
        let message = Message {
            transaction,
            version: Some(VERSION),
            read_only: self.reach.is_read_only(now),
            ip: None,
            body: Body::Query(query),
        };
        self.reach.asked(pending.address, now);
        self.counts.queries_out += 1;
        self.outbox.push_back(Outgoing {
            to: pending.address.socket_addr(),
            bytes: message.encode(),
            transaction: Some(id),
        });
        true
    }

    /// Whether nodes of both families are wanted (BEP 32): the other one has
    /// too few to find its way.
    fn other_wants_nodes(&self) -> bool {
        self.upkeep.wants_hints && self.board.count(self.family.other()) < BUCKET_SIZE
    }

    fn ping(&mut self, address: PeerAddress, id: Option<NodeId>, now: Instant) {
        let pending = Pending {
            address,
            id,
            purpose: Purpose::Ping,
        };
        self.ask(pending, Method::Ping, now);
    }
}

/// An id that suits the address we are bound to; where that says nothing,
/// any (in an eighth of its own of the key space, where several nodes are to
/// be apart), until others tell how they see us.
fn first_id(settings: &DhtSettings, family: Family, random: &mut Random) -> NodeId {
    let bound = match family {
        Family::V4 => settings.address.map(Into::into),
        Family::V6 => settings.address6.map(Into::into),
    };
    match bound {
        Some(ip) if !super::address::is_local(ip) => NodeId::bound_at(ip, settings.place, random),
        _ => match settings.place {
            Some(place) => NodeId::in_eighth(place, random),
            None => random.id(),
        },
    }
}

#[cfg(test)]
mod tests;
