//! Tests of `peer::metadata`: what each manner sends, seen by a client
//! written by hand, and what the truth says of it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::super::plan::{LabOptions, Plan};
use super::super::super::swarm::Swarm;
use super::*;
use crate::clock::SystemClock;

const SOON: Duration = Duration::from_secs(20);

/// A magnet torrent whose peers all load nothing and give metadata each in
/// its way.
fn swarm(behaviour: super::super::Behaviour) -> Swarm {
    let plan = Plan::new(LabOptions {
        torrents: 1,
        magnets: 1,
        peers: MetadataManner::ALL.len(),
        callers: 0,
        shares: vec![(behaviour, 1)],
        manners: MetadataManner::ALL.map(|manner| (manner, 1)).to_vec(),
        dht: 100,
        ..LabOptions::default()
    });
    Swarm::start(plan, Arc::new(SystemClock::new())).unwrap()
}

fn address_of(swarm: &Swarm, manner: MetadataManner) -> SocketAddr {
    let mut peers = swarm.plan().peers.iter();
    let index = peers.position(|peer| peer.manner == manner).unwrap();
    swarm.peer_address(index).unwrap()
}

struct Client(TcpStream);

impl Client {
    /// Both handshakes; `reserved` tells for what it is there.
    fn call(swarm: &Swarm, manner: MetadataManner, reserved: [u8; 8]) -> Self {
        let mut stream = TcpStream::connect(address_of(swarm, manner)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let hash = swarm.plan().torrents[0].info_hash;
        let hello = wire::handshake(reserved, hash.as_bytes(), &[b'c'; 20]);
        stream.write_all(&hello).unwrap();
        let mut client = Self(stream);
        let mut answer = [0; wire::HANDSHAKE_LEN];
        client.0.read_exact(&mut answer).unwrap();
        assert!(wire::Greeting::parse(&answer).unwrap().extended());
        let offer = b"\0d1:md11:ut_metadatai7eee";
        client.0.write_all(&wire::message(20, offer)).unwrap();
        client
    }

    /// The payload of the next extended message.
    fn next(&mut self) -> Vec<u8> {
        loop {
            let mut length = [0; 4];
            self.0.read_exact(&mut length).unwrap();
            let mut message = vec![0; u32::from_be_bytes(length) as usize];
            self.0.read_exact(&mut message).unwrap();
            if message.first() == Some(&20) {
                return message.split_off(1);
            }
        }
    }

    fn ask(&mut self, piece: u32) {
        let text = format!("\x03d8:msg_typei0e5:piecei{piece}ee");
        let request = wire::message(20, text.as_bytes());
        self.0.write_all(&request).unwrap();
    }

    /// The answer to a request: `None` for a reject, else the block with the
    /// size that was claimed.
    fn block(&mut self, piece: u32) -> Option<(i64, Vec<u8>)> {
        self.ask(piece);
        let answer = self.next();
        let (number, answer) = answer.split_first().unwrap();
        assert_eq!(*number, 7, "our number");
        let (header, block) = Found::read(answer).unwrap();
        let value = |key: &[u8]| header.get(key).and_then(Found::number);
        assert_eq!(value(b"piece"), Some(piece.into()));
        match value(b"msg_type") {
            Some(1) => Some((value(b"total_size").unwrap(), block.to_vec())),
            other => {
                assert_eq!(other, Some(2));
                None
            }
        }
    }
}

/// The reserved bits of somebody who wants metadata and nothing else.
const EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

#[test]
fn each_in_its_manner() {
    let swarm = swarm(super::super::Behaviour::Seed);
    let info = swarm.plan().torrents[0].info.clone();
    let size = i64::try_from(info.len()).unwrap();
    let chunk = |piece: usize| info.chunks(16_384).nth(piece).unwrap().to_vec();

    let mut gives = Client::call(&swarm, MetadataManner::Gives, EXTENDED);
    assert_eq!(
        gives.next(),
        format!("\0d1:md11:ut_metadatai3ee13:metadata_sizei{size}ee").as_bytes()
    );
    for piece in [2, 0, 1] {
        assert_eq!(gives.block(piece), Some((size, chunk(piece as usize))));
    }
    assert_eq!(gives.block(3), None, "there are three blocks");

    let mut half = Client::call(&swarm, MetadataManner::GivesHalf, EXTENDED);
    half.next();
    assert_eq!(half.block(0), Some((size, chunk(0))));
    assert_eq!(half.block(1), None);

    let mut rejects = Client::call(&swarm, MetadataManner::Rejects, EXTENDED);
    rejects.next();
    assert_eq!(rejects.block(0), None);

    let mut wrong = Client::call(&swarm, MetadataManner::WrongBlock, EXTENDED);
    wrong.next();
    let (_, block) = wrong.block(0).unwrap();
    let differing = block
        .iter()
        .zip(chunk(0))
        .filter(|(one, other)| **one != *other);
    assert_eq!(differing.count(), 1);

    let mut endless = Client::call(&swarm, MetadataManner::EndlessSize, EXTENDED);
    assert!(endless.next().ends_with(b"13:metadata_sizei2147483648ee"));

    let mut silent = Client::call(&swarm, MetadataManner::Silent, EXTENDED);
    silent.next();
    silent.ask(0);

    let mut without = Client::call(&swarm, MetadataManner::Without, EXTENDED);
    assert_eq!(without.next(), b"\0d1:mdee");

    drop((gives, half, rejects, wrong, endless, silent, without));
    let truth = swarm.stop();
    assert!(truth.contacts.is_empty(), "no visit: {:?}", truth.contacts);
    let counts = &truth.magnets[&0];
    assert_eq!(counts.conversations, 7);
    assert_eq!(counts.given, [0, 1, 2].into());
    assert!(counts.whole.is_some());
}

#[test]
fn a_client_that_asks_for_both_has_a_visit_with_metadata() {
    let swarm = swarm(super::super::Behaviour::Seed);
    let mut client = Client::call(&swarm, MetadataManner::Gives, wire::FAST_AND_EXTENDED);
    client.next();
    assert!(client.block(0).is_some());
    drop(client);
    let truth = swarm.stop();
    assert!(truth.magnets.is_empty());
    assert_eq!(truth.contacts.len(), 1);
    let pieces = truth.plan.torrents[0].pieces;
    assert_eq!(truth.contacts[0].told, Some(pieces));
}

#[test]
fn who_fails_visits_fails_here_too() {
    let swarm = swarm(super::super::Behaviour::ClosesAtOnce);
    let address = address_of(&swarm, MetadataManner::Gives);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let hash = swarm.plan().torrents[0].info_hash;
    let hello = wire::handshake(EXTENDED, hash.as_bytes(), &[b'c'; 20]);
    stream.write_all(&hello).unwrap();
    let mut rest = Vec::new();
    // A reset does as well: our handshake is not read.
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    drop(stream);
    let truth = swarm.stop();
    assert!(truth.contacts.is_empty());
    assert_eq!(truth.magnets[&0].conversations, 1);
    assert!(truth.magnets[&0].given.is_empty());
}
