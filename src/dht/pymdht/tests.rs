//! Dialogues with a scripted stream, on a clock moved by hand.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use parking_lot::Mutex;

use super::*;
use crate::clock::ManualClock;
use crate::model::{Link, Reason, Timestamp};
use crate::net::fake::{FakeStream, Step};
use crate::net::{NetError, Operation, Stream};
use crate::stop::{StopTrigger, stop_pair};

const HASH: InfoHash = InfoHash::new([0x5a; 20]);

/// Hands out scripted streams one by one; refuses when there is none.
struct FakeNode {
    clock: ManualClock,
    scripts: Mutex<VecDeque<Vec<Step>>>,
    written: Arc<Mutex<Vec<u8>>>,
}

/// A stream that shares what was written.
struct Shared(FakeStream, Arc<Mutex<Vec<u8>>>);

impl Stream for Shared {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        self.0.read(buffer, wait)
    }

    fn write_all(&mut self, bytes: &[u8], _: Duration) -> Result<(), NetError> {
        self.1.lock().extend_from_slice(bytes);
        Ok(())
    }

    fn link(&self) -> Link {
        self.0.link()
    }
}

impl Connect for FakeNode {
    fn connect(&self, address: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
        assert_eq!(address.port(), 17_001);
        let refused = NetError {
            operation: Operation::Connect,
            reason: Reason::REFUSED,
        };
        let script = self.scripts.lock().pop_front().ok_or(refused)?;
        let stream = FakeStream::new(&self.clock, script);
        Ok(Box::new(Shared(stream, Arc::clone(&self.written))))
    }
}

struct World {
    clock: ManualClock,
    node: Arc<FakeNode>,
    client: PymdhtClient,
    status: Arc<PymdhtStatus>,
    trigger: StopTrigger,
}

impl World {
    /// A node that plays these scripts, one for each connection.
    fn new(scripts: Vec<Vec<Step>>) -> Self {
        let clock = ManualClock::new(Timestamp(0));
        let node = Arc::new(FakeNode {
            clock: clock.clone(),
            scripts: Mutex::new(scripts.into()),
            written: Arc::default(),
        });
        let (trigger, stop) = stop_pair();
        let status = Arc::new(PymdhtStatus::new());
        let client = PymdhtClient::new(PymdhtContext {
            connect: Arc::clone(&node) as Arc<dyn Connect>,
            clock: Arc::new(clock.clone()),
            stop,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 17_001)),
            answer_wait: Duration::from_secs(6),
            // The clock stands still while the client waits.
            pause_first: Duration::from_millis(1),
            pause_max: Duration::from_millis(4),
            status: Arc::clone(&status),
        });
        Self {
            clock,
            node,
            client,
            status,
            trigger,
        }
    }

    /// A lookup with a minute: what came of it, and the ports of the peers.
    fn lookup(&mut self) -> (Result<LookupOutcome, PymdhtError>, Vec<u16>) {
        let deadline = Deadline::after(self.clock.now(), Duration::from_secs(60));
        let mut ports = Vec::new();
        let mut found = |peer: PeerAddress| ports.push(peer.port());
        let result = self.client.lookup(HASH, Some(6884), deadline, &mut found);
        let leave = Duration::from_millis(200);
        assert!(self.clock.now() <= deadline.instant() + leave, "late");
        (result, ports)
    }

    fn written(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.node.written.lock())).unwrap()
    }
}

fn say(text: &str) -> Step {
    Step::Send(Duration::from_millis(300), text.as_bytes().to_vec())
}

const OK: LookupOutcome = LookupOutcome {
    peers: 2,
    attempts: 1,
    unreadable: 0,
};

const GOOD: &str = "0 OPEN 3\r\n0 PEER 192.0.2.1:1\r\n0 PEER 192.0.2.1:2\r\n0 CLOSE\r\n";

#[test]
fn one_connection_serves_many_lookups() {
    let twice = vec![say(GOOD), say("0 open 4\n0 peer 192.0.2.1:1\n0 close\n")];
    let mut world = World::new(vec![twice]);
    assert_eq!(world.lookup(), (Ok(OK), vec![1, 2]));
    let (result, ports) = world.lookup();
    assert_eq!((result.unwrap().peers, ports), (1, vec![1]));
    world.client.close();
    let hex = "5a".repeat(20);
    let request = format!("0 OPEN 0 HASH {hex} 6884\r\n");
    assert_eq!(world.written(), format!("{request}{request}EXIT\r\n"));
    let figures = world.status.figures();
    assert_eq!((figures.state, figures.failures), (NodeState::Up, 0));
    assert_eq!((figures.lookups, figures.peers), (2, 3));
}

#[test]
fn a_peer_is_handed_over_once_and_in_time() {
    let text = "0 OPEN 3\r\n0 PEER 1.1.1.1:1\r\n0 PEER 1.1.1.1:1\r\n";
    let mut world = World::new(vec![vec![say(text), say("0 CLOSE\r\n")]]);
    let (result, ports) = world.lookup();
    assert_eq!((result.unwrap().peers, ports), (1, vec![1]));
}

#[test]
fn a_node_that_dies_is_asked_again_and_its_peers_count() {
    let script = vec![
        say("0 OPEN 3\r\n0 PEER 192.0.2.1:1\r\n0 PEER 192.0.2.1:9\r\n0 PEER 192.0.2.1"),
        Step::Close(Duration::ZERO),
    ];
    let mut world = World::new(vec![script, vec![say(GOOD)]]);
    let (result, ports) = world.lookup();
    let outcome = result.unwrap();
    assert_eq!((outcome.peers, outcome.attempts), (3, 2));
    assert_eq!(ports, [1, 9, 2]);
}

#[test]
fn a_dead_node_is_told_once_and_tried_once_a_lookup() {
    let mut world = World::new(vec![]);
    let (result, ports) = world.lookup();
    let refused = PymdhtError::Unreachable(NetError {
        operation: Operation::Connect,
        reason: Reason::REFUSED,
    });
    assert_eq!((result, ports), (Err(refused.clone()), vec![]));
    assert_eq!(world.status.figures().failures, 3);
    assert_eq!(world.lookup().0, Err(refused.clone()));
    let figures = world.status.figures();
    assert_eq!((figures.state, figures.failures), (NodeState::Down, 4));
    assert_eq!(figures.reason, Some(refused));
    world.node.scripts.lock().push_back(vec![say(GOOD)]);
    assert_eq!(world.lookup().0, Ok(OK));
    assert_eq!(world.status.figures().state, NodeState::Up);
}

#[test]
fn a_long_pause_ends_a_lookup_at_once() {
    let mut world = World::new(vec![]);
    world.client.context.pause_first = Duration::from_secs(120);
    world.client.context.pause_max = Duration::from_secs(120);
    let before = world.clock.now();
    assert_eq!(world.lookup().0, Err(PymdhtError::NotDue));
    assert_eq!(world.lookup().0, Err(PymdhtError::NotDue));
    assert_eq!(world.clock.now(), before);
    assert_eq!(world.status.figures().failures, 1);
}

#[test]
fn silence_is_noticed_after_the_wait_for_an_answer() {
    let mut world = World::new(vec![vec![], vec![], vec![]]);
    let before = world.clock.now();
    assert_eq!(world.lookup(), (Err(PymdhtError::Silent), vec![]));
    let thrice = 3 * (Duration::from_secs(6) + Duration::from_millis(200));
    assert_eq!(world.clock.now() - before, thrice);
    let mut world = World::new(vec![vec![], vec![say(GOOD)]]);
    assert_eq!(world.lookup().1, [1, 2]);
}

#[test]
fn a_hanging_lookup_is_closed_at_the_deadline() {
    let hangs = vec![say("0 OPEN 77\r\n0 PEER 192.0.2.1:1\r\n0 CLO")];
    let mut world = World::new(vec![hangs, vec![say(GOOD)]]);
    assert_eq!(world.lookup(), (Err(PymdhtError::Unfinished), vec![1]));
    assert!(world.written().ends_with("77 CLOSE\r\nEXIT\r\n"));
    assert_eq!(world.status.figures().state, NodeState::Down);
    assert_eq!(world.lookup().0, Ok(OK));
}

#[test]
fn refusals_and_wrong_channels() {
    let mut world = World::new(vec![vec![say("? Invalid key\r\n")]]);
    let refused = PymdhtError::Refused("Invalid key".to_owned());
    assert_eq!(world.lookup().0, Err(refused));
    for text in [
        "1 OPEN 3\r\n",
        "1 PEER 192.0.2.1:1\r\n",
        "0 OPEN 3\r\n7 PEER 192.0.2.1:5\r\n",
        "0 OPEN 3\r\n7 CLOSE\r\n",
        "0 CLOSE\r\n",
    ] {
        let mut world = World::new(vec![vec![say(text)], vec![say(GOOD)]]);
        let (result, ports) = world.lookup();
        assert_eq!(result.map(|outcome| outcome.attempts), Ok(2), "{text}");
        assert_eq!(ports, [1, 2]);
        let mut world = World::new(vec![vec![say(text)]; 3]);
        assert_eq!(world.lookup(), (Err(PymdhtError::WrongChannel), vec![]));
    }
}

#[test]
fn what_an_earlier_lookup_left_is_skipped() {
    let late = "0 PEER 192.0.2.1:66\r\n0 OPEN 4\r\n0 PEER 192.0.2.1:5\r\n0 CLOSE\r\n";
    let mut world = World::new(vec![vec![say(GOOD), say(late)]]);
    world.lookup().0.unwrap();
    assert_eq!(world.lookup().1, [5]);
}

#[test]
fn mangled_lines_cost_themselves_only() {
    let text = "0 OPEN 3\r\n0 PEER 192.0.2.1:1\r\n0 PEER 192.0.\u{fffd}\r\n\r\n\
        0 OPEN 3\r\n0 PEER 192.0.2.1:2\r\n0 CLOSE\r\n";
    let mut world = World::new(vec![vec![say(text)]]);
    let (result, ports) = world.lookup();
    assert_eq!((result.unwrap().unreadable, ports), (2, vec![1, 2]));
    let rubbish = format!("0 OPEN 3\r\n0 PEER 192.0.2.1:1\r\n{}", "x\r\n".repeat(200));
    let mut world = World::new(vec![vec![say(&rubbish)]; 3]);
    assert_eq!(world.lookup(), (Err(PymdhtError::Garbage), vec![1]));
    let mut world = World::new(vec![vec![say("0 OPN 3\r\n")], vec![say(GOOD)]]);
    assert_eq!(world.lookup().1, [1, 2]);
}

#[test]
fn a_flood_is_cut() {
    let flood = vec![say("0 OPEN 3\r\n"), say(&"x".repeat(5 << 20))];
    let mut world = World::new(vec![flood.clone(), flood.clone(), flood]);
    assert_eq!(world.lookup().0, Err(PymdhtError::Garbage));
    let lines: Vec<String> = (0..u16::MAX)
        .map(|port| format!("0 PEER 1.2.3.4:{port}\n"))
        .collect();
    let peers = lines.concat();
    let mut world = World::new(vec![vec![say("0 OPEN 3\n"), say(&peers), say("0 CLOSE\n")]]);
    assert_eq!(world.lookup().1.len(), PEERS_MAX);
}

#[test]
fn the_end_of_the_run_ends_everything() {
    let mut world = World::new(vec![vec![say(GOOD)]]);
    world.trigger.stop();
    assert_eq!(world.lookup(), (Err(PymdhtError::Stopped), vec![]));
    assert_eq!(world.status.figures().failures, 0);
}

#[test]
fn a_probe_tells_a_pymdht_from_anything_else() {
    let wait = Duration::from_secs(2);
    let refusal = say("? Channel must be a number\r\n");
    let mut world = World::new(vec![vec![refusal, say(GOOD)]]);
    assert_eq!(world.client.probe(wait), Ok(()));
    assert_eq!(world.lookup().0, Ok(OK));
    let mut world = World::new(vec![vec![], vec![say("SSH-2.0\r\n")]]);
    assert_eq!(world.client.probe(wait), Err(PymdhtError::Silent));
    assert_eq!(world.client.probe(wait), Err(PymdhtError::Garbage));
    let nobody = world.client.probe(wait);
    assert!(matches!(nobody, Err(PymdhtError::Unreachable(_))));
    assert_eq!(world.status.figures(), PymdhtFigures::default());
}
