//! `btda combine` against the plain SQL of the contract, run by the `sqlite3`
//! program: two machines in the lab, three runs, the published run of 2015.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use rusqlite::types::Value;

use common::contract::beside;
use common::thesis;

fn btda(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_btda"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// A lab trial of seed `seed`; its database.
fn lab(folder: &Path, seed: &str, options: &[&str]) -> PathBuf {
    let small = [
        "--torrents",
        "2",
        "--peers",
        "20",
        "--callers",
        "4",
        "--time",
        "10s",
        "--json",
    ];
    let arguments: Vec<&str> = ["lab", "--seed", seed]
        .iter()
        .chain(&small)
        .chain(options)
        .copied()
        .collect();
    let output = btda(folder, &arguments);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    folder.join(value["files"]["database"].as_str().unwrap())
}

/// All rows of `table`, in the order of their ids.
fn rows(database: &Path, table: &str) -> Vec<Vec<Value>> {
    let connection = Connection::open(database).unwrap();
    let mut query = connection
        .prepare(&format!("SELECT * FROM {table} ORDER BY id"))
        .unwrap();
    let columns = query.column_count();
    let rows = query.query_map([], |row| {
        (0..columns).map(|column| row.get(column)).collect()
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn number(database: &Path, sql: &str) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The combine step of 2015 as the contract describes it, for any runs: tables
/// made from the definitions of the first run, filled by position from columns
/// that are read by name, `vm` added, ids of peers, requests and statistics
/// given anew, those of torrents moved by the number of torrents before.
fn by_plain_sql(runs: &[&Path], output: &Path) {
    let mut script = "BEGIN;\n".to_owned();
    let first = Connection::open(runs[0]).unwrap();
    for table in ["torrent", "peer", "request", "statistic"] {
        let sql = "SELECT sql FROM sqlite_master WHERE name = ?";
        let definition: String = first.query_row(sql, [table], |row| row.get(0)).unwrap();
        script.push_str(&definition);
        script.push_str(";\n");
    }
    script += "ALTER TABLE statistic ADD COLUMN vm INTEGER;\nCOMMIT;\n";
    let mut torrents = 0;
    for (place, run) in runs.iter().enumerate() {
        let vm = place + 1;
        let copied = format!(
            "ATTACH '{}' AS run;
             INSERT INTO torrent SELECT id + {torrents}, announce_url, info_hash, info_hash_hex, pieces_count, piece_size, complete_threshold, filepath, display_name, gigabyte FROM run.torrent ORDER BY id;
             INSERT INTO peer SELECT NULL, client, continent, country, latitude, longitude, first_pieces, last_pieces, first_seen, last_seen, max_speed, visits, source, torrent + {torrents} FROM run.peer ORDER BY id;
             INSERT INTO request SELECT NULL, timestamp, source, received_peers, duplicate_peers, seeders, completed, leechers, duration_sec, torrent + {torrents} FROM run.request ORDER BY id;
             INSERT INTO statistic SELECT NULL, timestamp, peer_queue, visited_queue, unique_incoming, success_active, thread_workload, load_average, memory_mb, server_threads, evaluator_threads, {vm} FROM run.statistic ORDER BY id;
             DETACH run;\n",
            run.display()
        );
        script.push_str(&copied);
        torrents += number(run, "SELECT max(id) FROM torrent");
    }
    let file = output.with_extension("sql");
    fs::write(&file, script).unwrap();
    let done = Command::new("sqlite3")
        .arg("-bail")
        .arg(output)
        .stdin(fs::File::open(file).unwrap())
        .output()
        .expect("the program is in the Debian package sqlite3");
    assert!(done.status.success(), "{done:?}");
}

/// Combines both ways; the database that btda made, all four tables compared.
fn combined(folder: &Path, runs: &[&Path]) -> PathBuf {
    let output = folder.join("combined.sqlite");
    let mut arguments = vec!["combine", "-o", output.to_str().unwrap()];
    arguments.extend(runs.iter().map(|run| run.to_str().unwrap()));
    let made = btda(folder, &arguments);
    assert!(made.status.success(), "{made:?}");
    let plain = folder.join("plain.sqlite");
    by_plain_sql(runs, &plain);
    for (table, columns) in [
        ("torrent", 10),
        ("peer", 14),
        ("request", 10),
        ("statistic", 12),
    ] {
        let (ours, wanted) = (rows(&output, table), rows(&plain, table));
        assert!(!wanted.is_empty(), "{table} is empty");
        assert_eq!(wanted[0].len(), columns);
        assert_eq!(ours.len(), wanted.len(), "{table}");
        for (ours, wanted) in ours.iter().zip(&wanted) {
            assert_eq!(ours, wanted, "{table}");
        }
    }
    output
}

/// Every row of an own table names something of its own run.
fn assert_references(combined: &Path, runs: &[&Path]) {
    for (table, column, to) in [
        ("visit", "peer", "peer"),
        ("crossing", "peer", "peer"),
        ("announce", "request", "request"),
        ("scrape", "torrent", "torrent"),
        ("tracker_result", "torrent", "torrent"),
        ("place", "peer", "peer"),
    ] {
        let lost =
            format!("SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM {to})");
        assert_eq!(number(combined, &lost), 0, "{table}");
        let count = format!("SELECT count(*) FROM {table}");
        let single: i64 = runs.iter().map(|run| number(run, &count)).sum();
        assert_eq!(number(combined, &count), single, "{table}");
    }
    let odd = "SELECT count(*) FROM peer WHERE visits <> (SELECT count(*) FROM visit WHERE peer = peer.id)";
    assert_eq!(number(combined, odd), 0);
    let odd = "SELECT count(*) FROM announce JOIN request ON request.id = request
               WHERE abs(time_ms / 1000 - timestamp) > 1";
    assert_eq!(number(combined, odd), 0);
    for table in ["outcome", "message", "input"] {
        for (place, run) in runs.iter().enumerate() {
            let of_run = format!("SELECT count(*) FROM {table} WHERE vm = {}", place + 1);
            let all = format!("SELECT count(*) FROM {table}");
            assert_eq!(number(combined, &of_run), number(run, &all), "{table}");
        }
    }
}

/// Peer errors of a file, by event and reason.
fn peer_errors(database: &Path) -> std::collections::BTreeMap<String, i64> {
    let text = fs::read_to_string(beside(database, "_peer-error.txt")).unwrap();
    let lines = text.lines().map(|line| line.rsplit_once(',').unwrap());
    lines
        .map(|(line, count)| (line.to_owned(), count.parse().unwrap()))
        .collect()
}

#[test]
fn two_machines_of_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, other) = (lab(folder, "3", &[]), lab(folder, "4", &[]));
    let runs = [one.as_path(), other.as_path()];
    let output = combined(folder, &runs);
    assert_references(&output, &runs);
    let mut sum = peer_errors(&one);
    for (line, count) in peer_errors(&other) {
        *sum.entry(line).or_default() += count;
    }
    assert_eq!(peer_errors(&output), sum);
    let sets = fs::read_to_string(folder.join("combined.sqlite.csv")).unwrap();
    assert_eq!(sets, "torrent,set\n1,set_a\n2,set_a\n3,set_a\n4,set_a\n");
    let confirmed: i64 = runs.iter().map(|run| number(run, CONFIRMED)).sum();
    assert!(confirmed > 0);
    let thresholds = fs::read_to_string(folder.join("combined_threshold.csv")).unwrap();
    let mut lines = thresholds.lines();
    assert_eq!(
        lines.next(),
        Some("set,\"0.98\",\"0.75\",\"0.50\",\"0.25\",\"0.02\"")
    );
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with(&format!("set_a,{confirmed},")),
        "{thresholds}"
    );
    let doctor = btda(folder, &["doctor", "combined.sqlite"]);
    assert!(doctor.status.success(), "{doctor:?}");
    assert_refusals(folder, one.to_str().unwrap(), other.to_str().unwrap());
}

/// What was made is neither made again nor combined again, and no run counts
/// twice.
fn assert_refusals(folder: &Path, one: &str, other: &str) {
    let copy = folder.join("copy.sqlite");
    fs::copy(one, &copy).unwrap();
    for (arguments, code, says) in [
        (&["combined.sqlite", one, other][..], 5, "exists already"),
        (&["new.sqlite", one], 2, "two runs at least"),
        (&["new.db", one, other], 2, "that ends in .sqlite"),
        (&["new.sqlite", one, one], 1, "same run"),
        (&["new.sqlite", one, "copy.sqlite"], 1, "same run"),
        (
            &["new.sqlite", one, "combined.sqlite"],
            1,
            "all single runs at once",
        ),
        (&["new.sqlite", one, "nothing.sqlite"], 1, "cannot be read"),
        (
            &["new.sqlite", one, "combined.sqlite.csv"],
            1,
            "no database of a run",
        ),
        (&["nowhere/new.sqlite", one, other], 1, "making it failed"),
    ] {
        let line: Vec<&str> = ["combine", "-o"].iter().chain(arguments).copied().collect();
        let refused = btda(folder, &line);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
    let left = fs::read_dir(folder).unwrap().flatten();
    let left = left.filter(|it| it.file_name().to_string_lossy().starts_with("new"));
    assert_eq!(left.count(), 0);
}

const CONFIRMED: &str = "SELECT count(*) FROM peer JOIN torrent ON torrent.id = peer.torrent
    WHERE last_pieces IS NOT NULL AND first_pieces < complete_threshold AND last_pieces >= complete_threshold";

#[test]
fn runs_that_were_measured_otherwise_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let one = lab(folder, "5", &[]);
    let other = lab(folder, "5", &["--method", "2015"]);
    let change = |name: &str, sql: &str| {
        let copy = folder.join(name);
        fs::copy(&one, &copy).unwrap();
        let start = "UPDATE run SET value = '2001-01-01T00:00:00.000Z' WHERE key = 'start';";
        let connection = Connection::open(&copy).unwrap();
        connection.execute_batch(&format!("{start} {sql}")).unwrap();
        copy
    };
    let threshold = change(
        "threshold.sqlite",
        "UPDATE torrent SET complete_threshold = pieces_count / 2",
    );
    let schema = change("schema.sqlite", "PRAGMA user_version = 0");
    let running = change(
        "running.sqlite",
        "UPDATE run SET value = 'running' WHERE key = 'state'",
    );
    for (other, says) in [
        (other, "differ in the method"),
        (
            threshold,
            "differ in torrent_complete_threshold (0.98 and 0.4",
        ),
        (schema, "differ in the version of the schema"),
        (running, "has not ended"),
    ] {
        let line = [
            "combine",
            "-o",
            "new.sqlite",
            one.to_str().unwrap(),
            other.to_str().unwrap(),
        ];
        let refused = btda(folder, &line);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn runs_of_2015_are_combined_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(one) = thesis::second_machine_as_it_was(folder) else {
        eprintln!("not tried: the data of the thesis are not beside the checkout");
        return;
    };
    // The first machine's database was not published: a part of the second's,
    // with other times, stands for it.
    let other = folder.join("other.sqlite");
    fs::copy(&one, &other).unwrap();
    let part = "DELETE FROM peer WHERE id % 3 = 0; DELETE FROM request WHERE id > 5000;
                UPDATE peer SET first_seen = first_seen - 7, last_seen = last_seen - 7;
                UPDATE peer SET id = (SELECT count(*) FROM peer AS it WHERE it.id <= peer.id) WHERE 0;
                CREATE TABLE dense AS SELECT * FROM peer ORDER BY id; DELETE FROM peer;
                INSERT INTO peer SELECT NULL, client, continent, country, latitude, longitude, first_pieces, last_pieces, first_seen, last_seen, max_speed, visits, source, torrent FROM dense ORDER BY id;
                DROP TABLE dense;";
    Connection::open(&other)
        .unwrap()
        .execute_batch(part)
        .unwrap();
    let output = combined(folder, &[&one, &other]);
    let sets = fs::read_to_string(folder.join("combined.sqlite.csv")).unwrap();
    assert_eq!(sets.lines().count(), 21);
    assert!(sets.contains("\n10,set_c\n11,set_b\n12,set_a\n"), "{sets}");
    assert_eq!(number(&output, "SELECT count(*) FROM visit"), 0);
    // As the published figures of the second machine say.
    let plain = format!("{CONFIRMED} AND torrent.id <= 10");
    assert_eq!(number(&output, &plain), 8_180);
}
