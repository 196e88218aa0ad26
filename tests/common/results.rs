//! Rows of a result database, as tests want them.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Params, Row};

/// A result database, also of a run that still writes.
pub(crate) struct Results(Connection);

/// A row of `peer`.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: i64,
    pub(crate) source: String,
    pub(crate) first_pieces: u32,
    pub(crate) last_pieces: Option<u32>,
    pub(crate) visits: i64,
}

impl Peer {
    /// A download that the 2015 scripts count.
    pub(crate) fn is_confirmed(&self, threshold: u32) -> bool {
        self.first_pieces < threshold && self.last_pieces.is_some_and(|last| threshold <= last)
    }
}

/// A row of `visit`.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) began_ms: i64,
    pub(crate) ended_ms: i64,
    pub(crate) pieces: u32,
    pub(crate) messages: u32,
    pub(crate) direction: String,
    pub(crate) transport: String,
    pub(crate) encryption: String,
}

/// A row of `crossing`.
#[derive(Debug)]
pub(crate) struct Crossing {
    pub(crate) last_below_ms: i64,
    pub(crate) last_below_pieces: u32,
    pub(crate) first_at_ms: i64,
    pub(crate) first_at_pieces: u32,
}

impl Results {
    /// Opens for reading.
    pub(crate) fn open(database: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Connection::open_with_flags(database, flags).map(Self)
    }

    /// The single number that `sql` asks for.
    pub(crate) fn number(&self, sql: &str, params: impl Params) -> rusqlite::Result<i64> {
        let row = self.0.query_row(sql, params, |row| row.get(0));
        row.map(|number: Option<i64>| number.unwrap_or(0))
    }

    /// The single text that `sql` asks for.
    pub(crate) fn text(&self, sql: &str, params: impl Params) -> rusqlite::Result<String> {
        self.0.query_row(sql, params, |row| row.get(0))
    }

    /// The single column that `sql` asks for.
    pub(crate) fn numbers(&self, sql: &str) -> rusqlite::Result<Vec<i64>> {
        self.rows(sql, (), |row| row.get(0))
    }

    /// `torrent.id` and `complete_threshold` by hexadecimal info hash.
    pub(crate) fn torrent(&self, hash: &str) -> rusqlite::Result<(i64, u32)> {
        let sql = "SELECT id, complete_threshold FROM torrent WHERE info_hash_hex = ?1";
        let read = |row: &Row| Ok((row.get(0)?, row.get(1)?));
        self.0.query_row(sql, [hash], read)
    }

    /// All rows of the clients that call themselves `client`.
    pub(crate) fn peers(&self, client: &str, torrent: i64) -> rusqlite::Result<Vec<Peer>> {
        let sql = "SELECT id, source, first_pieces, last_pieces, visits FROM peer
                   WHERE client = ?1 AND torrent = ?2 ORDER BY id";
        self.rows(sql, (client, torrent), |row| {
            Ok(Peer {
                id: row.get(0)?,
                source: row.get(1)?,
                first_pieces: row.get(2)?,
                last_pieces: row.get(3)?,
                visits: row.get(4)?,
            })
        })
    }

    /// The visits of a peer in order of time.
    pub(crate) fn visits(&self, peer: i64) -> rusqlite::Result<Vec<Visit>> {
        let sql = "SELECT time_ms - duration_ms, time_ms, pieces, direction, transport, encryption, messages
                   FROM visit WHERE peer = ?1 ORDER BY time_ms";
        self.rows(sql, [peer], |row| {
            Ok(Visit {
                began_ms: row.get(0)?,
                ended_ms: row.get(1)?,
                pieces: row.get(2)?,
                direction: row.get(3)?,
                transport: row.get(4)?,
                encryption: row.get(5)?,
                messages: row.get(6)?,
            })
        })
    }

    /// The crossings of a peer.
    pub(crate) fn crossings(&self, peer: i64) -> rusqlite::Result<Vec<Crossing>> {
        let sql = "SELECT last_below_ms, last_below_pieces, first_at_ms, first_at_pieces
                   FROM crossing WHERE peer = ?1";
        self.rows(sql, [peer], |row| {
            Ok(Crossing {
                last_below_ms: row.get(0)?,
                last_below_pieces: row.get(1)?,
                first_at_ms: row.get(2)?,
                first_at_pieces: row.get(3)?,
            })
        })
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.0.prepare(sql)?.query_map(params, read)?.collect()
    }
}
