//! Who has a connection to the page, and who has to go for a new one.
//!
//! Pure. A connection that works on a request keeps its seat; one that waits
//! for a request or the rest of one, or only sends what is left of an answer, gives it up for a
//! newcomer, the one that has waited longest first. So nobody who asks for
//! nothing keeps somebody who does from being served.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Number of a connection; never used twice.
pub(super) type SeatId = u64;

/// All seats.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    most_of_one: usize,
    next: SeatId,
    /// Moments at which seats became idle, in their order.
    moments: u64,
    taken: BTreeMap<SeatId, Seat>,
}

#[derive(Debug)]
struct Seat {
    of: IpAddr,
    /// Requests in work; a connection has one at a time.
    work: u32,
    idle_since: u64,
}

/// What becomes of a newcomer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It has a seat.
    Seated(SeatId),
    /// It has a seat; the other connection is to be closed, and has none.
    InPlaceOf(SeatId, SeatId),
    /// Every seat it could have is at work.
    Full,
}

impl Seats {
    /// `most` seats in all, `most_of_one` for one address.
    pub(super) const fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            next: 1,
            moments: 0,
            taken: BTreeMap::new(),
        }
    }

    /// A connection from `ip` wants a seat.
    pub(super) fn enter(&mut self, ip: IpAddr) -> Entry {
        let of = household(ip);
        let own = self.taken.values().filter(|seat| seat.of == of).count();
        let leaver = if own >= self.most_of_one {
            self.longest_idle(|seat| seat.of == of)
        } else if self.taken.len() >= self.most {
            self.longest_idle(|_| true)
        } else {
            return Entry::Seated(self.seat(of));
        };
        match leaver {
            None => Entry::Full,
            Some(leaver) => {
                self.leave(leaver);
                Entry::InPlaceOf(self.seat(of), leaver)
            }
        }
    }

    /// A request on `seat` begins.
    pub(super) fn begin(&mut self, seat: SeatId) {
        if let Some(seat) = self.taken.get_mut(&seat) {
            seat.work += 1;
        }
    }

    /// A request on `seat` has been answered.
    pub(super) fn end(&mut self, seat: SeatId) {
        self.moments += 1;
        if let Some(seat) = self.taken.get_mut(&seat) {
            seat.work = seat.work.saturating_sub(1);
            seat.idle_since = self.moments;
        }
    }

    /// The connection is gone.
    pub(super) fn leave(&mut self, seat: SeatId) {
        self.taken.remove(&seat);
    }

    /// Connections there are.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Connections with a request in work.
    pub(super) fn at_work(&self) -> usize {
        self.taken.values().filter(|seat| seat.work > 0).count()
    }

    fn seat(&mut self, of: IpAddr) -> SeatId {
        let id = self.next;
        self.next += 1;
        self.moments += 1;
        let idle_since = self.moments;
        self.taken.insert(
            id,
            Seat {
                of,
                work: 0,
                idle_since,
            },
        );
        id
    }

    fn longest_idle(&self, among: impl Fn(&Seat) -> bool) -> Option<SeatId> {
        let idle = self
            .taken
            .iter()
            .filter(|(_, seat)| seat.work == 0 && among(seat));
        idle.min_by_key(|(_, seat)| seat.idle_since)
            .map(|(id, _)| *id)
    }
}

/// Whose address it is: of IPv6, one household has a /64 network at least.
pub(super) fn household(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_idle_makes_room() {
        let mut seats = Seats::new(3, 3);
        for id in 1..=3 {
            assert_eq!(seats.enter(ip("192.0.2.1")), Entry::Seated(id));
        }
        seats.begin(1);
        assert_eq!(seats.enter(ip("192.0.2.2")), Entry::InPlaceOf(4, 2));
        seats.begin(3);
        seats.end(3);
        // 4 has been idle longer than 3, which was at work just now.
        assert_eq!(seats.enter(ip("192.0.2.2")), Entry::InPlaceOf(5, 4));
        assert_eq!((seats.taken(), seats.at_work()), (3, 1));
    }

    #[test]
    fn who_works_is_not_disturbed() {
        let mut seats = Seats::new(2, 2);
        for _ in 0..2 {
            let Entry::Seated(id) = seats.enter(ip("192.0.2.1")) else {
                panic!("there is room");
            };
            seats.begin(id);
        }
        assert_eq!(seats.enter(ip("192.0.2.2")), Entry::Full);
        seats.end(2);
        assert_eq!(seats.enter(ip("192.0.2.2")), Entry::InPlaceOf(3, 2));
        seats.leave(1);
        assert_eq!(seats.enter(ip("192.0.2.2")), Entry::Seated(4));
    }

    #[test]
    fn one_address_has_its_own_limit() {
        let mut seats = Seats::new(10, 2);
        for network in ["192.0.2.1", "2001:db8::1"] {
            assert!(matches!(seats.enter(ip(network)), Entry::Seated(_)));
            assert!(matches!(seats.enter(ip(network)), Entry::Seated(_)));
            assert!(matches!(seats.enter(ip(network)), Entry::InPlaceOf(..)));
        }
        assert!(matches!(
            seats.enter(ip("2001:db8::2")),
            Entry::InPlaceOf(..)
        ));
        assert!(matches!(
            seats.enter(ip("2001:db8:0:1::2")),
            Entry::Seated(_)
        ));
        assert_eq!(seats.taken(), 5);
    }

    #[test]
    fn a_flood_never_takes_more_than_its_seats() {
        let mut seats = Seats::new(256, 32);
        for _ in 0..2_000 {
            assert_ne!(seats.enter(ip("127.0.0.1")), Entry::Full);
        }
        assert_eq!(seats.taken(), 32);
    }
}
