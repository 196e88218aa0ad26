//! The settings of the observatory.

use std::net::IpAddr;

use crate::config::{Config, Switches, keys};
use crate::observe::naming::Addresses;
use crate::observe::settings::ObserveSettings;

impl Config {
    /// What `btda observe` works with.
    pub fn observe(&self) -> ObserveSettings {
        let run = self.settings(&Switches::default());
        let input = self.path(&keys::INPUT_PATH);
        let below = |name: &str| (!name.is_empty()).then(|| input.join(name));
        let bootstrap = self.text(&keys::DHT_BOOTSTRAP).split_whitespace();
        ObserveSettings {
            folder: self.path(&keys::OBSERVE_FOLDER),
            port: self.integer(&keys::OBSERVE_PORT),
            nodes: self.integer(&keys::OBSERVE_NODES),
            address: match run.listen.address {
                IpAddr::V4(v4) => Some(v4),
                IpAddr::V6(_) => None,
            },
            address6: self.text(&keys::DHT_ADDRESS6).parse().ok(),
            bootstrap: bootstrap.map(str::to_owned).collect(),
            packets_per_second: self.integer(&keys::DHT_PACKETS_PER_SECOND),
            allow_private: self.flag(&keys::DHT_ALLOW_PRIVATE),
            contact: run.contact,
            visit: run.visit,
            metadata_number: self.integer(&keys::EXTENSION_UT_METADATA_ID),
            geolocation: run.storage.geolocation,
            slice: self.time(&keys::OBSERVE_SLICE_SECONDS),
            addresses: match self.text(&keys::OBSERVE_ADDRESSES) {
                "omitted" => Addresses::Omitted,
                "plain" => Addresses::Plain,
                _ => Addresses::Pseudonym,
            },
            key_period: self.time(&keys::OBSERVE_KEY_SECONDS),
            hashes_only: self.flag(&keys::OBSERVE_HASHES_ONLY),
            block_file: below(self.text(&keys::OBSERVE_BLOCK_FILE)),
            resolve_threads: self.integer(&keys::OBSERVE_RESOLVE_THREADS),
            survey_interval: Some(self.time(&keys::OBSERVE_SURVEY_SECONDS))
                .filter(|time| !time.is_zero()),
            keep: self.time(&keys::OBSERVE_KEEP_SECONDS),
            bytes_max: self.integer(&keys::OBSERVE_DISK_MAX_BYTES),
            duration: run.duration,
            statistic_interval: run.statistic_interval,
            log: run.log,
        }
    }
}
