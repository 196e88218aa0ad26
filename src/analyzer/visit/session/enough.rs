//! When a visit has heard enough. Called by the session on its thread.

use std::time::Duration;

use super::Session;
use crate::analyzer::evaluate::{End, Heard, OPENING};
use crate::deadline::Deadline;

impl Session<'_> {
    /// What came behind the last message of a visit is the first of a stay.
    pub(super) fn keep_rest(&mut self, end: End, rest: &[u8]) -> End {
        if end == End::MessageLimit && self.visitor.observe.is_some() {
            self.unread = rest.to_vec();
        }
        end
    }

    /// The end, when nothing more needs to be heard.
    pub(super) fn is_enough(&mut self, heard: &Heard) -> Option<End> {
        let settings = self.visitor.settings;
        let known = self.is_known(heard);
        if let Some(look) = self.visitor.look()
            && let Some(since) = heard.told_since()
        {
            // Again with each message, as long as it can be part of the first word.
            let now = self.visitor.clock.now();
            let over = Deadline::after(since, OPENING);
            self.linger = Some(Deadline::after(now, look).earlier(over));
        }
        if known && !heard.awaits_exchange() {
            Some(End::Complete)
        } else if known && heard.counts.total < self.message_limit {
            self.linger_for(settings.exchange_wait);
            None
        } else if heard.counts.total >= self.message_limit {
            Some(End::MessageLimit)
        } else {
            None
        }
    }

    /// Whether the peer is complete, and all that it has to say for itself was
    /// heard.
    fn is_known(&self, heard: &Heard) -> bool {
        let complete = heard.told && heard.pieces.is_complete();
        self.visitor.settings.finish_when_complete && complete && !heard.awaits_handshake()
    }

    fn linger_for(&mut self, time: Duration) {
        let now = self.visitor.clock.now();
        self.linger.get_or_insert(Deadline::after(now, time));
    }

    /// What it means that nothing came any more while there was no need.
    pub(super) fn lingered(&self, heard: &Heard) -> End {
        if self.is_known(heard) {
            End::Complete
        } else {
            End::Look
        }
    }
}
