//! Real clients that talk only with message stream encryption, against the
//! real program: libtorrent with RC4 and with plaintext behind the handshake,
//! and transmission with encryption required, all Debian packages.
//!
//! Two runs measure the same swarm, one after the other and both with the
//! default settings: one that is only called, then one that only calls. They
//! have the same address and port, since transmission knows one peer for each
//! address. It also calls nobody on loopback, so all of it takes place in a
//! network of its own with other addresses, which needs root or user
//! namespaces.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they saw"
)]

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use common::btda_run::BtdaRun;
use common::client::{Assignment, Client, Progress};
use common::contract::{Waiting, assert_contract};
use common::libtorrent::{Libtorrent, Role};
use common::network;
use common::opentracker::OpenTracker;
use common::process::wait_until;
use common::results::{Peer, Results};
use common::torrent::TestTorrent;
use common::transmission::Transmission;

/// 12.5 MB: with [`DOWNLOAD_LIMIT`] some 50 s.
const PIECES: u32 = 192;
const PIECE_LENGTH: u32 = 64 * 1024;

/// Bytes a second for each leecher.
const DOWNLOAD_LIMIT: u32 = 256 * 1024;

/// The downloads are over and everything is known by then; usually it takes
/// less than a minute.
const LIMIT: Duration = Duration::from_secs(240);

/// Time between two samples of the clients' own interfaces.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Both runs of btda; tracker, seeder and leechers have addresses of their
/// own.
const OWN_ADDRESS: &str = "10.77.0.1";
const RANGE: &str = "10.77.0.0/16";

const CONFIG: &str = r#"
peer_evaluation_threads = 16
receive_message_max = 24
tracker_request_interval = 5
ignore_interval = true
statistic_interval = 10
bittorrent_listen_port = 6911

[visit]
budget_seconds = 6

[contact]
allow_private = true

[retry]
first_delay_seconds = 3
tracked_delay_seconds = 3
max_delay_seconds = 5
attempts = 50

[listen]
address = "10.77.0.1"
"#;

#[test]
fn encrypted_clients_are_confirmed_and_heard() {
    network::run_inside("inside_a_network_of_its_own");
}

#[test]
#[ignore = "started by encrypted_clients_are_confirmed_and_heard in a network of its own"]
fn inside_a_network_of_its_own() {
    network::take_into_use(&[(address(1).into(), RANGE)]);
    let folder = tempfile::tempdir().expect("temporary folder can be made");
    let mut world = World::start(folder.path());
    let timeouts = ["--timeout", "2s", "--revisit-delay", "3s"];
    let input = world.input.clone();
    let start = |switches: &str| {
        let folder = subfolder(folder.path(), &format!("btda{switches}"));
        BtdaRun::start_as(switches, &folder, &input, CONFIG, &timeouts)
    };
    let mut called = start("-p");
    wait_until("the tracker knows btda", LIMIT, || {
        world.tracker.scrape(world.torrent.hash()).incomplete == 1
    });
    world.start_leechers(folder.path());
    world.sample_until("everybody was heard", |world| {
        called.assert_running();
        world.everybody(&called, |peer, _| peer.visits > 0)
    });
    stop(&mut called);
    let mut calling = start("-a");
    world.sample_until("everybody is confirmed", |world| {
        calling.assert_running();
        world.is_finished() && world.everybody(&calling, Peer::is_confirmed)
    });
    stop(&mut calling);
    world.sample();
    assert_contract(&database(&called), Waiting::Possibly);
    assert_contract(&database(&calling), Waiting::Nobody);
    world.check(&called, "incoming", "incoming");
    world.check(&calling, "outgoing", "tracker");
}

fn stop(run: &mut BtdaRun) {
    let (status, _) = run.interrupt(STOP_LIMIT).expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "exit code of btda");
}

struct Leecher {
    client: Box<dyn Client>,
    /// What its visits must have in the column `encryption`.
    encryption: &'static str,
    progress: Progress,
}

struct World {
    leechers: Vec<Leecher>,
    seeder: Libtorrent,
    tracker: OpenTracker,
    torrent: TestTorrent,
    input: PathBuf,
    files: Vec<PathBuf>,
}

fn subfolder(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(&path).expect("folder can be made");
    path
}

fn database(run: &BtdaRun) -> PathBuf {
    run.database().expect("btda made a database")
}

/// Address number `n`; the first is [`OWN_ADDRESS`].
fn address(n: u8) -> Ipv4Addr {
    let own: Ipv4Addr = OWN_ADDRESS.parse().expect("an address");
    let [a, b, c, _] = own.octets();
    Ipv4Addr::new(a, b, c, n)
}

impl World {
    /// Tracker and seeder.
    fn start(folder: &Path) -> Self {
        let torrent = TestTorrent::generate("data.bin", 7, PIECES, PIECE_LENGTH);
        let own = subfolder(folder, "opentracker");
        let tracker = OpenTracker::start(&own, address(2), &[torrent.hash()]);
        let input = subfolder(folder, "input");
        let file = input.join("data.torrent");
        fs::write(&file, torrent.file(&[tracker.http_url()])).expect("torrent can be written");
        let own = subfolder(folder, "seeder");
        fs::write(own.join(torrent.name), &torrent.data).expect("data can be written");
        let files = vec![file];
        let assignment = Assignment::new(address(3), &own, &files);
        let seeder = Libtorrent::start(Role::EITHER_SEEDER, &assignment);
        wait_until("the tracker knows the seeder", LIMIT, || {
            tracker.scrape(torrent.hash()).complete == 1
        });
        Self {
            leechers: Vec::new(),
            seeder,
            tracker,
            torrent,
            input,
            files,
        }
    }

    fn start_leechers(&mut self, folder: &Path) {
        let folders = ["rc4", "plaintext", "transmission"].map(|name| subfolder(folder, name));
        let assignment = |n: u8| Assignment {
            download_limit: DOWNLOAD_LIMIT,
            ..Assignment::new(address(4 + n), &folders[usize::from(n)], &self.files)
        };
        let clients: [(Box<dyn Client>, _); 3] = [
            (
                Box::new(Libtorrent::start(Role::RC4_LEECHER, &assignment(0))),
                "rc4",
            ),
            (
                Box::new(Libtorrent::start(Role::PLAINTEXT_LEECHER, &assignment(1))),
                "mse-plain",
            ),
            (
                Box::new(Transmission::start_encrypted(&assignment(2))),
                "rc4",
            ),
        ];
        let leecher = |(client, encryption)| Leecher {
            client,
            encryption,
            progress: Progress::default(),
        };
        self.leechers = clients.into_iter().map(leecher).collect();
    }

    fn sample(&mut self) {
        self.tracker.assert_running();
        self.seeder.assert_running();
        for leecher in &mut self.leechers {
            leecher.client.assert_running();
            let sampled = leecher.client.sample(&mut leecher.progress);
            sampled.expect("a client tells its progress");
        }
    }

    fn sample_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        let mut next = began;
        loop {
            self.sample();
            if done(self) {
                println!("{what} after {:?}", began.elapsed());
                return;
            }
            assert!(
                began.elapsed() < LIMIT,
                "not within {LIMIT:?}: {what}\n{}",
                self.report()
            );
            next += SAMPLE_INTERVAL;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn report(&self) -> String {
        let lines = self.leechers.iter().map(|leecher| {
            let pieces = leecher.progress.timeline(self.torrent.hash()).latest();
            format!("{}: {pieces} pieces", leecher.client.name())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is_finished(&self) -> bool {
        self.leechers.iter().all(|leecher| {
            leecher.progress.timeline(self.torrent.hash()).latest() == self.torrent.pieces()
        })
    }

    /// Whether `run` has stored for every leecher a row that is `good` at its
    /// threshold.
    fn everybody(&self, run: &BtdaRun, good: impl Fn(&Peer, u32) -> bool) -> bool {
        let look = || -> rusqlite::Result<bool> {
            let results = Results::open(&database(run))?;
            let (id, threshold) = results.torrent(&self.torrent.hash().to_string())?;
            for leecher in &self.leechers {
                let peers = results.peers(leecher.client.code(), id)?;
                if !peers.iter().any(|peer| good(peer, threshold)) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        look().unwrap_or(false)
    }

    /// Every visit of a leecher has the direction and the encryption that it
    /// must have, and as many pieces as the client itself says.
    fn check(&self, run: &BtdaRun, direction: &str, source: &str) {
        let results = Results::open(&database(run)).expect("database can be read");
        let hash = self.torrent.hash();
        let (id, _) = results
            .torrent(&hash.to_string())
            .expect("torrent is stored");
        for leecher in &self.leechers {
            let label = format!("{} {direction}", leecher.client.name());
            let peers = results.peers(leecher.client.code(), id);
            let peers = peers.expect("peers can be read");
            assert!(!peers.is_empty(), "{label}");
            let timeline = leecher.progress.timeline(hash);
            for peer in &peers {
                assert_eq!(peer.source, source, "{label}");
                for visit in results.visits(peer.id).expect("visits can be read") {
                    let (least, greatest) = timeline.bounds(visit.began_ms, visit.ended_ms);
                    assert!(
                        (least..=greatest).contains(&visit.pieces),
                        "{label}: {visit:?}, but the client says {least} to {greatest}"
                    );
                    let way = (visit.direction.as_str(), visit.transport.as_str());
                    assert_eq!(way, (direction, "tcp"), "{label}");
                    assert_eq!(visit.encryption, leecher.encryption, "{label}");
                }
            }
            let visits: i64 = peers.iter().map(|peer| peer.visits).sum();
            println!("{label}: {} rows, {visits} visits", peers.len());
        }
    }
}
