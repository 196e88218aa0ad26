//! Curves over time in panels below or beside each other, with one time axis.

use chrono::DateTime;
use plotters::prelude::*;

use super::DrawError;

/// A curve.
pub(super) struct Series {
    name: String,
    colour: RGBColor,
    /// Hours since 1970, and the value.
    points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn new(name: &str, colour: RGBColor, points: Vec<(f64, f64)>) -> Self {
        let name = name.to_owned();
        Self {
            name,
            colour,
            points,
        }
    }
}

/// A panel.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) series: Vec<Series>,
}

const WIDTH: u32 = 900;
const PANEL_HEIGHT: u32 = 190;
const TITLE_HEIGHT: u32 = 40;

/// Draws the panels in so many columns.
pub(super) fn draw(title: &str, panels: &[Panel], columns: usize) -> Result<String, DrawError> {
    let rows = panels.len().div_ceil(columns).max(1);
    let height = TITLE_HEIGHT + 20 + PANEL_HEIGHT * u32::try_from(rows)?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.margin(6, 14, 10, 20);
        let area = area.titled(&format!("{title} (times are UTC)"), ("sans-serif", 20))?;
        let all = || {
            panels
                .iter()
                .flat_map(|it| &it.series)
                .flat_map(|it| &it.points)
        };
        let from = all().map(|it| it.0).fold(f64::INFINITY, f64::min);
        let to = all().map(|it| it.0).fold(f64::NEG_INFINITY, f64::max);
        if from <= to {
            let range = (from, to.max(from + 1.0));
            let parts = area.split_evenly((rows, columns));
            for (panel, part) in panels.iter().zip(&parts) {
                one(part, panel, range, columns)?;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn one(
    area: &Area<'_>,
    panel: &Panel,
    (from, to): (f64, f64),
    columns: usize,
) -> Result<(), DrawError> {
    let values = panel.series.iter().flat_map(|it| &it.points).map(|it| it.1);
    let named = panel.series.len() > 1;
    // Room above the curves for the legend.
    let top = values.fold(0.0, f64::max).max(1e-9) * if named { 1.3 } else { 1.08 };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 14))
        .margin_top(4)
        .margin_right(16)
        .x_label_area_size(24)
        .y_label_area_size(66)
        .build_cartesian_2d(from..to, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_labels(if columns == 1 { 9 } else { 5 })
        .y_labels(5)
        .x_label_formatter(&|hour| time(*hour))
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 12))
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
    if named {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .legend_area_size(24)
            .margin(2)
            .label_font(("sans-serif", 12))
            .draw()?;
    }
    Ok(())
}

/// Hours since 1970 as day and hour, UTC.
fn time(hour: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    let second = (hour * 3600.0).round() as i64;
    DateTime::from_timestamp(second, 0)
        .map_or_else(String::new, |time| time.format("%m-%d %H:%M").to_string())
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
