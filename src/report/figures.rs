//! The figures: each a pure function of an item's tables, as SVG.
//!
//! Colours are those of Okabe and Ito, which colour-blind readers tell apart.

mod boxes;
mod columns;
mod curves;
mod lent;
mod map;
mod marks;
mod panels;
mod ranks;

use std::collections::BTreeMap;

use plotters::style::RGBColor;

use super::item::{Cell, Item, Table, grouped};
use super::items::{SECONDS_SHOWN, VISITS_SHOWN};
pub use lent::{Curve, curves, land, world_map};

use columns::{numbers, points, texts};
use map::Ends;
use marks::{Axes, Bars, Marks, Style};

/// What the drawing library says.
pub(super) type DrawError = Box<dyn std::error::Error>;
type Drawn = Result<String, DrawError>;

/// Width of a figure in pixels. On 16 cm of paper 10 of them are 6 points, so
/// that the smallest text is of about 8.
pub(super) const WIDTH: u32 = 760;
/// Heights of titles, names of axes, and all other text, as the drawing
/// library counts them: letters and the room above and below.
pub(super) const TITLE: i32 = 20;
pub(super) const AXIS: i32 = 17;
pub(super) const LABEL: i32 = 16;

pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const SKY: RGBColor = RGBColor(86, 180, 233);
const COLOURS: [RGBColor; 6] = [BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY];

pub(super) fn colour(place: usize) -> RGBColor {
    COLOURS.get(place % COLOURS.len()).copied().unwrap_or(BLUE)
}

/// Draws a table of an item; `None` if there is nothing to show.
type Draw = fn(&Item, &Table) -> Result<Option<String>, DrawError>;

/// A figure: the table that it is drawn from, its name, and how.
type Drawing = (&'static str, &'static str, Draw);

/// The figures of an item.
fn drawings(item: &Item) -> Vec<Drawing> {
    match item.id {
        "addresses" => vec![
            ("hours", "hours", |_, it| curves::addresses(it).map(Some)),
            ("torrent_hours", "torrents", |_, it| {
                curves::addresses_by_torrent(it).map(Some)
            }),
        ],
        "confirmed" => vec![("sets", "thresholds", |_, it| thresholds(it).map(Some))],
        "confirmed_reported_unique" => {
            vec![("torrents", "size", |_, it| by_size(it).map(Some))]
        }
        "downloads_per_hour" => vec![
            ("sets", "sets", |item, it| {
                curves::by_set(item.title, it, &PER_HOUR).map(Some)
            }),
            ("torrents", "torrents", |item, it| {
                curves::by_torrent(item.title, it, &PER_HOUR).map(Some)
            }),
        ],
        "downloads_by_crossing" => vec![("sets", "sets", |item, it| {
            curves::by_set(item.title, it, &BY_CROSSING).map(Some)
        })],
        "outcomes" => vec![("outcomes", "events", |item, it| {
            ranks::outcomes(item, it).map(Some)
        })],
        "hosts" => vec![("hosts", "hosts", |item, it| {
            ranks::hosts(item, it).map(Some)
        })],
        "visits" => vec![
            ("visits", "histogram", |_, it| visits(it).map(Some)),
            ("visits", "cdf", |_, it| distribution(it).map(Some)),
        ],
        "speed" | "speed_of_contacted" => vec![
            ("countries", "boxes", |item, it| {
                boxes::draw(item.title, it).map(Some)
            }),
            ("countries", "map", speed_map),
        ],
        "countries" => vec![("countries", "map", |item, it| {
            let title = format!("Peers by country, n = {}", grouped(item.sample));
            map::draw(&title, "peers", &by_country(it, "peers"), Ends::Values)
        })],
        "trackers" => vec![("torrents", "torrents", |_, it| trackers(it).map(Some))],
        "workload" => vec![("series", "panel", |_, it| curves::workload(it).map(Some))],
        "timeout" if item.sample > 0 => {
            vec![("histogram", "histogram", |item, it| {
                timeout(item, it).map(Some)
            })]
        }
        _ => Vec::new(),
    }
}

/// Curves of downloads per hour: column and name.
const PER_HOUR: [(&str, &str); 2] = [("confirmed", "confirmed"), ("reported", "reported")];
const BY_CROSSING: [(&str, &str); 2] = [
    ("crossed", "by crossing"),
    ("first_seen", "by first contact"),
];

/// Name of the file and SVG of each figure of an item; none if there is
/// nothing to show.
///
/// # Errors
/// When the drawing library refuses.
pub(super) fn of(item: &Item) -> Result<Vec<(String, String)>, DrawError> {
    let mut figures = Vec::new();
    for (table, name, draw) in drawings(item) {
        let table = item.table(table).filter(|table| !table.rows.is_empty());
        if let Some(svg) = table.map(|table| draw(item, table)).transpose()?.flatten() {
            figures.push((format!("{}_{name}.svg", item.id), svg));
        }
    }
    Ok(figures)
}

fn thresholds(table: &Table) -> Drawn {
    let columns: Vec<_> = table
        .columns
        .iter()
        .skip(1)
        .map(|it| it.name.clone())
        .collect();
    let sets = texts(table, "set");
    let marks = sets
        .iter()
        .zip(&table.rows)
        .enumerate()
        .map(|(place, (set, row))| {
            let values = columns.iter().zip(row.iter().skip(1));
            let points = values.filter_map(|(name, cell)| match cell {
                Cell::Integer(count) => Some((name.parse().ok()?, *count as f64)),
                _ => None,
            });
            Marks {
                name: set.clone(),
                colour: colour(place),
                style: Style::LineAndPoints,
                points: points.collect(),
            }
        });
    marks::xy(
        &Axes {
            title: "Confirmed downloads by threshold",
            x: "Threshold / share of pieces",
            y: "Confirmed downloads",
            log: (false, true),
        },
        &marks.collect::<Vec<_>>(),
    )
}

fn by_size(table: &Table) -> Drawn {
    let size = numbers(table, "size");
    let names = [
        ("unique", "unique addresses"),
        ("reported", "reported downloads"),
        ("confirmed", "confirmed downloads"),
    ];
    let marks = names
        .into_iter()
        .enumerate()
        .map(|(place, (column, name))| {
            let points = size.iter().zip(numbers(table, column));
            Marks {
                name: name.to_owned(),
                colour: colour(place),
                style: Style::of_points(place),
                points: points.filter_map(|(x, y)| Some(((*x)?, y?))).collect(),
            }
        });
    marks::xy(
        &Axes {
            title: "Downloads and unique addresses by size",
            x: "Size of the torrent / GB",
            y: "Count, each mark a torrent",
            log: (true, true),
        },
        &marks.collect::<Vec<_>>(),
    )
}

fn distribution(table: &Table) -> Drawn {
    let of = points(
        &texts(table, "source"),
        &numbers(table, "visits"),
        &numbers(table, "at_most"),
    );
    let marks = of
        .into_iter()
        .enumerate()
        .map(|(place, (source, points))| Marks {
            name: source,
            colour: colour(place),
            style: Style::Steps,
            points,
        });
    marks::xy(
        &Axes {
            title: "Visits per peer: distribution function",
            x: "Successful visits",
            y: "Peers with at most so many / %",
            log: (true, false),
        },
        &marks.collect::<Vec<_>>(),
    )
}

fn visits(table: &Table) -> Drawn {
    let of = points(
        &texts(table, "source"),
        &numbers(table, "visits"),
        &numbers(table, "peers"),
    );
    let series = of.into_iter().enumerate().map(|(place, (source, points))| {
        let at = |wanted: u64| {
            let found = points
                .iter()
                .find(|(x, _)| (*x - wanted as f64).abs() < 0.5);
            found.map_or(0.0, |(_, y)| *y)
        };
        (source, colour(place), (1..=VISITS_SHOWN).map(at).collect())
    });
    marks::bars(&Bars {
        title: "Visits per peer, up to 20",
        x: "Successful visits",
        y: "Peers",
        categories: (1..=VISITS_SHOWN).map(|it| it.to_string()).collect(),
        series: series.collect(),
        log: true,
        line: None,
    })
}

fn trackers(table: &Table) -> Drawn {
    let columns = [
        "announce success",
        "announce fail",
        "scrape success",
        "scrape fail",
    ];
    let series = columns.into_iter().enumerate().map(|(place, column)| {
        let counts = numbers(table, column);
        let counts = counts.into_iter().map(Option::unwrap_or_default);
        (column.to_owned(), colour(place), counts.collect())
    });
    marks::bars(&Bars {
        title: "Requests to trackers",
        x: "Torrent",
        y: "Requests",
        categories: texts(table, "torrent"),
        series: series.collect(),
        log: false,
        line: None,
    })
}

fn timeout(item: &Item, table: &Table) -> Drawn {
    let counts = numbers(table, "visits");
    let counts: Vec<f64> = counts.into_iter().map(Option::unwrap_or_default).collect();
    marks::bars(&Bars {
        title: &format!(
            "Longest wait for one message of a visit, n = {}",
            grouped(item.sample)
        ),
        x: "Longest wait / s, rounded",
        y: "Visits",
        categories: (0..=SECONDS_SHOWN).map(|it| it.to_string()).collect(),
        series: vec![("visits".to_owned(), BLUE, counts)],
        log: false,
        line: Some((6.0, "6 s, as in 2015")),
    })
}

/// Values by code of a country.
fn by_country(table: &Table, column: &str) -> BTreeMap<String, f64> {
    let values = texts(table, "country")
        .into_iter()
        .zip(numbers(table, column));
    let known = values.filter(|(code, _)| code.len() == 2);
    known
        .filter_map(|(code, value)| Some((code, value?)))
        .collect()
}

/// Medians of countries with at least ten samples.
fn speed_map(item: &Item, table: &Table) -> Result<Option<String>, DrawError> {
    let mut values = by_country(table, "median");
    let samples = by_country(table, "n");
    values.retain(|code, _| samples.get(code).is_some_and(|n| *n >= 10.0));
    let title = format!(
        "{}, n = {}, countries with 10 or more",
        item.title,
        grouped(item.sample)
    );
    map::draw(&title, "median / kB/s", &values, Ends::Twentieths)
}

#[cfg(test)]
mod tests;
