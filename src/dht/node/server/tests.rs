//! Every method, its errors, and what others may store.

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::dht::node::address::NodeInfo;
use crate::dht::node::krpc::Want;
use crate::dht::node::scrape::swarm_size;
use crate::model::Timestamp;

struct Bench {
    clock: ManualClock,
    server: Server,
    routing: RoutingTable,
    board: Board,
    random: Random,
}

const OWN: NodeId = NodeId::new([1; 20]);
const HASH: InfoHash = InfoHash::new([3; 20]);

fn asker(port: u16) -> PeerAddress {
    PeerAddress::new([192, 0, 2, 9].into(), port)
}

fn node(number: u8) -> NodeInfo {
    NodeInfo {
        id: NodeId::new([number; 20]),
        address: PeerAddress::from_compact([10, 0, number, 1, 0, 1]),
    }
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp(0));
        let mut random = Random::from_seed([4; 32]);
        let server = Server::new(&DhtSettings::default(), &mut random, clock.now());
        let mut routing = RoutingTable::new(OWN, false);
        for number in 100..120 {
            routing.heard_reply(node(number), clock.now());
        }
        Self {
            clock,
            server,
            routing,
            board: Board::default(),
            random,
        }
    }

    fn ask(&mut self, method: Method<'_>, want: Want, from: PeerAddress) -> Vec<u8> {
        let query = Query {
            sender: NodeId::new([9; 20]),
            want,
            method,
        };
        let asked = Asked {
            transaction: TransactionId::new(b"a long one").unwrap(),
            query: &query,
            from,
            now: self.clock.now(),
        };
        let mut around = Surroundings {
            routing: &self.routing,
            board: &self.board,
            random: &mut self.random,
        };
        self.server.answer(&asked, &mut around)
    }

    fn get_peers(&mut self, noseed: bool) -> (Vec<u8>, Vec<PeerAddress>) {
        let method = Method::GetPeers {
            info_hash: HASH,
            noseed,
            scrape: false,
        };
        let packet = self.ask(method, Want::default(), asker(5));
        let reply = reply(&packet);
        let values = reply.values.clone().unwrap_or_default();
        (reply.token.unwrap().to_vec(), values)
    }

    fn announce(&mut self, token: &[u8], port: u16, implied_port: bool) -> Vec<u8> {
        let announce = Announce {
            info_hash: HASH,
            port,
            implied_port,
            token,
            name: None,
            seed: Some(port == 99),
        };
        self.ask(Method::AnnouncePeer(announce), Want::default(), asker(1234))
    }
}

fn reply(packet: &[u8]) -> Reply<'_> {
    let message = Message::decode(packet).unwrap();
    assert_eq!(message.transaction.as_bytes(), b"a long one");
    assert_eq!(message.version, Some(&VERSION[..]));
    assert_eq!(message.ip.map(|ip| ip.ip()), Some(asker(0).ip()));
    match message.body {
        Body::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn error(packet: &[u8]) -> i64 {
    match Message::decode(packet).unwrap().body {
        Body::Error(error) => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ping_and_nodes() {
    let mut bench = Bench::new();
    assert_eq!(
        reply(&bench.ask(Method::Ping, Want::default(), asker(5))),
        Reply::from(OWN)
    );
    let target = node(104).id;
    let packet = bench.ask(Method::FindNode { target }, Want::default(), asker(5));
    let nodes = reply(&packet).nodes.unwrap();
    assert_eq!((nodes.len(), nodes[0]), (8, node(104)));
    assert_eq!(reply(&packet).nodes6, None);
}

#[test]
fn nodes_of_the_other_family_on_wish() {
    let mut bench = Bench::new();
    let six = NodeInfo {
        id: NodeId::new([7; 20]),
        address: PeerAddress::new("2a00::1".parse().unwrap(), 1),
    };
    bench.board.put(Family::V6, vec![six]);
    let target = node(104).id;
    let want = Want {
        v4: false,
        v6: true,
    };
    let packet = bench.ask(Method::FindNode { target }, want, asker(5));
    assert_eq!(reply(&packet).nodes, None);
    assert_eq!(reply(&packet).nodes6, Some(vec![six]));
    let want = Want { v4: true, v6: true };
    let packet = bench.ask(Method::SampleInfohashes { target }, want, asker(5));
    assert_eq!(reply(&packet).nodes.unwrap().len(), 8);
    assert_eq!(reply(&packet).nodes6, Some(vec![six]));
}

#[test]
fn announces_need_a_token() {
    let mut bench = Bench::new();
    let (token, peers) = bench.get_peers(false);
    assert_eq!(peers, []);
    assert_eq!(error(&bench.announce(b"wrong", 7, false)), 203);
    assert_eq!(bench.get_peers(false).1, []);
    reply(&bench.announce(&token, 7, false));
    reply(&bench.announce(&token, 99, false));
    reply(&bench.announce(&token, 0, true));
    let mut peers = bench.get_peers(false).1;
    peers.sort();
    assert_eq!(peers, [asker(7), asker(99), asker(1234)]);
    let mut leechers = bench.get_peers(true).1;
    leechers.sort();
    assert_eq!(leechers, [asker(7), asker(1234)]);
    bench.clock.advance(Duration::from_secs(601));
    bench.get_peers(false);
    assert_eq!(error(&bench.announce(&token, 7, false)), 203, "too old");
}

#[test]
fn a_scrape_gives_filters_instead_of_peers() {
    let mut bench = Bench::new();
    let method = Method::GetPeers {
        info_hash: HASH,
        noseed: false,
        scrape: true,
    };
    let ask = |bench: &mut Bench| bench.ask(method.clone(), Want::default(), asker(5));
    let packet = ask(&mut bench);
    let none = reply(&packet);
    assert_eq!((none.scrape, none.values), (None, None), "nothing is known");
    let token = none.token.unwrap().to_vec();
    bench.announce(&token, 99, false);
    let now = bench.clock.now();
    for number in 0..40 {
        let address = PeerAddress::from_compact([10, 1, 1, number, 0, 1]);
        bench.server.store.announce(HASH, address, false, now);
    }
    let packet = ask(&mut bench);
    let filled = reply(&packet);
    assert_eq!((filled.values, filled.nodes.unwrap().len()), (None, 8));
    let size = swarm_size(filled.scrape.as_deref());
    assert!((size.seeds - 1.0).abs() < 0.1, "{size:?}");
    assert!((size.peers - 40.0).abs() < 3.0, "{size:?}");
    assert!(packet.len() < 1400, "{}", packet.len());
}

#[test]
fn a_sample_stays_for_its_interval() {
    let mut bench = Bench::new();
    let (token, _) = bench.get_peers(false);
    let target = OWN;
    let sample = |bench: &mut Bench| {
        let packet = bench.ask(
            Method::SampleInfohashes { target },
            Want::default(),
            asker(5),
        );
        reply(&packet).samples.unwrap()
    };
    let empty = sample(&mut bench);
    assert_eq!(
        (empty.interval, empty.total, empty.hashes),
        (300, 0, vec![])
    );
    bench.announce(&token, 7, false);
    bench.clock.advance(Duration::from_secs(100));
    let same = sample(&mut bench);
    assert_eq!((same.interval, same.total, same.hashes), (200, 1, vec![]));
    bench.clock.advance(Duration::from_secs(200));
    assert_eq!(sample(&mut bench).hashes, [HASH]);
}

#[test]
fn unknown_methods_are_refused() {
    let mut bench = Bench::new();
    let packet = bench.ask(Method::Unknown(b"put"), Want::default(), asker(5));
    assert_eq!(error(&packet), 204);
}

#[test]
fn the_fullest_answer_fits_one_packet() {
    let mut bench = Bench::new();
    for number in 0..255 {
        let address = PeerAddress::from_compact([10, 1, 1, number, 0, 1]);
        let now = bench.clock.now();
        bench.server.store.announce(HASH, address, false, now);
    }
    let method = Method::GetPeers {
        info_hash: HASH,
        noseed: false,
        scrape: false,
    };
    let packet = bench.ask(method, Want { v4: true, v6: true }, asker(5));
    assert_eq!(reply(&packet).values.unwrap().len(), VALUES_SENT_MAX);
    // 8 nodes of 38 bytes could come on top.
    assert!(packet.len() + 8 * 38 < 1400, "{}", packet.len());
    let v6 = |number: u16| PeerAddress::new([0x2a00, 1, 1, number, 0, 0, 0, 1].into(), 1);
    let now = bench.clock.now();
    for number in 0..255 {
        bench.server.store.announce(HASH, v6(number), false, now);
    }
    let method = Method::GetPeers {
        info_hash: HASH,
        noseed: false,
        scrape: false,
    };
    let nodes = (0..8).map(|number| NodeInfo {
        id: NodeId::new([number; 20]),
        address: v6(number.into()),
    });
    bench.board.put(Family::V4, nodes.collect());
    let packet = bench.ask(method, Want { v4: true, v6: true }, v6(1));
    let Body::Reply(fullest) = Message::decode(&packet).unwrap().body else {
        panic!("a reply")
    };
    assert_eq!(fullest.values.unwrap().len(), VALUES6_SENT_MAX);
    // Nodes of 38 and of 26 bytes, 8 of each.
    assert!(packet.len() < 1400, "{}", packet.len());
}
