//! Tests of `lab::dht`, by packets written by hand.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::super::plan::{LabOptions, Plan};
use super::super::swarm::Swarm;
use super::*;
use crate::clock::SystemClock;
use crate::lab::bencode::Found;
use crate::lab::tracker::compact;

const SOON: Duration = Duration::from_secs(20);

fn swarm() -> Swarm {
    let plan = Plan::new(LabOptions {
        torrents: 2,
        peers: 60,
        callers: 0,
        dht: 50,
        ..LabOptions::default()
    });
    Swarm::start(plan, Arc::new(SystemClock::new())).unwrap()
}

/// One query and its answer.
fn ask(node: SocketAddr, body: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.send_to(body, node).unwrap();
    let mut buffer = [0; 4096];
    let (count, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, node);
    buffer[..count].to_vec()
}

fn get_peers(node: SocketAddr, info_hash: &[u8; 20]) -> Vec<u8> {
    let mut query = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:".to_vec();
    query.extend(info_hash);
    query.extend(b"e1:q9:get_peers1:t2:aa1:y1:qe");
    ask(node, &query)
}

fn announce(node: SocketAddr, info_hash: &[u8; 20], token: &[u8]) -> Vec<u8> {
    let mut query = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:".to_vec();
    query.extend(info_hash);
    query.extend(b"4:porti6884e5:token8:");
    query.extend(token);
    query.extend(b"e1:q13:announce_peer1:t2:aa1:y1:qe");
    ask(node, &query)
}

/// What an answer names: nodes and peers, and its token.
fn named(answer: &[u8]) -> (Vec<Vec<u8>>, HashSet<Vec<u8>>, Vec<u8>) {
    let (answer, rest) = Found::read(answer).unwrap();
    assert!(rest.is_empty());
    let values = answer.get(b"r").unwrap();
    let nodes = values.get(b"nodes").and_then(Found::bytes).unwrap();
    let peers = match values.get(b"values") {
        Some(Found::List(peers)) => peers.as_slice(),
        _ => &[],
    };
    let peers = peers.iter().map(|it| it.bytes().unwrap().to_vec());
    let token = values.get(b"token").and_then(Found::bytes).unwrap();
    let nodes = nodes.chunks(26).map(<[u8]>::to_vec);
    (nodes.collect(), peers.collect(), token.to_vec())
}

#[test]
fn the_nodes_name_each_other_and_everybody_of_the_dht() {
    let swarm = swarm();
    let plan = swarm.plan().clone();
    let hash = *plan.torrents[0].info_hash.as_bytes();
    let nodes = swarm.dht_nodes();
    let (closest, ..) = named(&get_peers(nodes[0], &hash));
    assert_eq!(closest.len(), 8);
    let mut found = HashSet::new();
    for node in &nodes {
        let (again, peers, _) = named(&get_peers(*node, &hash));
        assert_eq!(again, closest);
        found.extend(peers);
    }
    let wanted: HashSet<Vec<u8>> = (plan.peers.iter().enumerate())
        .filter(|(_, peer)| peer.torrent == 0 && peer.named_by.dht())
        .map(|(index, _)| compact(swarm.peer_address(index).unwrap()))
        .collect();
    assert_eq!(found, wanted);
    assert!(named(&get_peers(nodes[0], &[9; 20])).1.is_empty());

    let truth = swarm.stop();
    assert_eq!(truth.dht[&0].addresses.len(), wanted.len());
    assert_eq!(truth.addresses_named(0, true), wanted.len());
    assert_eq!(truth.dht[&0].get_peers, nodes.len() as u64 + 1);
}

#[test]
fn an_announce_needs_the_token_and_is_handed_out() {
    let swarm = swarm();
    let hash = *swarm.plan().torrents[1].info_hash.as_bytes();
    let node = swarm.dht_nodes()[3];
    let (_, before, token) = named(&get_peers(node, &hash));
    assert!(announce(node, &hash, b"nonsense").starts_with(b"d1:eli203e"));
    assert!(announce(node, &hash, &token).starts_with(b"d1:rd2:id20:"));
    let (_, after, _) = named(&get_peers(node, &hash));
    let new: Vec<_> = after.difference(&before).collect();
    assert_eq!(new, [&[127, 0, 0, 1, 0x1a, 0xe4]]);
    let truth = swarm.stop();
    let counts = &truth.dht[&1];
    assert_eq!((counts.announces, counts.refused), (1, 1));
    assert_eq!(counts.port, Some(6884));
    assert_eq!(counts.addresses.len(), before.len());
}

#[test]
fn other_queries_and_nonsense() {
    let swarm = swarm();
    let node = swarm.dht_nodes()[0];
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t1:x1:y1:qe";
    let answer = ask(node, ping);
    assert!(answer.starts_with(b"d1:rd2:id20:") && answer.ends_with(b"e1:t1:x1:y1:re"));
    let unknown = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t1:x1:y1:qe";
    assert!(ask(node, unknown).starts_with(b"d1:eli204e"));
    let find = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e\
                 1:q9:find_node1:t1:x1:y1:qe";
    let found = ask(node, find);
    let (found, _) = Found::read(&found).unwrap();
    let nodes = found.get(b"r").unwrap().get(b"nodes").unwrap();
    assert_eq!(nodes.bytes().unwrap().len(), 8 * 26);
    // No answer to what is no query: the next answer is to the ping.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.send_to(b"nonsense", node).unwrap();
    socket.send_to(ping, node).unwrap();
    let mut buffer = [0; 100];
    let count = socket.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..count], answer);
}

#[test]
fn the_control_port_knows_what_the_nodes_know() {
    let swarm = swarm();
    let plan = swarm.plan().clone();
    let port = swarm.control_port().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let hash = plan.torrents[0].info_hash;
    write!(
        stream,
        "0 OPEN 1 HASH {hash} 6884\r\n0 OPEN 2 HASH {hash} 0\r\nEXIT\r\n"
    )
    .unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
    let peers = |channel: &str| lines.iter().filter(|it| it.starts_with(channel)).count();
    let of_torrent =
        |peer: &&super::super::plan::PlannedParty| peer.torrent == 0 && peer.named_by.dht();
    let wanted = plan.peers.iter().filter(of_torrent).count();
    assert!(wanted > 5);
    assert_eq!(peers("1 PEER"), wanted);
    // The analyzer itself comes back.
    assert_eq!(peers("2 PEER"), wanted + 1);
    assert!(lines.contains(&"2 PEER 127.0.0.1:6884".to_owned()));
    let truth = swarm.stop();
    assert_eq!(truth.dht[&0].lookups, 2);
    assert_eq!(truth.dht[&0].announces, 1);
}
