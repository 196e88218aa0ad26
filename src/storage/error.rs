//! Why results cannot be written.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Ends a run before it starts; once it runs, the writer retries instead.
#[derive(Debug)]
pub enum StorageError {
    /// The output folder cannot be made or written to.
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database file exists already.
    Exists(PathBuf),
    /// SQLite refused to make or open the database.
    Database {
        /// The file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file system does not support the write-ahead log (network file
    /// systems, mostly).
    NoWal {
        /// The file.
        path: PathBuf,
        /// The journal mode that was set instead.
        mode: String,
    },
    /// A file beside the database cannot be written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody waits for what was to be read.
    GivenUp,
    /// The histogram could not be drawn.
    Chart {
        /// The file.
        path: PathBuf,
        /// What the drawing library says.
        reason: String,
    },
    /// A result file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A database without the tables of a result file.
    NotAResult {
        /// The file.
        path: PathBuf,
        /// A table that is absent.
        missing: &'static str,
    },
    /// A file that another program made, or another version of this one.
    OtherForm(PathBuf),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, source } => write!(
                f,
                "output folder {} cannot be written ({source}): correct output_path or its permissions",
                path.display()
            ),
            Self::GivenUp => f.write_str("a reading was given up before it began"),
            Self::Exists(path) => write!(
                f,
                "{} exists already and is not overwritten: start again, or choose another output_path",
                path.display()
            ),
            Self::Database { path, step, source } | Self::Unreadable { path, step, source }
                if source.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                    && (*step == "opening for reading"
                        || matches!(self, Self::Unreadable { .. })) =>
            {
                write!(
                    f,
                    "{} cannot be opened ({source}): is there such a file, and may it be read?",
                    path.display()
                )
            }
            Self::Database { path, step, source } => write!(
                f,
                "database {}: {step} failed ({source}): check free space, permissions and file system",
                path.display()
            ),
            Self::NoWal { path, mode } => write!(
                f,
                "database {}: no write-ahead log here (journal mode is {mode}): choose an output_path on a local file system",
                path.display()
            ),
            Self::File { path, source } => write!(
                f,
                "{} cannot be written ({source}): check free space and permissions",
                path.display()
            ),
            Self::Chart { path, reason } => {
                write!(f, "{} cannot be drawn ({reason})", path.display())
            }
            Self::Unreadable { path, step, source } => write!(
                f,
                "{}: {step} failed ({source}): is it the .sqlite file of a run, and complete?",
                path.display()
            ),
            Self::NotAResult { path, missing } => write!(
                f,
                "{} has no table {missing}: give the .sqlite file of a run",
                path.display()
            ),
            Self::OtherForm(path) => write!(
                f,
                "{} was made by another program, or by another version of btda: move it away, or name another folder",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } | Self::File { source, .. } => Some(source),
            Self::Database { source, .. } | Self::Unreadable { source, .. } => Some(source),
            Self::Exists(_)
            | Self::GivenUp
            | Self::NoWal { .. }
            | Self::Chart { .. }
            | Self::NotAResult { .. }
            | Self::OtherForm(_) => None,
        }
    }
}
