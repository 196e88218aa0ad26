//! The trackers of a run: one requester for each torrent, also for those that
//! join later, and whom to tell at the end.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::analyzer::engine::Engine;
use crate::intake::PeerIntake;
use crate::model::{InfoHash, Torrent};
use crate::net::http::SystemHttp;
use crate::net::resolve::Resolver;
use crate::net::udp::SystemUdp;
use crate::tracker::{
    Families, Requester, ScrapeBoard, SystemRandom, TorrentTrackers, TrackerClient, TrackerContext,
    TrackerHealth, run,
};

/// The trackers of all torrents.
pub(super) struct Trackers {
    pub(super) client: Arc<TrackerClient>,
    pub(super) context: TrackerContext,
    /// For trackers that strangers named: never past the address rules.
    guarded: TrackerContext,
    members: Mutex<Vec<Member>>,
    /// Those of magnet links that wait for their metadata.
    of_links: Mutex<Vec<Arc<TorrentTrackers>>>,
}

struct Member {
    context: TrackerContext,
    torrent: Arc<TorrentTrackers>,
    /// Made before any thread starts: each registers its torrent for the
    /// scrapes that torrents share.
    first: Option<Requester>,
}

impl Trackers {
    /// Those of the torrents that are there at the start; `key` is the random
    /// number that announces tell.
    pub(super) fn new(engine: &Engine, key: u32) -> Self {
        let resolver = Resolver::new();
        let settings = engine.settings.tracker.clone();
        let client = Arc::new(TrackerClient {
            clock: Arc::clone(&engine.clock),
            random: Arc::new(SystemRandom),
            http: Arc::new(SystemHttp::new(settings.redirects_max, resolver.clone())),
            families: Some(Arc::new(Families::system(
                settings.redirects_max,
                &resolver,
            ))),
            udp: Arc::new(SystemUdp::new(resolver)),
            peer_id: engine.own_id,
            key,
            settings,
        });
        let context = TrackerContext {
            client: Arc::clone(&client),
            intake: Arc::clone(&engine.scheduler) as Arc<dyn PeerIntake>,
            records: engine.records.clone(),
            stop: engine.stop.clone(),
            board: Arc::new(ScrapeBoard::new()),
            health: Arc::new(TrackerHealth::new()),
        };
        let guarded = TrackerContext {
            client: Arc::new(guarded(engine, &client)),
            ..context.clone()
        };
        let trackers = Self {
            client,
            context,
            guarded,
            members: Mutex::default(),
            of_links: Mutex::default(),
        };
        for torrent in engine.directory.all() {
            trackers.join(&torrent);
        }
        trackers
    }

    /// Takes a torrent in; its index for [`Self::run`], `None` when it has no
    /// trackers.
    pub(super) fn join(&self, torrent: &Arc<Torrent>) -> Option<usize> {
        if torrent.trackers.is_empty() {
            return None;
        }
        let settings = &self.client.settings;
        let torrent = TorrentTrackers::new(Arc::clone(torrent), settings);
        self.add(&self.context, torrent)
    }

    /// Takes the tracker at `url` in, which was found for `torrent`; the same.
    pub(super) fn join_found(&self, torrent: &Arc<Torrent>, url: &str) -> Option<usize> {
        let settings = &self.client.settings;
        let tracker = TorrentTrackers::found(Arc::clone(torrent), url, settings);
        self.add(&self.guarded, tracker)
    }

    fn add(&self, context: &TrackerContext, torrent: TorrentTrackers) -> Option<usize> {
        let torrent = Arc::new(torrent);
        let first = Requester::new(context.clone(), Arc::clone(&torrent));
        let mut members = self.members.lock();
        members.push(Member {
            context: context.clone(),
            torrent,
            first: Some(first),
        });
        members.len().checked_sub(1)
    }

    /// The torrents taken in so far, in order of their indexes.
    pub(super) fn torrents(&self) -> Vec<Arc<TorrentTrackers>> {
        let members = self.members.lock();
        members
            .iter()
            .map(|member| Arc::clone(&member.torrent))
            .collect()
    }

    /// A magnet link asks its trackers for itself from now on.
    pub(super) fn link_asks(&self, link: Arc<TorrentTrackers>) {
        self.of_links.lock().push(link);
    }

    /// Its torrent does that from now on.
    pub(super) fn link_done(&self, info_hash: InfoHash) {
        let mut links = self.of_links.lock();
        links.retain(|link| link.torrent().info_hash != info_hash);
    }

    /// Everybody who may owe a tracker a `stopped`, by the client that tells
    /// it.
    pub(super) fn owing(&self) -> [(&Arc<TrackerClient>, Vec<Arc<TorrentTrackers>>); 2] {
        let (mut usual, mut found) = (Vec::new(), Vec::new());
        for member in &*self.members.lock() {
            let guarded = Arc::ptr_eq(&member.context.client, &self.guarded.client);
            let all = if guarded { &mut found } else { &mut usual };
            all.push(Arc::clone(&member.torrent));
        }
        usual.extend(self.of_links.lock().iter().cloned());
        [(&self.client, usual), (&self.guarded.client, found)]
    }

    /// Body of the thread of the torrent at `index`. After a panic a new
    /// requester goes on where the first has ended.
    pub(super) fn run(&self, index: usize) {
        let (first, context, torrent) = match self.members.lock().get_mut(index) {
            Some(member) => (
                member.first.take(),
                member.context.clone(),
                Arc::clone(&member.torrent),
            ),
            None => return,
        };
        run(first.unwrap_or_else(|| Requester::new(context, torrent)));
    }
}

/// The same client under the rules about addresses, by no proxy.
fn guarded(engine: &Engine, client: &TrackerClient) -> TrackerClient {
    let resolver = Resolver::new().under(engine.scheduler.rules());
    let settings = client.settings.clone();
    TrackerClient {
        clock: Arc::clone(&client.clock),
        random: Arc::clone(&client.random),
        http: Arc::new(SystemHttp::direct(settings.redirects_max, resolver.clone())),
        udp: Arc::new(SystemUdp::new(resolver)),
        families: None,
        peer_id: client.peer_id,
        key: client.key,
        settings,
    }
}
