//! Writes bencoding (BEP 3) behind what is in a buffer already: nothing else
//! takes memory, and nothing can fail.
//!
//! Called by what answers thousands of packets a second
//! ([`crate::dht::node::krpc`]). Whoever calls it closes what it opened and
//! writes the keys of a dictionary in their order: nothing here looks after
//! that.
//!
//! ```
//! use btda::protocol::bencode::write;
//! let mut out = Vec::new();
//! write::dict(&mut out);
//! write::bytes(&mut out, b"port");
//! write::integer(&mut out, 6881);
//! write::end(&mut out);
//! assert_eq!(out, b"d4:porti6881ee");
//! ```

/// Digits of the longest number.
const DIGITS_MAX: usize = 20;

/// Opens a dictionary; keys and values follow.
pub fn dict(out: &mut Vec<u8>) {
    out.push(b'd');
}

/// Opens a list.
pub fn list(out: &mut Vec<u8>) {
    out.push(b'l');
}

/// Closes the list or dictionary that was opened last.
pub fn end(out: &mut Vec<u8>) {
    out.push(b'e');
}

/// A string, which is also what a key is.
pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// The beginning of a string of `length` bytes, which the caller appends.
pub fn length(out: &mut Vec<u8>, length: usize) {
    decimal(out, u64::try_from(length).unwrap_or(u64::MAX));
    out.push(b':');
}

/// An integer.
pub fn integer(out: &mut Vec<u8>, number: i64) {
    out.push(b'i');
    if number < 0 {
        out.push(b'-');
    }
    decimal(out, number.unsigned_abs());
    out.push(b'e');
}

/// An integer that has no sign.
pub fn unsigned(out: &mut Vec<u8>, number: u64) {
    out.push(b'i');
    decimal(out, number);
    out.push(b'e');
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; DIGITS_MAX];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        // The remainder is a digit.
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(DIGITS_MAX - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::bencode::Value;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_no_leading_zeros() {
        let text = |number| {
            let mut out = Vec::new();
            integer(&mut out, number);
            String::from_utf8(out).unwrap()
        };
        for number in [0, 1, 9, 10, -1, -10, i64::MAX, i64::MIN] {
            assert_eq!(text(number), format!("i{number}e"));
        }
        let mut out = Vec::new();
        unsigned(&mut out, u64::MAX);
        assert_eq!(out, format!("i{}e", u64::MAX).as_bytes());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..9), number: i64) {
            let mut out = b"before".to_vec();
            list(&mut out);
            for text in &texts {
                bytes(&mut out, text);
            }
            integer(&mut out, number);
            end(&mut out);
            let value = Value::parse(&out[b"before".len()..]).unwrap();
            let read: Vec<Value<'_>> = value.list().unwrap().collect();
            let (last, read) = read.split_last().unwrap();
            prop_assert_eq!(last.integer(), Some(number));
            prop_assert!(read.iter().map(|value| value.bytes().unwrap()).eq(&texts));
        }
    }
}
