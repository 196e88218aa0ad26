//! Whether the crossings that were stored are when they took place: those of
//! the parties that finish while somebody is connected, whose truth is known to
//! the millisecond. Pure.

use std::collections::BTreeMap;

use super::super::behaviour::Behaviour;
use super::super::truth::Contact;
use super::judgement::{CrossingJudgement, Judgement};
use super::matching::Matching;
use super::{Judge, MARGIN};
use crate::storage::Results;

/// Both clocks are read in whole milliseconds, each from a start of its own.
const CLOCKS: i64 = 2;

/// A bracket as stored: last below, first at.
type Bracket = (i64, i64);

impl Judge<'_> {
    /// Keeps when `party` (peers, then callers) reached the threshold in
    /// `contact`.
    pub(super) fn take_finish(&mut self, contact: &Contact, party: usize) {
        let enough = self.threshold(contact.torrent);
        let reached = contact.arrived.iter().find(|(_, has)| *has >= enough);
        if let Some((at, _)) = reached {
            self.finishes.push((party, at.millis()));
        }
    }

    /// Holds each bracket of a party that finishes against its own time. Equal
    /// rows of a torrent may be each other's, so each bracket needs the time of
    /// any of these parties that no other one needs; and where a row of another
    /// party has the bracket for a time that is left, the two were exchanged.
    pub(super) fn judge_crossings(
        &self,
        results: &Results,
        matching: &Matching,
        judgement: &mut Judgement,
    ) {
        let mut times: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for (party, at) in &self.finishes {
            if let Some(party) = self.party(*party) {
                times.entry(party.torrent).or_default().push(*at);
            }
        }
        let mut brackets: BTreeMap<usize, Vec<Bracket>> = BTreeMap::new();
        let mut others: BTreeMap<usize, Vec<Bracket>> = BTreeMap::new();
        for (owner, row) in matching.owners.iter().zip(&results.peers) {
            if let Some(party) = owner.and_then(|owner| self.party(owner)) {
                let all = match party.behaviour {
                    Behaviour::Finishes => &mut brackets,
                    _ => &mut others,
                };
                all.entry(party.torrent).or_default().extend(&row.crossings);
            }
        }
        let mut judged = CrossingJudgement::default();
        let mut wrong = Vec::new();
        for (torrent, brackets) in &brackets {
            let times = times.get(torrent).map_or(&[][..], Vec::as_slice);
            let others = others.get(torrent).map_or(&[][..], Vec::as_slice);
            let outside = |margin| {
                let (mut without, left) = without_time(brackets, times, margin);
                let exchanged = left.len() - without_time(others, &left, margin).1.len();
                without.truncate(without.len().saturating_sub(exchanged));
                without
            };
            judged.brackets += brackets.len() as u64;
            judged.hold += (brackets.len() - outside(CLOCKS).len()) as u64;
            let number = torrent + 1;
            let text = |(below, at): &Bracket| {
                format!("torrent={number} last_below_ms={below} first_at_ms={at}")
            };
            wrong.extend(outside(MARGIN).iter().map(text));
            let widths = brackets.iter().map(|(below, at)| at - below);
            judged.widths.extend(widths);
        }
        judged.widths.sort_unstable();
        judgement.crossings = judged;
        judgement.find("crossings that are not when the peer finished", &wrong);
    }
}

/// Those of `brackets` that, made longer by `margin` on both sides, hold no
/// time of their own, and the times that are left. The bracket that ends first
/// takes the earliest time.
fn without_time(brackets: &[Bracket], times: &[i64], margin: i64) -> (Vec<Bracket>, Vec<i64>) {
    let mut brackets = brackets.to_vec();
    brackets.sort_unstable_by_key(|(below, at)| (*at, *below));
    let mut times = times.to_vec();
    times.sort_unstable();
    brackets.retain(|(below, at)| {
        let inside = below - margin..=at + margin;
        let found = times.iter().position(|time| inside.contains(time));
        found.map(|place| times.remove(place)).is_none()
    });
    (brackets, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bracket_needs_a_time_of_its_own() {
        let brackets = [(10, 40), (20, 30), (100, 110)];
        assert_eq!(without_time(&brackets, &[25, 35, 105], 0), (vec![], vec![]));
        // The short one takes the only time that it can have.
        assert_eq!(without_time(&brackets, &[15, 25, 105], 0), (vec![], vec![]));
        assert_eq!(
            without_time(&brackets, &[25, 105], 0),
            (vec![(10, 40)], vec![])
        );
        assert_eq!(
            without_time(&brackets, &[25, 35, 112], 1),
            (vec![(100, 110)], vec![112])
        );
        assert_eq!(without_time(&brackets, &[25, 35, 112], 2), (vec![], vec![]));
        let none = without_time(&brackets, &[], 9).0;
        assert_eq!(none, [(20, 30), (10, 40), (100, 110)]);
    }
}
