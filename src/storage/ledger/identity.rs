//! Who is who: which visits are of one peer. Pure.
//!
//! A contacted peer is an address with its port, for one torrent. Who a
//! caller is depends on `run.identity`; see [`Identity`].

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::config::settings::Identity;
use crate::model::record::Visit;
use crate::model::{Direction, PeerId, PeerKey};

/// The number of a peer, in order of the first visits, from 0.
pub(super) type Number = u32;

/// Whose visit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of a peer that was visited before.
    Known(Number),
    /// Of one that was not; it has the next number now.
    New,
    /// Of a caller whose address was evaluated by an outgoing visit before;
    /// in the extended way only if it tells no port and has an unknown id.
    Refused,
}

/// All peers by what tells them apart.
#[derive(Debug)]
pub(super) struct Identities {
    identity: Identity,
    /// Where peers listen: contacted ones, and callers that told a port.
    by_address: HashMap<PeerKey, Number>,
    /// Address without port, and peer id.
    by_name: HashMap<(PeerKey, PeerId), Number>,
    /// For each number in the extended way.
    traits: Vec<Traits>,
    /// 2015: callers by address without port.
    callers: HashMap<PeerKey, Number>,
    /// Addresses of contacted peers without port: a caller from there of whom
    /// nothing more is known may be one of them.
    contacted: HashSet<PeerKey>,
}

/// What is known of a peer in the extended way. All its visits are of one
/// address, whatever the port.
#[derive(Debug, Clone, Copy, Default)]
struct Traits {
    /// The name it goes by in `by_name`.
    name: Option<PeerId>,
    /// It is in `by_address`.
    listens: bool,
    /// Its address is in `contacted`.
    contacted: bool,
}

impl Identities {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            by_address: HashMap::new(),
            by_name: HashMap::new(),
            traits: Vec::new(),
            callers: HashMap::new(),
            contacted: HashSet::new(),
        }
    }

    /// Finds the peer of `visit`; `next` is the number of a new one.
    pub(super) fn find(&mut self, visit: &Visit, next: Number) -> Whose {
        match self.identity {
            Identity::Extended => self.find_extended(visit, next),
            Identity::Thesis2015 => self.find_2015(visit, next),
        }
    }

    fn find_2015(&mut self, visit: &Visit, next: Number) -> Whose {
        let caller = visit.peer.caller();
        let entry = if visit.direction == Direction::Incoming {
            if self.contacted.contains(&caller) {
                return Whose::Refused;
            }
            self.callers.entry(caller)
        } else {
            self.contacted.insert(caller);
            self.by_address.entry(visit.peer)
        };
        match entry {
            Entry::Occupied(known) => Whose::Known(*known.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(next);
                Whose::New
            }
        }
    }

    fn find_extended(&mut self, visit: &Visit, next: Number) -> Whose {
        let listens = match visit.direction {
            Direction::Outgoing => Some(visit.peer),
            Direction::Incoming => {
                let told = visit.extension.as_ref();
                let port = told.and_then(|told| told.listen_port);
                port.map(|port| visit.peer.at_port(port))
            }
        };
        let name = visit.peer_id.map(|id| (visit.peer.caller(), id));
        let here = listens.and_then(|key| self.by_address.get(&key).copied());
        let known = here.or_else(|| self.called(name?, listens.is_some()));
        let outgoing = visit.direction == Direction::Outgoing;
        let nobody = known.is_none() && listens.is_none();
        if !outgoing && nobody && self.contacted.contains(&visit.peer.caller()) {
            return Whose::Refused;
        }
        let number = known.unwrap_or(next);
        if known.is_none() {
            self.traits.push(Traits::default());
        }
        if let Some(listens) = listens.filter(|_| here.is_none()) {
            self.by_address.insert(listens, number);
        }
        if let Some(traits) = self.traits.get_mut(number as usize) {
            traits.listens |= listens.is_some();
            if outgoing && !traits.contacted {
                traits.contacted = true;
                self.contacted.insert(visit.peer.caller());
            }
        }
        if let Some(name) = name {
            self.learn(number, name);
        }
        known.map_or(Whose::New, Whose::Known)
    }

    /// Who goes by this name; not who listens elsewhere than somebody who
    /// `listens`: two ports say that two peers have the same name.
    fn called(&self, name: (PeerKey, PeerId), listens: bool) -> Option<Number> {
        let number = *self.by_name.get(&name)?;
        let traits = self.traits.get(number as usize)?;
        (!listens || !traits.listens).then_some(number)
    }

    /// Keeps the latest name of each peer: some clients have another in every
    /// connection.
    fn learn(&mut self, number: Number, name: (PeerKey, PeerId)) {
        let Some(traits) = self.traits.get_mut(number as usize) else {
            return;
        };
        let (caller, id) = name;
        let former = traits.name.replace(id).filter(|former| *former != id);
        let former = former.map(|former| (caller, former));
        if let Some(former) = former.filter(|it| self.by_name.get(it) == Some(&number)) {
            self.by_name.remove(&former);
        }
        self.by_name.entry(name).or_insert(number);
    }
}

#[cfg(test)]
mod tests;
