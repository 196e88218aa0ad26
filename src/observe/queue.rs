//! Which torrents are resolved next: the rules of the monitor of 2018.
//!
//! Pure. A torrent that is heard of once waits as *initial*; heard of again
//! from another address it has *priority*; after a fetch that gave nothing it
//! has *failed* and is tried again when it is heard of after its wait. What
//! was resolved is remembered by a filter that forgets the oldest.

mod seen;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::dht::node::id::NodeId;
use crate::model::{InfoHash, PeerAddress, Timestamp};

use super::record::PEERS_MAX;
pub use seen::Seen;

/// Torrents that wait at most.
pub const WAITING_MAX: usize = 100_000;

/// Torrents in waiting from which on the queue is busy.
const BUSY_AT: usize = 1000;

/// While busy, an address brings one new torrent in this time.
const ONE_IN: Duration = Duration::from_secs(600);

/// Addresses that are remembered for that.
const ADDRESSES_MAX: usize = 65_536;

/// Initial torrents are forgotten after it.
const INITIAL_KEPT: Duration = Duration::from_secs(2 * 86_400);

/// Failed ones are forgotten after it, or four times their wait.
const FAILED_KEPT: Duration = Duration::from_secs(3600);

/// Wait behind the first failure; doubled with each further one.
const WAIT_FIRST: Duration = Duration::from_secs(600);

/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// Who asked for a torrent or announced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceNode {
    /// Its DHT node.
    pub address: PeerAddress,
    /// The id of that.
    pub id: NodeId,
    /// The port of the peer, when it announced one.
    pub peer_port: Option<u16>,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// When we last called it; 0 for never.
    pub last_sent: Timestamp,
}

/// A torrent to resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The node of ours that heard of it first.
    pub our_id: NodeId,
    /// Number of times it was heard of.
    pub heard: u64,
    /// The latest sources, newest first, each address once.
    pub sources: Vec<SourceNode>,
}

/// What became of a torrent that was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It waits for the first time.
    New,
    /// It waits already.
    Known,
    /// It was resolved before.
    Seen,
    /// The queue is full, or the address has brought one a short time ago.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Initial,
    Priority,
    InHand,
    Failed { since: Timestamp },
}

#[derive(Debug)]
struct Entry {
    state: State,
    our_id: NodeId,
    since: Timestamp,
    failures: u32,
    heard: u64,
    sources: VecDeque<SourceNode>,
}

/// How many torrents wait, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueLengths {
    /// Heard of once.
    pub initial: usize,
    /// Heard of from several addresses.
    pub priority: usize,
    /// Not there when we asked.
    pub failed: usize,
    /// Being fetched.
    pub in_hand: usize,
}

/// The queue.
#[derive(Debug)]
pub struct ResolveQueue {
    entries: HashMap<InfoHash, Entry>,
    /// In their order; an entry whose state changed meanwhile is passed over.
    initial: VecDeque<InfoHash>,
    priority: VecDeque<InfoHash>,
    seen: Seen,
    brought: HashMap<IpAddr, Timestamp>,
}

impl ResolveQueue {
    /// An empty queue; `salt` makes the filter unforeseeable.
    pub fn new(salt: [u8; 20]) -> Self {
        Self {
            entries: HashMap::new(),
            initial: VecDeque::new(),
            priority: VecDeque::new(),
            seen: Seen::new(salt),
            brought: HashMap::new(),
        }
    }

    /// A torrent was heard of from `source` by the node `our_id`.
    pub fn heard(&mut self, hash: InfoHash, source: SourceNode, our_id: NodeId) -> Entered {
        if self.seen.contains(&hash) {
            return Entered::Seen;
        }
        let Some(entry) = self.entries.get_mut(&hash) else {
            return self.enter(hash, source, our_id);
        };
        let ip = source.address.ip();
        let other = entry.sources.iter().any(|known| known.address.ip() != ip);
        entry.hear(source);
        let due = match entry.state {
            State::Initial => other,
            State::Failed { since } => since.plus(entry.wait()) <= source.last_seen,
            State::Priority | State::InHand => false,
        };
        if due {
            entry.state = State::Priority;
            self.priority.push_back(hash);
        }
        Entered::Known
    }

    /// A node named it in a sample (BEP 51): nobody is known yet who has it.
    pub fn sampled(
        &mut self,
        hash: InfoHash,
        by: PeerAddress,
        our_id: NodeId,
        now: Timestamp,
    ) -> Entered {
        if self.seen.contains(&hash) {
            return Entered::Seen;
        }
        if self.entries.contains_key(&hash) {
            return Entered::Known;
        }
        let source = SourceNode {
            address: by,
            id: our_id,
            peer_port: None,
            last_seen: now,
            last_sent: Timestamp(0),
        };
        let entered = self.enter(hash, source, our_id);
        if let Some(entry) = self.entries.get_mut(&hash) {
            entry.sources.clear();
            entry.heard = 0;
        }
        entered
    }

    fn enter(&mut self, hash: InfoHash, source: SourceNode, our_id: NodeId) -> Entered {
        let now = source.last_seen;
        if self.entries.len() >= WAITING_MAX || !self.may_bring(source.address.ip(), now) {
            return Entered::Refused;
        }
        let mut entry = Entry {
            state: State::Initial,
            our_id,
            since: now,
            failures: 0,
            heard: 0,
            sources: VecDeque::new(),
        };
        entry.hear(source);
        self.entries.insert(hash, entry);
        self.initial.push_back(hash);
        Entered::New
    }

    fn may_bring(&mut self, ip: IpAddr, now: Timestamp) -> bool {
        if self.entries.len() < BUSY_AT {
            return true;
        }
        if self.brought.len() >= ADDRESSES_MAX {
            self.brought.retain(|_, since| since.plus(ONE_IN) > now);
        }
        if self.brought.len() >= ADDRESSES_MAX {
            return false;
        }
        match self.brought.get(&ip) {
            Some(since) if since.plus(ONE_IN) > now => false,
            _ => {
                self.brought.insert(ip, now);
                true
            }
        }
    }

    /// The next torrent to fetch: one with priority, else the one that has
    /// waited for longest. It must come back by [`Self::resolved`] or
    /// [`Self::failed`].
    pub fn next_job(&mut self) -> Option<Job> {
        let entries = &self.entries;
        let is = |hash: &InfoHash, state| entries.get(hash).is_some_and(|it| it.state == state);
        let mut hash = None;
        while hash.is_none()
            && let Some(next) = self.priority.pop_front()
        {
            hash = Some(next).filter(|next| is(next, State::Priority));
        }
        while hash.is_none()
            && let Some(next) = self.initial.pop_front()
        {
            hash = Some(next).filter(|next| is(next, State::Initial));
        }
        let hash = hash?;
        let entry = self.entries.get_mut(&hash)?;
        entry.state = State::InHand;
        Some(Job {
            info_hash: hash,
            our_id: entry.our_id,
            heard: entry.heard,
            sources: entry.sources.iter().copied().collect(),
        })
    }

    /// The address `ip` is called for a torrent in hand.
    pub fn called(&mut self, hash: InfoHash, ip: IpAddr, at: Timestamp) {
        let entry = self.entries.get_mut(&hash);
        let sources = entry.into_iter().flat_map(|entry| &mut entry.sources);
        for source in sources.filter(|source| source.address.ip() == ip) {
            source.last_sent = at;
        }
    }

    /// How often a torrent in hand was heard of, and its latest sources, newest
    /// first.
    pub fn heard_of(&self, hash: InfoHash) -> Option<(u64, Vec<SourceNode>)> {
        let entry = self.entries.get(&hash)?;
        Some((entry.heard, entry.sources.iter().copied().collect()))
    }

    /// It was resolved, or will never be wanted.
    pub fn resolved(&mut self, hash: InfoHash) {
        self.entries.remove(&hash);
        self.seen.insert(&hash);
    }

    /// Nobody gave its metadata.
    pub fn failed(&mut self, hash: InfoHash, now: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&hash) {
            entry.failures = entry.failures.saturating_add(1);
            entry.state = State::Failed { since: now };
        }
    }

    /// Forgets what is old; called every minute or so.
    pub fn forget(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| match entry.state {
            State::Initial => entry.since.plus(INITIAL_KEPT) > now,
            State::Failed { since } => {
                let kept = FAILED_KEPT.max(entry.wait().saturating_mul(4));
                since.plus(kept) > now
            }
            State::Priority | State::InHand => true,
        });
        let entries = &self.entries;
        self.initial.retain(|hash| entries.contains_key(hash));
        self.priority.retain(|hash| entries.contains_key(hash));
        self.brought.retain(|_, since| since.plus(ONE_IN) > now);
    }

    /// How many wait.
    pub fn lengths(&self) -> QueueLengths {
        let mut lengths = QueueLengths::default();
        for entry in self.entries.values() {
            let place = match entry.state {
                State::Initial => &mut lengths.initial,
                State::Priority => &mut lengths.priority,
                State::Failed { .. } => &mut lengths.failed,
                State::InHand => &mut lengths.in_hand,
            };
            *place += 1;
        }
        lengths
    }
}

impl Entry {
    /// Behind the last failure.
    fn wait(&self) -> Duration {
        let factor = 1 << self.failures.saturating_sub(1).min(10);
        WAIT_FIRST.saturating_mul(factor).min(WAIT_MAX)
    }

    fn hear(&mut self, source: SourceNode) {
        self.heard = self.heard.saturating_add(1);
        let ip = source.address.ip();
        let known = self.sources.iter().position(|it| it.address.ip() == ip);
        let before = known.and_then(|place| self.sources.remove(place));
        let port = before.and_then(|before| before.peer_port);
        self.sources.push_front(SourceNode {
            peer_port: source.peer_port.or(port),
            last_sent: before.map_or(source.last_sent, |before| before.last_sent),
            ..source
        });
        self.sources.truncate(PEERS_MAX);
    }
}

#[cfg(test)]
mod tests;
