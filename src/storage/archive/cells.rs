//! Cells of any type as what they should be, or as unknown.

use std::borrow::Cow;

use rusqlite::Row;
use rusqlite::types::ValueRef;

/// A whole number; a real one without fraction counts too.
pub(super) fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Real(number) => exact(number),
        _ => None,
    })
}

/// `number` if it is whole and small enough to be exact.
fn exact(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fits = number.fract() == 0.0 && number.abs() < EXACT;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    fits.then_some(number as i64)
}

/// A finite number.
pub(super) fn decimal(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<f64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => number.is_finite().then_some(number),
        _ => None,
    })
}

/// A text; bytes that are no UTF-8 are replaced.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<Cow<'a, str>>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    })
}

/// A number that is never negative; unknown is 0.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number = whole(row, column)?.unwrap_or(0);
    Ok(u64::try_from(number).unwrap_or(0))
}

/// A torrent id; 0, which no torrent has, if unknown.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<u32> {
    let number = whole(row, column)?.unwrap_or(0);
    Ok(u32::try_from(number).unwrap_or(0))
}
