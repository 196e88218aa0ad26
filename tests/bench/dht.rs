//! Our DHT node: queries answered a second and what one costs its thread,
//! against a bare loop that receives a packet and sends another of the length
//! of an answer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::id::NodeId;
use btda::dht::node::krpc::{Body, Message, Method, Query, TransactionId, Want};
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings};
use btda::model::InfoHash;
use btda::stop::{StopTrigger, stop_pair};

use super::table::{Row, Spread, short};
use super::world::wait_until;
use super::{Scale, cpu};

const LONG: Duration = Duration::from_secs(30);

/// Nodes that ours knows: as many as an answer names.
const NEIGHBOURS: usize = 10;

/// Unlike those of other threads, so that its CPU time can be told apart.
const BARE: &str = "bare";

/// Queries under way at one time.
const LOADS: [(&str, usize); 3] = [("1×", 4), ("4×", 16), ("16×", 64)];

pub(crate) fn measure(scale: Scale) {
    let node = Node::start(scale);
    let queries = queries();
    let answers = node.answers(&queries);
    let length = answers.iter().sum::<usize>() / answers.len();
    let bare = Bare::start(length);
    // It has its name once it answers.
    let socket = asker(bare.address);
    socket.send(b"hello").expect("loopback takes packets");
    socket.recv(&mut [0; 2048]).expect("it answers");
    for (load, at_once) in LOADS {
        let count = scale.pick(100_000, 500);
        let rounds = scale.pick(7, 1);
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let theirs = ask(bare.address, BARE, &queries, at_once, count);
            let ours = ask(node.address, "dht4", &queries, at_once, count);
            rates.push((ours.rate, theirs.rate));
            costs.push((ours.cpu, theirs.cpu));
        }
        let load = format!("{load}: {at_once} at once");
        let of = |pairs: &[(f64, f64)]| {
            let ours = Spread::of(pairs.iter().map(|pair| pair.0));
            let bare = Spread::of(pairs.iter().map(|pair| pair.1));
            let ratio = Spread::of(pairs.iter().map(|pair| pair.0 / pair.1));
            (ours, bare, ratio)
        };
        let (ours, bare, ratio) = of(&rates);
        Row::new("DHT queries answered/s", load.as_str())
            .figure(ours.with_unit(1.0, "/s"))
            .yardstick(format!("bare {}/s", short(bare.median)))
            .ratio(&ratio)
            .goal("≥ 0.5", ratio.median >= 0.5)
            .tell();
        let (ours, bare, ratio) = of(&costs);
        Row::new("CPU of a DHT query", load.as_str())
            .figure(ours.seconds())
            .yardstick(format!("bare, {length} bytes: {}", bare.seconds()))
            .ratio(&ratio)
            .goal("≤ 2", ratio.median <= 2.0)
            .tell();
    }
}

/// What others ask most: for peers, for nodes, and whether we are there. The
/// asker answers no queries, so that nobody pings it.
fn queries() -> Vec<Vec<u8>> {
    let query = |number: u8| {
        let place = [number.wrapping_mul(83); 20];
        let method = match number % 8 {
            0..=4 => Method::GetPeers {
                info_hash: InfoHash::new(place),
                noseed: false,
                scrape: false,
            },
            5 | 6 => Method::FindNode {
                target: NodeId::new(place),
            },
            _ => Method::Ping,
        };
        let sender = NodeId::new([9; 20]);
        let message = Message {
            transaction: TransactionId::new(&[number, 1]).expect("two bytes"),
            version: Some(b"LT\x02\0"),
            read_only: true,
            ip: None,
            body: Body::Query(Query {
                sender,
                want: Want::default(),
                method,
            }),
        };
        message.encode()
    };
    (0..64).map(query).collect()
}

/// Our node with its neighbours, all on loopback.
struct Node {
    address: SocketAddr,
    _all: Vec<DhtHandle>,
    _trigger: StopTrigger,
}

impl Node {
    fn start(scale: Scale) -> Self {
        let (trigger, stop) = stop_pair();
        let clock = Arc::new(SystemClock::new());
        let settings = |bootstrap: Vec<String>| DhtSettings {
            bootstrap,
            answers_per_second: 10_000_000,
            answers_burst: 10_000_000,
            per_address_per_second: 10_000_000,
            per_address_burst: 10_000_000,
            ..DhtSettings::loopback(Ipv4Addr::LOCALHOST)
        };
        let start = |bootstrap| {
            DhtNode::start(settings(bootstrap), clock.clone(), &stop, None).expect("a node")
        };
        // Ours first: of several threads of one name the oldest is found.
        let first = start(Vec::new());
        let port = first.port(Family::V4).expect("IPv4");
        let names = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()];
        let mut all = vec![first];
        let neighbours = scale.pick(NEIGHBOURS, 2);
        all.extend((1..neighbours).map(|_| start(names.clone())));
        let known = |node: &DhtHandle| node.status().nodes_good() >= neighbours - 1;
        assert!(wait_until(LONG, || all.iter().all(known)), "they meet");
        let [node, ..] = &all[..] else {
            unreachable!("one at least");
        };
        let port = node.port(Family::V4).expect("IPv4");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            address,
            _all: all,
            _trigger: trigger,
        }
    }

    /// Lengths of the answers.
    fn answers(&self, queries: &[Vec<u8>]) -> Vec<usize> {
        let socket = asker(self.address);
        let mut buffer = [0; 2048];
        let lengths = queries.iter().map(|query| {
            socket.send(query).expect("loopback takes packets");
            socket.recv(&mut buffer).expect("the node answers")
        });
        lengths.collect()
    }
}

/// The yardstick.
struct Bare {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Bare {
    fn start(length: usize) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = socket.local_addr().expect("bound");
        let wait = Some(Duration::from_millis(100));
        socket.set_read_timeout(wait).expect("not zero");
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::Builder::new().name(BARE.to_owned());
        let thread = thread.spawn(move || {
            let (mut buffer, answer) = ([0; 4096], vec![0; length]);
            while !told.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut buffer) {
                    socket
                        .send_to(&answer, from)
                        .expect("loopback takes packets");
                }
            }
        });
        Self {
            address,
            over,
            thread: Some(thread.expect("a thread")),
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a number of queries took.
struct Cost {
    /// Answered in a second.
    rate: f64,
    /// CPU seconds of the answering thread for each.
    cpu: f64,
}

/// Keeps `at_once` queries under way until `count` are answered by the thread
/// called `thread`.
fn ask(to: SocketAddr, thread: &str, queries: &[Vec<u8>], at_once: usize, count: usize) -> Cost {
    let socket = asker(to);
    let mut buffer = [0; 2048];
    let mut next = queries.iter().cycle();
    let mut send = || {
        let query = next.next().expect("endless");
        socket.send(query).expect("loopback takes packets");
    };
    (0..at_once).for_each(|_| send());
    let (start, used) = (Instant::now(), cpu::of_thread(thread));
    for _ in 0..count {
        socket.recv(&mut buffer).expect("every query is answered");
        send();
    }
    let (took, used) = (start.elapsed(), cpu::of_thread(thread).saturating_sub(used));
    for _ in 0..at_once {
        socket.recv(&mut buffer).expect("every query is answered");
    }
    let count = count as f64;
    Cost {
        rate: count / took.as_secs_f64(),
        cpu: used.as_secs_f64() / count,
    }
}

fn asker(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    socket.set_read_timeout(Some(LONG)).expect("not zero");
    socket.connect(to).expect("loopback");
    socket
}
