//! Entries of the history: made from answers, stored without addresses, told
//! as the Torrent Peer Tracker tells them.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::question::Question;
use super::{INTERVAL_DEFAULT, INTERVAL_MAX, PEERS_TOLD, Tracking};
use crate::model::record::ScrapeFigures;
use crate::model::{PeerAddress, PeerId, Reason, Timestamp};
use crate::net::http::HttpError;
use crate::outside::outside_text;
use crate::storage::StorageError;
use crate::storage::history::{TrackEntry, TrackedPeer};
use crate::tracker::announce::AnnounceAnswer;
use crate::tracker::{RetryIn, TrackerError};
use crate::web::answer::Refused;

/// What stands for the DHT where a tracker's URL would.
pub(in crate::web) const DHT: &str = "dht:";

/// Before a tracker that failed is asked again.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Before a torrent is looked up in the DHT again.
const DHT_INTERVAL: u32 = 300;

impl Tracking {
    /// What a tracker has answered.
    pub(super) fn answered(
        &self,
        question: &Question,
        url: &str,
        now: Timestamp,
        (answer, scraped): (&AnnounceAnswer, Option<ScrapeFigures>),
    ) -> TrackEntry {
        let interval = answer.interval.unwrap_or(INTERVAL_DEFAULT);
        let wait = Duration::from_secs(interval.max(answer.min_interval.unwrap_or(0)).into())
            .min(INTERVAL_MAX);
        let scraped = scraped.unwrap_or_default();
        let client = |peer: &PeerAddress| answer.ids.get(peer).and_then(PeerId::client);
        TrackEntry {
            peer_count: (answer.peers.len() + answer.left_out) as u64,
            interval,
            complete: answer.seeders.or(scraped.seeders).unwrap_or(0),
            incomplete: answer.leechers.or(scraped.leechers).unwrap_or(0),
            downloaded: scraped.completed.unwrap_or(0),
            next: now.plus(wait),
            peers: self.told(&answer.peers, client),
            ..nothing(question, url, now)
        }
    }

    /// What the DHT has answered.
    pub(super) fn found(
        &self,
        question: &Question,
        now: Timestamp,
        peers: &[PeerAddress],
    ) -> TrackEntry {
        TrackEntry {
            peer_count: peers.len() as u64,
            interval: DHT_INTERVAL,
            next: now.plus(Duration::from_secs(DHT_INTERVAL.into())),
            peers: self.told(peers, |_| None),
            ..nothing(question, DHT, now)
        }
    }

    fn told(
        &self,
        peers: &[PeerAddress],
        client: impl Fn(&PeerAddress) -> Option<String>,
    ) -> Vec<TrackedPeer> {
        let places = self.places.lock();
        let peer = |peer: &PeerAddress| TrackedPeer {
            ip: peer.ip().to_string(),
            port: peer.port(),
            country: places.locate(peer.ip()).country,
            client: client(peer),
            visit: None,
        };
        peers.iter().take(PEERS_TOLD).map(peer).collect()
    }

    /// `entry` as it may be stored.
    pub(super) fn to_store(&self, entry: &TrackEntry) -> TrackEntry {
        let mut entry = entry.clone();
        if !self.store_addresses {
            for peer in &mut entry.peers {
                let ip: Result<IpAddr, _> = peer.ip.parse();
                peer.ip =
                    ip.map_or_else(|_| String::new(), |ip| self.pseudonyms.of(ip).to_string());
            }
        }
        entry
    }
}

/// A tracker that has not answered.
pub(super) fn failed(
    question: &Question,
    url: &str,
    now: Timestamp,
    error: &TrackerError,
) -> TrackEntry {
    let wait = match error.retry() {
        Some(RetryIn::Never) => INTERVAL_MAX,
        Some(RetryIn::After(time)) => time.clamp(AFTER_FAILURE, INTERVAL_MAX),
        None => AFTER_FAILURE,
    };
    TrackEntry {
        error: Some(outside_text(error.to_string().as_bytes())),
        next: now.plus(wait),
        ..nothing(question, url, now)
    }
}

/// A DHT that nobody could ask.
pub(super) fn not_found(question: &Question, now: Timestamp, error: String) -> TrackEntry {
    TrackEntry {
        error: Some(error),
        next: now.plus(AFTER_FAILURE),
        ..nothing(question, DHT, now)
    }
}

fn nothing(question: &Question, url: &str, now: Timestamp) -> TrackEntry {
    TrackEntry {
        id: 0,
        at: now,
        info_hash: question.info_hash,
        tracker_url: url.to_owned(),
        peer_count: 0,
        interval: 0,
        complete: 0,
        incomplete: 0,
        downloaded: 0,
        error: None,
        next: now,
        peers: Vec::new(),
    }
}

/// The status of a failed question: our fault, a place that nobody may be
/// sent to, or the tracker's.
pub(super) fn status_of(error: &TrackerError) -> StatusCode {
    match error {
        TrackerError::Url(_) | TrackerError::Http(HttpError::BadUrl) => StatusCode::BAD_REQUEST,
        TrackerError::Net(error) | TrackerError::Http(HttpError::Net(error))
            if error.reason == Reason::ReservedAddress =>
        {
            StatusCode::FORBIDDEN
        }
        TrackerError::NoRandom | TrackerError::NoThread | TrackerError::Aborted => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The history does not work.
pub(in crate::web) fn unstored(error: &StorageError) -> Refused {
    log::error!("{error}");
    Refused::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the history cannot be read or written; see the log",
    )
}

/// What the Torrent Peer Tracker calls a result: peers and figures, or the
/// error.
pub(in crate::web) fn result_json(entry: &TrackEntry) -> Value {
    if let Some(error) = &entry.error {
        return json!({ "error": error });
    }
    json!({
        "peers": entry.peers,
        "interval": entry.interval,
        "complete": entry.complete,
        "incomplete": entry.incomplete,
        "downloaded": entry.downloaded,
    })
}
