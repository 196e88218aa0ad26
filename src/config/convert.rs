//! From checked values to [`Settings`].

mod observe;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::key::{Key, Value};
use super::settings::{
    AdaptiveSettings, ContactSettings, DhtChoice, DhtSourceSettings, EncryptionPolicy,
    HostSettings, Identity, InputSettings, ListenSettings, LogSettings, Method, PaceSettings,
    PolicySettings, Settings, StaySettings, StorageSettings, TrackerSettings, TransportPolicy,
    VisitSettings,
};
use super::{Config, keys};

mod web;

pub use web::WebSettings;

/// What only the command line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switches {
    /// `-a`.
    pub active: bool,
    /// `-p`.
    pub passive: bool,
    /// `-d`: use the DHT.
    pub dht: bool,
    /// `-g`: log to standard output, debug messages included.
    pub debug: bool,
    /// `--file`, each.
    pub files: Vec<PathBuf>,
    /// `--magnet`, each as written.
    pub magnets: Vec<String>,
}

impl Config {
    /// What the program works with.
    pub fn settings(&self, switches: &Switches) -> Settings {
        Settings {
            active: switches.active,
            passive: switches.passive,
            method: self.method(),
            identity: self.identity(),
            duration: Some(self.time(&keys::DURATION_SECONDS)).filter(|time| !time.is_zero()),
            input: InputSettings {
                folder: self.path(&keys::INPUT_PATH),
                files: switches.files.clone(),
                magnet_file: self
                    .path(&keys::INPUT_PATH)
                    .join(self.path(&keys::MAGNET_FILE)),
                magnets: switches.magnets.clone(),
                metadata_number: self.integer(&keys::EXTENSION_UT_METADATA_ID),
            },
            output: self.path(&keys::OUTPUT_PATH),
            complete_threshold: self.number(&keys::TORRENT_COMPLETE_THRESHOLD),
            visit: self.visit(switches.dht),
            policy: self.policy(),
            stay: self.stay(),
            contact: self.contact(),
            workers: self.integer(&keys::PEER_EVALUATION_THREADS),
            reaction: self.time(&keys::EVALUATOR_REACTION),
            listen: self.listen(),
            tracker: self.tracker(),
            dht: switches.dht.then(|| self.dht()),
            lsd: self.flag(&keys::LSD_ENABLED),
            hosts: self.flag(&keys::HOSTS_ENABLED).then(|| self.hosts()),
            local_trackers: self.flag(&keys::LOCAL_DISCOVERY).then(|| self.hosts()),
            storage: self.storage(),
            statistic_interval: self.time(&keys::STATISTIC_INTERVAL),
            log: self.log(switches.debug),
        }
    }

    /// The method that is in force.
    pub fn method(&self) -> Method {
        if self.text(&keys::METHOD) == Method::Thesis2015.as_str() {
            Method::Thesis2015
        } else {
            Method::Corrected
        }
    }

    fn identity(&self) -> Identity {
        match self.text(&keys::IDENTITY) {
            "2015" => Identity::Thesis2015,
            _ => Identity::Extended,
        }
    }

    fn dht(&self) -> DhtSourceSettings {
        let bootstrap = self.text(&keys::DHT_BOOTSTRAP).split_whitespace();
        DhtSourceSettings {
            backend: match self.text(&keys::DHT_BACKEND) {
                "pymdht" => DhtChoice::Pymdht,
                "own" => DhtChoice::Own,
                _ => DhtChoice::Auto,
            },
            node_port: self.integer(&keys::DHT_NODE_PORT),
            control_port: self.integer(&keys::DHT_CONTROL_PORT),
            interval: self.time(&keys::DHT_REQUEST_INTERVAL),
            lookup_timeout: self.time(&keys::DHT_LOOKUP_TIMEOUT_SECONDS),
            address6: self.text(&keys::DHT_ADDRESS6).parse().ok(),
            bootstrap: bootstrap.map(str::to_owned).collect(),
            packets_per_second: self.integer(&keys::DHT_PACKETS_PER_SECOND),
            save_nodes: self.flag(&keys::DHT_SAVE_NODES),
            allow_private: self.flag(&keys::DHT_ALLOW_PRIVATE),
        }
    }

    fn visit(&self, dht: bool) -> VisitSettings {
        VisitSettings {
            quiet_timeout: self.time(&keys::NETWORK_TIMEOUT),
            budget: self.time(&keys::BUDGET_SECONDS),
            message_limit: self.integer(&keys::RECEIVE_MESSAGE_MAX),
            finish_when_complete: self.flag(&keys::FINISH_WHEN_COMPLETE),
            fast_extension: self.flag(&keys::FAST_EXTENSION),
            extension_protocol: self.flag(&keys::EXTENSION_PROTOCOL),
            listen_port: None,
            dht_port: dht.then(|| self.integer(&keys::DHT_NODE_PORT)),
            peer_exchange: self.flag(&keys::PEER_EXCHANGE),
            tracker_exchange: self.flag(&keys::TRACKER_EXCHANGE),
            exchange_wait: self.time(&keys::EXCHANGE_WAIT_SECONDS),
            keep_partial: self.flag(&keys::KEEP_PARTIAL),
            ignore_malformed: self.flag(&keys::IGNORE_MALFORMED),
            encryption: match self.text(&keys::ENCRYPTION) {
                "plain" => EncryptionPolicy::Plain,
                "encrypted" => EncryptionPolicy::Encrypted,
                "prefer_encrypted" => EncryptionPolicy::PreferEncrypted,
                _ => EncryptionPolicy::PreferPlain,
            },
            transport: match self.text(&keys::TRANSPORT) {
                "tcp" => TransportPolicy::Tcp,
                "utp" => TransportPolicy::Utp,
                "prefer_utp" => TransportPolicy::PreferUtp,
                _ => TransportPolicy::PreferTcp,
            },
            message_log_length: self.integer(&keys::BITTORRENT_MESSAGE_LOG_LENGTH),
        }
    }

    fn policy(&self) -> PolicySettings {
        let revisit_delay = self.time(&keys::PEER_REVISIT_DELAY);
        let adaptive = self.text(&keys::REVISIT_MODE) == "adaptive";
        PolicySettings {
            revisit_delay,
            adaptive: adaptive.then(|| AdaptiveSettings {
                soonest: self.time(&keys::SOONEST_SECONDS).min(revisit_delay),
                latest: self.time(&keys::LATEST_SECONDS).max(revisit_delay),
                early_per_second: self.number(&keys::EARLY_PER_SECOND_MAX),
            }),
            retry: self.flag(&keys::RETRY_ENABLED),
            first_delay: self.time(&keys::FIRST_DELAY_SECONDS),
            tracked_delay: self.time(&keys::TRACKED_DELAY_SECONDS),
            factor: self.number(&keys::FACTOR),
            max_delay: self.time(&keys::MAX_DELAY_SECONDS),
            attempts: self.integer(&keys::ATTEMPTS),
            tracked_attempts: self.integer(&keys::TRACKED_ATTEMPTS),
        }
    }

    fn stay(&self) -> Option<StaySettings> {
        (self.text(&keys::OBSERVE) == "stay").then(|| StaySettings {
            threads: self.integer(&keys::OBSERVE_THREADS),
            within: self.time(&keys::STAY_WITHIN_SECONDS),
            longest: self.time(&keys::STAY_SECONDS_MAX),
            have_delay: Some(self.time(&keys::HAVE_DELAY_SECONDS)).filter(|it| !it.is_zero()),
        })
    }

    fn contact(&self) -> ContactSettings {
        let limit = |key| Some(self.number(key)).filter(|rate| *rate > 0.0);
        let file = self.text(&keys::OPT_OUT_FILE);
        ContactSettings {
            pace: PaceSettings {
                per_second: limit(&keys::PER_SECOND_MAX),
                per_network: limit(&keys::PER_SECOND_NETWORK_MAX),
                per_torrent: limit(&keys::PER_SECOND_TORRENT_MAX),
            },
            peers_max: self.integer(&keys::PEERS_PER_TORRENT_MAX),
            opt_out_file: (!file.is_empty()).then(|| self.path(&keys::INPUT_PATH).join(file)),
            allow_private: self.flag(&keys::CONTACT_ALLOW_PRIVATE),
            ipv6: self.flag(&keys::CONTACT_IPV6),
        }
    }

    fn listen(&self) -> ListenSettings {
        ListenSettings {
            port: self.integer(&keys::BITTORRENT_LISTEN_PORT),
            address: self
                .text(&keys::LISTEN_ADDRESS)
                .parse()
                .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            ipv6: self.flag(&keys::LISTEN_IPV6),
            callers_max: self.integer(&keys::CALLERS_MAX),
            per_address_max: self.integer(&keys::CALLERS_PER_ADDRESS_MAX),
        }
    }

    fn tracker(&self) -> TrackerSettings {
        TrackerSettings {
            interval: self.time(&keys::TRACKER_REQUEST_INTERVAL),
            ignore_interval: self.flag(&keys::IGNORE_INTERVAL),
            timeout: self.time(&keys::NETWORK_TIMEOUT),
            fake_downloaded: self.number(&keys::FAKE_DOWNLOADED_STAT),
            fake_left: self.number(&keys::FAKE_LEFT_STAT),
            fake_uploaded: self.number(&keys::FAKE_UPLOADED_STAT),
            num_want: Some(self.integer(&keys::NUM_WANT)).filter(|wanted| *wanted > 0),
            udp_default_port: self.integer(&keys::UDP_DEFAULT_PORT),
            body_limit: self.integer(&keys::BODY_LIMIT_BYTES),
            redirects_max: self.integer(&keys::REDIRECTS_MAX),
            scrape: self.flag(&keys::SCRAPE),
            ipv6: self.flag(&keys::TRACKER_IPV6),
            announce_port: self.integer(&keys::BITTORRENT_LISTEN_PORT),
        }
    }

    fn storage(&self) -> StorageSettings {
        let places = self.text(&keys::GEOLOCATION_DATABASE);
        StorageSettings {
            geolocation: (!places.is_empty()).then(|| self.path(&keys::INPUT_PATH).join(places)),
            identity: self.identity(),
            speed_gap: self.time(&keys::SPEED_GAP_SECONDS),
            zero_visits: self.integer(&keys::ZERO_VISITS),
            zero_time: self.time(&keys::ZERO_SECONDS),
            batch_rows: self.integer(&keys::BATCH_ROWS),
            batch_interval: self.time(&keys::BATCH_INTERVAL_SECONDS),
            queue_length: self.integer(&keys::QUEUE_LENGTH),
            memory_rows: self.integer(&keys::MEMORY_ROWS),
            spool_folder: self.spool_folder(),
            spool_max_bytes: self.integer(&keys::SPOOL_MAX_BYTES),
            calibration: self.flag(&keys::REC_DUR_ANALYSIS),
            calibration_cut: self.time(&keys::CALIBRATION_CUT_SECONDS),
        }
    }

    fn hosts(&self) -> HostSettings {
        HostSettings {
            servers: crate::hosts::server::listed(self.text(&keys::HOSTS_SERVERS)),
            queries_per_second: self.integer(&keys::HOSTS_QUERIES_PER_SECOND),
            timeout: self.time(&keys::HOSTS_TIMEOUT_SECONDS),
        }
    }

    fn spool_folder(&self) -> PathBuf {
        match self.text(&keys::SPOOL_FOLDER) {
            "" => std::env::temp_dir(),
            folder => PathBuf::from(folder),
        }
    }

    fn log(&self, debug: bool) -> LogSettings {
        let level = match self.text(&keys::LOG_LEVEL) {
            "trace" => LevelFilter::Trace,
            "debug" => LevelFilter::Debug,
            "info" => LevelFilter::Info,
            "error" => LevelFilter::Error,
            _ => LevelFilter::Warn,
        };
        LogSettings {
            level: if debug {
                level.max(LevelFilter::Debug)
            } else {
                level
            },
            to_console: debug,
            addresses: self.flag(&keys::LOG_ADDRESSES),
        }
    }

    fn flag(&self, key: &'static Key) -> bool {
        matches!(self.value(key), Value::Flag(true))
    }

    /// Every range of the registry fits the type it is asked for, which a
    /// test proves; the default value is never taken.
    fn integer<T: TryFrom<i64> + Default>(&self, key: &'static Key) -> T {
        match self.value(key) {
            Value::Integer(number) => T::try_from(*number).unwrap_or_default(),
            _ => T::default(),
        }
    }

    fn number(&self, key: &'static Key) -> f64 {
        match self.value(key) {
            Value::Number(number) => *number,
            _ => 0.0,
        }
    }

    fn time(&self, key: &'static Key) -> Duration {
        Duration::try_from_secs_f64(self.number(key)).unwrap_or_default()
    }

    fn text(&self, key: &'static Key) -> &str {
        match self.value(key) {
            Value::Text(text) => text,
            _ => "",
        }
    }

    fn path(&self, key: &'static Key) -> PathBuf {
        PathBuf::from(self.text(key))
    }
}
