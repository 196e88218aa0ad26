//! The run's manifest as a JSON file. Pure but for the caller's writing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::text;
use crate::model::TorrentId;
use crate::model::record::InputFile;

/// Facts by key, as in table `run`.
pub(super) type Facts = BTreeMap<&'static str, String>;

/// The content of `<stem>_run.json`: one object with every fact as text, the
/// facts `configuration` and `spool_files` as what they are, and the list
/// `input`.
pub(super) fn manifest_json(facts: &Facts, inputs: &[InputFile]) -> String {
    let facts = facts.iter().map(|(&key, value)| (key, &**value));
    let inputs = inputs.iter().map(|input| {
        json!({
            "path": text::clean(&input.path.to_string_lossy(), text::URL_LIMIT),
            "sha1": input.sha1.map(|sha1| sha1.to_string()),
            "torrent": input.torrent.map(TorrentId::number),
            "note": input.note,
        })
    });
    json(facts, inputs.collect())
}

/// The same from facts and files that are JSON already.
pub(super) fn json<'a>(
    facts: impl Iterator<Item = (&'a str, &'a str)>,
    inputs: Vec<Value>,
) -> String {
    let mut object: Map<String, Value> = facts
        .map(|(key, value)| (key.to_owned(), fact(key, value)))
        .collect();
    object.insert("input".to_owned(), Value::Array(inputs));
    let mut json = format!("{:#}", Value::Object(object));
    json.push('\n');
    json
}

fn fact(key: &str, value: &str) -> Value {
    let parsed =
        matches!(key, "configuration" | "spool_files").then(|| serde_json::from_str(value).ok());
    parsed.flatten().unwrap_or_else(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_not_quoted_twice() {
        let facts = Facts::from([
            ("configuration", r#"{"workers": 4}"#.to_owned()),
            ("host", "3".to_owned()),
        ]);
        let input = InputFile {
            path: "a.torrent".into(),
            sha1: None,
            torrent: None,
            note: Some("no \"torrent\"".to_owned()),
        };
        let json: Value = serde_json::from_str(&manifest_json(&facts, &[input])).unwrap();
        assert_eq!(json["configuration"]["workers"], 4);
        assert_eq!(json["host"], "3");
        assert_eq!(json["input"][0]["note"], "no \"torrent\"");
        assert_eq!(json["input"][0]["sha1"], Value::Null);
    }
}
