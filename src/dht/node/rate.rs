//! How much is sent and answered.
//!
//! Pure. Outward: a token bucket each for our own queries and for answers.
//! Inward: a token bucket for each address, in a table of fixed size, so
//! that a flood from many (forged) addresses takes no memory.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use super::address::network;

/// Buckets of the inward limit. Addresses that fall into the same one share
/// it; which they are depends on a random key and cannot be aimed at.
const SLOTS: usize = 4096;

/// Lets a number of packets a second pass, and more after a quiet time.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// `rate` packets a second, `burst` (at least 1) after a quiet time.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            rate: f64::from(rate),
            burst,
            tokens: burst,
            filled: now,
        }
    }

    /// Whether one more may pass; if so, it is counted.
    pub fn take(&mut self, now: Instant) -> bool {
        let pass = self.available(now) > 0;
        if pass {
            self.tokens -= 1.0;
        }
        pass
    }

    /// How many may pass now.
    pub fn available(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.rate).min(self.burst);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative, and at most the burst, which is a u32"
        )]
        let whole = self.tokens as usize;
        whole
    }
}

/// One bucket for each sender's address.
pub struct InboundLimit {
    rate: u32,
    burst: u32,
    slots: Vec<Option<TokenBucket>>,
    key: RandomState,
}

impl InboundLimit {
    /// `rate` packets a second from each address, `burst` after a quiet time.
    pub fn new(rate: u32, burst: u32) -> Self {
        Self {
            rate,
            burst,
            slots: vec![None; SLOTS],
            key: RandomState::new(),
        }
    }

    /// Whether one more packet from `ip` is answered. Addresses of one IPv6
    /// network are one sender.
    pub fn admits(&mut self, ip: IpAddr, now: Instant) -> bool {
        let hash = match ip {
            IpAddr::V4(_) => self.key.hash_one(ip),
            IpAddr::V6(_) => self.key.hash_one(network(ip)),
        };
        let index = usize::try_from(hash).unwrap_or(usize::MAX) % SLOTS;
        let (rate, burst) = (self.rate, self.burst);
        self.slots.get_mut(index).is_some_and(|slot| {
            slot.get_or_insert_with(|| TokenBucket::new(rate, burst, now))
                .take(now)
        })
    }
}

impl std::fmt::Debug for InboundLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundLimit")
            .field("rate", &self.rate)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    #[test]
    fn burst_then_rate() {
        let clock = ManualClock::new(Timestamp(0));
        let mut bucket = TokenBucket::new(50, 100, clock.now());
        let mut pass = |clock: &ManualClock| (0..1000).filter(|_| bucket.take(clock.now())).count();
        assert_eq!(pass(&clock), 100);
        clock.advance(Duration::from_secs(1));
        assert_eq!(pass(&clock), 50);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(pass(&clock), 100);
        clock.advance(Duration::from_millis(19));
        assert_eq!(pass(&clock), 0);
        clock.advance(Duration::from_millis(2));
        assert_eq!(pass(&clock), 1);
    }

    #[test]
    fn a_rate_of_zero_gives_the_burst_only() {
        let clock = ManualClock::new(Timestamp(0));
        let mut bucket = TokenBucket::new(0, 0, clock.now());
        assert!(bucket.take(clock.now()));
        clock.advance(Duration::from_secs(3600));
        assert!(!bucket.take(clock.now()));
    }

    #[test]
    fn senders_have_limits_of_their_own() {
        let clock = ManualClock::new(Timestamp(0));
        let mut limit = InboundLimit::new(10, 20);
        let mut pass = |ip: &str| {
            let ip = ip.parse().unwrap();
            (0..100).filter(|_| limit.admits(ip, clock.now())).count()
        };
        assert_eq!(pass("192.0.2.1"), 20);
        assert_eq!(pass("192.0.2.1"), 0);
        let others: usize = (2..30).map(|n| pass(&format!("192.0.2.{n}"))).sum();
        // Which share a slot is chance, but no chance lets a third of them do it.
        assert!(others >= 20 * 20, "few share a slot: {others}");
        let network = pass("2a00::1") + pass("2a00::2");
        assert!(network <= 20, "{network}");
    }
}
