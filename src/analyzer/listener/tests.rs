//! The listener on real loopback sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream as Client};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use super::*;
use crate::analyzer::directory::Directory;
use crate::analyzer::engine::Contacted;
use crate::analyzer::scheduler::Scheduler;
use crate::analyzer::stats::Stats;
use crate::analyzer::stays::Stays;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Sources, Switches};
use crate::model::record::{Failure, Record, Visit};
use crate::model::{Encryption, Event, InfoHash, PeerId, PieceCount, PseudonymKey, Source};
use crate::net::tcp::{SocketRegister, TcpConnector};
use crate::protocol::handshake::{Handshake, Reserved};
use crate::protocol::message::encode_bitfield;
use crate::stop::{StopTrigger, stop_pair};

/// Nothing in these tests waits this long unless something is broken.
const LONG: Duration = Duration::from_secs(60);

struct World {
    engine: Arc<Engine>,
    records: Receiver<Record>,
    address: SocketAddr,
    trigger: StopTrigger,
    thread: Option<JoinHandle<()>>,
}

fn torrent() -> Torrent {
    Torrent::sample(8)
}

fn world(callers_max: usize, per_address_max: usize) -> World {
    let switches = Switches {
        passive: true,
        ..Switches::default()
    };
    let mut settings = Config::resolve(&Sources::default())
        .unwrap()
        .settings(&switches);
    settings.visit.quiet_timeout = LONG;
    settings.listen.callers_max = callers_max;
    settings.listen.per_address_max = per_address_max;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sockets = Arc::new(SocketRegister::default());
    let loopback = "127.0.0.1:0".parse().unwrap();
    let socket = ListenSocket::bind(loopback, &sockets, Arc::clone(&clock)).unwrap();
    let address = socket.local_addr();
    let (trigger, stop) = stop_pair();
    let (sender, records) = unbounded();
    let engine = Arc::new(Engine {
        stays: Stays::new(settings.stay.as_ref(), settings.workers),
        scheduler: Arc::new(Scheduler::new(Arc::clone(&clock), settings.reaction)),
        utp: None,
        connect: Arc::new(TcpConnector::new(Arc::clone(&sockets), Arc::clone(&clock))),
        stats: Arc::new(Stats::new(clock.now())),
        settings,
        own_id: PeerId::new([b'O'; 20]),
        directory: Directory::new(vec![torrent()]),
        contacted: Contacted::default(),
        nodes: OnceLock::new(),
        found_trackers: OnceLock::new(),
        records: sender,
        stop,
        pseudonyms: PseudonymKey::new([1; 20]),
        sockets,
        clock,
    });
    let listener = Listener::new(Arc::clone(&engine), vec![socket]);
    let thread = Some(std::thread::spawn(move || listener.run(0)));
    World {
        engine,
        records,
        address,
        trigger,
        thread,
    }
}

impl World {
    fn call(&self) -> Client {
        let client = Client::connect(self.address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    /// Calls, shakes hands, and gives the open connection.
    fn greet(&self, info_hash: u8) -> Client {
        let mut client = self.call();
        client.write_all(&handshake(info_hash)).unwrap();
        client
    }

    fn failure(&self) -> Failure {
        match self.records.recv_timeout(LONG).unwrap() {
            Record::Failure(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn visit(&self) -> Visit {
        match self.records.recv_timeout(LONG).unwrap() {
            Record::Visit(visit) => *visit,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.trigger.stop();
        self.engine.sockets.shut_all();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn handshake(info_hash: u8) -> [u8; 68] {
    let info_hash = InfoHash::new([info_hash; 20]);
    let peer_id = PeerId::new(*b"-LT20B0-abcdefghijkl");
    Handshake {
        reserved: Reserved::default(),
        info_hash,
        peer_id,
    }
    .encode()
}

fn answered(client: &mut Client) -> bool {
    client.read_exact(&mut [0; 68]).is_ok()
}

#[test]
fn a_caller_is_evaluated() {
    let world = world(10, 10);
    let mut client = world.greet(7);
    assert!(answered(&mut client));
    let mut bytes = Vec::new();
    encode_bitfield(&[0xff], &mut bytes);
    client.write_all(&bytes).unwrap();
    let visit = world.visit();
    assert_eq!(
        (visit.pieces, visit.source),
        (PieceCount(8), Source::Incoming)
    );
    assert_eq!(visit.client.as_deref(), Some("-LT20B0-"));
    assert_eq!(
        client.read(&mut [0; 1]).unwrap(),
        0,
        "a complete peer is let go"
    );
}

/// Calls by our own code for encrypted streams, over a real socket.
#[test]
fn an_encrypted_caller_is_evaluated() {
    let world = world(10, 10);
    let (engine, key) = (&world.engine, torrent().info_hash);
    let mut inner = engine.connect.connect(world.address, LONG).unwrap();
    let chance = encrypted::system_chance().unwrap();
    let mut caller = encrypted::Outgoing::new(&mut *inner, &*engine.clock, LONG, key, chance);
    caller.write_all(&handshake(7), LONG).unwrap();
    let mut answer: Vec<u8> = Vec::new();
    while answer.len() < 68 {
        let mut buffer = [0; 100];
        let read = caller.read(&mut buffer, LONG).unwrap();
        answer.extend(&buffer[..read]);
    }
    let mut bytes = Vec::new();
    encode_bitfield(&[0xff], &mut bytes);
    caller.write_all(&bytes, LONG).unwrap();
    let visit = world.visit();
    assert_eq!(
        (visit.pieces, visit.encryption),
        (PieceCount(8), Encryption::MsePlain)
    );
    assert_eq!(visit.client.as_deref(), Some("-LT20B0-"));
}

#[test]
fn an_unknown_torrent_is_turned_away_right_after_the_handshake() {
    let world = world(10, 10);
    let mut client = world.greet(9);
    assert!(!answered(&mut client));
    let failure = world.failure();
    assert_eq!(
        (failure.event, failure.reason),
        (Event::IncomingPeer, Reason::UnknownInfoHash)
    );
}

#[test]
fn garbage_is_turned_away() {
    let world = world(10, 10);
    let mut client = world.call();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // Until then it could be the beginning of a key.
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(world.failure().reason, Reason::UnknownProtocol);
    assert!(!answered(&mut client));
}

#[test]
fn an_address_that_we_evaluated_is_turned_away() {
    let world = world(10, 10);
    let address = PeerAddress::new(IpAddr::from([127, 0, 0, 1]), 6881);
    world
        .engine
        .contacted
        .insert(&PeerKey::new(address, torrent().id));
    let mut client = world.greet(7);
    assert!(!answered(&mut client));
    assert_eq!(world.failure().reason, Reason::AlreadyInOutgoing);
}

#[test]
fn callers_beyond_the_limits_are_refused_and_counted() {
    let world = world(3, 2);
    let mut seated: Vec<Client> = (0..2).map(|_| world.greet(7)).collect();
    assert!(seated.iter_mut().all(answered));
    let mut refused = world.greet(7);
    assert_eq!(world.failure().reason, Reason::TooManyFromAddress);
    assert!(!answered(&mut refused));
    drop(seated);
    // Their seats are free again once their visits have failed.
    assert_eq!(
        [world.failure().reason, world.failure().reason],
        [Reason::Closed; 2]
    );
    let mut next = world.greet(7);
    while !answered(&mut next) {
        assert_eq!(world.failure().reason, Reason::TooManyFromAddress);
        next = world.greet(7);
    }
}

#[test]
fn the_limit_in_all_holds_for_many_addresses() {
    let world = world(1, 1);
    let mut first = world.greet(7);
    assert!(answered(&mut first));
    let from = "127.0.0.2:0".parse::<SocketAddr>().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&world.address.into()).unwrap();
    assert_eq!(world.failure().reason, Reason::TooManyCallers);
}

#[test]
fn the_end_of_the_run_ends_open_callers_at_once() {
    let world = world(10, 10);
    let mut silent: Vec<Client> = (0..5).map(|_| world.greet(7)).collect();
    assert!(silent.iter_mut().all(answered));
    let records = world.records.clone();
    drop(world);
    for client in &mut silent {
        assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    assert!(
        records.is_empty(),
        "cut off before they told anything, they say nothing"
    );
}

#[test]
fn threads_are_used_again() {
    let world = world(10, 10);
    for _ in 0..50 {
        let mut client = world.greet(9);
        assert!(!answered(&mut client));
        assert_eq!(world.failure().reason, Reason::UnknownInfoHash);
    }
}

#[test]
fn seats_are_limited_in_all_and_per_address_and_come_back() {
    let seats = Arc::new(Seats {
        total: 3,
        per_address: 2,
        taken: Mutex::default(),
        empty: Condvar::new(),
    });
    let ip = |n| IpAddr::from([127, 0, 0, n]);
    let first = Seats::take(&seats, ip(1)).ok();
    let second = Seats::take(&seats, ip(1)).ok();
    assert_eq!(
        Seats::take(&seats, ip(1)).err(),
        Some(Reason::TooManyFromAddress)
    );
    let third = Seats::take(&seats, ip(2)).ok();
    let soon = Deadline::after(SystemClock::new().now(), Duration::from_millis(1));
    assert_eq!(seats.wait_until_empty(soon), 3);
    assert_eq!(
        Seats::take(&seats, ip(3)).err(),
        Some(Reason::TooManyCallers)
    );
    drop((first, second));
    assert!(Seats::take(&seats, ip(1)).is_ok());
    let waiter = Arc::clone(&seats);
    let late = Deadline::after(SystemClock::new().now(), LONG);
    let waiter = std::thread::spawn(move || waiter.wait_until_empty(late));
    drop(third);
    assert_eq!(waiter.join().unwrap(), 0);
    assert_eq!(seats.taken.lock().total, 0);
    assert!(seats.taken.lock().by_address.is_empty());
}
