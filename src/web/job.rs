//! What takes time runs beside the page's thread: a tracker, SQLite.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{Semaphore, oneshot};

use super::answer::Refused;
use crate::threads::{LARGE_STACK, spawn};

/// Jobs at one time; further ones wait.
const JOBS_MAX: usize = 16;

/// Starts jobs, each on a thread of its own.
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    permits: Arc<Semaphore>,
}

impl Jobs {
    /// Nothing to do yet.
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(JOBS_MAX)),
        }
    }

    /// Runs `job`. It goes on to its end, though nobody may wait for it any
    /// more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (send, receive) = oneshot::channel();
        // Whoever asked may have left.
        self.start(move || drop(send.send(job()))).await?;
        let text = "a defect ended the work; the log has a line with CRITICAL";
        receive
            .await
            .map_err(|_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text))
    }

    /// Starts `job` and does not wait for its end.
    pub(super) async fn start(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        let busy = |text: &str| Refused::new(StatusCode::SERVICE_UNAVAILABLE, text);
        let permits = Arc::clone(&self.permits);
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| busy("the page ends"))?;
        let body = move || {
            job();
            drop(permit);
        };
        spawn("web-job", LARGE_STACK, body)
            .map(drop)
            .map_err(|_| busy("the system has no room for another thread: try again later"))
    }
}
