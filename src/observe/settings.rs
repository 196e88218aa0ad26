//! What the observatory needs to know, checked.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::settings::{ContactSettings, LogSettings, VisitSettings};

use super::naming::Addresses;

/// Settings of `btda observe`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObserveSettings {
    /// `observe.folder`.
    pub folder: PathBuf,
    /// `observe.port`: of the first node; 0 lets the system choose.
    pub port: u16,
    /// `observe.nodes`, 1 to 8.
    pub nodes: u8,
    /// `listen.address`, where it is one of IPv4.
    pub address: Option<Ipv4Addr>,
    /// `dht.address6`.
    pub address6: Option<Ipv6Addr>,
    /// `dht.bootstrap`.
    pub bootstrap: Vec<String>,
    /// `dht.packets_per_second`, of all nodes together.
    pub packets_per_second: u32,
    /// `dht.allow_private`.
    pub allow_private: bool,
    /// Whom we contact: the opt-out list counts here, too.
    pub contact: ContactSettings,
    /// Of these, the timeouts of a conversation.
    pub visit: VisitSettings,
    /// `extension_ut_metadata_id`.
    pub metadata_number: u8,
    /// `storage.geolocation_database`, below `input_path`.
    pub geolocation: Option<PathBuf>,
    /// `observe.slice_seconds`.
    pub slice: Duration,
    /// `observe.addresses`.
    pub addresses: Addresses,
    /// `observe.key_seconds`.
    pub key_period: Duration,
    /// `observe.hashes_only`.
    pub hashes_only: bool,
    /// `observe.block_file`, below `input_path`.
    pub block_file: Option<PathBuf>,
    /// `observe.resolve_threads`; 0 resolves nothing.
    pub resolve_threads: usize,
    /// `observe.survey_seconds`.
    pub survey_interval: Option<Duration>,
    /// `observe.keep_seconds`.
    pub keep: Duration,
    /// `observe.disk_max_bytes`.
    pub bytes_max: u64,
    /// `run.duration_seconds`.
    pub duration: Option<Duration>,
    /// `statistic_interval`: between two lines of figures.
    pub statistic_interval: Duration,
    /// The log.
    pub log: LogSettings,
}
