//! Putting right what was found. Each step leaves a file that the next
//! examination understands, so that one that was interrupted is done again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params_from_iter};

use super::beside::{self, Errors, beside};
use super::kind::{Facts, Kind};
use super::lost::{Log, Lost};
use super::statement::{self, Statement};
use super::{DoctorError, alive, reading};
use crate::model::Timestamp;
use crate::storage::error::StorageError;
use crate::storage::{files, manifest, spool};

/// Something that can be put right; in the order in which it has to be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Store what is in spool files.
    Spool(Vec<PathBuf>),
    /// Apply the lost statements of a log.
    Statements(PathBuf),
    /// Write into the manifest that the run was killed.
    Close,
    /// Move the write-ahead log into the one file.
    Journal,
    /// Write both error files from the tables.
    ErrorFiles,
    /// Write the manifest's file from table `run`.
    Manifest,
}

impl Repair {
    /// What will be done, as an order.
    pub fn plan(&self) -> String {
        match self {
            Self::Spool(files) => format!("store the rows of {} spool file(s)", files.len()),
            Self::Statements(log) => format!("apply the lost statements of {}", log.display()),
            Self::Close => "set the state to \"killed\"".to_owned(),
            Self::Journal => "move the write-ahead log into the one file".to_owned(),
            Self::ErrorFiles => "write both error files from the tables".to_owned(),
            Self::Manifest => "write _run.json from table run".to_owned(),
        }
    }
}

/// Does all of it; what was done, in words.
pub(super) fn apply(
    path: &Path,
    repairs: &[Repair],
    now: Timestamp,
) -> Result<Vec<String>, DoctorError> {
    if let Some(process) = alive::process_with(path) {
        let who = format!("process {process} has it open");
        return Err(DoctorError::InUse(path.to_owned(), who));
    }
    open_alone(path)?;
    let mut done = Vec::new();
    for repair in repairs {
        done.push(match repair {
            Repair::Spool(files) => store_spool(path, files)?,
            Repair::Statements(log) => apply_statements(path, log, now)?,
            Repair::Close => close_run(path, now)?,
            Repair::Journal => make_plain(path)?,
            Repair::ErrorFiles => write_error_files(path)?,
            Repair::Manifest => write_manifest(path)?,
        });
    }
    // The steps above go through connections of their own.
    make_plain(path)?;
    Ok(done)
}

fn open(path: &Path) -> Result<Connection, DoctorError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| reading(path, error);
    let database = Connection::open_with_flags(path, flags).map_err(failed)?;
    // As in a run: a lost row must not take others with it.
    database
        .execute_batch("PRAGMA foreign_keys = OFF")
        .map_err(failed)?;
    Ok(database)
}

/// Fails when any other connection has the file open, of whatever user.
fn open_alone(path: &Path) -> Result<Connection, DoctorError> {
    let database = open(path)?;
    database
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;")
        .map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                DoctorError::InUse(path.to_owned(), "SQLite says that it is locked".to_owned())
            }
            _ => reading(path, error),
        })?;
    Ok(database)
}

fn store_spool(path: &Path, files: &[PathBuf]) -> Result<String, DoctorError> {
    let replayed = spool::replay(path, files).map_err(DoctorError::Spool)?;
    let mut text = format!("stored {} rows of the spool", replayed.rows);
    if replayed.lost > 0 {
        let lost = replayed.lost;
        // Writing to a String cannot fail.
        let _ = write!(text, "; {lost} could not be stored and are lost");
    }
    if replayed.cut_off > 0 {
        text += "; the last line was cut off by a crash";
    }
    Ok(text)
}

fn apply_statements(path: &Path, log: &Path, now: Timestamp) -> Result<String, DoctorError> {
    let read = Log::read(log).map_err(|error| DoctorError::File(log.to_owned(), error))?;
    let mut database = open_alone(path)?;
    let failed = |error| reading(path, error);
    let transaction = database
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let (pending, _) = read.pending(&transaction).map_err(failed)?;
    for lost in &pending {
        apply_one(&transaction, lost).map_err(failed)?;
        note(&transaction, now, "statement", &lost.key).map_err(failed)?;
    }
    let count = pending.len();
    transaction.commit().map_err(failed)?;
    Ok(format!(
        "applied {count} lost statements of {}",
        log.display()
    ))
}

fn apply_one(database: &Connection, lost: &Lost) -> rusqlite::Result<()> {
    match &lost.statement {
        Statement::Insert {
            table,
            columns,
            values,
        } => {
            let marks = vec!["?"; columns.len()].join(", ");
            let columns = columns.join(", ");
            let sql = format!("INSERT INTO {table} ({columns}) VALUES ({marks})");
            database
                .prepare_cached(&sql)?
                .execute(params_from_iter(values))?;
        }
        Statement::Update(values) => {
            database
                .prepare_cached(statement::UPDATE)?
                .execute(params_from_iter(values))?;
        }
    }
    Ok(())
}

/// Leaves a line of what was done in the database.
fn note(database: &Connection, now: Timestamp, action: &str, detail: &str) -> rusqlite::Result<()> {
    database.execute_batch(TABLE)?;
    let sql = "INSERT INTO repair (time_ms, action, detail) VALUES (?, ?, ?)";
    let values: [Value; 3] = [
        now.millis().into(),
        action.to_owned().into(),
        detail.to_owned().into(),
    ];
    database.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The run was killed: its last moment is that of its last row.
fn close_run(path: &Path, now: Timestamp) -> Result<String, DoctorError> {
    let mut database = open_alone(path)?;
    let failed = |error| reading(path, error);
    let transaction = database
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let last: Option<i64> = transaction
        .query_row(LAST_MOMENT, [], |row| row.get(0))
        .map_err(failed)?;
    let stop = last.map_or_else(|| now, Timestamp).to_string();
    for (key, value) in [("state", "killed"), ("ended", "killed"), ("stop", &*stop)] {
        let sql = "INSERT INTO run (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        transaction.execute(sql, [key, value]).map_err(failed)?;
    }
    note(&transaction, now, "close", &format!("last row at {stop}")).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    drop(database);
    write_error_files(path)?;
    write_manifest(path)?;
    Ok(format!(
        "state set to \"killed\", stop to {stop}; error files and _run.json written"
    ))
}

fn make_plain(path: &Path) -> Result<String, DoctorError> {
    let database = open(path)?;
    let failed = |error| reading(path, error);
    let mode: String = database
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .map_err(failed)?;
    if mode != "delete" {
        let who = format!("its journal mode stays {mode}");
        return Err(DoctorError::InUse(path.to_owned(), who));
    }
    database.close().map_err(|(_, error)| failed(error))?;
    Ok("moved the write-ahead log into the one file".to_owned())
}

fn write_error_files(path: &Path) -> Result<String, DoctorError> {
    let database = open(path)?;
    let errors = Errors::tables(&database).map_err(|error| reading(path, error))?;
    let errors = errors.unwrap_or_default();
    write_errors(path, &errors)?;
    Ok("wrote both error files".to_owned())
}

/// Writes both error files beside `path`.
pub(in crate::storage) fn write_errors(path: &Path, errors: &Errors) -> Result<(), StorageError> {
    let file = beside(path, beside::PEER_ERRORS);
    files::replace(&file, errors.peer_text().as_bytes())?;
    let file = beside(path, beside::TRACKER_ERRORS);
    let text = errors.tracker_text().map_err(|error| StorageError::File {
        path: file.clone(),
        source: std::io::Error::other(error),
    })?;
    files::replace(&file, text.as_bytes())
}

fn write_manifest(path: &Path) -> Result<String, DoctorError> {
    let database = open(path)?;
    let failed = |error| reading(path, error);
    let facts = Facts::read(&database, Kind::Btda).map_err(failed)?;
    let mut query = database
        .prepare("SELECT path, sha1, torrent, note FROM input ORDER BY id")
        .map_err(failed)?;
    let inputs = query.query_map([], |row| {
        Ok(serde_json::json!({
            "path": row.get::<_, Option<String>>(0)?,
            "sha1": row.get::<_, Option<String>>(1)?,
            "torrent": row.get::<_, Option<i64>>(2)?,
            "note": row.get::<_, Option<String>>(3)?,
        }))
    });
    let inputs: rusqlite::Result<Vec<_>> = inputs.and_then(Iterator::collect);
    let text = manifest::json(facts.all(), inputs.map_err(failed)?);
    files::replace(&beside(path, beside::MANIFEST), text.as_bytes())?;
    Ok("wrote _run.json".to_owned())
}

/// Made when the first repair is noted; a plain table, which the combine step
/// of 2015 takes.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS repair (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
)";

/// Milliseconds of the latest row.
const LAST_MOMENT: &str = "SELECT max(moment) FROM (
    SELECT max(time_ms) AS moment FROM visit
    UNION ALL SELECT max(time_ms) FROM announce
    UNION ALL SELECT max(timestamp) * 1000 FROM request
    UNION ALL SELECT max(timestamp) * 1000 FROM statistic)";
