//! Visits per second of a full pool, with the writer at work.
//!
//! Yardstick: threads ÷ timeout, which is what a pool reaches whose visits
//! cost nothing but their wait. Peers that are let go when they are complete
//! take it above that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use btda::analyzer::workers;
use btda::threads::{VISIT_STACK, spawn};

use super::Scale;
use super::peers::{Kind, PIECES, Peers};
use super::table::{Row, Spread, short};
use super::world::{World, settings};

/// Between two looks at how many visits are done.
const STEP: Duration = Duration::from_millis(1);

/// Turns until the visits of a pool that began at one moment are spread over
/// its timeout: in the first bursts they wait for the processor.
const CALM: u32 = 4;

/// Longest wait for visits.
const LONG: Duration = Duration::from_secs(60);

/// One pool at work.
struct Load {
    name: &'static str,
    threads: usize,
    timeout: Duration,
    kind: Kind,
    /// Least ratio.
    goal: f64,
}

pub(crate) fn measure(scale: Scale) {
    let seconds = |full: u64, short| Duration::from_millis(scale.pick(full * 1_000, short));
    let threads = |full| scale.pick(full, full / 16);
    let load = |name, count, timeout, kind, goal| Load {
        name,
        threads: threads(count),
        timeout,
        kind,
        goal,
    };
    let quiet = Kind::Quiet;
    for load in [
        load("1×", 256, seconds(1, 200), quiet, 0.99),
        load("4×", 1_024, seconds(1, 200), quiet, 0.99),
        load("16×", 4_096, seconds(1, 200), quiet, 0.99),
        load("4×", 1_024, seconds(6, 400), quiet, 0.99),
        load("16×", 4_096, seconds(6, 400), quiet, 0.99),
        load("4×", 1_024, seconds(1, 200), Kind::Mixed, 1.0),
    ] {
        load.measure(scale);
    }
}

impl Load {
    fn measure(&self, scale: Scale) {
        let peers = Peers::start(self.kind, self.threads * 2);
        let mut settings = settings();
        settings.visit.quiet_timeout = self.timeout;
        settings.policy.revisit_delay = Duration::ZERO;
        // Quiet peers stall, and would be visited less and less.
        settings.policy.adaptive = None;
        let world = World::new(PIECES, settings);
        // One address in four is complete, and gone after its visit.
        let each = if self.is_mixed() { 24 } else { 2 };
        world.offer(self.threads * each, peers.port);
        let store = world.store();
        let handles: Vec<_> = (0..self.threads)
            .map(|number| {
                let engine = Arc::clone(&world.engine);
                let body = move || workers::run(&engine);
                spawn(&format!("contact-{number:04}"), VISIT_STACK, body).expect("room for it")
            })
            .collect();
        std::thread::sleep(self.timeout * 2);
        // Complete peers come in bursts of their own.
        let turns = scale.pick(if self.is_mixed() { 6 } else { 2 }, 1);
        let rate = || rate(&world, self.threads as u64 * turns);
        let early = self.is_bursty(scale).then(|| {
            let early = rate();
            std::thread::sleep(self.timeout * CALM);
            early
        });
        // The long timeouts would take a quarter of all the time there is.
        let rounds = if self.timeout > LONG / 20 { 2 } else { 3 };
        let rates: Vec<f64> = (0..scale.pick(rounds, 1)).map(|_| rate()).collect();
        world.stop();
        for handle in handles {
            handle.join().expect("no panic");
        }
        drop(world);
        store.finish();
        self.tell(early, rates);
    }

    fn is_mixed(&self) -> bool {
        self.kind == Kind::Mixed
    }

    /// Whether the bursts of a pool whose threads all began at one moment are
    /// a large part of its timeout.
    fn is_bursty(&self, scale: Scale) -> bool {
        !scale.short && !self.is_mixed() && self.timeout <= LONG / 20
    }

    /// The lines: once the pool works evenly, and soon after its start.
    fn tell(&self, early: Option<f64>, rates: Vec<f64>) {
        let wished = self.threads as f64 / self.timeout.as_secs_f64();
        let rates = Spread::of(rates);
        let ratio = rates.scaled(1.0 / wished);
        let what = if self.is_mixed() {
            "visits/s, a quarter complete"
        } else {
            "visits/s, quiet peers"
        };
        let seconds = self.timeout.as_secs_f64();
        let text = format!("{}: {} threads, {seconds} s", self.name, self.threads);
        let yardstick = format!("threads ÷ timeout {}/s", short(wished));
        Row::new(what, text.as_str())
            .figure(rates.with_unit(1.0, "/s"))
            .yardstick(yardstick.as_str())
            .ratio(&ratio)
            .goal(&format!("≥ {}", self.goal), ratio.median >= self.goal)
            .tell();
        if let Some(early) = early {
            let early = Spread::of([early]);
            Row::new("the same, two turns after the start", text)
                .figure(early.with_unit(1.0, "/s"))
                .yardstick(yardstick)
                .ratio(&early.scaled(1.0 / wished))
                .tell();
        }
    }
}

/// Visits per second over that many visits, from the end of one on. A pool
/// that starts at one moment works in bursts, so that a number of visits, each
/// thread's turn so often, is fair and a time is not: it would cut a burst or
/// just miss one.
fn rate(world: &World, visits: u64) -> f64 {
    let count = || {
        let now = world.engine.stats.snapshot(Instant::now());
        // One thread plays all peers; on a busy machine it may be late to a
        // few, which then count for nothing.
        let few = now.contacts_counted / 10 + 10;
        assert!(now.contacts_failed <= few, "peers answer");
        now.contacts_counted
    };
    let idle = count();
    let from = wait_for(|| Some(count()).filter(|now| *now > idle));
    let start = Instant::now();
    // Beyond that number nothing counts: its time is not waited for.
    wait_for(|| Some(count()).filter(|now| *now >= from + visits));
    visits as f64 / start.elapsed().as_secs_f64()
}

fn wait_for(mut look: impl FnMut() -> Option<u64>) -> u64 {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < LONG, "visits go on");
        std::thread::sleep(STEP);
    }
}
