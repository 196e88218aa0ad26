//! Makes the planned calls to the analyzer.
//!
//! One thread watches the clock and hands each call to the pool when it is
//! due. A caller whose last call is still going on misses its turn: calls of
//! one identity never overlap, so that first and last are never in doubt.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::channel::Channel;
use super::peer::{Meeting, line, meet};
use super::plan::PlannedParty;
use super::pool::Pool;
use super::sockets;
use super::story::Story;
use super::truth::End;
use crate::model::Direction;

/// How long a caller tries to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Makes all calls to `target`; those whose time is past are made at once.
pub(super) fn make_calls(story: &Arc<Story>, pool: &Pool, target: SocketAddr) {
    for planned in &story.plan.calls {
        if !story.wait_until(planned.at) {
            return;
        }
        let Some(busy) = story.turn(planned.caller) else {
            continue;
        };
        if busy.swap(true, Ordering::AcqRel) {
            continue;
        }
        let (story, caller) = (Arc::clone(story), planned.caller);
        let run = Arc::clone(&story);
        let accepted = pool.run(move || {
            call(&run, caller, target);
            if let Some(busy) = run.turn(caller) {
                busy.store(false, Ordering::Release);
            }
        });
        // A call that was never made is no contact.
        if !accepted && let Some(busy) = story.turn(caller) {
            busy.store(false, Ordering::Release);
        }
    }
}

fn call(story: &Story, index: usize, target: SocketAddr) {
    let (Some(caller), Some(visits)) = (
        story.plan.callers.get(index),
        story.caller_visits.get(index),
    ) else {
        return;
    };
    let mut meeting = Meeting {
        direction: Direction::Incoming,
        called_back: false,
        party: index,
        address: SocketAddr::new(IpAddr::V4(caller.ip), 0),
        visit: visits.fetch_add(1, Ordering::AcqRel),
        started: story.clock.timestamp(),
    };
    let contact = match connect(story, caller, target) {
        Ok((channel, from)) => {
            meeting.address = from;
            meet(story, caller, &meeting, line(story, channel))
        }
        Err(_) => meeting.contact(caller, End::NotConnected, story.clock.timestamp()),
    };
    story.record(contact);
}

/// Connects in the way of the caller; gives the address that it calls from,
/// too.
fn connect(
    story: &Story,
    caller: &PlannedParty,
    target: SocketAddr,
) -> io::Result<(Channel, SocketAddr)> {
    let source = IpAddr::V4(caller.ip);
    if caller.reach.is_over_utp() {
        let clock = Arc::clone(&story.clock);
        return Channel::call_over_utp(source, target, CONNECT_LIMIT, clock);
    }
    let stream = sockets::connect(Some(source), target, CONNECT_LIMIT)?;
    let from = stream.local_addr()?;
    Ok((stream.into(), from))
}
