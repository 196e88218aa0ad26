//! What a result file of ours tells of the two address families; nothing for
//! one of 2015.

use super::{Archive, cells};
use crate::storage::error::StorageError;

/// Peers of one family and torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FamilyPeers {
    /// Rows of `peer`.
    pub peers: u64,
    /// Of these, confirmed downloads at the file's own threshold.
    pub confirmed: u64,
}

/// Answers of trackers that were asked over one family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FamilyAnswers {
    /// Answers.
    pub answers: u64,
    /// Peers in them.
    pub received: u64,
    /// Known ones among them.
    pub duplicate: u64,
    /// The most seeders that one told.
    pub seeders: Option<u64>,
    /// The most leechers that one told.
    pub leechers: Option<u64>,
}

impl Archive {
    /// By torrent and family (4 or 6), from `peer` and `peer_ipv6`.
    pub fn each_family_of_peers(
        &self,
        mut take: impl FnMut(u32, u8, FamilyPeers),
    ) -> Result<(), StorageError> {
        if !self.has("peer_ipv6") {
            return Ok(());
        }
        let sql = "SELECT torrent.id, CASE WHEN peer_ipv6.peer IS NULL THEN 4 ELSE 6 END, count(*),
                     count(CASE WHEN first_pieces < complete_threshold
                                 AND last_pieces >= complete_threshold THEN 1 END)
                   FROM peer JOIN torrent ON torrent.id = peer.torrent
                     LEFT JOIN peer_ipv6 ON peer_ipv6.peer = peer.id GROUP BY 1, 2 ORDER BY 1, 2";
        self.query(sql, |row| {
            let of = FamilyPeers {
                peers: cells::count(row, 2)?,
                confirmed: cells::count(row, 3)?,
            };
            take(cells::id(row, 0)?, family(cells::count(row, 1)?), of);
            Ok(())
        })
    }

    /// By torrent and family, from `announce`; answers of which the family is
    /// not known are left out.
    pub fn each_family_of_answers(
        &self,
        mut take: impl FnMut(u32, u8, FamilyAnswers),
    ) -> Result<(), StorageError> {
        let columns = self.columns.get("announce");
        if !columns.is_some_and(|columns| columns.contains("family")) {
            return Ok(());
        }
        let sql = "SELECT request.torrent, family, count(*), sum(received_peers),
                     sum(duplicate_peers), max(announce.seeders), max(announce.leechers)
                   FROM announce JOIN request ON request.id = announce.request
                   WHERE family IN (4, 6) GROUP BY 1, 2 ORDER BY 1, 2";
        self.query(sql, |row| {
            let told = |column| -> rusqlite::Result<Option<u64>> {
                let number = cells::whole(row, column)?;
                Ok(number.and_then(|number| u64::try_from(number).ok()))
            };
            let of = FamilyAnswers {
                answers: cells::count(row, 2)?,
                received: cells::count(row, 3)?,
                duplicate: cells::count(row, 4)?,
                seeders: told(5)?,
                leechers: told(6)?,
            };
            take(cells::id(row, 0)?, family(cells::count(row, 1)?), of);
            Ok(())
        })
    }
}

const fn family(number: u64) -> u8 {
    if number == 6 { 6 } else { 4 }
}
