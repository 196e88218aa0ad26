//! Why a conversation ends, and what that means. For the session, on contact
//! and caller threads.

use crate::analyzer::evaluate::End;
use crate::model::Reason;

/// Why reading or writing went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::analyzer::visit) enum Cut {
    Quiet,
    Budget,
    Stopped,
    Broken(Reason),
}

impl Cut {
    /// The end of the reading of messages; quiet in the middle of a message
    /// is a break.
    pub(in crate::analyzer::visit) const fn into_end(self, mid_frame: bool) -> End {
        match self {
            Self::Quiet if mid_frame => End::Broken(Reason::TimedOut),
            Self::Quiet => End::Quiet,
            Self::Budget => End::Budget,
            Self::Stopped => End::Stopped,
            Self::Broken(reason) => End::Broken(reason),
        }
    }
}
