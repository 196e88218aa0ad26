//! Thresholds of completeness: fractions of the pieces.

use std::fmt;

use crate::storage::archive::TorrentRow;

/// Thresholds of the thesis, the run's own left out.
const LOWER: [f64; 4] = [0.75, 0.50, 0.25, 0.02];

/// Pieces that a threshold asks for, as R computes it: the product in double
/// precision, rounded up.
pub fn needed_pieces(pieces: u32, threshold: f64) -> u32 {
    let needed = (f64::from(pieces) * threshold).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and nothing is above the number of pieces"
    )]
    let needed = needed as u32;
    needed.clamp(1, pieces.max(1))
}

/// The thresholds of a study, greatest first; the first is the main one.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Fractions, 0 to 1.
    pub values: Vec<f64>,
    /// The run's own.
    pub run: f64,
}

/// Why thresholds are refused.
#[derive(Debug, Clone, PartialEq)]
pub enum ThresholdError {
    /// Above the run's: peers were no longer visited from there on.
    AboveRun {
        /// What was asked for.
        asked: f64,
        /// The run's own.
        run: f64,
    },
}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::AboveRun { asked, run } = self;
        write!(
            f,
            "threshold {asked} is above the run's {run}: peers that had reached {run} were not \
             visited again, so nothing is known above it; give --threshold {run} or less"
        )
    }
}

impl std::error::Error for ThresholdError {}

impl Thresholds {
    /// Those that were asked for, or else the run's and those of the thesis
    /// below it. The run's is the least of all torrents.
    ///
    /// # Errors
    /// When one is above the run's.
    pub fn choose(asked: &[f64], torrents: &[TorrentRow]) -> Result<Self, ThresholdError> {
        let run = of_run(torrents);
        let mut values = if asked.is_empty() {
            let lower = LOWER.into_iter().filter(|it| *it < run);
            std::iter::once(run).chain(lower).collect()
        } else {
            asked.to_vec()
        };
        values.sort_by(|a, b| b.total_cmp(a));
        values.dedup();
        let above = |asked: f64| {
            let mut torrents = torrents.iter();
            torrents.any(|it| needed_pieces(it.pieces, asked) > it.threshold)
        };
        match values.iter().find(|it| above(**it)) {
            Some(&asked) => Err(ThresholdError::AboveRun { asked, run }),
            None => Ok(Self { values, run }),
        }
    }

    /// The main threshold.
    pub fn main(&self) -> f64 {
        self.values.first().copied().unwrap_or(self.run)
    }
}

/// The threshold that the torrents were measured with: the greatest whole
/// percentage that gives no torrent more pieces than its own threshold, or
/// else the least quotient.
fn of_run(torrents: &[TorrentRow]) -> f64 {
    let fits = |value: f64| {
        torrents
            .iter()
            .all(|it| needed_pieces(it.pieces, value) <= it.threshold)
    };
    let percent = (1..=100).rev().map(|percent| f64::from(percent) / 100.0);
    let whole = percent.into_iter().find(|value| fits(*value));
    whole.unwrap_or_else(|| {
        let quotients = torrents
            .iter()
            .map(|it| f64::from(it.threshold) / f64::from(it.pieces));
        quotients.fold(1.0, f64::min)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torrent(pieces: u32, threshold: u32) -> TorrentRow {
        TorrentRow {
            id: 1,
            trackers: 1,
            info_hash: String::new(),
            pieces,
            piece_size: 1,
            threshold,
            name: None,
            gigabyte: 1.0,
        }
    }

    #[test]
    fn the_run_and_those_of_the_thesis() {
        let torrents = [torrent(1327, 1301), torrent(610, 598)];
        let chosen = Thresholds::choose(&[], &torrents).unwrap();
        assert_eq!(chosen.values, [0.98, 0.75, 0.5, 0.25, 0.02]);
        assert_eq!(chosen.main().to_string(), "0.98");
        let chosen = Thresholds::choose(&[0.1, 0.9, 0.1], &torrents).unwrap();
        assert_eq!(chosen.values, [0.9, 0.1]);
    }

    #[test]
    fn none_above_the_run() {
        let torrents = [torrent(1000, 500)];
        let error = Thresholds::choose(&[0.75], &torrents).unwrap_err();
        let run = 0.5;
        assert_eq!(error, ThresholdError::AboveRun { asked: 0.75, run });
        assert!(error.to_string().contains("--threshold 0.5 or less"));
        assert!(Thresholds::choose(&[0.5], &torrents).is_ok());
        let chosen = Thresholds::choose(&[], &torrents).unwrap();
        assert_eq!(chosen.values, [0.5, 0.25, 0.02]);
    }

    #[test]
    fn pieces_are_rounded_up() {
        for (pieces, threshold, wanted) in [
            (1327, 0.98, 1301),
            (50, 0.98, 49),
            (3, 0.02, 1),
            (1, 0.98, 1),
            (u32::MAX, 1.0, u32::MAX),
            (5, f64::NAN, 1),
        ] {
            assert_eq!(needed_pieces(pieces, threshold), wanted, "{pieces}");
        }
    }
}
