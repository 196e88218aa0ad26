//! The end of a run: last rows, last files, one plain database.

use std::time::Duration;

use super::{Summary, Writer, fact_rows, log_failure};
use crate::storage::calibration;

impl Writer {
    /// Everything after the last record.
    pub(super) fn finish(mut self) -> Summary {
        self.ledger.finish(self.clock.timestamp(), &mut self.rows);
        self.queue_rows();
        let left = self.drain(self.patience.at_end);
        self.write_error_files();
        if self.settings.calibration {
            self.write_calibration();
        }
        self.close_manifest();
        self.drain(left);
        log_failure(self.write_manifest());
        self.progress.set_waiting(0);
        self.close()
    }

    /// Commits all waiting rows, or gives up when the pauses exceed `left`;
    /// returns what remains of it.
    fn drain(&mut self, mut left: Duration) -> Duration {
        loop {
            self.commit();
            let now = self.clock.now();
            let Some(due) = self.due else { return left };
            let pause = due.saturating_duration_since(now);
            if pause > left {
                self.progress.add_lost(self.pending.give_up());
                self.due = None;
                return Duration::ZERO;
            }
            left -= pause;
            std::thread::sleep(pause);
        }
    }

    fn write_calibration(&self) {
        let waits = match self.database.longest_waits() {
            Ok(waits) => waits,
            Err(error) => {
                log::error!("calibration files not written reason=\"{error}\"");
                return;
            }
        };
        let cut = self.settings.calibration_cut;
        let text = calibration::calibration_text(&waits, cut);
        let path = self.stem.with_suffix("_timeout.txt");
        log_failure(super::files::replace(&path, text.as_bytes()));
        let path = self.stem.with_suffix("_timeout.svg");
        log_failure(calibration::draw_histogram(&path, &waits, cut));
    }

    fn close_manifest(&mut self) {
        let now = self.clock.timestamp().to_string();
        self.facts.entry("stop").or_insert(now);
        let ended = self.facts.entry("ended").or_default();
        if ended.is_empty() || ended == "running" {
            "unknown".clone_into(ended);
        }
        self.facts.insert("state", "finished".to_owned());
        let lost = self.progress.lost().to_string();
        self.facts.insert("rows_lost", lost);
        self.rows.extend(fact_rows(&self.facts));
        self.queue_rows();
    }

    fn close(self) -> Summary {
        let plain = self.make_plain();
        let path = self.database.path().to_owned();
        if let Err(error) = self.database.close() {
            log::warn!(
                "database not closed reason=\"{error}\" path={}",
                path.display()
            );
        }
        let totals = self.ledger.totals();
        Summary {
            rows: self.progress.rows(),
            lost: self.progress.lost(),
            peers: totals.peers,
            visits: totals.visits,
            confirmed: totals.confirmed.iter().sum(),
            ended: self.facts.get("ended").cloned().unwrap_or_default(),
            plain,
        }
    }

    /// A reader's open transaction is in the way: wait for it, but not for
    /// ever. The data are complete either way.
    fn make_plain(&self) -> bool {
        let mut waited = Duration::ZERO;
        loop {
            match self.database.make_plain() {
                Ok(true) => return true,
                Ok(false) if waited < self.patience.at_end => {
                    waited += PLAIN_PAUSE;
                    std::thread::sleep(PLAIN_PAUSE);
                }
                Ok(false) => {
                    log::warn!(
                        "database keeps its write-ahead log, because another program reads it: copy the files .sqlite, .sqlite-wal and .sqlite-shm together path={}",
                        self.database.path().display()
                    );
                    return false;
                }
                Err(error) => {
                    log::warn!("database keeps its write-ahead log reason=\"{error}\"");
                    return false;
                }
            }
        }
    }
}

/// Between two attempts to make one plain file.
const PLAIN_PAUSE: Duration = Duration::from_millis(100);
