//! The side that was called.

use super::cipher::{Cipher, Pair, skip};
use super::dh::{KeyPair, Secret};
use super::inbox::{Inbox, split};
use super::{
    Chance, DIGEST_LEN, EXPONENT_LEN, KEY_LEN, Method, Methods, MseError, PAD_MAX, Sealed,
    VERIFICATION, hash, xor,
};
use crate::model::InfoHash;

/// Finds a torrent by [`super::torrent_hash`].
pub trait Torrents: Send + Sync {
    /// The info hash whose [`super::torrent_hash`] this is, if it is measured.
    fn by_torrent_hash(&self, hash: &[u8; DIGEST_LEN]) -> Option<InfoHash>;
}

/// The handshake of the side that was called.
pub struct Responder {
    exponent: [u8; EXPONENT_LEN],
    prefer: Method,
    /// Sent behind our key.
    pad_b: Vec<u8>,
    pad_d: u16,
    inbox: Inbox,
    state: State,
}

enum State {
    /// Waits for the other key.
    Key,
    /// Waits for the proof of the secret, which ends the padding.
    Proof(Secret, [u8; DIGEST_LEN]),
    /// Waits for the torrent.
    Torrent(Secret),
    /// Waits for verification, methods, length of the padding.
    Provide(Pair),
    /// Drops padding.
    Pad(Pair, Method, usize),
    /// Waits for the length of the initial bytes.
    Initial(Pair, Method),
    /// Agreed.
    Done(Sealed),
    /// Agreed and taken, or failed.
    Over,
}

impl Responder {
    /// Waits for the first bytes. Of the methods that the other side offers it
    /// selects `prefer`, or else the other one.
    pub fn new(prefer: Method, chance: &Chance) -> Self {
        Self {
            exponent: chance.exponent,
            prefer,
            pad_b: chance.pad.clone(),
            pad_d: chance.inner_pad,
            inbox: Inbox::default(),
            state: State::Key,
        }
    }

    /// Takes bytes of the other side and adds to `out` what is to be sent;
    /// returns how many it took. What is left belongs to the stream behind
    /// the handshake. After an error there is nothing more to be had.
    pub fn feed(
        &mut self,
        input: &[u8],
        torrents: &dyn Torrents,
        out: &mut Vec<u8>,
    ) -> Result<usize, MseError> {
        let mut rest = input;
        loop {
            let state = std::mem::replace(&mut self.state, State::Over);
            let (state, goes_on) = self.step(state, &mut rest, torrents, out)?;
            self.state = state;
            if !goes_on {
                return Ok(input.len() - rest.len());
            }
        }
    }

    /// Whether the other side has proved that it speaks this protocol; before
    /// that it may be anything. Means nothing after an error.
    pub const fn is_proved(&self) -> bool {
        !matches!(self.state, State::Key | State::Proof(..))
    }

    /// What was agreed, once.
    pub fn sealed(&mut self) -> Option<Sealed> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Done(sealed) => Some(sealed),
            state => {
                self.state = state;
                None
            }
        }
    }

    /// One step, if there are bytes enough for it.
    fn step(
        &mut self,
        state: State,
        rest: &mut &[u8],
        torrents: &dyn Torrents,
        out: &mut Vec<u8>,
    ) -> Result<(State, bool), MseError> {
        Ok(match state {
            State::Key => match self.inbox.exactly::<KEY_LEN>(rest) {
                Some(theirs) => {
                    // Not before, so that a few bytes cost no arithmetic.
                    let keys = KeyPair::new(self.exponent);
                    out.extend_from_slice(&keys.public);
                    out.append(&mut self.pad_b);
                    let secret = keys.secret(&theirs);
                    (State::Proof(secret, hash(&[b"req1", &secret])), true)
                }
                None => (State::Key, false),
            },
            State::Proof(secret, proof) => {
                if self.inbox.find(&proof, rest)? {
                    (State::Torrent(secret), true)
                } else {
                    (State::Proof(secret, proof), false)
                }
            }
            State::Torrent(secret) => match self.inbox.exactly::<DIGEST_LEN>(rest) {
                Some(digest) => {
                    let torrent = xor(digest, hash(&[b"req3", &secret]));
                    let skey = torrents
                        .by_torrent_hash(&torrent)
                        .ok_or(MseError::UnknownTorrent)?;
                    (State::Provide(Pair::new(&secret, &skey)), true)
                }
                None => (State::Torrent(secret), false),
            },
            State::Provide(pair) => self.provide(pair, rest)?,
            State::Pad(mut pair, method, pad) => {
                let dropped = split(rest, pad).len();
                skip(&mut pair.forth, dropped);
                if dropped < pad {
                    (State::Pad(pair, method, pad - dropped), false)
                } else {
                    (State::Initial(pair, method), true)
                }
            }
            State::Initial(mut pair, method) => match self.inbox.exactly::<2>(rest) {
                Some(mut length) => {
                    pair.forth.apply(&mut length);
                    let initial = usize::from(u16::from_be_bytes(length));
                    (State::Done(self.agree(pair, method, initial, out)), false)
                }
                None => (State::Initial(pair, method), false),
            },
            state @ (State::Done(_) | State::Over) => (state, false),
        })
    }

    fn provide(&mut self, mut pair: Pair, rest: &mut &[u8]) -> Result<(State, bool), MseError> {
        let Some(mut bytes) = self.inbox.exactly::<14>(rest) else {
            return Ok((State::Provide(pair), false));
        };
        pair.forth.apply(&mut bytes);
        let [verification @ .., a, b, c, d, high, low] = bytes;
        if verification != VERIFICATION {
            return Err(MseError::NotVerified);
        }
        let offered = Methods::from_bits(u32::from_be_bytes([a, b, c, d]));
        let method = offered.choose(self.prefer).ok_or(MseError::NoMethod)?;
        let pad = usize::from(u16::from_be_bytes([high, low]));
        if pad > PAD_MAX {
            return Err(MseError::PaddingTooLong);
        }
        Ok((State::Pad(pair, method, pad), true))
    }

    /// Everything of theirs is there: our choice.
    fn agree(&self, mut pair: Pair, method: Method, initial: usize, out: &mut Vec<u8>) -> Sealed {
        let start = out.len();
        out.extend_from_slice(&VERIFICATION);
        out.extend_from_slice(&method.bit().to_be_bytes());
        out.extend_from_slice(&self.pad_d.to_be_bytes());
        out.resize(out.len() + usize::from(self.pad_d), 0);
        pair.back.apply(out.get_mut(start..).unwrap_or_default());
        Sealed {
            method,
            encrypt: Cipher::new(pair.back, 0, method),
            decrypt: Cipher::new(pair.forth, initial, method),
        }
    }
}
