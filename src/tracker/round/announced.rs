//! An announce between its peers and its record. On the requester's thread.

use crossbeam_channel::Sender;

use crate::model::record::{Announce, Record};
use crate::tracker::requester::Ended;

/// An announce whose peers are handed on. It is recorded whatever happens
/// behind that, even a panic: no peer comes without its request.
pub(super) struct Announced {
    pub(super) announce: Announce,
    records: Sender<Record>,
    owed: bool,
}

impl Announced {
    /// To be recorded in `records`, at the latest when dropped.
    pub(super) const fn owed(announce: Announce, records: Sender<Record>) -> Self {
        Self {
            announce,
            records,
            owed: true,
        }
    }

    /// Records it now.
    pub(super) fn record(mut self) -> Result<(), Ended> {
        self.send()
    }

    fn send(&mut self) -> Result<(), Ended> {
        if !std::mem::take(&mut self.owed) {
            return Ok(());
        }
        let record = Record::Announce(Box::new(self.announce.clone()));
        self.records.send(record).map_err(|_| Ended)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Without a writer there is nothing to keep complete.
        let _ = self.send();
    }
}
