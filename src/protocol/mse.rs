//! Message stream encryption (MSE, also called PE): a handshake that hides
//! the protocol and, where both sides want it, the stream behind it.
//!
//! Not a BEP; this follows the specification of its authors (Azureus and
//! µTorrent, 2006) as all clients implement it. Sans-IO: [`Initiator`] and
//! [`Responder`] take bytes and give bytes, hold no more than a step needs
//! (628 bytes), and get their random numbers from outside ([`Chance`]).
//!
//! ```text
//! A → B  key A, padding (0 to 512)
//! B → A  key B, padding (0 to 512)
//! A → B  hash(req1, S), hash(req2, SKEY) xor hash(req3, S),
//!        RC4(zeros, methods offered, padding, initial bytes)
//! B → A  RC4(zeros, method selected, padding)
//! both   the stream, by the method selected
//! ```
//!
//! S is the secret of the key exchange, SKEY the info hash. The info hash is
//! no secret, so none of this keeps out who knows the torrent.

mod cipher;
mod dh;
mod inbox;
mod initiator;
mod rc4;
mod responder;

use std::fmt;

use sha1_smol::Sha1;

use crate::model::InfoHash;

pub use cipher::Cipher;
pub use dh::{EXPONENT_LEN, KEY_LEN};
pub use initiator::{INITIAL_MAX, Initiator};
pub use responder::{Responder, Torrents};

/// Most bytes of padding at each of the four places.
pub const PAD_MAX: usize = 512;

/// How many lengths padding may have.
const PAD_LENGTHS: u16 = 513;
const _: () = assert!(PAD_LENGTHS as usize == PAD_MAX + 1);

/// Bytes of a hash (SHA-1).
pub const DIGEST_LEN: usize = 20;

/// Encrypted, it shows the other side that the keys are the same.
const VERIFICATION: [u8; 8] = [0; 8];

/// How the stream behind the handshake is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all.
    Plaintext,
    /// By RC4.
    Rc4,
}

impl Method {
    const fn bit(self) -> u32 {
        match self {
            Self::Plaintext => 1,
            Self::Rc4 => 2,
        }
    }

    /// The method that the responder selected out of `provided`.
    fn selected(bits: u32, provided: Methods) -> Result<Self, MseError> {
        [Self::Plaintext, Self::Rc4]
            .into_iter()
            .find(|method| method.bit() == bits && provided.contains(*method))
            .ok_or(MseError::NoMethod)
    }
}

/// A set of methods (`crypto_provide`); unknown ones are kept and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u32);

impl Methods {
    /// Both.
    pub const BOTH: Self = Self(Method::Plaintext.bit() | Method::Rc4.bit());

    /// Only `method`.
    pub const fn only(method: Method) -> Self {
        Self(method.bit())
    }

    const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    const fn bits(self) -> u32 {
        self.0
    }

    const fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// `prefer` if it is there, else the other one if that is.
    fn choose(self, prefer: Method) -> Option<Method> {
        [prefer, Method::Rc4, Method::Plaintext]
            .into_iter()
            .find(|method| self.contains(*method))
    }
}

/// What was agreed.
pub struct Sealed {
    /// How the stream is encrypted.
    pub method: Method,
    /// For what we send.
    pub encrypt: Cipher,
    /// For what we receive.
    pub decrypt: Cipher,
}

/// The random numbers of one handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chance {
    /// Private exponent.
    pub exponent: [u8; EXPONENT_LEN],
    /// Padding behind our key, at most [`PAD_MAX`] bytes.
    pub pad: Vec<u8>,
    /// Length of the padding that is encrypted, at most [`PAD_MAX`].
    pub inner_pad: u16,
}

impl Chance {
    /// Draws them from a source of random bytes.
    pub fn draw<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = [0; EXPONENT_LEN + 4 + PAD_MAX];
        fill(&mut bytes)?;
        let mut rest = bytes.as_slice();
        let mut exponent = [0; EXPONENT_LEN];
        for (slot, byte) in exponent
            .iter_mut()
            .zip(inbox::split(&mut rest, EXPONENT_LEN))
        {
            *slot = *byte;
        }
        let mut length = || match inbox::split(&mut rest, 2) {
            // Not quite even, which tells nobody anything.
            [high, low] => u16::from_be_bytes([*high, *low]) % PAD_LENGTHS,
            _ => 0,
        };
        let (pad, inner_pad) = (length(), length());
        Ok(Self {
            exponent,
            pad: inbox::split(&mut rest, usize::from(pad)).to_vec(),
            inner_pad,
        })
    }
}

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MseError {
    /// What ends the padding did not come in time: another protocol, or
    /// another key.
    NotSynchronized,
    /// The caller wants a torrent that is not measured.
    UnknownTorrent,
    /// The verification constant is wrong.
    NotVerified,
    /// No method that both sides have, or one selected that was not offered.
    NoMethod,
    /// Padding longer than [`PAD_MAX`].
    PaddingTooLong,
}

impl fmt::Display for MseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSynchronized => "the end of the padding did not come",
            Self::UnknownTorrent => "the torrent is not known",
            Self::NotVerified => "the verification constant is wrong",
            Self::NoMethod => "no method that both sides have",
            Self::PaddingTooLong => "more than 512 bytes of padding",
        })
    }
}

impl std::error::Error for MseError {}

/// The name of a torrent in the handshake: `HASH('req2', SKEY)`.
pub fn torrent_hash(skey: &InfoHash) -> [u8; DIGEST_LEN] {
    hash(&[b"req2", skey.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part);
    }
    sha1.digest().bytes()
}

fn xor(mut one: [u8; DIGEST_LEN], other: [u8; DIGEST_LEN]) -> [u8; DIGEST_LEN] {
    for (byte, other) in one.iter_mut().zip(other) {
        *byte ^= other;
    }
    one
}

#[cfg(test)]
mod tests;
