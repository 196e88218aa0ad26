//! Which queries become records: the rules of the monitor of 2018, and one of
//! ours.
//!
//! Pure; asked on the thread `observe-write` for each query.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::dht::node::hook::{QueryEvent, QueryKind};
use crate::dht::node::id::NodeId;
use crate::model::{PeerAddress, Timestamp};

/// Senders whose ids are remembered at most.
const SENDERS_MAX: usize = 65_536;

/// How long an address keeps the id it was heard with.
const ID_KEPT: Duration = Duration::from_secs(600);

/// By how many bits a sender that looks up may be closer to the target than
/// we are: one that is closer has no reason to ask us.
const CLOSER_BITS: usize = 8;

/// Why a query is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// Neither `get_peers` nor `announce_peer`.
    OtherMethod,
    /// From a node of ours.
    Ourselves,
    /// The sender has our id, or that of the torrent.
    EqualIds,
    /// The address was heard with another id a short time ago.
    InconsistentId,
    /// A look-up by somebody much closer to the target than we are.
    CloserThanWe,
    /// An announce without a token of ours: its address may be forged.
    NoToken,
}

impl Skip {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::OtherMethod,
        Self::Ourselves,
        Self::EqualIds,
        Self::InconsistentId,
        Self::CloserThanWe,
        Self::NoToken,
    ];

    /// The word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherMethod => "skipped: other method",
            Self::Ourselves => "skipped: ourselves",
            Self::EqualIds => "skipped: equal ids",
            Self::InconsistentId => "skipped: inconsistent id",
            Self::CloserThanWe => "skipped: closer than we",
            Self::NoToken => "skipped: no valid token",
        }
    }
}

/// The rules and what they remember.
#[derive(Debug, Default)]
pub struct Rules {
    ours: Vec<NodeId>,
    ids: HashMap<PeerAddress, (NodeId, Timestamp)>,
    order: VecDeque<PeerAddress>,
}

impl Rules {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ids of all nodes of ours, which change when they learn their
    /// address (BEP 42).
    pub fn set_ours(&mut self, ids: Vec<NodeId>) {
        self.ours = ids;
    }

    /// Whether a query is recorded.
    pub fn judge(&mut self, event: &QueryEvent) -> Result<(), Skip> {
        let (target, lookup) = match &event.kind {
            QueryKind::GetPeers(hash) => (NodeId::from(*hash), true),
            QueryKind::Announce(announce) => (NodeId::from(announce.info_hash), false),
            _ => return Err(Skip::OtherMethod),
        };
        if self.ours.contains(&event.sender_id) && event.sender_id != event.our_id {
            return Err(Skip::Ourselves);
        }
        if event.sender_id == event.our_id || event.sender_id == target {
            return Err(Skip::EqualIds);
        }
        if !self.is_consistent(event) {
            return Err(Skip::InconsistentId);
        }
        let bits = |id: &NodeId| id.distance(&target).common_bits();
        if lookup && bits(&event.sender_id) >= bits(&event.our_id) + CLOSER_BITS {
            return Err(Skip::CloserThanWe);
        }
        match &event.kind {
            QueryKind::Announce(announce) if !announce.token_valid => Err(Skip::NoToken),
            _ => Ok(()),
        }
    }

    /// Whether the address keeps to its id; remembers it.
    fn is_consistent(&mut self, event: &QueryEvent) -> bool {
        let (address, at) = (event.sender, event.timestamp);
        if let Some((id, since)) = self.ids.get_mut(&address) {
            if *id == event.sender_id {
                *since = at;
                return true;
            }
            if since.plus(ID_KEPT) > at {
                return false;
            }
            *id = event.sender_id;
            *since = at;
            return true;
        }
        if self.order.len() >= SENDERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.ids.insert(address, (event.sender_id, at));
        self.order.push_back(address);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::node::hook::AnnounceEvent;
    use crate::model::InfoHash;

    const OURS: NodeId = NodeId::new([0; 20]);

    fn event(sender: NodeId, port: u8, kind: QueryKind) -> QueryEvent {
        QueryEvent {
            timestamp: Timestamp(0),
            our_id: OURS,
            sender_id: sender,
            sender: PeerAddress::from_compact([192, 0, 2, 1, 0, port]),
            read_only: false,
            version: None,
            kind,
            answered: true,
        }
    }

    fn lookup(first: u8) -> QueryKind {
        let mut hash = [0; 20];
        hash[0] = first;
        QueryKind::GetPeers(InfoHash::new(hash))
    }

    fn announce(token_valid: bool) -> QueryKind {
        QueryKind::Announce(AnnounceEvent {
            info_hash: InfoHash::new([0x55; 20]),
            port: 1,
            implied_port: false,
            name: None,
            seed: None,
            token_valid,
        })
    }

    fn id(first: u8) -> NodeId {
        let mut id = [0x77; 20];
        id[0] = first;
        NodeId::new(id)
    }

    #[test]
    fn each_rule_has_its_reason() {
        let mut rules = Rules::new();
        rules.set_ours(vec![OURS, id(9)]);
        for (sender, kind, expected) in [
            (id(1), lookup(0xff), Ok(())),
            (id(1), announce(true), Ok(())),
            (id(1), announce(false), Err(Skip::NoToken)),
            (id(1), QueryKind::Ping, Err(Skip::OtherMethod)),
            (OURS, lookup(0xff), Err(Skip::EqualIds)),
            (id(9), lookup(0xff), Err(Skip::Ourselves)),
            (NodeId::new([0x55; 20]), announce(true), Err(Skip::EqualIds)),
        ] {
            let port = sender.as_bytes()[0];
            let got = rules.judge(&event(sender, port, kind.clone()));
            assert_eq!(got, expected, "{sender} {kind:?}");
        }
    }

    #[test]
    fn eight_bits_closer_is_too_close() {
        let mut rules = Rules::new();
        // We share no bit with the target.
        for (bits, expected) in [(7, Ok(())), (8, Err(Skip::CloserThanWe))] {
            let mut sender = [0xff; 20];
            sender[0] = if bits == 7 { 0xfe } else { 0xff };
            sender[1] = 0x7f;
            let mut target = [0xff; 20];
            target[2] = 0;
            let kind = QueryKind::GetPeers(InfoHash::new(target));
            let event = event(NodeId::new(sender), bits, kind);
            assert_eq!(rules.judge(&event), expected, "{bits}");
        }
        // An announce goes to the closest, us among them.
        let announced = event(NodeId::new([0x54; 20]), 3, announce(true));
        assert_eq!(rules.judge(&announced), Ok(()));
    }

    #[test]
    fn an_address_keeps_its_id_for_a_while() {
        let mut rules = Rules::new();
        let mut at = |seconds: i64, sender| {
            let mut event = event(sender, 1, lookup(0xff));
            event.timestamp = Timestamp(seconds * 1000);
            rules.judge(&event)
        };
        assert_eq!(at(0, id(1)), Ok(()));
        assert_eq!(at(1, id(2)), Err(Skip::InconsistentId));
        assert_eq!(at(300, id(1)), Ok(()));
        assert_eq!(at(899, id(2)), Err(Skip::InconsistentId));
        assert_eq!(at(900, id(2)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut rules = Rules::new();
        for number in 0..2 * u32::try_from(SENDERS_MAX).unwrap() {
            let [a, b, c, d] = number.to_be_bytes();
            let mut event = event(id(1), 1, lookup(0xff));
            event.sender = PeerAddress::from_compact([a, b, c, d, 1, 1]);
            assert_eq!(rules.judge(&event), Ok(()));
        }
        assert_eq!(rules.ids.len(), SENDERS_MAX);
        assert_eq!(rules.order.len(), SENDERS_MAX);
    }
}
