//! The common beginning of the names of a run's files (contract section 2).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};

use crate::model::Timestamp;

/// `<output>/<YYYY-mm-dd_HH-MM-SS>_<host>`: see [`Stem::claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stem {
    folder: PathBuf,
    name: String,
}

/// A name that is taken although no file has it yet. Ends when dropped: by
/// then a file must have the name, or it is free again.
#[derive(Debug)]
pub struct Claim(PathBuf);

impl Drop for Claim {
    fn drop(&mut self) {
        // If it stays, one name of one second is never used.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Stem {
    /// Takes the name of a run that starts at `start` on `host` in the folder
    /// `output`, which is made if need be; the name has local time. Where
    /// files have that name, or another process has just taken it, `-2`, `-3`
    /// … is appended to the host.
    pub fn claim(output: &Path, start: Timestamp, host: &str) -> io::Result<(Self, Claim)> {
        std::fs::create_dir_all(output)?;
        Self::first(output, &second(start), host, Self::try_claim)
    }

    /// The same for a folder of that name, which is made.
    pub fn claim_folder(output: &Path, start: Timestamp, host: &str) -> io::Result<PathBuf> {
        std::fs::create_dir_all(output)?;
        Self::first(output, &second(start), host, |stem| {
            let folder = stem.with_suffix("");
            Ok(is_new(std::fs::create_dir(&folder))?.then_some(folder))
        })
    }

    /// What `take` gives for the first name that it does not find taken.
    fn first<T>(
        output: &Path,
        time: &str,
        host: &str,
        take: impl Fn(Self) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let host = host.replace(['/', '\0'], "-");
        let host = if host.is_empty() { "unknown" } else { &host };
        for number in 1..=NAMES {
            let name = match number {
                1 => format!("{time}_{host}"),
                _ => format!("{time}_{host}-{number}"),
            };
            let folder = output.to_owned();
            if let Some(taken) = take(Self { folder, name })? {
                return Ok(taken);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("all {NAMES} names of {time} are taken; start again in a second"),
        ))
    }

    /// `None` when the name is taken.
    fn try_claim(self) -> io::Result<Option<(Self, Claim)>> {
        let path = self.with_suffix(CLAIMED);
        if self.is_taken() || !is_new(File::create_new(&path))? {
            return Ok(None);
        }
        let claim = Claim(path);
        // Its files may have come, and its claim gone, since the first look.
        Ok((!self.is_taken()).then_some((self, claim)))
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

/// The local time of `start`, to the second.
fn second(start: Timestamp) -> String {
    let time = DateTime::from_timestamp_millis(start.millis()).unwrap_or_default();
    let time = time.with_timezone(&Local).format("%Y-%m-%d_%H-%M-%S");
    time.to_string()
}

/// Whether something was made; `false` when the name was there.
fn is_new<T>(made: io::Result<T>) -> io::Result<bool> {
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs of one second on one host in one folder.
const NAMES: u32 = 10_000;

/// Ending of the file that takes a name until the run has files of its own.
const CLAIMED: &str = ".claimed";

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
    use std::collections::HashSet;

    use super::*;

    const TIME: &str = "2015-08-30_20-41-36";

    fn claim(folder: &Path, host: &str) -> (Stem, Claim) {
        Stem::first(folder, TIME, host, Stem::try_claim).unwrap()
    }

    #[test]
    fn next_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let (stem, _) = claim(folder.path(), "a/b\0c");
        assert_eq!(stem.name(), "2015-08-30_20-41-36_a-b-c");
        std::fs::write(stem.with_suffix(".log"), "").unwrap();
        let (second, _) = claim(folder.path(), "a/b\0c");
        assert_eq!(second.name(), "2015-08-30_20-41-36_a-b-c-2");
        std::fs::write(second.with_suffix("_run.json"), "").unwrap();
        let (third, _) = claim(folder.path(), "a/b\0c");
        assert_eq!(
            third.with_suffix(".sqlite"),
            folder.path().join("2015-08-30_20-41-36_a-b-c-3.sqlite")
        );
    }

    #[test]
    fn a_name_is_taken_before_there_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let (first, held) = claim(folder.path(), "h");
        let (second, also_held) = claim(folder.path(), "h");
        assert_ne!(first, second);
        drop((held, also_held));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(claim(folder.path(), "h").0, first);
    }

    #[test]
    fn all_who_start_in_one_second_have_names_of_their_own() {
        const PROCESSES: usize = 16;
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp(1_440_960_096_000);
        let together = std::sync::Barrier::new(PROCESSES);
        let start = || {
            together.wait();
            let (stem, claim) = Stem::claim(folder.path(), at, "h").unwrap();
            std::fs::write(stem.with_suffix(".log"), "").unwrap();
            drop(claim);
            let own = Stem::claim_folder(folder.path(), at, "lab").unwrap();
            (stem.with_suffix(".log"), own)
        };
        let names: HashSet<PathBuf> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(start)).collect();
            let ended = threads.into_iter().map(|thread| thread.join().unwrap());
            ended.flat_map(|(log, own)| [log, own]).collect()
        });
        assert_eq!(names.len(), 2 * PROCESSES);
        // Nothing but logs and folders is left.
        let left = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(left.count(), 2 * PROCESSES);
    }

    #[test]
    fn local_time_of_the_start() {
        let time = second(Timestamp(1_440_960_096_000));
        assert!(chrono::NaiveDateTime::parse_from_str(&time, "%Y-%m-%d_%H-%M-%S").is_ok());
    }

    #[test]
    fn warns_where_the_scripts_stumble() {
        let warnings = |folder: &str, host: &str| {
            let stem = Stem::first(Path::new(folder), TIME, host, |stem| Ok(Some(stem)));
            stem.unwrap().warnings().len()
        };
        assert_eq!(warnings("output", "host"), 0);
        assert_eq!(warnings("my_sqlite", "host"), 1);
        assert_eq!(warnings("output", "csv-txt"), 2);
        assert_eq!(warnings("sqlite", "host"), 0);
    }
}
