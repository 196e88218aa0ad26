//! Our questions that wait for an answer.
//!
//! Pure. A question is known by a random id of two bytes and the address it
//! went to: an answer from elsewhere is none.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::id::NodeId;
use super::random::Random;
use crate::model::PeerAddress;

/// Questions that wait at most.
const OPEN_MAX: usize = 1024;

/// Tries to find an id that is free; of 65,536 at most 1,024 are taken.
const TRIES: usize = 16;

/// What a question was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see whether somebody is there.
    Ping,
    /// `find_node` or `get_peers` of the look-up of this number.
    Lookup(u32),
    /// `announce_peer` of the look-up of this number.
    Announce(u32),
    /// The single question of this number.
    Probe(u32),
}

/// A question that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) address: PeerAddress,
    /// Who should be there, if known.
    pub(super) id: Option<NodeId>,
    pub(super) purpose: Purpose,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Transactions {
    timeout: Duration,
    open: HashMap<[u8; 2], (u64, Pending)>,
    /// In the order of asking: when it is lost, its id and its number.
    order: VecDeque<(Instant, [u8; 2], u64)>,
    next: u64,
}

impl Transactions {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            open: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }

    /// Begins to wait; `None` when too much is open.
    pub(super) fn open(
        &mut self,
        pending: Pending,
        random: &mut Random,
        now: Instant,
    ) -> Option<[u8; 2]> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        let id = (0..TRIES)
            .map(|_| random.bytes())
            .find(|id| !self.open.contains_key(id))?;
        self.next += 1;
        self.open.insert(id, (self.next, pending));
        self.order.push_back((now + self.timeout, id, self.next));
        Some(id)
    }

    /// The question that `from` answers with the transaction id `id`.
    pub(super) fn take(&mut self, id: &[u8], from: PeerAddress) -> Option<Pending> {
        let id: [u8; 2] = id.try_into().ok()?;
        let (_, pending) = self.open.get(&id)?;
        if pending.address != from {
            return None;
        }
        self.cancel(id)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.open.len().max(self.order.len())
    }

    /// Stops waiting.
    pub(super) fn cancel(&mut self, id: [u8; 2]) -> Option<Pending> {
        self.open.remove(&id).map(|(_, pending)| pending)
    }

    /// The next question whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Pending> {
        while let Some((until, id, number)) = self.order.front().copied() {
            if until > now {
                return None;
            }
            self.order.pop_front();
            if self.open.get(&id).is_some_and(|(open, _)| *open == number) {
                return self.cancel(id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    fn pending(port: u8) -> Pending {
        Pending {
            address: PeerAddress::from_compact([10, 0, 0, 1, 0, port]),
            id: None,
            purpose: Purpose::Ping,
        }
    }

    #[test]
    fn only_the_asked_address_answers() {
        let clock = ManualClock::new(Timestamp(0));
        let mut random = Random::from_seed([0; 32]);
        let mut open = Transactions::new(Duration::from_secs(4));
        let id = open.open(pending(1), &mut random, clock.now()).unwrap();
        assert_eq!(open.take(&id, pending(2).address), None);
        assert_eq!(open.take(b"", pending(1).address), None);
        assert_eq!(open.take(&[id[0], id[1], 0], pending(1).address), None);
        assert_eq!(open.take(&id, pending(1).address), Some(pending(1)));
        assert_eq!(open.take(&id, pending(1).address), None, "once");
        clock.advance(Duration::from_secs(10));
        assert_eq!(open.expired(clock.now()), None);
    }

    #[test]
    fn is_bounded_and_expires_in_order() {
        let clock = ManualClock::new(Timestamp(0));
        let mut random = Random::from_seed([0; 32]);
        let mut open = Transactions::new(Duration::from_secs(4));
        let opened = (0..5000)
            .filter(|_| open.open(pending(1), &mut random, clock.now()).is_some())
            .count();
        assert!((1000..=OPEN_MAX).contains(&opened), "{opened}");
        clock.advance(Duration::from_secs(3));
        assert_eq!(open.expired(clock.now()), None);
        clock.advance(Duration::from_secs(1));
        let expired = std::iter::from_fn(|| open.expired(clock.now())).count();
        assert_eq!(expired, opened);
        assert!(open.open.is_empty() && open.order.is_empty());
    }
}
