//! What must be known of a run before it is combined.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::CombineError;
use crate::storage::doctor::{Facts, Kind, spool_files};
use crate::storage::error::StorageError;
use crate::storage::{reader, spool};

/// A run that is to be combined.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) facts: Facts,
    pub(super) schema: i32,
    /// Device and inode of the file.
    pub(super) identity: (u64, u64),
    /// What no other run has: its start and host, or its first rows.
    pub(super) mark: Option<String>,
    pub(super) threshold: Threshold,
    pub(super) info_hashes: Vec<(i64, String)>,
    /// Records that are in spool files.
    pub(super) spooled: u64,
}

/// Between which shares of the pieces the configured threshold lies: above
/// the first, at most the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Threshold {
    pub(super) above: f64,
    pub(super) at_most: f64,
}

impl Threshold {
    /// What both allow.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            above: self.above.max(other.above),
            at_most: self.at_most.min(other.at_most),
        }
    }

    /// Whether no threshold fits; the last digits of a double do not count.
    pub(super) fn is_impossible(self) -> bool {
        self.above > self.at_most * (1.0 + 1e-12)
    }

    /// The one with the fewest digits.
    pub(super) fn simplest(self) -> f64 {
        let rounded = [1e2, 1e3, 1e4, 1e5, 1e6].map(|scale| (self.at_most * scale).floor() / scale);
        let simplest = rounded.into_iter().find(|share| *share > self.above);
        simplest.unwrap_or(self.at_most)
    }
}

impl Source {
    /// Reads what the database at `path` says of itself.
    pub(super) fn read(path: &Path) -> Result<Self, CombineError> {
        let file = std::fs::metadata(path);
        let file = file.map_err(|error| CombineError::File(path.to_owned(), error))?;
        let database = reader::open(path)?;
        let kind = Kind::of(&database);
        let kind = kind.map_err(|why| CombineError::NoRun(path.to_owned(), why))?;
        let described = describe(&database, kind).map_err(|source| StorageError::Database {
            path: path.to_owned(),
            step: "reading what it says of itself",
            source,
        })?;
        let (facts, schema, mark, threshold, info_hashes) = described;
        let spools = match kind {
            Kind::Btda => spool_files(path, &[]),
            _ => Vec::new(),
        };
        let spooled = if spools.is_empty() {
            0
        } else {
            let pending = spool::pending(path, &spools);
            pending.map_err(|error| CombineError::NoRun(path.to_owned(), error.to_string()))?
        };
        Ok(Self {
            path: path.to_owned(),
            kind,
            facts,
            schema,
            identity: (file.dev(), file.ino()),
            mark,
            threshold,
            info_hashes,
            spooled,
        })
    }

    /// Name of the file, without the folders of this machine.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(super) fn is_killed(&self) -> bool {
        self.kind == Kind::Btda && self.facts.value("state") != Some("finished")
    }
}

type Described = (Facts, i32, Option<String>, Threshold, Vec<(i64, String)>);

fn describe(database: &Connection, kind: Kind) -> rusqlite::Result<Described> {
    let facts = Facts::read(database, kind)?;
    let schema = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mark = match (facts.value("start"), facts.value("host")) {
        (Some(start), host) => Some(format!("{start} {}", host.unwrap_or_default())),
        (None, _) => first_rows(database)?,
    };
    let mut query = database.prepare(
        "SELECT id, info_hash_hex, pieces_count, complete_threshold FROM torrent ORDER BY id",
    )?;
    let mut threshold = Threshold {
        above: 0.0,
        at_most: 1.0,
    };
    let mut info_hashes = Vec::new();
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        info_hashes.push((row.get(0)?, row.get(1)?));
        let (pieces, needed): (f64, f64) = (row.get(2)?, row.get(3)?);
        if pieces > 0.0 {
            threshold = threshold.and(Threshold {
                above: (needed - 1.0) / pieces,
                at_most: needed / pieces,
            });
        }
    }
    Ok((facts, schema, mark, threshold, info_hashes))
}

/// The first peer and the first request, as text; `None` without a peer.
fn first_rows(database: &Connection) -> rusqlite::Result<Option<String>> {
    let mut text = String::new();
    for table in ["peer", "request"] {
        let sql = format!("SELECT * FROM {table} ORDER BY id LIMIT 1");
        let mut query = database.prepare(&sql)?;
        let columns = query.column_count();
        let mut rows = query.query([])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        for column in 0..columns {
            // Writing to a String cannot fail.
            let _ = write!(text, "{:?}|", row.get::<_, Value>(column)?);
        }
    }
    Ok(Some(text))
}
