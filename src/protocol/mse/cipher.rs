//! The two directions of an agreed connection.

use super::rc4::Rc4;
use super::{Method, hash};
use crate::model::InfoHash;

/// One direction of a connection behind its handshake.
pub struct Cipher {
    rc4: Rc4,
    /// Bytes that are still encrypted; `None` for all.
    left: Option<usize>,
}

impl Cipher {
    /// Goes on with `rc4` for `initial` bytes and then by `method`.
    pub(super) const fn new(rc4: Rc4, initial: usize, method: Method) -> Self {
        let left = match method {
            Method::Plaintext => Some(initial),
            Method::Rc4 => None,
        };
        Self { rc4, left }
    }

    /// Encrypts or decrypts the next bytes of the stream, where they are
    /// encrypted.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let length = self.left.unwrap_or(bytes.len()).min(bytes.len());
        if let Some(left) = &mut self.left {
            *left -= length;
        }
        self.rc4.apply(bytes.get_mut(..length).unwrap_or_default());
    }
}

/// The RC4 of both directions during the handshake.
pub(super) struct Pair {
    /// From the initiator to the responder.
    pub(super) forth: Rc4,
    /// From the responder to the initiator.
    pub(super) back: Rc4,
}

impl Pair {
    pub(super) fn new(secret: &[u8], skey: &InfoHash) -> Self {
        let key = |name: &[u8]| Rc4::new(hash(&[name, secret, skey.as_bytes()]));
        Self {
            forth: key(b"keyA"),
            back: key(b"keyB"),
        }
    }
}

/// Padding inside the encryption: zeros before it.
pub(super) fn skip(rc4: &mut Rc4, mut length: usize) {
    let mut sink = [0; 64];
    while length > 0 {
        let part = length.min(sink.len());
        rc4.apply(sink.get_mut(..part).unwrap_or_default());
        length -= part;
    }
}
