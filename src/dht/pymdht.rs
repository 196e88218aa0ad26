//! Client of an external pymdht node by its telnet control port.
//!
//! Used on the DHT thread alone, since the node serves one client at a time.
//! One connection stays open from lookup to lookup. A node that dies, hangs,
//! restarts or talks nonsense costs a lookup its deadline at most: the
//! failure is told once in the log, shown in [`PymdhtStatus`], and followed
//! by further attempts with growing pauses. Peers named before a failure have
//! been handed over by then.
//!
//! [`mod@line`] has the dialogue itself, without sockets.

mod connection;
mod error;
pub mod line;
mod status;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{InfoHash, PeerAddress};
use crate::net::Connect;
use crate::stop::StopToken;

use connection::{Connection, Cut};
use line::{Line, OUR_CHANNEL};

pub use error::PymdhtError;
pub use status::{NodeState, PymdhtFigures, PymdhtStatus};

/// Peers taken from one lookup; what is beyond is dropped.
pub const PEERS_MAX: usize = 10_000;

/// Unreadable lines that one attempt puts up with once its lookup has begun.
pub const UNREADABLE_MAX: u32 = 100;

/// Attempts of one lookup while the node was well before it.
const ATTEMPTS_MAX: u32 = 3;

/// What a client needs.
#[derive(Clone)]
pub struct PymdhtContext {
    /// Opens the connection. Give it a socket register of its own that is
    /// shut behind the DHT thread: only then can the client say good-bye.
    pub connect: Arc<dyn Connect>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends every wait within a fraction of a second.
    pub stop: StopToken,
    /// Where the control port is: 127.0.0.1 and `dht_control_port`.
    pub address: SocketAddr,
    /// `network_timeout`: for the connection and for the answer to `OPEN`.
    pub answer_wait: Duration,
    /// Pause before the second attempt; it doubles up to `pause_max`.
    pub pause_first: Duration,
    /// Longest pause between attempts.
    pub pause_max: Duration,
    /// State for the status line.
    pub status: Arc<PymdhtStatus>,
}

/// A lookup that came to its proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupOutcome {
    /// Different peers handed over.
    pub peers: usize,
    /// Connections that it took, 1 when nothing went wrong.
    pub attempts: u32,
    /// Lines that made no sense and were skipped.
    pub unreadable: u32,
}

/// Speaks to one node.
pub struct PymdhtClient {
    context: PymdhtContext,
    connection: Option<Connection>,
    /// Earliest time of the next connection.
    due: Option<Instant>,
    failures: u32,
}

/// What one lookup has found over all its attempts.
struct Found<'a> {
    seen: HashSet<PeerAddress>,
    unreadable: u32,
    on_peer: &'a mut dyn FnMut(PeerAddress),
}

impl Found<'_> {
    fn peer(&mut self, address: PeerAddress) {
        if self.seen.len() < PEERS_MAX && self.seen.insert(address) {
            (self.on_peer)(address);
        }
    }
}

impl PymdhtClient {
    /// A client that has not connected yet.
    pub const fn new(context: PymdhtContext) -> Self {
        Self {
            context,
            connection: None,
            due: None,
            failures: 0,
        }
    }

    /// Whether a node is there: connects and sends a line that a pymdht
    /// refuses. Neither logged nor counted as a failure.
    pub fn probe(&mut self, wait: Duration) -> Result<(), PymdhtError> {
        let deadline = Deadline::after(self.context.clock.now(), wait);
        self.connection = None;
        let mut connection = Connection::open(&self.context, deadline)?;
        connection.send(b"HELLO\r\n", &self.context, deadline)?;
        match connection.next_line(&self.context, deadline) {
            Ok(Line::Refusal(_)) => {
                self.connection = Some(connection);
                Ok(())
            }
            Ok(_) => Err(PymdhtError::Garbage),
            Err(cut) => Err(cut.into_error(PymdhtError::Silent)),
        }
    }

    /// Asks for the peers of `info_hash` and hands each to `on_peer` once, as
    /// it comes. With `announce_port` the node then announces that we listen
    /// there, without it nothing.
    ///
    /// Returns by `deadline`, or a fifth of a second later when it has to take
    /// leave of a node that hangs. After an error the peers handed over so far
    /// are good all the same.
    pub fn lookup(
        &mut self,
        info_hash: InfoHash,
        announce_port: Option<u16>,
        deadline: Deadline,
        on_peer: &mut dyn FnMut(PeerAddress),
    ) -> Result<LookupOutcome, PymdhtError> {
        let request = line::open(info_hash, announce_port.unwrap_or(0));
        let mut found = Found {
            seen: HashSet::new(),
            unreadable: 0,
            on_peer,
        };
        let attempts_max = if self.failures == 0 { ATTEMPTS_MAX } else { 1 };
        let mut attempts = 0;
        let result = loop {
            attempts += 1;
            match self.attempt(&request, deadline, &mut found) {
                Ok(()) => break Ok(()),
                Err(error) => {
                    self.failed(&error);
                    if !error.may_pass() || attempts >= attempts_max {
                        break Err(error);
                    }
                }
            }
        };
        let peers = found.seen.len();
        self.context.status.looked_up(peers);
        result?;
        self.succeeded();
        Ok(LookupOutcome {
            peers,
            attempts,
            unreadable: found.unreadable,
        })
    }

    /// Ends a lookup that is under way and takes leave (`EXIT`); at most a
    /// fifth of a second.
    pub fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.leave(&self.context);
        }
    }

    /// One dialogue. A connection that came out of it in doubt is left.
    fn attempt(
        &mut self,
        request: &[u8],
        deadline: Deadline,
        found: &mut Found<'_>,
    ) -> Result<(), PymdhtError> {
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            self.wait_for_turn(deadline)?;
            Connection::open(&self.context, deadline)?
        };
        match dialogue(&mut connection, &self.context, request, deadline, found) {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                connection.leave(&self.context);
                Err(error)
            }
        }
    }

    /// Waits until a new connection is due; at once fails when that is
    /// behind the deadline.
    fn wait_for_turn(&self, deadline: Deadline) -> Result<(), PymdhtError> {
        let now = self.context.clock.now();
        let pause = self.due.map(|due| due.saturating_duration_since(now));
        let left = deadline.left(now).ok_or(PymdhtError::NotDue)?;
        match pause {
            Some(pause) if pause > left => Err(PymdhtError::NotDue),
            Some(pause) if self.context.stop.wait(pause) => Err(PymdhtError::Stopped),
            _ => Ok(()),
        }
    }

    fn failed(&mut self, error: &PymdhtError) {
        if matches!(error, PymdhtError::Stopped | PymdhtError::NotDue) {
            return;
        }
        let context = &self.context;
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = context.pause_first.saturating_mul(factor);
        self.due = context
            .clock
            .now()
            .checked_add(pause.min(context.pause_max));
        self.failures = self.failures.saturating_add(1);
        let port = context.address.port();
        if context.status.failed(error) {
            log::error!(
                "the DHT node fails: dht_control_port={port} reason=\"{error}\"; \
                 check that pymdht runs with this telnet port and serves nobody else"
            );
        } else {
            log::debug!(
                "the DHT node fails: failures={} reason=\"{error}\"",
                self.failures
            );
        }
    }

    fn succeeded(&mut self) {
        self.due = None;
        self.failures = 0;
        if self.context.status.succeeded() {
            log::warn!("the DHT node answers again");
        }
    }
}

impl Drop for PymdhtClient {
    fn drop(&mut self) {
        self.close();
    }
}

/// Asks and listens until `CLOSE`.
fn dialogue(
    connection: &mut Connection,
    context: &PymdhtContext,
    request: &[u8],
    deadline: Deadline,
    found: &mut Found<'_>,
) -> Result<(), PymdhtError> {
    connection.begin(request, context, deadline)?;
    wait_for_open(connection, context, deadline)?;
    let mut unreadable = 0;
    loop {
        let line = connection
            .next_line(context, deadline)
            .map_err(|cut| cut.into_error(PymdhtError::Unfinished))?;
        match line {
            Line::Peer { ours, address } if ours == OUR_CHANNEL => found.peer(address),
            Line::Close { ours } if ours == OUR_CHANNEL => {
                connection.finish();
                return Ok(());
            }
            Line::Peer { .. } | Line::Close { .. } => return Err(PymdhtError::WrongChannel),
            Line::Refusal(text) => return Err(PymdhtError::Refused(text)),
            Line::Open { .. } | Line::Unreadable => {
                unreadable += 1;
                found.unreadable = found.unreadable.saturating_add(1);
                log::debug!("the DHT node sent an unreadable line: lines={unreadable}");
                if unreadable >= UNREADABLE_MAX {
                    return Err(PymdhtError::Garbage);
                }
            }
        }
    }
}

/// Reads the answer to `OPEN`. What an earlier lookup left behind on the same
/// connection is skipped: it must not count for another torrent.
fn wait_for_open(
    connection: &mut Connection,
    context: &PymdhtContext,
    deadline: Deadline,
) -> Result<(), PymdhtError> {
    let wait = Deadline::after(context.clock.now(), context.answer_wait).earlier(deadline);
    loop {
        match connection.next_line(context, wait) {
            Ok(Line::Open { ours, theirs }) if ours == OUR_CHANNEL => {
                connection.opened(theirs);
                return Ok(());
            }
            Ok(Line::Peer { ours, .. } | Line::Close { ours })
                if ours == OUR_CHANNEL && connection.is_used() => {}
            Ok(Line::Refusal(text)) => return Err(PymdhtError::Refused(text)),
            Ok(Line::Unreadable) => return Err(PymdhtError::Garbage),
            Ok(_) => return Err(PymdhtError::WrongChannel),
            Err(Cut::Quiet) => return Err(PymdhtError::Silent),
            Err(cut) => return Err(cut.into_error(PymdhtError::Silent)),
        }
    }
}

#[cfg(test)]
mod tests;
