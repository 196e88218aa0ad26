//! Where a look-up of somebody outside delivers.
//!
//! The threads of both families hold one together; whichever ends last says
//! that all is done.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::lookup::{CANDIDATES_MAX, Tally};
use crate::model::PeerAddress;

/// Room for every event of a look-up: in each family one for each node that
/// can answer and one for what we have ourselves, and the end.
const EVENTS_MAX: usize = 2 * (CANDIDATES_MAX + 1) + 1;

/// What a look-up tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupEvent {
    /// Peers that were not named before by this look-up.
    Peers(Vec<PeerAddress>),
    /// The look-up has ended; nothing follows.
    Done(LookupSummary),
}

/// How a look-up went, in both address families together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookupSummary {
    /// Different peers.
    pub peers: u32,
    /// From the call to the end.
    pub duration: Duration,
    /// Nodes asked.
    pub queried: u32,
    /// Of these, those that answered.
    pub responded: u32,
    /// Nodes that took our announce.
    pub announced: u32,
}

/// The sending end. Dropped before the end (the node stops), the receiver
/// learns it as a closed channel.
#[derive(Debug)]
pub(super) struct Sink {
    events: Sender<LookupEvent>,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    families: usize,
    summary: LookupSummary,
}

impl Sink {
    /// A sink that waits for the end of `families` look-ups.
    pub(super) fn new(families: usize, now: Instant) -> (Self, Receiver<LookupEvent>) {
        let (events, receiver) = bounded(EVENTS_MAX);
        let sink = Self {
            events,
            started: now,
            state: Mutex::new(State {
                families,
                summary: LookupSummary::default(),
            }),
        };
        (sink, receiver)
    }

    /// Hands over new peers.
    pub(super) fn peers(&self, peers: Vec<PeerAddress>) {
        if !peers.is_empty() {
            // Whoever asked may have left.
            let _ = self.events.try_send(LookupEvent::Peers(peers));
        }
    }

    /// One family has ended.
    pub(super) fn finish(&self, tally: Tally, now: Instant) {
        let summary = {
            let mut state = self.state.lock();
            let summary = &mut state.summary;
            summary.peers = summary.peers.saturating_add(tally.peers);
            summary.queried = summary.queried.saturating_add(tally.queried);
            summary.responded = summary.responded.saturating_add(tally.responded);
            summary.announced = summary.announced.saturating_add(tally.announced);
            summary.duration = now.saturating_duration_since(self.started);
            state.families = state.families.saturating_sub(1);
            (state.families == 0).then_some(state.summary)
        };
        if let Some(summary) = summary {
            let _ = self.events.try_send(LookupEvent::Done(summary));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    #[test]
    fn the_last_family_ends_it() {
        let clock = ManualClock::new(Timestamp(0));
        let (sink, events) = Sink::new(2, clock.now());
        let tally = Tally {
            peers: 1,
            queried: 3,
            responded: 2,
            announced: 1,
        };
        let peer = PeerAddress::from_compact([1, 2, 3, 4, 5, 6]);
        sink.peers(Vec::new());
        sink.peers(vec![peer]);
        sink.finish(tally, clock.now());
        assert_eq!(events.recv(), Ok(LookupEvent::Peers(vec![peer])));
        assert!(events.is_empty());
        clock.advance(Duration::from_secs(2));
        sink.finish(tally, clock.now());
        let summary = LookupSummary {
            peers: 2,
            duration: Duration::from_secs(2),
            queried: 6,
            responded: 4,
            announced: 2,
        };
        assert_eq!(events.recv(), Ok(LookupEvent::Done(summary)));
        drop(sink);
        assert!(events.recv().is_err());
    }
}
