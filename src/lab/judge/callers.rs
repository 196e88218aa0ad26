//! Callers: who of them is one peer, and who is called back. Pure.

use std::collections::HashMap;

use super::super::plan::{CallerPort, PlannedParty};
use super::super::truth::Expected;
use super::{Demand, Judge, MARGIN, Seen, Taken, turn_away};
use crate::config::settings::Identity;
use crate::model::{PieceCount, Reason};

impl Judge<'_> {
    /// Who tells where it listens is called back there behind its first visit
    /// and not behind the threshold; `seen` is in order of the ends.
    pub(super) fn check_call_backs(
        &self,
        party: &PlannedParty,
        seen: &[Seen],
        demand: &mut Demand,
    ) {
        let enough = PieceCount(self.threshold(party.torrent));
        let calls = || seen.iter().filter(|seen| !seen.outgoing);
        for back in seen.iter().filter(|seen| seen.outgoing) {
            let may_count = |call: &&Seen| !matches!(call.expected, Expected::Fails(_));
            let before = |call: &&Seen| call.ended <= back.started + MARGIN;
            if self.terms.identity == Identity::Thesis2015 {
                demand.complain("a caller was called back", party, back);
            } else if !calls().filter(may_count).any(|call| before(&call)) {
                let what = "a caller was called back before its visit had ended";
                demand.complain(what, party, back);
            }
            let long_before = |seen: &&Seen| seen.ended < back.started - MARGIN;
            let reached = |seen: &Seen| matches!(seen.expected, Expected::Counts(n) if n >= enough);
            if seen.iter().filter(long_before).any(reached) {
                let what = "a caller was called back though it had reached the threshold";
                demand.complain(what, party, back);
            }
        }
        // Three delays: one to wait, two for a slow machine.
        let latest = self.started.millis() + self.curfew() - 3 * self.terms.revisit;
        let due = |call: &Seen| match call.expected {
            Expected::Counts(pieces) => pieces < enough && call.ended < latest,
            _ => false,
        };
        if self.terms.identity == Identity::Extended
            && party.listens == Some(CallerPort::Open)
            && calls().next().is_some_and(due)
        {
            demand.called_back.0 += u64::from(seen.iter().any(|seen| seen.outgoing));
            demand.called_back.1 += 1;
        }
    }

    /// What becomes of the calls from the address of a peer. In the extended
    /// way they are refused only when they are stored, and not those of a
    /// caller that had a row by its peer id before.
    pub(super) fn turn_away(
        &self,
        party: &PlannedParty,
        (seen, taken): (&mut [Seen], Taken),
        demand: &mut Demand,
    ) {
        let extended = self.terms.identity == Identity::Extended;
        let (mut known, mut doubtful) = (false, false);
        for seen in seen.iter_mut() {
            if known {
                continue;
            }
            let late = turn_away(seen, taken);
            match seen.expected {
                Expected::Counts(_) | Expected::Between(..) => known = extended,
                Expected::Open(_) => doubtful |= extended,
                Expected::Fails(Reason::AlreadyInOutgoing) if doubtful => {
                    seen.expected = Expected::Open(PieceCount(self.plan.pieces_of(party.torrent)));
                }
                _ if late && !extended => {
                    let what = "a caller was let in though its address was known";
                    demand.complain(what, party, seen);
                }
                _ => {}
            }
        }
    }

    fn curfew(&self) -> i64 {
        i64::try_from(self.plan.curfew()).unwrap_or(i64::MAX)
    }
}

/// In 2015 callers of one torrent behind one address are one peer: all their
/// contacts become those of the first.
pub(super) fn join(callers: &[PlannedParty], seen: &mut [Vec<Seen>]) {
    let mut first: HashMap<_, usize> = HashMap::new();
    for (index, caller) in callers.iter().enumerate() {
        if !caller.is_translated() {
            continue;
        }
        let place = (caller.ip, caller.torrent);
        let leader = *first.entry(place).or_insert(index);
        if leader != index {
            let joined = seen.get_mut(index).map(std::mem::take);
            if let Some(of_leader) = seen.get_mut(leader) {
                of_leader.extend(joined.unwrap_or_default());
            }
        }
    }
}

/// Where a call and a call back end at nearly the same time, either may have
/// been stored first: each can be what the other told. `seen` is in order of
/// the ends.
pub(super) fn blur(seen: &mut [Seen]) {
    if !seen.iter().any(|seen| seen.outgoing) {
        return;
    }
    let near = |one: &Seen, next: &Seen| next.ended - one.ended <= MARGIN;
    for together in seen.chunk_by_mut(near) {
        let counted = together.iter().filter_map(|seen| match seen.expected {
            Expected::Counts(pieces) => Some((pieces, pieces)),
            Expected::Between(least, most) => Some((least, most)),
            Expected::Open(most) => Some((PieceCount(0), most)),
            Expected::Fails(_) | Expected::TurnedAway => None,
        });
        let bounds = counted.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
        let Some((least, most)) = bounds.filter(|_| together.len() > 1) else {
            continue;
        };
        for seen in together {
            seen.link = None;
            match &mut seen.expected {
                Expected::Open(greatest) => *greatest = most,
                counts @ (Expected::Counts(_) | Expected::Between(..)) => {
                    *counts = Expected::Between(least, most);
                }
                Expected::Fails(_) | Expected::TurnedAway => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Link;

    fn seen(ended: i64, outgoing: bool, expected: Expected) -> Seen {
        Seen {
            visit: 0,
            started: ended - 100,
            ended,
            over: false,
            outgoing,
            unfit: false,
            link: Some(Link::PLAIN_TCP),
            expected,
        }
    }

    fn counts(pieces: u32) -> Expected {
        Expected::Counts(PieceCount(pieces))
    }

    #[test]
    fn either_of_two_that_end_together_may_come_first() {
        let fails = Expected::Fails(Reason::Closed);
        let mut contacts = [
            seen(0, false, counts(1)),
            seen(5_000, false, counts(2)),
            seen(5_000 + MARGIN, true, counts(4)),
            seen(5_001 + MARGIN, false, fails),
            seen(9_000, true, counts(5)),
        ];
        blur(&mut contacts);
        let both = Expected::Between(PieceCount(2), PieceCount(4));
        let expected = contacts.map(|seen| seen.expected);
        assert_eq!(expected, [counts(1), both, both, fails, counts(5)]);
        // Calls of one caller do not overlap.
        let mut calls = [seen(0, false, counts(1)), seen(10, false, counts(2))];
        blur(&mut calls);
        assert_eq!(calls.map(|seen| seen.expected), [counts(1), counts(2)]);
    }
}
