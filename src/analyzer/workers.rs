//! The contact workers: a fixed pool of threads that pull due peers from the
//! scheduler and visit them one by one.

use std::sync::Arc;

use crate::clock::Clock;

use super::engine::Engine;
use super::stats::Stats;

/// Body of one contact worker; ends when the scheduler is closed.
pub fn run(engine: &Engine) {
    while let Some(ticket) = engine.scheduler.take() {
        let in_hand = engine.in_hand(ticket);
        let _busy = Busy::begin(&engine.stats, &engine.clock);
        in_hand.contact();
    }
}

/// Marks a worker busy until dropped, also by a panic.
struct Busy<'a> {
    stats: &'a Stats,
    clock: &'a Arc<dyn Clock>,
}

impl<'a> Busy<'a> {
    fn begin(stats: &'a Stats, clock: &'a Arc<dyn Clock>) -> Self {
        stats.contact_begins(clock.now());
        Self { stats, clock }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.stats.contact_ends(self.clock.now());
    }
}
