//! Two endpoints over a network that loses, repeats, delays and reorders.

use super::super::packet::{HEADER_LENGTH, encode};
use super::super::{RECEIVE_MAX, SEND_MAX};
use super::*;
use proptest::prelude::*;
use std::time::Duration;

const LIMITS: Limits = Limits {
    callers: 100,
    backlog: 50,
    total: 200,
};

const NEAR: PeerAddress = PeerAddress::from_compact([127, 0, 0, 1, 0, 1]);
const FAR: PeerAddress = PeerAddress::from_compact([127, 0, 0, 2, 0, 2]);

/// A network in simulated time.
struct World {
    now: Instant,
    ends: [(PeerAddress, Endpoint); 2],
    /// Arrival, a running number, from which end, what.
    wire: BTreeSet<(Instant, u64, usize, Vec<u8>)>,
    sent: u64,
    random: u64,
    /// Of a hundred packets.
    loss: u64,
    /// Losses of each packet: its sender, type, and number or, of one that
    /// only acknowledges, what it acknowledges.
    lost: HashMap<(usize, u8, [u8; 2]), u32>,
    spread: u64,
}

/// A packet that is lost more often is the sign of a broken network, not of a
/// bad one: a connection gives up on it.
const LOSSES_MAX: u32 = 2;

impl World {
    fn new(seed: u64, loss: u64, spread: u64) -> Self {
        let now = Instant::now();
        let end = |address, secret| (address, Endpoint::new(LIMITS, [secret; 16], now));
        Self {
            now,
            ends: [end(NEAR, 1), end(FAR, 2)],
            wire: BTreeSet::new(),
            sent: 0,
            random: seed | 1,
            loss,
            lost: HashMap::new(),
            spread,
        }
    }

    /// A number below `end`, by xorshift.
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end.max(1)
    }

    /// Puts what the endpoints want to send on the wire.
    fn collect(&mut self) {
        for from in 0..2 {
            for packet in self.ends[from].1.take_packets() {
                assert!(packet.bytes.len() <= 1_232);
                let kind = packet.bytes[0] >> 4;
                let number = if kind == 2 { 18 } else { 16 };
                let number = [packet.bytes[number], packet.bytes[number + 1]];
                let unlucky = self.below(100) < self.loss;
                let losses = self.lost.entry((from, kind, number)).or_default();
                if unlucky && *losses < LOSSES_MAX {
                    *losses += 1;
                    continue;
                }
                for _ in 0..=u32::from(self.below(10) == 0 && self.loss > 0) {
                    let delay = 10_000 + self.below(self.spread * 1_000);
                    let at = self.now + Duration::from_micros(delay);
                    self.sent += 1;
                    self.wire
                        .insert((at, self.sent, from, packet.bytes.clone()));
                }
            }
        }
    }

    /// Lets the next thing happen; `false` when nothing ever will.
    fn step(&mut self) -> bool {
        self.collect();
        let arrival = self.wire.first().map(|(at, ..)| *at);
        let timer = self
            .ends
            .iter()
            .filter_map(|(_, end)| end.next_timer())
            .min();
        let Some(next) = [arrival, timer].into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        for (_, end) in &mut self.ends {
            end.look_at_clock(self.now);
        }
        if arrival == Some(next)
            && let Some((_, _, from, bytes)) = self.wire.pop_first()
        {
            let sender = self.ends[from].0;
            self.ends[1 - from].1.handle(sender, &bytes, self.now);
        }
        true
    }

    fn call(&mut self) -> Key {
        self.ends[0].1.connect(FAR, self.now).unwrap()
    }

    /// Calls, sends `first`, and waits until the other side has a caller.
    fn connected(&mut self, first: &[u8]) -> (Key, Key) {
        let near = self.call();
        while !self.ends[0].1.is_open(near).unwrap() {
            assert!(self.step());
        }
        self.ends[0].1.write(near, first, self.now).unwrap();
        loop {
            if let Some(far) = self.ends[1].1.take_caller() {
                return (near, far);
            }
            assert!(self.step());
        }
    }

    fn read(&mut self, end: usize, key: Key) -> Result<Option<Vec<u8>>, Broken> {
        let mut buffer = [0; 700];
        let read = self.ends[end].1.read(key, &mut buffer, self.now)?;
        Ok(read.map(|length| buffer[..length].to_vec()))
    }

    /// Runs until nothing is under way any more.
    fn settle(&mut self) {
        while self.step() {}
    }
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from((index * 7 + index / 251 + usize::from(seed)) % 256).unwrap())
        .collect()
}

/// Both sides send all of theirs; what arrives must be that, in order.
fn exchange(world: &mut World, out: &[u8], back: &[u8]) {
    let (near, far) = world.connected(&out[..1]);
    let keys = [near, far];
    let whole = [out, back];
    let mut written = [1, 0];
    let mut heard = [Vec::new(), Vec::new()];
    for _ in 0..200_000 {
        for end in 0..2 {
            let rest = &whole[end][written[end]..];
            let now = world.now;
            written[end] += world.ends[end].1.write(keys[end], rest, now).unwrap();
            while let Some(part) = world.read(end, keys[end]).unwrap() {
                assert!(!part.is_empty(), "an end that nobody sent");
                heard[end].extend(part);
            }
        }
        if heard[0].len() >= back.len() && heard[1].len() >= out.len() {
            break;
        }
        assert!(world.step());
    }
    assert!(heard[0] == back && heard[1] == out);
    // What is closed is not told for ever.
    world.loss = 0;
    let now = world.now;
    world.ends[0].1.close(near, now);
    let mut ended = None;
    while ended.is_none() && world.step() {
        ended = world.read(1, far).unwrap();
    }
    assert_eq!(ended, Some(Vec::new()));
    let now = world.now;
    world.ends[1].1.close(far, now);
    world.settle();
    assert_eq!(
        world.ends.each_ref().map(|(_, end)| end.connections()),
        [0, 0]
    );
    assert_eq!(
        world.ends.each_ref().map(|(_, end)| end.timers.len()),
        [0, 0]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_byte_arrives_once_and_in_order(
        seed: u64, loss in 0_u64..40, spread in 1_u64..200,
        out in 1_usize..60_000, back in 0_usize..60_000,
    ) {
        let mut world = World::new(seed, loss, spread);
        exchange(&mut world, &bytes(1, out), &bytes(2, back));
    }

    #[test]
    fn hostile_packets_do_no_harm(
        packets in proptest::collection::vec(
            (0_u8..6, -3_i8..4, any::<u32>(), -80_i32..80, -80_i32..80, 0_usize..1_500, any::<bool>()), 0..60),
    ) {
        let mut world = World::new(7, 0, 1);
        let (near, far) = world.connected(b"first");
        world.settle();
        let ids = world.ends[1].1.entries[&far].connection.ids();
        for (kind, id, window, sequence, acknowledged, length, selective) in packets {
            let header = [
                kind << 4 | 1, u8::from(selective), 0, 0, 0, 0, 0, 1, 0, 0, 0, 9,
            ];
            let mut datagram = header.to_vec();
            let shifted = |base: u16, by: i32| base.wrapping_add_signed(i16::try_from(by).unwrap());
            datagram[2..4].copy_from_slice(&shifted(ids.receive, id.into()).to_be_bytes());
            datagram.extend(window.to_be_bytes());
            datagram.extend(shifted(3, sequence).to_be_bytes());
            datagram.extend(shifted(9, acknowledged).to_be_bytes());
            if selective {
                datagram.extend([0, 8, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff]);
            }
            datagram.extend(vec![7; length]);
            let now = world.now;
            world.ends[1].1.handle(NEAR, &datagram, now);
            // Each datagram is answered by a few at most.
            prop_assert!(world.ends[1].1.take_packets().len() <= 2);
        }
        let now = world.now;
        world.ends[0].1.close(near, now);
        world.ends[1].1.close(far, now);
        world.settle();
        prop_assert_eq!(world.ends[0].1.connections(), 0);
        while let Some(late) = world.ends[1].1.take_caller() {
            let now = world.now;
            world.ends[1].1.close(late, now);
        }
        world.settle();
        prop_assert_eq!(world.ends[1].1.connections(), 0);
    }
}

#[test]
fn a_call_that_nobody_answers_is_repeated_and_given_up() {
    let mut world = World::new(1, 0, 1);
    let near = world.call();
    let mut calls = 0;
    let start = world.now;
    loop {
        let packets = world.ends[0].1.take_packets();
        calls += packets.len();
        assert!(
            packets
                .iter()
                .all(|it| it.bytes.len() == HEADER_LENGTH && it.bytes[0] == 0x41)
        );
        let Some(timer) = world.ends[0].1.next_timer() else {
            break;
        };
        world.now = timer;
        world.ends[0].1.look_at_clock(timer);
    }
    assert_eq!(calls, 7);
    assert!(world.now - start > Duration::from_secs(30));
    assert_eq!(world.ends[0].1.is_open(near), Err(Broken::TimedOut));
    world.ends[0].1.close(near, world.now);
    assert_eq!(world.ends[0].1.connections(), 0);
}

#[test]
fn a_reset_refuses_a_call_and_breaks_a_stream() {
    let mut world = World::new(1, 0, 1);
    let near = world.call();
    let call = world.ends[0].1.take_packets().remove(0).bytes;
    let call = Packet::decode(&call).unwrap().header;
    let reset = |id: u16, acknowledged: u16| {
        let header = Header {
            kind: Kind::Reset,
            connection: id,
            acknowledged,
            ..call
        };
        encode(&header, &[], &[])
    };
    let now = world.now;
    // A guess that is far off ends nothing.
    let wild = reset(call.connection, call.sequence.wrapping_add(9_999));
    world.ends[0].1.handle(FAR, &wild, now);
    assert_eq!(world.ends[0].1.is_open(near), Ok(false));
    world.ends[0]
        .1
        .handle(FAR, &reset(call.connection, call.sequence), now);
    assert_eq!(world.ends[0].1.is_open(near), Err(Broken::Refused));

    let mut world = World::new(1, 0, 1);
    let (near, far) = world.connected(b"first");
    world.settle();
    // The far side forgets the connection: what comes next is reset.
    world.ends[1].1.remove(far, world.now);
    world.ends[0].1.write(near, b"more", world.now).unwrap();
    world.settle();
    assert_eq!(world.read(0, near), Err(Broken::Reset));
}

#[test]
fn calls_take_no_memory_and_answers_are_rationed() {
    let mut world = World::new(1, 0, 1);
    let now = world.now;
    let mut answers = 0;
    for caller in 0..10_000_u16 {
        let [high, low] = caller.to_be_bytes();
        let from = PeerAddress::from_compact([10, 0, high, low, 0, 1]);
        let call = Header {
            kind: Kind::Syn,
            connection: caller,
            timestamp: 1,
            difference: 0,
            window: 1_000,
            sequence: 1,
            acknowledged: 0,
        };
        world.ends[1].1.handle(from, &encode(&call, &[], &[]), now);
        answers += world.ends[1].1.take_packets().len();
    }
    assert_eq!((world.ends[1].1.connections(), answers), (0, 2_000));
    assert_eq!(world.ends[1].1.next_timer(), None);
}

#[test]
fn a_late_copy_of_the_first_packet_is_no_new_caller() {
    let mut world = World::new(1, 0, 1);
    let near = world.call();
    while !world.ends[0].1.is_open(near).unwrap() {
        world.step();
    }
    world.ends[0].1.write(near, b"first", world.now).unwrap();
    let first = world.ends[0].1.take_packets();
    let now = world.now;
    for packet in &first {
        world.ends[1].1.handle(NEAR, &packet.bytes, now);
    }
    let far = world.ends[1].1.take_caller().unwrap();
    world.ends[1].1.close(far, now);
    world.ends[0].1.close(near, now);
    world.settle();
    assert_eq!(world.ends[1].1.connections(), 0);
    for packet in &first {
        world.ends[1].1.handle(NEAR, &packet.bytes, world.now);
    }
    assert_eq!(world.ends[1].1.take_caller(), None);
    assert_eq!(world.ends[1].1.counts().callers, 1);
}

/// A caller that sends one packet and is gone: calls with the connection
/// `id` and the number `call`; who was let in, and the packet.
fn caller_of(world: &mut World, id: u16, call: u16) -> (Option<Key>, Vec<u8>) {
    let syn = Header {
        kind: Kind::Syn,
        connection: id.wrapping_sub(1),
        timestamp: 1,
        difference: 0,
        window: 10_000,
        sequence: call,
        acknowledged: 0,
    };
    let (now, far) = (world.now, &mut world.ends[1].1);
    far.take_packets();
    far.handle(NEAR, &encode(&syn, &[], &[]), now);
    let answer = far.take_packets().remove(0).bytes;
    let answer = Packet::decode(&answer).unwrap().header;
    let first = Header {
        kind: Kind::Data,
        connection: id,
        sequence: call.wrapping_add(1),
        acknowledged: answer.sequence.wrapping_sub(1),
        ..syn
    };
    let first = encode(&first, &[], b"first");
    far.handle(NEAR, &first, now);
    (far.take_caller(), first)
}

#[test]
fn a_new_call_with_an_old_id_is_let_in() {
    let mut world = World::new(1, 0, 1);
    let (key, first) = caller_of(&mut world, 77, 1_000);
    let end = |world: &mut World, key: Key| {
        let now = world.now;
        world.ends[1].1.close(key, now);
        while world.ends[1].1.connections() > 0 {
            world.now = world.ends[1].1.next_timer().unwrap();
            world.ends[1].1.look_at_clock(world.now);
        }
    };
    end(&mut world, key.unwrap());
    let (again, second) = caller_of(&mut world, 77, 2_000);
    end(&mut world, again.unwrap());
    // Late copies of both are still none.
    for late in [first, second] {
        world.ends[1].1.handle(NEAR, &late, world.now);
        assert_eq!(world.ends[1].1.take_caller(), None);
    }
    assert_eq!(world.ends[1].1.counts().callers, 2);
    // Whoever numbers all calls alike has to wait until no copy is on its way.
    assert_eq!(caller_of(&mut world, 77, 2_000).0, None);
    world.now += Duration::from_secs(60);
    assert!(caller_of(&mut world, 77, 2_000).0.is_some());
}

#[test]
fn limits_hold() {
    let mut world = World::new(1, 0, 1);
    world.ends[1].1.limits = Limits {
        callers: 2,
        backlog: 1,
        total: 2,
    };
    for _ in 0..4 {
        let key = world.call();
        for _ in 0..4 {
            world.step();
        }
        let _ = world.ends[0].1.write(key, b"hello", world.now);
        for _ in 0..4 {
            world.step();
        }
    }
    assert_eq!(world.ends[1].1.connections(), 1);
    assert!(world.ends[1].1.take_caller().is_some());
    for _ in 0..40 {
        world.step();
    }
    assert_eq!(world.ends[1].1.connections(), 2);
    assert!(world.ends[1].1.counts().turned_away > 0);
}

#[test]
fn a_reader_that_stops_is_not_overrun_and_can_go_on() {
    let mut world = World::new(3, 0, 5);
    let (near, far) = world.connected(b"x");
    let all = bytes(5, 100_000);
    let mut written = 0;
    let mut held = 0;
    for _ in 0..3_000 {
        let now = world.now;
        written += world.ends[0].1.write(near, &all[written..], now).unwrap();
        world.step();
        held = world.ends[1].1.entries[&far].connection.unread();
        assert!(held <= RECEIVE_MAX);
    }
    assert!(
        held > RECEIVE_MAX - 1_300 && written <= held + SEND_MAX,
        "{held} {written}"
    );
    let mut heard = Vec::new();
    while heard.len() < all.len() + 1 {
        let now = world.now;
        written += world.ends[0].1.write(near, &all[written..], now).unwrap();
        while let Some(part) = world.read(1, far).unwrap() {
            heard.extend(part);
        }
        assert!(world.step());
    }
    assert!(heard[1..] == all);
}
