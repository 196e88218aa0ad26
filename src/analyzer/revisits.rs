//! What the policy has to know of the peers that are on their way to the
//! threshold, and the room for early revisits. Called by contact workers; one
//! small lock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::settings::PolicySettings;
use crate::model::{PeerKey, PieceCount};

use super::policy::{self, Course, Next};
use super::scheduler::pace::Allowance;

/// The courses of all peers that will be visited again.
#[derive(Debug, Default)]
pub struct Revisits {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    courses: HashMap<PeerKey, Course>,
    allowance: Option<Allowance>,
    counts: EarlyRevisits,
}

/// Revisits that the policy wanted sooner than `peer_revisit_delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EarlyRevisits {
    /// Planned so.
    pub planned: u64,
    /// Put off to the usual time, since there were too many.
    pub put_off: u64,
}

impl Revisits {
    /// What follows from a visit of `key` that counted and ends at `now`;
    /// `told` is when it told its `pieces`.
    pub fn after_success(
        &self,
        settings: &PolicySettings,
        key: PeerKey,
        (pieces, threshold, told): (PieceCount, PieceCount, Instant),
        now: Instant,
    ) -> Next {
        let mut state = self.state.lock();
        let State {
            courses,
            allowance,
            counts,
        } = &mut *state;
        let course = courses.get(&key).map_or_else(
            || Course::first(pieces, told),
            |course| course.next(pieces, told),
        );
        let early = || {
            let Some(adaptive) = &settings.adaptive else {
                return false;
            };
            let allowance =
                allowance.get_or_insert_with(|| Allowance::new(adaptive.early_per_second, now));
            let room = allowance.take(now);
            *if room {
                &mut counts.planned
            } else {
                &mut counts.put_off
            } += 1;
            room
        };
        let next = policy::after_success(settings, &course, threshold, now, early);
        match next {
            Next::Again(_) => courses.insert(key, course),
            Next::Done => courses.remove(&key),
        };
        next
    }

    /// When `key`, which just told its `pieces`, is expected at the threshold,
    /// from `now`; `None` when that cannot be told.
    pub fn expected(
        &self,
        key: PeerKey,
        (pieces, threshold, told): (PieceCount, PieceCount, Instant),
        now: Instant,
    ) -> Option<Duration> {
        let course = *self.state.lock().courses.get(&key)?;
        course.next(pieces, told).until(threshold, now)
    }

    /// A call of `key` told its `pieces`, below the threshold.
    pub fn heard_call(&self, key: PeerKey, pieces: PieceCount, told: Instant) {
        let mut state = self.state.lock();
        let first = || Course::first(pieces, told);
        let next = |course: &Course| course.next(pieces, told);
        let course = state.courses.get(&key).map_or_else(first, next);
        state.courses.insert(key, course);
    }

    /// The peer will not be visited again.
    pub fn forget(&self, key: &PeerKey) {
        self.state.lock().courses.remove(key);
    }

    /// Early revisits so far.
    pub fn early(&self) -> EarlyRevisits {
        self.state.lock().counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::AdaptiveSettings;
    use crate::model::{PeerAddress, TorrentId};
    use std::time::Duration;

    fn key(host: u8) -> PeerKey {
        let address = PeerAddress::from_compact([9, 9, 9, host, 0, 80]);
        PeerKey::new(address, TorrentId::from_index(0).unwrap())
    }

    #[test]
    fn courses_go_on_and_end_and_room_is_kept_to() {
        let mut settings = crate::config::Config::resolve(&crate::config::Sources::default())
            .unwrap()
            .settings(&crate::config::Switches::default())
            .policy;
        settings.adaptive = Some(AdaptiveSettings {
            soonest: Duration::from_secs(30),
            latest: Duration::from_secs(900),
            early_per_second: 2.0,
        });
        let (revisits, start) = (Revisits::default(), Instant::now());
        let visit = |host, pieces, seconds| {
            let now = start + Duration::from_secs(seconds);
            let pieces = (PieceCount(pieces), PieceCount(98), now);
            revisits.after_success(&settings, key(host), pieces, now)
        };
        let after = |seconds| Next::Again(Duration::from_secs(seconds));
        assert_eq!(visit(1, 68, 0), after(100));
        assert_eq!(visit(2, 68, 0), after(100));
        assert_eq!(visit(3, 68, 0), after(300), "no room in this second");
        assert_eq!(visit(1, 78, 100), after(180), "its course is known");
        assert_eq!(visit(1, 98, 280), Next::Done);
        let counts = EarlyRevisits {
            planned: 3,
            put_off: 1,
        };
        assert_eq!(revisits.early(), counts);
        assert_eq!(revisits.state.lock().courses.len(), 2);
        revisits.forget(&key(2));
        assert_eq!(revisits.state.lock().courses.len(), 1);
    }
}
