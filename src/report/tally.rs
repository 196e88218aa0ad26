//! What one or more result files add up to: all that the items are made of.
//!
//! Pure: rows in, counts out. Memory grows with torrents, hours, countries and
//! clients, not with peers or requests.

mod clients;
mod evidence;
mod monitoring;
mod peers;
mod requests;
mod thresholds;

use std::collections::BTreeMap;

pub use clients::{Client, ClientPeers};
pub use evidence::EvidenceTally;
pub use monitoring::{Monitoring, Waits, rounded_seconds};
pub use peers::{
    Judging, Leechers, PeerTally, Run, SecondVisits, TorrentPeers, country_of, sort_key,
};
pub use requests::{Asked, FirstAnswer, RequestTally};
pub use thresholds::{ThresholdError, Thresholds, needed_pieces};

use crate::storage::archive::{FamilyAnswers, FamilyPeers, Names, TorrentRow};

/// A torrent of the study.
#[derive(Debug, Clone, PartialEq)]
pub struct StudiedTorrent {
    /// Its row; the id is that of the study.
    pub row: TorrentRow,
    /// Which file it is of, counted from 0.
    pub file: usize,
    /// `set_a` and so on.
    pub set: String,
}

/// Host names with their peers.
#[derive(Debug, Clone, Default)]
pub struct HostNames {
    /// Last two labels, as in 2015.
    pub hosts: Names,
    /// Registrable domains; none in files of 2015.
    pub domains: Names,
    /// How look-ups ended; none in files of 2015.
    pub outcomes: BTreeMap<String, u64>,
}

/// Counts of errors: event and reason of peers.
pub type PeerErrors = BTreeMap<(String, String), u64>;

/// Counts of tracker results: torrent, URL, result and reason.
pub type TrackerResults = BTreeMap<(u32, String, String, String), u64>;

/// The set of a torrent by its size, as in the thesis: up to 5, up to 20, and
/// more gigabytes (10^9 bytes).
pub fn set_by_size(gigabyte: f64) -> &'static str {
    match gigabyte {
        size if size <= 5.0 => "set_a",
        size if size <= 20.0 => "set_b",
        _ => "set_c",
    }
}

/// By torrent and address family (4 or 6); nothing for files of 2015.
#[derive(Debug, Clone, Default)]
pub struct Families {
    /// Peers.
    pub peers: BTreeMap<(u32, u8), FamilyPeers>,
    /// Answers of trackers.
    pub answers: BTreeMap<(u32, u8), FamilyAnswers>,
}

/// All counts of a study.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// By id of the study.
    pub torrents: BTreeMap<u32, StudiedTorrent>,
    /// Table `peer`.
    pub peers: PeerTally,
    /// Rows of table `visit` by direction, outgoing and incoming; `None` when a file
    /// has no such table.
    pub directions: Option<(u64, u64)>,
    /// Table `request`, and the scrapes of all trackers.
    pub requests: RequestTally,
    /// Table `statistic`.
    pub monitoring: Monitoring,
    /// Our tables `evidence` and `doubt`.
    pub evidence: EvidenceTally,
    /// Both address families.
    pub families: Families,
    /// Peer error files, or our table.
    pub peer_errors: PeerErrors,
    /// Tracker error files, or our table.
    pub tracker_results: TrackerResults,
    /// Timeout file, or our table `visit`.
    pub waits: Waits,
    /// Host names of peers.
    pub hosts: HostNames,
}

impl Tally {
    /// Torrents of a set.
    pub fn in_set<'a>(&'a self, set: &'a str) -> impl Iterator<Item = &'a StudiedTorrent> + Clone {
        self.torrents
            .values()
            .filter(move |torrent| torrent.set == set)
    }

    /// Names of the sets, in order.
    pub fn sets(&self) -> Vec<String> {
        let mut sets: Vec<_> = self.torrents.values().map(|it| it.set.clone()).collect();
        sets.sort();
        sets.dedup();
        sets
    }

    /// Confirmed downloads of a torrent at the threshold of that place.
    pub fn confirmed(&self, torrent: u32, threshold: usize) -> u64 {
        let counts = self.peers.by_torrent.get(&torrent);
        counts
            .and_then(|counts| counts.confirmed.get(threshold).copied())
            .unwrap_or(0)
    }

    /// Confirmed downloads at the main threshold.
    pub fn confirmed_in_all(&self) -> u64 {
        self.torrents.keys().map(|&id| self.confirmed(id, 0)).sum()
    }

    /// Errors of an event, in all.
    pub fn errors_of(&self, event: &str) -> u64 {
        self.peer_errors
            .iter()
            .filter(|((of, _), _)| of == event)
            .map(|(_, count)| count)
            .sum()
    }

    /// Errors of an event for a reason.
    pub fn error(&self, event: &str, reason: &str) -> u64 {
        let key = (event.to_owned(), reason.to_owned());
        self.peer_errors.get(&key).copied().unwrap_or(0)
    }
}

/// Adds the counts of `from`, moving torrent ids by `offset`.
pub fn add_tracker_results(to: &mut TrackerResults, from: TrackerResults, offset: u32) {
    for ((torrent, url, result, reason), count) in from {
        let torrent = torrent.saturating_add(offset);
        let sum = to.entry((torrent, url, result, reason)).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// Adds the counts of `from`.
pub fn add_peer_errors(to: &mut PeerErrors, from: PeerErrors) {
    for (key, count) in from {
        let sum = to.entry(key).or_default();
        *sum = sum.saturating_add(count);
    }
}
