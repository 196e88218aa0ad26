//! A small bencoder (BEP 3) for the lab's torrent files and tracker answers.
//!
//! Independent of `crate::protocol`, like everything in the lab.

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
}
