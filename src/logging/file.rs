//! The log file, which may be deleted or moved while the program writes it.
//!
//! Before each line one look tells whether the open file is still the one at
//! its path; if not, a new one is begun there. That costs a microsecond or
//! two, and lines of level WARNING and up are rare.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An open log file, only ever appended to.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl LogFile {
    /// Opens or makes the file; its folder must be there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let found = file.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            file,
            identity: (found.dev(), found.ino()),
        })
    }

    /// Goes to the file at the path. Where none can be made there, the old
    /// one goes on: if it was only moved, it can still be read.
    fn follow(&mut self) {
        let found = std::fs::metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            return;
        }
        let folder = self.path.parent().map(std::fs::create_dir_all);
        if let Some(Ok(())) = folder
            && let Ok(new) = Self::open(&self.path)
        {
            *self = new;
        }
    }

    /// Takes the beginning of a line that did not fit away again, so that
    /// the next line does not begin behind it.
    fn cut(&self, bytes: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        self.file.set_len(length.saturating_sub(bytes))
    }
}

/// Takes whole lines.
impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.follow();
        let mut written = 0;
        while let Some(rest) = line.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if written > 0 {
                        self.cut(written as u64)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_file_that_disappears_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("output");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("run.log");
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"one\n").unwrap();
        std::fs::remove_dir_all(&inner).unwrap();
        log.write_all(b"two\n").unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(read(&path), "two\nthree\n");
        let moved = inner.join("moved.log");
        std::fs::rename(&path, &moved).unwrap();
        log.write_all(b"four\n").unwrap();
        assert_eq!(read(&path), "four\n");
        assert_eq!(read(&moved), "two\nthree\n");
    }

    #[test]
    fn without_a_place_the_old_file_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("output");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("run.log");
        let mut log = LogFile::open(&path).unwrap();
        let moved = folder.path().join("moved");
        std::fs::rename(&inner, &moved).unwrap();
        std::fs::write(&inner, "a file, no folder").unwrap();
        log.write_all(b"one\n").unwrap();
        assert_eq!(read(&moved.join("run.log")), "one\n");
    }
}
