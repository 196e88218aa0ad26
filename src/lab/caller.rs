//! Makes the planned calls to the analyzer.
//!
//! One thread watches the clock and hands each call to the pool when it is
//! due. A caller whose last call is still going on misses its turn: calls of
//! one identity never overlap, so that first and last are never in doubt.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::peer::{Meeting, meet};
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
    let contact = match sockets::connect(Some(meeting.address.ip()), target, CONNECT_LIMIT) {
        Ok(stream) => {
            if let Ok(address) = stream.local_addr() {
                meeting.address = address;
            }
            meet(story, caller, &meeting, stream)
        }
        Err(_) => meeting.contact(caller, End::NotConnected, story.clock.timestamp()),
    };
    story.record(contact);
}
