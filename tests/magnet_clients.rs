//! Magnet links without a tracker in runs of the real program, with real
//! clients on loopback: metadata from libtorrent found by the DHT and from
//! transmission named by `x.pe`; a download of aria2 and one of libtorrent,
//! rate-limited to some twenty seconds, found by the DHT and confirmed; a
//! DHT of libtorrent's nodes that finds btda.
//!
//! Transmission 3.00 is without DHT here: it takes nodes of 127.0.0.0/8 for
//! none, and asks a public one when it has none.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings};
use btda::stop::{StopTrigger, stop_pair};
use common::aria2::Aria2;
use common::btda_run::BtdaRun;
use common::client::{Assignment, Client, Progress};
use common::contract::{Waiting, assert_contract};
use common::leecher::{Leecher, check_ways};
use common::libtorrent::{Libtorrent, Role};
use common::libtorrent_dht::LibtorrentNode;
use common::process::{free_port, wait_until};
use common::results::Results;
use common::torrent::TestTorrent;
use common::transmission::Transmission;
use tempfile::TempDir;

/// 6 MB: 400 hashes; with [`DOWNLOAD_LIMIT`] some twenty seconds.
const PIECES: u32 = 400;
const PIECE_LENGTH: u32 = 16 * 1024;

/// Bytes a second.
const DOWNLOAD_LIMIT: u32 = 320 * 1024;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(120);

/// How long an interrupted run may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Time between two samples of a client's own interface.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// A node of ours, outside the program under test.
struct OwnNode {
    handle: DhtHandle,
    address: SocketAddr,
    _trigger: StopTrigger,
}

impl OwnNode {
    fn start(address: Ipv4Addr) -> Self {
        let (trigger, stop) = stop_pair();
        let settings = DhtSettings::loopback(address);
        let handle = DhtNode::start(settings, Arc::new(SystemClock::new()), &stop, None)
            .expect("node starts");
        let port = handle.port(Family::V4).expect("has IPv4");
        Self {
            handle,
            address: SocketAddr::new(address.into(), port),
            _trigger: trigger,
        }
    }
}

/// Clients, a torrent that btda has no file of, and a DHT, all on addresses
/// that begin with `127.0.<net>`. Fields are dropped in this order: programs,
/// then the folder they work in.
struct World {
    net: u8,
    /// Nodes of libtorrent.
    nodes: Vec<LibtorrentNode>,
    /// Those through which the others find each other: whoever begins with a
    /// node keeps it out of its own table, so that it takes two.
    entries: [OwnNode; 2],
    torrent: TestTorrent,
    file: PathBuf,
    folder: TempDir,
}

impl World {
    /// A DHT of two nodes of ours and two of libtorrent, and nobody with the
    /// torrent.
    fn start(net: u8) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let torrent = TestTorrent::generate("by-link.bin", net.into(), PIECES, PIECE_LENGTH);
        let file = folder.path().join("by-link.torrent");
        fs::write(&file, torrent.file(&[])).expect("torrent can be written");
        let at = |host| Ipv4Addr::new(127, 0, net, host);
        let entries = [at(11), at(12)].map(OwnNode::start);
        entries[1].handle.add_node(entries[0].address);
        wait_until("our nodes know each other", LIMIT, || {
            let mut all = entries.iter();
            all.all(|node| node.handle.status().nodes_good() == 1)
        });
        let entry = entries[0].address;
        let nodes =
            [13, 14].map(|host| LibtorrentNode::start(at(host).into(), entry, folder.path()));
        Self {
            net,
            nodes: nodes.into(),
            entries,
            torrent,
            file,
            folder,
        }
    }

    /// The node to begin with.
    const fn entry(&self) -> SocketAddr {
        self.entries[0].address
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.net, host)
    }

    fn subfolder(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path).expect("folder can be made");
        path
    }

    /// A folder for a seeder, with the data.
    fn with_data(&self, name: &str) -> PathBuf {
        let folder = self.subfolder(name);
        fs::write(folder.join(self.torrent.name), &self.torrent.data).expect("data can be written");
        folder
    }

    /// Without tracker and peers.
    fn link(&self) -> String {
        format!("magnet:?xt=urn:btih:{}", self.torrent.hash())
    }

    /// `btda -apd` on nothing but `link`. Transmission takes up to some seconds
    /// to give metadata.
    fn measure(&self, link: &str) -> BtdaRun {
        let (folder, input) = (self.subfolder("btda"), self.subfolder("input"));
        let address = self.address(1);
        let config = format!(
            r#"
peer_evaluation_threads = 16
receive_message_max = 24
bittorrent_listen_port = 0
dht_node_port = {port}
dht_request_interval = 1
statistic_interval = 5

[visit]
budget_seconds = 6

[retry]
first_delay_seconds = 2
tracked_delay_seconds = 2
max_delay_seconds = 4

[contact]
allow_private = true

[listen]
address = "{address}"

[dht]
backend = "own"
bootstrap = "{bootstrap}"
allow_private = true
"#,
            port = free_port(address),
            bootstrap = self.entry(),
        );
        let arguments = ["-d", "--timeout", "5s", "--revisit-delay", "2s"];
        let arguments = [&arguments[..], &["--magnet", link]].concat();
        BtdaRun::start(&folder, &input, &config, &arguments)
    }
}

/// The number that `sql` asks the running btda for; 0 without an answer.
fn number(run: &BtdaRun, sql: &str) -> i64 {
    let results = run
        .database()
        .and_then(|database| Results::open(&database).ok());
    results.map_or(0, |results| results.number(sql, []).unwrap_or(0))
}

fn wait_for(what: &str, run: &mut BtdaRun, sql: &str) {
    wait_until(what, LIMIT, || {
        run.assert_running();
        number(run, sql) > 0
    });
}

/// Where btda listens, by its manifest.
fn listener(world: &World, run: &BtdaRun) -> SocketAddr {
    let results = Results::open(&run.database().expect("a database")).expect("can be read");
    let sql = "SELECT CAST(value AS INTEGER) FROM run WHERE key = 'listen_port'";
    let port = results.number(sql, []).expect("the port is told");
    let port = u16::try_from(port).expect("a port");
    SocketAddr::new(world.address(1).into(), port)
}

const CONFIRMED: &str = "SELECT count(*) FROM peer JOIN torrent ON torrent.id = peer.torrent
    WHERE first_pieces < complete_threshold AND last_pieces >= complete_threshold";

/// Lets `client` load and btda watch, until both say that it has everything.
fn watch(run: &mut BtdaRun, client: &mut dyn Client, torrent: &TestTorrent) -> Progress {
    let mut progress = Progress::default();
    let began = Instant::now();
    let mut next = began;
    loop {
        client.assert_running();
        run.assert_running();
        let name = client.name();
        client
            .sample(&mut progress)
            .unwrap_or_else(|error| panic!("{name} does not tell its progress: {error}"));
        let pieces = progress.timeline(torrent.hash()).latest();
        if pieces == torrent.pieces() && number(run, CONFIRMED) > 0 {
            return progress;
        }
        assert!(
            began.elapsed() < LIMIT,
            "not confirmed within {LIMIT:?}: {name} has {pieces} pieces"
        );
        next += SAMPLE_INTERVAL;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Stops btda and holds what it stored against what the client said.
fn check(
    world: &World,
    mut run: BtdaRun,
    client: &mut dyn Client,
    mut progress: Progress,
) -> BtdaRun {
    let (status, _) = run.interrupt(STOP_LIMIT).expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "exit code of btda");
    // One more sample behind the last visit.
    client.sample(&mut progress).expect("the client runs");
    let database = run.database().expect("btda left a database");
    assert_contract(&database, Waiting::Possibly);
    let results = Results::open(&database).expect("database can be read");
    let number = |sql: &str| results.number(sql, []).expect("can be asked");
    assert_eq!(number(CONFIRMED), 1, "confirmed downloads");
    assert_eq!(
        number(&format!("{CONFIRMED} AND source IN ('dht', 'incoming')")),
        1,
        "confirmed downloads of peers whom the DHT named, or told of us"
    );
    assert_eq!(number("SELECT count(*) FROM torrent"), 1);
    assert_eq!(
        number("SELECT count(*) FROM torrent WHERE announce_url = ''"),
        1
    );
    let others = "SELECT count(*) FROM request WHERE source NOT IN ('dht', 'incoming')";
    assert_eq!(number(others), 0);
    let facts = "SELECT count(*) FROM run WHERE (key, value) IN
        (VALUES ('dht_backend', 'own'), ('magnets_pending', '0'))";
    assert_eq!(number(facts), 2);
    let hash = world.torrent.hash();
    let timeline = progress.timeline(hash);
    Leecher::read(&results, client, hash, &timeline).check("dht");
    check_ways(&results);
    run
}

/// The address of nobody whom the DHT named stands in any file.
fn check_privacy(run: &BtdaRun, named: &[Ipv4Addr]) {
    let files = run.files().into_iter().filter(|path| path.is_file());
    for file in files {
        let bytes = fs::read(&file).expect("own file");
        for address in named {
            let text = address.to_string();
            let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(!found, "{} names a peer", file.display());
        }
    }
}

#[test]
fn by_the_dht_alone_from_libtorrent_and_aria2() {
    let mut world = World::start(21);
    let entry = Some(world.entry());
    let folder = world.with_data("seeder");
    let files = [world.file.clone()];
    let seeder = Libtorrent::start(
        Role::SEEDER,
        &Assignment {
            dht: entry,
            ..Assignment::new(world.address(2), &folder, &files)
        },
    );
    let mut run = world.measure(&world.link());
    wait_for(
        "the metadata come from the seeder",
        &mut run,
        "SELECT count(*) FROM torrent WHERE pieces_count = 400 AND display_name = 'by-link.bin'",
    );
    wait_for(
        "the seeder is found complete",
        &mut run,
        "SELECT count(*) FROM peer WHERE source = 'dht' AND first_pieces = 400",
    );
    // What btda announced, libtorrent finds; with everything loaded it calls.
    let ours = listener(&world, &run);
    world.nodes[1].wait_to_find(world.torrent.hash(), ours);

    let folder = world.subfolder("aria2");
    let mut leecher = Aria2::start(&Assignment {
        dht: entry,
        download_limit: DOWNLOAD_LIMIT,
        ..Assignment::new(world.address(3), &folder, &files)
    });
    let progress = watch(&mut run, &mut leecher, &world.torrent);
    let run = check(&world, run, &mut leecher, progress);
    check_privacy(&run, &[world.address(2), world.address(3)]);
    drop(seeder);
}

#[test]
fn by_the_link_from_transmission_and_by_the_dht_from_libtorrent() {
    let world = World::start(22);
    let folder = world.with_data("seeder");
    let files = [world.file.clone()];
    let mut seeder = Transmission::start(&Assignment::new(world.address(2), &folder, &files));
    seeder.wait_until_seeding();
    let known = [SocketAddr::new(world.address(2).into(), seeder.port())];
    let link = format!("{}&x.pe={}", world.link(), known[0]);
    let mut run = world.measure(&link);
    wait_for(
        "the metadata come from transmission",
        &mut run,
        "SELECT count(*) FROM torrent WHERE pieces_count = 400 AND display_name = 'by-link.bin'",
    );
    let folder = world.subfolder("libtorrent");
    let mut leecher = Libtorrent::start(
        Role::LEECHER,
        &Assignment {
            dht: Some(world.entry()),
            peers: &known,
            download_limit: DOWNLOAD_LIMIT,
            ..Assignment::new(world.address(3), &folder, &files)
        },
    );
    let progress = watch(&mut run, &mut leecher, &world.torrent);
    // Nobody but the DHT told libtorrent of btda.
    wait_for(
        "libtorrent calls btda",
        &mut run,
        "SELECT sum(count) FROM outcome WHERE event = 'Incoming peer'",
    );
    let run = check(&world, run, &mut leecher, progress);
    // The link names the seeder, and is among the settings.
    check_privacy(&run, &[world.address(3)]);
}
