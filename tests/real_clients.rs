//! The real program against real programs on loopback: opentracker (HTTP and
//! UDP), a libtorrent seeder, and transmission, aria2 and libtorrent as
//! leechers, all Debian packages, rate-limited to most of a minute for a
//! download.
//!
//! What btda stored is compared with what the clients' own interfaces said at
//! the time. The run stays with peers that are soon to cross; `OBSERVE=visit`
//! does the same without.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use common::aria2::Aria2;
use common::btda_run::BtdaRun;
use common::client::{Assignment, Client};
use common::contract::{Waiting, assert_contract};
use common::leecher::{Leecher, check_ways};
use common::libtorrent::{Libtorrent, Role};
use common::results::Results;
use common::swarm::{Beginning, Swarm};
use common::torrent::TestTorrent;
use common::transmission::Transmission;

/// 25 MB: with [`DOWNLOAD_LIMIT`] some 45 s.
const PIECES: u32 = 384;
const PIECE_LENGTH: u32 = 64 * 1024;

/// Bytes a second for each leecher and torrent.
const DOWNLOAD_LIMIT: u32 = 576 * 1024;

/// Address of the tracker.
const TRACKER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// Addresses of the seeder and the leechers, in this order.
const CLIENT_ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 1, 2),
    Ipv4Addr::new(127, 0, 1, 3),
    Ipv4Addr::new(127, 0, 1, 4),
    Ipv4Addr::new(127, 0, 1, 5),
];

/// All leechers have everything, and btda knows, by then; usually it takes
/// a little more than a minute.
const DOWNLOADS_LIMIT: Duration = Duration::from_secs(180);

/// How long an interrupted run may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Short visits, because a loading client never falls silent, and quick
/// retries.
const CONFIG: &str = r#"
peer_evaluation_threads = 32
receive_message_max = 24
tracker_request_interval = 5
ignore_interval = true
bittorrent_listen_port = 0
statistic_interval = 10

[visit]
budget_seconds = 5

[retry]
first_delay_seconds = 4
tracked_delay_seconds = 4
max_delay_seconds = 8

[contact]
allow_private = true

[listen]
address = "127.0.0.1"
"#;

/// Tracker and seeder.
fn start_swarm() -> Swarm {
    Swarm::start(Beginning {
        tracker: TRACKER_ADDRESS,
        torrents: vec![
            TestTorrent::generate("first.bin", 1, PIECES, PIECE_LENGTH),
            TestTorrent::generate("second.bin", 2 << 20, PIECES, PIECE_LENGTH),
        ],
        further_trackers: &[],
        seeder: Role::SEEDER,
        seeder_addresses: &[CLIENT_ADDRESSES[0].into()],
    })
}

fn start_leechers(swarm: &mut Swarm) {
    let folders = ["transmission", "aria2", "libtorrent"];
    let folders = folders.map(|name| swarm.subfolder(name));
    let files = swarm.files.clone();
    let assignment = |index: usize| Assignment {
        download_limit: DOWNLOAD_LIMIT,
        ..Assignment::new(CLIENT_ADDRESSES[1 + index], &folders[index], &files)
    };
    swarm.add(Transmission::start(&assignment(0)));
    swarm.add(Aria2::start(&assignment(1)));
    swarm.add(Libtorrent::start(Role::LEECHER, &assignment(2)));
}

/// For developers: whether the swarm itself works on this machine.
#[test]
#[ignore = "takes a minute and tests the clients, not btda"]
fn the_swarm_finishes_by_itself() {
    let began = Instant::now();
    let mut swarm = start_swarm();
    println!("tracker and seeder after {:?}", began.elapsed());
    start_leechers(&mut swarm);
    println!("leechers after {:?}", began.elapsed());
    swarm.sample_until("all downloads finish", DOWNLOADS_LIMIT, Swarm::is_finished);
    println!("done after {:?}\n{}", began.elapsed(), swarm.report());
}

#[test]
fn every_download_is_confirmed() {
    let mut swarm = start_swarm();
    let folder = swarm.subfolder("btda");
    let input = swarm.input();
    let arguments = ["--timeout", "2s", "--revisit-delay", "4s"];
    let observe = std::env::var("OBSERVE").unwrap_or_else(|_| "stay".to_owned());
    let config = format!("{CONFIG}\n[revisit]\nobserve = \"{observe}\"\n");
    let mut run = BtdaRun::start(&folder, &input, &config, &arguments);
    swarm.wait_until_known("btda", || run.assert_running());
    start_leechers(&mut swarm);
    let what = "all downloads are confirmed";
    swarm.sample_until(what, DOWNLOADS_LIMIT, |swarm| {
        run.assert_running();
        swarm.is_finished() && everything_is_stored(swarm, &run).unwrap_or(false)
    });
    let (status, took) = run
        .interrupt(STOP_LIMIT * 5)
        .expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "exit code of btda");
    assert!(took <= STOP_LIMIT, "btda took {took:?} to end");
    // One more sample behind the last visit.
    swarm.sample();
    println!("{}\nstopped in {took:?}", swarm.report());

    let database = run.database().expect("btda left a database");
    assert_contract(&database, Waiting::Nobody);
    let results = Results::open(&database).expect("database can be read");
    for (client, progress) in &swarm.leechers {
        for torrent in &swarm.torrents {
            let timeline = progress.timeline(torrent.hash());
            let hash = torrent.hash();
            Leecher::read(&results, client.as_ref(), hash, &timeline).check("tracker");
        }
    }
    print_crossings(&results);
    check_ways(&results);
    check_seeder(&results, &swarm);
    check_trackers(&results, &swarm);
    check_callers(&results);
    check_extension_handshakes(&results, &swarm);
    check_privacy(&run);
}

/// Whether the running btda has confirmed every download and stored a scrape
/// that counts them all.
fn everything_is_stored(swarm: &Swarm, run: &BtdaRun) -> rusqlite::Result<bool> {
    let Some(database) = run.database() else {
        return Ok(false);
    };
    let results = Results::open(&database)?;
    let leechers = i64::try_from(swarm.leechers.len()).expect("few leechers");
    for torrent in &swarm.torrents {
        let (id, threshold) = results.torrent(&torrent.hash().to_string())?;
        for (client, _) in &swarm.leechers {
            let peers = results.peers(client.code(), id)?;
            if !peers.iter().any(|peer| peer.is_confirmed(threshold)) {
                return Ok(false);
            }
        }
        let sql = "SELECT max(completed) FROM request WHERE torrent = ?1";
        if results.number(sql, [id])? < leechers {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How narrow the crossings are.
#[expect(clippy::print_stdout, reason = "a figure for who reads the test")]
fn print_crossings(results: &Results) {
    let sql = "SELECT first_at_ms - last_below_ms FROM crossing ORDER BY 1";
    let widths = results.numbers(sql).expect("crossings can be read");
    let sql =
        "SELECT count(*) FROM visit WHERE ended IN ('crossed', 'complete') AND duration_ms > 5000";
    let stays = results.number(sql, ()).expect("visits can be read");
    println!("crossings {widths:?} ms wide, {stays} seen in a long visit");
}

/// The seeder was found complete at once and never contacted again.
fn check_seeder(results: &Results, swarm: &Swarm) {
    for torrent in &swarm.torrents {
        let (id, _) = results
            .torrent(&torrent.hash().to_string())
            .expect("torrent is stored");
        let peers = results.peers(swarm.seeder.code(), id);
        let peers = peers.expect("peers can be read");
        let complete = peers.iter().all(|p| p.first_pieces == torrent.pieces());
        assert!(complete, "seeder, torrent {id}: {peers:?}");
        // It calls, time and again; it is one peer all the same.
        let [peer] = peers.as_slice() else {
            panic!("seeder, torrent {id}: {peers:?}");
        };
        let visits = results.visits(peer.id).expect("visits can be read");
        let contacts = visits.iter().filter(|it| it.direction == "outgoing");
        assert_eq!(contacts.count(), 1, "seeder, torrent {id}: {visits:?}");
    }
}

/// Both trackers of both torrents answered announces and scrapes, and the
/// columns of 2015 come from the first.
fn check_trackers(results: &Results, swarm: &Swarm) {
    let number = |sql: &str, id: i64, url: &str| {
        let number = results.number(sql, (id, url));
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    let mut urls = [swarm.tracker.http_url(), swarm.tracker.udp_url()];
    let leechers = i64::try_from(swarm.leechers.len()).expect("few leechers");
    for torrent in &swarm.torrents {
        let (id, _) = results
            .torrent(&torrent.hash().to_string())
            .expect("torrent is stored");
        for url in &urls {
            let seeders = "SELECT max(seeders) FROM scrape WHERE torrent = ?1 AND url = ?2";
            assert_eq!(number(seeders, id, url), 1 + leechers, "{url}: seeders");
            let completed = "SELECT max(completed) FROM scrape WHERE torrent = ?1 AND url = ?2";
            assert_eq!(number(completed, id, url), leechers, "{url}: completed");
            let unknown = "SELECT count(*) FROM scrape WHERE torrent = ?1 AND url = ?2
                           AND (seeders IS NULL OR completed IS NULL OR leechers IS NULL)";
            assert_eq!(number(unknown, id, url), 0, "{url}: figures left out");
        }
        let columns = "SELECT count(*) FROM request JOIN announce ON announce.request = request.id
                       WHERE torrent = ?1 AND url = ?2 AND completed IS NOT NULL";
        assert!(number(columns, id, &urls[0]) > 0, "figures of the first");
        assert_eq!(number(columns, id, &urls[1]), 0, "figures of the second");
        urls.reverse();
    }
}

/// The clients called btda too: they had its address from the trackers.
fn check_callers(results: &Results) {
    let sql = "SELECT sum(count) FROM outcome WHERE event = 'Incoming peer'";
    let callers = results.number(sql, []).expect("outcomes can be read");
    assert!(callers > 0, "nobody called btda");
}

/// Every client named itself, and callers told where they listen.
fn check_extension_handshakes(results: &Results, swarm: &Swarm) {
    let told = "SELECT count(*) FROM extension_handshake e JOIN visit v ON v.id = e.visit
                JOIN peer p ON p.id = v.peer
                WHERE p.client = ?1 AND e.client <> ''";
    let others = "SELECT count(DISTINCT e.listen_port) FROM extension_handshake e
                  JOIN visit v ON v.id = e.visit JOIN peer p ON p.id = v.peer
                  WHERE p.client = ?1";
    let clients = swarm.leechers.iter().map(|(client, _)| client.as_ref());
    for client in clients.chain([&swarm.seeder as &dyn Client]) {
        let (name, code) = (client.name(), client.code());
        let handshakes = results
            .number(told, [code])
            .expect("handshakes can be read");
        assert!(handshakes > 0, "{name} told nothing of itself");
        let ports = results.number(others, [code]).expect("ports can be read");
        assert!(ports <= 1, "{name} listens on {ports} ports");
    }
    // Clients tell a port only when it is they who call.
    let called = "SELECT count(*) FROM extension_handshake e JOIN visit v ON v.id = e.visit
                  WHERE v.direction = 'incoming' AND e.listen_port > 0";
    let called = results.number(called, []);
    assert!(
        called.expect("ports can be read") > 0,
        "no caller told where it listens"
    );
}

/// No address of a client stands in any file.
fn check_privacy(run: &BtdaRun) {
    for file in run.files() {
        let bytes = fs::read(&file).expect("own file");
        for address in CLIENT_ADDRESSES {
            let text = address.to_string();
            let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(!found, "{} names a peer", file.display());
        }
    }
}
