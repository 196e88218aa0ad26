//! Info dictionaries that were fetched, kept as torrent files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::METADATA_SIZE_MAX;
use crate::model::InfoHash;
use crate::torrent::metainfo::Metainfo;

/// Largest file that is read: metadata and as many trackers as are used.
const FILE_SIZE_MAX: u64 = METADATA_SIZE_MAX as u64 + (1 << 20);

/// A folder with a `<info hash>.torrent` for each magnet that was resolved.
#[derive(Debug, Clone)]
pub struct MetadataCache {
    folder: PathBuf,
}

impl MetadataCache {
    /// Uses `folder`, which is made when something is stored.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The file for `info_hash`, whether it exists or not.
    pub fn path(&self, info_hash: InfoHash) -> PathBuf {
        self.folder.join(format!("{info_hash}.torrent"))
    }

    /// What was kept for `info_hash`; `None` when there is nothing, or a file
    /// with another info hash, which is told in the log.
    pub fn load(&self, info_hash: InfoHash) -> Option<Metainfo> {
        let path = self.path(info_hash);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                log::warn!("kept metadata not read: info_hash={info_hash} reason=\"{error}\"");
                return None;
            }
        };
        match Metainfo::parse(&bytes) {
            Ok(metainfo) if metainfo.info_hash == info_hash => Some(metainfo),
            Ok(_) => {
                log::warn!(
                    "kept metadata not used: info_hash={info_hash} reason=\"another info hash\""
                );
                None
            }
            Err(error) => {
                log::warn!("kept metadata not used: info_hash={info_hash} reason=\"{error}\"");
                None
            }
        }
    }

    /// Keeps `info`, whose SHA-1 must be `info_hash`, with the trackers of its
    /// link; returns the file. Written beside and moved, so that a run that
    /// is killed leaves no half file.
    pub fn store(
        &self,
        info_hash: InfoHash,
        info: &[u8],
        trackers: &[String],
    ) -> io::Result<PathBuf> {
        if InfoHash::of(info) != info_hash {
            let text = "the metadata have another info hash";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        fs::create_dir_all(&self.folder)?;
        let path = self.path(info_hash);
        let part = path.with_extension("torrent.part");
        let mut file = File::create(&part)?;
        file.write_all(&torrent_file(info, trackers))?;
        file.sync_all()?;
        drop(file);
        fs::rename(&part, &path)?;
        Ok(path)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let text = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}

/// A torrent file around the bytes of an info dictionary, which stay as they
/// are, with one tier for each tracker (BEP 12).
pub fn torrent_file(info: &[u8], trackers: &[String]) -> Vec<u8> {
    let text = |url: &String| format!("{}:{url}", url.len());
    let mut file = b"d".to_vec();
    if let Some(first) = trackers.first() {
        let tiers: Vec<String> = trackers
            .iter()
            .map(|url| format!("l{}e", text(url)))
            .collect();
        let head = format!(
            "8:announce{}13:announce-listl{}e",
            text(first),
            tiers.concat()
        );
        file.extend_from_slice(head.as_bytes());
    }
    file.extend_from_slice(b"4:info");
    file.extend_from_slice(info);
    file.push(b'e');
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] =
        b"d6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:....................e";

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let cache = MetadataCache::new(folder.path().join("metadata"));
        let hash = InfoHash::of(INFO);
        assert_eq!(cache.load(hash), None);
        let trackers = ["udp://a:1".to_owned(), "http://b/x".to_owned()];
        let path = cache.store(hash, INFO, &trackers).unwrap();
        assert_eq!(path, cache.path(hash));
        let metainfo = cache.load(hash).unwrap();
        assert_eq!((metainfo.info_hash, metainfo.pieces.0), (hash, 1));
        assert_eq!(metainfo.trackers, trackers);
        assert_eq!(metainfo.notes, Vec::<String>::new());
        cache.store(hash, INFO, &[]).unwrap();
        assert_eq!(cache.load(hash).unwrap().trackers, Vec::<String>::new());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_do_not_fit_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = MetadataCache::new(folder.path());
        let hash = InfoHash::of(INFO);
        let other = InfoHash::new([7; 20]);
        assert!(cache.store(other, INFO, &[]).is_err());
        assert_eq!(cache.load(other), None);
        fs::write(cache.path(other), torrent_file(INFO, &[])).unwrap();
        assert_eq!(cache.load(other), None, "another info hash");
        fs::write(cache.path(hash), b"d4:info").unwrap();
        assert_eq!(cache.load(hash), None, "cut off");
        let long = InfoHash::new([8; 20]);
        let file = File::create(cache.path(long)).unwrap();
        file.set_len(FILE_SIZE_MAX + 1).unwrap();
        assert_eq!(cache.load(long), None, "too large");
        let folder = InfoHash::new([9; 20]);
        fs::create_dir(cache.path(folder)).unwrap();
        assert_eq!(cache.load(folder), None, "a folder");
    }
}
