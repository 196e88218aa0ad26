//! The rows of a result file as plain values.

use std::borrow::Cow;

use rusqlite::Row;

use super::cells::{count, id};
use super::{decimal, text, whole};
use crate::outside::outside_text;

/// How a peer was found first: column `source`; and, of addresses alone, that
/// another peer named them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaySeen {
    /// Named by a tracker.
    Tracker,
    /// Named by the DHT.
    Dht,
    /// It called.
    Incoming,
    /// Named by another peer (BEP 11): table `exchange`. Peers that came so have
    /// another word in `source`.
    Exchange,
    /// Found on the local network (BEP 14): table `exchange`, as above.
    Neighbour,
}

impl WaySeen {
    /// Those of 2015, in the order of the thesis.
    pub const ALL: [Self; 3] = [Self::Tracker, Self::Dht, Self::Incoming];

    /// All that bring addresses.
    pub const OF_ADDRESSES: [Self; 5] = [
        Self::Tracker,
        Self::Dht,
        Self::Incoming,
        Self::Exchange,
        Self::Neighbour,
    ];

    /// The word in the database; `pex` and `lsd` are those of table `origin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tracker => "tracker",
            Self::Dht => "dht",
            Self::Incoming => "incoming",
            Self::Exchange => "pex",
            Self::Neighbour => "lsd",
        }
    }

    fn of(word: Option<Cow<'_, str>>, among: &[Self]) -> Option<Self> {
        let word = word?;
        let mut among = among.iter().copied();
        among.find(|way| way.as_str() == word)
    }
}

/// A row of `torrent`.
#[derive(Debug, Clone, PartialEq)]
pub struct TorrentRow {
    /// `id`.
    pub id: u32,
    /// Number of tracker URLs.
    pub trackers: u32,
    /// 40 hexadecimal digits, or empty.
    pub info_hash: String,
    /// `pieces_count`, at least 1.
    pub pieces: u32,
    /// Bytes.
    pub piece_size: u64,
    /// `complete_threshold` in pieces.
    pub threshold: u32,
    /// `display_name`, made harmless.
    pub name: Option<String>,
    /// 10^9 bytes.
    pub gigabyte: f64,
}

impl TorrentRow {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "id",
        "announce_url",
        "info_hash_hex",
        "pieces_count",
        "piece_size",
        "complete_threshold",
        "display_name",
        "gigabyte",
    ];

    /// `None` for a row without id or pieces, which no run writes.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let number = |column| {
            whole(row, column).map(|it| it.and_then(|it| u32::try_from(it).ok()).unwrap_or(0))
        };
        let (id, pieces) = (number(0)?, number(3)?);
        if id == 0 || pieces == 0 {
            return Ok(None);
        }
        let trackers = text(row, 1)?.map_or(0, |urls| {
            urls.split(',').filter(|url| !url.is_empty()).count()
        });
        let piece_size = count(row, 4)?;
        let size = f64::from(pieces) * piece_size as f64 / 1e9;
        Ok(Some(Self {
            id,
            trackers: u32::try_from(trackers).unwrap_or(u32::MAX),
            info_hash: text(row, 2)?
                .map(|it| outside_text(it.as_bytes()))
                .unwrap_or_default(),
            pieces,
            piece_size,
            threshold: number(5)?,
            name: text(row, 6)?.map(|it| outside_text(it.as_bytes())),
            gigabyte: decimal(row, 7)?.unwrap_or(size),
        }))
    }
}

/// A row of `peer`.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerRow<'a> {
    /// First eight characters of its peer id.
    pub client: Option<Cow<'a, str>>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<[u8; 2]>,
    /// Pieces at the first visit.
    pub first_pieces: i64,
    /// Pieces at the latest visit, if there was a second.
    pub last_pieces: Option<i64>,
    /// Unix seconds.
    pub first_seen: i64,
    /// Unix seconds.
    pub last_seen: Option<i64>,
    /// Pieces per second.
    pub max_speed: Option<f64>,
    /// Successful visits.
    pub visits: u64,
    /// How it was found first; `None` for a word that 2015 does not have.
    pub way: Option<WaySeen>,
    /// Torrent id.
    pub torrent: u32,
}

impl<'a> PeerRow<'a> {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "client",
        "country",
        "first_pieces",
        "last_pieces",
        "first_seen",
        "last_seen",
        "max_speed",
        "visits",
        "source",
        "torrent",
    ];

    pub(super) fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let country = text(row, 1)?.and_then(|word| <[u8; 2]>::try_from(word.as_bytes()).ok());
        Ok(Self {
            client: text(row, 0)?,
            country: country.filter(|code| code.iter().all(u8::is_ascii_uppercase)),
            first_pieces: whole(row, 2)?.unwrap_or(0),
            last_pieces: whole(row, 3)?,
            first_seen: whole(row, 4)?.unwrap_or(0),
            last_seen: whole(row, 5)?,
            max_speed: decimal(row, 6)?,
            visits: count(row, 7)?,
            way: WaySeen::of(text(row, 8)?, &WaySeen::ALL),
            torrent: id(row, 9)?,
        })
    }
}

/// A row of `request`, or of `exchange`.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRow<'a> {
    /// Unix seconds.
    pub timestamp: i64,
    /// Where it went; `None` for a word that 2015 does not have.
    pub way: Option<WaySeen>,
    /// Peers in the answer.
    pub received: u64,
    /// Known ones among them.
    pub duplicate: u64,
    /// The tracker's counter of downloads.
    pub completed: Option<i64>,
    /// Seconds.
    pub duration: Option<f64>,
    /// Torrent id.
    pub torrent: u32,
    /// The tracker; unknown in a file of 2015.
    pub url: Option<Cow<'a, str>>,
}

impl<'a> RequestRow<'a> {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "timestamp",
        "source",
        "received_peers",
        "duplicate_peers",
        "completed",
        "duration_sec",
        "torrent",
    ];

    pub(super) fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            timestamp: whole(row, 0)?.unwrap_or(0),
            way: WaySeen::of(text(row, 1)?, &WaySeen::OF_ADDRESSES),
            received: count(row, 2)?,
            duplicate: count(row, 3)?,
            completed: whole(row, 4)?,
            duration: decimal(row, 5)?,
            torrent: id(row, 6)?,
            url: text(row, 7)?,
        })
    }
}

/// A row of `statistic`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonitoringRow {
    /// Unix seconds.
    pub timestamp: i64,
    /// Machine, counted from 1; in a single run there is none.
    pub vm: Option<i64>,
    /// `peer_queue`, `visited_queue`, `unique_incoming`, `success_active`,
    /// `thread_workload`, `load_average`, `memory_mb`, `server_threads`,
    /// `evaluator_threads`.
    pub values: [Option<f64>; 9],
}

impl MonitoringRow {
    /// Names of [`Self::values`].
    pub const NAMES: &'static [&'static str] = Self::COLUMNS.split_at(2).1;

    pub(super) const COLUMNS: &'static [&'static str] = &[
        "timestamp",
        "vm",
        "peer_queue",
        "visited_queue",
        "unique_incoming",
        "success_active",
        "thread_workload",
        "load_average",
        "memory_mb",
        "server_threads",
        "evaluator_threads",
    ];

    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut values = [None; 9];
        for (place, value) in values.iter_mut().enumerate() {
            *value = decimal(row, place + 2)?;
        }
        Ok(Self {
            timestamp: whole(row, 0)?.unwrap_or(0),
            vm: whole(row, 1)?,
            values,
        })
    }
}

/// A row of `scrape`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeRow<'a> {
    /// Torrent id.
    pub torrent: u32,
    /// The tracker.
    pub url: Cow<'a, str>,
    /// Its counter of downloads.
    pub completed: Option<i64>,
}

impl<'a> ScrapeRow<'a> {
    pub(super) const COLUMNS: &'static [&'static str] = &["torrent", "url", "completed"];

    pub(super) fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            torrent: id(row, 0)?,
            url: text(row, 1)?.unwrap_or_default(),
            completed: whole(row, 2)?,
        })
    }
}

/// A crossing: the two visits between which the threshold was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossingRow {
    /// Torrent id.
    pub torrent: u32,
    /// Unix milliseconds.
    pub last_below_ms: i64,
    /// Unix milliseconds.
    pub first_at_ms: i64,
    /// Id of the peer.
    pub peer: i64,
    /// When the peer was first seen, Unix seconds.
    pub first_seen: i64,
    /// Its pieces at the first visit.
    pub first_pieces: i64,
    /// Its pieces at the latest visit, if there was a second.
    pub last_pieces: Option<i64>,
    /// How it was found first; `None` for a word that 2015 does not have.
    pub way: Option<WaySeen>,
}

impl CrossingRow {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            torrent: id(row, 0)?,
            last_below_ms: whole(row, 1)?.unwrap_or(0),
            first_at_ms: whole(row, 2)?.unwrap_or(0),
            peer: whole(row, 3)?.unwrap_or(0),
            first_seen: whole(row, 4)?.unwrap_or(0),
            first_pieces: whole(row, 5)?.unwrap_or(0),
            last_pieces: whole(row, 6)?,
            way: WaySeen::of(text(row, 7)?, &WaySeen::ALL),
        })
    }
}
