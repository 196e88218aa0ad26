//! Whether a series of samples grows.

/// How much the least-squares line through `points` rises from the first to
/// the last, and their mean.
pub(crate) fn rise_and_mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let product: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let square: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let (first, last) = (points.first(), points.last());
    let length = first
        .zip(last)
        .map_or(0.0, |(first, last)| last.0 - first.0);
    (product / square * length, mean_y)
}
