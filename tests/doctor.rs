//! `btda doctor` on real runs: one that goes on, one that was killed, one that
//! ended in order, and the published run of 2015 where it is there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::lab::{Behaviour, LabOptions, Plan, Swarm};
use common::contract::assert_interrupted;
use common::thesis;
use common::trial::{Setup, Trial};
use serde_json::Value;

const STOP_LIMIT: Duration = Duration::from_secs(20);

fn doctor(database: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_btda"))
        .arg("doctor")
        .arg(database)
        .args(options)
        .output()
        .unwrap()
}

/// Exit code and diagnosis.
fn diagnosis(database: &Path, options: &[&str]) -> (i32, Value) {
    let options: Vec<&str> = options.iter().copied().chain(["--json"]).collect();
    let output = doctor(database, &options);
    let value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), value)
}

/// The checks that found something at `level`.
fn found(value: &Value, level: &str) -> Vec<String> {
    let findings = value["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|it| it["level"] == level);
    findings
        .map(|it| it["check"].as_str().unwrap().to_owned())
        .collect()
}

fn run_on(swarm: &Swarm) -> Trial {
    let mut trial = Setup::new()
        .swarm(swarm)
        .config(&[("network_timeout", "1"), ("peer_revisit_delay", "1")])
        .start();
    trial.wait_until("visits are stored", |trial| {
        trial.number("SELECT count(*) FROM visit") > 60
            && trial.number("SELECT count(*) FROM statistic") > 2
    });
    trial
}

fn swarm() -> Swarm {
    let options = LabOptions {
        torrents: 2,
        peers: 40,
        callers: 0,
        duration: Duration::from_secs(3600),
        shares: vec![(Behaviour::Bitfield, 3), (Behaviour::Silent, 1)],
        pieces: (400, 800),
        download: (Duration::from_secs(15), Duration::from_secs(600)),
        stalls: 0,
        bad_trackers: true,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).unwrap()
}

#[test]
fn a_run_that_was_killed_is_put_right() {
    let swarm = swarm();
    let mut trial = run_on(&swarm);
    let database = trial.database().unwrap();
    // While it runs, nothing is wrong and nothing may be touched.
    let (code, value) = diagnosis(&database, &["--repair"]);
    assert_eq!(code, 0, "{value:#}");
    assert!(
        found(&value, "notice").contains(&"process".to_owned()),
        "{value:#}"
    );
    assert_eq!(value["repaired"], serde_json::json!([]));
    trial.assert_running();
    trial.signal("KILL");
    trial.end(STOP_LIMIT);
    let (code, value) = diagnosis(&database, &[]);
    assert_eq!(code, 1);
    let problems = found(&value, "problem");
    assert!(problems.contains(&"state".to_owned()), "{value:#}");
    assert!(problems.contains(&"journal".to_owned()), "{value:#}");
    // Without --repair nothing changed.
    assert_eq!(diagnosis(&database, &[]), (code, value));
    let (code, value) = diagnosis(&database, &["--repair"]);
    assert_eq!(code, 0, "{value:#}");
    assert_eq!(value["state"], "killed");
    assert!(!value["repaired"].as_array().unwrap().is_empty());
    let (code, value) = diagnosis(&database, &["--repair"]);
    assert_eq!((code, &value["repaired"]), (0, &serde_json::json!([])));
    assert_interrupted(&database);
    assert_eq!(trial.fact("state"), "killed");
    assert!(!trial.file("_tracker-error.txt").is_empty());
    swarm.stop();
}

#[test]
fn a_run_that_ended_is_sound() {
    let swarm = swarm();
    let mut trial = run_on(&swarm);
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    let database = trial.database().unwrap();
    let before = fs::read(&database).unwrap();
    let output = doctor(&database, &["--repair"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("a run of btda, finished\n"), "{told}");
    assert!(told.ends_with("verdict: sound\n"), "{told}");
    assert_eq!(fs::read(&database).unwrap(), before);
    trial.assert_contract();
    swarm.stop();
}

#[test]
fn the_lost_statements_of_2015_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(database) = thesis::second_machine_as_it_was(folder.path()) else {
        eprintln!("not tried: the data of the thesis are not beside the checkout");
        return;
    };
    let (code, value) = diagnosis(&database, &[]);
    assert_eq!(code, 1, "{value:#}");
    let (code, value) = diagnosis(&database, &["--repair"]);
    assert_eq!(code, 0, "{value:#}");
    assert_eq!(found(&value, "problem"), [""; 0]);
    for _ in 0..2 {
        let rows = rusqlite::Connection::open(&database).unwrap();
        let count = |sql: &str| -> i64 { rows.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT count(*) FROM request"), 25_040);
        assert_eq!(count("SELECT count(*) FROM statistic"), 412);
        drop(rows);
        assert_eq!(diagnosis(&database, &["--repair"]).0, 0);
    }
}
