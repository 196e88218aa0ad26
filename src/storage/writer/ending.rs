//! The end of a run: last rows, last files, one plain database.

use std::time::{Duration, Instant};

use super::{Summary, Writer, fact_rows, log_failure};
use crate::storage::{calibration, names};

impl Writer {
    /// Everything after the last record, but for [`Writer::close`]. Returns
    /// what remains of the pauses.
    pub(super) fn finish(&mut self) -> Duration {
        self.ledger.finish(self.clock.timestamp(), &mut self.rows);
        self.queue_rows();
        let end = self.clock.now() + self.patience.replay_at_end;
        let left = self.drain(self.patience.at_end, end);
        let left = self.come_home(left);
        self.write_error_files();
        if self.settings.calibration {
            self.write_calibration();
        }
        self.close_manifest();
        let left = self.drain(left, end);
        let lost = self.pending.leave(self.clock.now());
        self.progress.add_lost(lost);
        self.note_spool();
        log_failure(self.write_manifest());
        self.show();
        left
    }

    /// Commits all waiting rows; leaves them when the pauses exceed `left` or
    /// the time is past `end`. Returns what remains of the pauses.
    pub(super) fn drain(&mut self, mut left: Duration, end: Instant) -> Duration {
        loop {
            self.commit();
            let now = self.clock.now();
            let Some(due) = self.due else { return left };
            let pause = due.saturating_duration_since(now);
            if pause > left || now > end {
                return Duration::ZERO;
            }
            left -= pause;
            std::thread::sleep(pause);
        }
    }

    /// Says in the manifest's file what is not in the database.
    pub(super) fn note_spool(&mut self) {
        let lost = self.progress.lost().to_string();
        self.facts.insert("rows_lost", lost);
        let files = self.pending.spool_files();
        if files.is_empty() {
            return;
        }
        let rows = self.pending.in_spool();
        let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        log::error!(
            "the database did not take all rows until the end: they are in spool files, put them into it when it works again rows={rows} files={}",
            names.join(" ")
        );
        self.facts.insert("rows_in_spool", rows.to_string());
        let names = names.iter().map(|name| &**name);
        let names: serde_json::Value = names.collect();
        self.facts.insert("spool_files", names.to_string());
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
        let spooled = self.pending.spooled_ever().to_string();
        self.facts.insert("rows_spooled", spooled);
        self.rows.extend(fact_rows(&self.facts));
        self.queue_rows();
    }

    /// Puts everything into one plain file and lets go of it.
    pub(super) fn close(mut self, left: Duration) -> Summary {
        let path = self.last_place();
        let plain = self.database.is_at_home() && self.make_plain(left);
        if let Err(error) = self.database.close() {
            log::warn!(
                "database not closed reason=\"{error}\" path={}",
                path.display()
            );
        }
        if self.with_names {
            log_failure(names::write_hosts(&path).map(drop));
        }
        let totals = self.ledger.totals();
        Summary {
            rows: self.progress.rows(),
            lost: self.progress.lost(),
            in_spool: self.pending.in_spool(),
            spool_files: self.pending.spool_files(),
            database: path,
            peers: totals.peers,
            visits: totals.visits,
            confirmed: totals.confirmed.iter().sum(),
            ended: self.facts.get("ended").cloned().unwrap_or_default(),
            plain,
        }
    }

    /// A reader's open transaction is in the way: wait for it, but not for
    /// ever. The data are complete either way.
    pub(super) fn make_plain(&self, mut left: Duration) -> bool {
        loop {
            match self.database.make_plain() {
                Ok(true) => return true,
                Ok(false) if left >= PLAIN_PAUSE => {
                    left -= PLAIN_PAUSE;
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
