//! Holds a finished database against the truth.
//!
//! Every contact of the lab is one of: a visit that must be stored with so
//! many pieces, a failure that must be counted for its reason, or (broken off
//! by the end of the run, or the lab itself was too slow) one of a few things
//! within known bounds. From that follows what every row of `peer` with its
//! visits must be; since no address is stored, rows and parties are matched by
//! torrent, direction, client and the pieces of all their visits. Nothing may
//! be left over on either side. Pure but for its input; runs behind the run.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

mod callers;
mod judgement;
mod magnets;
mod matching;
mod report;
mod sequence;
mod verdict;

pub use judgement::{Failures, Judgement, MagnetJudgement, TorrentJudgement};

use super::behaviour::Behaviour;
use super::plan::{Plan, PlannedParty};
use super::truth::{Contact, Expected, Rules};
use crate::config::settings::Identity;
use crate::model::{Direction, PieceCount, Reason, Timestamp, Torrent};
use callers::{blur, join};
use sequence::{Element, Sequence};

/// What the analyzer was told to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// What a contact counts for.
    pub rules: Rules,
    /// `torrent_complete_threshold`.
    pub threshold: f64,
    /// Who a caller is (`run.identity`).
    pub identity: Identity,
    /// Milliseconds until a peer is visited again (`peer_revisit_delay`).
    pub revisit: i64,
    /// Whether failed peers are visited again (`retry.enabled`).
    pub retry: bool,
    /// When the analyzer was told to end; `None` while it runs.
    pub stopped: Option<Timestamp>,
}

/// Two events on different threads less than so many milliseconds apart may
/// be seen in either order.
const MARGIN: i64 = 500;

/// Collects contacts, then judges.
#[derive(Debug)]
pub struct Judge<'a> {
    plan: &'a Plan,
    started: Timestamp,
    terms: Terms,
    peers: Vec<Vec<Seen>>,
    callers: Vec<Vec<Seen>>,
    contacts: u64,
}

/// A contact, as far as judging needs it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    visit: u32,
    started: i64,
    ended: i64,
    /// Closed because the story was over.
    over: bool,
    /// Opened by the analyzer.
    outgoing: bool,
    expected: Expected,
}

/// Who caused the failures behind the story's end.
const OVER: &str = "end of the story";

/// When a peer was evaluated by a call of the analyzer's own.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// From here on it may have been.
    from: i64,
    /// From here on it certainly was.
    since: Option<i64>,
}

/// What the contacts demand.
#[derive(Debug, Default)]
struct Demand {
    /// Sequence of each peer, then of each caller.
    sequences: Vec<Sequence>,
    /// When the first contact of each began that can have counted.
    begins: Vec<i64>,
    /// By direction (`true`: callers) and reason, with who caused it.
    failures: BTreeMap<(bool, String), BTreeMap<&'static str, u64>>,
    /// Contacts that may be failures or not, by direction.
    open: [u64; 2],
    /// Callers that were called back, and that must have been.
    called_back: (u64, u64),
    /// What the analyzer should not have done.
    findings: Vec<String>,
}

impl<'a> Judge<'a> {
    /// A judge without contacts for a story that began at `started`.
    pub fn new(plan: &'a Plan, started: Timestamp, terms: Terms) -> Self {
        Self {
            plan,
            started,
            terms,
            peers: vec![Vec::new(); plan.peers.len()],
            callers: vec![Vec::new(); plan.callers.len()],
            contacts: 0,
        }
    }

    /// Takes a contact of the story; their order does not matter. About 40
    /// bytes of it are kept.
    pub fn take(&mut self, contact: &Contact) {
        let total = self.plan.pieces_of(contact.torrent);
        let limit = self.plan.options.message_limit;
        let seen = Seen {
            visit: contact.visit,
            started: contact.started.millis(),
            ended: contact.ended.millis(),
            over: is_over(contact),
            outgoing: contact.direction == Direction::Outgoing,
            expected: self.at_the_end(contact.expected(self.terms.rules, total, limit), contact),
        };
        let parties = match contact.direction {
            Direction::Outgoing if !contact.called_back => &mut self.peers,
            _ => &mut self.callers,
        };
        if let Some(party) = parties.get_mut(contact.party) {
            party.push(seen);
            self.contacts += 1;
        }
    }

    /// What the end of the run may have broken off is open.
    fn at_the_end(&self, expected: Expected, contact: &Contact) -> Expected {
        let stopped = self.terms.stopped.map_or(i64::MAX, Timestamp::millis);
        if contact.ended.millis() < stopped - MARGIN {
            return expected;
        }
        match expected {
            Expected::Counts(pieces) | Expected::Between(_, pieces) | Expected::Open(pieces) => {
                Expected::Open(pieces)
            }
            Expected::Fails(_) | Expected::TurnedAway => Expected::Open(PieceCount(0)),
        }
    }

    fn threshold(&self, torrent: usize) -> u32 {
        let total = PieceCount(self.plan.pieces_of(torrent));
        Torrent::threshold_of(total, self.terms.threshold).0
    }

    /// What the contacts demand of a correct analyzer.
    fn demand(&mut self) -> Demand {
        let mut demand = Demand::default();
        let mut peers = std::mem::take(&mut self.peers);
        let mut callers = std::mem::take(&mut self.callers);
        for seen in peers.iter_mut().chain(&mut callers) {
            seen.sort_by_key(|seen| seen.visit);
        }
        let taken = self.taken(&peers);
        let joined = self.joined(&peers);
        for (party, seen) in self.plan.peers.iter().zip(&peers) {
            self.check_policy(party, seen, &mut demand);
            demand.add(party, seen);
        }
        if self.terms.identity == Identity::Thesis2015 {
            join(&self.plan.callers, &mut callers);
        }
        for (party, seen) in self.plan.callers.iter().zip(&mut callers) {
            let since = joined.get(party.torrent).copied().flatten();
            for seen in seen.iter_mut() {
                came_too_early(seen, since);
            }
            seen.sort_by_key(|seen| seen.ended);
            self.check_call_backs(party, seen, &mut demand);
            if let Some(taken) = taken.get(&(party.ip.into(), party.torrent)) {
                self.turn_away(party, (seen, *taken), &mut demand);
            }
            let unasked = |seen: &&Seen| seen.expected == Expected::TurnedAway;
            for seen in seen.iter().filter(unasked) {
                demand.complain("a caller was turned away without reason", party, seen);
            }
            blur(seen);
            demand.add(party, seen);
        }
        demand
    }

    fn taken(&self, peers: &[Vec<Seen>]) -> HashMap<(IpAddr, usize), Taken> {
        let mut taken = HashMap::new();
        for (party, seen) in self.plan.peers.iter().zip(peers) {
            let possible = |seen: &&Seen| !matches!(seen.expected, Expected::Fails(_));
            let certain =
                |seen: &&Seen| matches!(seen.expected, Expected::Counts(_) | Expected::Between(..));
            if let Some(first) = seen.iter().find(possible) {
                let since = seen.iter().find(certain).map(|seen| seen.ended);
                let place = (party.ip.into(), party.torrent);
                let from = first.started;
                taken.insert(place, Taken { from, since });
            }
        }
        taken
    }

    /// When the torrents of magnet links had certainly joined the run: their
    /// first visit. `None` for the others, which are there from the start.
    fn joined(&self, peers: &[Vec<Seen>]) -> Vec<Option<i64>> {
        let mut joined: Vec<Option<i64>> = self
            .plan
            .torrents
            .iter()
            .map(|torrent| torrent.magnet.as_ref().map(|_| i64::MAX))
            .collect();
        for (party, seen) in self.plan.peers.iter().zip(peers) {
            if let Some(Some(since)) = joined.get_mut(party.torrent) {
                let first = seen.iter().map(|seen| seen.started).min();
                *since = first.map_or(*since, |first| first.min(*since));
            }
        }
        joined
    }

    /// A peer that has reached the threshold is not visited again; without
    /// `retry.enabled`, neither is one that has failed.
    fn check_policy(&self, party: &PlannedParty, seen: &[Seen], demand: &mut Demand) {
        let enough = self.threshold(party.torrent);
        for (before, after) in seen.iter().zip(seen.iter().skip(1)) {
            let what = match before.expected {
                Expected::Counts(pieces) if pieces.0 >= enough => {
                    "a peer was visited again though it had reached the threshold"
                }
                Expected::Fails(_) if !self.terms.retry => {
                    "a peer was visited again though it had failed"
                }
                _ => continue,
            };
            demand.complain(what, party, after);
        }
    }
}

impl Demand {
    fn complain(&mut self, what: &str, party: &PlannedParty, seen: &Seen) {
        self.findings.push(format!(
            "{what} torrent={} behaviour={} visit={}",
            party.torrent + 1,
            party.behaviour.as_str(),
            seen.visit
        ));
    }

    fn add(&mut self, party: &PlannedParty, seen: &[Seen]) {
        let mut sequence = Sequence::default();
        let mut begin = i64::MAX;
        for seen in seen {
            let calls = !seen.outgoing;
            let element = match seen.expected {
                Expected::Counts(pieces) => Element::Exactly(pieces.0),
                Expected::Between(least, most) => Element::Between(least.0, most.0),
                Expected::Open(most) => {
                    self.open[usize::from(calls)] += 1;
                    Element::Maybe(most.0)
                }
                Expected::Fails(reason) => {
                    let label = reason.label().into_owned();
                    let causes = self.failures.entry((calls, label)).or_default();
                    let cause = if seen.over {
                        OVER
                    } else {
                        party.behaviour.as_str()
                    };
                    *causes.entry(cause).or_default() += 1;
                    continue;
                }
                Expected::TurnedAway => continue,
            };
            sequence.0.push(element);
            begin = begin.min(seen.started);
        }
        self.sequences.push(sequence);
        self.begins.push(begin);
    }
}

/// Whether the party closed because of [`Plan::curfew`].
fn is_over(contact: &Contact) -> bool {
    let first = contact.behaviour == Behaviour::ClosesFirst && contact.visit == 0;
    let own = contact.behaviour == Behaviour::ClosesAtOnce || first;
    contact.fault == Some(Reason::Closed) && !contact.handshake && !own
}

/// Who calls before the torrent of a magnet link has joined the run, some time
/// before `since`, asks for an unknown info hash.
fn came_too_early(seen: &mut Seen, since: Option<i64>) {
    let Some(since) = since else {
        return;
    };
    if seen.expected == Expected::TurnedAway {
        if seen.started < since {
            seen.expected = Expected::Fails(Reason::UnknownInfoHash);
        } else if seen.started < since.saturating_add(MARGIN) {
            seen.expected = Expected::Open(PieceCount(0));
        }
    }
}

/// What becomes of a call from the address of a peer: whoever was evaluated by
/// a call of the analyzer's own is not evaluated again as a caller, neither at
/// the handshake nor when the visit is stored. `true` when it came so late
/// that it should have been noticed at the handshake and was not.
fn turn_away(seen: &mut Seen, taken: Taken) -> bool {
    let reason = Expected::Fails(Reason::AlreadyInOutgoing);
    match seen.expected {
        Expected::TurnedAway if taken.from <= seen.ended => seen.expected = reason,
        Expected::Counts(pieces) | Expected::Between(_, pieces) => {
            let known = |then| taken.since.is_some_and(|since| since + MARGIN < then);
            if known(seen.ended) {
                seen.expected = reason;
                return known(seen.started);
            }
            if taken.from <= seen.ended {
                seen.expected = Expected::Open(pieces);
            }
        }
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests;
