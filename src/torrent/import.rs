//! Finds and reads the torrent files of a run.
//!
//! Called once at the start, on the main thread. No file stops the import:
//! what cannot be used is told in the log and in [`Import::files`], and the
//! caller decides what to do when no torrent is left.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use log::{info, warn};
use walkdir::WalkDir;

use super::metainfo::{Metainfo, MetainfoError};
use super::trackers::TrackerList;
use crate::config::settings::InputSettings;
use crate::model::record::InputFile;
use crate::model::{InfoHash, Torrent, TorrentId};

/// Largest torrent file that is read, in bytes.
pub const FILE_SIZE_MAX: u64 = 64 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Import {
    /// The torrents to measure, ids from 1 without gaps.
    pub torrents: Vec<Torrent>,
    /// Every file that was considered, in the order of consideration.
    pub files: Vec<InputFile>,
}

/// Why a file was skipped.
#[derive(Debug)]
enum Skipped {
    /// It could not be found or read.
    Io(io::Error),
    /// A directory, FIFO, socket or device.
    NotRegular,
    /// More than [`FILE_SIZE_MAX`] bytes.
    TooLarge,
    /// Not a torrent that can be measured.
    Metainfo(MetainfoError),
    /// Every torrent id is taken.
    TooMany,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::NotRegular => f.write_str("not a regular file"),
            Self::TooLarge => write!(f, "larger than {} MiB", FILE_SIZE_MAX >> 20),
            Self::Metainfo(error) => error.fmt(f),
            Self::TooMany => f.write_str("a run can measure 65,535 torrents at most"),
        }
    }
}

/// A torrent that a magnet link names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub info_hash: InfoHash,
    /// `tr`, as [`super::magnet::Magnet::trackers`].
    pub trackers: Vec<String>,
    /// The torrent file with its metadata, when they were fetched before.
    pub kept: Option<PathBuf>,
}

/// Imports the `links` whose metadata are kept, then all `.torrent` files below the folder in all depths, sorted by the
/// bytes of their path, then the single files. `threshold` is
/// `torrent_complete_threshold`.
///
/// A file that is named twice is read once. Two files with the same info hash
/// give one torrent: the trackers of the second follow those of the first,
/// and it is private if one of them is. The trackers of a link follow those of
/// its file. A link whose metadata are neither kept nor in a file gives no
/// torrent yet.
pub fn import(settings: &InputSettings, threshold: f64, links: &[Link]) -> Import {
    let mut importer = Importer {
        threshold,
        seen: HashSet::new(),
        by_hash: HashMap::new(),
        found: Import::default(),
    };
    let kept = links.iter().filter_map(|link| link.kept.clone());
    for path in kept
        .chain(find(&settings.folder))
        .chain(settings.files.iter().cloned())
    {
        importer.consider(path);
    }
    for link in links {
        importer.link(link);
    }
    let Import { torrents, files } = &importer.found;
    info!(
        "import done: torrents={} files={}",
        torrents.len(),
        files.len()
    );
    importer.found
}

/// Paths of all entries below `folder` that end in `.torrent`, directories
/// left out; symbolic links are followed.
fn find(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if is_torrent(entry.path()) => paths.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => match error.path() {
                // A link to nowhere, say: reading it will tell.
                Some(path) if is_torrent(path) && error.loop_ancestor().is_none() => {
                    paths.push(path.to_owned());
                }
                path => warn_folder(path.unwrap_or(folder), &error),
            },
        }
    }
    paths.sort_by(|a, b| {
        a.as_os_str()
            .as_encoded_bytes()
            .cmp(b.as_os_str().as_encoded_bytes())
    });
    paths
}

fn warn_folder(path: &Path, error: &walkdir::Error) {
    let reason = match error.io_error() {
        Some(error) => error.to_string(),
        None => "a symbolic link leads back to a folder above".to_owned(),
    };
    warn!(
        "folder not searched: path={} reason={reason:?}",
        quoted(path)
    );
}

fn is_torrent(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    name.last_chunk::<8>()
        .is_some_and(|ending| ending.eq_ignore_ascii_case(b".torrent"))
}

/// The path in quotes and escaped, for logs and notes.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

struct Importer {
    threshold: f64,
    /// Canonical paths of the files considered so far.
    seen: HashSet<PathBuf>,
    by_hash: HashMap<InfoHash, usize>,
    found: Import,
}

impl Importer {
    fn consider(&mut self, path: PathBuf) {
        let canonical = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if !self.seen.insert(canonical) {
            return;
        }
        let mut file = InputFile {
            path,
            sha1: None,
            torrent: None,
            note: None,
        };
        let path = quoted(&file.path);
        match self.take(&mut file) {
            Ok(notes) => {
                for note in &notes {
                    warn!("torrent file imported: path={path} note={note:?}");
                }
                file.note = (!notes.is_empty()).then(|| notes.join("; "));
            }
            Err(skipped) => {
                let reason = skipped.to_string();
                warn!("torrent file skipped: path={path} reason={reason:?}");
                file.note = Some(format!("skipped: {reason}"));
            }
        }
        self.found.files.push(file);
    }

    /// Adds the trackers of a link to its torrent, if that is there.
    fn link(&mut self, link: &Link) {
        let index = self.by_hash.get(&link.info_hash);
        let torrent = index.and_then(|&index| self.found.torrents.get_mut(index));
        if let Some(torrent) = torrent {
            merge_trackers(&mut torrent.trackers, &link.trackers);
        }
    }

    /// Reads the file and adds or merges its torrent; returns what was odd.
    fn take(&mut self, file: &mut InputFile) -> Result<Vec<String>, Skipped> {
        let bytes = read(&file.path)?;
        file.sha1 = Some(InfoHash::of(&bytes));
        let mut metainfo = Metainfo::parse(&bytes).map_err(Skipped::Metainfo)?;
        let mut notes = std::mem::take(&mut metainfo.notes);
        let known = self.by_hash.get(&metainfo.info_hash);
        let known = known.and_then(|&index| self.found.torrents.get_mut(index));
        file.torrent = Some(match known {
            Some(torrent) => {
                notes.push(merge(torrent, &metainfo));
                torrent.id
            }
            None => self.add(&file.path, metainfo)?,
        });
        Ok(notes)
    }

    fn add(&mut self, path: &Path, metainfo: Metainfo) -> Result<TorrentId, Skipped> {
        let index = self.found.torrents.len();
        let id = TorrentId::from_index(index).ok_or(Skipped::TooMany)?;
        self.by_hash.insert(metainfo.info_hash, index);
        let torrent = torrent_of(id, path.to_owned(), metainfo, self.threshold);
        self.found.torrents.push(torrent);
        Ok(id)
    }
}

/// The torrent that `metainfo` describes; `threshold` is
/// `torrent_complete_threshold`.
pub(crate) fn torrent_of(
    id: TorrentId,
    path: PathBuf,
    metainfo: Metainfo,
    threshold: f64,
) -> Torrent {
    Torrent {
        id,
        info_hash: metainfo.info_hash,
        trackers: metainfo.trackers,
        pieces: metainfo.pieces,
        piece_length: metainfo.piece_length,
        threshold: Torrent::threshold_of(metainfo.pieces, threshold),
        path,
        display_name: metainfo.display_name,
        private: metainfo.private,
    }
}

/// The URLs of `first`, then those of `second`, none twice.
pub(crate) fn merge_trackers(first: &mut Vec<String>, second: &[String]) {
    let mut list = TrackerList::from_urls(std::mem::take(first));
    for url in second {
        list.push(url);
    }
    (*first, _) = list.finish();
}

/// Adds what the second file of the same torrent says; returns the note.
fn merge(torrent: &mut Torrent, second: &Metainfo) -> String {
    let before = torrent.trackers.len();
    merge_trackers(&mut torrent.trackers, &second.trackers);
    torrent.private |= second.private;
    format!(
        "same info hash as torrent {} ({}): merged, {} trackers added",
        torrent.id,
        quoted(&torrent.path),
        torrent.trackers.len().saturating_sub(before)
    )
}

/// The whole file. Kind and size are asked before it is opened, because
/// opening a FIFO would wait for a writer.
fn read(path: &Path) -> Result<Vec<u8>, Skipped> {
    let metadata = fs::metadata(path).map_err(Skipped::Io)?;
    if !metadata.is_file() {
        return Err(Skipped::NotRegular);
    }
    if metadata.len() > FILE_SIZE_MAX {
        return Err(Skipped::TooLarge);
    }
    let file = File::open(path).map_err(Skipped::Io)?;
    let mut bytes = Vec::new();
    // The file may have grown since.
    file.take(FILE_SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(Skipped::Io)?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        return Err(Skipped::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
