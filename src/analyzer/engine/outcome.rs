//! What follows from a contact: its record, its counts and the next one. On
//! contact threads.

use std::time::Instant;

use super::Engine;
use crate::analyzer::policy::{self, Next};
use crate::analyzer::scheduler::queue::Ticket;
use crate::analyzer::visit::Report;
use crate::config::settings::Identity;
use crate::model::record::{EvidenceStep, Failure, MessageCounts, Record};
use crate::model::{Event, Evidence, Reason};

/// What a contact showed although it failed.
#[derive(Debug, Default)]
pub(super) struct Showed {
    evidence: Evidence,
    messages: Option<Box<MessageCounts>>,
}

impl Showed {
    pub(super) fn by(report: &Report) -> Self {
        Self {
            evidence: report.evidence(),
            messages: report.messages(),
        }
    }
}

/// What follows from a contact, worked out but not yet done.
pub(super) struct Outcome {
    pub(super) record: Option<Record>,
    pub(super) failure: Option<Reason>,
    /// The next visit.
    pub(super) again: Option<(Ticket, Instant)>,
}

impl Outcome {
    pub(super) fn failed(engine: &Engine, ticket: Ticket, reason: Reason, showed: Showed) -> Self {
        let event = if ticket.history.successes == 0 && !ticket.is_call_back() {
            Event::FirstContact
        } else {
            Event::LaterContact
        };
        let history = ticket.history.with_failure(reason).showing(showed.evidence);
        let record = Record::Failure(Failure {
            at: engine.clock.timestamp(),
            event,
            reason,
            takes_back: ticket.takes_back(),
            messages: showed.messages,
            step: step(&ticket, history.shown),
        });
        let never = [
            Reason::OwnAddress,
            Reason::ReservedAddress,
            Reason::OptedOut,
        ];
        let policy = &engine.settings.policy;
        let now = engine.clock.now();
        let look = engine.scheduler.revisits().failed_look(&ticket.key, now);
        let again = match look {
            _ if never.contains(&reason) => None,
            // Says nothing of the peer: its attempts are for other visits.
            Some(pause) => engine.again(ticket, ticket.history, Next::Look(pause)),
            None => {
                let next = policy::after_failure(policy, &history);
                engine.again(ticket, history, next)
            }
        };
        Self {
            record: Some(record),
            failure: Some(reason),
            again,
        }
    }

    pub(super) fn settle(self, engine: &Engine, ticket: &Ticket) {
        if self.failure.is_some() {
            engine.stats.contact_failed();
        } else {
            if engine.settings.identity == Identity::Thesis2015 {
                engine.contacted.insert(&ticket.key);
            }
            engine.stats.contact_counted();
        }
        if let Some(record) = self.record {
            engine.record(record);
        }
        engine.scheduler.first_contact_done(ticket);
        if self.failure == Some(Reason::OwnAddress) {
            engine.scheduler.add_own(ticket.key.address);
        }
        match self.again {
            Some((ticket, due)) => engine.scheduler.put_back(ticket, due),
            None => engine.scheduler.revisits().forget(&ticket.key),
        }
    }
}

/// The rise of the address of `ticket` to `now`; who has a row by a call of its
/// own has its class there.
fn step(ticket: &Ticket, now: Evidence) -> Option<EvidenceStep> {
    let before = ticket.history.shown;
    let step = EvidenceStep {
        torrent: ticket.key.torrent,
        before,
        now,
    };
    (now > before && !ticket.is_call_back()).then_some(step)
}
