//! A defect in each kind of thread of the real program, built with the
//! feature `faults`: the thread is named, started again where that is safe,
//! and what was measured is stored.
//!
//! `cargo test --features faults --test panics`
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest};
use btda::lab::{ScriptedPeer, ScriptedTracker, Step, wire};
use btda::stop::stop_pair;
use common::load::{Addresses, call, call_and_tell, events, is_answered, nth, tracker_naming};
use common::process::{free_port, wait_until};
use common::trial::{LONG, PIECES, STOP_LIMIT, Setup, Trial, info_hash};

/// A run whose clock fails as `fault` says, see `runtime/fault.rs`.
fn faulty(fault: &str) -> Setup {
    Setup::new().variable("FAULT_OF_BTDA", fault)
}

const INCOMING: &str = "SELECT sum(visits) FROM peer WHERE source = 'incoming'";
const CONTACTED: &str = "SELECT count(*) FROM peer WHERE source = 'tracker'";

/// Peers that have everything.
fn complete_peers(count: usize) -> Vec<ScriptedPeer> {
    let all = wire::bitfield(&wire::bits(PIECES, 0..PIECES));
    let script = vec![Step::Answer, Step::Send(all), Step::Close];
    let peers = (0..count).map(|_| ScriptedPeer::listen(script.clone()));
    peers.collect::<Result<_, _>>().expect("peers start")
}

fn tracker_of(peers: &[ScriptedPeer]) -> ScriptedTracker {
    let named: Vec<SocketAddrV4> = peers
        .iter()
        .map(|peer| SocketAddrV4::new(Ipv4Addr::LOCALHOST, peer.address().port()))
        .collect();
    tracker_naming(&named)
}

/// The log names the thread that panicked, without any address.
fn assert_told(trial: &Trial, thread: &str) {
    let log = trial.log();
    let told = log.lines().any(|line| {
        let (head, text) = line.split_once("] ").unwrap_or_default();
        head.contains(":CRITICAL:")
            && head
                .rsplit(':')
                .next()
                .is_some_and(|it| it.starts_with(thread))
            && text.contains("panic at src/analyzer/runtime/fault.rs")
            && text.contains("<address>")
    });
    assert!(told, "{log}");
    assert!(!log.contains("192.0.2"), "{log}");
    assert!(!trial.said().contains("192.0.2"), "{}", trial.said());
}

/// Ends a run in which one thread died: in order, and the exit code says it.
fn finish(trial: &mut Trial, thread: &str) {
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(6));
    assert_told(trial, thread);
    assert_eq!(trial.fact("threads_ended_early"), "1");
    assert_eq!(trial.fact("rows_lost"), "0");
    trial.assert_contract_but_for_log();
}

#[test]
fn a_contact_worker_is_started_again_and_its_peer_visited_again() {
    // The readings of one visit: before the connection, in it, behind it.
    for reading in [1, 2, 5, 9, 12, 40] {
        let peers = complete_peers(6);
        let tracker = tracker_of(&peers);
        let setup = faulty(&format!("contact:{reading}")).torrent(&tracker.url());
        // One worker has to be started again to visit anybody.
        let mut trial = setup.config(&[("peer_evaluation_threads", "1")]).start();
        trial.wait_until("all peers are visited", |trial| {
            trial.number(CONTACTED) == 6
        });
        finish(&mut trial, "contact-0001");
        assert!(
            trial
                .log()
                .contains("thread=contact-0001 panicked; restart=1 in 0 s")
        );
        assert!(trial.said().contains("confirmed downloads: 0 of 6 peers"));
    }
}

#[test]
fn a_caller_is_counted_and_the_next_one_served() {
    for reading in [1, 4, 8] {
        let tracker = tracker_naming(&[]);
        let setup = faulty(&format!("caller:{reading}")).torrent(&tracker.url());
        let mut trial = setup.start();
        let target = trial.address();
        // Whose thread panics hears nothing more.
        let mut told = 0;
        for index in 0..6 {
            told += i64::from(call_and_tell(nth(71, index), target).is_ok());
        }
        assert!(told >= 5, "{told} of 6 were served");
        trial.wait_until("they are stored", |trial| trial.number(INCOMING) >= 5);
        finish(&mut trial, "caller-");
        assert_eq!(trial.number(INCOMING), 5);
    }
}

#[test]
fn the_accept_thread_is_started_again() {
    let tracker = tracker_naming(&[]);
    let setup = faulty("accept:2").torrent(&tracker.url());
    // It asks for the time when it turns a caller away.
    let setup = setup.config(&[("listen.callers_per_address_max", "1")]);
    let mut trial = setup.start();
    let target = trial.address();
    let mut first = call(nth(72, 0), target).expect("callers are accepted");
    assert!(is_answered(&mut first));
    for _ in 0..4 {
        let mut refused = call(nth(72, 0), target).expect("callers are accepted");
        assert!(!is_answered(&mut refused));
    }
    call_and_tell(nth(72, 1), target).expect("the next caller is served");
    trial.wait_until("it is stored", |trial| trial.number(INCOMING) == 1);
    finish(&mut trial, "accept");
    assert_eq!(
        trial.peer_errors("Incoming peer", "Too many callers from"),
        3
    );
}

#[test]
fn a_tracker_thread_is_started_again_and_does_not_introduce_us_twice() {
    for reading in [1, 3, 4, 8] {
        let peers = complete_peers(3);
        let tracker = tracker_of(&peers);
        let fault = format!("tracker-1:{reading}");
        let mut trial = faulty(&fault).torrent(&tracker.url()).start();
        trial.wait_until("later announces are stored", |trial| {
            trial.number("SELECT count(*) FROM request WHERE source = 'tracker'") > 1
                && trial.number(CONTACTED) == 3
        });
        finish(&mut trial, "tracker-1");
        let told = events(&tracker);
        let count = |event: &str| told.iter().filter(|it| *it == event).count();
        assert_eq!(count("stopped"), 1, "{reading}: {told:?}");
        // One whose answer was not taken in any more comes again.
        assert!((1..=2).contains(&count("started")), "{reading}: {told:?}");
    }
}

#[test]
fn a_request_to_a_tracker_fails_and_the_next_one_does_not() {
    let tracker = ScriptedTracker::udp(|asked| vec![udp_answer(asked)]).expect("tracker starts");
    let mut trial = faulty("tracker-request:2").torrent(&tracker.url()).start();
    trial.wait_until("a later announce is stored", |trial| {
        trial.number("SELECT count(*) FROM request WHERE source = 'tracker'") > 1
    });
    finish(&mut trial, "tracker-request");
    let results = trial.file("_tracker-error.txt");
    let failed = results
        .lines()
        .filter(|line| line.contains("announce fail"));
    assert_eq!(failed.count(), 1, "{results}");
}

/// Answers of a tracker without peers (BEP 15).
fn udp_answer(asked: &[u8]) -> Vec<u8> {
    let part = |from: usize, to: usize| asked.get(from..to).unwrap_or_default();
    let (action, transaction) = (part(8, 12), part(12, 16));
    let rest: &[u8] = if action == [0; 4] { &[7; 8] } else { &[0; 12] };
    [action, transaction, rest].concat()
}

#[test]
fn the_statistics_go_on() {
    for reading in [1, 2, 3] {
        let tracker = tracker_naming(&[]);
        let setup = faulty(&format!("statistics:{reading}")).torrent(&tracker.url());
        let mut trial = setup.config(&[("statistic_interval", "0.2")]).start();
        trial.wait_until("rows are written", |trial| {
            trial.number("SELECT count(*) FROM statistic") > 4
        });
        finish(&mut trial, "statistics");
    }
}

#[test]
fn our_dht_node_is_started_again_and_keeps_its_place() {
    // The only other node. It asks nobody, so that whoever finds the peer
    // through it after the fault still knows where it is.
    let peers = complete_peers(1);
    let SocketAddr::V4(peer) = peers[0].address() else {
        panic!("scripted peers have IPv4");
    };
    let (_trigger, stop) = stop_pair();
    let settings = DhtSettings::loopback(*peer.ip());
    let other = DhtNode::start(settings, Arc::new(SystemClock::new()), &stop, None)
        .expect("a port is free");
    let bootstrap = (*peer.ip(), other.port(Family::V4).expect("has IPv4"));
    let bootstrap = format!("\"{}\"", SocketAddrV4::new(bootstrap.0, bootstrap.1));
    for reading in [5, 40] {
        let port = free_port(Ipv4Addr::LOCALHOST).to_string();
        let setup = faulty(&format!("dht4:{reading}")).torrent("");
        let mut trial = setup
            .arguments(&["-d"])
            .config(&[
                ("dht.backend", "\"own\""),
                ("dht.bootstrap", &bootstrap),
                ("dht.allow_private", "true"),
                ("dht.lookup_timeout_seconds", "2"),
                ("dht_request_interval", "0.2"),
                ("dht_node_port", &port),
            ])
            .start();
        trial.wait_until("the thread has failed", |trial| {
            trial
                .log()
                .contains("thread=dht4 panicked; restart=1 in 0 s")
        });
        let lookups = "SELECT count(*) FROM request WHERE source = 'dht'";
        let before = trial.number(lookups);
        announce(&other, peer.port());
        trial.wait_until("lookups find the peer again", |trial| {
            trial.number(lookups) > before
                && trial.number("SELECT count(*) FROM peer WHERE source = 'dht'") == 1
        });
        finish(&mut trial, "dht4");
    }
}

/// Lets `node` announce the peer of the trial with `port`, to whoever is
/// there; returns when some node took it.
fn announce(node: &DhtHandle, port: u16) {
    let request = LookupRequest {
        info_hash: info_hash(),
        announce_port: Some(port),
        private: false,
        limit: Duration::from_secs(5),
    };
    wait_until("the announce is taken", LONG, || {
        let events = node.lookup(&request).expect("the node runs");
        events
            .iter()
            .any(|event| matches!(event, LookupEvent::Done(summary) if summary.announced > 0))
    });
}

#[test]
fn without_its_writer_a_run_ends_in_order() {
    for reading in [5, 20, 60] {
        let peers = complete_peers(4);
        let tracker = tracker_of(&peers);
        let setup = faulty(&format!("writer:{reading}")).torrent(&tracker.url());
        let mut trial = setup.config(&[("statistic_interval", "0.1")]).start();
        assert_eq!(trial.end(LONG).code(), Some(6), "{reading}");
        assert_told(&trial, "writer");
        let log = trial.log();
        assert!(
            log.contains("thread=writer panicked; it cannot be restarted safely"),
            "{log}"
        );
        assert!(
            trial
                .said()
                .contains("stopping: a thread that cannot be restarted ended")
        );
        // What it had stored is there, and each row is whole.
        assert_eq!(trial.number("SELECT count(*) FROM torrent"), 1);
        let halves = "SELECT count(*) FROM peer WHERE (last_pieces IS NULL) <> (visits = 1)";
        assert_eq!(trial.number(halves), 0);
        assert_eq!(trial.fact("state"), "broken");
        assert_eq!(trial.fact("ended"), "the writer ended by a defect");
        let manifest = trial.file("_run.json");
        assert!(manifest.contains("\"broken\""), "{manifest}");
        let journal = trial
            .database()
            .expect("it is there")
            .with_extension("sqlite-wal");
        assert!(!journal.exists(), "one plain file");
    }
}

#[test]
fn without_its_supervisor_a_run_ends_in_order() {
    let tracker = tracker_naming(&[]);
    let mut trial = faulty("main:60").torrent(&tracker.url()).start();
    assert_eq!(trial.end(LONG).code(), Some(6));
    assert_told(&trial, "main");
    trial.assert_contract_but_for_log();
}

#[test]
fn a_defect_before_the_start_is_told() {
    let tracker = tracker_naming(&[]);
    let mut trial = faulty("main:1").torrent(&tracker.url()).start();
    assert_eq!(trial.end(LONG).code(), Some(1));
    assert!(
        trial.said().contains("btda: ended by a defect"),
        "{}",
        trial.said()
    );
}

#[test]
fn a_thread_that_hangs_is_named_and_left_behind() {
    let silent = Addresses::silent();
    let tracker = tracker_naming(&silent.first(2));
    let setup = faulty("contact-0002:6:hang")
        .torrent(&tracker.url())
        .config(&[
            ("peer_evaluation_threads", "2"),
            ("statistic_interval", "0.1"),
        ]);
    let mut trial = setup.start();
    trial.wait_until("both workers are busy", |trial| {
        trial.number("SELECT max(evaluator_threads) FROM statistic") == 2
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT * 4), Some(6));
    assert!(
        trial.log().contains("threads=contact-0002"),
        "{}",
        trial.log()
    );
    assert!(trial.said().contains("left behind: contacts: contact-0002"));
    trial.assert_contract_but_for_log();
}

#[test]
fn a_second_signal_ends_a_run_whose_writer_hangs() {
    let tracker = tracker_naming(&[]);
    let setup = faulty("writer:30:hang").torrent(&tracker.url());
    // Soon full, so that everybody waits for the writer.
    let setup = setup.config(&[("statistic_interval", "0.1"), ("storage.queue_length", "1")]);
    let mut trial = setup.start();
    let target: SocketAddr = trial.address();
    let callers: Vec<TcpStream> = (0..20)
        .map(|index| call(nth(73, index), target).expect("callers are accepted"))
        .collect();
    drop(callers);
    trial.signal("TERM");
    trial.wait_for("stopping: SIGTERM");
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(130));
}
