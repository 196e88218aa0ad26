//! The end of the real program: signals in every stage of a run, with every
//! load. Each run ends at once and in order, and leaves whole files.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use btda::clock::SystemClock;
use btda::lab::{Behaviour, LabOptions, Plan, Reply, ScriptedTracker, Swarm};
use common::contract::beside;
use common::load::{
    Addresses, Storm, announce_answer, call, events, is_answered, next_event, nth, tracker_naming,
};
use common::process::wait_until;
use common::trial::{LONG, STOP_LIMIT, Setup, Trial};
use rusqlite::Connection;

/// Telling a tracker that does not answer may take 1.5 s more.
const FAREWELL_LIMIT: Duration = Duration::from_millis(3_500);

const SIGNALS: [(&str, &str); 2] = [("INT", "SIGINT"), ("TERM", "SIGTERM")];

/// A run at a tracker that names nobody, when it has been announced.
fn idle(setup: Setup) -> (ScriptedTracker, Trial) {
    let tracker = tracker_naming(&[]);
    let mut trial = setup.torrent(&tracker.url()).start();
    assert_eq!(next_event(&tracker), "started");
    wait_until_announced(&mut trial);
    (tracker, trial)
}

/// Waits until the tracker's answer has arrived; only then it is owed a
/// `stopped`.
fn wait_until_announced(trial: &mut Trial) {
    trial.wait_until("the announce is stored", |trial| {
        trial.number("SELECT count(*) FROM request WHERE source = 'tracker'") > 0
    });
}

/// Behind the `started` that was seen there is no other, and one `stopped`.
/// A regular announce that was under way may arrive behind it.
fn assert_farewell(tracker: &ScriptedTracker) {
    let mut told = events(tracker);
    told.retain(|event| !event.is_empty());
    assert_eq!(told, ["stopped"]);
}

#[test]
fn while_it_starts() {
    for (signal, name) in SIGNALS {
        let tracker = tracker_naming(&[]);
        let setup = Setup::new().torrent(&tracker.url());
        let many = setup.config(&[("peer_evaluation_threads", "1024")]);
        let mut trial = many.start();
        trial.wait_until_it_handles_signals();
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        assert_eq!(trial.fact("ended"), name);
        trial.assert_contract();
    }
}

#[test]
fn before_the_first_peer() {
    for (signal, name) in SIGNALS {
        let (tracker, mut trial) = idle(Setup::new());
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        assert_farewell(&tracker);
        assert_eq!(trial.fact("ended"), name);
        trial.assert_contract();
    }
}

#[test]
fn while_the_first_announce_hangs() {
    for (signal, _) in SIGNALS {
        let tracker = ScriptedTracker::http(|_| Reply::Silence).expect("tracker starts");
        let mut trial = Setup::new().torrent(&tracker.url()).start();
        assert_eq!(next_event(&tracker), "started");
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        trial.assert_contract();
    }
}

#[test]
fn while_connections_hang() {
    let addresses = Addresses::hanging();
    for (signal, _) in SIGNALS {
        let tracker = tracker_naming(&addresses.first(64));
        let setup = Setup::new().torrent(&tracker.url());
        let mut trial = setup.config(&[("peer_evaluation_threads", "64")]).start();
        trial.wait_until("64 connections are under way", |trial| {
            trial.descriptors() > 64
        });
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        trial.assert_contract();
        assert_eq!(trial.number("SELECT count(*) FROM peer"), 0);
        assert_eq!(trial.fact("addresses_never_contacted"), "64");
    }
}

#[test]
fn while_300_visits_are_open() {
    let addresses = Addresses::silent();
    for (signal, _) in SIGNALS {
        let tracker = tracker_naming(&addresses.first(300));
        let setup = Setup::new().torrent(&tracker.url());
        let mut trial = setup.config(&[("peer_evaluation_threads", "300")]).start();
        trial.wait_until("300 visits are open", |trial| trial.descriptors() > 300);
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        trial.assert_contract();
        assert_eq!(trial.fact("threads_ended_early"), "0");
        assert_eq!(trial.fact("addresses_never_contacted"), "300");
    }
}

/// Peers that only do good, on trackers that work.
fn swarm() -> Swarm {
    let plan = Plan::new(LabOptions {
        torrents: 2,
        peers: 60,
        callers: 0,
        bad_trackers: false,
        shares: vec![(Behaviour::Bitfield, 3), (Behaviour::LiveHaves, 1)],
        ..LabOptions::default()
    });
    Swarm::start(plan, std::sync::Arc::new(SystemClock::new())).expect("swarm starts")
}

#[test]
fn while_it_calibrates() {
    for (signal, _) in SIGNALS {
        let swarm = swarm();
        let setup = Setup::new().swarm(&swarm).config(&[
            ("rec_dur_analysis", "true"),
            ("network_timeout", "2"),
            ("peer_evaluation_threads", "64"),
            ("tracker.scrape", "true"),
        ]);
        let mut trial = setup.start();
        trial.wait_until("visits are stored", |trial| {
            trial.number("SELECT count(*) FROM visit") > 20
        });
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        trial.assert_contract();
        let waits = trial.file("_timeout.txt");
        assert!(waits.contains("below"), "{waits}");
        assert!(trial.file("_timeout.svg").contains("</svg>"));
    }
}

#[test]
fn under_a_storm_of_callers() {
    for (signal, _) in SIGNALS {
        let (tracker, mut trial) = idle(Setup::new());
        let target = trial.address();
        let mut open = seated(target, 500);
        assert!(open.iter_mut().all(is_answered), "500 are served at once");
        let storm = Storm::start(target, 4);
        trial.wait_until("the storm is on", |_| storm.calls() > 1_000);
        assert_eq!(trial.stop(signal, STOP_LIMIT), Some(0));
        drop(storm);
        assert_farewell(&tracker);
        trial.assert_contract();
        let counted = trial.number("SELECT sum(visits) FROM peer WHERE source = 'incoming'");
        assert!(counted > 100, "{counted} callers were counted");
        assert_eq!(trial.fact("threads_ended_early"), "0");
    }
}

fn seated(target: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|index| call(nth(51, index), target).expect("callers are accepted"))
        .collect()
}

/// Keeps the writer from storing, as another program can.
fn locked(trial: &mut Trial) -> Connection {
    trial.wait_until("there is a database", |trial| {
        trial.number("SELECT count(*) FROM statistic") > 0
    });
    let database = trial.database().expect("just seen");
    let connection = Connection::open(database).expect("database opens");
    connection.busy_timeout(LONG).expect("own connection");
    connection.execute_batch("BEGIN IMMEDIATE").expect("lock");
    connection
}

#[test]
fn a_first_signal_during_the_drain_changes_nothing() {
    let (_tracker, mut trial) = idle(Setup::new().arguments(&["--duration", "2s"]));
    let lock = locked(&mut trial);
    trial.wait_for("stopped: statistics");
    trial.signal("INT");
    drop(lock);
    assert_eq!(trial.end(LONG).code(), Some(0));
    assert_eq!(trial.fact("ended"), "duration over");
    trial.assert_contract();
}

#[test]
fn a_second_signal_ends_a_shutdown_that_hangs() {
    for (first, second) in [
        ("INT", "INT"),
        ("TERM", "TERM"),
        ("TERM", "INT"),
        ("HUP", "TERM"),
    ] {
        let (_tracker, mut trial) = idle(Setup::new());
        let lock = locked(&mut trial);
        trial.signal(first);
        trial.wait_for("stopped: statistics");
        trial.assert_running();
        assert_eq!(trial.stop(second, STOP_LIMIT), Some(130));
        drop(lock);
        assert_eq!(trial.number("SELECT count(*) FROM torrent"), 1);
    }
}

#[test]
fn a_tracker_that_falls_silent_costs_little_time() {
    let tracker = ScriptedTracker::http(|request| match request.value("event").as_deref() {
        Some("stopped") => Reply::Silence,
        _ => Reply::ok(&announce_answer(&[])),
    });
    let tracker = tracker.expect("tracker starts");
    let mut trial = Setup::new().torrent(&tracker.url()).start();
    assert_eq!(next_event(&tracker), "started");
    wait_until_announced(&mut trial);
    let began = Instant::now();
    assert_eq!(trial.stop("TERM", FAREWELL_LIMIT), Some(0));
    assert!(
        began.elapsed() >= Duration::from_millis(1_500),
        "it was waited for"
    );
    assert!(
        trial.said().contains("told trackers: 0 of 1"),
        "{}",
        trial.said()
    );
    assert_farewell(&tracker);
    trial.assert_contract();
}

#[test]
fn the_terminal_goes_away() {
    let (tracker, mut trial) = idle(Setup::new());
    trial.signal("HUP");
    // Shell and kernel may both send it.
    assert_eq!(trial.stop("HUP", STOP_LIMIT), Some(0));
    assert_farewell(&tracker);
    assert_eq!(trial.fact("ended"), "SIGHUP");
    trial.assert_contract();
}

#[test]
fn the_window_with_the_status_line_is_closed() {
    let window = "exec script -qec \"$*\" /dev/null";
    let setup = Setup::new().by_shell(window).variable("TERM", "xterm");
    let (tracker, mut trial) = idle(setup);
    trial.wait_for("] confirmed 0");
    // The program that shows the terminal is gone at once, and the terminal
    // with it.
    trial.signal("KILL");
    trial.end(LONG);
    wait_until("the run has ended", LONG, || {
        trial.file("_run.json").contains("\"finished\"")
    });
    assert_farewell(&tracker);
    assert_eq!(trial.fact("ended"), "SIGHUP");
    wait_until("the database is plain", LONG, || {
        let database = trial.database().expect("a run leaves a database");
        !beside(&database, ".sqlite-wal").exists()
    });
    trial.assert_contract();
}

#[test]
fn under_nohup_the_run_outlives_its_terminal() {
    let (tracker, mut trial) = idle(Setup::new().wrapped(&["nohup"]));
    trial.signal("HUP");
    let before = trial.number("SELECT count(*) FROM statistic");
    trial.wait_until("two more rows of statistics", |trial| {
        trial.number("SELECT count(*) FROM statistic") >= before + 2
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert_farewell(&tracker);
    trial.assert_contract();
}

#[test]
fn nobody_reads_what_it_says() {
    for script in [
        "exec \"$@\" <&-",
        "exec \"$@\" <&- >&- 2>&-",
        // The reader of the pipe is gone before btda says its first word.
        "exec \"$@\" > >(exec true) 2>&1",
        "exec \"$@\" -g > >(exec true) 2>&1",
        "exec \"$@\" > /dev/full 2>&1",
    ] {
        let (tracker, mut trial) = idle(Setup::new().by_shell(script));
        trial.wait_until("a second row of statistics", |trial| {
            trial.number("SELECT count(*) FROM statistic") > 1
        });
        assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0), "{script}");
        assert_farewell(&tracker);
        if !script.contains("-g") {
            trial.assert_contract();
        }
    }
}
