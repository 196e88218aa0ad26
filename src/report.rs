//! `btda report`: tables and figures of a study from finished results.
//!
//! ```text
//! result files ──▶ storage::archive ──rows──▶ tally (counts) ──▶ items ──▶ figures ──▶ output
//! error, sets and timeout files ──▶ inputs ──────┘              (tables)     (SVG)
//! ```
//!
//! `statistics`, `tally`, `items` and `figures` are pure; `inputs` reads files, `output`
//! writes them, and the rows come from `storage::archive` alone. One thread.

mod figures;
pub mod inputs;
pub mod item;
mod items;
mod output;
pub mod statistics;
pub mod tally;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use figures::{Curve, curves, land, world_map};
pub use items::all as items;
pub use output::{Report, SCHEMA};

use crate::exit::Exit;
use crate::storage::StorageError;
use inputs::Study;
use tally::ThresholdError;

/// What the report is made of, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportOptions {
    /// Result files, ours or of 2015.
    pub databases: Vec<PathBuf>,
    /// Output folder; beside the first database if not given.
    pub output: Option<PathBuf>,
    /// Whether everything goes to standard output as JSON, and no file is
    /// written.
    pub json: bool,
    /// Thresholds, 0 to 1; the run's and those of the thesis if empty.
    pub thresholds: Vec<f64>,
    /// Sets file instead of those beside the databases.
    pub sets: Option<PathBuf>,
    /// Peer error files instead of those beside the databases.
    pub peer_errors: Vec<PathBuf>,
    /// Tracker error files instead of those beside the databases; their
    /// torrent numbers are those of the study.
    pub tracker_errors: Vec<PathBuf>,
    /// Timeout file instead of those beside the databases.
    pub timeouts: Option<PathBuf>,
    /// Number that torrent 1 of the first database has in the study.
    pub first_torrent: u32,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            databases: Vec::new(),
            output: None,
            json: false,
            thresholds: Vec::new(),
            sets: None,
            peer_errors: Vec::new(),
            tracker_errors: Vec::new(),
            timeouts: None,
            first_torrent: 1,
        }
    }
}

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    /// A result file cannot be read.
    Storage(StorageError),
    /// A file beside a database cannot be read or makes no sense.
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No database has a torrent.
    NoTorrents,
    /// A threshold above the run's.
    Threshold(ThresholdError),
    /// A figure cannot be drawn.
    Figure {
        /// Its file, or the short name of its item.
        name: String,
        /// What the library says.
        reason: String,
    },
    /// A file of the report cannot be written.
    Output {
        /// The file, or the folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Input { path, reason } => write!(
                f,
                "{}: {reason}; correct it, or leave it out",
                path.display()
            ),
            Self::NoTorrents => f.write_str(
                "no torrent is in the databases, so there is nothing to report: give the .sqlite file \
                 of a run that imported torrents",
            ),
            Self::Threshold(error) => error.fmt(f),
            Self::Figure { name, reason } => {
                write!(f, "the figure {name} cannot be drawn ({reason})")
            }
            Self::Output { path, source } => write!(
                f,
                "{} cannot be written ({source}): choose another folder by --output",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage(error) => Some(error),
            Self::Threshold(error) => Some(error),
            Self::Output { source, .. } => Some(source),
            Self::Input { .. } | Self::NoTorrents | Self::Figure { .. } => None,
        }
    }
}

impl From<StorageError> for ReportError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<ThresholdError> for ReportError {
    fn from(error: ThresholdError) -> Self {
        Self::Threshold(error)
    }
}

impl Report {
    /// Reads all that the options name.
    ///
    /// # Errors
    /// When something cannot be read or contradicts itself.
    pub fn read(options: &ReportOptions) -> Result<Self, ReportError> {
        let study = Study::read(options)?;
        let items = items::all(&study)?;
        Self::new(study, items)
    }
}

/// `btda report`: reads, writes, and says in short what came out.
pub fn run(options: &ReportOptions) -> Exit {
    let done = Report::read(options).and_then(|report| {
        if options.json {
            return report.print_json();
        }
        let folder = options.folder();
        report.write(&folder)?;
        report.print_summary(&folder)
    });
    match done {
        Ok(()) => Exit::Success,
        Err(error) => {
            output::complain(&error.to_string());
            match error {
                ReportError::Output { .. } => Exit::OutputNotWritable,
                ReportError::Threshold(_) => Exit::Usage,
                _ => Exit::Failed,
            }
        }
    }
}

impl ReportOptions {
    /// The output folder: `<stem>_report` beside the first database unless
    /// one is given.
    pub fn folder(&self) -> PathBuf {
        let beside = || {
            let first = self.databases.first().cloned().unwrap_or_default();
            let stem = first.file_stem().unwrap_or_default().to_string_lossy();
            first.with_file_name(format!("{stem}_report"))
        };
        self.output.clone().unwrap_or_else(beside)
    }
}
