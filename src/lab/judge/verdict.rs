//! The comparison itself.

use std::collections::BTreeMap;

use super::super::plan::{NamedBy, PlannedParty};
use super::super::reach::Reach;
use super::super::truth::Truth;
use super::judgement::{Judgement, TorrentJudgement};
use super::matching::{Kind, Matching, Stored, Wanted, assign};
use super::sequence::Visit;
use super::{Demand, Judge};
use crate::model::{Event, Reason, Source};
use crate::storage::{Results, StoredPeer};

/// The label of a call that the system refused.
const REFUSED: Reason = Reason::REFUSED;

impl Judge<'_> {
    /// Holds `results` against all contacts. `truth` says what trackers and
    /// DHT named, and which metadata were given.
    pub fn conclude(mut self, results: &Results, truth: &Truth) -> Judgement {
        let demand = self.demand();
        let mut judgement = Judgement {
            contacts: self.contacts,
            open: demand.open.iter().sum(),
            called_back: demand.called_back,
            memory_mb: results.memory_mb,
            threads_ended_early: number(results, "threads_ended_early"),
            ..Judgement::default()
        };
        judgement.torrents = (0..self.plan.torrents.len())
            .map(|index| self.torrent(index, results, truth))
            .collect();
        self.judge_rows(&demand, results, &mut judgement);
        self.judge_confirmed(&demand, &mut judgement);
        let itself = Self::calls_of_itself(truth);
        judge_failures(&demand, itself, results, &mut judgement);
        self.judge_magnets(results, truth, &mut judgement);
        for (index, torrent) in judgement.torrents.clone().iter().enumerate() {
            // The answer to a last announce may come too late for the run.
            let late = self.plan.options.answer_peers as u64;
            let (learnt, named) = (torrent.addresses, torrent.addresses_named);
            if learnt > named || learnt + late < named {
                let number = index + 1;
                let text = format!("torrent={number} addresses learnt={learnt} named={named}");
                judgement.findings.push(text);
            }
        }
        if judgement.threads_ended_early > 0 {
            let text = format!("threads ended early: {}", judgement.threads_ended_early);
            judgement.findings.push(text);
        }
        judgement.find("the analyzer did what it should not", &demand.findings);
        judgement
    }

    fn torrent(&self, index: usize, results: &Results, truth: &Truth) -> TorrentJudgement {
        let of_torrent = |results: &Results| {
            let hash = self.plan.torrents.get(index)?.info_hash.to_string();
            let place = results
                .torrents
                .iter()
                .position(|it| it.info_hash == hash)?;
            u32::try_from(place + 1).ok()
        };
        let id = of_torrent(results);
        let addresses = id.and_then(|id| results.addresses.get(&id));
        TorrentJudgement {
            pieces: self.plan.pieces_of(index),
            addresses: addresses.copied().unwrap_or(0),
            addresses_named: truth.addresses_named(index, self.terms.ways.ipv6) as u64,
            ..TorrentJudgement::default()
        }
    }

    /// Finds for each row its party; counts exact, wrong and missing.
    fn judge_rows(&self, demand: &Demand, results: &Results, judgement: &mut Judgement) {
        let parties = self.parties(demand);
        let visits = |peer: &StoredPeer| {
            let pieces = peer.pieces.iter().copied();
            pieces.zip(peer.links.iter().copied()).collect()
        };
        let rows: Vec<Stored> = results
            .peers
            .iter()
            .map(|peer| (self.kind_of_row(peer, results), visits(peer)))
            .collect();
        let odd: Vec<String> = results.peers.iter().filter_map(contradiction).collect();
        judgement.find("rows that contradict their visits", &odd);
        for (kind, visits) in &rows {
            let confirmed = is_confirmed(visits, self.threshold(kind.torrent));
            if let Some(judged) = judgement.torrents.get_mut(kind.torrent) {
                judged.confirmed.0 += u64::from(confirmed);
            }
        }
        let matching = assign(&parties, &rows);
        count_peers(&parties, &rows, judgement);
        count_pieces(&parties, &rows, &matching, judgement);
        self.judge_classes(demand, (&parties, &rows), &matching, judgement);
        self.judge_crossings(results, &matching, judgement);
        let rows = matching.rows().map(|row| {
            let (kind, visits) = &rows[row];
            format!("{} {visits:?}", describe(kind))
        });
        judgement.find("rows that no party explains", &rows.collect::<Vec<_>>());
        let missing = matching.parties.iter().map(|party| {
            let (kind, sequence) = &parties[*party];
            let what = self.party(*party).map(|it| (it.reach, it.behaviour));
            format!("{} {what:?} {:?}", describe(kind), sequence.0)
        });
        judgement.find("parties without their row", &missing.collect::<Vec<_>>());
    }

    /// Peers, then callers.
    pub(super) fn party(&self, index: usize) -> Option<&PlannedParty> {
        self.plan.peers.iter().chain(&self.plan.callers).nth(index)
    }

    fn parties(&self, demand: &Demand) -> Vec<Wanted> {
        let peers = self.plan.peers.iter().enumerate();
        let peers = peers.map(|(index, party)| (party, self.source_of(index, party)));
        let callers = self.plan.callers.iter();
        let callers = callers.map(|party| (party, Source::Incoming));
        peers
            .chain(callers)
            .zip(&demand.sequences)
            .map(|((party, source), sequence)| {
                let client = party.peer_id.get(..8).unwrap_or_default();
                let client = String::from_utf8_lossy(client).into_owned();
                let called = source != Source::Incoming;
                let kind = Kind {
                    torrent: party.torrent,
                    source,
                    client: Some(client),
                    exchanged: called && party.named_by == NamedBy::Pex,
                    ipv6: party.reach == Reach::Ipv6,
                };
                (kind, sequence.clone())
            })
            .collect()
    }

    /// How the peer at `index` is found. Whom trackers and DHT name never has a
    /// row; whom other peers name has the source of one of these.
    fn source_of(&self, index: usize, party: &PlannedParty) -> Source {
        let names = |other: &&PlannedParty| other.names.contains(&index);
        let teller = self.plan.peers.iter().find(names);
        match (party.named_by, teller.map(|it| it.named_by)) {
            (NamedBy::Dht, _) | (NamedBy::Pex, Some(NamedBy::Dht)) => Source::Dht,
            _ => Source::Tracker,
        }
    }

    fn kind_of_row(&self, peer: &StoredPeer, results: &Results) -> Kind {
        let hash = (peer.torrent as usize)
            .checked_sub(1)
            .and_then(|place| results.torrents.get(place))
            .map(|torrent| torrent.info_hash.as_str());
        let mut torrents = self.plan.torrents.iter();
        let torrent = torrents.position(|it| Some(it.info_hash.to_string().as_str()) == hash);
        let sources = [Source::Dht, Source::Incoming].into_iter();
        let mut sources = sources.filter(|source| source.as_str() == peer.source);
        let source = sources.next().unwrap_or(Source::Tracker);
        Kind {
            torrent: torrent.unwrap_or(usize::MAX),
            source,
            client: peer.client.clone(),
            exchanged: peer.origin.is_some(),
            ipv6: peer.ipv6,
        }
    }

    /// Confirmed downloads by the contacts, within their bounds.
    fn judge_confirmed(&self, demand: &Demand, judgement: &mut Judgement) {
        let mut bounds = vec![(0_u64, 0_u64); self.plan.torrents.len()];
        let parties = self.plan.peers.iter().chain(&self.plan.callers);
        let begins = demand.begins.iter();
        for ((party, sequence), begin) in parties.zip(&demand.sequences).zip(begins) {
            let enough = self.threshold(party.torrent);
            let (certain, possible) = sequence.confirmed(enough);
            if let Some(bounds) = bounds.get_mut(party.torrent) {
                bounds.0 += u64::from(certain);
                bounds.1 += u64::from(possible);
            }
            if let Some(judged) = judgement.torrents.get_mut(party.torrent) {
                judged.happened += u64::from(self.crossed(party, certain));
            }
            let elapsed = u64::try_from(begin - self.started.millis()).unwrap_or(0);
            let had_it = party.progress.pieces_at(elapsed) >= enough;
            judgement.false_confirmed += u64::from(certain && had_it);
        }
        let mut wrong = Vec::new();
        for (index, (torrent, (least, most))) in
            judgement.torrents.iter_mut().zip(bounds).enumerate()
        {
            let counted = torrent.confirmed.0;
            torrent.confirmed.1 = counted.clamp(least, most);
            if torrent.confirmed.1 != counted {
                let number = index + 1;
                let text = format!("torrent={number} counted={counted} true={least}..={most}");
                wrong.push(text);
            }
            judgement.false_confirmed += counted.saturating_sub(most);
        }
        judgement.find("confirmed downloads that are not the true number", &wrong);
    }
}

/// The definition of the 2015 scripts.
pub(super) fn is_confirmed(visits: &[Visit], threshold: u32) -> bool {
    match visits {
        [(first, _), .., (last, _)] => *first < threshold && *last >= threshold,
        _ => false,
    }
}

/// Peers and callers that have a row or need one.
fn count_peers(parties: &[Wanted], rows: &[Stored], judgement: &mut Judgement) {
    for (kind, _) in rows {
        if let Some(torrent) = judgement.torrents.get_mut(kind.torrent) {
            torrent.rows_of(kind.source).0 += 1;
        }
    }
    let mut possible: BTreeMap<(usize, Source), u64> = BTreeMap::new();
    for (kind, sequence) in parties {
        let place = (kind.torrent, kind.source);
        *possible.entry(place).or_default() += u64::from(!sequence.0.is_empty());
        if let Some(torrent) = judgement.torrents.get_mut(kind.torrent) {
            torrent.rows_of(kind.source).1 += u64::from(sequence.is_needed());
        }
    }
    for (index, torrent) in judgement.torrents.iter_mut().enumerate() {
        for source in [Source::Tracker, Source::Dht, Source::Incoming] {
            let most = possible.get(&(index, source)).copied().unwrap_or(0);
            let pair = torrent.rows_of(source);
            pair.1 = pair.0.clamp(pair.1, most.max(pair.1));
        }
    }
}

fn count_pieces(
    parties: &[Wanted],
    rows: &[Stored],
    matching: &Matching,
    judgement: &mut Judgement,
) {
    for (owner, (kind, visits)) in matching.owners.iter().zip(rows) {
        if let Some(torrent) = judgement.torrents.get_mut(kind.torrent) {
            let count = visits.len() as u64;
            if owner.is_none() {
                torrent.wrong += count;
            } else {
                torrent.exact += count;
            }
        }
    }
    for party in &matching.parties {
        let (kind, sequence) = &parties[*party];
        if let Some(torrent) = judgement.torrents.get_mut(kind.torrent) {
            torrent.missing += sequence.0.len() as u64;
        }
    }
}

/// `itself`: calls of the analyzer at its own listener, at most.
fn judge_failures(demand: &Demand, itself: u64, results: &Results, judgement: &mut Judgement) {
    for ((event, reason), count) in &results.outcomes {
        if reason != "success" {
            let calls = event == Event::IncomingPeer.as_str();
            let place = (calls, reason.clone());
            judgement.failures.entry(place).or_default().counted += count;
        }
    }
    for (place, causes) in &demand.failures {
        let failures = judgement.failures.entry(place.clone()).or_default();
        failures.causes.clone_from(causes);
    }
    let mut wrong = Vec::new();
    let mut open = demand.open;
    for ((calls, reason), failures) in &mut judgement.failures {
        let unseen = !*calls && *reason == REFUSED.label();
        if unseen {
            continue;
        }
        let own = *calls && *reason == Reason::UnknownInfoHash.label();
        let own = if own { itself } else { 0 };
        let open = &mut open[usize::from(*calls)];
        let surplus = failures.counted.saturating_sub(failures.certain());
        failures.broken_off = surplus.min(own + *open);
        *open -= failures.broken_off.saturating_sub(own);
        let (counted, happened) = (failures.counted, failures.happened());
        if counted != happened {
            wrong.push(format!(
                "callers={calls} {reason}: counted={counted} true={happened}"
            ));
        }
    }
    judgement.find("failed contacts that are not the true number", &wrong);
}

/// A row whose columns are not what its visits say.
fn contradiction(peer: &StoredPeer) -> Option<String> {
    let first = peer.pieces.first().copied();
    let right =
        first == Some(peer.first) && is_last(peer) && peer.pieces.len() == peer.visits as usize;
    (!right).then(|| format!("{peer:?}"))
}

/// Whether `last` is what the last visit told, or one that was not over when that
/// began: of two at a time the one counts that heard it later, which need not be
/// the one that ended later.
fn is_last(peer: &StoredPeer) -> bool {
    let Some(last) = peer.last else {
        return peer.visits <= 1;
    };
    let began = peer.spans.last().map(|(began, _)| *began);
    let beside = |place: usize| {
        let over = peer.spans.get(place).map(|(_, over)| *over);
        over.zip(began).is_some_and(|(over, began)| over >= began)
    };
    let end = peer.pieces.len();
    let mut told = peer.pieces.iter().enumerate();
    peer.visits > 1
        && told.any(|(place, pieces)| *pieces == last && (place + 1 == end || beside(place)))
}

fn describe(kind: &Kind) -> String {
    let who = match kind.source {
        Source::Tracker => "peer",
        Source::Dht => "peer of the DHT",
        Source::Incoming => "caller",
    };
    let client = kind.client.as_deref().unwrap_or("-");
    let by = if kind.exchanged {
        " named by others"
    } else {
        ""
    };
    let over = if kind.ipv6 { " over IPv6" } else { "" };
    let torrent = kind.torrent.saturating_add(1);
    format!("torrent={torrent} {who}{by}{over} client={client}")
}

fn number(results: &Results, key: &str) -> u64 {
    let text = results.facts.get(key);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
