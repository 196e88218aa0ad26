//! Values of when peers are visited again. Made by `config::convert`, read by
//! the contact workers.

use std::time::Duration;

/// When peers are visited again.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySettings {
    /// `peer_revisit_delay`.
    pub revisit_delay: Duration,
    /// `revisit.mode`: what follows from a peer's progress; `None` when every
    /// revisit comes after `revisit_delay`.
    pub adaptive: Option<AdaptiveSettings>,
    /// `retry.enabled`: visit a peer again after a failure.
    pub retry: bool,
    /// `retry.first_delay_seconds`: after the first failure.
    pub first_delay: Duration,
    /// `retry.tracked_delay_seconds`: after the first failure of a peer that
    /// was evaluated before.
    pub tracked_delay: Duration,
    /// `retry.factor`: growth of the delay from failure to failure.
    pub factor: f64,
    /// `retry.max_delay_seconds`: the delay never grows above.
    pub max_delay: Duration,
    /// `retry.attempts`: failures in a row after which a peer that was never
    /// evaluated is given up.
    pub attempts: u8,
    /// `retry.tracked_attempts`: the same for one that was.
    pub tracked_attempts: u8,
}

/// Revisits by what a peer's progress lets expect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveSettings {
    /// `revisit.soonest_seconds`, at most `peer_revisit_delay`.
    pub soonest: Duration,
    /// `revisit.latest_seconds`, at least `peer_revisit_delay`.
    pub latest: Duration,
    /// `revisit.early_per_second_max`: revisits sooner than
    /// `peer_revisit_delay` per second.
    pub early_per_second: f64,
}

/// `revisit.observe = "stay"`: peers that are soon to reach the threshold are
/// stayed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaySettings {
    /// `revisit.observe_threads`: peers that are stayed with at one time.
    pub threads: usize,
    /// `revisit.stay_within_seconds`: who is expected at the threshold within
    /// this time is stayed with.
    pub within: Duration,
    /// `revisit.stay_seconds_max`: longest stay.
    pub longest: Duration,
    /// `revisit.have_delay_seconds`: how long a peer may take to tell a piece
    /// that it has; `None` as its client does.
    pub have_delay: Option<Duration>,
}
