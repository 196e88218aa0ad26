//! Tests of what the other tests stand on: the output contract finds what it
//! is there to find, and samples are read as meant.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::contract::{Waiting, beside, interrupted_violations, violations};
use common::process::program;
use common::samples::{Sample, Timeline};
use common::transmission::ones_in_base64;
use rusqlite::Connection;

/// A finished run in which two unique addresses became one row and one
/// error, and one caller came twice.
const GOOD: &str = "
CREATE TABLE torrent (id INTEGER PRIMARY KEY, announce_url TEXT, info_hash BLOB,
    info_hash_hex TEXT, pieces_count INTEGER, piece_size INTEGER, complete_threshold INTEGER,
    filepath TEXT, display_name TEXT, gigabyte REAL);
CREATE TABLE peer (id INTEGER PRIMARY KEY, client TEXT, continent TEXT, country TEXT,
    latitude REAL, longitude REAL, first_pieces INTEGER, last_pieces INTEGER, first_seen INTEGER,
    last_seen INTEGER, max_speed REAL, visits INTEGER, source VARCHAR(8), torrent INTEGER);
CREATE TABLE request (id INTEGER PRIMARY KEY, timestamp INTEGER, source VARCHAR(8),
    received_peers INTEGER, duplicate_peers INTEGER, seeders INTEGER, completed INTEGER,
    leechers INTEGER, duration_sec REAL, torrent INTEGER);
CREATE TABLE statistic (id INTEGER PRIMARY KEY, timestamp INTEGER, peer_queue INTEGER,
    visited_queue INTEGER, unique_incoming INTEGER, success_active INTEGER, thread_workload REAL,
    load_average REAL, memory_mb REAL, server_threads INTEGER, evaluator_threads INTEGER);
CREATE TABLE visit (id INTEGER PRIMARY KEY, peer INTEGER, bitfield INTEGER, have INTEGER,
    have_all INTEGER, have_none INTEGER);
CREATE TABLE crossing (peer INTEGER);
CREATE TABLE evidence (torrent INTEGER, class TEXT, addresses INTEGER);
CREATE TABLE exchange (received_peers INTEGER, duplicate_peers INTEGER);
INSERT INTO torrent VALUES (1, 'http://t/announce,udp://u/announce', x'00', '00', 10, 16384, 10,
    'a.torrent', 'a', 0.0001);
INSERT INTO peer VALUES (1, '-LT2080-', 'EU', 'DE', 1.0, 2.0, 3, 10, 1700000000, 1700000300, 0.02,
    2, 'tracker', 1);
INSERT INTO peer VALUES (2, 'A2-1-36-', NULL, NULL, NULL, NULL, 0, 4, 1700000001, 1700000100, 0.04,
    2, 'incoming', 1);
INSERT INTO request VALUES (1, 1700000000, 'incoming', 0, 0, NULL, NULL, NULL, NULL, 1);
INSERT INTO request VALUES (2, 1700000000, 'tracker', 2, 0, 1, 5, 2, 0.1, 1);
INSERT INTO request VALUES (3, 1700000001, 'tracker', 2, 2, NULL, NULL, NULL, 0.1, 1);
INSERT INTO request VALUES (4, 1700000300, 'incoming', 2, 1, NULL, NULL, NULL, NULL, 1);
INSERT INTO statistic VALUES (1, 1700000000, 0, 0, 0, 0, NULL, 0.5, 10.0, 0, 0);
INSERT INTO statistic VALUES (2, 1700000300, 1, 0, 1, 2, 0.25, 0.5, 12.0, 0, 0);
INSERT INTO visit VALUES (1, 1, 1, 0, 0, 0), (2, 1, 1, 2, 0, 0), (3, 2, 0, 0, 0, 0),
    (4, 2, 0, 1, 0, 0);
INSERT INTO crossing VALUES (1);
INSERT INTO evidence VALUES (1, 'listed', 1), (1, 'progress seen', 1), (1, 'crossing seen', 1);
";

const FILES: [(&str, &str); 4] = [
    ("_peer-error.txt", "First contact,timed out,1"),
    (
        "_tracker-error.txt",
        "1,http://t/announce,announce success,,1\n1,http://t/announce,scrape success,,1\n\
         1,udp://u/announce,announce success,,1\n1,udp://u/announce,scrape fail,timed out,1",
    ),
    (
        ".log",
        "[20d15h04m05s:WARNING:btda::storage::geo:main] no database of places\n",
    ),
    ("_run.json", "{\"version\": \"0.1.0\"}"),
];

#[test]
fn a_good_run_breaks_no_rule() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let database = write_run(folder.path(), "");
    let broken = violations(&database, Waiting::Nobody);
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What a run needs besides to be judged after a kill.
const KILLED: &str = "
CREATE TABLE peer_error (event TEXT, reason TEXT, count INTEGER);
INSERT INTO peer_error VALUES ('First contact', 'timed out', 1);
CREATE TABLE tracker_result (torrent INTEGER, url TEXT, result TEXT, reason TEXT, count INTEGER);
INSERT INTO tracker_result VALUES (1, 'http://t/announce', 'announce success', '', 1);
INSERT INTO tracker_result VALUES (1, 'http://t/announce', 'scrape success', '', 1);
INSERT INTO tracker_result VALUES (1, 'udp://u/announce', 'announce success', '', 1);
CREATE TABLE announce (request INTEGER);
INSERT INTO announce VALUES (2), (3);
";

#[test]
fn a_killed_run_is_judged_by_its_tables() {
    for (change, sign) in [
        ("", ""),
        ("DELETE FROM visit WHERE id = 1", "counted by rows"),
        ("INSERT INTO crossing VALUES (9)", "has its peer"),
        ("DELETE FROM announce", "has its announce"),
        ("INSERT INTO announce VALUES (1)", "has its request"),
        ("DELETE FROM tracker_result", "sum 2"),
        (
            "UPDATE tracker_result SET count = 3 WHERE result = 'scrape success'",
            "sum 3",
        ),
        ("DELETE FROM peer WHERE id = 2", "sum 4"),
        ("UPDATE statistic SET success_active = 3", "sum 6"),
        ("UPDATE peer SET last_seen = NULL", "last_seen is NULL"),
        (
            "INSERT INTO peer_error VALUES ('x', 'y', 1)",
            "unknown event",
        ),
    ] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let database = write_run(folder.path(), &format!("{KILLED}{change}"));
        for (suffix, _) in FILES {
            fs::remove_file(beside(&database, suffix)).expect("it is there");
        }
        let broken = interrupted_violations(&database);
        if sign.is_empty() {
            assert!(broken.is_empty(), "{broken:#?}");
        } else {
            let found = broken.iter().any(|rule| rule.contains(sign));
            assert!(found, "{change}: {broken:#?}");
        }
    }
}

#[test]
fn every_broken_rule_of_the_tables_is_found() {
    for (change, sign) in [
        (
            "UPDATE peer SET last_pieces = NULL WHERE id = 1",
            "last_pieces is NULL",
        ),
        ("UPDATE peer SET last_pieces = 11", "within the torrent"),
        ("UPDATE peer SET country = ''", "two capital letters"),
        (
            "UPDATE peer SET first_seen = first_seen * 1000",
            "Unix seconds",
        ),
        (
            "UPDATE peer SET client = 'ab' || char(7)",
            "control characters",
        ),
        (
            "UPDATE request SET completed = 0 WHERE id = 1",
            "only trackers",
        ),
        (
            "UPDATE peer SET source = 'pex' WHERE id = 1",
            "unknown sources",
        ),
        ("UPDATE torrent SET id = 2", "not dense"),
        (
            "ALTER TABLE statistic ADD COLUMN vm INTEGER",
            "table statistic has columns",
        ),
        (
            "ALTER TABLE statistic ADD COLUMN vm INTEGER",
            "sum 7: combining fails",
        ),
        ("ANALYZE", "SQLite's own"),
        ("PRAGMA journal_mode = WAL", "journal mode is wal"),
        (
            "UPDATE request SET received_peers = 3 WHERE id = 2",
            "sum 1",
        ),
        ("DELETE FROM request WHERE id = 3", "sum 2"),
        ("UPDATE request SET completed = 5 WHERE id = 3", "sum 3"),
        ("UPDATE request SET completed = NULL WHERE id = 2", "sum 3"),
        ("UPDATE peer SET visits = 3 WHERE id = 2", "sum 4"),
        (
            "UPDATE statistic SET unique_incoming = 2 WHERE id = 2",
            "sum 6",
        ),
        (
            "UPDATE statistic SET success_active = 3 WHERE id = 2",
            "sum 6",
        ),
    ] {
        assert_found(change, sign);
    }
}

#[test]
fn every_broken_rule_of_evidence_is_found() {
    for (change, sign) in [
        (
            "UPDATE evidence SET addresses = 2 WHERE class = 'listed'",
            "evidence: 3 addresses, but 4",
        ),
        (
            "UPDATE visit SET have = 0 WHERE peer = 2",
            "evidence: 1 peers that told pieces, but 2",
        ),
        ("DELETE FROM crossing", "evidence: 0 peers that crossed"),
        (
            "UPDATE evidence SET class = 'answered' WHERE class = 'progress seen'",
            "evidence: 2 peers, but 1",
        ),
    ] {
        assert_found(change, sign);
    }
}

/// A good run after `change` breaks a rule whose finding has `sign` in it.
fn assert_found(change: &str, sign: &str) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let database = write_run(folder.path(), change);
    let broken = violations(&database, Waiting::Nobody);
    let found = broken.iter().any(|rule| rule.contains(sign));
    assert!(found, "{change}: {broken:#?}");
}

#[test]
fn waiting_addresses_are_allowed_up_to_the_queue() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let change = "UPDATE request SET received_peers = 3 WHERE id = 2;
        UPDATE evidence SET addresses = 2 WHERE class = 'listed'";
    let database = write_run(folder.path(), change);
    assert_eq!(violations(&database, Waiting::Possibly), [""; 0]);
    let change = "UPDATE request SET received_peers = 4 WHERE id = 2;
        UPDATE evidence SET addresses = 3 WHERE class = 'listed'";
    let folder = tempfile::tempdir().expect("temporary folder");
    let database = write_run(folder.path(), change);
    assert_eq!(violations(&database, Waiting::Possibly).len(), 1);
}

#[test]
fn every_broken_rule_of_the_files_is_found() {
    for (suffix, content, sign) in [
        (".log", "[20d15h04m05s:ERROR:btda:main] gone\n", "log: "),
        (".log", "free text\n", "another form"),
        ("_run.json", "{", "no JSON"),
        ("_peer-error.txt", "Contact,timed out,1", "unknown event"),
        (
            "_peer-error.txt",
            "First contact,\"timed out\",1",
            "odd reason",
        ),
        (
            "_peer-error.txt",
            "First contact,timed out,0\nFirst contact,timed out,1",
            "two lines",
        ),
        (
            "_tracker-error.txt",
            "1,u,announce success,odd,2",
            "with reason",
        ),
        ("_tracker-error.txt", "1,u,announce ok,,2", "unknown result"),
        (
            "_tracker-error.txt",
            "7,u,announce success,,2",
            "unknown torrent",
        ),
        (".sqlite-journal", "", "left behind"),
    ] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let database = write_run(folder.path(), "");
        fs::write(beside(&database, suffix), content).expect("own file");
        let broken = violations(&database, Waiting::Nobody);
        let found = broken.iter().any(|rule| rule.contains(sign));
        assert!(found, "{suffix} {content:?}: {broken:#?}");
    }
}

#[test]
fn bounds_reach_one_sample_further_out() {
    let mut timeline = Timeline::default();
    for step in 0..6 {
        let at = i64::from(step) * 500;
        timeline.push(Sample {
            from_ms: at,
            to_ms: at + 5,
            pieces: step * 10,
        });
    }
    assert_eq!(timeline.bounds(1100, 1200), (10, 40));
    assert_eq!(timeline.bounds(100, 2400), (0, 50));
    assert_eq!(timeline.reached(25), Some((1000, 1505)));
    assert_eq!(timeline.reached(51), None);
}

#[test]
fn bits_of_base64_are_counted() {
    assert_eq!(ones_in_base64(""), 0);
    assert_eq!(ones_in_base64("gA=="), 1);
    assert_eq!(ones_in_base64("////"), 24);
}

#[test]
#[should_panic(expected = "install the Debian package no-such-package")]
fn a_missing_program_is_named_with_its_package() {
    let folder = std::env::temp_dir();
    program("no-such-program", "no-such-package", &folder);
}

/// A good run with `change` applied to its database.
fn write_run(folder: &Path, change: &str) -> PathBuf {
    let path = folder.join("2026-01-20_15-04-05_host.sqlite");
    let database = Connection::open(&path).expect("database can be made");
    database.execute_batch(GOOD).expect("run can be stored");
    database.execute_batch(change).expect("change is SQL");
    for (suffix, content) in FILES {
        fs::write(beside(&path, suffix), content).expect("own file");
    }
    path
}
