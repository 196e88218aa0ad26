//! What can go wrong with a pymdht node.

use std::fmt;

use crate::net::NetError;

/// Why a lookup failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PymdhtError {
    /// Nobody listens on the control port, or the connection took too long.
    Unreachable(NetError),
    /// The node took the connection and did not answer `OPEN` in time: it
    /// hangs or serves another client.
    Silent,
    /// The connection broke or was closed in the middle: the node died.
    Lost(Option<NetError>),
    /// The node answered `?` with this text, which is harmless to log.
    Refused(String),
    /// The node answered a lookup that was not asked for.
    WrongChannel,
    /// The answer to `OPEN` was no answer, or there was too much rubbish
    /// behind it.
    Garbage,
    /// The deadline passed before the node ended the lookup.
    Unfinished,
    /// The node failed a moment ago, and the next attempt is due behind the
    /// deadline.
    NotDue,
    /// The run ends.
    Stopped,
}

impl PymdhtError {
    /// Whether another attempt within the same lookup makes sense.
    pub const fn may_pass(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_) | Self::Unfinished | Self::NotDue | Self::Stopped
        )
    }
}

impl fmt::Display for PymdhtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "control port not reachable: {error}"),
            Self::Silent => f.write_str("no answer: it hangs or serves another client"),
            Self::Lost(Some(error)) => write!(f, "connection lost: {error}"),
            Self::Lost(None) => f.write_str("connection closed by the node"),
            Self::Refused(text) => write!(f, "request refused: {text}"),
            Self::WrongChannel => f.write_str("answer for a lookup that was not asked for"),
            Self::Garbage => f.write_str("answers make no sense: is it a pymdht?"),
            Self::Unfinished => f.write_str("lookup not ended in time"),
            Self::NotDue => f.write_str("failed before, next attempt later"),
            Self::Stopped => f.write_str("the run ends"),
        }
    }
}

impl std::error::Error for PymdhtError {}
