//! Local tracker discovery (BEP 22) in a run: the thread `local-trackers` waits
//! until our address is known, and asks the name servers for the trackers of its
//! network. What they name is taken like what peers name (`found.rs`).

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::analyzer::engine::Engine;
use crate::config::settings::HostSettings;
use crate::hosts;
use crate::intake::TrackerIntake;
use crate::model::TrackerOrigin;
use crate::net::resolve::Resolver;
use crate::net::udp::SystemUdp;

use super::found::FoundTrackers;
use super::hosts::with_servers;
use super::prepare::Refusal;

/// How often it looks whether an address is known that was not.
const LOOK: Duration = Duration::from_secs(1);

/// Addresses of ours that are asked for; trackers and peers tell them.
const ADDRESSES_MAX: usize = 4;

/// The thread to be.
pub(super) struct LocalTrackers {
    engine: Arc<Engine>,
    settings: HostSettings,
    found: Arc<FoundTrackers>,
    asked: Mutex<HashSet<IpAddr>>,
}

/// Reads which servers are to be asked, when `tracker.local_discovery` is on.
pub(super) fn prepare(
    engine: &Arc<Engine>,
    found: Option<&Arc<FoundTrackers>>,
) -> Result<Option<Arc<LocalTrackers>>, Refusal> {
    let (Some(settings), Some(found)) = (&engine.settings.local_trackers, found) else {
        return Ok(None);
    };
    let mut settings = settings.clone();
    with_servers(&mut settings, "tracker.local_discovery")?;
    Ok(Some(Arc::new(LocalTrackers {
        engine: Arc::clone(engine),
        settings,
        found: Arc::clone(found),
        asked: Mutex::default(),
    })))
}

impl LocalTrackers {
    /// The body of the thread; returns at the end of the run.
    pub(super) fn run(&self) {
        let udp = SystemUdp::new(Resolver::new());
        loop {
            while let Some(address) = self.next() {
                let around = (&*self.engine.clock, &udp as _);
                let urls = hosts::local_trackers(&self.settings, around, address);
                log::info!("local trackers found={}", urls.len());
                self.take(&urls);
            }
            if self.engine.stop.wait(LOOK) {
                return;
            }
        }
    }

    /// An address of ours that was not asked for, and that others can have
    /// seen.
    fn next(&self) -> Option<IpAddr> {
        let rules = self.engine.scheduler.rules();
        let own = self.engine.scheduler.own_ips();
        let mut asked = self.asked.lock();
        let room = asked.len() < ADDRESSES_MAX && !self.engine.stop.is_stopped();
        let mut new = own
            .into_iter()
            .filter(|ip| room && rules.check(*ip).is_ok() && !asked.contains(ip));
        let address = new.next()?;
        asked.insert(address);
        Some(address)
    }

    /// For all torrents that are there now, but private ones.
    fn take(&self, urls: &[String]) {
        for torrent in self.engine.directory.all() {
            for url in urls {
                self.found.found(torrent.id, url, TrackerOrigin::Local);
            }
        }
    }
}
