//! Checked values made from the configuration and the command line.
//!
//! The rest of the program receives these, never raw keys.

mod policy;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Transport;

pub use policy::{AdaptiveSettings, PolicySettings, StaySettings};
pub use storage::StorageSettings;

/// Everything a run needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Contact collected peers (`-a`).
    pub active: bool,
    /// Listen for callers (`-p`).
    pub passive: bool,
    /// `run.method` by name, for the manifest.
    pub method: Method,
    /// `run.identity`: who a caller is.
    pub identity: Identity,
    /// `run.duration_seconds`: stop by itself after this time.
    pub duration: Option<Duration>,
    /// What to import.
    pub input: InputSettings,
    /// `output_path`: folder of the results.
    pub output: PathBuf,
    /// `torrent_complete_threshold`, above 0 to 1.
    pub complete_threshold: f64,
    /// Visits, outward and inward.
    pub visit: VisitSettings,
    /// When peers are visited again.
    pub policy: PolicySettings,
    /// With whom we stay, with `revisit.observe = "stay"`.
    pub stay: Option<StaySettings>,
    /// Whom we contact, and how fast.
    pub contact: ContactSettings,
    /// `peer_evaluation_threads`.
    pub workers: usize,
    /// `evaluator_reaction`: longest untimed sleep of a worker's leader.
    pub reaction: Duration,
    /// Callers.
    pub listen: ListenSettings,
    /// Trackers.
    pub tracker: TrackerSettings,
    /// The DHT, with `-d`.
    pub dht: Option<DhtSourceSettings>,
    /// `lsd.enabled`: peers of our own network by multicast.
    pub lsd: bool,
    /// Host names, with `hosts.enabled`.
    pub hosts: Option<HostSettings>,
    /// Local tracker discovery, with `tracker.local_discovery`: by whom.
    pub local_trackers: Option<HostSettings>,
    /// The database.
    pub storage: StorageSettings,
    /// `statistic_interval`.
    pub statistic_interval: Duration,
    /// Names in logs.
    pub log: LogSettings,
}

/// `--method`: shorthand for a set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As the thesis measured.
    Thesis2015,
    /// With the faults of 2015 put right (default).
    Corrected,
}

impl Method {
    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thesis2015 => "2015",
            Self::Corrected => "corrected",
        }
    }
}

/// `run.identity`: which calls are of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Those from one address that tell one listening port, else one peer id.
    Extended,
    /// Those from one address.
    Thesis2015,
}

/// What to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSettings {
    /// `input_path`, searched for `.torrent` files in all depths.
    pub folder: PathBuf,
    /// Single files (`--file`).
    pub files: Vec<PathBuf>,
    /// `magnet_file`, below `input_path`; need not exist.
    pub magnet_file: PathBuf,
    /// Single links (`--magnet`), as written.
    pub magnets: Vec<String>,
    /// `extension_ut_metadata_id`: our number for `ut_metadata`, not 0.
    pub metadata_number: u8,
}

/// One visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitSettings {
    /// `network_timeout`: for the connection, the handshake, and the quiet
    /// after each message that ends the visit.
    pub quiet_timeout: Duration,
    /// `visit.budget_seconds`: the whole visit, whatever the peer sends.
    pub budget: Duration,
    /// `receive_message_max`: messages read at most.
    pub message_limit: u32,
    /// `visit.finish_when_complete`: let a complete peer go at once.
    pub finish_when_complete: bool,
    /// `visit.fast_extension`: announce BEP 6.
    pub fast_extension: bool,
    /// `visit.extension_protocol`: speak BEP 10.
    pub extension_protocol: bool,
    /// Where callers reach us, with `-p`: told in extended handshakes; the
    /// listener sets it.
    pub listen_port: Option<u16>,
    /// `dht_node_port` with `-d`: told to peers that announce a DHT node
    /// (BEP 5, `port` message).
    pub dht_port: Option<u16>,
    /// `visit.peer_exchange`: take the peers that others name (BEP 11).
    pub peer_exchange: bool,
    /// `tracker.exchange`: take the trackers that peers name (BEP 28).
    pub tracker_exchange: bool,
    /// `visit.exchange_wait_seconds`: how long a complete peer may take to
    /// name others.
    pub exchange_wait: Duration,
    /// `visit.keep_partial`: what was read before a failure after the
    /// handshake counts.
    pub keep_partial: bool,
    /// `visit.ignore_malformed`: overlook a wrong bitfield or have instead of
    /// ending the visit.
    pub ignore_malformed: bool,
    /// `visit.encryption`: message stream encryption, outward and inward.
    pub encryption: EncryptionPolicy,
    /// `visit.transport`: TCP and uTP.
    pub transport: TransportPolicy,
    /// `bittorrent_message_log_length`: characters of a message in the log.
    pub message_log_length: usize,
}

/// `visit.encryption`: how peers are talked to, and which callers are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionPolicy {
    /// In the clear first, then encrypted; callers either way.
    PreferPlain,
    /// Encrypted first, then in the clear; callers either way.
    PreferEncrypted,
    /// In the clear only, as in 2015.
    Plain,
    /// Encrypted only.
    Encrypted,
}

impl EncryptionPolicy {
    /// What is tried outward, in this order: whether encrypted.
    pub const fn attempts(self) -> &'static [bool] {
        match self {
            Self::PreferPlain => &[false, true],
            Self::PreferEncrypted => &[true, false],
            Self::Plain => &[false],
            Self::Encrypted => &[true],
        }
    }

    /// Whether callers are heard who speak in the clear (`false`) or
    /// encrypted (`true`).
    pub fn admits(self, encrypted: bool) -> bool {
        self.attempts().contains(&encrypted)
    }

    /// Whether the stream behind the handshake is rather encrypted, too.
    pub const fn prefers_encrypted(self) -> bool {
        matches!(self, Self::PreferEncrypted | Self::Encrypted)
    }
}

/// `visit.transport`: what carries visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportPolicy {
    /// TCP first, then uTP.
    PreferTcp,
    /// uTP first, then TCP.
    PreferUtp,
    /// TCP only, as in 2015.
    Tcp,
    /// uTP only; callers come over TCP, too.
    Utp,
}

impl TransportPolicy {
    /// What is tried outward, in this order.
    pub const fn attempts(self) -> &'static [Transport] {
        match self {
            Self::PreferTcp => &[Transport::Tcp, Transport::Utp],
            Self::PreferUtp => &[Transport::Utp, Transport::Tcp],
            Self::Tcp => &[Transport::Tcp],
            Self::Utp => &[Transport::Utp],
        }
    }

    /// Whether uTP is spoken at all.
    pub fn knows_utp(self) -> bool {
        self.attempts().contains(&Transport::Utp)
    }
}

/// Whom we contact, and how fast.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactSettings {
    /// The limits.
    pub pace: PaceSettings,
    /// `contact.peers_per_torrent_max`: peers that are taken for one torrent.
    pub peers_max: usize,
    /// `contact.opt_out_file`, below `input_path`: networks that are never
    /// contacted.
    pub opt_out_file: Option<PathBuf>,
    /// `contact.allow_private`: contact reserved addresses too.
    pub allow_private: bool,
    /// `contact.ipv6`: contact IPv6 addresses too.
    pub ipv6: bool,
}

/// New contacts per second, above 0; `None` without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PaceSettings {
    /// `contact.per_second_max`: in all.
    pub per_second: Option<f64>,
    /// `contact.per_second_network_max`: to one /24 of IPv4 or /48 of IPv6.
    pub per_network: Option<f64>,
    /// `contact.per_second_torrent_max`: for one torrent.
    pub per_torrent: Option<f64>,
}

/// Callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// `bittorrent_listen_port`; 0 lets the system choose.
    pub port: u16,
    /// `listen.address`: where to bind.
    pub address: std::net::IpAddr,
    /// `listen.ipv6`: a second socket for IPv6, beside one for all of IPv4.
    pub ipv6: bool,
    /// `listen.callers_max`: callers evaluated at one time.
    pub callers_max: usize,
    /// `listen.callers_per_address_max`: of these, from one address.
    pub per_address_max: usize,
}

/// Trackers.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackerSettings {
    /// `tracker_request_interval`: the wish.
    pub interval: Duration,
    /// `ignore_interval`: take the wish even when the tracker wants longer.
    pub ignore_interval: bool,
    /// `network_timeout`: for one request in all.
    pub timeout: Duration,
    /// `fake_downloaded_stat`, a share of the torrent's size.
    pub fake_downloaded: f64,
    /// `fake_left_stat`.
    pub fake_left: f64,
    /// `fake_uploaded_stat`.
    pub fake_uploaded: f64,
    /// `tracker.num_want`: peers to ask for; `None` leaves it to the tracker
    /// (HTTP: no parameter, UDP: -1).
    pub num_want: Option<u32>,
    /// `tracker.udp_default_port`: for UDP URLs without a port.
    pub udp_default_port: u16,
    /// `tracker.body_limit_bytes`: largest decompressed answer.
    pub body_limit: usize,
    /// `tracker.redirects_max`.
    pub redirects_max: u32,
    /// `tracker.scrape`: whether to scrape.
    pub scrape: bool,
    /// `tracker.ipv6`: whether to announce over IPv6 beside IPv4.
    pub ipv6: bool,
    /// `bittorrent_listen_port` as announced; the listener overrides it where
    /// the system chose the port.
    pub announce_port: u16,
}

/// Peers from the DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtSourceSettings {
    /// `dht.backend`: which node.
    pub backend: DhtChoice,
    /// `dht_node_port`: UDP port of either node.
    pub node_port: u16,
    /// `dht_control_port`: telnet port of pymdht on this machine.
    pub control_port: u16,
    /// `dht_request_interval`: from lookup to lookup of one torrent.
    pub interval: Duration,
    /// `dht.lookup_timeout_seconds`: one lookup in all.
    pub lookup_timeout: Duration,
    /// `dht.address6`: where our own node binds IPv6; `None` is IPv4 only.
    pub address6: Option<std::net::Ipv6Addr>,
    /// `dht.bootstrap`: `host:port` each.
    pub bootstrap: Vec<String>,
    /// `dht.packets_per_second`: our own queries, on average.
    pub packets_per_second: u32,
    /// `dht.save_nodes`: keep the routing table from run to run.
    pub save_nodes: bool,
    /// `dht.allow_private`: deal with local addresses.
    pub allow_private: bool,
}

/// `dht.backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhtChoice {
    /// pymdht if it answers at the start, else our own.
    Auto,
    /// The external pymdht node.
    Pymdht,
    /// Our own node.
    Own,
}

/// Host names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// `hosts.servers`: host and port; empty means those of the system.
    pub servers: Vec<(String, u16)>,
    /// `hosts.queries_per_second`, at least 1.
    pub queries_per_second: u32,
    /// `hosts.timeout_seconds`: for one answer.
    pub timeout: Duration,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `log.level`: least level that is written; with `--debug` at least debug.
    pub level: log::LevelFilter,
    /// `--debug`: to standard output, no file.
    pub to_console: bool,
    /// `privacy.log_addresses`: addresses instead of pseudonyms.
    pub addresses: bool,
}
