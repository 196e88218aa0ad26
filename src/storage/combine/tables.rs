//! The two files that 2015 typed by hand: sets by size, and confirmed
//! downloads by set and threshold (contract section 8).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::source::{Source, Threshold};
use super::target::Target;
use crate::storage::error::StorageError;

/// To which set each torrent belongs.
pub(super) struct Sets {
    torrents: BTreeMap<i64, Member>,
}

struct Member {
    set: &'static str,
    pieces: f64,
}

impl Sets {
    pub(super) fn read(target: &Target) -> Result<Self, StorageError> {
        let read = || -> rusqlite::Result<_> {
            let sql = "SELECT id, gigabyte, pieces_count FROM main.torrent ORDER BY id";
            let mut query = target.connection.prepare(sql)?;
            let rows = query.query_map([], |row| {
                let set = set_of(row.get(1)?);
                Ok((
                    row.get(0)?,
                    Member {
                        set,
                        pieces: row.get(2)?,
                    },
                ))
            })?;
            rows.collect()
        };
        let torrents = read().map_err(|source| target.failed("reading sizes", source))?;
        Ok(Self { torrents })
    }

    /// `torrent,set`, one line per torrent.
    pub(super) fn text(&self) -> String {
        let mut text = "torrent,set\n".to_owned();
        for (torrent, member) in &self.torrents {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "{torrent},{}", member.set);
        }
        text
    }

    /// Confirmed downloads: a line per set that has any, a column per
    /// threshold. Thresholds are rounded up in doubles, as R does it.
    pub(super) fn confirmed(
        &self,
        target: &Target,
        thresholds: &[f64],
    ) -> Result<String, StorageError> {
        let count = || -> rusqlite::Result<_> {
            let sql = "SELECT torrent, first_pieces, last_pieces FROM main.peer WHERE last_pieces IS NOT NULL";
            let mut query = target.connection.prepare(sql)?;
            let mut rows = query.query([])?;
            let mut counts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let (torrent, first, last): (i64, f64, f64) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let Some(member) = self.torrents.get(&torrent) else {
                    continue;
                };
                let of_set = counts
                    .entry(member.set)
                    .or_insert_with(|| vec![0; thresholds.len()]);
                for (count, threshold) in of_set.iter_mut().zip(thresholds) {
                    let needed = (member.pieces * threshold).ceil();
                    *count += u64::from(first < needed && needed <= last);
                }
            }
            Ok(counts)
        };
        let counts = count().map_err(|source| target.failed("counting downloads", source))?;
        let mut text = "set".to_owned();
        for threshold in thresholds {
            let _ = write!(text, ",\"{}\"", shown(*threshold));
        }
        text.push('\n');
        for (set, counts) in counts
            .iter()
            .filter(|(_, counts)| counts.iter().any(|it| *it > 0))
        {
            text.push_str(set);
            for count in counts {
                let _ = write!(text, ",{count}");
            }
            text.push('\n');
        }
        Ok(text)
    }
}

/// The set of a torrent of `gigabyte` GB.
fn set_of(gigabyte: f64) -> &'static str {
    match gigabyte {
        size if size <= 5.0 => "set_a",
        size if size <= 20.0 => "set_b",
        _ => "set_c",
    }
}

/// The threshold of the runs, and of those of the thesis the lower ones:
/// peers were not visited beyond their own.
pub(super) fn thresholds(sources: &[Source]) -> Vec<f64> {
    let configured = sources.iter().find_map(|source| {
        let text = source.facts.configured("torrent_complete_threshold");
        text.and_then(|text| text.parse::<f64>().ok())
    });
    let whole = Threshold {
        above: 0.0,
        at_most: 1.0,
    };
    let computed = sources
        .iter()
        .fold(whole, |all, source| all.and(source.threshold));
    let own = configured.unwrap_or_else(|| computed.simplest());
    let lower = [0.98, 0.75, 0.50, 0.25, 0.02]
        .into_iter()
        .filter(|it| *it < own);
    std::iter::once(own).chain(lower).collect()
}

/// With two digits at least: `0.50`.
fn shown(threshold: f64) -> String {
    let short = format!("{threshold:.2}");
    if short.parse() == Ok(threshold) {
        short
    } else {
        threshold.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_by_size() {
        let sets = [0.0, 5.0, 5.565_841_408, 20.0, 20.1, 70.0].map(set_of);
        assert_eq!(sets, ["set_a", "set_a", "set_b", "set_b", "set_c", "set_c"]);
    }

    #[test]
    fn thresholds_are_as_short_as_in_2015() {
        assert_eq!(
            [0.98, 0.5, 0.985, 1.0].map(shown),
            ["0.98", "0.50", "0.985", "1.00"]
        );
        let lower = thresholds(&[]).into_iter().map(shown);
        let lower: Vec<String> = lower.collect();
        assert_eq!(lower, ["1.00", "0.98", "0.75", "0.50", "0.25", "0.02"]);
        let of = |needed: f64, pieces: f64| Threshold {
            above: (needed - 1.0) / pieces,
            at_most: needed / pieces,
        };
        assert_eq!(shown(of(1301.0, 1327.0).simplest()), "0.98");
        assert!(of(98.0, 100.0).and(of(5000.0, 10_000.0)).is_impossible());
        assert!(!of(98.0, 100.0).and(of(9800.0, 10_000.0)).is_impossible());
    }
}
