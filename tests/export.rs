//! `btda export` of the real program: files, standard output, a reader that
//! stops, and the database for the scripts of 2015.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

fn btda(folder: &Path, line: &str) -> Output {
    command(folder, line).output().unwrap()
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_btda"));
    command.current_dir(folder).args(line.split_whitespace());
    command
}

/// A finished run with one torrent and `peers` peers.
fn run(peers: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.sqlite");
    let connection = Connection::open(&path).unwrap();
    let schema = include_str!("../src/storage/schema/1.sql");
    connection.execute_batch(schema).unwrap();
    let rows = format!(
        "PRAGMA application_id = {}; PRAGMA user_version = 1;
         INSERT INTO run VALUES ('state', 'finished'), ('start', '2015');
         INSERT INTO torrent VALUES (1, '', zeroblob(20), '0000000000000000000000000000000000000000', 100, 16384, 98, 'a', 'a \"name\", é', 6.5);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {peers})
         INSERT INTO peer (id, client, first_pieces, first_seen, visits, source, torrent)
         SELECT i, NULL, 3, 1440960096, 1, 'tracker', 1 FROM n;
         INSERT INTO statistic VALUES (1, 1440960096, 0, 0, 0, 0, NULL, 0.5, NULL, 0, 0);",
        0x4254_4441
    );
    connection.execute_batch(&rows).unwrap();
    (folder, path)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_table_on_standard_output() {
    let (folder, _) = run(2);
    let output = btda(folder.path(), "export run.sqlite --table torrent");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stdout),
        "id,announce_url,info_hash,info_hash_hex,pieces_count,piece_size,complete_threshold,filepath,display_name,gigabyte\n\
         1,\"\",0000000000000000000000000000000000000000,0000000000000000000000000000000000000000,100,16384,98,a,\"a \"\"name\"\", é\",6.5\n"
    );
    let output = btda(
        folder.path(),
        "export run.sqlite --table peer --format json",
    );
    let peers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(peers[1]["id"], 2);
    assert_eq!(peers[1]["client"], Value::Null);
    let output = btda(folder.path(), "export run.sqlite --dictionary");
    let dictionary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(dictionary.as_array().unwrap().len() > 10);
}

#[test]
fn every_table_into_a_folder() {
    let (folder, path) = run(3);
    let output = btda(folder.path(), "export run.sqlite --format jsonl -o all/new");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let all = folder.path().join("all/new");
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
        .unwrap();
    let tables: Vec<String> = query
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(fs::read_dir(&all).unwrap().count(), tables.len() + 1);
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        let text = fs::read_to_string(all.join(format!("{table}.jsonl"))).unwrap();
        assert_eq!(
            i64::try_from(text.lines().count()).unwrap(),
            rows,
            "{table}"
        );
    }
    assert!(all.join("dictionary.json").exists());
}

#[test]
fn a_reader_that_stops_is_no_failure() {
    let (folder, _) = run(100_000);
    let mut child = command(folder.path(), "export run.sqlite --table peer")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut beginning = [0; 100];
    child
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut beginning)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (folder, _) = run(1);
    for (line, code, says) in [
        ("export run.sqlite", 2, "name one with --table"),
        (
            "export run.sqlite --table pear",
            2,
            "there is no table \"pear\"",
        ),
        (
            "export run.sqlite --for r --table peer",
            2,
            "cannot be used with",
        ),
        ("export run.sqlite --for python", 2, "invalid value"),
        (
            "export nothing.sqlite --table peer",
            1,
            "is there such a file, and may it be read?",
        ),
        (
            "export run.sqlite --table peer -o no/such/folder",
            5,
            "cannot be written",
        ),
        (
            "export run.sqlite --for r -o run.sqlite",
            5,
            "exists already",
        ),
    ] {
        let output = btda(folder.path(), line);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {told}");
        assert!(told.contains(says), "{line}: {told}");
    }
    let output = command(folder.path(), "export run.sqlite --table peer")
        .stdout(
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

#[test]
fn the_scripts_of_2015_get_vm_and_sets() {
    let (folder, _) = run(4);
    let output = btda(folder.path(), "export run.sqlite --for r");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let connection = Connection::open(folder.path().join("run_r.sqlite")).unwrap();
    let vm: i64 = connection
        .query_row("SELECT vm FROM statistic", [], |row| row.get(0))
        .unwrap();
    assert_eq!(vm, 1);
    let peers: i64 = connection
        .query_row("SELECT count(*) FROM peer", [], |row| row.get(0))
        .unwrap();
    assert_eq!(peers, 4);
    let sets = fs::read_to_string(folder.path().join("run_r.sqlite.csv")).unwrap();
    assert_eq!(sets, "torrent,set\n1,set_b\n");
}
