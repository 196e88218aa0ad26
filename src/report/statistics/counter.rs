//! Increase of a counter that is read now and then and may start again, as a
//! tracker's count of completed downloads does.

/// What the readings of one counter say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Increase {
    /// Readings.
    pub readings: u64,
    /// Greatest minus least reading: the rule of 2015.
    pub range: i64,
    /// Sum of all rises: a fall counts as a new start, not as a loss.
    pub risen: i64,
    /// Falls.
    pub resets: u64,
    least: i64,
    greatest: i64,
    latest: i64,
}

impl Increase {
    /// The next reading, in order of time.
    ///
    /// What was counted between the last reading before a fall and the fall
    /// is not seen; what the counter shows after it is not taken as new, since
    /// some trackers start again from a stored value. So `risen` is a lower
    /// bound.
    pub fn push(&mut self, reading: i64) {
        if self.readings == 0 {
            (self.least, self.greatest) = (reading, reading);
        } else {
            let step = reading.saturating_sub(self.latest);
            if step < 0 {
                self.resets += 1;
            } else {
                self.risen = self.risen.saturating_add(step);
            }
        }
        self.readings += 1;
        self.latest = reading;
        self.least = self.least.min(reading);
        self.greatest = self.greatest.max(reading);
        self.range = self.greatest.saturating_sub(self.least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(readings: &[i64]) -> Increase {
        let mut increase = Increase::default();
        for &it in readings {
            increase.push(it);
        }
        increase
    }

    #[test]
    fn a_steady_counter() {
        let it = of(&[100, 100, 130, 141]);
        assert_eq!((it.range, it.risen, it.resets), (41, 41, 0));
    }

    /// From 1000 to 1010, restart at 3, up to 20: 10 + 17 were seen, while the
    /// rule of 2015 gives 1007.
    #[test]
    fn a_counter_that_starts_again() {
        let it = of(&[1000, 1010, 3, 20]);
        assert_eq!((it.range, it.risen, it.resets), (1007, 27, 1));
    }

    #[test]
    fn few_or_absurd_readings() {
        assert_eq!(of(&[]), Increase::default());
        assert_eq!(of(&[7]).range, 0);
        let it = of(&[i64::MIN, i64::MAX, i64::MIN]);
        assert_eq!((it.risen, it.resets), (i64::MAX, 1));
    }
}
