//! How the trackers are doing, for the status line.
//!
//! Requester threads write, whoever shows the status reads a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Timestamp, TorrentId};

/// State of one tracker of one torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Which torrent.
    pub torrent: TorrentId,
    /// Announce URL; may carry a passkey.
    pub url: Arc<str>,
    /// When it last answered an announce.
    pub last_success: Option<Timestamp>,
    /// Failed announces since.
    pub failures: u32,
    /// Why the last one failed, while it is failing.
    pub reason: Option<String>,
}

/// The state of all trackers that were asked.
#[derive(Debug, Default)]
pub struct TrackerHealth {
    statuses: Mutex<BTreeMap<(TorrentId, Arc<str>), TrackerStatus>>,
}

impl TrackerHealth {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy, by torrent and URL.
    pub fn snapshot(&self) -> Vec<TrackerStatus> {
        self.statuses.lock().values().cloned().collect()
    }

    /// Trackers asked and, of these, failing now.
    pub fn counts(&self) -> (usize, usize) {
        let statuses = self.statuses.lock();
        let failing = statuses.values().filter(|status| status.failures > 0);
        (statuses.len(), failing.count())
    }

    /// An announce was answered; returns the failures before it.
    pub(super) fn succeeded(&self, torrent: TorrentId, url: &Arc<str>, at: Timestamp) -> u32 {
        self.update(torrent, url, |status| {
            status.last_success = Some(at);
            status.reason = None;
            std::mem::take(&mut status.failures)
        })
    }

    /// An announce failed; returns the failures in a row with it.
    pub(super) fn failed(&self, torrent: TorrentId, url: &Arc<str>, reason: &str) -> u32 {
        self.update(torrent, url, |status| {
            status.failures = status.failures.saturating_add(1);
            status.reason = Some(reason.to_owned());
            status.failures
        })
    }

    fn update(
        &self,
        torrent: TorrentId,
        url: &Arc<str>,
        change: impl FnOnce(&mut TrackerStatus) -> u32,
    ) -> u32 {
        let mut statuses = self.statuses.lock();
        let status = statuses
            .entry((torrent, Arc::clone(url)))
            .or_insert_with(|| TrackerStatus {
                torrent,
                url: Arc::clone(url),
                last_success: None,
                failures: 0,
                reason: None,
            });
        change(status)
    }
}
