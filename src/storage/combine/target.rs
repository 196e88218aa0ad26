//! The database that is made: the schema of a run, with `vm` where a row does
//! not say by its torrent of which run it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::storage::database::schema_script;
use crate::storage::doctor::COMBINED;
use crate::storage::error::StorageError;

/// The database that is made.
pub(super) struct Target {
    path: PathBuf,
    pub(super) connection: Connection,
}

/// How a table is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: String,
    /// Names in order.
    pub(super) columns: Vec<String>,
    /// The whole-number key, unless it refers to another table.
    pub(super) key: Option<String>,
    /// Columns that refer to the key of another table.
    pub(super) references: BTreeMap<String, String>,
}

impl Target {
    pub(super) fn create(path: &Path) -> Result<Self, StorageError> {
        if path.exists() {
            std::fs::remove_file(path).map_err(|source| StorageError::File {
                path: path.to_owned(),
                source,
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| StorageError::Database {
            path: path.to_owned(),
            step: "making it",
            source,
        };
        let connection = Connection::open_with_flags(uri(path, "rwc"), flags).map_err(failed)?;
        let target = Self {
            path: path.to_owned(),
            connection,
        };
        target.prepare().map_err(failed)?;
        Ok(target)
    }

    /// Without journal: a file that is not finished is thrown away.
    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;",
        )?;
        self.connection.execute_batch(&schema_script())?;
        self.connection.execute_batch(RUNS)?;
        for table in self.tables()? {
            self.add_machine(&table)?;
        }
        Ok(())
    }

    /// Adds `vm` to a table whose rows do not all refer to one that tells.
    pub(super) fn add_machine(&self, table: &str) -> rusqlite::Result<()> {
        if SUMMED.contains(&table) || ["torrent", "peer", "request"].contains(&table) {
            return Ok(());
        }
        let told = "SELECT count(*) FROM pragma_table_info(?1) AS its
             JOIN pragma_foreign_key_list(?1) AS other ON other.\"from\" = its.name
             WHERE its.\"notnull\" OR its.pk";
        let told: bool = self.connection.query_row(told, [table], |row| row.get(0))?;
        if told {
            return Ok(());
        }
        let sql = format!("ALTER TABLE {} ADD COLUMN vm INTEGER", quoted(table));
        self.connection.execute_batch(&sql)
    }

    /// Names of the tables, in order.
    pub(super) fn tables(&self) -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name";
        let mut query = self.connection.prepare(sql)?;
        query.query_map([], |row| row.get(0))?.collect()
    }

    /// How `table` is copied.
    pub(super) fn shape(&self, table: &str) -> rusqlite::Result<Shape> {
        let sql = "SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?, 'main')";
        let mut query = self.connection.prepare(sql)?;
        let pairs = query.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let references: BTreeMap<String, String> = pairs.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT name, pk, type FROM pragma_table_info(?, 'main') ORDER BY cid";
        let mut query = self.connection.prepare(sql)?;
        let mut rows = query.query([table])?;
        let (mut columns, mut keys) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let (name, key, kind): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if key > 0 {
                keys.push((name.clone(), kind));
            }
            columns.push(name);
        }
        let key = match keys.as_slice() {
            [(name, kind)] if kind == "INTEGER" => Some(name.clone()),
            _ => None,
        };
        Ok(Shape {
            name: table.to_owned(),
            columns,
            key: key.filter(|key| !references.contains_key(key)),
            references,
        })
    }

    /// Rows of every table.
    pub(super) fn count_rows(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let count = |table: String| {
            let sql = format!("SELECT count(*) FROM main.{}", quoted(&table));
            let rows: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
            Ok((table, rows.unsigned_abs()))
        };
        let tables = self.tables();
        let counted = tables.and_then(|tables| tables.into_iter().map(count).collect());
        counted.map_err(|source| self.failed("counting rows", source))
    }

    pub(super) fn close(self) -> Result<(), StorageError> {
        let path = self.path;
        self.connection
            .close()
            .map_err(|(_, source)| StorageError::Database {
                path,
                step: "closing",
                source,
            })
    }

    pub(super) fn failed(&self, step: &'static str, source: rusqlite::Error) -> StorageError {
        StorageError::Database {
            path: self.path.clone(),
            step,
            source,
        }
    }
}

/// `path` for SQLite, to be opened in `mode`.
pub(in crate::storage) fn uri(path: &Path, mode: &str) -> String {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    let name = percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC);
    format!("file:{name}?mode={mode}")
}

/// A name of a table or column in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Tables whose rows are put together instead of copied.
pub(super) const SUMMED: [&str; 4] = ["run", "peer_error", "tracker_result", COMBINED];

/// Of which runs the database is made.
const RUNS: &str = "CREATE TABLE combined (
    vm INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    program TEXT NOT NULL,
    host TEXT,
    start TEXT,
    stop TEXT,
    state TEXT,
    torrents INTEGER NOT NULL,
    torrent_offset INTEGER NOT NULL,
    peer_offset INTEGER NOT NULL,
    request_offset INTEGER NOT NULL
)";
