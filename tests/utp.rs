//! Real clients that talk only by uTP, against the real program: a libtorrent
//! seeder and a libtorrent leecher, the Debian package, on loopback.
//!
//! Two runs measure the same swarm with the default settings, one after the
//! other: one that is only called, then one that only calls.
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they saw"
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
use common::opentracker::OpenTracker;
use common::process::wait_until;
use common::results::{Peer, Results, Visit};
use common::torrent::TestTorrent;

/// 12.5 MB: with [`DOWNLOAD_LIMIT`] some 50 s.
const PIECES: u32 = 192;
const PIECE_LENGTH: u32 = 64 * 1024;

/// Bytes a second for the leecher.
const DOWNLOAD_LIMIT: u32 = 256 * 1024;

/// The download is over and everything is known by then; usually it takes
/// less than a minute.
const LIMIT: Duration = Duration::from_secs(240);

/// Time between two samples of the client's own interface.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

const STOP_LIMIT: Duration = Duration::from_secs(20);

const TRACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
const SEEDER: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);
const LEECHER: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 3);

const CONFIG: &str = r#"
peer_evaluation_threads = 16
receive_message_max = 24
tracker_request_interval = 5
ignore_interval = true
statistic_interval = 10
bittorrent_listen_port = 0

[visit]
budget_seconds = 8

[retry]
first_delay_seconds = 3
tracked_delay_seconds = 3
max_delay_seconds = 5
attempts = 50

[contact]
allow_private = true

[listen]
address = "127.0.0.1"
"#;

#[test]
fn clients_of_utp_only_are_heard_and_confirmed() {
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
    world.start_leecher(folder.path());
    world.sample_until("the leecher was heard", |world| {
        called.assert_running();
        world.leecher_is(&called, |peer, _| peer.visits > 0)
    });
    stop(&mut called);
    let mut calling = start("-a");
    world.sample_until("the leecher is confirmed", |world| {
        calling.assert_running();
        world.is_finished() && world.leecher_is(&calling, Peer::is_confirmed)
    });
    stop(&mut calling);
    world.sample();
    assert_contract(&database(&called), Waiting::Possibly);
    assert_contract(&database(&calling), Waiting::Nobody);
    world.check(&called, "incoming");
    world.check(&calling, "outgoing");
}

fn stop(run: &mut BtdaRun) {
    let (status, _) = run.interrupt(STOP_LIMIT).expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "exit code of btda");
}

fn subfolder(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(&path).expect("folder can be made");
    path
}

fn database(run: &BtdaRun) -> PathBuf {
    run.database().expect("btda made a database")
}

struct World {
    leecher: Option<Libtorrent>,
    progress: Progress,
    seeder: Libtorrent,
    tracker: OpenTracker,
    torrent: TestTorrent,
    input: PathBuf,
    files: Vec<PathBuf>,
}

impl World {
    /// Tracker and seeder.
    fn start(folder: &Path) -> Self {
        let torrent = TestTorrent::generate("data.bin", 9, PIECES, PIECE_LENGTH);
        let own = subfolder(folder, "opentracker");
        let tracker = OpenTracker::start(&own, TRACKER, &[torrent.hash()]);
        let input = subfolder(folder, "input");
        let file = input.join("data.torrent");
        fs::write(&file, torrent.file(&[tracker.http_url()])).expect("torrent can be written");
        let own = subfolder(folder, "seeder");
        fs::write(own.join(torrent.name), &torrent.data).expect("data can be written");
        let files = vec![file];
        let seeder = Libtorrent::start(Role::UTP_SEEDER, &Assignment::new(SEEDER, &own, &files));
        wait_until("the tracker knows the seeder", LIMIT, || {
            tracker.scrape(torrent.hash()).complete == 1
        });
        Self {
            leecher: None,
            progress: Progress::default(),
            seeder,
            tracker,
            torrent,
            input,
            files,
        }
    }

    fn start_leecher(&mut self, folder: &Path) {
        let own = subfolder(folder, "leecher");
        let assignment = Assignment {
            download_limit: DOWNLOAD_LIMIT,
            ..Assignment::new(LEECHER, &own, &self.files)
        };
        self.leecher = Some(Libtorrent::start(Role::UTP_LEECHER, &assignment));
    }

    fn sample(&mut self) {
        self.tracker.assert_running();
        self.seeder.assert_running();
        if let Some(leecher) = &mut self.leecher {
            leecher.assert_running();
            leecher.sample(&mut self.progress).expect("it tells");
        }
    }

    fn sample_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
            thread::sleep(SAMPLE_INTERVAL);
            self.sample();
        }
    }

    fn is_finished(&self) -> bool {
        let timeline = self.progress.timeline(self.torrent.hash());
        timeline.latest() == self.torrent.pieces()
    }

    fn code(&self) -> &str {
        self.leecher.as_ref().expect("it was started").code()
    }

    /// Whether the running btda has stored the leecher so.
    fn leecher_is(&self, run: &BtdaRun, wanted: impl Fn(&Peer, u32) -> bool) -> bool {
        let stored = || {
            let results = Results::open(&run.database()?).ok()?;
            let hash = self.torrent.hash().to_string();
            let (id, threshold) = results.torrent(&hash).ok()?;
            let peers = results.peers(self.code(), id).ok()?;
            Some(peers.iter().any(|peer| wanted(peer, threshold)))
        };
        stored().unwrap_or(false)
    }

    /// Every visit went over uTP, in that direction, and heard the pieces
    /// that the client had.
    fn check(&self, run: &BtdaRun, direction: &str) {
        let results = Results::open(&database(run)).expect("database can be read");
        let hash = self.torrent.hash();
        let (id, _) = results.torrent(&hash.to_string()).expect("it is stored");
        let timeline = self.progress.timeline(hash);
        let mut count = 0;
        for code in [self.code(), self.seeder.code()] {
            for peer in results.peers(code, id).expect("peers can be read") {
                for visit in results.visits(peer.id).expect("visits can be read") {
                    check_visit(&visit, direction);
                    if code == self.code() {
                        let (least, most) = timeline.bounds(visit.began_ms, visit.ended_ms);
                        assert!(
                            (least..=most).contains(&visit.pieces),
                            "{visit:?}, but the client says {least} to {most}"
                        );
                        count += 1;
                    } else {
                        assert_eq!(visit.pieces, self.torrent.pieces(), "{visit:?}");
                    }
                }
            }
        }
        assert!(count > 0, "no visit of the leecher");
        eprintln!("{direction}: {count} visits of the leecher");
    }
}

fn check_visit(visit: &Visit, direction: &str) {
    let way = (visit.transport.as_str(), visit.direction.as_str());
    assert_eq!(way, ("utp", direction), "{visit:?}");
}
