//! A swarm of real programs: a tracker, a seeder, and the leechers that a
//! test adds, on as many torrents as it wants.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Assignment, Client, Progress};
use super::libtorrent::{Libtorrent, Role};
use super::opentracker::OpenTracker;
use super::process::wait_until;
use super::torrent::TestTorrent;

/// How long a program may take to announce itself.
const ANNOUNCE_LIMIT: Duration = Duration::from_secs(20);

/// Time between two samples of the clients' own interfaces.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// What a swarm begins with.
pub(crate) struct Beginning<'a> {
    /// Address of the tracker.
    pub(crate) tracker: Ipv4Addr,
    /// What is downloaded: every second torrent names the UDP tracker first,
    /// the others the HTTP tracker.
    pub(crate) torrents: Vec<TestTorrent>,
    /// Trackers that each torrent names behind those two.
    pub(crate) further_trackers: &'a [String],
    /// Who has everything.
    pub(crate) seeder: Role,
    /// Addresses of the seeder.
    pub(crate) seeder_addresses: &'a [IpAddr],
}

/// The running swarm. Fields are dropped in this order: programs, then the
/// folder they work in.
pub(crate) struct Swarm {
    /// Leechers with what they reported.
    pub(crate) leechers: Vec<(Box<dyn Client>, Progress)>,
    /// The seeder.
    pub(crate) seeder: Libtorrent,
    /// The tracker.
    pub(crate) tracker: OpenTracker,
    /// What is downloaded.
    pub(crate) torrents: Vec<TestTorrent>,
    /// The torrent files, in the same order.
    pub(crate) files: Vec<PathBuf>,
    folder: TempDir,
}

impl Swarm {
    /// Starts tracker and seeder and waits until the tracker knows the seeder
    /// for every torrent.
    pub(crate) fn start(beginning: Beginning) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let torrents = beginning.torrents;
        let hashes: Vec<_> = torrents.iter().map(TestTorrent::hash).collect();
        let own = subfolder(&folder, "opentracker");
        let tracker = OpenTracker::start(&own, beginning.tracker, &hashes);
        let input = subfolder(&folder, "input");
        let files = write_files(&input, &torrents, &tracker, beginning.further_trackers);
        let own = subfolder(&folder, "seeder");
        for torrent in &torrents {
            fs::write(own.join(torrent.name), &torrent.data).expect("data can be written");
        }
        let seeder = Libtorrent::start(
            beginning.seeder,
            &Assignment::at(beginning.seeder_addresses, &own, &files),
        );
        wait_until("the tracker knows the seeder", ANNOUNCE_LIMIT, || {
            hashes
                .iter()
                .all(|hash| tracker.scrape(*hash).complete == 1)
        });
        Self {
            leechers: Vec::new(),
            seeder,
            tracker,
            torrents,
            files,
            folder,
        }
    }

    /// Adds a leecher that was started.
    pub(crate) fn add(&mut self, leecher: impl Client + 'static) {
        self.leechers.push((Box::new(leecher), Progress::default()));
    }

    /// Waits until the tracker has heard of a program that loads every
    /// torrent.
    pub(crate) fn wait_until_known(&self, who: &str, mut running: impl FnMut()) {
        let what = format!("the tracker knows {who}");
        wait_until(&what, ANNOUNCE_LIMIT, || {
            running();
            let mut torrents = self.torrents.iter();
            torrents.all(|torrent| self.tracker.scrape(torrent.hash()).incomplete == 1)
        });
    }

    /// Folder with the torrent files and nothing else.
    pub(crate) fn input(&self) -> PathBuf {
        self.folder.path().join("input")
    }

    /// A new folder beside those of the programs.
    pub(crate) fn subfolder(&self, name: &str) -> PathBuf {
        subfolder(&self.folder, name)
    }

    /// Asks every leecher once for its progress and fails the test when a
    /// program has ended.
    pub(crate) fn sample(&mut self) {
        self.tracker.assert_running();
        self.seeder.assert_running();
        for (client, progress) in &mut self.leechers {
            client.assert_running();
            let name = client.name();
            client
                .sample(progress)
                .unwrap_or_else(|error| panic!("{name} does not tell its progress: {error}"));
        }
    }

    /// Samples the clients twice a second until `done`; fails the test with
    /// `what` after `limit`.
    pub(crate) fn sample_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) {
        let began = Instant::now();
        let mut next = began;
        loop {
            self.sample();
            if done(self) {
                eprintln!("{what} after {:?}", began.elapsed());
                return;
            }
            assert!(
                began.elapsed() < limit,
                "not within {limit:?}: {what}\n{}",
                self.report()
            );
            next += SAMPLE_INTERVAL;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// Whether every leecher says it has everything.
    pub(crate) fn is_finished(&self) -> bool {
        !self.leechers.is_empty()
            && self.leechers.iter().all(|(_, progress)| {
                self.torrents
                    .iter()
                    .all(|torrent| progress.timeline(torrent.hash()).latest() == torrent.pieces())
            })
    }

    /// One line for each leecher and torrent: pieces now, seconds until it had
    /// the first and the last.
    pub(crate) fn report(&self) -> String {
        let mut lines = Vec::new();
        for (client, progress) in &self.leechers {
            for torrent in &self.torrents {
                let timeline = progress.timeline(torrent.hash());
                lines.push(format!(
                    "{} {}: {} of {} pieces, {} samples, first after {:?} s, last after {:?} s",
                    client.name(),
                    torrent.name,
                    timeline.latest(),
                    torrent.pieces(),
                    timeline.len(),
                    timeline.seconds_to(1),
                    timeline.seconds_to(torrent.pieces()),
                ));
            }
        }
        lines.join("\n")
    }
}

fn subfolder(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(&path).expect("folder can be made");
    path
}

fn write_files(
    folder: &Path,
    torrents: &[TestTorrent],
    tracker: &OpenTracker,
    further: &[String],
) -> Vec<PathBuf> {
    let mut trackers = [tracker.http_url(), tracker.udp_url()];
    let mut files = Vec::new();
    for torrent in torrents {
        let file = folder.join(format!("{}.torrent", torrent.name));
        let all = [&trackers[..], further].concat();
        fs::write(&file, torrent.file(&all)).expect("torrent can be written");
        files.push(file);
        trackers.reverse();
    }
    files
}
