//! The two error files and whole-file replacement. Writer thread only; the
//! texts are made by pure functions.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::error::StorageError;
use super::ledger::{PeerErrors, TrackerResults};

/// `event,reason,count` per line, no header, no line end after the last line
/// (contract section 6). No field needs quotes.
pub fn peer_error_text(errors: &PeerErrors) -> String {
    let lines: Vec<String> = errors
        .lines()
        .map(|(event, reason, count)| format!("{event},{reason},{count}"))
        .collect();
    lines.join("\n")
}

/// `torrent,url,result,reason,count` per line, quoted by RFC 4180 where
/// needed, no header, no line end after the last line.
pub fn tracker_error_text(results: &TrackerResults) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    for (entry, count) in results.lines() {
        writer.write_record([
            entry.torrent.to_string().as_str(),
            &entry.url,
            entry.result,
            &entry.reason,
            &count.to_string(),
        ])?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(std::io::Error::other(error.to_string())))?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}

/// Replaces the file at `path` as a whole: readers see the old or the new
/// content, never a part.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StorageError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let written = File::create(temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_data()
        })
        .and_then(|()| std::fs::rename(temporary, path));
    written.map_err(|source| {
        // The temporary file is of no use to anybody; failing to remove it
        // changes nothing for the caller.
        let _ = std::fs::remove_file(temporary);
        StorageError::File {
            path: path.to_owned(),
            source,
        }
    })
}
