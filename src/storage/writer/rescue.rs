//! After a defect of the writer: what it had taken is stored, and the files
//! say what happened.
//!
//! The ledger may have been left in the middle of a record. It is not asked
//! for anything new, so no wrong number is stored: what waits in the channel
//! is counted as lost.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::Receiver;

use super::{Writer, fact_rows, log_failure};
use crate::model::record::Record;

impl Writer {
    /// Stores what waits. A second defect on the way ends only the step that
    /// it is in.
    pub(super) fn rescue(&mut self, records: &Receiver<Record>) {
        self.rows.clear();
        let unread = records.try_iter().filter(is_measured).count();
        if unread > 0 {
            log::error!(
                target: "critical",
                "records lost: the writer had not read them when it ended records={unread}"
            );
        }
        let now = self.clock.timestamp().to_string();
        self.facts.entry("stop").or_insert(now);
        self.facts.insert("ended", ENDED.to_owned());
        self.facts.insert("state", STATE.to_owned());
        self.facts.insert("records_lost", unread.to_string());
        for step in STEPS {
            if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
                log::error!(target: "critical", "the writer could not store all that it had taken");
            }
        }
    }

    fn store_waiting(&mut self) {
        self.pending.push(fact_rows(&self.facts), self.clock.now());
        let end = self.clock.now() + self.patience.replay_at_end;
        self.drain(self.patience.at_end, end);
    }

    fn leave_waiting(&mut self) {
        let lost = self.pending.leave(self.clock.now());
        self.progress.add_lost(lost);
        self.note_spool();
    }

    fn last_manifest(&mut self) {
        log_failure(self.write_manifest());
    }

    fn last_plain(&mut self) {
        if self.database.is_at_home() {
            self.make_plain(self.patience.at_end);
        }
    }
}

/// Facts of the manifest are no measurements, and a tick only sums them up.
fn is_measured(record: &Record) -> bool {
    !matches!(record, Record::Manifest { .. } | Record::Tick(_))
}

/// In this order, so that a file never says more than the database holds.
const STEPS: [fn(&mut Writer); 5] = [
    Writer::store_waiting,
    Writer::leave_waiting,
    Writer::write_error_files,
    Writer::last_manifest,
    Writer::last_plain,
];

/// The fact `ended` of the manifest.
const ENDED: &str = "the writer ended by a defect";
/// The fact `state`.
const STATE: &str = "broken";
