//! One round over the trackers of a torrent that are due.
//!
//! On the requester's thread. Live trackers are announced to and scraped one
//! after the other; the peers of an answer are handed on before its scrape,
//! so that the first visits do not wait for it. The scrapes of trackers whose
//! announce failed come last: they most likely fail as slowly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::TrackerError;
use super::announce::{AnnounceAnswer, AnnounceEvent};
use super::board::{Asking, Outcome, Turn};
use super::client::scrape_max;
use super::families::Place;
use super::requester::{Ended, Requester, Schedule};
use super::state::Tracker;
use super::url::TrackerUrl;
use crate::intake::Offer;
use crate::model::record::{Announce, Record, Scrape, ScrapeFigures, TrackerCall, TrackerFailure};
use crate::model::{InfoHash, IpFamily, PeerAddress, Source};
use crate::outside::outside_text;

mod announced;

use announced::Announced;

/// Turns that a requester waits for others' scrapes before it asks by itself.
const TURNS_MAX: usize = 4;

impl Requester {
    /// Asks every tracker that is due.
    pub(super) fn round(&mut self) -> Result<(), Ended> {
        let now = self.context.client.clock.now();
        let is_due = |index: &usize| {
            let schedule = self.schedules.get(*index);
            schedule.is_some_and(|schedule| schedule.due.is_some_and(|due| due <= now))
        };
        let due: Vec<usize> = (0..self.schedules.len()).filter(is_due).collect();
        let mut failed = Vec::new();
        for index in due {
            let Some(tracker) = self.shared.trackers.get(index).map(Arc::clone) else {
                continue;
            };
            let Some(mut announced) = self.announce(index, &tracker)? else {
                failed.push(tracker);
                continue;
            };
            let stands_in = self.stands_in(&tracker);
            if tracker.place == Place::Second && !stands_in {
                announced.record()?;
                continue;
            }
            if stands_in {
                failed.retain(|it| it.url != tracker.url);
            }
            let figures = self.scrape(&tracker, true);
            if (index == 0 || stands_in) && self.shared.has_main {
                announced.announce.main_scrape = figures.as_ref().ok().copied().flatten();
            }
            announced.record()?;
            figures?;
        }
        // Figures are those of the tracker, whatever they are asked over.
        failed.retain(|tracker| tracker.place == Place::First);
        for tracker in failed {
            self.scrape(&tracker, false)?;
        }
        Ok(())
    }

    /// Whether `tracker` is the second family of the main tracker while the
    /// first one fails: then the figures are told over it.
    fn stands_in(&self, tracker: &Tracker) -> bool {
        let main = self.shared.trackers.first();
        tracker.place == Place::Second
            && main.is_some_and(|main| self.shared.has_main && main.url == tracker.url)
            && self.schedules.first().is_some_and(Schedule::fails)
    }

    /// Announces and hands the peers on; `None` when it failed, which is
    /// recorded.
    fn announce(
        &mut self,
        index: usize,
        tracker: &Arc<Tracker>,
    ) -> Result<Option<Announced>, Ended> {
        let clock = Arc::clone(&self.context.client.clock);
        let event = (!tracker.is_started()).then_some(AnnounceEvent::Started);
        let torrent = &self.shared.torrent;
        let request = self.context.client.request(torrent, tracker, event);
        let begun = clock.now();
        if event.is_some() {
            tracker.greets();
        }
        let answer = self.interruptible(tracker, move |client, tracker| {
            client.announce(tracker, &request, client.settings.timeout)
        })?;
        let now = clock.now();
        match answer {
            Ok(answer) => {
                tracker.acknowledged(answer.0.tracker_id.clone());
                let duration = now.saturating_duration_since(begun);
                Ok(Some(self.announced(index, tracker, &answer, duration)))
            }
            Err(TrackerError::OneFamily) => {
                tracker.greeting_failed();
                self.look_again_later(index, tracker, now);
                Ok(None)
            }
            Err(error) => {
                tracker.greeting_failed();
                self.announce_failed(index, tracker, &error)?;
                Ok(None)
            }
        }
    }

    /// There may be a second family some day, and nothing was asked.
    fn look_again_later(&mut self, index: usize, tracker: &Tracker, now: Instant) {
        let settings = &self.context.client.settings;
        if let Some(schedule) = self.schedules.get_mut(index) {
            schedule.succeeded(now, None, None, settings);
            tracker.asked(schedule.due);
        }
    }

    fn announced(
        &mut self,
        index: usize,
        tracker: &Tracker,
        (answer, family): &(AnnounceAnswer, Option<IpFamily>),
        duration: Duration,
    ) -> Announced {
        let client = Arc::clone(&self.context.client);
        let id = self.shared.torrent.id;
        let at = client.clock.timestamp();
        let warning = answer.warning.as_deref().map(outside_text);
        let announce = Announce {
            at,
            torrent: id,
            url: Arc::clone(&tracker.url),
            received: 0,
            duplicates: 0,
            duration,
            family: *family,
            main_scrape: None,
            interval: answer.interval,
            min_interval: answer.min_interval,
            seeders: answer.seeders,
            leechers: answer.leechers,
            warning: warning.clone(),
        };
        let mut announced = Announced::owed(announce, self.context.records.clone());
        if let Some(ip) = answer.external_ip {
            self.context.intake.own_ip(ip);
        }
        self.offer(&answer.peers, &mut announced.announce);
        let Announce {
            received,
            duplicates,
            ..
        } = announced.announce;
        let failures = self
            .context
            .health
            .succeeded((id, tracker.place), &tracker.url, at);
        let name = tracker.name();
        if failures > 0 {
            log::warn!("tracker answers again torrent={id} tracker={name} failures={failures}");
        }
        if answer.left_out > 0 {
            let left_out = answer.left_out;
            log::warn!(
                "tracker sent too many peers torrent={id} tracker={name} dropped={left_out}"
            );
        }
        log::debug!(
            "announced torrent={id} tracker={name} received={received} duplicates={duplicates}"
        );
        if let Some(schedule) = self.schedules.get_mut(index) {
            let now = client.clock.now();
            schedule.succeeded(now, answer.interval, answer.min_interval, &client.settings);
            tracker.asked(schedule.due);
            if let Some(text) = warning.as_deref()
                && schedule.last_warning != warning
            {
                log::warn!("tracker warns torrent={id} tracker={name} text=\"{text}\"");
            }
            schedule.last_warning.clone_from(&warning);
        }
        announced
    }

    /// Hands `peers` on and counts in `announce` the received ones and, of
    /// these, the known ones; ourselves and what cannot be called count as
    /// neither.
    fn offer(&self, peers: &[PeerAddress], announce: &mut Announce) {
        for &peer in peers {
            let torrent = self.shared.torrent.id;
            match self.context.intake.offer(torrent, Source::Tracker, peer) {
                Offer::New => announce.received += 1,
                Offer::Known => {
                    announce.received += 1;
                    announce.duplicates += 1;
                }
                Offer::Own | Offer::Barred | Offer::Uncallable => {}
            }
        }
    }

    fn announce_failed(
        &mut self,
        index: usize,
        tracker: &Tracker,
        error: &TrackerError,
    ) -> Result<(), Ended> {
        let client = Arc::clone(&self.context.client);
        let id = self.shared.torrent.id;
        let label = reason(tracker, error);
        let who = (id, tracker.place);
        let failures = self.context.health.failed(who, &tracker.url, &label);
        let name = tracker.name();
        if failures == 1 {
            log::warn!("tracker fails torrent={id} tracker={name} reason=\"{label}\"");
        } else {
            log::debug!(
                "tracker fails torrent={id} tracker={name} failures={failures} reason=\"{label}\""
            );
        }
        if let Some(schedule) = self.schedules.get_mut(index) {
            let now = client.clock.now();
            let going_on = schedule.failed(now, error, &client.settings);
            tracker.asked(schedule.due);
            if going_on.is_break() {
                tracker.close();
                log::warn!("tracker is not asked again torrent={id} tracker={name}");
            }
        }
        self.record_failure(tracker, TrackerCall::Announce, error)
    }

    /// Gets the figures of this round by an own or a shared scrape and
    /// records them or the failure; `None` also for a tracker without scrape.
    fn scrape(
        &self,
        tracker: &Arc<Tracker>,
        announced: bool,
    ) -> Result<Option<ScrapeFigures>, Ended> {
        let Ok(target) = &tracker.target else {
            return Ok(None);
        };
        let key = target
            .scrape_key()
            .filter(|_| self.context.client.settings.scrape && !tracker.is_closed());
        let Some(key) = key else {
            return Ok(None);
        };
        match self.shared_scrape(tracker, target, &key, announced)? {
            Ok(figures) => {
                self.record(Record::Scrape(Scrape {
                    at: self.context.client.clock.timestamp(),
                    torrent: self.shared.torrent.id,
                    url: Arc::clone(&tracker.url),
                    figures,
                }))?;
                Ok(Some(figures))
            }
            Err(error) => {
                let id = self.shared.torrent.id;
                let name = tracker.name();
                log::debug!("scrape fails torrent={id} tracker={name} reason=\"{error}\"");
                self.record_failure(tracker, TrackerCall::Scrape, &error)?;
                Ok(None)
            }
        }
    }

    fn shared_scrape(
        &self,
        tracker: &Arc<Tracker>,
        target: &TrackerUrl,
        key: &str,
        announced: bool,
    ) -> Result<Outcome, Ended> {
        let settings = &self.context.client.settings;
        let hash = self.shared.torrent.info_hash;
        let most = if announced { scrape_max(target) } else { 1 };
        // Two requests of the one who asks, and some time to be scheduled.
        let patience = settings.timeout.saturating_mul(3);
        for _ in 0..TURNS_MAX {
            let now = self.context.client.clock.now();
            let limits = (settings.interval / 2, most);
            match self.context.board.turn(key, hash, now, limits) {
                Turn::Fresh(outcome) => return Ok(outcome),
                Turn::Ask(asking) => return self.ask_for_all(tracker, &asking),
                Turn::Wait(done) => select! {
                    recv(done) -> _ => {}
                    recv(self.context.stop.channel()) -> _ => return Err(Ended),
                    default(patience) => break,
                },
            }
        }
        self.ask_for_one(tracker, hash)
    }

    /// Scrapes for every torrent of `asking`, and for the own one alone when
    /// that gives nothing.
    fn ask_for_all(&self, tracker: &Arc<Tracker>, asking: &Asking) -> Result<Outcome, Ended> {
        let own = self.shared.torrent.info_hash;
        if asking.hashes.len() > 1 {
            let hashes = asking.hashes.clone();
            let answer = self.interruptible(tracker, move |client, tracker| {
                client.scrape(tracker, &hashes, client.settings.timeout)
            })?;
            let now = self.context.client.clock.now();
            let figures = answer.unwrap_or_default();
            for (&hash, &entry) in asking.hashes.iter().zip(&figures) {
                if let Some(entry) = entry {
                    asking.post(hash, now, complete(entry));
                }
            }
            if let Some(Some(entry)) = figures.first() {
                return Ok(complete(*entry));
            }
        }
        let outcome = self.ask_for_one(tracker, own)?;
        let now = self.context.client.clock.now();
        match &outcome {
            Ok(_) if asking.hashes.len() > 1 => {
                log::debug!(
                    "tracker scrapes single torrents only tracker={}",
                    tracker.name()
                );
                asking.prefer_single();
            }
            Err(error) if error.is_unreachable() => asking.post_unreachable(now, error.clone()),
            _ => {}
        }
        Ok(outcome)
    }

    fn ask_for_one(&self, tracker: &Arc<Tracker>, hash: InfoHash) -> Result<Outcome, Ended> {
        let answer = self.interruptible(tracker, move |client, tracker| {
            client.scrape(tracker, &[hash], client.settings.timeout)
        })?;
        Ok(answer.and_then(|figures| match figures.first() {
            Some(Some(entry)) => complete(*entry),
            _ => Err(TrackerError::NotScraped),
        }))
    }

    fn record_failure(
        &self,
        tracker: &Tracker,
        call: TrackerCall,
        error: &TrackerError,
    ) -> Result<(), Ended> {
        self.record(Record::TrackerFailure(Box::new(TrackerFailure {
            at: self.context.client.clock.timestamp(),
            torrent: self.shared.torrent.id,
            url: Arc::clone(&tracker.url),
            call,
            reason: reason(tracker, error),
        })))
    }
}

/// Text for the tracker error file; the second family fails by itself.
fn reason(tracker: &Tracker, error: &TrackerError) -> String {
    match tracker.place {
        Place::First => error.label().into_owned(),
        Place::Second => format!("{} (IPv6)", error.label()),
    }
}

/// A scrape without the number of downloads is none: the 2015 tables count
/// successes by that number.
fn complete(figures: ScrapeFigures) -> Outcome {
    if figures.completed.is_some() {
        Ok(figures)
    } else {
        Err(TrackerError::NoDownloads)
    }
}
