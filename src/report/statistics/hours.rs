//! Bins of whole hours, UTC.

use chrono::DateTime;

/// Seconds of a bin.
const HOUR: i64 = 3600;

/// The hour that a Unix second lies in: hours since 1970.
pub const fn hour_of(second: i64) -> i64 {
    second.div_euclid(HOUR)
}

/// An hour as text, `2015-08-30T18Z`; the number where no calendar has it.
pub fn hour_name(hour: i64) -> String {
    hour.checked_mul(HOUR)
        .and_then(|second| DateTime::from_timestamp(second, 0))
        .map_or_else(
            || hour.to_string(),
            |time| time.format("%Y-%m-%dT%HZ").to_string(),
        )
}

/// Shares of an event that happened at some time in a bracket of milliseconds,
/// by hour: each hour has the part of the bracket that lies in it, and the
/// parts add up to 1. A bracket without length lies in one hour; of one above
/// `longest` hours nothing is known, and it has no shares.
pub fn shares(from_ms: i64, to_ms: i64, longest: i64) -> Vec<(i64, f64)> {
    let hour_ms = HOUR * 1000;
    let (from, to) = (from_ms.min(to_ms), from_ms.max(to_ms));
    let (first, last) = (from.div_euclid(hour_ms), to.div_euclid(hour_ms));
    let length = to.saturating_sub(from);
    if length == 0 {
        return vec![(first, 1.0)];
    }
    if last.saturating_sub(first) > longest {
        return Vec::new();
    }
    (first..=last)
        .map(|hour| {
            let start = hour.saturating_mul(hour_ms).max(from);
            let end = hour.saturating_add(1).saturating_mul(hour_ms).min(to);
            (hour, (end - start).max(0) as f64 / length as f64)
        })
        .filter(|(_, share)| *share > 0.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_names_with_a_year() {
        assert_eq!(hour_name(hour_of(1_440_960_096)), "2015-08-30T18Z");
        assert_eq!(hour_of(-1), -1);
        assert_eq!(hour_name(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn a_bracket_over_two_hours() {
        // From 30 minutes before a full hour to 90 minutes after.
        let at = 1000 * HOUR * 1000;
        let parts = shares(at - 1_800_000, at + 5_400_000, 48);
        assert_eq!(parts, [(999, 0.25), (1000, 0.5), (1001, 0.25)]);
        assert_eq!(shares(at, at, 48), [(1000, 1.0)]);
        assert_eq!(shares(at, at + 3_600_000, 48), [(1000, 1.0)]);
        assert!(shares(0, i64::MAX, 48).is_empty());
    }
}
