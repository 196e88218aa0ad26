//! An observatory on the page, while it listens or afterwards: map,
//! statistics, search, torrents.
//!
//! Nothing here reaches into the observatory: its counters and the places of
//! the last two minutes are copied, and its databases are read by connections
//! that write nothing, beside the page's thread and not for long. What is
//! blocked is not shown, and without names (`observe.hashes_only`) there are
//! none here either.

mod heat;
mod pages;
mod parts;
mod reading;
pub(super) mod search;
mod shares;
pub(super) mod sight;
pub(super) mod statistics;
pub(super) mod torrent;
pub(super) mod view;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::StatusCode;

use super::answer::Refused;
use crate::clock::Clock;
use crate::model::InfoHash;
use crate::observe::block::Blocked;
use crate::observe::live::Live;
use crate::observe::pipeline::Files;
use crate::storage::StorageError;
use crate::storage::observatory::Observatory;
use crate::storage::search::{Query, SearchIndex};
use reading::Cached;
use sight::{Sight, Stored, Totals};
use statistics::{Statistics, Window};

/// Torrents with one blocked word that are looked for.
const HIDDEN_MAX: usize = 100_000;

/// What there is of an observatory.
pub struct Observed {
    folder: PathBuf,
    live: Option<Arc<Live>>,
    blocked: Arc<Blocked>,
    /// Torrents with a blocked word in a path that the index still has.
    hidden: HashSet<InfoHash>,
    hashes_only: bool,
}

impl Observed {
    /// One that runs, in `folder`; its writer takes out of the files what is
    /// blocked.
    pub fn running(
        folder: PathBuf,
        live: Arc<Live>,
        blocked: Arc<Blocked>,
        hashes_only: bool,
    ) -> Self {
        Self {
            folder,
            live: Some(live),
            blocked,
            hidden: HashSet::new(),
            hashes_only,
        }
    }

    /// What one has left in `folder`.
    ///
    /// # Errors
    /// When its databases are not there or not its own.
    pub fn finished(
        folder: PathBuf,
        blocked: Blocked,
        hashes_only: bool,
    ) -> Result<Self, StorageError> {
        let mut observed = Self {
            folder,
            live: None,
            blocked: Arc::new(blocked),
            hidden: HashSet::new(),
            hashes_only,
        };
        observed.store()?;
        let index = observed.index()?;
        for word in observed.blocked.words() {
            let query = Query {
                words: word.to_owned(),
                limit: HIDDEN_MAX,
                ..Query::default()
            };
            let hits = index.search(&query)?.hits;
            observed.hidden.extend(hits.iter().map(|hit| hit.info_hash));
        }
        Ok(observed)
    }

    fn store(&self) -> Result<Observatory, StorageError> {
        Observatory::read(&self.folder.join(Files::STORE))
    }

    fn index(&self) -> Result<SearchIndex, StorageError> {
        SearchIndex::read(&self.folder.join(Files::INDEX))
    }

    /// Whether a torrent may not be shown.
    fn hides(&self, hash: &InfoHash, name: Option<&str>) -> bool {
        self.hidden.contains(hash) || self.blocked.blocks(hash, name)
    }

    /// Last part of its folder's name.
    fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// What the page knows of an observatory, each part read anew from time to
/// time.
pub(super) struct Observing {
    observed: Option<Arc<Observed>>,
    clock: Arc<dyn Clock>,
    sight: Cached<Sight>,
    heat_map: Cached<String>,
    stored: Cached<Stored>,
    totals: Cached<Totals>,
    statistics: [Cached<Statistics>; Window::ALL.len()],
}

impl Observing {
    /// Of `observed`, or of nothing.
    pub(super) fn new(observed: Option<Observed>, clock: Arc<dyn Clock>) -> Self {
        Self {
            observed: observed.map(Arc::new),
            clock,
            sight: Cached::default(),
            heat_map: Cached::default(),
            stored: Cached::default(),
            totals: Cached::default(),
            statistics: std::array::from_fn(|_| Cached::default()),
        }
    }

    fn observed(&self) -> Result<Arc<Observed>, Refused> {
        let text = "there is no observatory here: start btda observe with --web, or give btda serve its folder";
        self.observed
            .clone()
            .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, text))
    }
}

#[cfg(test)]
mod tests;
