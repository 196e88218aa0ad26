//! The rules of the queue.

use super::*;

const OURS: NodeId = NodeId::new([9; 20]);

fn hash(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

fn source(host: u8, seconds: i64) -> SourceNode {
    SourceNode {
        address: PeerAddress::from_compact([192, 0, 2, host, 0, 1]),
        id: NodeId::new([host; 20]),
        peer_port: None,
        last_seen: Timestamp(seconds * 1000),
        last_sent: Timestamp(0),
    }
}

fn queue() -> ResolveQueue {
    ResolveQueue::new([0; 20])
}

fn next(queue: &mut ResolveQueue) -> Option<InfoHash> {
    queue.next_job().map(|job| job.info_hash)
}

#[test]
fn another_address_gives_priority() {
    let mut queue = queue();
    assert_eq!(queue.heard(hash(1), source(1, 0), OURS), Entered::New);
    assert_eq!(queue.heard(hash(2), source(1, 0), OURS), Entered::New);
    assert_eq!(queue.heard(hash(2), source(1, 1), OURS), Entered::Known);
    assert_eq!(queue.lengths().initial, 2);
    assert_eq!(queue.heard(hash(2), source(2, 2), OURS), Entered::Known);
    let lengths = QueueLengths {
        initial: 1,
        priority: 1,
        ..QueueLengths::default()
    };
    assert_eq!(queue.lengths(), lengths);
    let job = queue.next_job().unwrap();
    assert_eq!((job.info_hash, job.heard, job.our_id), (hash(2), 3, OURS));
    let hosts: Vec<NodeId> = job.sources.iter().map(|source| source.id).collect();
    assert_eq!(hosts, [NodeId::new([2; 20]), NodeId::new([1; 20])]);
    assert_eq!(next(&mut queue), Some(hash(1)));
    assert_eq!(next(&mut queue), None);
}

#[test]
fn ten_sources_are_kept_and_their_ports() {
    let mut queue = queue();
    let mut first = source(1, 0);
    first.peer_port = Some(6881);
    queue.heard(hash(1), first, OURS);
    for host in 2..30 {
        queue.heard(hash(1), source(host, 1), OURS);
    }
    queue.heard(hash(1), source(29, 2), OURS);
    let job = queue.next_job().unwrap();
    assert_eq!(job.sources.len(), PEERS_MAX);
    assert_eq!(job.sources[0].last_seen, Timestamp(2000));
    queue.failed(hash(1), Timestamp(3000));
    queue.heard(hash(2), first, OURS);
    queue.heard(hash(2), source(1, 5), OURS);
    let job = queue.next_job().unwrap();
    assert_eq!(job.sources[0].peer_port, Some(6881));
}

#[test]
fn a_call_is_remembered_with_its_source() {
    let mut queue = queue();
    queue.heard(hash(1), source(1, 0), OURS);
    queue.heard(hash(1), source(2, 0), OURS);
    assert_eq!(queue.next_job().unwrap().sources[0].last_sent, Timestamp(0));
    queue.called(hash(1), source(2, 0).address.ip(), Timestamp(7000));
    queue.called(hash(2), source(1, 0).address.ip(), Timestamp(8000));
    // Heard again meanwhile, it was called all the same.
    queue.heard(hash(1), source(2, 9), OURS);
    let (times, known) = queue.heard_of(hash(1)).unwrap();
    assert_eq!(times, 3);
    let known: Vec<_> = known.iter().map(|it| (it.id, it.last_sent)).collect();
    let [first, second] = [1, 2].map(|host| NodeId::new([host; 20]));
    assert_eq!(known, [(second, Timestamp(7000)), (first, Timestamp(0))]);
    queue.resolved(hash(1));
    assert!(queue.heard_of(hash(1)).is_none());
}

#[test]
fn a_failure_waits_and_is_forgotten() {
    let mut queue = queue();
    queue.heard(hash(1), source(1, 0), OURS);
    queue.next_job().unwrap();
    queue.failed(hash(1), Timestamp(0));
    queue.heard(hash(1), source(2, 599), OURS);
    assert_eq!(next(&mut queue), None);
    queue.heard(hash(1), source(1, 600), OURS);
    assert_eq!(next(&mut queue), Some(hash(1)));
    queue.failed(hash(1), Timestamp(600_000));
    queue.heard(hash(1), source(1, 1799), OURS);
    assert_eq!(next(&mut queue), None, "twice the wait");
    // Four times the wait of 20 min is more than an hour.
    queue.forget(Timestamp(600_000 + 4 * 1_200_000 - 1));
    assert_eq!(queue.lengths().failed, 1);
    queue.forget(Timestamp(600_000 + 4 * 1_200_000));
    assert_eq!(queue.lengths(), QueueLengths::default());
}

#[test]
fn what_was_resolved_is_not_wanted_again() {
    let mut queue = queue();
    queue.heard(hash(1), source(1, 0), OURS);
    queue.next_job().unwrap();
    queue.resolved(hash(1));
    assert_eq!(queue.heard(hash(1), source(2, 1), OURS), Entered::Seen);
    assert_eq!(next(&mut queue), None);
}

#[test]
fn initial_ones_are_forgotten_after_two_days() {
    let mut queue = queue();
    queue.heard(hash(1), source(1, 0), OURS);
    queue.forget(Timestamp(2 * 86_400_000 - 1));
    assert_eq!(queue.lengths().initial, 1);
    queue.forget(Timestamp(2 * 86_400_000));
    assert_eq!(queue.lengths().initial, 0);
    assert_eq!(next(&mut queue), None);
}

#[test]
fn while_busy_an_address_brings_one_in_ten_minutes() {
    let mut queue = queue();
    let number = |number: usize| InfoHash::of(&number.to_be_bytes());
    for count in 0..BUSY_AT {
        assert_eq!(queue.heard(number(count), source(1, 0), OURS), Entered::New);
    }
    let mut bring = |count, host, seconds| queue.heard(number(count), source(host, seconds), OURS);
    assert_eq!(bring(BUSY_AT, 1, 1), Entered::New);
    assert_eq!(bring(BUSY_AT + 1, 1, 2), Entered::Refused);
    assert_eq!(bring(BUSY_AT + 1, 2, 2), Entered::New);
    assert_eq!(bring(BUSY_AT + 2, 1, 600), Entered::Refused);
    assert_eq!(bring(BUSY_AT + 2, 1, 601), Entered::New);
}

#[test]
fn a_sampled_torrent_has_no_source_yet() {
    let mut queue = queue();
    let by = source(7, 0).address;
    assert_eq!(queue.sampled(hash(1), by, OURS, Timestamp(0)), Entered::New);
    assert_eq!(
        queue.sampled(hash(1), by, OURS, Timestamp(0)),
        Entered::Known
    );
    queue.heard(hash(1), source(1, 1), OURS);
    assert_eq!(queue.lengths().initial, 1, "heard of once");
    let job = queue.next_job().unwrap();
    assert_eq!((job.heard, job.sources.len()), (1, 1));
    queue.resolved(hash(1));
    assert_eq!(
        queue.sampled(hash(1), by, OURS, Timestamp(1)),
        Entered::Seen
    );
}
