//! Addresses by what they have shown: how many are in each class, by torrent.
//!
//! Kept as sums, since most addresses have no row: who is named is counted as
//! listed, and a record tells each rise. A caller counts from its first visit
//! on, and so does a peer; the address that it was named by then counts no
//! more.

use std::collections::BTreeMap;

use super::super::row::{EvidenceRow, Row};
use crate::model::record::EvidenceStep;
use crate::model::{Evidence, TorrentId};

type Classes = [i64; Evidence::COUNT];

/// The counts, and those that the database has.
#[derive(Debug, Default)]
pub(super) struct EvidenceCounts {
    now: BTreeMap<TorrentId, Classes>,
    told: BTreeMap<TorrentId, Classes>,
}

impl EvidenceCounts {
    /// So many addresses were named that nobody had named before.
    pub(super) fn named(&mut self, torrent: TorrentId, received: u32, duplicates: u32) {
        let new = i64::from(received) - i64::from(duplicates);
        self.add(torrent, Evidence::Listed, new);
    }

    /// An address without a row rises.
    pub(super) fn step(&mut self, step: EvidenceStep) {
        self.rise(step.torrent, Some(step.before), Some(step.now));
    }

    /// One address less in a class, one more in another.
    pub(super) fn rise(
        &mut self,
        torrent: TorrentId,
        from: Option<Evidence>,
        to: Option<Evidence>,
    ) {
        if let Some(from) = from {
            self.add(torrent, from, -1);
        }
        if let Some(to) = to {
            self.add(torrent, to, 1);
        }
    }

    /// The rows of the counts that have changed since the last call. A visit
    /// can be told before the answer that named its peer, so a count may be
    /// below 0 for a moment; it is told as 0 then.
    pub(super) fn rows(&mut self, rows: &mut Vec<Row>) {
        for (torrent, now) in &self.now {
            let told = self.told.entry(*torrent).or_insert([-1; Evidence::COUNT]);
            for class in Evidence::ALL {
                let of = |classes: &Classes| classes.get(class.index()).copied();
                if of(now) != of(told) {
                    rows.push(Row::Evidence(EvidenceRow {
                        torrent: *torrent,
                        class: class.as_str().into(),
                        addresses: of(now).map_or(0, |count| u64::try_from(count).unwrap_or(0)),
                    }));
                }
            }
            *told = *now;
        }
    }

    fn add(&mut self, torrent: TorrentId, class: Evidence, count: i64) {
        let classes = self.now.entry(torrent).or_default();
        if let Some(sum) = classes.get_mut(class.index()) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests;
