//! Rows to the values of their statements; writer thread only.

use rusqlite::types::Value;

use super::{
    AnnounceRow, ErrorRow, ExtensionHandshakeRow, NewPeer, PeerUpdate, RequestRow, Row, ScrapeRow,
    StatisticRow, TorrentRow, TrackerRow, VisitRow, kinds,
};
use crate::model::TorrentId;

impl Row {
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
            Self::Origin(row) => vec![row.peer.into(), word(&row.origin)],
            Self::Exchange(row) => vec![
                row.time_ms.into(),
                torrent(row.torrent),
                count(row.received),
                count(row.duplicates),
            ],
            Self::Visit(row) => row.values(),
            Self::ExtensionHandshake(row) => row.values(),
            Self::Crossing(row) => vec![
                row.peer.into(),
                row.last_below_ms.into(),
                row.last_below_pieces.into(),
                row.first_at_ms.into(),
                row.first_at_pieces.into(),
            ],
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
            Self::Announce(row) => row.values(),
            Self::Scrape(row) => row.values(),
            Self::Fact { key, value } => vec![word(key), value.clone().into()],
        }
    }
}

impl TorrentRow {
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

fn word(word: &str) -> Value {
    Value::Text(word.to_owned())
}

fn count(count: u64) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn torrent(id: TorrentId) -> Value {
    Value::Integer(i64::from(id.number()))
}
