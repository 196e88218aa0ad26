//! Look-ups in played networks.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::dht::node::random::Random;
use crate::model::Timestamp;

const OWN: NodeId = NodeId::new([0xaa; 20]);
const TARGET: NodeId = NodeId::new([0x55; 20]);
const LIMIT: Duration = Duration::from_secs(20);

fn task(goal: Goal) -> Task {
    Task {
        own: OWN,
        target: TARGET,
        goal,
        restrict: false,
    }
}

fn peer(number: u16) -> PeerAddress {
    let [high, low] = number.to_be_bytes();
    PeerAddress::from_compact([192, 0, 2, 1, high, low])
}

/// A network in which everybody knows the nodes closest to any target.
struct Network {
    nodes: HashMap<PeerAddress, NodeId>,
    dead: Vec<PeerAddress>,
}

impl Network {
    fn of(size: u16) -> Self {
        let mut random = Random::from_seed([9; 32]);
        let nodes = (1..=size).map(|number| (node_address(number), random.id()));
        Self {
            nodes: nodes.collect(),
            dead: Vec::new(),
        }
    }

    fn closest(&self, count: usize) -> Vec<NodeInfo> {
        let mut nodes: Vec<NodeInfo> = self
            .nodes
            .iter()
            .map(|(address, id)| NodeInfo {
                id: *id,
                address: *address,
            })
            .collect();
        nodes.sort_by_key(|node| node.id.distance(&TARGET));
        nodes.truncate(count);
        nodes
    }

    /// Runs a look-up to its end; the dead are noticed after four seconds.
    fn run(&self, lookup: &mut Lookup, clock: &ManualClock) -> (Vec<PeerAddress>, Vec<Ask>) {
        let (mut peers, mut announces) = (Vec::new(), Vec::new());
        let mut waiting: Vec<(Instant, PeerAddress)> = Vec::new();
        let nodes = self.closest(8);
        while !lookup.is_done() {
            let asks = lookup.poll(clock.now(), 100);
            for ask in asks {
                if self.dead.contains(&ask.address) {
                    waiting.push((clock.now(), ask.address));
                } else if matches!(ask.question, Question::Announce { .. }) {
                    lookup.announced(ask.address);
                    announces.push(ask);
                } else {
                    let answer = Answer {
                        sender: self.nodes[&ask.address],
                        nodes: &nodes,
                        values: &[peer(1), peer(ask.address.port())],
                        token: Some(b"token"),
                    };
                    peers.extend(lookup.answer(ask.address, &answer));
                }
            }
            clock.advance(Duration::from_millis(100));
            waiting.retain(|(at, address)| {
                let late = clock.now() - *at >= Duration::from_secs(4);
                if late {
                    lookup.failed(*address);
                }
                !late
            });
        }
        (peers, announces)
    }
}

fn node_address(number: u16) -> PeerAddress {
    let [high, low] = number.to_be_bytes();
    PeerAddress::from_compact([10, 0, high, low, high, low])
}

#[test]
fn finds_the_closest_and_announces_to_them() {
    let network = Network::of(200);
    let clock = ManualClock::new(Timestamp(0));
    let goal = Goal::Peers {
        announce: Some(6884),
    };
    let mut lookup = Lookup::new(task(goal), clock.now(), LIMIT);
    lookup.seed(node_address(7), None);
    let (peers, announces) = network.run(&mut lookup, &clock);
    let closest = network.closest(8);
    let mut expected: Vec<PeerAddress> = closest
        .iter()
        .map(|node| peer(node.address.port()))
        .collect();
    expected.extend([peer(1), peer(7)]);
    expected.sort();
    expected.dedup();
    let mut found = peers;
    found.sort();
    assert_eq!(found, expected, "each once");
    let mut takers: Vec<_> = announces.iter().map(|ask| ask.address).collect();
    let mut expected: Vec<_> = closest.iter().map(|node| node.address).collect();
    takers.sort();
    expected.sort();
    assert_eq!(takers, expected);
    assert!(announces.iter().all(|ask| ask.question
        == Question::Announce {
            port: 6884,
            token: b"token".to_vec()
        }));
    let tally = lookup.tally();
    assert_eq!((tally.queried, tally.responded, tally.announced), (9, 9, 8));
}

#[test]
fn dead_nodes_cost_little() {
    let mut network = Network::of(200);
    network.dead = network.closest(8).iter().map(|node| node.address).collect();
    let clock = ManualClock::new(Timestamp(0));
    let mut lookup = Lookup::new(task(Goal::Nodes), clock.now(), LIMIT);
    for number in 1..=20 {
        lookup.seed(node_address(number), None);
    }
    let start = clock.now();
    network.run(&mut lookup, &clock);
    assert!(clock.now() - start < Duration::from_secs(8));
    let tally = lookup.tally();
    assert!(tally.responded >= 8 && tally.announced == 0, "{tally:?}");
}

#[test]
fn ends_in_time_when_nobody_answers() {
    let mut network = Network::of(200);
    network.dead = network.nodes.keys().copied().collect();
    let clock = ManualClock::new(Timestamp(0));
    let goal = Goal::Peers { announce: Some(1) };
    let mut lookup = Lookup::new(task(goal), clock.now(), LIMIT);
    for number in 1..=200 {
        lookup.seed(node_address(number), None);
    }
    let start = clock.now();
    network.run(&mut lookup, &clock);
    assert!(clock.now() - start <= LIMIT + Duration::from_millis(100));
    assert_eq!(lookup.tally().responded, 0);
}

#[test]
fn ends_at_once_without_nodes() {
    let clock = ManualClock::new(Timestamp(0));
    let mut lookup = Lookup::new(task(Goal::Nodes), clock.now(), LIMIT);
    lookup.seed(node_address(1), Some(OWN));
    assert!(lookup.is_empty());
    assert_eq!(lookup.poll(clock.now(), 10), []);
    assert!(lookup.is_done());
}

#[test]
fn asks_no_more_than_there_is_room_for() {
    let clock = ManualClock::new(Timestamp(0));
    let mut lookup = Lookup::new(task(Goal::Nodes), clock.now(), LIMIT);
    for number in 1..=20 {
        lookup.seed(node_address(number), None);
    }
    assert_eq!(lookup.poll(clock.now(), 0), []);
    assert_eq!(lookup.poll(clock.now(), 3).len(), 3);
    assert_eq!(lookup.poll(clock.now(), 100).len(), PARALLEL - 3);
    assert_eq!(lookup.poll(clock.now(), 100), []);
    clock.advance(SLOW);
    assert_eq!(lookup.poll(clock.now(), 100).len(), PARALLEL);
}

#[test]
fn answers_nobody_waits_for_are_ignored() {
    let clock = ManualClock::new(Timestamp(0));
    let mut lookup = Lookup::new(task(Goal::Nodes), clock.now(), LIMIT);
    lookup.seed(node_address(1), None);
    let answer = Answer {
        sender: NodeId::new([1; 20]),
        nodes: &[],
        values: &[peer(1)],
        token: Some(&[0; TOKEN_MAX + 1]),
    };
    assert_eq!(lookup.answer(node_address(1), &answer), [], "not asked yet");
    lookup.poll(clock.now(), 1);
    assert_eq!(lookup.answer(node_address(2), &answer), [], "somebody else");
    assert_eq!(lookup.answer(node_address(1), &answer), [peer(1)]);
    assert_eq!(lookup.answer(node_address(1), &answer), [], "once only");
    lookup.failed(node_address(1));
    lookup.announced(node_address(1));
    assert_eq!(lookup.tally().responded, 1);
    assert_eq!(lookup.tally().announced, 0);
}

#[test]
fn one_owner_of_many_addresses_is_asked_twice_at_most() {
    let clock = ManualClock::new(Timestamp(0));
    let task = Task {
        restrict: true,
        ..task(Goal::Nodes)
    };
    let mut lookup = Lookup::new(task, clock.now(), LIMIT);
    for number in 1..=200 {
        lookup.seed(PeerAddress::from_compact([20, 1, 1, number, 0, 1]), None);
        lookup.seed(PeerAddress::from_compact([20, 2, 2, 2, 0, number]), None);
    }
    assert_eq!(lookup.poll(clock.now(), 100).len(), 3);
}

#[test]
fn memory_is_bounded() {
    let clock = ManualClock::new(Timestamp(0));
    let goal = Goal::Peers { announce: None };
    let mut lookup = Lookup::new(task(goal), clock.now(), LIMIT);
    lookup.seed(node_address(0), None);
    let mut random = Random::from_seed([1; 32]);
    let mut number = 1;
    for round in 0..300_u16 {
        for ask in lookup.poll(clock.now(), 100) {
            let nodes: Vec<NodeInfo> = (0..200)
                .map(|_| {
                    number += 1;
                    NodeInfo {
                        id: random.id(),
                        address: node_address(number),
                    }
                })
                .collect();
            let values: Vec<PeerAddress> =
                (0..200).map(|n| peer(n + 200 * (round % 300))).collect();
            let answer = Answer {
                sender: ask.id.unwrap_or(OWN),
                nodes: &nodes,
                values: &values,
                token: None,
            };
            lookup.answer(ask.address, &answer);
        }
    }
    assert!(lookup.candidates.len() <= CANDIDATES_MAX);
    assert!(lookup.peers.len() <= PEERS_MAX);
}

proptest! {
    /// Whatever happens in whatever order, a look-up ends.
    #[test]
    fn always_ends(events in prop::collection::vec((0_u8..5, 0_u16..40, any::<[u8; 20]>()), 0..300)) {
        let clock = ManualClock::new(Timestamp(0));
        let goal = Goal::Peers { announce: Some(5) };
        let mut lookup = Lookup::new(task(goal), clock.now(), LIMIT);
        for (kind, number, id) in events {
            let address = node_address(number);
            let id = NodeId::new(id);
            match kind {
                0 => lookup.seed(address, Some(id)),
                1 => { lookup.poll(clock.now(), usize::from(number)); }
                2 => {
                    let nodes = [NodeInfo { id, address: node_address(number + 1) }];
                    let answer = Answer { sender: id, nodes: &nodes, values: &[peer(number)], token: Some(&[1]) };
                    lookup.answer(address, &answer);
                }
                3 => lookup.failed(address),
                _ => { lookup.announced(address); clock.advance(Duration::from_millis(u64::from(number) * 10)); }
            }
        }
        clock.advance(LIMIT);
        prop_assert_eq!(lookup.poll(clock.now(), 100), []);
        prop_assert!(lookup.is_done());
    }
}
