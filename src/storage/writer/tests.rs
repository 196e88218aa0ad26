//! The real writer on files: sums of the contract, locked and lost, readers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use rusqlite::Connection;

use super::*;
use crate::clock::ManualClock;
use crate::config::settings::Identity;
use crate::model::record::{Announce, ExtensionHandshake, Lookup, TrackerCall, Visit};
use crate::model::{Event, PeerKey, Pseudonym, Reason, Source};
use crate::storage::fixture::{
    START, announce, at, call, failure, figures, id, key, scrape, tick, torrents, tracker_failure,
    visit,
};
use crate::storage::reader;

const QUICK: Patience = Patience {
    statement: Duration::ZERO,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(4),
    at_end: Duration::from_millis(30),
    replay_at_end: Duration::from_secs(60),
};

struct Bench {
    folder: tempfile::TempDir,
    stem: Stem,
    progress: Arc<Progress>,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("btda").tempdir().unwrap();
        Self {
            stem: Stem::claim(folder.path(), START, "host").unwrap().0,
            folder,
            progress: Arc::new(Progress::new(3)),
            clock: ManualClock::new(START),
        }
    }

    fn writer(&self) -> Writer {
        self.writer_with(settings())
    }

    fn writer_with(&self, settings: StorageSettings) -> Writer {
        let setup = WriterSetup {
            stem: self.stem.clone(),
            settings,
            torrents: torrents(3),
            inputs: vec![InputFile {
                path: "input/bad\n.torrent".into(),
                sha1: None,
                torrent: None,
                note: Some("not bencoded".to_owned()),
            }],
            names: None,
            manifest: vec![
                ("version", "0.1.0".to_owned()),
                ("configuration", "{\n\"a\": 1}".to_owned()),
            ],
            progress: Arc::clone(&self.progress),
            clock: Arc::new(self.clock.clone()),
        };
        Writer::create(setup).unwrap().with_patience(QUICK)
    }

    fn path(&self, suffix: &str) -> std::path::PathBuf {
        self.stem.with_suffix(suffix)
    }

    fn text(&self, suffix: &str) -> String {
        std::fs::read_to_string(self.path(suffix)).unwrap()
    }

    fn database(&self) -> Connection {
        reader::open(&self.path(".sqlite")).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.replace(self.stem.name(), ""))
            .collect();
        names.sort();
        names
    }
}

fn settings() -> StorageSettings {
    StorageSettings {
        geolocation: None,
        identity: Identity::Thesis2015,
        speed_gap: Duration::ZERO,
        zero_visits: 6,
        zero_time: Duration::from_secs(3600),
        batch_rows: 50,
        batch_interval: Duration::from_secs(1),
        queue_length: 1000,
        memory_rows: 1000,
        spool_folder: PathBuf::from("/nowhere"),
        spool_max_bytes: 1 << 20,
        calibration: false,
        calibration_cut: Duration::from_secs(6),
    }
}

fn number(database: &Connection, sql: &str) -> i64 {
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn write(writer: Writer, records: Vec<Record>) -> Summary {
    let (sender, receiver) = unbounded();
    for record in records {
        sender.send(record).unwrap();
    }
    drop(sender);
    writer.run(&receiver)
}

fn visited(visit: Visit) -> Record {
    Record::Visit(Box::new(visit))
}

/// A run with everything in it. Every tracker and DHT answer names two
/// addresses that are new and one that is known; some answer, some at the
/// second attempt, some never.
fn synthetic_run() -> Vec<Record> {
    let mut records = vec![tick(0.0, false)];
    let mut contacts: Vec<PeerKey> = Vec::new();
    for round in 0..40_u8 {
        let torrent = 1 + usize::from(round % 3);
        let time = f64::from(round) * 30.0;
        let fresh = [key(round, 1, torrent), key(round, 2, torrent)];
        contacts.extend(fresh);
        if round % 2 == 0 {
            let scraped = round % 8 != 0;
            if scraped {
                records.push(scrape(torrent, 100 + u32::from(round)));
            } else {
                let reason = "timed out, really";
                records.push(tracker_failure(torrent, TrackerCall::Scrape, reason));
            }
            records.push(Record::Announce(Box::new(Announce {
                main_scrape: scraped.then(|| figures(100 + u32::from(round))),
                at: at(time),
                ..announce(torrent, 3, 1)
            })));
        } else {
            records.push(tracker_failure(
                torrent,
                TrackerCall::Announce,
                "refused: \"go\"\r\naway",
            ));
            records.push(Record::Lookup(Lookup {
                at: at(time),
                torrent: id(torrent),
                received: 3,
                duplicates: 1,
                duration: Duration::from_secs(5),
            }));
        }
        let source = if round % 2 == 0 {
            Source::Tracker
        } else {
            Source::Dht
        };
        for (place, peer) in fresh.into_iter().enumerate() {
            records.extend(contact(peer, source, time, round, place));
        }
        // Callers: some for the first time, some again, some contacted before.
        for caller in [round, round / 2, 100 + round] {
            let peer = key(caller, 40_000 + u16::from(round), torrent);
            records.push(visited(call(peer, time + 9.0, u32::from(round))));
        }
        if round % 10 == 9 {
            records.push(tick(time + 10.0, false));
        }
    }
    records.push(visited(call(key(250, 7, 1), 2_000.0, 1)));
    records.push(tick(2_001.0, true));
    records
}

fn contact(peer: PeerKey, source: Source, time: f64, round: u8, place: usize) -> Vec<Record> {
    let first = |reason, takes_back| failure(Event::FirstContact, reason, takes_back);
    let answer = |seconds: f64, pieces, takes_back| {
        visited(Visit {
            source,
            takes_back,
            ..visit(peer, time + seconds, pieces)
        })
    };
    match (usize::from(round) + place) % 5 {
        0 => vec![first(Reason::TimedOut, None)],
        1 => vec![
            first(Reason::REFUSED, None),
            first(Reason::TimedOut, Some(Reason::REFUSED)),
        ],
        2 => vec![
            first(Reason::Closed, None),
            answer(2.0, 10, Some(Reason::Closed)),
        ],
        3 => vec![
            answer(1.0, 20, None),
            answer(1.0, 60, None),
            failure(Event::LaterContact, Reason::RESET, None),
            answer(301.0, 99, None),
        ],
        _ => vec![answer(1.0, 100, None), answer(0.5, 100, None)],
    }
}

/// The synthetic run, written, and its files read back.
struct Finished {
    bench: Bench,
    summary: Summary,
    database: Connection,
    peer_errors: Vec<Vec<String>>,
    tracker_errors: Vec<Vec<String>>,
}

impl Finished {
    fn new() -> Self {
        let bench = Bench::new();
        let summary = write(bench.writer(), synthetic_run());
        assert_eq!((summary.lost, summary.plain), (0, true));
        Self {
            database: bench.database(),
            peer_errors: csv_rows(&bench.path("_peer-error.txt")),
            tracker_errors: csv_rows(&bench.path("_tracker-error.txt")),
            bench,
            summary,
        }
    }

    fn number(&self, sql: &str) -> i64 {
        number(&self.database, sql)
    }

    fn tracker_count(&self, torrent: usize, result: &str) -> i64 {
        let torrent = torrent.to_string();
        let rows = self.tracker_errors.iter();
        rows.filter(|row| row[0] == torrent && row[2] == result)
            .map(|row| row[4].parse::<i64>().unwrap())
            .sum()
    }
}

#[test]
fn sum_1_addresses_are_peers_or_errors() {
    let run = Finished::new();
    let first_errors: i64 = run
        .peer_errors
        .iter()
        .filter(|row| row[0] == "First contact")
        .map(|row| row[2].parse::<i64>().unwrap())
        .sum();
    let answered = run.number("SELECT count(*) FROM peer WHERE source IN ('tracker', 'dht')");
    assert!(first_errors > 0 && answered > 0);
    let unique = run.number(
        "SELECT sum(received_peers - duplicate_peers) FROM request WHERE source <> 'incoming'",
    );
    assert_eq!(unique, first_errors + answered);
}

#[test]
fn sums_2_and_3_tracker_answers_are_requests() {
    let run = Finished::new();
    for torrent in 1..=3 {
        let announces = run.number(&format!(
            "SELECT count(*) FROM request WHERE source = 'tracker' AND torrent = {torrent}"
        ));
        assert!(announces > 0);
        assert_eq!(run.tracker_count(torrent, "announce success"), announces);
        let scrapes = run.number(&format!(
            "SELECT count(*) FROM request WHERE completed IS NOT NULL AND torrent = {torrent}"
        ));
        assert!(scrapes > 0 && scrapes < announces);
        assert_eq!(run.tracker_count(torrent, "scrape success"), scrapes);
    }
}

#[test]
fn sums_4_and_6_callers_and_evaluations_are_all_counted() {
    let run = Finished::new();
    let calls = run.number("SELECT sum(visits) FROM peer WHERE source = 'incoming'");
    assert!(calls > 0);
    let received = "SELECT sum(received_peers) FROM request WHERE source = 'incoming'";
    assert_eq!(calls, run.number(received));
    let callers = run.number("SELECT count(*) FROM peer WHERE source = 'incoming'");
    let unique =
        "SELECT sum(received_peers - duplicate_peers) FROM request WHERE source = 'incoming'";
    assert_eq!(callers, run.number(unique));
    let last = |column| {
        run.number(&format!(
            "SELECT {column} FROM statistic ORDER BY id DESC LIMIT 1"
        ))
    };
    assert_eq!(last("unique_incoming"), callers);
    assert_eq!(
        last("success_active"),
        run.number("SELECT sum(visits) FROM peer WHERE source <> 'incoming'")
    );
}

#[test]
fn sum_5_peer_rows_are_consistent() {
    let run = Finished::new();
    let odd = run.number(
        "SELECT count(*) FROM peer JOIN torrent ON torrent.id = peer.torrent WHERE NOT (
             (last_pieces IS NULL) = (visits = 1) AND (last_seen IS NULL) = (visits = 1)
             AND (max_speed IS NULL) = (visits = 1) AND ifnull(last_seen >= first_seen, 1)
             AND first_pieces BETWEEN 0 AND pieces_count
             AND ifnull(last_pieces BETWEEN 0 AND pieces_count, 1))",
    );
    assert_eq!(odd, 0);
    assert!(run.number("SELECT max(visits) FROM peer") > 1);
    assert!(run.number("SELECT min(visits) FROM peer") == 1);
}

#[test]
fn sum_7_the_files_equal_their_mirrors() {
    let run = Finished::new();
    let count = |rows: &[Vec<String>]| -> i64 {
        let counts = rows.iter().filter_map(|row| row.last());
        counts.map(|count| count.parse::<i64>().unwrap()).sum()
    };
    let mirror = |table, column| run.number(&format!("SELECT {column} FROM {table}"));
    for (table, rows) in [
        ("peer_error", &run.peer_errors),
        ("tracker_result", &run.tracker_errors),
    ] {
        assert_eq!(mirror(table, "sum(count)"), count(rows));
        assert_eq!(mirror(table, "count(*)").unsigned_abs(), rows.len() as u64);
    }
    let refused = |row: &Vec<String>| row[1] == "Already in outgoing";
    assert!(run.peer_errors.iter().any(refused));
}

#[test]
fn our_own_tables_agree_with_those_of_2015() {
    let run = Finished::new();
    let visits = run.number("SELECT sum(visits) FROM peer");
    assert_eq!(run.number("SELECT count(*) FROM visit"), visits);
    assert_eq!(run.summary.visits, visits.unsigned_abs());
    let later = "SELECT sum(count) FROM outcome WHERE reason = 'success'";
    assert_eq!(run.number(later), visits);
    assert_eq!(
        run.number("SELECT count(*) FROM announce"),
        run.number("SELECT count(*) FROM request WHERE source = 'tracker'")
    );
    assert_eq!(
        run.number("SELECT count(*) FROM pragma_foreign_key_check"),
        0
    );
    let confirmed = "SELECT count(*) FROM peer WHERE first_pieces < 98 AND last_pieces >= 98";
    let all = run.number(confirmed);
    assert!(all > 0);
    assert_eq!(run.number("SELECT count(*) FROM crossing"), all);
    assert_eq!(run.summary.confirmed, all.unsigned_abs());
    assert_eq!(run.bench.progress.confirmed(), run.summary.confirmed);
    let first = run.number(&format!("{confirmed} AND torrent = 1"));
    assert_eq!(run.bench.progress.confirmed_of(id(1)), first.unsigned_abs());
}

fn csv_rows(path: &Path) -> Vec<Vec<String>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(path)
        .unwrap()
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_error_files_pass_the_table_of_the_contract() {
    let bench = Bench::new();
    write(bench.writer(), synthetic_run());
    for (suffix, columns) in [("_peer-error.txt", 3), ("_tracker-error.txt", 5)] {
        let text = bench.text(suffix);
        assert!(!text.contains(['\0', '\r']));
        assert!(!text.is_empty() && !text.starts_with('\n') && !text.ends_with('\n'));
        assert!(text.lines().all(|line| !line.is_empty()));
        let rows = csv_rows(&bench.path(suffix));
        assert_eq!(rows.len(), text.lines().count(), "no line break in a field");
        let mut keys = std::collections::HashSet::new();
        for row in rows {
            assert_eq!(row.len(), columns);
            let (count, key) = row.split_last().unwrap();
            assert!(count.parse::<u64>().unwrap() > 0);
            assert!(keys.insert(key.to_vec()), "one line per combination");
            if columns == 3 {
                assert_eq!(row.join(","), row.join(",").replace('"', ""));
                assert!(["First contact", "Later contact", "Incoming peer"].contains(&&*row[0]));
            } else {
                assert!(row[0].parse::<u16>().is_ok());
                let (call, result) = row[2].split_once(' ').unwrap();
                assert!(["announce", "scrape"].contains(&call));
                assert_eq!(result == "success", row[3].is_empty());
            }
        }
        // The peer script splits at commas without regard to quotes.
        if columns == 3 {
            assert!(text.lines().all(|line| line.split(',').count() == 3));
        }
    }
}

#[test]
fn the_end_leaves_one_plain_file() {
    let bench = Bench::new();
    let ended = Record::Manifest {
        key: "ended",
        value: "duration".to_owned(),
    };
    let summary = write(
        bench.writer(),
        vec![tick(0.0, false), ended, tick(1.0, true)],
    );
    assert!(summary.plain);
    assert_eq!(summary.ended, "duration");
    assert_eq!(
        bench.files(),
        [
            ".sqlite",
            "_peer-error.txt",
            "_run.json",
            "_tracker-error.txt"
        ]
    );
    let bytes = std::fs::read(bench.path(".sqlite")).unwrap();
    assert_eq!(bytes[18..20], [1, 1], "marked as rollback journal");
    let database = bench.database();
    let mode: String = database
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
    let check: String = database
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let internal = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_s%'";
    assert_eq!(number(&database, internal), 0);
    assert_eq!(bench.text("_peer-error.txt"), "");
}

#[test]
fn the_manifest_is_in_the_table_and_in_the_file() {
    let bench = Bench::new();
    let writer = bench.writer();
    let json: serde_json::Value = serde_json::from_str(&bench.text("_run.json")).unwrap();
    assert_eq!(json["state"], "running");
    assert_eq!(json["configuration"]["a"], 1);
    bench.clock.advance(Duration::from_secs(3));
    let summary = write(writer, Vec::new());
    assert_eq!(summary.ended, "unknown");
    let json: serde_json::Value = serde_json::from_str(&bench.text("_run.json")).unwrap();
    for (key, value) in [
        ("state", "finished"),
        ("start", "2015-08-30T18:41:36.000Z"),
        ("stop", "2015-08-30T18:41:39.000Z"),
        ("version", "0.1.0"),
        ("ended", "unknown"),
        ("schema_version", "1"),
        ("rows_lost", "0"),
    ] {
        assert_eq!(json[key], value);
        let stored: String = bench
            .database()
            .query_row("SELECT value FROM run WHERE key = ?", [key], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(stored, value, "{key}");
    }
    assert_eq!(json["input"][0]["path"], "input/bad\\n.torrent");
    assert_eq!(number(&bench.database(), "SELECT count(*) FROM input"), 1);
}

#[test]
fn readers_see_what_was_committed_while_it_writes() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    let database = bench.database();
    assert_eq!(number(&database, "SELECT count(*) FROM peer"), 0);
    assert_eq!(bench.progress.last_commit(), None);
    writer.commit();
    assert_eq!(number(&database, "SELECT count(*) FROM peer"), 1);
    assert_eq!((bench.progress.peers(), bench.progress.visits()), (1, 1));
    assert_eq!((bench.progress.rows(), bench.progress.waiting()), (2, 0));
    assert_eq!(bench.progress.last_commit(), Some(START));
    // A tick commits at once and rewrites the error files.
    writer.take(failure(Event::FirstContact, Reason::TimedOut, None), 0);
    writer.take(tick(300.0, false), 0);
    assert_eq!(number(&database, "SELECT count(*) FROM statistic"), 1);
    assert_eq!(number(&database, "SELECT count FROM peer_error"), 1);
    assert_eq!(bench.text("_peer-error.txt"), "First contact,timed out,1");
}

#[test]
fn an_open_reader_keeps_the_log_but_no_data_are_lost() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.take(tick(0.0, false), 0);
    let database = bench.database();
    database.execute_batch("BEGIN").unwrap();
    assert_eq!(number(&database, "SELECT count(*) FROM statistic"), 1);
    let summary = write(writer, vec![tick(1.0, true)]);
    assert_eq!((summary.plain, summary.lost), (false, 0));
    drop(database);
    assert_eq!(
        number(&bench.database(), "SELECT count(*) FROM statistic"),
        2
    );
}

#[test]
fn a_locked_database_delays_rows_but_loses_none() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    let other = Connection::open(bench.path(".sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    writer.commit();
    assert!(writer.pending.is_failing());
    // Records are still taken, and rows keep their order.
    writer.take(visited(visit(key(1, 1, 1), 300.0, 99)), 0);
    writer.take(tick(300.0, false), 0);
    let database = bench.database();
    assert_eq!(number(&database, "SELECT count(*) FROM peer"), 0);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    let summary = write(writer, vec![tick(301.0, true)]);
    assert_eq!(summary.lost, 0);
    assert_eq!(number(&database, "SELECT count(*) FROM peer"), 1);
    assert_eq!(number(&database, "SELECT visits FROM peer"), 2);
    assert_eq!(number(&database, "SELECT count(*) FROM statistic"), 2);
    assert_eq!(number(&database, "SELECT count(*) FROM visit"), 2);
}

#[test]
fn rows_are_lost_only_when_memory_and_spool_are_full() {
    let bench = Bench::new();
    let mut writer = bench.writer_with(StorageSettings {
        memory_rows: 3,
        spool_max_bytes: 0,
        ..settings()
    });
    let other = Connection::open(bench.path(".sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    writer.commit();
    writer.take(visited(visit(key(2, 1, 1), 0.0, 1)), 0);
    assert_eq!(writer.pending.len(), 2);
    assert_eq!(bench.progress.lost(), 2, "the second peer and its visit");
    other.execute_batch("ROLLBACK").unwrap();
    writer.commit();
    assert_eq!(number(&bench.database(), "SELECT count(*) FROM visit"), 1);
    assert_eq!(number(&bench.database(), "SELECT count(*) FROM peer"), 1);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.take(visited(visit(key(1, 1, 1), 9.0, 1)), 0);
    let summary = write(writer, Vec::new());
    assert!(summary.lost > 4);
    assert_eq!(summary.lost, bench.progress.lost());
    assert_eq!((summary.in_spool, summary.spool_files.len()), (0, 0));
}

/// Settings with room for three rows and a second folder for the spool.
fn small_memory(bench: &Bench) -> StorageSettings {
    let spool_folder = bench.folder.path().join("second");
    std::fs::create_dir(&spool_folder).unwrap();
    StorageSettings {
        batch_rows: 4,
        memory_rows: 3,
        spool_folder,
        ..settings()
    }
}

#[test]
fn spooled_rows_are_stored_in_order_and_the_file_goes() {
    let bench = Bench::new();
    let mut writer = bench.writer_with(small_memory(&bench));
    let other = Connection::open(bench.path(".sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for (host, time) in (1..=20).zip(0..) {
        writer.take(visited(visit(key(host, 1, 1), f64::from(time), 1)), 0);
        writer.commit();
    }
    assert_eq!(bench.progress.lost(), 0);
    assert!(bench.path("_spool.jsonl").exists());
    writer.show();
    assert!(bench.progress.in_spool() > 30);
    assert_eq!(bench.progress.waiting(), 40);
    other.execute_batch("ROLLBACK").unwrap();
    // What comes now is behind what is spooled: peers before their updates.
    for host in 1..=20 {
        writer.take(visited(visit(key(host, 1, 1), 300.0, 99)), 0);
    }
    let summary = write(writer, vec![tick(301.0, true)]);
    assert_eq!((summary.lost, summary.in_spool), (0, 0));
    assert!(!bench.path("_spool.jsonl").exists());
    let database = bench.database();
    assert_eq!(number(&database, "SELECT sum(visits) FROM peer"), 40);
    assert_eq!(number(&database, "SELECT count(*) FROM visit"), 40);
    let later =
        "SELECT count(*) FROM visit AS a JOIN visit AS b ON a.id < b.id AND a.time_ms > b.time_ms";
    assert_eq!(number(&database, later), 0, "in order");
    let spooled = "SELECT CAST(value AS INTEGER) FROM run WHERE key = 'rows_spooled'";
    assert_eq!(
        number(&database, spooled).unsigned_abs(),
        bench.progress.spooled()
    );
    let mark = "SELECT count(*) FROM run WHERE key = 'spool_1_replayed'";
    assert_eq!(number(&database, mark), 1);
}

#[test]
fn what_stays_in_the_spool_is_named_and_can_be_replayed() {
    let bench = Bench::new();
    let mut writer = bench.writer_with(small_memory(&bench));
    let other = Connection::open(bench.path(".sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    let summary = write(writer, vec![tick(1.0, true)]);
    assert_eq!(summary.lost, 0);
    assert_eq!(summary.spool_files, [bench.path("_spool.jsonl")]);
    let json: serde_json::Value = serde_json::from_str(&bench.text("_run.json")).unwrap();
    assert_eq!(
        json["spool_files"][0],
        *summary.spool_files[0].to_string_lossy()
    );
    assert_eq!(json["rows_in_spool"], summary.in_spool.to_string());
    drop(other);
    let replayed = crate::storage::spool::replay(&bench.path(".sqlite"), &summary.spool_files);
    assert_eq!(replayed.unwrap().rows, summary.in_spool);
    assert_eq!(number(&bench.database(), "SELECT count(*) FROM visit"), 1);
    let state = "SELECT value = 'finished' FROM run WHERE key = 'state'";
    assert_eq!(number(&bench.database(), state), 1);
}

#[test]
fn a_database_that_vanished_or_was_replaced_comes_back() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    writer.take(tick(1.0, false), 0);
    let path = bench.path(".sqlite");
    for file in [".sqlite", ".sqlite-wal", ".sqlite-shm", "_run.json"] {
        std::fs::remove_file(bench.path(file)).unwrap();
    }
    writer.take(visited(visit(key(2, 1, 1), 2.0, 1)), 0);
    writer.take(tick(3.0, false), 0);
    assert_eq!(number(&bench.database(), "SELECT count(*) FROM visit"), 2);
    assert!(bench.path("_run.json").exists());
    // A file of somebody else in its place is not overwritten.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "not ours").unwrap();
    writer.take(visited(visit(key(3, 1, 1), 4.0, 1)), 0);
    let summary = write(writer, vec![tick(5.0, true)]);
    assert_eq!((summary.lost, summary.plain), (0, true));
    assert_eq!(summary.database, path);
    let database = bench.database();
    assert_eq!(number(&database, "SELECT count(*) FROM visit"), 3);
    let version: i32 = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, SCHEMA_VERSION);
    assert_eq!(bench.text(".sqlite.other-1"), "not ours");
}

#[test]
fn without_any_way_home_the_database_is_saved_elsewhere() {
    let bench = Bench::new();
    let output = bench.folder.path().join("output");
    let bench = Bench {
        stem: Stem::claim(&output, START, "host").unwrap().0,
        ..bench
    };
    let settings = small_memory(&bench);
    let second = settings.spool_folder.clone();
    let mut writer = bench.writer_with(settings);
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    std::fs::remove_dir_all(&output).unwrap();
    std::fs::write(&output, "no folder any more").unwrap();
    let summary = write(writer, vec![tick(1.0, true)]);
    assert_eq!((summary.lost, summary.plain), (0, false));
    assert_eq!(summary.database.parent(), Some(&*second));
    let saved = reader::open(&summary.database).unwrap();
    assert_eq!(number(&saved, "SELECT count(*) FROM visit"), 1);
}

#[test]
fn an_update_without_its_peer_is_lost_and_a_refused_row_stops_nobody() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    writer.take(visited(visit(key(1, 1, 1), 0.0, 1)), 0);
    // The peer's row is gone before it was stored.
    let next = writer.pending.next(50).unwrap().0;
    writer.pending.stored(&next, &[]);
    let place = || {
        Row::Place(Box::new(crate::storage::row::PlaceRow {
            peer: 7,
            city: None,
            accuracy_km: None,
        }))
    };
    writer.rows.extend([place(), place()]);
    writer.queue_rows();
    writer.take(visited(visit(key(1, 1, 1), 9.0, 1)), 0);
    writer.commit();
    assert_eq!(bench.progress.lost(), 2, "second place, update of no peer");
    assert_eq!(writer.pending.len(), 0);
    assert_eq!(number(&bench.database(), "SELECT count(*) FROM visit"), 1);
}

#[test]
fn what_peers_tell_of_themselves_stands_beside_their_visit() {
    let bench = Bench::new();
    let told = ExtensionHandshake {
        client: Some("x/1\0".to_owned()),
        listen_port: Some(6881),
        upload_only: Some(true),
        your_ip: Some(Pseudonym([7; 8])),
        ..ExtensionHandshake::default()
    };
    let silent = visited(visit(key(1, 1, 1), 0.0, 1));
    let speaks = visited(Visit {
        extension: Some(Box::new(told)),
        ..visit(key(2, 1, 1), 0.0, 1)
    });
    write(bench.writer_with(settings()), vec![silent, speaks]);
    let sql = "SELECT v.peer, client, listen_port, request_queue, upload_only, metadata_size,
        your_ip FROM extension_handshake JOIN visit v ON v.id = visit";
    let row = bench.database().query_row(sql, [], |row| {
        let numbers: [Option<i64>; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        let texts: [String; 2] = [row.get(1)?, row.get(6)?];
        Ok((row.get::<_, i64>(0)?, texts, numbers))
    });
    let numbers = [Some(6881), None, Some(1), None];
    let texts = ["x/1\\u{0}", "0707070707070707"].map(str::to_owned);
    assert_eq!(row, Ok((2, texts, numbers)));
    let sql = "SELECT count(*) FROM extension_handshake";
    assert_eq!(number(&bench.database(), sql), 1);
}

#[test]
fn calibration_files_come_from_the_visits() {
    let bench = Bench::new();
    let calibrated = StorageSettings {
        calibration: true,
        ..settings()
    };
    let waits = [Some(0.0), Some(2.5), None, Some(6.0), Some(6.2), Some(29.7)];
    let records = waits.iter().zip(1..).map(|(wait, host)| {
        visited(Visit {
            longest_wait: wait.map(Duration::from_secs_f64),
            ..visit(key(host, 1, 1), 0.0, 1)
        })
    });
    write(bench.writer_with(calibrated), records.collect());
    assert_eq!(
        bench.text("_timeout.txt"),
        "[0, 2, 6, 6, 30]\n3 of 5 are below 6"
    );
    assert!(bench.text("_timeout.svg").contains("n = 5"));
}

#[test]
fn a_killed_run_keeps_the_error_counts_of_its_last_commit() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    for record in synthetic_run().into_iter().take(150) {
        writer.take(record, 0);
    }
    writer.commit();
    let database = bench.database();
    let contacts = "SELECT sum(count) FROM peer_error WHERE event = 'First contact'";
    let counted: u64 = writer
        .ledger
        .peer_errors()
        .lines()
        .filter(|(event, _, _)| *event == "First contact")
        .map(|(_, _, count)| count)
        .sum();
    assert!(counted > 0);
    assert_eq!(number(&database, contacts).unsigned_abs(), counted);
    assert_eq!(
        number(
            &database,
            "SELECT sum(count) FROM tracker_result WHERE result = 'announce success'"
        ),
        number(
            &database,
            "SELECT count(*) FROM request WHERE source = 'tracker'"
        )
    );
}

#[test]
fn a_missing_geolocation_database_stops_nobody() {
    let bench = Bench::new();
    let configured = StorageSettings {
        geolocation: Some(bench.folder.path().join("absent.mmdb")),
        ..settings()
    };
    let writer = bench.writer_with(configured);
    write(writer, vec![visited(visit(key(1, 1, 1), 0.0, 1))]);
    let unknown = "SELECT count(*) FROM peer WHERE country IS NULL AND latitude IS NULL";
    assert_eq!(number(&bench.database(), unknown), 1);
}

#[test]
fn batches_are_committed_when_full_or_due() {
    let bench = Bench::new();
    let mut writer = bench.writer();
    let (sender, receiver) = unbounded();
    let send = |host| {
        let record = visited(visit(key(host, 1, 1), 0.0, 1));
        sender.send(record).unwrap();
    };
    // Two rows a visit, 50 rows a batch, which is full when one more record
    // might not fit.
    (0..30).for_each(send);
    assert!(writer.turn(&receiver));
    assert_eq!(bench.progress.rows(), 46);
    assert!(writer.turn(&receiver));
    assert_eq!((bench.progress.rows(), bench.progress.waiting()), (46, 14));
    bench.clock.advance(Duration::from_secs(1));
    send(30);
    assert!(writer.turn(&receiver));
    assert_eq!((bench.progress.rows(), bench.progress.waiting()), (62, 0));
    drop(sender);
    assert!(!writer.turn(&receiver));
}

#[test]
fn rows_that_wait_are_committed_in_time_with_what_came_meanwhile() {
    // Records gather in a large channel; in a small one each is waited for.
    for room in [10, 5000] {
        let bench = Bench::new();
        let mut writer = bench.writer_with(StorageSettings {
            batch_interval: Duration::from_millis(30),
            ..settings()
        });
        let (sender, receiver) = bounded(room);
        let figures = || (bench.progress.rows(), bench.progress.waiting());
        for (host, waiting) in [(1, 2), (2, 4)] {
            let record = visited(visit(key(host, 1, 1), 0.0, 1));
            sender.send(record).unwrap();
            assert!(writer.turn(&receiver));
            assert_eq!(figures(), (0, waiting));
        }
        assert!(writer.turn(&receiver));
        assert_eq!(figures(), (4, 0));
        sender
            .send(visited(visit(key(3, 1, 1), 0.0, 1)))
            .expect("the receiver is there");
        drop(sender);
        assert!(writer.turn(&receiver));
        assert!(!writer.turn(&receiver), "nothing comes any more");
    }
}

#[test]
fn the_files_of_2015_have_the_same_form() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/thesis-2015");
    let name = "2015-08-30_20-41-36_faui1-246";
    let peers = data.join(format!("{name}_peer-error.txt"));
    if !peers.exists() {
        println!("skipped: the data of 2015 are not at {}", data.display());
        return;
    }
    let old = std::fs::read(&peers).unwrap();
    assert!(!old.ends_with(b"\n"));
    let known: Vec<String> = [Reason::TimedOut, Reason::Closed, Reason::UnknownProtocol]
        .into_iter()
        .chain([Reason::UnknownInfoHash, Reason::AlreadyInOutgoing])
        .chain([32, 101, 104, 111, 113].map(Reason::Os))
        .map(|reason| reason.label().into_owned())
        .collect();
    for row in csv_rows(&peers) {
        assert_eq!(row.len(), 3);
        assert!(known.contains(&row[1]), "{}", row[1]);
    }
    let trackers = csv_rows(&data.join(format!("{name}_tracker-error.txt")));
    let results = [
        "announce success",
        "announce fail",
        "scrape success",
        "scrape fail",
    ];
    for row in trackers {
        assert_eq!(row.len(), 5);
        assert!(results.contains(&&*row[2]));
    }
}
