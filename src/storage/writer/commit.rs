//! From waiting rows to transactions, and when the next one is due.

use std::time::Duration;

use super::Writer;

impl Writer {
    pub(super) fn queue_rows(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let now = self.clock.now();
        let lost = self.pending.push(self.rows.drain(..), now);
        self.progress.add_lost(lost);
        if self.due.is_none() {
            self.due = Some(now + self.settings.batch_interval);
        }
    }

    pub(super) fn show(&self) {
        self.progress.set_waiting(self.pending.len());
        self.progress
            .set_spooled(self.pending.in_spool(), self.pending.spooled_ever());
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= self.clock.now())
    }

    /// Stores waiting rows, a batch at a time, until none is left, a batch
    /// fails, or records should be taken in again; then sets when to go on.
    pub(super) fn commit(&mut self) {
        for _ in 0..BATCHES_AT_ONCE {
            if self.pending.is_empty() {
                self.due = None;
                return;
            }
            if !self.commit_batch() {
                // Records wait in the channel while a statement waits.
                self.database.set_busy_timeout(SHORT_WAIT);
                let pause = self.pending.pause(&self.patience);
                self.due = Some(self.clock.now() + pause);
                return;
            }
        }
        self.due = Some(self.clock.now());
    }

    /// `false` when the rows stay and have to be written again.
    fn commit_batch(&mut self) -> bool {
        let next = match self.pending.next(self.settings.batch_rows) {
            Ok((next, damaged)) => {
                self.progress.add_lost(damaged);
                next
            }
            Err(error) => {
                self.pending.unreadable(&error);
                return false;
            }
        };
        match self.database.write(self.pending.rows(&next), next.mark()) {
            Ok(without_effect) => {
                if self.pending.is_failing() {
                    self.database.set_busy_timeout(self.patience.statement);
                }
                let lost = self.pending.stored(&next, &without_effect);
                self.progress.add_lost(lost);
                self.progress
                    .committed(next.rows() as u64 - lost, self.clock.timestamp());
                self.progress.set_totals(self.ledger.totals());
                self.show();
                true
            }
            Err(failed) => {
                let (again, lost) = self.pending.refused(&next, &failed);
                self.progress.add_lost(lost);
                again
            }
        }
    }
}

/// For statements while the database takes no rows.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// Transactions between which no record is taken in.
const BATCHES_AT_ONCE: usize = 32;
