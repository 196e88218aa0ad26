//! How a peer is reached: which ways there are, in which order they are tried,
//! and what a failed attempt says about the next one.
//!
//! All attempts of a contact share the budget of one visit and give one
//! report, so that a contact stays one measurement, however many connections
//! it took. What decides ([`Plan`]) is pure. Runs on contact threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::settings::{EncryptionPolicy, TransportPolicy};
use crate::deadline::Deadline;
use crate::model::{Encryption, Link, Reason, Torrent, Transport};
use crate::net::utp::UtpSocket;
use crate::net::{Connect, Stream};

use super::encrypted;
use super::evaluate::Verdict;
use super::visit::{Report, Visitor};

/// One way to reach a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// What carries the bytes.
    pub transport: Transport,
    /// Whether message stream encryption is spoken.
    pub encrypted: bool,
}

impl Way {
    /// Every way, in the order of [`Way::code`].
    pub const ALL: [Self; 4] = [
        Self::over(Transport::Tcp, false),
        Self::over(Transport::Tcp, true),
        Self::over(Transport::Utp, false),
        Self::over(Transport::Utp, true),
    ];

    const fn over(transport: Transport, encrypted: bool) -> Self {
        Self {
            transport,
            encrypted,
        }
    }

    /// The way that led to `link`.
    pub const fn of(link: Link) -> Self {
        Self {
            transport: link.transport,
            encrypted: !matches!(link.encryption, Encryption::Plain),
        }
    }

    /// A number below 8: the lowest bit tells encryption, the others the
    /// transport.
    pub const fn code(self) -> u8 {
        let transport = match self.transport {
            Transport::Tcp => 0,
            Transport::Utp => 1,
        };
        transport << 1 | self.encrypted as u8
    }

    /// The way of that number.
    pub const fn from_code(code: u8) -> Self {
        let transport = if code & 2 == 0 {
            Transport::Tcp
        } else {
            Transport::Utp
        };
        Self::over(transport, code & 1 != 0)
    }
}

/// What an attempt that failed says about the other ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setback {
    /// No connection: nothing else over that transport will do.
    Unreached,
    /// A connection that the peer closed before its handshake: it may want to
    /// be talked to in another way.
    TurnedAway,
}

/// The ways that are left, the best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    ways: Vec<Way>,
}

impl Plan {
    /// All ways over `transports` that `policy` knows, in the order of both,
    /// but first of all the one that worked the last time.
    pub fn new(
        transports: impl Iterator<Item = Transport>,
        policy: EncryptionPolicy,
        worked: Option<Way>,
    ) -> Self {
        let attempts = policy.attempts();
        let over = |transport| {
            attempts.iter().map(move |&encrypted| Way {
                transport,
                encrypted,
            })
        };
        let mut ways: Vec<Way> = transports.flat_map(over).collect();
        // Stable: the others keep their order.
        ways.sort_by_key(|way| Some(*way) != worked);
        Self { ways }
    }

    /// Takes the next way to try.
    pub fn take(&mut self) -> Option<Way> {
        (!self.ways.is_empty()).then(|| self.ways.remove(0))
    }

    /// Drops the ways that `setback` on `way` rules out.
    pub fn rule_out(&mut self, way: Way, setback: Setback) {
        if setback == Setback::Unreached {
            self.ways.retain(|left| left.transport != way.transport);
        }
    }
}

/// What uTP needs.
pub struct Utp {
    /// Opens streams.
    pub connect: Arc<dyn Connect>,
    /// Their sockets, one of each family that there is.
    pub sockets: Vec<Arc<UtpSocket>>,
}

/// What opens connections, in the order that `policy` wants; uTP only where
/// there is a socket for it.
pub fn transports<'a>(
    policy: TransportPolicy,
    tcp: &'a dyn Connect,
    utp: Option<&'a Utp>,
) -> Vec<(Transport, &'a dyn Connect)> {
    let connector = |transport: &Transport| {
        let connect = match transport {
            Transport::Tcp => tcp,
            Transport::Utp => &*utp?.connect,
        };
        Some((*transport, connect))
    };
    policy.attempts().iter().filter_map(connector).collect()
}

/// Reaches peers, one contact at a time.
pub struct Dialer<'a> {
    /// Talks over a connection.
    pub visitor: Visitor<'a>,
    /// What opens connections, in the order in which they are tried.
    pub transports: Vec<(Transport, &'a dyn Connect)>,
    /// Told of each connection of a contact but the first, before it is
    /// tried: limits on contacts know only of the first.
    pub again: Option<&'a dyn Fn()>,
}

impl Dialer<'_> {
    /// Contacts the peer at `address`, starting with the way that worked the
    /// last time; the budget began at `started`. When no way leads to a
    /// handshake, the report is that of the attempt that came furthest, the
    /// first among equals.
    pub fn visit(
        &self,
        address: SocketAddr,
        torrent: &Torrent,
        worked: Option<Way>,
        started: Instant,
    ) -> Report {
        let budget = Deadline::after(started, self.visitor.settings.budget);
        let transports = self.transports.iter().map(|(transport, _)| *transport);
        let policy = self.visitor.settings.encryption;
        let mut plan = Plan::new(transports, policy, worked);
        let mut furthest: Option<(Setback, Report)> = None;
        let mut first: Option<Transport> = None;
        let mut tried = 0;
        let with = |report, tried| Report { tried, ..report };
        while let Some(way) = plan.take()
            && let Some(left) = budget.left(self.visitor.clock.now())
        {
            // Who does not talk over one transport is often not there, or
            // does not want to.
            let share = match &first {
                Some(first) if *first != way.transport => 2,
                _ => 1,
            };
            if let (Some(_), Some(again)) = (first, self.again) {
                again();
            }
            first.get_or_insert(way.transport);
            let patience = self.visitor.settings.quiet_timeout / share;
            let wait = left.min(patience);
            tried |= 1 << way.code();
            let (setback, report) = self.attempt((way, wait), address, torrent, started);
            let Some(setback) = setback else {
                return with(report, tried);
            };
            plan.rule_out(way, setback);
            if furthest.as_ref().is_none_or(|(best, _)| *best < setback) {
                furthest = Some((setback, report));
            }
        }
        let report = furthest.map_or_else(|| failed(Reason::TimedOut), |(_, report)| report);
        with(report, tried)
    }

    fn attempt(
        &self,
        (way, wait): (Way, Duration),
        address: SocketAddr,
        torrent: &Torrent,
        started: Instant,
    ) -> (Option<Setback>, Report) {
        let connector = self.transports.iter().find(|(t, _)| *t == way.transport);
        let Some((_, connector)) = connector else {
            return (Some(Setback::Unreached), failed(Reason::TimedOut));
        };
        match connector.connect(address, wait) {
            Ok(mut stream) => {
                let report = Report {
                    connected: true,
                    ..self.talk(way, &mut *stream, torrent, started)
                };
                (turned_away(way, &report), report)
            }
            Err(_) if self.visitor.stop.is_stopped() => {
                (None, Report::without_handshake(Verdict::Interrupted))
            }
            Err(error) => (Some(Setback::Unreached), failed(error.reason)),
        }
    }

    fn talk(
        &self,
        way: Way,
        stream: &mut dyn Stream,
        torrent: &Torrent,
        started: Instant,
    ) -> Report {
        if !way.encrypted {
            return self.visitor.outgoing(stream, torrent, started);
        }
        let Visitor {
            clock, settings, ..
        } = self.visitor;
        match encrypted::system_chance() {
            Ok(chance) => {
                let (patience, skey) = (settings.quiet_timeout, torrent.info_hash);
                let mut stream = encrypted::Outgoing::new(stream, clock, patience, skey, chance);
                self.visitor.outgoing(&mut stream, torrent, started)
            }
            Err(error) => failed(error.reason),
        }
    }
}

const fn failed(reason: Reason) -> Report {
    Report::without_handshake(Verdict::Failed(reason))
}

/// Whether the peer closed or reset the connection before its handshake, or
/// did not know what to do with an encrypted one.
fn turned_away(way: Way, report: &Report) -> Option<Setback> {
    let Verdict::Failed(reason) = report.verdict else {
        return None;
    };
    let refused = match reason {
        Reason::Closed | Reason::RESET | Reason::BROKEN_PIPE => true,
        Reason::UnknownProtocol | Reason::Encryption => way.encrypted,
        _ => false,
    };
    (refused && report.peer_id.is_none()).then_some(Setback::TurnedAway)
}

#[cfg(test)]
mod tests;
