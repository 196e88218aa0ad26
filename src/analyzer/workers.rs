//! The contact workers: a fixed pool of threads that pull due peers from the
//! scheduler and visit them one by one.

use std::sync::Arc;

use crate::clock::Clock;

use super::engine::Engine;
use super::stats::Stats;
use super::stays::{ContactPlace, Post};

/// Body of one contact worker; ends when the scheduler is closed.
pub fn run(engine: &Engine) {
    while let Some(place) = engine.stays.enter(&engine.stop)
        && let Some(ticket) = engine.scheduler.take()
    {
        let in_hand = engine.in_hand(ticket);
        let post = Post::new(Some(Busy::begin(&engine.stats, &engine.clock, place)));
        in_hand.contact(&post);
    }
}

/// Marks a worker busy until dropped, also by a panic; then its place for
/// contacts is free.
struct Busy<'a> {
    stats: &'a Stats,
    clock: &'a Arc<dyn Clock>,
    _place: ContactPlace<'a>,
}

impl<'a> Busy<'a> {
    fn begin(stats: &'a Stats, clock: &'a Arc<dyn Clock>, place: ContactPlace<'a>) -> Self {
        stats.contact_begins(clock.now());
        Self {
            stats,
            clock,
            _place: place,
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.stats.contact_ends(self.clock.now());
    }
}
