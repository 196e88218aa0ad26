//! Metadata from real clients: seeders of libtorrent, transmission and aria2
//! on loopback give the info dictionary of their torrent to our fetcher.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::{Clock, SystemClock};
use btda::deadline::Deadline;
use btda::model::{PeerAddress, PeerId};
use btda::net::tcp::{SocketRegister, TcpConnector};
use btda::stop::stop_pair;
use btda::torrent::magnet::Magnet;
use btda::torrent::metadata::{FetchContext, FetchSettings, Fetcher, MetadataCache};
use btda::torrent::metainfo::Metainfo;
use common::aria2::Aria2;
use common::client::{Assignment, Client};
use common::libtorrent::{Libtorrent, Role};
use common::torrent::TestTorrent;
use common::transmission::Transmission;
use crossbeam_channel::unbounded;

const LIMIT: Duration = Duration::from_secs(60);

/// A seeder of any kind, by its address and port.
type Start = fn(&Assignment) -> (Box<dyn Client>, u16);

#[test]
fn libtorrent_gives_its_metadata() {
    gives_its_metadata(1, |assignment| {
        let session = Libtorrent::start(Role::SEEDER, assignment);
        let port = session.port();
        (Box::new(session), port)
    });
}

#[test]
fn transmission_gives_its_metadata() {
    gives_its_metadata(2, |assignment| {
        let mut daemon = Transmission::start(assignment);
        daemon.wait_until_seeding();
        let port = daemon.port();
        (Box::new(daemon), port)
    });
}

#[test]
fn aria2_gives_its_metadata() {
    gives_its_metadata(3, |assignment| {
        let aria2 = Aria2::start(assignment);
        let port = aria2.port();
        (Box::new(aria2), port)
    });
}

fn gives_its_metadata(host: u8, start: Start) {
    let address = Ipv4Addr::new(127, 0, 5, host);
    let folder = tempfile::tempdir().expect("temporary folder can be made");
    // 2,000 hashes are three blocks.
    let torrent = TestTorrent::generate("real.bin", 7, 2000, 16 * 1024);
    fs::write(folder.path().join(torrent.name), &torrent.data).expect("data can be written");
    let file = folder.path().join("real.torrent");
    let trackers = ["http://127.0.5.1:9/announce".to_owned()];
    fs::write(&file, torrent.file(&trackers)).expect("file can be written");
    let (_seeder, port) = start(&Assignment::new(address, folder.path(), &[file]));

    let link = format!(
        "magnet:?xt=urn:btih:{}&x.pe={address}:{port}",
        torrent.hash()
    );
    let magnet = Magnet::parse(&link).expect("a good link");
    let peer = &magnet.peers[0];
    let ip: IpAddr = peer.host.parse().expect("an address");
    let (send, peers) = unbounded();
    send.send(PeerAddress::new(ip, peer.port))
        .expect("receiver is there");
    // The client may still be checking its files: it is asked again.
    let info = fetch(&magnet, &peers);

    let metainfo = Metainfo::from_info(&info, magnet.trackers).expect("a good torrent");
    assert_eq!(metainfo.info_hash, torrent.hash());
    assert_eq!(metainfo.pieces.0, torrent.pieces());
    assert_eq!(metainfo.display_name.as_deref(), Some(torrent.name));
    let cache = MetadataCache::new(folder.path().join("kept"));
    let kept = cache.store(torrent.hash(), &info, &metainfo.trackers);
    assert!(kept.is_ok());
    assert_eq!(cache.load(torrent.hash()), Some(metainfo));
}

fn fetch(magnet: &Magnet, peers: &crossbeam_channel::Receiver<PeerAddress>) -> Vec<u8> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sockets: Arc<SocketRegister> = Arc::default();
    let (_trigger, stop) = stop_pair();
    let fetcher = Fetcher {
        connect: Arc::new(TcpConnector::new(sockets, Arc::clone(&clock))),
        context: FetchContext {
            clock: Arc::clone(&clock),
            stop,
            own_id: PeerId::new(*b"-XX0000-metadatatest"),
            settings: FetchSettings {
                retry_delay: Duration::from_millis(200),
                attempts: u8::MAX,
                dht: true,
                ..FetchSettings::default()
            },
        },
    };
    let deadline = Deadline::after(clock.now(), LIMIT);
    let result = fetcher.run(magnet.info_hashes[0], peers, deadline);
    result.expect("the client gives the metadata")
}
