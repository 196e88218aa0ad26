//! Statistics of an hour, a day, a week, or of all that is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::reading::{READING_MAX, Reins, within};
use super::shares::{Share, largest};
use super::sight::{Minute, time_of};
use super::{Observed, Observing};
use crate::model::Timestamp;
use crate::report::tally::Client;
use crate::storage::StorageError;
use crate::storage::observatory::NetworkEstimate;
use crate::web::answer::Refused;
use crate::web::job::Jobs;

/// Shortest time between two readings.
const LEAST: Duration = Duration::from_secs(10);

/// Pieces of time of the chart.
const PIECES: i64 = 60;

/// How far back statistics go, from the newest record on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Window {
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// Seven days.
    Week,
    /// To the oldest.
    All,
}

impl Window {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::All];

    /// Its word in an address.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::All => "all",
        }
    }

    /// What it is called on the page.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Hour => "Last hour",
            Self::Day => "Last day",
            Self::Week => "Last week",
            Self::All => "Everything",
        }
    }

    /// The window of that word; of an unknown one the hour.
    pub(super) fn of(word: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.word() == word).unwrap_or(Self::Hour)
    }

    const fn minutes(self) -> Option<i64> {
        match self {
            Self::Hour => Some(60),
            Self::Day => Some(24 * 60),
            Self::Week => Some(7 * 24 * 60),
            Self::All => None,
        }
    }
}

/// What the statistics page shows.
pub(in crate::web) struct Statistics {
    /// First and last minute.
    pub(super) span: Option<(String, String)>,
    /// Minutes of each piece of the chart.
    pub(super) piece: i64,
    /// The chart.
    pub(super) pieces: Vec<Minute>,
    /// Records.
    pub(super) records: u64,
    /// Records a second, on average over the span.
    pub(super) rate: f64,
    pub(super) kinds: Vec<Share>,
    pub(super) countries: Vec<Share>,
    pub(super) cities: Vec<Share>,
    pub(super) clients: Vec<Share>,
    /// What was no record, or lost.
    pub(super) tallies: Vec<(String, u64)>,
    /// Family, estimate and its bounds, and when.
    pub(super) networks: Vec<(String, u64, u64, u64, String)>,
}

impl Statistics {
    fn read(observed: &Observed, window: Window, reins: &Reins) -> Result<Self, StorageError> {
        let store = observed.store()?;
        reins.hold(store.stopper())?;
        let newest = store.newest_minute()?.unwrap_or(0);
        let from = window
            .minutes()
            .map_or(i64::MIN, |minutes| newest - minutes + 1);
        let mut counts = Counts::default();
        store.activity(from, |row| {
            counts.add(row.minute, &row.kind, row.country, row.events);
        })?;
        let span = counts.first.map(|first| (first.max(from), newest));
        let (begin, length) = match (window.minutes(), span) {
            (Some(minutes), _) => (from, minutes),
            (None, Some((first, last))) => (first, last - first + 1),
            (None, None) => (0, 1),
        };
        let records = counts.kinds.values().sum();
        let (piece, pieces) = counts.pieces(begin, length);
        let seconds = span.map_or(1, |(first, last)| (last - first + 1) * 60);
        Ok(Self {
            span: span.map(|(first, last)| (time_of(first), time_of(last))),
            piece,
            pieces,
            records,
            rate: records as f64 / seconds as f64,
            kinds: largest(counts.kinds.into_iter().collect()),
            countries: largest(counts.countries.into_iter().collect()),
            cities: largest(store.cities(from)?),
            clients: largest(named(store.clients(from)?)),
            tallies: store.tallies(from)?,
            networks: store.networks()?.iter().map(network).collect(),
        })
    }
}

fn network(it: &NetworkEstimate) -> (String, u64, u64, u64, String) {
    let family = if it.family == "v6" { "IPv6" } else { "IPv4" };
    let at = Timestamp(it.at).to_string();
    let [nodes, low, high] = [it.nodes, it.low, it.high].map(whole);
    (family.to_owned(), nodes, low, high, at)
}

/// An estimate as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; a cast keeps within the bounds of the number"
)]
pub(super) fn whole(estimate: f64) -> u64 {
    estimate.round().max(0.0) as u64
}

/// Programs by their names where two letters are known.
fn named(counts: Vec<(String, u64)>) -> Vec<(String, u64)> {
    let name = |letters: String| match letters.as_str() {
        "" => "not told".to_owned(),
        letters => {
            let told = Client::of(Some(&format!("-{letters}0")));
            let name = told.to_string();
            match told {
                Client::Azureus(_) if !name.starts_with('-') => name,
                _ => letters.to_owned(),
            }
        }
    };
    let all = counts.into_iter();
    all.map(|(letters, count)| (name(letters), count)).collect()
}

/// Records as they are added up.
#[derive(Default)]
struct Counts {
    first: Option<i64>,
    minutes: BTreeMap<i64, Minute>,
    kinds: BTreeMap<String, u64>,
    countries: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, minute: i64, kind: &str, country: String, events: u64) {
        self.first.get_or_insert(minute);
        self.minutes
            .entry(minute)
            .or_insert_with(|| Minute::at(minute))
            .add(kind, events);
        match self.kinds.get_mut(kind) {
            Some(count) => *count += events,
            None => drop(self.kinds.insert(kind.to_owned(), events)),
        }
        let country = if country.is_empty() {
            "unknown".to_owned()
        } else {
            country
        };
        *self.countries.entry(country).or_default() += events;
    }

    /// The minutes from `begin` on in equal pieces of so many minutes.
    fn pieces(&self, begin: i64, length: i64) -> (i64, Vec<Minute>) {
        let piece = length.div_euclid(PIECES) + i64::from(length.rem_euclid(PIECES) > 0);
        let piece = piece.max(1);
        let count = length.div_euclid(piece) + i64::from(length.rem_euclid(piece) > 0);
        let mut pieces: Vec<Minute> = (0..count)
            .map(|place| Minute::at(begin + place * piece))
            .collect();
        for (minute, of) in self.minutes.range(begin..) {
            let place = usize::try_from((minute - begin).div_euclid(piece)).ok();
            if let Some(to) = place.and_then(|place| pieces.get_mut(place)) {
                to.add("get_peers", of.get_peers);
                to.add("announce", of.announce);
                to.add("resolve", of.resolve);
            }
        }
        (piece, pieces)
    }
}

impl Observing {
    /// The statistics of a window.
    pub(in crate::web) async fn statistics(
        &self,
        jobs: &Jobs,
        window: Window,
    ) -> Result<Arc<Statistics>, Refused> {
        let observed = self.observed()?;
        let job = move |reins: &Reins| Statistics::read(&observed, window, reins);
        let reading = within(jobs, READING_MAX, job);
        let [hour, day, week, all] = &self.statistics;
        let cached = match window {
            Window::Hour => hour,
            Window::Day => day,
            Window::Week => week,
            Window::All => all,
        };
        cached.read(self.clock.as_ref(), LEAST, reading).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_cut_into_equal_pieces() {
        let mut counts = Counts::default();
        for minute in 100..250 {
            counts.add(minute, "announce", "DE".to_owned(), 2);
        }
        counts.add(249, "get_peers", String::new(), 1);
        let (piece, pieces) = counts.pieces(100, 150);
        assert_eq!((piece, pieces.len()), (3, 50));
        assert!(pieces.iter().all(|it| it.announce == 6));
        assert_eq!(pieces[49].get_peers, 1);
        let (piece, pieces) = counts.pieces(190, 60);
        assert_eq!((piece, pieces.len(), pieces[59].announce), (1, 60, 2));
        assert_eq!(pieces[0].at, time_of(190));
        let (piece, pieces) = counts.pieces(0, 1);
        assert_eq!((piece, pieces.len()), (1, 1));
        assert_eq!(counts.countries["unknown"], 1);
    }

    #[test]
    fn programs_have_names() {
        let counts = [("LT", 3), ("", 2), ("qq", 1), ("<b", 1)];
        let counts = counts.map(|(letters, count)| (letters.to_owned(), count));
        let names = named(counts.to_vec());
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["libtorrent (Rasterbar)", "not told", "qq", "<b"]);
        assert_eq!(Window::of("week"), Window::Week);
        assert_eq!(Window::of("x"), Window::Hour);
        assert_eq!(whole(-1.0), 0);
    }
}
