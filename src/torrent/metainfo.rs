//! Reads one torrent file (BEP 3, 12, 27; the v1 side of BEP 52 hybrids).
//!
//! Called by [`super::import`] on the main thread before a run. What programs
//! write in real files is tolerated and noted: unsorted and repeated keys,
//! bytes after the end, wrong encodings, piece counts that do not fit. Refused
//! is only what leaves nothing to measure.

use std::fmt;

use super::trackers::TrackerList;
use crate::model::{InfoHash, PieceCount};
use crate::protocol::bencode::{Malformed, Value};

/// Greatest `piece length` in bytes, 2 GiB - 1: the evaluation scripts read
/// the column as a 32-bit integer.
pub const PIECE_LENGTH_MAX: u64 = i32::MAX as u64;

/// Longest name that is kept, in characters.
const NAME_MAX: usize = 255;

/// What a torrent file says, as far as a measurement needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metainfo {
    /// SHA-1 of the info dictionary exactly as it stands in the file.
    pub info_hash: InfoHash,
    /// `announce`, then every URL of every tier of `announce-list`; trimmed,
    /// none twice, only http, https and udp. Empty for a trackerless torrent.
    pub trackers: Vec<String>,
    /// Number of pieces, at least 1.
    pub pieces: PieceCount,
    /// Bytes a piece, 1 to [`PIECE_LENGTH_MAX`].
    pub piece_length: u64,
    /// Bytes of all files together, padding files (BEP 47) included; `None`
    /// when a length is missing or makes no sense.
    pub total_length: Option<u64>,
    /// `name.utf-8` where it is valid, else `name`; valid UTF-8 without
    /// control characters; `None` when nothing is left.
    pub display_name: Option<String>,
    /// `private` is 1 (BEP 27).
    pub private: bool,
    /// What was odd about the file without making it useless, one sentence
    /// each, outside text escaped.
    pub notes: Vec<String>,
}

/// Why a torrent file cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetainfoError {
    /// The file is no bencoding.
    Malformed(Malformed),
    /// The outermost value is something else than a dictionary.
    NotDictionary {
        /// What it is.
        found: &'static str,
    },
    /// `info` is missing or no dictionary.
    NoInfo,
    /// A v2 torrent without v1 part (BEP 52): its swarm has another kind of
    /// info hash.
    V2Only,
    /// `pieces` is missing or no string.
    NoPieces,
    /// `pieces` is empty, or no multiple of 20 bytes.
    PiecesLength {
        /// Its length in bytes.
        length: usize,
    },
    /// `piece length` is missing, no integer, or not from 1 to
    /// [`PIECE_LENGTH_MAX`].
    PieceLength {
        /// What was found, if it was a number.
        found: Option<i64>,
    },
}

impl fmt::Display for MetainfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "not a torrent file: {malformed}"),
            Self::NotDictionary { found } => {
                write!(f, "not a torrent file: a {found} instead of a dictionary")
            }
            Self::NoInfo => f.write_str("not a torrent file: it has no info dictionary"),
            Self::V2Only => f.write_str(
                "a v2-only torrent (BEP 52), which is not supported; use a v1 or hybrid torrent",
            ),
            Self::NoPieces => f.write_str("the info dictionary has no piece hashes (\"pieces\")"),
            Self::PiecesLength { length: 0 } => f.write_str("the torrent has no pieces"),
            Self::PiecesLength { length } => write!(
                f,
                "\"pieces\" has {length} bytes, which is no multiple of 20"
            ),
            Self::PieceLength { found: Some(found) } => write!(
                f,
                "\"piece length\" is {found}, allowed are 1 to {PIECE_LENGTH_MAX}"
            ),
            Self::PieceLength { found: None } => {
                f.write_str("\"piece length\" is missing or no number")
            }
        }
    }
}

impl std::error::Error for MetainfoError {}

impl Metainfo {
    /// Reads the bytes of a torrent file.
    ///
    /// ```
    /// use btda::torrent::metainfo::Metainfo;
    /// let file = b"d4:infod6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:....................ee";
    /// let metainfo = Metainfo::parse(file)?;
    /// assert_eq!((metainfo.pieces.0, metainfo.trackers.len()), (1, 0));
    /// assert_eq!(metainfo.info_hash, btda::model::InfoHash::of(&file[7..file.len() - 1]));
    /// # Ok::<(), btda::torrent::metainfo::MetainfoError>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        let (file, rest) = Value::parse_prefix(bytes).map_err(MetainfoError::Malformed)?;
        if file.dict().is_none() {
            return Err(MetainfoError::NotDictionary { found: file.kind() });
        }
        let info = file
            .get(b"info")
            .filter(|info| info.dict().is_some())
            .ok_or(MetainfoError::NoInfo)?;
        let pieces = piece_count(info)?;
        let piece_length = piece_length(info)?;
        let (trackers, mut notes) = TrackerList::of(file).finish();
        if !rest.is_empty() {
            notes.push(format!("{} bytes follow the torrent", rest.len()));
        }
        if is_v2(info) {
            notes.push("hybrid torrent: only its v1 swarm is measured".to_owned());
        }
        let total_length = total_length(info);
        notes.extend(note_on_length(total_length, pieces, piece_length));
        Ok(Self {
            info_hash: InfoHash::of(info.raw()),
            trackers,
            pieces,
            piece_length,
            total_length,
            display_name: display_name(info),
            private: info.get(b"private").and_then(Value::integer) == Some(1),
            notes,
        })
    }
}

/// Whether there is a v2 part (BEP 52).
fn is_v2(info: Value<'_>) -> bool {
    info.get(b"meta version").and_then(Value::integer) == Some(2)
        || info.get(b"file tree").is_some()
}

fn piece_count(info: Value<'_>) -> Result<PieceCount, MetainfoError> {
    let Some(pieces) = info.get(b"pieces").and_then(Value::bytes) else {
        return Err(if is_v2(info) {
            MetainfoError::V2Only
        } else {
            MetainfoError::NoPieces
        });
    };
    let wrong = MetainfoError::PiecesLength {
        length: pieces.len(),
    };
    let (hashes, rest) = pieces.as_chunks::<20>();
    match u32::try_from(hashes.len()) {
        Ok(count @ 1..) if rest.is_empty() => Ok(PieceCount(count)),
        _ => Err(wrong),
    }
}

fn piece_length(info: Value<'_>) -> Result<u64, MetainfoError> {
    let found = info.get(b"piece length").and_then(Value::integer);
    found
        .and_then(|length| u64::try_from(length).ok())
        .filter(|length| (1..=PIECE_LENGTH_MAX).contains(length))
        .ok_or(MetainfoError::PieceLength { found })
}

/// `length` of the only file, or the sum over `files`.
fn total_length(info: Value<'_>) -> Option<u64> {
    let length = |file: Value<'_>| u64::try_from(file.get(b"length")?.integer()?).ok();
    match info.get(b"files").and_then(Value::list) {
        Some(mut files) => files.try_fold(0_u64, |sum, file| sum.checked_add(length(file)?)),
        None => length(info),
    }
}

/// A count that does not fit is only noted: peers are compared with the
/// number of piece hashes, which is what their bitfields follow.
fn note_on_length(total: Option<u64>, pieces: PieceCount, piece_length: u64) -> Option<String> {
    let Some(total) = total else {
        return Some("the length of the content is missing or makes no sense".to_owned());
    };
    let expected = total.div_ceil(piece_length);
    (expected != u64::from(pieces.0)).then(|| {
        format!("{pieces} piece hashes, but {total} bytes of content make {expected} pieces")
    })
}

fn display_name(info: Value<'_>) -> Option<String> {
    let unicode = info.get(b"name.utf-8").and_then(Value::text).map(clean);
    let name = info.get(b"name").and_then(Value::bytes);
    unicode
        .filter(|name| !name.is_empty())
        .or_else(|| name.map(|bytes| clean(&String::from_utf8_lossy(bytes))))
        .filter(|name| !name.is_empty())
}

fn clean(name: &str) -> String {
    let kept: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    kept.trim().to_owned()
}
