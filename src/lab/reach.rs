//! How a party of the lab can be reached, and what it speaks.
//!
//! The thesis reached peers in one way: TCP over IPv4, in the clear, named by
//! a tracker, the DHT or their own call. The other classes are those that it
//! lost. The plan gives each party one class; the truth file names it; the
//! judge reports for each how many of its downloads were found. Pure.

use crate::model::{Encryption, Link, Transport};

/// One way to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// TCP over IPv4, in the clear.
    Tcp,
    /// TCP, with message stream encryption only, the stream in RC4.
    Rc4,
    /// TCP, with the handshake of message stream encryption only, the stream
    /// behind it in the clear.
    MsePlain,
    /// uTP only, in the clear.
    Utp,
    /// uTP only, with message stream encryption only.
    UtpRc4,
    /// IPv6 only. Peers only: all of them are at `::1`, each at its own port.
    Ipv6,
    /// Named by other peers only (BEP 11). Peers only.
    Pex,
}

impl Reach {
    /// Every class, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Tcp,
        Self::Rc4,
        Self::MsePlain,
        Self::Utp,
        Self::UtpRc4,
        Self::Ipv6,
        Self::Pex,
    ];

    /// The word in options, in the truth file and in the judgement.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Rc4 => "rc4",
            Self::MsePlain => "mse-plain",
            Self::Utp => "utp",
            Self::UtpRc4 => "utp-rc4",
            Self::Ipv6 => "ipv6",
            Self::Pex => "pex",
        }
    }

    /// The class of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// Whether it only makes sense where somebody calls.
    pub const fn is_for_peers_only(self) -> bool {
        matches!(self, Self::Ipv6 | Self::Pex)
    }

    /// What contacts with it go over.
    pub const fn link(self) -> Link {
        let transport = match self {
            Self::Utp | Self::UtpRc4 => Transport::Utp,
            Self::Tcp | Self::Rc4 | Self::MsePlain | Self::Ipv6 | Self::Pex => Transport::Tcp,
        };
        let encryption = match self {
            Self::Rc4 | Self::UtpRc4 => Encryption::Rc4,
            Self::MsePlain => Encryption::MsePlain,
            Self::Tcp | Self::Utp | Self::Ipv6 | Self::Pex => Encryption::Plain,
        };
        Link {
            transport,
            encryption,
        }
    }

    /// Whether it closes on whoever speaks in the clear.
    pub const fn is_encrypted(self) -> bool {
        !matches!(self.link().encryption, Encryption::Plain)
    }

    /// Whether nobody listens over TCP where it is.
    pub const fn is_over_utp(self) -> bool {
        matches!(self.link().transport, Transport::Utp)
    }

    /// Weights of a swarm in which every class occurs.
    pub fn usual_shares() -> Vec<(Self, u32)> {
        let weight = |reach| match reach {
            Self::Tcp => 70,
            _ => 5,
        };
        Self::ALL.into_iter().map(|it| (it, weight(it))).collect()
    }

    /// What the thesis knew.
    pub fn only_tcp() -> Vec<(Self, u32)> {
        vec![(Self::Tcp, 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_come_back() {
        for (index, reach) in Reach::ALL.into_iter().enumerate() {
            assert_eq!(reach as usize, index);
            assert_eq!(Reach::named(reach.as_str()), Some(reach));
        }
        assert_eq!(Reach::named("nothing"), None);
    }

    #[test]
    fn what_each_class_speaks() {
        assert!(Reach::Rc4.is_encrypted() && Reach::MsePlain.is_encrypted());
        assert!(Reach::UtpRc4.is_encrypted() && Reach::UtpRc4.is_over_utp());
        assert!(Reach::Utp.is_over_utp() && !Reach::Utp.is_encrypted());
        for reach in [Reach::Tcp, Reach::Ipv6, Reach::Pex] {
            assert!(!reach.is_encrypted() && !reach.is_over_utp());
        }
    }
}
