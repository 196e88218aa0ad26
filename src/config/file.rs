//! Reads the configuration file: TOML 1, every problem with its line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Key, Value, ValueError, quoted};
use super::keys;
use super::problem::{ConfigError, Place};
use super::suggest::unknown_key;

/// Largest file that is read.
pub const SIZE_MAX: u64 = 1 << 20;

/// Violations of TOML that are looked at; a file with more is no such file.
const SYNTAX_ERRORS_MAX: usize = 1000;

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// Its name, for messages.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A value that a file has.
#[derive(Debug)]
pub(super) struct Found {
    /// For which key.
    pub(super) key: &'static Key,
    /// The value, in range.
    pub(super) value: Value,
    /// Where.
    pub(super) place: Place,
}

/// Reads the file into memory; the error names no path.
pub(super) fn read(path: &Path) -> Result<FileText, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| explain(&error))?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(format!(
            "larger than {SIZE_MAX} bytes: not a configuration file"
        ));
    }
    let path = path.to_owned();
    Ok(FileText { path, bytes })
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "no such file; `btda config --default` prints one to start with".to_owned()
        }
        io::ErrorKind::IsADirectory => "is a folder, not a file".to_owned(),
        io::ErrorKind::PermissionDenied => "not readable: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Every good value of the file; whatever is wrong goes to `problems`.
pub(super) fn parse(file: &FileText, problems: &mut ConfigError) -> Vec<Found> {
    let text = match std::str::from_utf8(&file.bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = file.bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let place = Lines::new(&file.path, &good).place(good.len());
            problems.add(place, "not UTF-8 text".to_owned());
            return Vec::new();
        }
    };
    let lines = Lines::new(&file.path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        broken: Vec::new(),
        lines,
        problems: ConfigError::default(),
        found: Vec::new(),
    };
    for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
        let start = error.span().map_or(0, |span| span.start);
        let line = reader.lines.number(start);
        reader.report(start, || format!("not TOML: {}", error.message()));
        reader.broken.push(line);
    }
    reader.top_level(table.get_ref());
    reader.problems.sort_by_line();
    problems.append(reader.problems);
    reader.found
}

struct Reader<'a> {
    lines: Lines<'a>,
    /// Lines that are not TOML: what the parser made of them is not judged.
    broken: Vec<usize>,
    problems: ConfigError,
    found: Vec<Found>,
}

type Entry<'a, 'b> = (&'b Spanned<Cow<'a, str>>, &'b Spanned<DeValue<'a>>);

impl Reader<'_> {
    fn top_level(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            match value.get_ref() {
                DeValue::Table(inner) if keys::is_table(name.get_ref()) => {
                    for (inner_name, value) in inner {
                        let full = format!("{}.{}", name.get_ref(), inner_name.get_ref());
                        self.entry(&full, (inner_name, value));
                    }
                }
                DeValue::Table(_) if keys::find(name.get_ref()).is_none() => {
                    self.report(name.span().start, || unknown_table(name.get_ref()));
                }
                _ => self.entry(name.get_ref(), (name, value)),
            }
        }
    }

    fn entry(&mut self, full: &str, (name, value): Entry<'_, '_>) {
        let Some(key) = keys::find(full) else {
            return self.report(name.span().start, || {
                if keys::is_table(full) {
                    format!("{full} is a table: write [{full}] on a line of its own")
                } else {
                    unknown_key(full)
                }
            });
        };
        let start = value.span().start;
        match convert(key, value.get_ref()) {
            Ok(value) => self.found.push(Found {
                key,
                value,
                place: self.lines.place(start),
            }),
            Err(error) => self.report(start, || format!("{}: {error}", key.name)),
        }
    }

    /// `text` is made only where it is kept: looking for what was meant by a
    /// wrong key takes its time.
    fn report(&mut self, position: usize, text: impl FnOnce() -> String) {
        if !self.broken.contains(&self.lines.number(position)) {
            self.problems.add_with(self.lines.place(position), text);
        }
    }
}

fn unknown_table(name: &str) -> String {
    let mut tables: Vec<_> = keys::all().map(|key| key.path().0).collect();
    tables.dedup();
    format!(
        "unknown table {}; there are {}",
        quoted(name),
        tables.join(" ").trim()
    )
}

/// A TOML value as a value of `key`.
fn convert(key: &Key, value: &DeValue<'_>) -> Result<Value, ValueError> {
    let value = match value {
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => return Err(key.refusal("a number that is far too large".to_owned())),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Number(number),
            Err(_) => return Err(key.refusal("an unreadable number".to_owned())),
        },
        DeValue::String(text) => Value::Text(Cow::Owned(text.to_string())),
        DeValue::Datetime(_) => return Err(key.refusal("a date".to_owned())),
        DeValue::Array(_) => return Err(key.refusal("a list".to_owned())),
        DeValue::Table(_) => return Err(key.refusal("a table".to_owned())),
    };
    key.check(value)
}

/// Turns byte positions into lines and columns.
struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self { path, text, starts }
    }

    /// Number of the line, from 1.
    fn number(&self, position: usize) -> usize {
        self.starts.partition_point(|start| *start <= position)
    }

    fn place(&self, position: usize) -> Place {
        let line = self.number(position);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let before = self
            .text
            .as_bytes()
            .get(start..position)
            .unwrap_or_default();
        // Every byte that does not continue a character begins one.
        let characters = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Place::Line {
            path: self.path.to_owned(),
            line,
            column: characters + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(place: &Place) -> usize {
        match place {
            Place::Line { line, .. } => *line,
            _ => 0,
        }
    }

    fn problems_of(text: &[u8]) -> Vec<String> {
        let file = FileText {
            path: PathBuf::from("c"),
            bytes: text.to_vec(),
        };
        let mut problems = ConfigError::default();
        let _ = parse(&file, &mut problems);
        problems
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn reads_values_of_all_types() {
        let text = "\u{feff}network_timeout = 6.5\r\npeer_evaluation_threads = 1_0\n\
                    rec_dur_analysis = true\noutput_path = 'o'\nretry.factor = 3\n\
                    [visit]\nbudget_seconds = 0x10\n";
        let file = FileText {
            path: PathBuf::from("c"),
            bytes: text.as_bytes().to_vec(),
        };
        let mut problems = ConfigError::default();
        let mut found = parse(&file, &mut problems);
        assert_eq!(problems.problems(), []);
        found.sort_by_key(|found| line_of(&found.place));
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.key.name, found.value.clone(), line_of(&found.place)))
            .collect();
        assert_eq!(
            found,
            [
                ("network_timeout", Value::Number(6.5), 1),
                ("peer_evaluation_threads", Value::Integer(10), 2),
                ("rec_dur_analysis", Value::Flag(true), 3),
                ("output_path", Value::Text("o".into()), 4),
                ("retry.factor", Value::Number(3.0), 5),
                ("visit.budget_seconds", Value::Number(16.0), 7),
            ]
        );
    }

    #[test]
    fn names_position_key_and_range() {
        for (text, expected) in [
            (
                "\n  network_timeout = -5",
                "c:2:21: network_timeout: expected seconds from 0.1 to 3600, found -5",
            ),
            (
                "network_timeout = '5m'",
                "c:1:19: network_timeout: expected seconds from 0.1 to 3600, found \"5m\"",
            ),
            (
                "network_timeout = nan",
                "c:1:19: network_timeout: expected seconds from 0.1 to 3600, found NaN",
            ),
            (
                "peer_evaluation_threads = 6.0",
                "c:1:27: peer_evaluation_threads: expected a whole number from 1 to 32768, found 6.0",
            ),
            (
                "peer_evaluation_threads = 99999999999999999999",
                "c:1:27: peer_evaluation_threads: expected a whole number from 1 to 32768, found a \
                 number that is far too large",
            ),
            (
                "rec_dur_analysis = 1",
                "c:1:20: rec_dur_analysis: expected true or false, found 1",
            ),
            (
                "output_path = ['a']",
                "c:1:15: output_path: expected a path, found a list",
            ),
            (
                "output_path = ''",
                "c:1:15: output_path: expected a path, found \"\"",
            ),
            (
                "log.level = 'loud'",
                "c:1:13: log.level: expected one of \"trace\" \"debug\" \"info\" \"warning\" \"error\", \
                 found \"loud\"",
            ),
            (
                "retry = 1",
                "c:1:1: retry is a table: write [retry] on a line of its own",
            ),
            (
                "[network_timeout]",
                "c:1:1: network_timeout: expected seconds from 0.1 to 3600, found a table",
            ),
            (
                "[retry.sub]\na = 1",
                "c:1:8: unknown key \"retry.sub\"; `btda config --default` lists all keys",
            ),
        ] {
            assert_eq!(problems_of(text.as_bytes()), [expected], "{text}");
        }
    }

    #[test]
    fn reports_everything_in_order() {
        let text = "retry.factr = 1\nbroken = = 3\nnetwork_timeout = 0\n[fish]\na = 1\n\
                    [log]\nlevel = 1\nlevel = 2\n";
        let lines: Vec<_> = problems_of(text.as_bytes())
            .iter()
            .map(|problem| problem.split(": ").next().unwrap_or_default().to_owned())
            .map(|place| place.split(':').nth(1).unwrap_or_default().to_owned())
            .collect();
        assert_eq!(lines, ["1", "2", "3", "4", "7", "8"]);
    }

    #[test]
    fn not_text() {
        assert_eq!(
            problems_of(b"# \xc3\xa4\na = \xff"),
            ["c:2:5: not UTF-8 text"]
        );
        assert_eq!(problems_of(b"").len(), 0);
    }

    #[test]
    fn deep_nesting_and_many_errors_do_no_harm() {
        let deep = format!("a = {}", "[".repeat(100_000));
        assert!(!problems_of(deep.as_bytes()).is_empty());
        let dotted = format!("{}a = 1", "a.".repeat(100_000));
        assert!(!problems_of(dotted.as_bytes()).is_empty());
        let many = "= \n".repeat(10_000);
        assert_eq!(problems_of(many.as_bytes()).len(), 50);
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = problems_of(&bytes);
        }

        #[test]
        fn random_toml_like_text_never_panics(
            text in "([a-z_.\"'\\[\\]{}= \\-0-9#\r\n,ä]|network_timeout|retry|factor|[0-9.]{1,6}|= ){0,60}"
        ) {
            let _ = problems_of(text.as_bytes());
        }
    }
}
