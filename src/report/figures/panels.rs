//! Curves over time in panels below or beside each other, with one time axis.

use std::ops::Range;

use chrono::DateTime;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{AXIS, DrawError, LABEL, TITLE, WIDTH};

/// A curve.
pub(super) struct Series {
    name: String,
    colour: RGBColor,
    /// Hours since 1970, and the value.
    points: Vec<(f64, f64)>,
    /// Each point is a dot: few measurements, of whole numbers.
    dotted: bool,
}

impl Series {
    pub(super) fn new(name: &str, colour: RGBColor, points: Vec<(f64, f64)>) -> Self {
        let name = name.to_owned();
        Self {
            name,
            colour,
            points,
            dotted: false,
        }
    }

    /// The same with a dot for each point.
    pub(super) fn dotted(self) -> Self {
        Self {
            dotted: true,
            ..self
        }
    }
}

/// A panel.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) series: Vec<Series>,
}

const PANEL_HEIGHT: u32 = 196;
const TITLE_HEIGHT: u32 = 40;
const LEGEND_HEIGHT: u32 = 26;

/// Draws the panels in so many columns. Series that have one name and colour
/// in all panels are named once, below the title.
pub(super) fn draw(title: &str, panels: &[Panel], columns: usize) -> Result<String, DrawError> {
    let rows = panels.len().div_ceil(columns).max(1);
    let legend = common_legend(panels);
    let above = if legend.is_empty() { 0 } else { LEGEND_HEIGHT };
    let height = TITLE_HEIGHT + above + 20 + PANEL_HEIGHT * u32::try_from(rows)?;
    let all = || {
        panels
            .iter()
            .flat_map(|it| &it.series)
            .flat_map(|it| &it.points)
    };
    let from = all().map(|it| it.0).fold(f64::INFINITY, f64::min);
    let to = all().map(|it| it.0).fold(f64::NEG_INFINITY, f64::max);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let begin = if from <= to {
            format!(", from {}", time(from, 365.0 * DAY))
        } else {
            String::new()
        };
        let inner = area.margin(6, 14, 10, 20);
        let inner = inner.titled(&format!("{title} (UTC{begin})"), ("sans-serif", TITLE))?;
        let (top, inner) = inner.split_vertically(above);
        draw_legend(&top, &legend)?;
        if from <= to {
            // One time only is a point in the middle.
            let range = if from < to {
                (from, to)
            } else {
                (from - 0.5, to + 0.5)
            };
            let parts = inner.split_evenly((rows, columns));
            for (panel, part) in panels.iter().zip(&parts) {
                let named = legend.is_empty() && panel.series.len() > 1;
                one(part, panel, range, (columns, named))?;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

/// Dots of a curve; one with more has none.
const DOTS_MAX: usize = 200;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<TimeAxis, RangedCoordf64>>;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Names and colours of the series of all panels, if there are several and no
/// colour has two names.
fn common_legend(panels: &[Panel]) -> Vec<(&str, RGBColor)> {
    let mut legend: Vec<(&str, RGBColor)> = Vec::new();
    for series in panels.iter().flat_map(|it| &it.series) {
        let this = (series.name.as_str(), series.colour);
        match legend.iter().find(|it| it.0 == this.0 || it.1 == this.1) {
            None => legend.push(this),
            Some(known) if *known == this => {}
            Some(_) => return Vec::new(),
        }
    }
    if legend.len() < 2 {
        legend.clear();
    }
    legend
}

/// Pixels that a letter takes on average, and that a sample and the room
/// behind a name take.
const LETTER: i32 = 8;
const SAMPLE: i32 = 52;

/// The names in one line, in the middle.
fn draw_legend(area: &Area<'_>, legend: &[(&str, RGBColor)]) -> Result<(), DrawError> {
    let width = |name: &str| SAMPLE + LETTER * i32::try_from(name.chars().count()).unwrap_or(0);
    let all: i32 = legend.iter().map(|it| width(it.0)).sum();
    let mut x = (i32::try_from(WIDTH)? - all) / 2;
    for (name, colour) in legend {
        let line = PathElement::new([(x, 12), (x + 24, 12)], colour.stroke_width(3));
        area.draw(&line)?;
        let style = TextStyle::from(("sans-serif", LABEL)).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new((*name).to_owned(), (x + 30, 12), style))?;
        x += width(name);
    }
    Ok(())
}

/// A panel of so many beside each other; `named`: with a legend of its own.
fn one(
    area: &Area<'_>,
    panel: &Panel,
    (from, to): (f64, f64),
    (columns, named): (usize, bool),
) -> Result<(), DrawError> {
    let values = panel.series.iter().flat_map(|it| &it.points).map(|it| it.1);
    let least = if panel.series.iter().any(|it| it.dotted) {
        1.0
    } else {
        1e-9
    };
    // Room above the curves for a legend.
    let top = values.fold(0.0, f64::max).max(least) * if named { 1.5 } else { 1.08 };
    let axis = TimeAxis::new((from, to), if columns == 1 { 7 } else { 3 });
    let step = axis.step;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", AXIS))
        .margin_top(4)
        .margin_right(16)
        .x_label_area_size(24)
        .y_label_area_size(66)
        .build_cartesian_2d(axis, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .y_labels(5)
        .x_label_formatter(&|hour| time(*hour, step))
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", LABEL))
        .draw()?;
    for series in &panel.series {
        let style = series.colour.stroke_width(2);
        let drawn = chart.draw_series([PathElement::new(series.points.clone(), style)])?;
        if named {
            drawn
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
    }
    draw_dots(&mut chart, &panel.series)?;
    if named {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .legend_area_size(24)
            .margin(2)
            .label_font(("sans-serif", LABEL))
            .draw()?;
    }
    Ok(())
}

/// Where a curve has few points and is to show them, and where there is one
/// alone, which would not be seen.
fn draw_dots(chart: &mut Chart<'_, '_>, all: &[Series]) -> Result<(), DrawError> {
    let dotted = |it: &&Series| it.points.len() == 1 || (it.dotted && it.points.len() <= DOTS_MAX);
    for series in all.iter().filter(dotted) {
        let style = series.colour.filled();
        let points = series.points.iter();
        chart.draw_series(points.map(|point| Circle::new(*point, 4, style)))?;
    }
    Ok(())
}

/// Steps of a time axis in hours: from a second to a year.
const STEPS: [f64; 20] = [
    1.0 / 3600.0,
    5.0 / 3600.0,
    15.0 / 3600.0,
    30.0 / 3600.0,
    1.0 / 60.0,
    2.0 / 60.0,
    5.0 / 60.0,
    0.25,
    0.5,
    1.0,
    2.0,
    3.0,
    6.0,
    12.0,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
    30.0 * DAY,
    90.0 * DAY,
    365.0 * DAY,
];
const DAY: f64 = 24.0;

/// A time axis in hours since 1970, with names at round times.
struct TimeAxis {
    range: RangedCoordf64,
    step: f64,
    marks: Vec<f64>,
}

impl TimeAxis {
    /// With so many names at most.
    fn new((from, to): (f64, f64), most: u16) -> Self {
        let fits = |step: &f64| (to / step).floor() - (from / step).ceil() < f64::from(most);
        let step = STEPS.into_iter().find(fits).unwrap_or(365.0 * DAY);
        let first = (from / step).ceil();
        let marks = (0..most).map(|place| (first + f64::from(place)) * step);
        Self {
            range: (from..to).into(),
            step,
            marks: marks.filter(|time| *time <= to).collect(),
        }
    }
}

impl Ranged for TimeAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}

/// Hours since 1970 as an axis with that step needs it, UTC.
fn time(hour: f64, step: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    let second = (hour * 3600.0).round() as i64;
    let form = match step {
        it if it >= 365.0 * DAY => "%Y-%m-%d %H:%M",
        it if it >= 30.0 * DAY => "%Y-%m-%d",
        it if it >= DAY => "%m-%d",
        it if it >= 1.0 => "%m-%d %H:%M",
        it if it >= 1.0 / 60.0 => "%H:%M",
        _ => "%H:%M:%S",
    };
    DateTime::from_timestamp(second, 0)
        .map_or_else(String::new, |time| time.format(form).to_string())
}

/// A number as short as an axis needs it: three significant digits, but whole
/// numbers below 10,000 in full.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        it if it >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        it if it >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        _ => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = match value.abs() {
        it if it >= 100.0 => return format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
