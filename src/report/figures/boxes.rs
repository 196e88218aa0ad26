//! Box plots of speeds by country on a logarithmic axis.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::columns::{numbers, texts};
use super::marks::on_axis;
use super::ranks::say;
use super::{AXIS, BLUE, DrawError, LABEL, TITLE, WIDTH};
use crate::report::item::{Table, grouped};

/// Height of a box with its room, and of all above and below the boxes.
const ROW: i32 = 15;
const ABOVE: i32 = 40;
const BELOW: i32 = 84;
/// Where the axis begins; left of it are names and sample sizes.
const LEFT: i32 = 116;

/// Numbers of a box that are drawn.
struct Drawn {
    name: String,
    samples: f64,
    /// Whisker, quartile, median, quartile, whisker.
    levels: [f64; 5],
}

/// Draws the countries that 2015 shows below each other, most samples first,
/// under the box of all peers.
pub(super) fn draw(title: &str, table: &Table) -> Result<String, DrawError> {
    let boxes = boxes(table);
    let levels = || boxes.iter().flat_map(|it| it.levels).filter(|it| *it > 0.0);
    let low = levels().fold(f64::INFINITY, f64::min).min(1.0) / 1.3;
    let high = levels().fold(1.0, f64::max) * 1.3;
    let plot = ROW * i32::try_from(boxes.len())? + ROW;
    let size = (WIDTH, u32::try_from(ABOVE + plot + BELOW)?);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let middle = i32::try_from(WIDTH)? / 2;
        say(&area, title, (middle, 20), (TITLE, HPos::Center))?;
        let inner = area.margin(ABOVE, BELOW - 60, LEFT, 24);
        let mut chart = ChartBuilder::on(&inner)
            .x_label_area_size(60)
            .build_cartesian_2d((low..high).log_scale(), 0..plot)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(BLACK.mix(0.05))
            .bold_line_style(BLACK.mix(0.15))
            .x_label_formatter(&|it| on_axis(*it, true))
            .x_desc("Greatest speed / kB/s")
            .label_style(("sans-serif", LABEL))
            .axis_desc_style(("sans-serif", AXIS))
            .draw()?;
        say(
            &area,
            "country, n",
            (LEFT - 8, ABOVE - 10),
            (LABEL, HPos::Right),
        )?;
        for (place, it) in (1_i32..).zip(&boxes) {
            let y = plot - place * ROW;
            let [bottom, q1, median, q3, top] = it.levels;
            let thin = BLACK.stroke_width(1);
            chart.draw_series([
                PathElement::new([(bottom, y), (q1, y)], thin),
                PathElement::new([(q3, y), (top, y)], thin),
            ])?;
            let corners = [(q1, y - 5), (q3, y + 5)];
            chart.draw_series([Rectangle::new(corners, BLUE.mix(0.45).filled())])?;
            chart.draw_series([Rectangle::new(corners, thin)])?;
            let middle = [(median, y - 5), (median, y + 5)];
            chart.draw_series([PathElement::new(middle, BLACK.stroke_width(3))])?;
            let at = ABOVE + place * ROW;
            say(&area, &it.name, (34, at), (SMALL, HPos::Right))?;
            let count = short_count(it.samples);
            say(&area, &count, (LEFT - 8, at), (SMALL, HPos::Right))?;
        }
        let note = "Box: quartiles and median. Whiskers: to the furthest value within 1.5 times the \
                    box (of logarithms).";
        let bottom = ABOVE + plot + BELOW - 12;
        say(&area, note, (middle, bottom), (SMALL, HPos::Center))?;
        area.present()?;
    }
    Ok(svg)
}

/// Height of text that stands in a row.
const SMALL: i32 = LABEL - 1;

/// A count of samples with commas.
fn short_count(count: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    let count = count as u64;
    grouped(count)
}

fn boxes(table: &Table) -> Vec<Drawn> {
    let [bottom, q1, median, q3, top] =
        ["whisker_low", "q1", "median", "q3", "whisker_high"].map(|it| numbers(table, it));
    let shown = texts(table, "shown_in_2015");
    let samples = numbers(table, "n");
    let mut boxes = Vec::new();
    for (place, name) in texts(table, "country").into_iter().enumerate() {
        let at = |of: &[Option<f64>]| of.get(place).copied().flatten();
        let is_shown = name == "total" || shown.get(place).is_some_and(|it| it == "yes");
        if let (true, Some(bottom), Some(q1), Some(median), Some(q3), Some(top)) = (
            is_shown,
            at(&bottom),
            at(&q1),
            at(&median),
            at(&q3),
            at(&top),
        ) {
            let name = if name == "total" {
                "all".to_owned()
            } else {
                name
            };
            let levels = [bottom, q1, median, q3, top];
            let samples = at(&samples).unwrap_or(0.0);
            boxes.push(Drawn {
                name,
                samples,
                levels,
            });
        }
    }
    boxes
}
