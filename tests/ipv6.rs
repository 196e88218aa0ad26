//! A swarm that knows no IPv4: a libtorrent seeder and a libtorrent leecher
//! on `::1` (Debian package), named by a tracker in `peers6` (BEP 7), measured
//! by the real program listening there too.

mod common;

use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use common::btda_run::BtdaRun;
use common::client::{Assignment, Client};
use common::contract::{Waiting, assert_contract};
use common::libtorrent::{Libtorrent, Role};
use common::process::wait_until;
use common::results::Results;
use common::torrent::TestTorrent;
use common::tracker6::Tracker6;

/// Everything together takes about 20 seconds.
const LIMIT: Duration = Duration::from_secs(120);

const CONFIG: &str = r#"
peer_evaluation_threads = 8
receive_message_max = 24
tracker_request_interval = 2
ignore_interval = true
bittorrent_listen_port = 0
statistic_interval = 10

[visit]
budget_seconds = 5

[retry]
first_delay_seconds = 2
tracked_delay_seconds = 2
max_delay_seconds = 4

[listen]
address = "::1"

[contact]
allow_private = true
"#;

/// Bytes a second: some fifteen seconds for the whole.
const DOWNLOAD_LIMIT: u32 = 100_000;

const LEECHER: Role = Role {
    fingerprint: "-LE2080-",
    ..Role::LEECHER
};

#[test]
fn a_download_over_ipv6_is_confirmed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let sub = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).expect("own folder");
        path
    };
    let (seeder, leecher, input, out) = (sub("seed"), sub("leech"), sub("input"), sub("btda"));
    let tracker = Tracker6::start(Ipv6Addr::LOCALHOST);
    let torrent = TestTorrent::generate("ipv6.bin", 6, 96, 16_384);
    let file = input.join("ipv6.torrent");
    fs::write(&file, torrent.file(&[tracker.url()])).expect("own folder");
    fs::write(seeder.join(torrent.name), &torrent.data).expect("own folder");

    let arguments = ["--timeout", "2s", "--revisit-delay", "2s"];
    let mut run = BtdaRun::start(&out, &input, CONFIG, &arguments);
    let files = [file];
    let seeder = Assignment::new(Ipv6Addr::LOCALHOST, &seeder, &files);
    let seeder = Libtorrent::start(Role::SEEDER, &seeder);
    let known = [SocketAddr::new(Ipv6Addr::LOCALHOST.into(), seeder.port())];
    let leecher = Assignment {
        download_limit: DOWNLOAD_LIMIT,
        peers: &known,
        ..Assignment::new(Ipv6Addr::LOCALHOST, &leecher, &files)
    };
    let mut clients = [seeder, Libtorrent::start(LEECHER, &leecher)];
    let confirmed = "SELECT count(*) FROM peer JOIN torrent ON torrent.id = torrent
                     WHERE client = '-LE2080-' AND first_pieces < complete_threshold
                     AND last_pieces >= complete_threshold";
    wait_until("the download is confirmed", LIMIT, || {
        run.assert_running();
        clients.iter_mut().for_each(Client::assert_running);
        let results = run.database().map(|database| Results::open(&database));
        let found = results.and_then(|results| results.ok()?.number(confirmed, ()).ok());
        found.unwrap_or(0) > 0
    });
    let (status, _) = run.interrupt(LIMIT).expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "{}", run.said());
    let database = run.database().expect("btda left a database");
    assert_contract(&database, Waiting::Nobody);
    let results = Results::open(&database).expect("database can be read");
    let number = |sql: &str| results.number(sql, ()).expect("results can be read");
    let contacted = "SELECT count(*) FROM peer WHERE source = 'tracker'";
    assert_eq!(number(contacted), 2, "seeder and leecher");
    let marked = "SELECT count(*) FROM peer JOIN peer_ipv6 ON peer = id";
    assert_eq!(number(marked), number("SELECT count(*) FROM peer"));
    let complete = "SELECT min(first_pieces) FROM peer WHERE client = '-SE2080-'";
    assert_eq!(number(complete), i64::from(torrent.pieces()));
    // It listens on IPv6 and is called there, at the port that it tells.
    let calls = "SELECT sum(count) FROM outcome WHERE event = 'Incoming peer'";
    assert!(number(calls) > 0, "nobody called over IPv6");
}
