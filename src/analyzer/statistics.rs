//! The statistics thread: one [`Tick`] at the start, every
//! `statistic_interval`, and (sent by the runtime) at shutdown.

use std::fs;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::record::{Record, Tick};

use super::engine::Engine;
use super::stats::Snapshot;

/// Makes ticks; shared by the statistics thread and the shutdown.
pub struct Statistics {
    engine: Arc<Engine>,
    last: Mutex<Option<Snapshot>>,
    drift_ms: Mutex<i64>,
}

/// A step of the wall clock that is worth a line in the log, in
/// milliseconds.
const WALL_STEP_MS: i64 = 2_000;

impl Statistics {
    /// No tick yet.
    pub fn new(engine: Arc<Engine>) -> Self {
        let drift_ms = Mutex::new(engine.clock.wall_drift_ms());
        Self {
            engine,
            last: Mutex::new(None),
            drift_ms,
        }
    }

    /// Body of the thread; the first tick was sent before it was started.
    pub fn run(&self) {
        while !self
            .engine
            .stop
            .wait(self.engine.settings.statistic_interval)
        {
            self.tick();
            self.watch_wall_clock();
        }
    }

    /// Sends a tick for the time since the one before.
    pub fn tick(&self) {
        self.engine.record(self.next(false));
    }

    /// A tick for the time since the one before; `last` for the one at
    /// shutdown, behind which the writer ends.
    pub fn next(&self, last: bool) -> Record {
        let engine = &self.engine;
        let now = engine.stats.snapshot(engine.clock.now());
        let before = self.last.lock().replace(now);
        let load = sysinfo::System::load_average()
            .ok()
            .map(|load| load.fifteen);
        Record::Tick(Box::new(Tick {
            at: engine.clock.timestamp(),
            peer_queue: engine.scheduler.waiting() as u64,
            thread_workload: before
                .and_then(|before| now.workload_since(&before, engine.settings.workers)),
            load_average: load,
            memory_mb: peak_resident_kb().map(|kb| kb as f64 / 1000.0),
            server_threads: now.callers_active,
            evaluator_threads: now.contacts_active,
            last,
        }))
    }

    /// Says so when the wall clock was set; stored times do not follow it.
    fn watch_wall_clock(&self) {
        let drift = self.engine.clock.wall_drift_ms();
        let step = drift - *self.drift_ms.lock();
        if step.abs() <= WALL_STEP_MS {
            return;
        }
        *self.drift_ms.lock() = drift;
        log::warn!(
            "wall clock was set by {step} ms; stored times go on from the start of the run, total={drift} ms"
        );
        let value = drift.to_string();
        self.engine.record(Record::Manifest {
            key: "wall_clock_drift_ms",
            value,
        });
    }
}

/// Peak resident memory of this process in kB, as the kernel counts it.
fn peak_resident_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_our_peak_memory() {
        let kb = peak_resident_kb().unwrap();
        assert!(kb > 1_000 && kb < 100_000_000, "{kb}");
    }
}
