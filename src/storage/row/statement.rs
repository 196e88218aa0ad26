//! Rows to statements.

use super::super::text;
use super::sql;
use super::{
    EvidenceRow, ExchangeRow, FoundTrackerRow, HostRow, InputRow, OriginRow, Row, TorrentRow,
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
    /// its values ([`Row::with_values`]).
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
