//! What sort of database it is, and what it says of itself.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::storage::database::{APPLICATION_ID, SCHEMA_VERSION};

/// Who made a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Kind {
    /// A run of this program.
    Btda,
    /// A run of the program of 2015.
    Thesis2015,
    /// Several runs, put together by `btda combine`.
    Combined,
}

impl Kind {
    /// Tells by `application_id`, `user_version` and the tables; the error
    /// says why it is none of them.
    pub(in crate::storage) fn of(database: &Connection) -> Result<Self, String> {
        let text = |error: rusqlite::Error| error.to_string();
        let pragma = |name: &str| {
            let sql = format!("PRAGMA {name}");
            database.query_row(&sql, [], |row| row.get::<_, i32>(0))
        };
        let id = pragma("application_id").map_err(text)?;
        let version = pragma("user_version").map_err(text)?;
        for table in ["torrent", "peer", "request", "statistic"] {
            if !has_table(database, table).map_err(text)? {
                return Err(format!("there is no table {table}"));
            }
        }
        if id != APPLICATION_ID {
            return Ok(Self::Thesis2015);
        }
        if version > SCHEMA_VERSION {
            return Err(format!(
                "its schema has the number {version}, and this program knows those up to {SCHEMA_VERSION}; use the version that wrote it"
            ));
        }
        if has_table(database, COMBINED).map_err(text)? {
            return Ok(Self::Combined);
        }
        Ok(Self::Btda)
    }

    pub(in crate::storage) const fn as_str(self) -> &'static str {
        match self {
            Self::Btda => "btda",
            Self::Thesis2015 => "2015",
            Self::Combined => "combined",
        }
    }
}

/// Whether `database` has a table of this name.
pub(in crate::storage) fn has_table(database: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    database.query_row(sql, [name], |row| row.get(0))
}

/// Table that says of which runs a combined database is made.
pub(in crate::storage) const COMBINED: &str = "combined";

/// Table `run`; empty for databases of 2015.
#[derive(Debug, Clone, Default)]
pub(in crate::storage) struct Facts(BTreeMap<String, String>);

impl Facts {
    pub(in crate::storage) fn read(database: &Connection, kind: Kind) -> rusqlite::Result<Self> {
        if kind == Kind::Thesis2015 {
            return Ok(Self::default());
        }
        let mut query = database.prepare("SELECT key, value FROM run")?;
        let facts = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        facts.collect::<rusqlite::Result<_>>().map(Self)
    }

    pub(in crate::storage) fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(in crate::storage) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Value of a configuration key, as text, where the run tells it.
    pub(in crate::storage) fn configured(&self, key: &str) -> Option<String> {
        let all: serde_json::Value = serde_json::from_str(self.value("configuration")?).ok()?;
        let entry = all.get(key)?;
        let value = entry.get("value").unwrap_or(entry);
        Some(match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}
