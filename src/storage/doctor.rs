//! Whether a result file is what it should be, and putting right what can be.
//! Any thread; called by `btda doctor`. The run should have ended: while its
//! process lives, nothing is repaired.
//!
//! Databases of 2015 are examined too. What the rules are is told in
//! `rules` and `sums`.

mod alive;
mod beside;
mod gaps;
mod kind;
mod lost;
mod repair;
mod rules;
mod statement;
mod sums;

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::StorageError;
use super::reader;
use super::spool::{self, ReplayError};
use crate::model::Timestamp;
pub(super) use beside::{Errors, beside, spool_files};
pub(super) use kind::{COMBINED, Facts, Kind, has_table};
pub use repair::Repair;
pub(super) use repair::write_errors;

/// What is to be examined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Case {
    /// The database.
    pub database: PathBuf,
    /// Logs with lost statements; without one, that of the same stem.
    pub logs: Vec<PathBuf>,
    /// Spool files beside those of the same stem and those that the manifest
    /// names.
    pub spools: Vec<PathBuf>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The file is not what it should be.
    Problem,
    /// Worth knowing when the data are used.
    Notice,
}

impl Level {
    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Notice => "notice",
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it; stable words.
    pub check: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What it is, in a sentence.
    pub text: String,
    /// What would put it right; `None` if nothing here does.
    pub repair: Option<Repair>,
}

/// What an examination found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// `btda`, `2015` or `combined`.
    pub kind: &'static str,
    /// Fact `state`; `None` for databases of 2015.
    pub state: Option<String>,
    /// In the order of the checks.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|it| it.level == Level::Notice)
    }

    /// What would be done, each thing once, in the order in which it has to
    /// be.
    pub fn repairs(&self) -> Vec<Repair> {
        let mut repairs: Vec<Repair> = Vec::new();
        for repair in self.findings.iter().filter_map(|it| it.repair.clone()) {
            if !repairs.contains(&repair) {
                repairs.push(repair);
            }
        }
        repairs.sort();
        repairs
    }
}

/// Why a file cannot be examined or repaired.
#[derive(Debug)]
pub enum DoctorError {
    /// It cannot be opened or read at all.
    Storage(StorageError),
    /// It is no result file; why.
    NoResults(PathBuf, String),
    /// A spool file cannot be used.
    Spool(ReplayError),
    /// A file named by the user cannot be read.
    File(PathBuf, std::io::Error),
    /// The process that writes it lives, or another program has it open.
    InUse(PathBuf, String),
}

impl fmt::Display for DoctorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::NoResults(path, why) => {
                write!(f, "{} is no result file of btda: {why}", path.display())
            }
            Self::Spool(error) => error.fmt(f),
            Self::File(path, error) => write!(
                f,
                "{} cannot be read ({error}): check its name and permissions",
                path.display()
            ),
            Self::InUse(path, who) => write!(
                f,
                "{} is in use ({who}): nothing was repaired; end that program first",
                path.display()
            ),
        }
    }
}

impl std::error::Error for DoctorError {}

impl From<StorageError> for DoctorError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Examines without changing anything.
pub fn examine(case: &Case) -> Result<Diagnosis, DoctorError> {
    let path = &case.database;
    std::fs::metadata(path).map_err(|error| DoctorError::File(path.clone(), error))?;
    let database = reader::open(path)?;
    let failed = |source| reading(path, source);
    // One state of the file for all checks, also while somebody writes.
    database.execute_batch("BEGIN").map_err(failed)?;
    let kind = Kind::of(&database).map_err(|why| DoctorError::NoResults(path.clone(), why))?;
    let mut findings = Findings::default();
    let whole = integrity(&database, &mut findings).map_err(failed)?;
    let facts = Facts::read(&database, kind).map_err(failed)?;
    let writer = alive::process_with(path);
    let state = facts.value("state").map(str::to_owned);
    let diagnosis = |findings: Findings| Diagnosis {
        kind: kind.as_str(),
        state,
        findings: findings.0,
    };
    if !whole {
        return Ok(diagnosis(findings));
    }
    let run = Run {
        path,
        database: &database,
        kind,
        facts: &facts,
        writer,
    };
    run.check_state(&mut findings);
    rules::check(&run, &mut findings).map_err(failed)?;
    beside::check(&run, &mut findings).map_err(failed)?;
    sums::check(&run, &mut findings).map_err(failed)?;
    gaps::check(&run, &mut findings).map_err(failed)?;
    run.check_spool(&case.spools, &mut findings)?;
    lost::check(&run, &case.logs, &mut findings)?;
    if run.writer.is_some() {
        for finding in &mut findings.0 {
            finding.repair = None;
        }
    }
    Ok(diagnosis(findings))
}

/// Puts right what [`examine`] found; returns what was done. The caller
/// examines again to see what is left.
pub fn repair(
    case: &Case,
    diagnosis: &Diagnosis,
    now: Timestamp,
) -> Result<Vec<String>, DoctorError> {
    let repairs = diagnosis.repairs();
    if repairs.is_empty() {
        return Ok(Vec::new());
    }
    repair::apply(&case.database, &repairs, now)
}

/// A database under examination.
struct Run<'a> {
    path: &'a Path,
    database: &'a Connection,
    kind: Kind,
    facts: &'a Facts,
    /// Process that has the file open.
    writer: Option<u32>,
}

impl Run<'_> {
    /// Whether the run came to its end, so that all sums are exact.
    fn is_finished(&self) -> bool {
        match self.kind {
            Kind::Btda => self.facts.value("state") == Some("finished"),
            Kind::Combined => self.facts.value("killed_runs").is_none(),
            Kind::Thesis2015 => true,
        }
    }

    /// The number that `sql` asks for; NULL is 0.
    fn number(&self, sql: &str) -> rusqlite::Result<i64> {
        let number: Option<i64> = self.database.query_row(sql, [], |row| row.get(0))?;
        Ok(number.unwrap_or(0))
    }

    fn check_state(&self, findings: &mut Findings) {
        if let Some(process) = self.writer {
            findings.notice(
                "process",
                format!("process {process} has the database open: what is said here is of this moment, and nothing is repaired"),
            );
        } else if self.facts.value("state") == Some("running") {
            findings.mendable(
                "state",
                "the state is \"running\", but no process has the database open: the run was killed, and what was not committed is lost",
                Repair::Close,
            );
        } else if let Some(end @ ("killed" | "broken")) = self.facts.value("state") {
            findings.notice(
                "state",
                format!("the run was {end}: it is complete up to its last commit"),
            );
        }
        for (key, what) in REGRETS {
            match self.facts.value(key) {
                None | Some("0") => {}
                Some(count) => findings.notice(key, format!("{what}: {key} = {count}")),
            }
        }
        if self.writer.is_none() && beside::has_write_ahead_log(self.path) {
            findings.mendable(
                "journal",
                "the database has a write-ahead log: a copy of the .sqlite file alone would be incomplete",
                Repair::Journal,
            );
        }
    }

    fn check_spool(&self, more: &[PathBuf], findings: &mut Findings) -> Result<(), DoctorError> {
        let files = spool_files(self.path, more);
        if files.is_empty() || self.writer.is_some() {
            return Ok(());
        }
        let pending = spool::pending(self.path, &files).map_err(DoctorError::Spool)?;
        if pending > 0 {
            findings.mendable(
                "spool",
                format!(
                    "{pending} records are in {} spool file(s) and not in the database",
                    files.len()
                ),
                Repair::Spool(files),
            );
        } else {
            let names = files.iter().map(|it| it.display().to_string());
            let names: Vec<_> = names.collect();
            findings.notice(
                "spool",
                format!(
                    "everything in {} is in the database: it may be deleted",
                    names.join(", ")
                ),
            );
        }
        Ok(())
    }
}

/// Facts that should be 0.
const REGRETS: [(&str, &str); 4] = [
    (
        "rows_lost",
        "rows were lost for good, see CRITICAL in the log",
    ),
    ("threads_ended_early", "threads ended by a defect"),
    ("log_lines_lost", "lines of the log were lost"),
    (
        "wall_clock_drift_ms",
        "the clock of the machine was set during the run",
    ),
];

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, level: Level, text: String, repair: Option<Repair>) {
        self.0.push(Finding {
            check,
            level,
            text,
            repair,
        });
    }

    fn problem(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(check, Level::Problem, text.into(), None);
    }

    fn mendable(&mut self, check: &'static str, text: impl Into<String>, repair: Repair) {
        self.add(check, Level::Problem, text.into(), Some(repair));
    }

    fn notice(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(check, Level::Notice, text.into(), None);
    }
}

/// Whether SQLite finds the file whole.
fn integrity(database: &Connection, findings: &mut Findings) -> rusqlite::Result<bool> {
    let mut query = database.prepare("PRAGMA integrity_check(10)")?;
    let lines: rusqlite::Result<Vec<String>> = query.query_map([], |row| row.get(0))?.collect();
    let lines = match lines {
        Ok(lines) => lines,
        Err(error) => vec![error.to_string()],
    };
    if lines.len() == 1 && lines.first().is_some_and(|line| line == "ok") {
        return Ok(true);
    }
    let said = super::text::clean(&lines.join("; "), 500);
    findings.problem(
        "integrity",
        format!(
            "the file is damaged: {said}. Nothing else was checked. Rescue what is readable with: sqlite3 FILE .recover | sqlite3 NEW.sqlite"
        ),
    );
    Ok(false)
}

fn reading(path: &Path, source: rusqlite::Error) -> DoctorError {
    DoctorError::Storage(StorageError::Database {
        path: path.to_owned(),
        step: "examining",
        source,
    })
}

#[cfg(test)]
#[path = "doctor/tests.rs"]
mod tests;
