//! The configuration as text: the commented default file, the effective
//! values with their origins, and JSON for the manifest of a run.

use std::fmt::Write;

use super::key::{Key, Value};
use super::{Config, keys};

const INTRODUCTION: &str = "\
# Configuration of btda, the BitTorrent Download Analyzer.
#
# This file holds every key with its default; keys that are left out keep it.
# Flags and environment variables go before this file: network_timeout is
# BTDA_NETWORK_TIMEOUT, retry.factor is BTDA_RETRY_FACTOR. `btda config` checks
# the file and prints every value with its origin, `btda config --default`
# prints this text.
";

/// Widest column of values in [`Config::table`]; longer ones stick out.
const COLUMN_MAX: usize = 80;

/// The text of `config.toml`.
///
/// What the method sets is commented out, for a value that is written down
/// goes before the method.
pub fn default_file() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut table = "";
    for key in keys::all() {
        if key.path().0 != table {
            table = key.path().0;
            text.push_str("\n[");
            text.push_str(table);
            text.push_str("]\n");
        }
        text.push('\n');
        describe(key, &mut text);
    }
    text
}

fn describe(key: &Key, text: &mut String) {
    for line in key.doc {
        text.push('#');
        text.push_str(&line.replace('`', ""));
        text.push('\n');
    }
    let kind = key.kind.to_string();
    let _ = writeln!(text, "# Range: {kind}. Default: {}.", key.source);
    let by_method = keys::method_2015()
        .iter()
        .any(|(set, _)| set.name == key.name);
    let mark = if by_method {
        text.push_str("# Follows run.method unless written down.\n");
        "# "
    } else {
        ""
    };
    let _ = writeln!(text, "{mark}{} = {}", key.path().1, key.show(&key.default));
}

impl Config {
    /// Every effective value with its origin, one line each; valid TOML.
    pub fn table(&self) -> String {
        let file = self
            .file
            .as_ref()
            .map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        let lines: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                let value = entry.key.show(&entry.value);
                (
                    format!("{} = {value}", entry.key.name),
                    entry.origin.to_string(),
                )
            })
            .collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max();
        let width = width.unwrap_or(0).min(COLUMN_MAX);
        let mut text = format!("# configuration file: {}\n", file.escape_debug());
        for (line, origin) in lines {
            let _ = writeln!(text, "{line:width$}  # {}", origin.escape_debug());
        }
        text
    }

    /// Every effective value with its origin: an object of
    /// `{"value": …, "origin": "…"}` by key.
    pub fn to_json(&self) -> serde_json::Value {
        self.entries
            .iter()
            .map(|entry| {
                let value = match &entry.value {
                    Value::Flag(flag) => serde_json::json!(flag),
                    Value::Integer(number) => serde_json::json!(number),
                    Value::Number(number) => serde_json::json!(number),
                    Value::Text(text) => serde_json::json!(text),
                };
                let both =
                    serde_json::json!({ "value": value, "origin": entry.origin.to_string() });
                (entry.key.name.to_owned(), both)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
