//! The nodes of a look-up, the closest to its target first.

use std::time::Instant;

use super::{Announcement, CANDIDATES_MAX, SLOW, Task};
use crate::dht::node::address::network;
use crate::dht::node::id::{Distance, NodeId};
use crate::dht::node::routing::BUCKET_SIZE;
use crate::model::PeerAddress;

/// Nodes of one network that are asked.
const NETWORK_MAX: usize = 2;

/// How far a question has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not asked.
    Fresh,
    /// Asked at this time.
    Asked(Instant),
    /// Answered.
    Answered,
    /// Never will.
    Failed,
}

impl State {
    fn is_under_way(self, now: Instant) -> bool {
        matches!(self, Self::Asked(at) if now.saturating_duration_since(at) < SLOW)
    }

    fn is_slow(self, now: Instant) -> bool {
        matches!(self, Self::Asked(_)) && !self.is_under_way(now)
    }
}

#[derive(Debug)]
struct Candidate {
    /// From the target; the largest while the id is unknown.
    distance: Distance,
    id: Option<NodeId>,
    address: PeerAddress,
    state: State,
    token: Option<Vec<u8>>,
}

/// A bounded list, sorted by distance.
#[derive(Debug)]
pub(super) struct Candidates {
    task: Task,
    list: Vec<Candidate>,
}

impl Candidates {
    pub(super) const fn new(task: Task) -> Self {
        Self {
            task,
            list: Vec::new(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a node, unless it is known, ourselves, one of too many of its
    /// network, or farther than a full list of others.
    pub(super) fn add(&mut self, address: PeerAddress, id: Option<NodeId>) {
        if id == Some(self.task.own) || self.is_known(address) {
            return;
        }
        let distance = self.distance(id);
        if self.list.len() >= CANDIDATES_MAX {
            let fresh = |candidate: &Candidate| candidate.state == State::Fresh;
            let Some(farthest) = self.list.iter().rposition(fresh) else {
                return;
            };
            let is_closer = |other: &Candidate| distance < other.distance;
            if !self.list.get(farthest).is_some_and(is_closer) {
                return;
            }
            self.list.remove(farthest);
        }
        self.insert(Candidate {
            distance,
            id,
            address,
            state: State::Fresh,
            token: None,
        });
    }

    fn is_known(&self, address: PeerAddress) -> bool {
        let ip = address.ip();
        let mut in_network = 0;
        for candidate in &self.list {
            let other = candidate.address;
            if other == address || (self.task.restrict && other.ip() == ip) {
                return true;
            }
            in_network += usize::from(network(other.ip()) == network(ip));
        }
        self.task.restrict && in_network >= NETWORK_MAX
    }

    fn distance(&self, id: Option<NodeId>) -> Distance {
        id.map_or(Distance::MAX, |id| id.distance(&self.task.target))
    }

    fn insert(&mut self, candidate: Candidate) {
        let at = self
            .list
            .partition_point(|other| other.distance <= candidate.distance);
        self.list.insert(at, candidate);
    }

    /// Questions that are neither answered nor slow.
    pub(super) fn under_way(&self, now: Instant) -> usize {
        self.list
            .iter()
            .filter(|candidate| candidate.state.is_under_way(now))
            .count()
    }

    /// The closest that matter: those that failed or are slow make room for
    /// the next.
    fn window(&self, now: Instant) -> impl Iterator<Item = usize> {
        let matters = move |state: State| state != State::Failed && !state.is_slow(now);
        self.list
            .iter()
            .enumerate()
            .filter(move |(_, candidate)| matters(candidate.state))
            .map(|(at, _)| at)
            .take(BUCKET_SIZE)
    }

    /// The closest that was not yet asked; it counts as asked now.
    pub(super) fn ask_next(&mut self, now: Instant) -> Option<(PeerAddress, Option<NodeId>)> {
        let is_fresh = |at: &usize| {
            self.list
                .get(*at)
                .is_some_and(|candidate| candidate.state == State::Fresh)
        };
        let at = self.window(now).find(is_fresh)?;
        let candidate = self.list.get_mut(at)?;
        candidate.state = State::Asked(now);
        Some((candidate.address, candidate.id))
    }

    /// Whether asking further is of no use: the closest have answered, or
    /// there is nobody left.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let mut answered = 0;
        for candidate in self.window(now).filter_map(|at| self.list.get(at)) {
            match candidate.state {
                State::Answered => answered += 1,
                _ => return false,
            }
        }
        let asked = |candidate: &Candidate| matches!(candidate.state, State::Asked(_));
        answered >= BUCKET_SIZE || !self.list.iter().any(asked)
    }

    /// Notes an answer; `false` when none was expected from there.
    pub(super) fn answered(
        &mut self,
        from: PeerAddress,
        sender: NodeId,
        token: Option<Vec<u8>>,
    ) -> bool {
        let Some(at) = self.asked(from) else {
            return false;
        };
        let mut candidate = self.list.remove(at);
        candidate.id = Some(sender);
        candidate.distance = self.distance(candidate.id);
        candidate.state = State::Answered;
        candidate.token = token;
        self.insert(candidate);
        true
    }

    /// Notes that no answer will come; `false` when none was expected.
    pub(super) fn failed(&mut self, address: PeerAddress) -> bool {
        let candidate = self.asked(address).and_then(|at| self.list.get_mut(at));
        candidate
            .map(|candidate| candidate.state = State::Failed)
            .is_some()
    }

    fn asked(&self, address: PeerAddress) -> Option<usize> {
        self.list.iter().position(|candidate| {
            candidate.address == address && matches!(candidate.state, State::Asked(_))
        })
    }

    /// The `limit` closest that answered, as far as they gave a token.
    pub(super) fn take_tokens(&mut self, limit: usize) -> Vec<Announcement> {
        self.list
            .iter_mut()
            .filter(|candidate| candidate.state == State::Answered)
            .take(limit)
            .filter_map(|candidate| {
                Some(Announcement {
                    address: candidate.address,
                    id: candidate.id,
                    token: candidate.token.take()?,
                    state: State::Fresh,
                })
            })
            .collect()
    }
}
