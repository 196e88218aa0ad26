//! One stream over uTP, as the thread that owns it sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, MutexGuard};

use crate::model::{Encryption, Link, Reason, Transport};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::utp::endpoint::Key;

use super::{State, UtpSocket, failed, reason_of};

/// A stream; dropped, it tells the other side that it has ended.
pub struct UtpStream {
    socket: Arc<UtpSocket>,
    key: Key,
    /// There may be something to read, or room to write.
    changed: Arc<Condvar>,
}

impl UtpStream {
    pub(super) const fn new(socket: Arc<UtpSocket>, key: Key, changed: Arc<Condvar>) -> Self {
        Self {
            socket,
            key,
            changed,
        }
    }

    /// Waits for the answer to our call.
    pub(super) fn wait_until_open(&self, deadline: Instant) -> Result<(), NetError> {
        let mut late = false;
        let mut state = self.socket.state.lock();
        loop {
            if state.shut {
                return Err(failed(Operation::Connect, Reason::Closed));
            }
            match state.endpoint.is_open(self.key) {
                Ok(true) => return Ok(()),
                Ok(false) if late => return Err(NetError::timed_out(Operation::Connect)),
                Ok(false) => {}
                Err(broken) => return Err(failed(Operation::Connect, reason_of(broken))),
            }
            late = self.wait(&mut state, deadline);
        }
    }

    /// Waits for a change; whether `deadline` is over. Then what has arrived
    /// at the socket is taken in first: it came in time, and only the
    /// socket's thread had not got the processor.
    fn wait(&self, state: &mut MutexGuard<'_, State>, deadline: Instant) -> bool {
        let over = self.changed.wait_until(state, deadline).timed_out();
        if over {
            MutexGuard::unlocked(state, || self.socket.catch_up());
        }
        over
    }
}

impl Stream for UtpStream {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let deadline = self.socket.clock.now() + wait;
        let mut late = false;
        let mut state = self.socket.state.lock();
        loop {
            // As a TCP socket that was shut.
            if state.shut {
                return Ok(0);
            }
            let now = self.socket.clock.now();
            match state.endpoint.read(self.key, buffer, now) {
                Ok(Some(length)) => {
                    self.socket.send(state);
                    return Ok(length);
                }
                Ok(None) if late => return Err(NetError::timed_out(Operation::Read)),
                Ok(None) => {}
                Err(broken) => return Err(failed(Operation::Read, reason_of(broken))),
            }
            late = self.wait(&mut state, deadline);
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        let deadline = self.socket.clock.now() + wait;
        let mut late = false;
        while !bytes.is_empty() {
            let mut state = self.socket.state.lock();
            if state.shut {
                return Err(failed(Operation::Write, Reason::BROKEN_PIPE));
            }
            let now = self.socket.clock.now();
            let written = state
                .endpoint
                .write(self.key, bytes, now)
                .map_err(|broken| failed(Operation::Write, reason_of(broken)))?;
            if written > 0 {
                self.socket.send(state);
                bytes = bytes.get(written..).unwrap_or_default();
            } else if late {
                return Err(NetError::timed_out(Operation::Write));
            } else {
                late = self.wait(&mut state, deadline);
            }
        }
        Ok(())
    }

    fn link(&self) -> Link {
        Link {
            transport: Transport::Utp,
            encryption: Encryption::Plain,
        }
    }
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        let mut state = self.socket.state.lock();
        let now = self.socket.clock.now();
        state.streams.remove(&self.key);
        state.endpoint.close(self.key, now);
        self.socket.send(state);
    }
}
