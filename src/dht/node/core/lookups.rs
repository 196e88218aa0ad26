//! The look-ups of one address family: those that somebody wants, and those
//! that keep the routing table alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Core, Now};
use crate::dht::node::address::{Family, NodeInfo};
use crate::dht::node::id::NodeId;
use crate::dht::node::krpc::{Announce, Method, Reply};
use crate::dht::node::lookup::{Answer, Ask, Goal, Lookup, Question, Task};
use crate::dht::node::peers_store::{EXPIRY, Wish};
use crate::dht::node::routing::BUCKET_SIZE;
use crate::dht::node::sink::Sink;
use crate::dht::node::transactions::{Pending, Purpose};
use crate::model::{InfoHash, PeerAddress};

/// Time for a look-up that keeps the table alive.
pub(super) const UPKEEP_LIMIT: Duration = Duration::from_secs(30);

/// Nodes of the table a look-up begins with.
const SEEDS: usize = 2 * BUCKET_SIZE;

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Active {
    lookup: Lookup,
    /// Who wants it; nobody outside if none.
    sink: Option<Arc<Sink>>,
    /// Whether it has begun with nodes of the table.
    seeded: bool,
}

impl Active {
    pub(super) const fn is_outside(&self) -> bool {
        self.sink.is_some()
    }
}

/// What somebody outside wants.
#[derive(Debug)]
pub(in crate::dht::node) struct Wanted {
    pub(in crate::dht::node) info_hash: InfoHash,
    pub(in crate::dht::node) announce: Option<u16>,
    pub(in crate::dht::node) limit: Duration,
    pub(in crate::dht::node) sink: Arc<Sink>,
}

impl Core {
    /// Whether another look-up may begin.
    pub(in crate::dht::node) fn has_room(&self) -> bool {
        let outside = self.lookups.values().filter(|active| active.is_outside());
        outside.count() < self.settings.lookups_max
    }

    /// Begins a look-up for peers. What was announced to us counts, too.
    pub(in crate::dht::node) fn look_up(&mut self, wanted: Wanted, now: Now) {
        let Wanted {
            info_hash,
            announce,
            limit,
            sink,
        } = wanted;
        let goal = Goal::Peers { announce };
        let all = Wish {
            noseed: false,
            limit: usize::MAX,
        };
        let store = self.server.store();
        let own = store.peers(&info_hash, all, &mut self.random, now.instant);
        let number = self.begin(info_hash.into(), goal, limit, now.instant);
        self.deliver(number, sink, &own);
        self.poll_lookups(now);
    }

    /// Begins a look-up for nodes.
    pub(super) fn look_up_nodes(&mut self, target: NodeId, now: Instant) -> u32 {
        self.begin(target, Goal::Nodes, UPKEEP_LIMIT, now)
    }

    /// Tells `sink` what the look-up finds, and `peers` at once.
    fn deliver(&mut self, number: u32, sink: Arc<Sink>, peers: &[PeerAddress]) {
        if let Some(active) = self.lookups.get_mut(&number) {
            sink.peers(active.lookup.found(peers));
            active.sink = Some(sink);
        }
    }

    fn begin(&mut self, target: NodeId, goal: Goal, limit: Duration, now: Instant) -> u32 {
        let task = Task {
            own: self.routing.own(),
            target,
            goal,
            restrict: self.settings.restrict_addresses,
        };
        self.next_lookup = self.next_lookup.wrapping_add(1);
        let active = Active {
            lookup: Lookup::new(task, now, limit.min(EXPIRY)),
            sink: None,
            seeded: false,
        };
        self.lookups.insert(self.next_lookup, active);
        self.next_lookup
    }

    pub(super) fn is_active(&self, number: u32) -> bool {
        self.lookups.contains_key(&number)
    }

    /// Adds nodes outside the table to a look-up.
    pub(super) fn seed(&mut self, number: u32, nodes: &[NodeInfo]) {
        if let Some(active) = self.lookups.get_mut(&number) {
            for node in nodes {
                active.lookup.seed(node.address, Some(node.id));
            }
        }
    }

    /// Asks what the budget allows, in turns, and ends what is done.
    pub(super) fn poll_lookups(&mut self, now: Now) {
        let mut numbers: Vec<u32> = self.lookups.keys().copied().collect();
        if !numbers.is_empty() {
            // Whoever comes first takes what there is.
            let first = self.random.below(numbers.len());
            numbers.rotate_left(first);
        }
        for number in numbers {
            self.poll_lookup(number, now);
        }
    }

    fn poll_lookup(&mut self, number: u32, now: Now) {
        self.seed_from_table(number, now.instant);
        let resolving = self.upkeep.is_resolving();
        let room = self.queries.available(now.instant);
        let Some(active) = self.lookups.get_mut(&number) else {
            return;
        };
        if active.lookup.is_empty() && resolving && !active.lookup.is_late(now.instant) {
            // The first nodes are on their way.
            return;
        }
        let asks = active.lookup.poll(now.instant, room);
        let (target, done) = (active.lookup.target(), active.lookup.is_done());
        for ask in asks {
            self.queries.take(now.instant);
            self.send_ask(number, target, &ask, now.instant);
        }
        if done && let Some(active) = self.lookups.remove(&number) {
            let tally = active.lookup.tally();
            log::debug!(
                "lookup ended family={:?} peers={} queried={} responded={} announced={}",
                self.family,
                tally.peers,
                tally.queried,
                tally.responded,
                tally.announced
            );
            if let Some(sink) = active.sink {
                sink.finish(tally, now.instant);
            }
        }
    }

    /// Gives a new look-up the nodes of the table, and the bootstrap nodes
    /// when these are few.
    fn seed_from_table(&mut self, number: u32, now: Instant) {
        let Some(active) = self.lookups.get_mut(&number) else {
            return;
        };
        if active.seeded {
            return;
        }
        let nodes = self.routing.closest(&active.lookup.target(), SEEDS, now);
        for node in &nodes {
            active.lookup.seed(node.address, Some(node.id));
        }
        if nodes.len() < BUCKET_SIZE {
            for address in self.upkeep.bootstrap_addresses() {
                active.lookup.seed(*address, None);
            }
        }
        active.seeded = !active.lookup.is_empty();
    }

    fn send_ask(&mut self, number: u32, target: NodeId, ask: &Ask, now: Instant) {
        let info_hash = InfoHash::from(target);
        let (purpose, method) = match &ask.question {
            Question::FindNode => (Purpose::Lookup(number), Method::FindNode { target }),
            Question::GetPeers => {
                let method = Method::GetPeers {
                    info_hash,
                    noseed: false,
                    scrape: false,
                };
                (Purpose::Lookup(number), method)
            }
            Question::Announce { port, token } => {
                let method = Method::AnnouncePeer(Announce {
                    info_hash,
                    port: *port,
                    implied_port: false,
                    token,
                    name: None,
                    seed: None,
                });
                (Purpose::Announce(number), method)
            }
        };
        let pending = Pending {
            address: ask.address,
            id: ask.id,
            purpose,
        };
        if !self.ask(pending, method, now) {
            self.lookup_failed(number, ask.address);
        }
    }

    pub(super) fn lookup_answer(
        &mut self,
        number: u32,
        from: PeerAddress,
        reply: &Reply<'_>,
        now: Now,
    ) {
        let filter = self.filter;
        let nodes = match self.family {
            Family::V4 => &reply.nodes,
            Family::V6 => &reply.nodes6,
        };
        let nodes: Vec<NodeInfo> = nodes
            .iter()
            .flatten()
            .filter(|node| filter.admits(node.address))
            .copied()
            .collect();
        let values: Vec<PeerAddress> = reply
            .values
            .iter()
            .flatten()
            .filter(|peer| filter.admits(**peer))
            .copied()
            .collect();
        let Some(active) = self.lookups.get_mut(&number) else {
            return;
        };
        let answer = Answer {
            sender: reply.sender,
            nodes: &nodes,
            values: &values,
            token: reply.token,
        };
        let new = active.lookup.answer(from, &answer);
        if let Some(sink) = &active.sink {
            sink.peers(new);
        }
        self.poll_lookup(number, now);
    }

    pub(super) fn lookup_announced(&mut self, number: u32, by: PeerAddress, now: Now) {
        if let Some(active) = self.lookups.get_mut(&number) {
            active.lookup.announced(by);
        }
        self.poll_lookup(number, now);
    }

    pub(super) fn lookup_failed(&mut self, number: u32, address: PeerAddress) {
        if let Some(active) = self.lookups.get_mut(&number) {
            active.lookup.failed(address);
        }
    }
}
