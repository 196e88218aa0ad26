//! Quantiles (R's type 7), the box plot of ggplot2, and the distribution
//! function, over values that come in ascending order one by one.

/// The quantile `p` (0 to 1) of ascending values, by R's type 7: linear
/// between the two values around rank (n - 1) p. `None` without values.
///
/// ```
/// use btda::report::statistics::quantile::quantile;
/// assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.25), Some(1.75));
/// ```
pub fn quantile(ascending: &[f64], p: f64) -> Option<f64> {
    let mut stream = Quantiles::new(ascending.len() as u64, &[p]);
    for &value in ascending {
        stream.push(value);
    }
    stream.values().first().copied().flatten()
}

/// Several quantiles of one ascending stream whose length is known: no value
/// is kept.
#[derive(Debug, Clone)]
pub struct Quantiles {
    wanted: Vec<Wanted>,
    seen: u64,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    rank: u64,
    fraction: f64,
    low: Option<f64>,
    value: Option<f64>,
}

impl Quantiles {
    /// For `count` values; each of `points` lies in 0 to 1.
    pub fn new(count: u64, points: &[f64]) -> Self {
        let last = count.saturating_sub(1) as f64;
        let wanted = points.iter().map(|point| {
            let place = last * point.clamp(0.0, 1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to a count"
            )]
            let rank = place.floor() as u64;
            Wanted {
                rank,
                fraction: place - place.floor(),
                low: None,
                value: None,
            }
        });
        Self {
            wanted: wanted.collect(),
            seen: 0,
        }
    }

    /// The next value, not below those before.
    pub fn push(&mut self, value: f64) {
        for wanted in &mut self.wanted {
            if self.seen == wanted.rank {
                wanted.low = Some(value);
                if wanted.fraction == 0.0 {
                    wanted.value = Some(value);
                }
            } else if self.seen == wanted.rank + 1 && wanted.value.is_none() {
                let low = wanted.low.unwrap_or(value);
                wanted.value = Some(low + wanted.fraction * (value - low));
            }
        }
        self.seen += 1;
    }

    /// The quantiles in the order of the points; `None` while too few values
    /// came.
    pub fn values(&self) -> Vec<Option<f64>> {
        self.wanted.iter().map(|wanted| wanted.value).collect()
    }
}

/// The numbers of a box plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxPlot {
    /// Values.
    pub n: u64,
    /// Least value.
    pub min: f64,
    /// Least value that is no outlier.
    pub whisker_low: f64,
    /// First quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
    /// Greatest value that is no outlier.
    pub whisker_high: f64,
    /// Greatest value.
    pub max: f64,
    /// Values beyond the whiskers.
    pub outliers: u64,
}

/// The fences of a box: values outside are outliers. With `log`, the rule of
/// 1.5 times the interquartile range is applied to logarithms, as ggplot2
/// does on a logarithmic scale.
pub fn fences(q1: f64, q3: f64, log: bool) -> (f64, f64) {
    if log && q1 > 0.0 {
        let reach = 1.5 * (q3.ln() - q1.ln());
        return ((q1.ln() - reach).exp(), (q3.ln() + reach).exp());
    }
    let reach = 1.5 * (q3 - q1);
    (q1 - reach, q3 + reach)
}

/// Takes the whiskers from values in any order, once the quartiles are known.
#[derive(Debug, Clone, Copy)]
pub struct Whiskers {
    fences: (f64, f64),
    inside: Option<(f64, f64)>,
    all: Option<(f64, f64)>,
    n: u64,
    outliers: u64,
}

impl Whiskers {
    /// For these fences.
    pub const fn new(fences: (f64, f64)) -> Self {
        Self {
            fences,
            inside: None,
            all: None,
            n: 0,
            outliers: 0,
        }
    }

    /// A value.
    pub fn push(&mut self, value: f64) {
        self.n += 1;
        self.all = Some(widened(self.all, value));
        if value < self.fences.0 || value > self.fences.1 {
            self.outliers += 1;
        } else {
            self.inside = Some(widened(self.inside, value));
        }
    }

    /// The box with these quartiles, if there was a value.
    pub fn finish(&self, q1: f64, median: f64, q3: f64) -> Option<BoxPlot> {
        let (min, max) = self.all?;
        let (whisker_low, whisker_high) = self.inside.unwrap_or((q1, q3));
        Some(BoxPlot {
            n: self.n,
            min,
            whisker_low,
            q1,
            median,
            q3,
            whisker_high,
            max,
            outliers: self.outliers,
        })
    }
}

fn widened(range: Option<(f64, f64)>, value: f64) -> (f64, f64) {
    range.map_or((value, value), |(low, high)| {
        (low.min(value), high.max(value))
    })
}

/// The steps of an empirical distribution function from counts of ascending
/// values: each value with the share of observations at or below it.
pub fn ecdf(counts: impl IntoIterator<Item = (u64, u64)>) -> Vec<(u64, f64)> {
    let counts: Vec<_> = counts.into_iter().collect();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut below = 0;
    counts
        .into_iter()
        .map(|(value, count)| {
            below += count;
            (value, below as f64 / total.max(1) as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `quantile(c(1, 2, 4, 8, 16), c(0, .1, .25, .5, .9, 1))` in R.
    #[test]
    fn quantiles_are_those_of_r() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (p, wanted) in [
            (0.0, 1.0),
            (0.1, 1.4),
            (0.25, 2.0),
            (0.5, 4.0),
            (0.9, 12.8),
            (1.0, 16.0),
        ] {
            let got = quantile(&values, p).unwrap();
            assert!((got - wanted).abs() < 1e-12, "{p}: {got}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
    }

    /// `boxplot.stats` by ggplot2's rule: hinges are type 7 quantiles.
    #[test]
    fn a_box_with_an_outlier() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 100.0];
        let of = |p| quantile(&values, p).unwrap();
        let (q1, median, q3) = (of(0.25), of(0.5), of(0.75));
        assert_eq!((q1, median, q3), (2.25, 3.5, 4.75));
        let mut whiskers = Whiskers::new(fences(q1, q3, false));
        for value in values {
            whiskers.push(value);
        }
        let plot = whiskers.finish(q1, median, q3).unwrap();
        assert_eq!((plot.whisker_low, plot.whisker_high), (1.0, 5.0));
        assert_eq!((plot.outliers, plot.max, plot.n), (1, 100.0, 6));
        assert!(Whiskers::new((0.0, 1.0)).finish(0.0, 0.0, 0.0).is_none());
    }

    #[test]
    fn fences_of_logarithms() {
        let (low, high) = fences(10.0, 1000.0, true);
        assert!((low - 0.01).abs() < 1e-12 && (high - 1e6).abs() < 1e-6);
        assert_eq!(fences(1.0, 3.0, false), (-2.0, 6.0));
    }

    #[test]
    fn distribution_of_counts() {
        let steps = ecdf([(1, 6), (2, 3), (10, 1)]);
        assert_eq!(steps, [(1, 0.6), (2, 0.9), (10, 1.0)]);
        assert!(ecdf([]).is_empty());
    }
}
