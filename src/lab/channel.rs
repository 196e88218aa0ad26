//! One byte stream between a party and the analyzer: TCP or uTP, in the clear
//! or behind the handshake of MSE.
//!
//! uTP and MSE are not written twice: the lab's side uses the program's own
//! `net::utp` and `protocol::mse`, so these agree with each other by
//! construction. That they agree with others is what the tests with real
//! clients are for. Everything above, from the handshake of BEP 3 on, is the
//! lab's own. On the threads of the lab.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::Socket;

use super::sockets::TICK;
use crate::clock::Clock;
use crate::model::{Encryption, Link, Reason, Transport};
use crate::net::utp::{UtpConnector, UtpSocket};
use crate::net::{Connect, NetError, Stream};
use crate::protocol::mse::{Method, Sealed};
use crate::protocol::utp::endpoint::Limits;
use crate::threads;

/// Streams of one party over uTP at one time: the analyzer opens one, and
/// those that are only being ended remain for some seconds.
const STREAMS: Limits = Limits {
    callers: 64,
    backlog: 64,
    total: 128,
};

/// How long a piece of [`CHUNK`] bytes may take to get into a uTP stream.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Bytes that are written into a uTP stream at one time.
const CHUNK: usize = 1024;

const STACK: usize = 128 * 1024;

/// A connected byte stream.
pub(super) struct Channel {
    wire: Wire,
    /// Behind the handshake of MSE.
    sealed: Option<Sealed>,
}

enum Wire {
    Tcp(TcpStream),
    Utp {
        stream: Box<dyn Stream>,
        wait: Duration,
        /// That of a caller; it ends behind the stream.
        _socket: Option<CallingSocket>,
    },
}

impl From<TcpStream> for Channel {
    /// One that was prepared by `sockets`.
    fn from(stream: TcpStream) -> Self {
        Self::new(Wire::Tcp(stream))
    }
}

impl Channel {
    const fn new(wire: Wire) -> Self {
        Self { wire, sealed: None }
    }

    /// A stream over uTP that a peer accepted.
    pub(super) fn accepted(stream: Box<dyn Stream>) -> Self {
        Self::over_utp(stream, None)
    }

    const fn over_utp(stream: Box<dyn Stream>, socket: Option<CallingSocket>) -> Self {
        Self::new(Wire::Utp {
            stream,
            wait: TICK,
            _socket: socket,
        })
    }

    /// Calls `target` over uTP from `source`, any port; gives the address
    /// that was called from, too.
    pub(super) fn call_over_utp(
        source: IpAddr,
        target: SocketAddr,
        wait: Duration,
        clock: Arc<dyn Clock>,
    ) -> io::Result<(Self, SocketAddr)> {
        let socket = CallingSocket::open(source, clock)?;
        let from = socket.socket.local_addr();
        let connector = UtpConnector::new(Arc::clone(&socket.socket));
        let stream = connector
            .connect(target, wait)
            .map_err(|it| io_error(&it))?;
        Ok((Self::over_utp(stream, Some(socket)), from))
    }

    /// What it goes over.
    pub(super) const fn link(&self) -> Link {
        let transport = match self.wire {
            Wire::Tcp(_) => Transport::Tcp,
            Wire::Utp { .. } => Transport::Utp,
        };
        let encryption = match &self.sealed {
            None => Encryption::Plain,
            Some(sealed) => match sealed.method {
                Method::Plaintext => Encryption::MsePlain,
                Method::Rc4 => Encryption::Rc4,
            },
        };
        Link {
            transport,
            encryption,
        }
    }

    /// From here on the stream is what the handshake of MSE agreed on.
    pub(super) fn seal(&mut self, sealed: Sealed) {
        self.sealed = Some(sealed);
    }

    /// Longest time in one read.
    pub(super) fn set_wait(&mut self, time: Duration) {
        match &mut self.wire {
            // A failing call only makes the wait longer, by a tick at most.
            Wire::Tcp(stream) => drop(stream.set_read_timeout(Some(time))),
            Wire::Utp { wait, .. } => *wait = time,
        }
    }

    /// Whether reads wait.
    pub(super) fn set_patient(&mut self, patient: bool) -> io::Result<()> {
        match &mut self.wire {
            Wire::Tcp(stream) => stream.set_nonblocking(!patient),
            Wire::Utp { wait, .. } => {
                *wait = if patient { TICK } else { Duration::ZERO };
                Ok(())
            }
        }
    }

    /// Reads what is there; no bytes at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.wire {
            Wire::Tcp(stream) => stream.read(buffer)?,
            Wire::Utp { stream, wait, .. } => {
                stream.read(buffer, *wait).map_err(|it| io_error(&it))?
            }
        };
        if let Some(sealed) = &mut self.sealed {
            sealed
                .decrypt
                .apply(buffer.get_mut(..count).unwrap_or_default());
        }
        Ok(count)
    }

    /// `bytes` as [`Self::write`] wants them, each only once.
    pub(super) fn encrypted<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(sealed) = &mut self.sealed else {
            return Cow::Borrowed(bytes);
        };
        let mut bytes = bytes.to_vec();
        sealed.encrypt.apply(&mut bytes);
        Cow::Owned(bytes)
    }

    /// Writes the beginning of `bytes`; returns how many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Tcp(stream) => stream.write(bytes),
            Wire::Utp { stream, .. } => {
                let chunk = bytes.get(..bytes.len().min(CHUNK)).unwrap_or_default();
                let written = stream.write_all(chunk, WRITE_LIMIT);
                // Some of it may be on its way: the stream is of no more use.
                written.map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
                Ok(chunk.len())
            }
        }
    }

    /// Tells that nothing more will come, and whether the other side is to be
    /// heard out; a uTP stream has no such half.
    pub(super) fn end_writing(&self) -> bool {
        match &self.wire {
            Wire::Tcp(stream) => stream.shutdown(Shutdown::Write).is_ok(),
            Wire::Utp { .. } => false,
        }
    }

    /// Closes, over TCP with a reset instead of in order.
    pub(super) fn reset(self) {
        if let Wire::Tcp(stream) = self.wire {
            drop(Socket::from(stream).set_linger(Some(Duration::ZERO)));
        }
    }
}

/// A socket for the streams of one peer over uTP; somebody has to run it.
pub(super) fn utp_socket(address: SocketAddr, clock: Arc<dyn Clock>) -> io::Result<Arc<UtpSocket>> {
    UtpSocket::bind(address, STREAMS, clock)
}

/// The socket of one call with its thread; both end when it is dropped.
struct CallingSocket {
    socket: Arc<UtpSocket>,
    thread: Option<JoinHandle<()>>,
}

impl CallingSocket {
    fn open(source: IpAddr, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let socket = utp_socket(SocketAddr::new(source, 0), clock)?;
        let run = Arc::clone(&socket);
        let thread = threads::spawn("lab-utp-call", STACK, move || run.run())?;
        Ok(Self {
            socket,
            thread: Some(thread),
        })
    }
}

impl Drop for CallingSocket {
    fn drop(&mut self) {
        self.socket.shut();
        // An error is a panic, which is counted elsewhere.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn io_error(error: &NetError) -> io::Error {
    match error.reason {
        Reason::TimedOut => ErrorKind::TimedOut.into(),
        Reason::Os(number) => io::Error::from_raw_os_error(number),
        _ => ErrorKind::ConnectionAborted.into(),
    }
}
