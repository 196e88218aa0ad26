//! Reads one torrent file (BEP 3, 12, 27; the v1 side of BEP 52 hybrids).
//!
//! Called by [`super::import`] on the main thread before a run. What programs
//! write in real files is tolerated and noted: unsorted and repeated keys,
//! bytes after the end, wrong encodings, piece counts that do not fit. Refused
//! is only what leaves nothing to measure.

use std::fmt;

use super::name::clean;
use super::trackers::TrackerList;
use crate::model::{InfoHash, PieceCount};
use crate::protocol::bencode::{Malformed, Value};

/// Greatest `piece length` in bytes, 2 GiB - 1: the evaluation scripts read
/// the column as a 32-bit integer.
pub const PIECE_LENGTH_MAX: u64 = i32::MAX as u64;

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
        let (trackers, mut notes) = TrackerList::of(file).finish();
        if !rest.is_empty() {
            notes.push(format!("{} bytes follow the torrent", rest.len()));
        }
        Self::of_info(info, trackers, notes)
    }

    /// Reads the bytes of an info dictionary, as the metadata exchange (BEP 9)
    /// gives them, with the `trackers` of its magnet link.
    pub fn from_info(bytes: &[u8], trackers: Vec<String>) -> Result<Self, MetainfoError> {
        let info = Value::parse(bytes).map_err(MetainfoError::Malformed)?;
        if info.dict().is_none() {
            return Err(MetainfoError::NoInfo);
        }
        Self::of_info(info, trackers, Vec::new())
    }

    fn of_info(
        info: Value<'_>,
        trackers: Vec<String>,
        mut notes: Vec<String>,
    ) -> Result<Self, MetainfoError> {
        let pieces = piece_count(info)?;
        let piece_length = piece_length(info)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file around an info dictionary, `announce` before it.
    fn file(info: &[u8]) -> Vec<u8> {
        [b"d8:announce18:http://t.example/a4:info", info, b"e"].concat()
    }

    /// An info dictionary with the given entries before the usual ones.
    fn info(entries: &[u8]) -> Vec<u8> {
        let rest = b"12:piece lengthi16384e6:pieces20:....................e";
        [b"d", entries, rest].concat()
    }

    fn parse(entries: &[u8]) -> Metainfo {
        Metainfo::parse(&file(&info(entries))).unwrap()
    }

    fn name(entries: &[u8]) -> Option<String> {
        parse(&[b"6:lengthi1e", entries].concat()).display_name
    }

    fn error(file: &[u8]) -> MetainfoError {
        Metainfo::parse(file).unwrap_err()
    }

    #[test]
    fn hashes_the_original_bytes() {
        // Unsorted and repeated keys, a number with a leading zero. The
        // digest was made by another program.
        let info = b"d6:pieces40:AAAAAAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBBBBB4:name3:one\
            12:piece lengthi032768e6:lengthi40000e4:name3:twoe";
        let metainfo = Metainfo::parse(&file(info)).unwrap();
        assert_eq!(
            metainfo.info_hash.to_string(),
            "7f6ecd5d00ce428e21cf06a1807fbbd17b15996a"
        );
        assert_eq!(metainfo.pieces, PieceCount(2));
        assert_eq!(metainfo.piece_length, 32_768);
        assert_eq!(metainfo.total_length, Some(40_000));
        assert_eq!(metainfo.display_name.as_deref(), Some("one"));
        assert_eq!(metainfo.trackers, ["http://t.example/a"]);
        assert_eq!(metainfo.notes, Vec::<String>::new());
        let reordered = [&b"d4:info"[..], info, b"1:ai1ee"].concat();
        let trackerless = Metainfo::parse(&reordered).unwrap();
        assert_eq!(trackerless.info_hash, metainfo.info_hash);
        assert!(trackerless.trackers.is_empty());
    }

    #[test]
    fn a_bare_info_dictionary_is_the_same_torrent() {
        let info = info(b"6:lengthi1e4:name1:x7:privatei1e");
        let trackers = vec!["http://t.example/a".to_owned()];
        let bare = Metainfo::from_info(&info, trackers.clone());
        assert_eq!(bare, Metainfo::parse(&file(&info)));
        for wrong in [
            &b"le"[..],
            b"d",
            b"",
            b"dex",
            b"d6:pieces20:....................e",
        ] {
            assert!(Metainfo::from_info(wrong, trackers.clone()).is_err());
        }
    }

    #[test]
    fn trailing_bytes_are_noted() {
        let mut bytes = file(&info(b"6:lengthi1e"));
        bytes.extend_from_slice(b"\r\n");
        let metainfo = Metainfo::parse(&bytes).unwrap();
        assert_eq!(metainfo.notes, ["2 bytes follow the torrent"]);
    }

    #[test]
    fn hybrids_are_read_and_v2_only_is_refused() {
        let hybrid = parse(b"9:file treed1:xd0:d6:lengthi9eeee6:lengthi9e12:meta versioni2e");
        assert_eq!(hybrid.pieces, PieceCount(1));
        assert_eq!(
            hybrid.notes,
            ["hybrid torrent: only its v1 swarm is measured"]
        );
        for v2 in [
            &b"d9:file treed1:xd0:d6:lengthi9eeee12:meta versioni2e12:piece lengthi16384ee"[..],
            b"d12:meta versioni2e12:piece lengthi16384ee",
        ] {
            let refused = error(&file(v2));
            assert_eq!(refused, MetainfoError::V2Only);
            assert!(refused.to_string().contains("v2-only"));
        }
    }

    #[test]
    fn names_are_made_readable() {
        assert_eq!(name(b"4:name5:a b c").as_deref(), Some("a b c"));
        assert_eq!(name(b"4:name4:a\xff\0b").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(name(b"4:name6:\xe6\xbc\xa2\x1b\n.").as_deref(), Some("漢."));
        assert_eq!(name(b"4:name3:\x01\0 "), None);
        assert_eq!(name(b"4:name0:"), None);
        assert_eq!(name(b"4:namei5e"), None);
        assert_eq!(name(b""), None);
        let unicode = b"4:name2:\xe9.10:name.utf-83:\xc3\xa9.";
        assert_eq!(name(unicode).as_deref(), Some("é."));
        let invalid = b"4:name2:ab10:name.utf-82:\xe9.";
        assert_eq!(name(invalid).as_deref(), Some("ab"));
        let empty = b"4:name2:ab10:name.utf-81:\0";
        assert_eq!(name(empty).as_deref(), Some("ab"));
        let long = [&b"4:name1000:"[..], &[b'x'; 1000]].concat();
        assert_eq!(
            name(&long).map(|name| name.len()),
            Some(crate::torrent::name::NAME_MAX)
        );
    }

    #[test]
    fn private_is_one() {
        assert!(parse(b"6:lengthi1e7:privatei1e").private);
        for entries in [&b"7:privatei0e"[..], b"7:private1:1", b"7:privatei2e", b""] {
            assert!(!parse(&[b"6:lengthi1e", entries].concat()).private);
        }
    }

    #[test]
    fn lengths_are_summed_and_compared() {
        let several = parse(b"5:filesld6:lengthi10000eed6:lengthi6384eee");
        assert_eq!(
            (several.total_length, several.notes.len()),
            (Some(16_384), 0)
        );
        let other = parse(b"6:lengthi16385e");
        assert_eq!(other.pieces, PieceCount(1));
        assert_eq!(
            other.notes,
            ["1 piece hashes, but 16385 bytes of content make 2 pieces"]
        );
        for entries in [
            &b""[..],
            b"6:lengthi-1e",
            b"6:length1:1",
            b"5:filesld6:lengthi1eed1:xi1eee",
            b"5:filesld6:lengthi9223372036854775807eed6:lengthi9223372036854775807eed6:lengthi2eee",
        ] {
            let metainfo = parse(entries);
            assert_eq!(metainfo.total_length, None);
            assert_eq!(metainfo.notes.len(), 1, "{:?}", metainfo.notes);
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused_with_its_reason() {
        for (bytes, text) in [
            (
                &b""[..],
                "not a torrent file: bencoding is cut off at byte 0",
            ),
            (
                b"<html>",
                "not a torrent file: bencoding: unexpected byte 0x3c at byte 0",
            ),
            (
                b"li1ee",
                "not a torrent file: a list instead of a dictionary",
            ),
            (b"d1:ai1ee", "not a torrent file: it has no info dictionary"),
            (
                b"d4:infoi1ee",
                "not a torrent file: it has no info dictionary",
            ),
        ] {
            assert_eq!(error(bytes).to_string(), text);
        }
        for (info, text) in [
            (
                &b"de"[..],
                "the info dictionary has no piece hashes (\"pieces\")",
            ),
            (
                b"d6:piecesi1ee",
                "the info dictionary has no piece hashes (\"pieces\")",
            ),
            (b"d6:pieces0:e", "the torrent has no pieces"),
            (
                b"d6:pieces21:.....................e",
                "\"pieces\" has 21 bytes, which is no multiple of 20",
            ),
            (
                b"d6:pieces20:....................e",
                "\"piece length\" is missing or no number",
            ),
            (
                b"d12:piece length1:16:pieces20:....................e",
                "\"piece length\" is missing or no number",
            ),
            (
                b"d12:piece lengthi0e6:pieces20:....................e",
                "\"piece length\" is 0, allowed are 1 to 2147483647",
            ),
            (
                b"d12:piece lengthi-5e6:pieces20:....................e",
                "\"piece length\" is -5, allowed are 1 to 2147483647",
            ),
            (
                b"d12:piece lengthi2147483648e6:pieces20:....................e",
                "\"piece length\" is 2147483648, allowed are 1 to 2147483647",
            ),
        ] {
            assert_eq!(error(&file(info)).to_string(), text);
        }
    }
}
