//! Live figures of the engine: for table `statistic`, the status line and
//! later pages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// Ways to reach a peer; [`Way::code`](super::dial::Way::code) is below it.
pub const WAYS: usize = 4;

/// Counters and gauges; every method may be called from any thread.
#[derive(Debug)]
pub struct Stats {
    contacts_counted: AtomicU64,
    contacts_failed: AtomicU64,
    callers_counted: AtomicU64,
    callers_failed: AtomicU64,
    accept_failures: AtomicU64,
    /// By the code of the way.
    ways_tried: [AtomicU64; WAYS],
    ways_counted: [AtomicU64; WAYS],
    contacts: Mutex<Gauge>,
    callers: Mutex<Gauge>,
}

/// A number that goes up and down, with its integral over time: the exact
/// mean over any interval is the difference of the integral by its length.
#[derive(Debug, Clone, Copy)]
struct Gauge {
    level: u64,
    since: Instant,
    /// Level × seconds up to `since`.
    integral: f64,
}

impl Gauge {
    fn step(&mut self, now: Instant, up: bool) {
        *self = self.at(now);
        self.level = if up {
            self.level + 1
        } else {
            self.level.saturating_sub(1)
        };
    }

    fn at(self, now: Instant) -> Self {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        Self {
            level: self.level,
            since: now,
            integral: self.integral + self.level as f64 * elapsed,
        }
    }
}

/// All figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// When.
    pub at: Instant,
    /// Outgoing visits that counted.
    pub contacts_counted: u64,
    /// Outgoing contacts that failed.
    pub contacts_failed: u64,
    /// Callers whose visit counted.
    pub callers_counted: u64,
    /// Callers that gave nothing.
    pub callers_failed: u64,
    /// Errors of `accept`.
    pub accept_failures: u64,
    /// Contacts in progress.
    pub contacts_active: u64,
    /// Callers being evaluated.
    pub callers_active: u64,
    /// Seconds × contacts in progress, since the start.
    pub contact_seconds: f64,
}

impl Snapshot {
    /// Mean share of `workers` that were busy between `earlier` and now, 0 to
    /// 1; `None` when no time has passed or there are no workers.
    pub fn workload_since(&self, earlier: &Self, workers: usize) -> Option<f64> {
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        let capacity = seconds * workers as f64;
        (capacity > 0.0)
            .then(|| ((self.contact_seconds - earlier.contact_seconds) / capacity).clamp(0.0, 1.0))
    }

    /// Outgoing contacts ended so far.
    pub const fn contacts(&self) -> u64 {
        self.contacts_counted + self.contacts_failed
    }
}

impl Stats {
    /// All zero at `now`.
    pub const fn new(now: Instant) -> Self {
        let gauge = Gauge {
            level: 0,
            since: now,
            integral: 0.0,
        };
        Self {
            contacts_counted: AtomicU64::new(0),
            contacts_failed: AtomicU64::new(0),
            callers_counted: AtomicU64::new(0),
            callers_failed: AtomicU64::new(0),
            accept_failures: AtomicU64::new(0),
            ways_tried: [const { AtomicU64::new(0) }; WAYS],
            ways_counted: [const { AtomicU64::new(0) }; WAYS],
            contacts: Mutex::new(gauge),
            callers: Mutex::new(gauge),
        }
    }

    /// An outgoing visit counted.
    pub fn contact_counted(&self) {
        self.contacts_counted.fetch_add(1, Ordering::Relaxed);
    }

    /// An outgoing contact failed.
    pub fn contact_failed(&self) {
        self.contacts_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A caller's visit counted.
    pub fn caller_counted(&self) {
        self.callers_counted.fetch_add(1, Ordering::Relaxed);
    }

    /// A caller gave nothing.
    pub fn caller_failed(&self) {
        self.callers_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// `accept` failed.
    pub fn accept_failed(&self) {
        self.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// An outgoing contact tried the ways whose bits `tried` has, and counted
    /// by the way of the code `counted`.
    pub fn ways_tried(&self, tried: u8, counted: Option<u8>) {
        let all = self.ways_tried.iter().zip(&self.ways_counted);
        for (code, (tries, counts)) in (0..).zip(all) {
            if tried & 1 << code != 0 {
                tries.fetch_add(1, Ordering::Relaxed);
            }
            if counted == Some(code) {
                counts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// By the code of the way: contacts that tried it, and those of them that
    /// counted by it.
    pub fn ways(&self) -> [(u64, u64); WAYS] {
        let load = |all: &[AtomicU64; WAYS], code: usize| all[code].load(Ordering::Relaxed);
        std::array::from_fn(|code| (load(&self.ways_tried, code), load(&self.ways_counted, code)))
    }

    /// A contact is in progress from now on.
    pub fn contact_begins(&self, now: Instant) {
        self.contacts.lock().step(now, true);
    }

    /// A contact is over.
    pub fn contact_ends(&self, now: Instant) {
        self.contacts.lock().step(now, false);
    }

    /// A caller is being evaluated from now on.
    pub fn caller_begins(&self, now: Instant) {
        self.callers.lock().step(now, true);
    }

    /// A caller is done.
    pub fn caller_ends(&self, now: Instant) {
        self.callers.lock().step(now, false);
    }

    /// Everything at `now`.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let contacts = self.contacts.lock().at(now);
        let callers = *self.callers.lock();
        Snapshot {
            at: now,
            contacts_counted: self.contacts_counted.load(Ordering::Relaxed),
            contacts_failed: self.contacts_failed.load(Ordering::Relaxed),
            callers_counted: self.callers_counted.load(Ordering::Relaxed),
            callers_failed: self.callers_failed.load(Ordering::Relaxed),
            accept_failures: self.accept_failures.load(Ordering::Relaxed),
            contacts_active: contacts.level,
            callers_active: callers.level,
            contact_seconds: contacts.integral,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_way_is_counted_by_itself() {
        let stats = Stats::new(Instant::now());
        stats.ways_tried(0b0101, Some(2));
        stats.ways_tried(0b0001, None);
        stats.ways_tried(0b1000, Some(3));
        assert_eq!(stats.ways(), [(2, 0), (0, 0), (1, 1), (1, 1)]);
    }

    #[test]
    fn workload_is_the_exact_mean() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let stats = Stats::new(start);
        let first = stats.snapshot(at(0));
        stats.contact_begins(at(0));
        stats.contact_begins(at(5));
        stats.contact_ends(at(10));
        let second = stats.snapshot(at(20));
        // 5 s × 1 + 5 s × 2 + 10 s × 1 = 25 of 20 s × 4 workers.
        assert_eq!(second.workload_since(&first, 4), Some(25.0 / 80.0));
        let third = stats.snapshot(at(24));
        assert_eq!(third.workload_since(&second, 4), Some(0.25));
        assert_eq!(third.workload_since(&third, 4), None);
        assert_eq!(second.workload_since(&first, 0), None);
        assert_eq!(third.contacts_active, 1);
    }
}
