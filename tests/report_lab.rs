//! The report's estimate of a swarm's size against the practice swarm, whose
//! size is known: where the assumptions hold (a closed swarm, answers drawn at
//! random, the same chance for each address) the interval contains the truth
//! as often as it says; where one is broken the estimate errs in the direction
//! that the report states.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::lab::{Behaviour, LabOptions, NamedBy, Plan, Swarm, TrackerMode};
use btda::report::item::{Cell, Table};
use btda::report::{Report, ReportOptions};
use rusqlite::Connection;

const SCHEMA: &str = include_str!("../src/storage/schema/1.sql");

const TORRENTS: usize = 20;
/// Answers of the tracker for each torrent, and peers in each.
const ANSWERS: usize = 12;
const WANTED: usize = 6;

/// 20 torrents of some 60 peers each; the DHT alone knows two fifths.
fn swarm(seed: u64) -> Swarm {
    let options = LabOptions {
        torrents: TORRENTS,
        peers: TORRENTS * 60,
        callers: 0,
        seed,
        duration: Duration::from_secs(3600),
        shares: vec![(Behaviour::Bitfield, 1)],
        bad_trackers: false,
        magnets: 0,
        dht: 40,
        dht_nodes: 8,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).expect("the swarm starts")
}

/// Peers of a torrent in all, and those that its tracker knows.
fn truth(swarm: &Swarm, torrent: usize) -> (f64, f64) {
    let of_torrent = swarm.plan().peers.iter().filter(|it| it.torrent == torrent);
    let named = of_torrent.clone().filter(|it| it.named_by != NamedBy::Dht);
    (of_torrent.count() as f64, named.count() as f64)
}

/// Compact peers of an answer of the lab's tracker.
fn announce(agent: &ureq::Agent, swarm: &Swarm, torrent: usize) -> Vec<[u8; 6]> {
    let url = swarm.tracker_url(TrackerMode::HttpCompact);
    let hash = swarm.plan().torrents[torrent].info_hash;
    let all = percent_encoding::NON_ALPHANUMERIC;
    let hash = percent_encoding::percent_encode(hash.as_bytes(), all);
    let url = format!(
        "{}?info_hash={hash}&port=1&uploaded=0&downloaded=0&left=1&numwant={WANTED}",
        url.expect("there is a good tracker")
    );
    let mut answer = agent.get(&url).call().expect("the tracker answers");
    let bytes = answer.body_mut().read_to_vec().expect("an answer");
    let place = bytes.windows(7).position(|it| it == b"5:peers");
    let behind = bytes
        .get(place.expect("peers are told") + 7..)
        .expect("a text");
    let colon = behind
        .iter()
        .position(|it| *it == b':')
        .expect("its length");
    let length: usize = std::str::from_utf8(&behind[..colon])
        .ok()
        .and_then(|it| it.parse().ok())
        .expect("its length");
    let peers = &behind[colon + 1..colon + 1 + length];
    // The one that asks is named, too, as by real trackers.
    let others = peers
        .as_chunks::<6>()
        .0
        .iter()
        .filter(|it| it[4..] != [0, 1]);
    others.copied().collect()
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).expect("a small number")
}

/// Asks the tracker for each torrent, and stores what a run would store.
fn measured(swarm: &Swarm, database: &Path) {
    let database = Connection::open(database).expect("own folder");
    database.execute_batch(SCHEMA).expect("the schema is good");
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    // At one time, since each answer takes some hundredths of a second.
    let answers: Vec<Vec<Vec<[u8; 6]>>> = thread::scope(|scope| {
        let ask = |torrent| {
            let agent = &agent;
            scope.spawn(move || {
                let ask = |_| announce(agent, swarm, torrent);
                (0..ANSWERS).map(ask).collect()
            })
        };
        let asking: Vec<_> = (0..TORRENTS).map(ask).collect();
        let answers = asking.into_iter().map(|it| it.join().expect("answers"));
        answers.collect()
    });
    for (torrent, answers) in answers.iter().enumerate() {
        let id = whole(torrent + 1);
        let row = "INSERT INTO torrent VALUES (?, '', x'00', '', 100, 16384, 98, 'f', NULL, 0.1)";
        database.execute(row, [id]).expect("a row");
        let mut known = BTreeSet::new();
        for (answer, peers) in answers.iter().enumerate() {
            let new = peers.iter().filter(|it| known.insert(**it)).count();
            let row =
                "INSERT INTO request (timestamp, source, received_peers, duplicate_peers, torrent)
                       VALUES (?, 'tracker', ?, ?, ?)";
            let cells = [answer, peers.len(), peers.len() - new].map(whole);
            let cells = (cells[0], cells[1], cells[2], id);
            database.execute(row, cells).expect("a row");
        }
    }
}

/// Limits of the estimate of each torrent, by the first hour.
fn limits(table: &Table) -> Vec<(f64, f64)> {
    let rows = table.rows.iter();
    let first_hour = rows.filter(|row| row[1] == Cell::from("first hour"));
    let limit = |cell: &Cell| match cell {
        Cell::Real(number) => *number,
        other => panic!("no limit: {other:?}"),
    };
    first_hour
        .map(|row| (limit(&row[6]), limit(&row[7])))
        .collect()
}

#[test]
fn intervals_contain_the_size_of_the_practice_swarm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut all, mut contained, mut below_the_whole) = (0, 0, 0);
    for seed in 1..=2 {
        let swarm = swarm(seed);
        let database = folder.path().join("run.sqlite");
        measured(&swarm, &database);
        let report = Report::read(&ReportOptions {
            databases: vec![database.clone()],
            ..ReportOptions::default()
        });
        let report = report.expect("a report");
        let item = report.item("swarm_size").expect("the item");
        let limits = limits(item.table("torrents").expect("its table"));
        assert_eq!(limits.len(), TORRENTS);
        for (torrent, (low, high)) in limits.into_iter().enumerate() {
            let (whole, named) = truth(&swarm, torrent);
            all += 1;
            contained += usize::from((low..=high).contains(&named));
            below_the_whole += usize::from(high < whole);
        }
        swarm.stop();
        fs::remove_file(&database).expect("it is there");
    }
    println!(
        "{contained} of {all} intervals contain the truth, {below_the_whole} are below the whole"
    );
    // 95 of 100 are promised.
    assert!(contained * 100 >= all * 90, "{contained} of {all}");
    // Peers that a source never names are not in its estimate.
    assert!(below_the_whole * 2 > all, "{below_the_whole} of {all}");
}
