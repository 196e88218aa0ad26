//! What the policy has to know of the peers that are on their way to the
//! threshold, and the room for early revisits. Called by contact workers; one
//! small lock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::settings::PolicySettings;
use crate::model::{PeerKey, PieceCount};

use super::policy::{self, Course, Early, Next};
use super::scheduler::pace::Allowance;

/// The courses of all peers that will be visited again.
#[derive(Debug, Default)]
pub struct Revisits {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    courses: HashMap<PeerKey, Course>,
    /// Whose next visit is but a look, and how many failed in a row.
    looked_at: HashMap<PeerKey, u32>,
    allowances: Option<Allowances>,
    counts: EarlyRevisits,
}

/// The room for early revisits.
#[derive(Debug)]
struct Allowances {
    all: Allowance,
    /// Looks come every second: they must not take the room of all others.
    looks: Allowance,
}

/// Share of the early revisits that may be looks.
const LOOKS_SHARE: f64 = 0.5;

impl Allowances {
    fn new(per_second: f64, now: Instant) -> Self {
        Self {
            all: Allowance::new(per_second, now),
            looks: Allowance::new(per_second * LOOKS_SHARE, now),
        }
    }

    fn take(&mut self, kind: Early, now: Instant) -> bool {
        (kind == Early::Visit || self.looks.take(now)) && self.all.take(now)
    }
}

/// Revisits that the policy wanted sooner than `peer_revisit_delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EarlyRevisits {
    /// Planned so.
    pub planned: u64,
    /// Put off to the usual time, since there were too many.
    pub put_off: u64,
    /// Planned as mere looks at the peer's pieces.
    pub looks: u64,
    /// Planned as any other visit, since there were too many looks.
    pub looks_put_off: u64,
}

/// What a peer told in a visit that counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The pieces that it has.
    pub pieces: PieceCount,
    /// The pieces that make a download.
    pub threshold: PieceCount,
    /// When it told them.
    pub at: Instant,
    /// See [`Course::looked_at`].
    pub looks: Option<Duration>,
}

impl Revisits {
    /// What follows from a visit of `key` that counted and ends at `now`.
    pub fn after_success(
        &self,
        settings: &PolicySettings,
        key: PeerKey,
        told: Told,
        now: Instant,
    ) -> Next {
        let mut state = self.state.lock();
        let State {
            courses,
            looked_at,
            allowances,
            counts,
        } = &mut *state;
        let course = courses.get(&key).map_or_else(
            || Course::first(told.pieces, told.at),
            |course| course.next(told.pieces, told.at),
        );
        let course = course.looked_at(told.looks);
        let room = |kind| {
            let Some(adaptive) = &settings.adaptive else {
                return false;
            };
            let allowances =
                allowances.get_or_insert_with(|| Allowances::new(adaptive.early_per_second, now));
            let room = allowances.take(kind, now);
            *match (kind, room) {
                (Early::Visit, true) => &mut counts.planned,
                (Early::Visit, false) => &mut counts.put_off,
                (Early::Look, true) => &mut counts.looks,
                (Early::Look, false) => &mut counts.looks_put_off,
            } += 1;
            room
        };
        let next = policy::after_success(settings, &course, told.threshold, now, room);
        if let Next::Look(_) = next {
            looked_at.insert(key, 0);
        } else {
            looked_at.remove(&key);
        }
        match next {
            Next::Again(_) | Next::Look(_) => courses.insert(key, course),
            Next::Done => courses.remove(&key),
        };
        next
    }

    /// Whether the next visit of `key` is but a look at its pieces.
    pub fn is_look(&self, key: &PeerKey) -> bool {
        self.state.lock().looked_at.contains_key(key)
    }

    /// A contact with `key` failed: the time to the next look, if it was a look and
    /// there is another one, for which there is room at `now`.
    pub fn failed_look(&self, key: &PeerKey, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock();
        let State {
            looked_at,
            allowances,
            ..
        } = &mut *state;
        let failed = looked_at.get_mut(key)?;
        *failed += 1;
        let again = policy::after_failed_look(*failed).filter(|_| {
            let room = allowances.as_mut();
            room.is_some_and(|room| room.take(Early::Look, now))
        });
        if again.is_none() {
            looked_at.remove(key);
        }
        again
    }

    /// Whether one more peer would be looked at, as far as one can tell at `now`.
    pub fn has_room_for_looks(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let allowances = state.allowances.as_ref();
        allowances.is_none_or(|it| it.looks.has_room(now) && it.all.has_room(now))
    }

    /// The next visit of `key` is one like any other.
    pub fn no_look(&self, key: &PeerKey) {
        self.state.lock().looked_at.remove(key);
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
        let mut state = self.state.lock();
        state.courses.remove(key);
        state.looked_at.remove(key);
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

    fn settings(early_per_second: f64) -> PolicySettings {
        let sources = crate::config::Sources::default();
        let config = crate::config::Config::resolve(&sources).unwrap();
        PolicySettings {
            adaptive: Some(AdaptiveSettings {
                soonest: Duration::from_secs(30),
                latest: Duration::from_secs(900),
                early_per_second,
            }),
            ..config.settings(&crate::config::Switches::default()).policy
        }
    }

    fn told(pieces: u32, at: Instant, looks: Option<Duration>) -> Told {
        Told {
            pieces: PieceCount(pieces),
            threshold: PieceCount(98),
            at,
            looks,
        }
    }

    #[test]
    fn courses_go_on_and_end_and_room_is_kept_to() {
        let settings = settings(2.0);
        let (revisits, start) = (Revisits::default(), Instant::now());
        let visit = |host, pieces, seconds| {
            let now = start + Duration::from_secs(seconds);
            let told = told(pieces, now, None);
            revisits.after_success(&settings, key(host), told, now)
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
            ..EarlyRevisits::default()
        };
        assert_eq!(revisits.early(), counts);
        assert_eq!(revisits.state.lock().courses.len(), 2);
        revisits.forget(&key(2));
        assert_eq!(revisits.state.lock().courses.len(), 1);
    }

    #[test]
    fn a_look_is_known_as_one_until_something_else_follows() {
        let settings = settings(9.0);
        let (revisits, start) = (Revisits::default(), Instant::now());
        let visit = |pieces, seconds| {
            let now = start + Duration::from_secs(seconds);
            let told = told(pieces, now, Some(Duration::from_secs(300)));
            revisits.after_success(&settings, key(1), told, now);
            revisits.is_look(&key(1))
        };
        assert!(!visit(68, 0), "its speed is not known");
        assert!(visit(78, 100));
        assert!(visit(97, 290));
        assert!(!visit(98, 300));
        assert_eq!(revisits.early().looks, 2);
        assert!(!visit(50, 400) && visit(90, 440));
        let pause = policy::LOOK_PAUSE;
        let now = start + Duration::from_secs(445);
        let failed = [(); 4].map(|()| revisits.failed_look(&key(1), now));
        let again = |times| Some(pause * times);
        assert_eq!(failed, [again(1), again(2), again(3), None]);
        assert!(!revisits.is_look(&key(1)), "visited again as usual");
        assert_eq!(revisits.failed_look(&key(1), now), None);
        assert!(visit(93, 450));
        revisits.forget(&key(1));
        assert!(!revisits.is_look(&key(1)));
    }

    #[test]
    fn looks_leave_room_for_other_visits() {
        let settings = settings(4.0);
        let (revisits, start) = (Revisits::default(), Instant::now());
        let looks = Some(Duration::from_secs(300));
        for (pieces, seconds) in [(68, 0), (78, 100)] {
            for host in 0..8 {
                let now = start + Duration::from_secs(seconds + u64::from(host));
                revisits.after_success(&settings, key(host), told(pieces, now, looks), now);
            }
        }
        // All at one moment, 110 s before their crossing: two looks, then two more
        // of the four early visits of this second, and the usual time.
        let now = start + Duration::from_secs(190);
        let next = (0..8)
            .map(|host| revisits.after_success(&settings, key(host), told(88, now, looks), now));
        let kinds: Vec<&str> = next
            .map(|next| match next {
                Next::Look(_) => "look",
                Next::Again(delay) if delay < settings.revisit_delay => "soon",
                _ => "usual",
            })
            .collect();
        let count = |kind| kinds.iter().filter(|it| **it == kind).count();
        assert_eq!(
            (count("look"), count("soon"), count("usual")),
            (2, 2, 4),
            "{kinds:?}"
        );
        assert_eq!(revisits.early().looks_put_off, 6);
    }
}
