//! `btda combine`: several runs in one database.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::exit::Exit;
use crate::storage::StorageError;
use crate::storage::combine::{Combination, CombineError, Purpose, combine};
use crate::terminal::{complain, print};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CombineOptions {
    /// The databases, in the order of `vm`.
    pub runs: Vec<PathBuf>,
    /// The database to make.
    pub output: PathBuf,
}

/// Runs the command and says what was made.
pub fn run(options: &CombineOptions) -> Exit {
    match combine(&options.runs, &options.output, Purpose::Combine) {
        Ok(made) => told(&made),
        Err(error) => refused(&error),
    }
}

/// Rows, files and notices, on standard output and standard error.
pub(super) fn told(made: &Combination) -> Exit {
    for notice in &made.notices {
        complain(notice);
    }
    let mut text = String::new();
    for (table, rows) in made.rows.iter().filter(|(_, rows)| *rows > 0) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{rows:10} rows in {table}");
    }
    for file in &made.files {
        let _ = writeln!(text, "{}", file.display());
    }
    print(&text)
}

/// Says why, and gives the exit code: 2 for a wrong name or number of files,
/// 5 when nothing can be written, else 1.
pub(super) fn refused(error: &CombineError) -> Exit {
    complain(&error.to_string());
    match error {
        CombineError::Ending(_) | CombineError::TooFew => Exit::Usage,
        CombineError::Exists(_) | CombineError::Storage(StorageError::File { .. }) => {
            Exit::OutputNotWritable
        }
        _ => Exit::Failed,
    }
}
