//! The rows of `evidence`, `doubt` and `client_behaviour`: what addresses have
//! shown, and what is to be doubted of it. Writer thread only.

use serde::{Deserialize, Serialize};

use super::{Word, form};
use crate::model::TorrentId;
use crate::model::misreporting::Misreporting;

/// Row of `evidence`; replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRow {
    /// `torrent`.
    #[serde(with = "form::torrent_id")]
    pub torrent: TorrentId,
    /// Word for the class.
    pub class: Word,
    /// New count.
    pub addresses: u64,
}

impl EvidenceRow {
    pub(super) const SQL: &str = "INSERT INTO evidence (torrent, class, addresses) VALUES (?, ?, ?) ON CONFLICT (torrent, class) DO UPDATE SET addresses = excluded.addresses";
}

/// Row of `doubt`; replaces the one before, and `times` of 0 removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtRow {
    /// The peer.
    pub peer: i64,
    /// Word for the reason.
    pub reason: Word,
    /// The first such visit.
    pub since_ms: i64,
    /// The latest.
    pub last_ms: i64,
    /// Such visits.
    pub times: u32,
    /// `always zero`: visits in which a message said so; `lost pieces`: the
    /// most that were lost at once.
    pub figure: u32,
}

impl DoubtRow {
    const SQL: &str = "INSERT INTO doubt (peer, reason, since_ms, last_ms, times, figure) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (peer, reason) DO UPDATE SET last_ms = excluded.last_ms, times = excluded.times, figure = excluded.figure";

    const GONE: &str = "DELETE FROM doubt WHERE peer = ? AND reason = ?";

    pub(super) const fn sql(&self) -> &'static str {
        if self.times == 0 {
            Self::GONE
        } else {
            Self::SQL
        }
    }
}

/// The statement for the rows of `client_behaviour`, which is written once.
pub(crate) const BEHAVIOUR_SQL: &str = "INSERT INTO client_behaviour (prefix, client, behaviour, effect, source) VALUES (?, ?, ?, ?, ?)";

/// Their values, in the order of the list.
pub(crate) fn behaviours() -> impl Iterator<Item = [&'static str; 5]> {
    Misreporting::all().map(|it| [it.prefix, it.client, it.behaviour, it.effect, it.source])
}
