//! Reads the databases beside the page's thread: not for long, and not more
//! often than a tenth of the time.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::storage::StorageError;
use crate::storage::stopper::Stopper;
use crate::web::answer::Refused;
use crate::web::job::Jobs;

/// Longest time for a reading, the wait for its turn included.
pub(super) const READING_MAX: Duration = Duration::from_secs(15);

/// The connections of a job, so that whoever does not wait any longer ends
/// what they read.
#[derive(Default)]
pub(super) struct Reins(Mutex<Held>);

#[derive(Default)]
struct Held {
    connections: Vec<Stopper>,
    given_up: bool,
}

impl Reins {
    /// A connection that the job is to read from.
    ///
    /// # Errors
    /// [`StorageError::GivenUp`] when nobody waits for the job any longer: what
    /// has not begun could not be ended.
    pub(super) fn hold(&self, stopper: Stopper) -> Result<(), StorageError> {
        let mut held = self.0.lock();
        if held.given_up {
            return Err(StorageError::GivenUp);
        }
        held.connections.push(stopper);
        Ok(())
    }

    fn give_up(&self) {
        let mut held = self.0.lock();
        held.given_up = true;
        for stopper in held.connections.drain(..) {
            stopper.stop();
        }
    }
}

/// Ends the readings when it goes; after the job nothing is left to end.
struct Waiting(Arc<Reins>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Runs `job` for at most `most`; it ends early when nobody waits for it.
pub(super) async fn within<T: Send + 'static>(
    jobs: &Jobs,
    most: Duration,
    job: impl FnOnce(&Reins) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, Refused> {
    let waiting = Waiting(Arc::default());
    let reins = Arc::clone(&waiting.0);
    let refused = |text: &str| Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
    match timeout(most, jobs.run(move || job(&reins))).await {
        Err(_) => refused("this took too long and was given up: ask for less, or later"),
        Ok(Err(refused)) => Err(refused),
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => {
            log::warn!("{error}");
            refused("the observatory's files cannot be read now; see the log")
        }
    }
}

/// Something that is read again when it has become old.
pub(super) struct Cached<T> {
    last: tokio::sync::Mutex<Option<Last<T>>>,
}

/// What came of the last reading, and until when it counts.
struct Last<T> {
    value: Result<Arc<T>, (StatusCode, String)>,
    until: Instant,
}

impl<T> Last<T> {
    fn told(&self) -> Result<Arc<T>, Refused> {
        match &self.value {
            Ok(value) => Ok(Arc::clone(value)),
            Err((status, text)) => Err(Refused::new(*status, text)),
        }
    }
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self {
            last: tokio::sync::Mutex::new(None),
        }
    }
}

impl<T> Cached<T> {
    /// What there is, or what `reading` gives: that counts for `keep`, and for
    /// ten times as long as it took, be it a failure. Whoever comes meanwhile
    /// waits for it.
    pub(super) async fn read(
        &self,
        clock: &dyn Clock,
        keep: Duration,
        reading: impl Future<Output = Result<T, Refused>>,
    ) -> Result<Arc<T>, Refused> {
        let mut last = self.last.lock().await;
        let began = clock.now();
        if let Some(last) = last.as_ref().filter(|last| last.until > began) {
            return last.told();
        }
        let read = reading.await;
        let ended = clock.now();
        let pause = (ended.saturating_duration_since(began) * 10).max(keep);
        let read = Last {
            value: read.map(Arc::new).map_err(|it| (it.status, it.text)),
            until: ended + pause,
        };
        last.insert(read).told()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::Timestamp;
    use crate::storage::observatory::Observatory;

    /// Reads what takes so many seconds.
    fn read(cached: &Cached<u32>, clock: &ManualClock, takes: u64, found: Option<u32>) -> String {
        let reading = async {
            clock.advance(Duration::from_secs(takes));
            found.ok_or_else(|| Refused::new(StatusCode::SERVICE_UNAVAILABLE, "given up"))
        };
        let read = cached.read(clock, Duration::from_secs(2), reading);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        match runtime.unwrap().block_on(read) {
            Ok(value) => value.to_string(),
            Err(refused) => refused.text,
        }
    }

    #[test]
    fn nothing_begins_behind_a_reading_that_was_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Observatory::open(&folder.path().join("counts.sqlite")).unwrap();
        let reins = Reins::default();
        assert!(reins.hold(store.stopper()).is_ok());
        reins.give_up();
        let refused = reins.hold(store.stopper());
        assert!(matches!(refused, Err(StorageError::GivenUp)));
    }

    #[test]
    fn a_reading_counts_ten_times_as_long_as_it_took() {
        let clock = ManualClock::new(Timestamp(0));
        let cached = Cached::default();
        assert_eq!(read(&cached, &clock, 0, Some(1)), "1");
        clock.advance(Duration::from_millis(1_999));
        assert_eq!(read(&cached, &clock, 0, Some(2)), "1");
        clock.advance(Duration::from_millis(1));
        assert_eq!(read(&cached, &clock, 3, Some(3)), "3");
        clock.advance(Duration::from_secs(29));
        assert_eq!(read(&cached, &clock, 0, Some(4)), "3");
        clock.advance(Duration::from_secs(1));
        // What was given up is not tried again at once.
        assert_eq!(read(&cached, &clock, 15, None), "given up");
        clock.advance(Duration::from_secs(149));
        assert_eq!(read(&cached, &clock, 0, Some(5)), "given up");
        clock.advance(Duration::from_secs(1));
        assert_eq!(read(&cached, &clock, 0, Some(6)), "6");
    }
}
