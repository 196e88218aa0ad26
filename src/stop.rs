//! The one way in which a run is told to end.
//!
//! A [`StopToken`] is a channel that is only ever closed. Every wait of every
//! thread is a wait on it, so that nobody sleeps through the end.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use parking_lot::Mutex;

/// Ends the run when told to, or when dropped.
#[derive(Debug)]
pub struct StopTrigger {
    open: Mutex<Option<Sender<()>>>,
}

impl StopTrigger {
    /// Tells every token; more than once does no harm.
    pub fn stop(&self) {
        self.open.lock().take();
    }
}

/// Learns that the run ends; clones learn it together.
#[derive(Debug, Clone)]
pub struct StopToken {
    closed: Receiver<()>,
}

/// A trigger and the token that listens to it.
pub fn stop_pair() -> (StopTrigger, StopToken) {
    // Nothing is ever sent. A channel with room is looked at without a lock,
    // one without room is not, and a thousand threads look at this one.
    let (open, closed) = bounded(1);
    (
        StopTrigger {
            open: Mutex::new(Some(open)),
        },
        StopToken { closed },
    )
}

impl StopToken {
    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        self.closed.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits for `time` or until the run is to end, whichever is first;
    /// `true` when it is to end.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        self.closed.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// For `select!`: becomes ready (disconnected) when the run is to end.
    pub const fn channel(&self) -> &Receiver<()> {
        &self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_learns_it() {
        let (trigger, token) = stop_pair();
        let other = token.clone();
        assert!(!token.is_stopped());
        assert!(!token.wait(Duration::from_millis(1)));
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(600)));
        trigger.stop();
        trigger.stop();
        assert!(waiter.join().unwrap());
        assert!(token.is_stopped());
    }

    #[test]
    fn a_lost_trigger_stops_too() {
        let (trigger, token) = stop_pair();
        drop(trigger);
        assert!(token.wait(Duration::from_secs(600)));
    }
}
