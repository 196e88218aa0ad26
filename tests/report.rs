//! `btda report` as a program, on made results whose answers are known.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

const SCHEMA: &str = include_str!("../src/storage/schema/1.sql");

/// Three confirmed downloads of five peers; a tracker whose counter starts
/// again; a name from outside that would like to be a script.
const ROWS: &str = "
    INSERT INTO torrent VALUES (1, 'http://a.test/announce', x'00', '01', 100, 1000000, 98, 'f',
                                '<script>alert(1)</script>', 0.1),
                               (2, 'http://a.test/announce', x'01', '02', 100, 100000000, 98, 'f',
                                NULL, 10.0);
    INSERT INTO peer VALUES
      (1, '-TR2840-', 'EU', 'DE', 1, 2, 10, 100, 3600000, 3607200, 0.5, 5, 'tracker', 1),
      (2, '-TR2840-', 'EU', 'DE', 1, 2, 20, 98, 3600000, 3603600, 2.0, 3, 'dht', 1),
      (3, NULL, NULL, NULL, NULL, NULL, 97, 98, 3603600, 3603900, 1.0, 2, 'incoming', 2),
      (4, '-UT3440-', 'NA', 'US', 1, 2, 98, NULL, 3600000, NULL, NULL, 1, 'tracker', 2),
      (5, '-UT3440-', 'NA', 'US', 1, 2, 5, NULL, 3600000, NULL, NULL, 1, 'tracker', 2);
    INSERT INTO request VALUES
      (1, 3600000, 'tracker', 50, 0, 5, 1000, 9, 0.1, 1),
      (2, 3600010, 'dht', 60, 25, NULL, NULL, NULL, 3.0, 1),
      (3, 3603600, 'tracker', 50, 40, 5, 1010, 9, 0.1, 1),
      (4, 3607200, 'tracker', 50, 50, 5, 3, 9, 0.1, 1),
      (5, 3610800, 'tracker', 50, 50, 5, 20, 9, 0.1, 1);
    INSERT INTO exchange VALUES (1, 3603000000, 1, 'pex', 30, 24);
    INSERT INTO announce (request, time_ms, url) VALUES (1, 3600000000, 'http://a.test/announce');
    INSERT INTO scrape (time_ms, torrent, url, completed) VALUES (1, 1, 'http://b.test', 7),
                                                                 (2, 1, 'http://b.test', 9);
    INSERT INTO crossing VALUES (1, 1, 3603600000, 50, 3607200000, 100),
                                (2, 2, 3600000000, 20, 3603600000, 98),
                                (3, 3, 3603600000, 97, 3603600000, 98);
    INSERT INTO statistic VALUES (1, 3600000, 0, 0, 0, 0, 0.5, 0.1, 20.0, 1, 2),
                                 (2, 3610800, 0, 0, 1, 4, 0.25, 0.3, 30.0, 3, 4);
    INSERT INTO evidence VALUES (1, 'listed', 40), (1, 'answered', 5), (1, 'handshake', 3),
                                (1, 'progress seen', 8), (1, 'crossing seen', 4), (2, 'listed', 7);
    INSERT INTO doubt VALUES (1, 'lost pieces', 3600000000, 3600000000, 1, 7),
                             (3, 'always zero', 3600000000, 3690000000, 6, 6);
    INSERT INTO peer_error VALUES ('First contact', 'timed out', 6);
    INSERT INTO tracker_result VALUES (1, 'http://a.test/announce', 'announce success', '', 4);";

fn made(rows: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.sqlite");
    let database = Connection::open(&path).unwrap();
    database.execute_batch(SCHEMA).unwrap();
    database.execute_batch(rows).unwrap();
    (folder, path)
}

fn report(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_btda"))
        .env_clear()
        .arg("report")
        .args(arguments)
        .output()
        .unwrap()
}

fn json(path: &Path, more: &[&str]) -> Value {
    let arguments = [&[path.to_str().unwrap(), "--json"], more].concat();
    let output = report(&arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The rows of a table.
fn rows<'a>(report: &'a Value, item: &str, table: &str) -> &'a Vec<Value> {
    let items = report["items"].as_array().unwrap();
    let item = items.iter().find(|it| it["id"] == item).unwrap();
    let tables = item["tables"].as_array().unwrap();
    let table = tables.iter().find(|it| it["id"] == table).unwrap();
    table["rows"].as_array().unwrap()
}

#[test]
fn known_answers() {
    let (_folder, path) = made(ROWS);
    let report = json(&path, &[]);
    assert_eq!(report["schema"], "btda-report 1");
    assert_eq!(
        report["thresholds"],
        serde_json::json!([0.98, 0.75, 0.5, 0.25, 0.02])
    );
    let is = |item: &str, table: &str, wanted: Value| {
        assert_eq!(
            *rows(&report, item, table),
            *wanted.as_array().unwrap(),
            "{item} {table}"
        );
    };
    is(
        "confirmed",
        "sets",
        serde_json::json!([
            ["set_a", 2, 2, 2, 2, 0],
            ["set_b", 1, 0, 0, 0, 0],
            ["total", 3, 2, 2, 2, 0]
        ]),
    );
    // max - min takes the new start for downloads: 1007 instead of 27.
    is(
        "reported_resets",
        "trackers",
        serde_json::json!([
            [1, "main tracker (request)", 4, 1007, 27, 1],
            [1, "http://b.test", 2, 2, 2, 0]
        ]),
    );
    // By first contact two in the first hour, by crossing one in each.
    is(
        "downloads_by_crossing",
        "sets",
        serde_json::json!([
            ["set_a", "1970-02-11T16Z", 1.0, 2],
            ["set_a", "1970-02-11T17Z", 1.0, 0],
            ["set_b", "1970-02-11T17Z", 1.0, 1]
        ]),
    );
    // What other peers named is a source like the others.
    let of_pex = &rows(&report, "addresses", "sources")[3];
    assert_eq!(of_pex, &serde_json::json!(["pex", 1, 30, 6, 20.0]));
    let total = &rows(&report, "addresses", "sources")[4];
    let counts = serde_json::json!(["total", 6, 290, 101]);
    assert_eq!(total.as_array().unwrap()[..4], *counts.as_array().unwrap());
    let totals = rows(&report, "outcomes", "totals");
    assert_eq!(totals[0], serde_json::json!(["First contact", 10, 4, 40.0]));
    assert_eq!(totals[1], serde_json::json!(["Later contact", 6, 6, 100.0]));
    let first = &rows(&report, "overlap", "first_answers")[0];
    assert_eq!(
        first.as_array().unwrap()[..5],
        [1, 0, 50, 60, 25].map(|it| match it {
            0 => Value::from("dht"),
            it => Value::from(it),
        })
    );
}

#[test]
fn known_speeds_and_second_visits() {
    let (_folder, path) = made(ROWS);
    let report = json(&path, &[]);
    // Speeds: 500, 2000 and 100,000 kB/s; without the caller the last is gone.
    let median = |item: &str| rows(&report, item, "countries")[0][5].clone();
    assert_eq!(median("speed"), 2000.0);
    assert_eq!(median("speed_of_contacted"), 1250.0);
    // Due: below the threshold; peer 4 was complete.
    let second = &rows(&report, "second_visits", "second")[0];
    assert_eq!(
        second.as_array().unwrap()[1..6],
        [3, 1, 0, 2, 1].map(|it| match it {
            0 => Value::from(100.0 / 3.0),
            it => Value::from(it),
        })
    );
}

#[test]
fn evidence_and_doubts() {
    let (_folder, path) = made(ROWS);
    let report = json(&path, &[]);
    let classes = rows(&report, "evidence", "classes");
    assert_eq!(classes[0], serde_json::json!([1, 40, 5, 3, 8, 4, 60]));
    assert_eq!(classes[1], serde_json::json!([2, 7, 0, 0, 0, 0, 7]));
    assert_eq!(
        rows(&report, "evidence", "doubts"),
        &vec![
            serde_json::json!(["always zero", "unknown", 1, 1, 100.0]),
            serde_json::json!(["lost pieces", "Transmission", 1, 2, 50.0]),
        ]
    );
    let known = rows(&report, "evidence", "known");
    let of = |prefix: &str| {
        let mut lines = known.iter().filter(|row| row[0] == prefix);
        lines.next().unwrap()[5].clone()
    };
    assert_eq!(
        (of("-TR"), of("-XL"), of("")),
        (2.into(), 0.into(), 5.into())
    );
}

#[test]
fn both_address_families() {
    let more = "
        INSERT INTO peer_ipv6 VALUES (2), (5);
        UPDATE announce SET family = 4, seeders = 7;
        INSERT INTO request VALUES (6, 3611000, 'tracker', 9, 4, NULL, NULL, NULL, 0.1, 1);
        INSERT INTO announce (request, time_ms, url, leechers, family)
          VALUES (6, 3611000000, 'http://a.test/announce', 3, 6);";
    let (_folder, path) = made(&format!("{ROWS}{more}"));
    let report = json(&path, &[]);
    let wanted = serde_json::json!([[1, 4, 1, 1], [1, 6, 1, 1], [2, 4, 2, 1], [2, 6, 1, 0]]);
    assert_eq!(
        serde_json::json!(rows(&report, "families", "peers")),
        wanted
    );
    let wanted = serde_json::json!([[1, 4, 1, 50, 50, 7, null], [1, 6, 1, 9, 5, null, 3]]);
    assert_eq!(
        serde_json::json!(rows(&report, "families", "answers")),
        wanted
    );
}

#[test]
fn every_item_says_what_it_is() {
    let (_folder, path) = made(ROWS);
    let report = json(&path, &[]);
    let items = report["items"].as_array().unwrap();
    assert_eq!(items.len(), 25);
    for item in items {
        for key in [
            "id",
            "title",
            "definition",
            "rule",
            "sample_of",
            "bias",
            "finding",
        ] {
            assert!(
                item[key].as_str().unwrap().len() > 3,
                "{} {key}",
                item["id"]
            );
        }
        for table in item["tables"].as_array().unwrap() {
            let columns = table["columns"].as_array().unwrap().len();
            for row in table["rows"].as_array().unwrap() {
                assert_eq!(row.as_array().unwrap().len(), columns, "{}", table["id"]);
            }
        }
    }
}

#[test]
fn files_of_a_report() {
    let (folder, path) = made(ROWS);
    let output = report(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("3 confirmed downloads at threshold 0.98 among 5 peers"),
        "{said}"
    );
    let made = folder.path().join("run_report");
    let csv = fs::read_to_string(made.join("confirmed_sets.csv")).unwrap();
    assert!(
        csv.starts_with("set,0.98,0.75,0.50,0.25,0.02\nset_a,2,2,2,2,0\n"),
        "{csv}"
    );
    let page = fs::read_to_string(made.join("report.html")).unwrap();
    assert!(
        !page.contains("<script") && !page.contains("src="),
        "nothing runs, nothing is loaded"
    );
    assert!(page.contains("&lt;script&gt;alert(1)"));
    let json: Value = serde_json::from_slice(&fs::read(made.join("report.json")).unwrap()).unwrap();
    let mut figures = 0;
    for item in json["items"].as_array().unwrap() {
        for name in item["figures"].as_array().unwrap() {
            let svg = fs::read_to_string(made.join(name.as_str().unwrap())).unwrap();
            assert!(svg.starts_with("<svg") && page.contains(&svg), "{name}");
            figures += 1;
        }
    }
    assert_eq!(figures, 15);
}

#[test]
fn two_files_are_one_study() {
    let (_first, a) = made(ROWS);
    let (_second, b) = made(ROWS);
    let report = json(&a, &[b.to_str().unwrap(), "--threshold", "0.5"]);
    let torrents: Vec<_> = rows(&report, "torrents", "torrents")
        .iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(torrents, [1, 2, 3, 4]);
    let total = rows(&report, "confirmed", "sets").last().unwrap().clone();
    assert_eq!(total, serde_json::json!(["total", 4]));
    let note = report["notes"][0].as_str().unwrap();
    assert!(
        note.starts_with("2 torrents are in more than one file"),
        "{note}"
    );
}

/// A run without anything gives a report that says so.
#[test]
fn an_empty_run() {
    let (_folder, path) =
        made("INSERT INTO torrent VALUES (1, '', x'00', '01', 100, 1000000, 98, 'f', NULL, 0.1);");
    let output = report(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    for text in [
        "No peer has a positive speed",
        "no geolocation database",
        "reverse DNS was off",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[test]
fn what_cannot_be_reported() {
    let (folder, path) = made(ROWS);
    let path = path.to_str().unwrap();
    let absent = folder.path().join("absent.sqlite");
    let (_other, none) = made("");
    for (arguments, code, part) in [
        (
            vec![path, "--threshold", "0.99"],
            2,
            "give --threshold 0.98 or less",
        ),
        (
            vec![absent.to_str().unwrap()],
            1,
            "is there such a file, and may it be read?",
        ),
        (
            vec![none.to_str().unwrap()],
            1,
            "no torrent is in the databases",
        ),
        (
            vec![path, "--sets", path],
            1,
            "run.sqlite: it is no UTF-8 text",
        ),
        (
            vec![path, "--output", "/dev/null/x"],
            5,
            "/dev/null/x cannot be written",
        ),
    ] {
        let output = report(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.starts_with("btda: ") && said.contains(part), "{said}");
    }
}
