//! The side that opened the connection.

use super::cipher::{Cipher, Pair, skip};
use super::dh::KeyPair;
use super::inbox::{Inbox, split};
use super::{Chance, KEY_LEN, Method, Methods, MseError, PAD_MAX, Sealed, VERIFICATION, hash, xor};
use crate::model::InfoHash;

/// Bytes that the initiator may send with its last message of the handshake.
pub const INITIAL_MAX: usize = u16::MAX as usize;

/// The handshake of the side that opened the connection.
pub struct Initiator {
    keys: KeyPair,
    skey: InfoHash,
    provide: Methods,
    pad_c: u16,
    initial: Vec<u8>,
    inbox: Inbox,
    state: State,
}

enum State {
    /// Waits for the other key.
    Key,
    /// Waits for the verification constant, which is this once encrypted.
    Verification(Pair, [u8; VERIFICATION.len()]),
    /// Waits for the method and the length of the padding.
    Select(Pair),
    /// Drops padding.
    Pad(Pair, Method, usize),
    /// Agreed.
    Done(Sealed),
    /// Agreed and taken, or failed.
    Over,
}

impl Initiator {
    /// Begins: `out` gets the first bytes to send. `initial` goes with the
    /// message that ends our part, at most its first [`INITIAL_MAX`] bytes.
    pub fn new(
        skey: InfoHash,
        provide: Methods,
        initial: &[u8],
        chance: &Chance,
        out: &mut Vec<u8>,
    ) -> Self {
        let keys = KeyPair::new(chance.exponent);
        out.extend_from_slice(&keys.public);
        out.extend_from_slice(&chance.pad);
        let length = initial.len().min(INITIAL_MAX);
        Self {
            keys,
            skey,
            provide,
            pad_c: chance.inner_pad,
            initial: initial.get(..length).unwrap_or_default().to_vec(),
            inbox: Inbox::default(),
            state: State::Key,
        }
    }

    /// Takes bytes of the other side and adds to `out` what is to be sent;
    /// returns how many it took. What is left belongs to the stream behind
    /// the handshake. After an error there is nothing more to be had.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, MseError> {
        let mut rest = input;
        loop {
            let state = std::mem::replace(&mut self.state, State::Over);
            let (state, goes_on) = self.step(state, &mut rest, out)?;
            self.state = state;
            if !goes_on {
                return Ok(input.len() - rest.len());
            }
        }
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
        out: &mut Vec<u8>,
    ) -> Result<(State, bool), MseError> {
        Ok(match state {
            State::Key => match self.inbox.exactly::<KEY_LEN>(rest) {
                Some(theirs) => (self.answer(&theirs, out), true),
                None => (State::Key, false),
            },
            State::Verification(pair, pattern) => {
                if self.inbox.find(&pattern, rest)? {
                    (State::Select(pair), true)
                } else {
                    (State::Verification(pair, pattern), false)
                }
            }
            State::Select(mut pair) => match self.inbox.exactly::<6>(rest) {
                Some(mut bytes) => {
                    pair.back.apply(&mut bytes);
                    let [a, b, c, d, high, low] = bytes;
                    let method = Method::selected(u32::from_be_bytes([a, b, c, d]), self.provide)?;
                    let pad = usize::from(u16::from_be_bytes([high, low]));
                    if pad > PAD_MAX {
                        return Err(MseError::PaddingTooLong);
                    }
                    (State::Pad(pair, method, pad), true)
                }
                None => (State::Select(pair), false),
            },
            State::Pad(mut pair, method, pad) => {
                let dropped = split(rest, pad).len();
                skip(&mut pair.back, dropped);
                if dropped < pad {
                    (State::Pad(pair, method, pad - dropped), false)
                } else {
                    let sealed = Sealed {
                        method,
                        encrypt: Cipher::new(pair.forth, 0, method),
                        decrypt: Cipher::new(pair.back, 0, method),
                    };
                    (State::Done(sealed), false)
                }
            }
            state @ (State::Done(_) | State::Over) => (state, false),
        })
    }

    /// Their key is there: the torrent, the methods and the initial bytes.
    fn answer(&mut self, theirs: &[u8; KEY_LEN], out: &mut Vec<u8>) -> State {
        let secret = self.keys.secret(theirs);
        let mut pair = Pair::new(&secret, &self.skey);
        out.extend_from_slice(&hash(&[b"req1", &secret]));
        let torrent = super::torrent_hash(&self.skey);
        out.extend_from_slice(&xor(torrent, hash(&[b"req3", &secret])));
        let start = out.len();
        out.extend_from_slice(&VERIFICATION);
        out.extend_from_slice(&self.provide.bits().to_be_bytes());
        out.extend_from_slice(&self.pad_c.to_be_bytes());
        out.resize(out.len() + usize::from(self.pad_c), 0);
        let initial = u16::try_from(self.initial.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&initial.to_be_bytes());
        out.append(&mut self.initial);
        pair.forth.apply(out.get_mut(start..).unwrap_or_default());
        let mut pattern = VERIFICATION;
        pair.back.apply(&mut pattern);
        State::Verification(pair, pattern)
    }
}
