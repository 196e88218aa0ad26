//! `btda doctor`, `btda combine` and `btda export`: their options. Pure, as
//! all of `cli`.

use std::path::PathBuf;

use clap::Args;

use crate::results::combine::CombineOptions;
use crate::results::doctor::DoctorOptions;
use crate::storage::doctor::Case;

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
