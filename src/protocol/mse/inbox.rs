//! Collects what a step of the handshake needs, and never more.

use super::{MseError, PAD_MAX};

/// Bytes that came but are not enough yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// The next `N` bytes, once they are there; takes them from `input`.
    pub(super) fn exactly<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let missing = N.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(split(input, missing));
        let whole = <[u8; N]>::try_from(self.bytes.as_slice()).ok()?;
        self.bytes.clear();
        Some(whole)
    }

    /// Whether `pattern` has come, behind no more than [`PAD_MAX`] bytes of
    /// padding; takes it and what is before it from `input`.
    pub(super) fn find(&mut self, pattern: &[u8], input: &mut &[u8]) -> Result<bool, MseError> {
        while let [byte, ..] = split(input, 1) {
            self.bytes.push(*byte);
            if self.bytes.ends_with(pattern) {
                self.bytes.clear();
                return Ok(true);
            }
            if self.bytes.len() >= PAD_MAX + pattern.len() {
                return Err(MseError::NotSynchronized);
            }
        }
        Ok(false)
    }
}

/// Takes at most `length` bytes from the front of `input`.
pub(super) fn split<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(length.min(input.len()));
    *input = rest;
    front
}
