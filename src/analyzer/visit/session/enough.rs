//! When a visit has heard enough. Called by the session on its thread.

use super::Session;
use crate::analyzer::evaluate::{End, Heard};
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
        let complete = heard.told && heard.pieces.is_complete();
        let known = settings.finish_when_complete && complete && !heard.awaits_handshake();
        if known && !heard.awaits_exchange() {
            Some(End::Complete)
        } else if known && heard.counts.total < self.message_limit {
            let now = self.visitor.clock.now();
            self.linger
                .get_or_insert(Deadline::after(now, settings.exchange_wait));
            None
        } else if heard.counts.total >= self.message_limit {
            Some(End::MessageLimit)
        } else {
            None
        }
    }
}
