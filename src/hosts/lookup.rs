//! One look-up: a query, the wait for its answer, and a second try. Threads
//! `hosts-N`.

use std::net::IpAddr;
use std::time::Duration;

use super::message::{self, Name, Reply};
use super::server::Server;
use super::service::{self, Service};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::Reason;
use crate::net::udp::OpenDatagram;
use crate::net::{NetError, Operation};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The labels of the name.
    Name(Name),
    /// There is none.
    NoName,
    /// No server answered.
    TimedOut,
    /// Every server failed.
    Failed,
}

/// What a look-up needs.
pub(super) struct Lookup<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) udp: &'a dyn OpenDatagram,
    /// In the order in which they are asked.
    pub(super) servers: &'a [Server],
    /// For one answer.
    pub(super) timeout: Duration,
}

impl Lookup<'_> {
    /// The name of `address`, within [`TRIES`] timeouts.
    pub(super) fn name_of(&self, address: IpAddr) -> Answer {
        let question = message::question(address);
        let mut answer = Answer::Failed;
        for server in self.servers.iter().cycle().take(TRIES) {
            let asked = self.ask(
                server,
                |id| message::query(id, &question),
                |bytes, id| message::reply(bytes, id, &question),
            );
            answer = match asked {
                Ok(Reply::Name(name)) => return Answer::Name(name),
                Ok(Reply::NoName) => return Answer::NoName,
                Err(error) if error.reason == Reason::TimedOut => Answer::TimedOut,
                Ok(Reply::Failed) | Err(_) => Answer::Failed,
            };
        }
        answer
    }

    /// The services of `name`, best first, within [`TRIES`] timeouts; none
    /// where there are none or no server tells.
    pub(super) fn services_of(&self, name: &Name) -> Vec<Service> {
        if service::query(0, name).is_none() {
            return Vec::new();
        }
        for server in self.servers.iter().cycle().take(TRIES) {
            let asked = self.ask(
                server,
                |id| service::query(id, name).unwrap_or_default(),
                |bytes, id| service::reply(bytes, id, name),
            );
            if let Ok(services) = asked {
                return services;
            }
        }
        Vec::new()
    }

    /// One query from a port of its own; foreign datagrams are skipped until
    /// the answer comes or the time is over.
    fn ask<T>(
        &self,
        (host, port): &Server,
        query: impl Fn(u16) -> Vec<u8>,
        read: impl Fn(&[u8], u16) -> Option<T>,
    ) -> Result<T, NetError> {
        let deadline = Deadline::after(self.clock.now(), self.timeout);
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(|_| NetError {
            operation: Operation::Open,
            reason: Reason::Aborted,
        })?;
        let id = u16::from_ne_bytes(id);
        let socket = self.udp.open(host, *port, self.timeout)?;
        socket.send(&query(id))?;
        let mut datagram = [0; DATAGRAM];
        loop {
            let Some(left) = deadline.left(self.clock.now()) else {
                return Err(NetError::timed_out(Operation::Read));
            };
            let length = socket.receive(&mut datagram, left)?;
            let bytes = datagram.get(..length).unwrap_or_default();
            if let Some(reply) = read(bytes, id) {
                return Ok(reply);
            }
        }
    }
}

/// Queries for one name at most.
const TRIES: usize = 2;
/// Bytes of a datagram that are read: without EDNS an answer has 512.
const DATAGRAM: usize = 2048;
