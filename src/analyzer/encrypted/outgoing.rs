//! The stream of a connection that we opened.

use std::time::Duration;

use super::{Tunnel, failed};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{InfoHash, Link};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::mse::{Chance, INITIAL_MAX, Initiator, Methods};

/// Encrypts what goes over a connection that we opened.
pub struct Outgoing<'a> {
    stream: &'a mut dyn Stream,
    clock: &'a dyn Clock,
    /// Longest wait for room to write, while a read drives the handshake.
    patience: Duration,
    skey: InfoHash,
    state: State,
    /// Written before the handshake was over.
    queued: Vec<u8>,
}

enum State {
    Fresh(Chance),
    Shaking(Initiator),
    Open(Tunnel),
}

impl<'a> Outgoing<'a> {
    /// A stream to a peer of the torrent `skey`; nothing is sent before the
    /// first call to read or write.
    pub fn new(
        stream: &'a mut dyn Stream,
        clock: &'a dyn Clock,
        patience: Duration,
        skey: InfoHash,
        chance: Chance,
    ) -> Self {
        Self {
            stream,
            clock,
            patience,
            skey,
            state: State::Fresh(chance),
            queued: Vec::new(),
        }
    }

    /// Sends our key; `initial` goes along when theirs has come. We offer both
    /// methods whatever the configuration prefers: what is sought is the peer.
    fn begin(&mut self, chance: &Chance, initial: &[u8], wait: Duration) -> Result<(), NetError> {
        let mut out = Vec::new();
        let initiator = Initiator::new(self.skey, Methods::BOTH, initial, chance, &mut out);
        self.state = State::Shaking(initiator);
        self.stream.write_all(&out, wait)
    }

    /// Takes what one read gave.
    fn take(&mut self, input: &[u8]) -> Result<(), NetError> {
        let State::Shaking(initiator) = &mut self.state else {
            return Ok(());
        };
        let mut out = Vec::new();
        let used = initiator.feed(input, &mut out).map_err(failed)?;
        let sealed = initiator.sealed();
        if !out.is_empty() {
            self.stream.write_all(&out, self.patience)?;
        }
        let Some(sealed) = sealed else {
            return Ok(());
        };
        let mut tunnel = Tunnel::new(sealed, input.get(used..).unwrap_or_default());
        if !self.queued.is_empty() {
            let queued = std::mem::take(&mut self.queued);
            tunnel.write_all(self.stream, &queued, self.patience)?;
        }
        self.state = State::Open(tunnel);
        Ok(())
    }
}

impl Stream for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let deadline = Deadline::after(self.clock.now(), wait);
        if let State::Fresh(chance) = &self.state {
            self.begin(&chance.clone(), &[], wait)?;
        }
        let mut left = wait;
        while let State::Shaking(_) = self.state {
            let read = self.stream.read(buffer, left)?;
            if read == 0 {
                return Ok(0);
            }
            self.take(buffer.get(..read).unwrap_or_default())?;
            let timed_out = NetError::timed_out(Operation::Read);
            left = match &self.state {
                // What is there already needs no time.
                State::Open(tunnel) if !tunnel.early.is_empty() => Duration::ZERO,
                _ => deadline.left(self.clock.now()).ok_or(timed_out)?,
            };
        }
        match &mut self.state {
            State::Open(tunnel) => tunnel.read(self.stream, buffer, left),
            State::Fresh(_) | State::Shaking(_) => Err(NetError::timed_out(Operation::Read)),
        }
    }

    fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        match &mut self.state {
            State::Fresh(chance) => {
                let chance = chance.clone();
                let (initial, rest) = bytes.split_at(bytes.len().min(INITIAL_MAX));
                self.queued.extend_from_slice(rest);
                self.begin(&chance, initial, wait)
            }
            State::Shaking(_) => {
                self.queued.extend_from_slice(bytes);
                Ok(())
            }
            State::Open(tunnel) => tunnel.write_all(self.stream, bytes, wait),
        }
    }

    fn link(&self) -> Link {
        let link = self.stream.link();
        match &self.state {
            State::Open(tunnel) => link.with_encryption(tunnel.encryption()),
            State::Fresh(_) | State::Shaking(_) => link,
        }
    }
}
