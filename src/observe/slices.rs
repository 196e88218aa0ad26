//! Records on disk: one file for each slice of time, named as the objects of
//! 2018 were, written under a temporary name and renamed when whole.
//!
//! `YYYY/MM/DD/HH/boonlog-firehose-1-YYYY-MM-DD-HH-MM-SS-<uuid>` below one
//! folder, all in UTC; `latest.txt` there has the path of the newest whole
//! one. Only the thread `observe-write` uses this. A disk that is full or
//! gone costs records, which are counted, and never the program.

mod prune;
mod read;

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;

use crate::dht::node::random::Random;
use crate::model::Timestamp;

pub use prune::{Pruned, prune};
pub use read::{Lines, ReadCounts};

/// Beginning of every name.
pub const PREFIX: &str = "boonlog-firehose-1-";

/// End of a name while the file is not whole.
pub const PART: &str = ".part";

/// File with the path of the newest whole slice.
pub const LATEST: &str = "latest.txt";

/// Bytes that wait for the disk before they are written.
const WRITE_AT: usize = 256 * 1024;

/// Bytes that wait at most; what comes beyond is lost.
const WAITING_MAX: usize = 8 << 20;

/// Pause after the disk refused something.
const PAUSE: Duration = Duration::from_secs(1);

/// What was written, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SliceCounts {
    /// Records that are in files.
    pub written: u64,
    /// Records lost because the disk took nothing for too long.
    pub lost: u64,
    /// Whole files.
    pub slices: u64,
    /// Refusals of the system.
    pub failures: u64,
}

/// Writes slices.
pub struct Slices {
    folder: PathBuf,
    length: Duration,
    random: Random,
    /// When the slice began, be its file there or not.
    since: Option<Timestamp>,
    open: Option<Open>,
    /// Lines that are in no file yet, and how many.
    waiting: Vec<u8>,
    lines: u64,
    retry_at: Option<Timestamp>,
    counts: SliceCounts,
    last_error: Option<String>,
}

/// The slice that is written to.
struct Open {
    file: File,
    part: PathBuf,
    whole: PathBuf,
    /// Bytes that are whole lines.
    good: u64,
}

impl Slices {
    /// Slices of `length` below `folder`.
    pub fn new(folder: PathBuf, length: Duration, random: Random) -> Self {
        Self {
            folder,
            length,
            random,
            since: None,
            open: None,
            waiting: Vec::new(),
            lines: 0,
            retry_at: None,
            counts: SliceCounts::default(),
            last_error: None,
        }
    }

    /// What was written so far.
    pub const fn counts(&self) -> SliceCounts {
        self.counts
    }

    /// What the system said last, once for each new text.
    pub fn take_error(&mut self) -> Option<String> {
        self.last_error.take()
    }

    /// Takes one line with its end, of the time `at`.
    pub fn push(&mut self, at: Timestamp, line: &[u8]) {
        self.begin_next(at);
        self.since.get_or_insert(at);
        if self.waiting.len() + line.len() > WAITING_MAX {
            self.counts.lost += 1;
            return;
        }
        self.waiting.extend_from_slice(line);
        self.lines += 1;
        if self.waiting.len() >= WRITE_AT {
            self.write_out(at);
        }
    }

    /// Writes what waits, and ends the slice when its time is over. Called
    /// about once a second, with the time of the records.
    pub fn tick(&mut self, now: Timestamp) {
        self.begin_next(now);
        self.write_out(now);
    }

    /// Ends the slice.
    pub fn close(&mut self, now: Timestamp) {
        self.retry_at = None;
        self.write_out(now);
        self.finish(now);
        self.counts.lost += std::mem::take(&mut self.lines);
        self.waiting.clear();
    }

    /// Ends the slice when `now` is outside it.
    fn begin_next(&mut self, now: Timestamp) {
        // Some are a little late: they came to another node.
        let over =
            |since: Timestamp| now >= since.plus(self.length) || now.plus(self.length) <= since;
        if self.since.is_some_and(over) {
            self.write_out(now);
            self.finish(now);
            self.since = None;
        }
    }

    fn write_out(&mut self, now: Timestamp) {
        if self.waiting.is_empty() || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        match self.try_write(now) {
            Ok(()) => {
                self.counts.written += std::mem::take(&mut self.lines);
                self.waiting.clear();
                self.retry_at = None;
            }
            Err(error) => self.failed(&error, now),
        }
    }

    fn try_write(&mut self, now: Timestamp) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.create(self.since.unwrap_or(now))?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if let Err(error) = open.file.write_all(&self.waiting) {
            // Half a line must not stay in front of the next attempt.
            open.file.set_len(open.good)?;
            open.file.seek(SeekFrom::Start(open.good))?;
            return Err(error);
        }
        open.good += self.waiting.len() as u64;
        Ok(())
    }

    fn create(&mut self, since: Timestamp) -> io::Result<Open> {
        let relative = relative_path(since, &uuid(&mut self.random));
        let whole = self.folder.join(&relative);
        if let Some(folder) = whole.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut part = whole.clone().into_os_string();
        part.push(PART);
        let part = PathBuf::from(part);
        Ok(Open {
            file: File::create_new(&part)?,
            part,
            whole,
            good: 0,
        })
    }

    /// Gives the slice its name.
    fn finish(&mut self, now: Timestamp) {
        let Some(open) = self.open.take() else {
            return;
        };
        let renamed = open
            .file
            .sync_all()
            .and_then(|()| fs::rename(&open.part, &open.whole));
        let done = renamed.and_then(|()| self.note_latest(&open.whole));
        match done {
            Ok(()) => self.counts.slices += 1,
            Err(error) => self.failed(&error, now),
        }
    }

    /// Says which slice is the newest; readers see the old or the new text.
    fn note_latest(&self, whole: &Path) -> io::Result<()> {
        let name = whole.strip_prefix(&self.folder).unwrap_or(whole);
        let latest = self.folder.join(LATEST);
        let temporary = self.folder.join(format!("{LATEST}.tmp"));
        fs::write(&temporary, format!("{}\n", name.display()))?;
        fs::rename(temporary, latest)
    }

    fn failed(&mut self, error: &io::Error, now: Timestamp) {
        self.counts.failures += 1;
        self.last_error = Some(error.to_string());
        self.retry_at = Some(now.plus(PAUSE));
    }
}

impl Drop for Slices {
    /// What is left after a panic is whole lines at least.
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.close(since);
        }
    }
}

/// The path of a slice that begins at `at`.
fn relative_path(at: Timestamp, uuid: &str) -> PathBuf {
    let time = DateTime::from_timestamp_millis(at.millis()).unwrap_or_default();
    let folder = time.format("%Y/%m/%d/%H");
    let name = time.format("%Y-%m-%d-%H-%M-%S");
    PathBuf::from(format!("{folder}/{PREFIX}{name}-{uuid}"))
}

/// A random UUID (RFC 9562, version 4).
fn uuid(random: &mut Random) -> String {
    let number = u128::from_be_bytes(random.bytes());
    let number = number & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{number:032x}");
    let part = |range| digits.get(range).unwrap_or_default();
    [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests;
