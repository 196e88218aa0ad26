//! uTP: datagrams of any content, and two endpoints of which one hears
//! hostile packets that know its numbers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use btda::model::PeerAddress;
use btda::protocol::utp::endpoint::{Endpoint, Key, Limits};
use btda::protocol::utp::packet::{Header, Kind, PAYLOAD_MAX, Packet, encode};

use super::input::Input;

const NEAR: PeerAddress = PeerAddress::from_compact([127, 0, 0, 1, 0, 1]);
const FAR: PeerAddress = PeerAddress::from_compact([127, 0, 0, 2, 0, 2]);

const LIMITS: Limits = Limits {
    callers: 8,
    backlog: 4,
    total: 16,
};

/// Longest datagram of ours: header, selective acknowledgement, payload.
const DATAGRAM_MAX: usize = 20 + 10 + PAYLOAD_MAX;

/// Datagrams that one event may bring about: a whole window of small ones is
/// never in flight, since at most 16 KiB wait.
const ANSWERS_MAX: usize = 300;

/// Time after which a closed connection is gone.
const ENDING: Duration = Duration::from_secs(60);

const KINDS: [Kind; 5] = [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn];

pub fn check(bytes: &[u8]) {
    datagram(bytes);
    World::new().play(&mut Input::new(bytes));
}

/// What is read and written again is the same.
fn datagram(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(bytes) else {
        return;
    };
    let again = encode(&packet.header, packet.selective, packet.payload);
    let read = Packet::decode(&again).expect("what we write can be read");
    assert_eq!(read.header, packet.header);
    assert_eq!(read.payload, packet.payload);
}

struct World {
    now: Instant,
    ends: [Endpoint; 2],
    wire: [VecDeque<Vec<u8>>; 2],
    /// The last header that the far end sent.
    seen: Option<Header>,
    near: Key,
    far: Vec<Key>,
    /// What was written at the near end and read at the far one, until a
    /// hostile packet came.
    written: u64,
    heard: u64,
    honest: bool,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut ends = [1, 2].map(|secret| Endpoint::new(LIMITS, [secret; 16], now));
        let near = ends[0].connect(FAR, now).expect("there is room");
        Self {
            now,
            ends,
            wire: Default::default(),
            seen: None,
            near,
            far: Vec::new(),
            written: 0,
            heard: 0,
            honest: true,
        }
    }

    fn play(mut self, input: &mut Input<'_>) {
        self.deliver(0);
        self.deliver(1);
        while !input.is_empty() {
            match input.byte() % 8 {
                0 => self.deliver(usize::from(input.byte() & 1)),
                1 => self.lose(usize::from(input.byte() & 1)),
                2 => self.wait(u64::from(input.short())),
                3 => self.write(usize::from(input.short())),
                4 => self.read(),
                5 => self.hostile(input),
                6 => {
                    let raw = input.byte();
                    let raw = input.take(raw.into()).to_vec();
                    self.honest = false;
                    self.ends[1].handle(NEAR, &raw, self.now);
                }
                _ => self.close(input.byte()),
            }
            self.collect();
        }
        self.end();
    }

    /// Takes what both ends send; nothing of it breaks the limits.
    fn collect(&mut self) {
        for (index, end) in self.ends.iter_mut().enumerate() {
            let packets = end.take_packets();
            assert!(packets.len() <= ANSWERS_MAX, "{} datagrams", packets.len());
            for packet in packets {
                assert!(packet.bytes.len() <= DATAGRAM_MAX);
                let read = Packet::decode(&packet.bytes).expect("we send packets");
                if index == 1 && read.header.kind != Kind::Reset {
                    self.seen = Some(read.header);
                }
                self.wire[index].push_back(packet.bytes);
            }
            assert!(end.connections() <= LIMITS.total);
            end.take_news();
        }
        while let Some(key) = self.ends[1].take_caller() {
            self.far.push(key);
        }
        assert!(self.far.len() <= 1_000);
    }

    fn deliver(&mut self, from: usize) {
        self.collect();
        for _ in 0..self.wire[from].len() {
            if let Some(bytes) = self.wire[from].pop_front() {
                let sender = if from == 0 { NEAR } else { FAR };
                self.ends[1 - from].handle(sender, &bytes, self.now);
            }
        }
    }

    fn lose(&mut self, from: usize) {
        self.wire[from].pop_front();
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        for end in &mut self.ends {
            end.look_at_clock(self.now);
            assert!(end.next_timer().is_none_or(|at| at > self.now));
        }
    }

    fn write(&mut self, length: usize) {
        let bytes: Vec<u8> = (self.written..).take(length).map(pattern).collect();
        if let Ok(written) = self.ends[0].write(self.near, &bytes, self.now) {
            self.written += u64::try_from(written).expect("few bytes");
        }
    }

    /// The first caller hears what the near end wrote, as long as nobody else
    /// spoke.
    fn read(&mut self) {
        for (index, key) in self.far.clone().into_iter().enumerate() {
            let mut buffer = [0; 4_096];
            if let Ok(Some(length)) = self.ends[1].read(key, &mut buffer, self.now)
                && self.honest
                && index == 0
            {
                for byte in &buffer[..length] {
                    assert_eq!(*byte, pattern(self.heard));
                    self.heard += 1;
                }
                assert!(self.heard <= self.written);
            }
        }
    }

    /// A packet near the numbers of the far end.
    fn hostile(&mut self, input: &mut Input<'_>) {
        let Some(seen) = self.seen else {
            return;
        };
        self.honest = false;
        let step = |byte: u8| u16::from_ne_bytes(i16::from(byte.cast_signed()).to_ne_bytes());
        let kind = KINDS[usize::from(input.byte()) % KINDS.len()];
        let header = Header {
            kind,
            connection: seen
                .connection
                .wrapping_add(step(input.byte() % 4).wrapping_sub(1)),
            timestamp: input.byte().into(),
            difference: u32::from(input.byte()) << 10,
            window: input.short().into(),
            sequence: seen.acknowledged.wrapping_add(step(input.byte())),
            acknowledged: seen.sequence.wrapping_add(step(input.byte())),
        };
        let selective = usize::from(input.byte() % 4) * 4;
        let mut bits = input.take(selective).to_vec();
        bits.resize(selective, 0xff);
        let length = usize::from(input.byte()) * 8;
        let datagram = encode(&header, &bits, &vec![7; length]);
        self.ends[1].handle(NEAR, &datagram, self.now);
    }

    fn close(&mut self, which: u8) {
        match which % 3 {
            0 => self.ends[0].close(self.near, self.now),
            1 => {
                // What comes late may make a new caller of it.
                self.honest = false;
                for key in self.far.clone() {
                    self.ends[1].close(key, self.now);
                }
            }
            _ => {
                if let Ok(key) = self.ends[0].connect(FAR, self.now) {
                    self.ends[0].close(self.near, self.now);
                    self.near = key;
                    self.honest = false;
                }
            }
        }
    }

    /// Whatever was before, closed connections end, and nothing is left.
    fn end(mut self) {
        let until = self.now + ENDING;
        while self.now < until {
            self.close(0);
            self.close(1);
            self.deliver(0);
            self.deliver(1);
            self.collect();
            self.wait(1_000);
        }
        self.close(1);
        let left = [self.ends[0].connections(), self.ends[1].connections()];
        assert_eq!(left, [0, 0], "connections left");
    }
}

/// Byte number `index` of the stream.
fn pattern(index: u64) -> u8 {
    let [low, high, ..] = index.to_le_bytes();
    low ^ high.wrapping_mul(31)
}
