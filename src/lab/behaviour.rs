//! What a peer or caller of the lab does, and what that must lead to.
//!
//! The plan gives each party one behaviour; `peer` acts it out; the truth
//! file names it. Each variant says what a correct analyzer makes of the
//! contact: *counts* (with the pieces told) or *fails* (with the
//! [`Reason`] of the error file). The variants with well-formed messages
//! before the fault count with what was told before it.

use crate::model::Reason;

/// One way to behave on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behaviour {
    /// A bitfield, or nothing while there is no piece. Counts.
    Bitfield,
    /// A bitfield with holes, the missing pieces as haves. Counts.
    LazyBitfield,
    /// A have for every piece and no bitfield. Counts.
    HavesOnly,
    /// A bitfield, then haves for pieces it already had. Counts.
    RedundantHaves,
    /// Have all, have none (BEP 6) where the analyzer knows them and they
    /// fit, else a bitfield. Counts.
    HaveAllNone,
    /// A bitfield, then haves as pieces arrive while connected. Counts.
    LiveHaves,
    /// Has everything from the start: a bitfield. Counts.
    Seed,
    /// Unknown ids, state messages, `port`, a request and
    /// a keep-alive behind the bitfield. Counts.
    Chatty,
    /// Keep-alives, then quiet. Counts, with no piece.
    KeepAlives,
    /// A bitfield, with half the pieces gone on every second visit. Counts.
    Fluctuates,
    /// Loads nothing but while somebody stays: from its second contact on, a
    /// bitfield and then the pieces that were missing as haves. Counts.
    Finishes,
    /// Refuses calls in the first fifth of the story, then as `Bitfield`:
    /// fails with [`Reason::REFUSED`], later counts.
    RefusesFirst,
    /// Closes the first contact at once, then as `Bitfield`: fails with
    /// [`Reason::Closed`], later counts.
    ClosesFirst,
    /// Nobody listens: fails with [`Reason::REFUSED`]. Peers only.
    Refuses,
    /// Accepts and says nothing: fails with [`Reason::TimedOut`].
    Silent,
    /// Thirty bytes of a handshake, then silence: fails with
    /// [`Reason::TimedOut`].
    HalfHandshake,
    /// The handshake byte by byte, half a second each: fails with
    /// [`Reason::TimedOut`].
    DripsHandshake,
    /// Bytes that are no handshake: fails with [`Reason::UnknownProtocol`].
    Garbage,
    /// A TLS client hello: fails with [`Reason::UnknownProtocol`].
    TlsHello,
    /// Closes without a byte: fails with [`Reason::Closed`].
    ClosesAtOnce,
    /// Closes right after the handshakes: fails with [`Reason::Closed`].
    ClosesAfterHandshake,
    /// Resets the connection before its handshake: fails with
    /// [`Reason::RESET`].
    Resets,
    /// A handshake for another torrent: fails with
    /// [`Reason::InfoHashMismatch`]; a caller with [`Reason::UnknownInfoHash`].
    WrongInfoHash,
    /// A bitfield that is a byte too long: fails with
    /// [`Reason::BitfieldLength`].
    BadBitfieldLength,
    /// A bitfield with a bit behind the last piece (where the torrent leaves
    /// one, else as `BadBitfieldLength`): fails with [`Reason::SpareBits`].
    SpareBits,
    /// A bitfield, then a have for a piece that does not exist
    /// ([`Reason::HaveOutOfRange`]). Counts.
    HaveOutOfRange,
    /// A bitfield, then a have of three bytes ([`Reason::PayloadLength`]).
    /// Counts.
    HaveBadPayload,
    /// Length prefix 0xFFFFFFFF and silence: fails with
    /// [`Reason::MessageTooLong`].
    HugeLengthSilent,
    /// A bitfield, then length prefix 0xFFFFFFFF with a flood behind it
    /// ([`Reason::MessageTooLong`]). Counts.
    HugeLengthFlood,
    /// A bitfield, then a message byte by byte, half a second each. Counts.
    DripsMessage,
    /// A bitfield, then a `piece` message ([`Reason::PieceReceived`]).
    /// Counts.
    SendsPiece,
}

impl Behaviour {
    /// Every behaviour, in the order of their declaration.
    pub const ALL: [Self; 31] = [
        Self::Bitfield,
        Self::LazyBitfield,
        Self::HavesOnly,
        Self::RedundantHaves,
        Self::HaveAllNone,
        Self::LiveHaves,
        Self::Seed,
        Self::Chatty,
        Self::KeepAlives,
        Self::Fluctuates,
        Self::Finishes,
        Self::RefusesFirst,
        Self::ClosesFirst,
        Self::Refuses,
        Self::Silent,
        Self::HalfHandshake,
        Self::DripsHandshake,
        Self::Garbage,
        Self::TlsHello,
        Self::ClosesAtOnce,
        Self::ClosesAfterHandshake,
        Self::Resets,
        Self::WrongInfoHash,
        Self::BadBitfieldLength,
        Self::SpareBits,
        Self::HaveOutOfRange,
        Self::HaveBadPayload,
        Self::HugeLengthSilent,
        Self::HugeLengthFlood,
        Self::DripsMessage,
        Self::SendsPiece,
    ];

    /// The word in options and in the truth file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bitfield => "bitfield",
            Self::LazyBitfield => "lazy-bitfield",
            Self::HavesOnly => "haves-only",
            Self::RedundantHaves => "redundant-haves",
            Self::HaveAllNone => "have-all-none",
            Self::LiveHaves => "live-haves",
            Self::Seed => "seed",
            Self::Chatty => "chatty",
            Self::KeepAlives => "keep-alives",
            Self::Fluctuates => "fluctuates",
            Self::Finishes => "finishes",
            Self::RefusesFirst => "refuses-first",
            Self::ClosesFirst => "closes-first",
            Self::Refuses => "refuses",
            Self::Silent => "silent",
            Self::HalfHandshake => "half-handshake",
            Self::DripsHandshake => "drips-handshake",
            Self::Garbage => "garbage",
            Self::TlsHello => "tls-hello",
            Self::ClosesAtOnce => "closes-at-once",
            Self::ClosesAfterHandshake => "closes-after-handshake",
            Self::Resets => "resets",
            Self::WrongInfoHash => "wrong-info-hash",
            Self::BadBitfieldLength => "bad-bitfield-length",
            Self::SpareBits => "spare-bits",
            Self::HaveOutOfRange => "have-out-of-range",
            Self::HaveBadPayload => "have-bad-payload",
            Self::HugeLengthSilent => "huge-length-silent",
            Self::HugeLengthFlood => "huge-length-flood",
            Self::DripsMessage => "drips-message",
            Self::SendsPiece => "sends-piece",
        }
    }

    /// The behaviour of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// Whether it only makes sense where somebody calls.
    pub const fn is_for_peers_only(self) -> bool {
        matches!(self, Self::Refuses | Self::RefusesFirst)
    }

    /// The reason of a contact that never gets to messages; `None` when both
    /// handshakes are done.
    pub const fn fails_before_messages(self) -> Option<Reason> {
        match self {
            Self::Refuses => Some(Reason::REFUSED),
            Self::Silent | Self::HalfHandshake | Self::DripsHandshake => Some(Reason::TimedOut),
            Self::Garbage | Self::TlsHello => Some(Reason::UnknownProtocol),
            Self::ClosesAtOnce => Some(Reason::Closed),
            Self::Resets => Some(Reason::RESET),
            Self::WrongInfoHash => Some(Reason::InfoHashMismatch),
            _ => None,
        }
    }

    /// Whether all of its contacts count, none of them floods, and what it has
    /// does not depend on who is there.
    pub const fn is_steady(self) -> bool {
        self.counts()
            && !matches!(
                self,
                Self::RefusesFirst | Self::ClosesFirst | Self::HugeLengthFlood | Self::Finishes
            )
    }

    /// Whether its contacts count for a correct analyzer (for the two that
    /// fail first: the later ones).
    pub const fn counts(self) -> bool {
        self.fails_before_messages().is_none()
            && !matches!(
                self,
                Self::ClosesAfterHandshake
                    | Self::BadBitfieldLength
                    | Self::SpareBits
                    | Self::HugeLengthSilent
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_come_back() {
        for (index, behaviour) in Behaviour::ALL.into_iter().enumerate() {
            assert_eq!(behaviour as usize, index);
            assert_eq!(Behaviour::named(behaviour.as_str()), Some(behaviour));
        }
        assert_eq!(Behaviour::named("nothing"), None);
    }
}
