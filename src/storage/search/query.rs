//! From what a person writes to what FTS5 and SQL understand. Pure.

use crate::model::{FileKind, Timestamp};

/// Words of a query that count.
const WORDS_MAX: usize = 32;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Words that names and paths must have, each; `word*` is the beginning
    /// of one, `-word` must be absent.
    pub words: String,
    /// Country of the first source, two letters in either case.
    pub country: Option<String>,
    /// Bytes at least.
    pub size_min: Option<u64>,
    /// Bytes at most.
    pub size_max: Option<u64>,
    /// Resolved then or later.
    pub since: Option<Timestamp>,
    /// Resolved before.
    pub until: Option<Timestamp>,
    /// With a file of this kind.
    pub kind: Option<FileKind>,
    /// Results at most.
    pub limit: usize,
    /// So many of the best are left out: those of earlier pages.
    pub offset: usize,
}

/// Results by default, as in 2018.
pub const LIMIT: usize = 50;

/// The expression of FTS5 for `words`; `None` when nothing is looked for.
/// Whatever is written, only words, prefixes and negations come out.
pub fn expression(words: &str) -> Option<String> {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for written in words.split_whitespace().take(WORDS_MAX) {
        let negative = written.starts_with('-');
        let prefix = written.ends_with('*');
        let parts: Vec<&str> = written
            .split(|c: char| !c.is_alphanumeric())
            .filter(|part| !part.is_empty())
            .collect();
        for (place, part) in parts.iter().enumerate() {
            let last = place + 1 == parts.len();
            let star = if prefix && last { "*" } else { "" };
            let term = format!("\"{part}\"{star}");
            if negative {
                unwanted.push(term);
            } else {
                wanted.push(term);
            }
        }
    }
    if wanted.is_empty() {
        return None;
    }
    let mut expression = wanted.join(" AND ");
    if !unwanted.is_empty() {
        expression = format!("({expression}) NOT ({})", unwanted.join(" OR "));
    }
    Some(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_come_out() {
        for (words, expected) in [
            ("", None),
            (" \"*() ", None),
            ("-a", None),
            ("Ubuntu", Some("\"Ubuntu\"")),
            ("a.b_c", Some("\"a\" AND \"b\" AND \"c\"")),
            ("ubu* x", Some("\"ubu\"* AND \"x\"")),
            ("a -b -c", Some("(\"a\") NOT (\"b\" OR \"c\")")),
            (
                "a\" OR NEAR(b)",
                Some("\"a\" AND \"OR\" AND \"NEAR\" AND \"b\""),
            ),
            ("日本 é", Some("\"日本\" AND \"é\"")),
        ] {
            assert_eq!(expression(words).as_deref(), expected, "{words}");
        }
        let many = "w ".repeat(1000);
        assert_eq!(
            expression(&many).unwrap().matches("AND").count(),
            WORDS_MAX - 1
        );
    }
}
