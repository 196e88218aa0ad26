//! Trackers that no torrent file names: which of them are asked. Called by
//! whoever visits peers; the supervisor starts what is to be asked.
//!
//! Strangers name them, so nobody is asked without limit: few for each torrent,
//! none by an IP address, and no reserved address behind a name (the resolver
//! of `trackers.rs` sees to that at each request).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::analyzer::engine::Engine;
use crate::intake::TrackerIntake;
use crate::model::record::{FoundTracker, Record};
use crate::model::{Torrent, TorrentId, TrackerOrigin};
use crate::torrent::named_by_strangers;

/// Trackers that are asked for one torrent, and in all.
const ASKED_PER_TORRENT: usize = 4;
const ASKED_MAX: usize = 64;

/// Trackers that are stored for one torrent.
const STORED_PER_TORRENT: usize = 32;

/// Who takes them, when a setting wants any.
pub(super) fn prepare(engine: &Arc<Engine>) -> Option<Arc<FoundTrackers>> {
    let settings = &engine.settings;
    if !settings.visit.tracker_exchange && settings.local_trackers.is_none() {
        return None;
    }
    let found = Arc::new(FoundTrackers::new(engine));
    let intake: Arc<dyn TrackerIntake> = Arc::clone(&found) as _;
    // Set here and nowhere else.
    let _ = engine.found_trackers.set(intake);
    Some(found)
}

/// A tracker that is to be asked.
pub(super) struct Found {
    pub(super) torrent: Arc<Torrent>,
    pub(super) url: String,
}

/// Everything that was named.
pub(super) struct FoundTrackers {
    engine: Arc<Engine>,
    known: Mutex<Known>,
    to_ask: (Sender<Found>, Receiver<Found>),
    named: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Known {
    of: HashMap<TorrentId, HashSet<String>>,
    asked: usize,
}

/// What is to be done with a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is known, or there are too many.
    Nothing,
    /// Too many are asked.
    Stored,
    Asked,
}

impl Known {
    fn take(&mut self, torrent: TorrentId, url: &str) -> Fate {
        let of = self.of.entry(torrent).or_default();
        if of.len() >= STORED_PER_TORRENT || !of.insert(url.to_owned()) {
            return Fate::Nothing;
        }
        if of.len() > ASKED_PER_TORRENT || self.asked >= ASKED_MAX {
            return Fate::Stored;
        }
        self.asked += 1;
        Fate::Asked
    }
}

impl FoundTrackers {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
            known: Mutex::default(),
            to_ask: bounded(ASKED_MAX),
            named: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Those that are to be asked, each once.
    pub(super) const fn to_ask(&self) -> &Receiver<Found> {
        &self.to_ask.1
    }

    /// Facts for the manifest.
    pub(super) fn facts(&self) -> [Record; 2] {
        let fact = |key, count: &AtomicU64| Record::Manifest {
            key,
            value: count.load(Ordering::Relaxed).to_string(),
        };
        [
            fact("trackers_named", &self.named),
            fact("trackers_refused", &self.refused),
        ]
    }

    /// The torrent, unless it is private or has the tracker already.
    fn wanting(&self, id: TorrentId, url: &str) -> Option<Arc<Torrent>> {
        let torrent = self.engine.directory.by_id(id)?;
        let has = torrent.trackers.iter().any(|known| known == url);
        (!torrent.private && !has).then_some(torrent)
    }
}

impl TrackerIntake for FoundTrackers {
    fn found(&self, torrent: TorrentId, url: &str, origin: TrackerOrigin) {
        self.named.fetch_add(1, Ordering::Relaxed);
        let Ok(url) = named_by_strangers(url) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(wanting) = self.wanting(torrent, &url) else {
            return;
        };
        let fate = self.known.lock().take(torrent, &url);
        if fate == Fate::Nothing {
            return;
        }
        self.engine
            .record(Record::FoundTracker(Box::new(FoundTracker {
                at: self.engine.clock.timestamp(),
                torrent,
                url: url.clone(),
                origin,
                asked: fate == Fate::Asked,
            })));
        if fate == Fate::Asked {
            let found = Found {
                torrent: wanting,
                url,
            };
            // There is room for all that may be asked.
            let _ = self.to_ask.0.try_send(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::engine::tests::world;

    #[test]
    fn few_are_asked_and_not_many_more_stored() {
        let mut known = Known::default();
        let mut fates = HashMap::new();
        let id = |index| TorrentId::from_index(index).unwrap();
        for torrent in 0..20 {
            for number in 0..100 {
                let fate = known.take(id(torrent), &format!("udp://t{number}.test:1"));
                *fates.entry(fate as u8).or_insert(0) += 1;
            }
        }
        let of = |fate: Fate| fates[&(fate as u8)];
        assert_eq!(of(Fate::Asked), ASKED_MAX);
        assert_eq!(of(Fate::Stored), 20 * STORED_PER_TORRENT - ASKED_MAX);
        assert_eq!(known.take(id(0), "udp://t0.test:1"), Fate::Nothing);
    }

    #[test]
    fn what_strangers_name_is_judged() {
        let world = world(Vec::new());
        let records = world.records;
        let found = FoundTrackers::new(&Arc::new(world.engine));
        let id = TorrentId::from_index(0).unwrap();
        for url in [
            "http://t.test/announce",
            "http://t.test/announce",
            "http://10.0.0.1/announce",
            "nonsense",
            "udp://u.test:6969",
        ] {
            found.found(id, url, TrackerOrigin::Exchange);
        }
        found.found(
            TorrentId::from_index(9).unwrap(),
            "udp://u.test:1",
            TrackerOrigin::Local,
        );
        let asked: Vec<String> = found.to_ask().try_iter().map(|it| it.url).collect();
        assert_eq!(asked, ["http://t.test/announce", "udp://u.test:6969"]);
        let stored = records.try_iter().map(|record| match record {
            Record::FoundTracker(it) => (it.url, it.asked),
            other => panic!("{other:?}"),
        });
        let stored: Vec<_> = stored.collect();
        let wanted = asked.into_iter().map(|url| (url, true));
        assert_eq!(stored, wanted.collect::<Vec<_>>());
        assert_eq!(found.named.load(Ordering::Relaxed), 6);
        assert_eq!(found.refused.load(Ordering::Relaxed), 2);
    }
}
