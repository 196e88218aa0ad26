//! `btda -apd`: peers from the DHT, from an external pymdht and from our own
//! node, by the real program.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest};
use btda::lab::{PymdhtLookup, ScriptedPeer, ScriptedPymdht, Step, wire};
use btda::stop::{StopTrigger, stop_pair};
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
    let address = Ipv4Addr::new(127, 0, 1, host);
    let settings = DhtSettings {
        bootstrap: bootstrap.iter().map(SocketAddr::to_string).collect(),
        ..DhtSettings::loopback(address)
    };
    let (trigger, stop) = stop_pair();
    let handle = DhtNode::start(settings, Arc::new(SystemClock::new()), &stop, None).unwrap();
    let port = handle.port(Family::V4).unwrap();
    Node {
        address: (address, port).into(),
        handle,
        _trigger: trigger,
    }
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
        ("dht_node_port", port.as_str()),
        ("dht.bootstrap", bootstrap.as_str()),
        ("dht.allow_private", "true"),
    ];
    assert_found(with_dht("auto", &keys).start(), "own");
}

/// A node whose address is that of `peer`, with a port of its own.
fn node_at(peer: SocketAddr, bootstrap: &[SocketAddr]) -> Node {
    let SocketAddr::V4(peer) = peer else {
        panic!("the scripted peer has IPv4");
    };
    let settings = DhtSettings {
        bootstrap: bootstrap.iter().map(SocketAddr::to_string).collect(),
        ..DhtSettings::loopback(*peer.ip())
    };
    let (trigger, stop) = stop_pair();
    let handle = DhtNode::start(settings, Arc::new(SystemClock::new()), &stop, None).unwrap();
    let port = handle.port(Family::V4).unwrap();
    Node {
        address: (*peer.ip(), port).into(),
        handle,
        _trigger: trigger,
    }
}
