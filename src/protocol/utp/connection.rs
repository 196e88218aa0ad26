//! One connection: packets, calls of the application and the time in; packets
//! out.

use std::time::{Duration, Instant};

use super::congestion::Congestion;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::packet::{Header, Kind, PAYLOAD_MAX, Packet, encode};
use super::sequence::ahead;
use super::{Broken, RECEIVE_MAX};

/// Times in a row that nothing is acknowledged until the other side counts as
/// gone.
const TIMEOUTS_MAX: u32 = 6;

/// The same after the application has closed: only the end of the stream, and
/// what was written before it, is still on its way.
const CLOSING_MAX: Duration = Duration::from_secs(3);

/// How far the number in a reset may be off: anybody can send one.
const RESET_RANGE: i32 = 256;

/// The two connection ids of BEP 29.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    /// In packets to us.
    pub(super) receive: u16,
    /// In packets from us, but for the call itself.
    pub(super) send: u16,
}

/// What the application can expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Our call was not answered yet.
    Calling,
    /// Both directions are open, as far as neither side has ended its own.
    Open,
    /// The application has closed; what is left is to tell the other side.
    Closing {
        /// When it is not told any more.
        until: Instant,
    },
    /// At its end before its time.
    Broken(Broken),
    /// Nothing is left to do.
    Over,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    ids: Ids,
    phase: Phase,
    /// Zero of our clock in packets.
    epoch: Instant,
    outbox: Outbox,
    inbox: Inbox,
    congestion: Congestion,
    /// Bytes the other side has room for.
    peer_window: usize,
    /// Difference of the clocks at the last packet that came.
    difference: u32,
    /// Our window, as the other side knows it.
    told_window: usize,
    owes_answer: bool,
    resend_at: Option<Instant>,
    timeouts: u32,
    /// A full peer is asked with one byte whether it has room again.
    probes: bool,
    news: bool,
}

impl Connection {
    /// Calls somebody; our first packet has the number `first`.
    pub(super) fn call(ids: Ids, first: u16, epoch: Instant, now: Instant) -> Self {
        let mut connection = Self::new(ids, Phase::Calling, (first, 0), epoch);
        connection.outbox.call(now);
        connection
    }

    /// Answers a call whose first data packet is to be handled next: behind
    /// `last` of theirs, with `first` as the number of our first.
    pub(super) fn answer(ids: Ids, first: u16, last: u16, epoch: Instant) -> Self {
        Self::new(ids, Phase::Open, (first, last), epoch)
    }

    fn new(ids: Ids, phase: Phase, (first, last): (u16, u16), epoch: Instant) -> Self {
        Self {
            ids,
            phase,
            epoch,
            outbox: Outbox::new(first),
            inbox: Inbox::new(last),
            congestion: Congestion::default(),
            peer_window: PAYLOAD_MAX,
            difference: 0,
            told_window: RECEIVE_MAX,
            owes_answer: false,
            resend_at: None,
            timeouts: 0,
            probes: false,
            news: false,
        }
    }

    pub(super) const fn ids(&self) -> Ids {
        self.ids
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the application may find something new since it last asked.
    pub(super) const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// When [`Connection::look_at_clock`] has something to do.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        match self.phase {
            Phase::Broken(_) | Phase::Over => None,
            Phase::Closing { until } => Some(self.resend_at.map_or(until, |at| at.min(until))),
            Phase::Calling | Phase::Open => self.resend_at,
        }
    }

    /// Takes a packet that came for this connection.
    pub(super) fn handle(&mut self, packet: &Packet<'_>, now: Instant) {
        if matches!(self.phase, Phase::Broken(_) | Phase::Over) {
            return;
        }
        let header = &packet.header;
        match header.kind {
            Kind::Reset => return self.reset(header.acknowledged),
            // Our answer was lost.
            Kind::Syn => {
                self.owes_answer = true;
                return;
            }
            Kind::Data | Kind::Fin | Kind::State => {}
        }
        let Some(packets) = self.outbox.judge(header.acknowledged) else {
            return;
        };
        if self.phase == Phase::Calling {
            if header.kind != Kind::State || packets != 1 {
                return;
            }
            // The answer has the number that the first data will have.
            self.inbox = Inbox::new(header.sequence.wrapping_sub(1));
            self.phase = Phase::Open;
            self.news = true;
        }
        self.difference = self.micros(now).wrapping_sub(header.timestamp);
        // One that is only late tells an old window and old gaps.
        if let Ok(packets) = usize::try_from(packets) {
            self.peer_window = usize::try_from(header.window).unwrap_or(usize::MAX);
            self.acknowledge(packets, packet, now);
            // A full peer that answers is not gone.
            if header.window == 0 {
                self.timeouts = 0;
            }
        }
        if header.kind != Kind::State {
            self.receive(packet);
        }
        self.end_if_done();
    }

    fn acknowledge(&mut self, packets: usize, packet: &Packet<'_>, now: Instant) {
        let flight = self.outbox.in_flight();
        let repeats = packet.header.kind == Kind::State && packet.selective.is_empty();
        let told = self
            .outbox
            .acknowledge(packets, packet.selective, repeats, now);
        if told.packets > 0 {
            self.timeouts = 0;
            self.resend_at = None;
            self.news = true;
        }
        if let Some(round_trip) = told.round_trip {
            self.congestion.note_round_trip(round_trip);
        }
        if told.packets > 0 {
            self.congestion.progress();
        }
        let difference = packet.header.difference;
        self.congestion
            .acknowledged(told.bytes, flight, difference, now);
        if told.lost {
            self.congestion.lost(now);
        }
    }

    fn receive(&mut self, packet: &Packet<'_>) {
        let before = (self.inbox.available(), self.inbox.has_ended());
        let ends = packet.header.kind == Kind::Fin;
        self.inbox
            .take(packet.header.sequence, packet.payload, ends);
        self.owes_answer = true;
        self.news |= before != (self.inbox.available(), self.inbox.has_ended());
    }

    /// A reset must know about where our numbers are.
    fn reset(&mut self, acknowledged: u16) {
        if ahead(acknowledged, self.outbox.next()).abs() > RESET_RANGE {
            return;
        }
        self.phase = match self.phase {
            Phase::Closing { .. } => Phase::Over,
            Phase::Calling => Phase::Broken(Broken::Refused),
            _ => Phase::Broken(Broken::Reset),
        };
        self.news = true;
    }

    /// Reads what has arrived: `None` when there is nothing yet, 0 at the end
    /// of the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let read = self.inbox.read(buffer);
        if read == 0 {
            return self.inbox.has_ended().then_some(0);
        }
        // The other side waits when it knows of less than two packets' room.
        if self.told_window < 2 * PAYLOAD_MAX && self.inbox.window() >= RECEIVE_MAX / 2 {
            self.owes_answer = true;
        }
        Some(read)
    }

    /// Bytes that arrived and were not read.
    #[cfg(test)]
    pub(super) fn unread(&self) -> usize {
        self.inbox.available()
    }

    /// Takes bytes to send, as many as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        self.outbox.write(bytes)
    }

    /// The application is done: nothing is read any more, and the other side
    /// is told behind what was written.
    pub(super) fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Open => {
                self.inbox.discard();
                self.outbox.finish();
                self.phase = Phase::Closing {
                    until: now + CLOSING_MAX,
                };
            }
            Phase::Closing { .. } => {}
            Phase::Calling | Phase::Broken(_) | Phase::Over => self.phase = Phase::Over,
        }
    }

    /// Both sides have ended and know it of each other.
    fn end_if_done(&mut self) {
        let closing = matches!(self.phase, Phase::Closing { .. });
        // Our answer to their end goes out with the next flush.
        if closing && self.outbox.is_finished() && self.inbox.has_ended() && !self.owes_answer {
            self.phase = Phase::Over;
        }
    }

    /// Sends again what was not acknowledged in time.
    pub(super) fn look_at_clock(&mut self, now: Instant) {
        if let Phase::Closing { until } = self.phase
            && until <= now
        {
            self.phase = Phase::Over;
            return;
        }
        if self.resend_at.is_none_or(|at| at > now) {
            return;
        }
        self.resend_at = None;
        self.timeouts += 1;
        if self.timeouts > TIMEOUTS_MAX {
            self.phase = match self.phase {
                Phase::Closing { .. } => Phase::Over,
                _ => Phase::Broken(Broken::TimedOut),
            };
            self.news = true;
            return;
        }
        self.probes = self.outbox.in_flight() == 0;
        self.congestion.timed_out();
        self.outbox.lose_all();
    }

    /// Appends the datagrams that are to be sent now.
    pub(super) fn flush(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if matches!(self.phase, Phase::Broken(_) | Phase::Over) {
            return;
        }
        let template = self.header(now);
        let selective = self.inbox.selective();
        let window = self.congestion.window();
        let mut room = self.peer_window;
        if std::mem::replace(&mut self.probes, false) {
            room = room.max(1);
        }
        let mut answered = false;
        while let Some((kind, sequence, payload)) = self.outbox.take(window, room, now) {
            let connection = match kind {
                Kind::Syn => self.ids.receive,
                _ => self.ids.send,
            };
            let header = Header {
                kind,
                connection,
                sequence,
                ..template
            };
            out.push(encode(&header, &[], payload));
            answered = true;
        }
        if self.owes_answer && (!answered || !selective.is_empty()) {
            let sequence = self.outbox.next();
            let header = Header {
                sequence,
                ..template
            };
            out.push(encode(&header, &selective, &[]));
            answered = true;
        }
        if answered {
            self.owes_answer = false;
            self.told_window = self.inbox.window();
        }
        if !self.outbox.is_pending() {
            self.resend_at = None;
        } else if self.resend_at.is_none() {
            self.resend_at = Some(now + self.congestion.timeout());
        }
        self.end_if_done();
    }

    fn header(&self, now: Instant) -> Header {
        Header {
            kind: Kind::State,
            connection: self.ids.send,
            timestamp: self.micros(now),
            difference: self.difference,
            window: u32::try_from(self.inbox.window()).unwrap_or(u32::MAX),
            sequence: self.outbox.next(),
            acknowledged: self.inbox.last(),
        }
    }

    fn micros(&self, now: Instant) -> u32 {
        micros_since(self.epoch, now)
    }
}

/// Our clock in packets: microseconds that wrap around.
pub(super) fn micros_since(epoch: Instant, now: Instant) -> u32 {
    let micros = now.saturating_duration_since(epoch).as_micros();
    u32::try_from(micros & u128::from(u32::MAX)).unwrap_or(0)
}
