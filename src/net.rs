//! The only sockets of the program, behind traits that tests and the lab
//! replace.
//!
//! Every call takes the time that is left for it. No error carries an
//! address: errors go into logs and files, addresses do not.

pub mod datagram;
#[cfg(test)]
pub(crate) mod fake;
pub mod guard;
pub mod http;
pub mod listen;
pub mod multicast;
pub(crate) mod ready;
pub mod resolve;
pub mod tcp;
pub mod udp;
pub mod utp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::{Link, Reason};

/// A connected byte stream to one peer.
pub trait Stream: Send {
    /// Reads what is there, waiting at most `wait` for the first byte;
    /// `Ok(0)` means that the other side closed.
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError>;

    /// Writes everything within `wait` in all.
    fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError>;

    /// What it goes over, as far as that is agreed by now.
    fn link(&self) -> Link;
}

/// Opens streams.
pub trait Connect: Send + Sync {
    /// Connects within `wait`.
    fn connect(&self, address: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError>;
}

/// What was being done when an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Looking up a host name.
    Resolve,
    /// Making or binding a socket.
    Open,
    /// Connecting.
    Connect,
    /// Reading or receiving.
    Read,
    /// Writing or sending.
    Write,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolving the host name",
            Self::Open => "opening a socket",
            Self::Connect => "connecting",
            Self::Read => "reading",
            Self::Write => "writing",
        }
    }
}

/// A failed network call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetError {
    /// What was being done.
    pub operation: Operation,
    /// Why it failed: [`Reason::TimedOut`], [`Reason::Closed`] or
    /// [`Reason::Os`].
    pub reason: Reason,
}

impl NetError {
    /// Translates an error of the standard library. A timeout arrives as
    /// `WouldBlock` on Linux.
    pub fn from_io(operation: Operation, error: &io::Error) -> Self {
        let reason = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, _) => Reason::TimedOut,
            (_, Some(number)) => Reason::Os(number),
            _ => Reason::Closed,
        };
        Self { operation, reason }
    }

    /// The deadline passed.
    pub const fn timed_out(operation: Operation) -> Self {
        Self {
            operation,
            reason: Reason::TimedOut,
        }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} while {}",
            self.reason.label(),
            self.operation.as_str()
        )
    }
}

impl std::error::Error for NetError {}
