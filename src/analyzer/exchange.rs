//! What one peer names in one visit: others by peer exchange, within the limits
//! of BEP 11, and trackers by tracker exchange (BEP 28). Pure.

use std::time::{Duration, Instant};

use crate::protocol::extension::LT_DONTHAVE;
use crate::protocol::pex::{self, NamedPeer, UT_PEX};
use crate::protocol::tex::{self, LT_TEX};

/// Our number for `lt_donthave` (BEP 54).
pub const DONT_HAVE: u8 = 1;

/// Our number for `ut_pex` (BEP 11).
pub const PEX: u8 = 2;

/// Our number for `lt_tex` (BEP 28).
pub const TEX: u8 = 3;

/// The extensions that a visit understands, sorted by name, with our numbers
/// for them, which peers use to us: with or without the exchange of peers and
/// of trackers.
pub const fn understood(peers: bool, trackers: bool) -> &'static [(&'static [u8], u8)] {
    const PIECES: (&[u8], u8) = (LT_DONTHAVE, DONT_HAVE);
    const PEERS: (&[u8], u8) = (UT_PEX, PEX);
    const TRACKERS: (&[u8], u8) = (LT_TEX, TEX);
    match (peers, trackers) {
        (false, false) => &[PIECES],
        (true, false) => &[PIECES, PEERS],
        (false, true) => &[PIECES, TRACKERS],
        (true, true) => &[PIECES, TRACKERS, PEERS],
    }
}

/// Shortest time between two messages of a peer: a minute by BEP 11, less what
/// clocks and networks differ.
const INTERVAL: Duration = Duration::from_secs(55);

/// Peers taken of the first message, which tells all that are known.
const FIRST_MAX: usize = 200;

/// Peers taken of each later one (BEP 11: 50).
const LATER_MAX: usize = 50;

/// Trackers taken of one peer in one visit.
const TRACKERS_MAX: usize = 16;

/// The peers and trackers that were named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    named: Vec<NamedPeer>,
    trackers: Vec<String>,
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

    /// Takes the payload of a message about trackers; one that is malformed
    /// names none.
    pub fn take_trackers(&mut self, payload: &[u8]) {
        let room = TRACKERS_MAX.saturating_sub(self.trackers.len());
        let named = tex::added(payload, room).unwrap_or_default();
        self.trackers.extend(named);
    }

    /// Every tracker that was named, in order.
    pub fn trackers(&self) -> &[String] {
        &self.trackers
    }

    /// Whether a message about peers came.
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

    #[test]
    fn trackers_are_limited_over_all_messages() {
        let urls: Vec<String> = (0..10).map(|n| format!("8:http://{n}")).collect();
        let urls = urls.concat();
        let message = format!("d5:addedl{urls}ee").into_bytes();
        let mut exchange = Exchange::default();
        for wanted in [10, 16, 16] {
            exchange.take_trackers(&message);
            assert_eq!(exchange.trackers().len(), wanted);
        }
        exchange.take_trackers(b"nonsense");
        assert!(!exchange.has_begun(), "of peers nothing came");
    }

    #[test]
    fn extensions_are_sorted_by_name() {
        for (peers, trackers) in [(false, false), (true, false), (false, true), (true, true)] {
            let names = understood(peers, trackers).iter().map(|(name, _)| name);
            assert!(names.is_sorted(), "{peers} {trackers}");
        }
    }
}
