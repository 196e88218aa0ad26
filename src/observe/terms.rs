//! What people write into filters of a search: countries, sizes, days. Pure;
//! used by the command line and by the page.

use crate::model::Timestamp;

/// A country: two letters.
///
/// # Errors
/// What was expected.
pub fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(text.to_owned())
    } else {
        Err("expected two letters, as DE".to_owned())
    }
}

/// Bytes: K, M, G and T are powers of 1000.
///
/// # Errors
/// What was expected.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "expected bytes, as 700M or 5G".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match text.get(digits.len()..).unwrap_or_default() {
        "" => 0,
        "K" | "k" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1000_u64.pow(power)).ok_or_else(wrong)
}

/// The beginning of a day (UTC).
///
/// # Errors
/// What was expected.
pub fn day(text: &str) -> Result<Timestamp, String> {
    let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d");
    let day = day.map_err(|_| "expected a day, as 2026-11-21".to_owned())?;
    let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
    Ok(Timestamp(midnight.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        assert_eq!(country("de").unwrap(), "de");
        assert_eq!(size("700M").unwrap(), 700_000_000);
        assert_eq!(size("7k").unwrap(), 7_000);
        assert_eq!(day("1970-01-02").unwrap(), Timestamp(86_400_000));
        for wrong in ["", "d", "deu", "1é", "99999999999999999999", "5X", "-1"] {
            assert!(country(wrong).is_err() && size(wrong).is_err(), "{wrong}");
            assert!(day(wrong).is_err(), "{wrong}");
        }
        assert!(size("18446744073709551615T").is_err());
    }
}
