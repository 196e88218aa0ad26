//! What may happen to the results of a run of the real program: a database
//! locked by another program, a full disk, an output folder that vanishes, a
//! kill. Measuring goes on, every row comes into the database, and what was
//! stored before a kill is whole.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::{Clock, SystemClock};
use btda::lab::{Behaviour, Expected, LabOptions, Plan, Rules, Swarm, Truth};
use btda::model::Timestamp;
use btda::storage::spool::replay;
use common::btda_run::BtdaRun;
use common::contract::{Waiting, assert_interrupted, beside, violations};
use common::process::wait_until;
use common::small_disk::{SmallDisk, is_root};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// For everything that has to happen at some time.
const SOON: Duration = Duration::from_secs(40);

/// For the end of a run whose database works.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Peers that tell their progress at once and keep loading: some hundred rows
/// a second for as long as a test wants.
fn swarm() -> Swarm {
    let options = LabOptions {
        torrents: 2,
        peers: 60,
        callers: 0,
        duration: Duration::from_secs(3600),
        shares: vec![(Behaviour::Bitfield, 3), (Behaviour::HaveAllNone, 1)],
        pieces: (400, 800),
        download: (Duration::from_secs(15), Duration::from_secs(600)),
        stalls: 0,
        bad_trackers: false,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).expect("swarm starts")
}

/// A run on a practice swarm in a folder of its own.
struct Trial {
    swarm: Swarm,
    run: BtdaRun,
    folder: TempDir,
    /// When it was told to stop.
    stopped: Option<Timestamp>,
}

impl Trial {
    /// Starts both; `before` sees the folder before the program does.
    fn start(before: impl FnOnce(&Path)) -> Self {
        Self::start_with("", before)
    }

    /// The same with further lines of configuration.
    fn start_with(config: &str, before: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["input", "output", "spool"] {
            fs::create_dir(folder.path().join(name)).expect("folder can be made");
        }
        before(folder.path());
        let swarm = swarm();
        let input = folder.path().join("input");
        swarm
            .torrent_files(&input)
            .expect("torrents can be written");
        let run = start_run(folder.path(), config);
        Self {
            swarm,
            run,
            folder,
            stopped: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.run.database().expect("there is a database")
    }

    /// Waits until so many visits are in the database.
    fn wait_for_visits(&mut self, visits: i64) {
        let run = &mut self.run;
        wait_until("visits are stored", SOON, || {
            run.assert_running();
            let database = run.database();
            database.is_some_and(|path| stored_visits(&path) >= Some(visits))
        });
    }

    /// Waits until the peers were visited so many times more: measuring goes
    /// on, whatever the database does.
    fn wait_for_contacts(&mut self, more: usize) {
        let enough = self.swarm.contacts().len() + more;
        let (run, swarm) = (&mut self.run, &self.swarm);
        wait_until("measuring goes on", SOON, || {
            run.assert_running();
            swarm.contacts().len() >= enough
        });
    }

    fn spool_files(&self, name: &str) -> Vec<PathBuf> {
        files_with(&self.path(name), "spool")
    }

    fn wait_for_spool(&mut self, name: &str, wanted: bool) {
        let folder = self.path(name);
        let run = &mut self.run;
        wait_until("the spool file comes or goes", SOON, || {
            run.assert_running();
            files_with(&folder, "spool").is_empty() != wanted
        });
    }

    /// Presses Ctrl+C; the exit code.
    fn stop(&mut self) -> Option<i32> {
        self.stopped = Some(SystemClock::new().timestamp());
        let (status, _) = self.run.interrupt(STOP_LIMIT).expect("it ends");
        status.code()
    }

    /// Every visit that happened is in the database, and every rule of the
    /// contract holds, but for the lines in the log that a person must see:
    /// these are returned.
    fn assert_complete(self) -> Vec<String> {
        let database = self.database();
        let truth = self.swarm.stop();
        let stopped = self.stopped.expect("it was told to stop");
        assert_truth(&truth, stopped, &database);
        let (alarms, broken): (Vec<String>, Vec<String>) = violations(&database, Waiting::Possibly)
            .into_iter()
            .partition(|line| line.starts_with("log: "));
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        let critical = alarms.iter().any(|line| line.contains("CRITICAL"));
        assert!(!critical, "{}", alarms.join("\n"));
        alarms
    }
}

fn start_run(folder: &Path, further: &str) -> BtdaRun {
    let config = format!(
        "peer_evaluation_threads = 16
         network_timeout = 2
         peer_revisit_delay = 0.2
         tracker_request_interval = 1
         ignore_interval = true
         bittorrent_listen_port = 0
         statistic_interval = 1
         listen.address = '127.0.0.1'
         contact.allow_private = true
         contact.per_second_network_max = 0
         storage.batch_interval_seconds = 0.1
         storage.memory_rows = 100
         storage.spool_folder = '{}'
         {further}",
        folder.join("spool").display()
    );
    // Bitfields end a visit only by silence: be quick.
    let arguments = ["--timeout", "0.3"];
    BtdaRun::start(folder, &folder.join("input"), &config, &arguments)
}

fn files_with(folder: &Path, part: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = files.map(|file| file.path());
    paths
        .filter(|path| path.to_string_lossy().contains(&format!("_{part}")))
        .collect()
}

fn number(database: &Path, sql: &str) -> Option<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(database, flags).ok()?;
    database.query_row(sql, [], |row| row.get(0)).ok()
}

fn stored_visits(database: &Path) -> Option<i64> {
    number(database, "SELECT count(*) FROM visit")
}

/// Contacts that were broken off by the end of the run may be stored or not:
/// those that ended later than half a second before it.
fn assert_truth(truth: &Truth, stopped: Timestamp, database: &Path) {
    let last = stopped.millis() - 500;
    let judged = |wanted: fn(Expected, bool) -> bool| {
        let contacts = truth.contacts.iter();
        let found = contacts.filter(|it| {
            let late = it.ended.millis() > last;
            wanted(truth.expected(it, Rules::corrected(300)), late)
        });
        i64::try_from(found.count()).expect("few")
    };
    let certain =
        judged(|it, late| !late && matches!(it, Expected::Counts(_) | Expected::Between(..)));
    let open = judged(|it, late| late || matches!(it, Expected::Open(_)));
    let stored = stored_visits(database).expect("database can be read");
    assert!(
        (certain..=certain + open).contains(&stored),
        "{certain} visits and {open} broken off, {stored} stored"
    );
}

fn manifest(database: &Path) -> Value {
    let text = fs::read_to_string(beside(database, "_run.json")).expect("manifest is there");
    serde_json::from_str(&text).expect("manifest is JSON")
}

/// A fact of the manifest that is a number.
fn fact(manifest: &Value, key: &str) -> u64 {
    let value = manifest[key].as_str().unwrap_or_default();
    value.parse().unwrap_or_else(|_| panic!("{key}: {value:?}"))
}

/// Locks the database as another program would.
fn lock(database: &Path) -> Connection {
    let other = Connection::open(database).expect("database can be opened");
    other.busy_timeout(SOON).expect("any connection can wait");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("lock is free");
    other
}

#[test]
fn a_locked_database_gets_every_row_when_it_is_free() {
    let mut trial = Trial::start(|_| ());
    trial.wait_for_visits(20);
    let other = lock(&trial.database());
    trial.wait_for_spool("output", true);
    trial.wait_for_contacts(100);
    other.execute_batch("ROLLBACK").expect("lock is held");
    drop(other);
    trial.wait_for_spool("output", false);
    trial.wait_for_contacts(20);
    assert_eq!(trial.stop(), Some(0), "{}", trial.run.said());
    let manifest = manifest(&trial.database());
    assert!(fact(&manifest, "rows_spooled") > 100, "{manifest:#}");
    assert_eq!(fact(&manifest, "rows_lost"), 0);
    assert!(trial.spool_files("spool").is_empty());
    let alarms = trial.assert_complete();
    assert_eq!(alarms.len(), 1, "{alarms:#?}");
    assert!(alarms[0].contains("spool file"), "{alarms:#?}");
}

#[test]
fn what_a_database_refuses_to_the_end_is_replayed_later() {
    let mut trial = Trial::start(|_| ());
    trial.wait_for_visits(20);
    let database = trial.database();
    let other = lock(&database);
    trial.wait_for_contacts(50);
    assert_eq!(trial.stop(), Some(6), "{}", trial.run.said());
    let files = trial.spool_files("output");
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files[0].to_str().expect("text");
    assert!(trial.run.said().contains(name), "{}", trial.run.said());
    let manifest = manifest(&database);
    assert_eq!(manifest["spool_files"][0], name);
    assert_eq!(fact(&manifest, "rows_lost"), 0);
    drop(other);
    let replayed = replay(&database, &files).expect("the lock is gone");
    assert_eq!(replayed.rows, fact(&manifest, "rows_in_spool"));
    assert_eq!((replayed.lost, replayed.cut_off), (0, 0));
    assert_eq!(replay(&database, &files).expect("again").rows, 0);
    let plain = Connection::open(&database).expect("database can be opened");
    let mode = plain.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
    mode.expect("nobody else has it open");
    drop(plain);
    let alarms = trial.assert_complete();
    assert!(!alarms.is_empty(), "a person must look");
}

#[test]
fn rows_without_any_room_are_lost_one_by_one_in_the_log() {
    let mut trial = Trial::start_with("storage.spool_max_bytes = 0", |_| ());
    trial.wait_for_visits(20);
    let database = trial.database();
    let log = beside(&database, ".log");
    let critical = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains(":CRITICAL:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let other = lock(&database);
    wait_until("rows are lost", SOON, || critical().len() > 50);
    drop(other);
    trial.wait_for_contacts(50);
    assert_eq!(trial.stop(), Some(6), "{}", trial.run.said());
    let lost = critical();
    let manifest = manifest(&database);
    assert_eq!(fact(&manifest, "rows_lost"), lost.len() as u64);
    assert_eq!(fact(&manifest, "rows_spooled"), 0);
    for line in lost {
        // Only rows of 2015 have the form that the log script reads.
        let table = line.split("table=").nth(1).expect("the table is named");
        let of_2015 = ["peer ", "request ", "statistic "];
        let of_2015 = of_2015.iter().any(|name| table.starts_with(name));
        assert_eq!(line.contains("[SQL: '"), of_2015, "{line}");
        assert_eq!(line.ends_with(")]"), of_2015, "{line}");
    }
}

#[test]
fn a_full_disk_delays_rows_but_loses_none() {
    let mut disk = None;
    let mut trial = Trial::start(|folder| disk = SmallDisk::mount(&folder.join("output")));
    let Some(disk) = disk else {
        assert!(!is_root(), "root cannot mount a tmpfs here");
        println!("skipped: mounting a small disk needs root");
        return;
    };
    trial.wait_for_visits(20);
    disk.fill();
    // The output folder has no room for a spool file either.
    trial.wait_for_spool("spool", true);
    trial.wait_for_contacts(100);
    disk.empty();
    trial.wait_for_spool("spool", false);
    trial.wait_for_contacts(20);
    assert_eq!(trial.stop(), Some(0), "{}", trial.run.said());
    let manifest = manifest(&trial.database());
    assert!(fact(&manifest, "rows_spooled") > 0);
    assert_eq!(fact(&manifest, "rows_lost"), 0);
    let folder = trial.folder.path().to_owned();
    trial.assert_complete();
    // A mounted folder cannot be removed with its parent.
    drop(disk);
    fs::remove_dir_all(folder).expect("nothing is mounted any more");
}

#[test]
fn an_output_folder_that_vanishes_comes_back_complete() {
    let mut trial = Trial::start(|_| ());
    trial.wait_for_visits(20);
    let database = trial.database();
    for _ in 0..2 {
        let before = stored_visits(&database).expect("readable");
        let output = trial.path("output");
        // The program may write a file while its folder is being emptied.
        wait_until("the folder is gone", SOON, || {
            fs::remove_dir_all(&output).is_ok()
        });
        let found = || stored_visits(&database).is_some_and(|visits| visits > before);
        wait_until("the database is back, with all rows", SOON, found);
    }
    trial.wait_for_contacts(20);
    assert_eq!(trial.stop(), Some(0), "{}", trial.run.said());
    assert_eq!(trial.database(), database);
    assert_eq!(manifest(&database)["state"], "finished");
    let alarms = trial.assert_complete();
    assert!(
        alarms.iter().any(|line| line.contains("disappeared")),
        "{alarms:#?}"
    );
}

#[test]
fn a_folder_that_was_moved_away_is_made_again() {
    let mut trial = Trial::start(|_| ());
    trial.wait_for_visits(20);
    let database = trial.database();
    let moved = trial.path("moved");
    fs::rename(trial.path("output"), &moved).expect("folder can be moved");
    wait_until("the database is back", SOON, || database.exists());
    trial.wait_for_contacts(20);
    assert_eq!(trial.stop(), Some(0), "{}", trial.run.said());
    let left = moved.join(database.file_name().expect("it has a name"));
    let check = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'";
    assert_eq!(number(&left, check), Some(1), "the moved part can be read");
    trial.assert_complete();
}

/// Kills runs after this many visits; the next starts beside what they left.
const KILLED_AFTER: [i64; 4] = [1, 40, 90, 150];

#[test]
fn after_a_kill_everything_up_to_the_last_commit_is_there() {
    let Trial {
        swarm: _swarm,
        run: first,
        folder,
        stopped: _stopped,
    } = Trial::start(|_| ());
    let mut left: Vec<(PathBuf, i64)> = Vec::new();
    let mut run = first;
    for visits in KILLED_AFTER {
        let known: Vec<_> = left.iter().map(|(path, _)| path.clone()).collect();
        let (database, seen) = wait_for_new_database(&mut run, &known, visits);
        run.kill();
        assert_eq!(manifest(&database)["state"], "running");
        assert_interrupted(&database);
        let stored = stored_visits(&database).expect("readable");
        assert!(
            stored >= seen,
            "{seen} visits were there, {stored} are left"
        );
        left.push((database, stored));
        run = start_run(folder.path(), "");
    }
    let known: Vec<_> = left.iter().map(|(path, _)| path.clone()).collect();
    let (database, _) = wait_for_new_database(&mut run, &known, 20);
    let (status, _) = run.interrupt(STOP_LIMIT).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", run.said());
    let broken = violations(&database, Waiting::Possibly);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    for (database, visits) in left {
        assert_eq!(stored_visits(&database), Some(visits), "nobody touched it");
    }
}

/// The run's own database as soon as it has so many visits, and how many.
fn wait_for_new_database(run: &mut BtdaRun, known: &[PathBuf], visits: i64) -> (PathBuf, i64) {
    let mut found = None;
    wait_until("visits are stored", SOON, || {
        run.assert_running();
        let files = run.files().into_iter();
        let mut new = files.filter(|path| path.extension().is_some_and(|end| end == "sqlite"));
        let Some(path) = new.find(|path| !known.contains(path)) else {
            return false;
        };
        let stored = stored_visits(&path).unwrap_or(0);
        found = (stored >= visits).then_some((path, stored));
        found.is_some()
    });
    found.expect("waited for")
}
