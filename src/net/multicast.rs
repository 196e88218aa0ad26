//! Datagram sockets of a multicast group, on every interface of the machine.
//!
//! Used by the threads of local service discovery (BEP 14). Other clients of
//! the machine are in the same groups, so the port is shared.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::datagram::{BoundUdp, DatagramSocket};
use super::{NetError, Operation};

/// Interfaces that are joined at most.
const INTERFACES_MAX: usize = 32;

/// Routers that an announce may pass, as the groups reach beyond one network.
const HOPS: u32 = 4;

/// Takes part in a multicast group.
pub trait GroupSocket: Send {
    /// Sends one datagram to the group, over every interface where that can
    /// be chosen; tells how many interfaces took it.
    fn announce(&self, bytes: &[u8]) -> usize;

    /// As [`DatagramSocket::receive_from`].
    fn receive_from(
        &self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<(usize, SocketAddr), NetError>;
}

/// A socket of the system that is in one group.
#[derive(Debug)]
pub struct GroupUdp {
    group: SocketAddr,
    socket: BoundUdp,
    /// To choose the interface.
    twin: Socket,
    /// Of IPv6; over IPv4 the system chooses, or the own address does.
    interfaces: Vec<u32>,
}

impl GroupUdp {
    /// Joins `group` on every interface; what is sent leaves over IPv4 from
    /// `from`, or where the system's route to the group leads if that is
    /// unspecified or of IPv6.
    ///
    /// Errors: no interface can be joined, or the port is somebody's who does
    /// not share it.
    pub fn join(group: SocketAddr, from: IpAddr) -> Result<Self, NetError> {
        Self::open(group, from).map_err(|error| NetError::from_io(Operation::Open, &error))
    }

    fn open(group: SocketAddr, from: IpAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        if group.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Bound to the group, so that only what is sent to it is heard.
        socket.bind(&group.into())?;
        let interfaces = match group.ip() {
            IpAddr::V4(ip) => {
                join_v4(&socket, ip, from)?;
                Vec::new()
            }
            IpAddr::V6(ip) => {
                socket.set_multicast_hops_v6(HOPS)?;
                let text = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
                let mut joined = of_if_inet6(&text);
                joined.retain(|index| socket.join_multicast_v6(&ip, *index).is_ok());
                if joined.is_empty() {
                    return Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
                }
                joined
            }
        };
        let twin = socket.try_clone()?;
        Ok(Self {
            group,
            socket: BoundUdp::of(socket.into())?,
            twin,
            interfaces,
        })
    }
}

/// Joins where the route to the group leads, and on all other interfaces.
fn join_v4(socket: &Socket, group: Ipv4Addr, from: IpAddr) -> io::Result<()> {
    socket.set_multicast_ttl_v4(HOPS)?;
    let from = match from {
        IpAddr::V4(from) => from,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    if !from.is_unspecified() {
        socket.set_multicast_if_v4(&from)?;
    }
    let first = socket.join_multicast_v4(&group, &from);
    let text = fs::read_to_string("/proc/net/igmp").unwrap_or_default();
    let others = of_igmp(&text).into_iter().filter(|index| {
        let index = InterfaceIndexOrAddress::Index(*index);
        socket.join_multicast_v4_n(&group, &index).is_ok()
    });
    if others.count() == 0 { first } else { Ok(()) }
}

impl GroupSocket for GroupUdp {
    fn announce(&self, bytes: &[u8]) -> usize {
        let send = || usize::from(self.socket.send_to(bytes, self.group).is_ok());
        if self.interfaces.is_empty() {
            return send();
        }
        let over = |index: &u32| {
            if self.twin.set_multicast_if_v6(*index).is_ok() {
                send()
            } else {
                0
            }
        };
        self.interfaces.iter().map(over).sum()
    }

    fn receive_from(
        &self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<(usize, SocketAddr), NetError> {
        self.socket.receive_from(buffer, wait)
    }
}

/// The indexes of the interfaces in `/proc/net/igmp`: those that are up and
/// have IPv4.
fn of_igmp(text: &str) -> Vec<u32> {
    let lines = text.lines().filter(|line| line.contains(':'));
    let indexes = lines.filter_map(|line| line.split_whitespace().next()?.parse().ok());
    indexes.take(INTERFACES_MAX).collect()
}

/// The indexes of the interfaces in `/proc/net/if_inet6`, each once.
fn of_if_inet6(text: &str) -> Vec<u32> {
    let fields = text.lines().map(|line| line.split_whitespace().nth(1));
    let indexes = fields.filter_map(|index| u32::from_str_radix(index?, 16).ok());
    let mut indexes: Vec<u32> = indexes.collect();
    indexes.sort_unstable();
    indexes.dedup();
    indexes.truncate(INTERFACES_MAX);
    indexes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_as_the_kernel_lists_them() {
        let igmp = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
            1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
            2\teth0      :     2      V2\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        assert_eq!(of_igmp(igmp), [1, 2]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fe80000000000000505400fffe000001 0a 40 20 80     eth0\n\
            fd000000000000000000000000000001 0a 40 00 80     eth0\n";
        assert_eq!(of_if_inet6(inet6), [1, 10]);
        assert_eq!(of_igmp(""), Vec::<u32>::new());
        assert_eq!(of_if_inet6("nonsense"), Vec::<u32>::new());
    }

    #[test]
    fn a_group_must_be_one() {
        let no_group = "192.0.2.1:0".parse().unwrap();
        assert!(GroupUdp::join(no_group, Ipv4Addr::UNSPECIFIED.into()).is_err());
    }
}
