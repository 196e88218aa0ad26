//! Capture and recapture: how many there are, from how many were seen again.
//!
//! Chapman's estimator for two samples, Schnabel's for many samples drawn one
//! after the other, Chao's lower bound from how often each was seen.

use super::follow_up::Expected;
use super::proportion::Z95;

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Size of a closed population from two independent samples: `first` and
/// `second` individuals, `both` of them the same (Chapman 1951; variance by
/// Seber 1970). The lower end is never below the number of individuals that
/// were seen. `None` if the numbers contradict each other.
pub fn chapman(first: u64, second: u64, both: u64) -> Option<Estimate> {
    if both > first.min(second) {
        return None;
    }
    let (n, k, m) = (first as f64, second as f64, both as f64);
    let value = (n + 1.0) * (k + 1.0) / (m + 1.0) - 1.0;
    let variance = (n + 1.0) * (k + 1.0) * (n - m) * (k - m) / ((m + 1.0).powi(2) * (m + 2.0));
    let seen = n + k - m;
    Some(lognormal(seen, value, variance))
}

/// Samples drawn one after the other from one population whose individuals are
/// marked when they are drawn: Schnabel (1938) with Chapman's correction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Schnabel {
    /// Sum of sample size times marked before.
    product: f64,
    /// Recaptures in all.
    pub recaptured: u64,
    /// Individuals marked after the latest sample.
    pub marked: u64,
    /// Samples that had an individual while there were marked ones.
    pub samples: u64,
}

impl Schnabel {
    /// A sample of `drawn`, of which `recaptured` were among the `marked`
    /// ones. A draw while nothing is marked says nothing about the size.
    pub fn push(&mut self, drawn: u64, recaptured: u64, marked: u64) {
        let recaptured = recaptured.min(drawn);
        if marked > 0 && drawn > 0 {
            self.product += drawn as f64 * marked as f64;
            self.recaptured = self.recaptured.saturating_add(recaptured);
            self.samples += 1;
        }
        self.marked = marked.saturating_add(drawn - recaptured);
    }

    /// So many individuals were marked in another way than by a sample.
    pub const fn mark(&mut self, new: u64) {
        self.marked = self.marked.saturating_add(new);
    }

    /// The size, with limits from the Poisson distribution of the recaptures;
    /// `None` before any sample followed another. It is not raised to the
    /// number of marked ones: an estimate below that says that the samples
    /// were not drawn as the method assumes.
    pub fn estimate(&self) -> Option<Estimate> {
        if self.product <= 0.0 {
            return None;
        }
        let (few, many) = poisson_limits(self.recaptured);
        Some(Estimate {
            value: self.product / (self.recaptured as f64 + 1.0),
            low: self.product / many,
            high: if few > 0.0 {
                self.product / few
            } else {
                f64::INFINITY
            },
        })
    }
}

/// 95 % limits of the mean of a Poisson variable that was seen `count` times:
/// the square-root form, good from a few events on.
fn poisson_limits(count: u64) -> (f64, f64) {
    let n = count as f64;
    let low = if count == 0 {
        0.0
    } else {
        (n.sqrt() - Z95 / 2.0).max(0.0).powi(2)
    };
    (low, ((n + 1.0).sqrt() + Z95 / 2.0).powi(2))
}

/// Lower bound of the number of individuals that exist, from how many were
/// seen at all, once and twice (Chao 1987, bias-corrected). The interval is
/// log-normal and begins at the number seen.
pub fn chao(seen: u64, once: u64, twice: u64) -> Estimate {
    let unseen = chao_unseen(seen, once, twice);
    lognormal(seen as f64, seen as f64 + unseen.value, unseen.variance)
}

/// The individuals of [`chao`] that were never seen.
pub fn chao_unseen(seen: u64, once: u64, twice: u64) -> Expected {
    let (f1, f2) = (once as f64, twice as f64);
    let value = f1 * (f1 - 1.0).max(0.0) / (2.0 * (f2 + 1.0));
    let variance = if twice > 0 {
        let ratio = f1 / f2;
        f2 * (0.25 * ratio.powi(4) + ratio.powi(3) + 0.5 * ratio.powi(2))
    } else {
        let all = seen as f64 + value;
        let (pairs, triple) = (f1 * (f1 - 1.0), f1 * (2.0 * f1 - 1.0).powi(2));
        (pairs / 2.0 + triple / 4.0 - f1.powi(4) / (4.0 * all.max(1.0))).max(0.0)
    };
    Expected { value, variance }
}

/// The log-normal interval of an estimate that cannot be below `seen`.
pub fn lognormal(seen: f64, value: f64, variance: f64) -> Estimate {
    let unseen = value - seen;
    if unseen <= 0.0 {
        return Estimate {
            value: value.max(seen),
            low: seen,
            high: (value + Z95 * variance.max(0.0).sqrt()).max(seen),
        };
    }
    let factor = (Z95 * (1.0 + variance / (unseen * unseen)).ln().sqrt()).exp();
    Estimate {
        value,
        low: seen + unseen / factor,
        high: seen + unseen * factor,
    }
}

#[cfg(test)]
mod tests;
