//! Old slices go: by age, and when they take too much of the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDateTime;

use super::{PART, PREFIX};
use crate::model::Timestamp;

/// What was found and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Bytes of slices that are left.
    pub bytes: u64,
    /// Slices that were removed.
    pub removed: u64,
}

/// Removes the slices below `folder` that are older than `keep`, and then the
/// oldest until the others have `bytes_max` together. Nothing else there is
/// touched, nor a slice that is being written.
pub fn prune(folder: &Path, now: Timestamp, keep: Duration, bytes_max: u64) -> Pruned {
    let mut slices = slices(folder);
    slices.sort();
    let mut pruned = Pruned {
        bytes: slices.iter().map(|slice| slice.bytes).sum(),
        removed: 0,
    };
    let oldest = now.minus(keep);
    for slice in slices {
        if slice.at >= oldest && pruned.bytes <= bytes_max {
            break;
        }
        // One that cannot be removed is tried again at the next turn.
        if fs::remove_file(&slice.path).is_ok() {
            pruned.bytes -= slice.bytes;
            pruned.removed += 1;
            remove_empty(folder, &slice.path);
        }
    }
    pruned
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slice {
    at: Timestamp,
    path: PathBuf,
    bytes: u64,
}

fn slices(folder: &Path) -> Vec<Slice> {
    let entries = walkdir::WalkDir::new(folder).max_depth(5).into_iter();
    let found = entries.filter_map(|entry| {
        let entry = entry.ok().filter(|entry| entry.file_type().is_file())?;
        Some(Slice {
            at: time_of(entry.file_name().to_str()?)?,
            bytes: entry.metadata().ok()?.len(),
            path: entry.into_path(),
        })
    });
    found.collect()
}

/// When a slice of that name began; `None` for other files.
fn time_of(name: &str) -> Option<Timestamp> {
    let rest = name.strip_prefix(PREFIX)?;
    if name.ends_with(PART) {
        return None;
    }
    let time = NaiveDateTime::parse_from_str(rest.get(..19)?, "%Y-%m-%d-%H-%M-%S").ok()?;
    Some(Timestamp(time.and_utc().timestamp_millis()))
}

/// The folders of hour, day, month and year, as far as they are empty.
fn remove_empty(folder: &Path, slice: &Path) {
    for parent in slice.ancestors().skip(1).take_while(|at| *at != folder) {
        // A folder with something in it stays.
        if fs::remove_dir(parent).is_err() {
            return;
        }
    }
}
