//! The client of an external pymdht node against nodes on loopback that die,
//! hang, restart and talk nonsense at every point of the dialogue.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use btda::clock::{Clock, SystemClock};
use btda::deadline::Deadline;
use btda::dht::pending::PendingLookups;
use btda::dht::pymdht::{
    LookupOutcome, NodeState, PymdhtClient, PymdhtContext, PymdhtError, PymdhtStatus,
};
use btda::dht::requester::{RequesterContext, run};
use btda::intake::{Offer, PeerIntake};
use btda::lab::{PymdhtLookup, PymdhtStep, ScriptedPymdht};
use btda::model::record::Record;
use btda::model::{InfoHash, PeerAddress, PieceCount, Source, Torrent, TorrentId};
use btda::net::tcp::{SocketRegister, TcpConnector};
use btda::stop::{StopToken, StopTrigger, stop_pair};
use crossbeam_channel::{Receiver, unbounded};

const HASH: InfoHash = InfoHash::new([0xd5; 20]);

/// Longer than anything takes that is not broken.
const LONG: Duration = Duration::from_secs(60);

fn peers() -> Vec<SocketAddr> {
    ["192.0.2.1:6881", "198.51.100.20:51413", "203.0.113.3:1"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect()
}

/// The whole dialogue of a node that is well, in one piece, always of the same
/// length.
fn good(lookup: &PymdhtLookup) -> Vec<u8> {
    let lookup = PymdhtLookup {
        own_channel: 1,
        ..lookup.clone()
    };
    let steps = lookup.answer(&peers()).into_iter();
    steps
        .flat_map(|step| match step {
            PymdhtStep::Say(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Makes the answer to one lookup.
type Script = Box<dyn Fn(&PymdhtLookup) -> Vec<PymdhtStep> + Send>;

/// A node that plays queued scripts and is well when there is none.
struct World {
    node: ScriptedPymdht,
    scripts: Arc<Mutex<VecDeque<Script>>>,
    context: PymdhtContext,
    sockets: Arc<SocketRegister>,
    trigger: StopTrigger,
}

impl World {
    fn new(answer_wait: Duration) -> Self {
        let scripts: Arc<Mutex<VecDeque<Script>>> = Arc::default();
        let queue = Arc::clone(&scripts);
        let node = ScriptedPymdht::start(move |lookup| match queue.lock().unwrap().pop_front() {
            Some(script) => script(lookup),
            None => lookup.answer(&peers()),
        });
        let node = node.unwrap();
        let sockets: Arc<SocketRegister> = Arc::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (trigger, stop) = stop_pair();
        let context = PymdhtContext {
            connect: Arc::new(TcpConnector::new(Arc::clone(&sockets), Arc::clone(&clock))),
            clock,
            stop,
            address: node.address(),
            answer_wait,
            pause_first: Duration::from_millis(1),
            pause_max: Duration::from_millis(1),
            status: Arc::new(PymdhtStatus::new()),
        };
        Self {
            node,
            scripts,
            context,
            sockets,
            trigger,
        }
    }

    fn next(&self, script: impl Fn(&PymdhtLookup) -> Vec<PymdhtStep> + Send + 'static) {
        self.scripts.lock().unwrap().push_back(Box::new(script));
    }

    fn client(&self) -> PymdhtClient {
        PymdhtClient::new(self.context.clone())
    }
}

/// One lookup: what came of it and the peers, sorted.
fn look_up(
    world: &World,
    client: &mut PymdhtClient,
    limit: Duration,
) -> (Result<LookupOutcome, PymdhtError>, Vec<SocketAddr>) {
    let deadline = Deadline::after(world.context.clock.now(), limit);
    let mut found = Vec::new();
    let mut take = |peer: PeerAddress| found.push(peer.socket_addr());
    let result = client.lookup(HASH, Some(6884), deadline, &mut take);
    found.sort_unstable();
    (result, found)
}

fn sorted(mut peers: Vec<SocketAddr>) -> Vec<SocketAddr> {
    peers.sort_unstable();
    peers
}

fn any_lookup() -> PymdhtLookup {
    PymdhtLookup {
        number: 0,
        info_hash: [0; 20],
        port: 0,
        channel: 0,
        own_channel: 1,
    }
}

/// Length of the dialogue, and where its last line begins.
fn lengths() -> (usize, usize) {
    let bytes = good(&any_lookup());
    (bytes.len(), bytes.len() - b"0 CLOSE\r\n".len())
}

#[test]
fn a_node_that_dies_anywhere_costs_nothing() {
    let world = World::new(LONG);
    let mut client = world.client();
    let (length, close) = lengths();
    for at in 0..length {
        for death in [PymdhtStep::Restart, PymdhtStep::Close] {
            let last = death.clone();
            world.next(move |lookup| {
                let said = good(lookup)[..at].to_vec();
                vec![PymdhtStep::Say(said), last.clone()]
            });
            let (result, found) = look_up(&world, &mut client, LONG);
            assert_eq!(found, sorted(peers()), "{death:?} at {at}");
            let outcome = result.unwrap();
            assert_eq!(outcome.peers, 3, "each once");
            // The end of the last line but its line feed needs no answer.
            assert!(outcome.attempts == 2 || at > close, "{outcome:?}");
        }
    }
    assert_eq!(world.context.status.figures().state, NodeState::Up);
}

#[test]
fn lines_cut_anywhere_are_whole() {
    let world = World::new(LONG);
    let mut client = world.client();
    world.next(|lookup| vec![PymdhtStep::Dribble(good(lookup))]);
    let (result, found) = look_up(&world, &mut client, LONG);
    assert_eq!(result.map(|outcome| outcome.attempts), Ok(1));
    assert_eq!(found, sorted(peers()));
    world.next(|lookup| {
        let text = String::from_utf8(good(lookup)).unwrap();
        let text = text.to_lowercase().replace("\r\n", "\n\n");
        vec![PymdhtStep::Say(text.into_bytes())]
    });
    assert_eq!(look_up(&world, &mut client, LONG).1, sorted(peers()));
}

#[test]
fn a_mangled_byte_costs_its_line_at_most() {
    let world = World::new(LONG);
    let mut client = world.client();
    let (_, close) = lengths();
    // A mangled CLOSE is a node that hangs: below.
    for at in 0..close - 1 {
        world.next(move |lookup| {
            let mut bytes = good(lookup);
            bytes[at] = 1;
            vec![PymdhtStep::Say(bytes)]
        });
        let (result, found) = look_up(&world, &mut client, LONG);
        let mut bytes = good(&any_lookup());
        bytes[at] = 1;
        let text = String::from_utf8(bytes).unwrap();
        let lost = |peer: &SocketAddr| !text.contains(&format!("\n0 PEER {peer}\r\n"));
        let outcome = result.unwrap();
        let expected: Vec<SocketAddr> = match outcome.attempts {
            1 => peers().into_iter().filter(|peer| !lost(peer)).collect(),
            _ => peers(),
        };
        assert_eq!(found, sorted(expected), "byte {at}");
        assert!(!found.is_empty(), "byte {at}");
    }
}

#[test]
fn a_node_that_hangs_anywhere_costs_the_deadline_at_most() {
    let (length, close) = lengths();
    let first_line = b"0 OPEN 1\r\n".len();
    let points = [
        0,
        1,
        first_line - 1,
        first_line,
        first_line + 9,
        close,
        close + 3,
        length - 1,
    ];
    thread::scope(|scope| {
        for at in points {
            scope.spawn(move || {
                let world = World::new(Duration::from_secs(1));
                let mut client = world.client();
                let hang = move |lookup: &PymdhtLookup| {
                    let said = good(lookup)[..at].to_vec();
                    vec![PymdhtStep::Say(said), PymdhtStep::Hang]
                };
                world.next(hang);
                let (result, found) = look_up(&world, &mut client, Duration::from_secs(3));
                if at < first_line {
                    assert_eq!(result.map(|outcome| outcome.attempts), Ok(2), "at {at}");
                    assert_eq!(found, sorted(peers()));
                } else {
                    assert_eq!(result, Err(PymdhtError::Unfinished), "at {at}");
                    let whole = if at >= close { 3 } else { 0 };
                    assert_eq!(found.len(), whole, "what came before counts");
                    assert_eq!(world.context.status.figures().state, NodeState::Down);
                }
                let (result, found) = look_up(&world, &mut client, LONG);
                assert_eq!(result.map(|outcome| outcome.peers), Ok(3));
                assert_eq!(found, sorted(peers()));
                assert_eq!(world.context.status.figures().state, NodeState::Up);
            });
        }
    });
}

#[test]
fn other_channels_floods_and_refusals() {
    let world = World::new(LONG);
    let mut client = world.client();
    for text in [
        "5 OPEN 1\r\n",
        "5 PEER 192.0.2.99:99\r\n",
        "0 OPEN 1\r\n5 PEER 192.0.2.99:99\r\n",
    ] {
        world.next(move |_| vec![PymdhtStep::say(text), PymdhtStep::Hang]);
        let (result, found) = look_up(&world, &mut client, LONG);
        assert_eq!(result.map(|outcome| outcome.attempts), Ok(2), "{text}");
        assert_eq!(found, sorted(peers()));
    }
    for rubbish in [
        &b"x"[..],
        b"x\n",
        b"\r\n",
        b"0 OPEN 1\n",
        b"0 PEER 192.0.2.1:6881\n",
    ] {
        world.next(move |lookup| vec![lookup.open(), PymdhtStep::Flood(rubbish.repeat(100))]);
        let (result, found) = look_up(&world, &mut client, LONG);
        assert_eq!(result.map(|outcome| outcome.peers), Ok(3));
        assert_eq!(found, sorted(peers()));
    }
    world.next(|_| vec![PymdhtStep::say("? Invalid key\r\n")]);
    let (result, _) = look_up(&world, &mut client, LONG);
    assert_eq!(result, Err(PymdhtError::Refused("Invalid key".to_owned())));
}

#[test]
fn a_probe_finds_the_node_and_keeps_the_connection() {
    let world = World::new(LONG);
    let mut client = world.client();
    assert_eq!(client.probe(LONG), Ok(()));
    assert_eq!(look_up(&world, &mut client, LONG).1.len(), 3);
    drop(client);
    let lines: Vec<String> = (0..5).map_while(|_| world.node.next_line(LONG)).collect();
    assert_eq!([&lines[0], &lines[3], &lines[4]], ["+", "EXIT", "-"]);
}

/// Takes every peer; knows those that it has.
#[derive(Default)]
struct Intake(Mutex<HashSet<(TorrentId, PeerAddress)>>);

impl PeerIntake for Intake {
    fn offer(&self, torrent: TorrentId, source: Source, address: PeerAddress) -> Offer {
        assert_eq!(source, Source::Dht);
        if self.0.lock().unwrap().insert((torrent, address)) {
            Offer::New
        } else {
            Offer::Known
        }
    }

    fn own_ip(&self, _: IpAddr) {}
}

fn torrent(index: u8, private: bool) -> Arc<Torrent> {
    Arc::new(Torrent {
        id: TorrentId::from_index(index.into()).unwrap(),
        info_hash: InfoHash::new([index; 20]),
        trackers: vec![],
        pieces: PieceCount(10),
        piece_length: 1000,
        threshold: PieceCount(10),
        path: PathBuf::new(),
        display_name: None,
        private,
    })
}

/// Starts the DHT thread with two torrents and a private one; also returns
/// the receiver of its end.
fn start(
    world: &World,
    stop: StopToken,
) -> (Receiver<Record>, Receiver<()>, thread::JoinHandle<()>) {
    let (send, records) = unbounded();
    let (ended, end) = unbounded();
    let torrents = vec![torrent(0, false), torrent(1, true), torrent(2, false)];
    let context = RequesterContext {
        clock: Arc::clone(&world.context.clock),
        stop,
        torrents: Arc::new(move || torrents.clone()),
        pending: PendingLookups::new(),
        intake: Arc::new(Intake::default()),
        records: send,
        interval: Duration::ZERO,
        lookup_timeout: LONG,
        announce_port: None,
    };
    let mut client = world.client();
    let thread = thread::spawn(move || {
        run(context, &mut client);
        drop(ended);
    });
    (records, end, thread)
}

/// Torrent, peers and known ones of the next row.
fn row(records: &Receiver<Record>) -> (u16, u32, u32) {
    match records.recv_timeout(LONG).unwrap() {
        Record::Lookup(row) => (row.torrent.number(), row.received, row.duplicates),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_dht_thread_makes_rows_and_says_good_bye() {
    let world = World::new(LONG);
    world.next(|lookup| lookup.answer(&peers()[..2]));
    world.next(|lookup| lookup.answer(&[]));
    // Hangs in the fifth, so that the end comes in the middle of a lookup.
    for _ in 0..2 {
        world.next(|lookup| lookup.answer(&peers()));
    }
    world.next(|lookup| vec![lookup.open(), PymdhtStep::Hang]);
    let (records, _, thread) = start(&world, world.context.stop.clone());
    assert_eq!(row(&records), (1, 2, 0));
    assert_eq!(row(&records), (3, 0, 0));
    assert_eq!(row(&records), (1, 3, 2));
    assert_eq!(row(&records), (3, 3, 0));
    let open = |index: u8| format!("0 OPEN 0 HASH {} 0", format!("{index:02}").repeat(20));
    let expected = ["+", &open(0), &open(2), &open(0), &open(2), &open(0)].map(str::to_owned);
    let line = || world.node.next_line(LONG);
    let lines: Vec<String> = (0..6).map_while(|_| line()).collect();
    assert_eq!(lines, expected, "never the private one");
    world.trigger.stop();
    thread.join().unwrap();
    let rest: Vec<String> = (0..8)
        .map_while(|_| line())
        .take_while(|line| line != "-")
        .collect();
    // The end may come before the answer to the last request.
    assert!(rest == ["5 CLOSE", "EXIT"] || rest == ["EXIT"], "{rest:?}");
    assert_eq!(world.sockets.open(), 0);
}

#[test]
fn a_node_that_died_for_good_gives_rows_of_zero() {
    let world = World::new(LONG);
    world.next(|lookup| vec![lookup.open(), lookup.peer(peers()[0]), PymdhtStep::Die]);
    let (records, _, thread) = start(&world, world.context.stop.clone());
    assert_eq!(row(&records), (1, 1, 0), "what came before counts");
    assert_eq!(row(&records), (3, 0, 0));
    assert_eq!(row(&records), (1, 0, 0));
    let figures = world.context.status.figures();
    assert_eq!(figures.state, NodeState::Down);
    assert!(matches!(figures.reason, Some(PymdhtError::Unreachable(_))));
    world.trigger.stop();
    thread.join().unwrap();
}

#[test]
fn the_end_of_the_run_waits_for_no_node() {
    let world = World::new(LONG);
    world.next(|lookup| vec![lookup.open(), lookup.peer(peers()[0]), PymdhtStep::Hang]);
    let (records, end, thread) = start(&world, world.context.stop.clone());
    while world
        .node
        .next_line(LONG)
        .is_some_and(|line| !line.contains("OPEN"))
    {}
    world.trigger.stop();
    let ended = end.recv_timeout(Duration::from_secs(30));
    assert_eq!(
        ended,
        Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    );
    thread.join().unwrap();
    // The peer may have come before the end or not.
    assert!(records.try_iter().count() <= 1);
    assert_eq!(
        world
            .node
            .next_line(LONG)
            .as_deref()
            .map(|line| line == "1 CLOSE" || line == "EXIT"),
        Some(true)
    );
}
