//! Torrent files: `Metainfo::parse` and what is made of it.

use btda::model::InfoHash;
use btda::protocol::bencode::{MAX_DEPTH, Value};
use btda::torrent::metainfo::{Metainfo, MetainfoError, PIECE_LENGTH_MAX};
use btda::tracker::url::TrackerUrl;

use super::input::is_harmless;

/// Reads `data` as a torrent file.
pub fn check(data: &[u8]) {
    same_span_as_a_naive_reader(data);
    let parsed = Metainfo::parse(data);
    assert_eq!(parsed, Metainfo::parse(data), "not the same twice");
    match parsed {
        Ok(metainfo) => is_usable(&metainfo, data),
        Err(error) => {
            assert!(is_harmless(&error.to_string()), "{error}");
            if let MetainfoError::Malformed(malformed) = error {
                assert!(malformed.offset <= data.len());
            }
        }
    }
}

fn is_usable(metainfo: &Metainfo, data: &[u8]) {
    let info = naive_info(data).expect("a file without info was read");
    assert_eq!(metainfo.info_hash, InfoHash::of(info), "another info hash");
    assert!(metainfo.pieces.0 >= 1 && metainfo.pieces.0 as usize <= data.len() / 20);
    assert!((1..=PIECE_LENGTH_MAX).contains(&metainfo.piece_length));
    if let Some(name) = &metainfo.display_name {
        assert!(is_harmless(name) && !name.is_empty() && name.chars().count() <= 255);
    }
    assert!(metainfo.notes.len() <= 20, "{} notes", metainfo.notes.len());
    for note in &metainfo.notes {
        assert!(is_harmless(note) && note.len() <= 2_000, "{note:?}");
    }
    assert!(metainfo.trackers.len() <= 200);
    for (index, url) in metainfo.trackers.iter().enumerate() {
        assert!(
            !metainfo.trackers[..index].contains(url),
            "one tracker twice"
        );
        assert!(is_harmless(url) && !url.contains(' ') && url.len() <= 2_048);
        check_url(url);
    }
}

/// What a log line shows of a tracker is its origin and nothing that the
/// path, the query or the user name may hold.
fn check_url(text: &str) {
    let Ok(url) = TrackerUrl::parse(text, 80) else {
        return;
    };
    let shown = url.to_string();
    assert!(is_harmless(&shown), "{shown:?}");
    let behind_scheme = shown.split_once("://").expect("no scheme").1;
    assert!(!behind_scheme.contains(['/', '?', '@', '#']), "{shown:?}");
    if let Some(key) = url.scrape_key() {
        assert!(is_harmless(&key));
    }
}

/// `Value` finds the same end of the first value as [`naive_end`], or both
/// find none.
fn same_span_as_a_naive_reader(data: &[u8]) {
    let naive = naive_end(data, 0, 0);
    let ours = Value::parse_prefix(data).ok();
    assert_eq!(ours.map(|(value, _)| value.raw().len()), naive);
}

/// The bytes of the first dictionary under `info`.
fn naive_info(data: &[u8]) -> Option<&[u8]> {
    let mut at = 1;
    while data.get(at) != Some(&b'e') {
        let key_end = naive_end(data, at, 1)?;
        let value_end = naive_end(data, key_end, 1)?;
        let colon = data[at..key_end].iter().position(|byte| *byte == b':')?;
        if &data[at + colon + 1..key_end] == b"info" {
            return Some(&data[key_end..value_end]);
        }
        at = value_end;
    }
    None
}

/// End of the bencoded value that begins at `at`, by plain recursion.
pub(super) fn naive_end(data: &[u8], at: usize, depth: u32) -> Option<usize> {
    match *data.get(at)? {
        b'i' => naive_integer(data, at),
        b'0'..=b'9' => naive_string(data, at),
        kind @ (b'l' | b'd') if depth < MAX_DEPTH => {
            let mut at = at + 1;
            while *data.get(at)? != b'e' {
                if kind == b'd' {
                    at = naive_string(data, at)?;
                }
                at = naive_end(data, at, depth + 1)?;
            }
            Some(at + 1)
        }
        _ => None,
    }
}

fn naive_integer(data: &[u8], at: usize) -> Option<usize> {
    let length = data[at..].iter().position(|byte| *byte == b'e')?;
    let text = &data[at + 1..at + length];
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    (number && length <= 40).then_some(at + length + 1)
}

fn naive_string(data: &[u8], at: usize) -> Option<usize> {
    let colon = data[at..].iter().position(|byte| *byte == b':')?;
    let digits = &data[at..at + colon];
    if digits.is_empty() || colon >= 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let end = (at + colon + 1).checked_add(length)?;
    (end <= data.len()).then_some(end)
}
