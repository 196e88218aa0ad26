//! Fully computed rows, as the ledger makes them and the database takes them.
//!
//! A row is kept until its transaction has been committed, so that a failed
//! transaction is written again with the same values; whatever decides a
//! value happens before ([`super::ledger`]). Writer thread only.
//!
//! What cannot be committed for long goes to a spool file as JSON
//! ([`super::spool`]): the field names are that form.

mod evidence;
mod form;
mod found;
mod host;
mod request;
mod sql;
mod statement;
mod values;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::record::MessageCounts;
use crate::model::{InfoHash, Source, TorrentId};

pub(crate) use evidence::{BEHAVIOUR_SQL, behaviours};
pub use evidence::{DoubtRow, EvidenceRow};
pub use found::{ExchangeRow, FoundTrackerRow, OriginRow};
pub use host::HostRow;
pub use request::{AnnounceRow, RequestRow, ScrapeRow, TrackerRow};
pub(crate) use statement::{KINDS, kinds};

/// One of a few fixed words; owned only when it was read from a file.
pub type Word = Cow<'static, str>;

/// One change of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    /// A torrent of the run.
    Torrent(Box<TorrentRow>),
    /// A file that was considered for import.
    Input(Box<InputRow>),
    /// A peer's first evaluation.
    NewPeer(Box<NewPeer>),
    /// A later one.
    PeerUpdate(PeerUpdate),
    /// Who named a peer first.
    Origin(OriginRow),
    /// What peers and neighbours named since the last tick.
    Exchange(ExchangeRow),
    /// A peer with an IPv6 address.
    Ipv6 {
        /// The peer.
        peer: i64,
    },
    /// Host name of a peer.
    Host(Box<HostRow>),
    /// City of a peer.
    Place(Box<PlaceRow>),
    /// One successful visit.
    Visit(Box<VisitRow>),
    /// What a peer told of itself in it.
    ExtensionHandshake(Box<ExtensionHandshakeRow>),
    /// A threshold crossed.
    Crossing(CrossingRow),
    /// Addresses of one class of evidence.
    Evidence(EvidenceRow),
    /// A peer whose pieces are to be doubted, or no more.
    Doubt(DoubtRow),
    /// A row of `request`.
    Request(Box<RequestRow>),
    /// A row of `statistic`.
    Statistic(Box<StatisticRow>),
    /// Attempts since the last tick.
    Outcome(CountRow),
    /// Messages since the last tick.
    Message(MessageRow),
    /// The new count of a line of the peer error file.
    PeerError(ErrorRow),
    /// The new count of a line of the tracker error file.
    TrackerResult(Box<TrackerRow>),
    /// A tracker that no torrent file names.
    FoundTracker(Box<FoundTrackerRow>),
    /// What a tracker answered.
    Announce(Box<AnnounceRow>),
    /// What a scrape answered.
    Scrape(Box<ScrapeRow>),
    /// A fact of the manifest.
    Fact {
        /// Its name.
        key: Word,
        /// Its value.
        value: String,
    },
}

/// Row of `torrent`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TorrentRow {
    /// `id`.
    #[serde(with = "form::torrent_id")]
    pub id: TorrentId,
    /// `announce_url`.
    pub announce_url: String,
    /// `info_hash` and `info_hash_hex`.
    #[serde(with = "form::info_hash")]
    pub info_hash: InfoHash,
    /// `pieces_count`.
    pub pieces_count: u32,
    /// `piece_size`.
    pub piece_size: i64,
    /// `complete_threshold`.
    pub complete_threshold: u32,
    /// `filepath`.
    pub filepath: String,
    /// `display_name`.
    pub display_name: Option<String>,
    /// `gigabyte`.
    pub gigabyte: f64,
}

/// Row of `input`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRow {
    /// `path`.
    pub path: String,
    /// `sha1`.
    pub sha1: Option<String>,
    /// `torrent`.
    pub torrent: Option<u16>,
    /// `note`.
    pub note: Option<String>,
}

/// Row of `peer` after the first evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewPeer {
    /// `id`.
    pub id: i64,
    /// `client`.
    pub client: Option<String>,
    /// `continent`.
    pub continent: Option<String>,
    /// `country`.
    pub country: Option<String>,
    /// `latitude`.
    pub latitude: Option<f64>,
    /// `longitude`.
    pub longitude: Option<f64>,
    /// `first_pieces`.
    pub first_pieces: u32,
    /// `first_seen`, seconds.
    pub first_seen: i64,
    /// `source`.
    #[serde(with = "form::SourceForm")]
    pub source: Source,
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
}

/// What a later evaluation changes in `peer`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PeerUpdate {
    /// `id` of the row to change.
    pub id: i64,
    /// `last_pieces`.
    pub last_pieces: u32,
    /// `last_seen`, seconds.
    pub last_seen: i64,
    /// `max_speed`, pieces per second.
    pub max_speed: f64,
    /// `visits`, at least 2.
    pub visits: u32,
}

/// Row of `place`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRow {
    /// The peer.
    pub peer: i64,
    /// English name.
    pub city: Option<String>,
    /// Kilometres.
    pub accuracy_km: Option<u16>,
}

/// Row of `extension_handshake`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionHandshakeRow {
    /// The visit.
    pub visit: i64,
    /// Name and version.
    pub client: Option<String>,
    /// Port on which the peer listens.
    pub listen_port: Option<u16>,
    /// Requests that it lets wait.
    pub request_queue: Option<u32>,
    /// Whether it wants no more pieces.
    pub upload_only: Option<bool>,
    /// Bytes of the info dictionary.
    pub metadata_size: Option<i64>,
    /// Pseudonym of where it sees us.
    #[serde(default)]
    pub your_ip: Option<String>,
}

/// Row of `visit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitRow {
    /// `id`.
    pub id: i64,
    /// The peer.
    pub peer: i64,
    /// End of the visit.
    pub time_ms: i64,
    /// Distinct pieces.
    pub pieces: u32,
    /// Messages by kind.
    #[serde(with = "form::MessageCountsForm")]
    pub messages: MessageCounts,
    /// Longest wait for a message.
    pub longest_wait_ms: Option<i64>,
    /// Length of the visit.
    pub duration_ms: i64,
    /// Word for the direction.
    pub direction: Word,
    /// Word for the transport.
    pub transport: Word,
    /// Word for the encryption.
    pub encryption: Word,
    /// How it ended.
    pub ended: Word,
}

/// Row of `crossing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossingRow {
    /// The peer.
    pub peer: i64,
    /// Time of the last visit below.
    pub last_below_ms: i64,
    /// Pieces then.
    pub last_below_pieces: u32,
    /// Time of the first visit at or above.
    pub first_at_ms: i64,
    /// Pieces then.
    pub first_at_pieces: u32,
}

/// Row of `statistic`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatisticRow {
    /// `id`.
    pub id: i64,
    /// Seconds.
    pub timestamp: i64,
    /// `peer_queue`.
    pub peer_queue: u64,
    /// `visited_queue`.
    pub visited_queue: u64,
    /// `unique_incoming`.
    pub unique_incoming: u64,
    /// `success_active`.
    pub success_active: u64,
    /// `thread_workload`.
    pub thread_workload: Option<f64>,
    /// `load_average`.
    pub load_average: Option<f64>,
    /// `memory_mb`.
    pub memory_mb: Option<f64>,
    /// `server_threads`.
    pub server_threads: u64,
    /// `evaluator_threads`.
    pub evaluator_threads: u64,
}

/// Row of `outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRow {
    /// Time of the tick.
    pub time_ms: i64,
    /// Event.
    pub event: Word,
    /// `success` or a reason.
    pub reason: String,
    /// Attempts.
    pub count: u64,
}

/// Row of `message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Time of the tick.
    pub time_ms: i64,
    /// Kind.
    pub kind: Word,
    /// Messages.
    pub count: u64,
}

/// Row of `peer_error`; a count of 0 removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRow {
    /// Event.
    pub event: Word,
    /// Reason.
    pub reason: Word,
    /// New count.
    pub count: u64,
}
