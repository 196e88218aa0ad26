//! How the trackers are doing, for the status line.
//!
//! Requester threads write, whoever shows the status reads a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::families::Place;
use crate::model::{Timestamp, TorrentId};

/// State of one tracker of one torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Which torrent.
    pub torrent: TorrentId,
    /// Announce URL; may carry a passkey.
    pub url: Arc<str>,
    /// Over which of its address families.
    pub place: Place,
    /// When it last answered an announce.
    pub last_success: Option<Timestamp>,
    /// Failed announces since.
    pub failures: u32,
    /// Why the last one failed, while it is failing.
    pub reason: Option<String>,
}

/// A tracker of which torrent, asked over which of its address families.
type Who = (TorrentId, Place);

/// By torrent, URL and family.
type Statuses = BTreeMap<(TorrentId, Arc<str>, Place), TrackerStatus>;

/// The state of all trackers that were asked.
#[derive(Debug, Default)]
pub struct TrackerHealth {
    statuses: Mutex<Statuses>,
}

impl TrackerHealth {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy, by torrent, URL and family.
    pub fn snapshot(&self) -> Vec<TrackerStatus> {
        self.statuses.lock().values().cloned().collect()
    }

    /// Trackers asked and, of these, failing now: over their first or only
    /// address family, or over the second one.
    pub fn counts(&self, place: Place) -> (usize, usize) {
        let statuses = self.statuses.lock();
        let there = || statuses.values().filter(|status| status.place == place);
        let failing = there().filter(|status| status.failures > 0);
        (there().count(), failing.count())
    }

    /// An announce was answered; returns the failures before it.
    pub(super) fn succeeded(&self, who: Who, url: &Arc<str>, at: Timestamp) -> u32 {
        self.update(who, url, |status| {
            status.last_success = Some(at);
            status.reason = None;
            std::mem::take(&mut status.failures)
        })
    }

    /// An announce failed; returns the failures in a row with it.
    pub(super) fn failed(&self, who: Who, url: &Arc<str>, reason: &str) -> u32 {
        self.update(who, url, |status| {
            status.failures = status.failures.saturating_add(1);
            status.reason = Some(reason.to_owned());
            status.failures
        })
    }

    fn update(
        &self,
        (torrent, place): Who,
        url: &Arc<str>,
        change: impl FnOnce(&mut TrackerStatus) -> u32,
    ) -> u32 {
        let mut statuses = self.statuses.lock();
        let status = statuses
            .entry((torrent, Arc::clone(url), place))
            .or_insert_with(|| TrackerStatus {
                torrent,
                url: Arc::clone(url),
                place,
                last_success: None,
                failures: 0,
                reason: None,
            });
        change(status)
    }
}
