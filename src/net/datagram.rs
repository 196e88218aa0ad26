//! Datagram sockets that talk to everybody.
//!
//! Used by the DHT node, on its one thread for each address family. The
//! connected sockets of tracker requests are in [`super::udp`].

#[cfg(target_os = "linux")]
mod overflow;

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::{NetError, Operation};

/// Bytes the kernel keeps for us in each direction, as far as it allows: a
/// flood of some thousand packets waits instead of pushing out answers.
const BUFFER: usize = 1024 * 1024;

/// A datagram socket bound to a local address.
pub trait DatagramSocket: Send {
    /// Sends one datagram; never waits.
    fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<(), NetError>;

    /// Waits at most `wait` (at least a millisecond) for one datagram, which
    /// is cut off at the size of `buffer`; returns its length and sender.
    fn receive_from(
        &self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<(usize, SocketAddr), NetError>;

    /// The port it is bound to.
    fn port(&self) -> u16;

    /// Datagrams since it was bound that found no room in its buffer, and
    /// are gone; 0 where the system does not tell.
    fn overflowed(&self) -> u64 {
        0
    }
}

/// A UDP socket of the system.
#[derive(Debug)]
pub struct BoundUdp {
    socket: UdpSocket,
    port: u16,
    /// The time-out the kernel knows, so that it is told changes only.
    wait: Cell<Duration>,
}

impl BoundUdp {
    /// Binds `address`; port 0 lets the system choose. An IPv6 socket takes
    /// no IPv4, so that both families can have the same port.
    ///
    /// Errors: [`crate::model::Reason::Os`] when the port is taken or the
    /// host lacks the address family.
    pub fn bind(address: SocketAddr) -> Result<Self, NetError> {
        Self::open(address).map_err(|error| NetError::from_io(Operation::Open, &error))
    }

    fn open(address: SocketAddr) -> std::io::Result<Self> {
        Self::of(open(address)?)
    }

    /// A socket that was bound before.
    pub(super) fn of(socket: UdpSocket) -> std::io::Result<Self> {
        let port = socket.local_addr()?.port();
        Ok(Self {
            socket,
            port,
            wait: Cell::new(Duration::ZERO),
        })
    }
}

/// A UDP socket bound to `address`, with large buffers; one of IPv6 takes no
/// IPv4.
pub(super) fn open(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Wishes: the kernel caps them without an error.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&address.into())?;
    Ok(UdpSocket::from(socket))
}

impl DatagramSocket for BoundUdp {
    fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<(), NetError> {
        self.socket
            .send_to(bytes, to)
            .map(drop)
            .map_err(|error| NetError::from_io(Operation::Write, &error))
    }

    fn receive_from(
        &self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<(usize, SocketAddr), NetError> {
        let failed = |error| NetError::from_io(Operation::Read, &error);
        // A zero time-out would mean to wait for ever.
        let wait = wait.max(Duration::from_millis(1));
        if self.wait.get() != wait {
            self.socket.set_read_timeout(Some(wait)).map_err(failed)?;
            self.wait.set(wait);
        }
        self.socket.recv_from(buffer).map_err(failed)
    }

    fn port(&self) -> u16 {
        self.port
    }

    #[cfg(target_os = "linux")]
    fn overflowed(&self) -> u64 {
        overflow::of(&self.socket).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;

    const WAIT: Duration = Duration::from_secs(10);

    #[test]
    fn talks_to_several_hosts() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let [node, first, second] = [any; 3].map(|address| BoundUdp::bind(address).unwrap());
        let at = |socket: &BoundUdp| SocketAddr::new(any.ip(), socket.port());
        let mut buffer = [0; 16];
        for other in [&first, &second] {
            other.send_to(b"ask", at(&node)).unwrap();
            let (length, from) = node.receive_from(&mut buffer, WAIT).unwrap();
            assert_eq!((&buffer[..length], from), (&b"ask"[..], at(other)));
            node.send_to(b"answer", from).unwrap();
            let (length, from) = other.receive_from(&mut buffer, WAIT).unwrap();
            assert_eq!((&buffer[..length], from), (&b"answer"[..], at(&node)));
        }
        let error = node
            .receive_from(&mut buffer, Duration::from_millis(1))
            .unwrap_err();
        assert_eq!(error, NetError::timed_out(Operation::Read));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_finds_no_room_is_counted() {
        // No buffer of this module holds so many.
        const SENT: u64 = 10_000;
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let [node, other] = [any; 2].map(|address| BoundUdp::bind(address).unwrap());
        let at = SocketAddr::new(any.ip(), node.port());
        assert_eq!(node.overflowed(), 0);
        for _ in 0..SENT {
            other.send_to(&[0; 1000], at).unwrap();
        }
        let mut buffer = [0; 1000];
        let mut came = 0;
        while node
            .receive_from(&mut buffer, Duration::from_millis(1))
            .is_ok()
        {
            came += 1;
        }
        assert!(came > 0 && came < SENT, "{came}");
        assert_eq!(node.overflowed(), SENT - came);
        assert_eq!(other.overflowed(), 0);
    }

    #[test]
    fn a_taken_port_is_an_error() {
        let first = BoundUdp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = SocketAddr::new([127, 0, 0, 1].into(), first.port());
        let error = BoundUdp::bind(address).unwrap_err();
        assert!(matches!(error.reason, Reason::Os(_)));
    }
}
