//! Proportions.

/// 97.5 % point of the normal distribution: of two-sided 95 % intervals.
pub const Z95: f64 = 1.959_963_984_540_054;

/// `part` in percent of `whole`; `None` of nothing.
pub fn percent(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

/// The 95 % interval of a proportion by Wilson's score, 0 to 1; `None`
/// without trials.
pub fn wilson(successes: u64, trials: u64) -> Option<(f64, f64)> {
    if trials == 0 {
        return None;
    }
    let n = trials as f64;
    let p = successes.min(trials) as f64 / n;
    let square = Z95 * Z95;
    let middle = p + square / (2.0 * n);
    let reach = Z95 * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    let low = ((middle - reach) / scale).max(0.0);
    let high = ((middle + reach) / scale).min(1.0);
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8 of 10: 0.490 to 0.943, as printed in textbooks.
    #[test]
    fn wilson_of_eight_in_ten() {
        let (low, high) = wilson(8, 10).unwrap();
        assert!((low - 0.4902).abs() < 1e-4, "{low}");
        assert!((high - 0.9433).abs() < 1e-4, "{high}");
        assert_eq!(wilson(0, 0), None);
        assert!(wilson(0, 5).unwrap().0 == 0.0);
    }

    #[test]
    fn percent_of_nothing_is_unknown() {
        assert_eq!(percent(1.0, 0.0), None);
        assert_eq!(percent(1.0, 8.0), Some(12.5));
    }
}
