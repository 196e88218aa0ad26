//! The SQLite file: made, written in transactions, closed as one plain file.
//! Writer thread only.

mod home;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::ToSqlOutput;
use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior,
};

use super::error::StorageError;
use super::row::{BEHAVIOUR_SQL, ErrorRow, InputRow, Row, TorrentRow, behaviours};
use super::spool::Mark;
use crate::model::Torrent;
use crate::model::record::InputFile;

/// The one writing connection.
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    /// The file that is open, whatever is at `path` by now.
    identity: home::Identity,
    busy_timeout: Duration,
}

/// A transaction that was rolled back.
#[derive(Debug)]
pub(super) struct WriteError {
    /// Which of the rows SQLite refused; `None` when it was the transaction
    /// itself.
    pub(super) row: Option<usize>,
    /// Whether the same rows may pass later: busy, full, I/O.
    pub(super) passing: bool,
    /// What SQLite says; no row values.
    pub(super) error: rusqlite::Error,
}

impl Database {
    /// Makes the file, refusing to touch an existing one, and its schema.
    pub(super) fn create(path: PathBuf) -> Result<Self, StorageError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let refused = |source| StorageError::Folder {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(refused)?;
        match File::create_new(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(StorageError::Exists(path));
            }
            other => other.map_err(refused)?,
        };
        let failed = |step| {
            let path = path.clone();
            move |source| StorageError::Database { path, step, source }
        };
        let database = Self::open_existing(&path)?;
        let mode: String = database
            .connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(failed("switching to the write-ahead log"))?;
        if mode != "wal" {
            return Err(StorageError::NoWal { path, mode });
        }
        database
            .connection
            .execute_batch(&schema_script())
            .map_err(failed("making the schema"))?;
        Ok(database)
    }

    /// Opens a file that is there, for writing.
    pub(super) fn open_existing(path: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Database {
            path: path.to_owned(),
            step: "opening",
            source,
        };
        let identity = home::Identity::of(path).map_err(|source| StorageError::File {
            path: path.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection
            .execute_batch(SETTINGS)
            .and_then(|()| connection.busy_timeout(BUSY_TIMEOUT))
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self {
            path: path.to_owned(),
            connection,
            identity,
            busy_timeout: BUSY_TIMEOUT,
        })
    }

    /// How long a statement waits for another connection.
    pub(super) fn set_busy_timeout(&mut self, wait: Duration) {
        // It only stores the number; an error would mean no connection.
        if self.busy_timeout != wait && self.connection.busy_timeout(wait).is_ok() {
            self.busy_timeout = wait;
        }
    }

    /// A fact of table `run`.
    pub(super) fn fact(&self, key: &str) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT value FROM run WHERE key = ?";
        let row = self.connection.query_row(sql, [key], |row| row.get(0));
        row.optional()
    }

    /// Stores what is known before the first record.
    pub(super) fn describe(
        &mut self,
        torrents: &[Arc<Torrent>],
        inputs: &[InputFile],
        facts: &[Row],
    ) -> Result<(), StorageError> {
        self.insert_start(torrents, inputs, facts)
            .map_err(|source| StorageError::Database {
                path: self.path.clone(),
                step: "storing torrents and manifest",
                source,
            })
    }

    fn insert_start(
        &mut self,
        torrents: &[Arc<Torrent>],
        inputs: &[InputFile],
        facts: &[Row],
    ) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for torrent in torrents {
            insert(
                &transaction,
                &Row::Torrent(Box::new(TorrentRow::of(torrent))),
            )?;
        }
        for input in inputs {
            insert(&transaction, &Row::Input(Box::new(InputRow::of(input))))?;
        }
        for fact in facts {
            insert(&transaction, fact)?;
        }
        for behaviour in behaviours() {
            transaction.execute(BEHAVIOUR_SQL, behaviour)?;
        }
        transaction.commit()
    }

    /// Stores `rows` in one transaction, and with them how far the spool has
    /// been read. Of the counts of one line of the peer error file only the
    /// latest is written. Returns the positions of the rows of the 2015 tables that
    /// changed nothing, because the row they belong to is missing: these are
    /// lost.
    pub(super) fn write<'a>(
        &mut self,
        rows: impl Iterator<Item = &'a Row> + Clone,
        mark: Option<Mark>,
    ) -> Result<Vec<usize>, WriteError> {
        let refused = |row, error: rusqlite::Error| WriteError {
            row,
            passing: is_passing(&error),
            error,
        };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| refused(None, error))?;
        let mut without_effect = Vec::new();
        let latest = Latest::of(rows.clone());
        let mut statements = Statements::new(&transaction);
        for (place, row) in rows.enumerate() {
            if latest.is_overtaken(row, place) {
                continue;
            }
            let changed = statements
                .insert(row)
                .map_err(|error| refused(Some(place), error))?;
            if changed == 0 && matches!(row.table(), "peer" | "request" | "statistic") {
                without_effect.push(place);
            }
        }
        drop(statements);
        if let Some(mark) = mark {
            insert_mark(&transaction, mark).map_err(|error| refused(None, error))?;
        }
        transaction.commit().map_err(|error| refused(None, error))?;
        Ok(without_effect)
    }

    /// Longest waits of all visits that received a message, in order, in
    /// milliseconds.
    pub(super) fn longest_waits(&self) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.connection.prepare(
            "SELECT longest_wait_ms FROM visit WHERE longest_wait_ms IS NOT NULL ORDER BY id",
        )?;
        let waits = statement.query_map([], |row| row.get(0))?;
        waits.collect()
    }

    /// Moves everything into the one file: checkpoint and rollback journal.
    /// `Ok(false)` while a reader is in the way.
    pub(super) fn make_plain(&self) -> rusqlite::Result<bool> {
        self.connection.flush_prepared_statement_cache();
        let mode = self
            .connection
            .pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
                row.get::<_, String>(0)
            });
        match mode {
            Ok(mode) => Ok(mode == "delete"),
            Err(error) if is_busy(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes the connection.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.connection.close().map_err(|(_, error)| error)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Everything that makes the tables.
pub(super) fn schema_script() -> String {
    format!(
        "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};\n{SCHEMA}\nCOMMIT;"
    )
}

fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<usize> {
    Statements::new(connection).insert(row)
}

/// Where in a batch the latest count of each line of the peer error file is:
/// where most contacts fail, every second row is such a count, and all but one
/// of a line would be written to be overwritten in the same transaction.
struct Latest<'a> {
    /// There are some thirty lines, and fewer in one batch.
    lines: Vec<(&'a ErrorRow, usize)>,
}

impl<'a> Latest<'a> {
    fn of(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut lines: Vec<(&'a ErrorRow, usize)> = Vec::new();
        for (place, row) in rows.enumerate() {
            let Row::PeerError(row) = row else {
                continue;
            };
            let known = lines.iter_mut().find(|(line, _)| is_same_line(line, row));
            match known {
                Some(line) => *line = (row, place),
                None => lines.push((row, place)),
            }
        }
        Self { lines }
    }

    /// Whether a count of the same line comes behind the row at `place`.
    fn is_overtaken(&self, row: &Row, place: usize) -> bool {
        let Row::PeerError(row) = row else {
            return false;
        };
        let mut lines = self.lines.iter();
        lines.any(|(line, latest)| *latest > place && is_same_line(line, row))
    }
}

fn is_same_line(one: &ErrorRow, other: &ErrorRow) -> bool {
    one.event == other.event && one.reason == other.reason
}

/// The statements of one batch, taken from the connection's cache once and
/// not for each row: a batch needs three or four of them, hundreds of times.
struct Statements<'a> {
    connection: &'a Connection,
    in_use: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    const fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            in_use: Vec::new(),
        }
    }

    fn insert(&mut self, row: &Row) -> rusqlite::Result<usize> {
        let sql = row.sql();
        // One text is one constant; a second copy would only be prepared too.
        let known = |(text, _): &(&'static str, _)| std::ptr::eq(*text, sql);
        let place = if let Some(place) = self.in_use.iter().position(known) {
            place
        } else {
            let statement = self.connection.prepare_cached(sql)?;
            self.in_use.push((sql, statement));
            self.in_use.len() - 1
        };
        let statement = &mut self.in_use[place].1;
        row.with_values(|values| {
            let values = values.iter().copied().map(ToSqlOutput::Borrowed);
            statement.execute(rusqlite::params_from_iter(values))
        })
    }
}

fn insert_mark(connection: &Connection, mark: Mark) -> rusqlite::Result<()> {
    let fact = Row::Fact {
        key: Mark::key(mark.number).into(),
        value: mark.lines.to_string(),
    };
    insert(connection, &fact).map(drop)
}

/// Whether the state of the database is in the way and not the row: then the
/// same row may pass later, or from the spool after a repair.
fn is_passing(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        None | Some(
            ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
        )
    )
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// `application_id` of our files: the letters BTDA.
pub(super) const APPLICATION_ID: i32 = 0x4254_4441;
/// `user_version` of the schema.
pub(super) const SCHEMA_VERSION: i32 = 1;
/// The definitions, with the data dictionary as comments.
pub(super) const SCHEMA: &str = include_str!("schema/1.sql");
/// FULL: no committed row is lost when the power fails. Foreign keys are
/// documentation: a lost peer row must not take its visits with it.
const SETTINGS: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;";
/// Prepared statements kept, more than there are different ones.
const STATEMENTS: usize = 32;
/// Until somebody else says how long to wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "database/tests.rs"]
mod tests;
