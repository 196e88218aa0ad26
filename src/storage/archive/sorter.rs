//! Puts any number of values in order without keeping them in memory: a
//! temporary SQLite database, which SQLite moves to disk as it grows and
//! removes at the end.

use std::path::Path;

use rusqlite::Connection;

use super::{StorageError, failed};

/// Pages of the cache, in KiB; what is beyond is on disk.
const CACHE_KIB: u32 = 16 * 1024;
/// Rows of one transaction.
const BATCH: u32 = 50_000;

/// Values in groups, taken in any order and given back in ascending order.
#[derive(Debug)]
pub struct Sorter {
    database: Connection,
    waiting: u32,
}

impl Sorter {
    /// An empty one.
    ///
    /// # Errors
    /// When SQLite cannot make a temporary database.
    pub fn new() -> Result<Self, StorageError> {
        let open = || {
            // The empty name is SQLite's for a private file that it removes.
            let database = Connection::open("")?;
            database.execute_batch(&format!(
                "PRAGMA temp_store = FILE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
                 PRAGMA cache_size = -{CACHE_KIB};
                 CREATE TABLE item (part INTEGER NOT NULL, value REAL NOT NULL);
                 BEGIN"
            ))?;
            Ok(database)
        };
        let database = open().map_err(not_sorted)?;
        Ok(Self {
            database,
            waiting: 0,
        })
    }

    /// Adds a value to a group.
    pub fn push(&mut self, part: u32, value: f64) -> Result<(), StorageError> {
        let mut add = || {
            let sql = "INSERT INTO item VALUES (?, ?)";
            self.database.prepare_cached(sql)?.execute((part, value))?;
            self.waiting += 1;
            if self.waiting == BATCH {
                self.waiting = 0;
                self.database.execute_batch("COMMIT; BEGIN")?;
            }
            Ok(())
        };
        add().map_err(not_sorted)
    }

    /// Every value with its group: groups ascending, values ascending within
    /// each.
    pub fn each_by_group(&self, take: impl FnMut(u32, f64)) -> Result<(), StorageError> {
        self.each("SELECT part, value FROM item ORDER BY part, value", take)
    }

    /// Every value with its group, ascending by value alone.
    pub fn each_by_value(&self, take: impl FnMut(u32, f64)) -> Result<(), StorageError> {
        self.each("SELECT part, value FROM item ORDER BY value", take)
    }

    fn each(&self, sql: &str, mut take: impl FnMut(u32, f64)) -> Result<(), StorageError> {
        let mut read = || {
            let mut statement = self.database.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(row.get(0)?, row.get(1)?);
            }
            Ok(())
        };
        read().map_err(not_sorted)
    }
}

fn not_sorted(source: rusqlite::Error) -> StorageError {
    failed(Path::new("(temporary)"), "sorting", source)
}
