//! A swarm of real programs on loopback: a tracker, a seeder and three
//! leechers on two torrents.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::aria2::Aria2;
use super::client::{Assignment, Client, Progress};
use super::libtorrent::{Libtorrent, Role};
use super::opentracker::OpenTracker;
use super::process::wait_until;
use super::torrent::TestTorrent;
use super::transmission::Transmission;

/// 25 MB: with [`DOWNLOAD_LIMIT`] some 45 s.
const PIECES: u32 = 384;
const PIECE_LENGTH: u32 = 64 * 1024;

/// Bytes a second for each leecher and torrent.
const DOWNLOAD_LIMIT: u32 = 576 * 1024;

/// Address of the tracker.
const TRACKER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// Addresses of the seeder and the leechers, in this order.
pub(crate) const CLIENT_ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 1, 2),
    Ipv4Addr::new(127, 0, 1, 3),
    Ipv4Addr::new(127, 0, 1, 4),
    Ipv4Addr::new(127, 0, 1, 5),
];

/// How long a program may take to announce itself.
const ANNOUNCE_LIMIT: Duration = Duration::from_secs(20);

/// The running swarm. Fields are dropped in this order: programs, then the
/// folder they work in.
pub(crate) struct Swarm {
    /// Leechers with what they reported.
    pub(crate) leechers: Vec<(Box<dyn Client>, Progress)>,
    /// The seeder.
    pub(crate) seeder: Libtorrent,
    /// The tracker.
    pub(crate) tracker: OpenTracker,
    /// What is downloaded: the first torrent names the HTTP tracker first,
    /// the second the UDP tracker.
    pub(crate) torrents: Vec<TestTorrent>,
    files: Vec<PathBuf>,
    folder: TempDir,
}

impl Swarm {
    /// Starts tracker and seeder and waits until the tracker knows the seeder
    /// for every torrent.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let torrents = vec![
            TestTorrent::generate("first.bin", 1, PIECES, PIECE_LENGTH),
            TestTorrent::generate("second.bin", 2 << 20, PIECES, PIECE_LENGTH),
        ];
        let hashes: Vec<_> = torrents.iter().map(TestTorrent::hash).collect();
        let own = subfolder(&folder, "opentracker");
        let tracker = OpenTracker::start(&own, TRACKER_ADDRESS, &hashes);
        let files = write_files(&subfolder(&folder, "input"), &torrents, &tracker);
        let own = subfolder(&folder, "seeder");
        for torrent in &torrents {
            fs::write(own.join(torrent.name), &torrent.data).expect("data can be written");
        }
        let seeder = Libtorrent::start(
            Role::Seeder,
            &Assignment::new(CLIENT_ADDRESSES[0], &own, &files),
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

    /// Starts the leechers.
    pub(crate) fn start_leechers(&mut self) {
        let folders = ["transmission", "aria2", "libtorrent"];
        let folders = folders.map(|name| subfolder(&self.folder, name));
        let assignment = |index: usize| Assignment {
            download_limit: DOWNLOAD_LIMIT,
            ..Assignment::new(CLIENT_ADDRESSES[1 + index], &folders[index], &self.files)
        };
        let clients: [Box<dyn Client>; 3] = [
            Box::new(Transmission::start(&assignment(0))),
            Box::new(Aria2::start(&assignment(1))),
            Box::new(Libtorrent::start(Role::Leecher, &assignment(2))),
        ];
        let clients = clients.into_iter();
        self.leechers = clients.map(|c| (c, Progress::default())).collect();
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

fn write_files(folder: &Path, torrents: &[TestTorrent], tracker: &OpenTracker) -> Vec<PathBuf> {
    let mut trackers = [tracker.http_url(), tracker.udp_url()];
    let mut files = Vec::new();
    for torrent in torrents {
        let file = folder.join(format!("{}.torrent", torrent.name));
        fs::write(&file, torrent.file(&trackers)).expect("torrent can be written");
        files.push(file);
        trackers.reverse();
    }
    files
}
