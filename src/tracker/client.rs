//! One request to one tracker, whatever its protocol.
//!
//! Runs on the short-lived thread of the request, or on a farewell thread.

use std::sync::Arc;
use std::time::Duration;

use super::announce::{AnnounceAnswer, AnnounceEvent, AnnounceRequest, Totals};
use super::exchange::Exchange;
use super::families::{Families, Place};
use super::state::Tracker;
use super::udp::{self, ConnectionId, Request, Response};
use super::url::{TrackerUrl, UdpUrl};
use super::{Random, TrackerError, http};
use crate::clock::Clock;
use crate::config::settings::TrackerSettings;
use crate::deadline::Deadline;
use crate::model::record::ScrapeFigures;
use crate::model::{InfoHash, IpFamily, PeerId, Torrent};
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
    /// To choose the address family of each request; without it, `http` and
    /// `udp` take what they get.
    pub families: Option<Arc<Families>>,
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

    /// Announces within `wait`; tells over which address family, where that
    /// was ours to choose.
    pub(super) fn announce(
        &self,
        tracker: &Tracker,
        request: &AnnounceRequest,
        wait: Duration,
    ) -> Result<(AnnounceAnswer, Option<IpFamily>), TrackerError> {
        let way = self.way(tracker, wait)?;
        let answer = self.announce_by(&way, tracker, request)?;
        Ok((answer, way.family))
    }

    fn announce_by(
        &self,
        way: &Way<'_>,
        tracker: &Tracker,
        request: &AnnounceRequest,
    ) -> Result<AnnounceAnswer, TrackerError> {
        match &tracker.target {
            Err(error) => Err(TrackerError::Url(*error)),
            Ok(TrackerUrl::Http(url)) => {
                let url = http::announce_url(&url.announce, request);
                let (status, body) = self.get(way, &url)?;
                http::parse_announce(status, &body)
            }
            Ok(TrackerUrl::Udp(url)) => {
                let make = |connection| Request::Announce {
                    connection,
                    announce: Box::new(request.clone()),
                    url_data: url.data.clone().into_bytes(),
                };
                match self.exchange(way, tracker, url, make)? {
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
        let way = &self.way(tracker, wait)?;
        match &tracker.target {
            Err(error) => Err(TrackerError::Url(*error)),
            Ok(TrackerUrl::Http(url)) => {
                let scrape = url.scrape.as_deref().ok_or(TrackerError::NoFiles)?;
                let (status, body) = self.get(way, &http::scrape_url(scrape, hashes))?;
                http::parse_scrape(status, &body, hashes)
            }
            Ok(TrackerUrl::Udp(url)) => {
                let make = |connection| Request::Scrape {
                    connection,
                    hashes: hashes.to_vec(),
                };
                match self.exchange(way, tracker, url, make)? {
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

    /// By what a request to `tracker` goes that may take `wait`.
    fn way(&self, tracker: &Tracker, wait: Duration) -> Result<Way<'_>, TrackerError> {
        let deadline = Deadline::after(self.clock.now(), wait);
        let any = Way {
            http: &*self.http,
            udp: &*self.udp,
            family: None,
            deadline,
        };
        let target = tracker
            .target
            .as_ref()
            .map_err(|error| TrackerError::Url(*error))?;
        // One family alone is whichever lets us in.
        let families = self.families.as_ref().filter(|_| self.settings.ipv6);
        let Some(families) = families else {
            return match tracker.place {
                Place::First => Ok(any),
                Place::Second => Err(TrackerError::OneFamily),
            };
        };
        Ok(match families.at(tracker.place, target, wait)? {
            None => any,
            Some((family, door)) => Way {
                http: door.http.as_deref().unwrap_or(any.http),
                udp: &*door.udp,
                family: Some(family),
                deadline,
            },
        })
    }

    /// What is left of a request's time.
    fn left(&self, way: &Way<'_>) -> Result<Duration, TrackerError> {
        way.deadline.left(self.clock.now()).ok_or_else(timed_out)
    }

    fn get(&self, way: &Way<'_>, url: &str) -> Result<(u16, Vec<u8>), TrackerError> {
        let wait = self.left(way)?;
        way.http
            .get(url, self.settings.body_limit, wait)
            .map(|answer| (answer.status, answer.body))
            .map_err(TrackerError::Http)
    }

    fn exchange(
        &self,
        way: &Way<'_>,
        tracker: &Tracker,
        url: &UdpUrl,
        make: impl Fn(ConnectionId) -> Request,
    ) -> Result<Response, TrackerError> {
        let wait = self.left(way)?;
        let socket = way
            .udp
            .open(&url.host, url.port, wait)
            .map_err(TrackerError::Net)?;
        Exchange {
            clock: &*self.clock,
            random: &*self.random,
            socket: &*socket,
            connection: &tracker.connection,
            deadline: way.deadline,
            first_wait: wait / FIRST_WAIT_PART,
        }
        .run(make)
    }
}

/// By what one request goes, and until when.
struct Way<'a> {
    http: &'a dyn HttpGet,
    udp: &'a dyn OpenDatagram,
    family: Option<IpFamily>,
    deadline: Deadline,
}

/// The exchange lets only the right kind through.
const fn mismatch() -> TrackerError {
    timed_out()
}

const fn timed_out() -> TrackerError {
    TrackerError::Net(NetError::timed_out(Operation::Read))
}

/// Torrents in one scrape request at most.
pub(super) const fn scrape_max(target: &TrackerUrl) -> usize {
    match target {
        TrackerUrl::Http(_) => http::SCRAPE_MAX,
        TrackerUrl::Udp(_) => udp::SCRAPE_MAX,
    }
}
