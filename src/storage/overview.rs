//! A result file as the page shows it, finished or while a run writes it.
//! Read on a thread of a job, with a connection of its own that is closed at
//! once; files of 2015 have only a part of the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, Row};
use serde::Serialize;

use super::error::StorageError;
use super::reader;

/// Crossings that are shown.
const CROSSINGS: u32 = 20;

/// Countries that are counted.
const COUNTRIES: u32 = 300;

/// What is in a result file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Overview {
    /// The torrents, by number.
    pub torrents: Vec<TorrentOverview>,
    /// The newest crossings first.
    pub crossings: Vec<CrossingOverview>,
    /// Attempts so far by event and reason, the most frequent first.
    pub outcomes: Vec<OutcomeCount>,
    /// Every tracker of every torrent.
    pub trackers: Vec<TrackerOverview>,
    /// Peers by country, the most first.
    pub countries: Vec<CountryCount>,
    /// Successful visits by transport and encryption.
    pub transports: Vec<TransportCount>,
    /// Table `run`, without the configuration.
    pub facts: BTreeMap<String, String>,
}

/// A torrent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TorrentOverview {
    /// Its number.
    pub id: u32,
    /// `display_name`, or the info hash.
    pub name: String,
    /// 40 hexadecimal digits.
    pub info_hash: String,
    /// Pieces.
    pub pieces: u32,
    /// Rows of table `peer`.
    pub peers: u64,
    /// Of these, first seen below the threshold and last seen at or above it.
    pub confirmed: u64,
    /// Downloads that the tracker with most of them registered since the
    /// first scrape; its counter may begin anew.
    pub reported: Option<u64>,
    /// Newest scrape of the main tracker.
    pub seeders: Option<u32>,
    /// The same.
    pub leechers: Option<u32>,
}

/// A crossing of a threshold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CrossingOverview {
    /// ISO 8601.
    pub time: String,
    /// The torrent.
    pub torrent: u32,
    /// The peer's row.
    pub peer: i64,
    /// Pieces before.
    pub below: u32,
    /// Pieces then.
    pub at: u32,
    /// Its country.
    pub country: Option<String>,
    /// Its client.
    pub client: Option<String>,
}

/// Attempts with one outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeCount {
    /// `First contact`, `Later contact` or `Incoming peer`.
    pub event: String,
    /// `success`, or why not.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// A tracker of a torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrackerOverview {
    /// The torrent.
    pub torrent: u32,
    /// Announce URL; may carry a passkey.
    #[serde(skip)]
    pub url: String,
    /// Answered announces and scrapes.
    pub answered: u64,
    /// Failed ones.
    pub failed: u64,
    /// The most frequent reason.
    pub reason: Option<String>,
}

/// Peers of a country.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CountryCount {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Rows of table `peer`.
    pub peers: u64,
}

/// Visits over one way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TransportCount {
    /// `tcp` or `utp`.
    pub transport: String,
    /// `plain`, `rc4` or `mse-plain`.
    pub encryption: String,
    /// Successful visits.
    pub visits: u64,
}

impl Overview {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened or is no result file.
    pub fn read(path: &Path) -> Result<Self, StorageError> {
        let connection = reader::open(path)?;
        Self::of(&connection).map_err(|source| StorageError::Unreadable {
            path: path.to_owned(),
            step: "reading for the page",
            source,
        })
    }

    fn of(database: &Connection) -> rusqlite::Result<Self> {
        // One state of the file for all figures.
        let transaction = database.unchecked_transaction()?;
        let names = rows(
            &transaction,
            "SELECT name FROM sqlite_master WHERE type = 'table'",
            |row| row.get(0),
        )?;
        let tables: BTreeSet<String> = names.into_iter().collect();
        let has = |table: &str| tables.contains(table);
        let mut overview = Self {
            torrents: rows(&transaction, TORRENTS, torrent)?,
            countries: rows(&transaction, &format!("{BY_COUNTRY} {COUNTRIES}"), |row| {
                Ok(CountryCount {
                    country: row.get(0)?,
                    peers: number(row, 1)?,
                })
            })?,
            ..Self::default()
        };
        if has("scrape") {
            overview.add_scrapes(&transaction)?;
        }
        if has("crossing") {
            overview.crossings = rows(&transaction, &format!("{NEWEST} {CROSSINGS}"), crossing)?;
        }
        if has("outcome") {
            overview.outcomes = rows(&transaction, OUTCOMES, |row| {
                Ok(OutcomeCount {
                    event: row.get(0)?,
                    reason: row.get(1)?,
                    count: number(row, 2)?,
                })
            })?;
        }
        if has("tracker_result") {
            overview.trackers = rows(&transaction, TRACKERS, tracker)?;
        }
        if has("visit") {
            overview.transports = rows(&transaction, TRANSPORTS, |row| {
                Ok(TransportCount {
                    transport: row.get(0)?,
                    encryption: row.get(1)?,
                    visits: number(row, 2)?,
                })
            })?;
        }
        if has("run") {
            let facts = rows(&transaction, FACTS, |row| Ok((row.get(0)?, row.get(1)?)))?;
            overview.facts = facts.into_iter().collect();
        }
        Ok(overview)
    }

    fn add_scrapes(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let reported: Vec<(u32, u64)> =
            rows(database, REPORTED, |row| Ok((row.get(0)?, number(row, 1)?)))?;
        let newest: Vec<(u32, Option<u32>, Option<u32>)> = rows(database, SCRAPED, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        for torrent in &mut self.torrents {
            torrent.reported = reported.iter().find(|it| it.0 == torrent.id).map(|it| it.1);
            if let Some((_, seeders, leechers)) = newest.iter().find(|it| it.0 == torrent.id) {
                (torrent.seeders, torrent.leechers) = (*seeders, *leechers);
            }
        }
        Ok(())
    }
}

/// Confirmed as in the thesis: the threshold, which is stored in pieces, lies
/// between the first and the last visit.
const TORRENTS: &str = "
SELECT t.id, coalesce(t.display_name, t.info_hash_hex), t.info_hash_hex, t.pieces_count, count(p.id),
    coalesce(sum(p.first_pieces < t.complete_threshold AND p.last_pieces >= t.complete_threshold), 0)
FROM torrent t LEFT JOIN peer p ON p.torrent = t.id GROUP BY t.id ORDER BY t.id";

const BY_COUNTRY: &str = "
SELECT country, count(*) FROM peer WHERE country IS NOT NULL GROUP BY country ORDER BY 2 DESC, 1 LIMIT";

const REPORTED: &str = "
SELECT torrent, max(more) FROM (
    SELECT torrent, url, sum(CASE WHEN completed > before THEN completed - before ELSE 0 END) AS more FROM (
        SELECT torrent, url, completed, lag(completed) OVER (PARTITION BY torrent, url ORDER BY id) AS before
        FROM scrape WHERE completed IS NOT NULL)
    GROUP BY torrent, url)
GROUP BY torrent";

const SCRAPED: &str = "
SELECT torrent, seeders, leechers FROM scrape
WHERE id IN (SELECT max(id) FROM scrape GROUP BY torrent)";

const NEWEST: &str = "
SELECT c.first_at_ms, p.torrent, p.id, c.last_below_pieces, c.first_at_pieces, p.country, p.client
FROM crossing c JOIN peer p ON p.id = c.peer ORDER BY c.id DESC LIMIT";

const OUTCOMES: &str =
    "SELECT event, reason, sum(count) FROM outcome GROUP BY event, reason ORDER BY 3 DESC, 1, 2";

const TRACKERS: &str = "
SELECT torrent, url, coalesce(sum(count) FILTER (WHERE result LIKE '%success'), 0),
    coalesce(sum(count) FILTER (WHERE result LIKE '%fail'), 0),
    (SELECT reason FROM tracker_result r WHERE r.torrent = t.torrent AND r.url = t.url AND r.result LIKE '%fail'
     ORDER BY count DESC, reason LIMIT 1)
FROM tracker_result t GROUP BY torrent, url ORDER BY torrent, url";

const TRANSPORTS: &str = "
SELECT transport, encryption, count(*) FROM visit GROUP BY transport, encryption ORDER BY 3 DESC, 1, 2";

/// The configuration is long, and has paths of the machine.
const FACTS: &str = "SELECT key, value FROM run WHERE key != 'configuration' ORDER BY key";

fn torrent(row: &Row<'_>) -> rusqlite::Result<TorrentOverview> {
    Ok(TorrentOverview {
        id: row.get(0)?,
        name: row.get(1)?,
        info_hash: row.get(2)?,
        pieces: row.get(3)?,
        peers: number(row, 4)?,
        confirmed: number(row, 5)?,
        reported: None,
        seeders: None,
        leechers: None,
    })
}

fn crossing(row: &Row<'_>) -> rusqlite::Result<CrossingOverview> {
    Ok(CrossingOverview {
        time: crate::model::Timestamp(row.get(0)?).to_string(),
        torrent: row.get(1)?,
        peer: row.get(2)?,
        below: row.get(3)?,
        at: row.get(4)?,
        country: row.get(5)?,
        client: row.get(6)?,
    })
}

fn tracker(row: &Row<'_>) -> rusqlite::Result<TrackerOverview> {
    Ok(TrackerOverview {
        torrent: row.get(0)?,
        url: row.get(1)?,
        answered: number(row, 2)?,
        failed: number(row, 3)?,
        reason: row.get(4)?,
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

fn rows<T>(
    database: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = database.prepare(sql)?;
    let rows = statement.query_map([], read)?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::database::SCHEMA;

    const PEERS: &str = "
INSERT INTO torrent VALUES (1, '', x'00', 'ab', 10, 16384, 9, 'a', 'a', 0.1), (2, '', x'01', 'cd', 10, 16384, 9, 'b', NULL, 0.1);
INSERT INTO peer (id, client, country, first_pieces, last_pieces, first_seen, visits, source, torrent) VALUES
 (1, 'ab', 'DE', 3, 9, 0, 2, 'tracker', 1), (2, NULL, 'DE', 0, NULL, 0, 1, 'incoming', 1),
 (3, NULL, 'FR', 9, 10, 0, 2, 'dht', 1), (4, NULL, NULL, 3, 8, 0, 2, 'dht', 1);";

    const REST: &str = "
INSERT INTO scrape (time_ms, torrent, url, seeders, completed, leechers) VALUES
 (1, 1, 'u', 1, 100, 2), (2, 1, 'v', 1, 5, 2), (3, 1, 'u', 3, 104, 4), (4, 1, 'u', 3, 2, 4), (5, 1, 'u', 5, 3, 6);
INSERT INTO crossing (peer, last_below_ms, last_below_pieces, first_at_ms, first_at_pieces) VALUES
 (1, 500, 3, 1000, 9), (1, 600, 4, 2000, 10);
INSERT INTO outcome (time_ms, event, reason, count) VALUES
 (1, 'First contact', 'timed out', 2), (2, 'First contact', 'timed out', 3), (2, 'Later contact', 'success', 9);
INSERT INTO tracker_result VALUES (1, 'u', 'announce success', '', 5), (1, 'u', 'scrape fail', 'a', 1),
 (1, 'u', 'announce fail', 'b', 2), (1, 'v', 'scrape success', '', 1);
INSERT INTO run VALUES ('method', '2015'), ('configuration', '{}');";

    #[test]
    fn every_figure_is_that_of_its_rows() {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch(SCHEMA).unwrap();
        database.execute_batch(&format!("{PEERS}{REST}")).unwrap();
        let found = Overview::of(&database).unwrap();
        let [first, second] = &found.torrents[..] else {
            panic!("{found:?}");
        };
        // 4 of u, then 1 behind its new beginning.
        assert_eq!(
            (first.peers, first.confirmed, first.reported),
            (4, 1, Some(5))
        );
        assert_eq!((first.seeders, first.leechers), (Some(5), Some(6)));
        assert_eq!(
            (second.name.as_str(), second.peers, second.confirmed),
            ("cd", 0, 0)
        );
        let crossings: Vec<_> = found
            .crossings
            .iter()
            .map(|it| (it.time.as_str(), it.below, it.at))
            .collect();
        assert_eq!(
            crossings,
            [
                ("1970-01-01T00:00:02.000Z", 4, 10),
                ("1970-01-01T00:00:01.000Z", 3, 9)
            ]
        );
        let outcomes: Vec<_> = found
            .outcomes
            .iter()
            .map(|it| (it.reason.as_str(), it.count))
            .collect();
        assert_eq!(outcomes, [("success", 9), ("timed out", 5)]);
        let trackers: Vec<_> = found
            .trackers
            .iter()
            .map(|it| (it.answered, it.failed, it.reason.as_deref()))
            .collect();
        assert_eq!(trackers, [(5, 3, Some("b")), (1, 0, None)]);
        let countries: Vec<_> = found
            .countries
            .iter()
            .map(|it| (it.country.as_str(), it.peers))
            .collect();
        assert_eq!(countries, [("DE", 2), ("FR", 1)]);
        assert_eq!(found.facts.len(), 1);
    }

    #[test]
    fn a_file_of_2015_has_less() {
        let database = Connection::open_in_memory().unwrap();
        let old: String = SCHEMA
            .split_inclusive(");\n")
            .filter(|it| {
                ["torrent (", "peer (", "request (", "statistic ("]
                    .iter()
                    .any(|name| it.contains(&format!("CREATE TABLE {name}")))
            })
            .collect();
        database.execute_batch(&format!("{old}{PEERS}")).unwrap();
        let found = Overview::of(&database).unwrap();
        assert_eq!(found.torrents[0].confirmed, 1);
        assert!(found.crossings.is_empty() && found.facts.is_empty());
    }
}
