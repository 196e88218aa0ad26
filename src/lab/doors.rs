//! Where the peers of a swarm listen.
//!
//! On Linux all of 127.0.0.0/8 is local, so one listener on the wildcard
//! address serves all peers that are reached over TCP and IPv4, each at its
//! own address. Of IPv6 only `::1` is local, so there each peer has a port;
//! and over uTP each has a socket at its own address, since a datagram does
//! not tell where it was sent to. Bound when the swarm starts.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use super::behaviour::Behaviour;
use super::channel::utp_socket;
use super::plan::{Plan, PlannedParty};
use super::reach::Reach;
use super::sockets;
use super::story::Ports;
use crate::clock::Clock;
use crate::net::utp::UtpSocket;

/// Ports that are tried until one is free for UDP and TCP.
const PORT_TRIES: usize = 16;

/// The listeners of the peers that have one of their own.
#[derive(Default)]
pub(super) struct Doors {
    /// Over IPv6.
    pub(super) ipv6: Vec<TcpListener>,
    /// Over uTP, with the index of the peer.
    pub(super) utp: Vec<(usize, Arc<UtpSocket>)>,
    /// Hold the same ports for TCP, where nobody ever listens.
    pub(super) refusing: Vec<socket2::Socket>,
    /// Where each peer of the plan is.
    pub(super) places: Vec<SocketAddr>,
}

impl Doors {
    /// Binds those of every peer of `plan`; those of all others are `ports`.
    ///
    /// # Errors
    /// When the system gives no socket; the text says what to do where it has
    /// no IPv6.
    pub(super) fn open(plan: &Plan, ports: &Ports, clock: &Arc<dyn Clock>) -> io::Result<Self> {
        let mut doors = Self::default();
        for (index, peer) in plan.peers.iter().enumerate() {
            let place = match peer.reach {
                Reach::Ipv6 => doors.open_ipv6()?,
                Reach::Utp | Reach::UtpRc4 => doors.open_utp((index, peer), clock)?,
                Reach::Tcp | Reach::Rc4 | Reach::MsePlain | Reach::Pex => {
                    SocketAddr::new(IpAddr::V4(peer.ip), port_of(peer, ports))
                }
            };
            doors.places.push(place);
        }
        Ok(doors)
    }

    fn open_ipv6(&mut self) -> io::Result<SocketAddr> {
        let here = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
        let listener = sockets::listen(here).map_err(|error| {
            let text = format!("no peer can listen at ::1 ({error}); do without by --reach ipv6=0");
            io::Error::new(error.kind(), text)
        })?;
        let place = listener.local_addr()?;
        self.ipv6.push(listener);
        Ok(place)
    }

    fn open_utp(
        &mut self,
        (index, peer): (usize, &PlannedParty),
        clock: &Arc<dyn Clock>,
    ) -> io::Result<SocketAddr> {
        let here = SocketAddr::new(IpAddr::V4(peer.ip), 0);
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            let socket = utp_socket(here, Arc::clone(clock))?;
            let place = socket.local_addr();
            match sockets::bound(place) {
                Ok(refusing) => {
                    self.utp.push((index, socket));
                    self.refusing.push(refusing);
                    return Ok(place);
                }
                Err(_) if tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

const fn port_of(peer: &PlannedParty, ports: &Ports) -> u16 {
    match peer.behaviour {
        Behaviour::Refuses => ports.refusing,
        Behaviour::RefusesFirst => ports.late,
        _ => ports.open,
    }
}
