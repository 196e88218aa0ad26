//! What peers name others (BEP 11), summed up from tick to tick.

use super::Ledger;
use crate::model::record::Exchanged;
use crate::model::{Timestamp, TorrentId};
use crate::storage::row::{ExchangeRow, Row};

impl Ledger {
    /// Counts what one peer named.
    pub(super) fn exchange(&mut self, told: Exchanged) {
        if let Some(sum) = self.exchanged.get_mut(told.torrent.index()) {
            sum.received += u64::from(told.received);
            sum.duplicates += u64::from(told.duplicates);
        }
    }

    /// What peers named since the last tick.
    pub(super) fn exchange_rows(&mut self, at: Timestamp, rows: &mut Vec<Row>) {
        for (index, sum) in self.exchanged.iter_mut().enumerate() {
            let sum = std::mem::take(sum);
            let Some(torrent) = TorrentId::from_index(index) else {
                continue;
            };
            if sum.received > 0 {
                rows.push(Row::Exchange(ExchangeRow {
                    time_ms: at.millis(),
                    torrent,
                    received: sum.received,
                    duplicates: sum.duplicates,
                }));
            }
        }
    }
}
