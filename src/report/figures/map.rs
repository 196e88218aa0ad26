//! World maps: a colour for each country, on a logarithmic scale.

use std::collections::BTreeMap;

use plotters::prelude::*;

use super::DrawError;
use super::panels::short;

/// Outlines; where they come from is in the file's first lines.
const WORLD: &str = include_str!("world.txt");

const SIZE: (u32, u32) = (1000, 500);
/// Light to dark: readable in grey, too (five steps of blue, mixed to
/// a continuous scale).
const SCALE: [RGBColor; 5] = [
    RGBColor(222, 235, 247),
    RGBColor(158, 202, 225),
    RGBColor(86, 155, 203),
    RGBColor(24, 100, 170),
    RGBColor(8, 40, 95),
];
const EMPTY: RGBColor = RGBColor(235, 235, 235);

/// A ring of longitudes and latitudes, and the country's code.
struct Outline {
    code: &'static str,
    ring: Vec<(f64, f64)>,
}

fn outlines() -> impl Iterator<Item = Outline> {
    WORLD
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (code, points) = line.split_once(' ')?;
            let point = |it: &str| {
                let (x, y) = it.split_once(',')?;
                Some((x.parse().ok()?, y.parse().ok()?))
            };
            let ring = points.split(' ').map(point).collect::<Option<_>>()?;
            Some(Outline { code, ring })
        })
}

/// Draws positive values by country code; `None` if there are none. Countries
/// that are too small for the outlines are counted in a line below.
pub(super) fn draw(
    title: &str,
    unit: &str,
    values: &BTreeMap<String, f64>,
) -> Result<Option<String>, DrawError> {
    let positive = || values.values().copied().filter(|it| *it > 0.0);
    let (low, high) = (
        positive().fold(f64::INFINITY, f64::min),
        positive().fold(0.0, f64::max),
    );
    if high <= 0.0 {
        return Ok(None);
    }
    let scale = Scale { low, high };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 20))
            .margin(10)
            .margin_bottom(46)
            .build_cartesian_2d(-180.0..180.0, -60.0..84.0)?;
        let mut drawn: Vec<&str> = Vec::new();
        for Outline { code, ring } in outlines() {
            let value = values.get(code).filter(|it| **it > 0.0);
            let fill = value.map_or(EMPTY, |it| scale.colour(*it));
            chart.draw_series([Polygon::new(ring.clone(), fill.filled())])?;
            let edge = RGBColor(120, 120, 120).stroke_width(1);
            chart.draw_series([PathElement::new(ring, edge.color.mix(0.6).stroke_width(1))])?;
            drawn.push(code);
        }
        let absent = values
            .keys()
            .filter(|it| !drawn.contains(&it.as_str()))
            .count();
        scale.legend(&area, unit, absent)?;
        area.present()?;
    }
    Ok(Some(svg))
}

/// Values as colours.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn colour(&self, value: f64) -> RGBColor {
        let span = (self.high / self.low).ln();
        let share = if span > 0.0 {
            (value / self.low).ln() / span
        } else {
            1.0
        };
        shade(share)
    }

    /// A strip of the colours with the powers of ten below it.
    fn legend(
        &self,
        area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
        unit: &str,
        absent: usize,
    ) -> Result<(), DrawError> {
        const LEFT: i32 = 40;
        const LENGTH: i32 = 300;
        const TOP: i32 = 458;
        for step in 0..LENGTH {
            let colour = shade(f64::from(step) / f64::from(LENGTH - 1)).filled();
            // One pixel over the next, so that no seams show.
            let corners = [(LEFT + step, TOP), (LEFT + step + 2, TOP + 12)];
            area.draw(&Rectangle::new(corners, colour))?;
        }
        let span = (self.high / self.low).ln();
        let style = || TextStyle::from(("sans-serif", 12));
        let mut free_from = i32::MIN;
        let mut decade = 10_f64.powf(self.low.log10().ceil());
        while decade <= self.high && span > 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "within the strip")]
            let at = LEFT + ((decade / self.low).ln() / span * f64::from(LENGTH)).round() as i32;
            if at >= free_from {
                area.draw(&PathElement::new([(at, TOP), (at, TOP + 16)], BLACK))?;
                area.draw(&Text::new(short(decade), (at + 3, TOP + 16), style()))?;
                free_from = at + 40;
            }
            decade *= 10.0;
        }
        let ends = format!(
            "{unit}: {} to {}; grey: no value",
            short(self.low),
            short(self.high)
        );
        let text = match absent {
            0 => ends,
            _ => format!("{ends}; {absent} places too small for the map are not shown"),
        };
        area.draw(&Text::new(text, (LEFT + LENGTH + 24, TOP), style()))?;
        let source = "Outlines: Natural Earth (public domain), without Antarctica";
        area.draw(&Text::new(source, (LEFT + LENGTH + 24, TOP + 18), style()))?;
        Ok(())
    }
}

/// The colour at a share of 0 to 1 of the scale.
fn shade(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (SCALE.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 4"
    )]
    let below = place.floor() as usize;
    let at = |place: usize| {
        SCALE
            .get(place.min(SCALE.len() - 1))
            .copied()
            .unwrap_or(EMPTY)
    };
    let (a, b, share) = (at(below), at(below + 1), place - place.floor());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 255"
    )]
    let mixed = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mixed(a.0, b.0), mixed(a.1, b.1), mixed(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No edge crosses the map: the outlines are cut at the antimeridian.
    #[test]
    fn outlines_are_whole() {
        let mut countries = std::collections::BTreeSet::new();
        let lines = WORLD.lines().filter(|line| !line.starts_with('#')).count();
        let outlines: Vec<_> = outlines().collect();
        assert_eq!(outlines.len(), lines);
        for Outline { code, ring } in &outlines {
            countries.insert(*code);
            assert!(ring.len() >= 4, "{code}");
            for pair in ring.windows(2) {
                let ((x, y), (to_x, _)) = (pair[0], pair[1]);
                assert!(
                    (-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y),
                    "{code}"
                );
                assert!(
                    (x - to_x).abs() < 60.0,
                    "{code}: an edge from {x} to {to_x}"
                );
            }
        }
        assert!(countries.len() > 160, "{}", countries.len());
        for code in ["DE", "US", "RU", "FJ", "ZA"] {
            assert!(countries.contains(code), "{code}");
        }
    }

    #[test]
    fn colours_go_from_light_to_dark() {
        assert_eq!(shade(0.0), SCALE[0]);
        assert_eq!(shade(1.0), SCALE[4]);
        assert_eq!(shade(0.25), SCALE[1]);
        let scale = Scale {
            low: 5.0,
            high: 5.0,
        };
        assert_eq!(scale.colour(5.0), SCALE[4]);
        assert!(draw("t", "u", &BTreeMap::new()).unwrap().is_none());
        let svg = draw(
            "t",
            "peers",
            &[("DE".to_owned(), 5.0), ("SG".to_owned(), 1.0)].into(),
        );
        assert!(svg.unwrap().unwrap().contains("1 places too small"));
    }
}
