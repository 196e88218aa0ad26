//! How many threads and descriptors the process can really have.
//!
//! A thread of the standard library uses four memory maps; at the system's
//! `vm.max_map_count` the process aborts instead of returning an error. So
//! the room is computed before a pool is started, and the pool made to fit.

use std::fs;

/// What the system allows this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Soft limit of open descriptors, after it was raised.
    pub(super) descriptors: u64,
    /// `vm.max_map_count`.
    pub(super) memory_maps: u64,
    /// `kernel.pid_max`.
    pub(super) process_ids: u64,
}

/// Threads that fit, for each pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Contact workers.
    pub(super) workers: usize,
    /// Callers at one time.
    pub(super) callers: usize,
    /// Threads that the process can have in all.
    pub(super) threads: u64,
}

/// Threads beside the two pools: trackers, writer, name look-ups …
const OTHER_THREADS: u64 = 300;

/// Memory maps of everything that is not a thread.
const OTHER_MAPS: u64 = 3_000;

/// Descriptors of everything that is not a visit.
const OTHER_DESCRIPTORS: u64 = 200;

impl Limits {
    /// Raises the soft limit of descriptors to the hard one and reads the
    /// rest; what cannot be read is taken as the usual default.
    pub(super) fn raise() -> Self {
        let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
        Self {
            descriptors,
            memory_maps: number_in("/proc/sys/vm/max_map_count").unwrap_or(65_530),
            process_ids: number_in("/proc/sys/kernel/pid_max").unwrap_or(32_768),
        }
    }

    /// Makes `workers` and `callers` fit; the workers come first, and at
    /// least one of each is left.
    pub(super) fn fit(&self, workers: usize, callers: usize) -> Room {
        let by_maps = self.memory_maps.saturating_sub(OTHER_MAPS) / 4;
        let by_descriptors = self.descriptors.saturating_sub(OTHER_DESCRIPTORS);
        let threads = by_maps.min(by_descriptors).min(self.process_ids / 2);
        let pools = usize::try_from(threads.saturating_sub(OTHER_THREADS)).unwrap_or(usize::MAX);
        let least_callers = callers.min(16);
        let workers = workers.min(pools.saturating_sub(least_callers)).max(1);
        let callers = callers.min(pools.saturating_sub(workers)).max(1);
        Room {
            workers,
            callers,
            threads,
        }
    }
}

fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Limits = Limits {
        descriptors: 20_000,
        memory_maps: 65_530,
        process_ids: 32_768,
    };

    #[test]
    fn the_usual_machine_has_room_for_the_defaults() {
        assert_eq!(
            USUAL.fit(1_024, 4_096),
            Room {
                workers: 1_024,
                callers: 4_096,
                threads: 15_632
            }
        );
    }

    #[test]
    fn pools_shrink_to_what_there_is() {
        let few = Limits {
            descriptors: 1_024,
            ..USUAL
        };
        assert_eq!(
            few.fit(1_024, 4_096),
            Room {
                workers: 508,
                callers: 16,
                threads: 824
            }
        );
        let none = Limits {
            descriptors: 64,
            memory_maps: 0,
            process_ids: 0,
        };
        assert_eq!(
            none.fit(1_024, 4_096),
            Room {
                workers: 1,
                callers: 1,
                threads: 0
            }
        );
    }
}
