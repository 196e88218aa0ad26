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
    /// Unless `visit.transport` is `tcp`; with `-p` at the same port number.
    pub(super) utp: Option<Arc<UtpSocket>>,
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
            let listen = settings
                .passive
                .then(|| bind(settings, &register, clock))
                .transpose()?;
            let speaks = settings.visit.transport.knows_utp();
            let utp = speaks
                .then(|| bind_utp(settings, listen.as_ref(), clock))
                .transpose();
            match utp {
                Ok(utp) => {
                    let second = bind_ipv6(settings, listen.as_ref(), (&register, clock));
                    let listen = listen.into_iter().chain(second).collect();
                    return Ok(Self {
                        register,
                        listen,
                        utp,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                Err(error) => return Err(no_utp(settings, &error)),
            }
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

/// Beside a socket for all of IPv4 one for all of IPv6, at the same port. Many
/// machines have no IPv6, and the port may be somebody else's there.
fn bind_ipv6(
    settings: &Settings,
    first: Option<&ListenSocket>,
    (register, clock): (&Arc<SocketRegister>, &Arc<dyn Clock>),
) -> Option<ListenSocket> {
    let first = first?.local_addr();
    if !settings.listen.ipv6 || first.ip() != IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        return None;
    }
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), first.port());
    let bound = ListenSocket::bind(address, register, Arc::clone(clock));
    bound
        .inspect_err(|error| log::info!("no callers over IPv6: {error}"))
        .ok()
}

/// Without callers any port will do, at any address.
fn bind_utp(
    settings: &Settings,
    listen: Option<&ListenSocket>,
    clock: &Arc<dyn Clock>,
) -> io::Result<Arc<UtpSocket>> {
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let callers = if listen.is_some() {
        settings.listen.callers_max + BACKLOG
    } else {
        0
    };
    let limits = Limits {
        callers,
        backlog: BACKLOG,
        total: settings.workers + callers + ENDING_MAX,
    };
    let address = listen.map_or(anywhere, ListenSocket::local_addr);
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
