//! Rows on disk while the database does not take them.
//!
//! When more rows wait than memory is allowed for, the writer appends them to
//! a spool file: `<stem>_spool.jsonl` beside the database or, where that
//! folder cannot be written either, in `storage.spool_folder`. As soon as the
//! database works the file is read back in order and removed. What is still
//! there at the end of a run is put into the database by [`replay()`].
//!
//! # Form
//!
//! JSON Lines, UTF-8. The first line is the header. Every further
//! line holds the rows of one record, in order, as an array; a row is an
//! object with one key, its kind, and the row's fields below it:
//!
//! ```text
//! {"btda_spool":1,"schema":1,"run":"2015-08-30T18:41:36.000Z","number":1}
//! [{"peer_error":{"event":"First contact","reason":"timed out","count":7}}]
//! ```
//!
//! Kinds and fields are those of [`super::row::Row`]. A last line without its
//! line end was cut off by a crash and does not count. There are no addresses
//! in it.
//!
//! # Exactly once
//!
//! Each transaction that stores lines of a spool file also stores how many of
//! its lines are done, in table `run` under `spool_<number>_replayed`. So a
//! crash between commit and removal doubles nothing.

mod form;
mod replay;
mod segment;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;

pub use replay::{ReplayError, Replayed, pending, replay};

use super::queue::Queue;
use form::Header;
pub(super) use replay::NO_PEER;
use segment::Segment;

/// The spool of a run: its files, oldest first.
#[derive(Debug)]
pub(super) struct Spool {
    place: Place,
    segments: VecDeque<Segment>,
    /// Number of the file made last.
    last_number: u32,
    /// Rows spooled so far.
    rows_ever: u64,
}

/// Where spool files go.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Folders in the order in which they are tried.
    pub(super) folders: Vec<PathBuf>,
    /// Name of the run's files, see [`super::Stem::name`].
    pub(super) stem: String,
    /// Fact `start` of the run, which ties the files to its database.
    pub(super) run: String,
    /// Bytes of all files together at most.
    pub(super) limit: u64,
}

/// Why rows could not be spooled.
#[derive(Debug)]
pub(super) enum SpoolError {
    /// The files are as large as allowed.
    Full(u64),
    /// No folder takes the file; what the last one says.
    Refused(PathBuf, io::Error),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(limit) => write!(
                f,
                "the spool has {limit} bytes, as many as storage.spool_max_bytes allows"
            ),
            Self::Refused(path, error) => {
                write!(f, "{} cannot be written ({error})", path.display())
            }
        }
    }
}

/// How far a spool file has been read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the file.
    pub(super) number: u32,
    /// Lines behind the header that are in the database.
    pub(super) lines: u64,
}

impl Mark {
    /// Key of the mark in table `run`.
    pub(super) fn key(number: u32) -> String {
        format!("spool_{number}_replayed")
    }
}

impl Spool {
    pub(super) const fn new(place: Place) -> Self {
        Self {
            place,
            segments: VecDeque::new(),
            last_number: 0,
            rows_ever: 0,
        }
    }

    /// Whether nothing is spooled.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Rows in the files that were not read back.
    pub(super) fn rows(&self) -> u64 {
        self.segments.iter().map(Segment::rows_unread).sum()
    }

    /// Rows ever spooled.
    pub(super) const fn rows_ever(&self) -> u64 {
        self.rows_ever
    }

    /// The files.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.segments
            .iter()
            .map(|segment| segment.path().to_owned())
    }

    /// Appends all of `queue`, piece by piece, and takes from it what is
    /// written. A piece is written as a whole or not at all.
    pub(super) fn append(&mut self, queue: &mut Queue) -> Result<(), SpoolError> {
        while queue.records() > 0 {
            let batch = queue.front(PIECE_ROWS);
            let text = form::lines(queue.first_records(batch.records));
            self.append_piece(&text, batch.records as u64, batch.rows as u64)?;
            queue.drop_front(batch);
        }
        if let Some(last) = self.segments.back() {
            last.sync();
        }
        Ok(())
    }

    fn append_piece(&mut self, text: &[u8], lines: u64, rows: u64) -> Result<(), SpoolError> {
        let all: u64 = self.segments.iter().map(Segment::bytes).sum();
        if all + text.len() as u64 > self.place.limit {
            return Err(SpoolError::Full(self.place.limit));
        }
        let old = self.segments.back_mut();
        let added = old.is_some_and(|segment| segment.append(text, lines, rows).is_ok());
        if !added {
            self.begin(text, lines, rows)?;
        }
        self.rows_ever += rows;
        Ok(())
    }

    /// Appends to a new file, in the first folder that takes it.
    fn begin(&mut self, text: &[u8], lines: u64, rows: u64) -> Result<(), SpoolError> {
        let mut refused = (PathBuf::new(), io::ErrorKind::NotFound.into());
        for folder in &self.place.folders {
            let header = Header::new(&self.place.run, self.last_number + 1);
            let written = Segment::create(folder, &self.place.stem, &header)
                .and_then(|segment| segment.with_first(text, lines, rows));
            match written {
                Ok(segment) => {
                    log::error!(
                        "the database takes no rows and memory for them is full: they go to a spool file until it works again; look at the disk path={}",
                        segment.path().display()
                    );
                    self.segments.push_back(segment);
                    self.last_number += 1;
                    return Ok(());
                }
                Err(error) => refused = (folder.clone(), error),
            }
        }
        Err(SpoolError::Refused(refused.0, refused.1))
    }

    /// Reads at least one record and not many more than `rows` rows from the
    /// front of the oldest file into `queue`; nothing when all were read.
    /// Returns how many lines could not be understood.
    pub(super) fn read(&mut self, rows: usize, queue: &mut Queue) -> io::Result<u64> {
        self.segments
            .front_mut()
            .map_or(Ok(0), |segment| segment.read(rows, queue))
    }

    /// The mark of the file that is read when all its records but `left` are
    /// stored.
    pub(super) fn mark(&self, left: usize) -> Option<Mark> {
        self.segments.front().map(|segment| segment.mark(left))
    }

    /// Removes the oldest file if all of it was read; call it when what was
    /// read is stored.
    pub(super) fn remove_finished(&mut self) {
        if let Some(finished) = self.segments.pop_front_if(|it| it.is_finished()) {
            finished.remove();
        }
    }

    /// At the end: the rows in files that have disappeared under us, which
    /// nobody can read when this process is gone.
    pub(super) fn forget_missing(&mut self) -> u64 {
        let mut rows = 0;
        self.segments.retain(|segment| {
            let there = segment.path().exists();
            if !there {
                rows += segment.rows_unread();
            }
            there
        });
        rows
    }
}

/// Rows encoded and written at a time.
const PIECE_ROWS: usize = 2_000;

#[cfg(test)]
#[path = "spool/tests.rs"]
mod tests;
