//! How much may be in flight, and when to send again (BEP 29: LEDBAT and
//! round-trip times).

use std::time::{Duration, Instant};

use super::SEND_MAX;
use super::delay::DelayHistory;
use super::packet::PAYLOAD_MAX;

/// Waiting time in queues that LEDBAT steers to.
const TARGET: Duration = Duration::from_millis(100);

/// Growth of the window in bytes for each round trip without any waiting.
const GAIN: i64 = 3_000;

/// Time until a packet is sent again, before any round trip is known.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);

/// The same at least and at most.
const TIMEOUT_MIN: Duration = Duration::from_millis(500);
const TIMEOUT_MAX: Duration = Duration::from_secs(15);

const WINDOW_MIN: usize = PAYLOAD_MAX;
const WINDOW_MAX: usize = 2 * SEND_MAX;

/// Window and timeout of one connection.
#[derive(Debug)]
pub(super) struct Congestion {
    window: usize,
    slow_start: bool,
    delay: DelayHistory,
    rtt: Option<(Duration, Duration)>,
    timeout: Duration,
    /// When the window was last cut for a loss.
    cut: Option<Instant>,
}

impl Default for Congestion {
    fn default() -> Self {
        Self {
            window: 2 * PAYLOAD_MAX,
            slow_start: true,
            delay: DelayHistory::default(),
            rtt: None,
            timeout: FIRST_TIMEOUT,
            cut: None,
        }
    }
}

impl Congestion {
    /// Bytes that may be in flight.
    pub(super) const fn window(&self) -> usize {
        self.window
    }

    /// Time after which an unacknowledged packet is sent again.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Takes a round trip of a packet that was sent once.
    pub(super) fn note_round_trip(&mut self, sample: Duration) {
        let (rtt, variance) = match self.rtt {
            None => (sample, sample / 2),
            Some((rtt, variance)) => (
                (rtt * 7 + sample) / 8,
                (variance * 3 + rtt.abs_diff(sample)) / 4,
            ),
        };
        self.rtt = Some((rtt, variance));
    }

    /// Something was acknowledged: the next timeout is not a repeated one.
    pub(super) fn progress(&mut self) {
        self.timeout = self.rtt.map_or(FIRST_TIMEOUT, |(rtt, variance)| {
            (rtt + variance * 4).clamp(TIMEOUT_MIN, TIMEOUT_MAX)
        });
    }

    /// `bytes` were acknowledged of `flight` that were under way; `difference`
    /// is what the other side told (0: nothing).
    pub(super) fn acknowledged(
        &mut self,
        bytes: usize,
        flight: usize,
        difference: u32,
        now: Instant,
    ) {
        if difference == 0 || bytes == 0 {
            return;
        }
        let waiting = self.delay.note(difference, now);
        let limited = flight + PAYLOAD_MAX > self.window;
        if self.slow_start && waiting * 2 > TARGET {
            self.slow_start = false;
        }
        if self.slow_start {
            if limited {
                self.set_window(self.window.saturating_add(bytes));
            }
            return;
        }
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let off = (micros(TARGET) - micros(waiting)).max(-micros(TARGET));
        let share = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let change = GAIN * off / micros(TARGET) * share(bytes) / share(self.window.max(bytes));
        if change < 0 || limited {
            let window = share(self.window).saturating_add(change).max(0);
            self.set_window(usize::try_from(window).unwrap_or(WINDOW_MIN));
        }
    }

    /// A packet was lost while others arrived; counts once for each round
    /// trip.
    pub(super) fn lost(&mut self, now: Instant) {
        let rtt = self.rtt.map_or(self.timeout, |(rtt, _)| rtt);
        let again = self
            .cut
            .is_none_or(|cut| now.saturating_duration_since(cut) >= rtt);
        if again {
            self.cut = Some(now);
            self.slow_start = false;
            self.set_window(self.window / 2);
        }
    }

    /// Nothing was acknowledged in time.
    pub(super) fn timed_out(&mut self) {
        self.timeout = (self.timeout * 2).min(TIMEOUT_MAX);
        self.slow_start = true;
        self.set_window(WINDOW_MIN);
    }

    fn set_window(&mut self, window: usize) {
        self.window = window.clamp(WINDOW_MIN, WINDOW_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_round_trips() {
        let mut control = Congestion::default();
        assert_eq!(control.timeout(), FIRST_TIMEOUT);
        control.note_round_trip(Duration::from_millis(400));
        control.progress();
        assert_eq!(control.timeout(), Duration::from_millis(1_200));
        for _ in 0..100 {
            control.note_round_trip(Duration::from_millis(20));
        }
        control.progress();
        assert_eq!(control.timeout(), TIMEOUT_MIN);
        for _ in 0..10 {
            control.timed_out();
        }
        assert_eq!(
            (control.timeout(), control.window()),
            (TIMEOUT_MAX, WINDOW_MIN)
        );
        control.progress();
        assert_eq!(control.timeout(), TIMEOUT_MIN);
    }

    #[test]
    fn the_window_grows_on_empty_queues_and_shrinks_on_full_ones() {
        let now = Instant::now();
        let mut control = Congestion::default();
        for _ in 0..100 {
            let full = control.window();
            control.acknowledged(PAYLOAD_MAX, full, 1_000, now);
        }
        assert_eq!(control.window(), WINDOW_MAX);
        for _ in 0..1_000 {
            let full = control.window();
            control.acknowledged(PAYLOAD_MAX, full, 301_000, now);
        }
        assert!(control.window() < WINDOW_MIN + 100, "{}", control.window());
        control.set_window(WINDOW_MAX / 2);
        let before = control.window();
        // Who does not use the window learns nothing about a larger one.
        for _ in 0..100 {
            control.acknowledged(10, 10, 1_000, now);
        }
        assert_eq!(control.window(), before);
    }

    #[test]
    fn a_loss_halves_once_for_each_round_trip() {
        let now = Instant::now();
        let mut control = Congestion::default();
        control.set_window(WINDOW_MAX);
        control.note_round_trip(Duration::from_millis(100));
        control.lost(now);
        control.lost(now + Duration::from_millis(50));
        assert_eq!(control.window(), WINDOW_MAX / 2);
        control.lost(now + Duration::from_millis(100));
        assert_eq!(control.window(), WINDOW_MAX / 4);
        for second in 1..20 {
            control.lost(now + Duration::from_secs(second));
        }
        assert_eq!(control.window(), WINDOW_MIN);
    }
}
