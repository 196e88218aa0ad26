//! Streams over uTP (BEP 29): one UDP socket for all of an address family.
//!
//! The protocol is `protocol::utp`, which knows neither socket nor clock. It
//! stands behind one lock: the socket's thread ([`UtpSocket::run`]) hands in
//! what arrives and looks at the timers, and the threads that own streams
//! write, read and wait. Whoever changed something sends the packets that
//! came of it, after the lock is given back; so nobody has to be woken for
//! sending, and each stream waits on a condition variable of its own.
//!
//! A stream costs some hundred bytes, and while bytes are under way up to
//! 50 KiB (see `protocol::utp`); it takes no descriptor.

mod stream;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::net::{RecvFlags, recvfrom};

use crate::clock::Clock;
use crate::model::{PeerAddress, Reason};
use crate::protocol::utp::Broken;
use crate::protocol::utp::endpoint::{Counts, Endpoint, Key, Limits, Outgoing};

use super::datagram;
use super::{Connect, NetError, Operation, Stream};

pub use stream::UtpStream;

/// Longest wait for a packet, and so the coarseness of the timers, which
/// begin at half a second.
const TICK: Duration = Duration::from_millis(50);

/// No datagram is longer.
const DATAGRAM_MAX: usize = 65_536;

/// Datagrams that a thread takes in that is not the socket's: about as many
/// as the kernel keeps.
const CATCH_UP_MAX: u32 = 256;

/// `ENOBUFS`: as many streams as there may be.
const NO_ROOM: Reason = Reason::Os(105);

/// `EAFNOSUPPORT`: an IPv6 address and no socket but of IPv4, or the reverse.
const WRONG_FAMILY: Reason = Reason::Os(97);

/// A UDP socket with its streams.
pub struct UtpSocket {
    socket: UdpSocket,
    local: SocketAddr,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// A caller waits, or the socket was shut.
    called: Condvar,
}

struct State {
    endpoint: Endpoint,
    /// For each stream that somebody owns: it may go on.
    streams: HashMap<Key, Arc<Condvar>>,
    shut: bool,
}

impl State {
    /// What came of the last change: wakes whom it concerns, and gives what
    /// is to be sent.
    fn settle(&mut self, called: &Condvar) -> Vec<Outgoing> {
        for key in self.endpoint.take_news() {
            if let Some(changed) = self.streams.get(&key) {
                changed.notify_one();
            }
        }
        if self.endpoint.has_caller() {
            called.notify_one();
        }
        self.endpoint.take_packets()
    }
}

impl UtpSocket {
    /// Binds `address`; port 0 lets the system choose. Nothing is received
    /// before [`UtpSocket::run`].
    pub fn bind(
        address: SocketAddr,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Arc<Self>> {
        let socket = datagram::open(address)?;
        socket.set_read_timeout(Some(TICK))?;
        let local = socket.local_addr()?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
        let endpoint = Endpoint::new(limits, secret, clock.now());
        Ok(Arc::new(Self {
            socket,
            local,
            clock,
            state: Mutex::new(State {
                endpoint,
                streams: HashMap::new(),
                shut: false,
            }),
            called: Condvar::new(),
        }))
    }

    /// Where it is bound.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Packets so far.
    pub fn counts(&self) -> Counts {
        self.state.lock().endpoint.counts()
    }

    /// Streams that there are, with those that are only being ended.
    pub fn streams(&self) -> usize {
        self.state.lock().endpoint.connections()
    }

    /// Body of the socket's thread; ends when the socket is shut.
    pub fn run(&self) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        while !self.is_shut() {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    self.update(|endpoint, now| endpoint.handle(from.into(), datagram, now));
                }
                Err(error) if is_patience(&error) => self.update(|_, _| ()),
                // Perhaps news of an older datagram; a broken socket must
                // not take a whole core.
                Err(_) => {
                    let mut state = self.state.lock();
                    self.called.wait_for(&mut state, TICK);
                }
            }
        }
    }

    /// Takes in what waits at the socket, without waiting: for a thread that
    /// would else give up, while the socket's own has no processor.
    fn catch_up(&self) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        for _ in 0..CATCH_UP_MAX {
            let received = recvfrom(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT);
            let Ok((length, _, Some(from))) = received else {
                return;
            };
            let Ok(from) = SocketAddr::try_from(from) else {
                continue;
            };
            let datagram = buffer.get(..length).unwrap_or_default();
            self.update(|endpoint, now| endpoint.handle(from.into(), datagram, now));
        }
    }

    /// Changes something, does what is due, and sends what came of it.
    fn update<T>(&self, change: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.clock.now();
        let result = change(&mut state.endpoint, now);
        if state.endpoint.next_timer().is_some_and(|at| at <= now) {
            state.endpoint.look_at_clock(now);
        }
        self.send(state);
        result
    }

    /// Gives the lock back and sends.
    fn send(&self, mut state: MutexGuard<'_, State>) {
        let packets = state.settle(&self.called);
        drop(state);
        for packet in packets {
            // What the system does not take is lost, as on the way, and is
            // sent again.
            let _ = self.socket.send_to(&packet.bytes, packet.to.socket_addr());
        }
    }

    /// Waits for a caller that has sent its first bytes; `None` when the
    /// socket is shut.
    pub fn accept(self: &Arc<Self>) -> Option<(UtpStream, SocketAddr)> {
        let mut state = self.state.lock();
        loop {
            if state.shut {
                return None;
            }
            if let Some(key) = state.endpoint.take_caller() {
                return Some((self.stream(&mut state, key), key.address().socket_addr()));
            }
            self.called.wait(&mut state);
        }
    }

    fn stream(self: &Arc<Self>, state: &mut State, key: Key) -> UtpStream {
        let changed = Arc::new(Condvar::new());
        state.streams.insert(key, Arc::clone(&changed));
        UtpStream::new(Arc::clone(self), key, changed)
    }

    /// Whether [`UtpSocket::shut`] was called.
    pub fn is_shut(&self) -> bool {
        self.state.lock().shut
    }

    /// Wakes everyone who waits on a stream or for a caller, now and from now
    /// on, and ends the socket's thread.
    pub fn shut(&self) {
        let mut state = self.state.lock();
        state.shut = true;
        let now = self.clock.now();
        while let Some(key) = state.endpoint.take_caller() {
            state.endpoint.close(key, now);
        }
        for changed in state.streams.values() {
            changed.notify_all();
        }
        self.called.notify_all();
        self.send(state);
    }

    fn call(self: &Arc<Self>, address: PeerAddress, wait: Duration) -> Result<UtpStream, NetError> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        let key = state
            .endpoint
            .connect(address, now)
            .map_err(|_| failed(Operation::Open, NO_ROOM))?;
        let stream = self.stream(&mut state, key);
        self.send(state);
        stream.wait_until_open(now + wait)?;
        Ok(stream)
    }
}

/// Opens streams over the [`UtpSocket`] of the address's family.
pub struct UtpConnector(Vec<Arc<UtpSocket>>);

impl UtpConnector {
    /// A connector for the streams of `socket`.
    pub fn new(socket: Arc<UtpSocket>) -> Self {
        Self::over(vec![socket])
    }

    /// A connector for the streams of `sockets`, one of each family.
    pub const fn over(sockets: Vec<Arc<UtpSocket>>) -> Self {
        Self(sockets)
    }
}

impl Connect for UtpConnector {
    fn connect(&self, address: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError> {
        let mut sockets = self.0.iter();
        let socket = sockets
            .find(|socket| socket.local.is_ipv6() == address.is_ipv6())
            .ok_or(failed(Operation::Open, WRONG_FAMILY))?;
        Ok(Box::new(socket.call(address.into(), wait)?))
    }
}

const fn failed(operation: Operation, reason: Reason) -> NetError {
    NetError { operation, reason }
}

/// Why a stream is at its end, in the words of TCP.
const fn reason_of(broken: Broken) -> Reason {
    match broken {
        Broken::Refused => Reason::REFUSED,
        Broken::Reset => Reason::RESET,
        Broken::TimedOut => Reason::TimedOut,
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
