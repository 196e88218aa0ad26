//! Tables `evidence` and `doubt`.

use std::collections::BTreeMap;

use super::Client;
use crate::model::Evidence;
use crate::outside::outside_text;

/// Addresses by what they have shown, and peers whose pieces are doubted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvidenceTally {
    /// By torrent, in the order of [`Evidence::ALL`].
    pub classes: BTreeMap<u32, [u64; Evidence::COUNT]>,
    /// By reason and client.
    pub doubts: BTreeMap<(String, Client), u64>,
}

impl EvidenceTally {
    /// A row of `evidence`; a class of another program is left out.
    pub fn class(&mut self, torrent: u32, class: &str, addresses: u64) {
        let place = Evidence::ALL.iter().position(|it| it.as_str() == class);
        let classes = self.classes.entry(torrent).or_default();
        if let Some(sum) = place.and_then(|place| classes.get_mut(place)) {
            *sum = sum.saturating_add(addresses);
        }
    }

    /// A row of `doubt`, with its peer's client.
    pub fn doubt(&mut self, client: Option<&str>, reason: &str) {
        let key = (outside_text(reason.as_bytes()), Client::of(client));
        *self.doubts.entry(key).or_default() += 1;
    }

    /// All torrents together.
    pub fn all(&self) -> [u64; Evidence::COUNT] {
        let mut sums = [0; Evidence::COUNT];
        for classes in self.classes.values() {
            for (sum, count) in sums.iter_mut().zip(classes) {
                *sum += count;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_add_up_and_strange_ones_do_not_count() {
        let mut tally = EvidenceTally::default();
        tally.class(1, "listed", 5);
        tally.class(1, "crossing seen", 2);
        tally.class(2, "listed", 1);
        tally.class(2, "invented", 9);
        assert_eq!(tally.classes[&1], [5, 0, 0, 0, 2]);
        assert_eq!(tally.all(), [6, 0, 0, 0, 2]);
        tally.doubt(Some("-XL0012-"), "always zero");
        tally.doubt(Some("-XL0019-"), "always zero");
        tally.doubt(None, "lost\npieces");
        let counts: Vec<u64> = tally.doubts.values().copied().collect();
        assert_eq!(counts, [2, 1]);
    }
}
