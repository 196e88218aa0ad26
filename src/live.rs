//! Figures of a run for whoever shows them.
//!
//! The run posts a copy, the page reads the latest one: neither waits for the
//! other longer than for the copying of a pointer.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

/// Outgoing contacts over one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayFigures {
    /// `tcp` or `utp`.
    pub transport: &'static str,
    /// Whether message stream encryption was spoken.
    pub encrypted: bool,
    /// Contacts that tried it.
    pub tried: u64,
    /// Of these, those that counted by it.
    pub counted: u64,
}

/// Our own DHT node, both address families together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DhtFigures {
    /// Whether it takes packets.
    pub running: bool,
    /// Good nodes in its table (BEP 5).
    pub nodes_good: usize,
    /// Nodes in its table.
    pub nodes_known: usize,
    /// Look-ups under way.
    pub lookups: usize,
    /// Queries sent.
    pub queries_out: u64,
    /// Of these, those without an answer in time.
    pub timeouts: u64,
    /// Queries of others.
    pub queries_in: u64,
    /// Of these, those not answered because of a limit.
    pub dropped: u64,
}

/// A run at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    /// Figures of our own DHT node, with `-d` and without a pymdht.
    pub dht_node: Option<DhtFigures>,
    /// Outgoing contacts by way.
    pub ways: Vec<WayFigures>,
    /// Peers that we stay with now, with `revisit.observe = "stay"`.
    pub stays: Option<usize>,
    /// Contacts that had to wait for a limit of `[contact]`.
    pub held_back: u64,
    /// Addresses turned away because nobody may contact them.
    pub barred: u64,
    /// Magnet links without metadata.
    pub magnets_pending: usize,
}

impl LiveFigures {
    /// What somebody should look at, each in a sentence.
    pub fn notices(&self) -> Vec<String> {
        let counted = [
            (self.lost, "rows are lost for good: see the log"),
            (
                self.spooled,
                "rows wait in spool files: the database takes none",
            ),
            (
                self.threads_ended_early,
                "threads ended before their time: see the log",
            ),
            (self.trackers_failing as u64, "trackers fail now"),
            (
                self.magnets_pending as u64,
                "magnet links are without metadata so far",
            ),
            (self.warnings, "lines of the log are warnings or errors"),
        ];
        let told = counted.iter().filter(|(count, _)| *count > 0);
        let mut all: Vec<String> = told
            .map(|(count, text)| format!("{count} {text}"))
            .collect();
        match &self.dht_node {
            Some(node) if !node.running => all.push("the DHT node does not run".to_owned()),
            Some(node) if node.nodes_good == 0 => {
                all.push("the DHT node knows no good node".to_owned());
            }
            _ => {}
        }
        all
    }
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
