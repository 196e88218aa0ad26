//! When a peer is visited again: a pure function of the outcome, the history
//! and the settings. The 2015 method is one of the settings
//! (`retry.enabled = false`).

use std::time::Duration;

use crate::config::settings::PolicySettings;

use super::scheduler::queue::History;

/// What to do with a visited peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Visit it again after this time.
    Again(Duration),
    /// Never visit it again.
    Done,
}

/// After a visit that counted: again after `peer_revisit_delay` until the
/// peer has reached `torrent_complete_threshold` (thesis: then never again).
pub fn after_success(settings: &PolicySettings, reached_threshold: bool) -> Next {
    if reached_threshold {
        Next::Done
    } else {
        Next::Again(settings.revisit_delay)
    }
}

/// After a failure; `history` includes it. The delay grows by `factor` from
/// failure to failure up to `max_delay`; it starts shorter for a peer that
/// was evaluated before, whose crossing would otherwise be missed.
pub fn after_failure(settings: &PolicySettings, history: &History) -> Next {
    let (first, attempts) = if history.successes > 0 {
        (settings.tracked_delay, settings.tracked_attempts)
    } else {
        (settings.first_delay, settings.attempts)
    };
    if !settings.retry || history.failures >= attempts {
        return Next::Done;
    }
    let growth = settings
        .factor
        .max(1.0)
        .powi(i32::from(history.failures.saturating_sub(1)));
    let limit = settings.max_delay.as_secs_f64();
    let seconds = (first.as_secs_f64() * growth).min(limit);
    Next::Again(Duration::try_from_secs_f64(seconds).unwrap_or(settings.max_delay))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;

    fn settings() -> PolicySettings {
        PolicySettings {
            revisit_delay: Duration::from_secs(300),
            retry: true,
            first_delay: Duration::from_secs(600),
            tracked_delay: Duration::from_secs(120),
            factor: 2.0,
            max_delay: Duration::from_secs(2_000),
            attempts: 4,
            tracked_attempts: 3,
        }
    }

    fn failed(history: History, times: usize) -> History {
        (0..times).fold(history, |history, _| history.with_failure(Reason::TimedOut))
    }

    #[test]
    fn unfinished_peers_are_visited_until_the_threshold() {
        assert_eq!(
            after_success(&settings(), false),
            Next::Again(Duration::from_secs(300))
        );
        assert_eq!(after_success(&settings(), true), Next::Done);
    }

    #[test]
    fn delays_grow_to_the_cap_and_end() {
        let seconds = |history, times| match after_failure(&settings(), &failed(history, times)) {
            Next::Again(delay) => Some(delay.as_secs()),
            Next::Done => None,
        };
        let unknown = History::default();
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| seconds(unknown, n)),
            [Some(600), Some(1_200), Some(2_000), None, None]
        );
        let tracked = History::default().with_success();
        assert_eq!(
            [1, 2, 3, 4].map(|n| seconds(tracked, n)),
            [Some(120), Some(240), None, None]
        );
    }

    #[test]
    fn a_success_starts_the_count_anew() {
        let history = failed(
            failed(History::default().with_success(), 2).with_success(),
            1,
        );
        assert_eq!(
            after_failure(&settings(), &history),
            Next::Again(Duration::from_secs(120))
        );
    }

    #[test]
    fn the_2015_method_drops_a_peer_at_its_first_failure() {
        let settings = PolicySettings {
            retry: false,
            ..settings()
        };
        assert_eq!(
            after_failure(&settings, &failed(History::default(), 1)),
            Next::Done
        );
        assert_eq!(
            after_failure(&settings, &failed(History::default().with_success(), 1)),
            Next::Done
        );
    }

    #[test]
    fn absurd_growth_stays_at_the_cap() {
        let settings = PolicySettings {
            factor: 1e300,
            attempts: u8::MAX,
            ..settings()
        };
        assert_eq!(
            after_failure(&settings, &failed(History::default(), 200)),
            Next::Again(settings.max_delay)
        );
    }
}
