//! Tests of `lab::tracker`.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use super::TrackerMode;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::deadline::Deadline;
use crate::lab::{Behaviour, LabOptions, Plan, Swarm};
use crate::model::Timestamp;
use crate::protocol::bencode::Value;

const SOON: Duration = Duration::from_secs(20);

fn swarm(clock: &ManualClock) -> Swarm {
    let mut shares = LabOptions::usual_shares();
    // Who only loads while somebody stays never ends here.
    shares.retain(|(behaviour, _)| *behaviour != Behaviour::Finishes);
    let plan = Plan::new(LabOptions {
        shares,
        torrents: 8,
        peers: 400,
        stalls: 0,
        ..LabOptions::default()
    });
    Swarm::start(plan, std::sync::Arc::new(clock.clone())).unwrap()
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp(1_000_000))
}

/// Head and body of the answer, at most `limit` bytes.
fn fetch(url: &str, query: &str, limit: u64) -> (String, Vec<u8>) {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(
        stream,
        "GET /{path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    )
    .unwrap();
    let mut bytes = Vec::new();
    stream.take(limit).read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let body = bytes.split_off(end + 4);
    (String::from_utf8(bytes).unwrap(), body)
}

fn escaped(swarm: &Swarm, torrent: usize) -> String {
    let info_hash = swarm.plan().torrents[torrent].info_hash;
    let all = percent_encoding::NON_ALPHANUMERIC;
    percent_encoding::percent_encode(info_hash.as_bytes(), all).to_string()
}

fn announce(swarm: &Swarm, mode: TrackerMode, rest: &str) -> (String, Vec<u8>) {
    let query = format!(
        "info_hash={}&port=6884&uploaded=1&downloaded=2&left=3{rest}",
        escaped(swarm, 0)
    );
    fetch(&swarm.tracker_url(mode).unwrap(), &query, 1_000_000)
}

#[test]
fn http_peers_are_those_of_the_plan() {
    let swarm = swarm(&clock());
    let theirs: Vec<_> = (0..400)
        .filter(|index| swarm.plan().peers[*index].torrent == 0)
        .map(|index| swarm.peer_address(index).unwrap())
        .collect();
    let (_, body) = announce(&swarm, TrackerMode::HttpCompact, "&event=started&numwant=7");
    let answer = Value::parse(&body).unwrap();
    let peers = answer.get(b"peers").unwrap().bytes().unwrap();
    assert_eq!(peers.len(), 42);
    for peer in peers.as_chunks::<6>().0 {
        let address = crate::model::PeerAddress::from_compact(*peer).socket_addr();
        assert!(theirs.contains(&address));
    }
    let (_, body) = announce(&swarm, TrackerMode::HttpDictionary, "");
    let answer = Value::parse(&body).unwrap();
    let peers: Vec<_> = answer.get(b"peers").unwrap().list().unwrap().collect();
    assert!(peers.len() > 20);
    let own = |peer: &Value<'_>| {
        peer.get(b"ip").and_then(Value::text) == Some("127.0.0.1")
            && peer.get(b"port").and_then(Value::integer) == Some(6884)
    };
    assert_eq!(peers.iter().filter(|peer| own(peer)).count(), 1);
    let (_, body) = announce(&swarm, TrackerMode::HttpCompact, "&event=stopped");
    let answer = Value::parse(&body).unwrap();
    assert_eq!(answer.get(b"peers").unwrap().bytes(), Some(&b""[..]));
    let truth = swarm.stop();
    assert!((20..=50).contains(&truth.addresses_named(0, true)));
    let counts = &truth.trackers[&(0, TrackerMode::HttpCompact)];
    assert_eq!(counts.addresses.len(), 7);
    assert_eq!(
        (counts.announces, counts.started, counts.stopped),
        (2, 1, 1)
    );
    assert_eq!(counts.peers_given, 7);
    assert_eq!(
        (counts.uploaded, counts.downloaded, counts.left, counts.port),
        (Some(1), Some(2), Some(3), Some(6884))
    );
}

#[test]
fn scrapes_follow_the_story() {
    let clock = clock();
    let swarm = swarm(&clock);
    let url = swarm.tracker_url(TrackerMode::HttpCompact).unwrap();
    let url = url.replace("announce", "scrape");
    let query = format!(
        "info_hash={}&info_hash={}",
        escaped(&swarm, 0),
        escaped(&swarm, 1)
    );
    let figures = || {
        let (_, body) = fetch(&url, &query, 100_000);
        let files = Value::parse(&body).unwrap();
        let files: Vec<_> = files.get(b"files").unwrap().dict().unwrap().collect();
        assert_eq!(files.len(), 2);
        let own = swarm.plan().torrents[0].info_hash;
        let (_, file) = files.iter().find(|it| it.0 == own.as_bytes()).unwrap();
        [&b"complete"[..], b"downloaded", b"incomplete"]
            .map(|key| file.get(key).unwrap().integer().unwrap())
    };
    let [seeders, completed, leechers] = figures();
    assert_eq!(completed, 0);
    clock.advance(Duration::from_secs(121));
    let [later, now_completed, rest] = figures();
    assert_eq!((now_completed, rest), (leechers, 0));
    assert_eq!(later, seeders + leechers);
}

#[test]
fn http_modes_misbehave() {
    let swarm = swarm(&clock());
    let body = |mode| announce(&swarm, mode, "").1;
    let failure = body(TrackerMode::FailureReason);
    assert!(
        Value::parse(&failure)
            .unwrap()
            .get(b"failure reason")
            .is_some()
    );
    let list = body(TrackerMode::NonDictionary);
    assert_eq!(Value::parse(&list).unwrap().kind(), "list");
    let integer = body(TrackerMode::IntegerPeers);
    let peers = Value::parse(&integer).unwrap().get(b"peers").unwrap();
    assert_eq!(peers.integer(), Some(5));
    assert!(body(TrackerMode::Html).starts_with(b"<!DOCTYPE"));
    let (head, _) = announce(&swarm, TrackerMode::Status500, "");
    assert!(head.starts_with("HTTP/1.1 500 "));
    let (head, _) = announce(&swarm, TrackerMode::RedirectLoop, "");
    assert!(head.contains("Location: /redirect-loop/announce?info_hash="));
    assert!(body(TrackerMode::EndlessBody).len() > 900_000);
}

#[test]
fn the_bomb_is_small_and_unpacks() {
    let swarm = swarm(&clock());
    let (head, body) = announce(&swarm, TrackerMode::CompressedBomb, "");
    assert!(head.contains("Content-Encoding: gzip") && body.len() < 600_000);
    let url = format!(
        "{}?info_hash={}&port=1",
        swarm.tracker_url(TrackerMode::CompressedBomb).unwrap(),
        escaped(&swarm, 0)
    );
    let mut answer = ureq::get(&url).call().unwrap();
    let mut unpacked = Vec::new();
    let reader = answer.body_mut().as_reader();
    reader.take(2_000_000).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked.len(), 2_000_000);
    assert!(unpacked.iter().all(|byte| *byte == 0));
}

/// A UDP client that sends one request and returns the next answers.
struct Client(UdpSocket);

impl Client {
    fn to(swarm: &Swarm, mode: TrackerMode) -> Self {
        let url = swarm.tracker_url(mode).unwrap();
        let host = url
            .strip_prefix("udp://")
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.connect(host).unwrap();
        Self(socket)
    }

    fn send(&self, connection: u64, action: u32, transaction: u32, rest: &[u8]) {
        let mut bytes = connection.to_be_bytes().to_vec();
        bytes.extend(action.to_be_bytes());
        bytes.extend(transaction.to_be_bytes());
        bytes.extend(rest);
        self.0.send(&bytes).unwrap();
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let count = self.0.recv(&mut buffer).unwrap();
        buffer[..count].to_vec()
    }

    fn connect(&self) -> u64 {
        self.send(0x0417_2710_1980, 0, 0x0102_0304, &[]);
        let answer = self.receive();
        assert_eq!(answer[..8], [0, 0, 0, 0, 1, 2, 3, 4]);
        u64::from_be_bytes(answer[8..].try_into().unwrap())
    }

    fn announce(&self, swarm: &Swarm, connection: u64) {
        let mut rest = swarm.plan().torrents[0].info_hash.as_bytes().to_vec();
        rest.extend([b'p'; 20]);
        for number in [2_u64, 3, 1] {
            rest.extend(number.to_be_bytes());
        }
        rest.extend([0, 0, 0, 2, 0, 0, 0, 0, 9, 9, 9, 9]);
        rest.extend((-1_i32).to_be_bytes());
        rest.extend(6884_u16.to_be_bytes());
        self.send(connection, 1, 5, &rest);
    }
}

#[test]
fn udp_announce_and_scrape() {
    let swarm = swarm(&clock());
    let client = Client::to(&swarm, TrackerMode::Udp);
    let connection = client.connect();
    client.announce(&swarm, connection);
    let answer = client.receive();
    assert_eq!(answer[..12], [0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 7, 8]);
    assert_eq!((answer.len() - 20) % 6, 0);
    assert!(answer.len() > 20 + 6 * 20);
    client.send(
        connection,
        2,
        6,
        swarm.plan().torrents[0].info_hash.as_bytes(),
    );
    let answer = client.receive();
    assert_eq!(
        (answer.len(), &answer[..8]),
        (20, &[0, 0, 0, 2, 0, 0, 0, 6][..])
    );
    client.send(connection ^ 1, 2, 7, &[]);
    assert_eq!(client.receive()[..8], [0, 0, 0, 3, 0, 0, 0, 7]);
    let truth = swarm.stop();
    let counts = &truth.trackers[&(0, TrackerMode::Udp)];
    assert_eq!(
        (counts.announces, counts.started, counts.scrapes),
        (1, 1, 1)
    );
    assert_eq!(
        (counts.uploaded, counts.downloaded, counts.left, counts.port),
        (Some(1), Some(2), Some(3), Some(6884))
    );
}

#[test]
fn udp_modes_misbehave() {
    let swarm = swarm(&clock());
    let asked = |mode| {
        let client = Client::to(&swarm, mode);
        let connection = client.connect();
        client.announce(&swarm, connection);
        client
    };
    assert_eq!(
        asked(TrackerMode::UdpWrongAction).receive()[..4],
        [0, 0, 0, 77]
    );
    assert_eq!(asked(TrackerMode::UdpShort).receive().len(), 10);
    let error = asked(TrackerMode::UdpError).receive();
    assert_eq!(error, b"\0\0\0\x03\0\0\0\x05practice: go away");
    let noisy = asked(TrackerMode::UdpNoisy);
    assert_eq!(noisy.receive()[..8], [0, 0, 0, 1, 0, 0, 0, 4]);
    assert_eq!(noisy.receive(), b"foreign");
    assert_eq!(noisy.receive()[..8], [0, 0, 0, 1, 0, 0, 0, 5]);
    let wrong = Client::to(&swarm, TrackerMode::UdpWrongTransaction);
    wrong.send(0x0417_2710_1980, 0, 1, &[]);
    assert_eq!(wrong.receive()[4..8], [0xff, 0xff, 0xff, 0xfe]);
}

#[test]
fn silent_trackers_take_requests_and_say_nothing() {
    let swarm = swarm(&clock());
    let url = swarm.tracker_url(TrackerMode::HttpSilence).unwrap();
    let host = url.trim_start_matches("http://").split('/').next().unwrap();
    let mut http = TcpStream::connect(host).unwrap();
    http.set_read_timeout(Some(SOON)).unwrap();
    let query = format!("info_hash={}&port=1", escaped(&swarm, 0));
    write!(http, "GET /silence/announce?{query} HTTP/1.1\r\n\r\n").unwrap();
    let udp = Client::to(&swarm, TrackerMode::UdpSilence);
    udp.send(0x0417_2710_1980, 0, 1, &[]);
    // The request was read once it is counted.
    let time = SystemClock::new();
    let deadline = Deadline::after(time.now(), SOON);
    let place = (0, TrackerMode::HttpSilence);
    while !swarm.truth().trackers.contains_key(&place) {
        assert!(
            deadline.left(time.now()).is_some(),
            "the request is not read"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let truth = swarm.stop();
    assert_eq!(truth.trackers[&place].announces, 1);
    assert_eq!(truth.trackers[&place].peers_given, 0);
    let mut bytes = Vec::new();
    // The lab has let go: whether in order or by a reset does not matter.
    let _ = http.read_to_end(&mut bytes);
    assert_eq!(bytes, b"");
    udp.0.set_nonblocking(true).unwrap();
    assert!(udp.0.recv(&mut [0; 64]).is_err());
}
