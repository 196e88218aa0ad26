//! Vectors of the BEPs, round trips, and packets that are wrong.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::dht::node::scrape::Scrape;
use crate::protocol::bencode::Problem;

fn transaction(bytes: &[u8]) -> TransactionId {
    TransactionId::new(bytes).unwrap()
}

fn asker() -> NodeId {
    NodeId::new(*b"abcdefghij0123456789")
}

fn answerer() -> NodeId {
    NodeId::new(*b"mnopqrstuvwxyz123456")
}

fn query(method: Method<'static>) -> Message<'static> {
    message(Body::Query(Query {
        sender: asker(),
        want: Want::default(),
        method,
    }))
}

fn message(body: Body<'_>) -> Message<'_> {
    Message {
        transaction: transaction(b"aa"),
        version: None,
        read_only: false,
        ip: None,
        body,
    }
}

fn both_ways(packet: &[u8], message: &Message<'_>) {
    assert_eq!(
        message.encode(),
        packet,
        "{}",
        message.encode().escape_ascii()
    );
    assert_eq!(&Message::decode(packet).unwrap(), message);
}

#[test]
fn queries_of_bep_5() {
    both_ways(
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        &query(Method::Ping),
    );
    both_ways(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        &query(Method::FindNode { target: answerer() }),
    );
    let info_hash = answerer().into();
    both_ways(
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        &query(Method::GetPeers {
            info_hash,
            noseed: false,
            scrape: false,
        }),
    );
    both_ways(
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        &query(Method::AnnouncePeer(Announce {
            info_hash,
            port: 6881,
            implied_port: true,
            token: b"aoeusnth",
            name: None,
            seed: None,
        })),
    );
}

#[test]
fn filters_of_bep_33() {
    let mut scrape = Scrape::default();
    scrape.seeds.insert([192, 0, 2, 1].into());
    let mut packet = b"d1:rd4:BFpe256:".to_vec();
    packet.extend(scrape.peers.as_bytes());
    packet.extend(b"4:BFsd256:");
    packet.extend(scrape.seeds.as_bytes());
    packet.extend(b"2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
    both_ways(
        &packet,
        &message(Body::Reply(Reply {
            scrape: Some(Box::new(scrape)),
            ..Reply::from(answerer())
        })),
    );
    let short = b"d1:rd4:BFpe3:abc2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";
    let plain = Message::decode(short).unwrap();
    assert_eq!(plain.body, Body::Reply(Reply::from(answerer())));
}

#[test]
fn replies_of_bep_5() {
    let reply = Reply::from(answerer());
    both_ways(
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        &message(Body::Reply(reply)),
    );
    let peer = |text: &[u8; 6]| PeerAddress::from_compact(*text);
    both_ways(
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        &message(Body::Reply(Reply {
            values: Some(vec![peer(b"axje.u"), peer(b"idhtnm")]),
            token: Some(b"aoeusnth"),
            ..Reply::from(asker())
        })),
    );
    let nodes = vec![NodeInfo {
        id: asker(),
        address: peer(b"axje.u"),
    }];
    both_ways(
        b"d1:rd2:id20:abcdefghij01234567895:nodes26:abcdefghij0123456789axje.u5:token8:aoeusnthe1:t2:aa1:y1:re",
        &message(Body::Reply(Reply {
            nodes: Some(nodes),
            token: Some(b"aoeusnth"),
            ..Reply::from(asker())
        })),
    );
    both_ways(
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        &message(Body::Error(ErrorReply {
            code: ErrorCode::Generic.number(),
            message: b"A Generic Error Ocurred",
        })),
    );
}

#[test]
fn keys_of_the_later_beps() {
    let ip: SocketAddr = "1.2.3.4:5".parse().unwrap();
    let full = Message {
        transaction: transaction(b"\0\x01\x02"),
        version: Some(b"LT\x01\x02"),
        read_only: false,
        ip: Some(ip.into()),
        body: Body::Reply(Reply {
            nodes: Some(Vec::new()),
            nodes6: Some(vec![NodeInfo {
                id: asker(),
                address: "[2a00::1]:6881".parse::<SocketAddr>().unwrap().into(),
            }]),
            samples: Some(Samples {
                interval: 300,
                total: 7,
                hashes: vec![InfoHash::new(*b"mnopqrstuvwxyz123456")],
            }),
            ..Reply::from(asker())
        }),
    };
    both_ways(
        b"d2:ip6:\x01\x02\x03\x04\0\x051:rd2:id20:abcdefghij01234567898:intervali300e5:nodes0:\
          6:nodes638:abcdefghij0123456789\x2a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1\
          3:numi7e7:samples20:mnopqrstuvwxyz123456e1:t3:\0\x01\x021:v4:LT\x01\x021:y1:re",
        &full,
    );
    let mut asked = query(Method::GetPeers {
        info_hash: answerer().into(),
        noseed: true,
        scrape: true,
    });
    asked.read_only = true;
    if let Body::Query(query) = &mut asked.body {
        query.want = Want { v4: true, v6: true };
    }
    both_ways(
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:noseedi1e6:scrapei1e4:wantl2:n42:n6ee1:q9:get_peers2:roi1e1:t2:aa1:y1:qe",
        &asked,
    );
    both_ways(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe",
        &query(Method::SampleInfohashes { target: answerer() }),
    );
    both_ways(
        b"d1:ad2:id20:abcdefghij0123456789e1:q3:put1:t2:aa1:y1:qe",
        &query(Method::Unknown(b"put")),
    );
}

#[test]
fn reads_what_others_send() {
    // Unsorted, unknown keys, numbers where texts are expected, long `v`.
    let packet = b"d1:y1:q1:t20:abcdefghijklmnopqrst1:v9:some name1:q4:ping2:zzld1:xi1eee1:ad3:fooi1e2:id20:abcdefghij0123456789e2:ipi7ee";
    let read = Message::decode(packet).unwrap();
    assert_eq!(read.transaction, transaction(b"abcdefghijklmnopqrst"));
    assert_eq!(read.version, Some(&b"some name"[..]));
    assert_eq!(read.ip, None);
    assert!(matches!(
        read.body,
        Body::Query(Query {
            method: Method::Ping,
            ..
        })
    ));
    let error = Message::decode(b"d1:ele1:t1:x1:y1:ee").unwrap();
    assert_eq!(
        error.body,
        Body::Error(ErrorReply {
            code: 0,
            message: b""
        })
    );
}

#[test]
fn names_what_is_wrong() {
    let problem = |packet: &[u8]| Message::decode(packet).unwrap_err();
    let no_query = |problem| Undecodable {
        problem,
        query: None,
    };
    assert_eq!(
        problem(&[b'x'; PACKET_MAX + 1]),
        no_query(KrpcProblem::TooLong)
    );
    assert_eq!(problem(b"le"), no_query(KrpcProblem::NoMessage));
    assert_eq!(problem(b"d1:t1:ae"), no_query(KrpcProblem::NoMessage));
    assert_eq!(problem(b"d1:y1:qe"), no_query(KrpcProblem::Transaction));
    for length in [0, 21, 4000] {
        let packet = format!("d1:t{length}:{}1:y1:qe", "t".repeat(length));
        assert_eq!(
            problem(packet.as_bytes()),
            no_query(KrpcProblem::Transaction)
        );
    }
    assert_eq!(
        problem(&b"l".repeat(4000)).problem,
        KrpcProblem::Bencoding(crate::protocol::bencode::Malformed {
            offset: 60,
            problem: Problem::TooDeep
        })
    );
}

#[test]
fn wrong_queries_can_be_answered() {
    let problem = |packet: &[u8]| Message::decode(packet).unwrap_err();
    let query = |arguments: &str, name: &str| {
        let packet = format!("d1:ad{arguments}e1:q{}:{name}1:t2:aa1:y1:qe", name.len());
        problem(packet.as_bytes())
    };
    let id = "2:id20:abcdefghij0123456789";
    let hash = "9:info_hash20:mnopqrstuvwxyz123456";
    for (arguments, name, key) in [
        ("", "ping", "id"),
        ("2:id3:abc", "ping", "id"),
        (id, "find_node", "target"),
        (id, "get_peers", "info_hash"),
        (id, "announce_peer", "info_hash"),
        (&format!("{id}{hash}5:token1:a"), "announce_peer", "port"),
        (
            &format!("{id}{hash}4:porti0e5:token1:a"),
            "announce_peer",
            "port",
        ),
        (
            &format!("{id}{hash}4:porti65536e5:token1:a"),
            "announce_peer",
            "port",
        ),
        (&format!("{id}{hash}4:porti1e"), "announce_peer", "token"),
    ] {
        assert_eq!(
            query(arguments, name),
            Undecodable {
                problem: KrpcProblem::Key(key),
                query: Some(transaction(b"aa")),
            },
            "{arguments} {name}"
        );
    }
    let reply = problem(b"d1:rd2:idi1ee1:t2:aa1:y1:re");
    assert_eq!(reply.query, None);
}

#[test]
fn huge_lists_are_cut() {
    let mut packet = b"d1:rd2:id20:abcdefghij01234567896:valuesl".to_vec();
    packet.extend(b"6:axje.u".repeat(400));
    packet.extend(b"ee1:t2:aa1:y1:re");
    let Body::Reply(reply) = Message::decode(&packet).unwrap().body else {
        panic!("no reply");
    };
    assert_eq!(reply.values.unwrap().len(), VALUES_MAX);
    let mut packet = b"d1:rd2:id20:abcdefghij01234567895:nodes2600:".to_vec();
    packet.extend([7; 2600]);
    packet.extend(b"e1:t2:aa1:y1:re");
    let Body::Reply(reply) = Message::decode(&packet).unwrap().body else {
        panic!("no reply");
    };
    assert_eq!(reply.nodes.unwrap().len(), NODES_MAX);
}

fn addresses() -> impl Strategy<Value = PeerAddress> {
    any::<(std::net::Ipv4Addr, u16)>().prop_map(|(ip, port)| PeerAddress::new(ip.into(), port))
}

proptest! {
    #[test]
    fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::decode(&packet);
    }

    #[test]
    fn damaged_packets_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index, which in 0_usize..3) {
        let mut packet = [
            &b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"[..],
            b"d1:rd2:id20:abcdefghij01234567895:nodes26:abcdefghij0123456789axje.u5:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
            b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        ][which].to_vec();
        let at = at.index(packet.len());
        packet[at] = byte;
        let _ = Message::decode(&packet);
        packet.truncate(cut.index(packet.len()));
        prop_assert!(Message::decode(&packet).is_err());
    }

    #[test]
    fn any_transaction_is_echoed(id in prop::collection::vec(any::<u8>(), 1..=TRANSACTION_MAX), version in prop::option::of(prop::collection::vec(any::<u8>(), 0..30))) {
        let mut sent = query(Method::Ping);
        sent.transaction = transaction(&id);
        sent.version = version.as_deref();
        let packet = sent.encode();
        prop_assert_eq!(Message::decode(&packet).unwrap(), sent);
    }

    #[test]
    fn replies_are_read_back(
        sender: [u8; 20],
        values in prop::option::of(prop::collection::vec(addresses(), 0..50)),
        nodes in prop::option::of(prop::collection::vec((any::<[u8; 20]>(), addresses()), 0..=8)),
        token in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        total: u32,
    ) {
        let nodes = nodes.map(|nodes| nodes.into_iter().map(|(id, address)| NodeInfo { id: NodeId::new(id), address }).collect());
        let samples = (total % 2 == 0).then(|| Samples { interval: total % 21_600, total: total.into(), hashes: vec![InfoHash::new(sender); 20] });
        let sent = message(Body::Reply(Reply { sender: NodeId::new(sender), nodes, nodes6: None, values, token: token.as_deref(), samples, scrape: None }));
        let packet = sent.encode();
        prop_assert_eq!(Message::decode(&packet).unwrap(), sent);
    }
}
