//! Debian's R with the packages of the evaluation scripts of 2015 reads a run
//! while it is being written, and after: `tests/data/queries_2015.R`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::lab::{Behaviour, LabOptions, Plan, Swarm};
use common::contract::beside;
use common::thesis;
use common::trial::{Setup, Trial};
use rusqlite::Connection;

/// The numbers that each query came to.
type Answers = BTreeMap<String, Vec<i64>>;

/// Lets R evaluate `database`. Debian's own R and packages; no file of the
/// user's.
fn evaluate(database: &Path, how: &str) -> Answers {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/queries_2015.R");
    let output = Command::new("Rscript")
        .arg("--vanilla")
        .arg(script)
        .arg(database)
        .arg(how)
        .output()
        .unwrap_or_else(|error| panic!("{error}: Rscript is in the Debian package r-base-core"));
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let plots = beside(database, "_plots.pdf");
    assert!(std::fs::metadata(plots).unwrap().len() > 1000, "{errors}");
    let lines = told.lines().map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap().to_owned();
        (name, words.map(|word| word.parse().unwrap()).collect())
    });
    lines.collect()
}

/// The same from SQL.
fn expected(database: &Path) -> Answers {
    let connection = Connection::open(database).unwrap();
    let mut answers = Answers::new();
    for (name, sql) in [
        (
            "source",
            "SELECT count(*), sum(CASE WHEN source = 'incoming' THEN 0 ELSE received_peers - duplicate_peers END) FROM request",
        ),
        (
            "confirmed",
            "SELECT count(*), coalesce(sum(first_pieces < complete_threshold AND last_pieces >= complete_threshold), 0) FROM peer JOIN torrent ON torrent.id = torrent WHERE last_pieces IS NOT NULL",
        ),
        (
            "reported",
            "SELECT sum(n), sum(most - least) FROM (SELECT count(*) AS n, max(completed) AS most, min(completed) AS least FROM request WHERE completed IS NOT NULL GROUP BY torrent)",
        ),
        ("visits", "SELECT count(*), sum(visits) FROM peer"),
        (
            "speed",
            "SELECT count(*), coalesce(sum(max_speed > 0), 0) FROM peer WHERE max_speed IS NOT NULL",
        ),
    ] {
        let row = connection.query_row(sql, [], |row| Ok(vec![row.get(0)?, row.get(1)?]));
        answers.insert(name.to_owned(), row.unwrap());
    }
    answers
}

fn assert_answers(found: &Answers, wanted: &Answers) {
    for (name, numbers) in wanted {
        assert_eq!(found.get(name), Some(numbers), "{name}: {found:?}");
    }
}

fn swarm() -> Swarm {
    let options = LabOptions {
        torrents: 2,
        peers: 40,
        callers: 6,
        duration: Duration::from_secs(3600),
        shares: vec![(Behaviour::Bitfield, 3), (Behaviour::Silent, 1)],
        pieces: (400, 800),
        // Some complete while R looks.
        download: (Duration::from_secs(5), Duration::from_secs(60)),
        stalls: 0,
        bad_trackers: true,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).unwrap()
}

fn start(swarm: &Swarm) -> Trial {
    let keys = [
        ("network_timeout", "1"),
        ("peer_revisit_delay", "1"),
        ("tracker.scrape", "true"),
    ];
    let mut trial = Setup::new().swarm(swarm).config(&keys).start();
    trial.wait_until("downloads are confirmed and trackers scraped", |trial| {
        trial.number("SELECT count(*) FROM peer JOIN torrent ON torrent.id = torrent WHERE first_pieces < complete_threshold AND last_pieces >= complete_threshold") > 0
            && trial.number("SELECT count(DISTINCT completed) FROM request") > 1
            && trial.number("SELECT count(*) FROM statistic") > 2
            && !trial.file("_tracker-error.txt").is_empty()
    });
    trial
}

#[test]
fn r_reads_a_run_while_it_is_written_and_after() {
    let swarm = swarm();
    let mut trial = start(&swarm);
    let database = trial.database().unwrap();
    let before = trial.number("SELECT count(*) FROM visit");
    let during = evaluate(&database, "raw");
    for name in [
        "source",
        "confirmed",
        "reported",
        "visits",
        "speed",
        "statistic",
        "tracker_error",
    ] {
        assert!(during[name][0] > 0, "{name}: {during:?}");
    }
    assert!(during["confirmed"][1] > 0, "{during:?}");
    // The reader was no hindrance: the run goes on to be stored.
    trial.wait_until("more visits are stored", |trial| {
        trial.number("SELECT count(*) FROM visit") > before + 20
    });
    assert_eq!(trial.stop("INT", Duration::from_secs(20)), Some(0));
    swarm.stop();
    assert_answers(&evaluate(&database, "raw"), &expected(&database));
    trial.assert_contract();

    // The variant with vm and sets.
    let made = Command::new(env!("CARGO_BIN_EXE_btda"))
        .arg("export")
        .arg(&database)
        .args(["--for", "r"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let exported = beside(&database, "_r.sqlite");
    let found = evaluate(&exported, "export");
    let mut wanted = expected(&database);
    let confirmed = wanted["confirmed"][1];
    wanted.insert("sets".to_owned(), vec![2, confirmed]);
    wanted.insert("thresholds".to_owned(), vec![5, confirmed]);
    assert_answers(&found, &wanted);
    assert_eq!(found["workload"][1], 1);
}

#[test]
fn r_reads_the_published_run() {
    let folder = tempfile::tempdir().unwrap();
    let Some(database) = thesis::second_machine_as_it_was(folder.path()) else {
        eprintln!("not tried: the data of the thesis are not beside the checkout");
        return;
    };
    let btda = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_btda"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let path = database.to_str().unwrap();
    btda(&["doctor", "--repair", path]);
    btda(&["export", path, "--for", "r"]);
    let found = evaluate(&beside(&database, "_r.sqlite"), "export");
    assert_answers(&found, &expected(&database));
    // As published; a scrape of torrent 5 that had been lost adds 20.
    assert_eq!(found["confirmed"][1], 8_180);
    assert_eq!(found["speed"][1], 98_080);
    assert_eq!(found["reported"][1], 61_654 + 10_677 + 422 + 20);
    assert_eq!(found["sets"], [10, 8_180]);
    assert_eq!(found["thresholds"], [5, 8_180]);
    // First contacts that failed, and peers that did not call.
    assert_eq!(found["source"][1], 734_222 + 85_047);
}
