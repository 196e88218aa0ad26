//! What takes time runs beside the page's thread: a tracker, SQLite.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answer::Refused;
use crate::threads::{LARGE_STACK, spawn};

/// Jobs at one time; further ones wait.
const JOBS_MAX: usize = 16;

/// Long answers that are written at one time; further ones are refused. More
/// than one address has connections, and none of them is a job: who takes an
/// answer slowly is waited for by nobody else.
const WRITERS_MAX: usize = 64;

/// Starts jobs, each on a thread of its own.
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    permits: Arc<Semaphore>,
    writers: Arc<Semaphore>,
}

impl Jobs {
    /// Nothing to do yet.
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(JOBS_MAX)),
            writers: Arc::new(Semaphore::new(WRITERS_MAX)),
        }
    }

    /// Runs `job`. It goes on to its end, though nobody may wait for it any
    /// more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (send, receive) = oneshot::channel();
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await;
        // Whoever asked may have left.
        start(permit.ok(), move || drop(send.send(job())))?;
        let text = "a defect ended the work; the log has a line with CRITICAL";
        receive
            .await
            .map_err(|_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text))
    }

    /// Starts `job`, which writes a long answer as it is taken, and does not
    /// wait for its end.
    pub(super) fn write(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        start(Arc::clone(&self.writers).try_acquire_owned().ok(), job)
    }
}

/// Runs `job` on a thread of its own, while it has its place.
fn start(
    place: Option<OwnedSemaphorePermit>,
    job: impl FnOnce() + Send + 'static,
) -> Result<(), Refused> {
    let busy = |text: &str| Refused::new(StatusCode::SERVICE_UNAVAILABLE, text);
    let place = place.ok_or_else(|| busy("too many take long answers: try again later"))?;
    let body = move || {
        job();
        drop(place);
    };
    spawn("web-job", LARGE_STACK, body)
        .map(drop)
        .map_err(|_| busy("the system has no room for another thread: try again later"))
}
