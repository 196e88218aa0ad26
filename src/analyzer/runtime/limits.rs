//! How many threads and descriptors the process can really have.
//!
//! A thread of the standard library uses four memory maps; at the system's
//! `vm.max_map_count` the process aborts instead of returning an error. So
//! the room is computed before a pool is started, and the pool made to fit.

use std::path::Path;
use std::{fmt, fs};

use crate::config::settings::{Settings, StaySettings};

use super::magnets::Magnets;
use super::status::say;

/// What the system allows this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Soft limit of open descriptors, after it was raised.
    pub(super) descriptors: u64,
    /// `vm.max_map_count`.
    pub(super) memory_maps: u64,
    /// `kernel.pid_max`.
    pub(super) process_ids: u64,
    /// Soft limit of the user's processes, which counts threads
    /// (`RLIMIT_NPROC`); it does not bind the superuser.
    pub(super) processes: u64,
    /// Threads that the control group allows (`pids.max`), in a container
    /// for example.
    pub(super) group: u64,
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            descriptors,
            memory_maps,
            process_ids,
            ..
        } = self;
        write!(
            f,
            "descriptors {descriptors}, vm.max_map_count {memory_maps}, kernel.pid_max {process_ids}"
        )?;
        for (name, limit) in [("processes", self.processes), ("pids.max", self.group)] {
            if limit < UNLIMITED {
                write!(f, ", {name} {limit}")?;
            }
        }
        Ok(())
    }
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

/// Threads beside the two pools and the sources of torrents: writer, DHT, name
/// look-ups, trackers that were found …
const OTHER_THREADS: u64 = 300;

/// Memory maps of everything that is not a thread.
const OTHER_MAPS: u64 = 3_000;

/// Descriptors of everything that is not a visit; at most half of all.
const OTHER_DESCRIPTORS: u64 = 200;

/// No limit worth a word.
const UNLIMITED: u64 = 4_194_304;

/// Threads of so many torrents: each has its `tracker-N`, and one for the
/// request that is under way.
pub(super) fn threads_of_torrents(torrents: usize) -> u64 {
    u64::try_from(torrents)
        .unwrap_or(u64::MAX)
        .saturating_mul(2)
}

impl Limits {
    /// Raises the soft limit of descriptors to the hard one and reads the
    /// rest; what cannot be read is taken as the usual default.
    pub(super) fn raise() -> Self {
        let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
        let processes = rlimit::Resource::NPROC.get_soft();
        Self {
            descriptors,
            memory_maps: number_in("/proc/sys/vm/max_map_count").unwrap_or(65_530),
            process_ids: number_in("/proc/sys/kernel/pid_max").unwrap_or(32_768),
            processes: processes.unwrap_or(UNLIMITED).min(UNLIMITED),
            group: group_limit().unwrap_or(UNLIMITED),
        }
    }

    /// Makes `workers` and `callers` fit beside the `sources` threads of
    /// torrents and magnet links, each of which may have a connection; the
    /// workers come first, and at least one of each is left.
    pub(super) fn fit(&self, workers: usize, callers: usize, sources: u64) -> Room {
        let by_maps = self.memory_maps.saturating_sub(OTHER_MAPS) / 4;
        let by_ids = (self.process_ids / 2).min(self.processes).min(self.group);
        let threads = by_maps.min(by_ids);
        let reserve = OTHER_DESCRIPTORS
            .saturating_add(sources)
            .min(self.descriptors / 2);
        let others = OTHER_THREADS.saturating_add(sources);
        let pools = threads
            .saturating_sub(others.min(threads / 2))
            .min(self.descriptors - reserve);
        let pools = usize::try_from(pools).unwrap_or(usize::MAX);
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

/// `pids.max` of our control group (version 2) and of those above it.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let group = root.join(own);
    group
        .ancestors()
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| number_in(group.join("pids.max")))
        .min()
}

fn number_in(path: impl AsRef<Path>) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Makes the thread pools fit the machine beside the threads of `torrents`
/// and magnet `links`, and says what they can be.
pub(super) fn fit(settings: &mut Settings, torrents: usize, links: usize) {
    let limits = Limits::raise();
    let (workers, callers) = (settings.workers, settings.listen.callers_max);
    let stays = settings.stay.map_or(0, |stay| stay.threads);
    // One pool; those who stay come behind the contacts.
    let pool = workers.saturating_add(stays);
    let links = Magnets::threads_at_most(links);
    let room = limits.fit(
        pool,
        callers,
        links.saturating_add(threads_of_torrents(torrents)),
    );
    say(&format!("room for {} threads ({limits})", room.threads));
    settings.workers = workers.min(room.workers);
    settings.listen.callers_max = room.callers;
    let left = room.workers - settings.workers;
    settings.stay = settings.stay.map(|stay| StaySettings {
        threads: stays.min(left),
        ..stay
    });
    if (room.workers, room.callers) != (pool, callers) {
        let of_stays = match settings.stay {
            Some(stay) => format!("revisit.observe_threads {stays} -> {}, ", stay.threads),
            None => String::new(),
        };
        let text = format!(
            "not enough room for the configured threads ({limits}): peer_evaluation_threads {workers} -> {}, {of_stays}\
             listen.callers_max {callers} -> {}; raise the limits or configure fewer",
            settings.workers, room.callers
        );
        log::warn!("{text}");
        say(&format!("btda: {text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Limits = Limits {
        descriptors: 20_000,
        memory_maps: 65_530,
        process_ids: 32_768,
        processes: UNLIMITED,
        group: UNLIMITED,
    };

    fn pools(limits: &Limits) -> (usize, usize) {
        let room = limits.fit(1_024, 4_096, 0);
        (room.workers, room.callers)
    }

    #[test]
    fn the_usual_machine_has_room_for_the_defaults() {
        let room = USUAL.fit(1_024, 4_096, 0);
        let wanted = Room {
            workers: 1_024,
            callers: 4_096,
            threads: 15_632,
        };
        assert_eq!(room, wanted);
    }

    #[test]
    fn pools_shrink_to_what_there_is() {
        for (limits, wanted) in [
            (
                Limits {
                    descriptors: 1_024,
                    ..USUAL
                },
                (808, 16),
            ),
            (
                Limits {
                    descriptors: 100,
                    ..USUAL
                },
                (34, 16),
            ),
            (
                Limits {
                    memory_maps: 8_000,
                    ..USUAL
                },
                (934, 16),
            ),
            (
                Limits {
                    processes: 1_500,
                    ..USUAL
                },
                (1_024, 176),
            ),
            (
                Limits {
                    group: 512,
                    ..USUAL
                },
                (240, 16),
            ),
            (
                Limits {
                    descriptors: 0,
                    memory_maps: 0,
                    ..USUAL
                },
                (1, 1),
            ),
        ] {
            assert_eq!(pools(&limits), wanted, "{limits}");
        }
    }

    #[test]
    fn sources_have_their_threads_first() {
        let few = Limits {
            processes: 3_000,
            ..USUAL
        };
        let pools = |sources| {
            let room = few.fit(1_024, 4_096, sources);
            (room.workers, room.callers)
        };
        assert_eq!(pools(0), (1_024, 1_676));
        assert_eq!(pools(300), (1_024, 1_376));
        assert_eq!(pools(threads_of_torrents(500)), (1_024, 676));
        assert_eq!(pools(u64::MAX), (1_024, 476), "half is left for the pools");
        let descriptors = Limits {
            descriptors: 1_024,
            ..USUAL
        };
        assert_eq!(descriptors.fit(1_024, 4_096, 100).workers, 708);
    }

    #[test]
    fn limits_are_named() {
        let text = USUAL.to_string();
        assert_eq!(
            text,
            "descriptors 20000, vm.max_map_count 65530, kernel.pid_max 32768"
        );
        let few = Limits {
            processes: 900,
            group: 800,
            ..USUAL
        };
        assert_eq!(
            few.to_string(),
            format!("{text}, processes 900, pids.max 800")
        );
    }

    #[test]
    fn the_system_tells_its_limits() {
        let limits = Limits::raise();
        assert!(
            limits.descriptors > 0 && limits.memory_maps > 0 && limits.processes > 0,
            "{limits}"
        );
    }
}
