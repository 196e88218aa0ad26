//! The data dictionary of a database as JSON. The words are those of the
//! comments in `schema/1.sql`.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::storage::database::SCHEMA;

/// An object per table: `table`, `meaning`, `columns` (`name`, `type`, `null`,
/// `meaning`).
pub(super) fn of(database: &Connection, tables: &[String]) -> rusqlite::Result<String> {
    let meanings = meanings();
    let meaning = |table: &str, column: &str| {
        let key = (table.to_owned(), column.to_owned());
        meanings.get(&key).cloned()
    };
    let mut all = Vec::new();
    for table in tables {
        let sql = "SELECT name, type, \"notnull\" OR pk FROM pragma_table_info(?) ORDER BY cid";
        let mut query = database.prepare(sql)?;
        let columns = query.query_map([table], |row| {
            let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(json!({
                "meaning": meaning(table, &name).or_else(|| meaning("", &name)),
                "name": name,
                "type": kind(&declared),
                "null": !row.get::<_, bool>(2)?,
            }))
        })?;
        let columns: Vec<Value> = columns.collect::<rusqlite::Result<_>>()?;
        all.push(json!({"table": table, "meaning": meaning(table, ""), "columns": columns}));
    }
    Ok(format!("{:#}\n", Value::Array(all)))
}

/// What a column of a declared type is written as.
fn kind(declared: &str) -> &'static str {
    let declared = declared.to_ascii_uppercase();
    match declared.as_str() {
        "INTEGER" => "integer",
        "REAL" | "FLOAT" => "real",
        "BLOB" => "hexadecimal",
        _ => "text",
    }
}

/// By table and column; the table itself has no column, and a column of any
/// table no table.
fn meanings() -> BTreeMap<(String, String), String> {
    let mut meanings = BTreeMap::new();
    for (table, column, meaning) in FURTHER {
        let key = (table.to_owned(), column.to_owned());
        meanings.insert(key, meaning.to_owned());
    }
    let mut table = String::new();
    for line in SCHEMA.lines() {
        let Some(comment) = line.strip_prefix("-- ") else {
            table.clear();
            continue;
        };
        let Some((name, meaning)) = comment.split_once(": ") else {
            continue;
        };
        if let Some(column) = name.strip_prefix("  ") {
            meanings.insert((table.clone(), column.to_owned()), meaning.to_owned());
        } else if !name.contains(' ') {
            name.clone_into(&mut table);
            meanings.insert((table.clone(), String::new()), meaning.to_owned());
        }
    }
    meanings
}

/// What is not in every database.
const FURTHER: [(&str, &str, &str); 15] = [
    ("", "vm", "number of the run in a combined database, from 1"),
    ("peer", "host", "last two labels of the host name"),
    ("repair", "", "what btda doctor has repaired"),
    ("repair", "id", "row number"),
    ("repair", "time_ms", "when"),
    ("repair", "action", "close or statement"),
    (
        "repair",
        "detail",
        "time of the last row; or SHA-1 of the line of the log, #, and which of its equals it was",
    ),
    (
        "combined",
        "",
        "the runs that a combined database is made of",
    ),
    ("combined", "file", "name of the database"),
    ("combined", "program", "btda or 2015"),
    ("combined", "state", "how the run ended"),
    ("combined", "torrents", "torrents of the run"),
    (
        "combined",
        "torrent_offset",
        "what was added to its torrent ids",
    ),
    ("combined", "peer_offset", "what was added to its peer ids"),
    (
        "combined",
        "request_offset",
        "what was added to its request ids",
    ),
];
