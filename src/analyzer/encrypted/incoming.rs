//! The stream of a caller, of whom only the first bytes tell what it speaks.

use std::time::Duration;

use super::{Tunnel, failed, hand_over};
use crate::analyzer::evaluate::Verdict;
use crate::clock::Clock;
use crate::config::settings::EncryptionPolicy;
use crate::deadline::Deadline;
use crate::model::{Link, Reason};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::handshake::PROTOCOL;
use crate::protocol::mse::{Chance, Method, Responder, Torrents};

/// Decrypts what a caller sends, where it is encrypted.
pub struct Incoming<'a> {
    stream: &'a mut dyn Stream,
    clock: &'a dyn Clock,
    /// Longest wait for room to write, while a read drives the handshake.
    patience: Duration,
    terms: Terms<'a>,
    state: State,
}

/// Who is heard, and how.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// What a caller may want.
    pub torrents: &'a dyn Torrents,
    /// Whether in the clear, encrypted or both.
    pub policy: EncryptionPolicy,
    /// Random numbers; asked only when a caller speaks MSE.
    pub chance: fn() -> Result<Chance, NetError>,
}

enum State {
    /// So far, these bytes are the beginning of a plain handshake.
    Unknown(Vec<u8>),
    /// In the clear; these bytes are to be read first.
    Plain(Vec<u8>),
    /// Both are large, and the state lies on the stack of each caller, most of
    /// whom speak in the clear.
    Shaking(Box<Responder>),
    Open(Box<Tunnel>),
}

impl<'a> Incoming<'a> {
    /// The stream of a caller that is heard on these terms.
    pub fn new(
        stream: &'a mut dyn Stream,
        clock: &'a dyn Clock,
        patience: Duration,
        terms: Terms<'a>,
    ) -> Self {
        // Without a choice nothing is held back: the visit judges every byte.
        let state = if terms.policy.admits(true) {
            State::Unknown(Vec::new())
        } else {
            State::Plain(Vec::new())
        };
        Self {
            stream,
            clock,
            patience,
            terms,
            state,
        }
    }

    /// `verdict`, but where a caller sent bytes of neither protocol and then
    /// no more, that is what is wrong with it, and not the silence.
    pub fn judge(&self, verdict: Verdict) -> Verdict {
        let strange = match &self.state {
            State::Shaking(responder) => !responder.is_proved(),
            State::Unknown(_) | State::Plain(_) | State::Open(_) => false,
        };
        match verdict {
            Verdict::Failed(Reason::TimedOut | Reason::Closed | Reason::RESET) if strange => {
                Verdict::Failed(Reason::UnknownProtocol)
            }
            verdict => verdict,
        }
    }

    /// Takes what one read gave.
    fn take(&mut self, input: &[u8]) -> Result<(), NetError> {
        let State::Unknown(bytes) = &mut self.state else {
            return self.shake(input);
        };
        bytes.extend_from_slice(input);
        let mut both = bytes.iter().zip(&PROTOCOL);
        if !both.all(|(byte, expected)| byte == expected) {
            let bytes = std::mem::take(bytes);
            return self.begin_to_shake(&bytes);
        }
        if bytes.len() >= PROTOCOL.len() {
            if !self.terms.policy.admits(false) {
                return Err(NetError {
                    operation: Operation::Read,
                    reason: Reason::NotEncrypted,
                });
            }
            self.state = State::Plain(std::mem::take(bytes));
        }
        Ok(())
    }

    /// Apart, as is [`Incoming::shake`]: its random numbers would lie on the
    /// stack of each caller in the clear, too, for as long as it waits.
    #[inline(never)]
    fn begin_to_shake(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let method = if self.terms.policy.prefers_encrypted() {
            Method::Rc4
        } else {
            Method::Plaintext
        };
        let responder = Responder::new(method, &(self.terms.chance)()?);
        self.state = State::Shaking(Box::new(responder));
        self.shake(bytes)
    }

    #[inline(never)]
    fn shake(&mut self, input: &[u8]) -> Result<(), NetError> {
        let State::Shaking(responder) = &mut self.state else {
            return Ok(());
        };
        let mut out = Vec::new();
        let used = responder
            .feed(input, self.terms.torrents, &mut out)
            .map_err(failed)?;
        let sealed = responder.sealed();
        if !out.is_empty() {
            self.stream.write_all(&out, self.patience)?;
        }
        if let Some(sealed) = sealed {
            let rest = input.get(used..).unwrap_or_default();
            self.state = State::Open(Box::new(Tunnel::new(sealed, rest)));
        }
        Ok(())
    }
}

impl Stream for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let deadline = Deadline::after(self.clock.now(), wait);
        let mut left = wait;
        loop {
            match &mut self.state {
                State::Plain(early) if early.is_empty() => return self.stream.read(buffer, left),
                State::Plain(early) => return Ok(hand_over(early, buffer)),
                State::Open(tunnel) => return tunnel.read(self.stream, buffer, left),
                State::Unknown(_) | State::Shaking(_) => {}
            }
            let read = self.stream.read(buffer, left)?;
            if read == 0 {
                return Ok(0);
            }
            self.take(buffer.get(..read).unwrap_or_default())?;
            let timed_out = NetError::timed_out(Operation::Read);
            left = match &self.state {
                // What is there already needs no time.
                State::Plain(early) if !early.is_empty() => Duration::ZERO,
                State::Open(tunnel) if !tunnel.early.is_empty() => Duration::ZERO,
                _ => deadline.left(self.clock.now()).ok_or(timed_out)?,
            };
        }
    }

    fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        match &mut self.state {
            State::Open(tunnel) => tunnel.write_all(self.stream, bytes, wait),
            // A visit answers nobody whose handshake it has not read.
            State::Plain(_) | State::Unknown(_) | State::Shaking(_) => {
                self.stream.write_all(bytes, wait)
            }
        }
    }

    fn link(&self) -> Link {
        let link = self.stream.link();
        match &self.state {
            State::Open(tunnel) => link.with_encryption(tunnel.encryption()),
            State::Plain(_) | State::Unknown(_) | State::Shaking(_) => link,
        }
    }
}
