//! Lost statements as they stand in a log (section 7 of the contract): read,
//! checked word by word and built anew, never executed as found. Pure.
//!
//! ```text
//! […:CRITICAL:…] … [SQL: 'INSERT INTO request (timestamp, …) VALUES (?, …)'] [parameters: (1440962471, …)]
//! ```

use rusqlite::types::Value;

use super::rules::COLUMNS;

/// A statement that can be applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Statement {
    /// A row of one of the four tables.
    Insert {
        /// Its name.
        table: &'static str,
        /// Names of columns, each known, none twice.
        columns: Vec<&'static str>,
        /// One for each column.
        values: Vec<Value>,
    },
    /// A later visit of a peer: `last_pieces`, `last_seen`, `max_speed`,
    /// `visits`, `id` and `visits` again.
    Update([Value; 6]),
}

/// What a line of a log is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// Nothing of the sort.
    Other,
    /// One that was understood.
    Lost(Statement),
    /// One of which only this is known: it was lost.
    Unreadable,
}

/// Reads a line. Only lines of level CRITICAL count: what came from outside
/// stands in no such line.
pub(super) fn read(line: &str) -> Line {
    let Some((head, text)) = line.split_once("] ") else {
        return Line::Other;
    };
    if head.split(':').nth(1) != Some("CRITICAL") {
        return Line::Other;
    }
    let Some((_, statement)) = text.split_once("[SQL: '") else {
        return Line::Other;
    };
    let parts = statement.split_once("'] [parameters: (");
    let parts = parts.and_then(|(sql, values)| Some((sql, values.trim_end().strip_suffix(")]")?)));
    let lost = parts.and_then(|(sql, parameters)| statement_of(sql, &values(parameters)?));
    lost.map_or(Line::Unreadable, Line::Lost)
}

fn statement_of(sql: &str, values: &[Value]) -> Option<Statement> {
    if sql == UPDATE {
        return Some(Statement::Update(values.to_vec().try_into().ok()?));
    }
    let rest = sql
        .strip_prefix("INSERT INTO ")
        .or_else(|| sql.strip_prefix("INSERT OR IGNORE INTO "))?;
    let (table, rest) = rest.split_once(" (")?;
    let (names, marks) = rest.split_once(") VALUES (")?;
    let (table, known) = COLUMNS.iter().find(|(name, _)| *name == table)?;
    let mut columns: Vec<&'static str> = Vec::new();
    for name in names.split(", ") {
        let column = known.split(' ').find(|it| *it == name)?;
        if columns.contains(&column) {
            return None;
        }
        columns.push(column);
    }
    let marks = marks.strip_suffix(')')?;
    let places = marks.split(", ").filter(|it| *it == "?").count();
    let fits = columns.len() >= 2 && columns.len() == places && places == values.len();
    fits.then(|| Statement::Insert {
        table,
        columns,
        values: values.to_vec(),
    })
}

/// The values of `1, 'dht', None, 0.5`.
fn values(text: &str) -> Option<Vec<Value>> {
    text.split(", ").map(value).collect()
}

fn value(text: &str) -> Option<Value> {
    if matches!(text, "None" | "NULL") {
        return Some(Value::Null);
    }
    if let Some(word) = text.strip_prefix('\'') {
        let word = word.strip_suffix('\'')?;
        let plain = !word.contains(['\'', '\\', '\0']);
        return plain.then(|| Value::Text(word.to_owned()));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::Integer(number));
    }
    let digits = text
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let number = text.parse::<f64>().ok()?;
    (digits && number.is_finite()).then_some(Value::Real(number))
}

/// The only other statement that is ever lost, as the writer has it.
pub(super) const UPDATE: &str = "UPDATE peer SET last_pieces = ?, last_seen = ?, max_speed = ?, visits = ? WHERE id = ? AND visits < ?";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Source, TorrentId};
    use crate::storage::lost::lost_statement;
    use crate::storage::row::{PeerUpdate, RequestRow, Row};

    const HEAD: &str = "[30d21h21m16s:CRITICAL:analyzer:Thread-11] OperationalError during request storing: (sqlite3.OperationalError) database is locked ";

    fn line(sql: &str, parameters: &str) -> Line {
        read(&format!(
            "{HEAD}[SQL: '{sql}'] [parameters: ({parameters})]"
        ))
    }

    #[test]
    fn a_line_of_2015() {
        let found = line(
            "INSERT INTO request (timestamp, source, completed, duration_sec) VALUES (?, ?, ?, ?)",
            "1440962471, 'dht', None, 5.05999185302062",
        );
        let Line::Lost(Statement::Insert {
            table,
            columns,
            values,
        }) = found
        else {
            panic!("{found:?}");
        };
        assert_eq!(table, "request");
        assert_eq!(
            columns,
            ["timestamp", "source", "completed", "duration_sec"]
        );
        assert_eq!(
            values,
            [
                Value::Integer(1_440_962_471),
                Value::Text("dht".to_owned()),
                Value::Null,
                Value::Real(5.059_991_853_020_62),
            ]
        );
    }

    #[test]
    fn what_the_writer_logs_is_understood() {
        let update = Row::PeerUpdate(PeerUpdate {
            id: 1,
            last_pieces: 4,
            last_seen: 10,
            max_speed: -0.25,
            visits: 2,
        });
        let request = Row::Request(Box::new(RequestRow {
            id: 7,
            timestamp: 9,
            source: Source::Tracker,
            received: 3,
            duplicates: 1,
            seeders: Some(4),
            completed: None,
            leechers: None,
            duration_sec: Some(1e-7),
            torrent: TorrentId::from_index(0).unwrap(),
        }));
        for row in [update, request] {
            let text = format!(
                "[01d00h00m00s:CRITICAL:writer:writer] row lost {}",
                lost_statement(&row).unwrap()
            );
            let stored: Vec<Value> = row.with_values(|values| {
                let owned = values.iter().map(|value| Value::try_from(*value));
                owned.collect::<Result<_, _>>().unwrap()
            });
            match read(&text) {
                Line::Lost(Statement::Update(values)) => assert_eq!(values[..], stored[..]),
                Line::Lost(Statement::Insert { values, .. }) => assert_eq!(values, stored),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn nothing_else_passes() {
        let insert = "INSERT INTO request (timestamp, torrent) VALUES (?, ?)";
        assert!(matches!(line(insert, "1, 2"), Line::Lost(_)));
        for (sql, parameters) in [
            ("DROP TABLE peer", "1, 2"),
            (
                "INSERT INTO sqlite_master (name, sql) VALUES (?, ?)",
                "1, 2",
            ),
            (
                "INSERT INTO request (timestamp, nothing) VALUES (?, ?)",
                "1, 2",
            ),
            ("INSERT INTO request (id, id) VALUES (?, ?)", "1, 2"),
            (
                "INSERT INTO request (timestamp, torrent) VALUES (?, ?); DROP TABLE peer",
                "1, 2",
            ),
            (
                "INSERT INTO request (timestamp, torrent) VALUES (?, 1)",
                "1, 2",
            ),
            ("DELETE FROM peer WHERE id = ?", "1, 2"),
            (insert, "1, 2, 3"),
            (insert, "1"),
            (insert, "1, nan"),
            (insert, "1, inf"),
            (insert, "1, 'a"),
            (insert, "1, 'it\\'s'"),
            (insert, "1, (2)"),
        ] {
            assert_eq!(
                line(sql, parameters),
                Line::Unreadable,
                "{sql} {parameters}"
            );
        }
        let lost = format!("[SQL: '{insert}'] [parameters: (1, 2)]");
        for other in [
            format!("[1:WARNING:a:b] CRITICAL {lost}"),
            format!("[1:DEBUG:a:b] {lost}"),
            lost,
            "[1:CRITICAL:a:b] defect".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&other), Line::Other, "{other}");
        }
    }
}
