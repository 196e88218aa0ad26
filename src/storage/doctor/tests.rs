//! Databases with one thing wrong, and what becomes of them.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::storage::database::Database;
use crate::storage::queue::Queue;
use crate::storage::row::{ErrorRow, Row};
use crate::storage::spool::{Place, Spool};

const NOW: Timestamp = Timestamp(1_440_970_000_000);
const RUN: &str = "2015-08-30T18:41:36.000Z";

/// The tables as the program of 2015 made them, with a torrent and a peer.
const OF_2015: &str = "
    CREATE TABLE torrent (id INTEGER NOT NULL, announce_url VARCHAR, info_hash BLOB, info_hash_hex VARCHAR, pieces_count INTEGER, piece_size INTEGER, complete_threshold INTEGER, filepath VARCHAR, display_name VARCHAR, gigabyte FLOAT, PRIMARY KEY (id));
    CREATE TABLE peer (id INTEGER NOT NULL, client VARCHAR, continent VARCHAR, country VARCHAR, latitude FLOAT, longitude FLOAT, first_pieces INTEGER, last_pieces INTEGER, first_seen INTEGER, last_seen INTEGER, max_speed FLOAT, visits INTEGER, source VARCHAR(8), torrent INTEGER, PRIMARY KEY (id));
    CREATE TABLE request (id INTEGER NOT NULL, timestamp INTEGER, source VARCHAR(8), received_peers INTEGER, duplicate_peers INTEGER, seeders INTEGER, completed INTEGER, leechers INTEGER, duration_sec FLOAT, torrent INTEGER, PRIMARY KEY (id));
    CREATE TABLE statistic (id INTEGER NOT NULL, timestamp INTEGER, peer_queue INTEGER, visited_queue INTEGER, unique_incoming INTEGER, success_active INTEGER, thread_workload FLOAT, load_average FLOAT, memory_mb FLOAT, server_threads INTEGER, evaluator_threads INTEGER, PRIMARY KEY (id));
    INSERT INTO torrent VALUES (1, 'udp://a.test', zeroblob(20), '0000000000000000000000000000000000000000', 100, 16384, 98, 'a', 'a', 0.1);
    INSERT INTO peer VALUES (1, '-AB1234-', 'EU', 'DE', 1.0, 2.0, 3, 9, 100, 200, 0.5, 2, 'tracker', 1);
    INSERT INTO request VALUES (1, 90, 'tracker', 1, 0, NULL, NULL, NULL, 2.0, 1);
    INSERT INTO statistic VALUES (1, 100, 0, 0, 0, 0, 0.5, 1.0, 1.0, 0, 0), (2, 400, 0, 0, 0, 2, 0.5, 1.0, 1.0, 0, 0);";

struct Patient {
    folder: TempDir,
}

impl Patient {
    fn of_2015(more: &str) -> Self {
        let patient = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        patient.connection().execute_batch(OF_2015).unwrap();
        patient.connection().execute_batch(more).unwrap();
        patient
    }

    /// A run of ours that was killed: the log is there, nothing beside it.
    fn killed(more: &str) -> Self {
        let patient = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        Database::create(patient.path()).unwrap().close().unwrap();
        let rows = format!(
            "INSERT INTO run VALUES ('state', 'running'), ('start', '{RUN}');
             INSERT INTO torrent VALUES (1, '', zeroblob(20), '0000000000000000000000000000000000000000', 100, 16384, 98, 'a', NULL, 0.1);
             INSERT INTO peer_error VALUES ('First contact', 'timed out', 4);
             INSERT INTO statistic VALUES (1, 1440960096, 4, 0, 0, 0, NULL, NULL, NULL, 0, 0);
             {more}"
        );
        patient.connection().execute_batch(&rows).unwrap();
        patient
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("run.sqlite")
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn write(&self, suffix: &str, text: &str) -> PathBuf {
        let path = beside::beside(&self.path(), suffix);
        fs::write(&path, text).unwrap();
        path
    }

    fn case(&self) -> Case {
        Case {
            database: self.path(),
            ..Case::default()
        }
    }

    fn examine(&self) -> Diagnosis {
        examine(&self.case()).unwrap()
    }

    fn repair(&self) -> Vec<String> {
        repair(&self.case(), &self.examine(), NOW).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.connection()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }
}

fn problems(diagnosis: &Diagnosis) -> Vec<&'static str> {
    let problems = diagnosis.findings.iter();
    let problems = problems.filter(|it| it.level == Level::Problem);
    problems.map(|it| it.check).collect()
}

fn lost(sql: &str, parameters: &str) -> String {
    format!(
        "[30d21h21m16s:CRITICAL:analyzer:Thread-11] OperationalError [SQL: '{sql}'] [parameters: ({parameters})]\n"
    )
}

#[test]
fn a_good_run_of_2015_is_sound() {
    let patient = Patient::of_2015("");
    patient.write("_peer-error.txt", "Later contact,timed out,3");
    patient.write("_tracker-error.txt", "1,udp://a.test,announce success,,1");
    let diagnosis = patient.examine();
    assert_eq!(problems(&diagnosis), [""; 0], "{diagnosis:?}");
    assert_eq!((diagnosis.kind, &diagnosis.state), ("2015", &None));
    assert!(patient.repair().is_empty());
    assert_eq!(patient.number("SELECT count(*) FROM sqlite_master"), 4);
}

#[test]
fn each_broken_rule_is_found() {
    for (change, check) in [
        ("UPDATE peer SET last_seen = NULL", "visits"),
        ("UPDATE peer SET last_seen = 99", "times"),
        ("UPDATE peer SET torrent = 2", "references"),
        ("UPDATE request SET torrent = NULL", "references"),
        ("UPDATE peer SET country = 'de'", "places"),
        ("UPDATE peer SET latitude = 91", "places"),
        ("UPDATE peer SET first_seen = 100.5", "types"),
        ("UPDATE request SET timestamp = 1440960096000", "types"),
        ("UPDATE torrent SET info_hash = x'00'", "types"),
        (
            "UPDATE torrent SET id = 2; UPDATE peer SET torrent = 2; UPDATE request SET torrent = 2",
            "torrent ids",
        ),
        ("UPDATE peer SET source = 'pex'", "sources"),
        ("UPDATE request SET duplicate_peers = 2", "figures"),
        ("UPDATE request SET duration_sec = NULL", "figures"),
        ("UPDATE statistic SET success_active = 3", "sum 6"),
        ("UPDATE request SET received_peers = 2", "sum 1"),
        (
            "INSERT INTO request VALUES (2, 95, 'tracker', 0, 0, NULL, NULL, NULL, 1.0, 1)",
            "sum 2",
        ),
        ("UPDATE request SET completed = 5", "sum 3"),
        (
            "INSERT INTO request VALUES (2, 95, 'incoming', 1, 0, NULL, NULL, NULL, NULL, 1)",
            "sum 4",
        ),
        ("ALTER TABLE peer ADD COLUMN more", "columns"),
        ("ANALYZE", "tables of SQLite"),
    ] {
        let patient = Patient::of_2015(change);
        patient.write("_peer-error.txt", "");
        patient.write(
            "_tracker-error.txt",
            "1,udp://a.test,announce success,,1\r\n",
        );
        let found = problems(&patient.examine());
        assert!(found.contains(&check), "{change}: {found:?}");
    }
}

#[test]
fn pauses_and_a_clock_that_was_set_are_told() {
    let patient = Patient::of_2015(
        "INSERT INTO statistic VALUES (3, 700, 0, 0, 0, 2, 0, 0, 0, 0, 0), (4, 2000, 0, 0, 0, 2, 0, 0, 0, 0, 0), (5, 1900, 0, 0, 0, 2, 0, 0, 0, 0, 0)",
    );
    let findings = patient.examine().findings;
    let text = |check| {
        let finding = findings.iter().find(|it| it.check == check);
        finding
            .unwrap_or_else(|| panic!("{check}: {findings:?}"))
            .text
            .clone()
    };
    assert!(
        text("gaps").contains("1200 s from 1970-01-01T00:11:40.000Z"),
        "{}",
        text("gaps")
    );
    assert!(text("clock").contains("1 times"));
}

#[test]
fn lost_statements_are_applied_once() {
    let patient = Patient::of_2015("");
    let request = "INSERT INTO request (timestamp, source, received_peers, duplicate_peers, duration_sec, torrent) VALUES (?, ?, ?, ?, ?, ?)";
    let statistic = "INSERT INTO statistic (timestamp, peer_queue) VALUES (?, ?)";
    let twice = lost(request, "95, 'dht', 3, 1, 2, 1");
    let mut log = twice.clone() + &twice + &lost(statistic, "700, 1");
    // Somebody has applied this one by hand; it is the row of `OF_2015`.
    log += &lost(request, "90, 'tracker', 1, 0, 2.0, 1");
    log += "[1:WARNING:a:b] [SQL: 'DROP'] [parameters: (1, 2)]\n";
    let path = patient.write(".log", &log);
    let diagnosis = patient.examine();
    assert!(
        problems(&diagnosis).contains(&"lost statements"),
        "{diagnosis:?}"
    );
    assert_eq!(diagnosis.repairs(), [Repair::Statements(path)]);
    assert_eq!(patient.repair().len(), 1);
    assert_eq!(
        patient.number("SELECT count(*) FROM request WHERE timestamp = 95"),
        2
    );
    assert_eq!(patient.number("SELECT count(*) FROM request"), 3);
    assert_eq!(patient.number("SELECT count(*) FROM statistic"), 3);
    assert_eq!(patient.number("SELECT count(*) FROM repair"), 3);
    assert!(patient.repair().is_empty());
    // The record keeps, even when the row is changed later.
    patient
        .connection()
        .execute_batch("UPDATE request SET received_peers = 9 WHERE timestamp = 95")
        .unwrap();
    assert!(!problems(&patient.examine()).contains(&"lost statements"));
}

#[test]
fn statements_that_cannot_be_applied_are_told() {
    let patient = Patient::of_2015("");
    let update = "UPDATE peer SET last_pieces = ?, last_seen = ?, max_speed = ?, visits = ? WHERE id = ? AND visits < ?";
    let good = lost(update, "10, 300, 0.5, 3, 1, 3");
    let hopeless = lost(update, "10, 300, 0.5, 3, 77, 3") + &lost("DROP TABLE peer", "1, 2");
    patient.write(".log", &(good + &hopeless));
    patient.repair();
    assert_eq!(patient.number("SELECT visits FROM peer"), 3);
    let diagnosis = patient.examine();
    let finding = diagnosis
        .findings
        .iter()
        .find(|it| it.check == "lost statements")
        .unwrap();
    assert!(finding.text.starts_with("2 lost statements"), "{finding:?}");
    assert_eq!((finding.level, &finding.repair), (Level::Problem, &None));
}

#[test]
fn a_killed_run_is_closed() {
    let patient = Patient::killed("");
    let diagnosis = patient.examine();
    assert_eq!(
        problems(&diagnosis),
        ["state", "journal", "error files", "manifest"]
    );
    let done = patient.repair();
    assert_eq!(done.len(), 4, "{done:?}");
    let diagnosis = patient.examine();
    assert!(diagnosis.is_sound(), "{diagnosis:?}");
    assert_eq!(diagnosis.state.as_deref(), Some("killed"));
    let errors = fs::read_to_string(beside::beside(&patient.path(), "_peer-error.txt")).unwrap();
    assert_eq!(errors, "First contact,timed out,4");
    let manifest = fs::read_to_string(beside::beside(&patient.path(), "_run.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["stop"], RUN);
    assert!(!beside::has_write_ahead_log(&patient.path()));
    assert!(patient.repair().is_empty());
}

#[test]
fn a_spool_is_stored_once() {
    let patient = Patient::killed("");
    let mut spool = Spool::new(Place {
        folders: vec![patient.folder.path().to_owned()],
        stem: "run".to_owned(),
        run: RUN.to_owned(),
        limit: 1 << 20,
    });
    let mut queue = Queue::default();
    for count in 5..8 {
        queue.push([Row::PeerError(ErrorRow {
            event: "First contact".into(),
            reason: "timed out".into(),
            count,
        })]);
    }
    spool.append(&mut queue).unwrap();
    let diagnosis = patient.examine();
    assert!(problems(&diagnosis).contains(&"spool"), "{diagnosis:?}");
    patient.repair();
    assert_eq!(patient.number("SELECT count FROM peer_error"), 7);
    let diagnosis = patient.examine();
    assert!(diagnosis.is_sound(), "{diagnosis:?}");
    assert!(diagnosis.findings.iter().any(|it| it.check == "spool"));
}

#[test]
fn a_damaged_file_is_told() {
    let patient = Patient::of_2015("");
    let mut bytes = fs::read(patient.path()).unwrap();
    let page = bytes.len() / 2;
    bytes[page..].fill(0xA5);
    fs::write(patient.path(), bytes).unwrap();
    match examine(&patient.case()) {
        Ok(diagnosis) => assert_eq!(problems(&diagnosis), ["integrity"]),
        Err(error) => assert!(matches!(error, DoctorError::Storage(_)), "{error}"),
    }
}

#[test]
fn what_is_no_result_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sqlite");
    let case = Case {
        database: path.clone(),
        ..Case::default()
    };
    assert!(matches!(examine(&case), Err(DoctorError::File(..))));
    fs::write(&path, "no database").unwrap();
    assert!(matches!(examine(&case), Err(DoctorError::NoResults(..))));
    fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE peer (id)")
        .unwrap();
    assert!(matches!(examine(&case), Err(DoctorError::NoResults(..))));
    let patient = Patient::killed("PRAGMA user_version = 99;");
    let error = examine(&patient.case()).unwrap_err().to_string();
    assert!(error.contains("use the version that wrote it"), "{error}");
}

#[test]
fn a_file_that_is_open_elsewhere_is_not_repaired() {
    let patient = Patient::killed("");
    let diagnosis = patient.examine();
    let other = patient.connection();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM peer")
        .unwrap();
    let refused = repair(&patient.case(), &diagnosis, NOW);
    assert!(
        matches!(refused, Err(DoctorError::InUse(..))),
        "{refused:?}"
    );
}
