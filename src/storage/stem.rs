//! The common beginning of the names of a run's files (contract section 2).

use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};

use crate::model::Timestamp;

/// `<output>/<YYYY-mm-dd_HH-MM-SS>_<host>`, free when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stem {
    folder: PathBuf,
    name: String,
}

impl Stem {
    /// The stem of a run that starts at `start` on `host`; the name has local
    /// time. Where files of that name exist, `-2`, `-3` … is appended to the
    /// host.
    pub fn new(output: &Path, start: Timestamp, host: &str) -> Self {
        let time = DateTime::from_timestamp_millis(start.millis()).unwrap_or_default();
        let time = time.with_timezone(&Local).format("%Y-%m-%d_%H-%M-%S");
        Self::free(output, &time.to_string(), host)
    }

    fn free(output: &Path, time: &str, host: &str) -> Self {
        let host = host.replace(['/', '\0'], "-");
        let host = if host.is_empty() { "unknown" } else { &host };
        let stem = |name| Self {
            folder: output.to_owned(),
            name,
        };
        let first = stem(format!("{time}_{host}"));
        if !first.is_taken() {
            return first;
        }
        let others = (2_u32..).map(|number| stem(format!("{time}_{host}-{number}")));
        others
            .into_iter()
            .find(|other| !other.is_taken())
            .unwrap_or(first)
    }

    /// The path of the run's file that ends in `suffix`, such as `.sqlite`.
    pub fn with_suffix(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}", self.name))
    }

    /// The folder of the run's files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name without the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with the path for the 2015 R scripts, for the log. They
    /// replace the first match of "any character, then `sqlite`" (or `txt`,
    /// `csv`) to name their plots, which must therefore be the ending.
    pub fn warnings(&self) -> Vec<String> {
        let path = self.folder.join(&self.name);
        let path = path.to_string_lossy();
        ["sqlite", "txt", "csv"]
            .iter()
            .filter(|word| {
                let mut found = path.match_indices(*word);
                found.any(|(at, _)| at > 0)
            })
            .map(|word| {
                format!(
                    "the 2015 scripts cannot name their plots, because the output path or host name contains '{word}': rename the folder, or copy the files elsewhere before using the scripts stem={}",
                    super::text::clean(&path, super::text::URL_LIMIT)
                )
            })
            .collect()
    }

    fn is_taken(&self) -> bool {
        SUFFIXES
            .iter()
            .any(|suffix| self.with_suffix(suffix).symlink_metadata().is_ok())
    }
}

/// Endings of the files of a run.
const SUFFIXES: [&str; 10] = [
    ".sqlite",
    ".sqlite-wal",
    ".sqlite-journal",
    ".log",
    "_peer-error.txt",
    "_tracker-error.txt",
    "_run.json",
    "_spool.jsonl",
    "_timeout.txt",
    "_timeout.svg",
];

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2015-08-30_20-41-36";

    #[test]
    fn next_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let stem = Stem::free(folder.path(), TIME, "a/b\0c");
        assert_eq!(stem.name(), "2015-08-30_20-41-36_a-b-c");
        std::fs::write(stem.with_suffix(".log"), "").unwrap();
        let second = Stem::free(folder.path(), TIME, "a/b\0c");
        assert_eq!(second.name(), "2015-08-30_20-41-36_a-b-c-2");
        std::fs::write(second.with_suffix("_run.json"), "").unwrap();
        let third = Stem::free(folder.path(), TIME, "a/b\0c");
        assert_eq!(
            third.with_suffix(".sqlite"),
            folder.path().join("2015-08-30_20-41-36_a-b-c-3.sqlite")
        );
    }

    #[test]
    fn local_time_of_the_start() {
        let stem = Stem::new(Path::new("out"), Timestamp(1_440_960_096_000), "h");
        let time = stem.name().strip_suffix("_h").unwrap();
        assert!(chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d_%H-%M-%S").is_ok());
    }

    #[test]
    fn warns_where_the_scripts_stumble() {
        let warnings =
            |folder: &str, host: &str| Stem::free(Path::new(folder), TIME, host).warnings().len();
        assert_eq!(warnings("output", "host"), 0);
        assert_eq!(warnings("my_sqlite", "host"), 1);
        assert_eq!(warnings("output", "csv-txt"), 2);
        assert_eq!(warnings("sqlite", "host"), 0);
    }
}
