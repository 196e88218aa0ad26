//! What one peer names in one visit by peer exchange, within the limits of
//! BEP 11. Pure.

use std::time::{Duration, Instant};

use crate::protocol::pex::{self, NamedPeer};

/// Shortest time between two messages of a peer: a minute by BEP 11, less what
/// clocks and networks differ.
const INTERVAL: Duration = Duration::from_secs(55);

/// Peers taken of the first message, which tells all that are known.
const FIRST_MAX: usize = 200;

/// Peers taken of each later one (BEP 11: 50).
const LATER_MAX: usize = 50;

/// The peers that were named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    named: Vec<NamedPeer>,
    last: Option<Instant>,
}

impl Exchange {
    /// Takes the payload of a message that came at `now`; one that is
    /// malformed or comes too soon names nobody.
    pub fn take(&mut self, payload: &[u8], now: Instant) {
        let most = match self.last {
            None => FIRST_MAX,
            Some(last) if now.saturating_duration_since(last) >= INTERVAL => LATER_MAX,
            Some(_) => return,
        };
        self.last = Some(now);
        self.named
            .extend(pex::added(payload, most).unwrap_or_default());
    }

    /// Whether a message came.
    pub const fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// Everyone that was named, in order.
    pub fn named(&self) -> &[NamedPeer] {
        &self.named
    }

    /// Takes out who was named so far.
    pub fn take_named(&mut self) -> Vec<NamedPeer> {
        std::mem::take(&mut self.named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(count: u8) -> Vec<u8> {
        let mut payload = format!("d5:added{}:", usize::from(count) * 6).into_bytes();
        for host in 0..count {
            payload.extend([9, 9, 9, host, 0x1a, 0xe1]);
        }
        payload.push(b'e');
        payload
    }

    #[test]
    fn more_than_bep_11_allows_is_not_taken() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut exchange = Exchange::default();
        assert!(!exchange.has_begun());
        exchange.take(&message(250), at(0));
        assert_eq!(exchange.named().len(), 200);
        exchange.take(&message(10), at(54));
        assert_eq!(exchange.named().len(), 200, "too soon");
        exchange.take(&message(60), at(60));
        assert_eq!(exchange.named().len(), 250);
        exchange.take(b"nonsense", at(120));
        exchange.take(&message(5), at(121));
        assert_eq!(exchange.named().len(), 250, "that was its turn");
        assert!(exchange.has_begun());
    }
}
