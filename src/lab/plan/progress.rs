//! How many pieces a party has at which moment, and which.

use super::super::random::Chance;

/// Progress of one download as a function of the story's time.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Pieces of the torrent.
    pub total: u32,
    /// Pieces at the start of the story.
    pub start: u32,
    /// Pieces a second while it is loading.
    pub rate: f64,
    /// Times (from, to in milliseconds of the story, in order and apart) in
    /// which nothing arrives.
    pub stalls: Vec<(u64, u64)>,
    /// The order of pieces: piece number `k` to arrive is
    /// `(offset + k × step) mod total`, with `step` prime to `total`.
    pub offset: u32,
    /// See [`Progress::offset`].
    pub step: u32,
}

impl Progress {
    /// A download of `total` pieces that has `start` of them, with an order
    /// of its own.
    pub(super) fn new(total: u32, start: u32, rate: f64, chance: &mut Chance) -> Self {
        let total = total.max(1);
        let mut step = below(chance, total).max(1);
        while gcd(step, total) != 1 {
            step += 1;
        }
        Self {
            total,
            start: start.min(total),
            rate,
            stalls: Vec::new(),
            offset: below(chance, total),
            step,
        }
    }

    /// Pieces at `elapsed` milliseconds of the story.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest u32, which is what is wanted"
    )]
    pub fn pieces_at(&self, elapsed: u64) -> u32 {
        let stalled: u64 = self
            .stalls
            .iter()
            .map(|(from, to)| elapsed.min(*to).saturating_sub(*from))
            .sum();
        let loading = elapsed.saturating_sub(stalled);
        let arrived = (self.rate * loading as f64 / 1000.0) as u32;
        self.start.saturating_add(arrived).min(self.total)
    }

    /// The first `count` pieces to arrive, in that order.
    pub fn order(&self, count: u32) -> impl Iterator<Item = u32> + use<> {
        let (offset, step, total) = (
            u64::from(self.offset),
            u64::from(self.step),
            u64::from(self.total),
        );
        (0..u64::from(count.min(self.total)))
            .map(move |k| u32::try_from((offset + k * step) % total).unwrap_or(0))
    }

    /// Whether it becomes complete between the start and `elapsed`.
    pub fn finished_by(&self, elapsed: u64) -> bool {
        self.start < self.total && self.pieces_at(elapsed) == self.total
    }
}

fn below(chance: &mut Chance, limit: u32) -> u32 {
    u32::try_from(chance.below(u64::from(limit))).unwrap_or(0)
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_arrives_once() {
        let mut chance = Chance::new(3);
        for total in [1, 2, 8, 12, 97, 100] {
            let progress = Progress::new(total, 0, 1.0, &mut chance);
            let mut all: Vec<u32> = progress.order(total).collect();
            all.sort_unstable();
            assert_eq!(all, (0..total).collect::<Vec<_>>());
        }
    }

    #[test]
    fn grows_stalls_and_ends() {
        let mut progress = Progress::new(100, 10, 2.0, &mut Chance::new(1));
        progress.stalls = vec![(5_000, 10_000)];
        let at = |seconds: u64| progress.pieces_at(seconds * 1000);
        assert_eq!([at(0), at(5), at(7), at(10), at(11)], [10, 20, 20, 20, 22]);
        assert_eq!(at(50), 100);
        assert!(progress.finished_by(50_000) && !progress.finished_by(49_000));
    }
}
