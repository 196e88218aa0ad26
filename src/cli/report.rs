//! `btda report`: its options. Pure, as all of `cli`.

use std::path::PathBuf;

use clap::Args;

use crate::report::ReportOptions;

/// Options of `btda report`.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// Result files, of btda or of the program of 2015
    #[arg(required = true, value_name = "RUN.sqlite")]
    databases: Vec<PathBuf>,
    /// Folder of the report [default: <stem>_report beside the first file]
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Everything as JSON on standard output; no file is written
    #[arg(long)]
    json: bool,
    /// Share of pieces from which a download counts, up to the run's; repeatable, the greatest is the main one
    #[arg(long = "threshold", value_name = "SHARE", value_parser = threshold)]
    thresholds: Vec<f64>,
    /// Sets file, torrent,set [default: RUN.sqlite.csv, or else sets by size]
    #[arg(long, value_name = "FILE")]
    sets: Option<PathBuf>,
    /// Peer error file [default: <stem>_peer-error.txt, or else the database]; repeatable, counts add up
    #[arg(long = "peer-errors", value_name = "FILE")]
    peer_errors: Vec<PathBuf>,
    /// Tracker error file [default: <stem>_tracker-error.txt, or else the database]; repeatable
    #[arg(long = "tracker-errors", value_name = "FILE")]
    tracker_errors: Vec<PathBuf>,
    /// Timeout file of a calibration run [default: <stem>_timeout.txt, or else the database]
    #[arg(long = "timeouts", value_name = "FILE")]
    timeouts: Option<PathBuf>,
    /// Number of the first torrent; of further files they go on from there
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    first_torrent: u32,
}

impl ReportArguments {
    pub(super) fn options(self) -> ReportOptions {
        ReportOptions {
            databases: self.databases,
            output: self.output,
            json: self.json,
            thresholds: self.thresholds,
            sets: self.sets,
            peer_errors: self.peer_errors,
            tracker_errors: self.tracker_errors,
            timeouts: self.timeouts,
            first_torrent: self.first_torrent,
        }
    }
}

fn threshold(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "expected a share above 0 and up to 1, as 0.75".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Request, parse};
    use super::*;

    fn parsed(line: &str) -> Result<ReportOptions, clap::Error> {
        match parse(format!("btda report {line}").split_whitespace())? {
            Request::Report(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn little_and_much() {
        let options = parsed("a.sqlite b.sqlite").unwrap();
        let wanted = ReportOptions {
            databases: vec!["a.sqlite".into(), "b.sqlite".into()],
            ..ReportOptions::default()
        };
        assert_eq!(options, wanted);
        assert_eq!(options.folder(), PathBuf::from("a_report"));
        let line = "x/a.sqlite --output o --threshold 0.5 --threshold 0.25 --sets s \
                    --peer-errors p --peer-errors q --tracker-errors t --timeouts w --first-torrent 11";
        let wanted = ReportOptions {
            databases: vec!["x/a.sqlite".into()],
            output: Some("o".into()),
            json: false,
            thresholds: vec![0.5, 0.25],
            sets: Some("s".into()),
            peer_errors: vec!["p".into(), "q".into()],
            tracker_errors: vec!["t".into()],
            timeouts: Some("w".into()),
            first_torrent: 11,
        };
        assert_eq!(parsed(line).unwrap(), wanted);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, part) in [
            ("", "RUN.sqlite"),
            ("a --threshold 0", "above 0 and up to 1"),
            ("a --threshold 98", "above 0 and up to 1"),
            ("a --json --output o", "cannot be used with"),
            ("a --first-torrent 0", "1..=1000000"),
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(part), "{line}: {error}");
        }
    }
}
