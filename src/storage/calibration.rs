//! Timeout calibration: how long peers take for one message (contract
//! section 8). Writer thread, at the end of a run in calibration mode.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;

use super::error::StorageError;

/// The content of `_timeout.txt` for the longest waits of all visits that
/// received a message, in milliseconds.
///
/// First line the waits in whole seconds, halves to even, as Python rounded
/// them; second line how many are at most `cut`, before rounding.
pub fn calibration_text(waits_ms: &[i64], cut: Duration) -> String {
    let mut text = String::from("[");
    for (place, &wait) in waits_ms.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{}", rounded_seconds(wait));
    }
    let below = waits_ms
        .iter()
        .filter(|&&wait| is_within(wait, cut))
        .count();
    let _ = write!(
        text,
        "]\n{below} of {} are below {}",
        waits_ms.len(),
        cut.as_secs_f64()
    );
    text
}

/// Draws the bar chart of 2015: visits by longest wait in whole seconds, -1
/// to 31 s, with a line at `cut`.
pub(super) fn draw_histogram(
    path: &Path,
    waits_ms: &[i64],
    cut: Duration,
) -> Result<(), StorageError> {
    let svg = histogram(waits_ms, cut).map_err(|reason| StorageError::Chart {
        path: path.to_owned(),
        reason,
    })?;
    super::files::replace(path, svg.as_bytes())
}

fn histogram(waits_ms: &[i64], cut: Duration) -> Result<String, String> {
    let mut svg = String::new();
    draw(&mut svg, waits_ms, cut).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    waits_ms: &[i64],
    cut: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let bars = bars(waits_ms);
    let shown: u64 = bars.iter().map(|(_, count)| count).sum();
    let beyond = (waits_ms.len() as u64).saturating_sub(shown);
    let highest = bars.iter().map(|&(_, count)| count).max().unwrap_or(0);
    let top = highest.saturating_add(highest / 20).max(1);
    let mut title = format!(
        "Longest wait for one message per visit, n = {}",
        waits_ms.len()
    );
    if beyond > 0 {
        let _ = write!(title, ", {beyond} above 31 s not shown");
    }
    let area = SVGBackend::with_string(svg, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(-1.0..31.0, 0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .x_labels(17)
        .x_label_formatter(&|seconds| format!("{seconds:.0}"))
        .x_desc("Longest wait / s, rounded")
        .y_desc("Visits")
        .draw()?;
    chart.draw_series(bars.iter().map(|&(second, count)| {
        let left = (f64::from(second) - 0.45).max(-1.0);
        let right = (f64::from(second) + 0.45).min(31.0);
        Rectangle::new([(left, 0), (right, count)], BLUE.mix(0.6).filled())
    }))?;
    let cut = cut.as_secs_f64();
    let line = vec![(cut, 0), (cut, top)];
    chart.draw_series([PathElement::new(line, RED.stroke_width(2))])?;
    area.present()?;
    Ok(())
}

/// Visits per whole second, 0 to 31.
fn bars(waits_ms: &[i64]) -> Vec<(i32, u64)> {
    let mut bars: Vec<(i32, u64)> = (0..=31).map(|second| (second, 0)).collect();
    for &wait in waits_ms {
        let bar = usize::try_from(rounded_seconds(wait))
            .ok()
            .and_then(|second| bars.get_mut(second));
        if let Some((_, count)) = bar {
            *count += 1;
        }
    }
    bars
}

/// Whole seconds, halves to the even second.
const fn rounded_seconds(millis: i64) -> i64 {
    let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    let up = rest > 500 || (rest == 500 && seconds % 2 != 0);
    seconds + up as i64
}

fn is_within(millis: i64, cut: Duration) -> bool {
    u64::try_from(millis).is_ok_and(|millis| Duration::from_millis(millis) <= cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_example() {
        // 0.5 and 2.5 s round to the even second, 6.001 s is above the cut
        // although it rounds to 6, 6.0 s is not.
        let waits = [0, 500, 1500, 2500, 2501, 6000, 6001, 30_499];
        assert_eq!(
            calibration_text(&waits, Duration::from_secs(6)),
            "[0, 0, 2, 2, 3, 6, 6, 30]\n6 of 8 are below 6"
        );
        assert_eq!(
            calibration_text(&[], Duration::from_millis(2500)),
            "[]\n0 of 0 are below 2.5"
        );
    }

    #[test]
    fn histogram_names_its_sample() {
        let svg = histogram(&[100, 6000, 6400, 31_000, 40_000], Duration::from_secs(6)).unwrap();
        assert!(svg.starts_with("<svg"));
        for text in [
            "n = 5, 1 above 31 s not shown",
            "Longest wait / s",
            "Visits",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        let empty = histogram(&[], Duration::from_secs(6)).unwrap();
        assert!(empty.contains("n = 0"));
    }
}
