//! Box plots of speeds by country on a logarithmic axis.

use plotters::prelude::*;

use super::columns::{numbers, texts};
use super::panels::short;
use super::{BLUE, DrawError};
use crate::report::item::{Table, grouped};

const SIZE: (u32, u32) = (1200, 560);

/// Numbers of a box that are drawn.
struct Drawn {
    name: String,
    /// Whisker, quartile, median, quartile, whisker.
    levels: [f64; 5],
}

/// Draws the countries that 2015 shows, most samples first, behind the box of
/// all peers.
pub(super) fn draw(title: &str, table: &Table) -> Result<String, DrawError> {
    let boxes = boxes(table);
    let levels = || boxes.iter().flat_map(|it| it.levels).filter(|it| *it > 0.0);
    let low = levels().fold(f64::INFINITY, f64::min).min(1.0);
    let high = levels().fold(1.0, f64::max);
    let samples = numbers(table, "n").first().copied().flatten();
    let title = format!(
        "{title}, n = {}",
        samples.map_or_else(String::new, short_count)
    );
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d(
                -0.7..boxes.len() as f64 - 0.3,
                (low / 1.3..high * 1.3).log_scale(),
            )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(BLACK.mix(0.05))
            .bold_line_style(BLACK.mix(0.15))
            .x_labels(0)
            .y_label_formatter(&|it| short(*it))
            .y_desc("Greatest speed / kB/s")
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        for (place, it) in boxes.iter().enumerate() {
            let x = place as f64;
            let [bottom, q1, median, q3, top] = it.levels;
            let thin = BLACK.stroke_width(1);
            chart.draw_series([
                PathElement::new([(x, bottom), (x, q1)], thin),
                PathElement::new([(x, q3), (x, top)], thin),
            ])?;
            let corners = [(x - 0.36, q1), (x + 0.36, q3)];
            chart.draw_series([Rectangle::new(corners, BLUE.mix(0.45).filled())])?;
            chart.draw_series([Rectangle::new(corners, thin)])?;
            let middle = [(x - 0.36, median), (x + 0.36, median)];
            chart.draw_series([PathElement::new(middle, BLACK.stroke_width(2))])?;
            let (left, ground) = chart.backend_coord(&(x, low / 1.3));
            let style =
                TextStyle::from(("sans-serif", 12)).pos(plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Center,
                    plotters::style::text_anchor::VPos::Top,
                ));
            // Every second name is a line lower, so that none overlap.
            let down = if place % 2 == 0 { 6 } else { 20 };
            area.draw(&Text::new(it.name.clone(), (left, ground + down), style))?;
        }
        area.present()?;
    }
    Ok(svg)
}

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
            boxes.push(Drawn { name, levels });
        }
    }
    boxes
}
