//! Search over the names and files of resolved torrents, by FTS5.
//!
//! Written on the thread `observe-write`, read by anybody who opens the file.
//! Results are ranked by BM25, in which a word of the name weighs as much as
//! ten of paths. A word that very many torrents have is ranked among the
//! newest [`CANDIDATES_MAX`] of them only, so that every search is quick.

mod query;
mod read;

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::error::StorageError;
use super::form::Form;
use super::geo::Place;
use crate::model::{InfoHash, Timestamp};

pub use query::{LIMIT, Query, expression};

const FORM: Form = Form {
    // "btdS" as a number.
    application: 0x6274_6453,
    version: 1,
    schema: include_str!("search/schema.sql"),
};

/// Newest matches that are ranked.
pub const CANDIDATES_MAX: usize = 50_000;

/// Bytes of paths that are indexed of one torrent.
const PATHS_MAX: usize = 64 * 1024;

/// A resolved torrent as it goes in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// Its info hash.
    pub info_hash: Option<InfoHash>,
    /// Its name.
    pub name: String,
    /// Paths of its files, one a line.
    pub paths: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub size: u64,
    /// When it was resolved.
    pub at: Timestamp,
    /// Bits of [`crate::model::FileKind::bit`].
    pub kinds: u8,
    /// Place of the first source.
    pub place: Option<Place>,
}

/// A torrent that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its info hash.
    pub info_hash: InfoHash,
    /// Its name.
    pub name: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub size: u64,
    /// When it was resolved.
    pub at: Timestamp,
    /// Bits of [`crate::model::FileKind::bit`].
    pub kinds: u8,
    /// Place of the first source.
    pub place: Place,
    /// Relevance as percent of the best of all that match, above 0 to 100.
    pub score: f64,
}

/// What a search gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The best, best first.
    pub hits: Vec<Hit>,
    /// Torrents that match, as far as they were ranked.
    pub matches: u64,
    /// There are more than were ranked: [`CANDIDATES_MAX`].
    pub more: bool,
}

/// The index.
pub struct SearchIndex {
    connection: Connection,
    path: PathBuf,
}

impl SearchIndex {
    /// Opens the index, or makes it.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            connection: FORM.open(path)?,
            path: path.to_owned(),
        })
    }

    /// Opens the index to search it.
    pub fn read(path: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            connection: FORM.read(path)?,
            path: path.to_owned(),
        })
    }

    /// Puts torrents in, or in the place of what was known of them, in one
    /// transaction. Those without an info hash are passed over.
    pub fn put(&mut self, documents: &[Document]) -> Result<(), StorageError> {
        self.try_put(documents)
            .map_err(|source| StorageError::Database {
                path: self.path.clone(),
                step: "indexing",
                source,
            })
    }

    fn try_put(&mut self, documents: &[Document]) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for document in documents {
            if let Some(info_hash) = document.info_hash {
                put_one(&transaction, info_hash, document)?;
            }
        }
        transaction.commit()
    }

    /// Takes torrents out again: those that were blocked later.
    pub fn remove(&mut self, info_hash: InfoHash) -> Result<bool, StorageError> {
        let removed = || {
            let old = known(&self.connection, info_hash)?;
            if let Some(id) = old {
                remove_one(&self.connection, id)?;
            }
            Ok(old.is_some())
        };
        removed().map_err(|source| StorageError::Database {
            path: self.path.clone(),
            step: "removing a torrent",
            source,
        })
    }

    /// Torrents in the index.
    pub fn len(&self) -> Result<u64, StorageError> {
        let sql = "SELECT count(*) FROM torrent";
        let count = self
            .connection
            .query_row(sql, [], |row| row.get::<_, i64>(0));
        count
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(|source| self.unreadable(source))
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.len()? == 0)
    }

    /// Whether a torrent is in it.
    pub fn has(&self, info_hash: InfoHash) -> Result<bool, StorageError> {
        known(&self.connection, info_hash)
            .map(|id| id.is_some())
            .map_err(|source| self.unreadable(source))
    }

    /// The best results for a query. One without words finds nothing.
    pub fn search(&self, query: &Query) -> Result<Found, StorageError> {
        let Some(expression) = expression(&query.words) else {
            return Ok(Found::default());
        };
        let (sql, values) = statement(query, expression);
        self.try_search(&sql, values)
            .map_err(|source| self.unreadable(source))
    }

    fn try_search(&self, sql: &str, values: Vec<Value>) -> rusqlite::Result<Found> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Found::default();
        while let Some(row) = rows.next()? {
            // BM25 of FTS5 is negative: the less, the better.
            let (score, best): (f64, f64) = (row.get(0)?, row.get(15)?);
            let percent = if best < 0.0 {
                100.0 * score / best
            } else {
                100.0
            };
            found.matches = count(row.get(1)?);
            found.more = count(row.get(2)?) >= CANDIDATES_MAX as u64;
            found.hits.push(hit(row, percent)?);
        }
        Ok(found)
    }

    fn unreadable(&self, source: rusqlite::Error) -> StorageError {
        StorageError::Unreadable {
            path: self.path.clone(),
            step: "searching",
            source,
        }
    }
}

fn known(connection: &Connection, info_hash: InfoHash) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM torrent WHERE info_hash = ?")?;
    statement
        .query_row([info_hash.as_bytes()], |row| row.get(0))
        .optional()
}

fn remove_one(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM words WHERE rowid = ?")?
        .execute([id])?;
    connection
        .prepare_cached("DELETE FROM torrent WHERE id = ?")?
        .execute([id])?;
    Ok(())
}

fn put_one(
    connection: &Connection,
    info_hash: InfoHash,
    document: &Document,
) -> rusqlite::Result<()> {
    if let Some(id) = known(connection, info_hash)? {
        remove_one(connection, id)?;
    }
    let unknown = Place::default();
    let place = document.place.as_ref().unwrap_or(&unknown);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO torrent (info_hash, name, files, size, at, kinds, country, country_name, \
             subdivision, city, latitude, longitude) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            info_hash.as_bytes(),
            document.name,
            whole(document.files),
            whole(document.size),
            document.at.millis(),
            document.kinds,
            text(&place.country_iso),
            text(&place.country),
            text(&place.subdivision),
            text(&place.city),
            place.latitude,
            place.longitude,
        ])?;
    let id = connection.last_insert_rowid();
    let mut end = document.paths.len().min(PATHS_MAX);
    while !document.paths.is_char_boundary(end) {
        end -= 1;
    }
    let paths = document.paths.get(..end).unwrap_or_default();
    connection
        .prepare_cached("INSERT INTO words (rowid, name, paths) VALUES (?, ?, ?)")?
        .execute(params![id, document.name, paths])?;
    Ok(())
}

/// The statement of a query and its values. Of the newest matches, those that
/// pass the filters are ranked.
fn statement(query: &Query, expression: String) -> (String, Vec<Value>) {
    let mut values = vec![Value::Text(expression)];
    let mut filters = String::new();
    let mut filter = |sql: &str, value: Value| {
        filters.push_str(" AND ");
        filters.push_str(sql);
        values.push(value);
    };
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    if let Some(country) = &query.country {
        filter("country = ?", Value::Text(country.to_uppercase()));
    }
    if let Some(size) = query.size_min {
        filter("size >= ?", whole(size));
    }
    if let Some(size) = query.size_max {
        filter("size <= ?", whole(size));
    }
    if let Some(since) = query.since {
        filter("at >= ?", Value::Integer(since.millis()));
    }
    if let Some(until) = query.until {
        filter("at < ?", Value::Integer(until.millis()));
    }
    if let Some(kind) = query.kind {
        filter("kinds & ? <> 0", Value::Integer(kind.bit().into()));
    }
    for number in [query.limit, query.offset] {
        values.push(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    }
    let filtered = if filters.is_empty() {
        "SELECT id, score FROM candidate".to_owned()
    } else {
        format!("SELECT id, score FROM candidate JOIN torrent USING (id) WHERE true{filters}")
    };
    let sql = format!(
        "WITH candidate (id, score) AS MATERIALIZED ( \
             SELECT rowid, bm25(words, 10.0, 1.0) FROM words WHERE words MATCH ? \
             ORDER BY rowid DESC LIMIT {CANDIDATES_MAX}), \
         filtered (id, score) AS MATERIALIZED ({filtered}) \
         SELECT score, (SELECT count(*) FROM filtered), (SELECT count(*) FROM candidate), \
             info_hash, name, files, size, at, kinds, country, country_name, subdivision, city, \
             latitude, longitude, (SELECT min(score) FROM filtered) \
         FROM (SELECT id, score FROM filtered ORDER BY score, id DESC LIMIT ? OFFSET ?) \
         JOIN torrent USING (id) ORDER BY score, id DESC"
    );
    (sql, values)
}

fn hit(row: &rusqlite::Row<'_>, score: f64) -> rusqlite::Result<Hit> {
    let text = |place| {
        let text: String = row.get(place)?;
        Ok::<_, rusqlite::Error>(Some(text).filter(|text| !text.is_empty()))
    };
    Ok(Hit {
        info_hash: InfoHash::new(row.get(3)?),
        name: row.get(4)?,
        files: count(row.get(5)?),
        size: count(row.get(6)?),
        at: Timestamp(row.get(7)?),
        kinds: row.get(8)?,
        place: Place {
            country_iso: text(9)?,
            country: text(10)?,
            subdivision: text(11)?,
            city: text(12)?,
            latitude: row.get(13)?,
            longitude: row.get(14)?,
            ..Place::default()
        },
        score,
    })
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests;
