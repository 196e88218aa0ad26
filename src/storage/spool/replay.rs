//! Putting spool files that a run left behind into its database. Any thread;
//! the run must have ended.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::form::{self, Header};
use super::{Mark, Queue};
use crate::storage::database::Database;
use crate::storage::error::StorageError;
use crate::storage::lost::{log_lost, log_unreadable};
use crate::storage::reader;

/// What a replay has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Rows stored.
    pub rows: u64,
    /// Lines that were in the database already.
    pub lines_done_before: u64,
    /// Rows that the database refused for good and lines that could not be
    /// understood; each is in the log.
    pub lost: u64,
    /// Files whose last line was cut off by a crash.
    pub cut_off: u64,
}

/// Why spool files cannot be replayed. What was stored before stays stored,
/// and the next replay goes on behind it.
#[derive(Debug)]
pub enum ReplayError {
    /// A spool file cannot be read.
    File(PathBuf, io::Error),
    /// The first line is not that of a spool file.
    NoSpool(PathBuf),
    /// Made by a program with another form or other tables.
    OtherVersion(PathBuf),
    /// The file belongs to another run than the database.
    OtherRun(PathBuf),
    /// The database cannot be opened.
    Storage(StorageError),
    /// The database takes no rows now.
    Database(PathBuf, rusqlite::Error),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(
                f,
                "spool file {} cannot be read ({error}): check its permissions and disk",
                path.display()
            ),
            Self::NoSpool(path) => write!(
                f,
                "{} is no spool file: its first line is another; name files that end in _spool.jsonl",
                path.display()
            ),
            Self::OtherVersion(path) => write!(
                f,
                "spool file {} was written by another version: use that version to replay it",
                path.display()
            ),
            Self::OtherRun(path) => write!(
                f,
                "spool file {} belongs to another run than the database: choose the database of the same name",
                path.display()
            ),
            Self::Storage(error) => error.fmt(f),
            Self::Database(path, error) => write!(
                f,
                "database {} takes no rows ({error}): check free space and permissions, then replay again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ReplayError {}

/// Stores what is in `spools` and not yet in `database`, in the order of the
/// files' numbers; pass all files of a run at once. Doing it again changes
/// nothing. The files are left to the caller.
pub fn replay(database: &Path, spools: &[PathBuf]) -> Result<Replayed, ReplayError> {
    let mut store = Database::open_existing(database).map_err(ReplayError::Storage)?;
    let refused = |error| ReplayError::Database(database.to_owned(), error);
    let run = store.fact("start").map_err(refused)?;
    let mut files = Vec::new();
    for path in spools {
        let file = SpoolFile::open(path)?;
        if Some(&file.header.run) != run.as_ref() {
            return Err(ReplayError::OtherRun(path.clone()));
        }
        files.push(file);
    }
    files.sort_by_key(|file| file.header.number);
    let mut replayed = Replayed::default();
    for file in files {
        let key = Mark::key(file.header.number);
        let done = store.fact(&key).map_err(refused)?;
        let done = done.and_then(|lines| lines.parse().ok()).unwrap_or(0);
        replayed.lines_done_before += done;
        replay_file(&mut store, file, done, &mut replayed)?;
    }
    store.close().map_err(refused)?;
    Ok(replayed)
}

/// Records in `spools` that are not in `database` yet; changes nothing.
pub fn pending(database: &Path, spools: &[PathBuf]) -> Result<u64, ReplayError> {
    let store = reader::open(database).map_err(ReplayError::Storage)?;
    let fact = |key: &str| {
        let sql = "SELECT max(value) FROM run WHERE key = ?";
        let value = store.query_row(sql, [key], |row| row.get::<_, Option<String>>(0));
        value.map_err(|error| ReplayError::Database(database.to_owned(), error))
    };
    let run = fact("start")?;
    let mut pending = 0;
    for path in spools {
        let mut file = SpoolFile::open(path)?;
        if Some(&file.header.run) != run.as_ref() {
            return Err(ReplayError::OtherRun(path.clone()));
        }
        let done = fact(&Mark::key(file.header.number))?;
        let done: u64 = done.and_then(|lines| lines.parse().ok()).unwrap_or(0);
        while file.line(&mut Replayed::default())?.is_some() {}
        pending += file.lines.saturating_sub(done);
    }
    Ok(pending)
}

fn replay_file(
    store: &mut Database,
    mut file: SpoolFile,
    done: u64,
    replayed: &mut Replayed,
) -> Result<(), ReplayError> {
    loop {
        let mut queue = Queue::default();
        while queue.len() < BATCH_ROWS && queue.records() < BATCH_ROWS {
            let Some(line) = file.line(replayed)? else {
                break;
            };
            if file.lines <= done {
                continue;
            }
            queue.push(form::record(&line).unwrap_or_else(|error| {
                log_unreadable(file.lines, &error.to_string());
                replayed.lost += 1;
                Vec::new()
            }));
        }
        if queue.records() == 0 {
            return Ok(());
        }
        let mark = Mark {
            number: file.header.number,
            lines: file.lines,
        };
        store_all(store, queue, mark, replayed)?;
    }
}

/// Stores the whole queue in one transaction, without the rows that can
/// never be stored.
fn store_all(
    store: &mut Database,
    mut queue: Queue,
    mark: Mark,
    replayed: &mut Replayed,
) -> Result<(), ReplayError> {
    loop {
        match store.write(queue.first(queue.len()), Some(mark)) {
            Ok(without_effect) => {
                for row in without_effect.iter().filter_map(|place| queue.row(*place)) {
                    log_lost(row, NO_PEER);
                }
                let lost = without_effect.len() as u64;
                replayed.lost += lost;
                replayed.rows += queue.len() as u64 - lost;
                return Ok(());
            }
            Err(failed) => {
                let row = failed.row.filter(|_| !failed.passing);
                let Some(row) = row.and_then(|place| queue.remove(place)) else {
                    return Err(ReplayError::Database(store.path().to_owned(), failed.error));
                };
                log_lost(&row, &failed.error.to_string());
                replayed.lost += 1;
            }
        }
    }
}

struct SpoolFile {
    path: PathBuf,
    header: Header,
    reader: BufReader<File>,
    /// Lines read behind the header.
    lines: u64,
}

impl SpoolFile {
    fn open(path: &Path) -> Result<Self, ReplayError> {
        let failed = |error| ReplayError::File(path.to_owned(), error);
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut line = Vec::new();
        let mut beginning = reader.by_ref().take(HEADER_LIMIT);
        beginning.read_until(b'\n', &mut line).map_err(failed)?;
        let header: Header =
            serde_json::from_slice(&line).map_err(|_| ReplayError::NoSpool(path.to_owned()))?;
        if !header.is_known() {
            return Err(ReplayError::OtherVersion(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            header,
            reader,
            lines: 0,
        })
    }

    /// The next line, `None` at the end or at a line that was cut off.
    fn line(&mut self, replayed: &mut Replayed) -> Result<Option<Vec<u8>>, ReplayError> {
        let mut line = Vec::new();
        self.reader
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)
            .map_err(|error| ReplayError::File(self.path.clone(), error))?;
        if line.last() == Some(&b'\n') {
            self.lines += 1;
            return Ok(Some(line));
        }
        replayed.cut_off += u64::from(!line.is_empty());
        Ok(None)
    }
}

/// Rows in one transaction.
const BATCH_ROWS: usize = 500;
/// Bytes of the first line.
const HEADER_LIMIT: u64 = 4096;
/// Bytes of a line: far more than the rows of any record have.
const LINE_LIMIT: u64 = 64 << 20;
/// Why a row changed nothing.
pub(in crate::storage) const NO_PEER: &str = "its peer has no row or its number is taken";
