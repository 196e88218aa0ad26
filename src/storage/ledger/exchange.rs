//! Peers that others than trackers and the DHT name (BEP 11, BEP 14), summed up
//! from tick to tick.

use super::Ledger;
use crate::model::Timestamp;
use crate::model::record::Exchanged;
use crate::storage::row::{ExchangeRow, Row};

impl Ledger {
    /// Counts what one peer or neighbour named.
    pub(super) fn exchange(&mut self, told: Exchanged) {
        if told.torrent.index() < self.torrents.len() {
            let sum = self
                .exchanged
                .entry((told.torrent, told.origin))
                .or_default();
            self.evidence
                .named(told.torrent, told.received, told.duplicates);
            sum.received += u64::from(told.received);
            sum.duplicates += u64::from(told.duplicates);
        }
    }

    /// What was named since the last tick.
    pub(super) fn exchange_rows(&mut self, at: Timestamp, rows: &mut Vec<Row>) {
        let time_ms = at.millis();
        let sums = std::mem::take(&mut self.exchanged).into_iter();
        rows.extend(sums.map(|((torrent, origin), sum)| {
            Row::Exchange(ExchangeRow {
                time_ms,
                torrent,
                origin: origin.as_str().into(),
                received: sum.received,
                duplicates: sum.duplicates,
            })
        }));
    }
}
