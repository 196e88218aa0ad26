//! Binds the ports of a run, before there are files: for callers over TCP,
//! and for uTP in both directions.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::exit::Exit;
use crate::net::tcp::{ListenSocket, SocketRegister};
use crate::net::utp::UtpSocket;
use crate::protocol::utp::endpoint::Limits;

use super::prepare::{Refusal, refuse};

/// Callers over uTP beyond those that are evaluated: they wait to be turned
/// away, each with its reason.
const BACKLOG: usize = 1_024;

/// Streams that are only being ended, which takes some seconds at most.
const ENDING_MAX: usize = 8_192;

/// Ports that the system chooses until one is free for TCP and UDP.
const PORT_TRIES: u32 = 16;

/// The sockets of visits and callers.
pub(super) struct Sockets {
    /// All TCP sockets.
    pub(super) register: Arc<SocketRegister>,
    /// With `-p`: where callers come in, first at `listen.address`.
    pub(super) listen: Vec<ListenSocket>,
    /// Unless `visit.transport` is `tcp`: one of each family that there is,
    /// with `-p` at the same port number.
    pub(super) utp: Vec<Arc<UtpSocket>>,
}

impl Sockets {
    /// Binds what `settings` want.
    pub(super) fn open(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Self, Refusal> {
        let register = Arc::new(SocketRegister::default());
        let mut tries = if settings.listen.port == 0 {
            PORT_TRIES
        } else {
            1
        };
        loop {
            tries -= 1;
            let first = settings
                .passive
                .then(|| bind(settings, &register, clock))
                .transpose()?;
            let again = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse && tries > 0;
            let utp = match bind_first_utp(settings, first.as_ref(), clock) {
                Err(error) if again(&error) => continue,
                bound => bound.map_err(|error| no_utp(settings, &error))?,
            };
            // Many machines have no IPv6, and the port may be somebody else's
            // there.
            let second = match bind_ipv6(settings, first.as_ref(), (&register, clock)) {
                Err(error) if again(&error) => continue,
                bound => bound.unwrap_or_else(|error| without("callers over IPv6", &error)),
            };
            let called = match bind_utp_ipv6(settings, utp.as_ref(), second.as_ref(), clock) {
                Err(error) if again(&error) => continue,
                bound => bound.unwrap_or_else(|error| without("callers over uTP and IPv6", &error)),
            };
            let other = called.or_else(|| {
                let bound = bind_calling(settings, utp.as_ref()?, clock).map(Some);
                bound.unwrap_or_else(|error| without("uTP but of one address family", &error))
            });
            return Ok(Self {
                register,
                listen: first.into_iter().chain(second).collect(),
                utp: utp.into_iter().chain(other).collect(),
            });
        }
    }
}

fn bind(
    settings: &Settings,
    sockets: &Arc<SocketRegister>,
    clock: &Arc<dyn Clock>,
) -> Result<ListenSocket, Refusal> {
    let address = SocketAddr::new(settings.listen.address, settings.listen.port);
    ListenSocket::bind(address, sockets, Arc::clone(clock)).map_err(|error| {
        refuse(
            Exit::PortUnavailable,
            format!(
                "cannot listen on port {} (listen.address {}): {error}; stop the program that uses it or choose another with --port",
                settings.listen.port, settings.listen.address
            ),
        )
    })
}

/// What can be done without, for that reason.
fn without<T>(what: &str, error: &io::Error) -> Option<T> {
    log::info!("no {what}: {error}");
    None
}

/// Beside a socket for all of IPv4 one for all of IPv6, at the same port.
fn bind_ipv6(
    settings: &Settings,
    first: Option<&ListenSocket>,
    (register, clock): (&Arc<SocketRegister>, &Arc<dyn Clock>),
) -> io::Result<Option<ListenSocket>> {
    let first = first.map(ListenSocket::local_addr);
    let all = first.filter(|it| it.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let Some(first) = all.filter(|_| settings.listen.ipv6) else {
        return Ok(None);
    };
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), first.port());
    ListenSocket::bind(address, register, Arc::clone(clock)).map(Some)
}

/// Where callers come in over TCP; without them any port will do, at any
/// address of IPv4.
fn bind_first_utp(
    settings: &Settings,
    listen: Option<&ListenSocket>,
    clock: &Arc<dyn Clock>,
) -> io::Result<Option<Arc<UtpSocket>>> {
    if !settings.visit.transport.knows_utp() {
        return Ok(None);
    }
    let anywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let address = listen.map_or(anywhere, ListenSocket::local_addr);
    bind_utp(settings, (address, listen.is_some()), clock).map(Some)
}

/// Where callers come in over TCP and IPv6 beside IPv4.
fn bind_utp_ipv6(
    settings: &Settings,
    first: Option<&Arc<UtpSocket>>,
    listen: Option<&ListenSocket>,
    clock: &Arc<dyn Clock>,
) -> io::Result<Option<Arc<UtpSocket>>> {
    let listen = listen.filter(|_| first.is_some());
    let bound = listen.map(|listen| bind_utp(settings, (listen.local_addr(), true), clock));
    bound.transpose()
}

/// For our own calls over the family that `first` is not of, at any port.
fn bind_calling(
    settings: &Settings,
    first: &UtpSocket,
    clock: &Arc<dyn Clock>,
) -> io::Result<Arc<UtpSocket>> {
    let any: IpAddr = if first.local_addr().is_ipv6() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    bind_utp(settings, (SocketAddr::new(any, 0), false), clock)
}

fn bind_utp(
    settings: &Settings,
    (address, is_called): (SocketAddr, bool),
    clock: &Arc<dyn Clock>,
) -> io::Result<Arc<UtpSocket>> {
    let callers = if is_called {
        settings.listen.callers_max + BACKLOG
    } else {
        0
    };
    let limits = Limits {
        callers,
        backlog: BACKLOG,
        total: settings.workers + callers + ENDING_MAX,
    };
    UtpSocket::bind(address, limits, Arc::clone(clock))
}

fn no_utp(settings: &Settings, error: &io::Error) -> Refusal {
    refuse(
        Exit::PortUnavailable,
        format!(
            "cannot use UDP port {} for uTP (listen.address {}): {error}; stop the program that uses it, choose another \
             with --port, or do without by visit.transport = \"tcp\"",
            settings.listen.port, settings.listen.address
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::{Config, Sources, Switches};

    fn open(passive: bool, change: impl FnOnce(&mut Settings)) -> Sockets {
        let switches = Switches {
            passive,
            ..Switches::default()
        };
        let mut settings = Config::resolve(&Sources::default())
            .unwrap()
            .settings(&switches);
        settings.listen.port = 0;
        change(&mut settings);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Sockets::open(&settings, &clock).expect("ports are free")
    }

    fn utp(sockets: &Sockets) -> Vec<SocketAddr> {
        let all = sockets.utp.iter().map(|socket| socket.local_addr());
        all.collect()
    }

    fn has_ipv6() -> bool {
        let there = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        if !there {
            eprintln!("skipped: this machine has no ::1");
        }
        there
    }

    #[test]
    fn each_family_has_its_socket_where_callers_come_in() {
        if !has_ipv6() {
            return;
        }
        let sockets = open(true, |_| ());
        let tcp: Vec<SocketAddr> = sockets
            .listen
            .iter()
            .map(ListenSocket::local_addr)
            .collect();
        assert_eq!(tcp.len(), 2);
        assert_eq!(tcp[0].port(), tcp[1].port());
        assert_eq!(utp(&sockets), tcp);
    }

    #[test]
    fn calls_go_out_over_the_family_that_takes_none() {
        if !has_ipv6() {
            return;
        }
        let only = |ip: &str| {
            let ip = ip.parse().unwrap();
            move |settings: &mut Settings| settings.listen.address = ip
        };
        for address in ["127.0.0.1", "::1"] {
            let sockets = open(true, only(address));
            let tcp = sockets.listen[0].local_addr();
            let [first, second] = utp(&sockets)[..] else {
                panic!("two sockets");
            };
            assert_eq!((sockets.listen.len(), first), (1, tcp));
            assert_ne!(second.is_ipv6(), tcp.is_ipv6());
            assert!(second.ip().is_unspecified());
        }
        let sockets = open(false, |_| ());
        assert!(sockets.listen.is_empty());
        assert_eq!(utp(&sockets).len(), 2);
    }

    #[test]
    fn nobody_speaks_utp_with_tcp_alone() {
        let tcp = crate::config::settings::TransportPolicy::Tcp;
        let sockets = open(true, |settings| settings.visit.transport = tcp);
        assert!(sockets.utp.is_empty() && !sockets.listen.is_empty());
    }
}
