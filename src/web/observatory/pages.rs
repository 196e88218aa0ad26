//! The observatory's pages, filled in and checked when the program is
//! compiled (askama); whatever is put into them is escaped.

use std::time::Duration;

use askama::Template;

use super::heat::{HEIGHT, LAND, WIDTH, x, y};
use super::parts::{Bars, Chart, HeatMap, Pie};
use super::search::{Asked, PAGES_MAX};
use super::shares::{counted, largest};
use super::sight::{Minute, Sight};
use super::statistics::{Statistics, Window, whole};
use super::torrent::Known;
use crate::model::{FileKind, Timestamp};
use crate::observe::search_command::{bytes, kinds};
use crate::report::item::grouped;
use crate::storage::search::{Found, Hit, LIMIT};
use crate::torrent::summary::FileEntry;

/// Files of a torrent on its page; JSON has them all.
const FILES_SHOWN: usize = 1_000;

/// Pages that have nothing to show, and say why.
#[derive(Template)]
#[template(path = "observatory/nothing.html")]
pub(super) struct NothingPage {
    pub(super) text: String,
}

/// `GET /observatory`.
#[derive(Template)]
#[template(path = "observatory/map.html")]
pub(super) struct MapPage<'a> {
    sight: &'a Sight,
    rate: String,
    map: HeatMap<'a>,
    chart: Chart<'a>,
    countries: Bars<'a>,
    resolved: Bars<'a>,
    minutes: Vec<&'a Minute>,
}

impl<'a> MapPage<'a> {
    pub(super) fn of(sight: &'a Sight) -> Self {
        let (countries, resolved) = (&sight.countries, &sight.resolved);
        Self {
            rate: format!("{:.1}", sight.per_second),
            map: HeatMap::of(&sight.cells, sight.placed),
            chart: Chart::new(&sight.minutes, 1),
            countries: Bars::new(
                "countries",
                "Countries, last two minutes",
                "Country",
                countries,
            )
            .of_countries(),
            resolved: Bars::new(
                "resolved",
                "Torrents resolved per country",
                "Country",
                resolved,
            ),
            minutes: sight.minutes.iter().rev().collect(),
            sight,
        }
    }
}

/// `GET /observatory/statistics`.
#[derive(Template)]
#[template(path = "observatory/statistics.html")]
pub(super) struct StatisticsPage<'a> {
    found: &'a Statistics,
    window: Window,
    rate: String,
    /// First and last minute.
    span: Option<(String, String)>,
    chart: Chart<'a>,
    kinds: Bars<'a>,
    countries: Bars<'a>,
    cities: Bars<'a>,
    clients: Bars<'a>,
}

impl<'a> StatisticsPage<'a> {
    pub(super) fn of(found: &'a Statistics, window: Window) -> Self {
        Self {
            rate: format!("{:.1}", found.rate),
            span: found
                .span
                .as_ref()
                .map(|(first, last)| (to_the_minute(first), to_the_minute(last))),
            chart: Chart::new(&found.pieces, found.piece),
            kinds: Bars::new("kinds", "Kinds", "Kind", &found.kinds),
            countries: Bars::new("countries", "Countries", "Country", &found.countries)
                .of_countries(),
            cities: Bars::new("cities", "Cities", "City", &found.cities),
            clients: Bars::new("clients", "Programs", "Program", &found.clients),
            found,
            window,
        }
    }
}

/// A time as `2026-11-21 19:53`.
fn to_the_minute(time: &str) -> String {
    time.get(..16).unwrap_or_default().replace('T', " ")
}

/// `GET /search`.
#[derive(Template)]
#[template(path = "observatory/search.html")]
pub(super) struct SearchPage {
    asked: Asked,
    /// What is wrong with a filter.
    wrong: Option<String>,
    outcome: Option<Outcome>,
    kinds: [FileKind; 7],
}

/// What a search gave.
struct Outcome {
    matches: String,
    seconds: String,
    results: Vec<ResultEntry>,
    placed: usize,
    countries: Pie,
    cities: Pie,
    pages: usize,
    address: String,
    land: &'static str,
}

/// A result.
struct ResultEntry {
    number: usize,
    hash: String,
    name: String,
    score: String,
    files: String,
    size: String,
    day: String,
    place: String,
    kinds: Vec<FileKind>,
    /// On the map.
    at: Option<(i32, i32)>,
}

impl SearchPage {
    /// Nothing was looked for: a filter is wrong.
    pub(super) const fn wrong(asked: Asked, wrong: String) -> Self {
        Self {
            asked,
            wrong: Some(wrong),
            outcome: None,
            kinds: FileKind::ALL,
        }
    }

    /// The results.
    pub(super) fn of(asked: Asked, found: &Found, took: Duration) -> Self {
        let outcome = (!asked.q.is_empty()).then(|| Outcome::of(&asked, found, took));
        Self {
            asked,
            wrong: None,
            outcome,
            kinds: FileKind::ALL,
        }
    }
}

impl Outcome {
    fn of(asked: &Asked, found: &Found, took: Duration) -> Self {
        let first = (asked.page - 1) * LIMIT + 1;
        let results = found.hits.iter().zip(first..);
        let results: Vec<_> = results.map(|(hit, n)| ResultEntry::of(hit, n)).collect();
        let named = |of: fn(&Hit) -> Option<&String>| {
            let names = found.hits.iter().filter_map(of).cloned();
            largest(counted(names))
        };
        let more = if found.more { "at least " } else { "" };
        let pages = usize::try_from(found.matches).unwrap_or(usize::MAX);
        Self {
            matches: format!("{more}{}", grouped(found.matches)),
            seconds: format!("{:.3}", took.as_secs_f64()),
            placed: results.iter().filter(|it| it.at.is_some()).count(),
            results,
            countries: Pie::new(
                "by_country",
                "Countries",
                &named(|hit| {
                    hit.place
                        .country
                        .as_ref()
                        .or(hit.place.country_iso.as_ref())
                }),
            ),
            cities: Pie::new("by_city", "Cities", &named(|hit| hit.place.city.as_ref())),
            pages: pages.div_ceil(LIMIT).clamp(1, PAGES_MAX),
            address: asked.address(),
            land: &LAND,
        }
    }
}

impl ResultEntry {
    fn of(hit: &Hit, number: usize) -> Self {
        let at = hit.place.longitude.zip(hit.place.latitude);
        Self {
            number,
            hash: hit.info_hash.to_string(),
            name: hit.name.clone(),
            score: format!("{:.0}", hit.score),
            files: files(hit.files),
            size: bytes(hit.size),
            day: day(hit.at),
            place: place(hit),
            kinds: kinds(hit).collect(),
            at: at.map(|(longitude, latitude)| (x(longitude), y(latitude))),
        }
    }
}

fn files(count: u64) -> String {
    let word = if count == 1 { "file" } else { "files" };
    format!("{} {word}", grouped(count))
}

fn day(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}

/// City, subdivision and country of the first source.
fn place(hit: &Hit) -> String {
    let it = &hit.place;
    let country = it.country.as_ref().or(it.country_iso.as_ref());
    let parts: Vec<&str> = [it.city.as_ref(), it.subdivision.as_ref(), country]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    parts.join(", ")
}

/// `GET /torrent/{infohash}`.
#[derive(Template)]
#[template(path = "observatory/torrent.html")]
pub(super) struct TorrentPage {
    hash: String,
    name: Option<String>,
    files: Option<String>,
    size: Option<String>,
    day: Option<String>,
    place: Option<String>,
    asked: Vec<(String, u64)>,
    swarm: Option<(u64, u64, String)>,
    entries: Vec<Entry>,
    /// Files that are only in the JSON.
    more: u64,
    /// Number and bytes of each kind that is there.
    kinds: Vec<(FileKind, u64, String)>,
    archived: bool,
}

/// A file of a torrent.
struct Entry {
    kind: FileKind,
    path: String,
    size: String,
}

impl Entry {
    fn of(file: &FileEntry) -> Self {
        Self {
            kind: file.kind(),
            path: file.path.join("/"),
            size: bytes(file.size),
        }
    }
}

impl TorrentPage {
    pub(super) fn of(known: Known) -> Self {
        let Known {
            info_hash,
            hit,
            summary,
            asked,
            swarm,
        } = known;
        let listed = summary.as_ref().map_or(&[][..], |it| &it.files[..]);
        let (count, size, name) = match (&summary, &hit) {
            (Some(it), _) => (Some(it.num_files), Some(it.size), Some(it.name.clone())),
            (None, Some(it)) => (Some(it.files), Some(it.size), Some(it.name.clone())),
            (None, None) => (None, None, None),
        };
        let entries: Vec<Entry> = listed.iter().take(FILES_SHOWN).map(Entry::of).collect();
        let shown = entries.len() as u64;
        Self {
            hash: info_hash.to_string(),
            name: name.filter(|name| !name.is_empty()),
            files: count.map(files),
            size: size.map(bytes),
            day: hit.as_ref().map(|it| day(it.at)),
            place: hit.as_ref().map(place).filter(|place| !place.is_empty()),
            asked,
            swarm: swarm.map(|it| {
                let at = Timestamp(it.at).to_string();
                (whole(it.seeds), whole(it.peers), at)
            }),
            more: summary
                .as_ref()
                .map_or(0, |it| it.num_files.saturating_sub(shown)),
            kinds: by_kind(listed),
            archived: summary.is_some(),
            entries,
        }
    }
}

fn by_kind(files: &[FileEntry]) -> Vec<(FileKind, u64, String)> {
    let of = |kind: FileKind| {
        let files = files.iter().filter(|file| file.kind() == kind);
        let (count, size) = files.fold((0, 0_u64), |(count, size), file| {
            (count + 1, size.saturating_add(file.size))
        });
        (count > 0).then(|| (kind, count, bytes(size)))
    };
    FileKind::ALL.into_iter().filter_map(of).collect()
}
