//! All connections of one UDP socket, told apart by address and connection
//! id.
//!
//! The caller hands in datagrams, the wishes of the streams and the time, and
//! then takes what came of it: packets to send ([`Endpoint::take_packets`]),
//! streams that may go on ([`Endpoint::take_news`]), callers
//! ([`Endpoint::take_caller`]).

mod stranger;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use super::Broken;
use super::connection::{Connection, Ids, Phase};
use super::cookie::Secret;
use super::packet::{Header, Kind, Packet};
use super::recent::Recent;
use crate::model::PeerAddress;

use stranger::Allowance;

/// Tries to find a free connection id towards one address.
const ID_TRIES: u32 = 32;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of callers, those included that wait to be taken; 0: nobody is let in.
    pub callers: usize,
    /// Callers that wait to be taken.
    pub backlog: usize,
    /// In all, with those that are only being ended.
    pub total: usize,
}

/// A connection: the other side and our connection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    address: PeerAddress,
    id: u16,
}

impl Key {
    /// The other side.
    pub const fn address(&self) -> PeerAddress {
        self.address
    }
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub to: PeerAddress,
    /// What.
    pub bytes: Vec<u8>,
}

/// What became of the packets so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that came.
    pub received: u64,
    /// Of these, no uTP packets.
    pub malformed: u64,
    /// Of these, of no connection that there is.
    pub unknown: u64,
    /// Calls and callers that were not answered because of [`Limits`].
    pub turned_away: u64,
    /// Callers let in.
    pub callers: u64,
}

struct Entry {
    connection: Connection,
    timer: Option<Instant>,
    /// The number of its call, if it is a caller's.
    called_by: Option<u16>,
}

impl Entry {
    const fn is_caller(&self) -> bool {
        self.called_by.is_some()
    }
}

/// All connections of one socket.
pub struct Endpoint {
    limits: Limits,
    epoch: Instant,
    secret: Secret,
    randoms: u64,
    entries: HashMap<Key, Entry>,
    timers: BTreeSet<(Instant, Key)>,
    callers: usize,
    waiting: VecDeque<Key>,
    /// Callers with the number of their call.
    recent: Recent<(Key, u16)>,
    answers: Allowance,
    packets: Vec<Outgoing>,
    news: Vec<Key>,
    counts: Counts,
}

/// No connection can be begun: [`Limits::total`] is reached, or no id is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Endpoint {
    /// An endpoint without connections; `secret` is random and for one run.
    pub fn new(limits: Limits, secret: [u8; 16], now: Instant) -> Self {
        Self {
            limits,
            epoch: now,
            secret: Secret::new(secret),
            randoms: 0,
            entries: HashMap::new(),
            timers: BTreeSet::new(),
            callers: 0,
            waiting: VecDeque::new(),
            recent: Recent::default(),
            answers: Allowance::new(now),
            packets: Vec::new(),
            news: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Datagrams to send, in this order.
    pub fn take_packets(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.packets)
    }

    /// Streams that may find something new.
    pub fn take_news(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.news)
    }

    /// A caller that has sent its first bytes.
    pub fn take_caller(&mut self) -> Option<Key> {
        self.waiting.pop_front()
    }

    /// Whether [`Endpoint::take_caller`] has one.
    pub fn has_caller(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Connections that there are, with those that are only being ended.
    pub fn connections(&self) -> usize {
        self.entries.len()
    }

    /// What became of the packets so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Calls the peer at `address`; [`Endpoint::is_open`] tells when it has
    /// answered.
    pub fn connect(&mut self, address: PeerAddress, now: Instant) -> Result<Key, Full> {
        if self.entries.len() >= self.limits.total {
            return Err(Full);
        }
        for _ in 0..ID_TRIES {
            let ids = Ids {
                receive: self.random(),
                send: 0,
            };
            let ids = Ids {
                send: ids.receive.wrapping_add(1),
                ..ids
            };
            let id = ids.receive;
            let key = Key { address, id };
            if !self.entries.contains_key(&key) {
                let first = self.random();
                let connection = Connection::call(ids, first, self.epoch, now);
                self.enter(key, connection, None);
                self.settle(key, now);
                return Ok(key);
            }
        }
        Err(Full)
    }

    fn random(&mut self) -> u16 {
        self.randoms += 1;
        self.secret.random(self.randoms)
    }

    /// Whether the peer has answered our call.
    pub fn is_open(&self, key: Key) -> Result<bool, Broken> {
        match self.entries.get(&key).map(|it| it.connection.phase()) {
            Some(Phase::Calling) => Ok(false),
            Some(Phase::Broken(broken)) => Err(broken),
            Some(Phase::Open | Phase::Closing { .. }) => Ok(true),
            Some(Phase::Over) | None => Err(Broken::Reset),
        }
    }

    /// Reads what has arrived: `None` when there is nothing yet, 0 at the end
    /// of the stream. What came before a break can still be read.
    pub fn read(
        &mut self,
        key: Key,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Option<usize>, Broken> {
        let entry = self.entries.get_mut(&key).ok_or(Broken::Reset)?;
        let read = entry.connection.read(buffer);
        match (read, entry.connection.phase()) {
            (None, Phase::Broken(broken)) => return Err(broken),
            (None, _) => return Ok(None),
            (Some(_), _) => {}
        }
        self.settle(key, now);
        Ok(read)
    }

    /// Takes bytes to send, as many as there is room for.
    pub fn write(&mut self, key: Key, bytes: &[u8], now: Instant) -> Result<usize, Broken> {
        let entry = self.entries.get_mut(&key).ok_or(Broken::Reset)?;
        if let Phase::Broken(broken) = entry.connection.phase() {
            return Err(broken);
        }
        let written = entry.connection.write(bytes);
        self.settle(key, now);
        Ok(written)
    }

    /// The stream is not used any more.
    pub fn close(&mut self, key: Key, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.connection.close(now);
            self.settle(key, now);
        }
    }

    /// The earliest time at which [`Endpoint::look_at_clock`] has something
    /// to do.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn look_at_clock(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.timer = None;
                entry.connection.look_at_clock(now);
                self.settle(key, now);
            }
        }
    }

    /// Takes a datagram.
    pub fn handle(&mut self, from: PeerAddress, datagram: &[u8], now: Instant) {
        self.counts.received += 1;
        let Ok(packet) = Packet::decode(datagram) else {
            self.counts.malformed += 1;
            return;
        };
        match self.find(from, &packet.header) {
            Some(key) => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.connection.handle(&packet, now);
                    self.settle(key, now);
                }
            }
            None => self.stranger(from, &packet, now),
        }
    }

    /// The connection a packet is for. A call has the id below ours, and a
    /// reset may have the id of our own packets.
    fn find(&self, address: PeerAddress, header: &Header) -> Option<Key> {
        let id = header.connection;
        let known = |id: u16| {
            let key = Key { address, id };
            self.entries.contains_key(&key).then_some(key)
        };
        match header.kind {
            Kind::Syn => known(id.wrapping_add(1))
                .filter(|key| self.entries.get(key).is_some_and(Entry::is_caller)),
            Kind::Reset => known(id).or_else(|| {
                [id.wrapping_sub(1), id.wrapping_add(1)]
                    .into_iter()
                    .filter_map(known)
                    .find(|key| {
                        let entry = self.entries.get(key);
                        entry.is_some_and(|entry| entry.connection.ids().send == id)
                    })
            }),
            Kind::Data | Kind::Fin | Kind::State => known(id),
        }
    }

    fn enter(&mut self, key: Key, connection: Connection, called_by: Option<u16>) {
        self.callers += usize::from(called_by.is_some());
        self.entries.insert(
            key,
            Entry {
                connection,
                timer: None,
                called_by,
            },
        );
    }

    /// Takes from a connection what its last change brought.
    fn settle(&mut self, key: Key, now: Instant) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let mut out = Vec::new();
        entry.connection.flush(now, &mut out);
        let to = key.address;
        self.packets
            .extend(out.into_iter().map(|bytes| Outgoing { to, bytes }));
        if entry.connection.take_news() {
            self.news.push(key);
        }
        let timer = entry.connection.next_timer();
        if timer != entry.timer {
            if let Some(old) = entry.timer {
                self.timers.remove(&(old, key));
            }
            if let Some(new) = timer {
                self.timers.insert((new, key));
            }
            entry.timer = timer;
        }
        if entry.connection.phase() == Phase::Over {
            self.remove(key, now);
        }
    }

    fn remove(&mut self, key: Key, now: Instant) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        if let Some(call) = entry.called_by {
            self.callers = self.callers.saturating_sub(1);
            self.recent.insert((key, call), now);
        }
    }
}

#[cfg(test)]
mod tests;
