//! Announces of neighbours that are well, wrong, ours, too many; and our own.

use crossbeam_channel::Receiver;

use super::*;
use crate::analyzer::engine::tests::{World, world};
use crate::clock::ManualClock;
use crate::model::Torrent;

/// Datagrams that wait to be received, with who sent them.
type Waiting = Arc<Mutex<Vec<(Vec<u8>, SocketAddr)>>>;

/// Gives out what was put into it, and hands on what is sent.
struct FakeGroup {
    clock: ManualClock,
    arrives: Waiting,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl GroupSocket for FakeGroup {
    fn announce(&self, bytes: &[u8]) -> usize {
        self.sent.lock().push(bytes.to_vec());
        1
    }

    fn receive_from(
        &self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<(usize, SocketAddr), NetError> {
        let mut arrives = self.arrives.lock();
        if arrives.is_empty() {
            self.clock.advance(wait);
            return Err(NetError::timed_out(Operation::Read));
        }
        let (bytes, from) = arrives.remove(0);
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok((length, from))
    }
}

struct Street {
    clock: ManualClock,
    neighbours: Neighbours,
    records: Receiver<Record>,
    arrives: Waiting,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

const PRIVATE: InfoHash = InfoHash::new([8; 20]);

fn street(listen_port: Option<u16>) -> Street {
    let World {
        clock,
        mut engine,
        records,
        ..
    } = world(Vec::new());
    engine.settings.visit.listen_port = listen_port;
    let private = |id| Torrent {
        id,
        info_hash: PRIVATE,
        private: true,
        ..Torrent::sample(8)
    };
    engine.directory.add(PRIVATE, private, |_| {});
    let (arrives, sent) = (Arc::default(), Arc::default());
    let group = FakeGroup {
        clock: clock.clone(),
        arrives: Arc::clone(&arrives),
        sent: Arc::clone(&sent),
    };
    let engine = Arc::new(engine);
    let socket: Box<dyn GroupSocket> = Box::new(group);
    let neighbours = Neighbours::with(&engine, vec![("lsd4", GROUP_V4, socket)]).unwrap();
    Street {
        clock,
        neighbours,
        records,
        arrives,
        sent,
    }
}

impl Street {
    fn hears(&self, bytes: Vec<u8>, from: &str) {
        self.arrives.lock().push((bytes, from.parse().unwrap()));
    }

    fn steps(&self, steps: usize) {
        let seat = &self.neighbours.seats[0];
        let mut state = seat.state.lock();
        for _ in 0..steps {
            self.neighbours.step(seat.group, &mut state);
        }
    }

    /// Received and already known, by record.
    fn told(&self) -> Vec<(u32, u32)> {
        let records = self.records.try_iter();
        let told = records.map(|record| match record {
            Record::Exchange(it) => {
                assert_eq!((it.origin, it.torrent.number()), (Origin::Lsd, 1));
                (it.received, it.duplicates)
            }
            other => panic!("{other:?}"),
        });
        told.collect()
    }
}

fn announce(port: u16, torrents: &[InfoHash]) -> Vec<u8> {
    let announce = Announce {
        port,
        torrents: torrents.to_vec(),
        cookie: None,
    };
    announce.encode(GROUP_V4)
}

fn ours() -> InfoHash {
    Torrent::sample(8).info_hash
}

#[test]
fn a_neighbour_is_offered_for_the_torrents_that_are_measured() {
    let street = street(None);
    let torrents = [InfoHash::new([9; 20]), PRIVATE, ours()];
    street.hears(announce(6881, &torrents), "9.9.9.9:40000");
    street.hears(announce(6881, &torrents), "9.9.9.9:40001");
    street.hears(announce(6882, &[PRIVATE]), "9.9.9.9:40001");
    street.steps(4);
    assert_eq!(street.told(), [(1, 0), (1, 1)]);
    let ticket = street.neighbours.engine.scheduler.take_now().unwrap();
    assert_eq!(ticket.origin, Some(Origin::Lsd));
    assert_eq!(ticket.source, crate::model::Source::Tracker);
    let address: SocketAddr = "9.9.9.9:6881".parse().unwrap();
    assert_eq!(ticket.key.address, address.into());
    assert!(street.neighbours.engine.scheduler.take_now().is_none());
    assert!(street.sent.lock().is_empty(), "nobody listens here");
    assert_eq!(street.neighbours.counts().received, 3);
}

#[test]
fn nonsense_our_own_announces_and_strangers_are_nobody() {
    let street = street(Some(6884));
    street.steps(1);
    let own = street.sent.lock()[0].clone();
    street.hears(own, "9.9.9.9:6771");
    street.hears(b"M-SEARCH * HTTP/1.1\r\n\r\n".to_vec(), "9.9.9.9:6771");
    street.hears(vec![b'x'; 5000], "9.9.9.9:6771");
    street.hears(announce(6881, &[ours()]), "[fe80::1]:6771");
    street.hears(announce(6881, &[ours()]), "239.1.1.1:6771");
    street.steps(6);
    assert!(street.told().is_empty());
    let counts = street.neighbours.counts();
    assert_eq!((counts.received, counts.malformed), (2, 2));
}

#[test]
fn we_announce_every_five_minutes_what_is_not_private() {
    let street = street(Some(6884));
    // Ticks of an hour.
    street.steps(36_000);
    let sent = street.sent.lock();
    assert_eq!(sent.len(), 12);
    for datagram in &*sent {
        let announce = Announce::parse(datagram).unwrap();
        assert_eq!((announce.port, announce.torrents), (6884, vec![ours()]));
    }
    assert_eq!(street.neighbours.counts().sent, 12);
}

#[test]
fn a_flood_is_limited_in_rate_and_in_number() {
    let street = street(None);
    for host in 0..400_u32 {
        let from = format!("9.9.{}.{}:6771", host / 250, host % 250);
        street.hears(announce(6881, &[ours()]), &from);
    }
    street.steps(400);
    let taken = street.told().len();
    assert!(taken <= 52, "{taken} in one moment");
    assert_eq!(street.neighbours.counts().held_off + taken as u64, 400);
    for host in 0..1_200_u32 {
        let from = format!("8.9.{}.{}:6771", host / 250, host % 250);
        street.clock.advance(Duration::from_secs(1));
        street.hears(announce(6881, &[ours()]), &from);
        street.steps(1);
    }
    let taken = taken + street.told().len();
    assert_eq!(taken, usize::try_from(ADDRESSES_MAX).unwrap());
}
