//! World maps: a colour for each country, on a logarithmic scale.

use std::collections::BTreeMap;

use plotters::prelude::*;

use super::panels::short;
use super::{DrawError, LABEL, TITLE, WIDTH};

/// Outlines; where they come from is in the file's first lines.
const WORLD: &str = include_str!("world.txt");

const SIZE: (u32, u32) = (WIDTH, 440);
/// Light to dark: readable in grey, too (five steps of blue, mixed to
/// a continuous scale).
const SCALE: [RGBColor; 5] = [
    RGBColor(204, 224, 243),
    RGBColor(148, 194, 222),
    RGBColor(86, 155, 203),
    RGBColor(24, 100, 170),
    RGBColor(8, 40, 95),
];
const EMPTY: RGBColor = RGBColor(242, 240, 236);

/// A ring of longitudes and latitudes, and the country's code.
pub(super) struct Outline {
    code: &'static str,
    pub(super) ring: Vec<(f64, f64)>,
}

pub(super) fn outlines() -> impl Iterator<Item = Outline> {
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
    ends: Ends,
) -> Result<Option<String>, DrawError> {
    let Some(scale) = Scale::of(values, ends) else {
        return Ok(None);
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", TITLE))
            .margin(10)
            .margin_bottom(78)
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
    /// Least and greatest value.
    ends: (f64, f64),
    /// Where the colours begin and end.
    low: f64,
    high: f64,
}

/// Where the colours begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// At the least and the greatest value.
    Values,
    /// Of many countries the outermost twentieths are beyond the ends: for
    /// values of which a few strange ones would take the colours from all
    /// others.
    Twentieths,
}

/// So many countries are many.
const MANY: usize = 20;

impl Scale {
    /// That of positive values; `None` if there are none.
    fn of(values: &BTreeMap<String, f64>, ends: Ends) -> Option<Self> {
        let positive = values.values().copied().filter(|it| *it > 0.0);
        let mut sorted: Vec<f64> = positive.collect();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let beyond = if ends == Ends::Values || sorted.len() < MANY {
            0
        } else {
            sorted.len() / 20
        };
        let low = sorted.get(beyond).copied().unwrap_or(first);
        let high = sorted.iter().rev().nth(beyond).copied().unwrap_or(last);
        Some(Self {
            ends: (first, last),
            low,
            high,
        })
    }

    fn colour(&self, value: f64) -> RGBColor {
        let span = (self.high / self.low).ln();
        let share = if span > 0.0 {
            (value / self.low).ln() / span
        } else {
            1.0
        };
        shade(share)
    }

    /// Round numbers within the scale: powers of ten, or in between, too, where
    /// it spans less than two; its ends where these are too few.
    fn marks(&self) -> Vec<f64> {
        let few = self.high / self.low < 100.0;
        let steps: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut marks = Vec::new();
        let mut decade = 10_f64.powf(self.low.log10().floor());
        while decade <= self.high {
            marks.extend(steps.iter().map(|it| it * decade));
            decade *= 10.0;
        }
        marks.retain(|it| (self.low..=self.high).contains(it));
        if marks.len() < 2 {
            marks = vec![self.low, self.high];
        }
        marks
    }

    /// A strip of the colours with numbers below it, and what goes with it.
    fn legend(
        &self,
        area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
        unit: &str,
        absent: usize,
    ) -> Result<(), DrawError> {
        const LEFT: i32 = 14;
        const LENGTH: i32 = 240;
        const TOP: i32 = 374;
        for step in 0..LENGTH {
            let colour = shade(f64::from(step) / f64::from(LENGTH - 1)).filled();
            // One pixel over the next, so that no seams show.
            let corners = [(LEFT + step, TOP), (LEFT + step + 2, TOP + 14)];
            area.draw(&Rectangle::new(corners, colour))?;
        }
        let span = (self.high / self.low).ln();
        let style = || TextStyle::from(("sans-serif", LABEL));
        let mut free_from = i32::MIN;
        for mark in self.marks().into_iter().filter(|_| span > 0.0) {
            #[expect(clippy::cast_possible_truncation, reason = "within the strip")]
            let at = LEFT + ((mark / self.low).ln() / span * f64::from(LENGTH)).round() as i32;
            if at >= free_from {
                area.draw(&PathElement::new([(at, TOP), (at, TOP + 20)], BLACK))?;
                area.draw(&Text::new(short(mark), (at + 3, TOP + 16), style()))?;
                free_from = at + 48;
            }
        }
        let (first, last) = self.ends;
        let mut lines = vec![format!("{unit}: {} to {}", short(first), short(last))];
        if (first, last) != (self.low, self.high) {
            lines.push(format!(
                "colours from {} to {}, one in 20 beyond each end",
                short(self.low),
                short(self.high)
            ));
        }
        lines.push(match absent {
            0 => "grey: no value".to_owned(),
            _ => format!("grey: no value; {absent} places too small for the map are not shown"),
        });
        lines.push("outlines: Natural Earth (public domain), without Antarctica".to_owned());
        for (line, y) in lines.into_iter().zip((TOP - 4..).step_by(17)) {
            // Right of a number at the end of the strip.
            area.draw(&Text::new(line, (LEFT + LENGTH + 50, y), style()))?;
        }
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
        let scale = Scale::of(&[("DE".to_owned(), 5.0)].into(), Ends::Twentieths).unwrap();
        assert_eq!(scale.colour(5.0), SCALE[4]);
        assert!(
            draw("t", "u", &BTreeMap::new(), Ends::Values)
                .unwrap()
                .is_none()
        );
        let svg = draw(
            "t",
            "peers",
            &[("DE".to_owned(), 5.0), ("SG".to_owned(), 1.0)].into(),
            Ends::Values,
        );
        assert!(svg.unwrap().unwrap().contains("1 places too small"));
    }

    /// Of 40 countries, four are beyond the ends; a few countries have the
    /// whole scale. There are numbers below each scale.
    #[test]
    fn strange_countries_leave_the_colours_to_the_others() {
        let mut values: BTreeMap<String, f64> = (0..36)
            .map(|it| (format!("A{it}"), 100.0 + f64::from(it)))
            .collect();
        for (code, value) in [("B1", 0.001), ("B2", 0.002), ("B3", 1e6), ("B4", 1e7)] {
            values.insert(code.to_owned(), value);
        }
        let whole = Scale::of(&values, Ends::Values).unwrap();
        assert_eq!((whole.low, whole.high), whole.ends);
        let scale = Scale::of(&values, Ends::Twentieths).unwrap();
        assert_eq!((scale.low, scale.high), (100.0, 135.0));
        assert_eq!(scale.ends, (0.001, 1e7));
        assert_eq!(
            (scale.colour(1e-9), scale.colour(1e9)),
            (SCALE[0], SCALE[4])
        );
        assert_eq!(scale.marks(), [100.0, 135.0]);
        let svg = draw("t", "u", &values, Ends::Twentieths).unwrap().unwrap();
        assert!(svg.contains("colours from 100 to 135"), "{svg}");
        let few = [("DE".to_owned(), 3.0), ("FR".to_owned(), 60.0)].into();
        let scale = Scale::of(&few, Ends::Twentieths).unwrap();
        assert_eq!(scale.ends, (scale.low, scale.high));
        assert_eq!(scale.marks(), [5.0, 10.0, 20.0, 50.0]);
    }
}
