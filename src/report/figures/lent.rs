//! Curves and a map of somebody else's figures in the style of the report, for
//! the page.

use std::collections::BTreeMap;

use super::panels::{self, Panel, Series};
use super::{colour, map};

/// A curve: its name, and hours since 1970 with the values.
pub type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// An SVG of panels below each other, each with its title and curves.
///
/// # Errors
/// What the drawing library says.
pub fn curves(title: &str, panels: &[(&str, Vec<Curve<'_>>)]) -> Result<String, String> {
    let series = |curves: &[Curve<'_>]| {
        let coloured = curves.iter().enumerate();
        coloured
            .map(|(place, (name, points))| {
                Series::new(name, colour(place), points.clone()).dotted()
            })
            .collect()
    };
    let panels: Vec<Panel> = panels
        .iter()
        .map(|(title, curves)| Panel {
            title: (*title).to_owned(),
            series: series(curves),
        })
        .collect();
    panels::draw(title, &panels, 1).map_err(|error| error.to_string())
}

/// Outlines of the land: rings of longitudes and latitudes in degrees, cut at
/// the antimeridian, without Antarctica.
pub fn land() -> impl Iterator<Item = Vec<(f64, f64)>> {
    map::outlines().map(|outline| outline.ring)
}

/// An SVG of positive values by country code (ISO 3166-1 alpha-2); `None` if
/// there are none.
///
/// # Errors
/// What the drawing library says.
pub fn world_map(
    title: &str,
    unit: &str,
    values: &BTreeMap<String, f64>,
) -> Result<Option<String>, String> {
    map::draw(title, unit, values, map::Ends::Values).map_err(|error| error.to_string())
}
