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
use crate::model::{TorrentId, TrackerOrigin};
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
    /// What was named so far.
    urls: Mutex<Vec<String>>,
    /// Torrents that have joined since the last look.
    late: Mutex<Vec<TorrentId>>,
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
        urls: Mutex::default(),
        late: Mutex::default(),
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
            self.catch_up();
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

    /// The torrent joins the run, and is in its directory: what was named before
    /// is for it, too, at the next look. Waits for nothing.
    pub(super) fn joined(&self, torrent: TorrentId) {
        self.late.lock().push(torrent);
    }

    /// What was named before, for the torrents that have joined since.
    fn catch_up(&self) {
        let late = std::mem::take(&mut *self.late.lock());
        let urls = self.urls.lock().clone();
        for torrent in late {
            for url in &urls {
                self.found.found(torrent, url, TrackerOrigin::Local);
            }
        }
    }

    /// For all torrents that are there now, but private ones.
    fn take(&self, urls: &[String]) {
        self.urls.lock().extend_from_slice(urls);
        for torrent in self.engine.directory.all() {
            for url in urls {
                self.found.found(torrent.id, url, TrackerOrigin::Local);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::engine::tests::world;
    use crate::model::{InfoHash, Torrent};

    #[test]
    fn who_joins_later_has_them_too() {
        let world = world(Vec::new());
        let engine = Arc::new(world.engine);
        let found = Arc::new(FoundTrackers::new(&engine));
        let local = LocalTrackers {
            engine: Arc::clone(&engine),
            settings: HostSettings {
                servers: Vec::new(),
                queries_per_second: 1,
                timeout: LOOK,
            },
            found: Arc::clone(&found),
            asked: Mutex::default(),
            urls: Mutex::default(),
            late: Mutex::default(),
        };
        let asked = || -> Vec<(TorrentId, String)> {
            let all = found.to_ask().try_iter();
            all.map(|it| (it.torrent.id, it.url)).collect()
        };
        let first = engine.directory.all()[0].id;
        let url = "http://t.example.net:80/announce".to_owned();
        local.take(std::slice::from_ref(&url));
        assert_eq!(
            asked().iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [first]
        );
        let join = |number, private| {
            let make = |id| Torrent {
                id,
                private,
                ..Torrent::sample(8)
            };
            let hash = InfoHash::new([number; 20]);
            let torrent = engine.directory.add(hash, make, |_| ());
            let id = torrent.expect("it is new").id;
            local.joined(id);
            local.joined(id);
            local.catch_up();
            id
        };
        let second = join(8, false);
        let of_second = asked();
        assert_eq!(of_second.len(), 1, "offered twice, asked once");
        assert_eq!(of_second[0].0, second);
        join(9, true);
        assert_eq!(asked(), [], "nobody is told of a private torrent");
    }
}
