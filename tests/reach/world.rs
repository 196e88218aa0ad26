//! The networks, the programs in them, and where everybody is.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clients::{
    COMPANY, EXCHANGED, IPV6, PLAINTEXT, RC4, Switches, TRANSLATED, UTP, UTP_IPV6,
};
use super::common::aria2::Aria2;
use super::common::btda_run::BtdaRun;
use super::common::capture::Capture;
use super::common::client::Assignment;
use super::common::libtorrent::{Libtorrent, Role};
use super::common::network::{self, Network, Side};
use super::common::process::wait_until;
use super::common::swarm::{Beginning, Swarm};
use super::common::torrent::TestTorrent;
use super::common::tracker6::Tracker6;
use super::common::transmission::Transmission;

/// 10.5 MB: with [`DOWNLOAD_LIMIT`] some 40 s.
pub(crate) const PIECES: u32 = 160;
pub(crate) const PIECE_LENGTH: u32 = 64 * 1024;

/// Bytes a second for each leecher.
pub(crate) const DOWNLOAD_LIMIT: u32 = 256 * 1024;

/// The run that calls and is called; everything of IPv4 that is not in a
/// network of its own has an address beside it.
pub(crate) const BOTH: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const BOTH_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// How the leecher of IPv6 sees it. The tracker is there too, so that it is
/// told the same address.
pub(crate) const BOTH_V6_LINK: Ipv6Addr = Ipv6Addr::new(0xfd79, 0, 0, 0, 0, 0, 0, 1);

/// The run that is only called.
pub(crate) const CALLED: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 2);
pub(crate) const CALLED_V6: Ipv6Addr = Ipv6Addr::new(0xfd76, 0, 0, 0, 0, 0, 0, 2);

/// The run that only calls.
pub(crate) const CALLING: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
pub(crate) const CALLING_V6: Ipv6Addr = Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 2);

pub(crate) const TRACKER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const SEEDER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
pub(crate) const SEEDER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 3);
/// Whose traffic with everybody is recorded.
pub(crate) const PLAIN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 4);
pub(crate) const LEECHER_V6: Ipv6Addr = Ipv6Addr::new(0xfd79, 0, 0, 0, 0, 0, 0, 2);
pub(crate) const UTP_LEECHER_V6: Ipv6Addr = Ipv6Addr::new(0xfd79, 0, 0, 0, 0, 0, 0, 3);
pub(crate) const BEHIND_TRANSLATION: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

pub(crate) const PORT: u16 = 6911;

/// How long the first announces may take.
pub(crate) const KNOWN_LIMIT: Duration = Duration::from_secs(30);

pub(crate) const CONFIG: &str = "
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

/// Fields are dropped in this order: programs, then their networks.
pub(crate) struct World {
    pub(crate) capture: Option<Capture>,
    /// Where the clients of uTP only listen.
    pub(crate) utp_ports: Vec<u16>,
    pub(crate) swarm: Swarm,
    tracker6: Tracker6,
    pub(crate) called: Network,
    pub(crate) calling: Network,
    pub(crate) ipv6: Network,
    _router: Network,
    pub(crate) translated: Network,
    _folder: tempfile::TempDir,
}

impl World {
    /// Networks, recording, trackers and seeder.
    pub(crate) fn begin() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let at = folder.path();
        network::take_into_use(&[(BOTH.into(), "10.77.0.0/16"), (BOTH_V6.into(), "fd77::/64")]);
        let [called, calling, ipv6, router, translated] = [(); 5].map(|()| Network::start(at));
        linked(
            &called,
            "called",
            &["10.76.0.1/24", "fd76::1/64"],
            &["10.76.0.2/24", "fd76::2/64"],
        );
        linked(
            &calling,
            "calling",
            &["10.78.0.1/24", "fd78::1/64"],
            &["10.78.0.2/24", "fd78::2/64"],
        );
        linked(&ipv6, "six", &["fd79::1/64"], &["fd79::2/64", "fd79::3/64"]);
        linked(&router, "router", &["10.79.0.1/24"], &["10.79.0.2/24"]);
        network::link(
            &side(Some(&router), "inside", &["192.168.7.1/24"]),
            &side(Some(&translated), "outside", &["192.168.7.2/24"]),
        );
        called.route_by("10.76.0.1");
        called.route_by("fd76::1");
        calling.route_by("10.78.0.1");
        calling.route_by("fd78::1");
        ipv6.route_by("fd79::1");
        router.route_by("10.79.0.1");
        translated.route_by("192.168.7.1");
        router.translate("outside");
        network::forward(None);
        let hosts = ours().map(|address| format!("host {address}"));
        let filter = format!("{} or host {PLAIN}", hosts.join(" or "));
        let devices = ["lo", "called", "calling", "six", "router"];
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
            utp_ports: Vec::new(),
            swarm,
            tracker6,
            called,
            calling,
            ipv6,
            _router: router,
            translated,
            _folder: folder,
        }
    }

    pub(crate) fn start(&self, switches: Switches) -> BtdaRun {
        let (name, network) = match switches {
            Switches::Called => ("called", Some(&self.called)),
            Switches::Calling => ("calling", Some(&self.calling)),
            Switches::Both => ("both", None),
        };
        let folder = self.swarm.subfolder(name);
        let input = self.swarm.input();
        let (config, times) = match switches {
            Switches::Both | Switches::Called => (CONFIG.to_owned(), TIMES),
            Switches::Calling => (format!("{CONFIG}{STAYS}"), TIMES_OF_STAYS),
        };
        let arguments = [&[switches.argument()], &times[..]].concat();
        match network {
            Some(network) => BtdaRun::start_in(network, &folder, &input, &config, &arguments),
            None => BtdaRun::start_as(arguments[0], &folder, &input, &config, &times),
        }
    }

    /// Waits until both trackers name those who can be called to everybody
    /// who comes.
    pub(crate) fn wait_until_known(&self, runs: &mut [BtdaRun]) {
        let count = i64::try_from(runs.len()).expect("few");
        let hash = self.swarm.torrents[0].hash();
        wait_until("the trackers know all runs", KNOWN_LIMIT, || {
            runs.iter_mut().for_each(BtdaRun::assert_running);
            self.swarm.tracker.scrape(hash).incomplete == count && self.tracker6.knows(CALLED_V6)
        });
    }

    pub(crate) fn start_leechers(&mut self) {
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
        self.utp_ports.push(utp.port());
        swarm.add(utp);
        for (role, address) in [(IPV6, LEECHER_V6), (UTP_IPV6, UTP_LEECHER_V6)] {
            let folder = swarm.subfolder(role.name);
            let assignment = Assignment {
                network: Some(&self.ipv6),
                ..leecher(address, &folder, &files)
            };
            let client = Libtorrent::start(role, &assignment);
            if role.transport == "utp" {
                self.utp_ports.push(client.port());
            }
            swarm.add(client);
        }
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

/// A visit to a client that holds its download back must not end before it
/// has gone on: see the driver of libtorrent.
pub(crate) const TIMES: [&str; 4] = ["--timeout", "3s", "--revisit-delay", "3s"];

/// The run that only calls comes seldom, and then stays or looks.
const STAYS: &str = "
[revisit]
observe = \"stay\"
";
const TIMES_OF_STAYS: [&str; 4] = ["--timeout", "3s", "--revisit-delay", "8s"];

pub(crate) fn leecher<'a>(
    address: impl Into<IpAddr>,
    folder: &'a Path,
    files: &'a [PathBuf],
) -> Assignment<'a> {
    Assignment {
        download_limit: DOWNLOAD_LIMIT,
        ..Assignment::new(address, folder, files)
    }
}

pub(crate) fn side<'a>(
    network: Option<&'a Network>,
    device: &'a str,
    addresses: &'a [&'a str],
) -> Side<'a> {
    Side {
        network,
        device,
        addresses,
    }
}

/// Links `network` to that of the test.
pub(crate) fn linked(network: &Network, device: &str, here: &[&str], there: &[&str]) {
    let far = side(Some(network), "outside", there);
    network::link(&side(None, device, here), &far);
}

/// Addresses from which any run calls or answers.
pub(crate) fn ours() -> [IpAddr; 7] {
    [
        BOTH.into(),
        BOTH_V6.into(),
        BOTH_V6_LINK.into(),
        CALLED.into(),
        CALLED_V6.into(),
        CALLING.into(),
        CALLING_V6.into(),
    ]
}
