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
mod classes;
mod crossings;
mod judgement;
mod magnets;
mod matching;
mod report;
mod sequence;
mod terms;
mod verdict;

pub use judgement::{
    ClassJudgement, CrossingJudgement, Failures, Judgement, MagnetJudgement, TorrentJudgement,
};
pub use terms::{Terms, Ways};

use super::behaviour::Behaviour;
use super::plan::{Plan, PlannedParty};
use super::reach::Reach;
use super::truth::{Contact, Expected};
use crate::config::settings::Identity;
use crate::model::{Direction, Link, PieceCount, Reason, Timestamp, Torrent, Transport};
use callers::{blur, join};
use sequence::{Element, Sequence};

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
    /// Parties (peers, then callers) that reached their threshold in a
    /// contact, and when.
    finishes: Vec<(usize, i64)>,
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
    /// No contact of its own: [`Contact::unfit`].
    unfit: bool,
    /// What it went over; `None` where that is in doubt.
    link: Option<Link>,
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
            finishes: Vec::new(),
            contacts: 0,
        }
    }

    /// Takes a contact of the story; their order does not matter. About 40
    /// bytes of it are kept.
    pub fn take(&mut self, contact: &Contact) {
        if !self.terms.ways.utp && contact.link.transport == Transport::Utp {
            // Nobody answers such a call.
            return;
        }
        let seen = Seen {
            visit: contact.visit,
            started: contact.started.millis(),
            ended: contact.ended.millis(),
            over: is_over(contact),
            outgoing: contact.direction == Direction::Outgoing,
            unfit: contact.unfit,
            link: Some(contact.link),
            expected: self.at_the_end(self.expected(contact), contact),
        };
        let (first, parties) = match contact.direction {
            Direction::Outgoing if !contact.called_back => (0, &mut self.peers),
            _ => (self.plan.peers.len(), &mut self.callers),
        };
        if let Some(party) = parties.get_mut(contact.party) {
            party.push(seen);
            self.contacts += 1;
            self.take_finish(contact, first + contact.party);
        }
    }

    /// What it must lead to, the end of the run apart.
    fn expected(&self, contact: &Contact) -> Expected {
        let total = self.plan.pieces_of(contact.torrent);
        let limit = self.plan.options.message_limit;
        let expected = contact.expected(self.terms.rules, total, limit);
        let secret = contact.reach.is_encrypted() && !contact.called_back;
        match expected {
            Expected::TurnedAway if secret && !self.terms.ways.encryption => {
                Expected::Fails(Reason::UnknownProtocol)
            }
            expected => expected,
        }
    }

    /// What the end of the run may have broken off is open.
    fn at_the_end(&self, expected: Expected, contact: &Contact) -> Expected {
        let stopped = self.terms.stopped.map_or(i64::MAX, Timestamp::millis);
        // Who was closed on tries uTP, where nobody answers.
        let tries_on = matches!(expected, Expected::Fails(_)) && self.terms.ways.utp;
        let other_way = i64::from(self.terms.rules.quiet / 2) + MARGIN;
        let margin = MARGIN + if tries_on { other_way } else { 0 };
        if contact.ended.millis() < stopped - margin {
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
            seen.sort_by_key(|seen| (seen.visit, seen.started));
            if self.terms.ways.encryption {
                join_ways(seen);
            }
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
        let here = self.plan.peers.iter().zip(peers);
        // All at one address: nobody else is there.
        for (party, seen) in here.filter(|(party, _)| party.reach != Reach::Ipv6) {
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
            sequence.0.push((element, seen.link));
            begin = begin.min(seen.started);
        }
        self.sequences.push(sequence);
        self.begins.push(begin);
    }
}

/// An analyzer that was closed on for the way in which it began tries another
/// one, in the same contact: only that is left. Where the party was slow to
/// close, the analyzer may have given up: then nothing is certain of what was
/// before, either.
fn join_ways(seen: &mut Vec<Seen>) {
    let mut contacts: Vec<Seen> = Vec::with_capacity(seen.len());
    for seen in seen.drain(..) {
        if !seen.unfit {
            contacts.push(seen);
        } else if matches!(seen.expected, Expected::Open(_)) {
            if let Some(before) = contacts.last_mut()
                && matches!(before.expected, Expected::Fails(_))
            {
                before.expected = Expected::Open(PieceCount(0));
            }
            contacts.push(seen);
        }
    }
    *seen = contacts;
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
