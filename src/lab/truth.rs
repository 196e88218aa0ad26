//! What really happened, contact by contact.
//!
//! The truth is written down by the lab's own side of each connection and is
//! enough to judge any analyzer: who, when, what was told, which fault was
//! shown. [`Contact::expected`] says what a correct analyzer makes of it,
//! [`Truth::of_torrents`] adds it up by the definition of a confirmed
//! download.
//!
//! As JSON Lines ([`Truth::write`]) there is one object a line with `kind`
//! `story` (first line), `contact` (in order of their end) or `tracker`.
//! Times are milliseconds since 1970 UTC. The addresses in it are all of
//! 127.0.0.0/8: there is nobody behind them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::behaviour::Behaviour;
use super::plan::Plan;
use super::tracker::{TrackerCounts, TrackerMode};
use crate::model::{Direction, PieceCount, Reason, Timestamp, Torrent};

/// How a contact ended, seen from the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The analyzer closed in order; on Linux this also says that it had
    /// read everything.
    TheyClosed,
    /// The analyzer reset the connection (closed with bytes unread).
    TheyReset,
    /// The party closed in order.
    WeClosed,
    /// The party reset the connection.
    WeReset,
    /// The lab's own limit for one connection was reached.
    Deadline,
    /// The lab was stopped.
    Stopped,
    /// A caller could not connect.
    NotConnected,
}

impl End {
    /// The word in the truth file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TheyClosed => "they-closed",
            Self::TheyReset => "they-reset",
            Self::WeClosed => "we-closed",
            Self::WeReset => "we-reset",
            Self::Deadline => "deadline",
            Self::Stopped => "stopped",
            Self::NotConnected => "not-connected",
        }
    }
}

/// One connection between the analyzer and a party of the lab. Refused calls
/// leave no contact: the system answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// When it was accepted, or when the caller began to connect.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Seen from the analyzer: `Outgoing` to peers, `Incoming` from callers.
    pub direction: Direction,
    /// Index among the plan's peers or callers.
    pub party: usize,
    /// Where the peer listens, or where the caller calls from.
    pub address: SocketAddr,
    /// Index of the torrent.
    pub torrent: usize,
    /// The plan's behaviour.
    pub behaviour: Behaviour,
    /// Contacts of this party before.
    pub visit: u32,
    /// Whether both handshakes were done.
    pub handshake: bool,
    /// Distinct pieces told in the messages that the analyzer reads
    /// (`message_limit`); `None` when nothing was told about pieces.
    pub told: Option<u32>,
    /// Messages sent.
    pub messages: u32,
    /// The fault that was shown.
    pub fault: Option<Reason>,
    /// Whether everything there was to tell was sent.
    pub finished: bool,
    /// How it ended.
    pub end: End,
}

/// Switches of an analyzer that change what a contact counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What was told before a failure counts (`visit.keep_partial`).
    pub keep_partial: bool,
    /// Wrong bitfields and haves are overlooked (`visit.ignore_malformed`).
    pub ignore_malformed: bool,
    /// Complete peers are let go at once (`visit.finish_when_complete`).
    pub finish_when_complete: bool,
}

impl Rules {
    /// The corrected method.
    pub const CORRECTED: Self = Self {
        keep_partial: true,
        ignore_malformed: false,
        finish_when_complete: true,
    };
}

/// What a correct analyzer makes of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A successful visit with so many pieces.
    Counts(PieceCount),
    /// A failure for this reason.
    Fails(Reason),
    /// Broken off by the analyzer or by the end of the lab before anything
    /// was decided: it may count or not.
    Open,
}

impl Contact {
    /// What a correct analyzer with these rules makes of it. `total` is the
    /// torrent's piece count, `limit` the messages it reads in a visit.
    pub fn expected(&self, rules: Rules, total: u32, limit: u32) -> Expected {
        let told = PieceCount(self.told.unwrap_or(0));
        let decided = self.finished || self.messages >= limit;
        let malformed = matches!(
            self.fault,
            Some(
                Reason::BitfieldLength
                    | Reason::SpareBits
                    | Reason::HaveOutOfRange
                    | Reason::PayloadLength
            )
        );
        if self.handshake && rules.finish_when_complete && told.0 == total {
            return Expected::Counts(told);
        }
        if matches!(self.end, End::Stopped | End::NotConnected) {
            return Expected::Open;
        }
        match self.fault {
            Some(reason) if !self.handshake => Expected::Fails(reason),
            Some(_) if malformed && rules.ignore_malformed => Expected::Counts(told),
            Some(_) if rules.keep_partial && self.told.is_some() => Expected::Counts(told),
            Some(reason) => Expected::Fails(reason),
            None if self.handshake && decided => Expected::Counts(told),
            None => Expected::Open,
        }
    }

    fn json(&self) -> Value {
        json!({
            "kind": "contact",
            "started": self.started.millis(),
            "ended": self.ended.millis(),
            "direction": self.direction.as_str(),
            "party": self.party,
            "address": self.address.to_string(),
            "torrent": self.torrent + 1,
            "behaviour": self.behaviour.as_str(),
            "visit": self.visit,
            "handshake": self.handshake,
            "told": self.told,
            "messages": self.messages,
            "fault": self.fault.map(Reason::label),
            "finished": self.finished,
            "end": self.end.as_str(),
        })
    }
}

/// What is true of one torrent, given the contacts that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorrentTruth {
    /// Called peers that count, by (address, port).
    pub peers: u64,
    /// Callers that count, by address.
    pub callers: u64,
    /// Contacts that count, of called peers.
    pub peer_visits: u64,
    /// Contacts that count, of callers.
    pub caller_visits: u64,
    /// Confirmed downloads: first told below the threshold, last told not.
    pub confirmed: u64,
    /// Failed contacts by reason.
    pub failures: BTreeMap<Reason, u64>,
    /// Contacts that were left open.
    pub open: u64,
}

/// Everything that happened in one story.
#[derive(Debug, Clone)]
pub struct Truth {
    /// What was to happen.
    pub plan: Plan,
    /// When the story began.
    pub started: Timestamp,
    /// Every contact, in order of its end.
    pub contacts: Vec<Contact>,
    /// What each tracker was asked for each torrent (by index).
    pub trackers: BTreeMap<(usize, TrackerMode), TrackerCounts>,
}

/// First and last count of one identity.
struct Seen {
    torrent: usize,
    first: PieceCount,
    last: PieceCount,
}

impl Truth {
    /// Adds up the contacts, one entry a torrent. `threshold` is the share of
    /// pieces from which on a peer counts as having the torrent.
    ///
    /// Callers whose address was evaluated before by the analyzer's own call
    /// for the same torrent are failures ([`Reason::AlreadyInOutgoing`]).
    pub fn of_torrents(&self, rules: Rules, threshold: f64) -> Vec<TorrentTruth> {
        let mut torrents = vec![TorrentTruth::default(); self.plan.torrents.len()];
        let mut called: HashMap<(SocketAddr, usize), Seen> = HashMap::new();
        let mut callers: HashMap<(SocketAddr, usize), Seen> = HashMap::new();
        let mut taken: HashMap<(std::net::IpAddr, usize), Timestamp> = HashMap::new();
        for contact in &self.contacts {
            let Some(torrent) = torrents.get_mut(contact.torrent) else {
                continue;
            };
            let pieces = match self.expected(contact, rules) {
                Expected::Counts(pieces) => pieces,
                Expected::Fails(reason) => {
                    *torrent.failures.entry(reason).or_default() += 1;
                    continue;
                }
                Expected::Open => {
                    torrent.open += 1;
                    continue;
                }
            };
            let place = (contact.address.ip(), contact.torrent);
            let (identities, address) = match contact.direction {
                Direction::Outgoing => {
                    taken.entry(place).or_insert(contact.ended);
                    torrent.peer_visits += 1;
                    (&mut called, contact.address)
                }
                Direction::Incoming if taken.contains_key(&place) => {
                    let reason = Reason::AlreadyInOutgoing;
                    *torrent.failures.entry(reason).or_default() += 1;
                    continue;
                }
                Direction::Incoming => {
                    torrent.caller_visits += 1;
                    let address = SocketAddr::new(contact.address.ip(), 0);
                    (&mut callers, address)
                }
            };
            identities
                .entry((address, contact.torrent))
                .and_modify(|seen| seen.last = pieces)
                .or_insert(Seen {
                    torrent: contact.torrent,
                    first: pieces,
                    last: pieces,
                });
        }
        for seen in called.values() {
            self.add(&mut torrents, seen, threshold, |torrent| &mut torrent.peers);
        }
        for seen in callers.values() {
            self.add(&mut torrents, seen, threshold, |torrent| {
                &mut torrent.callers
            });
        }
        torrents
    }

    fn add(
        &self,
        torrents: &mut [TorrentTruth],
        seen: &Seen,
        threshold: f64,
        count: impl Fn(&mut TorrentTruth) -> &mut u64,
    ) {
        let total = self.total(seen.torrent);
        let enough = Torrent::threshold_of(PieceCount(total), threshold);
        if let Some(torrent) = torrents.get_mut(seen.torrent) {
            *count(torrent) += 1;
            if seen.first < enough && seen.last >= enough {
                torrent.confirmed += 1;
            }
        }
    }

    /// Distinct addresses that the trackers named for the torrent at `index`,
    /// the analyzer's own left out: what `received_peers - duplicate_peers`
    /// must add up to.
    pub fn addresses_named(&self, index: usize) -> usize {
        let of_torrent = self.trackers.iter().filter(|((it, _), _)| *it == index);
        let named: BTreeSet<_> = of_torrent.flat_map(|(_, it)| &it.addresses).collect();
        named.len()
    }

    /// What a correct analyzer with these rules makes of `contact`.
    pub fn expected(&self, contact: &Contact, rules: Rules) -> Expected {
        let total = self.total(contact.torrent);
        contact.expected(rules, total, self.plan.options.message_limit)
    }

    fn total(&self, torrent: usize) -> u32 {
        self.plan.torrents.get(torrent).map_or(0, |it| it.pieces)
    }

    /// Writes everything as JSON Lines.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let torrents: Vec<Value> = self
            .plan
            .torrents
            .iter()
            .map(|it| {
                json!({
                    "name": it.name,
                    "info_hash": it.info_hash.to_string(),
                    "pieces": it.pieces,
                    "piece_length": it.piece_length,
                })
            })
            .collect();
        let story = json!({
            "kind": "story",
            "seed": self.plan.options.seed,
            "started": self.started.millis(),
            "message_limit": self.plan.options.message_limit,
            "peers": self.plan.peers.len(),
            "callers": self.plan.callers.len(),
            "torrents": torrents,
        });
        writeln!(to, "{story}")?;
        for contact in &self.contacts {
            writeln!(to, "{}", contact.json())?;
        }
        for ((torrent, mode), counts) in &self.trackers {
            writeln!(to, "{}", counts.json(*torrent, *mode))?;
        }
        to.flush()
    }
}

#[cfg(test)]
mod tests;
