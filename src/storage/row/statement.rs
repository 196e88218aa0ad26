//! Rows to statements and values.

use rusqlite::types::Value;

use super::super::text;
use super::sql;
use super::{
    AnnounceRow, ErrorRow, EvidenceRow, ExchangeRow, ExtensionHandshakeRow, FoundTrackerRow,
    HostRow, InputRow, NewPeer, OriginRow, PeerUpdate, RequestRow, Row, ScrapeRow, StatisticRow,
    TorrentRow, TrackerRow, VisitRow,
};
use crate::model::record::{InputFile, MessageCounts};
use crate::model::{Torrent, TorrentId};

impl Row {
    /// The table that the row belongs to.
    pub const fn table(&self) -> &'static str {
        match self {
            Self::Torrent(_) => "torrent",
            Self::Input(_) => "input",
            Self::NewPeer(_) | Self::PeerUpdate(_) => "peer",
            Self::Ipv6 { .. } => "peer_ipv6",
            Self::Host(_) => "host",
            Self::Place(_) => "place",
            Self::Origin(_) => "origin",
            Self::Exchange(_) => "exchange",
            Self::Visit(_) => "visit",
            Self::ExtensionHandshake(_) => "extension_handshake",
            Self::Crossing(_) => "crossing",
            Self::Evidence(_) => "evidence",
            Self::Doubt(_) => "doubt",
            Self::Request(_) => "request",
            Self::Statistic(_) => "statistic",
            Self::Outcome(_) => "outcome",
            Self::Message(_) => "message",
            Self::PeerError(_) => "peer_error",
            Self::TrackerResult(_) => "tracker_result",
            Self::FoundTracker(_) => "found_tracker",
            Self::Announce(_) => "announce",
            Self::Scrape(_) => "scrape",
            Self::Fact { .. } => "run",
        }
    }

    /// The statement that stores the row, one `?` for each of
    /// [`Row::values`].
    pub const fn sql(&self) -> &'static str {
        match self {
            Self::Torrent(_) => sql::TORRENT,
            Self::Input(_) => sql::INPUT,
            Self::NewPeer(_) => sql::NEW_PEER,
            Self::PeerUpdate(_) => sql::PEER_UPDATE,
            Self::Ipv6 { .. } => sql::IPV6,
            Self::Host(_) => HostRow::SQL,
            Self::Place(_) => sql::PLACE,
            Self::Origin(_) => OriginRow::SQL,
            Self::Exchange(_) => ExchangeRow::SQL,
            Self::Visit(_) => sql::VISIT,
            Self::ExtensionHandshake(_) => sql::EXTENSION_HANDSHAKE,
            Self::Crossing(_) => sql::CROSSING,
            Self::Evidence(_) => EvidenceRow::SQL,
            Self::Doubt(row) => row.sql(),
            Self::Request(_) => sql::REQUEST,
            Self::Statistic(_) => sql::STATISTIC,
            Self::Outcome(_) => sql::OUTCOME,
            Self::Message(_) => sql::MESSAGE,
            Self::PeerError(row) if row.count == 0 => sql::PEER_ERROR_GONE,
            Self::PeerError(_) => sql::PEER_ERROR,
            Self::TrackerResult(_) => sql::TRACKER_RESULT,
            Self::FoundTracker(_) => FoundTrackerRow::SQL,
            Self::Announce(_) => sql::ANNOUNCE,
            Self::Scrape(_) => sql::SCRAPE,
            Self::Fact { .. } => sql::FACT,
        }
    }

    /// Roughly the bytes of memory that the row takes.
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let apart = match self {
            Self::Torrent(row) => {
                let texts = row.announce_url.len() + row.filepath.len() + text(&row.display_name);
                size_of_val(&**row) + texts
            }
            Self::Input(row) => size_of_val(&**row) + row.path.len() + text(&row.note) + TEXTS,
            Self::NewPeer(row) => size_of_val(&**row) + text(&row.client) + TEXTS,
            Self::Host(row) => size_of_val(&**row) + text(&row.host) + text(&row.domain),
            Self::Place(row) => size_of_val(&**row) + text(&row.city),
            Self::Visit(row) => size_of_val(&**row) + row.ended.len(),
            Self::ExtensionHandshake(row) => size_of_val(&**row) + text(&row.client),
            Self::Request(row) => size_of_val(&**row),
            Self::Statistic(row) => size_of_val(&**row),
            Self::Outcome(row) => row.reason.len(),
            Self::PeerError(row) => row.reason.len(),
            Self::TrackerResult(row) => size_of_val(&**row) + row.url.len() + row.reason.len(),
            Self::Announce(row) => size_of_val(&**row) + row.url.len() + text(&row.warning),
            Self::Scrape(row) => size_of_val(&**row) + row.url.len(),
            Self::FoundTracker(row) => size_of_val(&**row) + row.url.len(),
            Self::Fact { value, .. } => value.len(),
            Self::PeerUpdate(_)
            | Self::Ipv6 { .. }
            | Self::Crossing(_)
            | Self::Evidence(_)
            | Self::Doubt(_)
            | Self::Message(_)
            | Self::Origin(_)
            | Self::Exchange(_) => 0,
        };
        size_of::<Self>() + apart
    }

    /// The values of [`Row::sql`], in order.
    pub fn values(&self) -> Vec<Value> {
        match self {
            Self::Torrent(row) => row.values(),
            Self::Input(row) => vec![
                row.path.clone().into(),
                row.sha1.clone().into(),
                row.torrent.map(i64::from).into(),
                row.note.clone().into(),
            ],
            Self::NewPeer(row) => row.values(),
            Self::PeerUpdate(row) => row.values(),
            Self::Ipv6 { peer } => vec![(*peer).into()],
            Self::Host(row) => row.values(),
            Self::Place(row) => vec![
                row.peer.into(),
                row.city.clone().into(),
                row.accuracy_km.map(i64::from).into(),
            ],
            Self::Origin(row) => row.values(),
            Self::Exchange(row) => row.values(),
            Self::Visit(row) => row.values(),
            Self::ExtensionHandshake(row) => row.values(),
            Self::Crossing(row) => vec![
                row.peer.into(),
                row.last_below_ms.into(),
                row.last_below_pieces.into(),
                row.first_at_ms.into(),
                row.first_at_pieces.into(),
            ],
            Self::Evidence(row) => row.values(),
            Self::Doubt(row) => row.values(),
            Self::Request(row) => row.values(),
            Self::Statistic(row) => row.values(),
            Self::Outcome(row) => vec![
                row.time_ms.into(),
                word(&row.event),
                row.reason.clone().into(),
                count(row.count),
            ],
            Self::Message(row) => vec![row.time_ms.into(), word(&row.kind), count(row.count)],
            Self::PeerError(row) => row.values(),
            Self::TrackerResult(row) => row.values(),
            Self::FoundTracker(row) => row.values(),
            Self::Announce(row) => row.values(),
            Self::Scrape(row) => row.values(),
            Self::Fact { key, value } => vec![word(key), value.clone().into()],
        }
    }
}

impl TorrentRow {
    /// The row of `torrent`, its texts cleaned.
    pub(crate) fn of(torrent: &Torrent) -> Self {
        let name = torrent.display_name.as_deref();
        Self {
            id: torrent.id,
            announce_url: text::clean(&torrent.trackers.join(","), usize::MAX),
            info_hash: torrent.info_hash,
            pieces_count: torrent.pieces.0,
            piece_size: i64::try_from(torrent.piece_length).unwrap_or(i64::MAX),
            complete_threshold: torrent.threshold.0,
            filepath: text::clean(&torrent.path.to_string_lossy(), text::URL_LIMIT),
            display_name: name.map(|name| text::clean(name, text::NAME_LIMIT)),
            gigabyte: torrent.size() as f64 / 1e9,
        }
    }

    fn values(&self) -> Vec<Value> {
        vec![
            torrent(self.id),
            self.announce_url.clone().into(),
            self.info_hash.as_bytes().to_vec().into(),
            self.info_hash.to_string().into(),
            self.pieces_count.into(),
            self.piece_size.into(),
            self.complete_threshold.into(),
            self.filepath.clone().into(),
            self.display_name.clone().into(),
            self.gigabyte.into(),
        ]
    }
}

impl InputRow {
    /// The row of `input`, its texts cleaned.
    pub(crate) fn of(input: &InputFile) -> Self {
        let note = input.note.as_deref();
        Self {
            path: text::clean(&input.path.to_string_lossy(), text::URL_LIMIT),
            sha1: input.sha1.map(|sha1| sha1.to_string()),
            torrent: input.torrent.map(TorrentId::number),
            note: note.map(|note| text::clean(note, text::NAME_LIMIT)),
        }
    }
}

impl NewPeer {
    fn values(&self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.client.clone().into(),
            self.continent.clone().into(),
            self.country.clone().into(),
            self.latitude.into(),
            self.longitude.into(),
            self.first_pieces.into(),
            Value::Null,
            self.first_seen.into(),
            Value::Null,
            Value::Null,
            1.into(),
            word(self.source.as_str()),
            torrent(self.torrent),
        ]
    }
}

impl PeerUpdate {
    fn values(self) -> Vec<Value> {
        vec![
            self.last_pieces.into(),
            self.last_seen.into(),
            self.max_speed.into(),
            self.visits.into(),
            self.id.into(),
            self.visits.into(),
        ]
    }
}

impl VisitRow {
    fn values(&self) -> Vec<Value> {
        let kinds = kinds(&self.messages).map(|(_, count)| Value::from(count));
        let mut values = vec![
            self.id.into(),
            self.peer.into(),
            self.time_ms.into(),
            self.pieces.into(),
        ];
        values.extend(kinds);
        values.extend([
            self.longest_wait_ms.into(),
            self.duration_ms.into(),
            word(&self.direction),
            word(&self.transport),
            word(&self.encryption),
            self.ended.clone().into(),
        ]);
        values
    }
}

impl ExtensionHandshakeRow {
    fn values(&self) -> Vec<Value> {
        vec![
            self.visit.into(),
            self.client.clone().into(),
            self.listen_port.map(i64::from).into(),
            self.request_queue.into(),
            self.upload_only.into(),
            self.metadata_size.into(),
        ]
    }
}

impl RequestRow {
    fn values(&self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.timestamp.into(),
            word(self.source.as_str()),
            count(self.received),
            count(self.duplicates),
            self.seeders.into(),
            self.completed.into(),
            self.leechers.into(),
            self.duration_sec.into(),
            torrent(self.torrent),
        ]
    }
}

impl StatisticRow {
    fn values(&self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.timestamp.into(),
            count(self.peer_queue),
            count(self.visited_queue),
            count(self.unique_incoming),
            count(self.success_active),
            self.thread_workload.into(),
            self.load_average.into(),
            self.memory_mb.into(),
            count(self.server_threads),
            count(self.evaluator_threads),
        ]
    }
}

impl ErrorRow {
    fn values(&self) -> Vec<Value> {
        let mut values = vec![word(&self.event), self.reason.clone().into()];
        if self.count > 0 {
            values.push(count(self.count));
        }
        values
    }
}

impl TrackerRow {
    fn values(&self) -> Vec<Value> {
        vec![
            torrent(self.torrent),
            self.url.clone().into(),
            word(&self.result),
            self.reason.clone().into(),
            count(self.count),
        ]
    }
}

impl AnnounceRow {
    fn values(&self) -> Vec<Value> {
        vec![
            self.request.into(),
            self.time_ms.into(),
            self.url.clone().into(),
            self.interval.into(),
            self.min_interval.into(),
            self.seeders.into(),
            self.leechers.into(),
            self.warning.clone().into(),
        ]
    }
}

impl ScrapeRow {
    fn values(&self) -> Vec<Value> {
        vec![
            self.time_ms.into(),
            torrent(self.torrent),
            self.url.clone().into(),
            self.seeders.into(),
            self.completed.into(),
            self.leechers.into(),
        ]
    }
}

/// Kinds of messages that are counted apart, the sum included.
pub(crate) const KINDS: usize = 12;

/// The counts of one visit with their names, in the order of the columns.
pub(crate) const fn kinds(counts: &MessageCounts) -> [(&'static str, u32); KINDS] {
    [
        ("messages", counts.total),
        ("bitfield", counts.bitfield),
        ("have", counts.have),
        ("have_all", counts.have_all),
        ("have_none", counts.have_none),
        ("keep_alive", counts.keep_alive),
        ("state", counts.state),
        ("extended", counts.extended),
        ("port", counts.port),
        ("transfer", counts.transfer),
        ("piece", counts.piece),
        ("unknown", counts.unknown),
    ]
}

/// Country and continent: two short texts with their bookkeeping.
const TEXTS: usize = 32;

fn word(word: &str) -> Value {
    Value::Text(word.to_owned())
}

fn count(count: u64) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn torrent(id: TorrentId) -> Value {
    Value::Integer(i64::from(id.number()))
}
