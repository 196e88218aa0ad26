//! Whether some process has a file open. Linux: reads `/proc`, so processes
//! of other users are not seen; before anything is changed, SQLite's own lock
//! is asked as well.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The id of another process that has the file at `path` open.
pub(super) fn process_with(path: &Path) -> Option<u32> {
    let file = fs::metadata(path).ok()?;
    let own = std::process::id();
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.into_iter()
        .filter(|id| *id != own)
        .find(|id| has_open(*id, &file))
}

fn has_open(process: u32, file: &Metadata) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    open.flatten().any(|entry| {
        fs::metadata(entry.path()).is_ok_and(|it| it.ino() == file.ino() && it.dev() == file.dev())
    })
}
