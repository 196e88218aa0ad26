//! What becomes of a database whose folder or file disappears while it is
//! open. SQLite goes on writing to the open file, which nobody can reach by
//! name any more; a copy of it is brought back to the old place.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;

use super::Database;
use crate::storage::error::StorageError;

/// Which file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file at `path`.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = std::fs::metadata(path)?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }
}

impl Database {
    /// Whether the open file is still the one at its path. Where the system
    /// does not say, it is.
    pub(in crate::storage) fn is_at_home(&self) -> bool {
        match Identity::of(&self.path) {
            Ok(found) => found == self.identity,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ),
        }
    }

    /// Brings everything that was committed back to the old path and goes on
    /// writing there. A file of others at that path is kept under another
    /// name. After a failure the open file is still written to.
    pub(in crate::storage) fn bring_home(&mut self) -> Result<(), StorageError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| StorageError::Folder {
                path: folder.to_owned(),
                source,
            })?;
        }
        let copy = with_ending(&self.path, ".tmp");
        self.copy_to(&copy)?;
        let moved = set_aside(&self.path).and_then(|()| std::fs::rename(&copy, &self.path));
        moved.map_err(|source| StorageError::File {
            path: self.path.clone(),
            source,
        })?;
        let home = Self::open_existing(&self.path)?;
        let failed = |step| {
            let path = self.path.clone();
            move |source| StorageError::Database { path, step, source }
        };
        home.connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed("switching to the write-ahead log"))?;
        // Closing the old connection would delete the write-ahead log by its
        // name, which is that of the new one.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(failed("leaving the old file"))?;
        let wait = self.busy_timeout;
        *self = home;
        self.set_busy_timeout(wait);
        Ok(())
    }

    /// [`Database::copy_to`] where nothing may be overwritten.
    pub(in crate::storage) fn copy_to_new(&self, path: &Path) -> Result<(), StorageError> {
        if path.symlink_metadata().is_ok() {
            return Err(StorageError::Exists(path.to_owned()));
        }
        self.copy_to(path)
    }

    /// Makes a complete copy at `path`, flushed to the disk.
    fn copy_to(&self, path: &Path) -> Result<(), StorageError> {
        let failed = |source| StorageError::File {
            path: path.to_owned(),
            source,
        };
        if path.exists() {
            std::fs::remove_file(path).map_err(failed)?;
        }
        self.connection.flush_prepared_statement_cache();
        let copied = self
            .connection
            .execute("VACUUM INTO ?", [path.to_string_lossy()]);
        if let Err(source) = copied {
            // Half a copy helps nobody and may fill the disk.
            let _ = std::fs::remove_file(path);
            return Err(StorageError::Database {
                path: path.to_owned(),
                step: "copying the database",
                source,
            });
        }
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(failed)
    }
}

/// Renames what others put at our path, its write-ahead log with it.
fn set_aside(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let free = (1..NAMES).map(|number| with_ending(path, &format!(".other-{number}")));
    let Some(aside) = free.into_iter().find(|aside| !aside.exists()) else {
        return Err(io::ErrorKind::AlreadyExists.into());
    };
    std::fs::rename(path, &aside)?;
    for ending in ["-wal", "-shm", "-journal"] {
        let beside = with_ending(path, ending);
        if beside.exists() {
            std::fs::rename(beside, with_ending(&aside, ending))?;
        }
    }
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Names tried for files of others.
const NAMES: u32 = 1000;
