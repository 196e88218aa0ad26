//! The sending half of a connection: cuts bytes into packets and keeps them
//! until they are acknowledged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SEND_MAX;
use super::packet::{Kind, PAYLOAD_MAX};
use super::sequence::ahead;

/// Packets behind it that arrived, or answers that repeat the same number,
/// until one counts as lost.
const LOST_AFTER: u32 = 3;

/// How far an acknowledgement may lag behind and still belong to a packet
/// that was only delayed.
const STALE_MAX: i32 = 1_024;

/// Packets in flight at most: the window allows as many only when they are
/// very small.
const FLIGHT_MAX: usize = 256;

/// What is to be sent and what is under way.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Number of the next new packet.
    next: u16,
    /// The oldest first, without gaps in their numbers.
    flight: VecDeque<Sent>,
    /// Not yet in a packet.
    waiting: VecDeque<u8>,
    end: End,
    repeated: u32,
}

/// Whether the stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Wanted,
    Sent,
}

#[derive(Debug)]
struct Sent {
    kind: Kind,
    payload: Vec<u8>,
    /// Of the payload, also when that is not needed any more.
    length: usize,
    at: Instant,
    times: u32,
    state: Fate,
}

/// What is known of a packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    UnderWay,
    /// Acknowledged before its turn.
    Arrived,
    /// To be sent again.
    Lost,
}

/// What an acknowledgement told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// Packets that are off our hands, or known to have arrived.
    pub(super) packets: usize,
    /// Their payload.
    pub(super) bytes: usize,
    /// From the sending of the newest of them that was sent only once.
    pub(super) round_trip: Option<Duration>,
    /// Whether packets were found to be lost.
    pub(super) lost: bool,
}

impl Outbox {
    /// An outbox whose first packet has the number `next`.
    pub(super) const fn new(next: u16) -> Self {
        Self {
            next,
            flight: VecDeque::new(),
            waiting: VecDeque::new(),
            end: End::Open,
            repeated: 0,
        }
    }

    /// Puts the call for a connection on its way.
    pub(super) fn call(&mut self, now: Instant) {
        self.push(Kind::Syn, Vec::new(), now);
        if let Some(syn) = self.flight.back_mut() {
            (syn.state, syn.times) = (Fate::Lost, 0);
        }
    }

    /// Number of the next new packet.
    pub(super) const fn next(&self) -> u16 {
        self.next
    }

    /// Takes bytes to send, as many as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        if self.end != End::Open {
            return 0;
        }
        let room = SEND_MAX.saturating_sub(self.waiting.len() + self.held());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.waiting.extend(taken);
        taken.len()
    }

    /// Ends the stream behind what was written.
    pub(super) fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
    }

    /// Whether the end of the stream was acknowledged, and all before it.
    pub(super) fn is_finished(&self) -> bool {
        self.end == End::Sent && self.flight.is_empty()
    }

    /// Whether something waits for an acknowledgement or for room.
    pub(super) fn is_pending(&self) -> bool {
        !self.flight.is_empty() || !self.waiting.is_empty() || self.end == End::Wanted
    }

    /// Payload that was sent and not acknowledged.
    fn held(&self) -> usize {
        self.flight.iter().map(|sent| sent.payload.len()).sum()
    }

    /// Payload that may still be under way.
    pub(super) fn in_flight(&self) -> usize {
        let under_way = |sent: &&Sent| sent.state == Fate::UnderWay;
        let payload = self.flight.iter().filter(under_way);
        payload.map(|sent| sent.payload.len()).sum()
    }

    /// How many packets the number acknowledges: negative for one that is
    /// only late, `None` for one that cannot be meant for us.
    pub(super) fn judge(&self, acknowledged: u16) -> Option<i32> {
        let flight = i32::try_from(self.flight.len()).unwrap_or(0);
        let packets = ahead(acknowledged, self.next.wrapping_sub(1)) + flight;
        (-STALE_MAX..=flight).contains(&packets).then_some(packets)
    }

    /// Takes an acknowledgement of the `packets` oldest, and the bits of a
    /// selective one, which begin at the second one behind those. `repeats`
    /// tells that the packet was for nothing else.
    pub(super) fn acknowledge(
        &mut self,
        packets: usize,
        selective: &[u8],
        repeats: bool,
        now: Instant,
    ) -> Acknowledged {
        let mut told = Acknowledged::default();
        for sent in self.flight.drain(..packets.min(self.flight.len())) {
            if sent.state != Fate::Arrived {
                told.count(&sent, now);
            }
        }
        for (index, sent) in self.flight.iter_mut().enumerate().skip(1) {
            let bit = selective
                .get((index - 1) / 8)
                .is_some_and(|byte| byte >> ((index - 1) % 8) & 1 == 1);
            if bit && sent.times > 0 && sent.state != Fate::Arrived {
                told.count(sent, now);
                sent.state = Fate::Arrived;
                sent.payload = Vec::new();
            }
        }
        if packets > 0 || !repeats || self.flight.is_empty() {
            self.repeated = 0;
        } else {
            self.repeated = self.repeated.saturating_add(1);
        }
        told.lost = self.find_lost();
        told
    }

    /// Marks packets that others have overtaken; each at most once, after
    /// that only the timeout sends it again.
    fn find_lost(&mut self) -> bool {
        let mut behind = self.repeated;
        let mut lost = false;
        for (index, sent) in self.flight.iter_mut().enumerate().rev() {
            if index > 0 && sent.state == Fate::Arrived {
                behind += 1;
            }
            let overtaken = if index == 0 {
                behind
            } else {
                behind - self.repeated
            };
            if sent.state == Fate::UnderWay && sent.times == 1 && overtaken >= LOST_AFTER {
                sent.state = Fate::Lost;
                lost = true;
            }
        }
        lost
    }

    /// Everything under way counts as lost.
    pub(super) fn lose_all(&mut self) {
        for sent in &mut self.flight {
            if sent.state == Fate::UnderWay {
                sent.state = Fate::Lost;
            }
        }
    }

    /// What the other side has to keep room for: all that was sent behind its
    /// last acknowledgement, also what it holds already.
    fn span(&self) -> usize {
        self.flight.iter().map(|sent| sent.length).sum()
    }

    /// The next packet to send, with its number, when no more than `window`
    /// bytes may be under way and the other side has room for `room`. What is
    /// lost goes first.
    pub(super) fn take(
        &mut self,
        window: usize,
        room: usize,
        now: Instant,
    ) -> Option<(Kind, u16, &[u8])> {
        let under_way = self.in_flight();
        let lost = self.flight.iter().position(|sent| sent.state == Fate::Lost);
        let index = if let Some(index) = lost {
            let length = self.flight.get(index)?.payload.len();
            // One packet may always be tried, lest all wait for ever.
            if under_way > 0 && under_way + length > window {
                return None;
            }
            index
        } else {
            let room = room.saturating_sub(self.span());
            self.pack(room.min(window.saturating_sub(under_way)), now)?
        };
        let first = self
            .next
            .wrapping_sub(u16::try_from(self.flight.len()).unwrap_or(u16::MAX));
        let sent = self.flight.get_mut(index)?;
        sent.at = now;
        sent.times = sent.times.saturating_add(1);
        sent.state = Fate::UnderWay;
        let number = first.wrapping_add(u16::try_from(index).unwrap_or(u16::MAX));
        Some((sent.kind, number, &sent.payload))
    }

    /// Makes a new packet of at most `room` bytes; tells its index.
    fn pack(&mut self, room: usize, now: Instant) -> Option<usize> {
        if self.flight.len() >= FLIGHT_MAX {
            return None;
        }
        if !self.waiting.is_empty() {
            let length = room.min(PAYLOAD_MAX).min(self.waiting.len());
            if length == 0 {
                return None;
            }
            let payload = self.waiting.drain(..length).collect();
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            self.push(Kind::Data, payload, now);
        } else if self.end == End::Wanted {
            self.end = End::Sent;
            self.push(Kind::Fin, Vec::new(), now);
        } else {
            return None;
        }
        Some(self.flight.len() - 1)
    }

    fn push(&mut self, kind: Kind, payload: Vec<u8>, at: Instant) {
        self.next = self.next.wrapping_add(1);
        self.flight.push_back(Sent {
            kind,
            length: payload.len(),
            payload,
            at,
            times: 0,
            state: Fate::UnderWay,
        });
    }
}

impl Acknowledged {
    fn count(&mut self, sent: &Sent, now: Instant) {
        self.packets += 1;
        self.bytes += sent.payload.len();
        if sent.times == 1 {
            self.round_trip = Some(now.saturating_duration_since(sent.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: usize = 1 << 20;

    fn sending(bytes: &[u8], window: usize, now: Instant) -> (Outbox, Vec<(Kind, u16, usize)>) {
        let mut outbox = Outbox::new(u16::MAX);
        assert_eq!(outbox.write(bytes), bytes.len());
        let sent = drain(&mut outbox, window, now);
        (outbox, sent)
    }

    fn drain(outbox: &mut Outbox, window: usize, now: Instant) -> Vec<(Kind, u16, usize)> {
        let mut sent = Vec::new();
        while let Some((kind, number, payload)) = outbox.take(window, WIDE, now) {
            sent.push((kind, number, payload.len()));
        }
        sent
    }

    #[test]
    fn bytes_become_packets_within_the_window() {
        let now = Instant::now();
        let (mut outbox, sent) = sending(&[0; 3_000], 2_000, now);
        assert_eq!(sent, [(Kind::Data, u16::MAX, 1_200), (Kind::Data, 0, 800)]);
        assert_eq!((outbox.in_flight(), outbox.judge(1)), (2_000, None));
        assert_eq!(outbox.judge(u16::MAX), Some(1));
        let told = outbox.acknowledge(1, &[], true, now + Duration::from_millis(30));
        assert_eq!((told.packets, told.bytes), (1, 1_200));
        assert_eq!(told.round_trip, Some(Duration::from_millis(30)));
        outbox.finish();
        assert_eq!(
            drain(&mut outbox, 2_000, now),
            [(Kind::Data, 1, 1_000), (Kind::Fin, 2, 0)]
        );
        assert!(!outbox.is_finished() && outbox.write(b"late") == 0);
        outbox.acknowledge(3, &[], true, now);
        assert!(outbox.is_finished() && !outbox.is_pending());
    }

    #[test]
    fn a_writer_gets_no_more_than_the_room() {
        let mut outbox = Outbox::new(0);
        assert_eq!(outbox.write(&vec![0; SEND_MAX + 5]), SEND_MAX);
        assert_eq!(outbox.write(&[0; 5]), 0);
        drain(&mut outbox, WIDE, Instant::now());
        assert_eq!(outbox.write(&[0; 5]), 0);
        outbox.acknowledge(1, &[], true, Instant::now());
        assert_eq!(outbox.write(&[0; 2_000]), PAYLOAD_MAX);
    }

    #[test]
    fn an_overtaken_packet_is_sent_again_once() {
        let now = Instant::now();
        let (mut outbox, sent) = sending(&[0; 6_000], WIDE, now);
        assert_eq!(sent.len(), 5);
        // The second, third and fourth arrived; the first did not.
        let told = outbox.acknowledge(0, &[0b0111, 0, 0, 0], true, now);
        assert_eq!((told.packets, told.bytes, told.lost), (3, 3_600, true));
        assert_eq!(
            drain(&mut outbox, WIDE, now),
            [(Kind::Data, u16::MAX, 1_200)]
        );
        let told = outbox.acknowledge(0, &[0b1111, 0, 0, 0], true, now);
        assert_eq!((told.packets, told.lost), (1, false));
        assert_eq!(drain(&mut outbox, WIDE, now), []);
        outbox.lose_all();
        assert_eq!(
            drain(&mut outbox, WIDE, now),
            [(Kind::Data, u16::MAX, 1_200)]
        );
        let told = outbox.acknowledge(5, &[], true, now);
        assert_eq!(
            (told.packets, told.bytes, told.round_trip),
            (1, 1_200, None)
        );
        assert!(!outbox.is_pending());
    }

    #[test]
    fn what_arrived_early_still_takes_room() {
        let now = Instant::now();
        let mut outbox = Outbox::new(0);
        outbox.write(&[0; 9_000]);
        while outbox.take(WIDE, 6_000, now).is_some() {}
        assert_eq!(outbox.in_flight(), 6_000);
        outbox.acknowledge(0, &[0b1111, 0, 0, 0], true, now);
        assert_eq!(outbox.take(WIDE, 6_000, now).map(|it| it.1), Some(0));
        assert_eq!(outbox.take(WIDE, 6_000, now), None);
        assert_eq!(
            outbox.take(WIDE, 6_500, now).map(|it| it.2.len()),
            Some(500)
        );
    }

    #[test]
    fn three_repeated_answers_are_a_loss() {
        let now = Instant::now();
        let (mut outbox, _) = sending(&[0; 6_000], WIDE, now);
        for count in 1..=3 {
            assert_eq!(outbox.acknowledge(0, &[], true, now).lost, count == 3);
        }
        assert_eq!(
            drain(&mut outbox, WIDE, now),
            [(Kind::Data, u16::MAX, 1_200)]
        );
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let (outbox, _) = sending(&[0; 2_000], WIDE, Instant::now());
        assert_eq!(outbox.judge(1), None);
        assert_eq!(outbox.judge(0), Some(2));
        assert_eq!(outbox.judge(u16::MAX - 500), Some(-499));
        assert_eq!(outbox.judge(u16::MAX - 5_000), None);
    }
}
