//! Kinds of files, by the ending of their name.

use std::fmt;
use std::str::FromStr;

/// What a file is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Pictures.
    Image,
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Books but PDF.
    Book,
    /// Packed files and images of disks.
    Archive,
    /// PDF.
    Pdf,
    /// Anything else.
    Other,
}

impl FileKind {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 7] = [
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Book,
        Self::Archive,
        Self::Pdf,
        Self::Other,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Book => "book",
            Self::Archive => "archive",
            Self::Pdf => "pdf",
            Self::Other => "other",
        }
    }

    /// Its bit in a set of kinds.
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The kind of a file of that name.
    pub fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ending.len() > 5 {
            return Self::Other;
        }
        match ending.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "png" | "gif" | "bmp" | "webp" | "tif" | "tiff" | "svg" | "heic" => {
                Self::Image
            }
            "mp4" | "mkv" | "avi" | "mov" | "wmv" | "flv" | "webm" | "m4v" | "mpg" | "mpeg"
            | "ts" | "m2ts" | "vob" | "3gp" | "ogv" => Self::Video,
            "mp3" | "flac" | "wav" | "aac" | "ogg" | "opus" | "m4a" | "wma" | "ape" | "m4b" => {
                Self::Audio
            }
            "epub" | "mobi" | "azw" | "azw3" | "djvu" | "fb2" | "cbr" | "cbz" | "lit" => Self::Book,
            "zip" | "rar" | "7z" | "tar" | "gz" | "bz2" | "xz" | "zst" | "iso" | "cab" | "tgz" => {
                Self::Archive
            }
            "pdf" => Self::Pdf,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no word of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidFileKind;

impl fmt::Display for InvalidFileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind is image, video, audio, book, archive, pdf or other")
    }
}

impl std::error::Error for InvalidFileKind {}

impl FromStr for FileKind {
    type Err = InvalidFileKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text)
            .ok_or(InvalidFileKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_the_kind() {
        for (name, kind) in [
            ("a.b.MKV", FileKind::Video),
            ("x.pdf", FileKind::Pdf),
            ("x.epub", FileKind::Book),
            ("x.tar.gz", FileKind::Archive),
            ("x.flac", FileKind::Audio),
            ("x.jpeg", FileKind::Image),
            ("README", FileKind::Other),
            ("x.", FileKind::Other),
            ("x.ẞ", FileKind::Other),
        ] {
            assert_eq!(FileKind::of(name), kind, "{name}");
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let bits: u8 = FileKind::ALL.iter().map(|kind| kind.bit()).sum();
        assert_eq!(bits, 0x7f);
        assert_eq!("films".parse::<FileKind>(), Err(InvalidFileKind));
    }
}
