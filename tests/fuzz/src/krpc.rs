//! KRPC packets: read, written and read again; and a whole node (without
//! socket and clock) among hostile ones, whose memory, packets and time stay
//! within bounds.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use btda::dht::node::address::{Family, NodeInfo};
use btda::dht::node::id::NodeId;
use btda::dht::node::krpc::{
    Announce, Body, Message, Method, NODES_MAX, PACKET_MAX, Query, Reply, TRANSACTION_MAX,
    TransactionId, VALUES_MAX, Want,
};
use btda::dht::node::machine::Machine;
use btda::dht::node::peers_store::StoreLimits;
use btda::dht::node::{DhtSettings, LookupEvent};
use btda::model::{InfoHash, PeerAddress};

use super::input::Input;

/// The first byte chooses: one packet, or the script of a node's life.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    if flags & 1 == 0 {
        read_and_written(input.rest());
    } else {
        Life::new(flags).run(&mut input);
    }
}

/// What is read can be written, and then means the same.
fn read_and_written(packet: &[u8]) {
    let read = Message::decode(packet);
    assert_eq!(read, Message::decode(packet), "not the same twice");
    let message = match read {
        Ok(message) => message,
        Err(undecodable) => {
            let echoed = undecodable.query.map(|id| id.as_bytes().len());
            assert!(echoed.is_none_or(|length| (1..=TRANSACTION_MAX).contains(&length)));
            return;
        }
    };
    assert!(packet.len() <= PACKET_MAX);
    if let Body::Reply(reply) = &message.body {
        let nodes = [&reply.nodes, &reply.nodes6].map(|nodes| nodes.as_ref().map_or(0, Vec::len));
        assert!(nodes.iter().all(|nodes| *nodes <= NODES_MAX));
        assert!(reply.values.as_ref().map_or(0, Vec::len) <= VALUES_MAX);
    }
    let written = message.encode();
    assert!(!written.is_empty(), "cannot be written");
    // Keys that were missing are written with their defaults, among them an
    // empty filter of a scrape.
    assert!(written.len() <= packet.len() + 330, "grew by too much");
    if written.len() <= PACKET_MAX {
        let again = Message::decode(&written);
        assert_eq!(again.as_ref(), Ok(&message), "means something else");
        assert_eq!(again.map(|message| message.encode()), Ok(written));
    }
}

const RATE: u32 = 20;
const BURST: u32 = 40;
const LOOKUPS: usize = 3;
const STORE: StoreLimits = StoreLimits {
    torrents: 4,
    peers: 5,
    per_address: 2,
};
const LIMIT: Duration = Duration::from_secs(20);
const STEPS: usize = 300;

/// A question of the node under test that nobody has answered.
struct Question {
    to: SocketAddr,
    transaction: TransactionId,
}

struct Life {
    node: Machine,
    family: Family,
    start: Instant,
    now: Instant,
    asked: u32,
    open: VecDeque<Question>,
    token: Vec<u8>,
    lookups: Vec<Events>,
}

/// Gives the events of a look-up that have come so far.
type Events = Box<dyn Fn() -> Vec<LookupEvent>>;

impl Life {
    fn new(flags: u8) -> Self {
        let family = if flags & 2 == 0 {
            Family::V4
        } else {
            Family::V6
        };
        let loopback = flags & 4 == 0;
        let settings = DhtSettings {
            packets_per_second: RATE,
            packets_burst: BURST,
            lookups_max: LOOKUPS,
            store: STORE,
            allow_private: loopback,
            restrict_addresses: !loopback,
            ..DhtSettings::default()
        };
        let start = Instant::now();
        Self {
            node: Machine::new(settings, family, [7; 32], start),
            family,
            start,
            now: start,
            asked: 0,
            open: VecDeque::new(),
            token: Vec::new(),
            lookups: Vec::new(),
        }
    }

    fn run(mut self, input: &mut Input<'_>) {
        for _ in 0..STEPS {
            if input.is_empty() {
                break;
            }
            self.step(input);
        }
        self.end();
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 => {
                let from = self.address(input.byte());
                let length = usize::from(input.byte()) * 4;
                let packet = input.take(length).to_vec();
                self.hear(from, &packet);
            }
            1 => self.wait(Duration::from_millis(input.short().into())),
            2 => self.look_up(input.byte()),
            3 => self.answer(input),
            4 => self.answer_oddly(input),
            5 => {
                let address = self.address(input.byte());
                self.node.add_node(address);
            }
            _ => self.ask(input),
        }
    }

    fn address(&self, number: u8) -> SocketAddr {
        let ip: IpAddr = match self.family {
            Family::V4 => [20, number, 0, 1].into(),
            Family::V6 => [0x2a00, number.into(), 0, 0, 0, 0, 0, 1].into(),
        };
        let port = if number == 0 { 0 } else { 6881 };
        SocketAddr::new(ip, port)
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.node.tick(self.now);
        self.send();
    }

    /// The node gets a packet, and says one thing to its sender at most.
    fn hear(&mut self, from: SocketAddr, packet: &[u8]) {
        let asked = Message::decode(packet);
        self.node.receive(packet, from, self.now);
        let said = self.send();
        assert!(said.len() <= 1, "{} answers", said.len());
        let Some((to, transaction)) = said.first() else {
            return;
        };
        assert_eq!(PeerAddress::from(*to), PeerAddress::from(from));
        let wanted = match asked {
            Ok(message) => {
                assert!(matches!(message.body, Body::Query(_)), "answers an answer");
                Some(message.transaction)
            }
            Err(undecodable) => undecodable.query,
        };
        assert_eq!(Some(*transaction), wanted, "another transaction");
    }

    /// Takes what the node sends; gives the answers.
    fn send(&mut self) -> Vec<(SocketAddr, TransactionId)> {
        let mut said = Vec::new();
        while let Some((to, packet)) = self.node.next_packet() {
            assert!(packet.len() <= 1_400, "{} bytes", packet.len());
            let message = Message::decode(&packet).expect("the node says what it cannot read");
            match &message.body {
                Body::Query(_) => {
                    self.asked += 1;
                    self.open.push_back(Question {
                        to,
                        transaction: message.transaction,
                    });
                }
                Body::Reply(reply) => {
                    if let Some(token) = reply.token {
                        self.token = token.to_vec();
                    }
                    said.push((to, message.transaction));
                }
                Body::Error(_) => said.push((to, message.transaction)),
            }
        }
        self.keeps_its_bounds();
        said
    }

    fn keeps_its_bounds(&self) {
        let time = self.now.saturating_duration_since(self.start);
        let allowed = f64::from(BURST) + f64::from(RATE) * time.as_secs_f64() + 1.0;
        assert!(
            f64::from(self.asked) <= allowed,
            "{} questions in {time:?}",
            self.asked
        );
        let held = self.node.held(self.now);
        assert!(held.nodes <= 160 * 8, "{held:?}");
        assert!(held.peers <= STORE.torrents * STORE.peers, "{held:?}");
        assert!(held.questions <= 1024, "{held:?}");
        assert!(held.lookups <= LOOKUPS + 2, "{held:?}");
        assert_eq!(held.packets, 0);
    }

    fn look_up(&mut self, number: u8) {
        let hash = InfoHash::new([number; 20]);
        let port = number.is_multiple_of(2).then_some(6_881);
        if let Some(events) = self.node.look_up(hash, port, LIMIT, self.now) {
            self.lookups
                .push(Box::new(move || events.try_iter().collect()));
        }
        self.send();
    }

    /// An honest answer to the question that waits longest.
    fn answer(&mut self, input: &mut Input<'_>) {
        let Some(question) = self.open.pop_front() else {
            return;
        };
        let nodes = (0..input.byte() % 24).map(|_| NodeInfo {
            id: NodeId::new([input.byte(); 20]),
            address: PeerAddress::from(self.address(input.byte())),
        });
        let nodes: Vec<NodeInfo> = nodes.collect();
        let values = (0..input.byte() % 8).map(|_| PeerAddress::from(self.address(input.byte())));
        let values: Vec<PeerAddress> = values.collect();
        let mut reply = Reply::from(NodeId::new([input.byte(); 20]));
        reply.token = Some(input.take(8));
        reply.values = Some(values);
        match self.family {
            Family::V4 => reply.nodes = Some(nodes),
            Family::V6 => reply.nodes6 = Some(nodes),
        }
        let packet = Message {
            transaction: question.transaction,
            version: None,
            read_only: false,
            ip: Some(PeerAddress::from(self.address(input.byte()))),
            body: Body::Reply(reply),
        };
        self.hear(question.to, &packet.encode());
    }

    /// The right transaction at the right place, and anything else in it.
    fn answer_oddly(&mut self, input: &mut Input<'_>) {
        let Some(question) = self.open.pop_front() else {
            return;
        };
        let length = usize::from(input.byte()) * 4;
        let mut packet = b"d1:r".to_vec();
        packet.extend_from_slice(input.take(length));
        let id = question.transaction.as_bytes();
        packet.extend_from_slice(format!("1:t{}:", id.len()).as_bytes());
        packet.extend_from_slice(id);
        packet.extend_from_slice(b"1:y1:re");
        self.hear(question.to, &packet);
    }

    /// An honest question.
    fn ask(&mut self, input: &mut Input<'_>) {
        let number = input.byte();
        let from = self.address(number);
        let what = input.byte();
        let place = input.byte();
        let info_hash = InfoHash::new([place; 20]);
        let token = self.token.clone();
        let method = match what % 5 {
            0 => Method::Ping,
            1 => Method::FindNode {
                target: NodeId::new([place; 20]),
            },
            2 => Method::GetPeers {
                info_hash,
                noseed: what & 64 != 0,
                scrape: what & 128 != 0,
            },
            3 => Method::AnnouncePeer(Announce {
                info_hash,
                port: input.short().max(1),
                implied_port: what & 64 != 0,
                token: &token,
                name: None,
                seed: Some(what & 128 != 0),
            }),
            _ => Method::SampleInfohashes {
                target: NodeId::new([place; 20]),
            },
        };
        let both = what & 32 != 0;
        let query = Query {
            sender: NodeId::new([number; 20]),
            want: Want { v4: both, v6: both },
            method,
        };
        let packet = Message {
            transaction: TransactionId::new(&[number, what]).expect("two bytes"),
            version: Some(b"fuzz"),
            read_only: what & 16 != 0,
            ip: None,
            body: Body::Query(query),
        };
        self.hear(from, &packet.encode());
    }

    /// Whatever was said: each look-up ends by its limit, and says so.
    fn end(mut self) {
        for _ in 0..LIMIT.as_secs() + 2 {
            self.wait(Duration::from_secs(1));
        }
        for events in &self.lookups {
            let events = events();
            let last = events.last();
            assert!(matches!(last, Some(LookupEvent::Done(_))), "{events:?}");
        }
    }
}
