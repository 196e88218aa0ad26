//! Which lost statements of a log are not in the database.
//!
//! Rows of 2015 have no number of their own in the log, so nothing but a
//! record keeps one from being applied twice. Table `repair` has a line for
//! each that was applied: SHA-1 of the line of the log, and which one of its
//! equals. Rows that somebody applied by hand are recognised by being there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;
use sha1_smol::Sha1;

use super::beside::beside;
use super::kind::has_table;
use super::statement::{self, Line, Statement};
use super::{DoctorError, Findings, Repair, Run, reading};

/// The lost statements of a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) lost: Vec<Lost>,
    /// Lines of the form that nobody understands.
    unreadable: u64,
    /// Further lines of level ERROR and CRITICAL.
    alarms: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Lost {
    /// SHA-1 of the line and which of its equals it is, from 1.
    pub(super) key: String,
    pub(super) statement: Statement,
}

impl Log {
    /// Reads the log at `path`.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut log = Self::default();
        let mut equals: BTreeMap<String, u32> = BTreeMap::new();
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut part = reader.by_ref().take(LINE_LIMIT);
            if part.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(log);
            }
            let line = String::from_utf8_lossy(&bytes);
            match statement::read(line.trim_end()) {
                Line::Lost(statement) => {
                    let digest = Sha1::from(line.trim_end()).digest().to_string();
                    let number = equals.entry(digest.clone()).or_default();
                    *number += 1;
                    let key = format!("{digest}#{number}");
                    log.lost.push(Lost { key, statement });
                }
                Line::Unreadable => log.unreadable += 1,
                Line::Other => {
                    let level = line.split(':').nth(1);
                    log.alarms += u64::from(matches!(level, Some("ERROR" | "CRITICAL")));
                }
            }
        }
    }

    /// Statements that are neither recorded nor in the database, and how many
    /// of the others can never be applied.
    pub(super) fn pending(&self, database: &Connection) -> rusqlite::Result<(Vec<&Lost>, u64)> {
        let recorded = recorded(database)?;
        let mut there = Present::read(database, &self.lost)?;
        let (mut pending, mut hopeless) = (Vec::new(), 0);
        for lost in &self.lost {
            let known = there.take(database, &lost.statement)?;
            if recorded.contains(&lost.key) {
                continue;
            }
            match known {
                Known::Absent => pending.push(lost),
                Known::Present => {}
                Known::NoPeer => hopeless += 1,
            }
        }
        Ok((pending, hopeless))
    }
}

/// Keys of the statements that were applied.
fn recorded(database: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    if !has_table(database, "repair")? {
        return Ok(BTreeSet::new());
    }
    let sql = "SELECT detail FROM repair WHERE action = 'statement'";
    let mut query = database.prepare(sql)?;
    query.query_map([], |row| row.get(0))?.collect()
}

enum Known {
    Present,
    Absent,
    /// A later visit of a peer that has no row.
    NoPeer,
}

/// Rows of the database that are like lost ones, by what they contain.
struct Present(BTreeMap<String, u64>);

impl Present {
    /// One pass over each table, in which only rows of the times are kept
    /// that occur in the log.
    fn read(database: &Connection, lost: &[Lost]) -> rusqlite::Result<Self> {
        type Shape = (&'static str, Vec<&'static str>);
        let mut wanted: BTreeMap<Shape, BTreeSet<String>> = BTreeMap::new();
        for lost in lost {
            if let Statement::Insert {
                table,
                columns,
                values,
            } = &lost.statement
            {
                let shape = (*table, columns.clone());
                wanted
                    .entry(shape)
                    .or_default()
                    .insert(content(table, values));
            }
        }
        let mut present = BTreeMap::new();
        for ((table, columns), wanted) in wanted {
            let sql = format!("SELECT {} FROM {table}", columns.join(", "));
            let mut query = database.prepare(&sql)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let values: rusqlite::Result<Vec<Value>> =
                    (0..columns.len()).map(|place| row.get(place)).collect();
                let content = content(table, &values?);
                if wanted.contains(&content) {
                    *present.entry(content).or_default() += 1;
                }
            }
        }
        Ok(Self(present))
    }

    /// Whether there is a row for `statement` that no statement before it
    /// took.
    fn take(&mut self, database: &Connection, statement: &Statement) -> rusqlite::Result<Known> {
        match statement {
            Statement::Insert {
                table,
                columns,
                values,
            } => {
                if let Some(count) = self
                    .0
                    .get_mut(&content(table, values))
                    .filter(|it| **it > 0)
                {
                    *count -= 1;
                    return Ok(Known::Present);
                }
                // A row of ours has its number; texts are not in the log.
                let id = columns.iter().position(|it| *it == "id");
                let Some(id) = id.and_then(|place| values.get(place)) else {
                    return Ok(Known::Absent);
                };
                let sql = format!("SELECT count(*) FROM {table} WHERE id = ?");
                let taken: bool = database.query_row(&sql, [id], |row| row.get(0))?;
                Ok(if taken { Known::Present } else { Known::Absent })
            }
            Statement::Update([.., id, visits]) => {
                let sql = "SELECT max(visits) FROM peer WHERE id = ?";
                let stored: Option<i64> = database.query_row(sql, [id], |row| row.get(0))?;
                Ok(match (stored, visits) {
                    (None, _) => Known::NoPeer,
                    (Some(stored), Value::Integer(visits)) if stored < *visits => Known::Absent,
                    _ => Known::Present,
                })
            }
        }
    }
}

/// The same text for rows with the same content. A whole number that was put
/// into a column of reals comes back as a real.
fn content(table: &str, values: &[Value]) -> String {
    let mut text = table.to_owned();
    for value in values {
        text.push('|');
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Integer(number) => write!(text, "{:?}", *number as f64),
            Value::Real(number) => write!(text, "{number:?}"),
            other => write!(text, "{other:?}"),
        };
    }
    text
}

/// Finds the lost statements of `logs`, or of the log of the same stem.
pub(super) fn check(
    run: &Run<'_>,
    logs: &[PathBuf],
    findings: &mut Findings,
) -> Result<(), DoctorError> {
    let own = beside(run.path, ".log");
    let own = [own]
        .into_iter()
        .filter(|own| logs.is_empty() && own.exists());
    for path in own.chain(logs.iter().cloned()) {
        let log = Log::read(&path).map_err(|error| DoctorError::File(path.clone(), error))?;
        let failed = |error| reading(run.path, error);
        let (pending, hopeless) = log.pending(run.database).map_err(failed)?;
        let name = path.display();
        if !pending.is_empty() {
            findings.mendable(
                "lost statements",
                format!(
                    "{} of {} lost statements in {name} are not in the database",
                    pending.len(),
                    log.lost.len()
                ),
                Repair::Statements(path.clone()),
            );
        } else if !log.lost.is_empty() && hopeless == 0 {
            let all = log.lost.len();
            let text = format!("all {all} lost statements in {name} are in the database");
            findings.notice("lost statements", text);
        }
        let never = hopeless + log.unreadable;
        if never > 0 {
            findings.problem(
                "lost statements",
                format!("{never} lost statements in {name} can never be applied: their form is another, or their peer has no row"),
            );
        }
        if log.alarms > 0 {
            let text = format!("{name} has {} lines with ERROR or CRITICAL", log.alarms);
            findings.notice("log", text);
        }
    }
    Ok(())
}

/// Bytes of a line that are looked at together.
const LINE_LIMIT: u64 = 64 << 10;
