//! What follows from the call of a peer that told where it listens: it is
//! visited there later, or never more; where it got to may make us stay with it
//! at its next call. Caller threads, behind the record of the call, so that the
//! ledger knows the caller before its first visit.

use crate::config::settings::Identity;
use crate::model::PeerKey;

use super::engine::Engine;
use super::visit::Report;

impl Engine {
    /// The call of `key` counted; its port is the one that it called from.
    pub(super) fn follow_up(&self, key: PeerKey, report: &Report) {
        let heard = report.heard.as_ref();
        let port = heard.and_then(|heard| heard.handshake.as_ref()?.port);
        let (Some(heard), Some(port)) = (heard, port) else {
            return;
        };
        if self.settings.identity != Identity::Extended {
            return;
        }
        let Some(torrent) = self.directory.by_id(key.torrent) else {
            return;
        };
        let listens = key.at_port(port);
        let reached = heard.pieces.count() >= torrent.threshold;
        if self.settings.active && reached {
            self.scheduler.finish(listens);
        } else if self.settings.active {
            let due = self.clock.now() + self.settings.policy.revisit_delay;
            self.scheduler.call_back(listens, due);
        }
        // Of whom the queue does not know (barred, or beyond the room of the
        // torrent) nothing is kept.
        let kept = !self.settings.active || self.scheduler.knows(&listens);
        if let Some(told) = heard
            .below
            .filter(|_| !reached && kept && self.settings.stay.is_some())
        {
            let revisits = self.scheduler.revisits();
            revisits.heard_call(listens, told.pieces, told.at);
        }
    }
}
