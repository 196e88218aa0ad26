//! Points and curves on linear or logarithmic axes, and bars.

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::panels::short;
use super::{AXIS, DrawError, LABEL, TITLE, WIDTH};

/// Title and axes.
pub(super) struct Axes<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    /// Whether x and y are logarithmic.
    pub(super) log: (bool, bool),
}

/// How a series looks.
#[derive(Clone, Copy)]
pub(super) enum Style {
    LineAndPoints,
    Steps,
    Circle,
    Triangle,
    Cross,
}

impl Style {
    /// Points of another form for each series.
    pub(super) const fn of_points(place: usize) -> Self {
        match place % 3 {
            0 => Self::Circle,
            1 => Self::Triangle,
            _ => Self::Cross,
        }
    }
}

/// A series.
pub(super) struct Marks {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    pub(super) style: Style,
    pub(super) points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (WIDTH, 430);
/// What is right of it belongs to the legend.
const PLOT_WIDTH: i32 = 590;
/// Bars that have room for their names beside each other.
const CATEGORIES_NAMED: usize = 20;

/// Draws series of points; on a logarithmic axis only those above 0.
pub(super) fn xy(axes: &Axes<'_>, series: &[Marks]) -> Result<String, DrawError> {
    let shown =
        |point: &&(f64, f64)| (!axes.log.0 || point.0 > 0.0) && (!axes.log.1 || point.1 > 0.0);
    let points = || series.iter().flat_map(|it| &it.points).filter(shown);
    let x = range(points().map(|it| it.0), axes.log.0);
    let y = range(points().map(|it| it.1), axes.log.1);
    let mut svg = String::new();
    match axes.log {
        (false, false) => on_axes(&mut svg, axes, x.0..x.1, y.0..y.1, series)?,
        (true, false) => on_axes(&mut svg, axes, (x.0..x.1).log_scale(), y.0..y.1, series)?,
        (false, true) => on_axes(&mut svg, axes, x.0..x.1, (y.0..y.1).log_scale(), series)?,
        (true, true) => {
            let (x, y) = ((x.0..x.1).log_scale(), (y.0..y.1).log_scale());
            on_axes(&mut svg, axes, x, y, series)?;
        }
    }
    Ok(svg)
}

/// What an axis shows, with room at the ends; 0 to 1 without values.
fn range(values: impl Iterator<Item = f64>, log: bool) -> (f64, f64) {
    let ends = values.fold(None, |ends: Option<(f64, f64)>, it| {
        Some(ends.map_or((it, it), |(low, high)| (low.min(it), high.max(it))))
    });
    match ends {
        None if log => (1.0, 10.0),
        None => (0.0, 1.0),
        // Whole decades, so that the axis has names at both ends.
        Some((low, high)) if log => {
            let low = 10_f64.powf(low.log10().floor());
            let high = 10_f64.powf(high.log10().ceil());
            // A hair more: whoever draws the axis may not get the powers to the last bit.
            (low * (1.0 - 1e-9), high.max(low * 10.0) * (1.0 + 1e-9))
        }
        Some((low, high)) => (low.min(0.0), (high * 1.05).max(low + 1e-9)),
    }
}

/// The name of a place of an axis. On a logarithmic one only 1, 2 and 5 of each
/// decade have one: those between are too close to each other.
pub(super) fn on_axis(value: f64, log: bool) -> String {
    let leading = value / 10_f64.powf((value.log10() + 1e-9).floor());
    let named = [1.0, 2.0, 5.0].iter().any(|it| (leading - it).abs() < 1e-6);
    if log && !named {
        return String::new();
    }
    short(value)
}

fn on_axes<X, Y>(
    svg: &mut String,
    axes: &Axes<'_>,
    x: X,
    y: Y,
    series: &[Marks],
) -> Result<(), DrawError>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (plot, beside) = area.split_horizontally(PLOT_WIDTH);
    let mut chart = ChartBuilder::on(&plot)
        .caption(axes.title, ("sans-serif", TITLE))
        .margin(14)
        .margin_right(24)
        .x_label_area_size(54)
        .y_label_area_size(78)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(BLACK.mix(0.05))
        .bold_line_style(BLACK.mix(0.15))
        .x_labels(10)
        .x_label_formatter(&|it| on_axis(*it, axes.log.0))
        .y_label_formatter(&|it| on_axis(*it, axes.log.1))
        .x_desc(axes.x)
        .y_desc(axes.y)
        .label_style(("sans-serif", LABEL))
        .axis_desc_style(("sans-serif", AXIS))
        .draw()?;
    let mut legend = Legend::on(&beside);
    for it in series {
        let (line, fill) = (it.colour.stroke_width(2), it.colour.filled());
        let style = it.style;
        if matches!(style, Style::Steps) {
            chart.draw_series([PathElement::new(steps(&it.points), line)])?;
            legend.line(&it.name, line)?;
            continue;
        }
        if matches!(style, Style::LineAndPoints) {
            chart.draw_series([PathElement::new(it.points.clone(), line)])?;
        }
        let points = it.points.iter().copied();
        chart.draw_series(points.map(|at| EmptyElement::at(at) + form(style, fill)))?;
        legend.mark(&it.name, style, fill)?;
    }
    area.present()?;
    Ok(())
}

/// Names of the series beside the plot, where they cover nothing.
struct Legend<'a, 'b> {
    area: &'a DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    y: i32,
}

impl<'a, 'b> Legend<'a, 'b> {
    const fn on(area: &'a DrawingArea<SVGBackend<'b>, plotters::coord::Shift>) -> Self {
        Self { area, y: 60 }
    }

    fn line(&mut self, name: &str, style: ShapeStyle) -> Result<(), DrawError> {
        let line = PathElement::new([(0, self.y), (16, self.y)], style);
        self.area.draw(&line)?;
        self.name(name)
    }

    fn mark(&mut self, name: &str, style: Style, fill: ShapeStyle) -> Result<(), DrawError> {
        let mark = EmptyElement::at((8, self.y)) + form(style, fill);
        self.area.draw(&mark)?;
        self.name(name)
    }

    fn square(&mut self, name: &str, fill: ShapeStyle) -> Result<(), DrawError> {
        let corners = [(2, self.y - 6), (14, self.y + 6)];
        self.area.draw(&Rectangle::new(corners, fill))?;
        self.name(name)
    }

    fn name(&mut self, name: &str) -> Result<(), DrawError> {
        let style = TextStyle::from(("sans-serif", LABEL));
        let text = Text::new(name.to_owned(), (22, self.y - 9), style);
        self.area.draw(&text)?;
        self.y += 24;
        Ok(())
    }
}

/// A closed outline around the point: circle, triangle or diamond.
fn form(style: Style, fill: ShapeStyle) -> Polygon<(i32, i32)> {
    let corners: Vec<(i32, i32)> = match style {
        Style::Triangle => vec![(0, -6), (6, 5), (-6, 5)],
        Style::Cross => vec![(0, -6), (6, 0), (0, 6), (-6, 0)],
        _ => vec![
            (0, -4),
            (3, -3),
            (4, 0),
            (3, 3),
            (0, 4),
            (-3, 3),
            (-4, 0),
            (-3, -3),
        ],
    };
    Polygon::new(corners, fill)
}

/// A distribution function goes up at its values and is level between.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps = Vec::with_capacity(points.len() * 2);
    let mut level = 0.0;
    for &(x, y) in points {
        steps.extend([(x, level), (x, y)]);
        level = y;
    }
    steps
}

/// Bars beside each other, one of each series in a category.
pub(super) struct Bars<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) categories: Vec<String>,
    /// Name, colour and a value for each category.
    pub(super) series: Vec<(String, RGBColor, Vec<f64>)>,
    pub(super) log: bool,
    /// A line across at this place, counted from the first category.
    pub(super) line: Option<(f64, &'a str)>,
}

/// Draws the bars.
pub(super) fn bars(bars: &Bars<'_>) -> Result<String, DrawError> {
    let values = bars.series.iter().flat_map(|it| &it.2);
    let top = values.copied().fold(1.0, f64::max);
    let mut svg = String::new();
    if bars.log {
        on_bars(&mut svg, bars, (0.8..top * 1.5).log_scale(), 0.8)?;
    } else {
        on_bars(&mut svg, bars, 0.0..top * 1.06, 0.0)?;
    }
    Ok(svg)
}

/// The name below a place of the axis, where a bar stands whose turn it is.
fn name_at(names: &[String], place: f64, every: usize) -> String {
    let whole = (place - place.round()).abs() < 0.01;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    let at = place.round().max(0.0) as usize;
    let name = names.get(at);
    name.filter(|_| whole && place > -0.5 && at.is_multiple_of(every))
        .cloned()
        .unwrap_or_default()
}

fn on_bars<Y>(svg: &mut String, bars: &Bars<'_>, y: Y, ground: f64) -> Result<(), DrawError>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let count = bars.categories.len();
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (plot, beside) = area.split_horizontally(PLOT_WIDTH);
    let mut chart = ChartBuilder::on(&plot)
        .caption(bars.title, ("sans-serif", TITLE))
        .margin(14)
        .x_label_area_size(54)
        .y_label_area_size(78)
        .build_cartesian_2d(-0.6..count as f64 - 0.4, y)?;
    // Where there are many, only every second, third … has its name.
    let every = count.div_ceil(CATEGORIES_NAMED).max(1);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(BLACK.mix(0.05))
        .bold_line_style(BLACK.mix(0.15))
        .x_labels(count.max(2) + 2)
        .x_label_formatter(&|it| name_at(&bars.categories, *it, every))
        .y_label_formatter(&|it| on_axis(*it, bars.log))
        .x_desc(bars.x)
        .y_desc(bars.y)
        .label_style(("sans-serif", LABEL))
        .axis_desc_style(("sans-serif", AXIS))
        .draw()?;
    let width = 0.84 / bars.series.len().max(1) as f64;
    let mut highest = ground;
    let mut legend = Legend::on(&beside);
    for (place, (label, colour, values)) in bars.series.iter().enumerate() {
        let left = -0.42 + width * place as f64;
        let colour = *colour;
        let boxes = values
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > ground);
        let boxes = boxes.map(|(at, value)| {
            let x = at as f64 + left;
            Rectangle::new([(x, ground), (x + width * 0.94, *value)], colour.filled())
        });
        chart.draw_series(boxes)?;
        legend.square(label, colour.filled())?;
        highest = values.iter().copied().fold(highest, f64::max);
    }
    if let Some((at, label)) = bars.line {
        let style = super::VERMILION.stroke_width(2);
        chart.draw_series([PathElement::new([(at, ground), (at, highest)], style)])?;
        legend.line(label, style)?;
    }
    area.present()?;
    Ok(())
}
