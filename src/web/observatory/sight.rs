//! The last two minutes and the last hour: what the map page shows, as JSON
//! and as events.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::heat::{Cell, cells};
use super::reading::{READING_MAX, Reins, within};
use super::shares::{Share, counted, largest};
use super::{Observed, Observing};
use crate::model::Timestamp;
use crate::observe::live::Live;
use crate::storage::StorageError;
use crate::storage::observatory::PlaceCount;
use crate::web::answer::Refused;
use crate::web::job::Jobs;

/// Shortest time between two looks at the last two minutes.
const SIGHT_LEAST: Duration = Duration::from_secs(1);

/// Shortest time between two readings of the counts.
const STORED_LEAST: Duration = Duration::from_secs(2);

/// Shortest time between two readings of the index.
const TOTALS_LEAST: Duration = Duration::from_secs(10);

/// Minutes of the chart.
pub(super) const MINUTES: i64 = 60;

/// Minutes of the heat map of an observatory that has ended.
const HEAT_MINUTES: i64 = 2;

/// Places of such a map at most, as of a running one.
const COORDINATES_MAX: usize = 100_000;

/// Everything that the map page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::web) struct Sight {
    /// Name of the folder.
    pub(super) name: String,
    /// Whether it runs.
    pub(super) live: bool,
    /// The newest minute with records.
    pub(super) newest: Option<String>,
    /// Since the start of one that runs.
    pub(super) figures: Option<Figures>,
    /// Torrents in the index.
    pub(super) torrents: u64,
    /// Records a second in the last whole minute, in tenths.
    pub(super) per_second: f64,
    /// Records of the last two minutes whose place is known.
    pub(super) placed: u64,
    /// Where they came from.
    pub(super) cells: Vec<Cell>,
    /// The same by country.
    pub(super) countries: Vec<Share>,
    /// Torrents of the index by the country of their first source.
    pub(super) resolved: Vec<Share>,
    /// The last hour.
    pub(super) minutes: Vec<Minute>,
}

/// Counters since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    pub(super) queries: u64,
    pub(super) records: u64,
    pub(super) skipped: u64,
    pub(super) blocked: u64,
    pub(super) lost: u64,
    pub(super) resolved: u64,
}

/// Records of a minute, or of a longer piece of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Minute {
    /// When it begins.
    pub(super) at: String,
    pub(super) get_peers: u64,
    pub(super) announce: u64,
    pub(super) resolve: u64,
}

impl Minute {
    /// Empty, from `minute` on.
    pub(super) fn at(minute: i64) -> Self {
        Self {
            at: time_of(minute),
            get_peers: 0,
            announce: 0,
            resolve: 0,
        }
    }

    /// Adds records of a kind.
    pub(super) fn add(&mut self, kind: &str, events: u64) {
        match kind {
            "get_peers" => self.get_peers += events,
            "announce" => self.announce += events,
            _ => self.resolve += events,
        }
    }

    /// All kinds together.
    pub(super) const fn all(&self) -> u64 {
        self.get_peers + self.announce + self.resolve
    }
}

/// A minute since 1970 as a time.
pub(super) fn time_of(minute: i64) -> String {
    Timestamp(minute.saturating_mul(60_000)).to_string()
}

/// What the store says of the last hour.
pub(in crate::web) struct Stored {
    newest: Option<i64>,
    minutes: Vec<Minute>,
    /// Of the newest minutes, where nothing else tells.
    places: Vec<PlaceCount>,
}

impl Stored {
    fn read(observed: &Observed, reins: &Reins) -> Result<Self, StorageError> {
        let store = observed.store()?;
        reins.hold(store.stopper())?;
        let Some(newest) = store.newest_minute()? else {
            return Ok(Self {
                newest: None,
                minutes: Vec::new(),
                places: Vec::new(),
            });
        };
        let first = newest - MINUTES + 1;
        let mut minutes: Vec<Minute> = (first..=newest).map(Minute::at).collect();
        store.activity(first, |row| {
            let place = usize::try_from(row.minute - first).ok();
            if let Some(minute) = place.and_then(|place| minutes.get_mut(place)) {
                minute.add(&row.kind, row.events);
            }
        })?;
        let places = match observed.live {
            Some(_) => Vec::new(),
            None => store.places(newest - HEAT_MINUTES + 1)?,
        };
        Ok(Self {
            newest: Some(newest),
            minutes,
            places,
        })
    }
}

/// What the index says of all torrents.
pub(in crate::web) struct Totals {
    torrents: u64,
    countries: Vec<Share>,
}

impl Totals {
    fn read(observed: &Observed, reins: &Reins) -> Result<Self, StorageError> {
        let index = observed.index()?;
        reins.hold(index.stopper())?;
        Ok(Self {
            torrents: index.len()?,
            countries: largest(index.countries()?),
        })
    }
}

impl Observing {
    async fn stored(&self, jobs: &Jobs) -> Result<Arc<Stored>, Refused> {
        let observed = self.observed()?;
        let job = move |reins: &Reins| Stored::read(&observed, reins);
        let reading = within(jobs, READING_MAX, job);
        self.stored
            .read(self.clock.as_ref(), STORED_LEAST, reading)
            .await
    }

    async fn totals(&self, jobs: &Jobs) -> Result<Arc<Totals>, Refused> {
        let observed = self.observed()?;
        let job = move |reins: &Reins| Totals::read(&observed, reins);
        let reading = within(jobs, READING_MAX, job);
        self.totals
            .read(self.clock.as_ref(), TOTALS_LEAST, reading)
            .await
    }

    /// The state now.
    pub(in crate::web) async fn sight(&self, jobs: &Jobs) -> Result<Arc<Sight>, Refused> {
        let observed = self.observed()?;
        let look = async {
            let stored = self.stored(jobs).await?;
            let totals = self.totals(jobs).await?;
            jobs.run(move || seen(&observed, &stored, &totals)).await
        };
        self.sight
            .read(self.clock.as_ref(), SIGHT_LEAST, look)
            .await
    }

    /// The heat map in the form of 2018, as JSON.
    pub(in crate::web) async fn heat_map(&self, jobs: &Jobs) -> Result<Arc<String>, Refused> {
        let observed = self.observed()?;
        let look = async {
            let stored = self.stored(jobs).await?;
            let torrents = self.totals(jobs).await?.torrents;
            let map = move || heat_map(&observed, &stored, torrents).to_string();
            jobs.run(map).await
        };
        self.heat_map
            .read(self.clock.as_ref(), SIGHT_LEAST, look)
            .await
    }
}

fn heat_map(observed: &Observed, stored: &Stored, torrents: u64) -> Value {
    let Some(live) = &observed.live else {
        return json!({"coordinates": coordinates(&stored.places), "torrents": torrents});
    };
    let mut map = live.heat_map();
    // The counter does not know the index before the first commit.
    if let Some(count) = map.get_mut("torrents") {
        *count = torrents.into();
    }
    map
}

fn coordinates(places: &[PlaceCount]) -> Vec<Value> {
    let one = |it: &PlaceCount| {
        let country = Some(&it.country).filter(|country| !country.is_empty());
        json!({"lat": it.latitude, "lon": it.longitude, "country": country})
    };
    let all = places.iter().flat_map(|place| {
        let times = usize::try_from(place.events).unwrap_or(usize::MAX);
        std::iter::repeat_n(one(place), times.min(COORDINATES_MAX))
    });
    all.take(COORDINATES_MAX).collect()
}

fn seen(observed: &Observed, stored: &Stored, totals: &Totals) -> Sight {
    let (points, countries): (Vec<Cell>, Vec<(String, u64)>) = if let Some(live) = &observed.live {
        let points = live.points();
        let countries = points.iter().filter_map(|point| {
            let code = std::str::from_utf8(point.country.as_ref()?).ok()?;
            Some(code.to_owned())
        });
        let countries = counted(countries);
        let places = points.iter().map(|it| (it.latitude, it.longitude, 1));
        (places.collect(), countries)
    } else {
        let all = stored.places.iter();
        let mut countries = std::collections::BTreeMap::new();
        for it in all.clone().filter(|it| !it.country.is_empty()) {
            *countries.entry(it.country.clone()).or_default() += it.events;
        }
        let places = all.map(|it| (it.latitude, it.longitude, it.events));
        (places.collect(), countries.into_iter().collect())
    };
    Sight {
        name: observed.name(),
        live: observed.live.is_some(),
        newest: stored.newest.map(time_of),
        figures: observed.live.as_deref().map(figures),
        torrents: totals.torrents,
        per_second: per_second(&stored.minutes),
        placed: points.iter().map(|(_, _, records)| records).sum(),
        cells: cells(points.into_iter()),
        countries: largest(countries),
        resolved: totals.countries.clone(),
        minutes: stored.minutes.clone(),
    }
}

/// The newest minute is not over yet: that before it counts.
fn per_second(minutes: &[Minute]) -> f64 {
    let whole = minutes.iter().rev().nth(1).map_or(0, Minute::all);
    (whole as f64 / 6.0).round() / 10.0
}

fn figures(live: &Live) -> Figures {
    let count = Live::count;
    Figures {
        queries: count(&live.queries),
        records: count(&live.records),
        skipped: count(&live.skipped),
        blocked: count(&live.blocked),
        lost: count(&live.lost),
        resolved: count(&live.resolved),
    }
}
