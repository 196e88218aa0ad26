//! One node and everything others may send to it, on a clock moved by hand.

use std::net::IpAddr;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::dht::node::hook::QueryEvent;
use crate::dht::node::krpc::{Announce, ErrorReply, Reply};
use crate::dht::node::settings::ReadOnly;
use crate::dht::node::sink::{LookupEvent, Sink};
use crate::model::InfoHash;

#[derive(Default)]
struct Recorder(Mutex<Vec<QueryEvent>>);

impl QueryHook for Recorder {
    fn query(&self, event: &QueryEvent) {
        self.0.lock().push(event.clone());
    }
}

struct Bench {
    clock: ManualClock,
    core: Core,
    seen: Arc<Recorder>,
}

const HASH: InfoHash = InfoHash::new([3; 20]);

fn node(number: u8) -> SocketAddr {
    SocketAddr::from(([20, number, 0, 1], 6881))
}

fn id(number: u8) -> NodeId {
    NodeId::new([number; 20])
}

fn v4_only() -> DhtSettings {
    DhtSettings {
        address6: None,
        ..DhtSettings::default()
    }
}

impl Bench {
    fn new(settings: DhtSettings) -> Self {
        let clock = ManualClock::new(Timestamp(1000));
        let seen = Arc::new(Recorder::default());
        let setup = Setup {
            settings: Arc::new(settings),
            family: Family::V4,
            hook: Some(seen.clone()),
            board: Arc::default(),
            saved: SavedNodes::default(),
            random: Random::from_seed([8; 32]),
        };
        let core = Core::new(setup, clock.now());
        Self { clock, core, seen }
    }

    fn now(&self) -> Now {
        Now {
            instant: self.clock.now(),
            stamp: self.clock.timestamp(),
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        let now = self.now();
        self.core.tick(now);
    }

    fn hear(&mut self, from: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        self.core.receive(bytes, from, now);
    }

    fn query(&mut self, number: u8, method: Method<'_>) {
        let message = Message {
            transaction: TransactionId::new(b"tt").unwrap(),
            version: None,
            read_only: false,
            ip: None,
            body: Body::Query(Query {
                sender: id(number),
                want: Want::default(),
                method,
            }),
        };
        self.hear(node(number), &message.encode());
    }

    fn sent(&mut self) -> Vec<Outgoing> {
        std::iter::from_fn(|| self.core.next_outgoing()).collect()
    }

    /// Queries that were sent: to whom, and as what.
    fn asked(&mut self) -> Vec<(SocketAddr, [u8; 2])> {
        let sent = self.sent().into_iter();
        sent.filter_map(|packet| Some((packet.to, packet.transaction?)))
            .collect()
    }

    fn reply(
        &mut self,
        from: SocketAddr,
        transaction: [u8; 2],
        reply: Reply<'_>,
        ip: Option<IpAddr>,
    ) {
        let message = Message {
            transaction: TransactionId::new(&transaction).unwrap(),
            version: None,
            read_only: false,
            ip: ip.map(|ip| PeerAddress::new(ip, 1)),
            body: Body::Reply(reply),
        };
        self.hear(from, &message.encode());
    }

    /// Lets `count` nodes into the table; each says that we are at `ip`.
    fn meet(&mut self, count: u8, ip: Option<IpAddr>) {
        for number in 1..=count {
            self.core.add_node(node(number).into());
            self.advance(1);
            for (to, transaction) in self.asked() {
                let SocketAddr::V4(v4) = to else { continue };
                let [_, number, ..] = v4.ip().octets();
                self.reply(to, transaction, Reply::from(id(number)), ip);
            }
        }
    }

    fn known(&mut self) -> usize {
        let now = self.clock.now();
        self.core.status(now).nodes_known
    }

    fn look_up(&mut self) -> crossbeam_channel::Receiver<LookupEvent> {
        let now = self.now();
        let (sink, events) = Sink::new(1, now.instant);
        let wanted = Wanted {
            info_hash: HASH,
            announce: Some(5),
            limit: Duration::from_secs(20),
            sink: Arc::new(sink),
        };
        self.core.look_up(wanted, now);
        events
    }
}

#[test]
fn who_asks_is_pinged_and_known_when_he_answers() {
    let mut bench = Bench::new(v4_only());
    bench.query(1, Method::Ping);
    let [answer] = &bench.sent()[..] else {
        panic!("one answer");
    };
    assert_eq!((answer.to, answer.transaction), (node(1), None));
    assert_eq!(bench.known(), 0);
    bench.advance(1);
    let asked = bench.asked();
    let [(to, transaction)] = asked[..] else {
        panic!("one ping: {asked:?}");
    };
    assert_eq!(to, node(1));
    bench.reply(node(1), transaction, Reply::from(id(1)), None);
    assert_eq!(bench.known(), 1);
}

#[test]
fn only_the_asked_node_at_the_asked_address_answers() {
    let mut bench = Bench::new(v4_only());
    bench.query(1, Method::Ping);
    bench.sent();
    bench.advance(1);
    let (_, transaction) = bench.asked()[0];
    bench.reply(node(2), transaction, Reply::from(id(1)), None);
    bench.reply(node(1), [0, 0], Reply::from(id(1)), None);
    assert_eq!((bench.known(), bench.core.counts.unasked), (0, 2));
    bench.reply(node(1), transaction, Reply::from(id(9)), None);
    assert_eq!((bench.known(), bench.core.counts.unasked), (0, 3));
    bench.reply(node(1), transaction, Reply::from(id(1)), None);
    assert_eq!(bench.known(), 0, "the question is closed");
    // Nobody bears our id.
    bench.core.add_node(node(5).into());
    bench.advance(1);
    let (_, transaction) = bench.asked()[0];
    let own = bench.core.routing.own();
    bench.reply(node(5), transaction, Reply::from(own), None);
    assert_eq!(bench.known(), 0);
}

#[test]
fn a_successor_keeps_id_nodes_and_counters() {
    let mut bench = Bench::new(v4_only());
    bench.meet(6, None);
    let events = bench.look_up();
    let before = (bench.core.routing.own(), bench.core.counts);
    let now = bench.now();
    let nodes = bench.core.saved(now.instant).nodes.len();
    bench.core = bench.core.successor(now.instant);
    assert_eq!((bench.core.routing.own(), bench.core.counts), before);
    assert_eq!(
        events.try_recv(),
        Err(crossbeam_channel::TryRecvError::Disconnected),
        "look-ups end without a result"
    );
    // Nothing but what was known leads back into the network.
    assert_eq!(bench.known(), 0);
    bench.advance(1);
    let asked = bench.asked();
    assert_eq!(asked.len().min(3), nodes.min(3), "{asked:?}");
    for (to, transaction) in asked {
        let SocketAddr::V4(v4) = to else { continue };
        let [_, number, ..] = v4.ip().octets();
        bench.reply(to, transaction, Reply::from(id(number)), None);
    }
    assert!(bench.known() > 0);
}

#[test]
fn local_and_impossible_senders_are_seen_and_not_answered() {
    let mut bench = Bench::new(v4_only());
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    for from in [
        "127.0.0.1:5",
        "192.168.1.1:5",
        "8.8.8.8:0",
        "255.255.255.255:5",
    ] {
        bench.hear(from.parse().unwrap(), ping);
    }
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.core.counts.dropped, 4);
    let seen = bench.seen.0.lock();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|event| !event.answered));
}

#[test]
fn our_own_id_is_not_answered() {
    let mut bench = Bench::new(DhtSettings {
        node_id: Some(id(1)),
        ..v4_only()
    });
    bench.query(1, Method::Ping);
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_flood_is_answered_within_limits() {
    let mut bench = Bench::new(v4_only());
    for _ in 0..5000 {
        bench.query(1, Method::Ping);
    }
    assert_eq!(bench.sent().len(), 50);
    for number in 2..=255 {
        for _ in 0..50 {
            bench.query(number, Method::Ping);
        }
    }
    let answers = bench.sent().len();
    assert!(answers <= 1000, "{answers}");
    assert_eq!(bench.seen.0.lock().len(), 5000 + 254 * 50, "all are seen");
    // What should be pinged is limited, too.
    bench.advance(1);
    assert!(bench.asked().len() <= 5);
}

#[test]
fn wrong_queries_get_an_error() {
    let mut bench = Bench::new(v4_only());
    bench.hear(
        node(1),
        b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe",
    );
    let sent = bench.sent();
    let Body::Error(ErrorReply { code, .. }) = Message::decode(&sent[0].bytes).unwrap().body else {
        panic!("no error");
    };
    assert_eq!(code, 203);
    bench.hear(node(1), b"d1:rd2:id3:abce1:t2:aa1:y1:re");
    bench.hear(node(1), b"");
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.core.counts.malformed, 3);
}

#[test]
fn our_own_queries_keep_to_the_rate() {
    let mut bench = Bench::new(v4_only());
    bench.meet(60, None);
    bench.clock.advance(Duration::from_secs(60));
    let lookups: Vec<_> = (0..16).map(|_| bench.look_up()).collect();
    let mut sent = 0;
    // Nobody answers; ten times a second for ten seconds.
    for _ in 0..100 {
        bench.clock.advance(Duration::from_millis(100));
        let now = bench.now();
        bench.core.tick(now);
        sent += bench.asked().len();
    }
    assert!((100..=100 + 10 * 50).contains(&sent), "{sent}");
    bench.clock.advance(Duration::from_secs(20));
    bench.advance(0);
    for events in lookups {
        assert!(matches!(
            events.try_iter().last(),
            Some(LookupEvent::Done(_))
        ));
    }
}

#[test]
fn what_was_announced_to_us_is_found_at_once() {
    let mut bench = Bench::new(v4_only());
    let method = Method::GetPeers {
        info_hash: HASH,
        noseed: false,
        scrape: false,
    };
    bench.query(1, method);
    let answer = bench.sent().remove(0).bytes;
    let Body::Reply(reply) = Message::decode(&answer).unwrap().body else {
        panic!("no reply");
    };
    let announce = Announce {
        info_hash: HASH,
        port: 7,
        implied_port: false,
        token: reply.token.unwrap(),
        name: Some(b"a name"),
        seed: Some(true),
    };
    bench.query(1, Method::AnnouncePeer(announce));
    let events = bench.look_up();
    let peer = PeerAddress::from(node(1)).with_port(7);
    assert_eq!(events.try_recv(), Ok(LookupEvent::Peers(vec![peer])));
    bench.advance(1);
    let Ok(LookupEvent::Done(summary)) = events.try_recv() else {
        panic!("nobody else is known");
    };
    assert_eq!((summary.peers, summary.queried), (1, 0));
    let seen = bench.seen.0.lock();
    let crate::dht::node::hook::QueryKind::Announce(event) = &seen[1].kind else {
        panic!("no announce");
    };
    assert!(event.token_valid && event.port == 7);
    assert_eq!(event.name.as_deref(), Some(&b"a name"[..]));
}

#[test]
fn peers_at_local_addresses_are_not_believed() {
    let mut bench = Bench::new(v4_only());
    bench.meet(1, None);
    let events = bench.look_up();
    let (to, transaction) = bench.asked()[0];
    let peers = [
        "127.0.0.1:1",
        "10.0.0.1:1",
        "8.8.8.8:0",
        "8.8.8.8:9",
        "[2a00::1]:1",
    ];
    let values = peers.map(|text| text.parse::<SocketAddr>().unwrap().into());
    let reply = Reply {
        values: Some(values.to_vec()),
        ..Reply::from(id(1))
    };
    bench.reply(to, transaction, reply, None);
    assert_eq!(events.try_recv(), Ok(LookupEvent::Peers(vec![values[3]])));
}

#[test]
fn an_address_that_many_see_gives_a_new_id() {
    let ours: IpAddr = "8.8.4.4".parse().unwrap();
    let mut bench = Bench::new(v4_only());
    let before = bench.core.routing.own();
    bench.meet(5, Some(ours));
    assert_eq!(bench.core.routing.own(), before);
    bench.meet(8, Some(ours));
    assert!(bench.core.routing.own().is_bound_to(ours));
    assert!(bench.known() >= 5, "the nodes are still known");
}

#[test]
fn a_read_only_node_says_so_and_is_silent() {
    let mut bench = Bench::new(DhtSettings {
        read_only: ReadOnly::Always,
        ..v4_only()
    });
    bench.query(1, Method::Ping);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.seen.0.lock().len(), 1);
    bench.core.add_node(node(2).into());
    bench.advance(1);
    let sent = bench.sent();
    assert!(Message::decode(&sent[0].bytes).unwrap().read_only);
}

#[test]
fn read_only_askers_are_answered_and_not_pinged() {
    let mut bench = Bench::new(v4_only());
    bench.hear(
        node(1),
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe",
    );
    assert_eq!(bench.sent().len(), 1);
    bench.advance(1);
    assert_eq!(bench.asked(), []);
}

#[test]
fn a_dead_network_does_not_empty_the_table() {
    let mut bench = Bench::new(v4_only());
    bench.meet(20, None);
    let known = bench.known();
    assert!(known >= 8);
    // Nothing comes for a day.
    for _ in 0..24 * 60 {
        bench.advance(60);
        bench.sent();
    }
    assert_eq!(bench.known(), known);
}

#[test]
fn a_packet_that_is_not_sent_is_not_waited_for() {
    let mut bench = Bench::new(v4_only());
    bench.meet(3, None);
    let events = bench.look_up();
    for (_, transaction) in bench.asked() {
        bench.core.not_sent(Some(transaction));
    }
    bench.advance(1);
    assert!(matches!(
        events.try_recv(),
        Ok(LookupEvent::Done(summary)) if summary.queried == 3 && summary.responded == 0
    ));
}

/// Packets that are damaged below.
const PACKETS: [&[u8]; 5] = [
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti1e5:token1:xe1:q13:announce_peer1:t1:a1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t1:a1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t1:a1:y1:qe",
        b"d2:ip6:abcdef1:rd2:id20:abcdefghij01234567895:nodes26:abcdefghij0123456789axje.u5:token8:aoeusnth6:valuesl6:axje.uee1:t2:aa1:y1:re",
        b"d1:ei1e1:t2:aa1:y1:ee",
    ];

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(packets in prop::collection::vec((0_u8..4, prop::sample::select(&PACKETS[..]), any::<prop::sample::Index>(), any::<u8>(), 0_u64..1000), 1..60)) {
        let mut bench = Bench::new(v4_only());
        bench.meet(4, None);
        let _events = bench.look_up();
        for (number, packet, at, byte, seconds) in packets {
            let mut packet = packet.to_vec();
            let at = at.index(packet.len());
            packet[at] = byte;
            bench.hear(node(number), &packet);
            bench.advance(seconds);
            bench.sent();
        }
        prop_assert!(bench.core.outbox.is_empty());
    }
}
