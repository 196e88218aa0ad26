//! `btda observe` and `btda search`: their options. Pure, as all of `cli`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigChoice, Request, assignment, value_of};
use crate::config::{Override, Value, keys};
use crate::model::{FileKind, Timestamp};
use crate::observe::command::ObserveTask;
use crate::observe::search_command::SearchTask;
use crate::observe::terms::{country, day, size};
use crate::storage::search::{LIMIT, Query};

/// Options of `btda observe`.
#[derive(Debug, Args)]
#[command(after_help = OBSERVE_HELP)]
#[expect(
    clippy::doc_markdown,
    reason = "these comments are printed as the help"
)]
pub(super) struct ObserveArguments {
    /// Read records from this file instead of the network (- is standard input); repeatable
    #[arg(long = "replay", value_name = "FILE")]
    replay: Vec<PathBuf>,
    /// Replay so many times as fast as it was heard [default: as fast as it goes]
    #[arg(long, value_name = "FACTOR", requires = "replay", value_parser = speed)]
    speed: Option<f64>,
    /// Print what a torrent file holds as JSON, and nothing else
    #[arg(long, value_name = "FILE.torrent", conflicts_with = "replay")]
    summary: Option<PathBuf>,
    /// Log to standard output, with debug messages, instead of to a file
    #[arg(short = 'g', long)]
    debug: bool,
    /// UDP port of the first node (observe.port)
    #[arg(long, value_name = "PORT", value_parser = value_of(&keys::OBSERVE_PORT))]
    port: Option<Value>,
    /// Stop by itself after this time (run.duration_seconds)
    #[arg(long, value_name = "DURATION", value_parser = value_of(&keys::DURATION_SECONDS))]
    duration: Option<Value>,
    /// Serve a page with map, statistics and search, as --web 127.0.0.1:5000 (web.address)
    #[arg(long, value_name = "ADDRESS", value_parser = value_of(&keys::WEB_ADDRESS))]
    web: Option<Value>,
    #[command(flatten)]
    place: Place,
}

const OBSERVE_HELP: &str = "\
Keys of the table [observe] say what is kept and for how long; see btda config.
Exit codes: 0 success, 1 failed at run time or not a torrent file, 2 wrong usage,
            3 wrong configuration, 5 output not writable, 6 records were lost,
            7 a port is taken or not allowed, 130 forced by a second signal.";

/// Where the observatory is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
struct Place {
    /// Configuration file [default: config.toml of the working directory, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of records, counts, index and torrent files (observe.folder)
    #[arg(long, value_name = "DIR", value_parser = value_of(&keys::OBSERVE_FOLDER))]
    folder: Option<Value>,
    /// Any other key, as --set observe.nodes=4; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<Override>,
}

impl ObserveArguments {
    pub(super) fn request(self) -> Result<Request, clap::Error> {
        let named = [
            ("--folder", &keys::OBSERVE_FOLDER, self.place.folder),
            ("--port", &keys::OBSERVE_PORT, self.port),
            ("--duration", &keys::DURATION_SECONDS, self.duration),
            ("--web", &keys::WEB_ADDRESS, self.web),
        ];
        let choice = ConfigChoice::of(self.place.config, named, self.place.set)?;
        let task = match (self.summary, self.replay.is_empty()) {
            (Some(file), _) => ObserveTask::Summary(file),
            (None, true) => ObserveTask::Listen { debug: self.debug },
            (None, false) => ObserveTask::Replay {
                files: self.replay,
                speed: self.speed,
                debug: self.debug,
            },
        };
        Ok(Request::Observe(task, choice))
    }
}

/// Options of `btda search`.
#[derive(Debug, Args)]
#[command(after_help = SEARCH_HELP)]
pub(super) struct SearchArguments {
    /// Words that name or files must have; word* is a beginning; -- -word must be absent
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
    /// Two letters of the country where it was heard first
    #[arg(long, value_name = "XX", value_parser = country)]
    country: Option<String>,
    /// At least so many bytes; K, M, G and T are powers of 1000
    #[arg(long, value_name = "SIZE", value_parser = size)]
    min_size: Option<u64>,
    /// At most so many bytes
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Resolved on that day (UTC) or later
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    since: Option<Timestamp>,
    /// Resolved before that day (UTC)
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    until: Option<Timestamp>,
    /// With a file of that kind: image, video, audio, book, archive, pdf, other
    #[arg(long, value_name = "KIND")]
    kind: Option<FileKind>,
    /// Results at most
    #[arg(long, value_name = "N", default_value_t = LIMIT, value_parser = limit)]
    limit: usize,
    /// The results as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

const SEARCH_HELP: &str = "\
Exit codes: 0 success, 1 nothing was found or the index cannot be read, 2 wrong usage,
            3 wrong configuration.";

impl SearchArguments {
    pub(super) fn request(self) -> Result<Request, clap::Error> {
        let named = [("--folder", &keys::OBSERVE_FOLDER, self.place.folder)];
        let choice = ConfigChoice::of(self.place.config, named, self.place.set)?;
        let query = Query {
            words: self.words.join(" "),
            country: self.country,
            size_min: self.min_size,
            size_max: self.max_size,
            since: self.since,
            until: self.until,
            kind: self.kind,
            limit: self.limit,
            offset: 0,
        };
        let task = SearchTask {
            query,
            json: self.json,
        };
        Ok(Request::Search(Box::new(task), choice))
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    speed
        .filter(|speed| (0.001..=1e6).contains(speed))
        .ok_or_else(|| "expected a number from 0.001 to 1000000".to_owned())
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok();
    limit
        .filter(|limit| (1..=10_000).contains(limit))
        .ok_or_else(|| "expected a whole number from 1 to 10000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn parsed(line: &str) -> Result<Request, clap::Error> {
        parse(std::iter::once("btda").chain(line.split_whitespace()))
    }

    #[test]
    fn observe_listens_replays_or_summarises() {
        let task = |line: &str| match parsed(line).unwrap() {
            Request::Observe(task, choice) => (task, choice.overrides.len()),
            other => panic!("{other:?}"),
        };
        let (listen, keys) =
            task("observe --port 0 --duration 5m --web [::1]:0 --set observe.nodes=3");
        assert_eq!((listen, keys), (ObserveTask::Listen { debug: false }, 4));
        let (replay, _) = task("observe --replay a --replay - --speed 24 -g");
        let expected = ObserveTask::Replay {
            files: vec!["a".into(), "-".into()],
            speed: Some(24.0),
            debug: true,
        };
        assert_eq!(replay, expected);
        let (summary, _) = task("observe --summary x.torrent");
        assert_eq!(summary, ObserveTask::Summary("x.torrent".into()));
        for wrong in [
            "observe --speed 2",
            "observe --replay a --speed 0",
            "observe --summary a --replay b",
            "observe --set observe.nodes=9",
        ] {
            assert_eq!(parsed(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn search_has_filters() {
        let line = "search linux iso --country de --min-size 700M --max-size 5G \
                    --since 1970-01-02 --until 1970-01-03 --kind archive --limit 7 --json";
        let Request::Search(task, _) = parsed(line).unwrap() else {
            panic!("a search");
        };
        let query = Query {
            words: "linux iso".to_owned(),
            country: Some("de".to_owned()),
            size_min: Some(700_000_000),
            size_max: Some(5_000_000_000),
            since: Some(Timestamp(86_400_000)),
            until: Some(Timestamp(2 * 86_400_000)),
            kind: Some(FileKind::Archive),
            limit: 7,
            offset: 0,
        };
        assert_eq!(*task, SearchTask { query, json: true });
        for wrong in [
            "search",
            "search x --country deu",
            "search x --min-size 5X",
            "search x --since 2026-13-01",
            "search x --kind film",
            "search x --limit 0",
        ] {
            assert_eq!(parsed(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
