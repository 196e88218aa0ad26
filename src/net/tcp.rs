//! TCP streams and the register that can shut them all.
//!
//! A thread in a visit blocks in `connect`, `recv` or `send`. So that nobody
//! waits out a timeout at the end of a run, every socket stands in a
//! [`SocketRegister`] from before its connection to its end; shutting it
//! there makes the blocked call return at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{Link, Reason};

use super::ready::{readable, writable};
use super::{Connect, NetError, Operation, Stream};

/// Connections that the kernel completes before they are accepted.
const LISTEN_BACKLOG: i32 = 4096;

/// All open sockets of the engine.
#[derive(Debug, Default)]
pub struct SocketRegister {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    sockets: Vec<Option<Arc<Socket>>>,
    free: Vec<usize>,
    shut: bool,
}

impl SocketRegister {
    /// Shuts every registered socket and, from now on, every new one.
    pub fn shut_all(&self) {
        let mut slots = self.slots.lock();
        slots.shut = true;
        for socket in slots.sockets.iter().flatten() {
            // A socket that is not connected any more has nobody waiting.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Sockets open now.
    pub fn open(&self) -> usize {
        let slots = self.slots.lock();
        slots.sockets.len() - slots.free.len()
    }

    fn enter(self: &Arc<Self>, socket: Socket) -> Registered {
        let socket = Arc::new(socket);
        let mut slots = self.slots.lock();
        if slots.shut {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.sockets.push(None);
            slots.sockets.len() - 1
        });
        slots.sockets[slot] = Some(Arc::clone(&socket));
        Registered {
            socket,
            slot,
            register: Arc::clone(self),
        }
    }

    /// Whether [`SocketRegister::shut_all`] was called.
    pub fn is_shut(&self) -> bool {
        self.slots.lock().shut
    }
}

/// A socket that leaves the register when it goes.
#[derive(Debug)]
struct Registered {
    socket: Arc<Socket>,
    slot: usize,
    register: Arc<SocketRegister>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut slots = self.register.slots.lock();
        slots.sockets[self.slot] = None;
        slots.free.push(self.slot);
    }
}

/// A connected TCP stream.
pub struct PeerStream {
    socket: Registered,
    clock: Arc<dyn Clock>,
}

impl Stream for PeerStream {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let socket = &*self.socket.socket;
        let patience = Patience::new(Operation::Read, &*self.clock, wait);
        loop {
            patience.until(|left| readable(socket, left))?;
            match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((read, _)) => return Ok(read),
                // The system may change its mind about what is there.
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(NetError::from_io(Operation::Read, &error.into())),
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        let socket = &*self.socket.socket;
        let patience = Patience::new(Operation::Write, &*self.clock, wait);
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while !bytes.is_empty() {
            match send(socket, bytes, flags) {
                Ok(0) => {
                    return Err(NetError {
                        operation: Operation::Write,
                        reason: Reason::Closed,
                    });
                }
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => patience.until(|left| writable(socket, left))?,
                Err(error) => return Err(NetError::from_io(Operation::Write, &error.into())),
            }
        }
        Ok(())
    }

    fn link(&self) -> Link {
        Link::PLAIN_TCP
    }
}

/// The wait of one operation, which may take several calls.
struct Patience<'a> {
    operation: Operation,
    clock: &'a dyn Clock,
    deadline: Deadline,
}

impl<'a> Patience<'a> {
    fn new(operation: Operation, clock: &'a dyn Clock, wait: Duration) -> Self {
        Self {
            operation,
            clock,
            deadline: Deadline::after(clock.now(), wait),
        }
    }

    /// Waits for a socket, again after each signal, at most to the deadline;
    /// behind it, looks once.
    fn until(&self, ready: impl Fn(Duration) -> io::Result<bool>) -> Result<(), NetError> {
        loop {
            let left = self.deadline.left(self.clock.now()).unwrap_or_default();
            match ready(left) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(NetError::timed_out(self.operation)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetError::from_io(self.operation, &error)),
            }
        }
    }
}

/// Opens TCP streams whose sockets stand in a register.
pub struct TcpConnector {
    register: Arc<SocketRegister>,
    clock: Arc<dyn Clock>,
}

impl TcpConnector {
    /// A connector for the sockets of `register`.
    pub fn new(register: Arc<SocketRegister>, clock: Arc<dyn Clock>) -> Self {
        Self { register, clock }
    }
}

impl TcpConnector {
    fn connect_socket(
        &self,
        socket: &Socket,
        address: SocketAddr,
        wait: Duration,
    ) -> Result<(), NetError> {
        let fail = |error: io::Error| NetError::from_io(Operation::Connect, &error);
        match socket.connect(&address.into()) {
            Ok(()) => return Ok(()),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
            Err(error) => return Err(fail(error)),
        }
        // What was shut before it began to connect is not shut.
        if self.register.is_shut() {
            return Err(NetError {
                operation: Operation::Connect,
                reason: Reason::Closed,
            });
        }
        Patience::new(Operation::Connect, &*self.clock, wait)
            .until(|left| writable(socket, left))?;
        match socket.take_error().map_err(fail)? {
            Some(error) => Err(fail(error)),
            None => Ok(()),
        }
    }
}

impl Connect for TcpConnector {
    fn connect(&self, address: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
            .map_err(|error| NetError::from_io(Operation::Open, &error))?;
        let registered = self.register.enter(socket);
        let socket = &*registered.socket;
        self.connect_socket(socket, address, wait)?;
        socket
            .set_tcp_nodelay(true)
            .map_err(|error| NetError::from_io(Operation::Connect, &error))?;
        Ok(Box::new(PeerStream {
            socket: registered,
            clock: Arc::clone(&self.clock),
        }))
    }
}

/// A listening socket.
pub struct ListenSocket {
    socket: Registered,
    register: Arc<SocketRegister>,
    clock: Arc<dyn Clock>,
    local: SocketAddr,
}

impl ListenSocket {
    /// Listens on `address` with room for 4,096 connections that wait to be
    /// accepted; port 0 lets the system choose.
    pub fn bind(
        address: SocketAddr,
        register: &Arc<SocketRegister>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        let local = socket.local_addr()?.as_socket().unwrap_or(address);
        let socket = register.enter(socket);
        Ok(Self {
            socket,
            register: Arc::clone(register),
            clock,
            local,
        })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits for the next caller; returns with an error when the register is
    /// shut. Any other error is about one connection or a lack of
    /// descriptors, and the listener is still good.
    pub fn accept(&self) -> io::Result<(PeerStream, SocketAddr)> {
        let (socket, address) = self.socket.socket.accept()?;
        let address = address
            .as_socket()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        // Nagle only delays our 68 bytes; without the option they still go.
        let _ = SockRef::from(&socket).set_tcp_nodelay(true);
        let socket = self.register.enter(socket);
        Ok((
            PeerStream {
                socket,
                clock: Arc::clone(&self.clock),
            },
            address,
        ))
    }
}

/// The local address that the system would use towards `target`; sends
/// nothing. `None` without a route.
pub fn local_address_towards(target: SocketAddr) -> Option<IpAddr> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
    .ok()?;
    socket.connect(&target.into()).ok()?;
    socket
        .local_addr()
        .ok()?
        .as_socket()
        .map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn setup() -> (Arc<SocketRegister>, Arc<dyn Clock>) {
        (Arc::default(), Arc::new(SystemClock::new()))
    }

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn bytes_travel_and_a_close_is_zero() {
        let (register, clock) = setup();
        let listener = ListenSocket::bind(loopback(), &register, Arc::clone(&clock)).unwrap();
        let connector = TcpConnector::new(Arc::clone(&register), clock);
        let mut near = connector.connect(listener.local_addr(), LONG).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert_eq!(register.open(), 3);
        near.write_all(b"hello", LONG).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(far.read(&mut buffer, LONG), Ok(5));
        drop(near);
        assert_eq!(far.read(&mut buffer, LONG), Ok(0));
        drop(far);
        assert_eq!(register.open(), 1);
    }

    #[test]
    fn silence_and_refusal_have_reasons() {
        let (register, clock) = setup();
        let listener = ListenSocket::bind(loopback(), &register, Arc::clone(&clock)).unwrap();
        let connector = TcpConnector::new(Arc::clone(&register), clock);
        let address = listener.local_addr();
        let mut near = connector.connect(address, LONG).unwrap();
        let error = near
            .read(&mut [0; 16], Duration::from_millis(1))
            .unwrap_err();
        assert_eq!(error, NetError::timed_out(Operation::Read));
        drop(listener);
        let refused = connector.connect(address, LONG).err().unwrap();
        assert_eq!(refused.reason, Reason::REFUSED);
    }

    #[test]
    fn shutting_wakes_readers_connecters_and_accept() {
        let (register, clock) = setup();
        let listener = ListenSocket::bind(loopback(), &register, Arc::clone(&clock)).unwrap();
        let connector = TcpConnector::new(Arc::clone(&register), clock);
        let address = listener.local_addr();
        let mut near = connector.connect(address, LONG).unwrap();
        listener.accept().unwrap();
        let reader = std::thread::spawn(move || near.read(&mut [0; 16], LONG));
        let accepter = std::thread::spawn(move || listener.accept().is_err());
        register.shut_all();
        assert!(matches!(reader.join().unwrap(), Ok(0) | Err(_)));
        assert!(accepter.join().unwrap());
        let mut late = connector.connect(address, LONG);
        if let Ok(stream) = &mut late {
            assert!(!matches!(stream.read(&mut [0; 1], LONG), Ok(1)));
        }
    }

    /// A listener that lets nobody in any more, so that the next connection
    /// hangs in its handshake, as towards a silent address.
    fn full_listener() -> (Socket, Vec<Socket>, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&loopback().into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap();
        let callers = (0..8)
            .map(|_| {
                let caller = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                caller.set_nonblocking(true).unwrap();
                let _ = caller.connect(&address);
                caller
            })
            .collect();
        (socket, callers, address.as_socket().unwrap())
    }

    #[test]
    fn shutting_wakes_a_connection_that_hangs() {
        let (register, clock) = setup();
        let (_listener, _callers, address) = full_listener();
        let connector = TcpConnector::new(Arc::clone(&register), clock);
        let error = connector.connect(address, Duration::from_millis(1)).err();
        assert_eq!(error, Some(NetError::timed_out(Operation::Connect)));
        let hanging = std::thread::spawn(move || connector.connect(address, LONG).is_err());
        while register.open() == 0 {
            std::thread::yield_now();
        }
        register.shut_all();
        assert!(hanging.join().unwrap());
    }
}
