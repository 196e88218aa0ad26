//! What visits and failed contacts mean for the counts.

use super::super::row::{Row, kinds};
use super::Ledger;
use super::peers::Taken;
use crate::model::record::{Failure, MessageCounts, Visit};
use crate::model::{Direction, Event, Reason, Source};

impl Ledger {
    pub(super) fn visit(&mut self, visit: &mut Visit, rows: &mut Vec<Row>) {
        let Some(torrent) = self.torrent(visit.peer.torrent) else {
            return;
        };
        self.count_messages(&visit.messages);
        if let Some(reason) = visit.takes_back {
            self.errors.take_back(reason, rows);
        }
        let direction = visit.direction;
        let named = direction == Direction::Outgoing && visit.source != Source::Incoming;
        let listed = named.then_some(visit.before);
        match self.peers.take(visit, &torrent, self.geo.as_ref(), rows) {
            Taken::Refused => {
                self.count_failure(Event::IncomingPeer, Reason::AlreadyInOutgoing, rows);
            }
            Taken::Stored {
                first,
                caller,
                named_too,
                evidence: (before, now),
            } => {
                if first || named_too {
                    self.evidence.rise(torrent.id, listed, None);
                }
                self.evidence.rise(torrent.id, before, Some(now));
                self.outcomes.success(match (direction, first) {
                    (Direction::Incoming, _) => Event::IncomingPeer,
                    (Direction::Outgoing, true) => Event::FirstContact,
                    (Direction::Outgoing, false) => Event::LaterContact,
                });
                if named_too {
                    let reason = Reason::AlreadyInIncoming;
                    self.errors.add(Event::FirstContact, reason, rows);
                }
                if let Some(callers) = self.callers.get_mut(torrent.id.index())
                    && caller
                {
                    callers.received += 1;
                    callers.duplicates += u64::from(!first);
                }
            }
        }
    }

    pub(super) fn failure(&mut self, failure: &Failure, rows: &mut Vec<Row>) {
        if let Some(reason) = failure.takes_back {
            self.errors.take_back(reason, rows);
        }
        if let Some(step) = failure.step {
            self.evidence.step(step);
        }
        if let Some(messages) = &failure.messages {
            self.count_messages(messages);
        }
        self.count_failure(failure.event, failure.reason, rows);
    }

    fn count_failure(&mut self, event: Event, reason: Reason, rows: &mut Vec<Row>) {
        self.errors.add(event, reason, rows);
        self.outcomes.failure(event, reason);
    }

    fn count_messages(&mut self, messages: &MessageCounts) {
        for (sum, (_, count)) in self.messages.iter_mut().zip(kinds(messages)) {
            *sum += u64::from(count);
        }
    }
}
