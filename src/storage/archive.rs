//! A result file as a study reads it: of ours or of 2015, row by row, so that
//! memory does not grow with the file. Called by `report`, on its one thread.
//!
//! Columns are taken by name. A file of 2015 lacks our tables and may have
//! other columns (`host`, `city`, `vm`); what is absent reads as unknown. A
//! cell of another type than it should have reads as unknown too.

mod cells;
mod evidence;
mod families;
mod names;
mod rows;
mod sorter;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};

use super::error::StorageError;
use super::reader;
use cells::{decimal, text, whole};
pub use families::{FamilyAnswers, FamilyPeers};
pub use names::{NameColumn, Names};
pub use rows::{CrossingRow, MonitoringRow, PeerRow, RequestRow, ScrapeRow, TorrentRow, WaySeen};
pub use sorter::Sorter;

/// An open result file.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    database: Connection,
    /// Columns of every table.
    columns: BTreeMap<String, BTreeSet<String>>,
}

impl Archive {
    /// Opens the file at `path` for reading only.
    ///
    /// # Errors
    /// When it cannot be opened, is no SQLite file, or lacks one of the four
    /// tables of 2015.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let database = reader::open(path)?;
        let archive = Self {
            path: path.to_owned(),
            columns: columns(&database).map_err(|source| failed(path, "reading", source))?,
            database,
        };
        for table in ["torrent", "peer", "request", "statistic"] {
            if !archive.columns.contains_key(table) {
                return Err(StorageError::NotAResult {
                    path: path.to_owned(),
                    missing: table,
                });
            }
        }
        Ok(archive)
    }

    /// Whether the file has the table.
    pub fn has(&self, table: &str) -> bool {
        self.columns.contains_key(table)
    }

    /// Every torrent, by id.
    pub fn torrents(&self) -> Result<Vec<TorrentRow>, StorageError> {
        let mut torrents = Vec::new();
        self.each("torrent", TorrentRow::COLUMNS, "ORDER BY rowid", |row| {
            torrents.extend(TorrentRow::of(row)?);
            Ok(())
        })?;
        Ok(torrents)
    }

    /// Every peer, in the order of the file.
    pub fn each_peer(&self, mut take: impl FnMut(&PeerRow<'_>)) -> Result<(), StorageError> {
        self.each("peer", PeerRow::COLUMNS, "", |row| {
            take(&PeerRow::of(row)?);
            Ok(())
        })
    }

    /// Every request in order of time, with the tracker's URL where the file
    /// has it; among them what peers named since the tick before.
    pub fn each_request(&self, mut take: impl FnMut(&RequestRow<'_>)) -> Result<(), StorageError> {
        let columns = self.named("request", RequestRow::COLUMNS);
        let (url, join) = if self.has("announce") {
            let join = "LEFT JOIN announce ON announce.request = request.rowid";
            ("announce.url", join)
        } else {
            ("NULL", "")
        };
        let exchanged = if self.has("exchange") {
            let origin = self.named("exchange", &["origin"]);
            format!(
                "UNION ALL SELECT time_ms / 1000, {origin}, received_peers, duplicate_peers,
                                  NULL, NULL, torrent, NULL, rowid FROM exchange"
            )
        } else {
            String::new()
        };
        // Columns by number: time, and the row of its table.
        let sql = format!(
            "SELECT {columns}, {url}, request.rowid FROM request {join} {exchanged} ORDER BY 1, 9"
        );
        self.query(&sql, |row| {
            take(&RequestRow::of(row)?);
            Ok(())
        })
    }

    /// Every row of `statistic`, in order of time.
    pub fn each_monitoring(
        &self,
        mut take: impl FnMut(&MonitoringRow),
    ) -> Result<(), StorageError> {
        let order = "ORDER BY timestamp, rowid";
        self.each("statistic", MonitoringRow::COLUMNS, order, |row| {
            take(&MonitoringRow::of(row)?);
            Ok(())
        })
    }

    /// Every scrape of every tracker, by id; none in a file of 2015.
    pub fn each_scrape(&self, mut take: impl FnMut(&ScrapeRow<'_>)) -> Result<(), StorageError> {
        self.each("scrape", ScrapeRow::COLUMNS, "ORDER BY rowid", |row| {
            take(&ScrapeRow::of(row)?);
            Ok(())
        })
    }

    /// Every crossing of a threshold, by peer; none in a file of 2015.
    pub fn each_crossing(&self, mut take: impl FnMut(&CrossingRow)) -> Result<(), StorageError> {
        if !self.has("crossing") {
            return Ok(());
        }
        let sql = "SELECT peer.torrent, last_below_ms, first_at_ms,
                          peer.id, first_seen, first_pieces, last_pieces, source
                   FROM crossing JOIN peer ON peer.id = crossing.peer
                   ORDER BY crossing.peer, crossing.id";
        self.query(sql, |row| {
            take(&CrossingRow::of(row)?);
            Ok(())
        })
    }

    /// The longest waits of all visits, in milliseconds; none in a file of
    /// 2015, whose waits are in the timeout file.
    pub fn each_wait(&self, mut take: impl FnMut(i64)) -> Result<(), StorageError> {
        self.each("visit", &["longest_wait_ms"], "", |row| {
            whole(row, 0)?.into_iter().for_each(&mut take);
            Ok(())
        })
    }

    /// Rows of our table `peer_error`: event, reason, count.
    pub fn each_peer_error(
        &self,
        mut take: impl FnMut(String, String, u64),
    ) -> Result<(), StorageError> {
        self.each("peer_error", &["event", "reason", "count"], "", |row| {
            let (event, reason) = (text(row, 0)?, text(row, 1)?);
            take(
                event.unwrap_or_default().into_owned(),
                reason.unwrap_or_default().into_owned(),
                cells::count(row, 2)?,
            );
            Ok(())
        })
    }

    /// Rows of our table `tracker_result`: torrent, URL, result, reason, count.
    pub fn each_tracker_result(
        &self,
        mut take: impl FnMut(u32, String, String, String, u64),
    ) -> Result<(), StorageError> {
        let columns = &["torrent", "url", "result", "reason", "count"];
        self.each("tracker_result", columns, "", |row| {
            let word = |column| text(row, column).map(|it| it.unwrap_or_default().into_owned());
            let torrent = cells::id(row, 0)?;
            take(torrent, word(1)?, word(2)?, word(3)?, cells::count(row, 4)?);
            Ok(())
        })
    }

    /// Facts of the run (table `run`), empty in a file of 2015.
    pub fn facts(&self) -> Result<BTreeMap<String, String>, StorageError> {
        let mut facts = BTreeMap::new();
        self.each("run", &["key", "value"], "", |row| {
            if let (Some(key), Some(value)) = (text(row, 0)?, text(row, 1)?) {
                facts.insert(key.into_owned(), value.into_owned());
            }
            Ok(())
        })?;
        Ok(facts)
    }

    /// Visits by direction, outgoing and incoming; `None` without a row of table
    /// `visit`.
    pub fn directions(&self) -> Result<Option<(u64, u64)>, StorageError> {
        let known = self.columns.get("visit");
        if !known.is_some_and(|columns| columns.contains("direction")) {
            return Ok(None);
        }
        let sql = "SELECT count(*) FILTER (WHERE direction = 'outgoing'),
                          count(*) FILTER (WHERE direction = 'incoming') FROM visit";
        let mut counts = None;
        self.query(sql, |row| {
            counts = Some((cells::count(row, 0)?, cells::count(row, 1)?));
            Ok(())
        })?;
        Ok(counts.filter(|counts| *counts != (0, 0)))
    }

    /// The machines of a combined file: number, torrents before its own, and how
    /// many these are.
    pub fn each_machine(&self, mut take: impl FnMut(i64, u32, u32)) -> Result<(), StorageError> {
        let columns = ["vm", "torrent_offset", "torrents"];
        self.each("combined", &columns, "", |row| {
            if let Some(vm) = whole(row, 0)? {
                take(vm, cells::id(row, 1)?, cells::id(row, 2)?);
            }
            Ok(())
        })
    }

    /// `take` for each row of `columns`; a column that is absent is NULL, a
    /// table that is absent has no rows.
    fn each(
        &self,
        table: &str,
        columns: &[&str],
        order: &str,
        take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StorageError> {
        if !self.has(table) {
            return Ok(());
        }
        let columns = self.named(table, columns);
        let sql = format!("SELECT {columns} FROM \"{table}\" {order}");
        self.query(&sql, take)
    }

    /// The columns for a query; NULL for those that are absent.
    fn named(&self, table: &str, columns: &[&str]) -> String {
        let present = self.columns.get(table);
        let has = |column: &str| present.is_some_and(|present| present.contains(column));
        let named = columns.iter().map(|column| {
            if has(column) {
                format!("\"{table}\".\"{column}\"")
            } else {
                "NULL".to_owned()
            }
        });
        named.collect::<Vec<_>>().join(", ")
    }

    fn query(
        &self,
        sql: &str,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StorageError> {
        let mut run = || {
            let mut statement = self.database.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            Ok(())
        };
        run().map_err(|source| failed(&self.path, "reading", source))
    }
}

fn failed(path: &Path, step: &'static str, source: rusqlite::Error) -> StorageError {
    StorageError::Unreadable {
        path: path.to_owned(),
        step,
        source,
    }
}

fn columns(database: &Connection) -> rusqlite::Result<BTreeMap<String, BTreeSet<String>>> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
               WHERE m.type = 'table'";
    let mut statement = database.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (table, column): (String, String) = (row.get(0)?, row.get(1)?);
        columns.entry(table).or_default().insert(column);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests;
