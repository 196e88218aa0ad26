//! What the page reads of the store. Each reader has a connection of its own
//! that writes nothing.

use rusqlite::{OptionalExtension, Row, params};

use super::Observatory;
use crate::model::InfoHash;
use crate::storage::error::StorageError;
use crate::storage::stopper::Stopper;

/// Places of one time that are read at most, the busiest.
const PLACES_MAX: i64 = 5_000;

/// Records of a minute, of a kind and from a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRow {
    /// Whole minutes since 1970.
    pub minute: i64,
    /// Word of the kind.
    pub kind: String,
    /// ISO 3166-1 alpha-2; empty: unknown.
    pub country: String,
    /// Records.
    pub events: u64,
}

/// Records from one place.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceCount {
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// ISO 3166-1 alpha-2; empty: unknown.
    pub country: String,
    /// Records.
    pub events: u64,
}

/// The newest estimate of the network's size in a family.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkEstimate {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// `v4` or `v6`.
    pub family: String,
    /// Estimated nodes.
    pub nodes: f64,
    /// Lower bound of 95 %.
    pub low: f64,
    /// Upper bound of 95 %.
    pub high: f64,
}

/// The newest measured size of a swarm.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmEstimate {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Estimated complete peers.
    pub seeds: f64,
    /// Estimated others.
    pub peers: f64,
}

impl Observatory {
    /// Ends what this connection reads, from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper::of(&self.connection)
    }

    /// The newest minute with records; `None` while there is none.
    pub fn newest_minute(&self) -> Result<Option<i64>, StorageError> {
        let sql = "SELECT max(minute) FROM event";
        let newest = self.connection.query_row(sql, [], |row| row.get(0));
        newest.map_err(|source| self.unread(source))
    }

    /// Hands over all counts from `minute` on, in the order of the minutes.
    pub fn activity(
        &self,
        minute: i64,
        mut take: impl FnMut(ActivityRow),
    ) -> Result<(), StorageError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(
                "SELECT minute, kind, country, sum(events) FROM event WHERE minute >= ? \
                 GROUP BY minute, kind, country ORDER BY minute",
            )?;
            let mut rows = statement.query([minute])?;
            while let Some(row) = rows.next()? {
                take(ActivityRow {
                    minute: row.get(0)?,
                    kind: row.get(1)?,
                    country: row.get(2)?,
                    events: count(row, 3)?,
                });
            }
            Ok(())
        };
        read().map_err(|source| self.unread(source))
    }

    /// Records of each place from `minute` on, the busiest first.
    pub fn places(&self, minute: i64) -> Result<Vec<PlaceCount>, StorageError> {
        let read = || -> rusqlite::Result<Vec<PlaceCount>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT latitude, longitude, country, sum(events) FROM place WHERE minute >= ? \
                 GROUP BY latitude, longitude, country ORDER BY 4 DESC, 1, 2 LIMIT ?",
            )?;
            let row = |row: &Row<'_>| {
                Ok(PlaceCount {
                    latitude: row.get(0)?,
                    longitude: row.get(1)?,
                    country: row.get(2)?,
                    events: count(row, 3)?,
                })
            };
            statement
                .query_map(params![minute, PLACES_MAX], row)?
                .collect()
        };
        read().map_err(|source| self.unread(source))
    }

    /// Records of a torrent from `minute` on, of each kind.
    pub fn asked_for(
        &self,
        hash: InfoHash,
        minute: i64,
    ) -> Result<Vec<(String, u64)>, StorageError> {
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT kind, sum(events) FROM event WHERE minute >= ? AND info_hash = ? \
                 GROUP BY kind ORDER BY 2 DESC, 1",
            )?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, count(row, 1)?));
            statement
                .query_map(params![minute, hash.as_bytes()], row)?
                .collect()
        };
        read().map_err(|source| self.unread(source))
    }

    /// The newest size of the network in each family.
    pub fn networks(&self) -> Result<Vec<NetworkEstimate>, StorageError> {
        let read = || -> rusqlite::Result<Vec<NetworkEstimate>> {
            // Of a row with max(), SQLite takes the other columns of that row.
            let mut statement = self.connection.prepare_cached(
                "SELECT max(at), family, nodes, low, high FROM network GROUP BY family",
            )?;
            let row = |row: &Row<'_>| {
                Ok(NetworkEstimate {
                    at: row.get(0)?,
                    family: row.get(1)?,
                    nodes: row.get(2)?,
                    low: row.get(3)?,
                    high: row.get(4)?,
                })
            };
            statement.query_map([], row)?.collect()
        };
        read().map_err(|source| self.unread(source))
    }

    /// The newest size of a swarm, if it was measured.
    pub fn swarm(&self, hash: InfoHash) -> Result<Option<SwarmEstimate>, StorageError> {
        let sql = "SELECT at, seeds, peers FROM swarm WHERE info_hash = ? ORDER BY at DESC LIMIT 1";
        let row = |row: &Row<'_>| {
            Ok(SwarmEstimate {
                at: row.get(0)?,
                seeds: row.get(1)?,
                peers: row.get(2)?,
            })
        };
        let found = self.connection.query_row(sql, [hash.as_bytes()], row);
        found.optional().map_err(|source| self.unread(source))
    }

    fn unread(&self, source: rusqlite::Error) -> StorageError {
        StorageError::Unreadable {
            path: self.path.clone(),
            step: "reading counts",
            source,
        }
    }
}

fn count(row: &Row<'_>, place: usize) -> rusqlite::Result<u64> {
    let count: i64 = row.get(place)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
