//! How fast peers may be contacted: in all, per network and per torrent.
//!
//! Pure: callers pass `now`. Each limit is a generic cell rate algorithm (ITU-T
//! I.371) with a burst of one second. A ticket that a network or a torrent
//! must wait for gets the next free slot there as its new due time, so that
//! each waits about once, however many there are. The limit on all contacts
//! holds back the head of the queue instead. A contact may take several
//! connections: those behind its first begin at once, and whoever comes next
//! waits for them too.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::settings::PaceSettings;
use crate::model::{PeerKey, TorrentId};

/// Contacts that had to wait, by the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldBack {
    /// By the limit on all contacts.
    pub in_all: u64,
    /// By that of their network.
    pub by_network: u64,
    /// By that of their torrent.
    pub by_torrent: u64,
}

/// The limits and what was used of them.
#[derive(Debug)]
pub struct Pace {
    epoch: Instant,
    all: Option<Rate>,
    all_used: Bucket,
    /// Whether the head of the queue was counted as held back.
    counted: bool,
    networks: Buckets<NetworkKey>,
    torrents: Buckets<TorrentId>,
    held: HeldBack,
}

impl Pace {
    /// Nothing used yet; `epoch` must not be later than any other time.
    pub fn new(settings: &PaceSettings, epoch: Instant) -> Self {
        Self {
            epoch,
            all: Rate::new(settings.per_second),
            all_used: Bucket::default(),
            counted: false,
            networks: Buckets::new(settings.per_network),
            torrents: Buckets::new(settings.per_torrent),
            held: HeldBack::default(),
        }
    }

    /// Contacts that had to wait so far.
    pub const fn held(&self) -> HeldBack {
        self.held
    }

    /// When the next contact may begin, whoever it is; `None` when at `now`.
    /// Called when one is due.
    pub fn next_open(&mut self, now: Instant) -> Option<Instant> {
        let open = self.all_used.earliest(self.all.as_ref()?);
        if open <= self.since(now) {
            return None;
        }
        if !self.counted {
            self.counted = true;
            self.held.in_all += 1;
        }
        Some(self.epoch + Duration::from_micros(open))
    }

    /// Whether the contact with `key` may begin at `now`, which then counts
    /// as begun.
    ///
    /// # Errors
    /// When to ask again.
    pub fn admit(&mut self, key: &PeerKey, now: Instant) -> Result<(), Instant> {
        let at = self.since(now);
        let network = NetworkKey::of(key.address.ip());
        let slots = [
            (self.networks.slot(network, at), &mut self.held.by_network),
            (
                self.torrents.slot(key.torrent, at),
                &mut self.held.by_torrent,
            ),
        ];
        let mut latest = None;
        for (slot, held) in slots {
            *held += u64::from(slot.is_some());
            latest = latest.max(slot);
        }
        if let Some(slot) = latest {
            return Err(self.epoch + Duration::from_micros(slot));
        }
        self.use_one(key, now);
        self.counted = false;
        Ok(())
    }

    /// Counts a connection to `key` at `now`, whatever the limits say.
    pub fn use_one(&mut self, key: &PeerKey, now: Instant) {
        let at = self.since(now);
        self.networks.use_one(NetworkKey::of(key.address.ip()), at);
        self.torrents.use_one(key.torrent, at);
        if let Some(rate) = &self.all {
            self.all_used.use_one(rate, at);
        }
    }

    fn since(&self, now: Instant) -> u64 {
        micros(self.epoch, now)
    }
}

/// A limit; times in microseconds.
#[derive(Debug, Clone, Copy)]
struct Rate {
    interval: u64,
    /// How much sooner than evenly spaced a contact may come.
    tolerance: u64,
}

/// Microseconds of the burst.
const BURST: u64 = 1_000_000;

impl Rate {
    /// `None` without a limit.
    fn new(per_second: Option<f64>) -> Option<Self> {
        let interval = Duration::try_from_secs_f64(per_second?.recip()).ok()?;
        let interval = u64::try_from(interval.as_micros()).ok()?.max(1);
        let tolerance = BURST.saturating_sub(interval);
        Some(Self {
            interval,
            tolerance,
        })
    }
}

/// What was used of a limit.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// When the next contact would come if all were evenly spaced.
    next: u64,
    /// The first slot that nobody waits for.
    free: u64,
}

impl Bucket {
    const fn earliest(&self, rate: &Rate) -> u64 {
        self.next.saturating_sub(rate.tolerance)
    }

    fn use_one(&mut self, rate: &Rate, at: u64) {
        self.next = self.next.max(at).saturating_add(rate.interval);
    }

    /// Takes a slot behind `at`.
    fn take_slot(&mut self, rate: &Rate, at: u64) -> u64 {
        let slot = self.free.max(self.earliest(rate)).max(at);
        self.free = slot.saturating_add(rate.interval);
        slot
    }
}

/// So many a second, with a burst of one second.
#[derive(Debug)]
pub struct Allowance {
    epoch: Instant,
    rate: Option<Rate>,
    used: Bucket,
}

impl Allowance {
    /// Nothing used yet; `per_second` must be above 0.
    pub fn new(per_second: f64, epoch: Instant) -> Self {
        Self {
            epoch,
            rate: Rate::new(Some(per_second)),
            used: Bucket::default(),
        }
    }

    /// Whether there is room for one at `now`.
    pub fn has_room(&self, now: Instant) -> bool {
        let earliest = self.rate.as_ref().map(|rate| self.used.earliest(rate));
        earliest.is_none_or(|earliest| earliest <= micros(self.epoch, now))
    }

    /// The same, and it is used.
    pub fn take(&mut self, now: Instant) -> bool {
        let room = self.has_room(now);
        if let Some(rate) = self.rate.as_ref().filter(|_| room) {
            self.used.use_one(rate, micros(self.epoch, now));
        }
        room
    }
}

fn micros(epoch: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(epoch).as_micros();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// A limit that holds for each of many.
#[derive(Debug)]
struct Buckets<K> {
    rate: Option<Rate>,
    used: HashMap<K, Bucket>,
    /// At how many the idle ones are forgotten.
    clean_at: usize,
}

/// Below this, idle buckets are not worth looking for.
const CLEAN_MIN: usize = 1024;

impl<K: Hash + Eq + Copy> Buckets<K> {
    fn new(per_second: Option<f64>) -> Self {
        Self {
            rate: Rate::new(per_second),
            used: HashMap::new(),
            clean_at: CLEAN_MIN,
        }
    }

    /// The slot that a contact of `key` has to wait for; `None` when it may
    /// begin.
    fn slot(&mut self, key: K, at: u64) -> Option<u64> {
        let rate = self.rate.as_ref()?;
        let bucket = self.used.get_mut(&key)?;
        (bucket.earliest(rate) > at).then(|| bucket.take_slot(rate, at))
    }

    fn use_one(&mut self, key: K, at: u64) {
        let Some(rate) = self.rate else {
            return;
        };
        if self.used.len() >= self.clean_at {
            self.used.retain(|_, used| used.next.max(used.free) > at);
            self.clean_at = self.used.len().saturating_mul(2).max(CLEAN_MIN);
        }
        self.used.entry(key).or_default().use_one(&rate, at);
    }
}

/// A /24 of IPv4 or a /48 of IPv6: what one institution has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct NetworkKey(u64);

impl NetworkKey {
    /// IPv6 in the upper 48 bits; IPv4 below `ffff`, which no unicast network
    /// begins with.
    const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self(0xffff << 48 | v4.to_bits() as u64 >> 8),
            IpAddr::V6(v6) => Self((v6.to_bits() >> 80) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PeerAddress;
    use proptest::prelude::*;
    use std::collections::BinaryHeap;

    fn key(ip: [u8; 4], torrent: usize) -> PeerKey {
        let [a, b, c, d] = ip;
        let address = PeerAddress::from_compact([a, b, c, d, 0x1a, 0xe1]);
        PeerKey::new(address, TorrentId::from_index(torrent).unwrap())
    }

    fn settings(all: Option<f64>, network: Option<f64>, torrent: Option<f64>) -> PaceSettings {
        PaceSettings {
            per_second: all,
            per_network: network,
            per_torrent: torrent,
        }
    }

    #[test]
    fn without_limits_nothing_waits() {
        let now = Instant::now();
        let mut pace = Pace::new(&settings(None, None, None), now);
        for _ in 0..10_000 {
            assert_eq!(pace.next_open(now), None);
            assert_eq!(pace.admit(&key([1, 2, 3, 4], 0), now), Ok(()));
        }
        assert_eq!(pace.held(), HeldBack::default());
        assert!(pace.networks.used.is_empty());
    }

    #[test]
    fn a_network_has_its_burst_then_its_slots() {
        let now = Instant::now();
        let mut pace = Pace::new(&settings(None, Some(4.0), None), now);
        for host in 0..4 {
            assert_eq!(pace.admit(&key([9, 9, 9, host], 0), now), Ok(()));
        }
        let after = |ms| Err(now + Duration::from_millis(ms));
        assert_eq!(pace.admit(&key([9, 9, 9, 5], 0), now), after(250));
        assert_eq!(pace.admit(&key([9, 9, 9, 6], 1), now), after(500));
        assert_eq!(pace.admit(&key([9, 9, 8, 1], 0), now), Ok(()), "another");
        let later = now + Duration::from_millis(250);
        assert_eq!(pace.admit(&key([9, 9, 9, 5], 0), later), Ok(()));
        assert_eq!(pace.held().by_network, 2);
        assert_eq!(pace.held().by_torrent, 0);
    }

    #[test]
    fn torrents_have_limits_of_their_own_and_slow_rates_no_burst() {
        let now = Instant::now();
        let mut pace = Pace::new(&settings(None, None, Some(0.5)), now);
        assert_eq!(pace.admit(&key([9, 9, 9, 1], 0), now), Ok(()));
        assert_eq!(pace.admit(&key([9, 9, 9, 1], 1), now), Ok(()));
        let slot = Err(now + Duration::from_secs(2));
        assert_eq!(pace.admit(&key([7, 7, 7, 1], 0), now), slot);
        assert_eq!(pace.held().by_torrent, 1);
    }

    #[test]
    fn the_limit_on_all_opens_again_and_counts_each_contact_once() {
        let now = Instant::now();
        let mut pace = Pace::new(&settings(Some(2.0), None, None), now);
        for host in 0..2 {
            assert_eq!(pace.next_open(now), None);
            assert_eq!(pace.admit(&key([host, 9, 9, 1], 0), now), Ok(()));
        }
        let open = now + Duration::from_millis(500);
        assert_eq!(pace.next_open(now), Some(open));
        assert_eq!(pace.next_open(now), Some(open));
        assert_eq!(pace.next_open(open), None);
        assert_eq!(pace.held().in_all, 1);
    }

    #[test]
    fn connections_behind_the_first_make_others_wait() {
        let now = Instant::now();
        let mut pace = Pace::new(&settings(Some(4.0), Some(2.0), Some(3.0)), now);
        let peer = key([9, 9, 9, 1], 0);
        assert_eq!(pace.admit(&peer, now), Ok(()));
        // Three ways more to the same peer, at once.
        for _ in 0..3 {
            pace.use_one(&peer, now);
        }
        let after = |ms| now + Duration::from_millis(ms);
        assert_eq!(pace.next_open(now), Some(after(250)));
        // Four connections, of which two a second are allowed.
        let neighbour = key([9, 9, 9, 2], 1);
        assert_eq!(pace.admit(&neighbour, after(1_000)), Err(after(1_500)));
        // Of the torrent's three a second, four were used.
        let elsewhere = key([7, 7, 7, 1], 0);
        let (early, open) = (now + Duration::from_micros(666_000), after(667));
        assert!(pace.admit(&elsewhere, early).is_err());
        assert_eq!(pace.admit(&elsewhere, open), Ok(()));
    }

    #[test]
    fn idle_networks_are_forgotten() {
        let start = Instant::now();
        let mut pace = Pace::new(&settings(None, Some(10.0), None), start);
        for number in 0..100_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            let now = start + Duration::from_millis(number.into());
            assert_eq!(pace.admit(&key([a, b, c, 1], 0), now), Ok(()));
        }
        assert!(pace.networks.used.len() <= 2 * CLEAN_MIN);
    }

    #[test]
    fn families_do_not_meet() {
        let [v4, v6, near, far] = [
            "1.2.3.4",
            "2a00:1:2:3::1",
            "2a00:1:2:ffff::9",
            "2a00:1:3::1",
        ]
        .map(|text| NetworkKey::of(text.parse().unwrap()));
        assert_eq!(v6, near);
        assert_ne!(v6, far);
        assert_ne!(v4, v6);
    }

    proptest! {
        /// However peers come, whenever a worker has time: nobody is lost, no
        /// limit is passed, and nobody is sent away time and again.
        #[test]
        fn limits_hold_and_nobody_is_lost(
            peers in prop::collection::vec((0_u8..3, 0_usize..3, 0_u64..3_000), 1..200),
            stalls in prop::collection::vec((0_u64..20_000, 0_u64..5_000), 0..4),
        ) {
            let start = Instant::now();
            let ms = Duration::from_millis;
            let mut pace = Pace::new(&settings(None, Some(5.0), Some(20.0)), start);
            let mut heap: BinaryHeap<_> = peers.iter().enumerate()
                .map(|(number, peer)| std::cmp::Reverse((ms(peer.2), number))).collect();
            let (mut now, mut asked) = (Duration::ZERO, 0);
            let mut begun: Vec<(Duration, u8, usize)> = Vec::new();
            while let Some(std::cmp::Reverse((due, number))) = heap.pop() {
                now = now.max(due);
                for (from, length) in &stalls {
                    if (ms(*from)..ms(from + length)).contains(&now) {
                        now = ms(from + length);
                    }
                }
                asked += 1;
                let (network, torrent, _) = peers[number];
                match pace.admit(&key([8, 8, network, 1], torrent), start + now) {
                    Ok(()) => begun.push((now, network, torrent)),
                    Err(slot) => {
                        prop_assert!(slot > start + now);
                        heap.push(std::cmp::Reverse((slot - start, number)));
                    }
                }
            }
            prop_assert_eq!(begun.len(), peers.len());
            prop_assert!(asked <= 6 * peers.len() + 6, "asked {} times", asked);
            for (index, (from, network, torrent)) in begun.iter().enumerate() {
                let within = |seconds: u64| begun.iter().skip(index)
                    .filter(move |it| it.0 < *from + Duration::from_secs(seconds));
                let limit = |rate: u64| usize::try_from(rate * 3 + rate).unwrap();
                prop_assert!(within(3).filter(|it| it.1 == *network).count() <= limit(5));
                prop_assert!(within(3).filter(|it| it.2 == *torrent).count() <= limit(20));
            }
        }
    }
}
