//! What is added to the store in one go. Plain values, without SQL.

use std::collections::BTreeMap;

use crate::model::{InfoHash, Timestamp};

/// Counts and estimates of some minutes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Records by minute, kind, country and torrent.
    pub events: BTreeMap<EventKey, u32>,
    /// Records by minute and place.
    pub places: BTreeMap<PlaceKey, u32>,
    /// Records by minute and program, two letters or nothing.
    pub clients: BTreeMap<(i64, String), u32>,
    /// What was no record or lost, by minute.
    pub tallies: BTreeMap<(i64, &'static str), u64>,
    /// Sizes of swarms.
    pub swarms: Vec<SwarmRow>,
    /// Sizes of the network.
    pub networks: Vec<NetworkRow>,
    /// Surveys.
    pub surveys: Vec<SurveyRow>,
}

impl Batch {
    /// Rows it has.
    pub fn len(&self) -> usize {
        let counts = [
            self.events.len(),
            self.places.len(),
            self.clients.len(),
            self.tallies.len(),
            self.swarms.len(),
            self.networks.len(),
            self.surveys.len(),
        ];
        counts.iter().sum()
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A row of `event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Whole minutes since 1970.
    pub minute: i64,
    /// Word of the kind.
    pub kind: &'static str,
    /// Two upper-case letters, if known.
    pub country: Option<[u8; 2]>,
    /// The torrent; `None` for those that are not told apart.
    pub info_hash: Option<InfoHash>,
}

impl EventKey {
    pub(super) fn country_text(&self) -> &str {
        let letters = self.country.as_ref();
        letters.map_or("", |letters| std::str::from_utf8(letters).unwrap_or(""))
    }

    pub(super) fn hash_bytes(&self) -> &[u8] {
        self.info_hash.as_ref().map_or(&[], |hash| hash.as_bytes())
    }
}

/// A row of `place`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceKey {
    /// Whole minutes since 1970.
    pub minute: i64,
    /// Latitude and longitude in ten-thousandths of a degree (11 m), as
    /// whole numbers, so that they can be compared.
    pub ten_thousandths: (i32, i32),
    /// Two upper-case letters; empty when unknown.
    pub country: String,
    /// English name; empty when unknown.
    pub subdivision: String,
    /// English name; empty when unknown.
    pub city: String,
}

impl PlaceKey {
    /// The form of degrees in a key; `None` outside -180 to 180.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 1,800,000 after the check"
    )]
    pub fn rounded(degrees: f64) -> Option<i32> {
        (degrees.abs() <= 180.0).then(|| (degrees * 10_000.0).round() as i32)
    }

    pub(super) fn latitude(&self) -> f64 {
        f64::from(self.ten_thousandths.0) / 10_000.0
    }

    pub(super) fn longitude(&self) -> f64 {
        f64::from(self.ten_thousandths.1) / 10_000.0
    }
}

/// A row of `swarm`.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmRow {
    /// When it was measured.
    pub at: Timestamp,
    /// The torrent.
    pub info_hash: InfoHash,
    /// Estimated complete peers.
    pub seeds: f64,
    /// Estimated others.
    pub peers: f64,
    /// Nodes that gave filters.
    pub responders: u32,
}

/// A row of `network`.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkRow {
    /// When it was measured.
    pub at: Timestamp,
    /// `v4` or `v6`.
    pub family: &'static str,
    /// Estimated nodes.
    pub nodes: f64,
    /// Lower bound of 95 %.
    pub low: f64,
    /// Upper bound of 95 %.
    pub high: f64,
    /// Places that were looked at.
    pub targets: u32,
    /// Nodes used at each.
    pub nearest: u32,
}

/// A row of `survey`.
#[derive(Debug, Clone, PartialEq)]
pub struct SurveyRow {
    /// When it ended.
    pub at: Timestamp,
    /// `v4` or `v6`.
    pub family: &'static str,
    /// Nodes asked.
    pub asked: u32,
    /// Nodes that gave samples.
    pub answered: u32,
    /// Different torrents.
    pub hashes: u32,
    /// Torrents they say they know, added up.
    pub known: u64,
}
