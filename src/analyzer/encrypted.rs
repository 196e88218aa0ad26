//! Streams that speak MSE below and the peer wire protocol above, so that a
//! visit is the same code with and without encryption.
//!
//! The handshake of MSE takes place inside the first calls to read and write
//! and within the time that these are given: [`Outgoing`] sends the first
//! bytes written as the initial payload, [`Incoming`] tells from the first
//! bytes of a caller whether it is needed at all. On contact and caller
//! threads.

#[cfg(test)]
pub(crate) mod fake;
mod incoming;
mod outgoing;

use std::time::Duration;

use crate::model::{Encryption, Reason};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::mse::{Chance, Method, MseError, Sealed};

pub use incoming::{Incoming, Terms};
pub use outgoing::Outgoing;

/// Random numbers of the system for one handshake.
pub fn system_chance() -> Result<Chance, NetError> {
    Chance::draw(getrandom::fill).map_err(|error| NetError {
        operation: Operation::Open,
        reason: error.raw_os_error().map_or(Reason::Aborted, Reason::Os),
    })
}

/// The stream behind the handshake.
struct Tunnel {
    sealed: Sealed,
    /// Decrypted, but not read yet.
    early: Vec<u8>,
}

impl Tunnel {
    /// `early` came behind the handshake in the same read.
    fn new(mut sealed: Sealed, early: &[u8]) -> Self {
        let mut early = early.to_vec();
        sealed.decrypt.apply(&mut early);
        Self { sealed, early }
    }

    fn read(
        &mut self,
        stream: &mut dyn Stream,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<usize, NetError> {
        if !self.early.is_empty() {
            return Ok(hand_over(&mut self.early, buffer));
        }
        let read = stream.read(buffer, wait)?;
        let bytes = buffer.get_mut(..read).unwrap_or_default();
        self.sealed.decrypt.apply(bytes);
        Ok(read)
    }

    fn write_all(
        &mut self,
        stream: &mut dyn Stream,
        bytes: &[u8],
        wait: Duration,
    ) -> Result<(), NetError> {
        let mut bytes = bytes.to_vec();
        self.sealed.encrypt.apply(&mut bytes);
        stream.write_all(&bytes, wait)
    }

    const fn encryption(&self) -> Encryption {
        match self.sealed.method {
            Method::Plaintext => Encryption::MsePlain,
            Method::Rc4 => Encryption::Rc4,
        }
    }
}

/// Moves as much as fits from the front of `waiting` into `buffer`.
fn hand_over(waiting: &mut Vec<u8>, buffer: &mut [u8]) -> usize {
    let length = waiting.len().min(buffer.len());
    for (slot, byte) in buffer.iter_mut().zip(waiting.drain(..length)) {
        *slot = byte;
    }
    length
}

/// The outcome that a failed handshake is counted as.
fn failed(error: MseError) -> NetError {
    let reason = match error {
        MseError::NotSynchronized => Reason::UnknownProtocol,
        MseError::UnknownTorrent => Reason::UnknownInfoHash,
        MseError::NotVerified | MseError::NoMethod | MseError::PaddingTooLong => Reason::Encryption,
    };
    NetError {
        operation: Operation::Read,
        reason,
    }
}

#[cfg(test)]
mod tests;
