//! Why runs are not combined: what is in the way, and what to do.

use std::fmt;
use std::path::PathBuf;

use super::super::error::StorageError;

/// Nothing was written.
#[derive(Debug)]
pub enum CombineError {
    /// The scripts of 2015 need this ending.
    Ending(PathBuf),
    /// A file that would be written is there.
    Exists(PathBuf),
    /// Too few runs.
    TooFew,
    /// It is no database of a run.
    NoRun(PathBuf, String),
    /// A file cannot be read.
    File(PathBuf, std::io::Error),
    /// It was made by combining.
    Combined(PathBuf),
    /// The run goes on, or was killed and not closed.
    Running(PathBuf),
    /// Rows are in spool files.
    Spooled(PathBuf, u64),
    /// The two are the same file, or copies of the same run.
    SameRun(PathBuf, PathBuf),
    /// One is of 2015 and one is of ours.
    OtherProgram(PathBuf, PathBuf),
    /// They differ in what must be the same: what, and both values.
    Differ {
        /// The first run.
        one: PathBuf,
        /// The other.
        other: PathBuf,
        /// What differs.
        what: &'static str,
        /// Values of both.
        values: (String, String),
    },
    /// SQLite refuses.
    Storage(StorageError),
}

impl fmt::Display for CombineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew => f.write_str(
                "two runs at least are combined; for one run with the column vm use btda export --for r",
            ),
            Self::SameRun(one, other) => write!(
                f,
                "{} and {} are the same run, which would count twice: name each run once",
                one.display(),
                other.display()
            ),
            Self::OtherProgram(one, other) => write!(
                f,
                "{} is of the program of 2015 and {} of this one, which count differently: combine runs of one program",
                one.display(),
                other.display()
            ),
            Self::Differ { one, other, what, values } => write!(
                f,
                "{} and {} differ in {what} ({} and {}), so their numbers do not belong into one sum: combine runs that were measured alike",
                one.display(),
                other.display(),
                values.0,
                values.1
            ),
            Self::Storage(error) => error.fmt(f),
            Self::Ending(path)
            | Self::Exists(path)
            | Self::NoRun(path, _)
            | Self::File(path, _)
            | Self::Combined(path)
            | Self::Running(path)
            | Self::Spooled(path, _) => write!(f, "{} {}", path.display(), self.about_one()),
        }
    }
}

impl CombineError {
    /// What is wrong with one file, and what to do.
    fn about_one(&self) -> String {
        match self {
            Self::Ending(_) => {
                "has another ending than the scripts of 2015 need: choose a name that ends in .sqlite with -o".to_owned()
            }
            Self::Exists(_) => {
                "exists already and is not overwritten: remove it, or choose another name with -o".to_owned()
            }
            Self::NoRun(_, why) => format!("is no database of a run: {why}"),
            Self::File(_, error) => {
                format!("cannot be read ({error}): check its name and permissions")
            }
            Self::Combined(_) => {
                "was made by btda combine: name the databases of all single runs at once instead".to_owned()
            }
            Self::Running(_) => {
                "is of a run that has not ended; stop it first. If it was killed, close it with: btda doctor --repair".to_owned()
            }
            Self::Spooled(_, records) => format!(
                "lacks {records} records that are in spool files; store them first with: btda doctor --repair"
            ),
            _ => String::new(),
        }
    }
}

impl std::error::Error for CombineError {}

impl From<StorageError> for CombineError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
