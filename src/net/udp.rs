//! Datagram sockets, connected, so that the kernel drops what comes from
//! anybody else.
//!
//! Called by the tracker exchange (BEP 15) on the thread of one request. The
//! sockets are IPv4 where the host has such an address; an IPv6 host works
//! too, and [`Datagram::is_ipv6`] tells, because the answers differ.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::resolve::Resolver;
use super::{NetError, Operation};
use crate::model::Reason;

/// A datagram socket connected to one host.
pub trait Datagram: Send {
    /// Sends one datagram.
    fn send(&self, bytes: &[u8]) -> Result<(), NetError>;

    /// Waits at most `wait` for one datagram, which is cut off at the size of
    /// `buffer`; returns its length.
    fn receive(&self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError>;

    /// Whether the host was reached over IPv6.
    fn is_ipv6(&self) -> bool {
        false
    }
}

/// Opens datagram sockets.
pub trait OpenDatagram: Send + Sync {
    /// Looks `host` up within `wait` and connects a fresh socket to `port`
    /// there. Each socket has a source port of its own.
    fn open(&self, host: &str, port: u16, wait: Duration) -> Result<Box<dyn Datagram>, NetError>;
}

/// The system's UDP sockets.
#[derive(Debug, Clone, Default)]
pub struct SystemUdp {
    resolver: Resolver,
}

impl SystemUdp {
    /// Names are looked up with `resolver`.
    pub const fn new(resolver: Resolver) -> Self {
        Self { resolver }
    }
}

impl OpenDatagram for SystemUdp {
    fn open(&self, host: &str, port: u16, wait: Duration) -> Result<Box<dyn Datagram>, NetError> {
        let found = self.resolver.resolve(host, port, wait)?;
        let remote = *found.first().ok_or(NetError {
            operation: Operation::Resolve,
            reason: Reason::Closed,
        })?;
        let local: SocketAddr = match remote {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket =
            UdpSocket::bind(local).map_err(|error| NetError::from_io(Operation::Open, &error))?;
        socket
            .connect(remote)
            .map_err(|error| NetError::from_io(Operation::Connect, &error))?;
        Ok(Box::new(Connected {
            socket,
            ipv6: remote.is_ipv6(),
        }))
    }
}

struct Connected {
    socket: UdpSocket,
    ipv6: bool,
}

impl Datagram for Connected {
    fn send(&self, bytes: &[u8]) -> Result<(), NetError> {
        self.socket
            .send(bytes)
            .map(drop)
            .map_err(|error| NetError::from_io(Operation::Write, &error))
    }

    fn receive(&self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        // A zero timeout would mean to wait for ever.
        let wait = wait.max(Duration::from_millis(1));
        self.socket
            .set_read_timeout(Some(wait))
            .and_then(|()| self.socket.recv(buffer))
            .map_err(|error| NetError::from_io(Operation::Read, &error))
    }

    fn is_ipv6(&self) -> bool {
        self.ipv6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    #[test]
    fn only_the_connected_host_is_heard() {
        let host = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = host.local_addr().unwrap().port();
        let socket = SystemUdp::default().open("127.0.0.1", port, WAIT).unwrap();
        assert!(!socket.is_ipv6());
        socket.send(b"ask").unwrap();
        let mut buffer = [0; 16];
        host.set_read_timeout(Some(WAIT)).unwrap();
        let (length, from) = host.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"ask");
        stranger.send_to(b"foreign", from).unwrap();
        host.send_to(b"answer", from).unwrap();
        let length = socket.receive(&mut buffer, WAIT).unwrap();
        assert_eq!(&buffer[..length], b"answer");
        let error = socket
            .receive(&mut buffer, Duration::from_millis(1))
            .unwrap_err();
        assert_eq!(error, NetError::timed_out(Operation::Read));
    }

    #[test]
    fn a_closed_port_is_refused() {
        // Bound, so that nobody else gets the port, but hearing only itself.
        let host = UdpSocket::bind("127.0.0.1:0").unwrap();
        host.connect(host.local_addr().unwrap()).unwrap();
        let port = host.local_addr().unwrap().port();
        let socket = SystemUdp::default().open("127.0.0.1", port, WAIT).unwrap();
        socket.send(b"ask").unwrap();
        let error = socket.receive(&mut [0; 16], WAIT).unwrap_err();
        assert_eq!(error.reason, Reason::REFUSED);
    }
}
