//! Which stored row belongs to which party. Addresses are not stored, so rows
//! are known by torrent, direction, client and their visits alone. Pure.

use std::collections::BTreeMap;

use super::sequence::Sequence;
use crate::model::Source;

/// What of a row is known but its visits: torrent (index), how it was found,
/// client.
pub(super) type Kind = (usize, Source, Option<String>);

/// Rows and parties that found no partner.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unmatched {
    /// Stored rows (indices) that no party explains.
    pub(super) rows: Vec<usize>,
    /// Parties (indices) that need a row and have none.
    pub(super) parties: Vec<usize>,
}

/// Gives every stored row to a party of its kind that it fits, and every
/// party that needs one a row.
pub(super) fn assign(parties: &[(Kind, Sequence)], rows: &[(Kind, Vec<u32>)]) -> Unmatched {
    let mut groups: BTreeMap<&Kind, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, (kind, _)) in parties.iter().enumerate() {
        groups.entry(kind).or_default().0.push(index);
    }
    for (index, (kind, _)) in rows.iter().enumerate() {
        groups.entry(kind).or_default().1.push(index);
    }
    let mut unmatched = Unmatched::default();
    for (of_parties, of_rows) in groups.into_values() {
        assign_group((parties, of_parties), (rows, of_rows), &mut unmatched);
    }
    unmatched
}

/// Equal rows are as good as each other, so whoever leaves no doubt takes one
/// first; the rest is a bipartite matching by augmenting paths.
fn assign_group(
    (parties, mut of_parties): (&[(Kind, Sequence)], Vec<usize>),
    (rows, of_rows): (&[(Kind, Vec<u32>)], Vec<usize>),
    unmatched: &mut Unmatched,
) {
    let mut by_visits: BTreeMap<&[u32], Vec<usize>> = BTreeMap::new();
    for row in of_rows {
        by_visits.entry(&rows[row].1).or_default().push(row);
    }
    of_parties.retain(|party| {
        let certain = parties[*party].1.certain();
        let row = certain.and_then(|visits| by_visits.get_mut(visits.as_slice())?.pop());
        row.is_none()
    });
    let rest: Vec<usize> = by_visits.into_values().flatten().collect();
    // Who needs a row goes first and then keeps one through all exchanges.
    of_parties.sort_by_key(|party| !parties[*party].1.is_needed());
    let fits = |party: usize, row: usize| parties[party].1.fits(&rows[row].1);
    let mut owners: Vec<Option<usize>> = vec![None; rest.len()];
    for party in of_parties {
        let matched = augment(party, &rest, &mut owners, &fits);
        if !matched && parties[party].1.is_needed() {
            unmatched.parties.push(party);
        }
    }
    let without = rest.iter().zip(&owners).filter(|(_, it)| it.is_none());
    unmatched.rows.extend(without.map(|(row, _)| *row));
}

/// Finds `party` a row, moving others to rows that fit them too: breadth
/// first, so that its depth does not depend on the data.
fn augment(
    party: usize,
    rows: &[usize],
    owners: &mut [Option<usize>],
    fits: &impl Fn(usize, usize) -> bool,
) -> bool {
    // For each row reached: the place in `seekers` of who wants it.
    let mut wanted_by: Vec<Option<usize>> = vec![None; rows.len()];
    // Who seeks, and the row that it would give up.
    let mut seekers: Vec<(usize, Option<usize>)> = vec![(party, None)];
    let mut next = 0;
    while let Some((seeker, _)) = seekers.get(next).copied() {
        for place in 0..rows.len() {
            if wanted_by[place].is_some() || !fits(seeker, rows[place]) {
                continue;
            }
            wanted_by[place] = Some(next);
            let Some(owner) = owners[place] else {
                hand_over(place, &wanted_by, &seekers, owners);
                return true;
            };
            seekers.push((owner, Some(place)));
        }
        next += 1;
    }
    false
}

/// Follows the chain of wishes back from the free row at `place`.
fn hand_over(
    place: usize,
    wanted_by: &[Option<usize>],
    seekers: &[(usize, Option<usize>)],
    owners: &mut [Option<usize>],
) {
    let mut free = Some(place);
    while let Some(place) = free {
        let Some((seeker, given_up)) = wanted_by[place].map(|at| seekers[at]) else {
            return;
        };
        owners[place] = Some(seeker);
        free = given_up;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sequence::Element::{Between, Exactly, Maybe};
    use super::*;

    fn party(elements: &[super::super::sequence::Element]) -> (Kind, Sequence) {
        ((0, Source::Tracker, None), Sequence(elements.to_vec()))
    }

    fn row(pieces: &[u32]) -> (Kind, Vec<u32>) {
        ((0, Source::Tracker, None), pieces.to_vec())
    }

    #[test]
    fn kinds_are_kept_apart() {
        for other in [(1, Source::Tracker, None), (0, Source::Dht, None)] {
            let found = assign(&[party(&[Exactly(1)])], &[(other, vec![1])]);
            assert_eq!((found.rows, found.parties), (vec![0], vec![0]));
        }
        assert_eq!(
            assign(&[party(&[Exactly(1)])], &[row(&[1])]),
            Unmatched::default()
        );
    }

    #[test]
    fn doubtful_parties_make_room_for_each_other() {
        let parties = [
            party(&[Between(0, 9)]),
            party(&[Between(0, 5)]),
            party(&[Between(0, 1)]),
            party(&[Maybe(3)]),
        ];
        for rows in [
            vec![row(&[1]), row(&[5]), row(&[9])],
            vec![row(&[9]), row(&[0]), row(&[1])],
            vec![row(&[1]), row(&[2]), row(&[9]), row(&[3])],
        ] {
            assert_eq!(assign(&parties, &rows), Unmatched::default(), "{rows:?}");
        }
        let found = assign(&parties, &[row(&[9]), row(&[8]), row(&[1])]);
        assert_eq!((found.rows.len(), found.parties.len()), (1, 1));
    }

    #[test]
    fn too_many_and_too_few_rows() {
        let parties = [
            party(&[Exactly(4)]),
            party(&[Exactly(4)]),
            party(&[Maybe(4)]),
        ];
        let all = [row(&[4]), row(&[4]), row(&[4])];
        assert_eq!(assign(&parties, &all), Unmatched::default());
        assert_eq!(assign(&parties, &all[..2]), Unmatched::default());
        assert_eq!(assign(&parties, &all[..1]).parties.len(), 1);
        let more = [all.to_vec(), all.to_vec()].concat();
        assert_eq!(assign(&parties, &more).rows.len(), 3);
    }
}
