//! Which stored row belongs to which party. Addresses are not stored, so rows
//! are known by torrent, direction, client and their visits alone. Pure.

use std::collections::{BTreeMap, HashMap};

use super::sequence::{Sequence, Visit};
use crate::model::Source;

/// What of a row is known but its visits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// Index of the torrent.
    pub(super) torrent: usize,
    /// How it was found.
    pub(super) source: Source,
    /// First eight bytes of its peer id.
    pub(super) client: Option<String>,
    /// Whether another peer named it (BEP 11).
    pub(super) exchanged: bool,
    /// Whether its address is an IPv6 address.
    pub(super) ipv6: bool,
}

/// A party with the visits that it must have.
pub(super) type Wanted = (Kind, Sequence);

/// A row with the visits that it has.
pub(super) type Stored = (Kind, Vec<Visit>);

/// Who belongs to whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matching {
    /// For each stored row the party (index) that explains it.
    pub(super) owners: Vec<Option<usize>>,
    /// Parties (indices) that need a row and have none.
    pub(super) parties: Vec<usize>,
}

impl Matching {
    /// Stored rows (indices) that no party explains.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        let rows = self.owners.iter().enumerate();
        rows.filter(|(_, owner)| owner.is_none())
            .map(|(row, _)| row)
    }
}

/// Gives every stored row to a party of its kind that it fits, and every
/// party that needs one a row.
pub(super) fn assign(parties: &[Wanted], rows: &[Stored]) -> Matching {
    let mut groups: BTreeMap<&Kind, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, (kind, _)) in parties.iter().enumerate() {
        groups.entry(kind).or_default().0.push(index);
    }
    for (index, (kind, _)) in rows.iter().enumerate() {
        groups.entry(kind).or_default().1.push(index);
    }
    let mut matching = Matching {
        owners: vec![None; rows.len()],
        parties: Vec::new(),
    };
    for (of_parties, of_rows) in groups.into_values() {
        assign_group((parties, of_parties), (rows, of_rows), &mut matching);
    }
    matching
}

/// Equal rows are as good as each other, so whoever leaves no doubt takes one
/// first; the rest is a bipartite matching by augmenting paths.
fn assign_group(
    (parties, mut of_parties): (&[Wanted], Vec<usize>),
    (rows, of_rows): (&[Stored], Vec<usize>),
    matching: &mut Matching,
) {
    let mut by_visits: HashMap<&[Visit], Vec<usize>> = HashMap::new();
    for row in of_rows {
        by_visits.entry(&rows[row].1).or_default().push(row);
    }
    of_parties.retain(|party| {
        let certain = parties[*party].1.certain();
        let row = certain.and_then(|visits| by_visits.get_mut(visits.as_slice())?.pop());
        if let Some(row) = row {
            matching.owners[row] = Some(*party);
        }
        row.is_none()
    });
    let mut rest: Vec<usize> = by_visits.into_values().flatten().collect();
    rest.sort_unstable();
    // Who needs a row goes first and then keeps one through all exchanges.
    of_parties.sort_by_key(|party| !parties[*party].1.is_needed());
    let fits = |party: usize, row: usize| parties[party].1.fits(&rows[row].1);
    let mut owners: Vec<Option<usize>> = vec![None; rest.len()];
    for party in of_parties {
        let matched = augment(party, &rest, &mut owners, &fits);
        if !matched && parties[party].1.is_needed() {
            matching.parties.push(party);
        }
    }
    for (row, owner) in rest.into_iter().zip(owners) {
        matching.owners[row] = owner;
    }
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

    const KIND: Kind = Kind {
        torrent: 0,
        source: Source::Tracker,
        client: None,
        exchanged: false,
        ipv6: false,
    };

    const TCP: Option<crate::model::Link> = Some(crate::model::Link::PLAIN_TCP);

    fn party(elements: &[super::super::sequence::Element]) -> (Kind, Sequence) {
        let elements = elements.iter().map(|element| (*element, TCP));
        (KIND, Sequence(elements.collect()))
    }

    fn row(pieces: &[u32]) -> (Kind, Vec<Visit>) {
        let visits = pieces.iter().map(|pieces| (*pieces, TCP));
        (KIND, visits.collect())
    }

    /// Rows and parties without a partner.
    fn unmatched(parties: &[Wanted], rows: &[Stored]) -> [usize; 2] {
        let found = assign(parties, rows);
        [found.rows().count(), found.parties.len()]
    }

    #[test]
    fn kinds_are_kept_apart() {
        let parties = [party(&[Exactly(1)])];
        let (_, visits) = row(&[1]);
        for change in [
            |kind: &mut Kind| kind.torrent = 1,
            |kind: &mut Kind| kind.source = Source::Dht,
            |kind: &mut Kind| kind.exchanged = true,
            |kind: &mut Kind| kind.ipv6 = true,
        ] {
            let mut other = KIND;
            change(&mut other);
            assert_eq!(unmatched(&parties, &[(other, visits.clone())]), [1, 1]);
        }
        let found = assign(&parties, &[row(&[1])]);
        assert_eq!((found.owners, found.parties), (vec![Some(0)], vec![]));
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
            assert_eq!(unmatched(&parties, &rows), [0, 0], "{rows:?}");
        }
        let rows = [row(&[9]), row(&[8]), row(&[1])];
        assert_eq!(unmatched(&parties, &rows), [1, 1]);
    }

    #[test]
    fn too_many_and_too_few_rows() {
        let parties = [
            party(&[Exactly(4)]),
            party(&[Exactly(4)]),
            party(&[Maybe(4)]),
        ];
        let all = [row(&[4]), row(&[4]), row(&[4])];
        assert_eq!(unmatched(&parties, &all), [0, 0]);
        assert_eq!(unmatched(&parties, &all[..2]), [0, 0]);
        assert_eq!(unmatched(&parties, &all[..1]), [0, 1]);
        let more = [all.to_vec(), all.to_vec()].concat();
        assert_eq!(unmatched(&parties, &more), [3, 0]);
    }
}
