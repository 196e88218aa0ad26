//! What a torrent holds: its name and its files.
//!
//! Pure. Made of an info dictionary by the observatory's resolver, and of an
//! archived file by `btda observe --summary`.

use serde::Serialize;

use super::metainfo::MetainfoError;
use super::name::clean;
use crate::model::{FileKind, InfoHash};
use crate::protocol::bencode::Value;

/// Parts of a path that are kept.
const DEPTH_MAX: usize = 32;

/// Files that are kept; the counts tell of all.
pub const FILES_MAX: usize = 100_000;

/// Name, size and files of a torrent. Serialised, it is the summary of the
/// monitor of 2018.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// SHA-1 of the info dictionary, in upper case.
    #[serde(serialize_with = "upper_case")]
    pub infohash: InfoHash,
    /// `name.utf-8` where it is valid, else `name`; without control
    /// characters; may be empty.
    pub name: String,
    /// Number of files.
    pub num_files: u64,
    /// Bytes of all files; what makes no sense counts as 0.
    pub size: u64,
    /// The first [`FILES_MAX`] files.
    pub files: Vec<FileEntry>,
}

/// One file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// Folders below the torrent's name, and the file's name.
    pub path: Vec<String>,
}

fn upper_case<S: serde::Serializer>(hash: &InfoHash, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hash.to_string().to_uppercase())
}

impl FileEntry {
    /// What it is, by the last part of its path.
    pub fn kind(&self) -> FileKind {
        self.path
            .last()
            .map_or(FileKind::Other, |name| FileKind::of(name))
    }
}

impl Summary {
    /// Of the bytes of a torrent file.
    pub fn of_file(bytes: &[u8]) -> Result<Self, MetainfoError> {
        let (file, _) = Value::parse_prefix(bytes).map_err(MetainfoError::Malformed)?;
        let info = file.get(b"info").ok_or(MetainfoError::NoInfo)?;
        Self::of(info)
    }

    /// Of the bytes of an info dictionary (BEP 9).
    pub fn of_info(bytes: &[u8]) -> Result<Self, MetainfoError> {
        Self::of(Value::parse(bytes).map_err(MetainfoError::Malformed)?)
    }

    fn of(info: Value<'_>) -> Result<Self, MetainfoError> {
        if info.dict().is_none() {
            return Err(MetainfoError::NoInfo);
        }
        let name = text(info, b"name.utf-8", b"name");
        let mut summary = Self {
            infohash: InfoHash::of(info.raw()),
            name,
            num_files: 0,
            size: 0,
            files: Vec::new(),
        };
        match info.get(b"files").and_then(Value::list) {
            Some(files) => files.for_each(|file| summary.add(size(file), || path(file))),
            None => summary.add(size(info), || vec![text(info, b"name.utf-8", b"name")]),
        }
        Ok(summary)
    }

    fn add(&mut self, size: u64, path: impl FnOnce() -> Vec<String>) {
        self.num_files += 1;
        self.size = self.size.saturating_add(size);
        if self.files.len() < FILES_MAX {
            let path = path();
            self.files.push(FileEntry { size, path });
        }
    }

    /// The kinds of its files, as bits of [`FileKind::bit`].
    pub fn kinds(&self) -> u8 {
        let bits = self.files.iter().map(|file| file.kind().bit());
        bits.fold(0, |kinds, bit| kinds | bit)
    }
}

fn size(file: Value<'_>) -> u64 {
    let length = file.get(b"length").and_then(Value::integer);
    length.and_then(|it| u64::try_from(it).ok()).unwrap_or(0)
}

fn path(file: Value<'_>) -> Vec<String> {
    let parts = |key| file.get(key).and_then(Value::list);
    let Some(parts) = parts(b"path.utf-8").or_else(|| parts(b"path")) else {
        return Vec::new();
    };
    let parts = parts.take(DEPTH_MAX);
    parts.filter_map(Value::bytes).map(clean_bytes).collect()
}

fn clean_bytes(name: &[u8]) -> String {
    clean(&String::from_utf8_lossy(name))
}

fn text(info: Value<'_>, unicode: &[u8], plain: &[u8]) -> String {
    let unicode = info.get(unicode).and_then(Value::text);
    let unicode = unicode.map(clean);
    unicode
        .filter(|text| !text.is_empty())
        .or_else(|| info.get(plain).and_then(Value::bytes).map(clean_bytes))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn several_files_are_listed() {
        let info = b"d5:filesld6:lengthi3e4:pathl1:a7:b\n.epubeed6:lengthi4e4:pathl1:xe\
            10:path.utf-8l6:\xc3\xa9.pdfeed6:lengthi-1eee4:name1:n10:name.utf-82:\xc3\xa9e";
        let summary = Summary::of_info(info).unwrap();
        assert_eq!((summary.num_files, summary.size), (3, 7));
        assert_eq!(summary.name, "é");
        assert_eq!(summary.files[0].path, ["a", "b.epub"]);
        assert_eq!(summary.files[1].path, ["é.pdf"]);
        let kinds = FileKind::Book.bit() | FileKind::Pdf.bit() | FileKind::Other.bit();
        assert_eq!(summary.kinds(), kinds);
        let file = [&b"d4:info"[..], info, b"e"].concat();
        assert_eq!(Summary::of_file(&file).unwrap(), summary);
    }

    #[test]
    fn the_json_is_that_of_2018() {
        let summary = Summary::of_info(b"d6:lengthi5e4:name5:x.mkve").unwrap();
        let hash = summary.infohash.to_string().to_uppercase();
        assert_eq!(
            serde_json::to_string(&summary).unwrap(),
            format!(
                "{{\"infohash\":\"{hash}\",\"name\":\"x.mkv\",\"num_files\":1,\"size\":5,\
                 \"files\":[{{\"size\":5,\"path\":[\"x.mkv\"]}}]}}"
            )
        );
        assert_eq!(summary.kinds(), FileKind::Video.bit());
    }

    #[test]
    fn what_is_no_torrent_is_refused() {
        assert!(Summary::of_file(b"").is_err());
        assert!(Summary::of_file(b"de").is_err());
        assert!(Summary::of_file(b"d4:infoi1ee").is_err());
        assert!(Summary::of_info(b"le").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Summary::of_file(&bytes);
            let _ = Summary::of_info(&bytes);
        }
    }
}
