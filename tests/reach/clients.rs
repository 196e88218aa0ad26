//! The clients of the swarm, and how each is to be met.

use super::common::libtorrent::Role;

/// How a client is to be met.
pub(crate) struct Expected {
    /// What it is, for the table.
    pub(crate) what: &'static str,
    pub(crate) transport: &'static str,
    /// `None` is that of who calls: it takes all.
    pub(crate) encryption: Option<&'static str>,
    pub(crate) known: Known,
}

/// How btda learns of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// From a tracker, or by its call.
    Tracker,
    /// From another peer.
    Exchange,
    /// Only by its call.
    Call,
}

pub(crate) const fn expected(what: &'static str, transport: &'static str) -> Expected {
    Expected {
        what,
        transport,
        encryption: Some("plain"),
        known: Known::Tracker,
    }
}

/// In the order in which they are started.
pub(crate) const EXPECTED: [Expected; 10] = [
    Expected {
        encryption: None,
        ..expected("plain TCP", "tcp")
    },
    expected("plain TCP, finishes while connected", "tcp"),
    Expected {
        encryption: Some("rc4"),
        ..expected("encryption forced, RC4 only", "tcp")
    },
    Expected {
        encryption: Some("mse-plain"),
        ..expected("encryption forced, plaintext only", "tcp")
    },
    Expected {
        encryption: Some("rc4"),
        ..expected("encryption required", "tcp")
    },
    expected("uTP only", "utp"),
    expected("IPv6 only", "tcp"),
    expected("uTP and IPv6 only", "utp"),
    Expected {
        known: Known::Exchange,
        ..expected("known only to another peer", "tcp")
    },
    Expected {
        known: Known::Call,
        ..expected("behind address translation", "tcp")
    },
];

/// Places of some of them.
pub(crate) const PLAIN_TCP: usize = 0;
pub(crate) const FINISHES_IN_COMPANY: usize = 1;
pub(crate) const OVER_IPV6: [usize; 2] = [6, 7];

pub(crate) const IN_THE_CLEAR: Role = Role {
    encryption: "none",
    transport: "tcp",
    ..Role::LEECHER
};
/// Names its peers, and finishes only in the company of btda.
pub(crate) const COMPANY: Role = Role {
    name: "libtorrent-company",
    fingerprint: "-LO2080-",
    exchange: true,
    company: &["10.77.0.1"],
    ..IN_THE_CLEAR
};
pub(crate) const RC4: Role = Role {
    name: "libtorrent-rc4",
    fingerprint: "-LR2080-",
    encryption: "rc4",
    ..IN_THE_CLEAR
};
pub(crate) const PLAINTEXT: Role = Role {
    name: "libtorrent-plaintext",
    fingerprint: "-LP2080-",
    encryption: "plaintext",
    ..IN_THE_CLEAR
};
pub(crate) const UTP: Role = Role {
    name: "libtorrent-utp",
    fingerprint: "-LU2080-",
    transport: "utp",
    ..IN_THE_CLEAR
};
pub(crate) const IPV6: Role = Role {
    name: "libtorrent-ipv6",
    fingerprint: "-L62080-",
    ..IN_THE_CLEAR
};
pub(crate) const UTP_IPV6: Role = Role {
    name: "libtorrent-utp-ipv6",
    fingerprint: "-L72080-",
    transport: "utp",
    ..IN_THE_CLEAR
};
pub(crate) const EXCHANGED: Role = Role {
    name: "libtorrent-exchanged",
    fingerprint: "-LX2080-",
    ..IN_THE_CLEAR
};
pub(crate) const TRANSLATED: Role = Role {
    name: "libtorrent-translated",
    fingerprint: "-LN2080-",
    ..IN_THE_CLEAR
};

/// How btda is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switches {
    Both,
    Called,
    Calling,
}

impl Switches {
    pub(crate) const fn argument(self) -> &'static str {
        match self {
            Self::Both => "-ap",
            Self::Called => "-p",
            Self::Calling => "-a",
        }
    }

    pub(crate) const fn calls(self) -> bool {
        !matches!(self, Self::Called)
    }

    pub(crate) const fn is_called(self) -> bool {
        !matches!(self, Self::Calling)
    }

    /// Whether such a run is sure to meet a client that is `known` so.
    pub(crate) fn meets(self, known: Known) -> bool {
        match known {
            Known::Tracker => true,
            Known::Exchange => self.calls(),
            Known::Call => self.is_called(),
        }
    }

    /// Whether it is sure to confirm it, which takes a visit below the
    /// threshold and one behind it.
    pub(crate) fn confirms(self, known: Known) -> bool {
        self.meets(known) && self.calls()
    }
}
