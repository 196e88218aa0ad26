//! The row of `host`: what is kept of a peer's name. Writer thread only.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};

use super::Word;
use super::values::{text, text_or_null, whole};
use crate::model::record::HostName;

/// Row of `host`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRow {
    /// The peer.
    pub peer: i64,
    /// When the answer came.
    pub time_ms: i64,
    /// `name`, or why there is none.
    pub outcome: Word,
    /// Last two labels.
    pub host: Option<String>,
    /// Registrable domain.
    pub domain: Option<String>,
}

impl HostRow {
    /// A name that is there stays.
    pub(super) const SQL: &str =
        "INSERT OR IGNORE INTO host (peer, time_ms, outcome, host, domain) VALUES (?, ?, ?, ?, ?)";

    /// The row of an answer.
    pub(crate) fn of(name: HostName) -> Self {
        Self {
            peer: name.peer,
            time_ms: name.at.millis(),
            outcome: name.outcome.into(),
            host: name.host,
            domain: name.domain,
        }
    }

    /// In the order of the columns.
    pub(super) fn values(&self) -> [ValueRef<'_>; 5] {
        [
            whole(self.peer),
            whole(self.time_ms),
            text(&self.outcome),
            text_or_null(self.host.as_deref()),
            text_or_null(self.domain.as_deref()),
        ]
    }
}
