//! What a result file of ours tells of evidence and doubt; nothing for one of
//! 2015.

use super::{Archive, cells, text};
use crate::storage::error::StorageError;

impl Archive {
    /// Rows of our table `evidence`: torrent, class, addresses.
    pub fn each_evidence(
        &self,
        mut take: impl FnMut(u32, String, u64),
    ) -> Result<(), StorageError> {
        self.each("evidence", &["torrent", "class", "addresses"], "", |row| {
            let class = text(row, 1)?.unwrap_or_default().into_owned();
            take(cells::id(row, 0)?, class, cells::count(row, 2)?);
            Ok(())
        })
    }

    /// Rows of our table `doubt` with the peer's client: client, reason.
    pub fn each_doubt(
        &self,
        mut take: impl FnMut(Option<&str>, String),
    ) -> Result<(), StorageError> {
        if !self.has("doubt") {
            return Ok(());
        }
        let sql = "SELECT peer.client, doubt.reason FROM doubt JOIN peer ON peer.id = doubt.peer";
        self.query(sql, |row| {
            let client = text(row, 0)?;
            let reason = text(row, 1)?.unwrap_or_default().into_owned();
            take(client.as_deref(), reason);
            Ok(())
        })
    }
}
