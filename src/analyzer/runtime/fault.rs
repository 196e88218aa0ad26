//! Faults on purpose, for tests of what a defect may do; only built with the
//! feature `faults`, which no release has.
//!
//! Every thread asks for the time, so the clock is where each kind of thread
//! can be hit without a line for it in the measuring code. The environment
//! variable [`VARIABLE`] says which: `contact:3` lets the third reading of
//! the clock by a thread whose name begins with `contact` panic,
//! `writer:10:hang` lets the tenth by the writer never return.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::clock::Clock;
use crate::model::Timestamp;

/// Without the prefix of settings, so that the configuration does not ask
/// what it means.
const VARIABLE: &str = "FAULT_OF_BTDA";

/// A clock that is broken once, for one kind of thread.
struct FaultyClock {
    inner: Arc<dyn Clock>,
    /// Beginning of the threads' names.
    kind: String,
    /// Readings by these threads until the fault.
    left: AtomicU64,
    hang: bool,
}

impl FaultyClock {
    fn read(&self) {
        let thread = std::thread::current();
        let hit = thread
            .name()
            .is_some_and(|name| name.starts_with(&self.kind));
        if !hit || self.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        if self.hang {
            loop {
                std::thread::park();
            }
        }
        // The address must not reach the log.
        panic!("fault on purpose, while talking to 192.0.2.7:6881");
    }
}

impl Clock for FaultyClock {
    fn now(&self) -> Instant {
        self.read();
        self.inner.now()
    }

    fn timestamp(&self) -> Timestamp {
        self.read();
        self.inner.timestamp()
    }

    fn wall_drift_ms(&self) -> i64 {
        self.inner.wall_drift_ms()
    }
}

/// `clock`, with the fault that the environment asks for.
pub(super) fn clock(clock: Arc<dyn Clock>) -> Arc<dyn Clock> {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let mut parts = wanted.split(':');
    let (Some(kind), Some(Ok(count))) = (parts.next(), parts.next().map(str::parse)) else {
        return clock;
    };
    Arc::new(FaultyClock {
        inner: clock,
        kind: kind.to_owned(),
        left: AtomicU64::new(count),
        hang: parts.next() == Some("hang"),
    })
}
