//! What a finished run has stored, as a judge wants it: whole peers with all
//! their visits. Read once, behind the run, on any thread.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::error::StorageError;
use super::reader;
use crate::model::Link;

/// The rows of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results {
    /// Every torrent, in order of the ids.
    pub torrents: Vec<StoredTorrent>,
    /// Every peer.
    pub peers: Vec<StoredPeer>,
    /// Attempts by event and reason (`success` for those that counted).
    pub outcomes: BTreeMap<(String, String), u64>,
    /// Distinct addresses learnt, by torrent id: sum of `received_peers -
    /// duplicate_peers` over trackers, DHT and peer exchange, without callers.
    pub addresses: BTreeMap<u32, u64>,
    /// Greatest `memory_mb`.
    pub memory_mb: Option<f64>,
    /// Table `run`.
    pub facts: BTreeMap<String, String>,
}

/// A row of `torrent`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredTorrent {
    /// 40 hexadecimal digits.
    pub info_hash: String,
    /// `complete_threshold`.
    pub threshold: u32,
    /// `pieces_count`.
    pub pieces: u32,
    /// `piece_size`, in bytes.
    pub piece_size: u32,
    /// `display_name`.
    pub name: Option<String>,
}

/// A row of `peer` with its rows of `visit`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPeer {
    /// Torrent id.
    pub torrent: u32,
    /// `tracker`, `incoming` or `dht`.
    pub source: String,
    /// First eight bytes of its peer id.
    pub client: Option<String>,
    /// `first_pieces`.
    pub first: u32,
    /// `last_pieces`.
    pub last: Option<u32>,
    /// `visits`.
    pub visits: u32,
    /// Pieces of each visit, in their order.
    pub pieces: Vec<u32>,
    /// Beginning and end of each visit, in milliseconds since 1970.
    pub spans: Vec<(i64, i64)>,
    /// Rows of `crossing`: the last time below the threshold and the first at
    /// it, in milliseconds since 1970.
    pub crossings: Vec<(i64, i64)>,
    /// What each visit went over; `None` where the words are unknown.
    pub links: Vec<Option<Link>>,
    /// Whether its address is an IPv6 address.
    pub ipv6: bool,
    /// `origin`: `pex` if another peer named it first.
    pub origin: Option<String>,
}

impl Results {
    /// Reads the database at `path`.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn read(path: &Path) -> Result<Self, StorageError> {
        let database = reader::open(path)?;
        Self::of(&database).map_err(|source| StorageError::Database {
            path: path.to_owned(),
            step: "reading the results",
            source,
        })
    }

    fn of(database: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT info_hash_hex, complete_threshold, pieces_count, piece_size, display_name
                   FROM torrent ORDER BY id";
        let torrents = rows(database, sql, |row| {
            Ok(StoredTorrent {
                info_hash: row.get(0)?,
                threshold: row.get(1)?,
                pieces: row.get(2)?,
                piece_size: row.get(3)?,
                name: row.get(4)?,
            })
        })?;
        let sql = "SELECT event, reason, sum(count) FROM outcome GROUP BY event, reason";
        let outcomes = rows(database, sql, |row| {
            Ok(((row.get(0)?, row.get(1)?), whole(row, 2)?))
        })?;
        let sql = "SELECT torrent, sum(received_peers - duplicate_peers)
                   FROM (SELECT torrent, received_peers, duplicate_peers FROM request
                         WHERE source <> 'incoming'
                         UNION ALL SELECT torrent, received_peers, duplicate_peers FROM exchange)
                   GROUP BY torrent";
        let addresses = rows(database, sql, |row| Ok((row.get(0)?, whole(row, 1)?)))?;
        let sql = "SELECT max(memory_mb) FROM statistic";
        let memory_mb = database.query_row(sql, [], |row| row.get(0))?;
        let facts = rows(database, "SELECT key, value FROM run", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(Self {
            torrents,
            peers: peers(database)?,
            outcomes: outcomes.into_iter().collect(),
            addresses: addresses.into_iter().collect(),
            memory_mb,
            facts: facts.into_iter().collect(),
        })
    }
}

fn peers(database: &Connection) -> rusqlite::Result<Vec<StoredPeer>> {
    let sql = "SELECT id, torrent, source, client, first_pieces, last_pieces, visits,
                 peer_ipv6.peer IS NOT NULL, origin
               FROM peer LEFT JOIN peer_ipv6 ON peer_ipv6.peer = id
                 LEFT JOIN origin ON origin.peer = id ORDER BY id";
    let mut peers: BTreeMap<i64, StoredPeer> = rows(database, sql, |row| {
        let peer = StoredPeer {
            torrent: row.get(1)?,
            source: row.get(2)?,
            client: row.get(3)?,
            first: row.get(4)?,
            last: row.get(5)?,
            visits: row.get(6)?,
            pieces: Vec::new(),
            spans: Vec::new(),
            crossings: Vec::new(),
            links: Vec::new(),
            ipv6: row.get(7)?,
            origin: row.get(8)?,
        };
        Ok((row.get(0)?, peer))
    })?
    .into_iter()
    .collect();
    let sql = "SELECT peer, pieces, transport, encryption, time_ms, duration_ms
               FROM visit ORDER BY id";
    let mut statement = database.prepare(sql)?;
    let mut visits = statement.query([])?;
    while let Some(row) = visits.next()? {
        let id: i64 = row.get(0)?;
        let peer = peers.entry(id).or_default();
        peer.pieces.push(row.get(1)?);
        let (transport, encryption): (String, String) = (row.get(2)?, row.get(3)?);
        peer.links.push(Link::named(&transport, &encryption));
        let (end, duration): (i64, i64) = (row.get(4)?, row.get(5)?);
        peer.spans.push((end.saturating_sub(duration), end));
    }
    let sql = "SELECT peer, last_below_ms, first_at_ms FROM crossing ORDER BY id";
    for (id, bracket) in rows(database, sql, |row| {
        let bracket = (row.get(1)?, row.get(2)?);
        Ok((row.get::<_, i64>(0)?, bracket))
    })? {
        peers.entry(id).or_default().crossings.push(bracket);
    }
    Ok(peers.into_values().collect())
}

/// A number that is never negative in a database of ours.
fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

fn rows<T>(
    database: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    database.prepare(sql)?.query_map([], read)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::database::SCHEMA;

    #[test]
    fn peers_have_their_visits_in_order() {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch(SCHEMA).unwrap();
        database
            .execute_batch(
                "INSERT INTO torrent VALUES (1, '', x'00', 'ab', 10, 16384, 9, 'a', 'a', 0.1);
                 INSERT INTO peer (id, first_pieces, last_pieces, first_seen, visits, source, torrent)
                 VALUES (1, 3, 9, 0, 2, 'tracker', 1), (2, 0, NULL, 0, 1, 'incoming', 1);
                 INSERT INTO visit (peer, time_ms, pieces, messages, bitfield, have, have_all,
                   have_none, keep_alive, state, extended, port, transfer, piece, unknown, duration_ms,
                   direction, transport, encryption, ended)
                 VALUES (1, 5, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', ''),
                        (2, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', 'utp', 'rc4', ''),
                        (1, 7, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', '');
                 INSERT INTO outcome VALUES (1, 0, 'First contact', 'timed out', 2),
                                            (2, 1, 'First contact', 'timed out', 3);
                 INSERT INTO request VALUES (1, 0, 'tracker', 9, 4, NULL, NULL, NULL, 0.1, 1),
                                            (2, 0, 'incoming', 7, 0, NULL, NULL, NULL, NULL, 1);
                 INSERT INTO crossing VALUES (1, 1, 5, 3, 7, 9);
                 INSERT INTO peer_ipv6 VALUES (2);
                 INSERT INTO origin VALUES (1, 'pex');
                 INSERT INTO exchange VALUES (1, 0, 1, 'pex', 6, 4);
                 INSERT INTO run VALUES ('method', '2015');",
            )
            .unwrap();
        let results = Results::of(&database).unwrap();
        let torrent = StoredTorrent {
            info_hash: "ab".to_owned(),
            threshold: 9,
            pieces: 10,
            piece_size: 16384,
            name: Some("a".to_owned()),
        };
        assert_eq!(results.torrents, [torrent]);
        let pieces: Vec<_> = results.peers.iter().map(|peer| &peer.pieces[..]).collect();
        assert_eq!(pieces, [&[3, 9][..], &[0]]);
        assert_eq!(
            (results.peers[0].last, results.peers[1].last),
            (Some(9), None)
        );
        assert_eq!(results.peers[0].crossings, [(5, 7)]);
        let sealed = Link::named("utp", "rc4");
        assert!(sealed.is_some());
        assert_eq!(results.peers[1].links, [sealed]);
        assert_eq!(results.peers[0].links, [None, None]);
        assert_eq!([0, 1].map(|at| results.peers[at].ipv6), [false, true]);
        assert_eq!(results.peers[0].origin.as_deref(), Some("pex"));
        assert_eq!(results.peers[1].origin, None);
        let timed_out = ("First contact".to_owned(), "timed out".to_owned());
        assert_eq!(results.outcomes[&timed_out], 5);
        assert_eq!(results.addresses[&1], 7);
        assert_eq!(results.memory_mb, None);
        assert_eq!(results.facts["method"], "2015");
    }
}
