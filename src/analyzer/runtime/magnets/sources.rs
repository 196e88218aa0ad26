//! Where the peers of a magnet link come from while it waits for its
//! metadata. They are asked for the metadata only: nothing is measured and no
//! row stored before the torrent is there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::analyzer::scheduler::Scheduler;
use crate::config::settings::TrackerSettings;
use crate::dht::pending::PendingLookups;
use crate::intake::{Offer, PeerIntake};
use crate::model::record::Record;
use crate::model::{InfoHash, PeerAddress, Source, TorrentId};
use crate::stop::{StopTrigger, stop_pair};
use crate::threads::{self, LARGE_STACK, VISIT_STACK};
use crate::tracker::{
    Requester, ScrapeBoard, TorrentTrackers, TrackerClient, TrackerContext, TrackerHealth, run,
};

use super::{Magnets, Pending, unknown};

/// Longest look-up of a host name in a link.
const RESOLVE: Duration = Duration::from_secs(10);

/// The sources of one try; they end with it.
pub(super) struct Sources {
    _trackers: Option<(StopTrigger, Receiver<Record>)>,
    _lookup: Option<Lookup>,
}

/// An info hash that the DHT thread looks up.
struct Lookup {
    lookups: PendingLookups,
    info_hash: InfoHash,
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.lookups.remove(self.info_hash);
    }
}

/// Hands the peers of trackers on to the fetcher, and what they tell of us to
/// the scheduler.
struct ToFetcher {
    peers: Sender<PeerAddress>,
    scheduler: Arc<Scheduler>,
}

impl PeerIntake for ToFetcher {
    fn offer(&self, _: TorrentId, _: Source, address: PeerAddress) -> Offer {
        // What there is no room for is named again.
        let _ = self.peers.try_send(address);
        Offer::New
    }

    fn own_ip(&self, ip: IpAddr) {
        self.scheduler.own_ip(ip);
    }
}

impl Magnets {
    /// Starts everything that names peers to `send`, and what finds those of
    /// the link itself to `hints`.
    pub(super) fn start_sources(
        &self,
        pending: &mut Pending,
        number: usize,
        (send, hints): (Sender<PeerAddress>, Sender<PeerAddress>),
    ) -> Sources {
        let lookup = self.lookups.as_ref().map(|lookups| {
            let info_hash = pending.wanted.info_hash;
            lookups.add(info_hash, send.clone());
            Lookup {
                lookups: lookups.clone(),
                info_hash,
            }
        });
        let trackers = self.ask_trackers(pending, number, &send);
        self.resolve_hints(pending, hints);
        Sources {
            _trackers: trackers,
            _lookup: lookup,
        }
    }

    /// `x.pe`; names are looked up on a thread of its own, since that may
    /// take long.
    fn resolve_hints(&self, pending: &Pending, send: Sender<PeerAddress>) {
        let hints = pending.wanted.peers.clone();
        if hints.is_empty() {
            return;
        }
        let (resolver, stop) = (self.resolver.clone(), self.engine.stop.clone());
        let started = threads::spawn("magnet-peers", VISIT_STACK, move || {
            for hint in hints {
                if stop.is_stopped() {
                    return;
                }
                match resolver.resolve(&hint.host, hint.port, RESOLVE) {
                    Ok(found) => {
                        for address in found {
                            let address = PeerAddress::new(address.ip(), address.port());
                            let _ = send.try_send(address);
                        }
                    }
                    Err(error) => {
                        log::debug!("peer of a magnet link not found: {:?}", error.reason);
                    }
                }
            }
        });
        if let Err(error) = started {
            log::warn!("no thread for the peers of a magnet link: {error}");
        }
    }

    /// Starts the thread `magnet-tr-N`, which ends when what is returned
    /// goes. Its records are of no torrent and go nowhere: a try lasts half
    /// an hour at most, so that they are few.
    fn ask_trackers(
        &self,
        pending: &mut Pending,
        number: usize,
        send: &Sender<PeerAddress>,
    ) -> Option<(StopTrigger, Receiver<Record>)> {
        let wanted = &pending.wanted;
        if wanted.trackers.is_empty() {
            return None;
        }
        let client = &self.trackers.client;
        let shared = if let Some(shared) = &pending.trackers {
            Arc::clone(shared)
        } else {
            let torrent = Arc::new(unknown(wanted.info_hash, wanted.trackers.clone())?);
            let shared = Arc::new(TorrentTrackers::new(torrent, &client.settings));
            self.trackers.link_asks(Arc::clone(&shared));
            pending.trackers = Some(Arc::clone(&shared));
            shared
        };
        let (trigger, stop) = stop_pair();
        let (records, unread) = unbounded();
        let context = TrackerContext {
            client: Arc::new(without_scrape(client)),
            intake: Arc::new(ToFetcher {
                peers: send.clone(),
                scheduler: Arc::clone(&self.engine.scheduler),
            }),
            records,
            stop,
            board: Arc::new(ScrapeBoard::new()),
            health: Arc::new(TrackerHealth::new()),
        };
        let name = format!("magnet-tr-{number}");
        let started = threads::spawn(&name, LARGE_STACK, move || {
            run(Requester::new(context, shared));
        });
        if let Err(error) = started {
            log::warn!("no thread for the trackers of a magnet link: {error}");
            return None;
        }
        Some((trigger, unread))
    }
}

/// Figures of a torrent that is not there yet go nowhere.
fn without_scrape(client: &TrackerClient) -> TrackerClient {
    TrackerClient {
        clock: Arc::clone(&client.clock),
        random: Arc::clone(&client.random),
        http: Arc::clone(&client.http),
        udp: Arc::clone(&client.udp),
        families: client.families.clone(),
        settings: TrackerSettings {
            scrape: false,
            ..client.settings.clone()
        },
        peer_id: client.peer_id,
        key: client.key,
    }
}
