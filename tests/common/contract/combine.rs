//! Sum 7: two runs can be combined the way of 2015, and rows add up.
//!
//! The combine step creates tables from the stored definitions of the first
//! run and fills the four tables by position, ids given anew, torrents of the
//! second run moved by 10. Here a run is combined with itself.

use rusqlite::{Connection, OpenFlags};

use super::tables::TABLES;
use super::{Findings, FinishedRun};

pub(super) fn check(run: &FinishedRun, findings: &mut Findings) {
    let combined = match combine(run) {
        Ok(combined) => combined,
        Err(error) => {
            findings.0.push(format!("sum 7: combining fails: {error}"));
            return;
        }
    };
    for (table, _) in TABLES {
        let sql = format!("SELECT count(*) FROM {table}");
        let single = run.number(&sql);
        let double: i64 = combined
            .query_row(&sql, [], |row| row.get(0))
            .expect("rows can be counted");
        findings.expect(double == 2 * single, || {
            format!("sum 7: {single} rows in {table}, {double} combined with itself")
        });
    }
}

fn combine(run: &FinishedRun) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_URI;
    let combined = Connection::open_in_memory_with_flags(flags)?;
    let path = run.path.to_str().expect("path is text");
    combined.execute("ATTACH ?1 AS run", [format!("file:{path}?mode=ro")])?;
    let mut query = combined.prepare("SELECT sql FROM run.sqlite_master WHERE type = 'table'")?;
    let definitions: Vec<String> = query
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    drop(query);
    for definition in definitions {
        combined.execute_batch(&definition)?;
    }
    for offset in [0, 10] {
        for (table, columns) in TABLES {
            combined.execute_batch(&copy(table, columns, offset))?;
        }
    }
    Ok(combined)
}

fn copy(table: &str, columns: &[&str], offset: i64) -> String {
    let values = columns.iter().map(|column| match (table, *column) {
        ("torrent", "id") => format!("id + {offset}"),
        (_, "id") => "NULL".to_owned(),
        (_, "torrent") => format!("torrent + {offset}"),
        (_, column) => column.to_owned(),
    });
    let values: Vec<String> = values.collect();
    let values = values.join(", ");
    format!("INSERT INTO main.{table} SELECT {values} FROM run.{table}")
}
