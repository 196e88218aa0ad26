//! The observatory as a user starts it, on loopback: every query that is sent
//! to it is in its records, and what libtorrent seeds is resolved and found.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use btda::dht::node::id::NodeId;
use btda::dht::node::krpc::{Announce, Method};
use btda::model::{InfoHash, Timestamp};
use btda::observe::record::{Kind, Named, Record, SourcePeer};
use common::client::Assignment;
use common::libtorrent::{Libtorrent, Role};
use common::observatory::{ALONE, Asker, Node, Observatory, btda, records};
use common::process::{Process, isolated, wait_until};
use common::torrent::TestTorrent;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn every_query_is_in_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut observatory = Observatory::start(folder.path(), 1, &ALONE);
    let mut sent: BTreeMap<(Kind, InfoHash), usize> = BTreeMap::new();
    for host in 11..15 {
        let asker = Asker::new(host, observatory.address);
        for number in 0..50_u8 {
            let mut hash = *InfoHash::of(&[host, number]).as_bytes();
            // Not within eight bits of the asker, whatever our id is.
            hash[0] = !host;
            let hash = InfoHash::new(hash);
            let (token, times) = asker.look_up(hash);
            *sent.entry((Kind::Lookup, hash)).or_default() += times;
            if number % 5 == 0 {
                let token = token.unwrap();
                let announce = Method::AnnouncePeer(Announce {
                    info_hash: hash,
                    port: 6881,
                    implied_port: false,
                    token: &token,
                    name: Some(b"a name"),
                    seed: Some(true),
                });
                let (_, times) = asker.ask(&announce);
                *sent.entry((Kind::Announce, hash)).or_default() += times;
            }
        }
        asker.ask(&Method::Ping);
    }
    let mut heard: BTreeMap<(Kind, InfoHash), usize> = BTreeMap::new();
    for record in observatory.end() {
        let Record::Heard(it) = &record else {
            panic!("{record:?}");
        };
        assert!(matches!(it.their_ip, Some(Named::Pseudonym(_))));
        assert_eq!(it.version.as_deref(), Some(&b"XX\x01\x02"[..]));
        assert_eq!(it.is_seed, it.kind == Kind::Announce);
        *heard.entry((it.kind, it.info_hash)).or_default() += 1;
    }
    assert_eq!(heard, sent);
    assert_eq!(sent.len(), 4 * 60);
    no_address_below(&observatory.folder);

    // The same records again, from the files.
    let slices = walkdir::WalkDir::new(observatory.folder.join("records"));
    let mut arguments = vec![
        "observe".to_owned(),
        "--folder".to_owned(),
        "again".to_owned(),
    ];
    for entry in slices.into_iter().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().starts_with("boonlog") {
            arguments.push("--replay".to_owned());
            arguments.push(entry.path().to_str().unwrap().to_owned());
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let replay = btda(folder.path(), &arguments);
    assert!(replay.status.success(), "{replay:?}");
    let again = records(&folder.path().join("again/records"));
    assert_eq!(again.len(), heard.values().sum::<usize>());
}

/// No file has an address of this test in it.
fn no_address_below(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
    {
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let askers = (11..15).map(|host| vec![127, 0, 9, host]);
            for needle in askers.chain([b"127.0.9.".to_vec()]) {
                let has = bytes.windows(needle.len()).any(|part| part == needle);
                assert!(!has, "{}", entry.path().display());
            }
        }
    }
}

/// Asks every node in `ports` at `ip` once; their ids.
fn ask_each(ip: IpAddr, ports: &[u16], hash: InfoHash) -> BTreeSet<NodeId> {
    let ids = ports.iter().map(|port| {
        let asker = Asker::at(ip, 0xa7, SocketAddr::new(ip, *port));
        asker.look_up(hash);
        asker.their_id()
    });
    ids.collect()
}

#[test]
fn nodes_of_both_families_lie_in_several_places_and_record() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut more = ALONE.to_vec();
    let own = [
        "observe.nodes=4",
        "dht.address6=::1",
        "observe.addresses=plain",
    ];
    more.extend(own.iter().flat_map(|it| ["--set", *it]));
    let mut observatory = Observatory::start(folder.path(), 51, &more);
    let families = [
        ("IPv4", observatory.address.ip(), InfoHash::of(b"v4")),
        ("IPv6", Ipv6Addr::LOCALHOST.into(), InfoHash::of(b"v6")),
    ];
    let mut wanted = BTreeMap::new();
    for (family, ip, hash) in families {
        let ports = observatory.ports(family);
        assert_eq!(ports.len(), 4, "{family}: {}", observatory.said());
        let ids = ask_each(ip, &ports, hash);
        let places: BTreeSet<u8> = ids.iter().map(|id| id.as_bytes()[0] >> 5).collect();
        assert_eq!((ids.len(), places.len()), (4, 4), "{family}: {ids:?}");
        wanted.insert(hash, (ip, ids));
    }
    let mut heard: BTreeMap<InfoHash, (IpAddr, BTreeSet<NodeId>)> = BTreeMap::new();
    for record in observatory.end() {
        let Record::Heard(it) = record else {
            panic!("{record:?}");
        };
        let Some(Named::Plain(ip)) = it.their_ip else {
            panic!("plain was asked for: {it:?}");
        };
        let known = heard.entry(it.info_hash).or_insert((ip, BTreeSet::new()));
        assert_eq!(known.0, ip);
        known.1.insert(it.our_id);
    }
    assert_eq!(heard, wanted);
}

#[test]
fn what_libtorrent_seeds_is_resolved_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut observatory = Observatory::start(folder.path(), 31, &ALONE);
    let torrent = TestTorrent::generate("Observed.Thing-2018.mkv", 9, 20, 16 * 1024);
    let seed = folder.path().join("seed");
    fs::create_dir(&seed).unwrap();
    fs::write(seed.join(torrent.name), &torrent.data).unwrap();
    let file = seed.join("real.torrent");
    fs::write(&file, torrent.file(&[])).unwrap();
    // libtorrent keeps a node to begin with out of its table: it learns of
    // the others through that one.
    let second = Node::start(35, None, observatory.address);
    let third = Node::start(36, None, observatory.address);
    for node in [&second, &third] {
        wait_until("our nodes know each other", LIMIT, || {
            node.handle.status().nodes_good() >= 2
        });
    }
    let files = [file];
    let assignment = Assignment {
        dht: Some(second.address),
        ..Assignment::new(Ipv4Addr::new(127, 0, 9, 40), &seed, &files)
    };
    let _seeder = Libtorrent::start(Role::SEEDER, &assignment);
    let name = torrent.hash().to_string().to_uppercase();
    let kept = observatory.folder.join(format!("torrents/{name}.torrent"));
    wait_until("it is resolved", LIMIT, || kept.is_file());
    let seeds = "SELECT max(seeds) FROM swarm WHERE responders > 0";
    wait_until("its swarm is measured", LIMIT, || {
        observatory.number(seeds).is_some()
    });
    let seeds = observatory.number(seeds).unwrap();
    assert!((0.9..1.1).contains(&seeds), "one seeder: {seeds}");
    let records = observatory.end();
    let resolved = records.iter().find_map(|record| match record {
        Record::Resolved(resolved) => Some(resolved),
        Record::Heard(_) => None,
    });
    let resolved = resolved.expect("a record");
    assert_eq!(resolved.info_hash, torrent.hash());
    assert_eq!(resolved.name, torrent.name);
    assert_eq!(resolved.size, torrent.data.len() as u64);
    assert!(!resolved.peers.is_empty());
    let called = |peer: &SourcePeer| peer.last_send_time > Timestamp(0);
    assert!(resolved.peers.iter().any(called), "{resolved:?}");
    let announced = records
        .iter()
        .any(|record| record.kind() == Kind::Announce && record.info_hash() == torrent.hash());
    assert!(announced, "libtorrent announces");

    is_found(folder.path(), &torrent, &kept);
}

/// By search and by summary.
fn is_found(folder: &Path, torrent: &TestTorrent, kept: &Path) {
    let name = torrent.hash().to_string().to_uppercase();
    let found = btda(
        folder,
        &[
            "search",
            "observed",
            "--json",
            "--kind",
            "video",
            "--folder",
            "observatory",
        ],
    );
    assert!(found.status.success(), "{found:?}");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["results"][0]["infohash"], name.as_str());
    assert_eq!(found["results"][0]["score"], 100.0);
    let none = btda(
        folder,
        &[
            "search",
            "observed",
            "--kind",
            "audio",
            "--folder",
            "observatory",
        ],
    );
    assert_eq!(none.status.code(), Some(1));
    let summary = btda(folder, &["observe", "--summary", kept.to_str().unwrap()]);
    let summary: Value = serde_json::from_slice(&summary.stdout).unwrap();
    assert_eq!(summary["infohash"], name.as_str());
    assert_eq!(summary["num_files"], 1);
    assert_eq!(summary["files"][0]["path"][0], torrent.name);
}

#[test]
fn a_network_of_known_size_is_surveyed() {
    const NODES: u8 = 32;
    let folder = tempfile::tempdir().unwrap();
    // Spread evenly, so that the estimate does not depend on luck.
    let id = |number: u8| {
        let mut id = *InfoHash::of(&[number]).as_bytes();
        id[0] = number * 8;
        NodeId::new(id)
    };
    let nobody = SocketAddr::from((Ipv4Addr::new(127, 0, 9, 100), 9));
    let first = Node::start(100, Some(id(0)), nobody);
    let mut nodes = vec![first];
    for number in 1..NODES {
        let address = nodes[0].address;
        nodes.push(Node::start(100 + number, Some(id(number)), address));
    }
    wait_until("they know each other", LIMIT, || {
        let known = |node: &Node| node.handle.status().nodes_good();
        nodes.iter().all(|node| known(node) >= 16)
    });
    for number in 0..3 {
        nodes[5].announce(InfoHash::of(&[number, 1]));
    }
    let bootstrap = format!("dht.bootstrap={}", nodes[0].address);
    let more = [
        "--set",
        &bootstrap,
        "--set",
        "observe.survey_seconds=3600",
        "--set",
        "observe.resolve_threads=0",
    ];
    let mut observatory = Observatory::start(folder.path(), 99, &more);
    wait_until("the survey is stored", LIMIT, || {
        observatory.number("SELECT nodes FROM network").is_some()
    });
    let number = |sql: &str| observatory.number(sql).unwrap();
    let (low, high) = (
        number("SELECT low FROM network"),
        number("SELECT high FROM network"),
    );
    let truth = f64::from(NODES);
    assert!(low < truth && truth < high, "{low} to {high}");
    let hashes = number("SELECT CAST(hashes AS REAL) FROM survey");
    assert!((2.9..3.1).contains(&hashes), "{hashes}");
    // Nobody gives samples twice: the interval is five minutes. On a busy
    // machine some may be too slow to give any.
    let answered = number("SELECT CAST(answered AS REAL) FROM survey");
    assert!((truth / 2.0..=truth).contains(&answered), "{answered}");
    observatory.end();
}

/// Lookups at the rate of 2018, each for another torrent from another address.
fn write_traffic(path: &Path, records: u32) {
    use std::io::Write;
    let mut file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    for number in 0..records {
        let hash = InfoHash::of(&number.to_be_bytes())
            .to_string()
            .to_uppercase();
        let [a, b, c, d] = (number.wrapping_mul(2_654_435_761)).to_be_bytes();
        let at = 1_700_000_000_000_u64 + u64::from(number) * 1000 / 81;
        writeln!(
            file,
            "{{\"type\":\"get_peers\",\"v\":4,\"infohash\":\"{hash}\",\"our_id\":\"{hash}\",\
             \"their_id\":\"{hash}\",\"their_ip\":\"{a}.{b}.{c}.{d}\",\"version\":\"LT\",\
             \"version_hex\":\"4C540102\",\"timestamp\":{at}}}"
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// Replays as fast as it goes; the most memory it had, in KiB.
fn memory_of_replay(folder: &Path, records: u32) -> u64 {
    let file = folder.join(format!("traffic-{records}"));
    write_traffic(&file, records);
    let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
    command
        .current_dir(folder)
        .args([
            "observe",
            "--set",
            "storage.geolocation_database=",
            "--folder",
        ])
        .arg(folder.join(format!("replayed-{records}")))
        .arg("--replay")
        .arg(&file);
    let mut process = Process::spawn("replay", command, folder);
    let status = format!("/proc/{}/status", process.id());
    let mut most = 0;
    wait_until("it is replayed", LIMIT, || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(peak.unwrap_or(0));
        process.ended().is_some()
    });
    assert!(process.ended().unwrap().success());
    let said = fs::read_to_string(process.log()).unwrap();
    assert!(said.contains(&format!("{records} records in ")), "{said}");
    most
}

#[test]
fn memory_stays_the_same_however_much_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let little = memory_of_replay(folder.path(), 20_000);
    let much = memory_of_replay(folder.path(), 100_000);
    assert!(little > 0 && much > 0);
    // Five times as much; what is kept is that of ten seconds of traffic.
    assert!(much < little + 16 * 1024, "{little} KiB, then {much} KiB");
}
