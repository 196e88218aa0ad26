//! One turn of the thread: what has come is taken, what is due is committed.

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::Writer;
use crate::model::record::Record;

impl Writer {
    /// Waits for a record or for the next commit; `false` when no record will
    /// come any more.
    pub(super) fn turn(&mut self, records: &Receiver<Record>) -> bool {
        if self.ended {
            return false;
        }
        match records.recv_timeout(self.time_to_commit()) {
            Ok(record) => {
                self.take(record, records.len());
                self.take_more(records);
                if self.is_due() || (!self.has_room() && !self.pending.is_behind()) {
                    self.commit();
                }
            }
            Err(RecvTimeoutError::Timeout) => self.commit(),
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.show();
        true
    }

    /// What a batch has room for; more while rows are spooled or kept, so
    /// that measuring does not wait for a database that does not work.
    fn take_more(&mut self, records: &Receiver<Record>) {
        for _ in 0..RECORDS_AT_ONCE {
            if self.ended || !(self.has_room() || self.pending.is_behind()) {
                return;
            }
            let Ok(record) = records.try_recv() else {
                return;
            };
            self.take(record, records.len());
        }
    }

    /// Whether a batch has room for the rows of one more record. A record
    /// that went beyond it would leave a row or two for a transaction of
    /// their own, which costs as much as a whole batch.
    fn has_room(&self) -> bool {
        let batch = self.settings.batch_rows;
        let spare = RECORD_ROWS.min(batch / 10);
        self.pending.in_memory() < batch.saturating_sub(spare)
    }
}

/// Rows that one visit changes at most: peer, place, visit, crossing and the
/// error that it takes back.
const RECORD_ROWS: usize = 5;
/// Records taken in between two transactions at most.
const RECORDS_AT_ONCE: usize = 4096;
