//! The only place that asks the system for the time.
//!
//! Scheduling and waiting use the monotonic [`Instant`]; stored times are
//! [`Timestamp`]s that start at the wall clock and advance with the monotonic
//! clock. A wall clock that is set back or forward in mid-run therefore never
//! bends a measured difference; the jump itself is reported by
//! [`Clock::wall_drift_ms`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::model::Timestamp;

/// Source of time, injected everywhere.
pub trait Clock: Send + Sync {
    /// Monotonic time, for waits and deadlines.
    fn now(&self) -> Instant;

    /// Time to store: wall clock at start plus monotonic time since.
    fn timestamp(&self) -> Timestamp;

    /// Both forms of one moment, for whoever needs them thousands of times a
    /// second.
    fn both(&self) -> (Instant, Timestamp) {
        (self.now(), self.timestamp())
    }

    /// How far the system's wall clock is ahead of [`Clock::timestamp`], in
    /// milliseconds.
    fn wall_drift_ms(&self) -> i64;
}

/// The system's clock.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
    wall_start: Timestamp,
}

impl SystemClock {
    /// A clock whose timestamps start at the present wall time.
    #[expect(
        clippy::new_without_default,
        reason = "reading the clock is not a default value"
    )]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            wall_start: wall(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn timestamp(&self) -> Timestamp {
        self.both().1
    }

    fn both(&self) -> (Instant, Timestamp) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.start);
        (now, self.wall_start.plus(passed))
    }

    fn wall_drift_ms(&self) -> i64 {
        wall().millis() - self.timestamp().millis()
    }
}

fn wall() -> Timestamp {
    let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp(millis)
}

/// A clock moved by hand, for tests; clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    start: Instant,
    wall_start: Timestamp,
    elapsed: Arc<Mutex<Duration>>,
}

impl ManualClock {
    /// A clock that stands still at `wall_start`.
    pub fn new(wall_start: Timestamp) -> Self {
        Self {
            start: Instant::now(),
            wall_start,
            elapsed: Arc::default(),
        }
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + *self.elapsed.lock()
    }

    fn timestamp(&self) -> Timestamp {
        self.wall_start.plus(*self.elapsed.lock())
    }

    fn wall_drift_ms(&self) -> i64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_both_times() {
        let clock = ManualClock::new(Timestamp(5_000));
        let before = clock.now();
        clock.clone().advance(Duration::from_millis(1_500));
        assert_eq!(clock.now() - before, Duration::from_millis(1_500));
        assert_eq!(clock.timestamp(), Timestamp(6_500));
    }

    #[test]
    fn system_timestamps_never_go_back() {
        let clock = SystemClock::new();
        let first = clock.timestamp();
        assert!(clock.timestamp() >= first);
        assert!(clock.wall_drift_ms().abs() < 60_000);
    }
}
