//! Columns of a table as what the figures need.

use std::collections::BTreeMap;

use crate::report::item::{Cell, Table};

/// The column as numbers, `None` where unknown.
pub(super) fn numbers(table: &Table, column: &str) -> Vec<Option<f64>> {
    each(table, column, |cell| match cell {
        Cell::Integer(number) => Some(*number as f64),
        Cell::Real(number) => Some(*number),
        _ => None,
    })
}

/// The column as text.
pub(super) fn texts(table: &Table, column: &str) -> Vec<String> {
    each(table, column, |cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        _ => String::new(),
    })
}

fn each<T>(table: &Table, column: &str, of: impl Fn(&Cell) -> T) -> Vec<T> {
    let place = table.columns.iter().position(|it| it.name == column);
    let cell = |row: &Vec<Cell>| {
        let cell = place.and_then(|place| row.get(place));
        of(cell.unwrap_or(&Cell::Unknown))
    };
    table.rows.iter().map(cell).collect()
}

/// Points of rows whose `key` column has each value, in order of appearance:
/// x from `x`, y from `y`; rows without both are left out.
pub(super) fn points(
    keys: &[String],
    x: &[Option<f64>],
    y: &[Option<f64>],
) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut points: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for ((key, x), y) in keys.iter().zip(x).zip(y) {
        let of_key = points.entry(key.clone()).or_default();
        if let (Some(x), Some(y)) = (x, y) {
            of_key.push((*x, *y));
        }
    }
    points
}

/// Names of hours as hours since 1970.
pub(super) fn hours(table: &Table) -> Vec<Option<f64>> {
    let parse = |name: &String| {
        let whole = name.replace('Z', ":00:00");
        let time = chrono::NaiveDateTime::parse_from_str(&whole, "%Y-%m-%dT%H:%M:%S").ok()?;
        Some(time.and_utc().timestamp() as f64 / 3600.0)
    };
    texts(table, "hour").iter().map(parse).collect()
}
