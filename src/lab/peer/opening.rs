//! What the analyzer speaks first, before the party does its part.
//!
//! An analyzer that is closed on before the handshake may come again in
//! another way: in the clear and encrypted, over TCP and uTP, all within one
//! contact. So who speaks otherwise than the party does is closed on, as real
//! clients do, and has begun no contact of its own.

use std::time::Duration;

use super::super::behaviour::Behaviour;
use super::super::plan::PlannedParty;
use super::super::sockets::Line;
use super::super::story::Story;
use super::super::truth::{Contact, End};
use super::super::wire;
use super::Meeting;
use crate::model::Reason;

/// How long the first bytes of a handshake may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// How the analyzer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Opening {
    /// In the way of the party, or in none that can be told.
    Fit,
    /// In the clear where the party speaks MSE only, or the reverse.
    Unfit,
    /// So, and it asks for metadata, which is no contact.
    ForMetadata,
}

/// Looks at the first bytes where they matter: the party is `encrypted`, or
/// closes on whoever calls, which may be followed by another way. All that
/// was seen is still to be read.
pub(in super::super) fn look(
    story: &Story,
    party: &PlannedParty,
    encrypted: bool,
    line: &mut Line<'_>,
) -> Opening {
    let closes = matches!(
        party.behaviour,
        Behaviour::ClosesAtOnce | Behaviour::ClosesFirst | Behaviour::Resets
    );
    if !encrypted && !closes && !story.is_over() {
        return Opening::Fit;
    }
    let whole = |seen: &[u8]| seen.len() >= wire::HANDSHAKE_LEN || !wire::may_be_greeting(seen);
    // Who has left by now finds that out again.
    let seen = line.look(LOOK_LIMIT, whole).unwrap_or_default();
    if seen.is_empty() || wire::may_be_greeting(&seen) != encrypted {
        return Opening::Fit;
    }
    let greeting = seen.first_chunk().and_then(wire::Greeting::parse);
    if greeting.is_some_and(|it| it.extended() && !it.fast()) {
        return Opening::ForMetadata;
    }
    Opening::Unfit
}

/// Closes on an analyzer that begins in an unfit way, and returns what
/// happened.
pub(in super::super) fn refuse(
    story: &Story,
    party: &PlannedParty,
    meeting: &Meeting,
    line: Line<'_>,
) -> Contact {
    let ended = story.clock.timestamp();
    let slowest = u32::try_from(ended.millis() - meeting.started.millis()).unwrap_or(0);
    let over = line.channel.link();
    line.close();
    Contact {
        link: over,
        slowest,
        unfit: true,
        fault: Some(Reason::Closed),
        finished: true,
        ..meeting.contact(party, End::WeClosed, ended)
    }
}
