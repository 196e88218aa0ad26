//! The rows of a run into the database that is made. All copying is done by
//! SQLite itself, table by table, in one reading transaction of the run.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::source::Source;
use super::target::{SUMMED, Shape, Target, quoted, uri};
use crate::storage::database::SCHEMA_VERSION;
use crate::storage::doctor::{Errors, Kind};
use crate::storage::error::StorageError;

/// A run and its number.
pub(super) struct Run<'a> {
    pub(super) source: &'a Source,
    /// `statistic.vm`.
    pub(super) vm: i64,
}

/// What is added to the keys of each table.
type Offsets = BTreeMap<String, i64>;

impl Run<'_> {
    /// Copies everything; its error counts are added to `errors`.
    pub(super) fn copy_into(
        &self,
        target: &Target,
        errors: &mut Errors,
        notices: &mut Vec<String>,
    ) -> Result<(), StorageError> {
        let failed = |source| StorageError::Database {
            path: self.source.path.clone(),
            step: "copying it",
            source,
        };
        let connection = &target.connection;
        let attach = "ATTACH ? AS run";
        connection
            .execute(attach, [uri(&self.source.path, "ro")])
            .map_err(failed)?;
        connection.execute_batch("BEGIN").map_err(failed)?;
        let offsets = self.copy_tables(target, notices).map_err(failed)?;
        let shift = offsets.get("torrent").copied().unwrap_or(0);
        let own = self.errors(connection, notices).map_err(failed)?;
        add_errors(errors, own, shift);
        self.describe(connection, &offsets).map_err(failed)?;
        connection
            .execute_batch("COMMIT; DETACH run")
            .map_err(failed)
    }

    fn copy_tables(&self, target: &Target, notices: &mut Vec<String>) -> rusqlite::Result<Offsets> {
        let connection = &target.connection;
        let mut query = connection.prepare(
            "SELECT name, sql FROM run.sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name",
        )?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tables: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>()?;
        let known = target.tables()?;
        let mut shapes = Vec::new();
        for (table, definition) in tables {
            if !known.contains(&table) {
                if !definition.starts_with("CREATE TABLE") {
                    notices.push(format!(
                        "{}: table {table} is virtual and was not copied",
                        self.source.name()
                    ));
                    continue;
                }
                connection.execute_batch(&definition)?;
                target.add_machine(&table)?;
            }
            if !SUMMED.contains(&table.as_str()) {
                shapes.push(target.shape(&table)?);
            }
        }
        let mut offsets = Offsets::new();
        for shape in &shapes {
            if let Some(key) = &shape.key {
                let sql = format!(
                    "SELECT coalesce(max({}), 0) FROM main.{}",
                    quoted(key),
                    quoted(&shape.name)
                );
                let highest = connection.query_row(&sql, [], |row| row.get(0))?;
                offsets.insert(shape.name.clone(), highest);
            }
        }
        for shape in &shapes {
            self.copy_table(connection, shape, &offsets, notices)?;
        }
        Ok(offsets)
    }

    fn copy_table(
        &self,
        connection: &Connection,
        shape: &Shape,
        offsets: &Offsets,
        notices: &mut Vec<String>,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT name FROM pragma_table_info(?, 'run')";
        let mut query = connection.prepare(sql)?;
        let names = query.query_map([&shape.name], |row| row.get(0))?;
        let there: BTreeSet<String> = names.collect::<rusqlite::Result<_>>()?;
        for left in there.iter().filter(|it| !shape.columns.contains(it)) {
            notices.push(format!(
                "{}: column {left} of table {} was not copied",
                self.source.name(),
                shape.name
            ));
        }
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for column in &shape.columns {
            let value = if column == "vm" {
                self.vm.to_string()
            } else if there.contains(column) {
                moved(shape, column, offsets)
            } else {
                continue;
            };
            columns.push(quoted(column));
            values.push(value);
        }
        let (table, columns, values) = (quoted(&shape.name), columns.join(", "), values.join(", "));
        let order = shape
            .key
            .as_deref()
            .map_or_else(String::new, |key| format!(" ORDER BY {}", quoted(key)));
        let sql =
            format!("INSERT INTO main.{table} ({columns}) SELECT {values} FROM run.{table}{order}");
        connection.execute(&sql, [])?;
        Ok(())
    }

    /// Error counts of the run: its tables, or the files of 2015.
    fn errors(
        &self,
        connection: &Connection,
        notices: &mut Vec<String>,
    ) -> rusqlite::Result<Errors> {
        if self.source.kind == Kind::Thesis2015 {
            let files = Errors::files(&self.source.path);
            return Ok(files.unwrap_or_else(|error| {
                let name = self.source.name();
                notices.push(format!("{name}: its error files are not beside it or cannot be used ({error}); they are missing in the sum"));
                Errors::default()
            }));
        }
        Errors::tables_of(connection, "run")
    }

    /// The row of table `combined` and the facts of the run.
    fn describe(&self, connection: &Connection, offsets: &Offsets) -> rusqlite::Result<()> {
        let facts = &self.source.facts;
        let offset = |table: &str| offsets.get(table).copied().unwrap_or(0);
        let sql = "INSERT INTO main.combined (vm, file, program, host, start, stop, state, torrents, torrent_offset, peer_offset, request_offset)
                   VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT count(*) FROM run.torrent), ?, ?, ?)";
        let row = rusqlite::params![
            self.vm,
            self.source.name(),
            self.source.kind.as_str(),
            facts.value("host"),
            facts.value("start"),
            facts.value("stop"),
            facts.value("state"),
            offset("torrent"),
            offset("peer"),
            offset("request"),
        ];
        connection.execute(sql, row)?;
        for (key, value) in facts.all() {
            let key = format!("vm{}_{key}", self.vm);
            fact(connection, &key, value)?;
        }
        Ok(())
    }
}

/// How a column of the run is written into the whole.
fn moved(shape: &Shape, column: &str, offsets: &Offsets) -> String {
    let by = if shape.key.as_deref() == Some(column) {
        offsets.get(&shape.name)
    } else {
        let other = shape.references.get(column);
        other.and_then(|table| offsets.get(table))
    };
    match by {
        Some(by) => format!("{} + {by}", quoted(column)),
        None => quoted(column),
    }
}

fn add_errors(all: &mut Errors, own: Errors, shift: i64) {
    for (line, count) in own.peers {
        *all.peers.entry(line).or_default() += count;
    }
    for ((torrent, url, result, reason), count) in own.trackers {
        let line = (torrent.saturating_add(shift), url, result, reason);
        *all.trackers.entry(line).or_default() += count;
    }
}

/// Tables `peer_error` and `tracker_result` of the whole.
pub(super) fn store_errors(target: &Target, errors: &Errors) -> Result<(), StorageError> {
    let store = || -> rusqlite::Result<()> {
        let sql = "INSERT INTO main.peer_error (event, reason, count) VALUES (?, ?, ?)";
        let mut insert = target.connection.prepare(sql)?;
        for ((event, reason), count) in &errors.peers {
            insert.execute((event, reason, count))?;
        }
        let sql = "INSERT INTO main.tracker_result (torrent, url, result, reason, count) VALUES (?, ?, ?, ?, ?)";
        let mut insert = target.connection.prepare(sql)?;
        for ((torrent, url, result, reason), count) in &errors.trackers {
            insert.execute((torrent, url, result, reason, count))?;
        }
        Ok(())
    };
    store().map_err(|source| target.failed("adding the error files", source))
}

/// Facts of the whole: what all runs say alike, and when it began and ended.
pub(super) fn store_facts(target: &Target, sources: &[Source]) -> Result<(), StorageError> {
    let mut facts: BTreeMap<String, String> = BTreeMap::new();
    if let Some((first, others)) = sources.split_first() {
        for (key, value) in first.facts.all() {
            if others
                .iter()
                .all(|other| other.facts.value(key) == Some(value))
            {
                facts.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    let values = |key| sources.iter().filter_map(move |it| it.facts.value(key));
    // ISO 8601 of one form: the order of the texts is that of the times.
    facts.extend(
        values("start")
            .min()
            .map(|start| ("start".to_owned(), start.to_owned())),
    );
    facts.extend(
        values("stop")
            .max()
            .map(|stop| ("stop".to_owned(), stop.to_owned())),
    );
    facts.insert("state".to_owned(), "combined".to_owned());
    facts.insert("schema_version".to_owned(), SCHEMA_VERSION.to_string());
    facts.insert(
        "combined_by".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
    );
    let killed = sources.iter().filter(|it| it.is_killed()).count();
    if killed > 0 {
        facts.insert("killed_runs".to_owned(), killed.to_string());
    }
    let stored: rusqlite::Result<()> = facts
        .iter()
        .try_for_each(|(key, value)| fact(&target.connection, key, value));
    stored.map_err(|source| target.failed("writing the manifest", source))
}

fn fact(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO main.run (key, value) VALUES (?, ?)";
    connection.prepare_cached(sql)?.execute([key, value])?;
    Ok(())
}
