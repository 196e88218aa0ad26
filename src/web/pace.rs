//! How often one address may do what costs others something. Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::seats::household;

/// Addresses remembered at most; beyond, those that have waited are forgotten.
const REMEMBERED: usize = 4096;

/// At most `most` times in `time`, for each address by itself: a bucket of
/// `most` that fills again at an even pace.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    time: Duration,
    /// When the bucket of an address will be full again.
    full_at: HashMap<IpAddr, Instant>,
}

impl Pace {
    /// Everybody may begin at once.
    pub(super) fn new(most: u32, time: Duration) -> Self {
        Self {
            most: most.max(1),
            time,
            full_at: HashMap::new(),
        }
    }

    /// Takes one turn of `ip`.
    ///
    /// # Errors
    /// How long it has to wait for one.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        self.may(ip, now)?;
        let (ip, step) = (household(ip), self.time / self.most);
        if self.full_at.len() >= REMEMBERED && !self.full_at.contains_key(&ip) {
            self.full_at.retain(|_, full| *full > now);
            if self.full_at.len() >= REMEMBERED {
                return Err(step);
            }
        }
        let full = self.full_at.entry(ip).or_insert(now);
        *full = (*full).max(now) + step;
        Ok(())
    }

    /// Whether `ip` has a turn left, without taking it.
    ///
    /// # Errors
    /// How long it has to wait for one.
    pub(super) fn may(&self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        let room = self.time.saturating_sub(self.time / self.most);
        let full = self.full_at.get(&household(ip)).unwrap_or(&now);
        let missing = full.saturating_duration_since(now);
        if missing > room {
            return Err(missing.saturating_sub(room));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_an_even_pace() {
        let (one, other): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(3, Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(pace.take(one, at(0)), Ok(()));
        }
        assert_eq!(pace.take(one, at(0)), Err(Duration::from_secs(20)));
        assert_eq!(pace.take(other, at(0)), Ok(()));
        assert_eq!(pace.take(one, at(19)), Err(Duration::from_secs(1)));
        assert_eq!(pace.take(one, at(20)), Ok(()));
        assert!(pace.take(one, at(20)).is_err());
        assert_eq!(pace.may(one, at(20)), Err(Duration::from_secs(20)));
        assert_eq!(pace.may(one, at(40)), Ok(()));
        for _ in 0..3 {
            assert_eq!(pace.take(one, at(200)), Ok(()));
        }
        assert!(pace.take(one, at(200)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_old_addresses_go() {
        let start = Instant::now();
        let mut pace = Pace::new(1, Duration::from_secs(60));
        for number in 0..10_000_u32 {
            let _ = pace.take(std::net::Ipv4Addr::from_bits(number).into(), start);
        }
        assert_eq!(pace.full_at.len(), REMEMBERED);
        // Strangers without number take nothing from somebody known.
        let known = start + Duration::from_secs(60);
        assert_eq!(
            pace.take(std::net::Ipv4Addr::from_bits(1).into(), known),
            Ok(())
        );
        let later = start + Duration::from_secs(61);
        assert_eq!(pace.take("192.0.2.1".parse().unwrap(), later), Ok(()));
        assert_eq!(pace.full_at.len(), 2);
    }
}
