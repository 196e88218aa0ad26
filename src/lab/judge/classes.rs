//! What was found of each class of parties: by how they are reached, and
//! whether they behave. Pure.

use super::super::behaviour::Behaviour;
use super::super::plan::PlannedParty;
use super::super::reach::Reach;
use super::judgement::{ClassJudgement, Judgement};
use super::matching::{Matching, Stored, Wanted};
use super::verdict::is_confirmed;
use super::{Demand, Judge};

/// Classes of those who can be called, in the order of the judgement.
const PEERS: [&str; 9] = [
    "tcp",
    "rc4",
    "mse-plain",
    "utp",
    "utp-rc4",
    "ipv6",
    "pex",
    "finishes",
    "faulty",
];

/// Classes of those who call.
const CALLERS: [&str; 7] = [
    "caller",
    "caller-rc4",
    "caller-mse-plain",
    "caller-utp",
    "caller-utp-rc4",
    "caller-nat",
    "caller-faulty",
];

/// The class of a party. Who only loads while somebody stays has one of its
/// own, whoever shows a fault or refuses another one, and so have callers of
/// whom several are behind one address.
fn class_of(party: &PlannedParty, calls: bool) -> &'static str {
    let steady = party.behaviour.is_steady();
    let finishes = party.behaviour == Behaviour::Finishes;
    match (calls, party.reach) {
        (false, _) if finishes => "finishes",
        (false, _) if !steady => "faulty",
        (false, reach) => reach.as_str(),
        (true, _) if party.is_translated() => "caller-nat",
        (true, _) if !steady && !finishes => "caller-faulty",
        (true, Reach::Rc4) => "caller-rc4",
        (true, Reach::MsePlain) => "caller-mse-plain",
        (true, Reach::Utp) => "caller-utp",
        (true, Reach::UtpRc4) => "caller-utp-rc4",
        (true, Reach::Tcp | Reach::Ipv6 | Reach::Pex) => "caller",
    }
}

impl Judge<'_> {
    /// Adds what was found of each class; `parties` and `rows` as they were
    /// matched.
    pub(super) fn judge_classes(
        &self,
        demand: &Demand,
        (parties, rows): (&[Wanted], &[Stored]),
        matching: &Matching,
        judgement: &mut Judgement,
    ) {
        let names = PEERS.into_iter().chain(CALLERS);
        let mut classes: Vec<(ClassJudgement, u64)> =
            names.map(|class| (ClassJudgement::new(class), 0)).collect();
        let planned = self.plan.peers.iter().map(|party| (party, false));
        let planned = planned.chain(self.plan.callers.iter().map(|party| (party, true)));
        let planned: Vec<(&PlannedParty, bool)> = planned.collect();
        let place = |party: usize| {
            let (party, calls) = planned.get(party)?;
            let name = class_of(party, *calls);
            PEERS
                .into_iter()
                .chain(CALLERS)
                .position(|class| class == name)
        };
        for (index, (party, _)) in planned.iter().enumerate() {
            let sequence = demand.sequences.get(index);
            let Some((class, possible)) = place(index).and_then(|at| classes.get_mut(at)) else {
                continue;
            };
            let bounds = sequence.map(|it| it.confirmed(self.threshold(party.torrent)));
            let (certain, may) = bounds.unwrap_or_default();
            class.parties += 1;
            class.happened += u64::from(self.crossed(party, certain));
            class.confirmed.1 += u64::from(certain);
            *possible += u64::from(may);
        }
        for (owner, (kind, visits)) in matching.owners.iter().zip(rows) {
            let class = owner.and_then(place).and_then(|at| classes.get_mut(at));
            if let Some((class, _)) = class {
                let confirmed = is_confirmed(visits, self.threshold(kind.torrent));
                class.confirmed.0 += u64::from(confirmed);
                class.exact += visits.len() as u64;
            }
        }
        for party in &matching.parties {
            let length = parties.get(*party).map_or(0, |(_, it)| it.0.len());
            if let Some((class, _)) = place(*party).and_then(|at| classes.get_mut(at)) {
                class.missing += length as u64;
            }
        }
        judgement.classes = classes
            .into_iter()
            .filter(|(class, _)| class.parties > 0)
            .map(|(mut class, possible)| {
                let (counted, certain) = class.confirmed;
                class.confirmed.1 = counted.clamp(certain, possible.max(certain));
                class
            })
            .collect();
    }

    /// Whether a download of the story took place: below the threshold at its
    /// start, at or above it when the parties take part no more. Who loads
    /// only while somebody stays has done so when that was seen (`certain`).
    pub(super) fn crossed(&self, party: &PlannedParty, certain: bool) -> bool {
        let enough = self.threshold(party.torrent);
        let end = self.plan.curfew();
        match party.behaviour {
            Behaviour::Finishes => certain,
            _ => party.progress.pieces_at(0) < enough && party.progress.pieces_at(end) >= enough,
        }
    }
}
