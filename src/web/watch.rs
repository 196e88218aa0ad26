//! A run while it goes on, or its finished database: pages, JSON, events and
//! metrics, all of one state that is read at most once a second.
//!
//! The run posts its figures on a board, and its database is read by a
//! connection that is closed at once: nobody who measures waits for a page.

pub(super) mod events;
pub(super) mod metrics;
pub(super) mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};

use super::answer::Refused;
use super::job::Jobs;
use crate::clock::Clock;
use crate::live::{Board, LiveFigures};
use crate::storage::StorageError;
use crate::storage::overview::Overview;
use crate::tracker::url::TrackerUrl;

/// Shortest time between two readings of the database, and at least ten times
/// as long as a reading takes.
const READING: Duration = Duration::from_secs(1);

/// A finished database does not change, unless somebody repairs it.
const READING_FINISHED: Duration = Duration::from_secs(30);

/// Those who get events at one time.
const LISTENERS_MAX: usize = 64;

/// What there is to watch.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The result file.
    pub database: PathBuf,
    /// Figures of the run that writes it; `None` for a finished one.
    pub board: Option<Arc<Board>>,
}

/// Everything that is shown of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RunState {
    /// Name of the result file.
    pub(super) name: String,
    /// Figures of a run that goes on.
    pub(super) live: Option<LiveFigures>,
    /// What somebody should look at, each in a sentence.
    pub(super) notices: Vec<String>,
    /// What is stored.
    #[serde(serialize_with = "shared")]
    pub(super) stored: Arc<Stored>,
}

/// What is stored, with the names of trackers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Stored {
    #[serde(flatten)]
    pub(super) overview: Overview,
    /// Scheme, host and port of each of `overview.trackers`: what follows may
    /// be a passkey.
    pub(super) tracker_names: Vec<String>,
}

fn shared<S: serde::Serializer>(stored: &Arc<Stored>, serializer: S) -> Result<S::Ok, S::Error> {
    stored.as_ref().serialize(serializer)
}

struct Reading {
    stored: Arc<Stored>,
    next: Instant,
}

/// Who watches what.
pub(super) struct Watch {
    watched: Option<Watched>,
    clock: Arc<dyn Clock>,
    reading: Mutex<Option<Reading>>,
    /// Seats of those who get events.
    pub(super) listeners: Arc<Semaphore>,
}

impl Watch {
    /// Of `watched`, or of nothing.
    pub(super) fn new(watched: Option<Watched>, clock: Arc<dyn Clock>) -> Self {
        Self {
            watched,
            clock,
            reading: Mutex::default(),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
        }
    }

    /// The state now; whoever comes while it is read waits for that reading.
    pub(super) async fn state(&self, jobs: &Jobs) -> Result<RunState, Refused> {
        let text = "there is nothing to watch: give btda serve a result file, or a run --web";
        let watched = self
            .watched
            .as_ref()
            .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, text))?;
        let name = watched
            .database
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let stored = self.stored(watched, jobs).await?;
        // A run that has just begun goes on, too: with nothing done.
        let latest = |board: &Arc<Board>| board.latest().unwrap_or_default();
        let latest = watched.board.as_ref().map(latest);
        Ok(RunState {
            name,
            notices: latest.as_ref().map_or_else(Vec::new, |it| it.notices()),
            live: latest.map(|figures| (*figures).clone()),
            stored,
        })
    }

    async fn stored(&self, watched: &Watched, jobs: &Jobs) -> Result<Arc<Stored>, Refused> {
        let mut reading = self.reading.lock().await;
        let began = self.clock.now();
        if let Some(reading) = reading.as_ref().filter(|reading| reading.next > began) {
            return Ok(Arc::clone(&reading.stored));
        }
        let path = watched.database.clone();
        let read = jobs
            .run(move || Overview::read(&path).map(Stored::of))
            .await?;
        let stored = Arc::new(read.map_err(|error| unreadable(&error))?);
        let ended = self.clock.now();
        let pause = match watched.board {
            Some(_) => (ended.saturating_duration_since(began) * 10).max(READING),
            None => READING_FINISHED,
        };
        *reading = Some(Reading {
            stored: Arc::clone(&stored),
            next: ended + pause,
        });
        Ok(stored)
    }
}

impl Stored {
    fn of(overview: Overview) -> Self {
        let name = |url: &str| {
            TrackerUrl::parse(url, 80)
                .map_or_else(|_| "(unusable)".to_owned(), |url| url.to_string())
        };
        let tracker_names = overview.trackers.iter().map(|it| name(&it.url)).collect();
        Self {
            overview,
            tracker_names,
        }
    }
}

fn unreadable(error: &StorageError) -> Refused {
    log::warn!("{error}");
    Refused::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the database cannot be read now; see the log",
    )
}
