//! The store of the observatory: events added up per minute in SQLite.
//!
//! Written on the thread `observe-write` only; readers open the file by
//! themselves (write-ahead log). A batch is one transaction: it is stored as
//! a whole or not at all, and whoever made it keeps it until then.

mod batch;
mod read;
mod upkeep;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::StorageError;
use super::form::Form;

pub use batch::{Batch, EventKey, NetworkRow, PlaceKey, SurveyRow, SwarmRow};
pub use read::{ActivityRow, NetworkEstimate, PlaceCount, SwarmEstimate};
pub use upkeep::Trimmed;

const FORM: Form = Form {
    // "btdO" as a number.
    application: 0x6274_644f,
    version: 1,
    schema: include_str!("observatory/schema.sql"),
};

/// The open store.
pub struct Observatory {
    connection: Connection,
    path: PathBuf,
}

impl Observatory {
    /// Opens the store, or makes it.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            connection: FORM.open(path)?,
            path: path.to_owned(),
        })
    }

    /// Opens the store to read it.
    pub fn read(path: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            connection: FORM.read(path)?,
            path: path.to_owned(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a batch to what is there, in one transaction.
    pub fn store(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.try_store(batch)
            .map_err(|source| self.failed("storing", source))
    }

    fn try_store(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert_counts(&transaction, batch)?;
        insert_estimates(&transaction, batch)?;
        transaction.commit()
    }

    /// Records of each kind from `minute` on.
    pub fn kinds(&self, minute: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.counts(
            "SELECT kind, sum(events) FROM event WHERE minute >= ? GROUP BY kind ORDER BY 2 DESC, 1",
            minute,
        )
    }

    /// Records of each country from `minute` on, where it is known, the most
    /// first.
    pub fn countries(&self, minute: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.counts(
            "SELECT country, sum(events) FROM event WHERE minute >= ? AND country <> '' \
             GROUP BY country ORDER BY 2 DESC, 1",
            minute,
        )
    }

    /// Records of each city from `minute` on, where it is known.
    pub fn cities(&self, minute: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.counts(
            "SELECT city || ', ' || country, sum(events) FROM place \
             WHERE minute >= ? AND city <> '' GROUP BY 1 ORDER BY 2 DESC, 1",
            minute,
        )
    }

    /// Records of each program from `minute` on.
    pub fn clients(&self, minute: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.counts(
            "SELECT client, sum(events) FROM client WHERE minute >= ? \
             GROUP BY client ORDER BY 2 DESC, 1",
            minute,
        )
    }

    /// What was no record or lost, from `minute` on.
    pub fn tallies(&self, minute: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.counts(
            "SELECT what, sum(count) FROM tally WHERE minute >= ? GROUP BY what ORDER BY 1",
            minute,
        )
    }

    fn counts(&self, sql: &str, minute: i64) -> Result<Vec<(String, u64)>, StorageError> {
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| {
                let count: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(count).unwrap_or(0)))
            };
            statement.query_map([minute], row)?.collect()
        };
        read().map_err(|source| StorageError::Unreadable {
            path: self.path.clone(),
            step: "counting",
            source,
        })
    }

    fn failed(&self, step: &'static str, source: rusqlite::Error) -> StorageError {
        StorageError::Database {
            path: self.path.clone(),
            step,
            source,
        }
    }
}

fn insert_counts(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut event = connection.prepare_cached(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET events = events + excluded.events",
    )?;
    for (key, events) in &batch.events {
        event.execute(params![
            key.minute,
            key.kind,
            key.country_text(),
            key.hash_bytes(),
            events
        ])?;
    }
    let mut place = connection.prepare_cached(
        "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET events = events + excluded.events",
    )?;
    for (key, events) in &batch.places {
        place.execute(params![
            key.minute,
            key.latitude(),
            key.longitude(),
            key.country,
            key.subdivision,
            key.city,
            events
        ])?;
    }
    let mut client = connection.prepare_cached(
        "INSERT INTO client VALUES (?, ?, ?) \
         ON CONFLICT DO UPDATE SET events = events + excluded.events",
    )?;
    for ((minute, letters), events) in &batch.clients {
        client.execute(params![minute, letters, events])?;
    }
    let mut tally = connection.prepare_cached(
        "INSERT INTO tally VALUES (?, ?, ?) \
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    for ((minute, what), count) in &batch.tallies {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        tally.execute(params![minute, what, count])?;
    }
    Ok(())
}

fn insert_estimates(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    for row in &batch.swarms {
        connection.execute(
            "INSERT OR REPLACE INTO swarm VALUES (?, ?, ?, ?, ?)",
            params![
                row.at.millis(),
                row.info_hash.as_bytes(),
                row.seeds,
                row.peers,
                row.responders
            ],
        )?;
    }
    for row in &batch.networks {
        connection.execute(
            "INSERT OR REPLACE INTO network VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                row.at.millis(),
                row.family,
                row.nodes,
                row.low,
                row.high,
                row.targets,
                row.nearest
            ],
        )?;
    }
    for row in &batch.surveys {
        let known = i64::try_from(row.known).unwrap_or(i64::MAX);
        connection.execute(
            "INSERT OR REPLACE INTO survey VALUES (?, ?, ?, ?, ?, ?)",
            params![
                row.at.millis(),
                row.family,
                row.asked,
                row.answered,
                row.hashes,
                known
            ],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
