//! The iterative look-up of Kademlia (BEP 5): asks ever closer nodes until
//! the closest have answered, then announces to them.
//!
//! Pure: a state machine that is told what happened and says whom to ask.
//! It takes at most [`CANDIDATES_MAX`] nodes and [`PEERS_MAX`] peers,
//! whatever the network says.

mod candidates;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use self::candidates::{Candidates, State};
use super::address::NodeInfo;
use super::id::NodeId;
use super::krpc::NODES_MAX;
use super::routing::BUCKET_SIZE;
use crate::deadline::Deadline;
use crate::model::PeerAddress;

/// Questions under way at one time (alpha).
pub const PARALLEL: usize = 4;

/// Nodes remembered at most.
pub const CANDIDATES_MAX: usize = 256;

/// Peers collected at most.
pub const PEERS_MAX: usize = 5000;

/// Bytes of a token that is kept; the longest in use have 20.
pub const TOKEN_MAX: usize = 64;

/// Time after which an unanswered question no longer holds up the others.
/// Its answer still counts until the question times out.
const SLOW: Duration = Duration::from_secs(1);

/// What a look-up is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The nodes near the target.
    Nodes,
    /// The peers of the torrent.
    Peers {
        /// Announce this port to the closest nodes afterwards.
        announce: Option<u16>,
    },
}

/// A question to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// To whom.
    pub address: PeerAddress,
    /// Who should be there, if known.
    pub id: Option<NodeId>,
    /// What.
    pub question: Question,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// `find_node`
    FindNode,
    /// `get_peers`
    GetPeers,
    /// `announce_peer`
    Announce {
        /// The port of our peer.
        port: u16,
        /// From the node's answer to `get_peers`.
        token: Vec<u8>,
    },
}

/// What a node answered, reduced to what a look-up needs. Addresses that do
/// not pass the filter have been left out.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The id the node gives itself.
    pub sender: NodeId,
    /// Nodes it named.
    pub nodes: &'a [NodeInfo],
    /// Peers it named.
    pub values: &'a [PeerAddress],
    /// Its token.
    pub token: Option<&'a [u8]>,
}

/// How a look-up went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Different peers found.
    pub peers: u32,
    /// Nodes asked.
    pub queried: u32,
    /// Of these, those that answered.
    pub responded: u32,
    /// Nodes that took our announce.
    pub announced: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Gather,
    Announce,
    Done,
}

/// An announce to one node.
#[derive(Debug)]
struct Announcement {
    address: PeerAddress,
    id: Option<NodeId>,
    token: Vec<u8>,
    state: State,
}

/// What a look-up needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// Our id, which is never asked.
    pub own: NodeId,
    /// Where to.
    pub target: NodeId,
    /// What for.
    pub goal: Goal,
    /// Ask one node of each IP address and two of each network only.
    pub restrict: bool,
}

/// One look-up in one address family.
#[derive(Debug)]
pub struct Lookup {
    target: NodeId,
    goal: Goal,
    phase: Phase,
    candidates: Candidates,
    announcements: Vec<Announcement>,
    peers: HashSet<PeerAddress>,
    tally: Tally,
    gather_until: Deadline,
    until: Deadline,
}

impl Lookup {
    /// A look-up that ends within `limit`, whatever happens; a quarter of
    /// the time is left for announcing.
    pub fn new(task: Task, now: Instant, limit: Duration) -> Self {
        Self {
            target: task.target,
            goal: task.goal,
            phase: Phase::Gather,
            candidates: Candidates::new(task),
            announcements: Vec::new(),
            peers: HashSet::new(),
            tally: Tally::default(),
            gather_until: Deadline::after(now, limit / 4 * 3),
            until: Deadline::after(now, limit),
        }
    }

    /// Where it leads.
    pub const fn target(&self) -> NodeId {
        self.target
    }

    /// Adds a node to begin with; its id may be unknown (bootstrap).
    pub fn seed(&mut self, address: PeerAddress, id: Option<NodeId>) {
        self.candidates.add(address, id);
    }

    /// Whether it has nobody to ask, not even anybody who failed.
    pub const fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Whom to ask now, at most `room`. Called whenever something happened,
    /// and every now and then.
    pub fn poll(&mut self, now: Instant, room: usize) -> Vec<Ask> {
        if self.until.left(now).is_none() {
            self.phase = Phase::Done;
        }
        if self.phase == Phase::Gather {
            let in_time = self.gather_until.left(now).is_some();
            let asks = self.gather(now, if in_time { room } else { 0 });
            if in_time && (!asks.is_empty() || !self.candidates.is_settled(now)) {
                return asks;
            }
            self.start_announcing();
        }
        if self.phase == Phase::Announce {
            return self.announce(now, room);
        }
        Vec::new()
    }

    /// A node answered `find_node` or `get_peers`; returns the peers that
    /// are new.
    pub fn answer(&mut self, from: PeerAddress, answer: &Answer<'_>) -> Vec<PeerAddress> {
        let token = answer.token.filter(|token| token.len() <= TOKEN_MAX);
        let token = token.map(<[u8]>::to_vec);
        if !self.candidates.answered(from, answer.sender, token) {
            return Vec::new();
        }
        self.tally.responded += 1;
        for node in answer.nodes.iter().take(NODES_MAX) {
            self.candidates.add(node.address, Some(node.id));
        }
        self.found(answer.values)
    }

    /// Notes peers from wherever; returns those that are new.
    pub fn found(&mut self, peers: &[PeerAddress]) -> Vec<PeerAddress> {
        let mut new = Vec::new();
        for peer in peers {
            if self.peers.len() < PEERS_MAX && self.peers.insert(*peer) {
                new.push(*peer);
            }
        }
        self.tally.peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        new
    }

    /// A node took our announce.
    pub fn announced(&mut self, by: PeerAddress) {
        if self.end_announcement(by, State::Answered) {
            self.tally.announced += 1;
        }
    }

    /// A node did not answer, refused, or was not the one it should be.
    pub fn failed(&mut self, address: PeerAddress) {
        if !self.candidates.failed(address) {
            self.end_announcement(address, State::Failed);
        }
    }

    /// Whether its time is over.
    pub fn is_late(&self, now: Instant) -> bool {
        self.until.left(now).is_none()
    }

    /// Whether it has ended.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// How it went so far.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    fn gather(&mut self, now: Instant, room: usize) -> Vec<Ask> {
        let question = match self.goal {
            Goal::Nodes => Question::FindNode,
            Goal::Peers { .. } => Question::GetPeers,
        };
        let mut asks = Vec::new();
        while asks.len() < room && self.candidates.under_way(now) < PARALLEL {
            let Some((address, id)) = self.candidates.ask_next(now) else {
                break;
            };
            self.tally.queried += 1;
            asks.push(Ask {
                address,
                id,
                question: question.clone(),
            });
        }
        asks
    }

    fn start_announcing(&mut self) {
        self.phase = Phase::Announce;
        if matches!(self.goal, Goal::Peers { announce: Some(_) }) {
            self.announcements = self.candidates.take_tokens(BUCKET_SIZE);
        }
    }

    fn announce(&mut self, now: Instant, room: usize) -> Vec<Ask> {
        let Goal::Peers {
            announce: Some(port),
        } = self.goal
        else {
            self.phase = Phase::Done;
            return Vec::new();
        };
        let waiting = |one: &&mut Announcement| one.state == State::Fresh;
        let asks: Vec<Ask> = self
            .announcements
            .iter_mut()
            .filter(waiting)
            .take(room)
            .map(|one| {
                one.state = State::Asked(now);
                let token = one.token.clone();
                Ask {
                    address: one.address,
                    id: one.id,
                    question: Question::Announce { port, token },
                }
            })
            .collect();
        let open = |one: &Announcement| !matches!(one.state, State::Answered | State::Failed);
        if !self.announcements.iter().any(open) {
            self.phase = Phase::Done;
        }
        asks
    }

    fn end_announcement(&mut self, address: PeerAddress, state: State) -> bool {
        let one = self
            .announcements
            .iter_mut()
            .find(|one| one.address == address && matches!(one.state, State::Asked(_)));
        one.map(|one| one.state = state).is_some()
    }
}

#[cfg(test)]
mod tests;
