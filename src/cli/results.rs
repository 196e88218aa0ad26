//! `btda doctor`, `btda combine` and `btda export`: their options. Pure, as
//! all of `cli`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::results::combine::CombineOptions;
use crate::results::doctor::DoctorOptions;
use crate::results::export::{ExportOptions, What};
use crate::storage::doctor::Case;
use crate::storage::export::Format;

/// Options of `btda doctor`.
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(super) struct DoctorArguments {
    /// The database of a run, of btda or of 2015
    #[arg(value_name = "RUN.sqlite")]
    database: PathBuf,
    /// Put right what can be; without it nothing is changed
    #[arg(long)]
    repair: bool,
    /// A log with lost statements [default: the one beside the database]; repeatable
    #[arg(long = "log", value_name = "FILE")]
    logs: Vec<PathBuf>,
    /// A spool file, beside those of the same name and those of the manifest; repeatable
    #[arg(long = "spool", value_name = "FILE")]
    spools: Vec<PathBuf>,
    /// The diagnosis as JSON
    #[arg(long)]
    json: bool,
}

const DOCTOR_HELP: &str = "\
Exit codes: 0 nothing is wrong (any more), 1 something is wrong or cannot be examined,
            2 wrong usage, 5 a repair could not be written.";

impl DoctorArguments {
    pub(super) fn options(self) -> DoctorOptions {
        DoctorOptions {
            case: Case {
                database: self.database,
                logs: self.logs,
                spools: self.spools,
            },
            repair: self.repair,
            json: self.json,
        }
    }
}

/// Options of `btda combine`.
#[derive(Debug, Args)]
#[command(after_help = COMBINE_HELP)]
pub(super) struct CombineArguments {
    /// The databases of two or more runs that have ended, in the order of vm = 1, 2 ...
    #[arg(value_name = "RUN.sqlite", required = true)]
    runs: Vec<PathBuf>,
    /// The database to make; sets, thresholds and error files are written beside it
    #[arg(short, long, value_name = "COMBINED.sqlite")]
    output: PathBuf,
}

const COMBINE_HELP: &str = "\
Exit codes: 0 success, 1 the runs do not belong together or cannot be read, 2 wrong usage,
            5 the output cannot be written or is there already.";

impl CombineArguments {
    pub(super) fn options(self) -> CombineOptions {
        CombineOptions {
            runs: self.runs,
            output: self.output,
        }
    }
}

/// Options of `btda export`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_HELP)]
pub(super) struct ExportArguments {
    /// The database of a run, of btda or of 2015, also while the run goes on
    #[arg(value_name = "RUN.sqlite")]
    database: PathBuf,
    /// A table; repeatable [default: all]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// How tables are written
    #[arg(long, value_enum, default_value_t = Form::Csv)]
    format: Form,
    /// A file, or a folder for several tables [default: standard output]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The meaning of every table and column instead, as JSON
    #[arg(long, conflicts_with_all = ["tables", "for_whom"])]
    dictionary: bool,
    /// A database for the scripts of 2015 instead, with vm, sets and thresholds [default: <RUN>_r.sqlite]
    #[arg(
        long = "for",
        value_enum,
        value_name = "WHOM",
        conflicts_with = "tables"
    )]
    for_whom: Option<Whom>,
}

const EXPORT_HELP: &str = "\
In CSV, NULL is nothing and an empty text is \"\"; blobs are hexadecimal digits.
Exit codes: 0 success, 1 the database cannot be read, 2 wrong usage, 5 the output cannot be written.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Csv,
    Json,
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Whom {
    R,
}

impl ExportArguments {
    pub(super) fn options(self) -> ExportOptions {
        ExportOptions {
            database: self.database,
            what: match (self.for_whom, self.dictionary) {
                (Some(Whom::R), _) => What::ForR,
                (None, true) => What::Dictionary,
                (None, false) => What::Tables(self.tables),
            },
            format: match self.format {
                Form::Csv => Format::Csv,
                Form::Json => Format::Json,
                Form::Jsonl => Format::JsonLines,
            },
            output: self.output,
        }
    }
}
