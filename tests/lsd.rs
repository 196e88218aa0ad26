//! Local service discovery (BEP 14) with the real program and libtorrent: two
//! that know of each other by multicast only. In a network of its own, which
//! needs root or user namespaces.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use btda::lab::wire;
use btda::model::InfoHash;
use btda::protocol::lsd::{Announce, GROUP_V6};
use common::client::{Assignment, Client};
use common::libtorrent::{Libtorrent, Role};
use common::network;
use common::process::program;
use common::torrent::TestTorrent;
use common::trial::{STOP_LIMIT, Setup, Trial};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const PIECES: u32 = 40;

/// btda's and libtorrent's.
const OWN: &str = "10.77.0.1";
const RANGE: &str = "10.77.0.0/16";
const SEEDER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Whose announces over IPv6 come from an interface of their own.
const NEIGHBOUR6: &str = "fd77::2";

#[test]
fn neighbours_find_each_other() {
    network::run_inside("inside_a_network_of_its_own");
}

fn ip(arguments: &[&str]) {
    let mut ip = program("ip", "iproute2", Path::new("/"));
    let output = ip.args(arguments).output().expect("ip runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {errors}");
}

/// Multicast on loopback (which IPv6 does not do) and on a pair of interfaces.
fn prepare() {
    let own: Ipv4Addr = OWN.parse().expect("an address");
    network::take_into_use(&[(own.into(), RANGE)]);
    ip(&["link", "set", "lo", "multicast", "on"]);
    ip(&["route", "add", "224.0.0.0/4", "dev", "lo"]);
    ip(&["link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
    ip(&["link", "set", "v0", "up"]);
    ip(&["link", "set", "v1", "up"]);
    let neighbour = format!("{NEIGHBOUR6}/64");
    ip(&["-6", "addr", "add", &neighbour, "dev", "v0", "nodad"]);
}

/// Announces on the interface that has [`NEIGHBOUR6`].
struct Announcer(Socket);

impl Announcer {
    fn new() -> Self {
        let text = fs::read_to_string("/proc/net/if_inet6").expect("the kernel lists them");
        let line = text.lines().find(|line| line.ends_with("v0")).expect("v0");
        let index = line.split_whitespace().nth(1).expect("its index");
        let index = u32::from_str_radix(index, 16).expect("hexadecimal");
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP));
        let socket = socket.expect("a socket");
        let own: SocketAddr = format!("[{NEIGHBOUR6}]:0").parse().expect("an address");
        socket.bind(&SockAddr::from(own)).expect("its address");
        socket.set_multicast_if_v6(index).expect("its interface");
        Self(socket)
    }

    fn announce(&self, port: u16, torrent: InfoHash) {
        let announce = Announce {
            port,
            torrents: vec![torrent],
            cookie: None,
        };
        let datagram = announce.encode(GROUP_V6);
        let sent = self.0.send_to(&datagram, &SockAddr::from(GROUP_V6));
        sent.expect("the group can be reached");
    }
}

/// Listens at [`NEIGHBOUR6`] until the test ends and has everything; its port.
fn complete_peer() -> u16 {
    let listener = TcpListener::bind(format!("[{NEIGHBOUR6}]:0")).expect("its address");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("somebody calls");
            let mut theirs = [0; 68];
            // Who hangs up is not talked to.
            if stream.read_exact(&mut theirs).is_ok() {
                theirs[48..].copy_from_slice(b"-N60001-abcdefghijkl");
                let bits = wire::bitfield(&wire::bits(PIECES, 0..PIECES));
                // The extensions of the caller are none of ours.
                theirs[20..28].fill(0);
                let _ = stream.write_all(&[&theirs[..], &bits].concat());
            }
        }
    });
    port
}

fn found(trial: &Trial, and: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM peer JOIN origin ON origin.peer = peer.id
         WHERE origin = 'lsd' AND source = 'tracker' AND first_pieces = {PIECES} AND {and}"
    );
    trial.number(&sql) == 1
}

#[test]
#[ignore = "started by neighbours_find_each_other in a network of its own"]
fn inside_a_network_of_its_own() {
    prepare();
    let torrent = TestTorrent::generate("data.bin", 14, PIECES, 16 * 1024);
    let setup = Setup::new();
    let file = setup.folder().join("input/data.torrent");
    fs::write(&file, torrent.file(&[])).expect("torrent can be written");
    let folder = setup.folder().join("seeder");
    fs::create_dir(&folder).expect("folder can be made");
    fs::write(folder.join(torrent.name), &torrent.data).expect("data can be written");
    let port = complete_peer();
    let own = format!("\"{OWN}\"");
    let keys = [("listen.address", own.as_str()), ("lsd.enabled", "true")];
    let mut trial = setup.config(&keys).start();
    trial.wait_for("listening on port ");
    let files = [file];
    let seeder = Assignment::new(SEEDER, &folder, &files);
    let mut seeder = Libtorrent::start(Role::LSD_SEEDER, &seeder);
    trial.wait_until("libtorrent is found", |trial| {
        found(trial, "peer.id NOT IN (SELECT peer FROM peer_ipv6)")
    });
    let announcer = Announcer::new();
    trial.wait_until("the neighbour over IPv6 is found", |trial| {
        announcer.announce(port, torrent.hash());
        found(trial, "peer.id IN (SELECT peer FROM peer_ipv6)")
    });
    seeder.assert_running();
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    let exchange = "FROM exchange WHERE origin = 'lsd'";
    let unique = trial.number(&format!(
        "SELECT sum(received_peers - duplicate_peers) {exchange}"
    ));
    assert_eq!(unique, 2);
    assert_ne!(trial.fact("lsd_sent"), "0");
    assert_eq!(trial.fact("lsd_malformed"), "0");
    trial.assert_contract();
}
