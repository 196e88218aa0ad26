//! Magnet links in runs of the real program: metadata from a real seeder, a
//! second run with what was kept, and links that nobody serves.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use btda::lab::{PymdhtLookup, Reply, ScriptedPymdht, ScriptedTracker};
use btda::model::InfoHash;
use common::client::Assignment;
use common::libtorrent::{Libtorrent, Role};
use common::torrent::TestTorrent;
use common::trial::{STOP_LIMIT, Setup, Trial};
use tempfile::TempDir;

const PIECES: u32 = 900;

/// A libtorrent session that has a torrent which btda has no file of.
struct Seeder {
    torrent: TestTorrent,
    address: SocketAddrV4,
    _session: Libtorrent,
    _folder: TempDir,
}

impl Seeder {
    /// `host` is its own in each test.
    fn start(host: u8) -> Self {
        let ip = Ipv4Addr::new(127, 0, 6, host);
        let folder = tempfile::tempdir().unwrap();
        // 900 hashes are two blocks.
        let torrent = TestTorrent::generate("by-link.bin", 11, PIECES, 16 * 1024);
        fs::write(folder.path().join(torrent.name), &torrent.data).unwrap();
        let file = folder.path().join("seeded.torrent");
        let trackers = ["http://127.0.6.9:9/announce".to_owned()];
        fs::write(&file, torrent.file(&trackers)).unwrap();
        let session = Libtorrent::start(Role::SEEDER, &Assignment::new(ip, folder.path(), &[file]));
        Self {
            torrent,
            address: SocketAddrV4::new(ip, session.port()),
            _session: session,
            _folder: folder,
        }
    }

    /// A tracker that names it.
    fn tracker(&self) -> ScriptedTracker {
        let mut answer = b"d8:intervali1e5:peers6:".to_vec();
        answer.extend(self.address.ip().octets());
        answer.extend(self.address.port().to_be_bytes());
        answer.push(b'e');
        ScriptedTracker::http(move |_| Reply::ok(&answer)).unwrap()
    }

    fn wait_until_evaluated(&self, trial: &mut Trial, source: &str, torrent: u32) {
        trial.wait_until("the seeder is found complete", |trial| {
            trial.number(&format!(
                "SELECT count(*) FROM peer WHERE source = '{source}' AND torrent = {torrent}
                 AND first_pieces = {PIECES}"
            )) == 1
        });
        let row = format!(
            "SELECT count(*) FROM torrent WHERE id = {torrent} AND info_hash_hex = '{}'
             AND pieces_count = {PIECES} AND piece_size = 16384
             AND display_name = 'by-link.bin'",
            self.torrent.hash()
        );
        assert_eq!(trial.number(&row), 1);
    }
}

fn base32(hash: InfoHash) -> String {
    let hash = hash.to_string();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    // Five hexadecimal digits are four letters.
    let groups = (0..8).map(|at| usize::from_str_radix(&hash[5 * at..5 * at + 5], 16).unwrap());
    groups
        .flat_map(|bits| [15, 10, 5, 0].map(|shift| letters[bits >> shift & 31]))
        .map(char::from)
        .collect()
}

/// Where the metadata of a run are kept.
fn kept(trial: &Trial) -> PathBuf {
    let database = trial.database().unwrap();
    database.parent().unwrap().join("metadata")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_link_joins_the_run_and_is_there_at_once_in_the_next() {
    let seeder = Seeder::start(1);
    let tracker = seeder.tracker();
    let (hash, url) = (seeder.torrent.hash(), tracker.url());

    // The peer hint alone gives the metadata: it is no source of a peer.
    let link = format!(
        "magnet:?xt=urn:btih:{hash}&x.pe={}&tr={url}",
        seeder.address
    );
    let setup = Setup::new().torrent("").arguments(&["--magnet", &link]);
    let mut first = setup.start();
    seeder.wait_until_evaluated(&mut first, "tracker", 2);
    first.wait_for("torrent 2 joins by its magnet link");
    assert_eq!(first.stop("INT", STOP_LIMIT), Some(0));
    first.assert_contract();
    assert_eq!(first.fact("magnets_pending"), "0");
    assert_eq!(
        first.number("SELECT count(*) FROM input WHERE torrent = 2 AND note LIKE '%magnet link%'"),
        1
    );

    let setup = Setup::new().torrent("");
    copy(&kept(&first), &setup.folder().join("output/metadata"));
    let list = format!("# kept\n\nmagnet:?xt=urn:btih:{}&tr={url}\n", base32(hash));
    fs::write(setup.folder().join("input/magnet.txt"), list).unwrap();
    let mut second = setup.start();
    second.wait_for("2 torrents, 16 contact threads");
    seeder.wait_until_evaluated(&mut second, "tracker", 1);
    assert_eq!(second.stop("INT", STOP_LIMIT), Some(0));
    second.assert_contract();
    assert_eq!(second.fact("magnets_pending"), "0");
}

#[test]
fn a_link_without_trackers_joins_by_the_dht() {
    let seeder = Seeder::start(2);
    let address = seeder.address.into();
    let node =
        ScriptedPymdht::start(move |lookup: &PymdhtLookup| lookup.answer(&[address])).unwrap();
    let port = node.address().port().to_string();
    let link = format!("magnet:?xt=urn:btih:{}", base32(seeder.torrent.hash()));
    let setup = Setup::new().arguments(&["-d", "--magnet", &link]);
    let keys = [
        ("dht.backend", "\"pymdht\""),
        ("dht_control_port", port.as_str()),
        ("dht_request_interval", "0.5"),
    ];
    let mut trial = setup.config(&keys).start();
    seeder.wait_until_evaluated(&mut trial, "dht", 1);
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    trial.assert_contract();
    assert_eq!(trial.fact("magnets_pending"), "0");
}

#[test]
fn a_link_that_nobody_serves_stays_pending_and_delays_no_stop() {
    let tracker = ScriptedTracker::http(|_| Reply::Silence).unwrap();
    let setup = Setup::new().torrent("");
    let hash = InfoHash::new([9; 20]);
    let list = format!(
        "magnet:?xt=urn:btih:{hash}&x.pe=127.0.0.1:9&tr={}\nmagnet:?xt=urn:btih:12\n",
        tracker.url()
    );
    fs::write(setup.folder().join("input/magnet.txt"), list).unwrap();
    let mut trial = setup.start();
    trial.wait_for("line 2 skipped: ");
    trial.wait_for("1 torrents, 1 magnet links without metadata, ");
    trial.wait_for("magnets 1 pending");
    assert!(tracker.next_request(common::trial::LONG).is_some());
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    trial.assert_contract();
    assert_eq!(trial.fact("magnets_pending"), "1");
    assert_eq!(trial.number("SELECT count(*) FROM torrent"), 1);
}
