//! Torrents that are neither shown nor stored: by info hash or by word.
//!
//! Pure but for reading the file once. Asked on the thread `observe-write`
//! for each record, and by the resolver before a torrent is fetched.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::model::InfoHash;

/// Bytes of a list that is read at most.
const SIZE_MAX: u64 = 16 << 20;

/// A list of blocked hashes and words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocked {
    hashes: HashSet<InfoHash>,
    words: HashSet<String>,
}

/// Why a list cannot be used.
#[derive(Debug)]
pub enum BlockError {
    /// It cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line is neither a hash nor one word.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(
                f,
                "block list {} cannot be read: {error}; correct observe.block_file",
                path.display()
            ),
            Self::Line { path, line } => write!(
                f,
                "block list {}: line {line} is neither an info hash nor a single word; \
                 write one of either a line",
                path.display()
            ),
        }
    }
}

impl std::error::Error for BlockError {}

impl Blocked {
    /// Reads a list: an info hash (40 hexadecimal digits) or a word a line;
    /// empty lines and what follows a `#` do not count.
    pub fn load(path: &Path) -> Result<Self, BlockError> {
        let unreadable = |error| BlockError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        let read = file.take(SIZE_MAX + 1).read_to_string(&mut text);
        let read = read.map_err(unreadable)?;
        if read as u64 > SIZE_MAX {
            return Err(unreadable(io::Error::from(io::ErrorKind::FileTooLarge)));
        }
        Self::parse(&text).map_err(|line| BlockError::Line {
            path: path.to_owned(),
            line,
        })
    }

    /// Reads the text of a list; the error is the number of a wrong line.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut blocked = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Ok(hash) = line.parse() {
                blocked.hashes.insert(hash);
                continue;
            }
            let mut words = words(line);
            match (words.next(), words.next()) {
                (None, _) if line.is_empty() => {}
                (Some(word), None) => {
                    blocked.words.insert(word);
                }
                _ => return Err(number + 1),
            }
        }
        Ok(blocked)
    }

    /// Whether a torrent of this hash, or of this name, is blocked. Words are
    /// compared whole and without case.
    pub fn blocks(&self, hash: &InfoHash, name: Option<&str>) -> bool {
        self.hashes.contains(hash) || name.is_some_and(|name| self.blocks_text(name))
    }

    /// Whether a text, such as the path of a file, has a blocked word.
    pub fn blocks_text(&self, text: &str) -> bool {
        !self.words.is_empty() && words(text).any(|word| self.words.contains(&word))
    }

    /// The blocked hashes.
    pub fn hashes(&self) -> impl Iterator<Item = InfoHash> {
        self.hashes.iter().copied()
    }

    /// The blocked words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Hashes and words.
    pub fn len(&self) -> usize {
        self.hashes.len() + self.words.len()
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The words of a text in lower case, split as the search splits them.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_whole_words_are_blocked() {
        let hash = InfoHash::new([0xab; 20]);
        let text = format!("# list\n{}\n\n Secret # why\n", "AB".repeat(20));
        let blocked = Blocked::parse(&text).unwrap();
        assert_eq!(blocked.len(), 2);
        let other = InfoHash::new([1; 20]);
        assert!(blocked.blocks(&hash, None));
        assert!(!blocked.blocks(&other, None));
        assert!(blocked.blocks(&other, Some("my.SECRET_file")));
        assert!(!blocked.blocks(&other, Some("secrets")));
        assert!(!Blocked::default().blocks(&hash, Some("secret")));
        assert!(Blocked::default().is_empty());
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(Blocked::parse("one\ntwo words\n"), Err(2));
        assert_eq!(Blocked::parse("--"), Err(1));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("block");
        let error = Blocked::load(&path).unwrap_err().to_string();
        assert!(error.contains("observe.block_file"), "{error}");
        std::fs::write(&path, "a b").unwrap();
        let error = Blocked::load(&path).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
        std::fs::write(&path, "a").unwrap();
        assert_eq!(Blocked::load(&path).unwrap().len(), 1);
    }
}
