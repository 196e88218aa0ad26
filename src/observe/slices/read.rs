//! Reads files of records back, line by line and with bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::observe::record::{LINE_MAX, Record, parse};

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadCounts {
    /// Records.
    pub records: u64,
    /// Lines that are none.
    pub malformed: u64,
}

/// The records of a file in their order.
pub struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    counts: ReadCounts,
}

impl Lines {
    /// Opens a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::of(Box::new(File::open(path)?)))
    }

    /// Reads from anything.
    pub fn of(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            line: Vec::new(),
            counts: ReadCounts::default(),
        }
    }

    /// What was read so far.
    pub const fn counts(&self) -> ReadCounts {
        self.counts
    }

    /// The next record; lines that are none are counted and passed over. A
    /// last line without its end, of a file that was cut off, is one of them
    /// unless it is whole.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            self.line.clear();
            let limit = LINE_MAX as u64 + 1;
            let mut limited = (&mut self.reader).take(limit);
            let read = limited.read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            if self.line.last() != Some(&b'\n') && read as u64 == limit {
                self.skip_line()?;
                self.counts.malformed += 1;
                continue;
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            if let Ok(record) = parse(&self.line) {
                self.counts.records += 1;
                return Ok(Some(record));
            }
            self.counts.malformed += 1;
        }
    }

    /// Passes over the rest of a line that is too long.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(bytes.len(), |at| at + 1);
            self.reader.consume(length);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}
