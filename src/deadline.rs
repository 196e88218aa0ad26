//! How much time is left.

use std::time::{Duration, Instant};

/// A point in time by which something must have happened.
///
/// ```
/// use std::time::{Duration, Instant};
/// use btda::deadline::Deadline;
/// let start = Instant::now();
/// let deadline = Deadline::after(start, Duration::from_secs(6));
/// assert_eq!(deadline.left(start + Duration::from_secs(2)), Some(Duration::from_secs(4)));
/// assert_eq!(deadline.left(start + Duration::from_secs(6)), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `wait` after `now`.
    pub fn after(now: Instant, wait: Duration) -> Self {
        Self(now.checked_add(wait).unwrap_or(now))
    }

    /// The time left, never zero (sockets refuse a zero timeout); `None` when
    /// the deadline has passed.
    pub fn left(self, now: Instant) -> Option<Duration> {
        self.0
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// The earlier of two deadlines.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }

    /// The point in time.
    pub const fn instant(self) -> Instant {
        self.0
    }
}
