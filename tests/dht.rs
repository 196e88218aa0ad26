//! `btda -apd`: peers from the DHT, from an external pymdht and from our own
//! node, by the real program.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest};
use btda::lab::{PymdhtLookup, ScriptedPeer, ScriptedPymdht, Step, wire};
use btda::stop::{StopTrigger, stop_pair};
use common::load::tracker_naming;
use common::process::free_port;
use common::trial::{LONG, PIECES, STOP_LIMIT, Setup, Trial, info_hash};

/// A peer with half of the pieces, which also says where its DHT node is.
fn half_a_peer() -> ScriptedPeer {
    let half: Vec<u32> = (0..PIECES / 2).collect();
    let told = wire::bitfield(&wire::bits(PIECES, half.iter().copied()));
    ScriptedPeer::listen(vec![Step::Answer, Step::Send(told)]).expect("peer listens")
}

fn with_dht(backend: &str, keys: &[(&str, &str)]) -> Setup {
    let backend = format!("\"{backend}\"");
    // A trackerless torrent: only the DHT can name the peer.
    let setup = Setup::new().torrent("").arguments(&["-d"]);
    setup
        .config(&[
            ("dht.backend", &backend),
            ("dht.lookup_timeout_seconds", "20"),
            ("dht_request_interval", "0.5"),
            ("network_timeout", "1"),
        ])
        .config(keys)
}

/// Waits until the peer was visited, stops, and checks what is stored.
fn assert_found(mut trial: Trial, backend: &str) {
    trial.wait_until("the peer of the DHT is evaluated", |trial| {
        trial.number("SELECT count(*) FROM peer WHERE source = 'dht' AND first_pieces = 20") == 1
    });
    trial.wait_until("the lookup is stored", |trial| {
        trial.number("SELECT max(received_peers) FROM request WHERE source = 'dht'") == 1
    });
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    trial.assert_contract();
    assert_eq!(trial.fact("dht_backend"), backend);
    let unique = "SELECT sum(received_peers - duplicate_peers) FROM request WHERE source = 'dht'";
    assert_eq!(trial.number(unique), 1, "known from the second lookup on");
}

#[test]
fn peers_of_an_external_pymdht_are_visited() {
    let peer = half_a_peer();
    let address = peer.address();
    let node = ScriptedPymdht::start(move |lookup: &PymdhtLookup| lookup.answer(&[address]))
        .expect("control port");
    let port = node.address().port().to_string();
    for backend in ["pymdht", "auto"] {
        let trial = with_dht(backend, &[("dht_control_port", &port)]).start();
        assert_found(trial, "pymdht");
    }
    let open = std::iter::from_fn(|| node.next_line(LONG)).find(|line| line.contains("OPEN"));
    let open = open.expect("a lookup");
    assert!(
        open.contains(&info_hash().to_string().to_uppercase()),
        "{open}"
    );
}

#[test]
fn a_pymdht_that_is_not_there_is_told_once_and_hurts_nothing() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    let mut trial = with_dht("pymdht", &[("dht_control_port", &port)]).start();
    trial.wait_until("failed lookups are stored", |trial| {
        trial.number("SELECT count(*) FROM request WHERE source = 'dht'") >= 2
    });
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    let errors = trial.log().matches(":ERROR:").count();
    assert_eq!(errors, 1, "{}", trial.log());
    assert_eq!(
        trial.number("SELECT sum(received_peers) FROM request WHERE source = 'dht'"),
        0
    );
}

#[test]
fn a_taken_port_of_our_own_node_refuses_the_run() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let keys = [("dht_node_port", port.as_str()), ("dht.bootstrap", "\"\"")];
    let mut trial = with_dht("own", &keys).start();
    assert_eq!(trial.end(LONG).code(), Some(7));
    let said = trial.said();
    assert!(
        said.contains(&format!("the DHT node cannot use UDP port {port}: "))
            && said.contains("choose another (dht_node_port), or stop the program that uses it"),
        "{said}"
    );
    // Nothing but the log, which says why; no run that looks unfinished.
    let [log] = &trial.output_files()[..] else {
        panic!("{:?}", trial.output_files());
    };
    assert_eq!(log.extension().unwrap(), "log");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("the run does not start: the DHT node"),
        "{log}"
    );
}

/// A node of a loopback DHT, outside the program under test.
struct Node {
    handle: DhtHandle,
    address: SocketAddr,
    _trigger: StopTrigger,
}

fn node(host: u8, bootstrap: &[SocketAddr]) -> Node {
    node_of(Ipv4Addr::new(127, 0, 1, host).into(), bootstrap)
}

#[test]
fn our_own_node_finds_peers_where_there_is_no_pymdht() {
    let peer = half_a_peer();
    let first = node(10, &[]);
    let others: Vec<Node> = (11..16).map(|host| node(host, &[first.address])).collect();
    let nodes: Vec<&Node> = std::iter::once(&first).chain(&others).collect();
    common::process::wait_until("the nodes know each other", LONG, || {
        nodes
            .iter()
            .all(|node| node.handle.status().nodes_good() >= 4)
    });
    let request = LookupRequest {
        info_hash: info_hash(),
        announce_port: Some(peer.address().port()),
        private: false,
        limit: Duration::from_secs(20),
    };
    // The announcing node has the address that the scripted peer listens at.
    let announcer = node_at(peer.address(), &[first.address]);
    common::process::wait_until("the announcer knows the others", LONG, || {
        announcer.handle.status().nodes_good() >= 3
    });
    let events = announcer.handle.lookup(&request).unwrap();
    let done = events
        .iter()
        .any(|event| matches!(event, LookupEvent::Done(_)));
    assert!(done, "the peer is announced");
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let bootstrap = format!("\"{}\"", first.address);
    let keys = [
        ("dht_control_port", "1"),
        ("dht.address6", "\"\""),
        ("dht_node_port", port.as_str()),
        ("dht.bootstrap", bootstrap.as_str()),
        ("dht.allow_private", "true"),
    ];
    assert_found(with_dht("auto", &keys).start(), "own");
}

#[test]
fn the_dht_node_that_a_peer_names_is_met() {
    let theirs = node(30, &[]);
    let told = wire::port(theirs.address.port());
    let script = vec![Step::Answer, Step::Send(told)];
    let address = SocketAddr::new(theirs.address.ip(), 0);
    let peer = ScriptedPeer::listen_at(address, vec![script]).expect("peer listens");
    let SocketAddr::V4(named) = peer.address() else {
        panic!("IPv4");
    };
    let tracker = tracker_naming(&[named]);
    let port = free_port(Ipv4Addr::LOCALHOST).to_string();
    let keys = [
        ("dht_node_port", port.as_str()),
        ("dht.bootstrap", "\"\""),
        ("dht.allow_private", "true"),
    ];
    let mut trial = with_dht("own", &keys).torrent(&tracker.url()).start();
    trial.wait_until("their node is asked", |_| {
        theirs.handle.status().queries_in() > 0
    });
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
}

/// A node whose address is that of `peer`, with a port of its own.
fn node_at(peer: SocketAddr, bootstrap: &[SocketAddr]) -> Node {
    node_of(peer.ip(), bootstrap)
}

#[test]
fn peers_of_ipv6_are_found_and_visited() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    let at = IpAddr::from(Ipv6Addr::LOCALHOST);
    let peer = half_a_peer_of_ipv6();
    let first = node_of(at, &[]);
    let others: Vec<Node> = (0..6).map(|_| node_of(at, &[first.address])).collect();
    let know = |node: &Node| node.handle.status().nodes_good() >= 4;
    common::process::wait_until("the nodes know each other", LONG, || {
        know(&first) && others.iter().all(know)
    });
    let request = LookupRequest {
        info_hash: info_hash(),
        announce_port: Some(peer),
        private: false,
        limit: Duration::from_secs(20),
    };
    let events = others[0].handle.lookup(&request).unwrap();
    let is_done = |event: LookupEvent| match event {
        LookupEvent::Done(summary) => summary.announced > 0,
        LookupEvent::Peers(_) => false,
    };
    assert!(events.iter().any(is_done), "the peer is announced");
    let port = free_port(Ipv4Addr::LOCALHOST).to_string();
    let bootstrap = format!("\"{}\"", first.address);
    let keys = [
        ("dht_node_port", port.as_str()),
        ("dht.address6", "\"::1\""),
        ("dht.bootstrap", bootstrap.as_str()),
        ("dht.allow_private", "true"),
    ];
    assert_found(with_dht("own", &keys).start(), "own");
    // Nobody listens for IPv6 callers in that run: only the peer was
    // announced.
    let found = seen_by(&first);
    assert_eq!(found, [peer], "our IPv4 listener is not announced there");
}

/// A peer with half of the pieces on `::1`; its port. It ends with the test.
fn half_a_peer_of_ipv6() -> u16 {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = wire::bitfield(&wire::bits(PIECES, 0..PIECES / 2));
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut theirs = [0; wire::HANDSHAKE_LEN];
            let heard = stream.read_exact(&mut theirs);
            let hash = heard.ok().and_then(|()| wire::Greeting::parse(&theirs));
            let Some(hash) = hash.map(|it| it.info_hash) else {
                continue;
            };
            let mut answer = wire::handshake([0; 8], &hash, b"-LB0100-peer-of-ipv6");
            answer.extend(&told);
            if stream.write_all(&answer).is_ok() {
                open.push(stream);
            }
        }
    });
    port
}

/// Ports of all peers that a lookup through `node` finds.
fn seen_by(node: &Node) -> Vec<u16> {
    let request = LookupRequest {
        info_hash: info_hash(),
        announce_port: None,
        private: false,
        limit: Duration::from_secs(20),
    };
    let events = node.handle.lookup(&request).unwrap();
    let peers = events.iter().flat_map(|event| match event {
        LookupEvent::Peers(peers) => peers,
        LookupEvent::Done(_) => Vec::new(),
    });
    peers.map(|peer| peer.port()).collect()
}

/// A node at `ip` with a port of its own.
fn node_of(ip: IpAddr, bootstrap: &[SocketAddr]) -> Node {
    let base = DhtSettings::loopback(Ipv4Addr::LOCALHOST);
    let (address, address6) = match ip {
        IpAddr::V4(v4) => (Some(v4), None),
        IpAddr::V6(v6) => (None, Some(v6)),
    };
    let settings = DhtSettings {
        bootstrap: bootstrap.iter().map(SocketAddr::to_string).collect(),
        address,
        address6,
        ..base
    };
    let (trigger, stop) = stop_pair();
    let handle = DhtNode::start(settings, Arc::new(SystemClock::new()), &stop, None).unwrap();
    let port = handle.port(Family::of(ip)).unwrap();
    Node {
        address: (ip, port).into(),
        handle,
        _trigger: trigger,
    }
}
