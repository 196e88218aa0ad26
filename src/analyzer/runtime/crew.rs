//! All threads of a run: started, watched, restarted, waited for.
//!
//! A thread that panics or ends before its time is named in the log, counted,
//! and started again where that is safe; where it is not, the run ends in
//! order. No thread dies silently.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::threads::{self, spawn};

/// A thread and what to do when it ends.
#[derive(Clone)]
pub(super) struct Unit {
    /// Name of the thread, at most 15 bytes.
    pub(super) name: String,
    /// Bytes of stack.
    pub(super) stack: usize,
    /// Stage of the shutdown that waits for it.
    pub(super) stage: Stage,
    /// Whether it may be started again after a panic; if not, its early end
    /// ends the run.
    pub(super) restart: bool,
    /// What it does.
    pub(super) body: Arc<dyn Fn() + Send + Sync>,
}

/// Stages of the shutdown; their order is in `runtime/shutdown.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    /// Trackers: no new peers.
    Sources,
    /// Magnet links: no new torrents.
    Magnets,
    /// DHT and our own node: the same.
    Dht,
    /// Accept thread: no new callers.
    Listener,
    /// Contact workers.
    Contacts,
    /// Statistics.
    Statistics,
    /// The page.
    Page,
    /// Writer: everything is stored.
    Writer,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sources => "trackers",
            Self::Magnets => "magnet links",
            Self::Dht => "DHT",
            Self::Listener => "listener",
            Self::Contacts => "contacts",
            Self::Statistics => "statistics",
            Self::Page => "page",
            Self::Writer => "writer",
        })
    }
}

/// A thread has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    member: usize,
    panicked: bool,
}

/// What an early end means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// The thread will be started again.
    Restart,
    /// The run has to end.
    EndRun,
}

struct Member {
    unit: Unit,
    running: bool,
    restarts: u32,
    restart_at: Option<Instant>,
}

/// The threads of a run.
pub(super) struct Crew {
    clock: Arc<dyn Clock>,
    members: Vec<Member>,
    reports: (Sender<Ended>, Receiver<Ended>),
    early_ends: u64,
    /// Threads outside the crew that had panicked before it began.
    panicked_before: u64,
}

/// Longest pause before a restart.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(60);

impl Crew {
    /// Nobody yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            members: Vec::new(),
            reports: unbounded(),
            early_ends: 0,
            panicked_before: threads::panicked(),
        }
    }

    /// Starts a thread.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub(super) fn start(&mut self, unit: Unit) -> io::Result<()> {
        let member = self.members.len();
        self.launch(member, &unit)?;
        self.members.push(Member {
            unit,
            running: true,
            restarts: 0,
            restart_at: None,
        });
        Ok(())
    }

    fn launch(&self, member: usize, unit: &Unit) -> io::Result<()> {
        let (body, report) = (Arc::clone(&unit.body), self.reports.0.clone());
        let thread = move || {
            let panicked = catch_unwind(AssertUnwindSafe(|| body())).is_err();
            // Nobody listens any more when the process ends.
            let _ = report.send(Ended { member, panicked });
        };
        spawn(&unit.name, unit.stack, thread).map(drop)
    }

    /// Where the ends of threads are reported; hand them to
    /// [`Crew::ended_early`] while the run goes on.
    pub(super) const fn reports(&self) -> &Receiver<Ended> {
        &self.reports.1
    }

    /// Threads that ended before their time: those of the crew, and all
    /// others that panicked.
    pub(super) fn early_ends(&self) -> u64 {
        self.early_ends + threads::panicked() - self.panicked_before
    }

    /// Threads running now.
    #[cfg(test)]
    fn running(&self) -> usize {
        self.members.iter().filter(|member| member.running).count()
    }

    /// A thread ended though the run goes on.
    pub(super) fn ended_early(&mut self, ended: Ended) -> Consequence {
        let now = self.clock.now();
        self.early_ends += 1;
        let Some(member) = self.members.get_mut(ended.member) else {
            return Consequence::Restart;
        };
        member.running = false;
        let how = if ended.panicked {
            "panicked"
        } else {
            "ended early"
        };
        let name = &member.unit.name;
        if !member.unit.restart {
            log::error!(target: "critical", "thread={name} {how}; it cannot be restarted safely, so the run ends here");
            return Consequence::EndRun;
        }
        member.restarts += 1;
        let pause = Duration::from_secs(1 << member.restarts.min(10)).min(RESTART_PAUSE_MAX);
        let pause = if member.restarts == 1 {
            Duration::ZERO
        } else {
            pause
        };
        member.restart_at = Some(now + pause);
        log::error!(
            "thread={name} {how}; restart={} in {} s",
            member.restarts,
            pause.as_secs()
        );
        Consequence::Restart
    }

    /// Starts again those threads whose pause is over.
    pub(super) fn restart_due(&mut self) {
        let now = self.clock.now();
        for member in 0..self.members.len() {
            let due = self.members[member].restart_at.is_some_and(|at| at <= now);
            if !due {
                continue;
            }
            let unit = self.members[member].unit.clone();
            match self.launch(member, &unit) {
                Ok(()) => {
                    self.members[member].running = true;
                    self.members[member].restart_at = None;
                }
                Err(error) => {
                    log::error!("thread={} cannot be restarted now: {error}", unit.name);
                    self.members[member].restart_at = Some(now + RESTART_PAUSE_MAX);
                }
            }
        }
    }

    /// Waits until every thread of `stage` has ended, at most until
    /// `deadline`; gives the names of those that have not.
    pub(super) fn wait_for(&mut self, stage: Stage, deadline: Deadline) -> Vec<String> {
        while self
            .members
            .iter()
            .any(|member| member.running && member.unit.stage == stage)
        {
            let Some(left) = deadline.left(self.clock.now()) else {
                break;
            };
            let Ok(ended) = self.reports.1.recv_timeout(left) else {
                break;
            };
            self.ended_in_shutdown(ended);
        }
        let late = self
            .members
            .iter()
            .filter(|member| member.running && member.unit.stage == stage);
        late.map(|member| member.unit.name.clone()).collect()
    }

    fn ended_in_shutdown(&mut self, ended: Ended) {
        if let Some(member) = self.members.get_mut(ended.member) {
            member.running = false;
            member.restart_at = None;
            if ended.panicked {
                self.early_ends += 1;
                log::error!("thread={} panicked during shutdown", member.unit.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::stop::stop_pair;
    use crate::threads::VISIT_STACK;
    use std::sync::atomic::{AtomicU32, Ordering};

    const LONG: Duration = Duration::from_secs(60);

    fn unit(name: &str, restart: bool, body: impl Fn() + Send + Sync + 'static) -> Unit {
        Unit {
            name: name.into(),
            stack: VISIT_STACK,
            stage: Stage::Contacts,
            restart,
            body: Arc::new(body),
        }
    }

    #[test]
    fn a_panic_is_reported_and_the_thread_restarted() {
        let mut crew = Crew::new(Arc::new(SystemClock::new()));
        let (trigger, stop) = stop_pair();
        let runs = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&runs);
        crew.start(unit("contact-0001", true, move || {
            assert!(
                count.fetch_add(1, Ordering::SeqCst) > 0,
                "the first run panics on purpose"
            );
            let _ = stop.wait(LONG);
        }))
        .unwrap();
        let ended = crew.reports().recv_timeout(LONG).unwrap();
        assert_eq!(crew.ended_early(ended), Consequence::Restart);
        assert_eq!((crew.running(), crew.early_ends), (0, 1));
        crew.restart_due();
        assert_eq!(crew.running(), 1);
        trigger.stop();
        assert!(
            crew.wait_for(
                Stage::Contacts,
                Deadline::after(SystemClock::new().now(), LONG)
            )
            .is_empty()
        );
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn the_end_of_the_writer_ends_the_run() {
        let mut crew = Crew::new(Arc::new(SystemClock::new()));
        crew.start(unit("writer", false, || ())).unwrap();
        let ended = crew.reports().recv_timeout(LONG).unwrap();
        assert_eq!(crew.ended_early(ended), Consequence::EndRun);
    }

    #[test]
    fn a_stuck_thread_is_named_at_the_deadline() {
        let clock = SystemClock::new();
        let mut crew = Crew::new(Arc::new(clock.clone()));
        let (trigger, stop) = stop_pair();
        crew.start(unit("contact-0001", true, move || {
            let _ = stop.wait(LONG);
        }))
        .unwrap();
        let late = crew.wait_for(
            Stage::Contacts,
            Deadline::after(clock.now(), Duration::from_millis(5)),
        );
        assert_eq!(late, ["contact-0001"]);
        trigger.stop();
        assert!(
            crew.wait_for(Stage::Contacts, Deadline::after(clock.now(), LONG))
                .is_empty()
        );
    }
}
