//! One turn of the thread: what has come is taken, what is due is committed.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::Writer;
use crate::model::record::Record;

impl Writer {
    /// Waits for a record or for the next commit; `false` when no record will
    /// come any more.
    pub(super) fn turn(&mut self, records: &Receiver<Record>) -> bool {
        if self.ended {
            return false;
        }
        match self.wait(records) {
            Ok(record) => {
                let waiting = waiting(&record, records);
                self.take(record, waiting);
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

    /// The next record; `Timeout` when the next commit is due before one
    /// comes.
    ///
    /// While rows wait for their commit, what comes may wait a little too.
    /// The thread then looks for it by itself: a thread that waits in the
    /// channel has to be woken for each record, which costs the contact
    /// workers more than anything else that they do for it.
    fn wait(&self, records: &Receiver<Record>) -> Result<Record, RecvTimeoutError> {
        let Some(due) = self.due else {
            return records.recv_timeout(IDLE);
        };
        let mut left = due.saturating_duration_since(self.clock.now());
        if records.capacity().is_some_and(|room| room < ROOM_TO_GATHER) {
            return records.recv_timeout(left);
        }
        loop {
            match records.try_recv() {
                Ok(record) => return Ok(record),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if left.is_zero() => {
                    return Err(RecvTimeoutError::Timeout);
                }
                Err(TryRecvError::Empty) => {}
            }
            let pause = left.min(GATHER);
            std::thread::sleep(pause);
            left -= pause;
        }
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
            let waiting = waiting(&record, records);
            self.take(record, waiting);
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

/// Records in the channel behind a tick. Nobody else tells it, and asking
/// stops those who send for a moment.
fn waiting(record: &Record, records: &Receiver<Record>) -> usize {
    match record {
        Record::Tick(_) => records.len(),
        _ => 0,
    }
}

/// Between two looks for records while rows wait: in this time come fewer
/// than the channel takes.
const GATHER: Duration = Duration::from_millis(20);
/// Records for which the channel has room at least, if they are to gather in
/// it; in a smaller one, who sends them would wait.
const ROOM_TO_GATHER: usize = 1000;
/// Wait while no row waits.
const IDLE: Duration = Duration::from_secs(3600);
/// Rows that one visit changes at most: peer, place, visit, crossing and the
/// error that it takes back.
const RECORD_ROWS: usize = 5;
/// Records taken in between two transactions at most.
const RECORDS_AT_ONCE: usize = 4096;
