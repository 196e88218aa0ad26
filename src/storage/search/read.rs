//! What the page reads of the index beside searches.

use rusqlite::{OptionalExtension, Row};

use super::{Hit, SearchIndex, count, hit};
use crate::model::InfoHash;
use crate::storage::error::StorageError;
use crate::storage::stopper::Stopper;

impl SearchIndex {
    /// Ends what this connection reads, from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper::of(&self.connection)
    }

    /// What the index has of a torrent; its score says nothing.
    pub fn torrent(&self, info_hash: InfoHash) -> Result<Option<Hit>, StorageError> {
        let sql = "SELECT 0, 0, 0, info_hash, name, files, size, at, kinds, country, \
                   country_name, subdivision, city, latitude, longitude \
                   FROM torrent WHERE info_hash = ?";
        let found = self
            .connection
            .query_row(sql, [info_hash.as_bytes()], |row| hit(row, 100.0));
        found.optional().map_err(|source| self.unreadable(source))
    }

    /// Torrents by the country of their first source where it is known, the
    /// most first.
    pub fn countries(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT max(country_name), country, count(*) FROM torrent WHERE country <> '' \
                 GROUP BY country ORDER BY 3 DESC, 2",
            )?;
            let row = |row: &Row<'_>| {
                let (name, code): (String, String) = (row.get(0)?, row.get(1)?);
                let name = if name.is_empty() { code } else { name };
                Ok((name, count(row.get(2)?)))
            };
            statement.query_map([], row)?.collect()
        };
        read().map_err(|source| self.unreadable(source))
    }
}
