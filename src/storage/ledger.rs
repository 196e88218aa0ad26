//! Decides what each record means for the tables: known peers, counts, ids.
//!
//! Pure: no SQL, no clock, no log. The writer thread asks it exactly once per
//! record and keeps the rows until they are stored, so that nothing is counted
//! twice when a transaction has to be repeated.

mod contacts;
mod counts;
mod doubts;
mod evidence;
mod exchange;
mod identity;
mod peers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::geo::Locate;
use super::row::{
    AnnounceRow, CountRow, FoundTrackerRow, HostRow, InputRow, KINDS, MessageRow, RequestRow, Row,
    ScrapeRow, StatisticRow, TorrentRow, kinds,
};
use super::text;
use crate::config::settings::Identity;
use crate::model::record::{
    Announce, Lookup, MessageCounts, Record, Scrape, Tick, TrackerCall, TrackerFailure,
};
use crate::model::{IpFamily, Origin, Source, Timestamp, Torrent, TorrentId};
use counts::{Callers, Outcomes, TrackerEntry};
pub use counts::{PeerErrors, TrackerResults};
use evidence::EvidenceCounts;
use peers::Peers;

/// State of a run that rows are computed from.
pub struct Ledger {
    torrents: Vec<Arc<Torrent>>,
    geo: Box<dyn Locate>,
    peers: Peers,
    errors: PeerErrors,
    trackers: TrackerResults,
    outcomes: Outcomes,
    messages: [u64; KINDS],
    callers: Vec<Callers>,
    exchanged: BTreeMap<(TorrentId, Origin), Callers>,
    evidence: EvidenceCounts,
    completed: Vec<Option<u32>>,
    requests: i64,
    statistics: i64,
    last_tick: Option<Tick>,
    dirty: bool,
    notices: Vec<String>,
}

/// Totals so far, ahead of the database by the rows that wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rows of `peer`.
    pub peers: u64,
    /// Rows of `visit`.
    pub visits: u64,
    /// Distinct callers: rows of `peer` with the source `incoming`.
    pub unique_incoming: u64,
    /// Successful evaluations of all other rows.
    pub success_active: u64,
    /// Confirmed downloads per torrent, in order of the ids.
    pub confirmed: Vec<u64>,
}

impl Ledger {
    /// An empty ledger for `torrents`, which must be in order of their ids.
    pub fn new(torrents: Vec<Arc<Torrent>>, geo: Box<dyn Locate>) -> Self {
        let count = torrents.len();
        Self {
            torrents,
            geo,
            peers: Peers::new(count),
            errors: PeerErrors::default(),
            trackers: TrackerResults::default(),
            outcomes: Outcomes::default(),
            messages: [0; KINDS],
            callers: vec![Callers::default(); count],
            exchanged: BTreeMap::new(),
            evidence: EvidenceCounts::default(),
            completed: vec![None; count],
            requests: 0,
            statistics: 0,
            last_tick: None,
            dirty: false,
            notices: Vec::new(),
        }
    }

    /// The same with callers told apart by `identity` (otherwise as in 2015),
    /// and speeds only from visits `speed_gap` apart; before the first record.
    #[must_use]
    pub fn measuring(mut self, identity: Identity, speed_gap: Duration) -> Self {
        self.peers.measure(identity, speed_gap);
        self
    }

    /// The same; a peer that told no piece in `visits` visits over `time` is
    /// doubted (otherwise never).
    #[must_use]
    pub fn doubting(mut self, visits: u32, time: Duration) -> Self {
        self.peers.doubt(visits, time);
        self
    }

    /// The rows that `record` changes, appended to `rows`; `waiting` is the
    /// number of records still in the channel, for `visited_queue`.
    pub fn take(&mut self, record: Record, waiting: usize, rows: &mut Vec<Row>) {
        self.dirty |= !matches!(
            record,
            Record::Tick(_) | Record::Manifest { .. } | Record::Host(_)
        );
        match record {
            Record::Torrent(torrent) => self.join(torrent, rows),
            Record::Input(input) => rows.push(Row::Input(Box::new(InputRow::of(&input)))),
            Record::Visit(mut visit) => self.visit(&mut visit, rows),
            Record::Failure(failure) => self.failure(&failure, rows),
            Record::Announce(announce) => self.announce(&announce, rows),
            Record::Scrape(scrape) => self.scrape(&scrape, rows),
            Record::TrackerFailure(failure) => self.tracker_failure(&failure, rows),
            Record::FoundTracker(found) => {
                if self.torrent(found.torrent).is_some() {
                    rows.push(Row::FoundTracker(Box::new(FoundTrackerRow::of(&found))));
                }
            }
            Record::Lookup(lookup) => self.lookup(lookup, rows),
            Record::Exchange(exchanged) => self.exchange(exchanged),
            Record::Host(name) => rows.push(Row::Host(Box::new(HostRow::of(*name)))),
            Record::Tick(tick) => self.tick(*tick, waiting, rows),
            Record::Manifest { key, value } => rows.push(Row::Fact {
                key: key.into(),
                value,
            }),
        }
    }

    /// What came after the last tick: a tick of its own at `at`, with the
    /// machine's figures of the tick before, if there is anything to tell.
    /// Keeps sums 4 and 6 of the contract exact when a run ends unexpectedly.
    pub fn finish(&mut self, at: Timestamp, rows: &mut Vec<Row>) {
        if !self.dirty {
            return;
        }
        let last = self.last_tick.clone();
        let tick = Tick {
            at,
            last: true,
            ..last.unwrap_or(Tick {
                at,
                peer_queue: 0,
                thread_workload: None,
                load_average: None,
                memory_mb: None,
                server_threads: 0,
                evaluator_threads: 0,
                last: true,
            })
        };
        self.tick(tick, 0, rows);
    }

    /// Totals so far.
    pub const fn totals(&self) -> &Totals {
        self.peers.totals()
    }

    /// Lines of the peer error file.
    pub const fn peer_errors(&self) -> &PeerErrors {
        &self.errors
    }

    /// Lines of the tracker error file.
    pub const fn tracker_results(&self) -> &TrackerResults {
        &self.trackers
    }

    /// Observations for the log since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// A torrent joins the run, with the next number.
    fn join(&mut self, torrent: Arc<Torrent>, rows: &mut Vec<Row>) {
        if torrent.id.index() != self.torrents.len() {
            self.notices.push(format!(
                "torrent out of order, not stored id={}",
                torrent.id
            ));
            return;
        }
        rows.push(Row::Torrent(Box::new(TorrentRow::of(&torrent))));
        self.torrents.push(torrent);
        self.callers.push(Callers::default());
        self.completed.push(None);
        self.peers.join();
    }

    fn announce(&mut self, announce: &Announce, rows: &mut Vec<Row>) {
        if self.torrent(announce.torrent).is_none() {
            return;
        }
        self.evidence
            .named(announce.torrent, announce.received, announce.duplicates);
        let scrape = announce.main_scrape.unwrap_or_default();
        self.watch_completed(announce.torrent, scrape.completed);
        let request = self.next_request();
        rows.push(Row::Request(Box::new(RequestRow {
            id: request,
            timestamp: announce.at.seconds(),
            source: Source::Tracker,
            received: announce.received.into(),
            duplicates: announce.duplicates.into(),
            seeders: scrape.seeders,
            completed: scrape.completed,
            leechers: scrape.leechers,
            duration_sec: Some(announce.duration.as_secs_f64()),
            torrent: announce.torrent,
        })));
        let url = text::clean(&announce.url, text::URL_LIMIT);
        let warning = announce.warning.as_deref();
        rows.push(Row::Announce(Box::new(AnnounceRow {
            request,
            time_ms: announce.at.millis(),
            url: url.clone(),
            interval: announce.interval,
            min_interval: announce.min_interval,
            seeders: announce.seeders,
            leechers: announce.leechers,
            warning: warning.map(|text| text::clean(text, text::NAME_LIMIT)),
            family: announce.family.map(IpFamily::number),
        })));
        let entry = TrackerEntry::success(announce.torrent, url, TrackerCall::Announce);
        self.trackers.add(entry, rows);
    }

    fn scrape(&mut self, scrape: &Scrape, rows: &mut Vec<Row>) {
        if self.torrent(scrape.torrent).is_none() {
            return;
        }
        let url = text::clean(&scrape.url, text::URL_LIMIT);
        rows.push(Row::Scrape(Box::new(ScrapeRow {
            time_ms: scrape.at.millis(),
            torrent: scrape.torrent,
            url: url.clone(),
            seeders: scrape.figures.seeders,
            completed: scrape.figures.completed,
            leechers: scrape.figures.leechers,
        })));
        let entry = TrackerEntry::success(scrape.torrent, url, TrackerCall::Scrape);
        self.trackers.add(entry, rows);
    }

    fn tracker_failure(&mut self, failure: &TrackerFailure, rows: &mut Vec<Row>) {
        if self.torrent(failure.torrent).is_some() {
            self.trackers.add(TrackerEntry::failure(failure), rows);
        }
    }

    fn lookup(&mut self, lookup: Lookup, rows: &mut Vec<Row>) {
        if self.torrent(lookup.torrent).is_none() {
            return;
        }
        self.evidence
            .named(lookup.torrent, lookup.received, lookup.duplicates);
        let id = self.next_request();
        rows.push(Row::Request(Box::new(RequestRow {
            id,
            timestamp: lookup.at.seconds(),
            source: Source::Dht,
            received: lookup.received.into(),
            duplicates: lookup.duplicates.into(),
            seeders: None,
            completed: None,
            leechers: None,
            duration_sec: Some(lookup.duration.as_secs_f64()),
            torrent: lookup.torrent,
        })));
    }

    fn tick(&mut self, tick: Tick, waiting: usize, rows: &mut Vec<Row>) {
        self.incoming_requests(tick.at, rows);
        self.exchange_rows(tick.at, rows);
        self.evidence.rows(rows);
        self.statistics += 1;
        let totals = self.peers.totals();
        rows.push(Row::Statistic(Box::new(StatisticRow {
            id: self.statistics,
            timestamp: tick.at.seconds(),
            peer_queue: tick.peer_queue,
            visited_queue: waiting as u64,
            unique_incoming: totals.unique_incoming,
            success_active: totals.success_active,
            thread_workload: finite(tick.thread_workload),
            load_average: finite(tick.load_average),
            memory_mb: finite(tick.memory_mb),
            server_threads: tick.server_threads,
            evaluator_threads: tick.evaluator_threads,
        })));
        let time_ms = tick.at.millis();
        rows.extend(self.outcomes.drain().map(|(event, reason, count)| {
            Row::Outcome(CountRow {
                time_ms,
                event: event.into(),
                reason: reason.into_owned(),
                count,
            })
        }));
        let names = kinds(&MessageCounts::default()).map(|(kind, _)| kind);
        for (kind, count) in names.into_iter().zip(std::mem::take(&mut self.messages)) {
            if count > 0 {
                rows.push(Row::Message(MessageRow {
                    time_ms,
                    kind: kind.into(),
                    count,
                }));
            }
        }
        self.last_tick = Some(tick);
        self.dirty = false;
    }

    fn incoming_requests(&mut self, at: Timestamp, rows: &mut Vec<Row>) {
        for index in 0..self.torrents.len() {
            let id = self.next_request();
            let Some(torrent) = TorrentId::from_index(index) else {
                continue;
            };
            let callers = self.callers.get_mut(index).map(std::mem::take);
            let callers = callers.unwrap_or_default();
            rows.push(Row::Request(Box::new(RequestRow {
                id,
                timestamp: at.seconds(),
                source: Source::Incoming,
                received: callers.received,
                duplicates: callers.duplicates,
                seeders: None,
                completed: None,
                leechers: None,
                duration_sec: None,
                torrent,
            })));
        }
    }

    /// A counter that falls bends max − min of the 2015 scripts.
    fn watch_completed(&mut self, torrent: TorrentId, completed: Option<u32>) {
        let (Some(now), Some(before)) = (completed, self.completed.get_mut(torrent.index())) else {
            return;
        };
        if let Some(then) = before.filter(|&then| now < then) {
            self.notices.push(format!(
                "main tracker set back its count of downloads: reported downloads of this torrent cannot be taken as last minus first torrent={torrent} before={then} now={now}"
            ));
        }
        *before = Some(now);
    }

    fn next_request(&mut self) -> i64 {
        self.requests += 1;
        self.requests
    }

    fn torrent(&mut self, id: TorrentId) -> Option<Arc<Torrent>> {
        let found = self.torrents.get(id.index()).cloned();
        if found.is_none() {
            self.notices.push(format!(
                "record for a torrent that is not measured torrent={id}"
            ));
        }
        found
    }
}

/// SQL has no NaN: not a number is unknown.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
