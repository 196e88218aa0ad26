//! The files of the observatory: slices, minutes, index. Each may fail
//! without the others; what is kept back waits, and what is lost is counted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{InfoHash, Timestamp};
use crate::observe::block::Blocked;
use crate::observe::slices::{SliceCounts, Slices, prune};
use crate::storage::StorageError;
use crate::storage::observatory::{Batch, Observatory};
use crate::storage::search::{Document, Query, SearchIndex};

use super::tally::{Tally, minute_of};

/// Torrents that wait for the index at most.
const DOCUMENTS_MAX: usize = 20_000;

/// How long counts wait before they are stored.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// The wait doubles so often while the disk takes nothing: writing all that
/// waits again and again would leave no time for anything else.
const DOUBLINGS: u32 = 4;

/// Time between two looks at what is old.
const TRIM_EVERY: Duration = Duration::from_secs(600);

/// What the files need to know.
#[derive(Debug, Clone)]
pub struct FilesSetup {
    /// Everything is below it.
    pub folder: PathBuf,
    /// What is older goes.
    pub keep: Duration,
    /// Bytes of everything; half for slices, a quarter for minutes.
    pub bytes_max: u64,
}

/// Torrents with one blocked word that are taken out at one start.
const FORGOTTEN_MAX: usize = 100_000;

/// Folder of torrent files.
pub const ARCHIVE: &str = "torrents";

/// The file of a torrent in the archive below `folder`, be it there or not.
pub fn archived(folder: &Path, hash: InfoHash) -> PathBuf {
    let name = hash.to_string().to_uppercase();
    folder.join(ARCHIVE).join(format!("{name}.torrent"))
}

/// The files.
pub struct Files {
    /// Records.
    pub slices: Slices,
    setup: FilesSetup,
    store: Observatory,
    index: SearchIndex,
    next_trim: Option<Timestamp>,
    lost_before: u64,
    lost_documents: u64,
    failures: u64,
    /// Failures to store in a row.
    refused: u32,
}

impl Files {
    /// Name of the store in the folder.
    pub const STORE: &str = "observatory.sqlite";

    /// Name of the index in the folder.
    pub const INDEX: &str = "search.sqlite";

    /// Name of the folder of slices.
    pub const RECORDS: &str = "records";

    /// Opens or makes the databases.
    pub fn open(setup: FilesSetup, slices: Slices) -> Result<Self, StorageError> {
        let refused = |source| StorageError::Folder {
            path: setup.folder.clone(),
            source,
        };
        std::fs::create_dir_all(&setup.folder).map_err(refused)?;
        Ok(Self {
            store: Observatory::open(&setup.folder.join(Self::STORE))?,
            index: SearchIndex::open(&setup.folder.join(Self::INDEX))?,
            slices,
            setup,
            next_trim: None,
            lost_before: 0,
            lost_documents: 0,
            failures: 0,
            refused: 0,
        })
    }

    /// What the slices count.
    pub const fn slice_counts(&self) -> SliceCounts {
        self.slices.counts()
    }

    /// What the system or a database refused to write.
    pub const fn failures(&self) -> u64 {
        self.failures + self.slices.counts().failures
    }

    /// Whether the last attempt to store failed.
    pub(super) const fn is_refused(&self) -> bool {
        self.refused > 0
    }

    /// Time until the next attempt to store.
    pub(super) fn pause(&self) -> Duration {
        STORE_EVERY.saturating_mul(1 << self.refused.min(DOUBLINGS))
    }

    /// Torrents in the index, where that can be read.
    pub fn indexed(&self) -> Option<u64> {
        self.index.len().ok()
    }

    /// Records and torrents lost since the last call.
    pub fn take_lost(&mut self) -> u64 {
        let lost = self.slices.counts().lost + self.lost_documents;
        let new = lost - self.lost_before;
        self.lost_before = lost;
        new
    }

    /// Takes blocked torrents out of index and archive; how many.
    pub(super) fn forget(&mut self, blocked: &Blocked) -> usize {
        let mut hashes: Vec<InfoHash> = blocked.hashes().collect();
        for word in blocked.words() {
            let query = Query {
                words: word.to_owned(),
                limit: FORGOTTEN_MAX,
                ..Query::default()
            };
            match self.index.search(&query) {
                Ok(found) => hashes.extend(found.hits.iter().map(|hit| hit.info_hash)),
                Err(error) => self.failed(&error),
            }
        }
        let mut count = 0;
        for hash in hashes {
            match self.index.remove(hash) {
                Ok(removed) => count += usize::from(removed),
                Err(error) => self.failed(&error),
            }
            let file = archived(&self.setup.folder, hash);
            if let Err(error) = std::fs::remove_file(&file)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                log::error!("blocked torrent file stays: {error}");
            }
        }
        count
    }

    /// Stores what waits; what is refused waits on.
    pub(super) fn store(&mut self, tally: &mut Tally, documents: &mut Vec<Document>) {
        if let Some(error) = self.slices.take_error() {
            log::error!("records cannot be written, they wait: {error}");
        }
        let before = self.failures;
        if !tally.batch().is_empty() {
            match self.store.store(tally.batch()) {
                Ok(()) => *tally.batch() = Batch::default(),
                Err(error) => self.failed(&error),
            }
        }
        if !documents.is_empty() {
            match self.index.put(documents) {
                Ok(()) => documents.clear(),
                Err(error) => self.failed(&error),
            }
        }
        self.refused = if self.failures > before {
            self.refused.saturating_add(1)
        } else {
            0
        };
        let beyond = documents.len().saturating_sub(DOCUMENTS_MAX);
        documents.truncate(DOCUMENTS_MAX);
        self.lost_documents += u64::try_from(beyond).unwrap_or(0);
    }

    /// Removes what is old or too much, every ten minutes.
    pub(super) fn trim(&mut self, now: Timestamp) {
        if self.next_trim.is_some_and(|at| now < at) {
            return;
        }
        self.next_trim = Some(now.plus(TRIM_EVERY));
        let FilesSetup {
            folder,
            keep,
            bytes_max,
        } = &self.setup;
        let pruned = prune(&Self::records(folder), now, *keep, bytes_max / 2);
        let oldest = minute_of(now.minus(*keep));
        match self.store.trim(oldest, bytes_max / 4) {
            Ok(trimmed) => log::info!(
                "old data removed slices={} rows={}; left: {} bytes of slices, {} bytes of minutes",
                pruned.removed,
                trimmed.removed,
                pruned.bytes,
                trimmed.bytes
            ),
            Err(error) => self.failed(&error),
        }
    }

    /// The folder of slices in `folder`.
    pub fn records(folder: &Path) -> PathBuf {
        folder.join(Self::RECORDS)
    }

    fn failed(&mut self, error: &StorageError) {
        self.failures += 1;
        log::error!("counts or names cannot be stored, they wait: {error}");
    }
}
