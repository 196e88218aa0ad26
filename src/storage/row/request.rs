//! The rows of `request` and of what trackers answered. Writer thread only.

use serde::{Deserialize, Serialize};

use super::{Word, form};
use crate::model::{Source, TorrentId};

/// Row of `request`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// `id`.
    pub id: i64,
    /// Seconds.
    pub timestamp: i64,
    /// `source`.
    #[serde(with = "form::SourceForm")]
    pub source: Source,
    /// `received_peers`.
    pub received: u64,
    /// `duplicate_peers`.
    pub duplicates: u64,
    /// `seeders`.
    pub seeders: Option<u32>,
    /// `completed`.
    pub completed: Option<u32>,
    /// `leechers`.
    pub leechers: Option<u32>,
    /// `duration_sec`.
    pub duration_sec: Option<f64>,
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
}

/// Row of `tracker_result`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerRow {
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
    /// Announce URL.
    pub url: String,
    /// Two words.
    pub result: Word,
    /// Empty for a success.
    pub reason: String,
    /// New count.
    pub count: u64,
}

/// Row of `announce`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceRow {
    /// Row of `request`.
    pub request: i64,
    /// When the answer came.
    pub time_ms: i64,
    /// Announce URL.
    pub url: String,
    /// Seconds.
    pub interval: Option<u32>,
    /// Seconds.
    pub min_interval: Option<u32>,
    /// `complete`.
    pub seeders: Option<u32>,
    /// `incomplete`.
    pub leechers: Option<u32>,
    /// Warning message.
    pub warning: Option<String>,
    /// 4 or 6.
    pub family: Option<u8>,
}

/// Row of `scrape`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapeRow {
    /// When the answer came.
    pub time_ms: i64,
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
    /// Announce URL.
    pub url: String,
    /// Peers with everything.
    pub seeders: Option<u32>,
    /// Downloads registered.
    pub completed: Option<u32>,
    /// Peers still loading.
    pub leechers: Option<u32>,
}
