//! Rows that wait for their commit, and what becomes of those that never
//! make it.
//!
//! Order is kept: what was spooled to disk is older than what is in memory.
//!
//! ```text
//! record ──▶ memory ──────────────────────▶ SQLite
//!              └─ full ─▶ spool ─▶ read back ─▶┘
//! ```

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Patience;
use crate::storage::database::WriteError;
use crate::storage::lost::log_lost;
use crate::storage::queue::{Batch, Queue};
use crate::storage::row::Row;
use crate::storage::spool::{Mark, NO_PEER, Spool};

/// Most that is kept in memory while the database takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryLimit {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Bounded queue of computed rows.
#[derive(Debug)]
pub(super) struct Pending {
    memory: Queue,
    read_back: Queue,
    spool: Spool,
    limit: MemoryLimit,
    /// Not before this time again, after the spool could not be written.
    spool_again: Option<Instant>,
    /// Failed attempts in a row.
    failures: u32,
    pause: Duration,
}

/// The next transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct NextBatch {
    batch: Batch,
    mark: Option<Mark>,
}

impl NextBatch {
    pub(super) const fn rows(&self) -> usize {
        self.batch.rows
    }

    pub(super) const fn mark(&self) -> Option<Mark> {
        self.mark
    }
}

impl Pending {
    pub(super) fn new(limit: MemoryLimit, spool: Spool) -> Self {
        Self {
            memory: Queue::default(),
            read_back: Queue::default(),
            spool,
            limit,
            spool_again: None,
            failures: 0,
            pause: Duration::ZERO,
        }
    }

    /// Rows in memory that were not on disk.
    pub(super) fn in_memory(&self) -> usize {
        self.memory.len()
    }

    /// Rows that were spooled and are not stored.
    pub(super) fn in_spool(&self) -> u64 {
        self.spool.rows() + self.read_back.len() as u64
    }

    /// All rows that wait.
    pub(super) fn len(&self) -> u64 {
        self.in_spool() + self.memory.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.records() == 0 && self.spool.is_empty()
    }

    /// Rows ever spooled.
    pub(super) const fn spooled_ever(&self) -> u64 {
        self.spool.rows_ever()
    }

    /// The spool's files.
    pub(super) fn spool_files(&self) -> Vec<PathBuf> {
        self.spool.paths().collect()
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether more than the open batch waits.
    pub(super) fn is_behind(&self) -> bool {
        self.is_failing() || !self.spool.is_empty()
    }

    /// Takes the rows of one record; returns how many were lost because
    /// neither memory nor spool had room.
    pub(super) fn push(&mut self, record: impl IntoIterator<Item = Row>, now: Instant) -> u64 {
        self.memory.push(record);
        if !(self.is_behind() && self.is_over()) {
            return 0;
        }
        self.spill(now);
        let mut lost = 0;
        while self.is_over()
            && let Some(rows) = self.memory.pop_newest()
        {
            for row in &rows {
                log_lost(row, NO_ROOM);
            }
            lost += rows.len() as u64;
        }
        lost
    }

    fn is_over(&self) -> bool {
        self.memory.len() > self.limit.rows || self.memory.bytes() > self.limit.bytes
    }

    /// Moves memory to the spool, unless that failed a moment ago.
    fn spill(&mut self, now: Instant) {
        if self.spool_again.is_some_and(|again| now < again) {
            return;
        }
        let failed = self.spool.append(&mut self.memory).err();
        if let (Some(error), None) = (&failed, self.spool_again) {
            log::error!(
                "waiting rows cannot be spooled, those beyond {} in memory are lost: make room, or choose another storage.spool_folder reason=\"{error}\"",
                self.limit.rows
            );
        }
        self.spool_again = failed.map(|_| now + SPOOL_PAUSE);
    }

    /// The rows of the next transaction: whole records of `most` rows
    /// together, at least one record. An error is one of the spool's disk.
    pub(super) fn next(&mut self, most: usize) -> io::Result<(NextBatch, u64)> {
        let mut lost = 0;
        if self.read_back.records() == 0 {
            lost = self.spool.read(most, &mut self.read_back)?;
        }
        if self.read_back.records() == 0 {
            let batch = self.memory.front(most);
            return Ok((NextBatch { batch, mark: None }, lost));
        }
        let batch = self.read_back.front(most);
        let left = self.read_back.records() - batch.records;
        let mark = self.spool.mark(left);
        Ok((NextBatch { batch, mark }, lost))
    }

    /// The rows of `next`.
    pub(super) fn rows(&self, next: &NextBatch) -> impl Iterator<Item = &Row> + Clone {
        self.source(next).first(next.batch.rows)
    }

    fn source(&self, next: &NextBatch) -> &Queue {
        match next.mark {
            Some(_) => &self.read_back,
            None => &self.memory,
        }
    }

    fn source_mut(&mut self, next: &NextBatch) -> &mut Queue {
        match next.mark {
            Some(_) => &mut self.read_back,
            None => &mut self.memory,
        }
    }

    /// The rows of `next` are stored, but for those at `without_effect`;
    /// returns how many are lost by that.
    pub(super) fn stored(&mut self, next: &NextBatch, without_effect: &[usize]) -> u64 {
        let source = self.source(next);
        for row in without_effect.iter().filter_map(|place| source.row(*place)) {
            log_lost(row, NO_PEER);
        }
        self.source_mut(next).drop_front(next.batch);
        if self.read_back.records() == 0 {
            self.spool.remove_finished();
        }
        if self.is_failing() {
            log::info!(
                "database takes rows again attempts={} waiting={}",
                self.failures,
                self.len()
            );
        }
        self.failures = 0;
        self.pause = Duration::ZERO;
        without_effect.len() as u64
    }

    /// A transaction was rolled back. Returns whether to go on at once, with
    /// the offending row gone, and how many rows are lost by that.
    pub(super) fn refused(&mut self, next: &NextBatch, failed: &WriteError) -> (bool, u64) {
        if let (false, Some(place)) = (failed.passing, failed.row)
            && let Some(row) = self.source_mut(next).remove(place)
        {
            log_lost(&row, &failed.error.to_string());
            return (true, 1);
        }
        self.failed("database refuses rows", &failed.error);
        (false, 0)
    }

    /// The spool could not be read back.
    pub(super) fn unreadable(&mut self, error: &io::Error) {
        self.failed("spool file cannot be read", error);
    }

    fn failed(&mut self, what: &str, error: &dyn std::error::Error) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            log::warn!(
                "{what}, they are kept and written again reason=\"{error}\" waiting={}",
                self.len()
            );
        }
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self, patience: &Patience) -> Duration {
        self.pause = if self.pause.is_zero() {
            patience.first_pause
        } else {
            self.pause.saturating_mul(2).min(patience.longest_pause)
        };
        self.pause
    }

    /// The end: what is in memory goes to the spool, which stays. Returns how
    /// many rows neither disk took.
    pub(super) fn leave(&mut self, now: Instant) -> u64 {
        self.spool_again = None;
        self.spill(now);
        let lost = self.spool.forget_missing();
        if lost > 0 {
            log::error!(target: "critical", "rows lost: their spool file was deleted rows={lost}");
        }
        let rest = self.memory.front(usize::MAX);
        for row in self.memory.first(rest.rows) {
            log_lost(row, AT_END);
        }
        self.memory.drop_front(rest);
        lost + rest.rows as u64
    }
}

/// Between two attempts to write a spool that could not be written.
const SPOOL_PAUSE: Duration = Duration::from_secs(2);
const NO_ROOM: &str = "the database refuses rows and there is no room for them";
const AT_END: &str = "the database refused rows until the end of the run";
