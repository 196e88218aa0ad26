//! The lab's socket calls: every wait is short and watches the stop token.
//!
//! Called on the threads of the lab. A blocked call looks at the token every
//! [`TICK`], so that stopping takes no longer than that and needs no second
//! descriptor a connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::channel::Channel;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::protocol::mse::Sealed;
use crate::stop::StopToken;

/// Longest time in one system call.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// How long an orderly close waits for the other side to close too.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How a wait for the other side ended, if not with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quit {
    /// The other side closed in order: it had read all that was sent.
    Closed,
    /// The other side reset the connection.
    Reset,
    /// The deadline passed.
    Deadline,
    /// The lab is to stop.
    Stopped,
}

/// A listening socket on `address` whose `accept` returns `WouldBlock` after
/// [`TICK`]; the backlog is deep enough for a storm.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// A socket that has `address` but does not listen: who calls is refused, and
/// nobody else gets the port. Listening may begin later.
pub(super) fn bound(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_read_timeout(Some(TICK))?;
    if address.ip().is_unspecified() {
        // A wildcard address must not be reachable from outside. Not every
        // kernel lets us pin the device; `accept` checks the addresses too.
        drop(socket.bind_device(Some(b"lo")));
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Any port of 127.0.0.1.
pub(super) const fn any_port() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// The next connection from loopback; `None` when the lab is to stop. Errors
/// of `accept` (descriptors gone, aborted connections) never end it.
pub(super) fn accept(listener: &TcpListener, stop: &StopToken) -> Option<(TcpStream, SocketAddr)> {
    while !stop.is_stopped() {
        match listener.accept() {
            Ok((stream, from)) if from.ip().is_loopback() => {
                if prepare(&stream).is_ok() {
                    return Some((stream, from));
                }
            }
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {}
            Err(_) => {
                if stop.wait(TICK) {
                    return None;
                }
            }
        }
    }
    None
}

/// Connects from the address `source` (any port) to `target`.
pub(super) fn connect(
    source: Option<IpAddr>,
    target: SocketAddr,
    wait: Duration,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&target.into(), wait)?;
    let stream = TcpStream::from(socket);
    prepare(&stream)?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(TICK))
}

/// Whether `error` only says that the timeout passed.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// One connection with its clock, its deadline and the stop token.
pub(super) struct Line<'a> {
    pub(super) channel: Channel,
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a StopToken,
    pub(super) deadline: Deadline,
    /// Where bytes are kept that come before anybody reads; `None` forgets
    /// them.
    pub(super) early: Option<VecDeque<u8>>,
}

/// Most bytes that are kept.
const EARLY_MAX: usize = 64 * 1024;

impl Line<'_> {
    fn check(&self) -> Result<(), Quit> {
        if self.stop.is_stopped() {
            return Err(Quit::Stopped);
        }
        match self.deadline.left(self.clock.now()) {
            Some(_) => Ok(()),
            None => Err(Quit::Deadline),
        }
    }

    /// Reads what is there, waiting for the first byte; never zero bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Quit> {
        if let Some(early) = self.early.as_mut().filter(|early| !early.is_empty()) {
            let count = early.len().min(buffer.len());
            let bytes = early.drain(..count);
            buffer
                .iter_mut()
                .zip(bytes)
                .for_each(|(to, from)| *to = from);
            return Ok(count);
        }
        loop {
            self.check()?;
            match self.channel.read(buffer) {
                // So ends a uTP stream whose socket is shut, too.
                Ok(0) if self.stop.is_stopped() => return Err(Quit::Stopped),
                Ok(0) => return Err(Quit::Closed),
                Ok(count) => return Ok(count),
                Err(error) if is_timeout(&error) => {}
                Err(_) => return Err(Quit::Reset),
            }
        }
    }

    /// Fails when the other side has closed already; forgets what it sent
    /// before, or keeps it for [`Self::read`] where that is wanted. On
    /// loopback everything written over TCP before this is in its hands: it
    /// reads it, or its closing becomes a reset.
    pub(super) fn check_open(&mut self) -> Result<(), Quit> {
        let mut buffer = [0; 4096];
        if self.channel.set_patient(false).is_err() {
            return Err(Quit::Reset);
        }
        let end = loop {
            match self.channel.read(&mut buffer) {
                Ok(0) => break Err(Quit::Closed),
                Ok(count) => self.keep(buffer.get(..count).unwrap_or_default()),
                Err(error) if is_timeout(&error) => break Ok(()),
                Err(_) => break Err(Quit::Reset),
            }
        };
        let restored = self.channel.set_patient(true);
        end.and(restored.map_err(|_| Quit::Reset))
    }

    /// Waits for as many bytes as `enough` wants to see, at most `limit`, and
    /// gives them; they are still to be read.
    pub(super) fn look(
        &mut self,
        limit: Duration,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, Quit> {
        let whole = self.deadline;
        self.deadline = whole.earlier(Deadline::after(self.clock.now(), limit));
        let mut seen = Vec::new();
        let mut buffer = [0; 256];
        let end = loop {
            if enough(&seen) {
                break Ok(());
            }
            match self.read(&mut buffer) {
                Ok(count) => seen.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(quit) => break Err(quit),
            }
        };
        self.deadline = whole;
        let early = self.early.get_or_insert_default();
        seen.iter().rev().for_each(|byte| early.push_front(*byte));
        match end {
            Ok(()) | Err(Quit::Deadline) => Ok(seen),
            Err(quit) => Err(quit),
        }
    }

    /// From here on the stream is sealed; `rest` came behind the handshake,
    /// and so did what was not read yet.
    pub(super) fn seal(&mut self, mut sealed: Sealed, rest: &[u8]) {
        let mut early = rest.to_vec();
        early.extend(self.early.take().into_iter().flatten());
        sealed.decrypt.apply(&mut early);
        self.early = Some(early.into());
        self.channel.seal(sealed);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(early) = &mut self.early
            && early.len() + bytes.len() <= EARLY_MAX
        {
            early.extend(bytes);
        }
    }

    /// Reads exactly as many bytes as `buffer` holds.
    pub(super) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), Quit> {
        let mut rest = buffer;
        while !rest.is_empty() {
            let count = self.read(rest)?;
            rest = rest.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends everything.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Quit> {
        let bytes = self.channel.encrypted(bytes);
        let mut rest = &*bytes;
        while !rest.is_empty() {
            self.check()?;
            match self.channel.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if is_timeout(&error) => {}
                Err(_) => return Err(Quit::Reset),
            }
        }
        Ok(())
    }

    /// Sends nothing for `time`, reading and forgetting what comes; ends
    /// early when the other side closes.
    pub(super) fn pause(&mut self, time: Duration) -> Result<(), Quit> {
        let whole = self.deadline;
        let until = Deadline::after(self.clock.now(), time);
        self.deadline = whole.earlier(until);
        let short = time.clamp(Duration::from_millis(1), TICK);
        self.channel.set_wait(short);
        let end = self.drain();
        self.channel.set_wait(TICK);
        self.deadline = whole;
        match end {
            Quit::Deadline => self.check(),
            other => Err(other),
        }
    }

    /// Reads and forgets until the other side is gone or time is up.
    pub(super) fn drain(&mut self) -> Quit {
        let mut buffer = [0; 4096];
        loop {
            if let Err(quit) = self.read(&mut buffer) {
                return quit;
            }
        }
    }

    /// Closes in order: unread bytes of the other side would turn a plain
    /// close into a reset, so they are read until it closes too or
    /// [`CLOSE_GRACE`] is over.
    pub(super) fn close(mut self) {
        if self.channel.end_writing() {
            self.deadline = Deadline::after(self.clock.now(), CLOSE_GRACE);
            self.drain();
        }
    }

    /// Closes with a reset instead of in order.
    pub(super) fn reset(self) {
        self.channel.reset();
    }
}
