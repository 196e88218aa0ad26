//! Times as people write them: `90s`, `5m`, `1h30m`, `2d`, `250ms`.

/// Longest text that is looked at.
const LENGTH_MAX: usize = 40;

/// Units from the largest to the smallest, with their seconds.
const UNITS: [(&str, f64); 5] = [
    ("d", 86_400.0),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 0.001),
];

/// The seconds that `text` means; a number without unit is seconds. Units go
/// from large to small, none twice. `None` for anything else.
///
/// ```
/// use btda::config::parse_seconds;
/// assert_eq!(parse_seconds("90"), Some(90.0));
/// assert_eq!(parse_seconds("1h30m"), Some(5400.0));
/// assert_eq!(parse_seconds("30m1h"), None);
/// ```
pub fn parse_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.len() > LENGTH_MAX {
        return None;
    }
    if let Some(seconds) = number(text) {
        return Some(seconds);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        seconds += number(digits)? * factor;
        rest = next;
    }
    (!text.is_empty()).then_some(seconds)
}

/// Digits with at most one point; no sign, exponent, `inf` or `nan`.
fn number(text: &str) -> Option<f64> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("5m", 300.0),
            ("34h", 122_400.0),
            ("2d", 172_800.0),
            ("1h30m", 5_400.0),
            ("1d2h3m4s", 93_784.0),
            ("1.5h", 5_400.0),
            ("250ms", 0.25),
            (" 6 ", 6.0),
            ("0.5", 0.5),
            ("0", 0.0),
        ] {
            assert_eq!(parse_seconds(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "", " ", "s", "5x", "-5", "+5", "1e9", "inf", "nan", "5 m", "5m5m", "30m1h", "1h30",
            "1..5s", ".", "5m,", "５s", "1ms1s",
        ] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
        assert_eq!(parse_seconds(&"1".repeat(41)), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = parse_seconds(&text);
        }

        #[test]
        fn round_trip(days in 0u32..1000, hours in 0u32..24, minutes in 0u32..60, seconds in 0u32..60) {
            let text = format!("{days}d{hours}h{minutes}m{seconds}s");
            let expected = f64::from(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
            assert_eq!(parse_seconds(&text), Some(expected));
        }
    }
}
