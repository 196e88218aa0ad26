//! The rows of `origin`, `exchange` and `found_tracker`: who named peers beside
//! trackers and the DHT, and trackers beside torrent files. Writer thread only.

use serde::{Deserialize, Serialize};

use super::super::text;
use super::{Word, form};
use crate::model::TorrentId;
use crate::model::record::FoundTracker;

/// Row of `origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginRow {
    /// The peer.
    pub peer: i64,
    /// Word for the origin.
    pub origin: Word,
}

impl OriginRow {
    pub(super) const SQL: &str = "INSERT INTO origin (peer, origin) VALUES (?, ?)";
}

/// Row of `exchange`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRow {
    /// Time of the tick.
    pub time_ms: i64,
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
    /// Word for the way.
    pub origin: Word,
    /// Peers named.
    pub received: u64,
    /// Of these, already known.
    pub duplicates: u64,
}

impl ExchangeRow {
    pub(super) const SQL: &str = "INSERT INTO exchange (time_ms, torrent, origin, received_peers, duplicate_peers) VALUES (?, ?, ?, ?, ?)";
}

/// Row of `found_tracker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTrackerRow {
    /// When it was named first.
    pub time_ms: i64,
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
    /// Announce URL.
    pub url: String,
    /// Word for who named it.
    pub origin: Word,
    /// Whether it is asked.
    pub asked: bool,
}

impl FoundTrackerRow {
    pub(super) const SQL: &str =
        "INSERT INTO found_tracker (time_ms, torrent, url, origin, asked) VALUES (?, ?, ?, ?, ?)";

    /// The row of `found`, its text cleaned.
    pub(crate) fn of(found: &FoundTracker) -> Self {
        Self {
            time_ms: found.at.millis(),
            torrent: found.torrent,
            url: text::clean(&found.url, text::URL_LIMIT),
            origin: found.origin.as_str().into(),
            asked: found.asked,
        }
    }
}
