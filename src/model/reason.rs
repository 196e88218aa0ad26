//! Why contacts fail and how visits end: the measured outcomes.

use std::borrow::Cow;

/// First column of the peer error file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// We called a peer that has no row yet.
    FirstContact,
    /// We called a peer that has a row.
    LaterContact,
    /// A peer called us.
    IncomingPeer,
}

impl Event {
    /// The wording of 2015.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstContact => "First contact",
            Self::LaterContact => "Later contact",
            Self::IncomingPeer => "Incoming peer",
        }
    }
}

/// Why a contact gave no evaluation, or was cut short.
///
/// [`Reason::label`] is the text of the error file: the wording of 2015 where
/// the meaning is the same, never with a comma, quote or line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No connection, no handshake or no room to write within the timeout.
    TimedOut,
    /// Any other error of the operating system, by number (`errno`).
    Os(i32),
    /// The peer closed before it told anything.
    Closed,
    /// The first bytes are the handshake neither of BEP 3 nor of MSE.
    UnknownProtocol,
    /// The handshake of MSE went wrong behind the key exchange.
    Encryption,
    /// A caller speaks in the clear, which `visit.encryption` forbids.
    NotEncrypted,
    /// A peer that we called answered for another torrent.
    InfoHashMismatch,
    /// A caller wants a torrent that is not measured.
    UnknownInfoHash,
    /// A caller's address was already evaluated for the torrent by our own
    /// call: not stored, so that nobody is counted twice.
    AlreadyInOutgoing,
    /// An address that a tracker or the DHT named is that of a caller who has
    /// a row already (BEP 10, `p`): not one peer more.
    AlreadyInIncoming,
    /// The peer is ourselves, known by our own peer id.
    OwnAddress,
    /// The address is loopback, private or otherwise reserved
    /// (`contact.allow_private`): never contacted.
    ReservedAddress,
    /// The address is on the opt-out list: never contacted, and a caller from
    /// there is turned away.
    OptedOut,
    /// The bitfield does not have `ceil(pieces / 8)` bytes.
    BitfieldLength,
    /// The bitfield has a bit set behind the last piece.
    SpareBits,
    /// A have names a piece that the torrent does not have.
    HaveOutOfRange,
    /// A message of fixed size came with another size.
    PayloadLength,
    /// A length prefix is over the limit.
    MessageTooLong,
    /// The peer sent payload, which was never asked for.
    PieceReceived,
    /// The whole-visit budget ran out before the peer told its progress.
    BudgetSpent,
    /// Turned away: as many callers as configured are being evaluated.
    TooManyCallers,
    /// Turned away: as many callers as configured from that address.
    TooManyFromAddress,
    /// Turned away: no thread could be started for the caller.
    NoThread,
    /// A defect of ours ended the visit (the thread panicked); counted so
    /// that no contact disappears.
    Aborted,
}

impl Reason {
    /// `ECONNREFUSED`.
    pub const REFUSED: Self = Self::Os(111);
    /// `ECONNRESET`.
    pub const RESET: Self = Self::Os(104);
    /// `EPIPE`.
    pub const BROKEN_PIPE: Self = Self::Os(32);

    /// The text in error files and tables.
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TimedOut => "timed out",
            Self::Os(number) => return Self::os_label(number),
            Self::Closed => "Socket connection broken",
            Self::UnknownProtocol => "Peer speaks unknown protocol",
            Self::Encryption => "Encrypted handshake failed",
            Self::NotEncrypted => "Caller without encryption",
            Self::InfoHashMismatch => "Mismatch on received info hash",
            Self::UnknownInfoHash => "Unknown info hash",
            Self::AlreadyInOutgoing => "Already in outgoing",
            Self::AlreadyInIncoming => "Already in incoming",
            Self::OwnAddress => "Own address",
            Self::ReservedAddress => "Reserved address",
            Self::OptedOut => "Opted out",
            Self::BitfieldLength => "Bitfield of wrong length",
            Self::SpareBits => "Bitfield with spare bits set",
            Self::HaveOutOfRange => "Have message out of range",
            Self::PayloadLength => "Message with wrong payload length",
            Self::MessageTooLong => "Message longer than the limit",
            Self::PieceReceived => "Piece received unasked",
            Self::BudgetSpent => "Visit budget spent",
            Self::TooManyCallers => "Too many callers",
            Self::TooManyFromAddress => "Too many callers from one address",
            Self::NoThread => "No thread for caller",
            Self::Aborted => "Visit aborted by a defect",
        })
    }

    fn os_label(number: i32) -> Cow<'static, str> {
        let system = std::io::Error::from_raw_os_error(number).to_string();
        let text = system
            .rsplit_once(" (os error")
            .map_or(system.as_str(), |(text, _)| text);
        let text: String = text
            .chars()
            .filter(|c| !matches!(c, ',' | '"' | '\n' | '\r'))
            .collect();
        Cow::Owned(format!("[Errno {number}] {text}"))
    }
}

/// How a visit that counts came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisitEnd {
    /// Nothing came for `network_timeout`: the peer has told all it had.
    Quiet,
    /// `receive_message_max` messages were read.
    MessageLimit,
    /// The peer has every piece and was let go (`finish_when_complete`).
    Complete,
    /// The whole-visit budget ran out after the peer told its progress.
    Budget,
    /// The run was stopped after the peer told its progress.
    Stopped,
    /// The peer reached the threshold while we stayed with it.
    Crossed,
    /// We stayed for as long as `revisit.stay_seconds_max` allows.
    StayOver,
    /// It was but a look: over soon behind the first word of progress.
    Look,
    /// Cut short for this reason after the peer told its progress.
    Broken(Reason),
}

impl VisitEnd {
    /// The text in the `ended` column of table `visit`.
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Quiet => "quiet",
            Self::MessageLimit => "message limit",
            Self::Complete => "complete",
            Self::Budget => "budget",
            Self::Stopped => "stopped",
            Self::Crossed => "crossed",
            Self::StayOver => "stay over",
            Self::Look => "look",
            Self::Broken(reason) => return reason.label(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_2015() {
        for (number, text) in [
            (111, "[Errno 111] Connection refused"),
            (113, "[Errno 113] No route to host"),
            (104, "[Errno 104] Connection reset by peer"),
            (101, "[Errno 101] Network is unreachable"),
            (32, "[Errno 32] Broken pipe"),
        ] {
            assert_eq!(Reason::Os(number).label(), text);
        }
    }

    #[test]
    fn no_label_breaks_the_error_file() {
        for number in 0..200 {
            let label = Reason::Os(number).label();
            assert!(!label.contains([',', '"', '\n', '\r', '\0']), "{label}");
        }
    }
}
