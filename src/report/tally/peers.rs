//! Table `peer`.

use std::collections::BTreeMap;

use super::{Client, ClientPeers, needed_pieces};
use crate::report::statistics::follow_up::FollowUp;
use crate::report::statistics::hours::{hour_of, shares};
use crate::storage::archive::{CrossingRow, PeerRow, TorrentRow, WaySeen};

/// Peers of a torrent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TorrentPeers {
    /// Rows.
    pub peers: u64,
    /// Confirmed downloads by threshold, in the order of the study.
    pub confirmed: Vec<u64>,
    /// At or above the run's threshold when first seen.
    pub complete_at_first: u64,
}

/// Peers of a source, and who had a second successful visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecondVisits {
    /// Peers.
    pub peers: u64,
    /// With a second visit.
    pub again: u64,
    /// Below the run's threshold at first, and early enough before the end of
    /// the run for a second visit.
    pub due: u64,
    /// Of these, with a second visit.
    pub due_again: u64,
}

/// Peers that were below the threshold when first seen, by successful visits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leechers {
    /// All.
    pub seen: u64,
    /// Visited once.
    pub once: u64,
    /// Visited twice.
    pub twice: u64,
    /// Of those visited twice or more, confirmed downloads.
    pub confirmed: u64,
}

impl Leechers {
    /// Visited twice or more.
    pub const fn followed(&self) -> u64 {
        self.seen.saturating_sub(self.once)
    }
}

/// Hours that a download may be spread over: a year.
const BRACKET_HOURS_MAX: i64 = 24 * 366;

/// All peers of a study.
#[derive(Debug, Clone, Default)]
pub struct PeerTally {
    /// By torrent.
    pub by_torrent: BTreeMap<u32, TorrentPeers>,
    /// Confirmed downloads by torrent and hour of `first_seen`.
    pub confirmed_by_hour: BTreeMap<(u32, i64), u64>,
    /// The same, each spread over its bracket.
    pub crossed_by_hour: BTreeMap<(u32, i64), f64>,
    /// Sum and number of the lengths of these brackets, in seconds.
    pub brackets: (f64, u64),
    /// Peers by source and number of visits.
    pub visits: BTreeMap<(WaySeen, u64), u64>,
    /// By source.
    pub second: BTreeMap<WaySeen, SecondVisits>,
    /// Peers by country; `None` is unknown.
    pub countries: BTreeMap<Option<[u8; 2]>, u64>,
    /// Positive speeds by [`sort_key`].
    pub speeds: BTreeMap<u32, u64>,
    /// By client.
    pub clients: BTreeMap<Client, ClientPeers>,
    /// Confirmed downloads by torrent and client: all, and those that had 90 %
    /// of the pieces or more when first seen.
    pub confirmed_by_client: BTreeMap<(u32, Client), (u64, u64)>,
    /// By torrent; contacted peers and callers.
    pub leechers: BTreeMap<(u32, bool), Leechers>,
    /// When they crossed the run's threshold or were lost from sight.
    pub follow_ups: BTreeMap<(u32, bool), FollowUp>,
    /// Torrent and peer of the crossing that was taken last.
    crossed_last: Option<(u32, i64)>,
    /// Confirmed downloads by source.
    pub confirmed_by_way: BTreeMap<WaySeen, u64>,
}

/// What a peer's row is judged with.
#[derive(Debug, Clone, Copy)]
pub struct Judging<'a> {
    /// Its torrent; the id is that of the study.
    pub torrent: &'a TorrentRow,
    /// Of the study, the main one first.
    pub thresholds: &'a [f64],
    /// Latest second at which a first visit leaves time for a second one.
    pub due_until: i64,
    /// Whether brackets come from table `crossing` instead of the row.
    pub has_crossings: bool,
    /// The run; `None` if nothing says when it was.
    pub run: Option<Run>,
    /// Whether table `crossing` tells when the run's threshold was crossed.
    pub knows_crossings: bool,
}

/// First and last second of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Unix seconds.
    pub start: i64,
    /// Unix seconds.
    pub end: i64,
}

impl Run {
    /// The run with one second more that is known to belong to it.
    pub fn with(run: Option<Self>, second: i64) -> Option<Self> {
        Some(run.map_or(
            Self {
                start: second,
                end: second,
            },
            |it| Self {
                start: it.start.min(second),
                end: it.end.max(second),
            },
        ))
    }

    /// A time in milliseconds as a share of the run.
    fn share(&self, millis: i64) -> f64 {
        let length = self.end.saturating_sub(self.start).max(1) as f64;
        millis as f64 / 1000.0 / length
    }
}

/// A peer's place among sorted speeds: its country, and whether it called.
pub fn sort_key(country: Option<[u8; 2]>, way: Option<WaySeen>) -> u32 {
    let place = country.map_or(COUNTRIES, |[a, b]| {
        let letter = |it: u8| u32::from(it.saturating_sub(b'A')).min(25);
        letter(a) * 26 + letter(b)
    });
    place * 2 + u32::from(way == Some(WaySeen::Incoming))
}

const COUNTRIES: u32 = 26 * 26;

/// The country of a [`sort_key`], and whether the peer called.
pub fn country_of(key: u32) -> (Option<[u8; 2]>, bool) {
    let place = key / 2;
    let letter = |it: u32| b'A' + u8::try_from(it).unwrap_or(0);
    let country = (place < COUNTRIES).then(|| [letter(place / 26), letter(place % 26)]);
    (country, key % 2 == 1)
}

impl PeerTally {
    /// A peer; its speed in kB/s with its [`sort_key`], if it has a positive
    /// one.
    pub fn push(&mut self, row: &PeerRow<'_>, judging: &Judging<'_>) -> Option<(u32, f64)> {
        let torrent = judging.torrent;
        *self.countries.entry(row.country).or_default() += 1;
        let complete = i64::from(torrent.threshold);
        let counts = self.by_torrent.entry(torrent.id).or_default();
        counts.peers += 1;
        counts.confirmed.resize(judging.thresholds.len(), 0);
        counts.complete_at_first += u64::from(row.first_pieces >= complete);
        let mut confirmed = false;
        for (place, (&threshold, count)) in judging
            .thresholds
            .iter()
            .zip(&mut counts.confirmed)
            .enumerate()
        {
            let needed = i64::from(needed_pieces(torrent.pieces, threshold));
            if is_confirmed(row.first_pieces, row.last_pieces, needed) {
                *count += 1;
                confirmed |= place == 0;
            }
        }
        self.count_visits(row, judging);
        self.count_client(row, torrent, confirmed);
        if confirmed {
            self.confirm(row, judging);
        }
        let speed = row.max_speed.filter(|it| *it > 0.0)? * torrent.piece_size as f64 / 1000.0;
        let key = sort_key(row.country, row.way);
        *self.speeds.entry(key).or_default() += 1;
        Some((key, speed))
    }

    fn count_visits(&mut self, row: &PeerRow<'_>, judging: &Judging<'_>) {
        let Some(way) = row.way else {
            return;
        };
        *self.visits.entry((way, row.visits)).or_default() += 1;
        let again = row.visits >= 2;
        let below = row.first_pieces < i64::from(judging.torrent.threshold);
        let is_due = below && row.first_seen <= judging.due_until;
        let second = self.second.entry(way).or_default();
        second.peers += 1;
        second.again += u64::from(again);
        second.due += u64::from(is_due);
        second.due_again += u64::from(is_due && again);
        if below {
            let called = way == WaySeen::Incoming;
            let key = (judging.torrent.id, called);
            let leechers = self.leechers.entry(key).or_default();
            leechers.seen += 1;
            leechers.once += u64::from(row.visits <= 1);
            leechers.twice += u64::from(row.visits == 2);
            let complete = i64::from(judging.torrent.threshold);
            let confirmed = is_confirmed(row.first_pieces, row.last_pieces, complete);
            leechers.confirmed += u64::from(confirmed);
            self.follow(key, row, judging, confirmed);
        }
    }

    /// How long a peer below the threshold was followed, and whether it crossed
    /// it; of crossings in our table [`PeerTally::crossing`] tells the time.
    fn follow(
        &mut self,
        key: (u32, bool),
        row: &PeerRow<'_>,
        judging: &Judging<'_>,
        crossed: bool,
    ) {
        let Some(run) = judging.run else {
            return;
        };
        let followed = self.follow_ups.entry(key).or_default();
        let since = |second: i64| {
            let seconds = second.saturating_sub(row.first_seen).max(0);
            run.share(seconds.saturating_mul(1000))
        };
        let last = since(row.last_seen.unwrap_or(row.first_seen));
        match (crossed, judging.knows_crossings) {
            (false, _) => followed.lost(last, since(run.end)),
            (true, false) => followed.event(last),
            (true, true) => {}
        }
    }

    fn count_client(&mut self, row: &PeerRow<'_>, torrent: &TorrentRow, confirmed: bool) {
        let client = Client::of(row.client.as_deref());
        let most = row.last_pieces.unwrap_or(0).max(row.first_pieces);
        let pieces = i64::from(torrent.pieces);
        let complete = most >= i64::from(torrent.threshold);
        let counts = self.clients.entry(client).or_default();
        counts.peers += 1;
        counts.complete += u64::from(complete);
        counts.whole += u64::from(most >= pieces);
        counts.nearly += u64::from(!complete && is_nearly(most, pieces));
        counts.fallen += u64::from(row.max_speed.is_some_and(|it| it < 0.0));
        if confirmed {
            let key = (torrent.id, client);
            let (all, late) = self.confirmed_by_client.entry(key).or_default();
            *all += 1;
            *late += u64::from(is_nearly(row.first_pieces, pieces));
        }
    }

    fn confirm(&mut self, row: &PeerRow<'_>, judging: &Judging<'_>) {
        let torrent = judging.torrent.id;
        let key = (torrent, hour_of(row.first_seen));
        *self.confirmed_by_hour.entry(key).or_default() += 1;
        if let Some(way) = row.way {
            *self.confirmed_by_way.entry(way).or_default() += 1;
        }
        if let (false, Some(last)) = (judging.has_crossings, row.last_seen) {
            let millis = |second: i64| second.saturating_mul(1000);
            self.bracket(torrent, millis(row.first_seen), millis(last));
        }
    }

    /// A crossing of our table, of the torrent with that number in the study.
    pub fn crossing(&mut self, torrent: u32, row: &CrossingRow) {
        self.bracket(torrent, row.last_below_ms, row.first_at_ms);
    }

    /// When a peer of our table crossed the run's threshold first, taken as the
    /// middle of the bracket: of those whose download is confirmed. The
    /// crossings of a peer come together. Whether this one is that of a confirmed
    /// download: a count that falls may rise again, and who crossed in its only
    /// visit is none.
    pub fn crossed(&mut self, torrent: &TorrentRow, row: &CrossingRow, run: Option<Run>) -> bool {
        let complete = i64::from(torrent.threshold);
        let this = Some((torrent.id, row.peer));
        let again = std::mem::replace(&mut self.crossed_last, this) == this;
        let confirmed = is_confirmed(row.first_pieces, row.last_pieces, complete);
        if let (Some(run), Some(way), true, false) = (run, row.way, confirmed, again) {
            let key = (torrent.id, way == WaySeen::Incoming);
            // The middle of the bracket.
            let at = row.last_below_ms / 2 + row.first_at_ms / 2;
            let since = at.saturating_sub(row.first_seen.saturating_mul(1000));
            self.follow_ups
                .entry(key)
                .or_default()
                .event(run.share(since));
        }
        confirmed && !again
    }

    fn bracket(&mut self, torrent: u32, from_ms: i64, to_ms: i64) {
        self.brackets.0 += to_ms.saturating_sub(from_ms).max(0) as f64 / 1000.0;
        self.brackets.1 += 1;
        for (hour, share) in shares(from_ms, to_ms, BRACKET_HOURS_MAX) {
            *self.crossed_by_hour.entry((torrent, hour)).or_default() += share;
        }
    }
}

/// The rule of 2015: two visits, below at the first, at or above at the latest.
fn is_confirmed(first: i64, last: Option<i64>, needed: i64) -> bool {
    first < needed && last.is_some_and(|last| last >= needed)
}

/// 90 % of the pieces or more.
const fn is_nearly(have: i64, pieces: i64) -> bool {
    have.saturating_mul(10) >= pieces.saturating_mul(9)
}

#[cfg(test)]
mod tests;
