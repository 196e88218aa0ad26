//! Figures of a run for whoever shows them.
//!
//! The run posts a copy, the page reads the latest one: neither waits for the
//! other longer than for the copying of a pointer.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

/// A run at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveFigures {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Contacts ended per second, mean of the last ten seconds.
    pub visits_per_second: f64,
    /// Share of the contacts so far that counted, 0 to 1; nothing before the
    /// first.
    pub success: Option<f64>,
    /// Outgoing visits that counted.
    pub contacts_counted: u64,
    /// Outgoing contacts that failed.
    pub contacts_failed: u64,
    /// Callers whose visit counted.
    pub callers_counted: u64,
    /// Callers that gave nothing.
    pub callers_failed: u64,
    /// Contacts in progress.
    pub contacts_active: u64,
    /// Contact threads.
    pub workers: usize,
    /// Callers being evaluated.
    pub callers_active: u64,
    /// Peers that wait for a contact, those that wait for their revisit
    /// included.
    pub queue: usize,
    /// Confirmed downloads stored so far.
    pub confirmed: u64,
    /// The same by torrent, in the order of their numbers.
    pub confirmed_by_torrent: Vec<u64>,
    /// Rows stored so far.
    pub rows: u64,
    /// Records that wait for the writer.
    pub unwritten: usize,
    /// Rows in spool files.
    pub spooled: u64,
    /// Rows lost for good.
    pub lost: u64,
    /// Lines of level WARNING and up in the log.
    pub warnings: u64,
    /// Threads that ended before their time.
    pub threads_ended_early: u64,
    /// Trackers asked, once for each torrent.
    pub trackers_asked: usize,
    /// Those of them that fail now.
    pub trackers_failing: usize,
    /// State of the DHT node, with `-d`.
    pub dht: Option<String>,
    /// Magnet links without metadata.
    pub magnets_pending: usize,
}

/// Where the latest figures are.
#[derive(Debug, Default)]
pub struct Board(Mutex<Option<Arc<LiveFigures>>>);

impl Board {
    /// These are the latest.
    pub fn post(&self, figures: LiveFigures) {
        let figures = Some(Arc::new(figures));
        let old = std::mem::replace(&mut *self.0.lock(), figures);
        // The old ones go without the lock.
        drop(old);
    }

    /// The latest; `None` before the first.
    pub fn latest(&self) -> Option<Arc<LiveFigures>> {
        self.0.lock().clone()
    }
}
