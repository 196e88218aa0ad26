//! What the page has tracked: a SQLite file of its own, apart from every run.
//!
//! Bounded: entries beyond a number, and those older than a time, go when a
//! new one comes. Threads of the page's jobs; one connection behind a lock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::{Deserialize, Serialize};

use super::error::StorageError;
use crate::model::{InfoHash, Timestamp};

/// Name of the file in the output folder.
pub const FILE: &str = "track_history.db";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    info_hash TEXT NOT NULL,
    tracker_url TEXT NOT NULL,
    peer_count INTEGER NOT NULL,
    interval INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    incomplete INTEGER NOT NULL,
    downloaded INTEGER NOT NULL,
    error TEXT,
    next_ms INTEGER NOT NULL,
    peers TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_time ON entry (time_ms);
CREATE INDEX IF NOT EXISTS entry_swarm ON entry (info_hash, tracker_url, time_ms);
";

const COLUMNS: &str = "id, time_ms, info_hash, tracker_url, peer_count, interval, complete, incomplete, downloaded, \
                       error, next_ms, peers";

/// A peer as it is told and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedPeer {
    /// Its address; in the history a pseudonym, unless `web.store_addresses`
    /// is on.
    pub ip: String,
    /// Its port.
    pub port: u16,
    /// ISO 3166-1 alpha-2, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Its client, by the peer id that the tracker told or by a visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What a visit has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<PeerVisit>,
}

/// What a visit to a tracked peer has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerVisit {
    /// `success`, or why it gave nothing.
    pub outcome: String,
    /// Pieces it has.
    pub pieces: Option<u32>,
    /// Pieces of the torrent.
    pub pieces_count: Option<u32>,
    /// Whether it has everything.
    pub complete: Option<bool>,
    /// `tcp` or `utp`.
    pub transport: Option<String>,
    /// `plain`, `rc4` or `mse-plain`.
    pub encryption: Option<String>,
}

/// One announce and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackEntry {
    /// Number in the history; 0 before it is stored.
    pub id: i64,
    /// When it was asked.
    pub at: Timestamp,
    /// The torrent.
    pub info_hash: InfoHash,
    /// The tracker as it was asked, passkey included.
    pub tracker_url: String,
    /// Peers in the answer, those that are not listed included.
    pub peer_count: u64,
    /// Seconds that the tracker wants between announces.
    pub interval: u32,
    /// Seeders.
    pub complete: u32,
    /// Leechers.
    pub incomplete: u32,
    /// Downloads that the tracker registered, by its scrape.
    pub downloaded: u32,
    /// Why there is no answer.
    pub error: Option<String>,
    /// When it may be asked again.
    pub next: Timestamp,
    /// The peers.
    pub peers: Vec<TrackedPeer>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Part of the info hash or of the tracker's URL, in any case.
    pub text: String,
    /// Only answered, or only failed ones.
    pub answered: Option<bool>,
}

/// The file.
pub struct History {
    path: PathBuf,
    connection: Mutex<Connection>,
    most: u32,
    keep: Option<Duration>,
}

impl History {
    /// Opens or makes `path`; at most `most` entries stay in it, each for
    /// `keep` at most.
    pub fn open(path: &Path, most: u32, keep: Option<Duration>) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Database {
            path: path.to_owned(),
            step: "opening the history",
            source,
        };
        let connection = Connection::open(path).map_err(failed)?;
        let prepare = || {
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.execute_batch(SCHEMA)
        };
        prepare().map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            most,
            keep,
        })
    }

    /// Stores `entry`, and lets go what is too old or too much; its number.
    pub fn add(&self, entry: &TrackEntry) -> Result<i64, StorageError> {
        let peers = serde_json::to_string(&entry.peers).unwrap_or_else(|_| "[]".to_owned());
        let oldest = self
            .keep
            .map_or(i64::MIN, |keep| entry.at.minus(keep).millis());
        let mut connection = self.connection.lock();
        let mut store = || {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO entry (time_ms, info_hash, tracker_url, peer_count, interval, complete, incomplete,
                 downloaded, error, next_ms, peers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    entry.at.millis(),
                    entry.info_hash.to_string(),
                    entry.tracker_url,
                    i64::try_from(entry.peer_count).unwrap_or(i64::MAX),
                    entry.interval,
                    entry.complete,
                    entry.incomplete,
                    entry.downloaded,
                    entry.error,
                    entry.next.millis(),
                    peers,
                ],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.execute("DELETE FROM entry WHERE time_ms < ?", [oldest])?;
            transaction.execute(
                "DELETE FROM entry WHERE id <= (SELECT id FROM entry ORDER BY id DESC LIMIT 1 OFFSET ?)",
                [self.most],
            )?;
            transaction.commit()?;
            Ok(id)
        };
        store().map_err(|source| self.failed("storing an entry", source))
    }

    /// Stores the peers of `entry` anew, if it is still there.
    pub fn set_peers(&self, entry: &TrackEntry) -> Result<(), StorageError> {
        let peers = serde_json::to_string(&entry.peers).unwrap_or_else(|_| "[]".to_owned());
        let sql = "UPDATE entry SET peers = ? WHERE id = ?";
        let stored = self
            .connection
            .lock()
            .execute(sql, params![peers, entry.id]);
        stored
            .map(drop)
            .map_err(|source| self.failed("storing visits", source))
    }

    /// The newest entry for this swarm.
    pub fn last(
        &self,
        info_hash: InfoHash,
        tracker_url: &str,
    ) -> Result<Option<TrackEntry>, StorageError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM entry WHERE info_hash = ? AND tracker_url = ? ORDER BY time_ms DESC, id DESC LIMIT 1"
        );
        let key = params![info_hash.to_string(), tracker_url];
        let connection = self.connection.lock();
        let found = connection.query_row(&sql, key, entry).optional();
        found.map_err(|source| self.failed("reading the last entry", source))
    }

    /// How many entries are wanted.
    pub fn count(&self, wanted: &Wanted) -> Result<u64, StorageError> {
        let (condition, values) = condition(wanted);
        let sql = format!("SELECT count(*) FROM entry WHERE {condition}");
        let connection = self.connection.lock();
        let count = connection.query_row(&sql, values.as_slice(), |row| row.get::<_, i64>(0));
        count
            .map(i64::unsigned_abs)
            .map_err(|source| self.failed("counting entries", source))
    }

    /// Wanted entries, the newest first: at most `most` of them below the id
    /// `below`, after `skip` others.
    pub fn entries(
        &self,
        wanted: &Wanted,
        below: i64,
        (skip, most): (u64, u32),
    ) -> Result<Vec<TrackEntry>, StorageError> {
        let (condition, values) = condition(wanted);
        let sql = format!(
            "SELECT {COLUMNS} FROM entry WHERE {condition} AND id < {below} ORDER BY id DESC LIMIT {most} OFFSET {skip}"
        );
        let connection = self.connection.lock();
        let read = || -> rusqlite::Result<Vec<TrackEntry>> {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(values.as_slice(), entry)?;
            rows.collect()
        };
        read().map_err(|source| self.failed("reading entries", source))
    }

    /// Answers for one swarm in the order of time, the newest `most` of them.
    pub fn course(
        &self,
        info_hash: InfoHash,
        tracker_url: &str,
        most: u32,
    ) -> Result<Vec<TrackEntry>, StorageError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM entry WHERE info_hash = ? AND tracker_url = ? AND error IS NULL
             ORDER BY id DESC LIMIT {most}"
        );
        let connection = self.connection.lock();
        let read = || -> rusqlite::Result<Vec<TrackEntry>> {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params![info_hash.to_string(), tracker_url], entry)?;
            rows.collect()
        };
        let mut found = read().map_err(|source| self.failed("reading a swarm", source))?;
        found.reverse();
        Ok(found)
    }

    /// Who was asked for a swarm and answered, those asked most first: URL and
    /// answers; `most` of them.
    pub fn sources(
        &self,
        info_hash: InfoHash,
        most: u32,
    ) -> Result<Vec<(String, u64)>, StorageError> {
        let sql = format!(
            "SELECT tracker_url, count(*) FROM entry WHERE info_hash = ? AND error IS NULL
             GROUP BY tracker_url ORDER BY 2 DESC, 1 LIMIT {most}"
        );
        let connection = self.connection.lock();
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([info_hash.to_string()], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            rows.collect()
        };
        read().map_err(|source| self.failed("reading a swarm", source))
    }

    fn failed(&self, step: &'static str, source: rusqlite::Error) -> StorageError {
        StorageError::Database {
            path: self.path.clone(),
            step,
            source,
        }
    }
}

/// The condition in SQL and its values.
fn condition(wanted: &Wanted) -> (String, Vec<&dyn ToSql>) {
    let mut condition = "1".to_owned();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    if !wanted.text.is_empty() {
        condition +=
            " AND (instr(info_hash, lower(?1)) > 0 OR instr(lower(tracker_url), lower(?1)) > 0)";
        values.push(&wanted.text);
    }
    match wanted.answered {
        Some(true) => condition += " AND error IS NULL",
        Some(false) => condition += " AND error IS NOT NULL",
        None => {}
    }
    (condition, values)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<TrackEntry> {
    let info_hash: String = row.get(2)?;
    let unreadable = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let peers: String = row.get(11)?;
    Ok(TrackEntry {
        id: row.get(0)?,
        at: Timestamp(row.get(1)?),
        info_hash: info_hash
            .parse()
            .map_err(|error| unreadable(2, Box::new(error)))?,
        tracker_url: row.get(3)?,
        peer_count: row.get::<_, i64>(4)?.unsigned_abs(),
        interval: row.get(5)?,
        complete: row.get(6)?,
        incomplete: row.get(7)?,
        downloaded: row.get(8)?,
        error: row.get(9)?,
        next: Timestamp(row.get(10)?),
        peers: serde_json::from_str(&peers).map_err(|error| unreadable(11, Box::new(error)))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(hash: u8, url: &str, at: i64) -> TrackEntry {
        TrackEntry {
            id: 0,
            at: Timestamp(at),
            info_hash: InfoHash::new([hash; 20]),
            tracker_url: url.to_owned(),
            peer_count: 1,
            interval: 1800,
            complete: 2,
            incomplete: 3,
            downloaded: 4,
            error: None,
            next: Timestamp(at + 1_800_000),
            peers: vec![TrackedPeer {
                ip: "0123456789abcdef".to_owned(),
                port: 6881,
                country: Some("DE".to_owned()),
                client: None,
                visit: None,
            }],
        }
    }

    fn ids(found: &[TrackEntry]) -> Vec<i64> {
        found.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn entries_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let entry = sample(1, "udp://t.example:1", 5);
        History::open(&path, 10, None).unwrap().add(&entry).unwrap();
        let history = History::open(&path, 10, None).unwrap();
        let stored = TrackEntry { id: 1, ..entry };
        assert_eq!(
            history
                .entries(&Wanted::default(), i64::MAX, (0, 9))
                .unwrap(),
            std::slice::from_ref(&stored)
        );
        assert_eq!(
            history.last(stored.info_hash, "udp://t.example:1").unwrap(),
            Some(stored)
        );
        assert_eq!(
            history
                .last(InfoHash::new([2; 20]), "udp://t.example:1")
                .unwrap(),
            None
        );
    }

    #[test]
    fn search_filter_and_pages() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(&folder.path().join(FILE), 100, None).unwrap();
        for (number, url) in [
            "http://A.example/announce",
            "http://b.example/100%_",
            "udp://a.example:1",
        ]
        .into_iter()
        .enumerate()
        {
            history
                .add(&sample(0xa0 + u8::try_from(number).unwrap(), url, 10))
                .unwrap();
        }
        let failed = TrackEntry {
            error: Some("timed out".to_owned()),
            ..sample(0xa0, "http://A.example/announce", 11)
        };
        history.add(&failed).unwrap();
        let find = |text: &str, answered| {
            let wanted = Wanted {
                text: text.to_owned(),
                answered,
            };
            let found = history.entries(&wanted, i64::MAX, (0, 9)).unwrap();
            assert_eq!(history.count(&wanted).unwrap(), found.len() as u64);
            ids(&found)
        };
        assert_eq!(find("", None), [4, 3, 2, 1]);
        assert_eq!(find("A.EXAMPLE", None), [4, 3, 1]);
        assert_eq!(find("A1A1", None), [2]);
        assert_eq!(find("100%_", None), [2]);
        assert_eq!(find("_", None), [2], "no pattern");
        assert_eq!(find("a.example", Some(true)), [3, 1]);
        assert_eq!(find("", Some(false)), [4]);
        assert_eq!(find("' OR 1 --", None), [0i64; 0]);
        let all = Wanted::default();
        assert_eq!(
            ids(&history.entries(&all, i64::MAX, (1, 2)).unwrap()),
            [3, 2]
        );
        assert_eq!(ids(&history.entries(&all, 3, (0, 9)).unwrap()), [2, 1]);
        let course = history
            .course(InfoHash::new([0xa0; 20]), "http://A.example/announce", 9)
            .unwrap();
        assert_eq!(ids(&course), [1]);
        let dht = sample(0xa0, "dht:", 12);
        for _ in 0..2 {
            history.add(&dht).unwrap();
        }
        let sources = history.sources(dht.info_hash, 9).unwrap();
        let wanted = [("dht:", 2), ("http://A.example/announce", 1)];
        assert_eq!(sources, wanted.map(|(url, count)| (url.to_owned(), count)));
        assert_eq!(history.sources(dht.info_hash, 1).unwrap().len(), 1);
    }

    #[test]
    fn visits_are_added_to_their_entry() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(&folder.path().join(FILE), 2, None).unwrap();
        let mut entry = sample(1, "u", 0);
        entry.id = history.add(&entry).unwrap();
        history.add(&sample(1, "u", 1)).unwrap();
        entry.peers[0].visit = Some(PeerVisit {
            outcome: "success".to_owned(),
            pieces: Some(3),
            pieces_count: Some(4),
            complete: Some(false),
            transport: Some("tcp".to_owned()),
            encryption: Some("plain".to_owned()),
        });
        history.set_peers(&entry).unwrap();
        let all = || history.entries(&Wanted::default(), i64::MAX, (0, 9));
        assert_eq!(all().unwrap()[1], entry);
        assert_eq!(all().unwrap()[0].peers[0].visit, None);
        // An entry that has gone meanwhile stays so.
        history.add(&sample(1, "u", 2)).unwrap();
        history.set_peers(&entry).unwrap();
        assert_eq!(ids(&all().unwrap()), [3, 2]);
    }

    #[test]
    fn old_and_surplus_entries_go() {
        let folder = tempfile::tempdir().unwrap();
        let history =
            History::open(&folder.path().join(FILE), 3, Some(Duration::from_secs(1))).unwrap();
        let kept = || {
            ids(&history
                .entries(&Wanted::default(), i64::MAX, (0, 9))
                .unwrap())
        };
        for at in [0, 100, 200, 300] {
            history.add(&sample(1, "u", at)).unwrap();
        }
        assert_eq!(kept(), [4, 3, 2]);
        history.add(&sample(1, "u", 1250)).unwrap();
        assert_eq!(kept(), [5, 4]);
    }
}
