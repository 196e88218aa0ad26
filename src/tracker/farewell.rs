//! `stopped` to every tracker, at the end of a run.
//!
//! Called once by the runtime's shutdown, beside requesters that may still be
//! in a request. Trackers are told in parallel, all within one deadline;
//! whoever does not answer by then drops us from its list by itself.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded, unbounded};

use super::announce::AnnounceEvent;
use super::client::TrackerClient;
use super::requester::REQUEST_STACK;
use super::state::{TorrentTrackers, Tracker};
use crate::deadline::Deadline;
use crate::model::Torrent;
use crate::threads;

/// Threads at most.
const THREADS_MAX: usize = 64;

/// What became of the farewells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Farewell {
    /// Trackers that had acknowledged a `started`, or to which one was under
    /// way.
    pub owed: usize,
    /// Those that acknowledged the `stopped`.
    pub acknowledged: usize,
    /// Those that refused or failed.
    pub failed: usize,
}

/// Sends `stopped` to every tracker that acknowledged a `started`, then to
/// those to which one is under way, waiting `total` at most. Threads that are stuck then end by their own deadline and
/// keep nothing open that the shutdown waits for. Called again it does
/// nothing.
pub fn farewell(
    client: &Arc<TrackerClient>,
    torrents: &[Arc<TorrentTrackers>],
    total: Duration,
) -> Farewell {
    let deadline = Deadline::after(client.clock.now(), total);
    let jobs = owed(torrents);
    let mut result = Farewell {
        owed: jobs.len(),
        ..Farewell::default()
    };
    let (send_job, receive_job) = bounded::<(Arc<Torrent>, Arc<Tracker>)>(jobs.len());
    let (send_outcome, receive_outcome) = unbounded();
    for number in 1..=jobs.len().min(THREADS_MAX) {
        let client = Arc::clone(client);
        let receive_job = receive_job.clone();
        let send_outcome = send_outcome.clone();
        let spawned = threads::spawn(&format!("farewell-{number:02}"), REQUEST_STACK, move || {
            for (torrent, tracker) in receive_job {
                let Some(wait) = deadline.left(client.clock.now()) else {
                    return;
                };
                let told = tell(&client, &torrent, &tracker, wait);
                if send_outcome.send(told).is_err() {
                    return;
                }
            }
        });
        if let Err(error) = spawned {
            log::warn!("no further thread for farewells to trackers: {error}");
            break;
        }
    }
    drop((receive_job, send_outcome));
    for job in jobs {
        // The channel has room for all of them.
        let _ = send_job.send(job);
    }
    drop(send_job);
    while let Some(left) = deadline.left(client.clock.now()) {
        match receive_outcome.recv_timeout(left) {
            Ok(true) => result.acknowledged += 1,
            Ok(false) => result.failed += 1,
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => break,
        }
    }
    log::info!(
        "told trackers that the run ends trackers={} acknowledged={} failed={}",
        result.owed,
        result.acknowledged,
        result.failed
    );
    result
}

fn owed(torrents: &[Arc<TorrentTrackers>]) -> Vec<(Arc<Torrent>, Arc<Tracker>)> {
    let pairs = torrents.iter().flat_map(|shared| {
        let trackers = shared.trackers.iter();
        trackers.map(|tracker| (Arc::clone(&shared.torrent), Arc::clone(tracker)))
    });
    let owed = pairs.filter_map(|pair| Some((pair.1.take_leave()?, pair)));
    let mut owed: Vec<_> = owed.collect();
    owed.sort_by_key(|(leave, _)| *leave);
    owed.into_iter().map(|(_, pair)| pair).collect()
}

fn tell(client: &TrackerClient, torrent: &Torrent, tracker: &Tracker, wait: Duration) -> bool {
    let request = client.request(torrent, tracker, Some(AnnounceEvent::Stopped));
    let wait = wait.min(client.settings.timeout);
    let answer = client.announce(tracker, &request, wait);
    if let Err(error) = &answer {
        let name = tracker.name();
        let id = torrent.id;
        log::debug!("farewell fails torrent={id} tracker={name} reason=\"{error}\"");
    }
    answer.is_ok()
}

#[cfg(test)]
mod tests;
