//! Several runs in one database: the step of 2015 for any number of runs and
//! torrents, with everything else that a run of ours has. Main thread, behind
//! the runs; called by `btda combine` and, for one run, by `btda export --for
//! r`.
//!
//! The four tables are those of the contract's section 4: `statistic` has `vm`
//! (1, 2 … in the order of the runs) as its 12th column, and every id grows by
//! the highest one of the runs before. Own tables are copied by the same rule
//! along their references, so a table that is added to the schema is combined
//! without a word here.

mod copy;
mod error;
mod fit;
mod source;
mod tables;
mod target;

use std::path::{Path, PathBuf};

pub use error::CombineError;

use super::doctor::{Errors, beside, write_errors};
use super::error::StorageError;
use super::files;
use super::names::write_hosts;
use source::Source;
use target::Target;
pub(super) use target::uri;

/// What a combination is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Two or more runs that have ended.
    Combine,
    /// One run, also while it goes on, for scripts that want `vm`.
    SingleRun,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Combination {
    /// Tables with their rows, in order of their names.
    pub rows: Vec<(String, u64)>,
    /// The files, the database first.
    pub files: Vec<PathBuf>,
    /// What somebody who uses the data should know.
    pub notices: Vec<String>,
}

/// Combines `runs`, in this order, into `output`, and writes the sets, the
/// thresholds, both error files and, where peers have any, the host names
/// beside it. Either all of it is there afterwards or nothing; no file is
/// overwritten. Memory does not grow with the runs.
pub fn combine(
    runs: &[PathBuf],
    output: &Path,
    purpose: Purpose,
) -> Result<Combination, CombineError> {
    let mut outputs = outputs(output)?;
    let hosts = outputs.pop();
    let sources: Result<Vec<Source>, _> = runs.iter().map(|run| Source::read(run)).collect();
    let sources = sources?;
    fit::check(&sources, purpose)?;
    let mut notices = fit::notices(&sources);
    let unfinished = Unfinished(with_ending(output, ".tmp"));
    let target = Target::create(&unfinished.0)?;
    let mut errors = Errors::default();
    for (place, source) in sources.iter().enumerate() {
        let run = copy::Run {
            source,
            vm: i64::try_from(place).unwrap_or(i64::MAX).saturating_add(1),
        };
        run.copy_into(&target, &mut errors, &mut notices)?;
    }
    copy::store_errors(&target, &errors)?;
    copy::store_facts(&target, &sources)?;
    let rows = target.count_rows()?;
    let sets = tables::Sets::read(&target)?;
    let thresholds = tables::thresholds(&sources);
    let confirmed = sets.confirmed(&target, &thresholds)?;
    target.close()?;
    let written = write_beside(&outputs, &errors, &sets.text(), &confirmed)
        .and_then(|()| move_into_place(&unfinished.0, output))
        .and_then(|()| write_hosts(output));
    match written {
        Ok(made) => outputs.extend(made),
        Err(error) => {
            // Half a result is none; what cannot be removed changes nothing.
            for file in outputs.iter().chain(&hosts) {
                let _ = std::fs::remove_file(file);
            }
            return Err(error.into());
        }
    }
    Ok(Combination {
        rows,
        files: outputs,
        notices,
    })
}

/// The files that will be made, the database first; the last one, with host
/// names, only if there are any.
fn outputs(database: &Path) -> Result<Vec<PathBuf>, CombineError> {
    if database.extension().is_none_or(|ending| ending != "sqlite") {
        return Err(CombineError::Ending(database.to_owned()));
    }
    let files = vec![
        database.to_owned(),
        with_ending(database, ".csv"),
        beside(database, "_threshold.csv"),
        beside(database, "_peer-error.txt"),
        beside(database, "_tracker-error.txt"),
        beside(database, "_hosts.sqlite"),
    ];
    match files.iter().find(|file| file.symlink_metadata().is_ok()) {
        Some(taken) => Err(CombineError::Exists(taken.clone())),
        None => Ok(files),
    }
}

fn write_beside(
    outputs: &[PathBuf],
    errors: &Errors,
    sets: &str,
    confirmed: &str,
) -> Result<(), StorageError> {
    for (file, text) in outputs.iter().skip(1).zip([sets, confirmed]) {
        files::replace(file, text.as_bytes())?;
    }
    let database = outputs.first().map_or(Path::new(""), |it| it.as_path());
    write_errors(database, errors)
}

fn move_into_place(from: &Path, to: &Path) -> Result<(), StorageError> {
    let moved = std::fs::File::open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(from, to));
    moved.map_err(|source| StorageError::File {
        path: to.to_owned(),
        source,
    })
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A file that disappears unless it got another name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is not there when all went well.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[path = "combine/tests.rs"]
mod tests;
