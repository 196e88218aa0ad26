//! One spool file of the running program: appended to at its end and read
//! from its beginning, both through one open file, so that it serves even
//! when its folder has disappeared.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::form::{self, Header};
use super::{Mark, Queue};
use crate::storage::lost::log_unreadable;

/// An open spool file.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    number: u32,
    file: File,
    reader: BufReader<File>,
    /// Good bytes; what a failed write left behind them is no part of it.
    bytes: u64,
    /// Takes no more after a failed write.
    sealed: bool,
    lines: u64,
    rows: u64,
    lines_read: u64,
    rows_read: u64,
}

impl Segment {
    /// Makes a file in `folder` that nobody else has.
    pub(super) fn create(folder: &Path, stem: &str, header: &Header) -> io::Result<Self> {
        let line = header.line()?;
        let (path, file) = new_file(folder, stem, header.number)?;
        let begun = file.write_all_at(&line, 0).and_then(|()| {
            let mut clone = file.try_clone()?;
            clone.seek(SeekFrom::Start(line.len() as u64))?;
            Ok(BufReader::new(clone))
        });
        match begun {
            Ok(reader) => Ok(Self {
                path,
                number: header.number,
                file,
                reader,
                bytes: line.len() as u64,
                sealed: false,
                lines: 0,
                rows: 0,
                lines_read: 0,
                rows_read: 0,
            }),
            Err(error) => {
                // Of no use to anybody.
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// With its first lines; removed when it does not take them.
    pub(super) fn with_first(mut self, text: &[u8], lines: u64, rows: u64) -> io::Result<Self> {
        match self.append(text, lines, rows) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.remove();
                Err(error)
            }
        }
    }

    /// Appends whole lines; after a failure the file is as before and takes
    /// no more.
    pub(super) fn append(&mut self, text: &[u8], lines: u64, rows: u64) -> io::Result<()> {
        if self.sealed {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Err(error) = self.file.write_all_at(text, self.bytes) {
            self.sealed = true;
            // Where this fails too, the line that was cut off has no end.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += text.len() as u64;
        self.lines += lines;
        self.rows += rows;
        Ok(())
    }

    /// Makes the file outlive a power failure. What the system says to it
    /// changes nothing: the rows are nowhere else.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_data() {
            log::warn!("spool file not flushed reason=\"{error}\"");
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn rows_unread(&self) -> u64 {
        self.rows.saturating_sub(self.rows_read)
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.lines_read >= self.lines
    }

    pub(super) const fn mark(&self, left: usize) -> Mark {
        Mark {
            number: self.number,
            lines: self.lines_read.saturating_sub(left as u64),
        }
    }

    /// Reads lines until there are `rows` rows in `queue` or no more lines;
    /// returns how many were not understood.
    pub(super) fn read(&mut self, rows: usize, queue: &mut Queue) -> io::Result<u64> {
        let mut unreadable = 0;
        let mut line = Vec::new();
        while queue.len() < rows && !self.is_finished() {
            line.clear();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.lines_read += 1;
            match form::record(&line) {
                Ok(record) => {
                    self.rows_read += record.len() as u64;
                    queue.push(record);
                }
                Err(error) => {
                    log_unreadable(self.lines_read, &error.to_string());
                    unreadable += 1;
                    queue.push([]);
                }
            }
        }
        Ok(unreadable)
    }

    /// Deletes the file.
    pub(super) fn remove(self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!(
                "spool file is in the database and may be deleted, which failed reason=\"{error}\" path={}",
                self.path.display()
            ),
            _ => {}
        }
    }
}

/// Never follows a link and never opens what is there: a temporary folder is
/// open to everybody.
fn new_file(folder: &Path, stem: &str, number: u32) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let numbered = (1..NAMES).map(|other| match (number, other) {
        (1, 1) => format!("{stem}_spool.jsonl"),
        (_, 1) => format!("{stem}_spool-{number}.jsonl"),
        _ => format!("{stem}_spool-{number}-{other}.jsonl"),
    });
    for name in numbered {
        let path = folder.join(name);
        match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok((path, other?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Names tried in one folder.
const NAMES: u32 = 100;
