//! The command line: what may be written, and what it asks for. Pure: reads
//! neither environment nor files; called once by `main`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

mod lab;
mod observe;
mod report;
mod results;
mod serve;

use lab::LabArguments;
use observe::{ObserveArguments, SearchArguments};
use report::ReportArguments;
use results::{CombineArguments, DoctorArguments, ExportArguments};
use serve::ServeArguments;

use crate::lab::trial::TrialOptions;
use crate::observe::command::ObserveTask;
use crate::observe::search_command::SearchTask;
use crate::report::ReportOptions;

use crate::results::combine::CombineOptions;
use crate::results::doctor::DoctorOptions;
use crate::results::export::ExportOptions;

use crate::config::{Key, Override, Switches, Value, ValueError, keys, unknown_key};

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Measure.
    Run {
        /// What only the command line says.
        switches: Switches,
        /// Where the configuration comes from.
        choice: ConfigChoice,
    },
    /// Check and print the configuration.
    Config(ConfigChoice),
    /// Print the commented default file.
    DefaultConfig,
    /// Try the analyzer on a practice swarm.
    Lab(Box<TrialOptions>),
    /// Make tables and figures of finished results.
    Report(Box<ReportOptions>),
    /// Examine a result file.
    Doctor(DoctorOptions),
    /// Put several runs into one database.
    Combine(CombineOptions),
    /// Write tables for other programs.
    Export(ExportOptions),
    /// Serve the page.
    Serve {
        /// The result file that is shown.
        database: Option<PathBuf>,
        /// Where the configuration comes from.
        choice: ConfigChoice,
    },
    /// Listen to the DHT, replay what was heard, or show a torrent file.
    Observe(ObserveTask, ConfigChoice),
    /// Search the torrents that were resolved.
    Search(Box<SearchTask>, ConfigChoice),
}

/// The command line's part of the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfigChoice {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Values, checked.
    pub overrides: Vec<Override>,
}

/// A flag that stands for a key, with its value where it was given.
type Named = (&'static str, &'static Key, Option<Value>);

impl ConfigChoice {
    /// What `named` flags and `set` say together.
    fn of(
        file: Option<PathBuf>,
        named: impl IntoIterator<Item = Named>,
        set: Vec<Override>,
    ) -> Result<Self, clap::Error> {
        let named = named.into_iter().filter_map(|(flag, key, value)| {
            let flag = flag.to_owned();
            value.map(|value| Override { key, value, flag })
        });
        let mut overrides: Vec<Override> = Vec::new();
        for new in named.chain(set) {
            if let Some(old) = overrides.iter().find(|old| old.key == new.key) {
                return Err(usage(
                    ErrorKind::ArgumentConflict,
                    &format!(
                        "{} is given twice: by {} and by {}",
                        new.key.name, old.flag, new.flag
                    ),
                ));
            }
            overrides.push(new);
        }
        Ok(Self { file, overrides })
    }
}

/// Reads the arguments, the program's name first. The error prints itself,
/// and knows its exit code: 2, but 0 for `--help` and `--version`.
pub fn parse<I, T>(arguments: I) -> Result<Request, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let Arguments { command, run } = Arguments::try_parse_from(arguments)?;
    match command {
        Some(Command::Config { default: true, .. }) => Ok(Request::DefaultConfig),
        Some(Command::Config { options, .. }) => Ok(Request::Config(options.choice()?)),
        Some(Command::Lab(lab)) => Ok(Request::Lab(Box::new(lab.options()?))),
        Some(Command::Report(report)) => Ok(Request::Report(Box::new(report.options()))),
        Some(Command::Doctor(doctor)) => Ok(Request::Doctor(doctor.options())),
        Some(Command::Combine(combine)) => Ok(Request::Combine(combine.options())),
        Some(Command::Export(export)) => Ok(Request::Export(export.options())),
        Some(Command::Serve(serve)) => serve.request(),
        Some(Command::Observe(observe)) => observe.request(),
        Some(Command::Search(search)) => search.request(),
        None => run.request(),
    }
}

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "btda",
    bin_name = "btda",
    version,
    about = ABOUT,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    max_term_width = 100,
    override_usage = "btda [OPTIONS] <-a|-p|-ap|-apd>\n       btda config [OPTIONS]\n       btda lab [OPTIONS]\n       btda report [OPTIONS] <RUN.sqlite>...\n       btda doctor [OPTIONS] <RUN.sqlite>\n       btda combine -o <COMBINED.sqlite> <RUN.sqlite>...\n       btda export [OPTIONS] <RUN.sqlite>\n       btda serve [OPTIONS] [RUN.sqlite]\n       btda observe [OPTIONS]\n       btda search [OPTIONS] <WORD>..."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

const ABOUT: &str = "\
BitTorrent Download Analyzer: counts confirmed downloads in BitTorrent swarms.

Visits the peers of your torrents again and again and reads how many pieces they
have. A peer that was below the threshold when first seen and at or above it
later is a confirmed download. No content is ever downloaded or uploaded.";

const AFTER_HELP: &str = "\
Durations: 90s, 5m, 34h, 2d, 1h30m; a plain number is seconds.
Precedence: flag, environment variable (BTDA_NETWORK_TIMEOUT), configuration file, default.
Exit codes: 0 success, 1 failed at run time, 2 wrong usage, 3 wrong configuration,
            4 nothing to import, 5 output not writable, 6 data lost or a thread died,
            7 a port is taken or not allowed, 130 forced by a second signal.";

/// One variant for each subcommand; without one, the program measures.
#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration and print every value with its origin
    Config {
        /// Print the commented default configuration file instead
        #[arg(long)]
        default: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Try the program on a practice swarm on this machine, whose truth is known
    Lab(LabArguments),
    /// Make the tables and figures of a study from finished results
    Report(ReportArguments),
    /// Examine the database of a run, and put right what can be
    Doctor(DoctorArguments),
    /// Put several runs into one database
    Combine(CombineArguments),
    /// Write tables as CSV, JSON or JSON Lines, or a database for the scripts of 2015
    Export(ExportArguments),
    /// Serve the page: track a swarm now, read what was tracked, look into a result file
    Serve(ServeArguments),
    /// Listen to the DHT: who asks for what, where
    Observe(ObserveArguments),
    /// Search the names and files of torrents that observe resolved
    Search(SearchArguments),
}

/// What to measure, and how.
#[derive(Debug, Args)]
struct RunArguments {
    /// Contact the peers that were collected
    #[arg(short, long)]
    active: bool,
    /// Listen for incoming peers and evaluate them
    #[arg(short, long)]
    passive: bool,
    /// Collect peers from the DHT too: from a pymdht node beside us, or our own
    #[arg(short, long)]
    dht: bool,
    /// Log to standard output, with debug messages, instead of to a file
    #[arg(short = 'g', long)]
    debug: bool,
    /// A torrent file to measure, beside those of the input folder; repeatable
    #[arg(long = "file", value_name = "TORRENT")]
    files: Vec<PathBuf>,
    /// A magnet link to measure, beside those of the magnet file; repeatable
    #[arg(long = "magnet", value_name = "LINK")]
    magnets: Vec<String>,
    #[command(flatten)]
    options: Options,
}

impl RunArguments {
    fn request(self) -> Result<Request, clap::Error> {
        if !self.active && !self.passive {
            return Err(usage(
                ErrorKind::MissingRequiredArgument,
                "nothing to do: give -a (contact peers), -p (listen for peers) or both",
            ));
        }
        let choice = self.options.choice()?;
        let switches = Switches {
            active: self.active,
            passive: self.passive,
            dht: self.dht,
            debug: self.debug,
            files: self.files,
            magnets: self.magnets,
        };
        Ok(Request::Run { switches, choice })
    }
}

/// Flags that stand for keys of the configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
#[expect(
    clippy::doc_markdown,
    reason = "these comments are printed as the help"
)]
struct Options {
    /// Configuration file [default: config.toml of the working directory, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that is searched for torrent files (input_path)
    #[arg(long, value_name = "DIR", value_parser = value_of(&keys::INPUT_PATH))]
    input: Option<Value>,
    /// Folder of the results (output_path)
    #[arg(long, value_name = "DIR", value_parser = value_of(&keys::OUTPUT_PATH))]
    output: Option<Value>,
    /// Longest wait for a peer or tracker (network_timeout)
    #[arg(long, value_name = "DURATION", value_parser = value_of(&keys::NETWORK_TIMEOUT))]
    timeout: Option<Value>,
    /// Worker threads that contact peers (peer_evaluation_threads)
    #[arg(long, value_name = "N", value_parser = value_of(&keys::PEER_EVALUATION_THREADS))]
    jobs: Option<Value>,
    /// Time before an unfinished peer is visited again (peer_revisit_delay)
    #[arg(long, value_name = "DURATION", value_parser = value_of(&keys::PEER_REVISIT_DELAY))]
    revisit_delay: Option<Value>,
    /// Port for incoming peers (bittorrent_listen_port)
    #[arg(long, value_name = "PORT", value_parser = value_of(&keys::BITTORRENT_LISTEN_PORT))]
    port: Option<Value>,
    /// Least important messages to log: trace, debug, info, warning, error (log.level)
    #[arg(long, value_name = "LEVEL", value_parser = value_of(&keys::LOG_LEVEL))]
    loglevel: Option<Value>,
    /// Stop by itself after this time (run.duration_seconds)
    #[arg(long, value_name = "DURATION", value_parser = value_of(&keys::DURATION_SECONDS))]
    duration: Option<Value>,
    /// Measure as the thesis did, or with its faults put right: 2015, corrected (run.method)
    #[arg(long, value_name = "METHOD", value_parser = value_of(&keys::METHOD))]
    method: Option<Value>,
    /// Serve a page on which the run can be watched, as --web 127.0.0.1:5000 (web.address)
    #[arg(long, value_name = "ADDRESS", value_parser = value_of(&keys::WEB_ADDRESS))]
    web: Option<Value>,
    /// Any other key, as --set retry.factor=1.5; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<Override>,
}

impl Options {
    fn choice(self) -> Result<ConfigChoice, clap::Error> {
        let named = [
            ("--input", &keys::INPUT_PATH, self.input),
            ("--output", &keys::OUTPUT_PATH, self.output),
            ("--timeout", &keys::NETWORK_TIMEOUT, self.timeout),
            ("--jobs", &keys::PEER_EVALUATION_THREADS, self.jobs),
            (
                "--revisit-delay",
                &keys::PEER_REVISIT_DELAY,
                self.revisit_delay,
            ),
            ("--port", &keys::BITTORRENT_LISTEN_PORT, self.port),
            ("--loglevel", &keys::LOG_LEVEL, self.loglevel),
            ("--duration", &keys::DURATION_SECONDS, self.duration),
            ("--method", &keys::METHOD, self.method),
            ("--web", &keys::WEB_ADDRESS, self.web),
        ];
        ConfigChoice::of(self.config, named, self.set)
    }
}

fn usage(kind: ErrorKind, message: &str) -> clap::Error {
    Arguments::command().error(kind, message)
}

/// A parser for the values of `key`.
fn value_of(
    key: &'static Key,
) -> impl Fn(&str) -> Result<Value, ValueError> + Clone + Send + Sync + 'static {
    move |text| key.parse(text)
}

fn assignment(text: &str) -> Result<Override, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected KEY=VALUE, as retry.factor=1.5".to_owned())?;
    let key = keys::find(name.trim()).ok_or_else(|| unknown_key(name.trim()))?;
    let value = key.parse(value.trim()).map_err(|error| error.to_string())?;
    let flag = format!("--set {}", key.name);
    Ok(Override { key, value, flag })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, clap::Error> {
        parse(std::iter::once("btda").chain(line.split_whitespace()))
    }

    fn refusal(line: &str) -> String {
        let error = parsed(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_of_2015() {
        for (line, active, passive, debug) in [
            ("-a", true, false, false),
            ("-p", false, true, false),
            ("-ap", true, true, false),
            ("-apg", true, true, true),
            ("--active --passive --debug", true, true, true),
        ] {
            let switches = Switches {
                active,
                passive,
                dht: false,
                debug,
                files: Vec::new(),
                magnets: Vec::new(),
            };
            let choice = ConfigChoice::default();
            assert_eq!(parsed(line).unwrap(), Request::Run { switches, choice });
        }
        let Ok(Request::Run { switches, .. }) = parsed("-apd") else {
            panic!("-apd is a run");
        };
        assert!(switches.active && switches.passive && switches.dht);
        assert!(refusal("-d").contains("nothing to do"));
        assert!(refusal("").contains("nothing to do"));
        assert!(refusal("-g").contains("nothing to do"));
    }

    #[test]
    fn long_options_become_overrides() {
        let line = "-a --config c --input i --output o --timeout 90s --jobs 5 --revisit-delay 1m \
                    --port 0 --loglevel INFO --duration 34h --method 2015 --file x --file y \
                    --set retry.factor=1.5 --set log.level=info";
        assert!(
            refusal(line)
                .contains("log.level is given twice: by --loglevel and by --set log.level")
        );
        let line = line.replace(" --set log.level=info", "");
        let Request::Run { switches, choice } = parsed(&line).unwrap() else {
            panic!("a run was asked for");
        };
        assert_eq!(switches.files, [PathBuf::from("x"), PathBuf::from("y")]);
        assert_eq!(choice.file, Some(PathBuf::from("c")));
        let shown: Vec<_> = choice
            .overrides
            .iter()
            .map(|over| {
                format!(
                    "{} {} {}",
                    over.flag,
                    over.key.name,
                    over.key.show(&over.value)
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "--input input_path \"i\"",
                "--output output_path \"o\"",
                "--timeout network_timeout 90",
                "--jobs peer_evaluation_threads 5",
                "--revisit-delay peer_revisit_delay 60",
                "--port bittorrent_listen_port 0",
                "--loglevel log.level \"info\"",
                "--duration run.duration_seconds 122400",
                "--method run.method \"2015\"",
                "--set retry.factor retry.factor 1.5",
            ]
        );
    }

    #[test]
    fn wrong_values_name_flag_and_range() {
        for (line, parts) in [
            ("-a --timeout 5x", ["--timeout", "seconds from 0.1 to 3600"]),
            ("-a --jobs 0", ["--jobs", "a whole number from 1 to 32768"]),
            ("-a --port 70000", ["--port", "from 0 to 65535"]),
            (
                "-a --method 2016",
                ["--method", "one of \"corrected\" \"2015\""],
            ),
            (
                "-a --set retry.factr=1",
                ["--set", "did you mean retry.factor?"],
            ),
            (
                "-a --set retry.factor=0",
                ["--set", "a number from 1 to 100"],
            ),
            ("-a --set retry.factor", ["--set", "expected KEY=VALUE"]),
            (
                "-a --set retry.factor=2 --set retry.factor=3",
                ["given twice", "retry.factor"],
            ),
            (
                "-a --timeout 1 --timeout 2",
                ["--timeout", "multiple times"],
            ),
            ("-a config", ["'config' cannot be used", "--active"]),
        ] {
            let message = refusal(line);
            for part in parts {
                assert!(message.contains(part), "{line}: {message}");
            }
        }
    }

    #[test]
    fn config_has_its_own_options() {
        assert_eq!(parsed("config --default").unwrap(), Request::DefaultConfig);
        assert_eq!(
            parsed("config").unwrap(),
            Request::Config(ConfigChoice::default())
        );
        let Request::Config(choice) = parsed("config --timeout 5 --config f").unwrap() else {
            panic!("the configuration was asked for");
        };
        assert_eq!(choice.overrides.len(), 1);
        assert_eq!(choice.file, Some(PathBuf::from("f")));
    }
}
