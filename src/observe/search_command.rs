//! `btda search`: what was resolved, on the terminal. Main thread.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::exit::Exit;
use crate::model::FileKind;
use crate::outside::one_line;
use crate::storage::StorageError;
use crate::storage::search::{Found, Hit, Query, SearchIndex};
use crate::terminal::{complain, print};

use super::block::Blocked;
use super::pipeline::Files;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTask {
    /// What is looked for.
    pub query: Query,
    /// The results as JSON.
    pub json: bool,
}

/// Runs the command: `Failed` when nothing was found or the index cannot be
/// read.
pub fn run(config: &Config, task: &SearchTask) -> Exit {
    let settings = config.observe();
    let blocked = settings.block_file.as_deref().map(Blocked::load);
    let blocked = match blocked.transpose() {
        Ok(blocked) => blocked.unwrap_or_default(),
        Err(error) => {
            complain(&error.to_string());
            return Exit::Configuration;
        }
    };
    let clock = SystemClock::new();
    let begun = clock.now();
    match search(&settings.folder.join(Files::INDEX), &task.query, &blocked) {
        Ok(found) => {
            let seconds = clock.now().duration_since(begun).as_secs_f64();
            let text = if task.json {
                format!("{:#}\n", as_json(&found, seconds))
            } else {
                as_text(&found, seconds)
            };
            match print(&text) {
                Exit::Success if found.hits.is_empty() => Exit::Failed,
                exit => exit,
            }
        }
        Err(error) => {
            complain(&error.to_string());
            Exit::Failed
        }
    }
}

/// The results without those that are blocked by now.
pub fn search(path: &Path, query: &Query, blocked: &Blocked) -> Result<Found, StorageError> {
    let mut found = SearchIndex::read(path)?.search(query)?;
    found
        .hits
        .retain(|hit| !blocked.blocks(&hit.info_hash, Some(&hit.name)));
    Ok(found)
}

/// The results in JSON; the keys of a result are those of the index of 2018.
pub fn as_json(found: &Found, seconds: f64) -> Value {
    let hits: Vec<Value> = found.hits.iter().map(hit_json).collect();
    json!({
        "seconds": seconds,
        "matches": found.matches,
        "more": found.more,
        "results": hits,
    })
}

fn hit_json(hit: &Hit) -> Value {
    let place = &hit.place;
    let location = place.latitude.zip(place.longitude);
    let kinds: Vec<&str> = kinds(hit).map(FileKind::as_str).collect();
    json!({
        "infohash": hit.info_hash.to_string().to_uppercase(),
        "name": hit.name,
        "score": (hit.score * 10.0).round() / 10.0,
        "files": hit.files,
        "size": hit.size,
        "timestamp": hit.at.to_string(),
        "kinds": kinds,
        "country_iso": place.country_iso,
        "country": place.country,
        "subdivision": place.subdivision,
        "city": place.city,
        "location": location.map(|(lat, lon)| json!({"lat": lat, "lon": lon})),
    })
}

/// The kinds of a torrent's files.
pub fn kinds(hit: &Hit) -> impl Iterator<Item = FileKind> {
    let all = FileKind::ALL.into_iter();
    all.filter(|kind| hit.kinds & kind.bit() != 0)
}

fn as_text(found: &Found, seconds: f64) -> String {
    let more = if found.more { "at least " } else { "" };
    let mut text = format!("{more}{} results in {seconds:.3} s\n", found.matches);
    for hit in &found.hits {
        let place = [&hit.place.city, &hit.place.country_iso];
        let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>4.0} %  {}  {}\n        {} in {} files, {}{}{}",
            hit.score,
            hit.info_hash.to_string().to_uppercase(),
            one_line(&hit.name),
            bytes(hit.size),
            hit.files,
            hit.at.to_string().get(..10).unwrap_or_default(),
            if place.is_empty() { "" } else { ", " },
            one_line(&place.join(", ")),
        );
    }
    text
}

/// `1.5 GB`, in powers of 1000.
pub fn bytes(size: u64) -> String {
    let mut value = size as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    let digits = usize::from(value < 10.0 && unit != "B");
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InfoHash, Timestamp};
    use crate::storage::geo::Place;

    fn found() -> Found {
        Found {
            hits: vec![Hit {
                info_hash: InfoHash::new([0xab; 20]),
                name: "a\u{1b}b".to_owned(),
                files: 2,
                size: 1_500_000_000,
                at: Timestamp(0),
                kinds: FileKind::Video.bit() | FileKind::Pdf.bit(),
                place: Place {
                    country_iso: Some("DE".to_owned()),
                    city: Some("Erlangen".to_owned()),
                    latitude: Some(49.5),
                    longitude: Some(11.0),
                    ..Place::default()
                },
                score: 66.666,
            }],
            matches: 7,
            more: true,
        }
    }

    #[test]
    fn results_are_shown_in_both_forms() {
        let text = as_text(&found(), 0.25);
        let expected = format!(
            "at least 7 results in 0.250 s\n  67 %  {}  a\\u{{1b}}b\n        \
             1.5 GB in 2 files, 1970-01-01, Erlangen, DE\n",
            "AB".repeat(20)
        );
        assert_eq!(text, expected);
        let json = as_json(&found(), 0.25);
        let hit = &json["results"][0];
        assert_eq!(hit["infohash"], "AB".repeat(20));
        assert_eq!(hit["score"], 66.7);
        assert_eq!(hit["kinds"], json!(["video", "pdf"]));
        assert_eq!(hit["location"], json!({"lat": 49.5, "lon": 11.0}));
        assert_eq!(hit["timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!((&json["matches"], &json["more"]), (&json!(7), &json!(true)));
    }

    #[test]
    fn sizes_are_readable() {
        let shown = [0, 999, 1000, 12_345, 2_000_000_000_000].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "12 kB", "2.0 TB"]);
    }
}
