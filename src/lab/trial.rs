//! `btda lab`: a practice swarm, the analyzer on it, and the judgement.
//!
//! The analyzer is a process of its own, started from the same file as this
//! one: what is tried is the whole real program with its signals, its log and
//! its shutdown, its memory is measured alone, and if it crashes the truth
//! about it survives. Called by `main`; the main thread does everything here,
//! the swarm has threads of its own.

use std::io::{self, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use serde_json::{Value, json};

mod analyzer;
mod dht;
mod only_swarm;
mod options;

pub use dht::DhtOfTrial;
pub use options::TrialOptions;

use super::judge::{Judge, Judgement};
use super::plan::Plan;
use super::reach::Reach;
use super::sockets;
use super::swarm::Swarm;
use super::truth::read_contacts;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::model::Timestamp;
use crate::signals::{self, Signal};
use crate::storage::{Results, Stem};
use analyzer::Analyzer;
use dht::DhtPlaces;

/// How often something is looked at that gives no notice.
const LOOK: Duration = Duration::from_millis(50);

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// A trial under way.
struct Trial<'a> {
    options: &'a TrialOptions,
    clock: Arc<SystemClock>,
    signals: Receiver<Signal>,
    folder: PathBuf,
}

/// Carries out what `options` ask for; blocks until it is over.
pub fn run(options: &TrialOptions) -> Exit {
    let here = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
    let without = sockets::listen(here)
        .err()
        .and_then(|error| without_ipv6(options, &error));
    let options = without.as_ref().unwrap_or(options);
    match Trial::new(options).and_then(|trial| trial.carry_out()) {
        Ok(exit) => exit,
        Err(error) => {
            say(&format!("btda: lab: {error}"));
            Exit::Failed
        }
    }
}

/// The same without peers at `::1`, where nobody can listen there: the first
/// command that somebody tries is to work on such a machine too. `None` when
/// there are to be none, or no others.
fn without_ipv6(options: &TrialOptions, error: &io::Error) -> Option<TrialOptions> {
    let mut reach = options.reach.clone();
    reach.retain(|(_, weight)| *weight > 0);
    let wanted = reach.len();
    reach.retain(|(class, _)| *class != Reach::Ipv6);
    if reach.is_empty() || reach.len() == wanted {
        return None;
    }
    say(&format!(
        "btda: lab: nobody can listen at ::1 ({error}): without peers of class ipv6, as by --reach ipv6=0"
    ));
    Some(TrialOptions {
        reach,
        ..options.clone()
    })
}

impl<'a> Trial<'a> {
    fn new(options: &'a TrialOptions) -> io::Result<Self> {
        let signals = signals::watch()?;
        let clock = Arc::new(SystemClock::new());
        let folder = Stem::claim_folder(&options.output, clock.timestamp(), "lab")
            .map_err(|error| about("folder", &options.output, &error))?;
        std::fs::create_dir(folder.join("input"))
            .map_err(|error| about("folder", &folder, &error))?;
        Ok(Self {
            options,
            clock,
            signals,
            folder,
        })
    }

    fn carry_out(&self) -> io::Result<Exit> {
        let plan = Plan::new(self.options.lab());
        say(&self.options.headline(&plan));
        // Known only later: the truth file gets the name of the run.
        let truth_file = self.folder.join("truth.jsonl");
        let swarm = Swarm::start_into(&truth_file, plan, self.clock.clone())?;
        let input = self.folder.join("input");
        swarm.torrent_files(&input)?;
        swarm.magnet_list(&input)?;
        if self.options.only_swarm {
            return self.only_swarm(swarm, &truth_file);
        }
        let (stopped, analyzer, truth) = self.measure(swarm)?;
        let database = analyzer.database()?;
        let named = database.with_extension("");
        let named = PathBuf::from(format!("{}_truth.jsonl", named.display()));
        std::fs::rename(&truth_file, &named)?;
        let terms = self.options.terms(stopped);
        let mut judge = Judge::new(&truth.plan, truth.started, terms);
        let file = std::fs::File::open(&named)?;
        read_contacts(BufReader::new(file), |contact| judge.take(contact))?;
        let results = Results::read(&database).map_err(io::Error::other)?;
        let mut judgement = judge.conclude(&results, &truth);
        if let Some(problem) = analyzer.problem() {
            judgement.findings.insert(0, problem);
        }
        let files = Files {
            folder: &self.folder,
            database: &database,
            truth: &named,
        };
        self.tell(&truth.plan, &judgement, &files)?;
        Ok(if judgement.is_exact() {
            Exit::Success
        } else {
            Exit::Failed
        })
    }

    /// Runs the analyzer on the swarm to the end of the story. Gives when it
    /// was told to end, the ended analyzer and the truth.
    fn measure(&self, mut swarm: Swarm) -> io::Result<(Timestamp, Analyzer, super::Truth)> {
        let dht = DhtPlaces::of(&swarm)?;
        let mut analyzer = Analyzer::start(&self.folder, self.options, dht.as_ref())?;
        if let Some(port) = self.listen_port(&mut analyzer)? {
            swarm.call(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
            self.watch(&swarm, &mut analyzer)?;
        }
        let stopped = self.clock.timestamp();
        say("the story is over; stopping the analyzer");
        analyzer.interrupt()?;
        analyzer.wait(&*self.clock)?;
        Ok((stopped, analyzer, swarm.finish()?))
    }

    /// Waits until the analyzer listens; `None` when a signal came before.
    fn listen_port(&self, analyzer: &mut Analyzer) -> io::Result<Option<u16>> {
        let deadline = Analyzer::start_deadline(&*self.clock);
        loop {
            if let Some(port) = analyzer.listen_port() {
                return Ok(Some(port));
            }
            if analyzer.has_ended()? || deadline.left(self.clock.now()).is_none() {
                return Err(analyzer.refusal());
            }
            if self.signals.recv_timeout(LOOK).is_ok() {
                return Ok(None);
            }
        }
    }

    /// Waits for the end of the story, for a signal, or for the analyzer to
    /// end too early.
    fn watch(&self, swarm: &Swarm, analyzer: &mut Analyzer) -> io::Result<()> {
        let whole = u64::try_from(self.options.story().as_millis()).unwrap_or(u64::MAX);
        let every = u64::try_from(PROGRESS.as_millis()).unwrap_or(u64::MAX);
        let mut next = every;
        while swarm.elapsed() < whole && !analyzer.has_ended()? {
            if swarm.elapsed() >= next {
                let (seconds, contacts) = (next / 1000, swarm.contacts_ended());
                say(&format!("{seconds} s: {contacts} contacts"));
                next += every;
            }
            if self.signals.recv_timeout(LOOK).is_ok() {
                break;
            }
        }
        Ok(())
    }

    fn tell(&self, plan: &Plan, judgement: &Judgement, files: &Files<'_>) -> io::Result<()> {
        let text = if self.options.json {
            let mut value = judgement.to_json();
            value["seed"] = json!(plan.options.seed);
            value["plan"] = json!(plan.digest().to_string());
            value["method"] = json!(self.options.method.as_str());
            value["files"] = files.to_json();
            format!("{value:#}\n")
        } else {
            format!(
                "{}\n\n{}\n{}",
                self.options.headline(plan),
                judgement.table(),
                files.lines()
            )
        };
        print(&text)
    }
}

/// Where the files of a trial are.
struct Files<'a> {
    folder: &'a Path,
    database: &'a Path,
    truth: &'a Path,
}

impl Files<'_> {
    fn lines(&self) -> String {
        format!(
            "results   {}\ntruth     {}\nall files {}\n",
            self.database.display(),
            self.truth.display(),
            self.folder.display()
        )
    }

    fn to_json(&self) -> Value {
        json!({
            "database": self.database.to_string_lossy(),
            "truth": self.truth.to_string_lossy(),
            "folder": self.folder.to_string_lossy(),
        })
    }
}

fn about(what: &str, path: &Path, error: &io::Error) -> io::Error {
    let text = format!("{what} {} cannot be written: {error}", path.display());
    io::Error::new(error.kind(), text)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A line on standard error; when nobody can read it, nothing is lost.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_ipv6_the_others_are_left() {
        let error = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let usual = TrialOptions::default();
        let left = without_ipv6(&usual, &error).unwrap();
        assert_eq!(left.reach.len() + 1, usual.reach.len());
        assert!(left.reach.iter().all(|(class, _)| *class != Reach::Ipv6));
        assert_eq!(without_ipv6(&left, &error), None);
        let only = TrialOptions {
            reach: vec![(Reach::Ipv6, 1), (Reach::Tcp, 0)],
            ..usual
        };
        assert_eq!(without_ipv6(&only, &error), None);
    }
}
