//! What a visit is worth, by how its reading ended. Pure; called by the
//! visiting threads.

use crate::config::settings::VisitSettings;
use crate::model::{Reason, VisitEnd};

/// How the reading of messages came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing came for the quiet timeout, and no message was half read.
    Quiet,
    /// It was but a look, and the peer told its progress.
    Look,
    /// The message limit was reached.
    MessageLimit,
    /// Every piece is there.
    Complete,
    /// The whole-visit budget ran out.
    Budget,
    /// The run is to end.
    Stopped,
    /// The peer had told all it had, and was stayed with.
    Stayed(VisitEnd),
    /// The connection or the protocol broke.
    Broken(Reason),
}

/// What a contact is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts as a visit.
    Counts(VisitEnd),
    /// It failed.
    Failed(Reason),
    /// The run ended before the peer told its progress; as if it had not
    /// taken place.
    Interrupted,
}

/// Judges a contact whose handshake was done.
///
/// Silence until the quiet timeout means that the peer has nothing (it counts
/// with zero pieces). A contact that breaks before the peer told its progress
/// says nothing about it and fails: taken as zero pieces, a seed that hangs
/// up early would later look like a confirmed download. What was told before
/// a break counts (`visit.keep_partial`); in 2015 it did not.
pub fn judge(end: End, told: bool, settings: &VisitSettings) -> Verdict {
    match end {
        End::Quiet => Verdict::Counts(VisitEnd::Quiet),
        End::Look => Verdict::Counts(VisitEnd::Look),
        End::MessageLimit => Verdict::Counts(VisitEnd::MessageLimit),
        End::Complete => Verdict::Counts(VisitEnd::Complete),
        End::Budget if told => Verdict::Counts(VisitEnd::Budget),
        End::Budget => Verdict::Failed(Reason::BudgetSpent),
        End::Stayed(end) => Verdict::Counts(end),
        End::Stopped if told => Verdict::Counts(VisitEnd::Stopped),
        End::Stopped => Verdict::Interrupted,
        End::Broken(reason) if told && settings.keep_partial => {
            Verdict::Counts(VisitEnd::Broken(reason))
        }
        End::Broken(reason) => Verdict::Failed(reason),
    }
}
