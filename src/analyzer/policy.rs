//! When a peer is visited again: a pure function of the outcome, the history
//! and the settings. The 2015 method is one of the settings
//! (`retry.enabled = false`, `revisit.mode = "fixed"`).

use std::time::{Duration, Instant};

use crate::config::settings::{AdaptiveSettings, PolicySettings};
use crate::model::PieceCount;

use super::scheduler::queue::History;

/// What to do with a visited peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Visit it again after this time.
    Again(Duration),
    /// The same, but only to look at its pieces.
    Look(Duration),
    /// Never visit it again.
    Done,
}

/// What the visits that counted told of a peer's way to the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    pieces: PieceCount,
    /// When these pieces were seen for the first time in a row.
    since: Instant,
    /// When they were seen for the last time.
    seen: Instant,
    /// Pieces per second at the last change, at most by halves below the
    /// speed before: who expects too much comes too early, not too late.
    /// `None` until there was a change.
    speed: Option<f64>,
    /// The most that it ever had, and when it was first seen with it. A peer that
    /// loses pieces and gets them again must not look like one on its way.
    best: (PieceCount, Instant),
    /// How long it had not been seen when it had more than ever for the last time.
    unseen: Duration,
    /// Whether there were two visits.
    known: bool,
    /// Within what time it must be expected to cross to be looked at; `None` for
    /// whom nobody looks at.
    looks: Option<Duration>,
}

impl Course {
    /// After the first visit.
    pub const fn first(pieces: PieceCount, now: Instant) -> Self {
        Self {
            pieces,
            since: now,
            seen: now,
            speed: None,
            best: (pieces, now),
            unseen: Duration::ZERO,
            known: false,
            looks: None,
        }
    }

    /// After one more visit.
    #[must_use]
    pub fn next(self, pieces: PieceCount, now: Instant) -> Self {
        if pieces == self.pieces {
            return Self {
                seen: now,
                known: true,
                ..self
            };
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let speed = (f64::from(pieces.0) - f64::from(self.pieces.0)) / seconds.max(0.001);
        let before = self.speed.unwrap_or(speed);
        let more = pieces > self.best.0;
        let unseen = now.saturating_duration_since(self.seen);
        Self {
            pieces,
            since: now,
            seen: now,
            speed: Some(speed.max(f64::midpoint(speed, before))),
            best: if more { (pieces, now) } else { self.best },
            unseen: if more { unseen } else { self.unseen },
            known: true,
            looks: self.looks,
        }
    }

    /// The same of a peer that tells its haves late, and is looked at when it is
    /// expected to cross `within` that time; `None` for all others.
    #[must_use]
    pub const fn looked_at(self, within: Option<Duration>) -> Self {
        Self {
            looks: within,
            ..self
        }
    }

    /// Seconds from `now` until the peer has `missing` pieces more, by its
    /// speed; `None` when it has none. Where nothing came for longer than the
    /// speed allows, one piece in that time is the most that is expected.
    fn expected(&self, missing: f64, now: Instant) -> Option<f64> {
        let speed = self.speed.filter(|speed| *speed > 0.0)?;
        let idle = self.idle().as_secs_f64();
        let (speed, from) = if idle * speed > 1.0 {
            (1.0 / idle, self.seen)
        } else {
            (speed, self.since)
        };
        let passed = now.saturating_duration_since(from).as_secs_f64();
        Some((missing / speed - passed).max(0.0))
    }

    /// When it is expected at `threshold`, from `now`; `None` while its speed is
    /// not known or not above 0.
    pub fn until(&self, threshold: PieceCount, now: Instant) -> Option<Duration> {
        let missing = threshold.0.saturating_sub(self.pieces.0);
        Duration::try_from_secs_f64(self.expected(missing.into(), now)?).ok()
    }

    /// How long it was seen with the same pieces.
    fn idle(&self) -> Duration {
        self.seen.saturating_duration_since(self.since)
    }
}

/// Share of the expected time after which a peer is looked at again: its
/// speed changes, and a visit before the threshold narrows the crossing.
const LEAD: f64 = 0.9;

/// Share of the usual delay after which a peer of unknown speed is seen again.
const LEARN: f64 = 1.0 / 3.0;

/// A visit for which there may be no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// One that comes sooner than usual.
    Visit,
    /// A look.
    Look,
}

/// After a visit that counted; `course` includes it. A peer at or above
/// `threshold` is never visited again (thesis), any other after
/// `peer_revisit_delay` or, with [`AdaptiveSettings`], after `adapted`; one that
/// is looked at after `look`.
/// Sooner than usual only if `room` says that there is room for it, which is
/// asked at most once for each kind.
pub fn after_success(
    settings: &PolicySettings,
    course: &Course,
    threshold: PieceCount,
    now: Instant,
    mut room: impl FnMut(Early) -> bool,
) -> Next {
    if course.pieces >= threshold {
        return Next::Done;
    }
    let usual = settings.revisit_delay;
    let Some(adaptive) = &settings.adaptive else {
        return Next::Again(usual);
    };
    if let Some(delay) = look(course, threshold, now)
        && room(Early::Look)
    {
        return Next::Look(delay);
    }
    let delay = adapted(usual, adaptive, course, threshold, now);
    if delay < usual && !room(Early::Visit) {
        return Next::Again(usual);
    }
    Next::Again(delay)
}

/// When a peer that tells its haves late is looked at again: in a quarter of the
/// time to the earliest crossing that its speed lets expect, so that none is missed
/// unless it gets four times as fast, which clients do at their end; from then on
/// as often as may be. `None` when it is not expected soon enough, or is so
/// late that it may have stopped.
fn look(course: &Course, threshold: PieceCount, now: Instant) -> Option<Duration> {
    let within = course.looks?;
    let speed = course.speed.filter(|speed| *speed > 0.0)?;
    let (best, since) = course.best;
    if course.pieces < best {
        return None;
    }
    let missing = f64::from(threshold.0.saturating_sub(best.0));
    let passed = now.saturating_duration_since(since).as_secs_f64();
    let left = missing / speed - passed;
    // The last piece may have come right behind the visit before.
    let earliest = left - course.unseen.as_secs_f64().min(1.0 / speed);
    let in_vain = LOOKS_IN_VAIN.as_secs_f64().max(1.0 / speed);
    if earliest > within.as_secs_f64() || left < -in_vain {
        return None;
    }
    let wait = (earliest * LOOK_LEAD).max(1.0 / speed / LOOKS_PER_PIECE);
    let wait = Duration::try_from_secs_f64(wait).ok()?;
    Some(wait.clamp(LOOK_PAUSE, LOOK_PAUSE.max(within)))
}

/// Share of the time to the earliest crossing after which a peer is looked at.
const LOOK_LEAD: f64 = 0.25;

/// How long a peer is looked at in vain, behind the time at which it was expected;
/// longer where it takes longer for a piece.
const LOOKS_IN_VAIN: Duration = Duration::from_secs(30);

/// Looks in the time that a peer takes for a piece, at most: the crossing of a very
/// slow one is known to so much of that time.
const LOOKS_PER_PIECE: f64 = 60.0;

/// Shortest time between two looks. Transmission 3.00 turns a second connection
/// away until it has noticed that the first is closed, which takes it half a second.
pub const LOOK_PAUSE: Duration = Duration::from_millis(700);

/// How long one look goes on behind the first word of progress: some clients tell
/// a bitfield with gaps, and the rest as haves right behind it.
pub const LOOK_LISTENS: Duration = Duration::from_millis(250);

/// What follows from a visit that was a stay and `took` so long, where `next` would
/// from any other. A peer that was to cross and did not tell so may have crossed
/// all the same: one look makes sure, no sooner behind the start of this visit than
/// any visit behind another.
pub fn after_stay(settings: &PolicySettings, next: Next, took: Duration) -> Next {
    match (next, &settings.adaptive) {
        (Next::Again(delay), Some(adaptive)) => {
            let soon = adaptive.soonest.saturating_sub(took).max(AT_ONCE);
            Next::Again(delay.min(soon))
        }
        (next, _) => next,
    }
}

/// Not to be turned away as a second connection.
const AT_ONCE: Duration = Duration::from_secs(1);

/// - Unknown speed: after a third of the usual time, to learn it.
/// - Progress: a tenth before the crossing that its speed lets expect, at
///   most after the usual time.
/// - The same pieces for the usual time or longer, or fewer than before: half
///   as long again as that lasts already, at least the usual time.
fn adapted(
    usual: Duration,
    settings: &AdaptiveSettings,
    course: &Course,
    threshold: PieceCount,
    now: Instant,
) -> Duration {
    if !course.known {
        return usual.mul_f64(LEARN).max(settings.soonest);
    }
    let idle = course.idle();
    if idle >= usual {
        return (idle / 2).clamp(usual, settings.latest);
    }
    let missing = f64::from(threshold.0.saturating_sub(course.pieces.0));
    match course.expected(missing, now) {
        Some(seconds) => Duration::try_from_secs_f64(seconds * LEAD)
            .unwrap_or(usual)
            .clamp(settings.soonest, usual),
        None => usual,
    }
}

/// After so many looks that failed in a row: the time to the next one, `None` when
/// the peer is visited again like any other. Clients turn calls away that come
/// soon behind another.
pub fn after_failed_look(failures: u32) -> Option<Duration> {
    (failures <= LOOKS_FAILED_MAX).then_some(LOOK_PAUSE * failures)
}

/// Looks that may fail in a row.
const LOOKS_FAILED_MAX: u32 = 3;

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
    use proptest::prelude::*;

    const USUAL: Duration = Duration::from_secs(300);

    const ADAPTIVE: AdaptiveSettings = AdaptiveSettings {
        soonest: Duration::from_secs(30),
        latest: Duration::from_secs(900),
        early_per_second: 20.0,
    };

    fn settings() -> PolicySettings {
        PolicySettings {
            revisit_delay: USUAL,
            adaptive: Some(ADAPTIVE),
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

    /// The delay in seconds after visits at (second, pieces), of a torrent
    /// whose threshold is 98.
    fn delay(visits: &[(u64, u32)]) -> Option<u64> {
        match next(&settings(), visits, true) {
            Next::Again(delay) => Some(delay.as_secs()),
            Next::Look(_) | Next::Done => None,
        }
    }

    fn next(settings: &PolicySettings, visits: &[(u64, u32)], room: bool) -> Next {
        let start = Instant::now();
        let (mut course, mut now) = (None, start);
        for (second, pieces) in visits {
            now = start + Duration::from_secs(*second);
            let pieces = PieceCount(*pieces);
            course = Some(course.map_or_else(
                || Course::first(pieces, now),
                |course: Course| course.next(pieces, now),
            ));
        }
        after_success(settings, &course.unwrap(), PieceCount(98), now, |_| room)
    }

    #[test]
    fn unfinished_peers_are_visited_until_the_threshold() {
        assert_eq!(delay(&[(0, 97)]), Some(100), "to learn its speed");
        assert_eq!(delay(&[(0, 98)]), None);
        assert_eq!(delay(&[(0, 10), (300, 99)]), None);
        let fixed = PolicySettings {
            adaptive: None,
            ..settings()
        };
        let always: &[&[(u64, u32)]] = &[&[(0, 0)], &[(0, 97)], &[(0, 0), (300, 97)]];
        for visits in always {
            assert_eq!(next(&fixed, visits, true), Next::Again(USUAL));
        }
    }

    #[test]
    fn a_peer_is_seen_again_shortly_before_it_is_expected_to_cross() {
        // 0.1 pieces a second, 20 to go: 200 s.
        assert_eq!(delay(&[(0, 68), (100, 78)]), Some(180));
        assert_eq!(delay(&[(0, 68), (100, 78), (280, 96)]), Some(30));
        assert_eq!(delay(&[(0, 0), (100, 10)]), Some(300), "far away");
        assert_eq!(delay(&[(0, 0), (100, 97)]), Some(30), "nearly there");
        // Slowing down is believed by halves only.
        assert_eq!(delay(&[(0, 0), (100, 50), (200, 60)]), Some(114));
        // One piece in 200 s: nothing new after 30 s says nothing.
        assert_eq!(delay(&[(0, 96), (200, 97), (230, 97)]), Some(153));
        // Two in a second, then none for a minute: not so fast any more.
        assert_eq!(delay(&[(0, 96), (1, 97), (61, 97)]), Some(54));
    }

    #[test]
    fn a_stalled_peer_is_seen_ever_later() {
        assert_eq!(delay(&[(0, 50), (100, 50)]), Some(300));
        assert_eq!(delay(&[(0, 50), (100, 50), (400, 50)]), Some(300));
        assert_eq!(delay(&[(0, 50), (900, 50)]), Some(450));
        assert_eq!(delay(&[(0, 50), (9_000, 50)]), Some(900));
        assert_eq!(delay(&[(0, 50), (300, 20)]), Some(300), "lost pieces");
    }

    #[test]
    fn without_room_for_early_visits_the_usual_time_holds() {
        assert_eq!(next(&settings(), &[(0, 97)], false), Next::Again(USUAL));
        let stalled = next(&settings(), &[(0, 50), (900, 50)], false);
        assert_eq!(stalled, Next::Again(Duration::from_secs(450)));
    }

    /// Visits a peer that loads `speed` pieces a second until it is done:
    /// seconds from its crossing to the visit that sees it, and visits.
    fn follow(settings: &PolicySettings, speed: f64, looks: Option<Duration>) -> (f64, u32) {
        let start = Instant::now();
        let (mut course, mut seconds, mut visits) = (None, 0.0, 0);
        loop {
            let now = start + Duration::from_secs_f64(seconds);
            let done = (0..100).take_while(|piece| f64::from(piece + 1) <= seconds * speed);
            let pieces = PieceCount(u32::try_from(done.count()).unwrap_or(u32::MAX));
            let seen = course.map_or_else(
                || Course::first(pieces, now),
                |course: Course| course.next(pieces, now),
            );
            let seen = seen.looked_at(looks);
            course = Some(seen);
            visits += 1;
            match after_success(settings, &seen, PieceCount(98), now, |_| true) {
                Next::Again(delay) => seconds += delay.as_secs_f64(),
                Next::Look(delay) => seconds += (delay + LOOK_LISTENS).as_secs_f64(),
                Next::Done => {
                    let crossed = 98.0 / speed;
                    return (seconds - crossed, visits);
                }
            }
        }
    }

    #[test]
    fn crossings_are_narrower_at_few_visits_more() {
        let fixed = PolicySettings {
            adaptive: None,
            ..settings()
        };
        for minutes in [8, 15, 30, 60, 300] {
            let speed = 98.0 / (f64::from(minutes) * 60.0 + 17.0);
            let ((behind, visits), (_, usual)) = (
                follow(&settings(), speed, None),
                follow(&fixed, speed, None),
            );
            // A piece more is told late by nobody's fault.
            assert!(
                behind <= 31.0 + 1.0 / speed,
                "{minutes} min: {behind} s behind"
            );
            assert!(visits <= usual + 12, "{minutes} min: {visits} and {usual}");
        }
    }

    #[test]
    fn who_tells_its_haves_late_is_looked_at_ever_sooner() {
        // 0.1 pieces a second, 20 to go: 200 s.
        let looks = |visits: &[(u64, u32)], room| {
            let start = Instant::now();
            let second = |at: u64| start + Duration::from_secs(at);
            let first = Course::first(PieceCount(visits[0].1), start);
            let next = |course: Course, (at, pieces): &(u64, u32)| {
                course.next(PieceCount(*pieces), second(*at))
            };
            let course = visits[1..].iter().fold(first, next);
            let now = second(visits[visits.len() - 1].0);
            let course = course.looked_at(Some(USUAL));
            after_success(&settings(), &course, PieceCount(98), now, |_| room)
        };
        let look = |seconds| Next::Look(Duration::from_secs_f64(seconds));
        assert_eq!(looks(&[(0, 68), (100, 78)], true), look(47.5));
        assert_eq!(looks(&[(0, 68), (100, 78)], false), Next::Again(USUAL));
        let seen_before = [(0, 68), (98, 77), (100, 78)];
        assert_eq!(
            looks(&seen_before, true),
            look(9.5),
            "twice as fast at last"
        );
        assert_eq!(looks(&[(0, 0), (100, 97)], true), look(0.7));
        assert_eq!(looks(&[(0, 95), (240, 97)], true), look(2.0), "a slow one");
        // Ten seconds a piece: late for half a minute, then no more.
        let late = |at| looks(&[(0, 87), (100, 97), (at, 97)], true);
        assert_eq!((late(109), late(140)), (look(0.7), look(0.7)));
        assert!(matches!(late(141), Next::Again(_)));
        assert!(
            matches!(looks(&[(0, 68)], true), Next::Again(_)),
            "no speed"
        );
        assert!(matches!(looks(&[(0, 0), (100, 10)], true), Next::Again(_)));
        assert_eq!(looks(&[(0, 10), (100, 98)], true), Next::Done);
    }

    #[test]
    fn a_peer_that_loses_pieces_and_gets_them_again_is_not_looked_at_for_ever() {
        let start = Instant::now();
        let mut course = Course::first(PieceCount(60), start).looked_at(Some(USUAL));
        let (mut now, mut looks) = (start, 0);
        // A piece less in each thirtieth look, and the next time it is back.
        for visit in 1..2_000 {
            let pieces = if visit % 30 == 0 { 95 } else { 97 };
            course = course.next(PieceCount(pieces), now);
            now += match after_success(&settings(), &course, PieceCount(98), now, |_| true) {
                Next::Look(delay) => {
                    looks += 1;
                    delay + LOOK_LISTENS
                }
                Next::Again(delay) => delay,
                Next::Done => panic!("it never crosses"),
            };
            if visit == 1 {
                now += Duration::from_secs(100);
            }
        }
        assert!(looks < 100, "{looks} looks");
    }

    #[test]
    fn looks_see_the_crossing_to_the_second_at_few_visits_more() {
        for minutes in [8, 15, 30, 60, 300] {
            let speed = 98.0 / (f64::from(minutes) * 60.0 + 17.0);
            let (_, usual) = follow(&settings(), speed, None);
            let (behind, visits) = follow(&settings(), speed, Some(USUAL));
            let most = f64::max(1.0, 1.0 / speed / LOOKS_PER_PIECE);
            assert!(behind <= most, "{minutes} min: {behind} s behind");
            assert!(visits <= usual + 100, "{minutes} min: {visits} and {usual}");
        }
    }

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(
            steps in prop::collection::vec((1_u64..4_000, 0_u32..120), 1..12),
            room: bool,
        ) {
            let mut at = 0;
            let visits: Vec<_> = steps.iter().map(|(wait, pieces)| { at += wait; (at, *pieces) }).collect();
            let last = visits[visits.len() - 1].1;
            match next(&settings(), &visits, room) {
                Next::Look(_) => prop_assert!(false, "nobody looks"),
                Next::Done => prop_assert!(last >= 98),
                Next::Again(delay) => {
                    prop_assert!(last < 98);
                    prop_assert!(delay >= ADAPTIVE.soonest && delay <= ADAPTIVE.latest);
                    prop_assert!(room || delay >= USUAL);
                    let before = visits.len().checked_sub(2).map(|index| visits[index].1);
                    if before.is_some_and(|before| before < last) {
                        prop_assert!(delay <= USUAL, "progress: never later than usual");
                    }
                }
            }
        }

        #[test]
        fn who_has_more_to_go_is_never_seen_sooner(
            speed in 1_u32..40, wait in 1_u64..600, one in 0_u32..97, other in 0_u32..97,
        ) {
            let (less, more) = (one.min(other), one.max(other));
            let ask = |pieces: u32| {
                delay(&[(0, pieces.saturating_sub(speed.min(pieces))), (wait, pieces)])
            };
            if less >= speed {
                prop_assert!(ask(less) >= ask(more));
            }
        }
    }

    #[test]
    fn delays_grow_to_the_cap_and_end() {
        let seconds = |history, times| match after_failure(&settings(), &failed(history, times)) {
            Next::Again(delay) => Some(delay.as_secs()),
            Next::Look(_) | Next::Done => None,
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
