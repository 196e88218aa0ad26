//! Metadata from peers on loopback that give them well or badly.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use btda::clock::{Clock, SystemClock};
use btda::deadline::Deadline;
use btda::model::{InfoHash, PeerAddress, PeerId};
use btda::net::tcp::{SocketRegister, TcpConnector};
use btda::stop::{StopTrigger, stop_pair};
use btda::torrent::metadata::{
    FetchContext, FetchFailure, FetchSettings, Fetcher, METADATA_SIZE_MAX,
};
use common::metadata_peer::{BLOCK, Manner, MetadataPeer};
use common::process::wait_until;
use common::torrent::TestTorrent;
use crossbeam_channel::unbounded;

const LONG: Duration = Duration::from_secs(120);

/// A fetcher with its sockets and the end of its run.
struct World {
    fetcher: Fetcher,
    sockets: Arc<SocketRegister>,
    trigger: StopTrigger,
}

impl World {
    fn new(change: impl FnOnce(&mut FetchSettings)) -> Self {
        let sockets: Arc<SocketRegister> = Arc::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (trigger, stop) = stop_pair();
        let mut settings = FetchSettings {
            retry_delay: Duration::from_millis(1),
            quiet_timeout: LONG,
            budget: LONG,
            ..FetchSettings::default()
        };
        change(&mut settings);
        let connect = TcpConnector::new(Arc::clone(&sockets), Arc::clone(&clock));
        let context = FetchContext {
            clock,
            stop,
            own_id: PeerId::new([b'o'; 20]),
            settings,
        };
        let fetcher = Fetcher {
            connect: Arc::new(connect),
            context,
        };
        Self {
            fetcher,
            sockets,
            trigger,
        }
    }

    /// Fetches from these peers, all known at once, with no others to come.
    fn fetch(&self, hash: InfoHash, peers: &[&MetadataPeer]) -> Result<Vec<u8>, FetchFailure> {
        let (send, receive) = unbounded();
        for peer in peers {
            let address = PeerAddress::from(peer.address());
            send.send(address).expect("receiver is there");
        }
        drop(send);
        let deadline = Deadline::after(self.fetcher.context.clock.now(), LONG);
        let result = self.fetcher.run(hash, &receive, deadline);
        for peer in peers {
            peer.assert_only_extended();
        }
        result
    }
}

/// Metadata of `blocks` blocks, the last one short, and their hash.
fn metadata(blocks: usize) -> (Vec<u8>, InfoHash) {
    let bytes: Vec<u8> = (0..(blocks - 1) * BLOCK + 77)
        .map(|index| u8::try_from(index % 241).expect("small"))
        .collect();
    let hash = InfoHash::of(&bytes);
    (bytes, hash)
}

fn peer(metadata: &(Vec<u8>, InfoHash), manner: Manner) -> MetadataPeer {
    MetadataPeer::start(*metadata.1.as_bytes(), &metadata.0, manner)
}

#[test]
fn a_good_peer_is_enough() {
    for blocks in [1, 2, 40] {
        let wanted = metadata(blocks);
        let good = peer(&wanted, Manner::Good);
        let world = World::new(|_| ());
        assert_eq!(world.fetch(wanted.1, &[&good]), Ok(wanted.0));
        assert_eq!(good.connections(), 1);
        wait_until("the conversation is over", LONG, || {
            world.sockets.open() == 0
        });
    }
}

#[test]
fn two_peers_give_half_each() {
    let wanted = metadata(11);
    let halves = [0, 1].map(|half| peer(&wanted, Manner::Half(half)));
    let world = World::new(|_| ());
    let result = world.fetch(wanted.1, &[&halves[0], &halves[1]]);
    assert_eq!(result, Ok(wanted.0));
}

#[test]
fn peers_that_give_nothing_have_their_attempts() {
    let wanted = metadata(3);
    let world = World::new(|settings| settings.attempts = 2);
    let rejecting = peer(&wanted, Manner::Rejects);
    let result = world.fetch(wanted.1, &[&rejecting]);
    assert_eq!(result, Err(FetchFailure::NoMorePeers { asked: 1 }));
    assert_eq!(rejecting.connections(), 2);
    let closing = peer(&wanted, Manner::ClosesMidway);
    // Each attempt brings a block, but two are not enough for three.
    let result = world.fetch(wanted.1, &[&closing]);
    assert_eq!(result, Err(FetchFailure::NoMorePeers { asked: 1 }));
    let world = World::new(|settings| settings.attempts = 3);
    let closing = peer(&wanted, Manner::ClosesMidway);
    assert_eq!(world.fetch(wanted.1, &[&closing]), Ok(wanted.0));
    assert_eq!(closing.connections(), 3);
}

#[test]
fn liars_are_not_asked_again() {
    let wanted = metadata(3);
    let size = i64::try_from(wanted.0.len()).expect("fits");
    let too_large = i64::try_from(METADATA_SIZE_MAX).expect("fits") + 1;
    let world = World::new(|settings| settings.attempts = 3);
    for (manner, connections) in [
        (Manner::Spoils, 1),
        (Manner::LiesAboutSize(size), 1),
        (Manner::LiesAboutSize(size + 1), 1),
        (Manner::LiesAboutSize(5), 1),
        (Manner::LiesAboutSize(too_large), 3),
        (Manner::LiesAboutSize(-1), 3),
    ] {
        let liar = peer(&wanted, manner);
        let result = world.fetch(wanted.1, &[&liar]);
        assert_eq!(
            result,
            Err(FetchFailure::NoMorePeers { asked: 1 }),
            "{manner:?}"
        );
        assert_eq!(liar.connections(), connections, "{manner:?}");
    }
}

#[test]
fn a_good_peer_wins_against_all_others() {
    let wanted = metadata(13);
    let size = i64::try_from(wanted.0.len()).expect("fits");
    let others = [
        Manner::Spoils,
        Manner::Drips,
        Manner::LiesAboutSize(size),
        Manner::LiesAboutSize(40_000),
        Manner::Silent(size),
        Manner::Rejects,
        Manner::ClosesMidway,
    ]
    .map(|manner| peer(&wanted, manner));
    let good = peer(&wanted, Manner::Good);
    let world = World::new(|_| ());
    let mut all: Vec<&MetadataPeer> = others.iter().collect();
    all.push(&good);
    assert_eq!(world.fetch(wanted.1, &all), Ok(wanted.0));
}

#[test]
fn silent_and_dripping_peers_cost_limited_time() {
    let wanted = metadata(3);
    let world = World::new(|settings| {
        settings.attempts = 1;
        settings.quiet_timeout = Duration::from_millis(200);
        settings.budget = Duration::from_secs(1);
    });
    let peers = [Manner::Drips, Manner::Silent(1000)].map(|manner| peer(&wanted, manner));
    let result = world.fetch(wanted.1, &[&peers[0], &peers[1]]);
    assert_eq!(result, Err(FetchFailure::NoMorePeers { asked: 2 }));
}

#[test]
fn the_end_of_the_run_ends_it() {
    let wanted = metadata(3);
    let silent = peer(&wanted, Manner::Silent(1000));
    let world = World::new(|_| ());
    std::thread::scope(|scope| {
        let result = scope.spawn(|| world.fetch(wanted.1, &[&silent]));
        wait_until("the peer is called", LONG, || silent.connections() == 1);
        world.trigger.stop();
        let result = result.join().expect("no panic");
        assert_eq!(result, Err(FetchFailure::Stopped));
    });
    wait_until("the conversation is over", LONG, || {
        world.sockets.open() == 0
    });
}

#[test]
fn peers_may_come_later() {
    let torrent = TestTorrent::generate("later.bin", 5, 3, 16 * 1024);
    let file = torrent.file(&["udp://t.example:1".to_owned()]);
    let at = file
        .windows(6)
        .position(|six| six == b"4:info")
        .expect("info");
    let info = &file[at + 6..file.len() - 1];
    assert_eq!(InfoHash::of(info), torrent.hash());
    let good = MetadataPeer::start(*torrent.hash().as_bytes(), info, Manner::Good);
    let world = World::new(|_| ());
    let (send, receive) = unbounded();
    let deadline = Deadline::after(world.fetcher.context.clock.now(), LONG);
    std::thread::scope(|scope| {
        let run = || world.fetcher.run(torrent.hash(), &receive, deadline);
        let result = scope.spawn(run);
        send.send(good.address().into()).expect("receiver is there");
        assert_eq!(result.join().expect("no panic").as_deref(), Ok(info));
    });
}
