//! The rate of the queries of all threads together. Pure but for a lock that
//! is held for an addition.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Gives out moments that are one interval apart.
#[derive(Debug)]
pub(super) struct Pace {
    next: Mutex<Instant>,
    interval: Duration,
}

impl Pace {
    /// `per_second` moments a second from `now` on.
    pub(super) fn new(now: Instant, per_second: u32) -> Self {
        Self {
            next: Mutex::new(now),
            interval: Duration::from_secs(1) / per_second.max(1),
        }
    }

    /// How long from `now` until the caller's turn.
    pub(super) fn turn(&self, now: Instant) -> Duration {
        let mut next = self.next.lock();
        let turn = (*next).max(now);
        *next = turn + self.interval;
        turn.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_an_interval_apart_and_not_saved_up() {
        let now = Instant::now();
        let pace = Pace::new(now, 10);
        let waits = [0; 3].map(|_| pace.turn(now).as_millis());
        assert_eq!(waits, [0, 100, 200]);
        let later = now + Duration::from_secs(60);
        let waits = [0; 2].map(|_| pace.turn(later).as_millis());
        assert_eq!(waits, [0, 100]);
    }
}
