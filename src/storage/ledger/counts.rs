//! The counts behind the two error files and table `outcome`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::row::{ErrorRow, Row, TrackerRow, Word};
use super::super::text;
use crate::model::record::{TrackerCall, TrackerFailure};
use crate::model::{Event, Reason, TorrentId};

/// Callers of one torrent since the last tick, or peers named by others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Callers {
    pub(super) received: u64,
    pub(super) duplicates: u64,
}

/// Peers by event and reason. First contacts are counted by the latest reason
/// of each peer, so that sum 1 of the contract holds with retries.
#[derive(Debug, Clone, Default)]
pub struct PeerErrors {
    counts: BTreeMap<(Event, Reason), u64>,
}

impl PeerErrors {
    /// Event, reason and count of every line of the file, none with 0.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, Word, u64)> {
        let counted = self.counts.iter().filter(|&(_, &count)| count > 0);
        counted.map(|(&(event, reason), &count)| (event.as_str(), label(reason), count))
    }

    pub(super) fn add(&mut self, event: Event, reason: Reason, rows: &mut Vec<Row>) {
        let count = self.counts.entry((event, reason)).or_default();
        *count += 1;
        rows.push(mirror(event, reason, *count));
    }

    /// One first contact less with `reason`.
    pub(super) fn take_back(&mut self, reason: Reason, rows: &mut Vec<Row>) {
        let event = Event::FirstContact;
        if let Some(count) = self.counts.get_mut(&(event, reason)) {
            *count = count.saturating_sub(1);
            rows.push(mirror(event, reason, *count));
        }
    }
}

fn mirror(event: Event, reason: Reason, count: u64) -> Row {
    Row::PeerError(ErrorRow {
        event: event.as_str().into(),
        reason: label(reason),
        count,
    })
}

fn label(reason: Reason) -> Word {
    text::plain_field(reason.label())
}

/// Attempts since the last tick.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// `None` is a success.
    counts: BTreeMap<(Event, Option<Reason>), u64>,
}

impl Outcomes {
    pub(super) fn success(&mut self, event: Event) {
        *self.counts.entry((event, None)).or_default() += 1;
    }

    pub(super) fn failure(&mut self, event: Event, reason: Reason) {
        *self.counts.entry((event, Some(reason))).or_default() += 1;
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = (&'static str, Word, u64)> {
        std::mem::take(&mut self.counts)
            .into_iter()
            .map(|((event, reason), count)| {
                let reason = reason.map_or("success".into(), label);
                (event.as_str(), reason, count)
            })
    }
}

/// Answers and failures of trackers: the lines of the tracker error file.
#[derive(Debug, Clone, Default)]
pub struct TrackerResults {
    counts: BTreeMap<TrackerEntry, u64>,
    reasons: BTreeMap<(TorrentId, String), BTreeSet<String>>,
}

/// A line of the tracker error file, less its count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackerEntry {
    /// The torrent asked for.
    pub torrent: TorrentId,
    /// Announce URL without control characters.
    pub url: String,
    /// Two words.
    pub result: &'static str,
    /// Empty for a success.
    pub reason: String,
}

impl TrackerEntry {
    pub(super) fn success(torrent: TorrentId, url: String, call: TrackerCall) -> Self {
        Self {
            torrent,
            url,
            result: match call {
                TrackerCall::Announce => "announce success",
                TrackerCall::Scrape => "scrape success",
            },
            reason: String::new(),
        }
    }

    pub(super) fn failure(failure: &TrackerFailure) -> Self {
        let reason = text::clean(&failure.reason, text::REASON_LIMIT);
        Self {
            torrent: failure.torrent,
            url: text::clean(&failure.url, text::URL_LIMIT),
            result: match failure.call {
                TrackerCall::Announce => "announce fail",
                TrackerCall::Scrape => "scrape fail",
            },
            reason: if reason.is_empty() {
                "no reason given".to_owned()
            } else {
                reason
            },
        }
    }
}

impl TrackerResults {
    /// Every line of the file with its count.
    pub fn lines(&self) -> impl Iterator<Item = (&TrackerEntry, u64)> {
        self.counts.iter().map(|(entry, &count)| (entry, count))
    }

    pub(super) fn add(&mut self, mut entry: TrackerEntry, rows: &mut Vec<Row>) {
        if !entry.reason.is_empty() {
            self.limit(&mut entry);
        }
        let count = self.counts.entry(entry.clone()).or_default();
        *count += 1;
        rows.push(Row::TrackerResult(Box::new(TrackerRow {
            torrent: entry.torrent,
            url: entry.url,
            result: entry.result.into(),
            reason: entry.reason,
            count: *count,
        })));
    }

    /// A tracker that words every failure anew must not grow the file without
    /// end.
    fn limit(&mut self, entry: &mut TrackerEntry) {
        let key = (entry.torrent, entry.url.clone());
        let reasons = self.reasons.entry(key).or_default();
        if reasons.contains(&entry.reason) {
            return;
        }
        if reasons.len() < REASONS_PER_TRACKER {
            reasons.insert(entry.reason.clone());
        } else {
            OTHER_FAILURE.clone_into(&mut entry.reason);
        }
    }
}

/// Distinct reasons kept for one torrent and URL.
const REASONS_PER_TRACKER: usize = 50;
const OTHER_FAILURE: &str = "other failure";
