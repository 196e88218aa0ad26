//! Places on a map: a pure projection, in which a degree is ten units.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Width of the map.
pub(super) const WIDTH: i32 = 3600;

/// Height of the map, from 84 degrees north to 60 south.
pub(super) const HEIGHT: i32 = 1440;

/// Places that are drawn at most, the busiest.
const CELLS_MAX: usize = 3_000;

/// Latitude, longitude and records of a place, as JSON has them.
pub(super) type Cell = (f64, f64, u64);

/// Units from the left edge.
pub(super) fn x(longitude: f64) -> i32 {
    units((longitude + 180.0) * 10.0, WIDTH)
}

/// Units from the upper edge.
pub(super) fn y(latitude: f64) -> i32 {
    units((84.0 - latitude) * 10.0, HEIGHT)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "within the map after the clamp; no number becomes 0"
)]
fn units(place: f64, most: i32) -> i32 {
    place.round().clamp(0.0, f64::from(most)) as i32
}

/// Records by tenths of a degree (11 km), the busiest last, so that nothing
/// covers them.
pub(super) fn cells(points: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let mut counts: BTreeMap<(i32, i32), u64> = BTreeMap::new();
    for (latitude, longitude, records) in points {
        let place = (x(longitude), y(latitude));
        *counts.entry(place).or_default() += records;
    }
    let mut cells: Vec<_> = counts.into_iter().collect();
    cells.sort_by_key(|(place, records)| (*records, *place));
    let beyond = cells.len().saturating_sub(CELLS_MAX);
    let degrees = |units: i32| f64::from(units) / 10.0;
    cells
        .into_iter()
        .skip(beyond)
        .map(|((x, y), records)| {
            let latitude = f64::from(840 - y) / 10.0;
            (latitude, degrees(x - 1800), records)
        })
        .collect()
}

/// How hot a place is: 1 for a single record, then a step for each power of
/// ten, up to 4.
pub(super) const fn step(records: u64) -> u8 {
    match records {
        0..=1 => 1,
        2..=9 => 2,
        10..=99 => 3,
        _ => 4,
    }
}

/// The land as the data of an SVG path.
pub(super) static LAND: LazyLock<String> = LazyLock::new(|| {
    let mut path = String::new();
    for ring in crate::report::land() {
        let mut last = None;
        for (longitude, latitude) in ring {
            let (x, y) = (x(longitude), y(latitude));
            // Writing to a String cannot fail.
            let _ = match last {
                None => write!(path, "M{x} {y}l"),
                Some((from_x, from_y)) => write!(path, "{} {} ", x - from_x, y - from_y),
            };
            last = Some((x, y));
        }
        path.push('z');
    }
    path
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_where_they_are() {
        assert_eq!((x(-180.0), y(84.0)), (0, 0));
        assert_eq!((x(180.0), y(-60.0)), (WIDTH, HEIGHT));
        assert_eq!((x(f64::NAN), y(-90.0)), (0, HEIGHT));
        let points = [(49.44, 11.06, 1), (49.36, 11.14, 2), (-33.9, 151.2, 1)];
        let expected = [(-33.9, 151.2, 1), (49.4, 11.1, 3)];
        assert_eq!(cells(points.into_iter()), expected);
        assert_eq!([1, 2, 9, 10, 99, 100].map(step), [1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn only_the_busiest_are_kept() {
        let points = (0..50_000_u32).map(|number| {
            let (row, column) = (number / 300, number % 300);
            let records = u64::from(number == 7) * 5 + 1;
            (f64::from(row) * 0.5, f64::from(column) * 0.5, records)
        });
        let cells = cells(points);
        assert_eq!(cells.len(), CELLS_MAX);
        assert_eq!(cells.last().unwrap().2, 6);
    }

    #[test]
    fn land_is_a_path() {
        assert!(LAND.starts_with('M') && LAND.ends_with('z'));
        assert!(LAND.matches('M').count() > 160);
        let known = |c: char| c.is_ascii_digit() || " -Mlz".contains(c);
        assert!(LAND.chars().all(known));
    }
}
