//! A made result file of any size, in which every item of the report has
//! something to say: 20 torrents in three sets, 34 hours, 94 countries. No run
//! measured it; the same size gives the same rows. Used by tests and by the
//! benchmarks (through `#[path]`), so it needs nothing else of `common`.

use std::path::Path;

use rusqlite::Connection;

const SCHEMA: &str = include_str!("../../src/storage/schema/1.sql");

/// Countries, the commonest first.
const COUNTRIES: &str = "US RU CN IN BR FR GB DE CA AU IT ES PL UA NL SE JP KR TR MX AR GR RO PT BG HU \
    CZ BE CH AT NO DK FI IE IL ZA PH MY SG TH VN ID PK BD EG MA DZ TN SA AE QA KW IR IQ KZ BY LT LV \
    EE SK SI HR RS BA MK AL CY MT IS LU NZ HK TW CL CO PE VE EC UY PY BO CR PA GT DO PR JM TT KE NG \
    GH UG FJ NA";

/// Pseudo-random numbers of row `i` from 0 to 999,999, squares in a prime
/// field; `$n` is replaced by a number that tells them apart.
const DRAW: &str = "(((i * 48271 + $n * 987654321) % 2147483647 * ((i * 48271 + $n * 987654321) % 2147483647)\
    % 2147483629) / 2147 % 1000000)";

/// Writes a result of so many peers to `path`, which must not exist.
///
/// # Errors
/// When SQLite cannot.
pub(crate) fn write(path: &Path, peers: u64) -> rusqlite::Result<()> {
    let database = Connection::open(path)?;
    database.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")?;
    database.execute_batch(SCHEMA)?;
    database.execute_batch("CREATE TEMP TABLE land (id INTEGER PRIMARY KEY, code TEXT)")?;
    for (place, code) in COUNTRIES.split(' ').enumerate() {
        let place = i64::try_from(place).unwrap_or(0);
        database.execute("INSERT INTO land VALUES (?, ?)", (place, code))?;
    }
    database.execute_batch(&rows(peers))?;
    database.execute_batch("DROP TABLE land; COMMIT")
}

/// The statements, with the draws written out.
fn rows(peers: u64) -> String {
    let mut sql = format!("{TORRENTS}{REQUESTS}{TICKS}{PEERS}{REST}");
    for n in 0..10 {
        sql = sql.replace(&format!("draw{n}"), &DRAW.replace("$n", &n.to_string()));
    }
    sql.replace("COUNT", &peers.to_string())
}

const TORRENTS: &str = "
INSERT INTO torrent
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)
SELECT i, 'http://a.test/announce,udp://b.test:80/announce', zeroblob(20), printf('%040x', i),
       1000 + 350 * i, 1 << (20 + i % 3), (98 * (1000 + 350 * i) + 99) / 100, 't' || i,
       'Torrent ' || i, (1000 + 350 * i) * (1 << (20 + i % 3)) / 1e9
FROM n;";

/// Every torrent is asked for every six minutes over 34 hours.
const REQUESTS: &str = "
INSERT INTO request
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 20399)
SELECT NULL, 1440950400 + i / 20 / 3 * 360,
       CASE i / 20 % 3 WHEN 0 THEN 'tracker' WHEN 1 THEN 'dht' ELSE 'incoming' END,
       CASE i / 20 % 3 WHEN 0 THEN 200 WHEN 1 THEN draw1 / 1000 + 100 ELSE draw1 / 5000 END,
       CASE i / 20 % 3 WHEN 0 THEN 100 + draw2 / 10000 WHEN 1 THEN 90 ELSE 0 END,
       iif(i / 20 % 3, NULL, 500), iif(i / 20 % 3, NULL, 9000 + i / 60 * (i % 20 + 1) / 4),
       iif(i / 20 % 3, NULL, 90), iif(i / 20 % 3 = 2, NULL, draw3 / 1e6), i % 20 + 1
FROM n;
INSERT INTO announce (request, time_ms, url)
SELECT id, timestamp * 1000, iif(id % 2, 'http://a.test/announce', 'udp://b.test:80/announce')
FROM request WHERE source = 'tracker';
INSERT INTO scrape (time_ms, torrent, url, seeders, completed, leechers)
SELECT timestamp * 1000, torrent, 'http://a.test/announce', seeders, completed, leechers
FROM request WHERE completed IS NOT NULL;";

const TICKS: &str = "
INSERT INTO statistic
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 408)
SELECT NULL, 1440950400 + i * 300, 40000 + 90 * i + draw1 / 100, draw2 / 40000, i * 300, i * 700,
       0.3 + draw3 / 4e6, 0.4 + draw4 / 1e6, 120 + i / 8.0, draw5 / 20000, 300 + draw6 / 10000
FROM n;";

/// A third complete from the start; of the others some are followed, and
/// some of these finish. Greatest speeds span four powers of ten.
const PEERS: &str = "
INSERT INTO peer
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < COUNT),
drawn AS (
  SELECT i, draw1 % 20 + 1 AS torrent, (draw2 % 94) * (draw3 % 94) / 94 * (draw4 % 94) / 94 AS land,
         draw5 % 100 AS kind, 1440950400 + draw6 % 122000 AS seen, draw7 % 100 AS way, draw8 AS share
  FROM n),
judged AS (
  SELECT *, CASE WHEN kind < 33 THEN 1 ELSE 2 + share % 7 * (share % 3) END AS visits FROM drawn)
SELECT i, printf('-%s-', substr('TR2840UT3440qB3310AZ5750DE13A0lt0D80', 1 + 6 * (share % 6), 6)),
       'EU', iif(land = 93, NULL, code), land - 40.0, land - 40.0,
       CASE WHEN kind < 33 THEN pieces_count ELSE share % (complete_threshold - 1) END,
       CASE WHEN visits = 1 THEN NULL WHEN kind > 80 THEN pieces_count
            ELSE share % (complete_threshold - 1) / 2 + complete_threshold / 3 END,
       seen, iif(visits = 1, NULL, seen + 330 * visits),
       iif(visits = 1, NULL, (1 << (share % 11)) * (500000 + draw9) / 4e7 - 0.002),
       visits, CASE WHEN way < 35 THEN 'tracker' WHEN way < 60 THEN 'dht' ELSE 'incoming' END, torrent
FROM judged JOIN land ON land.id = judged.land JOIN torrent ON torrent.id = judged.torrent;";

const REST: &str = "
INSERT INTO crossing
SELECT NULL, peer.id, last_seen * 1000 - 330000, first_pieces, last_seen * 1000, last_pieces
FROM peer JOIN torrent ON torrent.id = torrent
WHERE first_pieces < complete_threshold AND last_pieces >= complete_threshold;
INSERT INTO visit
SELECT NULL, id, first_seen * 1000, first_pieces, 3, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0,
       (id * 7919 % 97) * (id * 104729 % 89) * (id % 5), 6100, 'outgoing', 'tcp', 'plain', 'quiet'
FROM peer;
INSERT INTO host
SELECT id, first_seen * 1000, 'name', printf('isp%d.net', id * 7919 % 89 % 61), printf('isp%d.net', id % 61)
FROM peer WHERE id % 3 = 0;
INSERT INTO exchange
SELECT NULL, timestamp * 1000, torrent, 'pex', 30, 24 FROM request WHERE source = 'incoming';
INSERT INTO peer_error VALUES ('First contact', 'timed out', COUNT * 4),
  ('First contact', '[Errno 111] Connection refused', COUNT), ('First contact', 'Socket connection broken', COUNT / 2),
  ('Later contact', 'timed out', COUNT / 9), ('Incoming peer', 'Already in outgoing', COUNT / 3),
  ('Incoming peer', 'Unknown info hash', COUNT), ('Incoming peer', 'timed out', COUNT / 5),
  ('Incoming peer', 'Peer speaks unknown protocol', COUNT / 4);
INSERT INTO tracker_result
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 79)
SELECT i % 20 + 1, 'http://a.test/announce',
       CASE i / 20 WHEN 0 THEN 'announce success' WHEN 1 THEN 'announce fail' WHEN 2 THEN 'scrape success'
            ELSE 'scrape fail' END,
       iif(i / 20 % 2, 'timed out', ''), 300 + draw1 / 400 FROM n;";
