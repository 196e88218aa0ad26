//! The way from the nodes we know to those nearest a place, one question at
//! each.
//!
//! Pure: who asks and waits is [`super::survey`].

use std::collections::BTreeMap;

use crate::dht::node::address::NodeInfo;
use crate::dht::node::id::{Distance, NodeId};

/// Nodes nearest a place that are wanted.
pub const NEAREST: usize = 8;

/// Nodes asked on one way at most.
const ASKED_MAX: usize = 64;

/// Nodes kept on one way at most.
const CANDIDATES_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Asked,
    Answered,
    Failed,
}

/// One way.
#[derive(Debug)]
pub struct Walk {
    own: NodeId,
    target: NodeId,
    candidates: BTreeMap<Distance, (NodeInfo, State)>,
    asked: usize,
}

impl Walk {
    /// From `seeds` to `target`; nodes name us, too, and `own` is our id.
    pub fn new(own: NodeId, target: NodeId, seeds: &[NodeInfo]) -> Self {
        let mut walk = Self {
            own,
            target,
            candidates: BTreeMap::new(),
            asked: 0,
        };
        walk.add(seeds);
        walk
    }

    /// Nodes that were named.
    pub fn add(&mut self, nodes: &[NodeInfo]) {
        for node in nodes.iter().filter(|node| node.id != self.own) {
            let distance = node.id.distance(&self.target);
            self.candidates
                .entry(distance)
                .or_insert((*node, State::New));
        }
        while self.candidates.len() > CANDIDATES_MAX {
            self.candidates.pop_last();
        }
    }

    /// The next nodes to ask, `most` at most: of the [`NEAREST`] that have not
    /// failed, those that were not asked. None when the way is at its end.
    pub fn next_nodes(&mut self, most: usize) -> Vec<NodeInfo> {
        let room = most.min(ASKED_MAX.saturating_sub(self.asked));
        let alive = self.candidates.values_mut();
        let alive = alive.filter(|(_, state)| *state != State::Failed);
        let new = alive.take(NEAREST).filter(|(_, it)| *it == State::New);
        let next: Vec<NodeInfo> = new
            .take(room)
            .map(|(node, state)| {
                *state = State::Asked;
                *node
            })
            .collect();
        self.asked += next.len();
        next
    }

    /// What became of a question to `node`.
    pub fn answered(&mut self, node: &NodeInfo, answered: bool) {
        let distance = node.id.distance(&self.target);
        if let Some((_, state)) = self.candidates.get_mut(&distance) {
            *state = if answered {
                State::Answered
            } else {
                State::Failed
            };
        }
    }

    /// Nodes asked so far.
    pub const fn asked(&self) -> usize {
        self.asked
    }

    /// How far the [`NEAREST`]-th of those that answered is, as a share of the
    /// key space; `None` when fewer answered.
    pub fn reach(&self) -> Option<f64> {
        let candidates = self.candidates.iter();
        let mut answered = candidates.filter(|(_, (_, state))| *state == State::Answered);
        answered
            .nth(NEAREST - 1)
            .map(|(distance, _)| share(*distance))
    }
}

/// A distance as a share of the key space.
pub fn share(distance: Distance) -> f64 {
    let bytes = distance.as_bytes().iter().take(8);
    let number = bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // The farthest is 1; the error of the division is of no consequence.
    (number as f64 + 1.0) / 2_f64.powi(64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::node::random::Random;
    use crate::model::PeerAddress;

    fn nodes(count: usize, random: &mut Random) -> Vec<NodeInfo> {
        let node = |number: usize| {
            let [.., a, b] = number.to_be_bytes();
            NodeInfo {
                id: random.id(),
                address: PeerAddress::from_compact([10, 0, a, b, 0, 1]),
            }
        };
        (1..=count).map(node).collect()
    }

    #[test]
    fn it_finds_the_nearest_that_answer() {
        let mut random = Random::from_seed([4; 32]);
        let all = nodes(400, &mut random);
        let target = random.id();
        let mut by_distance = all.clone();
        by_distance.sort_by_key(|node| node.id.distance(&target));
        // The nearest answers nobody.
        let dead = by_distance[0];
        let own = random.id();
        let mut walk = Walk::new(own, target, &all[..3]);
        walk.add(&[NodeInfo {
            id: own,
            address: all[0].address,
        }]);
        assert_eq!(walk.candidates.len(), 3, "not ourselves");
        loop {
            let next = walk.next_nodes(4);
            if next.is_empty() {
                break;
            }
            for node in next {
                walk.answered(&node, node != dead);
                if node != dead {
                    // It names those nearest the place of all that share some bits with it.
                    let bits = node.id.distance(&target).common_bits();
                    let near = by_distance.iter().rev();
                    let near = near.filter(|it| it.id.distance(&target).common_bits() > bits);
                    let mut near: Vec<NodeInfo> = near.take(8).copied().collect();
                    near.extend(&by_distance[..if bits > 4 { 9 } else { 0 }]);
                    walk.add(&near);
                }
            }
        }
        let eighth = by_distance[NEAREST];
        assert_eq!(walk.reach(), Some(share(eighth.id.distance(&target))));
        assert!(walk.asked() <= ASKED_MAX);
    }

    #[test]
    fn it_is_bounded() {
        let mut random = Random::from_seed([5; 32]);
        let target = random.id();
        let mut walk = Walk::new(random.id(), target, &[]);
        assert!(walk.next_nodes(4).is_empty());
        assert_eq!(walk.reach(), None);
        walk.add(&nodes(1000, &mut random));
        assert_eq!(walk.candidates.len(), CANDIDATES_MAX);
        while let [node, ..] = walk.next_nodes(1)[..] {
            walk.answered(&node, false);
        }
        assert_eq!(walk.asked(), ASKED_MAX);
    }

    #[test]
    fn shares_grow_with_distance() {
        let zero = NodeId::new([0; 20]);
        let far = share(zero.distance(&NodeId::new([0xff; 20])));
        assert!((far - 1.0).abs() < 1e-9);
        let mut half = [0; 20];
        half[0] = 0x80;
        assert!((share(zero.distance(&NodeId::new(half))) - 0.5).abs() < 1e-9);
    }
}
