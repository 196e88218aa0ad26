//! Names of files beside a database, and files read within limits.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::report::ReportError;

/// Largest file beside a database that is read as a whole.
const SIDE_FILE_MAX: u64 = 64 * 1024 * 1024;

/// `a/b.sqlite` and `_x.txt` give `a/b_x.txt`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}{end}"))
}

/// `a/b.sqlite` and `.csv` give `a/b.sqlite.csv`.
pub(super) fn beside_whole(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}{end}"))
}

pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    crate::outside::one_line(&name.to_string_lossy())
}

pub(super) fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|it| it == part)
}

pub(super) fn opened(path: &Path) -> Result<File, ReportError> {
    File::open(path).map_err(|source| unreadable(path, &source.to_string()))
}

/// A whole text file of reasonable size.
pub(super) fn read_text(path: &Path) -> Result<String, ReportError> {
    let mut bytes = Vec::new();
    let file = opened(path)?;
    let read = file.take(SIDE_FILE_MAX + 1).read_to_end(&mut bytes);
    let read = read.map_err(|source: io::Error| unreadable(path, &source.to_string()))?;
    if read as u64 > SIDE_FILE_MAX {
        return Err(unreadable(path, "it is larger than 64 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| unreadable(path, "it is no UTF-8 text"))
}

pub(super) fn unreadable(path: &Path, reason: &str) -> ReportError {
    ReportError::Input {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
