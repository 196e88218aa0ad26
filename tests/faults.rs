//! What may happen to the machine during a run of the real program:
//! descriptors used up, the clock set, the network gone. The run goes on,
//! counts what it saw, and ends in order.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use btda::clock::SystemClock;
use btda::lab::{Behaviour, LabOptions, Plan, ScriptedPeer, Step, Swarm, wire};
use common::load::{Addresses, call, call_and_tell, events, is_answered, nth, tracker_naming};
use common::process::program;
use common::trial::{LONG, PIECES, STOP_LIMIT, Setup, Trial, run_to_end};

const INCOMING: &str = "SELECT sum(visits) FROM peer WHERE source = 'incoming'";

/// Callers that were counted or turned away.
fn settled_callers(trial: &Trial) -> i64 {
    let failed = trial.peer_errors("Incoming peer", "");
    trial.number(INCOMING) + i64::try_from(failed).expect("few")
}

#[test]
fn with_100_descriptors() {
    let tracker = tracker_naming(&[]);
    let setup = Setup::new().torrent(&tracker.url());
    let setup = setup.config(&[("peer_evaluation_threads", "1024")]);
    let mut trial = setup.wrapped(&["prlimit", "--nofile=100:100"]).start();
    trial.wait_for("peer_evaluation_threads 1024 -> 34, listen.callers_max 4096 -> 16");
    assert!(
        trial.said().contains("descriptors 100,"),
        "{}",
        trial.said()
    );
    let target = trial.address();
    let mut open: Vec<TcpStream> = (0..300)
        .map(|index| call(nth(61, index), target).expect("the kernel accepts"))
        .collect();
    let served = open
        .iter_mut()
        .filter_map(|caller| is_answered(caller).then_some(()));
    assert_eq!(served.count(), 16, "the others are turned away");
    drop(open);
    trial.wait_until("all 300 are counted", |trial| settled_callers(trial) == 300);
    for index in 0..20 {
        call_and_tell(nth(62, index), target).expect("later callers are served");
    }
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert_eq!(trial.number(INCOMING), 20);
    trial.assert_contract();
}

/// Sets the soft limit of descriptors of a running trial; the one before.
fn limit_descriptors(trial: &Trial, soft: u64) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{}/limits", trial.id())).expect("it runs");
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"));
    let before = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let mut command = program("prlimit", "util-linux", std::path::Path::new("/"));
    command.arg(format!("--nofile={soft}:"));
    command.args(["--pid", &trial.id().to_string()]);
    run_to_end(command, "util-linux");
    before.expect("a number")
}

/// A peer that hangs up on its first visitor and tells the others that it
/// has everything.
fn peer_at_second_sight() -> (ScriptedPeer, SocketAddrV4) {
    let all = wire::bitfield(&wire::bits(PIECES, 0..PIECES));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let scripts = vec![
        vec![Step::Close],
        vec![Step::Answer, Step::Send(all), Step::Close],
    ];
    let peer = ScriptedPeer::listen_at(address, scripts).expect("peer starts");
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, peer.address().port());
    (peer, address)
}

#[test]
fn descriptors_used_up_in_the_middle_of_a_run() {
    const REFUSING: usize = 19;
    let (_peer, address) = peer_at_second_sight();
    let refusing = Addresses::refusing();
    let mut named = refusing.first(REFUSING);
    named.push(address);
    let tracker = tracker_naming(&named);
    let setup = Setup::new().torrent(&tracker.url()).config(&[
        ("statistic_interval", "0.2"),
        ("retry.first_delay_seconds", "3"),
        ("retry.max_delay_seconds", "3"),
        ("log.level", "\"debug\""),
    ]);
    let mut trial = setup.start();
    let target = trial.address();
    trial.wait_until("the first contacts have failed", |trial| {
        trial.peer_errors("First contact", "[Errno 111]") == REFUSING as u64
            && trial.peer_errors("First contact", "Socket connection broken") == 1
    });
    let usual = limit_descriptors(&trial, 4);
    let mut callers: Vec<TcpStream> = (0..50)
        .map(|index| call(nth(63, index), target).expect("the kernel accepts"))
        .collect();
    trial.wait_until("every contact and accept fails", |trial| {
        let log = trial.log();
        log.matches("Failed(Os(24))").count() > REFUSING && log.contains("accept failed")
    });
    limit_descriptors(&trial, usual);
    trial.wait_until("they are counted", |trial| {
        let lacking = "[Errno 24] Too many open files";
        trial.peer_errors("First contact", lacking) == REFUSING as u64 + 1
    });
    assert!(callers.iter_mut().all(is_answered), "who waited is served");
    drop(callers);
    trial.wait_until("contacts are tried again", |trial| {
        trial.number("SELECT count(*) FROM peer WHERE source = 'tracker'") == 1
    });
    call_and_tell(nth(64, 0), target).expect("later callers are served");
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert!(events(&tracker).iter().any(|event| event == "stopped"));
    assert_eq!(trial.fact("threads_ended_early"), "0");
    assert_eq!(trial.fact("rows_lost"), "0");
    trial.assert_contract_but_for_log();
}

#[test]
fn with_few_threads() {
    let tracker = tracker_naming(&[]);
    let setup = Setup::new().torrent(&tracker.url());
    let setup = setup.config(&[("peer_evaluation_threads", "1024")]);
    let mut trial = setup.wrapped(&["prlimit", "--nproc=900:900"]).start();
    trial.wait_for("processes 900");
    trial.wait_for("peer_evaluation_threads 1024 -> 582, listen.callers_max 4096 -> 16");
    trial.wait_until("it runs", |trial| trial.threads() > 584);
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    trial.assert_contract();
}

/// The library that lets a program see another time.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib")
        .expect("every Debian has it")
        .flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists()).expect(
        "libfaketime is missing, with which the clock is set: install the Debian package faketime",
    )
}

/// Rows whose time is before that of an earlier row.
fn rows_out_of_order(trial: &Trial) -> i64 {
    let tables = [
        ("statistic", "timestamp"),
        ("request", "timestamp"),
        ("visit", "time_ms"),
    ];
    let backwards = tables.map(|(table, time)| {
        trial.number(&format!(
            "SELECT count(*) FROM {table} AS a JOIN {table} AS b ON b.id = a.id + 1
             WHERE b.{time} < a.{time}"
        ))
    });
    backwards.iter().sum()
}

#[test]
fn the_clock_is_set() {
    let tracker = tracker_naming(&[]);
    let setup = Setup::new().torrent(&tracker.url());
    let offset = setup.folder().join("offset");
    let set = |to: &str| fs::write(&offset, to).expect("own folder");
    set("+0");
    let setup = setup
        .config(&[("statistic_interval", "0.2")])
        .variable("LD_PRELOAD", faketime().to_str().expect("path is text"))
        .variable(
            "FAKETIME_TIMESTAMP_FILE",
            offset.to_str().expect("path is text"),
        )
        .variable("FAKETIME_NO_CACHE", "1")
        .variable("DONT_FAKE_MONOTONIC", "1");
    let mut trial = setup.start();
    let target = trial.address();
    for (round, (to, line)) in [
        ("-3600", "wall clock was set by -3"),
        ("+3600", "wall clock was set by 7"),
    ]
    .into_iter()
    .enumerate()
    {
        call_and_tell(nth(65, round), target).expect("callers are served");
        let before = trial.number("SELECT count(*) FROM request");
        trial.wait_until("rows before the step", |trial| {
            trial.number("SELECT count(*) FROM request") > before
        });
        set(to);
        trial.wait_until(line, |trial| {
            let log = trial.log();
            log.lines()
                .any(|it| it.contains(":WARNING:") && it.contains(line))
        });
    }
    call_and_tell(nth(65, 2), target).expect("callers are served");
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert_eq!(trial.number(INCOMING), 3);
    assert_eq!(rows_out_of_order(&trial), 0);
    let drift: i64 = trial.fact("wall_clock_drift_ms").parse().expect("a number");
    assert!((3_590_000..=3_610_000).contains(&drift), "{drift}");
    let length = trial.number("SELECT max(timestamp) - min(timestamp) FROM statistic");
    assert!(length < 300, "the run lasted {length} s by its own times");
    trial.assert_contract();
}

/// Runs `ip` in the network that this process is in.
fn ip(arguments: &str) {
    let mut command = program("ip", "iproute2", std::path::Path::new("/"));
    command.args(arguments.split(' '));
    run_to_end(command, "iproute2");
}

/// Takes a network of its own, in which loopback can be taken down, and runs
/// `inside_a_network_of_its_own` there.
#[test]
fn the_network_is_gone_for_a_while() {
    let this = std::env::current_exe().expect("a test is a program");
    let mut refusals = String::new();
    // As root, or where plain users may make themselves one.
    for options in ["-n", "-rn"] {
        let mut probe = program("unshare", "util-linux", std::path::Path::new("/"));
        let probed = probe
            .args([options, "true"])
            .output()
            .expect("unshare runs");
        if !probed.status.success() {
            refusals.push_str(&String::from_utf8_lossy(&probed.stderr));
            continue;
        }
        let mut inside = program("unshare", "util-linux", std::path::Path::new("/"));
        inside.arg(options).arg(&this);
        inside.args([
            "--exact",
            "inside_a_network_of_its_own",
            "--ignored",
            "--nocapture",
        ]);
        let output = inside.output().expect("unshare runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{errors}"
        );
        return;
    }
    panic!(
        "this test takes loopback down in a network of its own, for which it must be root or be \
         allowed user namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces): \
         {refusals}"
    );
}

#[test]
#[ignore = "takes loopback down: started by the_network_is_gone_for_a_while in a network of its own"]
fn inside_a_network_of_its_own() {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    // At most the headline.
    let own = routes.lines().count() <= 1;
    assert!(own, "this network is of use: {routes}");
    ip("link set lo up");
    let plan = Plan::new(LabOptions {
        torrents: 2,
        peers: 40,
        callers: 0,
        bad_trackers: false,
        shares: vec![(Behaviour::Bitfield, 1)],
        download: (LONG * 10, LONG * 20),
        ..LabOptions::default()
    });
    let swarm = Swarm::start(plan, Arc::new(SystemClock::new())).expect("swarm starts");
    let setup = Setup::new().swarm(&swarm).config(&[
        ("network_timeout", "0.5"),
        ("peer_revisit_delay", "0.5"),
        ("peer_evaluation_threads", "32"),
        ("tracker.scrape", "true"),
    ]);
    let mut trial = setup.start();
    let visits = |trial: &Trial| trial.number("SELECT count(*) FROM visit");
    trial.wait_until("visits are made", |trial| visits(trial) > 60);

    ip("link set lo down");
    trial.wait_until("nobody answers", |trial| {
        trial.peer_errors("Later contact", "timed out") > 20
    });
    ip("address flush dev lo");
    trial.wait_until("contacts and announces fail", |trial| {
        trial.peer_errors("Later contact", "[Errno 101] Network is unreachable") > 20
            && trial.file("_tracker-error.txt").contains("announce fail")
    });
    let before = visits(&trial);
    ip("link set lo up");
    ip("address replace 127.0.0.1/8 dev lo");
    let requests = "SELECT count(*) FROM request WHERE source = 'tracker'";
    let announced = trial.number(requests);
    trial.wait_until("visits and announces go on", |trial| {
        visits(trial) > before + 60 && trial.number(requests) > announced + 2
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert_eq!(trial.fact("threads_ended_early"), "0");
    trial.assert_contract();
}

#[test]
fn a_taken_port_of_the_listener_refuses_the_run() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("bound").port().to_string();
    let setup = Setup::new()
        .torrent("")
        .config(&[("bittorrent_listen_port", &port)]);
    let mut trial = setup.start();
    assert_eq!(trial.end(LONG).code(), Some(7));
    let said = trial.said();
    assert!(
        said.contains(&format!("cannot listen on port {port} ")),
        "{said}"
    );
    assert_eq!(trial.output_files().len(), 1, "only the log");
}
