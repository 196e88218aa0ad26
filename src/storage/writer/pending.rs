//! Rows that wait for their commit, and what becomes of those that never
//! make it. A spool file for what does not fit into memory would go here.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::database::WriteError;
use super::super::lost::lost_statement;
use super::super::row::Row;
use super::Patience;

/// Bounded queue of computed rows.
#[derive(Debug)]
pub(super) struct Pending {
    rows: VecDeque<Row>,
    limit: usize,
    /// Failed attempts in a row.
    failures: u32,
    pause: Duration,
}

impl Pending {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            rows: VecDeque::new(),
            limit,
            failures: 0,
            pause: Duration::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Takes `rows`; returns how many were lost because the queue is full.
    pub(super) fn extend(&mut self, rows: impl Iterator<Item = Row>) -> u64 {
        let mut lost = 0;
        for row in rows {
            if self.rows.len() < self.limit {
                self.rows.push_back(row);
            } else {
                log_lost(&row, "memory for waiting rows is full");
                lost += 1;
            }
        }
        lost
    }

    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = &Row> {
        self.rows.iter().take(count)
    }

    /// The first `count` rows are stored, but for those at `without_effect`;
    /// returns how many of them are lost.
    pub(super) fn stored(&mut self, count: usize, without_effect: &[usize]) -> u64 {
        for &place in without_effect {
            if let Some(row) = self.rows.get(place) {
                log_lost(row, "its peer has no row or its number is taken");
            }
        }
        self.rows.drain(..count.min(self.rows.len()));
        if self.is_failing() {
            log::info!("database takes rows again attempts={}", self.failures);
        }
        self.failures = 0;
        self.pause = Duration::ZERO;
        without_effect.len() as u64
    }

    /// A transaction was rolled back. Returns whether to go on at once, with
    /// the offending row gone, and how many rows are lost by that.
    pub(super) fn refused(&mut self, failed: &WriteError) -> (bool, u64) {
        if let (false, Some(row)) = (failed.passing, failed.row)
            && let Some(row) = self.rows.remove(row)
        {
            log_lost(&row, &failed.error.to_string());
            return (true, 1);
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            log::warn!(
                "database refuses rows, they are kept and written again reason=\"{}\" waiting={}",
                failed.error,
                self.rows.len()
            );
        }
        (false, 0)
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

    /// Gives up on every row; returns how many.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = self.rows.len() as u64;
        for row in self.rows.drain(..) {
            log_lost(&row, "the database refused rows until the end of the run");
        }
        lost
    }
}

/// One line at level CRITICAL (that is what the logger makes of the target).
fn log_lost(row: &Row, reason: &str) {
    let table = row.table();
    let reason = super::text::clean(reason, 200);
    match lost_statement(row) {
        Some(statement) => {
            log::error!(target: "critical", "row lost table={table} reason=\"{reason}\" {statement}");
        }
        None => log::error!(target: "critical", "row lost table={table} reason=\"{reason}\""),
    }
}
