//! Old minutes go, and so do the oldest when the file becomes too large.

use rusqlite::params;

use super::Observatory;
use crate::storage::error::StorageError;

/// Minutes removed at one time, so that no transaction becomes large.
const STEP: i64 = 60;

/// Tables by minute.
const BY_MINUTE: [&str; 4] = ["event", "place", "client", "tally"];

/// Tables by time.
const BY_TIME: [&str; 3] = ["swarm", "network", "survey"];

/// What was removed, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Rows that were removed.
    pub removed: u64,
    /// Bytes in use in the file, without free pages.
    pub bytes: u64,
}

impl Observatory {
    /// Removes what is older than `oldest_minute`, then hour by hour what is
    /// oldest until the file has at most `bytes_max` in use. Free pages are
    /// used again: the file does not shrink, and does not grow either.
    pub fn trim(&mut self, oldest_minute: i64, bytes_max: u64) -> Result<Trimmed, StorageError> {
        self.try_trim(oldest_minute, bytes_max)
            .map_err(|source| self.failed("removing what is old", source))
    }

    fn try_trim(&mut self, oldest_minute: i64, bytes_max: u64) -> rusqlite::Result<Trimmed> {
        let mut trimmed = Trimmed {
            removed: 0,
            bytes: self.bytes()?,
        };
        while let Some(first) = self.first_minute()? {
            let before = if first < oldest_minute {
                oldest_minute.min(first + STEP)
            } else if trimmed.bytes > bytes_max {
                first + STEP
            } else {
                break;
            };
            trimmed.removed += self.remove_before(before)?;
            trimmed.bytes = self.bytes()?;
        }
        Ok(trimmed)
    }

    fn remove_before(&mut self, minute: i64) -> rusqlite::Result<u64> {
        let transaction = self.connection.transaction()?;
        let mut removed = 0;
        for table in BY_MINUTE {
            let sql = format!("DELETE FROM {table} WHERE minute < ?");
            removed += transaction.execute(&sql, params![minute])?;
        }
        for table in BY_TIME {
            let sql = format!("DELETE FROM {table} WHERE at < ?");
            removed += transaction.execute(&sql, params![minute.saturating_mul(60_000)])?;
        }
        transaction.commit()?;
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }

    fn first_minute(&self) -> rusqlite::Result<Option<i64>> {
        let firsts = BY_MINUTE.map(|table| format!("SELECT min(minute) AS first FROM {table}"));
        let sql = format!("SELECT min(first) FROM ({})", firsts.join(" UNION ALL "));
        self.connection.query_row(&sql, [], |row| row.get(0))
    }

    /// Bytes in use.
    fn bytes(&self) -> rusqlite::Result<u64> {
        let number = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let used = number("page_count")? - number("freelist_count")?;
        let bytes = used.saturating_mul(number("page_size")?);
        Ok(u64::try_from(bytes).unwrap_or(0))
    }
}
