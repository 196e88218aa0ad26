//! Look-ups against name servers that answer well, slowly, wrongly and not at
//! all, on loopback.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::net::udp::SystemUdp;

/// What a server does with the query that it got; the datagrams it sends.
type Script = fn(&[u8]) -> Vec<Vec<u8>>;

/// A server that plays `script` for each query until the test ends, and
/// counts the queries.
fn server(script: Script) -> (u16, Arc<AtomicU64>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            counter.fetch_add(1, Ordering::SeqCst);
            for datagram in script(&query[..length]) {
                let _ = socket.send_to(&datagram, from);
            }
        }
    });
    (port, asked)
}

/// `query` as an answer with the name `host.example.net`.
fn good(query: &[u8]) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2..4].copy_from_slice(&[0x81, 0x80]);
    bytes[7] = 1;
    bytes.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, 18]);
    bytes.extend(b"\x04host\x07example\x03net\0");
    bytes
}

/// An alias of the question to itself.
fn endless(query: &[u8]) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2..4].copy_from_slice(&[0x81, 0x80]);
    bytes[7] = 1;
    bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
    bytes
}

fn wrong_id(query: &[u8]) -> Vec<u8> {
    let mut bytes = good(query);
    bytes[0] ^= 0xff;
    bytes
}

fn wrong_question(query: &[u8]) -> Vec<u8> {
    let mut bytes = good(query);
    bytes[13] ^= 1;
    bytes
}

fn oversize(query: &[u8]) -> Vec<u8> {
    let mut bytes = good(query);
    // 16,000 bytes before the name.
    bytes[7] = 2;
    let record = bytes.split_off(query.len());
    bytes.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0x3e, 0x80]);
    bytes.extend(vec![0; 0x3e80]);
    bytes.extend(record);
    bytes
}

fn looked_up(ports: &[u16], timeout: Duration) -> Answer {
    let servers: Vec<_> = ports
        .iter()
        .map(|port| ("127.0.0.1".to_owned(), *port))
        .collect();
    let lookup = Lookup {
        clock: &SystemClock::new(),
        udp: &SystemUdp::default(),
        servers: &servers,
        timeout,
    };
    lookup.name_of("192.0.2.7".parse().unwrap())
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

fn the_name() -> Answer {
    Answer::Name(vec![b"host".to_vec(), b"example".to_vec(), b"net".to_vec()])
}

#[test]
fn what_is_no_answer_is_skipped() {
    let (port, _) = server(|query| {
        vec![
            Vec::new(),
            query.to_vec(),
            wrong_id(query),
            wrong_question(query),
            good(query),
            endless(query),
        ]
    });
    assert_eq!(looked_up(&[port], LONG), the_name());
}

#[test]
fn a_server_that_lies_or_fails_is_asked_twice_at_most() {
    let scripts: [(Script, Answer); 5] = [
        (|_| Vec::new(), Answer::TimedOut),
        (|query| vec![wrong_id(query)], Answer::TimedOut),
        (|query| vec![wrong_question(query)], Answer::TimedOut),
        (|query| vec![endless(query)], Answer::Failed),
        (|query| vec![oversize(query)], Answer::Failed),
    ];
    for (script, wanted) in scripts {
        let (port, asked) = server(script);
        let timeout = if wanted == Answer::TimedOut {
            SHORT
        } else {
            LONG
        };
        assert_eq!(looked_up(&[port], timeout), wanted);
        assert!(asked.load(Ordering::SeqCst) <= 2);
    }
}

#[test]
fn the_next_server_helps_out() {
    let (silent, _) = server(|_| Vec::new());
    let (failing, _) = server(|query| vec![endless(query)]);
    let (port, _) = server(|query| vec![good(query)]);
    assert_eq!(looked_up(&[failing, port], LONG), the_name());
    // However slow the machine: at least one of both answers in time.
    assert!(matches!(
        looked_up(&[silent, port], LONG / 20),
        Answer::Name(_) | Answer::TimedOut
    ));
}

/// Threads, queue, cache and records together.
#[test]
fn peers_get_their_names() {
    let (port, asked) = server(|query| vec![good(query)]);
    let (records, told) = bounded(16);
    let (trigger, stop) = crate::stop::stop_pair();
    let settings = HostSettings {
        servers: vec![("127.0.0.1".to_owned(), port)],
        queries_per_second: 1_000,
        timeout: LONG,
    };
    let around = Surroundings {
        clock: Arc::new(SystemClock::new()),
        udp: Arc::new(SystemUdp::default()),
        records,
        stop,
    };
    let (hosts, offers) = Hosts::new(settings, around);
    hosts.start().unwrap();
    for peer in 1..=3 {
        offers.ask(peer, "192.0.2.7".parse().unwrap());
        let Ok(Record::Host(name)) = told.recv_timeout(LONG) else {
            panic!("no record of a name");
        };
        assert_eq!((name.peer, name.outcome), (peer, "name"));
        assert_eq!(name.host.as_deref(), Some("example.net"));
        assert_eq!(name.domain.as_deref(), Some("example.net"));
    }
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "the others were remembered"
    );
    assert_eq!(hosts.dropped(), 0);
    trigger.stop();
}

#[test]
fn a_full_queue_is_counted_and_nobody_waits() {
    let (records, _told) = bounded(1);
    let (_trigger, stop) = crate::stop::stop_pair();
    let settings = HostSettings {
        servers: Vec::new(),
        queries_per_second: 1,
        timeout: SHORT,
    };
    let around = Surroundings {
        clock: Arc::new(SystemClock::new()),
        udp: Arc::new(SystemUdp::default()),
        records,
        stop,
    };
    let (hosts, offers) = Hosts::new(settings, around);
    for peer in 0..=i64::try_from(QUEUE).unwrap() {
        offers.ask(peer, "192.0.2.7".parse().unwrap());
    }
    assert_eq!(hosts.dropped(), 1);
}

#[test]
fn the_cache_is_bounded_and_keeps_what_is_used() {
    let mut cache = Cache::default();
    let address = |number: u32| IpAddr::from(number.to_be_bytes());
    let stored = Stored::nothing("no name");
    let all = u32::try_from(3 * GENERATION).unwrap();
    for number in 0..all {
        cache.insert(address(number), stored.clone());
        assert!(cache.find(address(0)).is_some());
    }
    assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
    assert!(cache.find(address(1)).is_none());
    assert!(cache.find(address(all - 1)).is_some());
}
