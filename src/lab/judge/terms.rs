//! What the judge has to know of the analyzer. Pure.

use super::super::truth::Rules;
use crate::config::settings::Identity;
use crate::model::Timestamp;

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
    /// Which ways to reach peers it knows.
    pub ways: Ways,
    /// When the analyzer was told to end; `None` while it runs.
    pub stopped: Option<Timestamp>,
}

/// Ways to reach peers that the thesis did not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Message stream encryption besides the clear (`visit.encryption`).
    pub encryption: bool,
    /// uTP besides TCP (`visit.transport`).
    pub utp: bool,
    /// IPv6 besides IPv4 (`contact.ipv6`).
    pub ipv6: bool,
}

impl Ways {
    /// All of them.
    pub const ALL: Self = Self {
        encryption: true,
        utp: true,
        ipv6: true,
    };

    /// TCP over IPv4 in the clear.
    pub const THESIS: Self = Self {
        encryption: false,
        utp: false,
        ipv6: false,
    };
}
