//! What a client's own interface said about its progress, over time.

/// Pieces a client had at some moment between two times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Just before the client was asked, Unix milliseconds.
    pub(crate) from_ms: i64,
    /// Just after it answered.
    pub(crate) to_ms: i64,
    /// What it answered.
    pub(crate) pieces: u32,
}

/// Samples of one client and torrent, in order of time. Before the first
/// sample the client is taken to have nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline(Vec<Sample>);

impl Timeline {
    /// Adds the newest sample.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The number in the newest sample, 0 without any.
    pub(crate) fn latest(&self) -> u32 {
        self.0.last().map_or(0, |sample| sample.pieces)
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Least and greatest number of pieces that a visit from `began_ms` to
    /// `ended_ms` may have seen: the client's samples just before and just
    /// after, each one sample further out, because a client announces its
    /// pieces with delay and counts some before it announces them.
    pub(crate) fn bounds(&self, began_ms: i64, ended_ms: i64) -> (u32, u32) {
        let before = self.0.iter().filter(|sample| sample.to_ms <= began_ms);
        let mut after = self.0.iter().filter(|sample| sample.from_ms >= ended_ms);
        let least = before.rev().nth(1).map_or(0, |sample| sample.pieces);
        let greatest = after
            .nth(1)
            .map_or_else(|| self.latest(), |sample| sample.pieces);
        (least, greatest)
    }

    /// When the client reached `threshold` pieces: after the first and not
    /// after the second time; `None` when it has not.
    pub(crate) fn reached(&self, threshold: u32) -> Option<(i64, i64)> {
        let first = self.0.iter().position(|s| s.pieces >= threshold)?;
        let below = first.checked_sub(1).map(|before| self.0[before].from_ms);
        Some((below.unwrap_or(i64::MIN), self.0[first].to_ms))
    }

    /// Seconds from the first sample at all until the client had `pieces`.
    pub(crate) fn seconds_to(&self, pieces: u32) -> Option<i64> {
        let began = self.0.first()?;
        let ended = self.0.iter().find(|sample| sample.pieces >= pieces)?;
        Some((ended.to_ms - began.from_ms) / 1000)
    }
}
