//! One request to one tracker, whatever its protocol.
//!
//! Runs on the short-lived thread of the request, or on a farewell thread.

use std::sync::Arc;
use std::time::Duration;

use super::announce::{AnnounceAnswer, AnnounceEvent, AnnounceRequest, Totals};
use super::exchange::Exchange;
use super::state::Tracker;
use super::udp::{self, ConnectionId, Request, Response};
use super::url::{TrackerUrl, UdpUrl};
use super::{Random, TrackerError, http};
use crate::clock::Clock;
use crate::config::settings::TrackerSettings;
use crate::deadline::Deadline;
use crate::model::record::ScrapeFigures;
use crate::model::{InfoHash, PeerId, Torrent};
use crate::net::http::HttpGet;
use crate::net::udp::OpenDatagram;
use crate::net::{NetError, Operation};

/// The first wait of a UDP request is this part of its time.
const FIRST_WAIT_PART: u32 = 6;

/// What asking needs. It holds nothing that keeps the run alive, since a
/// stuck request may hold it beyond the end.
pub struct TrackerClient {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Transaction ids.
    pub random: Arc<dyn Random>,
    /// HTTP.
    pub http: Arc<dyn HttpGet>,
    /// UDP.
    pub udp: Arc<dyn OpenDatagram>,
    /// Timeouts, limits, statistics to tell.
    pub settings: TrackerSettings,
    /// Our peer id of this run.
    pub peer_id: PeerId,
    /// Random number of this run, told in every announce.
    pub key: u32,
}

impl TrackerClient {
    /// An announce for `torrent` to `tracker`, with what `tracker` is known
    /// to want back.
    pub(super) fn request(
        &self,
        torrent: &Torrent,
        tracker: &Tracker,
        event: Option<AnnounceEvent>,
    ) -> AnnounceRequest {
        AnnounceRequest {
            info_hash: torrent.info_hash,
            peer_id: self.peer_id,
            port: self.settings.announce_port,
            totals: Totals::of(torrent.size(), &self.settings),
            event,
            num_want: match event {
                Some(AnnounceEvent::Stopped) => Some(0),
                _ => self.settings.num_want,
            },
            key: self.key,
            tracker_id: tracker.tracker_id(),
        }
    }

    /// Announces within `wait`.
    pub(super) fn announce(
        &self,
        tracker: &Tracker,
        request: &AnnounceRequest,
        wait: Duration,
    ) -> Result<AnnounceAnswer, TrackerError> {
        match &tracker.target {
            Err(error) => Err(TrackerError::Url(*error)),
            Ok(TrackerUrl::Http(url)) => {
                let url = http::announce_url(&url.announce, request);
                let (status, body) = self.get(&url, wait)?;
                http::parse_announce(status, &body)
            }
            Ok(TrackerUrl::Udp(url)) => {
                let make = |connection| Request::Announce {
                    connection,
                    announce: Box::new(request.clone()),
                    url_data: url.data.clone().into_bytes(),
                };
                match self.exchange(tracker, url, wait, make)? {
                    Response::Announce(answer) => Ok(answer),
                    _ => Err(mismatch()),
                }
            }
        }
    }

    /// Scrapes within `wait`; `None` for a torrent that is not named in the
    /// answer.
    pub(super) fn scrape(
        &self,
        tracker: &Tracker,
        hashes: &[InfoHash],
        wait: Duration,
    ) -> Result<Vec<Option<ScrapeFigures>>, TrackerError> {
        match &tracker.target {
            Err(error) => Err(TrackerError::Url(*error)),
            Ok(TrackerUrl::Http(url)) => {
                let scrape = url.scrape.as_deref().ok_or(TrackerError::NoFiles)?;
                let (status, body) = self.get(&http::scrape_url(scrape, hashes), wait)?;
                http::parse_scrape(status, &body, hashes)
            }
            Ok(TrackerUrl::Udp(url)) => {
                let make = |connection| Request::Scrape {
                    connection,
                    hashes: hashes.to_vec(),
                };
                match self.exchange(tracker, url, wait, make)? {
                    Response::Scrape(figures) => {
                        let figures = figures.into_iter().map(Some);
                        let padded = figures.chain(std::iter::repeat(None));
                        Ok(padded.take(hashes.len()).collect())
                    }
                    _ => Err(mismatch()),
                }
            }
        }
    }

    fn get(&self, url: &str, wait: Duration) -> Result<(u16, Vec<u8>), TrackerError> {
        self.http
            .get(url, self.settings.body_limit, wait)
            .map(|answer| (answer.status, answer.body))
            .map_err(TrackerError::Http)
    }

    fn exchange(
        &self,
        tracker: &Tracker,
        url: &UdpUrl,
        wait: Duration,
        make: impl Fn(ConnectionId) -> Request,
    ) -> Result<Response, TrackerError> {
        let deadline = Deadline::after(self.clock.now(), wait);
        let socket = self
            .udp
            .open(&url.host, url.port, wait)
            .map_err(TrackerError::Net)?;
        Exchange {
            clock: &*self.clock,
            random: &*self.random,
            socket: &*socket,
            connection: &tracker.connection,
            deadline,
            first_wait: wait / FIRST_WAIT_PART,
        }
        .run(make)
    }
}

/// The exchange lets only the right kind through.
const fn mismatch() -> TrackerError {
    TrackerError::Net(NetError::timed_out(Operation::Read))
}

/// Torrents in one scrape request at most.
pub(super) const fn scrape_max(target: &TrackerUrl) -> usize {
    match target {
        TrackerUrl::Http(_) => http::SCRAPE_MAX,
        TrackerUrl::Udp(_) => udp::SCRAPE_MAX,
    }
}
