//! How long our packets wait in queues on their way: the signal of LEDBAT
//! (BEP 29, "congestion control").
//!
//! The other side tells the difference of both clocks for each packet, which
//! is transmission time plus an unknown constant. The least one of the last
//! minutes stands for empty queues; what is above it is waiting.

use std::time::{Duration, Instant};

/// The least of each of these minutes is kept, so that clocks may drift.
const MINUTES: usize = 3;

const MINUTE: Duration = Duration::from_secs(60);

/// The least of so many last samples counts: one late packet is no queue.
const SAMPLES: usize = 4;

/// Delay samples of one connection.
#[derive(Debug, Default)]
pub(super) struct DelayHistory {
    /// The present minute first.
    base: [Option<u32>; MINUTES],
    began: Option<Instant>,
    samples: [Option<u32>; SAMPLES],
    next: usize,
}

impl DelayHistory {
    /// Takes a sample in microseconds and tells the waiting time at present.
    pub(super) fn note(&mut self, sample: u32, now: Instant) -> Duration {
        let began = *self.began.get_or_insert(now);
        if now.saturating_duration_since(began) >= MINUTE {
            self.base.rotate_right(1);
            self.base[0] = None;
            self.began = Some(now);
        }
        self.base[0] = earlier(self.base[0], Some(sample));
        if let Some(slot) = self.samples.get_mut(self.next) {
            *slot = Some(sample);
        }
        self.next = (self.next + 1) % SAMPLES;
        let base = self.base.into_iter().fold(None, earlier).unwrap_or(sample);
        let lately = self
            .samples
            .into_iter()
            .fold(None, earlier)
            .unwrap_or(sample);
        let above = lately.wrapping_sub(base);
        // A base of the last minute may lie above the oldest sample.
        if above > u32::MAX / 2 {
            return Duration::ZERO;
        }
        Duration::from_micros(above.into())
    }
}

/// The lower of two differences, which wrap around.
fn earlier(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) if b.wrapping_sub(a) > u32::MAX / 2 => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u32) -> u32 {
        count * 1_000
    }

    #[test]
    fn waiting_is_what_is_above_the_least() {
        let now = Instant::now();
        for constant in [0, 7_777, u32::MAX - 500] {
            let mut delay = DelayHistory::default();
            let mut note = |sample: u32| delay.note(constant.wrapping_add(sample), now);
            assert_eq!(note(millis(20)), Duration::ZERO);
            // One late packet among four is none.
            assert_eq!(note(millis(90)), Duration::ZERO);
            note(millis(80));
            note(millis(70));
            assert_eq!(note(millis(75)), Duration::from_millis(50));
            assert_eq!(note(millis(15)), Duration::ZERO);
        }
    }

    #[test]
    fn an_old_least_is_forgotten() {
        let start = Instant::now();
        let mut delay = DelayHistory::default();
        delay.note(millis(10), start);
        let mut last = Duration::ZERO;
        for minute in 1..=4 {
            for _ in 0..4 {
                last = delay.note(millis(60), start + minute * MINUTE);
            }
            if minute < 3 {
                assert_eq!(last, Duration::from_millis(50), "minute {minute}");
            }
        }
        assert_eq!(last, Duration::ZERO);
    }
}
