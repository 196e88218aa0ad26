//! Packets of no connection that there is: calls, the first bytes of callers,
//! and what is left of connections that have ended.

use std::time::{Duration, Instant};

use super::super::RECEIVE_MAX;
use super::super::connection::{Connection, Ids, micros_since};
use super::super::cookie::Claim;
use super::super::packet::{Header, Kind, Packet, encode};
use super::{Endpoint, Key, Outgoing};
use crate::model::PeerAddress;

/// Resets for unknown connections and answers to calls: so many at once, and
/// as many for each second.
const ANSWERS_PER_SECOND: u32 = 2_000;

impl Endpoint {
    /// A packet of no connection that there is.
    pub(super) fn stranger(&mut self, from: PeerAddress, packet: &Packet<'_>, now: Instant) {
        let header = &packet.header;
        match header.kind {
            Kind::Reset => self.counts.unknown += 1,
            Kind::Syn => self.answer_call(from, header, now),
            Kind::Data | Kind::Fin | Kind::State => {
                let (id, sequence) = (header.connection, header.sequence);
                let key = Key { address: from, id };
                let claim = self.secret.claim(from, id, sequence, header.acknowledged);
                let call = claim.behind().map(|behind| sequence.wrapping_sub(behind));
                let over = call.is_some_and(|call| self.recent.contains(&(key, call), now));
                match claim {
                    Claim::First(ours) if !over && !packet.payload.is_empty() => {
                        self.let_in(key, ours, packet, now);
                    }
                    Claim::First(_) | Claim::Later(_) if !over => {}
                    _ => {
                        self.counts.unknown += 1;
                        self.send_reset(from, header, now);
                    }
                }
            }
        }
    }

    fn answer_call(&mut self, from: PeerAddress, call: &Header, now: Instant) {
        if self.callers >= self.limits.callers || self.entries.len() >= self.limits.total {
            self.counts.turned_away += 1;
            return;
        }
        let id = call.connection.wrapping_add(1);
        let answer = Header {
            kind: Kind::State,
            connection: call.connection,
            sequence: self.secret.number(from, id, call.sequence),
            acknowledged: call.sequence,
            ..self.greeting(call, now)
        };
        self.answer(from, &answer, now);
    }

    fn send_reset(&mut self, from: PeerAddress, cause: &Header, now: Instant) {
        let reset = Header {
            kind: Kind::Reset,
            connection: cause.connection,
            sequence: self.random(),
            acknowledged: cause.sequence,
            window: 0,
            ..self.greeting(cause, now)
        };
        self.answer(from, &reset, now);
    }

    fn greeting(&self, to: &Header, now: Instant) -> Header {
        let timestamp = micros_since(self.epoch, now);
        Header {
            timestamp,
            difference: timestamp.wrapping_sub(to.timestamp),
            window: u32::try_from(RECEIVE_MAX).unwrap_or(u32::MAX),
            ..*to
        }
    }

    fn answer(&mut self, to: PeerAddress, header: &Header, now: Instant) {
        if self.answers.take(now) {
            let bytes = encode(header, &[], &[]);
            self.packets.push(Outgoing { to, bytes });
        }
    }

    fn let_in(&mut self, key: Key, ours: u16, packet: &Packet<'_>, now: Instant) {
        let full = self.callers >= self.limits.callers
            || self.waiting.len() >= self.limits.backlog
            || self.entries.len() >= self.limits.total;
        if full {
            self.counts.turned_away += 1;
            return;
        }
        let ids = Ids {
            receive: key.id,
            send: key.id.wrapping_sub(1),
        };
        let call = packet.header.sequence.wrapping_sub(1);
        let mut connection = Connection::answer(ids, ours, call, self.epoch);
        connection.handle(packet, now);
        self.counts.callers += 1;
        self.enter(key, connection, Some(call));
        self.waiting.push_back(key);
        self.settle(key, now);
    }
}

/// Answers to strangers that may still be sent.
pub(super) struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            left: ANSWERS_PER_SECOND,
            since: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}
