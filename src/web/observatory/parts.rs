//! Pieces of the observatory's pages: map, bars, pies, chart. Each is a
//! template of its own, whose texts are escaped there, and not once more where
//! it is put in (`HtmlSafe`).

use std::borrow::Borrow;

use askama::Template;
use askama::filters::HtmlSafe;

use super::heat::{Cell, HEIGHT, LAND, WIDTH, step, x, y};
use super::shares::{OTHERS, Share};
use super::sight::Minute;
use crate::report::item::grouped;

/// The map of the last two minutes.
#[derive(Template)]
#[template(path = "observatory/heat_map.html")]
pub(super) struct HeatMap<'a> {
    cells: Vec<Spot>,
    land: &'a str,
    label: String,
}

impl HtmlSafe for HeatMap<'_> {}
impl HtmlSafe for Bars<'_> {}
impl HtmlSafe for Pie {}
impl HtmlSafe for Chart<'_> {}

/// A place on the map.
struct Spot {
    x: i32,
    y: i32,
    step: u8,
    glow: u32,
    radius: u32,
    records: u64,
}

impl HeatMap<'_> {
    pub(super) fn of(cells: &[Cell], placed: u64) -> Self {
        let spot = |(latitude, longitude, records): &Cell| {
            let step = step(*records);
            Spot {
                x: x(*longitude),
                y: y(*latitude),
                step,
                glow: u32::from(step) * 26 + 24,
                radius: u32::from(step) * 3 + 5,
                records: *records,
            }
        };
        let unit = if cells.len() == 1 { "place" } else { "places" };
        Self {
            cells: cells.iter().map(spot).collect(),
            land: &LAND,
            label: format!(
                "World map: {} records of two minutes, from {} {unit}",
                grouped(placed),
                grouped(cells.len() as u64),
            ),
        }
    }
}

/// Shares as bars, in a table.
#[derive(Template)]
#[template(path = "observatory/bars.html")]
pub(super) struct Bars<'a> {
    id: &'static str,
    title: &'static str,
    column: &'static str,
    shares: &'a [Share],
    most: u64,
    /// The names are codes of countries, which script may replace by names.
    countries: bool,
}

impl<'a> Bars<'a> {
    /// A table with that id; `column` says what its names are.
    pub(super) fn new(
        id: &'static str,
        title: &'static str,
        column: &'static str,
        shares: &'a [Share],
    ) -> Self {
        Self {
            id,
            title,
            column,
            most: shares.iter().map(|it| it.count).max().unwrap_or(1),
            shares,
            countries: false,
        }
    }

    /// Length of a bar, in percent of the longest.
    fn width(&self, share: &Share) -> f64 {
        share.count as f64 * 100.0 / self.most as f64
    }

    /// The names are codes of countries.
    pub(super) const fn of_countries(mut self) -> Self {
        self.countries = true;
        self
    }
}

/// Shares as a pie with its key.
#[derive(Template)]
#[template(path = "observatory/pie.html")]
pub(super) struct Pie {
    id: &'static str,
    title: &'static str,
    slices: Vec<Slice>,
    /// All shares in one text.
    label: String,
}

/// A piece of a pie, in percent of the whole.
struct Slice {
    share: Share,
    /// Up to where earlier pieces go, from the top, as an offset backwards.
    offset: f64,
}

impl Pie {
    pub(super) fn new(id: &'static str, title: &'static str, shares: &[Share]) -> Self {
        let mut before = 0.0;
        let slices: Vec<Slice> = shares
            .iter()
            .map(|share| {
                // A circle begins at three o'clock: 25 percent further.
                let offset = 25.0 - before;
                before += share.percent;
                Slice {
                    share: share.clone(),
                    offset,
                }
            })
            .collect();
        let each: Vec<String> = shares
            .iter()
            .map(|it| format!("{} {} %", it.name, it.percent))
            .collect();
        Self {
            id,
            title,
            slices,
            label: format!("{title}: {}", each.join(", ")),
        }
    }
}

/// Records over time, one column for each piece.
#[derive(Template)]
#[template(path = "observatory/chart.html")]
pub(super) struct Chart<'a> {
    pieces: &'a [Minute],
    /// Minutes of a piece.
    length: i64,
    most: u64,
}

/// Height of the chart's drawing.
const CHART_HEIGHT: u64 = 1000;

impl<'a> Chart<'a> {
    pub(super) fn new(pieces: &'a [Minute], length: i64) -> Self {
        Self {
            pieces,
            length,
            most: pieces.iter().map(Minute::all).max().unwrap_or(0).max(1),
        }
    }

    /// Height of so many records.
    fn height(&self, records: impl Borrow<u64>) -> u64 {
        records.borrow().saturating_mul(CHART_HEIGHT) / self.most
    }

    /// Upper edge of what reaches up to so many records.
    fn top(&self, records: impl Borrow<u64>) -> u64 {
        CHART_HEIGHT.saturating_sub(self.height(records))
    }

    /// When a piece begins, without the date.
    fn time(&self, at: &str) -> String {
        let (day, time) = (at.get(5..10), at.get(11..16));
        let time = time.unwrap_or_default();
        if self.length > 24 {
            format!("{} {time}", day.unwrap_or_default())
        } else {
            time.to_owned()
        }
    }

    fn begin(&self) -> String {
        let first = self.pieces.first();
        first.map_or_else(String::new, |it| self.time(&it.at))
    }

    fn end(&self) -> String {
        let last = self.pieces.last();
        last.map_or_else(String::new, |it| self.time(&it.at))
    }
}
