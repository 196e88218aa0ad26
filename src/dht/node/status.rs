//! What a node says about itself.

use super::id::NodeId;

/// Counters and sizes of one address family since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FamilyStatus {
    /// Our id, once the thread runs.
    pub id: Option<NodeId>,
    /// Nodes in the routing table that are good (BEP 5).
    pub nodes_good: usize,
    /// Nodes in the routing table.
    pub nodes_known: usize,
    /// Look-ups under way, without those for the routing table.
    pub lookups: usize,
    /// Torrents for which peers were announced to us.
    pub torrents: usize,
    /// We answer no queries (BEP 43).
    pub read_only: bool,
    /// The counters.
    pub counts: Counts,
}

/// Packets of one address family since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Queries that came.
    pub queries_in: u64,
    /// Queries sent.
    pub queries_out: u64,
    /// Answers that came and were waited for.
    pub replies_in: u64,
    /// Answers sent, refusals included.
    pub replies_out: u64,
    /// Errors that came in answer to our queries.
    pub errors_in: u64,
    /// Queries without an answer in time.
    pub timeouts: u64,
    /// Packets that are no KRPC.
    pub malformed: u64,
    /// Answers nobody waited for, or from another address or node than
    /// asked.
    pub unasked: u64,
    /// Queries not answered because of a limit, a wrong address, or because
    /// we are read-only.
    pub dropped: u64,
    /// Packets the system did not send.
    pub unsent: u64,
    /// Packets that came faster than we read, which the system threw away;
    /// 0 where it does not tell.
    pub overflowed: u64,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DhtStatus {
    /// IPv4, if it is used.
    pub v4: Option<FamilyStatus>,
    /// IPv6, if it is used.
    pub v6: Option<FamilyStatus>,
}

impl DhtStatus {
    /// Good nodes of both families.
    pub fn nodes_good(&self) -> usize {
        self.families().map(|family| family.nodes_good).sum()
    }

    /// Known nodes of both families.
    pub fn nodes_known(&self) -> usize {
        self.families().map(|family| family.nodes_known).sum()
    }

    /// Queries that came in either family.
    pub fn queries_in(&self) -> u64 {
        self.families().map(|family| family.counts.queries_in).sum()
    }

    /// Queries sent in either family.
    pub fn queries_out(&self) -> u64 {
        self.families()
            .map(|family| family.counts.queries_out)
            .sum()
    }

    /// Queries not answered in either family.
    pub fn dropped(&self) -> u64 {
        self.families().map(|family| family.counts.dropped).sum()
    }

    /// Packets that were no KRPC in either family.
    pub fn malformed(&self) -> u64 {
        self.families().map(|family| family.counts.malformed).sum()
    }

    /// Packets that the system threw away in either family.
    pub fn overflowed(&self) -> u64 {
        self.families().map(|family| family.counts.overflowed).sum()
    }

    /// The families in use.
    pub fn families(&self) -> impl Iterator<Item = &FamilyStatus> {
        self.v4.iter().chain(&self.v6)
    }
}
