//! What becomes of addresses and ids of others: keyed names (the default),
//! nothing, or, on an explicit switch, what they are.
//!
//! Pure but for its random numbers. The key lives in memory only; at its time
//! a new one takes its place and the old one is overwritten, so that names of
//! one period cannot be joined with those of the next, nor turned back.

use std::net::IpAddr;
use std::time::Duration;

use super::record::{Named, Record};
use crate::dht::node::id::NodeId;
use crate::dht::node::random::Random;
use crate::model::{Pseudonym, PseudonymKey, Timestamp};

/// What records say of addresses and ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addresses {
    /// Keyed names.
    #[default]
    Pseudonym,
    /// Nothing.
    Omitted,
    /// What they are. Personal data.
    Plain,
}

/// Names addresses.
pub struct Naming {
    mode: Addresses,
    key: PseudonymKey,
    period: Duration,
    /// When the key was made; `None` before the first record.
    since: Option<Timestamp>,
    random: Random,
    keys: u64,
}

impl Naming {
    /// Names in `mode`, with a new key after each `period`.
    pub fn new(mode: Addresses, period: Duration, mut random: Random) -> Self {
        Self {
            mode,
            key: PseudonymKey::new(random.bytes()),
            period,
            since: None,
            random,
            keys: 1,
        }
    }

    /// How many keys there have been.
    pub const fn keys(&self) -> u64 {
        self.keys
    }

    /// Lets the time pass: makes a new key when the old one is due.
    pub fn turn(&mut self, now: Timestamp) {
        let since = *self.since.get_or_insert(now);
        if now >= since.plus(self.period) {
            // The old one is overwritten as it goes.
            self.key = PseudonymKey::new(self.random.bytes());
            self.since = Some(now);
            self.keys += 1;
        }
    }

    /// An address in a record.
    pub fn ip(&self, ip: IpAddr) -> Option<Named<IpAddr>> {
        self.named(ip, |key| key.of(ip))
    }

    /// An id in a record.
    pub fn id(&self, id: NodeId) -> Option<Named<NodeId>> {
        self.named(id, |key| key.of_id(id.as_bytes()))
    }

    /// Makes a record that was read fit: what it says plainly is named.
    /// Names of another key stay as they are.
    pub fn rename(&self, record: &mut Record) {
        match record {
            Record::Heard(heard) => {
                heard.their_ip = self.renamed(heard.their_ip, Self::ip);
                heard.their_id = self.renamed(heard.their_id, Self::id);
            }
            Record::Resolved(resolved) => {
                for peer in &mut resolved.peers {
                    peer.ip = self.renamed(peer.ip, Self::ip);
                    peer.node_id = self.renamed(peer.node_id, Self::id);
                }
            }
        }
    }

    fn renamed<T>(
        &self,
        old: Option<Named<T>>,
        name: impl Fn(&Self, T) -> Option<Named<T>>,
    ) -> Option<Named<T>> {
        match old? {
            Named::Plain(plain) => name(self, plain),
            pseudonym @ Named::Pseudonym(_) => {
                (self.mode != Addresses::Omitted).then_some(pseudonym)
            }
        }
    }

    fn named<T>(&self, plain: T, name: impl Fn(&PseudonymKey) -> Pseudonym) -> Option<Named<T>> {
        match self.mode {
            Addresses::Pseudonym => Some(Named::Pseudonym(name(&self.key))),
            Addresses::Omitted => None,
            Addresses::Plain => Some(Named::Plain(plain)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn naming(mode: Addresses) -> Naming {
        Naming::new(mode, DAY, Random::from_seed([1; 32]))
    }

    fn ip() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    #[test]
    fn names_change_with_the_key_only() {
        let mut naming = naming(Addresses::Pseudonym);
        naming.turn(Timestamp(1000));
        let first = naming.ip(ip());
        assert!(matches!(first, Some(Named::Pseudonym(_))));
        naming.turn(Timestamp(1000 + 86_399_999));
        assert_eq!(naming.ip(ip()), first);
        naming.turn(Timestamp(1000 + 86_400_000));
        assert_ne!(naming.ip(ip()), first);
        assert_eq!(naming.keys(), 2);
    }

    #[test]
    fn plain_only_when_told_so() {
        let id = NodeId::new([1; 20]);
        assert_eq!(naming(Addresses::Omitted).ip(ip()), None);
        assert_eq!(naming(Addresses::Omitted).id(id), None);
        let plain = naming(Addresses::Plain);
        assert_eq!(plain.ip(ip()), Some(Named::Plain(ip())));
        assert_eq!(plain.id(id), Some(Named::Plain(id)));
    }

    #[test]
    fn a_plain_file_becomes_a_named_one() {
        let line = format!(
            "{{\"type\":\"get_peers\",\"v\":4,\"infohash\":\"{0}\",\"our_id\":\"{0}\",\
             \"their_id\":\"{0}\",\"their_ip\":\"192.0.2.1\",\"timestamp\":1}}",
            "AB".repeat(20)
        );
        let read = super::super::record::parse(line.as_bytes()).unwrap();
        for mode in [Addresses::Pseudonym, Addresses::Omitted, Addresses::Plain] {
            let mut record = read.clone();
            naming(mode).rename(&mut record);
            let Record::Heard(heard) = record else {
                panic!("a look-up");
            };
            assert_eq!(heard.their_ip, naming(mode).ip(ip()));
            assert_eq!(heard.their_id, naming(mode).id(NodeId::new([0xab; 20])));
        }
    }
}
