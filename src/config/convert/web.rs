//! What the web page works with.

use std::net::SocketAddr;
use std::path::PathBuf;

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
        }
    }
}
