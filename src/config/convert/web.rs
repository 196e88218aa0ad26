//! What the web page works with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, keys};

/// The page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSettings {
    /// `web.address`; `None` where nobody asked for one.
    pub address: Option<SocketAddr>,
    /// `web.token_file`.
    pub token_file: Option<PathBuf>,
    /// `web.host_names`, in lower case with their ports.
    pub host_names: Vec<String>,
    /// `web.connections_max`.
    pub connections: usize,
    /// `web.connections_per_address_max`.
    pub connections_per_address: usize,
    /// `web.track_per_minute`.
    pub track_per_minute: u32,
    /// `web.allow_private`: ask trackers at reserved addresses.
    pub allow_private: bool,
    /// `web.dht`: look torrents up in the DHT.
    pub dht: bool,
    /// `web.visits_max`: peers of a swarm that are visited; 0: none.
    pub visits: usize,
    /// `web.store_addresses`.
    pub store_addresses: bool,
    /// `web.history_entries_max`.
    pub history_entries: u32,
    /// `web.history_keep_seconds`; `None`: for ever.
    pub history_keep: Option<Duration>,
    /// `storage.geolocation_database`.
    pub geolocation: Option<PathBuf>,
}

impl Config {
    /// What the page works with.
    pub fn web(&self) -> WebSettings {
        let token_file = self.text(&keys::WEB_TOKEN_FILE);
        let names = self.text(&keys::WEB_HOST_NAMES).split_whitespace();
        WebSettings {
            address: self.text(&keys::WEB_ADDRESS).parse().ok(),
            token_file: (!token_file.is_empty()).then(|| PathBuf::from(token_file)),
            host_names: names.map(str::to_ascii_lowercase).collect(),
            connections: self.integer(&keys::WEB_CONNECTIONS_MAX),
            connections_per_address: self.integer(&keys::WEB_CONNECTIONS_PER_ADDRESS_MAX),
            track_per_minute: self.integer(&keys::WEB_TRACK_PER_MINUTE),
            allow_private: self.flag(&keys::WEB_ALLOW_PRIVATE),
            dht: self.flag(&keys::WEB_DHT),
            visits: self.integer(&keys::WEB_VISITS_MAX),
            store_addresses: self.flag(&keys::WEB_STORE_ADDRESSES),
            history_entries: self.integer(&keys::WEB_HISTORY_ENTRIES_MAX),
            history_keep: Some(self.time(&keys::WEB_HISTORY_KEEP_SECONDS))
                .filter(|keep| !keep.is_zero()),
            geolocation: self.storage().geolocation,
        }
    }
}
