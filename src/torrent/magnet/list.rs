//! Files with one magnet link a line: `magnet.txt` of 2015.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{LINK_LEN_MAX, Magnet};

/// Largest list that is read, in bytes.
pub const LIST_SIZE_MAX: u64 = 16 << 20;

/// Notes kept at most: a file of another kind has a bad line on every line.
pub const NOTES_MAX: usize = 1000;

/// A link that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MagnetLine {
    /// Number of its line, from 1.
    pub line: usize,
    /// The link.
    pub magnet: Magnet,
}

/// What a list holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MagnetList {
    /// The links in their order.
    pub links: Vec<MagnetLine>,
    /// A note for each line that was skipped or odd, with its number; outside
    /// text escaped, [`NOTES_MAX`] at most.
    pub notes: Vec<String>,
    /// Lines that were skipped.
    pub skipped: usize,
}

/// Reads a list. Blank lines and lines that begin with `#` are left out; a
/// line that cannot be used is noted and skipped.
///
/// ```
/// let text = "# seen in May\n\nmagnet:?xt=urn:btih:00\r\n";
/// let list = btda::torrent::magnet::parse_list(text.as_bytes());
/// assert!(list.links.is_empty() && list.notes[0].starts_with("line 3 skipped: "));
/// ```
pub fn parse_list(bytes: &[u8]) -> MagnetList {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut list = MagnetList::default();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line_number = index.saturating_add(1);
        // A longer line is refused by its length, before it is copied.
        let kept = line.get(..=LINK_LEN_MAX).unwrap_or(line);
        let text = String::from_utf8_lossy(kept);
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match Magnet::parse(text) {
            Ok(magnet) => {
                let notes = magnet.notes.iter();
                let notes = notes.map(|note| format!("line {line_number}: {note}"));
                list.notes.extend(notes);
                list.notes.truncate(NOTES_MAX);
                list.links.push(MagnetLine {
                    line: line_number,
                    magnet,
                });
            }
            Err(error) => {
                list.skipped += 1;
                if list.notes.len() < NOTES_MAX {
                    list.notes
                        .push(format!("line {line_number} skipped: {error}"));
                }
            }
        }
    }
    list
}

/// Reads the list at `path`; also returns its bytes, for the checksum in
/// table `input`.
///
/// Fails when it cannot be read, is no regular file, or is larger than
/// [`LIST_SIZE_MAX`].
pub fn read_list(path: &Path) -> io::Result<(Vec<u8>, MagnetList)> {
    let too_large = || {
        let text = format!("larger than {} MiB", LIST_SIZE_MAX >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    // Asked before it is opened, because opening a FIFO would wait.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        let text = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if metadata.len() > LIST_SIZE_MAX {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // The file may have grown since.
    let read = File::open(path)?
        .take(LIST_SIZE_MAX + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > LIST_SIZE_MAX {
        return Err(too_large());
    }
    let list = parse_list(&bytes);
    Ok((bytes, list))
}
