//! Rows to the values of their statements, which borrow from the row: nothing
//! is copied on the way to SQLite. Writer thread only.

use rusqlite::types::ValueRef;

use super::{
    AnnounceRow, CountRow, CrossingRow, DoubtRow, ErrorRow, EvidenceRow, ExchangeRow,
    ExtensionHandshakeRow, FoundTrackerRow, InputRow, KINDS, MessageRow, NewPeer, PeerUpdate,
    PlaceRow, RequestRow, Row, ScrapeRow, StatisticRow, TorrentRow, TrackerRow, VisitRow, kinds,
};
use crate::model::TorrentId;

impl Row {
    /// Hands the values of [`Row::sql`] to `take`, in order.
    pub fn with_values<T>(&self, take: impl FnOnce(&[ValueRef<'_>]) -> T) -> T {
        match self {
            Self::Torrent(row) => take(&row.values(&row.info_hash.to_string())),
            Self::Input(row) => take(&row.values()),
            Self::NewPeer(row) => take(&row.values()),
            Self::PeerUpdate(row) => take(&row.values()),
            Self::Ipv6 { peer } => take(&[whole(*peer)]),
            Self::Host(row) => take(&row.values()),
            Self::Place(row) => take(&row.values()),
            Self::Origin(row) => take(&[whole(row.peer), text(&row.origin)]),
            Self::Exchange(row) => take(&row.values()),
            Self::Visit(row) => take(&row.values()),
            Self::ExtensionHandshake(row) => take(&row.values()),
            Self::Crossing(row) => take(&row.values()),
            Self::Evidence(row) => take(&row.values()),
            Self::Doubt(row) => row.with_values(take),
            Self::FoundTracker(row) => take(&row.values()),
            Self::Request(row) => take(&row.values()),
            Self::Statistic(row) => take(&row.values()),
            Self::Outcome(row) => take(&row.values()),
            Self::Message(row) => take(&row.values()),
            Self::PeerError(row) => row.with_values(take),
            Self::TrackerResult(row) => take(&row.values()),
            Self::Announce(row) => take(&row.values()),
            Self::Scrape(row) => take(&row.values()),
            Self::Fact { key, value } => take(&[text(key), text(value)]),
        }
    }
}

impl TorrentRow {
    fn values<'a>(&'a self, hexadecimal: &'a str) -> [ValueRef<'a>; 10] {
        [
            torrent(self.id),
            text(&self.announce_url),
            ValueRef::Blob(self.info_hash.as_bytes()),
            text(hexadecimal),
            whole(self.pieces_count),
            whole(self.piece_size),
            whole(self.complete_threshold),
            text(&self.filepath),
            text_or_null(self.display_name.as_deref()),
            ValueRef::Real(self.gigabyte),
        ]
    }
}

impl InputRow {
    fn values(&self) -> [ValueRef<'_>; 4] {
        [
            text(&self.path),
            text_or_null(self.sha1.as_deref()),
            whole_or_null(self.torrent),
            text_or_null(self.note.as_deref()),
        ]
    }
}

impl NewPeer {
    fn values(&self) -> [ValueRef<'_>; 14] {
        [
            whole(self.id),
            text_or_null(self.client.as_deref()),
            text_or_null(self.continent.as_deref()),
            text_or_null(self.country.as_deref()),
            real_or_null(self.latitude),
            real_or_null(self.longitude),
            whole(self.first_pieces),
            ValueRef::Null,
            whole(self.first_seen),
            ValueRef::Null,
            ValueRef::Null,
            whole(1),
            text(self.source.as_str()),
            torrent(self.torrent),
        ]
    }
}

impl PeerUpdate {
    fn values(&self) -> [ValueRef<'static>; 6] {
        [
            whole(self.last_pieces),
            whole(self.last_seen),
            ValueRef::Real(self.max_speed),
            whole(self.visits),
            whole(self.id),
            whole(self.visits),
        ]
    }
}

impl PlaceRow {
    fn values(&self) -> [ValueRef<'_>; 3] {
        [
            whole(self.peer),
            text_or_null(self.city.as_deref()),
            whole_or_null(self.accuracy_km),
        ]
    }
}

impl ExchangeRow {
    fn values(&self) -> [ValueRef<'_>; 5] {
        [
            whole(self.time_ms),
            torrent(self.torrent),
            text(&self.origin),
            count(self.received),
            count(self.duplicates),
        ]
    }
}

impl EvidenceRow {
    fn values(&self) -> [ValueRef<'_>; 3] {
        [
            torrent(self.torrent),
            text(&self.class),
            count(self.addresses),
        ]
    }
}

impl DoubtRow {
    fn with_values<T>(&self, take: impl FnOnce(&[ValueRef<'_>]) -> T) -> T {
        let key = [whole(self.peer), text(&self.reason)];
        if self.times == 0 {
            return take(&key);
        }
        let [peer, reason] = key;
        take(&[
            peer,
            reason,
            whole(self.since_ms),
            whole(self.last_ms),
            whole(self.times),
            whole(self.figure),
        ])
    }
}

impl FoundTrackerRow {
    fn values(&self) -> [ValueRef<'_>; 5] {
        [
            whole(self.time_ms),
            torrent(self.torrent),
            text(&self.url),
            text(&self.origin),
            whole(self.asked),
        ]
    }
}

impl VisitRow {
    fn values(&self) -> [ValueRef<'_>; 4 + KINDS + 6] {
        let mut values = [ValueRef::Null; 4 + KINDS + 6];
        let kinds = kinds(&self.messages).map(|(_, count)| whole(count));
        let (before, rest) = values.split_at_mut(4);
        let (counts, after) = rest.split_at_mut(KINDS);
        before.copy_from_slice(&[
            whole(self.id),
            whole(self.peer),
            whole(self.time_ms),
            whole(self.pieces),
        ]);
        counts.copy_from_slice(&kinds);
        after.copy_from_slice(&[
            whole_or_null(self.longest_wait_ms),
            whole(self.duration_ms),
            text(&self.direction),
            text(&self.transport),
            text(&self.encryption),
            text(&self.ended),
        ]);
        values
    }
}

impl ExtensionHandshakeRow {
    fn values(&self) -> [ValueRef<'_>; 7] {
        [
            whole(self.visit),
            text_or_null(self.client.as_deref()),
            whole_or_null(self.listen_port),
            whole_or_null(self.request_queue),
            whole_or_null(self.upload_only),
            whole_or_null(self.metadata_size),
            text_or_null(self.your_ip.as_deref()),
        ]
    }
}

impl CrossingRow {
    fn values(&self) -> [ValueRef<'static>; 5] {
        [
            whole(self.peer),
            whole(self.last_below_ms),
            whole(self.last_below_pieces),
            whole(self.first_at_ms),
            whole(self.first_at_pieces),
        ]
    }
}

impl RequestRow {
    fn values(&self) -> [ValueRef<'static>; 10] {
        [
            whole(self.id),
            whole(self.timestamp),
            text(self.source.as_str()),
            count(self.received),
            count(self.duplicates),
            whole_or_null(self.seeders),
            whole_or_null(self.completed),
            whole_or_null(self.leechers),
            real_or_null(self.duration_sec),
            torrent(self.torrent),
        ]
    }
}

impl StatisticRow {
    fn values(&self) -> [ValueRef<'static>; 11] {
        [
            whole(self.id),
            whole(self.timestamp),
            count(self.peer_queue),
            count(self.visited_queue),
            count(self.unique_incoming),
            count(self.success_active),
            real_or_null(self.thread_workload),
            real_or_null(self.load_average),
            real_or_null(self.memory_mb),
            count(self.server_threads),
            count(self.evaluator_threads),
        ]
    }
}

impl CountRow {
    fn values(&self) -> [ValueRef<'_>; 4] {
        [
            whole(self.time_ms),
            text(&self.event),
            text(&self.reason),
            count(self.count),
        ]
    }
}

impl MessageRow {
    fn values(&self) -> [ValueRef<'_>; 3] {
        [whole(self.time_ms), text(&self.kind), count(self.count)]
    }
}

impl ErrorRow {
    /// A line that goes is named, one that stays is also counted.
    fn with_values<T>(&self, take: impl FnOnce(&[ValueRef<'_>]) -> T) -> T {
        let [event, reason] = [text(&self.event), text(&self.reason)];
        if self.count == 0 {
            take(&[event, reason])
        } else {
            take(&[event, reason, count(self.count)])
        }
    }
}

impl TrackerRow {
    fn values(&self) -> [ValueRef<'_>; 5] {
        [
            torrent(self.torrent),
            text(&self.url),
            text(&self.result),
            text(&self.reason),
            count(self.count),
        ]
    }
}

impl AnnounceRow {
    fn values(&self) -> [ValueRef<'_>; 9] {
        [
            whole(self.request),
            whole(self.time_ms),
            text(&self.url),
            whole_or_null(self.interval),
            whole_or_null(self.min_interval),
            whole_or_null(self.seeders),
            whole_or_null(self.leechers),
            text_or_null(self.warning.as_deref()),
            whole_or_null(self.family.map(u32::from)),
        ]
    }
}

impl ScrapeRow {
    fn values(&self) -> [ValueRef<'_>; 6] {
        [
            whole(self.time_ms),
            torrent(self.torrent),
            text(&self.url),
            whole_or_null(self.seeders),
            whole_or_null(self.completed),
            whole_or_null(self.leechers),
        ]
    }
}

pub(super) const fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

pub(super) fn text_or_null(maybe: Option<&str>) -> ValueRef<'_> {
    maybe.map_or(ValueRef::Null, text)
}

pub(super) fn whole(number: impl Into<i64>) -> ValueRef<'static> {
    ValueRef::Integer(number.into())
}

fn whole_or_null(maybe: Option<impl Into<i64>>) -> ValueRef<'static> {
    maybe.map_or(ValueRef::Null, whole)
}

/// What is not a number becomes `NULL`: SQLite makes it so.
fn real_or_null(maybe: Option<f64>) -> ValueRef<'static> {
    maybe.map_or(ValueRef::Null, ValueRef::Real)
}

fn count(count: u64) -> ValueRef<'static> {
    ValueRef::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn torrent(id: TorrentId) -> ValueRef<'static> {
    whole(id.number())
}
