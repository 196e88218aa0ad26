//! Tolerant, zero-copy reader of bencoding (BEP 3).
//!
//! Real torrent files and trackers send unsorted keys, repeated keys and
//! integers with leading zeros; all of that is read. What is refused is what
//! cannot be walked safely: lengths beyond the input, nesting deeper than
//! [`MAX_DEPTH`], bytes that are no bencoding. Nothing is copied and nothing
//! recurses: a [`Value`] is a span of the input, checked once as a whole, and
//! [`Value::raw`] gives the original bytes, from which info hashes are made.
//!
//! ```
//! use btda::protocol::bencode::Value;
//! let value = Value::parse(b"d8:intervali1800e5:peers0:e")?;
//! assert_eq!(value.get(b"interval").and_then(Value::integer), Some(1800));
//! assert_eq!(value.get(b"peers").and_then(Value::bytes), Some(&b""[..]));
//! # Ok::<(), btda::protocol::bencode::Malformed>(())
//! ```

pub mod write;

use std::fmt;

/// Lists and dictionaries inside each other, at most.
pub const MAX_DEPTH: u32 = 60;

/// Digits of the length of a string, at most.
const LENGTH_DIGITS: usize = 19;

/// The input is not bencoding that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Byte at which reading stopped.
    pub offset: usize,
    /// What was wrong there.
    pub problem: Problem,
}

/// What can be wrong with bencoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The input ends inside a value.
    Truncated,
    /// No value begins with this byte.
    UnexpectedByte(u8),
    /// An integer or a length is no number or does not fit.
    BadNumber,
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
    /// A dictionary key is no string.
    KeyNotString,
    /// Bytes follow the value.
    TrailingData,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Truncated => write!(f, "bencoding is cut off"),
            Problem::UnexpectedByte(byte) => write!(f, "bencoding: unexpected byte 0x{byte:02x}"),
            Problem::BadNumber => write!(f, "bencoding: bad number"),
            Problem::TooDeep => write!(f, "bencoding: more than {MAX_DEPTH} levels"),
            Problem::KeyNotString => write!(f, "bencoding: dictionary key is no string"),
            Problem::TrailingData => write!(f, "bencoding: data after the end"),
        }?;
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for Malformed {}

/// One bencoded value: a span of the input that is known to be well-formed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// Reads `input` as exactly one value.
    pub fn parse(input: &'a [u8]) -> Result<Self, Malformed> {
        let (value, rest) = Self::parse_prefix(input)?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err(Malformed {
                offset: value.raw.len(),
                problem: Problem::TrailingData,
            })
        }
    }

    /// Reads one value from the start of `input`; also returns what follows
    /// it (the block behind a BEP 9 header, say).
    pub fn parse_prefix(input: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let end = skip_value(input)?;
        let (raw, rest) = input.split_at(end);
        Ok((Self { raw }, rest))
    }

    /// The original bytes of the value.
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The string, if it is one.
    pub fn bytes(self) -> Option<&'a [u8]> {
        let (start, end) = string_span(self.raw, 0).ok()?;
        self.raw.get(start..end)
    }

    /// The string, if it is one in UTF-8.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The integer, if it is one that fits 64 bits.
    pub fn integer(self) -> Option<i64> {
        let digits = self.raw.strip_prefix(b"i")?.strip_suffix(b"e")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The elements, if it is a list.
    pub fn list(self) -> Option<impl Iterator<Item = Value<'a>>> {
        let rest = self.raw.strip_prefix(b"l")?;
        Some(Elements { rest })
    }

    /// Keys and values in their order, if it is a dictionary.
    pub fn dict(self) -> Option<impl Iterator<Item = (&'a [u8], Value<'a>)>> {
        let rest = self.raw.strip_prefix(b"d")?;
        let mut elements = Elements { rest };
        Some(std::iter::from_fn(move || {
            let key = elements.next()?.bytes()?;
            Some((key, elements.next()?))
        }))
    }

    /// The first value under `key`, if it is a dictionary that has one.
    pub fn get(self, key: &[u8]) -> Option<Value<'a>> {
        self.dict()?
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// What it is, in a word for messages.
    pub fn kind(self) -> &'static str {
        match self.raw.first() {
            Some(b'i') => "integer",
            Some(b'l') => "list",
            Some(b'd') => "dictionary",
            _ => "string",
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.raw[..self.raw.len().min(80)];
        write!(f, "Value({})", shown.escape_ascii())
    }
}

struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.rest.first().is_none_or(|&byte| byte == b'e') {
            return None;
        }
        let (value, rest) = Value::parse_prefix(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }
}

/// Length of the value at the start of `input`.
fn skip_value(input: &[u8]) -> Result<usize, Malformed> {
    if input.first().is_some_and(u8::is_ascii_digit) {
        return Ok(string_span(input, 0)?.1);
    }
    let mut walk = Walk {
        position: 0,
        depth: 0,
        dicts: 0,
        want_value: 0,
    };
    loop {
        walk.step(input)?;
        if walk.depth == 0 {
            return Ok(walk.position);
        }
    }
}

/// Where the walk stands. Bit 0 of `dicts` tells whether the innermost
/// container is a dictionary, bit 0 of `want_value` whether a key of it waits
/// for its value; outer containers follow in the higher bits.
struct Walk {
    position: usize,
    depth: u32,
    dicts: u64,
    want_value: u64,
}

impl Walk {
    fn step(&mut self, input: &[u8]) -> Result<(), Malformed> {
        let offset = self.position;
        let fail = |problem| Malformed { offset, problem };
        let byte = *input.get(offset).ok_or(fail(Problem::Truncated))?;
        let in_dict = self.dicts & 1 == 1;
        let want_value = self.want_value & 1 == 1;
        if self.depth > 0 && byte == b'e' {
            if want_value {
                return Err(fail(Problem::UnexpectedByte(byte)));
            }
            self.leave();
            return Ok(());
        }
        if in_dict && !want_value && !byte.is_ascii_digit() {
            return Err(fail(Problem::KeyNotString));
        }
        match byte {
            b'i' => self.position = integer_end(input, offset)?,
            b'0'..=b'9' => self.position = string_span(input, offset)?.1,
            b'l' | b'd' => return self.enter(byte == b'd', offset),
            other => return Err(fail(Problem::UnexpectedByte(other))),
        }
        self.finish_value();
        Ok(())
    }

    fn enter(&mut self, dict: bool, offset: usize) -> Result<(), Malformed> {
        if self.depth >= MAX_DEPTH {
            return Err(Malformed {
                offset,
                problem: Problem::TooDeep,
            });
        }
        self.depth += 1;
        self.dicts = self.dicts << 1 | u64::from(dict);
        self.want_value <<= 1;
        self.position = offset + 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.dicts >>= 1;
        self.want_value >>= 1;
        self.position += 1;
        self.finish_value();
    }

    /// In a dictionary, keys and values take turns.
    fn finish_value(&mut self) {
        if self.depth > 0 && self.dicts & 1 == 1 {
            self.want_value ^= 1;
        }
    }
}

/// First and last byte of the string that starts at `offset`.
fn string_span(input: &[u8], offset: usize) -> Result<(usize, usize), Malformed> {
    let fail = |problem| Malformed { offset, problem };
    let rest = input.get(offset..).unwrap_or_default();
    let mut length = 0_usize;
    for (digits, &byte) in rest.iter().take(LENGTH_DIGITS + 1).enumerate() {
        if byte == b':' && digits > 0 {
            let start = offset + digits + 1;
            let end = start.checked_add(length).ok_or(fail(Problem::BadNumber))?;
            return if end > input.len() {
                Err(fail(Problem::Truncated))
            } else {
                Ok((start, end))
            };
        }
        let digit = byte.wrapping_sub(b'0');
        let longer = length.checked_mul(10).filter(|_| digit < 10);
        let longer = longer.and_then(|tens| tens.checked_add(digit.into()));
        length = longer.ok_or(fail(Problem::BadNumber))?;
    }
    Err(fail(if rest.len() <= LENGTH_DIGITS {
        Problem::Truncated
    } else {
        Problem::BadNumber
    }))
}

/// End of the integer that starts at `offset`.
fn integer_end(input: &[u8], offset: usize) -> Result<usize, Malformed> {
    let fail = |problem| Malformed { offset, problem };
    let rest = input.get(offset + 1..).unwrap_or_default();
    let window = &rest[..rest.len().min(40)];
    let Some(end) = window.iter().position(|&byte| byte == b'e') else {
        return Err(fail(if window.len() < 40 {
            Problem::Truncated
        } else {
            Problem::BadNumber
        }));
    };
    let text = &window[..end];
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(fail(Problem::BadNumber));
    }
    Ok(offset + 1 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_real_programs_send() {
        let value = Value::parse(b"d1:bi-0e1:ai007e1:ali1e2:xxd1:kleee1:ai9ee").unwrap();
        assert_eq!(value.get(b"b").and_then(Value::integer), Some(0));
        assert_eq!(
            value.get(b"a").and_then(Value::integer),
            Some(7),
            "first of repeated keys"
        );
        let keys: Vec<&[u8]> = value.dict().unwrap().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"b", b"a", b"a", b"a"]);
        let list: Vec<_> = value
            .dict()
            .unwrap()
            .nth(2)
            .unwrap()
            .1
            .list()
            .unwrap()
            .collect();
        assert_eq!(list.len(), 3);
        assert_eq!(list[1].bytes(), Some(&b"xx"[..]));
        assert_eq!(list[2].raw(), b"d1:klee");
    }

    #[test]
    fn an_integer_too_large_is_a_value_without_a_number() {
        let value = Value::parse(b"d1:ai99999999999999999999e1:bi2ee").unwrap();
        assert_eq!(value.get(b"a").and_then(Value::integer), None);
        assert_eq!(value.get(b"b").and_then(Value::integer), Some(2));
    }

    #[test]
    fn names_what_is_wrong() {
        let problem = |input: &[u8]| Value::parse(input).unwrap_err().problem;
        assert_eq!(problem(b""), Problem::Truncated);
        assert_eq!(problem(b"5:abcd"), Problem::Truncated);
        assert_eq!(problem(b"99999999999999999999999:a"), Problem::BadNumber);
        assert_eq!(problem(b"18446744073709551615:a"), Problem::BadNumber);
        assert_eq!(problem(b"00000000000000000001:a"), Problem::BadNumber);
        assert!(Value::parse(b"0000000000000000001:a").is_ok());
        assert_eq!(problem(b"0000000000000000001"), Problem::Truncated);
        assert_eq!(problem(b"9999999999999999999:a"), Problem::Truncated);
        assert_eq!(problem(b"1;a"), Problem::BadNumber);
        assert_eq!(problem(b"ie"), Problem::BadNumber);
        assert_eq!(problem(b"i-e"), Problem::BadNumber);
        assert_eq!(problem(b"i1"), Problem::Truncated);
        assert_eq!(problem(b"x"), Problem::UnexpectedByte(b'x'));
        assert_eq!(problem(b"di1ei2ee"), Problem::KeyNotString);
        assert_eq!(problem(b"d1:ae"), Problem::UnexpectedByte(b'e'));
        assert_eq!(problem(b"i1ei2e"), Problem::TrailingData);
        assert_eq!(problem(&[b'l'; 100]), Problem::TooDeep);
        assert_eq!(problem(b"<html>"), Problem::UnexpectedByte(b'<'));
    }

    #[test]
    fn a_block_may_follow() {
        let (value, rest) = Value::parse_prefix(b"d8:msg_typei1eeBLOCK").unwrap();
        assert_eq!(value.raw(), b"d8:msg_typei1ee");
        assert_eq!(rest, b"BLOCK");
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_inside(input in prop::collection::vec(prop::sample::select(&b"ilde0123456789:-ax\xff"[..]), 0..200)) {
            if let Ok((value, rest)) = Value::parse_prefix(&input) {
                prop_assert_eq!(value.raw().len() + rest.len(), input.len());
                let _ = (value.bytes(), value.integer(), value.get(b"a"));
                let _ = value.list().map(Iterator::count);
                let _ = value.dict().map(Iterator::count);
            }
        }

        #[test]
        fn whatever_bendy_reads_is_read_alike(input in prop::collection::vec(prop::sample::select(&b"ilde0123456789:-a"[..]), 0..40)) {
            let mut decoder = bendy::decoding::Decoder::new(&input).with_max_depth(16);
            let read = match decoder.next_object() {
                Ok(Some(bendy::decoding::Object::Bytes(bytes))) => Some(bytes.len()),
                Ok(Some(bendy::decoding::Object::Integer(text))) => Some(text.len()),
                _ => None,
            };
            if read.is_some() {
                prop_assert!(Value::parse_prefix(&input).is_ok());
            }
        }

        #[test]
        fn every_cut_is_truncated(name in "[a-z]{0,30}", number in any::<i64>(), depth in 0_usize..20) {
            let mut text = b"l".repeat(depth);
            text.extend(format!("d4:name{}:{name}1:zi{number}ee", name.len()).bytes());
            text.extend(b"e".repeat(depth));
            prop_assert!(Value::parse(&text).is_ok());
            for end in 0..text.len() {
                prop_assert!(Value::parse(&text[..end]).is_err());
            }
        }
    }
}
