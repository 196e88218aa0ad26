//! Real clients that the tool of 2015 could not measure, all in one swarm:
//! with encryption forced, with uTP only, with IPv6 only, known only to
//! another peer, behind address translation, and one that finishes while we
//! are connected; beside one that speaks plain TCP. libtorrent, transmission,
//! aria2 and opentracker are Debian packages.
//!
//! Two runs of the real program measure it at the same time with the default
//! settings: one calls and is called, one only calls. Whom they call and hear
//! is also recorded and read by another program (`tshark`).
//!
//! Transmission calls nobody on loopback, so all of it takes place in a
//! network of its own with other addresses, and the second run, the peer of
//! IPv6 and the one behind translation each in a network that is linked to it.
//! That needs root or user namespaces.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they saw"
)]

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::aria2::Aria2;
use common::btda_run::BtdaRun;
use common::capture::{Capture, EXTENDED, HAVE_NONE, PIECE, Packet, REQUEST};
use common::client::{Assignment, Client};
use common::contract::{Waiting, assert_contract};
use common::leecher::Leecher;
use common::libtorrent::{Libtorrent, Role};
use common::network::{self, Network, Side};
use common::results::{Crossing, Peer, Results, Visit};
use common::swarm::{Beginning, Swarm};
use common::torrent::TestTorrent;
use common::tracker6::Tracker6;
use common::transmission::Transmission;

/// 10.5 MB: with [`DOWNLOAD_LIMIT`] some 40 s.
const PIECES: u32 = 160;
const PIECE_LENGTH: u32 = 64 * 1024;

/// Bytes a second for each leecher.
const DOWNLOAD_LIMIT: u32 = 256 * 1024;

/// The downloads are over and everything is known by then; usually it takes
/// a minute.
const LIMIT: Duration = Duration::from_secs(240);

const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The run that calls and is called; everything of IPv4 that is not in a
/// network of its own has an address beside it.
const BOTH: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const BOTH_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// How the leecher of IPv6 sees it. The tracker is there too, so that it is
/// told the same address.
const BOTH_V6_LINK: Ipv6Addr = Ipv6Addr::new(0xfd79, 0, 0, 0, 0, 0, 0, 1);

/// The run that only calls.
const CALLING: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const CALLING_V6: Ipv6Addr = Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 2);

const TRACKER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const SEEDER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
const SEEDER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 3);
/// Whose traffic with everybody is recorded.
const PLAIN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 4);
const LEECHER_V6: Ipv6Addr = Ipv6Addr::new(0xfd79, 0, 0, 0, 0, 0, 0, 2);
const BEHIND_TRANSLATION: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

const PORT: u16 = 6911;

const CONFIG: &str = "
peer_evaluation_threads = 16
receive_message_max = 64
tracker_request_interval = 5
ignore_interval = true
statistic_interval = 10
bittorrent_listen_port = 6911

[visit]
budget_seconds = 6

[contact]
allow_private = true

[retry]
first_delay_seconds = 3
tracked_delay_seconds = 3
max_delay_seconds = 5
attempts = 50
";

/// How a client is to be met.
struct Expected {
    /// What it is, for the table.
    what: &'static str,
    transport: &'static str,
    /// `None` is that of who calls: it takes all.
    encryption: Option<&'static str>,
    known: Known,
}

/// How btda learns of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// From a tracker, or by its call.
    Tracker,
    /// From another peer.
    Exchange,
    /// Only by its call.
    Call,
}

const fn expected(what: &'static str, transport: &'static str) -> Expected {
    Expected {
        what,
        transport,
        encryption: Some("plain"),
        known: Known::Tracker,
    }
}

/// In the order in which they are started.
const EXPECTED: [Expected; 9] = [
    Expected {
        encryption: None,
        ..expected("plain TCP", "tcp")
    },
    expected("plain TCP, finishes while connected", "tcp"),
    Expected {
        encryption: Some("rc4"),
        ..expected("encryption forced, RC4 only", "tcp")
    },
    Expected {
        encryption: Some("mse-plain"),
        ..expected("encryption forced, plaintext only", "tcp")
    },
    Expected {
        encryption: Some("rc4"),
        ..expected("encryption required", "tcp")
    },
    expected("uTP only", "utp"),
    expected("IPv6 only", "tcp"),
    Expected {
        known: Known::Exchange,
        ..expected("known only to another peer", "tcp")
    },
    Expected {
        known: Known::Call,
        ..expected("behind address translation", "tcp")
    },
];

/// Places of some of them.
const PLAIN_TCP: usize = 0;
const FINISHES_IN_COMPANY: usize = 1;
const OVER_IPV6: usize = 6;

const IN_THE_CLEAR: Role = Role {
    encryption: "none",
    transport: "tcp",
    ..Role::LEECHER
};
/// Names its peers, and finishes only in the company of btda.
const COMPANY: Role = Role {
    name: "libtorrent-company",
    fingerprint: "-LO2080-",
    exchange: true,
    company: &["10.77.0.1"],
    ..IN_THE_CLEAR
};
const RC4: Role = Role {
    name: "libtorrent-rc4",
    fingerprint: "-LR2080-",
    encryption: "rc4",
    ..IN_THE_CLEAR
};
const PLAINTEXT: Role = Role {
    name: "libtorrent-plaintext",
    fingerprint: "-LP2080-",
    encryption: "plaintext",
    ..IN_THE_CLEAR
};
const UTP: Role = Role {
    name: "libtorrent-utp",
    fingerprint: "-LU2080-",
    transport: "utp",
    ..IN_THE_CLEAR
};
const IPV6: Role = Role {
    name: "libtorrent-ipv6",
    fingerprint: "-L62080-",
    ..IN_THE_CLEAR
};
const EXCHANGED: Role = Role {
    name: "libtorrent-exchanged",
    fingerprint: "-LX2080-",
    ..IN_THE_CLEAR
};
const TRANSLATED: Role = Role {
    name: "libtorrent-translated",
    fingerprint: "-LN2080-",
    ..IN_THE_CLEAR
};

#[test]
fn every_kind_of_client_is_confirmed() {
    network::run_inside("inside_a_network_of_its_own");
}

#[test]
#[ignore = "started by every_kind_of_client_is_confirmed in a network of its own"]
fn inside_a_network_of_its_own() {
    let mut world = World::start();
    let mut both = world.start_both();
    world
        .swarm
        .wait_until_known("btda", || both.assert_running());
    let mut calling = world.start_calling();
    world.start_leechers();
    let mut before = Vec::new();
    let what = "everybody is confirmed";
    world.swarm.sample_until(what, LIMIT, |swarm| {
        both.assert_running();
        calling.assert_running();
        let mut wanted = missing(swarm, &both, Switches::Both);
        wanted.extend(missing(swarm, &calling, Switches::Calling));
        if wanted.len() < 8 && wanted != before {
            println!("to come: {}", wanted.join(", "));
            before.clone_from(&wanted);
        }
        wanted.is_empty()
    });
    stop(&mut both);
    stop(&mut calling);
    // One more sample behind the last visit.
    world.swarm.sample();
    let recording = world.capture.take().expect("it was started").stop();
    println!("{}", world.swarm.report());

    let both = Measured::open(&both, Switches::Both, &world.swarm);
    let calling = Measured::open(&calling, Switches::Calling, &world.swarm);
    both.check();
    both.check_company();
    calling.check();
    print_table(&world.swarm, &both, &calling);
    let ports = [PORT, world.utp_port];
    check_packets(&recording.packets(&ports), &both, &calling);
}

fn stop(run: &mut BtdaRun) {
    let (status, _) = run.interrupt(STOP_LIMIT).expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "exit code of btda");
}

/// Fields are dropped in this order: programs, then their networks.
struct World {
    capture: Option<Capture>,
    /// Where the client of uTP only listens.
    utp_port: u16,
    swarm: Swarm,
    _tracker6: Tracker6,
    calling: Network,
    ipv6: Network,
    _router: Network,
    translated: Network,
    _folder: tempfile::TempDir,
}

impl World {
    /// Networks, recording, trackers and seeder.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let at = folder.path();
        network::take_into_use(&[(BOTH.into(), "10.77.0.0/16"), (BOTH_V6.into(), "fd77::/64")]);
        let [calling, ipv6, router, translated] = [(); 4].map(|()| Network::start(at));
        linked(
            &calling,
            "calling",
            &["10.78.0.1/24", "fd78::1/64"],
            &["10.78.0.2/24", "fd78::2/64"],
        );
        linked(&ipv6, "six", &["fd79::1/64"], &["fd79::2/64"]);
        linked(&router, "router", &["10.79.0.1/24"], &["10.79.0.2/24"]);
        network::link(
            &side(Some(&router), "inside", &["192.168.7.1/24"]),
            &side(Some(&translated), "outside", &["192.168.7.2/24"]),
        );
        calling.route_by("10.78.0.1");
        calling.route_by("fd78::1");
        ipv6.route_by("fd79::1");
        router.route_by("10.79.0.1");
        translated.route_by("192.168.7.1");
        router.translate("outside");
        network::forward(None);
        let hosts = ours().map(|address| format!("host {address}"));
        let filter = format!("{} or host {PLAIN}", hosts.join(" or "));
        let devices = ["lo", "calling", "six", "router"];
        let capture = Capture::start(at, &devices, &filter);
        let tracker6 = Tracker6::start(BOTH_V6_LINK);
        let swarm = Swarm::start(Beginning {
            tracker: TRACKER,
            torrents: vec![TestTorrent::generate("data.bin", 7, PIECES, PIECE_LENGTH)],
            further_trackers: &[tracker6.url()],
            seeder: Role::EITHER_SEEDER,
            seeder_addresses: &[SEEDER.into(), SEEDER_V6.into()],
        });
        Self {
            capture: Some(capture),
            utp_port: 0,
            swarm,
            _tracker6: tracker6,
            calling,
            ipv6,
            _router: router,
            translated,
            _folder: folder,
        }
    }

    fn start_both(&self) -> BtdaRun {
        let folder = self.swarm.subfolder("both");
        BtdaRun::start(&folder, &self.swarm.input(), CONFIG, &TIMES)
    }

    fn start_calling(&self) -> BtdaRun {
        let folder = self.swarm.subfolder("calling");
        let arguments = [&["-a"], &TIMES[..]].concat();
        BtdaRun::start_in(
            &self.calling,
            &folder,
            &self.swarm.input(),
            CONFIG,
            &arguments,
        )
    }

    fn start_leechers(&mut self) {
        let files = self.swarm.files.clone();
        let host = |n: u8| IpAddr::from(Ipv4Addr::new(10, 77, 0, n));
        let folder = self.swarm.subfolder("plain");
        let swarm = &mut self.swarm;
        swarm.add(Aria2::start(&leecher(PLAIN, &folder, &files)));
        let folder = swarm.subfolder("company");
        let company = Libtorrent::start(COMPANY, &leecher(host(5), &folder, &files));
        let named = [SocketAddr::new(host(5), company.port())];
        swarm.add(company);
        for (role, address) in [(RC4, host(6)), (PLAINTEXT, host(7))] {
            let folder = swarm.subfolder(role.name);
            swarm.add(Libtorrent::start(role, &leecher(address, &folder, &files)));
        }
        let folder = swarm.subfolder("transmission");
        let assignment = leecher(host(8), &folder, &files);
        swarm.add(Transmission::start_encrypted(&assignment));
        let folder = swarm.subfolder("utp");
        let utp = Libtorrent::start(UTP, &leecher(host(9), &folder, &files));
        self.utp_port = utp.port();
        swarm.add(utp);
        let folder = swarm.subfolder("ipv6");
        let assignment = Assignment {
            network: Some(&self.ipv6),
            ..leecher(LEECHER_V6, &folder, &files)
        };
        swarm.add(Libtorrent::start(IPV6, &assignment));
        let folder = swarm.subfolder("exchanged");
        let untracked = [folder.join("untracked.torrent")];
        fs::write(&untracked[0], swarm.torrents[0].file(&[])).expect("own folder");
        let assignment = Assignment {
            peers: &named,
            ..leecher(host(10), &folder, &untracked)
        };
        swarm.add(Libtorrent::start(EXCHANGED, &assignment));
        let folder = swarm.subfolder("translated");
        let assignment = Assignment {
            network: Some(&self.translated),
            ..leecher(BEHIND_TRANSLATION, &folder, &files)
        };
        swarm.add(Libtorrent::start(TRANSLATED, &assignment));
    }
}

const TIMES: [&str; 4] = ["--timeout", "2s", "--revisit-delay", "3s"];

fn leecher<'a>(
    address: impl Into<IpAddr>,
    folder: &'a Path,
    files: &'a [PathBuf],
) -> Assignment<'a> {
    Assignment {
        download_limit: DOWNLOAD_LIMIT,
        ..Assignment::new(address, folder, files)
    }
}

fn side<'a>(network: Option<&'a Network>, device: &'a str, addresses: &'a [&'a str]) -> Side<'a> {
    Side {
        network,
        device,
        addresses,
    }
}

/// Links `network` to that of the test.
fn linked(network: &Network, device: &str, here: &[&str], there: &[&str]) {
    let far = side(Some(network), "outside", there);
    network::link(&side(None, device, here), &far);
}

/// Addresses from which either run calls or answers.
fn ours() -> [IpAddr; 5] {
    [
        BOTH.into(),
        BOTH_V6.into(),
        BOTH_V6_LINK.into(),
        CALLING.into(),
        CALLING_V6.into(),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switches {
    /// `-ap`
    Both,
    /// `-a`
    Calling,
}

impl Switches {
    /// Whether such a run can meet a client that is `known` so.
    fn meets(self, known: Known) -> bool {
        self == Self::Both || known != Known::Call
    }

    /// Whether it must be called by one.
    fn is_called(self, known: Known) -> bool {
        self == Self::Both && known != Known::Exchange
    }
}

/// What `run` has yet to do: to confirm each leecher that it can meet, and to
/// meet it in every direction.
fn missing(swarm: &Swarm, run: &BtdaRun, switches: Switches) -> Vec<String> {
    let mut missing = Vec::new();
    for ((client, progress), expected) in swarm.leechers.iter().zip(&EXPECTED) {
        let torrent = &swarm.torrents[0];
        let mut wanted = |met: bool, what: &str| {
            if !met {
                missing.push(format!("{} {what} by {switches:?}", client.name()));
            }
        };
        let loaded = progress.timeline(torrent.hash()).latest();
        wanted(loaded == torrent.pieces(), "complete");
        if !switches.meets(expected.known) {
            continue;
        }
        let stored = stored(run, client.code(), &torrent.hash().to_string());
        let (confirmed, ways) = stored.unwrap_or_default();
        wanted(confirmed, "confirmed");
        let way = |direction: &str| ways.iter().any(|it| it == direction);
        if switches.is_called(expected.known) {
            wanted(way("incoming"), "heard");
        }
        if expected.known != Known::Call {
            wanted(way("outgoing"), "visited");
        }
    }
    missing
}

/// Whether the running btda has confirmed the client, and the directions of
/// its visits; `None` while it has no database.
fn stored(run: &BtdaRun, code: &str, hash: &str) -> Option<(bool, Vec<String>)> {
    let results = Results::open(&run.database()?).ok()?;
    let (id, threshold) = results.torrent(hash).ok()?;
    let peers = results.peers(code, id).ok()?;
    let confirmed = peers.iter().any(|peer| peer.is_confirmed(threshold));
    let mut ways = Vec::new();
    for peer in &peers {
        let visits = results.visits(peer.id).ok()?;
        ways.extend(visits.into_iter().map(|visit| visit.direction));
    }
    Some((confirmed, ways))
}

/// What a run has measured.
struct Measured<'a> {
    results: Results,
    switches: Switches,
    swarm: &'a Swarm,
}

impl<'a> Measured<'a> {
    fn open(run: &BtdaRun, switches: Switches, swarm: &'a Swarm) -> Self {
        let database = run.database().expect("btda left a database");
        assert_contract(&database, Waiting::Nobody);
        Self {
            results: Results::open(&database).expect("database can be read"),
            switches,
            swarm,
        }
    }

    fn number(&self, sql: &str) -> i64 {
        self.results.number(sql, ()).expect("results can be read")
    }

    fn peers(&self, client: &dyn Client) -> Vec<Peer> {
        let hash = self.swarm.torrents[0].hash().to_string();
        let (id, _) = self.results.torrent(&hash).expect("torrent is stored");
        let peers = self.results.peers(client.code(), id);
        peers.expect("peers can be read")
    }

    fn visits(&self, client: &dyn Client) -> Vec<Visit> {
        let peers = self.peers(client);
        let visits = peers.iter().map(|peer| self.results.visits(peer.id));
        visits
            .flat_map(|it| it.expect("visits can be read"))
            .collect()
    }

    fn crossings(&self, client: &dyn Client) -> Vec<Crossing> {
        let peers = self.peers(client);
        let crossings = peers.iter().map(|peer| self.results.crossings(peer.id));
        crossings
            .flat_map(|it| it.expect("crossings can be read"))
            .collect()
    }

    /// Every client that such a run can meet is confirmed, and was met in the
    /// way that it demands and no other.
    fn check(&self) {
        let hash = self.swarm.torrents[0].hash();
        for ((client, progress), expected) in self.swarm.leechers.iter().zip(&EXPECTED) {
            let client = client.as_ref();
            let visits = self.visits(client);
            let label = format!("{}, {:?}", client.name(), self.switches);
            if !self.switches.meets(expected.known) {
                assert_eq!(visits.len(), 0, "{label}: {visits:?}");
                continue;
            }
            let timeline = progress.timeline(hash);
            Leecher::read(&self.results, client, hash, &timeline).check("tracker");
            for visit in &visits {
                assert_eq!(visit.transport, expected.transport, "{label}: {visit:?}");
                let right = expected.encryption.is_none_or(|it| it == visit.encryption);
                assert!(right, "{label}: {visit:?}");
                let called = visit.direction == "incoming";
                assert!(
                    !called || self.switches == Switches::Both,
                    "{label}: {visit:?}"
                );
                let may_be_called = expected.known != Known::Call;
                assert!(called || may_be_called, "{label}: {visit:?}");
            }
            // Others may call first.
            let first = visits.first().map(|visit| visit.direction.as_str());
            if expected.known == Known::Exchange {
                assert_eq!(first, Some("outgoing"), "{label}: {visits:?}");
            }
        }
        self.check_origins();
        self.check_seeder();
        self.check_plain();
    }

    /// Who demands nothing was mostly called in the clear, which is tried
    /// first. A client that turned a call away, which busy ones do, may have
    /// been reached in another way from then on.
    fn check_plain(&self) {
        let (client, _) = &self.swarm.leechers[PLAIN_TCP];
        let visits = self.visits(client.as_ref());
        let contacts = visits.iter().filter(|visit| visit.direction == "outgoing");
        let ways: Vec<&str> = contacts.map(|visit| visit.encryption.as_str()).collect();
        let plain = ways.iter().filter(|way| **way == "plain").count();
        assert!(plain * 2 > ways.len(), "{}: {ways:?}", client.name());
    }

    /// Who was named by another peer, and who has an IPv6 address.
    fn check_origins(&self) {
        for (nth, ((client, _), expected)) in self.swarm.leechers.iter().zip(&EXPECTED).enumerate()
        {
            for peer in self.peers(client.as_ref()) {
                let id = peer.id;
                let of = |table: &str| format!("SELECT count(*) FROM {table} WHERE peer = {id}");
                let exchanged = self.number(&(of("origin") + " AND origin = 'pex'"));
                let label = format!("{}, {:?}", client.name(), self.switches);
                let only = expected.known == Known::Exchange;
                assert!(exchanged == 1 || !only, "{label}: {peer:?}");
                let sixth = self.number(&of("peer_ipv6"));
                assert_eq!(sixth, i64::from(nth == OVER_IPV6), "{label}: {peer:?}");
            }
        }
        let received = "SELECT sum(received_peers) FROM exchange";
        assert!(self.number(received) > 0, "nobody was named by a peer");
    }

    /// The seeder was found complete in every visit, over both families.
    fn check_seeder(&self) {
        let seeder = &self.swarm.seeder;
        let visits = self.visits(seeder);
        let complete = visits.iter().all(|visit| visit.pieces == PIECES);
        assert!(complete, "{visits:?}");
        let ids: Vec<i64> = self.peers(seeder).iter().map(|peer| peer.id).collect();
        let sixth = ids
            .iter()
            .map(|id| self.number(&format!("SELECT count(*) FROM peer_ipv6 WHERE peer = {id}")));
        let sixth = usize::try_from(sixth.sum::<i64>()).expect("few peers");
        assert!(0 < sixth && sixth < ids.len(), "{sixth} of {}", ids.len());
    }

    /// The client that finishes while we are connected was seen below and at
    /// the threshold in one visit.
    fn check_company(&self) {
        let (client, _) = &self.swarm.leechers[FINISHES_IN_COMPANY];
        let visits = self.visits(client.as_ref());
        for crossing in self.crossings(client.as_ref()) {
            let within = |visit: &&Visit| {
                visit.began_ms <= crossing.last_below_ms && crossing.first_at_ms <= visit.ended_ms
            };
            let seen = visits.iter().find(within);
            assert!(seen.is_some(), "{crossing:?}: {visits:?}");
        }
    }

    fn count(&self, transport: &str, encryption: &str) -> usize {
        let sql = "SELECT count(*) FROM visit WHERE transport = ?1 AND encryption = ?2";
        let count = self.results.number(sql, (transport, encryption));
        usize::try_from(count.expect("visits can be read")).expect("not negative")
    }
}

/// Prints what was measured as the table of the README.
fn print_table(swarm: &Swarm, both: &Measured, calling: &Measured) {
    println!(
        "| Client | What it is | Transport | Encryption | We called | It called | \
         Bracket, `-ap` | Bracket, `-a` |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for ((client, _), expected) in swarm.leechers.iter().zip(&EXPECTED) {
        let client = client.as_ref();
        let mut visits = both.visits(client);
        visits.extend(calling.visits(client));
        let count = |direction: &str| visits.iter().filter(|it| it.direction == direction).count();
        let mut ways: Vec<&str> = visits.iter().map(|it| it.encryption.as_str()).collect();
        ways.sort_unstable();
        ways.dedup();
        let name = both.results.text(
            "SELECT e.client FROM extension_handshake e JOIN visit v ON v.id = e.visit
             JOIN peer p ON p.id = v.peer WHERE p.client = ?1 AND e.client <> '' LIMIT 1",
            [client.code()],
        );
        println!(
            "| {} | {} | `{}` | `{}` | {} | {} | {} | {} |",
            name.unwrap_or_else(|_| client.name().to_owned()),
            expected.what,
            expected.transport,
            ways.join("`, `"),
            count("outgoing"),
            count("incoming"),
            bracket(&both.crossings(client)),
            bracket(&calling.crossings(client)),
        );
    }
}

/// Length of the narrowest bracket.
fn bracket(crossings: &[Crossing]) -> String {
    let lengths = crossings.iter().map(|it| it.first_at_ms - it.last_below_ms);
    lengths
        .min()
        .map_or("none".to_owned(), |it| format!("{it} ms"))
}

/// The dissector saw every visit in the clear, and in none of them a request
/// or a piece from us, though it saw those of others.
fn check_packets(packets: &[Packet], both: &Measured, calling: &Measured) {
    let (from_us, from_others): (Vec<&Packet>, Vec<&Packet>) =
        packets.iter().partition(|it| ours().contains(&it.from));
    let count = |packets: &[&Packet], kind: u32| {
        let messages = packets.iter().flat_map(|it| &it.messages);
        messages.filter(|it| **it == kind).count()
    };
    for kind in [REQUEST, PIECE] {
        assert_eq!(count(&from_us, kind), 0, "type {kind} from us");
        assert!(count(&from_others, kind) > 0, "no type {kind} from others");
    }
    for kind in [HAVE_NONE, EXTENDED] {
        assert!(count(&from_us, kind) > 0, "no type {kind} from us");
    }
    let unclear = from_us.iter().filter(|it| it.unclear).count();
    assert_eq!(unclear, 0, "bytes from us that are no message");
    for (utp, transport) in [(false, "tcp"), (true, "utp")] {
        let ways = from_us.iter().filter(|it| it.utp == utp);
        let handshakes: usize = ways.map(|it| it.handshakes).sum();
        let visits = [both, calling].map(|run| run.count(transport, "plain"));
        let visits: usize = visits.iter().sum();
        println!("{transport} in the clear: {visits} visits, {handshakes} handshakes recorded");
        assert!(
            handshakes >= visits,
            "{handshakes} of {visits} over {transport}"
        );
    }
    println!(
        "recorded from us: {} have none, {} extended, 0 request, 0 piece; from others {} request, {} piece",
        count(&from_us, HAVE_NONE),
        count(&from_us, EXTENDED),
        count(&from_others, REQUEST),
        count(&from_others, PIECE),
    );
}
