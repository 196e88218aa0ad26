//! The DNS messages that are needed (RFC 1035): a question for a PTR record and
//! its answer, and what those for services ([`super::service`]) share with them.
//! Pure; whatever bytes come, nothing panics, and no pointer leads forward, so
//! that reading ends.
//!
//! Small and own, because the libraries for it bring an asynchronous runtime.

use std::net::IpAddr;

/// Labels of a name in lower case, the root left out.
pub type Name = Vec<Vec<u8>>;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The address has this name.
    Name(Name),
    /// It has none.
    NoName,
    /// The server failed or talks nonsense; another may know.
    Failed,
}

/// The name under which the name of `address` is kept.
pub fn question(address: IpAddr) -> Name {
    let tail = |zone: &str| vec![zone.as_bytes().to_vec(), b"arpa".to_vec()];
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets().into_iter().rev();
            let mut name: Name = octets.map(|octet| octet.to_string().into_bytes()).collect();
            name.extend(tail("in-addr"));
            name
        }
        IpAddr::V6(address) => {
            let octets = address.octets().into_iter().rev();
            let digits = octets.flat_map(|octet| [octet & 15, octet >> 4]);
            let mut name: Name = digits
                .map(|digit| format!("{digit:x}").into_bytes())
                .collect();
            name.extend(tail("ip6"));
            name
        }
    }
}

/// The query `id` for the name that `name` points to.
pub fn query(id: u16, name: &Name) -> Vec<u8> {
    query_of(id, name, PTR)
}

/// The query `id` for the records of `name` of that kind, with the wish for
/// recursion; no label may have more than 63 bytes.
pub(super) fn query_of(id: u16, name: &Name, kind: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label);
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(INTERNET.to_be_bytes());
    bytes
}

/// Reads the answer to the query `id` for `asked`; `None` when it is not one,
/// so that the real one may still come.
pub fn reply(bytes: &[u8], id: u16, asked: &Name) -> Option<Reply> {
    let mut reader = Reader::of(bytes);
    let Head { code, answers } = reader.head(id, asked, PTR)?;
    Some(match code {
        0 => reader.answers(answers, asked).unwrap_or(Reply::Failed),
        NO_SUCH_NAME => Reply::NoName,
        _ => Reply::Failed,
    })
}

/// What an answer says before its records.
pub(super) struct Head {
    /// 0, or why there is no answer.
    pub(super) code: u16,
    /// Number of records, as claimed.
    pub(super) answers: u16,
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Reader<'_> {
    /// The head of the answer to the query `id` for the records of `asked` of
    /// that kind; `None` when it is not one.
    pub(super) fn head(&mut self, id: u16, asked: &Name, kind: u16) -> Option<Head> {
        let (found, flags) = (self.number()?, self.number()?);
        let (questions, answers) = (self.number()?, self.number()?);
        let _authority_and_additional = (self.number()?, self.number()?);
        if found != id || flags & RESPONSE == 0 || questions != 1 {
            return None;
        }
        let question = (self.name()?, self.number()?, self.number()?);
        let head = Head {
            code: flags & 15,
            answers,
        };
        (question.0 == *asked && (question.1, question.2) == (kind, INTERNET)).then_some(head)
    }

    /// Owner, kind (0 for one that is not of the internet) and end of the next
    /// record; its data come next.
    pub(super) fn record(&mut self) -> Option<(Name, u16, usize)> {
        let owner = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        let _lifetime = (self.number()?, self.number()?);
        let length = usize::from(self.number()?);
        let end = self.at.checked_add(length)?;
        self.bytes.get(self.at..end)?;
        Some((owner, if class == INTERNET { kind } else { 0 }, end))
    }

    /// Goes on behind a record.
    pub(super) const fn skip_to(&mut self, end: usize) {
        self.at = end;
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        let end = self.at.checked_add(2)?;
        let bytes = self.bytes.get(self.at..end)?.try_into().ok()?;
        self.at = end;
        Some(u16::from_be_bytes(bytes))
    }

    /// The PTR record at the end of the chain of aliases that begins at
    /// `asked` (RFC 2317 makes such).
    fn answers(&mut self, count: u16, asked: &Name) -> Option<Reply> {
        let mut records = Vec::new();
        for _ in 0..count.min(RECORDS) {
            let (owner, kind, end) = self.record()?;
            if kind == PTR || kind == ALIAS {
                records.push((owner, kind, self.name()?));
            }
            self.skip_to(end);
        }
        let mut owner = asked;
        for _ in 0..ALIASES {
            let of_owner = |wanted: u16| {
                records
                    .iter()
                    .find(|(of, kind, _)| of == owner && *kind == wanted)
            };
            if let Some((.., name)) = of_owner(PTR) {
                return Some(Reply::Name(name.clone()));
            }
            match of_owner(ALIAS) {
                Some((.., alias)) => owner = alias,
                None => return Some(Reply::NoName),
            }
        }
        Some(Reply::Failed)
    }

    /// A name, pointers followed. Each must lead further back than where the
    /// part before it began.
    pub(super) fn name(&mut self) -> Option<Name> {
        let mut labels = Name::new();
        let (mut at, mut began, mut length) = (self.at, self.at, 0_usize);
        let mut end = None;
        loop {
            let first = *self.bytes.get(at)?;
            let next = at.checked_add(1)?;
            match first {
                0 => {
                    self.at = end.unwrap_or(next);
                    return Some(labels);
                }
                1..=63 => {
                    let stop = next.checked_add(usize::from(first))?;
                    let label = self.bytes.get(next..stop)?;
                    length = length.checked_add(label.len())?.checked_add(1)?;
                    if length > NAME_MAX {
                        return None;
                    }
                    labels.push(label.to_ascii_lowercase());
                    at = stop;
                }
                192..=255 => {
                    let low = *self.bytes.get(next)?;
                    end.get_or_insert(next.checked_add(1)?);
                    at = usize::from(u16::from_be_bytes([first & 63, low]));
                    if at >= began {
                        return None;
                    }
                    began = at;
                }
                _ => return None,
            }
        }
    }
}

/// SRV (RFC 2782).
pub(super) const SERVICE: u16 = 33;
const PTR: u16 = 12;
const ALIAS: u16 = 5;
const INTERNET: u16 = 1;
const RESPONSE: u16 = 1 << 15;
const NO_SUCH_NAME: u16 = 3;
/// Bytes of a name with the lengths of its labels.
pub(super) const NAME_MAX: usize = 254;
/// Records of an answer that are looked at.
pub(super) const RECORDS: u16 = 64;
/// Aliases that are followed.
const ALIASES: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> Name {
        question("192.0.2.7".parse().unwrap())
    }

    fn labels(name: &str) -> Name {
        name.split('.')
            .map(|label| label.as_bytes().to_vec())
            .collect()
    }

    /// An answer with these records, names written out.
    fn answer(flags: u16, records: &[(&Name, u16, &Name)]) -> Vec<u8> {
        let mut bytes = query(7, &asked());
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[7] = u8::try_from(records.len()).unwrap();
        let written = |name: &Name| {
            let bytes = query(0, name);
            bytes[12..bytes.len() - 4].to_vec()
        };
        for (owner, kind, name) in records {
            bytes.extend(written(owner));
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60]);
            let data = written(name);
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    #[test]
    fn questions() {
        assert_eq!(asked(), labels("7.2.0.192.in-addr.arpa"));
        let name = question("2001:db8::1".parse().unwrap());
        assert_eq!(name.len(), 34);
        assert_eq!(name[0], b"1");
        assert_eq!(name[28..34], labels("1.0.0.2.ip6.arpa")[..]);
        assert_eq!(
            query(0x0102, &labels("7.arpa")),
            [
                1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'7', 4, b'a', b'r', b'p', b'a', 0, 0, 12,
                0, 1
            ]
        );
    }

    #[test]
    fn answers() {
        let (host, alias) = (
            labels("Host.Example.net"),
            labels("7.0-15.2.0.192.in-addr.arpa"),
        );
        let good = answer(0x8180, &[(&asked(), PTR, &host)]);
        let name = Reply::Name(labels("host.example.net"));
        assert_eq!(reply(&good, 7, &asked()), Some(name.clone()));
        let by_alias = answer(0x8180, &[(&alias, PTR, &host), (&asked(), ALIAS, &alias)]);
        assert_eq!(reply(&by_alias, 7, &asked()), Some(name));
        let endless = answer(
            0x8180,
            &[(&asked(), ALIAS, &alias), (&alias, ALIAS, &asked())],
        );
        assert_eq!(reply(&endless, 7, &asked()), Some(Reply::Failed));
        let foreign = answer(0x8180, &[(&alias, PTR, &host)]);
        assert_eq!(reply(&foreign, 7, &asked()), Some(Reply::NoName));
        for (flags, wanted) in [
            (0x8183, Reply::NoName),
            (0x8182, Reply::Failed),
            (0x8180, Reply::NoName),
        ] {
            assert_eq!(reply(&answer(flags, &[]), 7, &asked()), Some(wanted));
        }
        // Not an answer to this question.
        assert_eq!(reply(&good, 8, &asked()), None);
        assert_eq!(reply(&good, 7, &alias), None);
        assert_eq!(reply(&query(7, &asked()), 7, &asked()), None);
        // Cut off anywhere.
        for length in 0..good.len() {
            let cut = reply(&good[..length], 7, &asked());
            assert!(matches!(cut, None | Some(Reply::Failed)), "{length}");
        }
    }

    #[test]
    fn pointers_lead_back_only() {
        let mut bytes = answer(0x8180, &[]);
        bytes[7] = 1;
        let here = u8::try_from(bytes.len()).unwrap();
        // The owner is the question; the name has a label and a pointer to itself.
        bytes.extend([
            0xc0,
            12,
            0,
            12,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            4,
            1,
            b'x',
            0xc0,
            here + 12,
        ]);
        assert_eq!(reply(&bytes, 7, &asked()), Some(Reply::Failed));
        let last = bytes.len() - 1;
        bytes[last] = 12;
        let mut name = labels("x");
        name.extend(asked());
        assert_eq!(reply(&bytes, 7, &asked()), Some(Reply::Name(name)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), good: bool) {
            if good {
                let mut start = answer(0x8180, &[]);
                start[7] = 3;
                start.append(&mut bytes);
                bytes = start;
            }
            let _ = reply(&bytes, 7, &asked());
        }
    }
}
