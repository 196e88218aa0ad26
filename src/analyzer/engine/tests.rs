//! Contacts settled against a scripted network: what is recorded, what is
//! scheduled.

mod stays;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, unbounded};

use parking_lot::Mutex;

use super::*;
use crate::analyzer::encrypted::fake::Far;
use crate::analyzer::scheduler::queue::History;
use crate::clock::ManualClock;
use crate::config::settings::{EncryptionPolicy, Identity, PolicySettings};
use crate::intake::{Offer, PeerIntake};
use crate::model::{Encryption, InfoHash, PeerAddress, PieceCount, Timestamp, Torrent};
use crate::net::fake::{FakeStream, Step};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::handshake::{Handshake, Reserved};
use crate::protocol::message::{encode_bitfield, encode_port, encode_raw};
use crate::protocol::mse::Method;
use crate::stop::{StopTrigger, stop_pair};

/// Connects to peers whose script is the next of a list; refuses behind it.
struct FakeNetwork {
    clock: ManualClock,
    scripts: Mutex<Vec<Vec<Step>>>,
}

/// Closes plain connections, and talks over encrypted ones.
struct EncryptedOnly {
    connections: AtomicU64,
    plain: Vec<u64>,
    clock: ManualClock,
}

impl Connect for EncryptedOnly {
    fn connect(&self, _: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        if self.plain.contains(&number) {
            let close = vec![Step::Close(Duration::ZERO)];
            return Ok(Box::new(FakeStream::new(&self.clock, close)));
        }
        let mut says = peer(ID, Some(0xf0));
        let Some(Step::Send(_, says)) = says.drain(..1).next() else {
            panic!("it begins by sending");
        };
        Ok(Box::new(Far::called(Method::Rc4, 999, says)))
    }
}

impl Connect for FakeNetwork {
    fn connect(&self, _: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
        let mut scripts = self.scripts.lock();
        if scripts.is_empty() {
            return Err(NetError {
                operation: Operation::Connect,
                reason: Reason::REFUSED,
            });
        }
        Ok(Box::new(FakeStream::new(&self.clock, scripts.remove(0))))
    }
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) engine: Engine,
    pub(crate) records: Receiver<Record>,
    _trigger: StopTrigger,
}

/// A thread that may stay.
const fn idle<'a>() -> Post<'a, ()> {
    Post::new(None)
}

const ID: PeerId = PeerId::new(*b"-XX0001-abcdefghijkl");

fn torrent() -> Torrent {
    Torrent::sample(8)
}

pub(crate) fn world(scripts: Vec<Vec<Step>>) -> World {
    let clock = ManualClock::new(Timestamp(1_000_000));
    let (trigger, stop) = stop_pair();
    let (sender, records) = unbounded();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let mut settings = crate::config::Config::resolve(&crate::config::Sources::default())
        .unwrap()
        .settings(&crate::config::Switches {
            active: true,
            ..crate::config::Switches::default()
        });
    settings.visit = crate::analyzer::visit::tests::settings();
    settings.policy = PolicySettings {
        revisit_delay: Duration::from_secs(300),
        adaptive: None,
        first_delay: Duration::from_secs(600),
        tracked_delay: Duration::from_secs(120),
        ..settings.policy
    };
    let engine = Engine {
        clock: Arc::clone(&shared),
        scheduler: Arc::new(Scheduler::new(Arc::clone(&shared), settings.reaction)),
        stays: Stays::new(settings.stay.as_ref(), settings.workers),
        settings,
        own_id: PeerId::new([b'O'; 20]),
        directory: Directory::new(vec![torrent()]),
        contacted: Contacted::default(),
        nodes: OnceLock::new(),
        found_trackers: OnceLock::new(),
        records: sender,
        stats: Arc::new(Stats::new(shared.now())),
        stop,
        pseudonyms: PseudonymKey::new([1; 20]),
        connect: Arc::new(FakeNetwork {
            clock: clock.clone(),
            scripts: Mutex::new(scripts),
        }),
        utp: None,
        sockets: Arc::default(),
    };
    World {
        clock,
        engine,
        records,
        _trigger: trigger,
    }
}

fn peer(id: PeerId, bits: Option<u8>) -> Vec<Step> {
    let handshake = Handshake {
        reserved: Reserved::default(),
        info_hash: InfoHash::new([7; 20]),
        peer_id: id,
    };
    let mut bytes = handshake.encode().to_vec();
    if let Some(bits) = bits {
        encode_bitfield(&[bits], &mut bytes);
    }
    vec![
        Step::Send(Duration::ZERO, bytes),
        Step::Close(Duration::ZERO),
    ]
}

impl World {
    fn offer(&self) -> Offer {
        let address = PeerAddress::from_compact([127, 0, 0, 9, 0x1a, 0xe1]);
        self.engine
            .scheduler
            .offer(torrent().id, Source::Tracker, address)
    }

    /// Moves the time until the peer is due, contacts it, and gives the
    /// record with the seconds that were waited.
    fn next(&self) -> (u64, Record) {
        let start = self.clock.now();
        let mut waited = 0;
        let ticket = loop {
            if let Some(ticket) = self.engine.scheduler.take_now() {
                break ticket;
            }
            self.clock.advance(Duration::from_secs(1));
            waited = (self.clock.now() - start).as_secs();
            assert!(waited < 100_000, "nobody is due");
        };
        self.engine.in_hand(ticket).contact(&idle());
        (waited, self.records.try_recv().unwrap())
    }
}

#[test]
fn a_peer_is_visited_until_it_is_complete() {
    let world = world(vec![
        peer(ID, Some(0xf0)),
        peer(ID, Some(0xfe)),
        peer(ID, Some(0xff)),
    ]);
    assert_eq!(world.offer(), Offer::New);
    for (wanted_wait, wanted_pieces) in [(0, 4), (300, 7), (300, 8)] {
        let (waited, Record::Visit(visit)) = world.next() else {
            panic!("a visit")
        };
        assert_eq!(
            (waited, visit.pieces),
            (wanted_wait, PieceCount(wanted_pieces))
        );
        assert_eq!(
            (visit.source, visit.client.as_deref()),
            (Source::Tracker, Some("-XX0001-"))
        );
    }
    assert_eq!(
        world.engine.scheduler.waiting(),
        0,
        "never again after the threshold"
    );
    assert_eq!(world.offer(), Offer::Known);
}

#[test]
fn addresses_of_contacted_peers_are_kept_for_the_identity_of_2015() {
    for identity in [Identity::Extended, Identity::Thesis2015] {
        let mut world = world(vec![peer(ID, Some(0xff))]);
        world.engine.settings.identity = identity;
        world.offer();
        world.next();
        let elsewhere = PeerAddress::from_compact([127, 0, 0, 9, 0, 99]);
        let kept = world
            .engine
            .contacted
            .contains(&PeerKey::new(elsewhere, torrent().id));
        assert_eq!(kept, identity == Identity::Thesis2015);
    }
}

/// A call from 127.0.0.9 that tells `bits` and that it listens at 6881.
fn call(world: &World, bits: u8) {
    let reserved = Reserved::default().with_extension();
    let handshake = Handshake {
        reserved,
        info_hash: InfoHash::new([7; 20]),
        peer_id: ID,
    };
    let mut bytes = handshake.encode().to_vec();
    encode_raw(20, b"\0d1:pi6881ee", &mut bytes);
    encode_bitfield(&[bits], &mut bytes);
    let script = vec![
        Step::Send(Duration::ZERO, bytes),
        Step::Close(Duration::ZERO),
    ];
    let mut stream = FakeStream::new(&world.clock, script);
    let engine = &world.engine;
    let started = engine.clock.now();
    let (found, report) = engine
        .visitor()
        .incoming(&mut stream, &engine.directory, &|_| Ok(()));
    let from = PeerAddress::from_compact([127, 0, 0, 9, 0xc0, 0]);
    let key = PeerKey::new(from, found.unwrap().id);
    engine.caller_done(Some(key), from.socket_addr(), started, &report);
}

#[test]
fn a_caller_is_called_back_where_it_listens() {
    let failing = vec![vec![Step::Close(Duration::ZERO)], peer(ID, Some(0xff))];
    let world = world(failing);
    call(&world, 0xf0);
    let Record::Visit(heard) = world.records.try_recv().unwrap() else {
        panic!("a visit")
    };
    assert_eq!(heard.direction, Direction::Incoming);
    assert_eq!(world.engine.scheduler.never_contacted(), 0);
    assert_eq!(world.offer(), Offer::Known, "the same peer");
    let (waited, Record::Failure(failed)) = world.next() else {
        panic!("a failure")
    };
    assert_eq!(
        (waited, failed.event, failed.takes_back),
        (300, Event::LaterContact, None)
    );
    let (_, Record::Visit(back)) = world.next() else {
        panic!("a visit")
    };
    assert_eq!(
        (back.direction, back.source),
        (Direction::Outgoing, Source::Incoming)
    );
    assert_eq!((back.takes_back, back.peer.address.port()), (None, 6881));
    assert_eq!(world.engine.scheduler.waiting(), 0, "it is complete");
}

#[test]
fn a_caller_that_has_everything_is_visited_no_more() {
    let world = world(vec![peer(ID, Some(0xf0))]);
    world.offer();
    world.next();
    call(&world, 0xff);
    assert_eq!(world.engine.scheduler.waiting(), 1);
    world.clock.advance(Duration::from_secs(300));
    let ticket = world.engine.scheduler.take_now().unwrap();
    world.engine.in_hand(ticket).contact(&idle());
    assert!(
        matches!(world.records.try_recv(), Ok(Record::Visit(_))),
        "the call"
    );
    assert!(world.records.try_recv().is_err(), "no visit");
    assert_eq!(world.engine.scheduler.waiting(), 0);
}

#[test]
fn nobody_is_called_back_in_2015_or_without_contacts() {
    for (identity, active) in [(Identity::Thesis2015, true), (Identity::Extended, false)] {
        let mut world = world(Vec::new());
        world.engine.settings.identity = identity;
        world.engine.settings.active = active;
        call(&world, 0xf0);
        assert_eq!(world.engine.scheduler.waiting(), 0);
    }
}

/// Keeps what peers say of DHT nodes.
#[derive(Default)]
struct Nodes(Mutex<Vec<SocketAddr>>);

impl NodeIntake for Nodes {
    fn node(&self, address: SocketAddr) {
        self.0.lock().push(address);
    }
}

#[test]
fn dht_nodes_of_peers_are_handed_on() {
    let mut told = peer(ID, Some(0xf0));
    let mut port = Vec::new();
    encode_port(6_881, &mut port);
    told.insert(1, Step::Send(Duration::ZERO, port));
    let nodes = Arc::new(Nodes::default());
    for taken in [false, true] {
        let world = world(vec![told.clone()]);
        if taken {
            let nodes = Arc::clone(&nodes) as Arc<dyn NodeIntake>;
            assert!(world.engine.nodes.set(nodes).is_ok());
        }
        world.offer();
        world.next();
    }
    let node = SocketAddr::from(([127, 0, 0, 9], 6_881));
    assert_eq!(
        *nodes.0.lock(),
        [node],
        "the peer's address, the port it told"
    );
}

#[test]
fn a_revisit_begins_with_the_way_that_worked() {
    let mut world = world(vec![]);
    world.engine.settings.visit.encryption = EncryptionPolicy::PreferPlain;
    let network = Arc::new(EncryptedOnly {
        connections: AtomicU64::new(0),
        plain: vec![0],
        clock: world.clock.clone(),
    });
    world.engine.connect = Arc::clone(&network) as Arc<dyn Connect>;
    world.offer();
    for connections in [2, 3, 4] {
        let (_, Record::Visit(visit)) = world.next() else {
            panic!("a visit")
        };
        assert_eq!(visit.encryption, Encryption::Rc4);
        assert_eq!(network.connections.load(Ordering::Relaxed), connections);
        assert!(world.records.is_empty(), "one record for each contact");
    }
}

#[test]
fn failures_come_back_later_and_are_taken_back() {
    let world = world(vec![
        vec![Step::Close(Duration::ZERO)],
        peer(ID, None),
        peer(ID, Some(0xf0)),
    ]);
    world.offer();
    let (_, Record::Failure(first)) = world.next() else {
        panic!("a failure")
    };
    assert_eq!(
        (first.event, first.reason, first.takes_back),
        (Event::FirstContact, Reason::Closed, None)
    );
    assert_eq!(world.engine.scheduler.never_contacted(), 0);
    let (waited, Record::Failure(second)) = world.next() else {
        panic!("a failure")
    };
    assert_eq!(
        (waited, second.event, second.takes_back),
        (600, Event::FirstContact, Some(Reason::Closed))
    );
    let (waited, Record::Visit(visit)) = world.next() else {
        panic!("a visit")
    };
    assert_eq!((waited, visit.takes_back), (1_200, Some(Reason::Closed)));
    let (waited, Record::Failure(later)) = world.next() else {
        panic!("a failure")
    };
    assert_eq!(
        (waited, later.event, later.reason),
        (300, Event::LaterContact, Reason::REFUSED)
    );
    let (waited, Record::Failure(later)) = world.next() else {
        panic!("a failure")
    };
    assert_eq!((waited, later.takes_back), (120, None));
}

#[test]
fn we_are_no_peer_of_ours() {
    let world = world(vec![peer(PeerId::new([b'O'; 20]), None)]);
    world.offer();
    let (_, Record::Failure(failure)) = world.next() else {
        panic!("a failure")
    };
    assert_eq!(failure.reason, Reason::OwnAddress);
    assert_eq!(world.engine.scheduler.waiting(), 0);
    assert_eq!(world.offer(), Offer::Own);
}

#[test]
fn a_panic_in_a_visit_loses_no_contact() {
    struct Panics;
    impl Connect for Panics {
        fn connect(&self, _: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
            panic!("on purpose");
        }
    }
    let mut world = world(vec![]);
    world.engine.connect = Arc::new(Panics);
    world.offer();
    let ticket = world.engine.scheduler.take_now().unwrap();
    let contact = std::panic::AssertUnwindSafe(|| world.engine.in_hand(ticket).contact(&idle()));
    assert!(std::panic::catch_unwind(contact).is_err());
    let Ok(Record::Failure(failure)) = world.records.try_recv() else {
        panic!("a failure")
    };
    assert_eq!(failure.reason, Reason::Aborted);
    assert_eq!(world.engine.scheduler.waiting(), 1);
}

#[test]
fn a_call_with_our_peer_id_is_no_caller_and_not_believed_alone() {
    let world = world(vec![]);
    let engine = &world.engine;
    engine.scheduler.listens_on(6881);
    let call = |reason| {
        let report = Report::without_handshake(Verdict::Failed(reason));
        let from = "203.0.113.9:50000".parse().unwrap();
        engine.caller_done(None, from, engine.clock.now(), &report);
    };
    call(Reason::OwnAddress);
    assert!(world.records.is_empty());
    let listens = PeerAddress::new("203.0.113.9".parse().unwrap(), 6881);
    assert!(
        !engine.scheduler.is_own(&listens),
        "anybody can have our id"
    );
    for voter in ["198.51.100.1", "192.0.2.1"] {
        let ours = listens.ip();
        engine.scheduler.vote_own_ip(voter.parse().unwrap(), ours);
    }
    assert!(engine.scheduler.is_own(&listens), "with two others it is");
    call(Reason::UnknownInfoHash);
    assert!(matches!(world.records.try_recv(), Ok(Record::Failure(_))));
}

/// Panics at one reading, counted from 1.
struct PanicsOnce {
    inner: ManualClock,
    left: AtomicU64,
}

impl Clock for PanicsOnce {
    fn now(&self) -> Instant {
        assert_ne!(self.left.fetch_sub(1, Ordering::Relaxed), 1, "on purpose");
        self.inner.now()
    }

    fn timestamp(&self) -> Timestamp {
        assert_ne!(self.left.fetch_sub(1, Ordering::Relaxed), 1, "on purpose");
        self.inner.timestamp()
    }

    fn wall_drift_ms(&self) -> i64 {
        0
    }
}

#[test]
fn wherever_a_contact_panics_it_is_recorded_once_and_comes_back() {
    let mut panics = 0;
    for at in 1..40 {
        let mut world = world(vec![peer(ID, Some(0xf0))]);
        world.engine.clock = Arc::new(PanicsOnce {
            inner: world.clock.clone(),
            left: AtomicU64::new(at),
        });
        world.offer();
        let ticket = world.engine.scheduler.take_now().unwrap();
        let contact =
            std::panic::AssertUnwindSafe(|| world.engine.in_hand(ticket).contact(&idle()));
        let panicked = std::panic::catch_unwind(contact).is_err();
        panics += u32::from(panicked);
        let record = world.records.try_recv().unwrap();
        let aborted =
            matches!(&record, Record::Failure(failure) if failure.reason == Reason::Aborted);
        assert_eq!(aborted, panicked, "{at}: {record:?}");
        assert!(world.records.is_empty(), "{at}");
        assert_eq!(world.engine.scheduler.waiting(), 1, "{at}");
        assert_eq!(world.engine.scheduler.never_contacted(), 0, "{at}");
    }
    assert!(panics > 5, "{panics}");
}

#[test]
fn the_shutdown_does_not_wait_for_ever_for_the_writer() {
    let mut world = world(vec![]);
    let (records, queue) = bounded(1);
    world.engine.records = records;
    let record = || Record::Manifest {
        key: "ended",
        value: String::new(),
    };
    let deadline = Deadline::after(world.clock.now(), Duration::from_millis(1));
    assert!(world.engine.record_by(record(), deadline));
    assert!(
        !world.engine.record_by(record(), deadline),
        "the queue is full"
    );
    drop(queue);
    assert!(
        world.engine.record_by(record(), deadline),
        "nobody is there to wait for"
    );
}

#[test]
fn an_interrupted_contact_leaves_the_peer_waiting() {
    let mut world = world(vec![]);
    let (trigger, stop) = stop_pair();
    world.engine.stop = stop;
    world.offer();
    let ticket = world.engine.scheduler.take_now().unwrap();
    trigger.stop();
    world.engine.in_hand(ticket).contact(&idle());
    assert!(world.records.is_empty());
    assert_eq!(
        (
            world.engine.scheduler.waiting(),
            world.engine.scheduler.never_contacted()
        ),
        (1, 1)
    );
    assert_eq!(ticket.history, History::default());
}
