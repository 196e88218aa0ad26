//! Tokens: proof that who announces an address also receives there (BEP 5).
//!
//! Pure. A token is made from a secret and the asker's address. The secret
//! changes every five minutes and the one before it still counts, so a token
//! lives for five to ten minutes.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::random::Random;

/// Bytes of a token.
pub const TOKEN_LENGTH: usize = 8;

/// Age at which a secret is replaced.
const ROTATION: Duration = Duration::from_secs(300);

/// Makes and checks tokens.
pub struct Tokens {
    current: [u8; 16],
    previous: [u8; 16],
    since: Instant,
}

impl Tokens {
    /// With fresh secrets.
    pub fn new(random: &mut Random, now: Instant) -> Self {
        Self {
            current: random.bytes(),
            previous: random.bytes(),
            since: now,
        }
    }

    /// Replaces an aged secret; called before every use.
    pub fn rotate(&mut self, random: &mut Random, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age < ROTATION {
            return;
        }
        self.previous = if age < 2 * ROTATION {
            self.current
        } else {
            random.bytes()
        };
        self.current = random.bytes();
        self.since = now;
    }

    /// The token for the asker at `ip`.
    pub fn token(&self, ip: IpAddr) -> [u8; TOKEN_LENGTH] {
        make(&self.current, ip)
    }

    /// Whether `token` was given to `ip` lately.
    pub fn is_valid(&self, token: &[u8], ip: IpAddr) -> bool {
        token == make(&self.current, ip) || token == make(&self.previous, ip)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

fn make(secret: &[u8; 16], ip: IpAddr) -> [u8; TOKEN_LENGTH] {
    let mut sha = sha1_smol::Sha1::from(secret);
    match ip {
        IpAddr::V4(v4) => sha.update(&v4.octets()),
        IpAddr::V6(v6) => sha.update(&v6.octets()),
    }
    let digest = sha.digest().bytes();
    std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    #[test]
    fn live_for_five_to_ten_minutes() {
        let clock = ManualClock::new(Timestamp(0));
        let mut random = Random::from_seed([1; 32]);
        let mut tokens = Tokens::new(&mut random, clock.now());
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        clock.advance(Duration::from_secs(299));
        tokens.rotate(&mut random, clock.now());
        let token = tokens.token(ip);
        assert!(tokens.is_valid(&token, ip));
        assert!(!tokens.is_valid(&token, "192.0.2.2".parse().unwrap()));
        assert!(!tokens.is_valid(b"", ip) && !tokens.is_valid(&token[..7], ip));
        clock.advance(Duration::from_secs(299));
        tokens.rotate(&mut random, clock.now());
        assert_ne!(tokens.token(ip), token);
        assert!(tokens.is_valid(&token, ip));
        clock.advance(Duration::from_secs(300));
        tokens.rotate(&mut random, clock.now());
        assert!(!tokens.is_valid(&token, ip));
    }

    #[test]
    fn an_old_token_dies_in_a_long_silence() {
        let clock = ManualClock::new(Timestamp(0));
        let mut random = Random::from_seed([1; 32]);
        let mut tokens = Tokens::new(&mut random, clock.now());
        let ip: IpAddr = "2a00::1".parse().unwrap();
        let token = tokens.token(ip);
        clock.advance(Duration::from_secs(3600));
        tokens.rotate(&mut random, clock.now());
        assert!(!tokens.is_valid(&token, ip));
    }
}
