//! The observatory in a network of 50 nodes of ours, libtorrent's and aria2's
//! on loopback: every query that was sent to it, as another program recorded
//! the traffic, is in its records or among what it counts as skipped; what
//! libtorrent seeds is resolved and found; the network has the size that it
//! says.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops with a panic, and says what it saw"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use btda::dht::node::id::NodeId;
use btda::model::{InfoHash, PeerAddress};
use btda::observe::record::{Heard, Kind, Named, Record};
use common::aria2::Aria2;
use common::capture::{Capture, Recording};
use common::client::Assignment;
use common::libtorrent::{Libtorrent, Role};
use common::libtorrent_dht::LibtorrentNode;
use common::observatory::{Asker, Node, Observatory, btda, collect};
use common::process::wait_until;
use common::torrent::TestTorrent;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(90);

/// Nodes of ours.
const OURS: u8 = 50;

/// Nodes of libtorrent that are there before the network is measured.
const THEIRS: u8 = 3;

/// The observatory.
const OBSERVATORY: Ipv4Addr = at(1);

const fn at(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 10, host)
}

/// Everything around the observatory.
struct Network {
    ours: Vec<Node>,
    theirs: Vec<LibtorrentNode>,
}

impl Network {
    /// Ours lie evenly in the key space, so that no estimate depends on luck.
    fn start(folder: &Path) -> Self {
        let id = |number: u8| {
            let mut id = *InfoHash::of(&[number]).as_bytes();
            let place = u16::from(number) * (u16::MAX / u16::from(OURS));
            [id[0], id[1]] = place.to_be_bytes();
            NodeId::new(id)
        };
        let nobody = SocketAddr::from((at(100), 9));
        let first = Node::start_at(at(100), Some(id(0)), nobody);
        let begin = first.address;
        let others = (1..OURS).map(|it| Node::start_at(at(100 + it), Some(id(it)), begin));
        let ours: Vec<Node> = std::iter::once(first).chain(others).collect();
        wait_until("ours know each other", LIMIT, || {
            let known = |node: &Node| node.handle.status().nodes_good();
            ours.iter().all(|node| known(node) >= 16)
        });
        let start = |host: u8| {
            let begin = ours[usize::from(host)].address;
            LibtorrentNode::start(at(10 + host).into(), begin, folder)
        };
        let theirs = (0..THEIRS).map(start).collect();
        Self { ours, theirs }
    }

    /// Each of ours announces a torrent near the observatory, and the next
    /// one finds it there.
    fn announce_and_find(&self, near: NodeId) {
        let hash =
            |number: usize| near_to(near, |it| InfoHash::of(&[number, it, it >> 8].map(low)));
        let begun = |(number, node): (usize, &Node)| node.begin(hash(number), Some(7000));
        let announces: Vec<_> = self.ours.iter().enumerate().map(begun).collect();
        for announce in &announces {
            assert!(collect(announce).1.announced >= 8);
        }
        let before = |number: usize| (number + self.ours.len() - 1) % self.ours.len();
        let begun = |(number, node): (usize, &Node)| node.begin(hash(before(number)), None);
        let lookups: Vec<_> = self.ours.iter().enumerate().map(begun).collect();
        for (number, lookup) in lookups.iter().enumerate() {
            let ip = self.ours[before(number)].address.ip();
            assert_eq!(collect(lookup).0, [PeerAddress::new(ip, 7000)]);
        }
    }

    /// One of libtorrent's announces a torrent, another one finds it.
    fn libtorrent_finds(&mut self, hash: InfoHash, folder: &Path) {
        let address = self.theirs[0].address();
        self.theirs[0].join(hash, folder);
        self.theirs[1].wait_to_find(hash, address);
    }
}

fn low(number: usize) -> u8 {
    u8::try_from(number & 0xff).unwrap()
}

/// The first of `made` that has six bits in common with `id`: who announces
/// it comes to the node of that id.
fn near_to<T: Hashed>(id: NodeId, made: impl Fn(usize) -> T) -> T {
    let mut all = (0..10_000).map(made);
    let near = all.find(|it| common_bits(id.as_bytes(), it.hash().as_bytes()) >= 6);
    near.unwrap()
}

trait Hashed {
    fn hash(&self) -> InfoHash;
}

impl Hashed for InfoHash {
    fn hash(&self) -> InfoHash {
        *self
    }
}

impl Hashed for TestTorrent {
    fn hash(&self) -> InfoHash {
        self.hash()
    }
}

fn common_bits(one: &[u8; 20], other: &[u8; 20]) -> u32 {
    let mut bits = 0;
    for (one, other) in one.iter().zip(other) {
        let same = (one ^ other).leading_zeros();
        bits += same;
        if same < 8 {
            break;
        }
    }
    bits
}

/// A torrent whose hash is near `id`.
fn torrent_near(id: NodeId, name: &str) -> TestTorrent {
    near_to(id, |number| {
        let name: &'static str = format!("{name}-{number}.mkv").leak();
        TestTorrent::generate(name, 9, 2, 16 * 1024)
    })
}

/// A folder for a client with the torrent file, and the data if it seeds.
fn folder_for(torrent: &TestTorrent, folder: PathBuf, seeds: bool) -> (PathBuf, [PathBuf; 1]) {
    fs::create_dir(&folder).unwrap();
    if seeds {
        fs::write(folder.join(torrent.name), &torrent.data).unwrap();
    }
    let file = folder.join("real.torrent");
    fs::write(&file, torrent.file(&[])).unwrap();
    (folder, [file])
}

/// A query as it was on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    announce: bool,
    hash: [u8; 20],
    ip: IpAddr,
    id: [u8; 20],
}

/// Read without a decoder of ours: `None` for an answer, the name of another
/// method, or the query.
fn query_in(from: SocketAddr, packet: &[u8]) -> Option<Result<Sent, String>> {
    let after = |key: &[u8]| {
        let at = packet.windows(key.len()).position(|part| part == key)?;
        packet.get(at + key.len()..)
    };
    let twenty = |key: &[u8]| -> [u8; 20] { after(key).unwrap()[..20].try_into().unwrap() };
    after(b"1:y1:q")?;
    let name = after(b"1:q").unwrap();
    let (length, name) = name.split_at(name.iter().position(|byte| *byte == b':').unwrap());
    let length: usize = String::from_utf8_lossy(length).parse().unwrap();
    let name = &name[1..=length];
    let announce = name == b"announce_peer";
    if !announce && name != b"get_peers" {
        return Some(Err(String::from_utf8_lossy(name).into_owned()));
    }
    Some(Ok(Sent {
        announce,
        hash: twenty(b"9:info_hash20:"),
        ip: from.ip(),
        id: twenty(b"2:id20:"),
    }))
}

/// What the recording has: look-ups and announces, and how many others.
fn sent(recording: &Recording) -> (BTreeMap<Sent, u64>, u64) {
    let mut sent = BTreeMap::new();
    let mut others = 0;
    for (from, packet) in recording.datagrams() {
        match query_in(from, &packet) {
            Some(Ok(query)) => *sent.entry(query).or_default() += 1,
            Some(Err(_)) => others += 1,
            None => {}
        }
    }
    (sent, others)
}

fn heard_as_sent(heard: &Heard) -> Sent {
    let (Some(Named::Plain(ip)), Some(Named::Plain(id))) = (heard.their_ip, heard.their_id) else {
        panic!("plain, as was asked for: {heard:?}");
    };
    Sent {
        announce: heard.kind == Kind::Announce,
        hash: *heard.info_hash.as_bytes(),
        ip,
        id: *id.as_bytes(),
    }
}

/// What the store counts, by reason.
fn tallies(folder: &Path) -> BTreeMap<String, u64> {
    let path = folder.join("observatory.sqlite");
    let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT what, sum(count) FROM tally GROUP BY what";
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap()))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Everything that was sent is a record, or skipped for a reason.
fn all_is_there(recording: &Recording, records: &[Record], folder: &Path) {
    let (mut sent, others) = sent(recording);
    let mut tallies = tallies(folder);
    let mut ids: Vec<NodeId> = Vec::new();
    for record in records {
        let Record::Heard(heard) = record else {
            continue;
        };
        if !ids.contains(&heard.our_id) {
            ids.push(heard.our_id);
        }
        let key = heard_as_sent(heard);
        let count = sent.get_mut(&key);
        let count = count.unwrap_or_else(|| panic!("nobody sent {key:?}"));
        // No more than were sent.
        *count = count.checked_sub(1).unwrap();
    }
    let [our_id] = ids[..] else {
        panic!("one node: {ids:?}");
    };
    let mut left = |what: &str| tallies.remove(what).unwrap_or(0);
    assert_eq!(left("skipped: other method"), others);
    let mut closer = 0;
    let mut unexplained = 0;
    for (query, count) in &sent {
        let theirs = common_bits(&query.id, &query.hash);
        let ours = common_bits(our_id.as_bytes(), &query.hash);
        if !query.announce && theirs >= ours + 8 {
            closer += count;
        } else {
            unexplained += count;
        }
    }
    assert_eq!(left("skipped: closer than we"), closer);
    // libtorrent may change its id once it knows its address (BEP 42), and
    // a token can be too old.
    println!(
        "{} records, {closer} skipped as too close, {unexplained} skipped otherwise, {others} of other methods",
        records.len()
    );
    let others = left("skipped: inconsistent id") + left("skipped: no valid token");
    assert_eq!(others, unexplained);
    assert!(others <= 10, "{others} of {} are skipped", sent.len());
    let lost: Vec<_> = tallies
        .keys()
        .filter(|what| what.starts_with("lost"))
        .collect();
    assert_eq!(lost, [] as [&String; 0]);
}

/// `btda search` finds it, and only it.
fn is_found(folder: &Path, torrent: &TestTorrent) {
    let arguments = ["search", "seeded", "--json", "--folder", "observatory"];
    let found = btda(folder, &arguments);
    assert!(found.status.success(), "{found:?}");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let results = found["results"].as_array().unwrap();
    let name = torrent.hash().to_string().to_uppercase();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["infohash"], name.as_str());
}

/// Records of a kind in the store while it runs.
fn events(observatory: &Observatory, kind: &str, hash: InfoHash) -> f64 {
    let sql = format!(
        "SELECT CAST(coalesce(sum(events), 0) AS REAL) FROM event \
         WHERE kind = '{kind}' AND info_hash = x'{hash}'"
    );
    observatory.number(&sql).unwrap_or(0.0)
}

/// The size of the network, by its own word.
fn has_its_size(observatory: &Observatory) {
    wait_until("the network is measured", LIMIT, || {
        observatory.number("SELECT nodes FROM network").is_some()
    });
    let number = |sql: &str| observatory.number(sql).unwrap();
    let low = number("SELECT low FROM network");
    let high = number("SELECT high FROM network");
    let truth = f64::from(OURS + THEIRS);
    assert!(low < truth && truth < high, "{low} to {high}");
    assert!(
        high < 3.0 * low,
        "an interval that says something: {low} to {high}"
    );
}

/// Nodes whose version begins with `letters` are among those heard.
fn came_from(records: &[Record], letters: &[u8]) {
    let is = |heard: &Heard| {
        let version = heard.version.as_ref();
        version.is_some_and(|it| it.starts_with(letters))
    };
    let any = records
        .iter()
        .any(|it| matches!(it, Record::Heard(heard) if is(heard)));
    assert!(any, "{}", String::from_utf8_lossy(letters));
}

#[test]
fn every_query_of_a_network_is_in_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("capture");
    fs::create_dir(&own).unwrap();
    let filter = format!("udp and dst host {OBSERVATORY}");
    let capture = Capture::start(&own, &["lo"], &filter);
    let mut network = Network::start(folder.path());
    let bootstrap = format!("dht.bootstrap={}", network.ours[0].address);
    let more = [
        "--set",
        &bootstrap,
        "--set",
        "observe.survey_seconds=3600",
        "--set",
        "observe.addresses=plain",
    ];
    let mut observatory = Observatory::start_at(folder.path(), OBSERVATORY, &more);
    has_its_size(&observatory);

    let asker = Asker::at(at(2).into(), 0x55, observatory.address);
    let id = asker.their_id();
    network.announce_and_find(id);
    let joined = near_to(id, |it| InfoHash::of(&[b'j', low(it), low(it >> 8)]));
    network.libtorrent_finds(joined, folder.path());
    let seeded = torrent_near(id, "Seeded.by.libtorrent");
    let (own, files) = folder_for(&seeded, folder.path().join("seed"), true);
    let libtorrent = Libtorrent::start(
        Role::SEEDER,
        &Assignment {
            dht: Some(network.ours[7].address),
            ..Assignment::new(at(30), &own, &files)
        },
    );
    let wanted = torrent_near(id, "Wanted.by.aria2");
    let (own, files) = folder_for(&wanted, folder.path().join("leech"), false);
    let aria2 = Aria2::start(&Assignment {
        dht: Some(network.ours[8].address),
        ..Assignment::new(at(40), &own, &files)
    });
    let name = seeded.hash().to_string().to_uppercase();
    let kept = observatory.folder.join(format!("torrents/{name}.torrent"));
    wait_until("libtorrent's is resolved", LIMIT, || kept.is_file());
    for hash in [joined, seeded.hash(), wanted.hash()] {
        wait_until("clients announce", LIMIT, || {
            events(&observatory, "announce", hash) > 0.0
                && events(&observatory, "get_peers", hash) > 0.0
        });
    }

    // Whatever is under way is read before our last question is answered.
    drop((libtorrent, aria2, network));
    asker.their_id();
    let records = observatory.end();
    asker.send(b"behind all others");
    capture.wait_for(b"behind all others");
    let recording = capture.stop();
    all_is_there(&recording, &records, &observatory.folder);
    came_from(&records, b"LT");
    came_from(&records, b"A2");
    let announced = records.iter().filter(|it| it.kind() == Kind::Announce);
    assert!(announced.count() >= usize::from(OURS));
    is_found(folder.path(), &seeded);
}
