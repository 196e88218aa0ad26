//! What the requester and the farewell both know about a tracker.
//!
//! The locks here are held for a copy only, never during a request: a
//! `stopped` does not wait for an announce that is stuck.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::exchange::Connection;
use super::families::Place;
use super::url::{TrackerUrl, UrlError};
use crate::config::settings::TrackerSettings;
use crate::model::Torrent;

/// The trackers of one torrent. Kept by whoever starts the requester, for a
/// restart and for the [`super::farewell`].
pub struct TorrentTrackers {
    /// The torrent.
    pub(super) torrent: Arc<Torrent>,
    /// In the order of the torrent file, the main tracker first; behind all,
    /// those that have a name once more, for their second address family.
    pub(super) trackers: Vec<Arc<Tracker>>,
    /// Whether the first is the main tracker, whose figures have columns of
    /// 2015.
    pub(super) has_main: bool,
}

impl TorrentTrackers {
    /// Reads the announce URLs of `torrent`; those that cannot be used are
    /// kept, and reported as failed once by the requester.
    pub fn new(torrent: Arc<Torrent>, settings: &TrackerSettings) -> Self {
        let own = |url: &String| Tracker::new(url, settings.udp_default_port);
        let mut trackers: Vec<Tracker> = torrent.trackers.iter().map(own).collect();
        if settings.ipv6 {
            let second: Vec<Tracker> = trackers.iter().filter_map(Tracker::second).collect();
            trackers.extend(second);
        }
        Self {
            torrent,
            trackers: trackers.into_iter().map(Arc::new).collect(),
            has_main: true,
        }
    }

    /// The tracker at `url` alone, which was found while the run goes on: it is
    /// none of the torrent file's, whatever its place.
    pub fn found(torrent: Arc<Torrent>, url: &str, settings: &TrackerSettings) -> Self {
        let tracker = Tracker::new(url, settings.udp_default_port);
        Self {
            torrent,
            trackers: vec![Arc::new(tracker)],
            has_main: false,
        }
    }

    /// When the first of those that may still be asked is due; `None` when
    /// one was never asked, or there is none.
    pub fn next_due(&self) -> Option<Instant> {
        let open = self.trackers.iter().filter(|tracker| !tracker.is_closed());
        let dues: Option<Vec<Instant>> = open.map(|tracker| tracker.due()).collect();
        dues?.into_iter().min()
    }

    /// The torrent.
    pub fn torrent(&self) -> &Arc<Torrent> {
        &self.torrent
    }
}

/// One tracker of one torrent.
pub(super) struct Tracker {
    /// As in the torrent file.
    pub(super) url: Arc<str>,
    /// Where it is.
    pub(super) target: Result<TrackerUrl, UrlError>,
    /// Over which of its address families it is asked.
    pub(super) place: Place,
    /// UDP connection id.
    pub(super) connection: Connection,
    state: Mutex<State>,
}

/// Why a tracker is owed a `stopped`; in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leave {
    /// It acknowledged a `started`.
    Known,
    /// A `started` is under way.
    Perhaps,
}

#[derive(Default)]
struct State {
    started: bool,
    /// A `started` is under way: the tracker may know us already.
    greeting: bool,
    closed: bool,
    due: Option<Instant>,
    tracker_id: Option<Vec<u8>>,
}

impl Tracker {
    /// The tracker at `url`, never asked before.
    pub(super) fn new(url: &str, udp_default_port: u16) -> Self {
        Self {
            url: Arc::from(url),
            target: TrackerUrl::parse(url, udp_default_port),
            place: Place::First,
            connection: Connection::default(),
            state: Mutex::default(),
        }
    }

    /// The same tracker over its second address family, where it can have one.
    fn second(&self) -> Option<Self> {
        let target = self.target.as_ref().ok().filter(|it| it.has_name())?;
        Some(Self {
            url: Arc::clone(&self.url),
            target: Ok(target.clone()),
            place: Place::Second,
            connection: Connection::default(),
            state: Mutex::default(),
        })
    }

    /// Name for the log, without passkeys.
    pub(super) fn name(&self) -> String {
        match &self.target {
            Ok(target) => crate::outside::outside_text(target.to_string().as_bytes()),
            Err(_) => "(unusable)".to_owned(),
        }
    }

    /// Whether a `started` was acknowledged.
    pub(super) fn is_started(&self) -> bool {
        self.state.lock().started
    }

    /// A `started` is sent now.
    pub(super) fn greets(&self) {
        self.state.lock().greeting = true;
    }

    /// That `started` failed.
    pub(super) fn greeting_failed(&self) {
        self.state.lock().greeting = false;
    }

    /// A `started`, or any announce after it, was acknowledged; keeps the
    /// tracker's id for us where it gave one.
    pub(super) fn acknowledged(&self, tracker_id: Option<Vec<u8>>) {
        let mut state = self.state.lock();
        state.started = true;
        state.greeting = false;
        if tracker_id.is_some() {
            state.tracker_id = tracker_id;
        }
    }

    /// What the tracker wants back.
    pub(super) fn tracker_id(&self) -> Option<Vec<u8>> {
        self.state.lock().tracker_id.clone()
    }

    /// Nobody asks it before `due` (BEP 3), whichever requester that is.
    pub(super) fn asked(&self, due: Option<Instant>) {
        self.state.lock().due = due;
    }

    /// When it may be asked next; `None` as soon as anybody likes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state.lock().due
    }

    /// The tracker wants no more requests in this run.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Whether it may be asked.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Whether it is owed a `stopped`; from now on no more.
    pub(super) fn take_leave(&self) -> Option<Leave> {
        let mut state = self.state.lock();
        let started = std::mem::take(&mut state.started);
        let greeting = std::mem::take(&mut state.greeting);
        match (started, greeting) {
            _ if state.closed => None,
            (true, _) => Some(Leave::Known),
            (false, true) => Some(Leave::Perhaps),
            (false, false) => None,
        }
    }
}
