//! Bencoding (BEP 3) for the lab: written for torrent files, tracker answers
//! and nodes of the DHT, read for what the analyzer asks nodes and peers.
//!
//! Independent of `crate::protocol`, like everything in the lab. Pure.

use std::collections::BTreeMap;

/// A value to encode.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Item>),
    /// Keys come out sorted, as the specification wants.
    Dict(BTreeMap<&'static str, Item>),
}

impl Item {
    pub(super) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    /// A dictionary of these entries.
    pub(super) fn dict<const N: usize>(entries: [(&'static str, Self); N]) -> Self {
        Self::Dict(entries.into())
    }

    /// The encoded bytes. The lab nests two levels deep at most.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append(&mut out);
        out
    }

    fn append(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Self::Bytes(bytes) => append_bytes(out, bytes),
            Self::List(items) => {
                out.push(b'l');
                for item in items {
                    item.append(out);
                }
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    append_bytes(out, key.as_bytes());
                    value.append(out);
                }
                out.push(b'e');
            }
        }
    }
}

/// Appends one bencoded string.
pub(super) fn append_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    List(Vec<Found<'a>>),
    /// As it came: keys may be out of order or twice.
    Dict(Vec<(&'a [u8], Found<'a>)>),
}

/// Lists and dictionaries within each other, at most.
const DEPTH: usize = 8;

impl<'a> Found<'a> {
    /// Reads one value; gives the bytes behind it too. `None` when there is
    /// none, or one that nests deeper than the lab needs.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut open: Vec<Open<'a>> = Vec::new();
        let mut rest = bytes;
        loop {
            let (value, behind) = match rest.split_first()? {
                (first @ (b'l' | b'd'), behind) => {
                    if open.len() == DEPTH {
                        return None;
                    }
                    open.push(Open::new(*first == b'd'));
                    rest = behind;
                    continue;
                }
                (b'e', behind) => (open.pop()?.close()?, behind),
                (b'i', behind) => {
                    let (number, behind) = split_at_byte(behind, b'e')?;
                    (Self::Number(number), behind)
                }
                _ => {
                    let (length, behind) = split_at_byte::<usize>(rest, b':')?;
                    let (bytes, behind) = behind.split_at_checked(length)?;
                    (Self::Bytes(bytes), behind)
                }
            };
            rest = behind;
            match open.last_mut() {
                Some(container) => container.take(value)?,
                None => return Some((value, rest)),
            }
        }
    }

    /// The value of `key`, of the first where there are several.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Self> {
        let Self::Dict(entries) = self else {
            return None;
        };
        let mut entries = entries.iter();
        entries.find(|(it, _)| *it == key).map(|(_, value)| value)
    }

    pub(super) const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) const fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// A list or dictionary whose end is not reached.
struct Open<'a> {
    is_dict: bool,
    items: Vec<Found<'a>>,
    key: Option<&'a [u8]>,
    entries: Vec<(&'a [u8], Found<'a>)>,
}

impl<'a> Open<'a> {
    const fn new(is_dict: bool) -> Self {
        Self {
            is_dict,
            items: Vec::new(),
            key: None,
            entries: Vec::new(),
        }
    }

    fn take(&mut self, value: Found<'a>) -> Option<()> {
        if !self.is_dict {
            self.items.push(value);
        } else if let Some(key) = self.key.take() {
            self.entries.push((key, value));
        } else {
            self.key = Some(value.bytes()?);
        }
        Some(())
    }

    fn close(self) -> Option<Found<'a>> {
        match (self.is_dict, self.key) {
            (false, _) => Some(Found::List(self.items)),
            (true, None) => Some(Found::Dict(self.entries)),
            (true, Some(_)) => None,
        }
    }
}

/// The number in front of `end`, and what is behind it.
fn split_at_byte<T: std::str::FromStr>(bytes: &[u8], end: u8) -> Option<(T, &[u8])> {
    let at = bytes.iter().position(|byte| *byte == end)?;
    let (digits, behind) = bytes.split_at_checked(at)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, behind.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_sorted() {
        let item = Item::dict([
            ("peers", Item::Bytes(vec![0xff])),
            ("interval", Item::Number(-5)),
            ("list", Item::List(vec![Item::text("ab")])),
        ]);
        assert_eq!(item.encode(), b"d8:intervali-5e4:listl2:abe5:peers1:\xffe");
    }

    #[test]
    fn reads_what_it_writes_and_what_is_behind() {
        let (value, behind) = Found::read(b"d1:ad2:id3:abc4:porti-7ee1:lli1e0:eeXY").unwrap();
        assert_eq!(behind, b"XY");
        let arguments = value.get(b"a").unwrap();
        assert_eq!(
            arguments.get(b"id").and_then(Found::bytes),
            Some(&b"abc"[..])
        );
        assert_eq!(arguments.get(b"port").and_then(Found::number), Some(-7));
        let list = vec![Found::Number(1), Found::Bytes(b"")];
        assert_eq!(value.get(b"l"), Some(&Found::List(list)));
        assert_eq!(value.get(b"none"), None);
    }

    #[test]
    fn reads_nothing_that_is_broken_or_deep() {
        for broken in [
            &b""[..],
            b"e",
            b"i5",
            b"ixe",
            b"3:ab",
            b"-1:a",
            b"d1:ae",
            b"di1ei2ee",
            b"l",
            b"99999999999999999999:a",
        ] {
            assert_eq!(Found::read(broken), None, "{broken:?}");
        }
        let deep = [vec![b'l'; 9], vec![b'e'; 9]].concat();
        assert_eq!(Found::read(&deep), None);
        assert!(Found::read(&deep[1..17]).is_some());
    }
}
