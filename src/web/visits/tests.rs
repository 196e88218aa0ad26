//! Visits and look-ups behind the page, with peers and a DHT that are made up.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::*;
use crate::clock::ManualClock;
use crate::inspection::{FindPeers, Seen, Subject};
use crate::model::{PeerAddress, PieceCount, Reason, Timestamp};
use crate::storage::history::{TrackEntry, Wanted};
use crate::web::job::Jobs;
use crate::web::tests::configured;
use crate::web::track::question::{Question, of_json};

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// Longest wait for a thread.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names as many peers, at 192.0.2.1 and so on.
struct Dht(u8);

impl FindPeers for Dht {
    fn find(&self, _: InfoHash, _: Duration) -> Result<Vec<PeerAddress>, String> {
        let peer = |number| PeerAddress::new([192, 0, 2, number].into(), 6881);
        match self.0 {
            0 => Err("no node of the DHT answers".to_owned()),
            most => Ok((1..=most).map(peer).collect()),
        }
    }
}

/// Visits peers when it is let; panics at the peer 192.0.2.13.
#[derive(Default)]
struct Peers {
    gate: Option<Receiver<()>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    visited: Mutex<Vec<PeerAddress>>,
}

impl VisitPeers for Peers {
    fn pieces(
        &self,
        _: InfoHash,
        peers: &[PeerAddress],
        _: Duration,
    ) -> Option<(PieceCount, bool)> {
        (peers.len() > 1).then_some((PieceCount(8), false))
    }

    fn visit(&self, subject: Subject, address: PeerAddress) -> Seen {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            let _ = gate.recv_timeout(PATIENCE);
        }
        self.visited.lock().push(address);
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        assert!(!address.ip().to_string().ends_with(".13"), "a defect");
        Seen {
            failure: (subject.pieces.is_none()).then_some(Reason::TimedOut),
            pieces: subject.pieces.map(|_| PieceCount(6)),
            complete: subject.pieces.map(|_| false),
            client: Some("client/1".to_owned()),
            over: None,
        }
    }
}

struct World {
    clock: Arc<ManualClock>,
    tracking: Arc<Tracking>,
    visits: Visits,
    peers: Arc<Peers>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(named: Option<u8>, peers: Peers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().to_str().unwrap();
        let (web, settings) = configured(&[("output_path", output)]);
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let finder = named.map(|named| Arc::new(Dht(named)) as Arc<dyn FindPeers>);
        let shared = Arc::clone(&clock) as Arc<dyn crate::clock::Clock>;
        let tracking = Arc::new(Tracking::open(&web, &settings, finder, shared).unwrap());
        let peers = Arc::new(peers);
        let visitor = Arc::clone(&peers) as Arc<dyn VisitPeers>;
        Self {
            visits: Visits::new(&web, Some(visitor), Arc::clone(&tracking)),
            clock,
            tracking,
            peers,
            _folder: folder,
        }
    }

    fn track(&self, hash: &str) -> (StatusCode, serde_json::Value) {
        let body = serde_json::json!({ "info_hash": hash, "dht": true });
        self.ask(of_json(body.to_string().as_bytes()).unwrap())
    }

    fn ask(&self, question: Question) -> (StatusCode, serde_json::Value) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let answer = runtime.block_on(self.tracking.answer(&Jobs::new(), question));
        match answer {
            Ok(answer) => answer.json(),
            Err(refused) => (refused.status, serde_json::json!({ "error": refused.text })),
        }
    }

    fn begin(&self, hash: &str) -> Result<(Arc<Session>, bool), Refused> {
        self.visits.begin(hash.parse().unwrap())
    }

    fn stored(&self) -> Vec<TrackEntry> {
        let history = &self.tracking.history;
        history
            .entries(&Wanted::default(), i64::MAX, (0, 9))
            .unwrap()
    }
}

fn wait(session: &Session) -> serde_json::Value {
    let began = std::time::Instant::now();
    while !session.is_over() {
        assert!(began.elapsed() < PATIENCE, "the visits do not end");
        std::thread::yield_now();
    }
    serde_json::to_value(session.state()).unwrap()
}

fn gate() -> (Sender<()>, Option<Receiver<()>>) {
    let (open, gate) = bounded(1000);
    (open, Some(gate))
}

#[test]
fn everybody_is_visited_once_by_few_threads_and_stored_without_address() {
    let (open, gate) = gate();
    let peers = Peers {
        gate,
        ..Peers::default()
    };
    let world = World::new(Some(50), peers);
    let (status, answer) = world.track(HASH);
    assert_eq!(
        (status, &answer["peer_count"]),
        (StatusCode::OK, &50.into())
    );
    assert_eq!(answer["peers"][0]["sources"], serde_json::json!(["dht"]));
    let (session, repeated) = world.begin(HASH).unwrap();
    assert!(!repeated);
    assert!(world.begin(HASH).unwrap().1, "they are under way");
    (0..50).for_each(|_| open.send(()).unwrap());
    let state = wait(&session);
    // One panics, and its thread with it; the peer is told as left out.
    assert_eq!(
        (&state["done"], &state["stored"]),
        (&50.into(), &true.into())
    );
    let left_out = state["peers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["step"] == "skipped");
    assert_eq!(left_out.count(), 1);
    let visited = world.peers.visited.lock().clone();
    assert_eq!(visited.len(), 50);
    assert_eq!(visited.iter().collect::<HashSet<_>>().len(), 50);
    assert!(world.peers.most_at_once.load(Ordering::SeqCst) <= 8);
    let stored = world.stored();
    let with_visit = stored[0].peers.iter().filter(|it| it.visit.is_some());
    assert_eq!(with_visit.count(), 49);
    for peer in &stored[0].peers {
        assert!(!peer.ip.contains('.'), "{peer:?}");
    }
    assert!(world.begin(HASH).unwrap().1, "they were just made");
    world.clock.advance(AGAIN);
    assert!(!world.begin(HASH).unwrap().1);
}

#[test]
fn few_swarms_at_a_time_and_only_tracked_ones() {
    let (open, gate) = gate();
    let peers = Peers {
        gate,
        ..Peers::default()
    };
    let world = World::new(Some(3), peers);
    let hashes: Vec<String> = (0..3).map(|digit| digit.to_string().repeat(40)).collect();
    assert_eq!(
        world.begin(&hashes[0]).err().unwrap().status,
        StatusCode::CONFLICT
    );
    for hash in &hashes {
        assert_eq!(world.track(hash).0, StatusCode::OK);
    }
    let (first, _) = world.begin(&hashes[0]).unwrap();
    let (second, _) = world.begin(&hashes[1]).unwrap();
    let refused = world.begin(&hashes[2]).err().unwrap();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    (0..9).for_each(|_| open.send(()).unwrap());
    wait(&first);
    wait(&second);
    let (third, repeated) = world.begin(&hashes[2]).unwrap();
    assert!(!repeated);
    wait(&third);
    assert!(world.visits.of(&third.number.to_string()).is_some());
    assert!(world.visits.of("99").is_none() && world.visits.of("x").is_none());
}

#[test]
fn without_the_number_of_pieces_there_is_no_share() {
    let world = World::new(Some(1), Peers::default());
    world.track(HASH);
    let state = wait(&world.begin(HASH).unwrap().0);
    assert_eq!(state["pieces_count"], serde_json::Value::Null);
    let visit = &state["peers"][0]["visit"];
    assert_eq!(
        (&visit["outcome"], &visit["pieces"]),
        (&"timed out".into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_tracker_without_answer_leaves_what_the_dht_named() {
    let world = World::new(Some(2), Peers::default());
    let body =
        serde_json::json!({ "info_hash": HASH, "tracker_url": "udp://127.0.0.1:9", "dht": true });
    let (status, answer) = world.ask(of_json(body.to_string().as_bytes()).unwrap());
    // The tracker is at a reserved address, and nobody may be sent there.
    assert_eq!(
        (status, &answer["peer_count"]),
        (StatusCode::OK, &2.into()),
        "{answer}"
    );
    let error = answer["tracker_error"].as_str().unwrap();
    assert!(error.contains("Reserved address"), "{error}");
    let again = world.track(HASH).1;
    assert_eq!(
        (&again["from_last_result"], &again["tracker_url"]),
        (&true.into(), &"dht:".into())
    );
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(world.track(HASH).1["from_last_result"], false);
    assert_eq!(world.stored().len(), 2);
}

#[test]
fn what_is_known_to_be_private_is_not_looked_up() {
    let world = World::new(Some(1), Peers::default());
    world
        .tracking
        .note(HASH.parse().unwrap(), (PieceCount(3), true));
    let (status, answer) = world.track(HASH);
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(world.stored().is_empty());
}

#[test]
fn no_swarm_is_forgotten_before_its_pause_is_over() {
    let world = World::new(Some(1), Peers::default());
    let hash = |number: usize| format!("{number:040x}");
    for number in 0..=SESSIONS_MAX {
        world.track(&hash(number));
    }
    for number in 0..SESSIONS_MAX {
        wait(&world.begin(&hash(number)).unwrap().0);
    }
    let refused = world.begin(&hash(SESSIONS_MAX)).err().unwrap();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(world.begin(&hash(0)).unwrap().1, "it was just made");
    world.clock.advance(AGAIN);
    assert!(!world.begin(&hash(SESSIONS_MAX)).unwrap().1);
}

#[test]
fn a_dht_that_is_silent_or_off_says_so() {
    let silent = World::new(Some(0), Peers::default());
    let (status, answer) = silent.track(HASH);
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer["error"], "no node of the DHT answers");
    let off = World::new(None, Peers::default());
    let (status, answer) = off.track(HASH);
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer["error"].as_str().unwrap().contains("web.dht"));
    assert!(off.stored().is_empty());
}
