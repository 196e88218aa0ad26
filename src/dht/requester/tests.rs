//! Rounds with a scripted backend, on a clock moved by hand.

use std::net::IpAddr;
use std::path::PathBuf;

use crossbeam_channel::{Receiver, unbounded};
use parking_lot::Mutex;

use super::*;
use crate::clock::ManualClock;
use crate::model::{PieceCount, Timestamp};
use crate::stop::{StopTrigger, stop_pair};

/// Port 1 is ourselves, port 0 cannot be called.
#[derive(Default)]
struct FakeIntake(Mutex<Vec<PeerAddress>>);

impl PeerIntake for FakeIntake {
    fn offer(&self, _: TorrentId, source: Source, address: PeerAddress) -> Offer {
        assert_eq!(source, Source::Dht);
        let mut known = self.0.lock();
        match address.port() {
            0 => Offer::Uncallable,
            1 => Offer::Own,
            _ if known.contains(&address) => Offer::Known,
            _ => {
                known.push(address);
                Offer::New
            }
        }
    }

    fn own_ip(&self, _: IpAddr) {}
}

/// Names the same ports each time, then fails or not.
struct FakeBackend {
    ports: Vec<u16>,
    error: Option<DhtError>,
    asked: Vec<(InfoHash, Option<u16>)>,
    clock: ManualClock,
    closed: bool,
}

impl DhtBackend for FakeBackend {
    fn lookup(
        &mut self,
        info_hash: InfoHash,
        announce_port: Option<u16>,
        deadline: Deadline,
        found: &mut dyn FnMut(PeerAddress),
    ) -> Result<(), DhtError> {
        let left = deadline.left(self.clock.now());
        assert_eq!(left, Some(Duration::from_secs(60)));
        self.asked.push((info_hash, announce_port));
        self.clock.advance(Duration::from_secs(2));
        for &port in &self.ports {
            found(PeerAddress::from_compact([192, 0, 2, 1, 0, 0]).with_port(port));
        }
        self.error.clone().map_or(Ok(()), Err)
    }

    fn name(&self) -> &'static str {
        "fake"
    }

    fn close(&mut self) {
        self.closed = true;
    }
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

struct World {
    torrents: Arc<Mutex<Vec<Arc<Torrent>>>>,
    clock: ManualClock,
    requester: Requester,
    backend: FakeBackend,
    records: Receiver<Record>,
    trigger: StopTrigger,
}

impl World {
    fn new(ports: &[u16]) -> Self {
        let clock = ManualClock::new(Timestamp(0));
        let (send, records) = unbounded();
        let (trigger, stop) = stop_pair();
        let torrents = Arc::new(Mutex::new(vec![torrent(0, false), torrent(1, true)]));
        let list = Arc::clone(&torrents);
        let context = RequesterContext {
            clock: Arc::new(clock.clone()),
            stop,
            torrents: Arc::new(move || list.lock().clone()),
            pending: PendingLookups::new(),
            intake: Arc::new(FakeIntake::default()),
            records: send,
            interval: Duration::from_secs(300),
            lookup_timeout: Duration::from_secs(60),
            announce_port: Some(6884),
        };
        Self {
            torrents,
            clock: clock.clone(),
            requester: Requester {
                context,
                due: HashMap::new(),
            },
            backend: FakeBackend {
                ports: ports.to_vec(),
                error: None,
                asked: vec![],
                clock,
                closed: false,
            },
            records,
            trigger,
        }
    }

    fn step(&mut self) -> Result<Duration, Ended> {
        self.requester.step(&mut self.backend)
    }

    /// Torrent, peers, known and seconds of each lookup since the last call.
    fn told(&self) -> Vec<(u16, u32, u32, u64)> {
        let words = |record| match record {
            Record::Lookup(lookup) => (
                lookup.torrent.number(),
                lookup.received,
                lookup.duplicates,
                lookup.duration.as_secs(),
            ),
            other => panic!("{other:?}"),
        };
        self.records.try_iter().map(words).collect()
    }
}

#[test]
fn every_torrent_but_private_ones_has_its_rhythm() {
    let mut world = World::new(&[0, 1, 2, 3, 3]);
    assert_eq!(world.step(), Ok(LOOK_FOR_NEW));
    assert_eq!(world.told(), [(1, 3, 1, 2)]);
    assert_eq!(
        world.backend.asked,
        [(InfoHash::new([0; 20]), Some(6884))],
        "the private one is not asked for"
    );
    world.step().unwrap();
    assert_eq!(world.told(), []);
    world.torrents.lock().push(torrent(2, false));
    world.step().unwrap();
    assert_eq!(world.told(), [(3, 3, 3, 2)], "a new one is looked up soon");
    world.clock.advance(Duration::from_secs(295));
    assert_eq!(world.step(), Ok(Duration::from_secs(1)));
    world.clock.advance(Duration::from_secs(1));
    world.step().unwrap();
    assert_eq!(world.told(), [(1, 3, 3, 2), (3, 3, 3, 2)]);
}

#[test]
fn a_failed_lookup_has_its_row() {
    let mut world = World::new(&[]);
    world.backend.error = Some(DhtError::TimedOut);
    world.step().unwrap();
    assert_eq!(world.told(), [(1, 0, 0, 2)]);
    let mut world = World::new(&[5, 6]);
    world.backend.error = Some(DhtError::Failed("gone".to_owned()));
    world.step().unwrap();
    assert_eq!(world.told(), [(1, 2, 0, 2)], "what came before counts");
}

#[test]
fn without_a_listener_no_port_is_announced() {
    let mut world = World::new(&[]);
    world.requester.context.announce_port = None;
    world.step().unwrap();
    assert_eq!(world.backend.asked[0].1, None);
}

#[test]
fn the_end_of_the_run() {
    let mut world = World::new(&[]);
    world.backend.error = Some(DhtError::Stopped);
    assert_eq!(world.step(), Err(Ended));
    assert_eq!(world.told(), [], "nothing was measured");
    let mut world = World::new(&[7]);
    world.backend.error = Some(DhtError::Stopped);
    world.step().unwrap();
    assert_eq!(world.told(), [(1, 1, 0, 2)], "an address was counted");
    let World {
        requester,
        mut backend,
        trigger,
        ..
    } = World::new(&[]);
    trigger.stop();
    run(requester.context, &mut backend);
    assert!(backend.closed && backend.asked.is_empty());
    let mut world = World::new(&[]);
    world.records = unbounded().1;
    assert_eq!(world.step(), Err(Ended), "the writer is gone");
}
