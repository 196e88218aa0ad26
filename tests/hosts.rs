//! Host names in a real run: dnsmasq answers for the peers of a practice
//! swarm, on loopback, at once, slowly, too late and wrongly. What breaks the
//! protocol is in `src/hosts/tests.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::lab::{Behaviour, LabOptions, Plan, Swarm};
use common::contract::beside;
use common::dnsmasq::{Names, SOON};
use common::trial::{Setup, Trial};
use rusqlite::Connection;

/// Gives every address of 127.0.0.0/8 a name that spells it out, as access
/// networks do.
const NAMES: &str = "--synth-domain=dsl.example.co.uk,127.0.0.0/8";

/// A name server that is slow: it asks dnsmasq, and keeps the answers back
/// until it may give them.
struct Slow {
    port: u16,
    may: Arc<AtomicBool>,
    given: Arc<AtomicU64>,
}

impl Slow {
    /// Its thread ends with the test.
    fn start(names: &Names) -> Self {
        let (socket, behind) = (loopback(), loopback());
        behind.connect(("127.0.0.1", names.port)).unwrap();
        behind.set_read_timeout(Some(SOON)).unwrap();
        let look = Some(Duration::from_millis(20));
        socket.set_read_timeout(look).unwrap();
        let port = socket.local_addr().unwrap().port();
        let (may, given) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<AtomicU64>::default(),
        );
        let (is_open, sum) = (Arc::clone(&may), Arc::clone(&given));
        thread::spawn(move || {
            let (mut bytes, mut held) = ([0; 2048], Vec::new());
            loop {
                if let Ok((length, from)) = socket.recv_from(&mut bytes) {
                    behind.send(&bytes[..length]).unwrap();
                    let length = behind.recv(&mut bytes).unwrap();
                    held.push((bytes[..length].to_vec(), from));
                }
                if is_open.load(Ordering::SeqCst) {
                    for (answer, to) in held.drain(..) {
                        // Who asked may have gone.
                        let _ = socket.send_to(&answer, to);
                        sum.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        });
        Self { port, may, given }
    }

    fn may_answer(&self) {
        self.may.store(true, Ordering::SeqCst);
    }

    fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }
}

fn loopback() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn swarm() -> Swarm {
    let options = LabOptions {
        torrents: 1,
        peers: 12,
        callers: 4,
        duration: Duration::from_secs(3600),
        shares: vec![(Behaviour::Bitfield, 1)],
        bad_trackers: false,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).unwrap()
}

fn start(swarm: &Swarm, server: &str) -> Trial {
    start_with_timeout(swarm, server, "20")
}

fn start_with_timeout(swarm: &Swarm, server: &str, timeout: &str) -> Trial {
    let server = format!("\"{server}\"");
    let keys = [
        ("network_timeout", "1"),
        ("hosts.enabled", "true"),
        ("hosts.servers", &*server),
        ("hosts.timeout_seconds", timeout),
    ];
    Setup::new().swarm(swarm).config(&keys).start()
}

/// All bytes of all files of a run that may hold an address or a full name.
fn files(database: &Path) -> Vec<(String, String)> {
    let folder = database.parent().unwrap();
    let files = fs::read_dir(folder).unwrap().flatten();
    files
        .filter(|file| file.path().is_file())
        .map(|file| {
            let bytes = fs::read(file.path()).unwrap();
            let name = file.file_name().to_string_lossy().into_owned();
            (name, String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

#[test]
fn peers_of_a_run_get_the_end_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = Names::start(folder.path(), &[NAMES]);
    let swarm = swarm();
    let mut trial = start(&swarm, &format!("127.0.0.1:{}", names.port));
    trial.wait_until("every peer has its name", |trial| {
        let peers = trial.number("SELECT count(*) FROM peer");
        peers >= 8 && trial.number("SELECT count(*) FROM host WHERE outcome = 'name'") == peers
    });
    assert_eq!(trial.stop("INT", Duration::from_secs(20)), Some(0));
    swarm.stop();
    trial.assert_contract();
    assert_eq!(trial.fact("host_names_not_asked"), "0");
    let database = trial.database().unwrap();
    let odd = "SELECT count(*) FROM host WHERE host <> 'co.uk' OR domain <> 'example.co.uk' OR outcome <> 'name'";
    assert_eq!(trial.number(odd), 0);

    // Each address once, and neither it nor the full name in any file.
    let asked = names.asked();
    assert!(!asked.is_empty());
    for (file, content) in files(&database) {
        for address in &asked {
            let spelt = format!("{}.dsl", address.replace('.', "-"));
            assert!(!content.contains(&spelt), "{file} has {spelt}");
        }
    }

    // What the script of 2015 reads.
    let hosts = Connection::open(beside(&database, "_hosts.sqlite")).unwrap();
    let count = |sql: &str| -> i64 { hosts.query_row(sql, [], |row| row.get(0)).unwrap() };
    let peers = trial.number("SELECT count(*) FROM peer");
    assert_eq!(
        count("SELECT count(*) FROM peer WHERE host = 'co.uk'"),
        peers
    );
    assert_eq!(
        count("SELECT cid FROM pragma_table_info('peer') WHERE name = 'host'"),
        1
    );

    // A combined database keeps the names of its own peers.
    let made = Command::new(env!("CARGO_BIN_EXE_btda"))
        .args(["export", "--for", "r"])
        .arg(&database)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let exported = Connection::open(beside(&database, "_r.sqlite")).unwrap();
    let names: i64 = exported
        .query_row(
            "SELECT count(*) FROM host JOIN peer ON peer.id = host.peer",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(names, peers);
    assert!(beside(&database, "_r_hosts.sqlite").exists());
}

#[test]
fn names_that_come_slowly_hinder_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let names = Names::start(folder.path(), &[NAMES]);
    let slow = Slow::start(&names);
    let swarm = swarm();
    let mut trial = start(&swarm, &format!("127.0.0.1:{}", slow.port));
    trial.wait_until("peers are stored without their names", |trial| {
        trial.number("SELECT count(*) FROM peer") >= 8
    });
    let without = "SELECT count(*) FROM host";
    assert_eq!(trial.number(without), 0);
    slow.may_answer();
    trial.wait_until("every peer has its name", |trial| {
        let peers = trial.number("SELECT count(*) FROM peer");
        trial.number("SELECT count(*) FROM host WHERE outcome = 'name'") == peers
    });
    assert_eq!(trial.stop("INT", Duration::from_secs(20)), Some(0));
    swarm.stop();
    trial.assert_contract();
    assert_eq!(
        trial.number("SELECT count(*) FROM host WHERE host <> 'co.uk'"),
        0
    );
}

#[test]
fn names_that_come_too_late_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let names = Names::start(folder.path(), &[NAMES]);
    let slow = Slow::start(&names);
    let swarm = swarm();
    let server = format!("127.0.0.1:{}", slow.port);
    let mut trial = start_with_timeout(&swarm, &server, "0.2");
    let late = "SELECT count(*) FROM host WHERE outcome = 'timed out' AND host IS NULL";
    trial.wait_until("look-ups are given up", |trial| trial.number(late) >= 4);
    let given_up = trial.number(late);
    slow.may_answer();
    trial.wait_until("the answers come", |_| slow.given() >= 8);
    assert_eq!(trial.stop("INT", Duration::from_secs(20)), Some(0));
    swarm.stop();
    trial.assert_contract();
    assert!(trial.number(late) >= given_up, "what was given up stays so");
    let odd = "SELECT count(*) FROM host WHERE (host IS NULL) = (outcome = 'name')";
    assert_eq!(trial.number(odd), 0);
}

#[test]
fn a_dead_name_server_hinders_nobody() {
    // Bound, but nobody answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let swarm = swarm();
    let mut trial = start(&swarm, &silent.local_addr().unwrap().to_string());
    trial.wait_until("peers are stored without their names", |trial| {
        trial.number("SELECT count(*) FROM peer") >= 8
    });
    assert_eq!(trial.stop("INT", Duration::from_secs(15)), Some(0));
    swarm.stop();
    trial.assert_contract();
    assert_eq!(
        trial.number("SELECT count(*) FROM host WHERE host IS NOT NULL"),
        0
    );
    let database = trial.database().unwrap();
    assert!(!beside(&database, "_hosts.sqlite").exists());
}

/// dnsmasq gives names that spell out the whole address in one label, that no
/// host may have, and of one label only; it says that there is none, and it
/// refuses to answer.
#[test]
fn wrong_names_are_made_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let names = Names::start(
        folder.path(),
        &[
            "--ptr-record=1.0.16.127.in-addr.arpa,127-16-0-1.example",
            "--ptr-record=2.0.16.127.in-addr.arpa,<b>.'; DROP.TABLE",
            "--ptr-record=3.0.16.127.in-addr.arpa,single",
            "--local=/4.0.16.127.in-addr.arpa/",
        ],
    );
    let swarm = swarm();
    let mut trial = start(&swarm, &format!("127.0.0.1:{}", names.port));
    trial.wait_until("every peer has its outcome", |trial| {
        let peers = trial.number("SELECT count(*) FROM peer");
        peers >= 12 && trial.number("SELECT count(*) FROM host") == peers
    });
    assert_eq!(trial.stop("INT", Duration::from_secs(20)), Some(0));
    swarm.stop();
    trial.assert_contract();
    let database = Connection::open(trial.database().unwrap()).unwrap();
    let mut query = database
        .prepare("SELECT host, count(*) FROM host WHERE outcome = 'name' GROUP BY 1 ORDER BY 1")
        .unwrap();
    let stored = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let stored: Vec<(String, i64)> = stored.unwrap().collect::<Result<_, _>>().unwrap();
    let wanted = ["#.example", "???drop.table", "single"].map(|name| (name.to_owned(), 1));
    assert_eq!(stored, wanted);
    let none = "SELECT count(*) FROM host WHERE outcome = 'no name' AND host IS NULL";
    assert_eq!(trial.number(none), 1);
    let failed = "SELECT count(*) FROM host WHERE outcome = 'failed' AND host IS NULL";
    assert_eq!(
        trial.number(failed),
        trial.number("SELECT count(*) FROM host") - 4
    );
}
