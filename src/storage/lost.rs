//! The log line of a row that is lost for good, in the form that the 2015 log
//! script turns back into SQL (contract section 7).
//!
//! A row that was stored at a later attempt is never logged in this form:
//! replaying would double it.

use std::fmt::Write as _;

use rusqlite::types::ValueRef;

use super::row::Row;

/// `[SQL: '…'] [parameters: (…)]` for a row of `peer`, `request` or
/// `statistic`; `None` for every other table.
///
/// Of the texts only `source` is told, the others become `None`: a client or
/// city may contain what the script cannot read.
pub fn lost_statement(row: &Row) -> Option<String> {
    if !matches!(row.table(), "peer" | "request" | "statistic") {
        return None;
    }
    let mut line = format!("[SQL: '{}'] [parameters: (", row.sql());
    row.with_values(|values| {
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                line.push_str(", ");
            }
            // Writing to a String cannot fail.
            let _ = match value {
                ValueRef::Integer(number) => write!(line, "{number}"),
                ValueRef::Real(number) if number.is_finite() => write!(line, "{number:?}"),
                ValueRef::Text(b"tracker") => write!(line, "'tracker'"),
                ValueRef::Text(b"dht") => write!(line, "'dht'"),
                ValueRef::Text(b"incoming") => write!(line, "'incoming'"),
                _ => write!(line, "None"),
            };
        }
    });
    line.push_str(")]");
    Some(line)
}

/// One line at level CRITICAL (that is what the logger makes of the target).
pub(super) fn log_lost(row: &Row, reason: &str) {
    let table = row.table();
    let reason = super::text::clean(reason, 200);
    match lost_statement(row) {
        Some(statement) => {
            log::error!(target: "critical", "row lost table={table} reason=\"{reason}\" {statement}");
        }
        None => log::error!(target: "critical", "row lost table={table} reason=\"{reason}\""),
    }
}

/// The same for a line of a spool file from which nothing can be read.
pub(super) fn log_unreadable(line: u64, reason: &str) {
    let reason = super::text::clean(reason, 200);
    log::error!(target: "critical", "rows lost: a line of the spool file is damaged line={line} reason=\"{reason}\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Source, TorrentId};
    use crate::storage::row::{NewPeer, PeerUpdate, RequestRow};

    #[test]
    fn the_form_of_2015() {
        let torrent = TorrentId::from_index(0).unwrap();
        let request = Row::Request(Box::new(RequestRow {
            id: 7,
            timestamp: 1_440_962_471,
            source: Source::Dht,
            received: 374,
            duplicates: 196,
            seeders: None,
            completed: None,
            leechers: None,
            duration_sec: Some(5.059_991_882_324_22),
            torrent,
        }));
        assert_eq!(
            lost_statement(&request).unwrap(),
            "[SQL: 'INSERT OR IGNORE INTO request (id, timestamp, source, received_peers, \
             duplicate_peers, seeders, completed, leechers, duration_sec, torrent) VALUES \
             (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'] [parameters: (7, 1440962471, 'dht', 374, 196, \
             None, None, None, 5.05999188232422, 1)]"
        );
    }

    #[test]
    fn other_texts_are_not_told() {
        let peer = Row::NewPeer(Box::new(NewPeer {
            id: 1,
            client: Some("', )]".into()),
            continent: Some("EU".into()),
            country: Some("DE".into()),
            latitude: Some(f64::NAN),
            longitude: Some(-0.5),
            first_pieces: 3,
            first_seen: 9,
            source: Source::Incoming,
            torrent: TorrentId::from_index(1).unwrap(),
        }));
        let line = lost_statement(&peer).unwrap();
        assert!(
            line.ends_with(
                "[parameters: (1, None, None, None, None, -0.5, 3, None, 9, None, None, 1, 'incoming', 2)]"
            ),
            "{line}"
        );
        let update = Row::PeerUpdate(PeerUpdate {
            id: 1,
            last_pieces: 4,
            last_seen: 10,
            max_speed: 1.0,
            visits: 2,
        });
        let line = lost_statement(&update).unwrap();
        assert!(
            line.ends_with("[parameters: (4, 10, 1.0, 2, 1, 2)]"),
            "{line}"
        );
        for row in [&peer, &update] {
            let values = row.with_values(|values| values.iter().len());
            assert_eq!(row.sql().matches('?').count(), values);
        }
        let fact = Row::Fact {
            key: "host".into(),
            value: String::new(),
        };
        assert_eq!(lost_statement(&fact), None);
    }
}
