//! What a finished run must satisfy, whatever it measured: the output
//! contract with the 2015 evaluation scripts.
//!
//! Needs the result database and the files of the same stem beside it.

use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

mod combine;
mod files;
mod sums;
mod tables;

/// Whether addresses may wait at the end that were never evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Every address was tried once at least: the first sum holds exactly.
    Nobody,
    /// The run may have ended before: of the first sum an inequality is left.
    Possibly,
}

/// Fails the test with every rule that the run breaks.
pub(crate) fn assert_contract(database: &Path, waiting: Waiting) {
    let broken = violations(database, waiting);
    assert!(
        broken.is_empty(),
        "{} rules of the output contract are broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// Every rule that the run breaks, in words; empty for a good run.
pub(crate) fn violations(database: &Path, waiting: Waiting) -> Vec<String> {
    let run = FinishedRun::open(database);
    let mut findings = Findings::default();
    files::check(&run, &mut findings);
    tables::check(&run, &mut findings);
    sums::check(&run, waiting, &mut findings);
    combine::check(&run, &mut findings);
    findings.0
}

/// Fails the test with every rule that a killed run breaks.
pub(crate) fn assert_interrupted(database: &Path) {
    let broken = interrupted_violations(database);
    assert!(
        broken.is_empty(),
        "{} rules are broken up to the last commit:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// Every rule that a run breaks whose process was killed; empty for a good
/// one. The database as of the last commit is judged, with tables `peer_error`
/// and `tracker_result` for the error files, which are as old as the last
/// tick. See `sums::check_interrupted` for what is exact.
pub(crate) fn interrupted_violations(database: &Path) -> Vec<String> {
    let run = FinishedRun::open_interrupted(database);
    let mut findings = Findings::default();
    let integrity: String = run
        .database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("integrity can be checked");
    findings.expect(integrity == "ok", || format!("integrity: {integrity}"));
    files::check_errors(&run, &mut findings);
    tables::check(&run, &mut findings);
    sums::check_interrupted(&run, &mut findings);
    combine::check(&run, &mut findings);
    findings.0
}

/// Broken rules found so far.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            self.0.push(rule());
        }
    }
}

/// A run that has ended.
struct FinishedRun {
    path: PathBuf,
    database: Connection,
    peer_errors: String,
    tracker_errors: String,
}

impl FinishedRun {
    fn open(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = Connection::open_with_flags(path, flags).expect("database can be opened");
        Self {
            path: path.to_owned(),
            database,
            peer_errors: read(&beside(path, "_peer-error.txt")),
            tracker_errors: read(&beside(path, "_tracker-error.txt")),
        }
    }

    /// Opens for writing, as anybody would: the write-ahead log that the
    /// killed process left is taken in.
    fn open_interrupted(path: &Path) -> Self {
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .expect("database can be opened");
        let peer_errors = lines(&database, "SELECT event, reason, count FROM peer_error");
        let tracker_errors = lines(
            &database,
            "SELECT torrent, url, result, reason, count FROM tracker_result",
        );
        Self {
            path: path.to_owned(),
            database,
            peer_errors,
            tracker_errors,
        }
    }

    /// The single number that `sql` asks for; NULL counts as 0.
    fn number(&self, sql: &str) -> i64 {
        let row = self.database.query_row(sql, [], |row| row.get(0));
        let number: Option<i64> = row.unwrap_or_else(|error| panic!("{sql}: {error}"));
        number.unwrap_or(0)
    }

    /// Lines of the peer error file.
    fn peer_errors(&self) -> impl Iterator<Item = PeerError<'_>> {
        self.peer_errors.lines().map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let &[event, reason, count] = fields.as_slice() else {
                panic!("no three fields in a line of the peer error file: {line}");
            };
            PeerError {
                event,
                reason,
                count: integer(count),
            }
        })
    }

    /// Lines of the tracker error file.
    fn tracker_results(&self) -> Vec<TrackerResult> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(self.tracker_errors.as_bytes());
        let lines = reader.records().map(|line| {
            let line = line.expect("tracker error file is CSV of equal lines");
            let fields: Vec<&str> = line.iter().collect();
            let &[torrent, url, result, reason, count] = fields.as_slice() else {
                panic!("no five fields in a line of the tracker error file: {line:?}");
            };
            TrackerResult {
                torrent: integer(torrent),
                url: url.to_owned(),
                result: result.to_owned(),
                reason: reason.to_owned(),
                count: integer(count),
            }
        });
        lines.collect()
    }
}

/// The answer to `sql` as CSV.
fn lines(database: &Connection, sql: &str) -> String {
    let mut query = database.prepare(sql).expect("table is there");
    let columns = query.column_count();
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut rows = query.query([]).expect("table can be read");
    while let Some(row) = rows.next().expect("table can be read") {
        let fields = (0..columns).map(|column| match row.get_ref_unwrap(column) {
            ValueRef::Integer(number) => number.to_string(),
            other => other.as_str().expect("text or number").to_owned(),
        });
        csv.write_record(fields).expect("text takes it");
    }
    let bytes = csv.into_inner().expect("text takes it");
    String::from_utf8(bytes).expect("database has UTF-8")
}

struct PeerError<'a> {
    event: &'a str,
    reason: &'a str,
    count: i64,
}

struct TrackerResult {
    torrent: i64,
    url: String,
    result: String,
    reason: String,
    count: i64,
}

/// The file of the same stem that ends in `suffix`.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let name = database.to_str().expect("path is text");
    let stem = name.strip_suffix(".sqlite").expect("it ends in .sqlite");
    PathBuf::from(format!("{stem}{suffix}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn integer(text: &str) -> i64 {
    let number = text.parse();
    number.unwrap_or_else(|_| panic!("no whole number in an error file: {text}"))
}
