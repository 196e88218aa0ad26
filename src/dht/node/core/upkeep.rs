//! What keeps a node alive: bootstrap, refreshes and pings (BEP 5).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Core, Now};
use crate::dht::node::address::NodeInfo;
use crate::dht::node::routing::{BUCKET_SIZE, Quality};
use crate::dht::node::settings::DhtSettings;
use crate::model::PeerAddress;

/// Time between two rounds.
const ROUND: Duration = Duration::from_millis(500);

/// Pings in one round.
const PINGS: usize = 5;

/// Pings that wait.
const PINGS_MAX: usize = 64;

/// Bootstrap addresses that are kept.
const BOOTSTRAP_MAX: usize = 32;

/// Look-ups for the table at one time.
const LOOKUPS: usize = 2;

/// Time between bootstraps, which doubles while there are few nodes.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// Time between two cleanings of the store.
const CLEANING: Duration = Duration::from_secs(30);

/// Good nodes that are enough to be called well connected.
const ENOUGH: usize = BUCKET_SIZE;

/// What is to be done, and when.
#[derive(Debug)]
pub(super) struct Upkeep {
    round: Instant,
    cleaning: Instant,
    /// Nodes of the last run, to begin with.
    saved: Vec<NodeInfo>,
    has_bootstrap: bool,
    bootstrap: Vec<PeerAddress>,
    /// The names of the bootstrap nodes should be looked up.
    resolve: bool,
    resolving: bool,
    next_try: Instant,
    pause: Duration,
    /// There were enough good nodes at the last look.
    connected: bool,
    lookups: Vec<u32>,
    /// Buckets that are filled after the first bootstrap.
    fill: usize,
    pings: VecDeque<NodeInfo>,
    /// Nodes that were named without their ids.
    named: VecDeque<PeerAddress>,
    /// Whether the other family is in use.
    pub(super) wants_hints: bool,
}

impl Upkeep {
    pub(super) fn new(saved: Vec<NodeInfo>, settings: &DhtSettings, now: Instant) -> Self {
        let has_bootstrap = !settings.bootstrap.is_empty();
        Self {
            round: now,
            cleaning: now,
            saved,
            has_bootstrap,
            bootstrap: Vec::new(),
            resolve: has_bootstrap,
            resolving: has_bootstrap,
            next_try: now,
            pause: PAUSE_FIRST,
            connected: false,
            lookups: Vec::new(),
            fill: 0,
            pings: VecDeque::new(),
            named: VecDeque::new(),
            wants_hints: settings.address.is_some() && settings.address6.is_some(),
        }
    }

    /// A node might be good for the table.
    pub(super) fn want_ping(&mut self, node: NodeInfo) {
        if self.pings.len() < PINGS_MAX && !self.pings.contains(&node) {
            self.pings.push_back(node);
        }
    }

    /// Finds the place in the network anew.
    pub(super) const fn start_again(&mut self, now: Instant) {
        self.next_try = now;
        self.pause = PAUSE_FIRST;
        self.connected = false;
    }

    pub(super) const fn is_resolving(&self) -> bool {
        self.resolving
    }

    pub(super) fn bootstrap_addresses(&self) -> &[PeerAddress] {
        &self.bootstrap
    }
}

impl Core {
    /// Whether the names of the bootstrap nodes should be looked up now.
    pub(in crate::dht::node) fn wants_resolve(&mut self) -> bool {
        let wants = self.upkeep.resolve;
        self.upkeep.resolve = false;
        self.upkeep.resolving |= wants;
        wants
    }

    /// The names of the bootstrap nodes were looked up; none of them may
    /// have been found.
    pub(in crate::dht::node) fn resolved(&mut self, addresses: &[PeerAddress], now: Instant) {
        let filter = self.filter;
        let fit = addresses.iter().filter(|address| filter.admits(**address));
        let found: Vec<PeerAddress> = fit.take(BOOTSTRAP_MAX).copied().collect();
        self.upkeep.resolving = false;
        if found.is_empty() {
            return;
        }
        if self.upkeep.bootstrap.is_empty() {
            self.upkeep.next_try = now;
        }
        self.upkeep.bootstrap = found;
    }

    /// Somebody names a node (a `port` message of BEP 5, say).
    pub(in crate::dht::node) fn add_node(&mut self, address: PeerAddress) {
        if self.filter.admits(address) && self.upkeep.named.len() < PINGS_MAX {
            self.upkeep.named.push_back(address);
        }
    }

    pub(super) fn keep_up(&mut self, now: Now) {
        let now = now.instant;
        if now < self.upkeep.round {
            return;
        }
        self.upkeep.round = now + ROUND;
        if now >= self.upkeep.cleaning {
            self.upkeep.cleaning = now + CLEANING;
            self.server.expire(&mut self.random, now);
        }
        let nodes = self.routing.usable(now).collect();
        self.board.put(self.family, nodes);
        for node in self.board.take_hints(self.family) {
            self.add_node(node.address);
        }
        self.send_pings(now);
        let running = std::mem::take(&mut self.upkeep.lookups);
        self.upkeep.lookups = running
            .into_iter()
            .filter(|number| self.is_active(*number))
            .collect();
        self.bootstrap(now);
        self.refresh(now);
    }

    fn send_pings(&mut self, now: Instant) {
        for _ in 0..PINGS {
            let next = self.next_ping(now);
            let Some((address, id)) = next else {
                break;
            };
            if !self.queries.take(now) {
                break;
            }
            self.ping(address, id, now);
        }
    }

    fn next_ping(
        &mut self,
        now: Instant,
    ) -> Option<(PeerAddress, Option<crate::dht::node::id::NodeId>)> {
        if let Some(node) = self.upkeep.pings.pop_front() {
            return Some((node.address, Some(node.id)));
        }
        if let Some(address) = self.upkeep.named.pop_front() {
            return Some((address, None));
        }
        let node = self.routing.check_due(now)?;
        Some((node.address, Some(node.id)))
    }

    /// Looks for our own place in the network, through all nodes we know,
    /// until there are enough good ones.
    fn bootstrap(&mut self, now: Instant) {
        if now < self.upkeep.next_try || !self.upkeep.lookups.is_empty() {
            return;
        }
        let (good, known) = self.routing.count(Quality::Good, now);
        let enough = good >= ENOUGH;
        if enough && self.upkeep.connected {
            return;
        }
        if self.upkeep.connected {
            self.upkeep.pause = PAUSE_FIRST;
        }
        if enough {
            // A last look from where we are now, then the far buckets.
            self.upkeep.fill = self.routing.depth().min(BUCKET_SIZE);
        }
        self.upkeep.connected = enough;
        // Names that were not found may be later, and those that were may
        // lead elsewhere.
        self.upkeep.resolve |= good == 0 && self.upkeep.has_bootstrap && !self.upkeep.resolving;
        let nobody = known == 0 && self.upkeep.saved.is_empty();
        if !nobody || !self.upkeep.bootstrap.is_empty() {
            let number = self.look_up_nodes(self.routing.own(), now);
            let saved = std::mem::take(&mut self.upkeep.saved);
            self.seed(number, &saved);
            self.upkeep.lookups.push(number);
        }
        self.upkeep.next_try = now + self.upkeep.pause;
        self.upkeep.pause = (self.upkeep.pause * 2).min(PAUSE_MAX);
    }

    fn refresh(&mut self, now: Instant) {
        while self.upkeep.lookups.len() < LOOKUPS {
            let target = if let Some(bucket) = self.upkeep.fill.checked_sub(1) {
                self.upkeep.fill = bucket;
                self.routing.own().random_beside(bucket, &mut self.random)
            } else if let Some(target) = self.routing.refresh_due(&mut self.random, now) {
                target
            } else {
                return;
            };
            let number = self.look_up_nodes(target, now);
            self.upkeep.lookups.push(number);
        }
    }
}
