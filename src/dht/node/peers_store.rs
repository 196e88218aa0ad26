//! Peers that were announced to us (BEP 5), and samples of the torrents
//! they have (BEP 51).
//!
//! Pure and bounded: when the store is full, what was announced longest ago
//! goes first.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::random::Random;
use super::scrape::Scrape;
use crate::model::{InfoHash, PeerAddress};

/// Age at which an announce is forgotten.
pub const EXPIRY: Duration = Duration::from_secs(30 * 60);

/// How much is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Torrents.
    pub torrents: usize,
    /// Peers of one torrent.
    pub peers: usize,
    /// Peers of one torrent at one IP address.
    pub per_address: usize,
}

#[derive(Debug, Clone, Copy)]
struct Announced {
    address: PeerAddress,
    seed: bool,
    at: Instant,
}

/// Which peers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Leave out those that said that they are complete.
    pub noseed: bool,
    /// How many at most.
    pub limit: usize,
}

/// Announced peers by torrent. Within a torrent the latest announce is last.
#[derive(Debug)]
pub struct PeersStore {
    limits: StoreLimits,
    torrents: HashMap<InfoHash, Vec<Announced>>,
    /// Time of the latest announce and torrent, the oldest first.
    order: BTreeSet<(Instant, InfoHash)>,
}

impl PeersStore {
    /// An empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            torrents: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Stores one announce.
    pub fn announce(&mut self, hash: InfoHash, address: PeerAddress, seed: bool, now: Instant) {
        if !self.torrents.contains_key(&hash) && self.torrents.len() >= self.limits.torrents {
            self.drop_oldest();
        }
        let limits = self.limits;
        let peers = self.torrents.entry(hash).or_default();
        if let Some(last) = peers.last() {
            self.order.remove(&(last.at, hash));
        }
        peers.retain(|peer| peer.address != address);
        if count_at(peers, address.ip()) >= limits.per_address {
            remove_first(peers, |peer| peer.address.ip() == address.ip());
        } else if peers.len() >= limits.peers {
            remove_first(peers, |_| true);
        }
        peers.push(Announced {
            address,
            seed,
            at: now,
        });
        self.order.insert((now, hash));
    }

    /// Peers of `hash`, chosen by chance.
    pub fn peers(
        &self,
        hash: &InfoHash,
        wish: Wish,
        random: &mut Random,
        now: Instant,
    ) -> Vec<PeerAddress> {
        let Some(peers) = self.torrents.get(hash) else {
            return Vec::new();
        };
        let mut peers: Vec<PeerAddress> = peers
            .iter()
            .filter(|peer| is_fresh(peer, now) && !(wish.noseed && peer.seed))
            .map(|peer| peer.address)
            .collect();
        choose(&mut peers, wish.limit, random);
        peers
    }

    /// The addresses of all peers of `hash` (BEP 33); `None` when there are
    /// none.
    pub fn scrape(&self, hash: &InfoHash, now: Instant) -> Option<Scrape> {
        let peers = self.torrents.get(hash)?;
        let mut fresh = peers.iter().filter(|peer| is_fresh(peer, now)).peekable();
        fresh.peek()?;
        let mut scrape = Scrape::default();
        for peer in fresh {
            let filter = if peer.seed {
                &mut scrape.seeds
            } else {
                &mut scrape.peers
            };
            filter.insert(peer.address.ip());
        }
        Some(scrape)
    }

    /// Up to `limit` of the torrents, chosen by chance.
    pub fn sample(&self, limit: usize, random: &mut Random) -> Vec<InfoHash> {
        let mut hashes: Vec<InfoHash> = self.torrents.keys().copied().collect();
        choose(&mut hashes, limit, random);
        hashes
    }

    /// Forgets what is too old; called once a minute or so.
    pub fn expire(&mut self, now: Instant) {
        while let Some((at, hash)) = self.order.first().copied() {
            if now.saturating_duration_since(at) < EXPIRY {
                break;
            }
            self.order.pop_first();
            self.torrents.remove(&hash);
        }
        for peers in self.torrents.values_mut() {
            peers.retain(|peer| is_fresh(peer, now));
        }
    }

    /// Torrents stored.
    pub fn torrents(&self) -> usize {
        self.torrents.len()
    }

    /// Announced peers of all torrents.
    pub fn len(&self) -> usize {
        self.torrents.values().map(Vec::len).sum()
    }

    /// Whether nothing was announced, or all of it is forgotten.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn drop_oldest(&mut self) {
        if let Some((_, hash)) = self.order.pop_first() {
            self.torrents.remove(&hash);
        }
    }
}

fn is_fresh(peer: &Announced, now: Instant) -> bool {
    now.saturating_duration_since(peer.at) < EXPIRY
}

fn count_at(peers: &[Announced], ip: IpAddr) -> usize {
    peers.iter().filter(|peer| peer.address.ip() == ip).count()
}

fn remove_first(peers: &mut Vec<Announced>, matches: impl Fn(&Announced) -> bool) {
    if let Some(index) = peers.iter().position(matches) {
        peers.remove(index);
    }
}

/// Keeps `limit` elements, each with the same chance.
fn choose<T>(all: &mut Vec<T>, limit: usize, random: &mut Random) {
    if all.len() <= limit {
        return;
    }
    for index in 0..limit {
        let other = index + random.below(all.len() - index);
        all.swap(index, other);
    }
    all.truncate(limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    const LIMITS: StoreLimits = StoreLimits {
        torrents: 3,
        peers: 5,
        per_address: 2,
    };

    fn hash(number: u8) -> InfoHash {
        InfoHash::new([number; 20])
    }

    fn peer(ip: u8, port: u8) -> PeerAddress {
        PeerAddress::from_compact([192, 0, 2, ip, 0, port])
    }

    struct Store(PeersStore, ManualClock, Random);

    impl Store {
        fn new() -> Self {
            let clock = ManualClock::new(Timestamp(0));
            Self(PeersStore::new(LIMITS), clock, Random::from_seed([3; 32]))
        }

        fn announce(&mut self, torrent: u8, address: PeerAddress) {
            let seed = address.port() == 99;
            self.1.advance(Duration::from_secs(1));
            self.0.announce(hash(torrent), address, seed, self.1.now());
        }

        fn peers(&mut self, torrent: u8, noseed: bool) -> Vec<PeerAddress> {
            let now = self.1.now();
            let mut peers =
                self.0
                    .peers(&hash(torrent), Wish { noseed, limit: 50 }, &mut self.2, now);
            peers.sort();
            peers
        }
    }

    #[test]
    fn gives_back_what_was_announced() {
        let mut store = Store::new();
        store.announce(1, peer(1, 1));
        store.announce(1, peer(2, 99));
        store.announce(1, peer(1, 1));
        assert_eq!(store.peers(1, false), [peer(1, 1), peer(2, 99)]);
        assert_eq!(store.peers(1, true), [peer(1, 1)]);
        assert_eq!(store.peers(2, false), []);
        let now = store.1.now();
        assert_eq!(
            store
                .0
                .peers(
                    &hash(1),
                    Wish {
                        noseed: false,
                        limit: 1
                    },
                    &mut store.2,
                    now
                )
                .len(),
            1
        );
        assert_eq!(store.0.sample(20, &mut store.2), [hash(1)]);
    }

    #[test]
    fn forgets_after_half_an_hour() {
        let mut store = Store::new();
        store.announce(1, peer(1, 1));
        store.1.advance(Duration::from_secs(1000));
        store.announce(1, peer(2, 1));
        store.1.advance(Duration::from_secs(800));
        assert_eq!(store.peers(1, false), [peer(2, 1)]);
        store.0.expire(store.1.now());
        assert_eq!(store.0.torrents(), 1);
        store.1.advance(EXPIRY);
        store.0.expire(store.1.now());
        assert_eq!((store.0.torrents(), store.0.order.len()), (0, 0));
    }

    #[test]
    fn is_bounded_in_every_direction() {
        let mut store = Store::new();
        for ip in 1..=9 {
            for port in 1..=9 {
                store.announce(1, peer(ip, port));
            }
        }
        let left = [(7, 9), (8, 8), (8, 9), (9, 8), (9, 9)];
        assert_eq!(store.peers(1, false), left.map(|(ip, port)| peer(ip, port)));
        for torrent in 2..=200 {
            store.announce(torrent, peer(1, 1));
            assert_eq!(store.0.order.len(), store.0.torrents());
        }
        assert_eq!(store.0.torrents(), 3);
        assert_eq!(store.peers(199, false), [peer(1, 1)]);
        assert_eq!(store.peers(1, false), []);
    }
}
