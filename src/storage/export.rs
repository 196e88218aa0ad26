//! Tables as text for other programs: CSV, JSON, JSON Lines. Any thread; reads
//! a database of ours or of 2015, also while a run writes it. Rows are written
//! one by one: memory does not grow with the table.
//!
//! What becomes of a value is the same in all three: whole numbers and reals
//! as they are (a real always with a point or exponent, and with as many
//! digits as give the same number back), blobs as hexadecimal digits in lower
//! case, texts as UTF-8 (what is not, as U+FFFD). NULL is `null` in JSON and
//! nothing at all in CSV, where an empty text is `""`.

mod dictionary;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::doctor::Kind;
use super::error::StorageError;
use super::reader;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// RFC 4180 with a header, UTF-8, lines ended by LF.
    #[default]
    Csv,
    /// One array of objects.
    Json,
    /// One object per line.
    JsonLines,
}

impl Format {
    /// Ending of a file, without the dot.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
        }
    }
}

/// Why a table was not written.
#[derive(Debug)]
pub enum ExportError {
    /// The database cannot be read.
    Storage(StorageError),
    /// It is no result file; why.
    NoResults(PathBuf, String),
    /// There is no such table; those that there are.
    NoTable(String, Vec<String>),
    /// The output takes no more.
    Output(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::NoResults(path, why) => {
                write!(f, "{} is no result file of btda: {why}", path.display())
            }
            Self::NoTable(name, tables) => write!(
                f,
                "there is no table {name:?} in this database; there are: {}",
                tables.join(" ")
            ),
            Self::Output(error) => write!(f, "the output cannot be written ({error})"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A database as it was at one moment.
pub struct Export {
    path: PathBuf,
    connection: Connection,
}

impl Export {
    /// Opens the database at `path`. All that is written is of the moment of
    /// the first table; drop it soon, see [`reader::open`].
    pub fn open(path: &Path) -> Result<Self, ExportError> {
        let connection = reader::open(path).map_err(ExportError::Storage)?;
        let export = Self {
            path: path.to_owned(),
            connection,
        };
        let begun = export.connection.execute_batch("BEGIN");
        begun.map_err(|error| export.failed(error))?;
        let kind = Kind::of(&export.connection);
        kind.map_err(|why| ExportError::NoResults(path.to_owned(), why))?;
        Ok(export)
    }

    /// Names of the tables, in order.
    pub fn tables(&self) -> Result<Vec<String>, ExportError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name";
            let mut query = self.connection.prepare(sql)?;
            query.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Writes `table`; how many rows.
    pub fn write(
        &self,
        table: &str,
        format: Format,
        output: &mut dyn Write,
    ) -> Result<u64, ExportError> {
        let tables = self.tables()?;
        if !tables.iter().any(|it| it == table) {
            return Err(ExportError::NoTable(table.to_owned(), tables));
        }
        let sql = format!("SELECT * FROM \"{}\"", table.replace('"', "\"\""));
        let failed = |error| self.failed(error);
        let mut query = self.connection.prepare(&sql).map_err(failed)?;
        let names = query.column_names();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut rows = query.query([]).map_err(failed)?;
        let mut lines = Lines::begin(format, &names, output)?;
        while let Some(row) = rows.next().map_err(failed)? {
            for column in 0..names.len() {
                lines.value(row.get_ref(column).map_err(failed)?);
            }
            lines.end_row(output)?;
        }
        lines.end(output)
    }

    /// What each table and column means, as JSON.
    pub fn dictionary(&self) -> Result<String, ExportError> {
        let tables = self.tables()?;
        dictionary::of(&self.connection, &tables).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: rusqlite::Error) -> ExportError {
        ExportError::Storage(StorageError::Database {
            path: self.path.clone(),
            step: "reading a table",
            source,
        })
    }
}

/// Rows being written.
struct Lines {
    format: Format,
    /// What stands before each value: `,` or `,"name":`.
    before: Vec<String>,
    line: Vec<u8>,
    column: usize,
    rows: u64,
}

impl Lines {
    fn begin(format: Format, names: &[String], output: &mut dyn Write) -> io::Result<Self> {
        let before = names.iter().enumerate().map(|(place, name)| {
            let comma = if place == 0 { "" } else { "," };
            match format {
                Format::Csv => comma.to_owned(),
                Format::Json | Format::JsonLines => format!("{comma}{}:", json_text(name)),
            }
        });
        let mut lines = Self {
            format,
            before: before.collect(),
            line: Vec::new(),
            column: 0,
            rows: 0,
        };
        match format {
            Format::Csv => {
                for name in names {
                    lines.value(ValueRef::Text(name.as_bytes()));
                }
                lines.line.push(b'\n');
                lines.flush(output)?;
            }
            Format::Json => output.write_all(b"[")?,
            Format::JsonLines => {}
        }
        Ok(lines)
    }

    fn value(&mut self, value: ValueRef<'_>) {
        if self.column == 0 && self.format != Format::Csv {
            self.line.push(b'{');
        }
        let before = self.before.get(self.column).map_or("", String::as_str);
        self.line.extend_from_slice(before.as_bytes());
        self.column += 1;
        let csv = self.format == Format::Csv;
        let text = match value {
            ValueRef::Null if csv => return,
            ValueRef::Null => "null".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => real(number),
            ValueRef::Blob(bytes) if csv => hexadecimal(bytes),
            ValueRef::Blob(bytes) => format!("\"{}\"", hexadecimal(bytes)),
            ValueRef::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                if csv {
                    csv_text(&text)
                } else {
                    json_text(&text)
                }
            }
        };
        self.line.extend_from_slice(text.as_bytes());
    }

    fn end_row(&mut self, output: &mut dyn Write) -> io::Result<()> {
        match (self.format, self.rows) {
            (Format::Json, 0) => output.write_all(b"\n")?,
            (Format::Json, _) => output.write_all(b",\n")?,
            _ => {}
        }
        match self.format {
            Format::Csv => self.line.push(b'\n'),
            Format::Json => self.line.push(b'}'),
            Format::JsonLines => self.line.extend_from_slice(b"}\n"),
        }
        self.rows += 1;
        self.flush(output)
    }

    fn flush(&mut self, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(&self.line)?;
        self.line.clear();
        self.column = 0;
        Ok(())
    }

    fn end(self, output: &mut dyn Write) -> Result<u64, ExportError> {
        if self.format == Format::Json {
            let end: &[u8] = if self.rows == 0 { b"]\n" } else { b"\n]\n" };
            output.write_all(end)?;
        }
        output.flush()?;
        Ok(self.rows)
    }
}

/// With the fewest digits that give the same number back. JSON knows no
/// infinity; a number that is too large to be one stands for it, as `sqlite3`
/// has it.
fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "9e999" } else { "-9e999" }.to_owned();
    }
    format!("{number:?}")
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Quoted where RFC 4180 wants it, and where it is empty. The writer of crate
/// `csv` cannot write a field that is missing and one that is empty apart.
fn csv_text(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "export/tests.rs"]
mod tests;
