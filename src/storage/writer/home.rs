//! Keeps the database where its name says, whatever happens to the output
//! folder.
//!
//! A folder that disappears takes the file's name with it, not the open file:
//! rows are still stored, but nobody would find them. At each tick the writer
//! looks; if the file is gone, or another is in its place, it makes the
//! folder and a complete copy of the database in it and goes on there.

use std::path::PathBuf;
use std::time::Duration;

use super::{Writer, log_failure};

/// What is known of the place.
#[derive(Debug, Default)]
pub(super) struct Home {
    /// The file has disappeared and no copy could be made yet.
    away: bool,
}

impl Writer {
    /// Puts things right if the database has disappeared; whether it is in
    /// its place.
    pub(super) fn keep_home(&mut self) -> bool {
        if self.database.is_at_home() {
            return true;
        }
        let first = !std::mem::replace(&mut self.home.away, true);
        match self.database.bring_home() {
            Ok(()) => {
                self.home.away = false;
                let path = self.database.path().display();
                if first {
                    log::error!(
                        "the database had disappeared from its folder; a complete copy is there again and the run goes on: find out who removed it path={path}"
                    );
                } else {
                    log::warn!(
                        "a complete copy of the database is in its folder again path={path}"
                    );
                }
                log_failure(self.write_manifest());
                true
            }
            Err(error) => {
                if first {
                    log::error!(
                        "the database has disappeared from its folder and cannot be put back yet: rows are kept, do not end the program otherwise than in order reason=\"{error}\""
                    );
                }
                false
            }
        }
    }

    /// The same at the end of the run, several times if needed; returns what
    /// remains of `left`.
    pub(super) fn come_home(&mut self, mut left: Duration) -> Duration {
        while !self.keep_home() && left >= PAUSE {
            left -= PAUSE;
            std::thread::sleep(PAUSE);
        }
        left
    }

    /// Where the database is in the end: in its place or, when nothing can be
    /// written there, in the folder for spool files.
    pub(super) fn last_place(&mut self) -> PathBuf {
        if self.keep_home() {
            return self.database.path().to_owned();
        }
        let name = format!("{}.sqlite", self.stem.name());
        let path = self.settings.spool_folder.join(name);
        match self.database.copy_to_new(&path) {
            Ok(()) => log::error!(
                "the output folder cannot be written: the database was saved elsewhere path={}",
                path.display()
            ),
            Err(error) => {
                log::error!(target: "critical", "the database is lost with its folder reason=\"{error}\"");
                self.progress.add_lost(self.progress.rows());
            }
        }
        path
    }
}

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
