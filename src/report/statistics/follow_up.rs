//! Who finishes after having been lost from sight: a life table with a
//! constant hazard in each interval of the time since the first visit
//! (piecewise exponential model), as survival analysis does with censored
//! individuals.

use std::collections::BTreeMap;

/// Intervals in which the length of a run is divided.
const INTERVALS: u8 = 16;

/// Steps of an interval, to which the times of those without event are rounded.
const STEPS: u16 = 16;

/// As if so many events had been seen in each interval at the usual hazard
/// (a gamma prior): what an interval says in which hardly anybody was followed.
const PRIOR_EVENTS: f64 = 1.0;

/// An expected number and its variance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Expected {
    /// The number.
    pub value: f64,
    /// Variance.
    pub variance: f64,
}

/// Individuals that were followed from their first visit to an event or to
/// their last visit. Times are shares of the run's length, 0 to 1. Memory does
/// not grow with their number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FollowUp {
    /// By interval: events, whose follow-up ended there, and the sum of the
    /// parts of the interval for which these were followed.
    ended: BTreeMap<u8, (u64, u64, f64)>,
    /// Those without event: last visit and end of the run, in steps.
    lost: BTreeMap<(u16, u16), u64>,
}

impl FollowUp {
    /// One that had the event so long after its first visit.
    pub fn event(&mut self, after: f64) {
        self.end(after, 1);
    }

    /// One that had no event until its last visit, so long after its first;
    /// the run ended `left` after its first visit.
    pub fn lost(&mut self, after: f64, left: f64) {
        self.end(after, 0);
        let times = (nearest_step(after), nearest_step(left));
        *self.lost.entry(times).or_default() += 1;
    }

    fn end(&mut self, after: f64, events: u64) {
        let scaled = after.clamp(0.0, 1.0) * f64::from(INTERVALS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 16"
        )]
        let interval = (scaled.ceil() as u8).saturating_sub(1);
        let (all, ends, parts) = self.ended.entry(interval).or_default();
        *all += events;
        *ends += 1;
        *parts += scaled - f64::from(interval);
    }

    /// Events that those without one had after their last visit, up to the end
    /// of the run, if being lost says nothing of the event; `None` if nobody
    /// was seen twice. The hazard of an interval is drawn to that of all, which
    /// has half an event more than was seen: none seen does not mean none
    /// possible.
    pub fn unseen_events(&self) -> Option<Expected> {
        let hazards = self.hazards()?;
        let mut sum = Expected::default();
        // How the sum changes with the hazard of each interval.
        let mut slopes = [0.0; INTERVALS as usize];
        for (&(last, end), &count) in &self.lost {
            let count = count as f64;
            let passed: Vec<f64> = (0..INTERVALS).map(|it| overlap(it, last, end)).collect();
            let parts = passed.iter().zip(&hazards);
            let hazard: f64 = parts.map(|(part, it)| part * it.value).sum();
            let without = (-hazard).exp();
            sum.value += count * (1.0 - without);
            sum.variance += count * without * (1.0 - without);
            for (slope, part) in slopes.iter_mut().zip(passed) {
                *slope += count * without * part;
            }
        }
        for (slope, hazard) in slopes.iter().zip(&hazards) {
            sum.variance += slope * slope * hazard.variance;
        }
        Some(sum)
    }

    /// The hazard of each interval, per interval.
    fn hazards(&self) -> Option<Vec<Expected>> {
        let mut at_risk = self.ended.values().map(|it| it.1).sum::<u64>();
        let mut followed = Vec::new();
        for interval in 0..INTERVALS {
            let ended = self.ended.get(&interval).copied();
            let (events, ends, parts) = ended.unwrap_or_default();
            at_risk = at_risk.saturating_sub(ends);
            followed.push((events as f64, at_risk as f64 + parts));
        }
        let sum = |of: fn(&(f64, f64)) -> f64| followed.iter().map(of).sum::<f64>();
        let (events, time) = (sum(|it| it.0), sum(|it| it.1));
        // Followed for less than a whole run in all, they say nothing of a hazard.
        if time < f64::from(INTERVALS) {
            return None;
        }
        let usual = (events + 0.5) / time;
        let hazard = |(events, time): (f64, f64)| {
            let time = time + PRIOR_EVENTS / usual;
            let value = (events + PRIOR_EVENTS) / time;
            let variance = value / time;
            Expected { value, variance }
        };
        Some(followed.into_iter().map(hazard).collect())
    }
}

/// The share of an interval that is between two times in steps.
fn overlap(interval: u8, from: u16, to: u16) -> f64 {
    let start = u16::from(interval) * STEPS;
    let (from, to) = (from.max(start), to.min(start + STEPS));
    f64::from(to.saturating_sub(from)) / f64::from(STEPS)
}

/// A share of the run in steps.
fn nearest_step(share: f64) -> u16 {
    let steps = f64::from(INTERVALS) * f64::from(STEPS);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 256"
    )]
    let step = (share.clamp(0.0, 1.0) * steps).round() as u16;
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::statistics::proportion::Z95;

    /// Four have the event after a quarter of the run, four are lost at the
    /// start, when that much of it is left.
    #[test]
    fn by_hand() {
        let mut of = FollowUp::default();
        for _ in 0..4 {
            of.event(0.25);
            of.lost(0.0, 0.25);
        }
        // Followed are 4 times 4 intervals, with 4 events in the last one; the
        // usual hazard is 4.5 of 16, which one event has in 16 / 4.5.
        let time = 4.0 + 16.0 / 4.5;
        let (quiet, last): (f64, f64) = (1.0 / time, 5.0 / time);
        let without = (-(3.0 * quiet + last)).exp();
        let value = 4.0 * (1.0 - without);
        let slope = 4.0 * without;
        let of_hazards = (3.0 * quiet + last) / time;
        let variance = value * without + slope * slope * of_hazards;
        let it = of.unseen_events().unwrap();
        assert!((it.value - value).abs() < 1e-9, "{it:?} {value}");
        assert!((it.variance - variance).abs() < 1e-9, "{it:?} {variance}");
    }

    #[test]
    fn nothing_is_known_of_those_whom_nobody_followed() {
        assert_eq!(FollowUp::default().unseen_events(), None);
        let mut of = FollowUp::default();
        of.lost(0.0, 1.0);
        assert_eq!(of.unseen_events(), None);
        of.lost(1.0, 1.0);
        // Nobody finished in the one run that was followed: little, but not
        // nothing is expected.
        let it = of.unseen_events().unwrap();
        assert!(
            0.2 < it.value && it.value < 0.5 && it.variance > 0.1,
            "{it:?}"
        );
    }

    /// A fixed sequence of numbers from 0 to 1: xorshift.
    fn draws(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// 200 seeded runs of 400: each comes at a time of its own, has its event
    /// at a constant hazard, and is lost at a constant hazard. The limits hold
    /// the events that nobody saw in about 95 of 100. Where those who have the
    /// event soon are lost sooner, which the report names as its bias, they
    /// fail.
    #[test]
    fn limits_hold_the_events_of_seeded_runs() {
        let covered = |informative: bool| {
            let of_seed = |seed: u64| {
                let mut draw = draws(seed);
                let (mut of, mut truth) = (FollowUp::default(), 0.0);
                for _ in 0..400 {
                    let left = 1.0 - draw() * 0.8;
                    let event = -draw().ln();
                    let lost = if informative {
                        event * draw()
                    } else {
                        -draw().ln() * 0.4
                    };
                    match (event < left, event < lost.min(left)) {
                        (true, true) => of.event(event),
                        (happened, _) => {
                            truth += f64::from(u8::from(happened));
                            of.lost(lost.min(left), left);
                        }
                    }
                }
                let it = of.unseen_events().unwrap_or_default();
                (it.value - truth).abs() <= Z95 * it.variance.sqrt()
            };
            (1..=200).filter(|seed| of_seed(*seed)).count()
        };
        let (independent, informative) = (covered(false), covered(true));
        assert!(independent >= 180, "{independent} of 200");
        assert!(informative <= 20, "{informative} of 200");
    }

    /// Times outside the run and many at one place do no harm.
    #[test]
    fn strange_times() {
        let mut of = FollowUp::default();
        of.event(7.0);
        of.lost(-1.0, 2.0);
        of.lost(0.9, 0.1);
        of.lost(0.0, f64::INFINITY);
        let it = of.unseen_events().unwrap();
        assert!(it.value.is_finite() && it.variance.is_finite(), "{it:?}");
        assert!((0.0..=3.0).contains(&it.value), "{it:?}");
    }
}
