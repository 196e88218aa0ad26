//! How far the writer is, for the status line and pages.
//!
//! The writer thread stores after each commit; any thread reads. Each figure
//! is true by itself; two read one after the other may be of different
//! commits.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::{Timestamp, TorrentId};

/// Figures of the writer.
#[derive(Debug)]
pub struct Progress {
    rows: AtomicU64,
    waiting: AtomicU64,
    peers: AtomicU64,
    confirmed: Vec<AtomicU64>,
    visits: AtomicU64,
    lost: AtomicU64,
    in_spool: AtomicU64,
    spooled: AtomicU64,
    last_commit: AtomicI64,
}

impl Progress {
    /// Everything 0, for a run of `torrents` torrents.
    pub fn new(torrents: usize) -> Self {
        Self {
            rows: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            peers: AtomicU64::new(0),
            confirmed: (0..torrents).map(|_| AtomicU64::new(0)).collect(),
            visits: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            in_spool: AtomicU64::new(0),
            spooled: AtomicU64::new(0),
            last_commit: AtomicI64::new(NEVER),
        }
    }

    /// Rows committed so far, changes of older rows included.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Rows computed but not committed.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Peers evaluated at least once.
    pub fn peers(&self) -> u64 {
        self.peers.load(Ordering::Relaxed)
    }

    /// Confirmed downloads of all torrents: peers first seen below and last
    /// seen at or above the threshold.
    pub fn confirmed(&self) -> u64 {
        let all = self.confirmed.iter();
        all.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Confirmed downloads of one torrent; 0 for one not of this run.
    pub fn confirmed_of(&self, torrent: TorrentId) -> u64 {
        let count = self.confirmed.get(torrent.index());
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Successful visits stored, in both directions.
    pub fn visits(&self) -> u64 {
        self.visits.load(Ordering::Relaxed)
    }

    /// Rows lost for good; not 0 is a matter for a person.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Rows in spool files now, because the database takes none; part of
    /// [`Progress::waiting`].
    pub fn in_spool(&self) -> u64 {
        self.in_spool.load(Ordering::Relaxed)
    }

    /// Rows that ever went through a spool file.
    pub fn spooled(&self) -> u64 {
        self.spooled.load(Ordering::Relaxed)
    }

    /// Time of the last commit, `None` before the first.
    pub fn last_commit(&self) -> Option<Timestamp> {
        let millis = self.last_commit.load(Ordering::Relaxed);
        (millis != NEVER).then_some(Timestamp(millis))
    }

    pub(super) fn committed(&self, rows: u64, at: Timestamp) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.last_commit.store(at.millis(), Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, rows: u64) {
        self.waiting.store(rows, Ordering::Relaxed);
    }

    pub(super) fn set_spooled(&self, now: u64, ever: u64) {
        self.in_spool.store(now, Ordering::Relaxed);
        self.spooled.store(ever, Ordering::Relaxed);
    }

    pub(super) fn add_lost(&self, rows: u64) {
        self.lost.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn set_totals(&self, totals: &super::ledger::Totals) {
        self.peers.store(totals.peers, Ordering::Relaxed);
        self.visits.store(totals.visits, Ordering::Relaxed);
        for (shown, confirmed) in self.confirmed.iter().zip(&totals.confirmed) {
            shown.store(*confirmed, Ordering::Relaxed);
        }
    }
}

const NEVER: i64 = i64::MIN;
