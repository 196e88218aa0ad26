//! Whose turn it is; conversations over sockets are in `tests/metadata.rs`.

use super::*;
use crate::clock::SystemClock;
use crate::model::{PeerId, Reason};
use crate::net::{NetError, Operation, Stream};
use crate::stop::stop_pair;
use crate::torrent::metadata::FetchSettings;

/// Refuses every connection and counts.
struct Nobody(Mutex<Vec<u16>>);

impl Connect for Nobody {
    fn connect(&self, address: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
        self.0.lock().push(address.port());
        Err(NetError {
            operation: Operation::Connect,
            reason: Reason::REFUSED,
        })
    }
}

fn fetcher(nobody: &Arc<Nobody>) -> (Fetcher, crate::stop::StopTrigger) {
    let (trigger, stop) = stop_pair();
    let settings = FetchSettings {
        retry_delay: Duration::ZERO,
        attempts: 3,
        parallel: 2,
        ..FetchSettings::default()
    };
    let context = FetchContext {
        clock: Arc::new(SystemClock::new()),
        stop,
        own_id: PeerId::new([b'o'; 20]),
        settings,
    };
    let connect = Arc::clone(nobody) as Arc<dyn Connect>;
    (Fetcher { connect, context }, trigger)
}

fn peer(port: u16) -> PeerAddress {
    PeerAddress::from_compact([127, 0, 0, 1, 0, 0]).with_port(port)
}

const HASH: InfoHash = InfoHash::new([3; 20]);

fn deadline(fetcher: &Fetcher, wait: Duration) -> Deadline {
    Deadline::after(fetcher.context.clock.now(), wait)
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn every_peer_has_its_attempts_and_then_it_is_over() {
    let nobody = Arc::new(Nobody(Mutex::default()));
    let (fetcher, _trigger) = fetcher(&nobody);
    let (send, peers) = unbounded();
    for port in [1, 2, 3, 2, 0] {
        send.send(peer(port)).unwrap();
    }
    drop(send);
    let result = fetcher.run(HASH, &peers, deadline(&fetcher, LONG));
    assert_eq!(result, Err(FetchFailure::NoMorePeers { asked: 3 }));
    let mut called = nobody.0.lock().clone();
    called.sort_unstable();
    assert_eq!(called, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
}

#[test]
fn peers_of_a_link_are_asked_once_and_our_own_address_never() {
    let nobody = Arc::new(Nobody(Mutex::default()));
    let (fetcher, _trigger) = fetcher(&nobody);
    let ([send, hint], [named, hints]) = {
        let (send, named) = unbounded();
        let (hint, hints) = unbounded();
        ([send, hint], [named, hints])
    };
    for port in [1, 9] {
        send.send(peer(port)).unwrap();
    }
    for port in [1, 2, 3, 9] {
        hint.send(peer(port)).unwrap();
    }
    drop((send, hint));
    let sources = PeerSources {
        named: &named,
        hints: &hints,
        is_own: &|address| address.port() == 9,
    };
    let result = fetcher.run_with(HASH, &sources, deadline(&fetcher, LONG));
    assert_eq!(result, Err(FetchFailure::NoMorePeers { asked: 3 }));
    let mut called = nobody.0.lock().clone();
    called.sort_unstable();
    assert_eq!(called, [1, 1, 1, 2, 3], "the first is named too");
}

#[test]
fn a_try_ends_when_only_failed_peers_of_the_link_are_left() {
    let nobody = Arc::new(Nobody(Mutex::default()));
    let (fetcher, _trigger) = fetcher(&nobody);
    let (_trackers, named) = unbounded();
    let (hint, hints) = unbounded();
    hint.send(peer(1)).unwrap();
    drop(hint);
    let sources = PeerSources {
        named: &named,
        hints: &hints,
        is_own: &|_| false,
    };
    let result = fetcher.run_with(HASH, &sources, deadline(&fetcher, LONG));
    assert_eq!(result, Err(FetchFailure::NoMorePeers { asked: 1 }));
}

#[test]
fn a_peer_of_a_link_that_failed_is_asked_again_once_it_is_named() {
    let now = crate::clock::Clock::now(&SystemClock::new());
    let mut candidates = Candidates::default();
    candidates.add(peer(1), true, now);
    assert_eq!(candidates.next(now), Some(peer(1)));
    candidates.known.get_mut(&peer(1)).unwrap().spent = true;
    candidates.add(peer(1), true, now);
    assert_eq!(candidates.next(now), None, "the link says so again");
    candidates.add(peer(1), false, now + LONG);
    assert_eq!(candidates.next(now), None);
    candidates.add(peer(1), false, now);
    assert_eq!(candidates.next(now + LONG), Some(peer(1)));
    assert_eq!(candidates.next(now + LONG), None, "and once");
}

#[test]
fn deadline_and_stop_end_it() {
    let nobody = Arc::new(Nobody(Mutex::default()));
    let (fetcher, trigger) = fetcher(&nobody);
    let (_send, peers) = unbounded();
    let soon = deadline(&fetcher, Duration::from_millis(1));
    let result = fetcher.run(HASH, &peers, soon);
    assert_eq!(result, Err(FetchFailure::TimedOut { asked: 0 }));
    trigger.stop();
    let result = fetcher.run(HASH, &peers, deadline(&fetcher, LONG));
    assert_eq!(result, Err(FetchFailure::Stopped));
}

#[test]
fn new_peers_come_before_failed_ones() {
    let now = SystemClock::new();
    let now = crate::clock::Clock::now(&now);
    let mut candidates = Candidates {
        failed: [(now, peer(9)), (now + LONG, peer(8))].into(),
        ..Candidates::default()
    };
    candidates.add(peer(5), false, now);
    let order: Vec<u16> = std::iter::from_fn(|| candidates.next(now))
        .map(|address| address.port())
        .collect();
    assert_eq!(order, [5, 9]);
    assert!(!candidates.is_exhausted());
    assert_eq!(candidates.next(now + LONG).map(|peer| peer.port()), Some(8));
    for port in 1..=u16::MAX {
        candidates.add(peer(port), false, now);
    }
    assert_eq!(candidates.known.len(), PEERS_MAX);
}
