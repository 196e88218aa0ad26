//! What a row of `peer` with its visits must look like: the visits of one
//! party in their order, some of them uncertain. Pure.

use crate::model::Link;

/// A visit as it is stored: pieces, and what it went over.
pub(super) type Visit = (u32, Option<Link>);

/// One visit as it must be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// With so many pieces.
    Exactly(u32),
    /// With at least and at most so many.
    Between(u32, u32),
    /// Perhaps, with at most so many.
    Maybe(u32),
}

impl Element {
    const fn is_optional(self) -> bool {
        matches!(self, Self::Maybe(_))
    }

    const fn allows(self, pieces: u32) -> bool {
        let (least, most) = self.range();
        least <= pieces && pieces <= most
    }

    const fn range(self) -> (u32, u32) {
        match self {
            Self::Exactly(pieces) => (pieces, pieces),
            Self::Between(least, most) => (least, most),
            Self::Maybe(most) => (0, most),
        }
    }
}

/// The visits of one party, each with what it went over; `None`: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequence(pub(super) Vec<(Element, Option<Link>)>);

impl Sequence {
    /// All visits, if there is no doubt about any.
    pub(super) fn certain(&self) -> Option<Vec<Visit>> {
        let exact = |element: &(Element, Option<Link>)| match element {
            (Element::Exactly(pieces), Some(link)) => Some((*pieces, Some(*link))),
            _ => None,
        };
        self.0.iter().map(exact).collect()
    }

    /// Whether there must be a row at all.
    pub(super) fn is_needed(&self) -> bool {
        self.0.iter().any(|(element, _)| !element.is_optional())
    }

    /// Whether a row with these visits can be this party's.
    pub(super) fn fits(&self, stored: &[Visit]) -> bool {
        // Entry `k`: whether the first `k` stored visits can be explained by
        // the elements looked at so far.
        let mut explained = vec![false; stored.len() + 1];
        if let Some(none) = explained.first_mut() {
            *none = true;
        }
        for (element, over) in &self.0 {
            let mut next: Vec<bool> = explained
                .iter()
                .map(|before| *before && element.is_optional())
                .collect();
            let visits = stored.iter().zip(&explained).zip(&mut next[1..]);
            for (((pieces, link), before), after) in visits {
                let fits = over.is_none() || over == link;
                *after |= *before && fits && element.allows(*pieces);
            }
            explained = next;
        }
        explained.last() == Some(&true)
    }

    /// Whether a confirmed download must (first) and can (second) be seen in
    /// it: the first visit below `threshold`, a later last one at or above.
    pub(super) fn confirmed(&self, threshold: u32) -> (bool, bool) {
        let elements: Vec<Element> = self.0.iter().map(|(element, _)| *element).collect();
        let optional = |part: &[Element]| part.iter().all(|element| element.is_optional());
        let firsts = (0..elements.len()).filter(|at| optional(&elements[..*at]));
        let (mut certain, mut possible) = (self.is_needed(), false);
        for first in firsts {
            let (lowest, below) = elements[first].range();
            for last in first..elements.len() {
                if !optional(&elements[last + 1..]) {
                    continue;
                }
                let (at, highest) = elements[last].range();
                possible |= first < last && lowest < threshold && highest >= threshold;
                certain &= first < last && below < threshold && at >= threshold;
            }
        }
        (certain, possible)
    }
}

#[cfg(test)]
mod tests {
    use super::Element::{Between, Exactly, Maybe};
    use super::*;

    const TCP: Option<Link> = Some(Link::PLAIN_TCP);

    fn sequence(elements: &[Element]) -> Sequence {
        Sequence(elements.iter().map(|element| (*element, TCP)).collect())
    }

    fn visits(pieces: &[u32]) -> Vec<Visit> {
        pieces.iter().map(|pieces| (*pieces, TCP)).collect()
    }

    #[test]
    fn rows_fit_or_not() {
        let certain = sequence(&[Exactly(1), Exactly(2)]);
        assert_eq!(certain.certain(), Some(visits(&[1, 2])));
        assert!(certain.fits(&visits(&[1, 2])) && certain.is_needed());
        for wrong in [&[][..], &[1], &[2, 1], &[1, 2, 2]] {
            assert!(!certain.fits(&visits(wrong)), "{wrong:?}");
        }
        let doubtful = sequence(&[Maybe(5), Between(3, 7), Maybe(9)]);
        assert_eq!(doubtful.certain(), None);
        for right in [&[3][..], &[7], &[5, 5], &[0, 3], &[3, 9], &[5, 7, 0]] {
            assert!(doubtful.fits(&visits(right)), "{right:?}");
        }
        for wrong in [&[][..], &[2], &[8], &[6, 8, 1], &[5, 7, 10], &[1, 3, 1, 1]] {
            assert!(!doubtful.fits(&visits(wrong)), "{wrong:?}");
        }
        assert!(sequence(&[Maybe(3)]).fits(&[]) && !sequence(&[Maybe(3)]).is_needed());
    }

    #[test]
    fn what_it_went_over_counts() {
        let utp = Link::named("utp", "rc4");
        let both = Sequence(vec![(Exactly(1), TCP), (Exactly(2), utp)]);
        assert!(both.fits(&[(1, TCP), (2, utp)]));
        assert!(!both.fits(&[(1, utp), (2, TCP)]) && !both.fits(&visits(&[1, 2])));
        assert!(!both.fits(&[(1, TCP), (2, None)]));
        let any = Sequence(vec![(Exactly(1), None)]);
        assert!(any.fits(&[(1, utp)]) && any.certain().is_none());
    }

    #[test]
    fn confirmed_by_the_first_and_the_last() {
        for (elements, certain, possible) in [
            (&[Exactly(3), Exactly(10)][..], true, true),
            (&[Exactly(3), Exactly(4), Exactly(10)], true, true),
            (&[Exactly(9), Exactly(10)], false, false),
            (&[Exactly(3), Exactly(8)], false, false),
            (&[Exactly(10)], false, false),
            (&[Exactly(3), Exactly(10), Exactly(4)], false, false),
            (&[Exactly(3), Maybe(10)], false, true),
            (&[Exactly(3), Maybe(8)], false, false),
            (&[Exactly(3), Exactly(10), Maybe(10)], false, true),
            (&[Maybe(10), Exactly(10)], false, true),
            (&[Maybe(4), Exactly(3), Exactly(10)], true, true),
            (&[Exactly(3), Between(8, 10)], false, true),
            (&[Between(1, 4), Between(9, 10)], true, true),
            (&[], false, false),
        ] {
            assert_eq!(
                sequence(elements).confirmed(9),
                (certain, possible),
                "{elements:?}"
            );
        }
    }
}
