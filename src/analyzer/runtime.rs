//! Builds, starts, supervises and stops everything.
//!
//! Order of start: log, import, limits, listener's socket, port of our own DHT
//! node, database, first statistics row, writer, listener, trackers, DHT
//! threads, statistics, contact workers. Order of stop: see `runtime/shutdown.rs`.

mod crew;
mod dht;
#[cfg(feature = "faults")]
mod fault;
mod found;
mod hosts;
mod inspection;
mod limits;
mod links;
mod local_trackers;
mod magnets;
mod neighbours;
mod opt_out;
mod page;
mod prepare;
mod random;
pub mod serve;
mod shutdown;
mod sockets;
mod status;
mod trackers;
mod units;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select};

use crate::config::settings::Settings;
use crate::config::{Config, Switches, WebSettings};
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::model::Torrent;
use crate::signals::{self, Signal};
use crate::tracker::Place;

use crew::{Consequence, Crew};
use found::Found;
use prepare::Run;
use status::{Figures, Status};

pub(crate) use opt_out::address_rules;
pub(crate) use status::say;

/// A run that the command line asked for.
#[derive(Debug)]
pub struct Request {
    /// The checked configuration.
    pub settings: Settings,
    /// The same for the manifest: every key with its value and origin.
    pub configuration: serde_json::Value,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// The page, with `web.address`.
    pub web: Option<WebSettings>,
}

impl Request {
    /// The run that `config` and `switches` describe.
    pub fn new(config: &Config, switches: &Switches) -> Self {
        Self {
            settings: config.settings(switches),
            configuration: config.to_json(),
            warnings: config.warnings(),
            web: Some(config.web()).filter(|web| web.address.is_some()),
        }
    }
}

/// How often the supervisor looks at the status line.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Signal(Signal),
    Duration,
    ThreadEnded,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signal(signal) => signal.as_str(),
            Self::Duration => "duration over",
            Self::ThreadEnded => "a thread that cannot be restarted ended",
        }
    }
}

/// Carries a run out, from start to exit code; blocks until it is over.
pub fn run(request: Request) -> Exit {
    let signals = match signals::watch() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("btda: signals cannot be handled: {error}"));
            return Exit::Failed;
        }
    };
    let run = || match prepare::prepare(request) {
        Ok(run) => run.carry_out(&signals),
        Err(refusal) => {
            log::error!("the run does not start: {}", refusal.text);
            say(&format!("btda: {}", refusal.text));
            refusal.exit
        }
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        say("btda: ended by a defect; the log has a line with CRITICAL that tells where");
        Exit::Failed
    })
}

impl Run {
    fn carry_out(mut self, signals: &Receiver<Signal>) -> Exit {
        let mut crew = Crew::new(self.engine.clock.clone());
        let mut status = Status::new(self.engine.settings.log.to_console);
        status.say(&self.headline());
        if let Some(page) = &self.page {
            status.say(&format!(
                "the page is at http://{}/ (it ends with the run)",
                page.address()
            ));
        }
        let started = units::start_all(&mut self, &mut crew);
        let cause = match started {
            Ok(()) => {
                let supervise = || self.supervise(&mut crew, &mut status, signals);
                catch_unwind(AssertUnwindSafe(supervise)).unwrap_or(Cause::ThreadEnded)
            }
            Err(error) => {
                log::error!(target: "critical", "a thread cannot be started: {error}");
                status.say(&format!("btda: a thread cannot be started: {error}"));
                Cause::ThreadEnded
            }
        };
        status.finish();
        status.say(&format!("stopping: {}", cause.as_str()));
        shutdown::stop(&self, &mut crew, &status, cause)
    }

    /// Watches threads, signals and the clock until the run has to end.
    fn supervise(&self, crew: &mut Crew, status: &mut Status, signals: &Receiver<Signal>) -> Cause {
        let clock = &self.engine.clock;
        let end = self
            .engine
            .settings
            .duration
            .map(|duration| Deadline::after(clock.now(), duration));
        let reports = crew.reports().clone();
        let magnets = self.magnets.as_ref();
        let joined = magnets.map_or_else(never, |magnets| magnets.joined().clone());
        let found = self.found.as_ref();
        let found = found.map_or_else(never, |found| found.to_ask().clone());
        loop {
            let left = end.map(|end| end.left(clock.now()));
            let Some(wait) = left.map_or(Some(STATUS_INTERVAL), |left| {
                left.map(|left| left.min(STATUS_INTERVAL))
            }) else {
                return Cause::Duration;
            };
            select! {
                recv(signals) -> signal => {
                    return signal.map_or(Cause::Signal(Signal::Terminate), Cause::Signal);
                }
                recv(reports) -> ended => {
                    if let Ok(ended) = ended && crew.ended_early(ended) == Consequence::EndRun {
                        return Cause::ThreadEnded;
                    }
                }
                recv(joined) -> torrent => {
                    if let Ok(torrent) = torrent {
                        self.start_joined(&torrent, crew, status);
                    }
                }
                recv(found) -> tracker => {
                    if let Ok(tracker) = tracker {
                        self.start_found(&tracker, crew);
                    }
                }
                recv(after(wait)) -> _ => {}
            }
            crew.restart_due();
            self.show(crew, status);
        }
    }

    /// A magnet link has become a torrent: its trackers are asked from now on.
    fn start_joined(&self, torrent: &Arc<Torrent>, crew: &mut Crew, status: &Status) {
        let id = torrent.id;
        status.say(&format!("torrent {id} joins by its magnet link"));
        if let Some(local) = &self.local_trackers {
            local.joined(id);
        }
        let Some(index) = self.trackers.join(torrent) else {
            return;
        };
        if let Err(error) = crew.start(units::tracker(self, index, id)) {
            log::error!("no thread for the trackers of torrent={id}: {error}");
        }
    }

    /// A tracker that no torrent file names is asked from now on.
    fn start_found(&self, found: &Found, crew: &mut Crew) {
        let Some(index) = self.trackers.join_found(&found.torrent, &found.url) else {
            return;
        };
        if let Err(error) = crew.start(units::found_tracker(self, index)) {
            log::error!("no thread for a tracker that was found: {error}");
        }
    }

    fn show(&self, crew: &Crew, status: &mut Status) {
        let engine = &self.engine;
        let now = engine.clock.now();
        let due = status.is_due(now);
        if !due && self.page.is_none() {
            return;
        }
        let figures = self.figures(crew, status);
        if due {
            status.show(&figures);
        }
        if let Some(page) = &self.page {
            page.post(&figures, engine, &self.progress);
        }
    }

    fn figures(&self, crew: &Crew, status: &Status) -> Figures {
        let engine = &self.engine;
        let now = engine.stats.snapshot(engine.clock.now());
        let held = engine.scheduler.held_back();
        let barred = engine.scheduler.barred();
        Figures {
            now,
            held_back: held.in_all + held.by_network + held.by_torrent,
            barred: barred.reserved + barred.opted_out + barred.ipv6 + barred.beyond,
            visits_per_second: status.rate(&now),
            queue: engine.scheduler.waiting(),
            workers: engine.settings.workers,
            stays: engine.settings.stay.map(|_| engine.stays.now()),
            trackers: Place::ALL.map(|place| self.trackers.context.health.counts(place)),
            dht: self.dht.as_ref().map(|dht| dht.state()),
            dht_node: self.dht.as_ref().and_then(|dht| dht.node_figures()),
            magnets: self.magnets.as_ref().map_or(0, |magnets| magnets.pending()),
            confirmed: self.progress.confirmed(),
            rows: self.progress.rows(),
            unwritten: engine.records.len(),
            spooled: self.progress.in_spool(),
            lost: self.progress.lost(),
            warnings: self.log_counts.warnings() + self.log_counts.errors(),
            restarts: crew.early_ends(),
        }
    }

    fn headline(&self) -> String {
        let settings = &self.engine.settings;
        let callers = match self.listen_port {
            Some(port) => format!("listening on port {port}"),
            None => "not listening".to_owned(),
        };
        let dht = match &self.dht {
            Some(dht) => format!("DHT by {}, ", dht.name()),
            None => String::new(),
        };
        let links = match &self.magnets {
            Some(magnets) => format!("{} magnet links without metadata, ", magnets.pending()),
            None => String::new(),
        };
        let workers = if settings.active { settings.workers } else { 0 };
        format!(
            "btda {}: {} torrents, {links}{workers} contact threads, {callers}, {dht}results in {}",
            env!("CARGO_PKG_VERSION"),
            self.engine.directory.all().len(),
            self.database.display(),
        )
    }
}
