//! The thread of one torrent that asks its trackers, round after round.
//!
//! Each tracker has its own rhythm (`Schedule`): after a success the next
//! announce is due after the longest of `tracker_request_interval`, the
//! tracker's `interval` and its `min interval` (the wish alone with
//! `ignore_interval`); after failures the wish grows up to fourfold. `retry
//! in` (BEP 31) is always honoured. What happens in a round is in
//! `round.rs`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, select};

use super::client::TrackerClient;
use super::state::{TorrentTrackers, Tracker};
use super::url::TrackerUrl;
use super::{RetryIn, ScrapeBoard, TrackerError, TrackerHealth};
use crate::config::settings::TrackerSettings;
use crate::intake::PeerIntake;
use crate::model::record::Record;
use crate::stop::StopToken;
use crate::threads;

/// Longest interval that a tracker can impose: nobody may ask us to be silent
/// for the rest of a run by a wrong number.
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// The wish grows at most by this factor while a tracker fails.
const FAILURE_FACTOR_MAX: u32 = 4;

/// Stack of a request thread: TLS handshakes need much of it.
pub(super) const REQUEST_STACK: usize = 1024 * 1024;

/// Sleep when nothing is ever due again; only the end is waited for.
const IDLE: Duration = Duration::from_secs(3600);

/// What the requesters of all torrents share.
#[derive(Clone)]
pub struct TrackerContext {
    /// How to ask.
    pub client: Arc<TrackerClient>,
    /// Takes the peers.
    pub intake: Arc<dyn PeerIntake>,
    /// To the writer; a full channel makes the requester wait, a closed one
    /// ends it.
    pub records: Sender<Record>,
    /// Ends the requester, also in the middle of a request.
    pub stop: StopToken,
    /// Shared scrapes.
    pub board: Arc<ScrapeBoard>,
    /// State for the status line.
    pub health: Arc<TrackerHealth>,
}

/// Asks the trackers of one torrent.
pub struct Requester {
    pub(super) context: TrackerContext,
    pub(super) shared: Arc<TorrentTrackers>,
    pub(super) schedules: Vec<Schedule>,
}

/// The run ends: it was told to, or the writer is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended;

/// Asks the trackers until the run ends. The thread's body; it returns only
/// then, whatever trackers answer.
pub fn run(mut requester: Requester) {
    loop {
        let wait = match requester.step() {
            Ok(wait) => wait.unwrap_or(IDLE),
            Err(Ended) => return,
        };
        if requester.context.stop.wait(wait) {
            return;
        }
    }
}

impl Requester {
    /// A requester whose first round is due at once. Make those of all
    /// torrents before the first one runs, so that scrapes are shared from
    /// the start. After an end or a panic a new one on the same `shared`
    /// takes over: `started` is not sent twice, and no tracker is asked
    /// before its interval is over.
    pub fn new(context: TrackerContext, shared: Arc<TorrentTrackers>) -> Self {
        let now = context.client.clock.now();
        let scraped = context.client.settings.scrape;
        for tracker in shared.trackers.iter().filter(|_| scraped) {
            let key = tracker
                .target
                .as_ref()
                .ok()
                .and_then(TrackerUrl::scrape_key);
            if let Some(key) = key {
                context.board.register(&key, shared.torrent.info_hash);
            }
        }
        let schedules = shared
            .trackers
            .iter()
            .map(|tracker| Schedule::of(tracker, now))
            .collect();
        Self {
            context,
            shared,
            schedules,
        }
    }

    /// Does what is due; tells how long nothing is, `None` for ever.
    pub(super) fn step(&mut self) -> Result<Option<Duration>, Ended> {
        self.round()?;
        let now = self.context.client.clock.now();
        let next = self.schedules.iter().filter_map(|schedule| schedule.due);
        Ok(next.min().map(|due| due.saturating_duration_since(now)))
    }

    /// Runs `job` on a thread of its own and waits for it or for the end of
    /// the run; what is left behind then ends by its own deadline.
    pub(super) fn interruptible<T: Send + 'static>(
        &self,
        tracker: &Arc<Tracker>,
        job: impl FnOnce(&TrackerClient, &Tracker) -> Result<T, TrackerError> + Send + 'static,
    ) -> Result<Result<T, TrackerError>, Ended> {
        if self.context.stop.is_stopped() {
            return Err(Ended);
        }
        let (send, receive) = bounded(1);
        let client = Arc::clone(&self.context.client);
        let tracker = Arc::clone(tracker);
        let spawned = threads::spawn("tracker-request", REQUEST_STACK, move || {
            // Nobody listens any more when the run has ended.
            let _ = send.send(job(&client, &tracker));
        });
        if let Err(error) = spawned {
            log::warn!("no thread for a tracker request: {error}");
            return Ok(Err(TrackerError::NoThread));
        }
        select! {
            recv(receive) -> answer => Ok(answer.unwrap_or(Err(TrackerError::Aborted))),
            recv(self.context.stop.channel()) -> _ => Err(Ended),
        }
    }

    /// Hands a record to the writer.
    pub(super) fn record(&self, record: Record) -> Result<(), Ended> {
        self.context.records.send(record).map_err(|_| Ended)
    }
}

/// When one tracker is asked next.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// `None`: never again.
    pub(super) due: Option<Instant>,
    min_interval: Duration,
    failures: u32,
    pub(super) last_warning: Option<String>,
}

impl Schedule {
    fn of(tracker: &Tracker, now: Instant) -> Self {
        let due = tracker.due().map_or(now, |due| due.max(now));
        Self {
            due: Some(due).filter(|_| !tracker.is_closed()),
            min_interval: Duration::ZERO,
            failures: 0,
            last_warning: None,
        }
    }

    /// Whether the latest announce failed.
    pub(super) const fn fails(&self) -> bool {
        self.failures > 0
    }

    /// The tracker answered with these seconds.
    pub(super) fn succeeded(
        &mut self,
        now: Instant,
        interval: Option<u32>,
        min_interval: Option<u32>,
        settings: &TrackerSettings,
    ) {
        let limited = |seconds: Option<u32>| {
            Duration::from_secs(seconds.unwrap_or(0).into()).min(INTERVAL_MAX)
        };
        self.failures = 0;
        self.min_interval = limited(min_interval);
        let demanded = limited(interval).max(self.min_interval);
        let wait = if settings.ignore_interval {
            settings.interval
        } else {
            settings.interval.max(demanded)
        };
        self.due = now.checked_add(wait);
    }

    /// The tracker failed; `Break` when it is never to be asked again.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        error: &TrackerError,
        settings: &TrackerSettings,
    ) -> ControlFlow<()> {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u32
            .checked_shl(self.failures - 1)
            .map_or(FAILURE_FACTOR_MAX, |factor| {
                factor.clamp(1, FAILURE_FACTOR_MAX)
            });
        let mut wait = settings.interval.saturating_mul(factor);
        if !settings.ignore_interval {
            wait = wait.max(self.min_interval);
        }
        match error.retry() {
            Some(RetryIn::Never) => {
                self.due = None;
                return ControlFlow::Break(());
            }
            Some(RetryIn::After(time)) => wait = wait.max(time.min(INTERVAL_MAX)),
            None => {}
        }
        if matches!(error, TrackerError::Url(_)) {
            self.due = None;
            return ControlFlow::Break(());
        }
        self.due = now.checked_add(wait);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
