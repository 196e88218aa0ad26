//! Rules of BEP 5, limits, and order by distance.

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::model::Timestamp;

const OWN: NodeId = NodeId::new([0; 20]);

/// A node of bucket 0, on an address nobody binds ids to.
fn far(number: u8) -> NodeInfo {
    let mut id = [number; 20];
    id[0] = 0x80;
    NodeInfo {
        id: NodeId::new(id),
        address: PeerAddress::from_compact([10, 0, number, 1, 26, 225]),
    }
}

fn start() -> (ManualClock, RoutingTable) {
    (ManualClock::new(Timestamp(0)), RoutingTable::new(OWN, true))
}

fn ids(table: &RoutingTable, now: Instant) -> Vec<u8> {
    let mut ids: Vec<u8> = table
        .usable(now)
        .map(|node| node.id.as_bytes()[1])
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_full_bucket_keeps_its_good_nodes() {
    let (clock, mut table) = start();
    for number in 1..=20 {
        assert_eq!(table.heard_reply(far(number), clock.now()), None);
    }
    assert_eq!(ids(&table, clock.now()), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(!table.heard_query(&far(30), clock.now()));
    assert_eq!(table.count(Quality::Good, clock.now()), (8, 8));
}

#[test]
fn quiet_nodes_are_pinged_and_replaced_when_bad() {
    let (clock, mut table) = start();
    for number in 1..=8 {
        table.heard_reply(far(number), clock.now());
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(QUIET);
    table.heard_reply(far(1), clock.now());
    assert!(table.heard_query(&far(2), clock.now()) || ids(&table, clock.now()).contains(&2));
    assert_eq!(table.count(Quality::Good, clock.now()).0, 2);
    assert_eq!(
        table.heard_reply(far(9), clock.now()),
        Some(far(3)),
        "the quietest"
    );
    assert_eq!(ids(&table, clock.now()), [1, 2, 3, 4, 5, 6, 7, 8]);
    table.failed(&far(3));
    assert!(ids(&table, clock.now()).contains(&3), "one miss is none");
    table.failed(&far(3));
    assert_eq!(ids(&table, clock.now()), [1, 2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn bad_nodes_are_hidden_and_forgotten() {
    let (clock, mut table) = start();
    table.heard_reply(far(1), clock.now());
    table.failed(&far(1));
    table.failed(&far(1));
    assert_eq!(table.closest(&OWN, 8, clock.now()), []);
    assert_eq!(table.count(Quality::Bad, clock.now()), (1, 1));
    table.heard_reply(far(1), clock.now());
    assert_eq!(table.closest(&OWN, 8, clock.now()), [far(1)]);
    for _ in 0..5 {
        table.failed(&far(1));
    }
    assert_eq!(table.count(Quality::Bad, clock.now()), (0, 0));
}

#[test]
fn checks_are_spaced() {
    let (clock, mut table) = start();
    table.heard_reply(far(1), clock.now());
    assert_eq!(table.check_due(clock.now()), None);
    clock.advance(QUIET);
    assert_eq!(table.check_due(clock.now()), Some(far(1)));
    assert_eq!(table.check_due(clock.now()), None);
    clock.advance(Duration::from_secs(60));
    assert_eq!(table.check_due(clock.now()), Some(far(1)));
}

#[test]
fn nobody_takes_over_an_id_or_a_bucket() {
    let (clock, mut table) = start();
    table.heard_reply(far(1), clock.now());
    let thief = NodeInfo {
        id: far(1).id,
        address: far(77).address,
    };
    table.heard_reply(thief, clock.now());
    assert_eq!(table.closest(&OWN, 8, clock.now()), [far(1)]);
    table.failed(&far(1));
    table.failed(&far(1));
    table.heard_reply(thief, clock.now());
    assert_eq!(table.closest(&OWN, 8, clock.now()), [thief]);
    // One address with many ids.
    for number in 2..=100 {
        let node = NodeInfo {
            address: PeerAddress::from_compact([10, 1, 1, 1, 0, number]),
            ..far(number)
        };
        table.heard_reply(node, clock.now());
    }
    assert_eq!(table.count(Quality::Good, clock.now()).1, 2);
    // One network with many ids.
    for number in 2..=100 {
        let node = NodeInfo {
            address: PeerAddress::from_compact([10, 2, 2, number, 0, 1]),
            ..far(number)
        };
        table.heard_reply(node, clock.now());
    }
    assert_eq!(table.count(Quality::Good, clock.now()).1, 4);
    assert_eq!(
        table.heard_reply(NodeInfo { id: OWN, ..far(1) }, clock.now()),
        None
    );
    assert_eq!(
        table.count(Quality::Good, clock.now()).1,
        4,
        "never ourselves"
    );
}

#[test]
fn verified_ids_come_first() {
    let (clock, mut table) = start();
    let mut random = Random::from_seed([5; 32]);
    let at = |number: u8| PeerAddress::from_compact([20 + number, 0, 0, 1, 0, 9]);
    for number in 0..8 {
        let node = NodeInfo {
            address: at(number),
            ..far(number)
        };
        table.heard_reply(node, clock.now());
    }
    let verified = (0..1000)
        .map(|_| NodeId::bound_to(at(100).ip(), &mut random))
        .find(|id| OWN.distance(id).common_bits() == 0)
        .unwrap();
    let node = NodeInfo {
        id: verified,
        address: at(100),
    };
    table.heard_reply(node, clock.now());
    assert!(table.usable(clock.now()).any(|known| known == node));
    assert_eq!(table.count(Quality::Good, clock.now()).1, 8);
}

#[test]
fn quiet_buckets_are_refreshed_once() {
    let (clock, mut table) = start();
    let mut random = Random::from_seed([5; 32]);
    table.heard_reply(far(1), clock.now());
    assert_eq!(table.refresh_due(&mut random, clock.now()), None);
    clock.advance(QUIET);
    let target = table.refresh_due(&mut random, clock.now()).unwrap();
    assert_eq!(OWN.distance(&target).common_bits(), 0);
    assert_eq!(table.refresh_due(&mut random, clock.now()), None);
}

#[test]
fn moves_with_a_new_id() {
    let (clock, mut table) = start();
    for number in 1..=8 {
        table.heard_reply(far(number), clock.now());
    }
    table.move_to(NodeId::new([0xff; 20]), clock.now());
    assert_eq!(ids(&table, clock.now()), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(table.own(), NodeId::new([0xff; 20]));
    // Over the whole table one id stays one node.
    table.heard_reply(far(1), clock.now());
    assert_eq!(table.count(Quality::Good, clock.now()).1, 8);
}

proptest! {
    #[test]
    fn closest_is_what_sorting_gives(own: [u8; 20], all in prop::collection::vec(any::<[u8; 20]>(), 0..200), near in prop::collection::vec((0_usize..160, any::<[u8; 32]>()), 0..60), target: [u8; 20], limit in 0_usize..20) {
        let clock = ManualClock::new(Timestamp(0));
        let own = NodeId::new(own);
        let mut table = RoutingTable::new(own, false);
        let near = near.into_iter().map(|(bits, seed)| own.random_beside(bits, &mut Random::from_seed(seed)));
        for (number, id) in all.into_iter().map(NodeId::new).chain(near).enumerate() {
            let number = u8::try_from(number % 250).unwrap();
            table.heard_reply(NodeInfo { id, address: far(number).address }, clock.now());
        }
        let target = NodeId::new(target);
        let mut expected: Vec<NodeId> = table.usable(clock.now()).map(|node| node.id).collect();
        expected.sort_by_key(|id| id.distance(&target));
        expected.truncate(limit);
        let found: Vec<NodeId> = table.closest(&target, limit, clock.now()).iter().map(|node| node.id).collect();
        prop_assert_eq!(found, expected);
        let (_, known) = table.count(Quality::Good, clock.now());
        prop_assert!(known <= BITS * BUCKET_SIZE);
    }
}
