//! Visits for the page, outside of a run's measurement: the same visit, the
//! same limits, but no row and no revisit. On threads of the page.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::settings::{PaceSettings, VisitSettings};
use crate::deadline::Deadline;
use crate::inspection::{Seen, Subject, VisitPeers};
use crate::model::{
    InfoHash, PeerAddress, PeerId, PeerKey, PieceCount, Reason, Torrent, TorrentId,
};
use crate::net::{Connect, NetError, Operation, Stream};
use crate::outside::outside_text;
use crate::stop::StopToken;
use crate::torrent::metadata::{FetchContext, FetchSettings, Fetcher};
use crate::torrent::metainfo::Metainfo;

use super::dial::{Dialer, Utp, transports};
use super::evaluate::Verdict;
use super::scheduler::pace::Pace;
use super::visit::{Report, Visitor};

/// Longest wait for a place within the limits of politeness.
const PLACE_WAIT: Duration = Duration::from_secs(30);

/// Who visits.
pub struct Inspector {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends every visit.
    pub stop: StopToken,
    /// Opens TCP connections, under the rules of the page.
    pub connect: Arc<dyn Connect>,
    /// uTP, where it is spoken, under the same rules.
    pub utp: Option<Utp>,
    /// The parameters of a visit.
    pub settings: VisitSettings,
    /// `extension_ut_metadata_id`.
    pub metadata_number: u8,
    /// Our peer id.
    pub own_id: PeerId,
    /// The limits of `[contact]`, for the page by itself.
    pub places: Arc<Places>,
}

/// Places within the limits of politeness.
pub struct Places {
    clock: Arc<dyn Clock>,
    stop: StopToken,
    pace: Mutex<Pace>,
}

impl Places {
    /// Within the limits `settings`, none of them used yet.
    pub fn new(settings: &PaceSettings, clock: Arc<dyn Clock>, stop: StopToken) -> Self {
        let pace = Mutex::new(Pace::new(settings, clock.now()));
        Self { clock, stop, pace }
    }

    /// Counts a connection for which nobody waited.
    fn use_one(&self, key: &PeerKey) {
        self.pace.lock().use_one(key, self.clock.now());
    }

    /// Waits for a place; `false` when there is none in time.
    fn take(&self, key: &PeerKey) -> bool {
        let until = Deadline::after(self.clock.now(), PLACE_WAIT);
        loop {
            let now = self.clock.now();
            let open = {
                let mut pace = self.pace.lock();
                match pace.next_open(now) {
                    Some(open) => open,
                    None => match pace.admit(key, now) {
                        Ok(()) => return true,
                        Err(open) => open,
                    },
                }
            };
            let wait = open.saturating_duration_since(now);
            if until.left(now).is_none_or(|left| left < wait) || self.stop.wait(wait) {
                return false;
            }
        }
    }
}

/// Connections that wait for a place first.
struct Paced {
    inner: Arc<dyn Connect>,
    places: Arc<Places>,
    torrent: TorrentId,
}

impl Connect for Paced {
    fn connect(&self, to: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError> {
        let key = PeerKey::new(PeerAddress::from(to), self.torrent);
        if self.places.take(&key) {
            self.inner.connect(to, wait)
        } else {
            Err(NetError::timed_out(Operation::Connect))
        }
    }
}

impl VisitPeers for Inspector {
    fn pieces(
        &self,
        info_hash: InfoHash,
        peers: &[PeerAddress],
        limit: Duration,
    ) -> Option<(PieceCount, bool)> {
        let (send, receive) = bounded(peers.len().max(1));
        for peer in peers {
            // There is room for all.
            let _ = send.try_send(*peer);
        }
        drop(send);
        let connect = Paced {
            inner: Arc::clone(&self.connect),
            places: Arc::clone(&self.places),
            torrent: TorrentId::from_index(0)?,
        };
        let fetcher = Fetcher {
            connect: Arc::new(connect),
            context: FetchContext {
                clock: Arc::clone(&self.clock),
                stop: self.stop.clone(),
                own_id: self.own_id,
                settings: FetchSettings {
                    quiet_timeout: self.settings.quiet_timeout,
                    budget: limit,
                    attempts: 1,
                    metadata_number: self.metadata_number,
                    ..FetchSettings::default()
                },
            },
        };
        let until = Deadline::after(self.clock.now(), limit);
        let info = fetcher.run(info_hash, &receive, until).ok()?;
        let info = Metainfo::from_info(&info, Vec::new()).ok()?;
        Some((info.pieces, info.private))
    }

    fn visit(&self, subject: Subject, address: PeerAddress) -> Seen {
        let failed = |reason| Seen {
            failure: Some(reason),
            ..Seen::default()
        };
        let Some(id) = TorrentId::from_index(0) else {
            return failed(Reason::Aborted);
        };
        let key = PeerKey::new(address, id);
        if !self.places.take(&key) {
            return failed(Reason::Aborted);
        }
        let again = || self.places.use_one(&key);
        let settings = VisitSettings {
            // Without its size no bitfield is right; the rest is heard.
            ignore_malformed: subject.pieces.is_none(),
            ..self.settings.clone()
        };
        let dialer = Dialer {
            visitor: Visitor {
                clock: &*self.clock,
                settings: &settings,
                own_id: self.own_id,
                stop: &self.stop,
                peer: Some(address.ip()),
                observe: None,
            },
            transports: transports(settings.transport, &*self.connect, self.utp.as_ref()),
            again: Some(&again),
        };
        let torrent = torrent(subject, id);
        let started = self.clock.now();
        let report = dialer.visit(address.socket_addr(), &torrent, None, started);
        seen(&report, subject.pieces)
    }
}

/// What stands for a torrent that is no part of a run.
fn torrent(subject: Subject, id: TorrentId) -> Torrent {
    let pieces = subject.pieces.unwrap_or(PieceCount(1));
    Torrent {
        id,
        info_hash: subject.info_hash,
        trackers: Vec::new(),
        pieces,
        piece_length: 1,
        threshold: pieces,
        path: PathBuf::new(),
        display_name: None,
        private: subject.private,
    }
}

fn seen(report: &Report, pieces: Option<PieceCount>) -> Seen {
    let heard = report.heard.as_ref();
    let told = heard.filter(|heard| heard.told);
    let complete = told.and_then(|heard| match pieces {
        Some(_) => Some(heard.pieces.is_complete()),
        // The bitfield of a torrent of unknown size is not understood.
        None if heard.counts.have_all > 0 => Some(true),
        None if heard.counts.have_none > 0 => Some(false),
        None => None,
    });
    let by_handshake = heard
        .and_then(|heard| heard.handshake.as_ref()?.client.as_deref())
        .map(outside_text)
        .filter(|client| !client.is_empty());
    Seen {
        failure: match report.verdict {
            Verdict::Counts(_) => None,
            Verdict::Failed(reason) => Some(reason),
            Verdict::Interrupted => Some(Reason::Aborted),
        },
        pieces: pieces.and(told).map(|heard| heard.pieces.count()),
        complete,
        client: by_handshake.or_else(|| report.peer_id.and_then(|id| id.client())),
        over: report.link.map(|link| (link.transport, link.encryption)),
    }
}
