//! Table `request`, and the scrapes of all trackers.

use std::collections::BTreeMap;

use crate::report::statistics::capture::Schnabel;
use crate::report::statistics::counter::Increase;
use crate::report::statistics::hours::hour_of;
use crate::storage::archive::{RequestRow, ScrapeRow, WaySeen};

/// Answers and what was in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Rows.
    pub requests: u64,
    /// Peers in the answers.
    pub received: u64,
    /// Known ones among them.
    pub duplicate: u64,
}

impl Asked {
    fn push(&mut self, row: &RequestRow<'_>) {
        self.requests += 1;
        self.received = self.received.saturating_add(row.received);
        self.duplicate = self.duplicate.saturating_add(row.duplicate);
    }

    /// Peers that were new.
    pub const fn unique(&self) -> u64 {
        self.received.saturating_sub(self.duplicate)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            received: self.received.saturating_add(other.received),
            duplicate: self.duplicate.saturating_add(other.duplicate),
        }
    }
}

/// The first answer that a tracker or the DHT gave for a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// Torrent.
    pub torrent: u32,
    /// The tracker's URL, or `dht`.
    pub of: String,
    /// Addresses known before.
    pub known: u64,
    /// Peers in the answer.
    pub received: u64,
    /// Known ones among them.
    pub duplicate: u64,
}

/// Trackers of which we keep figures, against a file with absurdly many.
const TRACKERS_MAX: usize = 10_000;
/// Seconds from the first request on that count as the beginning of a run.
pub(crate) const BEGINNING: i64 = 3600;

/// All requests of a study.
#[derive(Debug, Clone, Default)]
pub struct RequestTally {
    /// By torrent and source.
    pub asked: BTreeMap<(u32, WaySeen), Asked>,
    /// By torrent, hour and source.
    pub by_hour: BTreeMap<(u32, i64, WaySeen), Asked>,
    /// Answers by number of peers, for trackers and the DHT.
    pub sizes: BTreeMap<(WaySeen, u64), u64>,
    /// The main tracker's counter, by torrent.
    pub completed: BTreeMap<u32, Increase>,
    /// Its least value of each hour, by torrent.
    pub completed_by_hour: BTreeMap<(u32, i64), i64>,
    /// Counter of every tracker, by torrent and URL; empty for files of 2015.
    pub scrapes: BTreeMap<(u32, String), Increase>,
    /// By torrent and tracker; empty for files of 2015.
    pub trackers: BTreeMap<(u32, String), Asked>,
    /// In order of time.
    pub first_answers: Vec<FirstAnswer>,
    /// Trackers and DHT as repeated samples of the swarm, by torrent and
    /// source, marks in common.
    pub census: BTreeMap<(u32, WaySeen), Schnabel>,
    /// The same of the first hour alone, both sources together.
    pub census_at_start: BTreeMap<u32, Schnabel>,
    /// The same of the whole run.
    pub census_of_all: BTreeMap<u32, Schnabel>,
    /// First and last time, Unix seconds.
    pub time: Option<(i64, i64)>,
    dht_seen: BTreeMap<u32, bool>,
    start: BTreeMap<u32, i64>,
}

impl RequestTally {
    /// A request of the torrent that has the number `torrent` in the study;
    /// requests of one torrent come in order of time.
    pub fn push(&mut self, torrent: u32, row: &RequestRow<'_>) {
        let at = row.timestamp;
        let (first, last) = self.time.unwrap_or((at, at));
        self.time = Some((first.min(at), last.max(at)));
        if let Some(way) = row.way {
            let hour = hour_of(at);
            self.asked.entry((torrent, way)).or_default().push(row);
            let of_hour = self.by_hour.entry((torrent, hour, way)).or_default();
            of_hour.push(row);
            if matches!(way, WaySeen::Tracker | WaySeen::Dht) {
                *self.sizes.entry((way, row.received)).or_default() += 1;
                self.sample(torrent, way, row);
            } else if way == WaySeen::Exchange {
                // Sums of many answers, each of which a peer picked from its
                // own: no sample, but later answers know them.
                let new = row.received.saturating_sub(row.duplicate);
                self.census_of_all.entry(torrent).or_default().mark(new);
            }
        }
        if let Some(completed) = row.completed {
            self.completed.entry(torrent).or_default().push(completed);
            let lowest = self
                .completed_by_hour
                .entry((torrent, hour_of(at)))
                .or_insert(completed);
            *lowest = completed.min(*lowest);
        }
    }

    /// A scrape, in order of time.
    pub fn scrape(&mut self, torrent: u32, row: &ScrapeRow<'_>) {
        let Some(completed) = row.completed else {
            return;
        };
        let key = (torrent, row.url.to_string());
        if self.scrapes.len() < TRACKERS_MAX || self.scrapes.contains_key(&key) {
            self.scrapes.entry(key).or_default().push(completed);
        }
    }

    /// An answer as a sample of the swarm.
    fn sample(&mut self, torrent: u32, way: WaySeen, row: &RequestRow<'_>) {
        let (drawn, again) = (row.received, row.duplicate.min(row.received));
        let all = self.census_of_all.entry(torrent).or_default();
        let marked = all.marked;
        all.push(drawn, again, marked);
        let of_way = self.census.entry((torrent, way)).or_default();
        of_way.push(drawn, again, marked);
        let start = *self.start.entry(torrent).or_insert(row.timestamp);
        if row.timestamp < start.saturating_add(BEGINNING) {
            let census = self.census_at_start.entry(torrent).or_default();
            census.push(drawn, again, marked);
        }
        self.first_answer(torrent, way, row, marked);
    }

    fn first_answer(&mut self, torrent: u32, way: WaySeen, row: &RequestRow<'_>, known: u64) {
        let of = match (way, &row.url) {
            (WaySeen::Dht, _) => {
                // An empty lookup says nothing about whom the DHT knows.
                let seen = self.dht_seen.entry(torrent).or_default();
                if std::mem::replace(seen, *seen || row.received > 0) || row.received == 0 {
                    return;
                }
                WaySeen::Dht.as_str().to_owned()
            }
            (WaySeen::Tracker, Some(url)) => {
                let key = (torrent, url.to_string());
                let is_new = !self.trackers.contains_key(&key);
                if is_new && self.trackers.len() >= TRACKERS_MAX {
                    return;
                }
                self.trackers.entry(key).or_default().push(row);
                if !is_new {
                    return;
                }
                url.to_string()
            }
            _ => return,
        };
        self.first_answers.push(FirstAnswer {
            torrent,
            of,
            known,
            received: row.received,
            duplicate: row.duplicate,
        });
    }

    /// Of one torrent and source.
    pub fn of(&self, torrent: u32, way: WaySeen) -> Asked {
        self.asked.get(&(torrent, way)).copied().unwrap_or_default()
    }

    /// Sources of addresses: those of 2015, and peer exchange where there was
    /// any.
    pub fn ways(&self) -> Vec<WaySeen> {
        let is_there =
            |way: &WaySeen| *way != WaySeen::Exchange || self.asked.keys().any(|(_, it)| it == way);
        let mut ways = WaySeen::OF_ADDRESSES.to_vec();
        ways.retain(is_there);
        ways
    }

    /// Addresses of a torrent that were new, over all sources.
    pub fn unique(&self, torrent: u32) -> u64 {
        let ways = WaySeen::OF_ADDRESSES.into_iter();
        ways.map(|way| self.of(torrent, way).unique()).sum()
    }

    /// Reported downloads of a torrent by the rule of 2015; `None` if no
    /// scrape is known.
    pub fn reported(&self, torrent: u32) -> Option<i64> {
        self.completed.get(&torrent).map(|it| it.range)
    }

    /// Reported downloads per hour by the rule of 2015: differences of the
    /// hourly minimum; the last hour has none.
    pub fn reported_by_hour(&self) -> BTreeMap<(u32, i64), i64> {
        let mut hours = BTreeMap::new();
        let mut before: Option<(u32, i64, i64)> = None;
        for (&(torrent, hour), &least) in &self.completed_by_hour {
            if let Some((of, earlier, value)) = before
                && of == torrent
            {
                hours.insert((torrent, earlier), least.saturating_sub(value));
            }
            before = Some((torrent, hour, least));
        }
        hours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(timestamp: i64, way: WaySeen, received: u64, duplicate: u64) -> RequestRow<'static> {
        RequestRow {
            timestamp,
            way: Some(way),
            received,
            duplicate,
            completed: None,
            duration: None,
            torrent: 1,
            url: None,
        }
    }

    #[test]
    fn samples_share_their_marks() {
        let mut tally = RequestTally::default();
        tally.push(1, &row(0, WaySeen::Tracker, 50, 0));
        tally.push(1, &row(1, WaySeen::Dht, 100, 25));
        tally.push(1, &row(9000, WaySeen::Tracker, 50, 30));
        assert_eq!(tally.unique(1), 145);
        let answer = &tally.first_answers[0];
        assert_eq!((answer.known, answer.duplicate), (50, 25));
        let dht = tally.census[&(1, WaySeen::Dht)];
        assert_eq!((dht.recaptured, dht.samples), (25, 1));
        assert_eq!(tally.census_of_all[&1].marked, 145);
        assert_eq!(tally.census_at_start[&1].samples, 1);
        assert_eq!(tally.time, Some((0, 9000)));
    }

    /// What peers named is known to the trackers afterwards, and no sample.
    #[test]
    fn exchanged_addresses_are_marked() {
        let mut tally = RequestTally::default();
        assert_eq!(tally.ways(), WaySeen::ALL);
        tally.push(1, &row(0, WaySeen::Tracker, 50, 0));
        tally.push(1, &row(1, WaySeen::Exchange, 40, 10));
        tally.push(1, &row(2, WaySeen::Tracker, 50, 45));
        assert_eq!(tally.ways(), WaySeen::OF_ADDRESSES);
        assert_eq!(tally.unique(1), 50 + 30 + 5);
        let census = tally.census_of_all[&1];
        assert_eq!((census.marked, census.samples), (85, 1));
        assert_eq!(tally.sizes.len(), 1);
    }

    #[test]
    fn reported_downloads_by_hour() {
        let mut tally = RequestTally::default();
        for (at, completed) in [(0, 100), (1800, 104), (3600, 110), (10_800, 140)] {
            let mut row = row(at, WaySeen::Tracker, 0, 0);
            row.completed = Some(completed);
            tally.push(1, &row);
            row.completed = Some(7);
            tally.push(2, &row);
        }
        let hours = tally.reported_by_hour();
        assert_eq!(hours[&(1, 0)], 10);
        assert_eq!(hours[&(1, 1)], 30);
        assert_eq!(hours.get(&(1, 3)), None);
        assert_eq!(tally.reported(1), Some(40));
        assert_eq!(tally.reported(2), Some(0));
        assert_eq!(tally.reported(3), None);
    }
}
