//! Which runs belong together. Pure: judges what [`Source`] has read.

use std::collections::BTreeMap;

use super::Purpose;
use super::error::CombineError;
use super::source::Source;
use crate::storage::doctor::Kind;

/// Refuses runs that make no sense together.
pub(super) fn check(sources: &[Source], purpose: Purpose) -> Result<(), CombineError> {
    if purpose == Purpose::Combine && sources.len() < 2 {
        return Err(CombineError::TooFew);
    }
    for source in sources {
        check_one(source, purpose)?;
    }
    for (place, other) in sources.iter().enumerate() {
        for one in sources.iter().take(place) {
            check_two(one, other)?;
        }
    }
    Ok(())
}

fn check_one(source: &Source, purpose: Purpose) -> Result<(), CombineError> {
    let path = source.path.clone();
    if source.kind == Kind::Combined {
        return Err(CombineError::Combined(path));
    }
    if purpose == Purpose::SingleRun {
        return Ok(());
    }
    if source.facts.value("state") == Some("running") {
        return Err(CombineError::Running(path));
    }
    if source.spooled > 0 {
        return Err(CombineError::Spooled(path, source.spooled));
    }
    Ok(())
}

fn check_two(one: &Source, other: &Source) -> Result<(), CombineError> {
    let paths = || (one.path.clone(), other.path.clone());
    let same_mark = one.mark.is_some() && one.mark == other.mark;
    if one.identity == other.identity || same_mark {
        let (one, other) = paths();
        return Err(CombineError::SameRun(one, other));
    }
    if one.kind != other.kind {
        let first_is_old = one.kind == Kind::Thesis2015;
        let (one, other) = paths();
        return Err(if first_is_old {
            CombineError::OtherProgram(one, other)
        } else {
            CombineError::OtherProgram(other, one)
        });
    }
    let differ = |what, one_value: String, other_value: String| {
        let (one, other) = paths();
        let values = (one_value, other_value);
        Err(CombineError::Differ {
            one,
            other,
            what,
            values,
        })
    };
    if one.schema != other.schema {
        let (one, other) = (one.schema.to_string(), other.schema.to_string());
        return differ("the version of the schema", one, other);
    }
    for (what, key) in [
        ("the method", "run.method"),
        (THRESHOLD, "torrent_complete_threshold"),
    ] {
        let values = (one.facts.configured(key), other.facts.configured(key));
        if let (Some(one), Some(other)) = values
            && one != other
        {
            return differ(what, one, other);
        }
    }
    if one.threshold.and(other.threshold).is_impossible() {
        let of = |source: &Source| source.threshold.simplest().to_string();
        return differ(THRESHOLD, of(one), of(other));
    }
    Ok(())
}

const THRESHOLD: &str = "torrent_complete_threshold";

/// What somebody should know who uses runs that fit.
pub(super) fn notices(sources: &[Source]) -> Vec<String> {
    let mut notices = Vec::new();
    for source in sources.iter().filter(|it| it.is_killed()) {
        notices.push(format!(
            "{}: the run did not come to its end",
            source.name()
        ));
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        for (_, hash) in &source.info_hashes {
            *seen.entry(hash).or_default() += 1;
        }
    }
    let twice = seen.values().filter(|count| **count > 1).count();
    if twice > 0 {
        notices.push(format!(
            "{twice} torrents were measured by more than one run: each has a number for each run, and a peer that both runs saw has a row for each"
        ));
    }
    if let Some((first, others)) = sources.split_first() {
        for other in others {
            let keys = differing_keys(first, other);
            if !keys.is_empty() {
                notices.push(format!(
                    "{} and {} differ in {}",
                    first.name(),
                    other.name(),
                    keys.join(", ")
                ));
            }
        }
    }
    notices
}

/// Keys of the configuration whose values differ, but for those that only say
/// where something is.
fn differing_keys(one: &Source, other: &Source) -> Vec<String> {
    let configuration = |source: &Source| -> BTreeMap<String, serde_json::Value> {
        let text = source.facts.value("configuration").unwrap_or("{}");
        serde_json::from_str(text).unwrap_or_default()
    };
    let (one, other) = (configuration(one), configuration(other));
    let value = |of: &serde_json::Value| of.get("value").cloned().unwrap_or_else(|| of.clone());
    one.iter()
        .filter(|(key, _)| !PLACES.contains(&key.as_str()))
        .filter(|(key, of_one)| other.get(*key).is_some_and(|it| value(it) != value(of_one)))
        .map(|(key, _)| key.clone())
        .collect()
}

const PLACES: [&str; 6] = [
    "input_path",
    "output_path",
    "magnet_file",
    "storage.spool_folder",
    "storage.geolocation_database",
    "run.duration_seconds",
];
