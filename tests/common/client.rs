//! The common face of the real BitTorrent clients.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use btda::model::InfoHash;

use super::network::Network;
use super::samples::{Sample, Timeline};

/// Where and what a client downloads.
pub(crate) struct Assignment<'a> {
    /// Address of its own.
    pub(crate) address: IpAddr,
    /// Further addresses where it listens; libtorrent only.
    pub(crate) further_addresses: &'a [IpAddr],
    /// Its folder: configuration, data and logs.
    pub(crate) folder: &'a Path,
    /// Torrent files.
    pub(crate) torrents: &'a [PathBuf],
    /// Bytes a second for each torrent.
    pub(crate) download_limit: u32,
    /// A node through which it takes part in a DHT; `None` is without. Not
    /// for transmission: it takes nodes of 127.0.0.0/8 for none.
    pub(crate) dht: Option<SocketAddr>,
    /// Peers that it knows from the start; libtorrent only.
    pub(crate) peers: &'a [SocketAddr],
    /// The network where it is, if not that of the test; libtorrent only.
    pub(crate) network: Option<&'a Network>,
}

impl<'a> Assignment<'a> {
    /// With trackers alone, as fast as it can.
    pub(crate) fn new(
        address: impl Into<IpAddr>,
        folder: &'a Path,
        torrents: &'a [PathBuf],
    ) -> Self {
        Self {
            address: address.into(),
            further_addresses: &[],
            folder,
            torrents,
            download_limit: 0,
            dht: None,
            peers: &[],
            network: None,
        }
    }

    /// The same with several addresses, at all of which it listens.
    pub(crate) fn at(addresses: &'a [IpAddr], folder: &'a Path, torrents: &'a [PathBuf]) -> Self {
        let (first, further) = addresses.split_first().expect("an address");
        Self {
            further_addresses: further,
            ..Self::new(*first, folder, torrents)
        }
    }
}

/// A running client.
pub(crate) trait Client {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// First eight bytes of its peer id, from the version that its own
    /// interface reports.
    fn code(&self) -> &str;

    /// Asks its interface for the progress of all torrents.
    fn sample(&mut self, progress: &mut Progress) -> Result<(), String>;

    /// Fails the test when the program has ended.
    fn assert_running(&mut self);
}

/// Timelines of one client by torrent.
#[derive(Debug, Default)]
pub(crate) struct Progress(BTreeMap<InfoHash, Timeline>);

impl Progress {
    /// Adds a sample for the torrent with the hexadecimal hash `hash`.
    pub(crate) fn push(&mut self, hash: &str, sample: Sample) {
        let hash = hash.parse().expect("client reports an info hash");
        self.0.entry(hash).or_default().push(sample);
    }

    /// The timeline of one torrent.
    pub(crate) fn timeline(&self, hash: InfoHash) -> Timeline {
        self.0.get(&hash).cloned().unwrap_or_default()
    }
}
