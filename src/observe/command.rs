//! `btda observe`: listens to the DHT, replays files, or shows a torrent
//! file. Main thread.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select};

use crate::analyzer::runtime::say;
use crate::config::Config;
use crate::exit::Exit;
use crate::model::Timestamp;
use crate::outside::one_line;
use crate::signals::{self, Signal};
use crate::terminal::{complain, print};
use crate::threads;
use crate::torrent::metadata::METADATA_SIZE_MAX;
use crate::torrent::summary::Summary;

use super::listen::Listening;
use super::live::Live;
use super::page::{OpenPage, PageSettings};
use super::pipeline::Pipeline;
use super::record::Record;
use super::settings::ObserveSettings;
use super::slices::Lines;
use super::standard_input::StandardInput;
use super::station::{Refused, Running, Sources, Station, refused};

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum ObserveTask {
    /// Listen to the network.
    Listen {
        /// `--debug`.
        debug: bool,
    },
    /// Read records from files.
    Replay {
        /// The files, one after the other.
        files: Vec<PathBuf>,
        /// So many times as fast as they were heard; `None`: as fast as it
        /// goes.
        speed: Option<f64>,
        /// `--debug`.
        debug: bool,
    },
    /// Show what a torrent file holds.
    Summary(PathBuf),
}

/// Runs the command.
pub fn run(config: &Config, task: &ObserveTask) -> Exit {
    let mut settings = config.observe();
    let page = PageSettings::of(config, &settings);
    let done = match task {
        ObserveTask::Summary(path) => return summary(path),
        ObserveTask::Listen { debug } => {
            show_debug(&mut settings, *debug);
            listen(&settings, &page)
        }
        ObserveTask::Replay {
            files,
            speed,
            debug,
        } => {
            show_debug(&mut settings, *debug);
            replay(&settings, &page, (files, *speed))
        }
    };
    done.unwrap_or_else(|refused| {
        complain(&refused.text);
        refused.exit
    })
}

fn show_debug(settings: &mut ObserveSettings, debug: bool) {
    if debug {
        settings.log.to_console = true;
        settings.log.level = settings.log.level.max(log::LevelFilter::Debug);
    }
}

fn summary(path: &Path) -> Exit {
    let limit = METADATA_SIZE_MAX as u64 + (1 << 20);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    let path = one_line(&path.display().to_string());
    if let Err(error) = read {
        complain(&format!("{path} cannot be read: {error}"));
        return Exit::Failed;
    }
    match Summary::of_file(&bytes) {
        Ok(summary) => match serde_json::to_string_pretty(&summary) {
            Ok(text) => print(&(text + "\n")),
            Err(_) => Exit::Failed,
        },
        Err(error) => {
            complain(&format!("{path}: {error}"));
            Exit::Failed
        }
    }
}

fn watch_signals() -> Result<Receiver<Signal>, Refused> {
    signals::watch().map_err(|error| refused(Exit::Failed, &error))
}

fn listen(settings: &ObserveSettings, page: &PageSettings) -> Result<Exit, Refused> {
    let signals = watch_signals()?;
    let station = Station::new(settings)?;
    let mut listening = Listening::start(settings, &station)?;
    let running = station.start(listening.sources())?;
    let page = match OpenPage::open(page, settings, &station) {
        Ok(page) => page,
        Err(refused) => {
            listening.stop();
            end(running, &station.live);
            return Err(refused);
        }
    };
    say(&listening.describe(settings));
    let over = settings.duration.map_or_else(never, after);
    loop {
        select! {
            recv(signals) -> _ => break,
            recv(over) -> _ => break,
            recv(running.done) -> _ => {
                listening.stop();
                say("btda: the writing thread has failed, see the log");
                return Ok(Exit::Failed);
            },
            default(settings.statistic_interval) => {
                say(&format!("{}; {}", figures(&station.live), listening.figures()));
            }
        }
    }
    say("ending");
    listening.stop();
    if let Some(page) = page {
        page.close();
    }
    Ok(end(running, &station.live))
}

fn replay(
    settings: &ObserveSettings,
    web: &PageSettings,
    (files, speed): (&[PathBuf], Option<f64>),
) -> Result<Exit, Refused> {
    let signals = watch_signals()?;
    let station = Station::new(settings)?;
    let running = station.start(Sources::default())?;
    let shown = OpenPage::open(web, settings, &station)?;
    let mut pace = Pace {
        speed,
        first: None,
        begun: station.clock.now(),
        wait: Duration::ZERO,
    };
    let mut malformed = 0;
    let (mut unread, mut stopped) = (false, false);
    for path in files {
        let name = one_line(&path.display().to_string());
        match feed(path, &running, &signals, (&mut pace, &station)) {
            Ok(Fed::Whole(count)) => malformed += count,
            Ok(Fed::Stopped) => {
                stopped = true;
                break;
            }
            Err(error) => {
                say(&format!("btda: {name} cannot be read: {error}"));
                unread = true;
            }
        }
    }
    if malformed > 0 {
        say(&format!("{malformed} lines are no records"));
    }
    let exit = end(running, &station.live);
    if let Some(page) = shown {
        if !stopped {
            say("everything is replayed; the page stays (Ctrl+C ends it)");
            let _ = signals.recv();
        }
        page.close();
    }
    Ok(match exit {
        Exit::Success if unread => Exit::Failed,
        exit => exit,
    })
}

/// How far a file was read.
enum Fed {
    /// To its end, with so many lines that are no records.
    Whole(u64),
    /// A signal came, or the writer has failed.
    Stopped,
}

fn feed(
    path: &Path,
    running: &Running,
    signals: &Receiver<Signal>,
    (pace, station): (&mut Pace, &Station),
) -> std::io::Result<Fed> {
    let mut lines = if path == Path::new("-") {
        Lines::of(Box::new(StandardInput::open(signals)?))
    } else {
        Lines::open(path)?
    };
    while let Some(record) = lines.next_record()? {
        let wait = pace.wait_for(&record, station.clock.now());
        let stopped = if wait.is_zero() {
            !signals.is_empty()
        } else {
            signals.recv_timeout(wait).is_ok()
        };
        if stopped || running.replayed.send(record).is_err() {
            return Ok(Fed::Stopped);
        }
    }
    Ok(if signals.is_empty() {
        Fed::Whole(lines.counts().malformed)
    } else {
        Fed::Stopped
    })
}

/// When the next record is due.
struct Pace {
    speed: Option<f64>,
    first: Option<Timestamp>,
    begun: std::time::Instant,
    wait: Duration,
}

impl Pace {
    /// How long to wait before `record`; never back in time.
    fn wait_for(&mut self, record: &Record, now: std::time::Instant) -> Duration {
        let Some(speed) = self.speed else {
            return Duration::ZERO;
        };
        let first = *self.first.get_or_insert(record.at());
        let heard_after = record.at().millis().saturating_sub(first.millis()).max(0);
        let due = Duration::try_from_secs_f64(heard_after as f64 / 1000.0 / speed);
        self.wait = self.wait.max(due.unwrap_or_default());
        self.wait
            .saturating_sub(now.saturating_duration_since(self.begun))
    }
}

/// Lets the writer end, and says what there is.
fn end(running: Running, live: &Arc<Live>) -> Exit {
    let pipeline = running.finish();
    say(&figures(live));
    let Some(pipeline) = pipeline else {
        say("btda: the writing thread has failed, see the log");
        return Exit::Failed;
    };
    say(&written(&pipeline));
    let lost = Live::count(&live.lost);
    if lost > 0 || threads::panicked() > 0 {
        say(&format!(
            "btda: {lost} queries or records were lost, see the log"
        ));
        return Exit::DataLost;
    }
    Exit::Success
}

fn figures(live: &Live) -> String {
    let count = Live::count;
    format!(
        "{} queries, {} records ({} skipped, {} blocked, {} lost, {} refusals of the disk), \
         {} resolved, {} in the index",
        count(&live.queries),
        count(&live.records),
        count(&live.skipped),
        count(&live.blocked),
        count(&live.lost),
        count(&live.refusals),
        count(&live.resolved),
        count(&live.indexed),
    )
}

fn written(pipeline: &Pipeline) -> String {
    let counts = pipeline.files().slice_counts();
    format!("{} records in {} files", counts.written, counts.slices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::observe::record::parse;

    #[test]
    fn a_replay_keeps_its_pace() {
        let hash = "AB".repeat(20);
        let record = |at: i64| {
            let line = format!(
                "{{\"type\":\"get_peers\",\"v\":4,\"infohash\":\"{hash}\",\
                 \"our_id\":\"{hash}\",\"timestamp\":{at}}}"
            );
            parse(line.as_bytes()).unwrap()
        };
        let clock = ManualClock::new(Timestamp(0));
        let mut pace = Pace {
            speed: Some(24.0),
            first: None,
            begun: clock.now(),
            wait: Duration::ZERO,
        };
        assert_eq!(pace.wait_for(&record(5_000), clock.now()), Duration::ZERO);
        let wait = pace.wait_for(&record(5_000 + 48_000), clock.now());
        assert_eq!(wait, Duration::from_secs(2));
        clock.advance(Duration::from_secs(1));
        let back = pace.wait_for(&record(0), clock.now());
        assert_eq!(back, Duration::from_secs(1));
        clock.advance(Duration::from_secs(9));
        let late = pace.wait_for(&record(5_000 + 48_000), clock.now());
        assert_eq!(late, Duration::ZERO);
        pace.speed = None;
        assert_eq!(
            pace.wait_for(&record(i64::MAX), clock.now()),
            Duration::ZERO
        );
    }
}
