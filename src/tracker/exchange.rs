//! The dialogue with a UDP tracker (BEP 15) over one datagram socket.
//!
//! Runs on the thread of one request. Retransmission: BEP 15 waits
//! 15 · 2^n seconds, for an hour in all, which no measuring round can afford.
//! Here the first wait is a sixth of the time for the whole request and
//! doubles: with the 6 s of `network_timeout` a packet goes out at 0, 1 and
//! 3 s. Connecting and asking share the time and each begin with the first
//! wait. Datagrams with a foreign transaction id, a wrong action or too few
//! bytes are late or forged: they are skipped.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::udp::{ConnectionId, Request, Response, TransactionId};
use super::{Random, TrackerError};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::Reason;
use crate::net::udp::Datagram;
use crate::net::{NetError, Operation};

/// How long a connection id may be used after it came (BEP 15).
const CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// Packets sent for one request at most; the deadline ends it earlier.
const SENDS_MAX: u32 = 8;

/// The largest answer: an announce of a tracker that knows no fragments.
const DATAGRAM_MAX: usize = 65_535;

/// The connection id of one tracker; its lock is held for a copy only.
#[derive(Debug, Default)]
pub struct Connection(Mutex<Option<(ConnectionId, Instant)>>);

impl Connection {
    fn fresh(&self, now: Instant) -> Option<ConnectionId> {
        let (id, since) = (*self.0.lock())?;
        (now.saturating_duration_since(since) < CONNECTION_LIFE).then_some(id)
    }

    fn keep(&self, id: ConnectionId, now: Instant) {
        *self.0.lock() = Some((id, now));
    }

    fn forget(&self) {
        *self.0.lock() = None;
    }
}

/// One request to one tracker.
pub struct Exchange<'a> {
    /// Tells what is left of the time.
    pub clock: &'a dyn Clock,
    /// Gives transaction ids.
    pub random: &'a dyn Random,
    /// Connected to the tracker.
    pub socket: &'a dyn Datagram,
    /// Connection id of earlier requests.
    pub connection: &'a Connection,
    /// End of the whole request.
    pub deadline: Deadline,
    /// Wait after the first packet.
    pub first_wait: Duration,
}

impl Exchange<'_> {
    /// Connects unless there is a connection id, then asks. When the tracker
    /// refuses and the id was an old one, connects and asks once more.
    pub fn run(&self, make: impl Fn(ConnectionId) -> Request) -> Result<Response, TrackerError> {
        let kept = self.connection.fresh(self.clock.now());
        let id = kept.map_or_else(|| self.connect(), Ok)?;
        let mut answer = self.ask(&make(id));
        if kept.is_some() && matches!(answer, Err(TrackerError::Refused { .. })) {
            self.connection.forget();
            answer = self.ask(&make(self.connect()?));
        }
        if answer.is_err() {
            // Some trackers keep silent when they do not know the id.
            self.connection.forget();
        }
        answer
    }

    fn connect(&self) -> Result<ConnectionId, TrackerError> {
        match self.ask(&Request::Connect)? {
            Response::Connect(id) => {
                self.connection.keep(id, self.clock.now());
                Ok(id)
            }
            _ => Err(timed_out()),
        }
    }

    fn ask(&self, request: &Request) -> Result<Response, TrackerError> {
        let transaction = TransactionId(self.random.next()?);
        let packet = request.encode(transaction);
        let mut wait = self.first_wait;
        for _ in 0..SENDS_MAX {
            let now = self.clock.now();
            if self.deadline.left(now).is_none() {
                break;
            }
            self.socket.send(&packet).map_err(TrackerError::Net)?;
            let until = Deadline::after(now, wait).earlier(self.deadline);
            if let Some(response) = self.listen(request, transaction, until)? {
                return Ok(response);
            }
            wait = wait.saturating_mul(2);
        }
        Err(timed_out())
    }

    /// The answer to `request` if it comes by `until`.
    fn listen(
        &self,
        request: &Request,
        transaction: TransactionId,
        until: Deadline,
    ) -> Result<Option<Response>, TrackerError> {
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut skipped = 0_u32;
        while let Some(left) = until.left(self.clock.now()) {
            let length = match self.socket.receive(&mut buffer, left) {
                Ok(length) => length,
                Err(error) if error.reason == Reason::TimedOut => break,
                Err(error) => return Err(TrackerError::Net(error)),
            };
            let packet = buffer.get(..length).unwrap_or_default();
            match Response::decode(packet, self.socket.is_ipv6()) {
                Ok((id, _)) if id != transaction => {}
                Ok((_, Response::Error(text))) => {
                    return Err(TrackerError::Refused { text, retry: None });
                }
                Ok((_, response)) if fits(request, &response) => return Ok(Some(response)),
                Ok(_) | Err(_) => {}
            }
            skipped = skipped.saturating_add(1);
        }
        if skipped > 0 {
            log::debug!("skipped late, foreign or malformed tracker datagrams count={skipped}");
        }
        Ok(None)
    }
}

const fn fits(request: &Request, response: &Response) -> bool {
    matches!(
        (request, response),
        (Request::Connect, Response::Connect(_))
            | (Request::Announce { .. }, Response::Announce(_))
            | (Request::Scrape { .. }, Response::Scrape(_))
    )
}

const fn timed_out() -> TrackerError {
    TrackerError::Net(NetError::timed_out(Operation::Read))
}

#[cfg(test)]
mod tests;
