//! The nine largest and the others, as the monitor of 2018 showed them. Pure.

use serde::Serialize;

/// Names that are shown; the rest is one entry.
const LARGEST: usize = 9;

/// Name of the rest.
pub(super) const OTHERS: &str = "Others";

/// A part of a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Share {
    /// What it is.
    pub(super) name: String,
    /// How many.
    pub(super) count: u64,
    /// Percent of the whole, in tenths.
    pub(super) percent: f64,
}

/// The nine largest of `counts`, which need no order, and the others.
pub(super) fn largest(mut counts: Vec<(String, u64)>) -> Vec<Share> {
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by(|(name, count), (other_name, other)| (other, name).cmp(&(count, other_name)));
    let whole: u64 = counts.iter().map(|(_, count)| count).sum();
    let rest: u64 = counts.iter().skip(LARGEST).map(|(_, count)| count).sum();
    counts.truncate(LARGEST);
    if rest > 0 {
        counts.push((OTHERS.to_owned(), rest));
    }
    let share = |(name, count): (String, u64)| Share {
        name,
        count,
        percent: (count as f64 / whole as f64 * 1000.0).round() / 10.0,
    };
    counts.into_iter().map(share).collect()
}

/// How often each name comes.
pub(super) fn counted(names: impl Iterator<Item = String>) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::item::grouped;

    #[test]
    fn nine_and_the_others() {
        let counts = (1..=12).map(|number| (format!("n{number:02}"), number));
        let shares = largest(counts.collect());
        assert_eq!(shares.len(), 10);
        assert_eq!((shares[0].name.as_str(), shares[0].count), ("n12", 12));
        assert_eq!((shares[9].name.as_str(), shares[9].count), (OTHERS, 6));
        assert!((shares[0].percent - 15.4).abs() < 1e-9);
        let few = counted(["b", "a", "b"].map(str::to_owned).into_iter());
        let few = largest(few);
        let few: Vec<_> = few.iter().map(|it| (it.name.as_str(), it.count)).collect();
        assert_eq!(few, [("b", 2), ("a", 1)]);
        assert_eq!(largest(vec![("none".to_owned(), 0)]), []);
    }

    #[test]
    fn digits_in_groups() {
        let shown = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
