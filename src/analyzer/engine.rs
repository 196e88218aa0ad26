//! What all measuring threads share, and what happens after a contact.

mod hearsay;
mod outcome;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam_channel::{SendTimeoutError, Sender};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::deadline::Deadline;
use crate::intake::NodeIntake;
use crate::model::record::{Failure, MessageCounts, Record, Told, Visit};
use crate::model::{
    Direction, Event, PeerId, PeerKey, PieceCount, PseudonymKey, Reason, Source, Transport,
};
use crate::net::Connect;
use crate::net::tcp::SocketRegister;
use crate::net::utp::UtpSocket;
use crate::stop::StopToken;

use super::dial::{Dialer, Way};
use super::directory::Directory;
use super::evaluate::{Moment, Verdict};
use super::policy::Next;
use super::scheduler::Scheduler;
use super::scheduler::queue::{History, Ticket};
use super::stats::Stats;
use super::visit::{Report, Visitor};
use outcome::Outcome;

/// Shared by contact workers, listener and statistics.
pub struct Engine {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The configuration.
    pub settings: Settings,
    /// Our peer id for the whole run.
    pub own_id: PeerId,
    /// The torrents.
    pub directory: Directory,
    /// Who is visited when.
    pub scheduler: Arc<Scheduler>,
    /// Callers that were evaluated by a call of ours.
    pub contacted: Contacted,
    /// To the writer.
    pub records: Sender<Record>,
    /// Live figures.
    pub stats: Arc<Stats>,
    /// End of the run.
    pub stop: StopToken,
    /// Names for addresses in the log.
    pub pseudonyms: PseudonymKey,
    /// Takes the DHT nodes of peers (BEP 5, `port`); empty unless our own
    /// node runs.
    pub nodes: OnceLock<Arc<dyn NodeIntake>>,
    /// Opens TCP connections.
    pub connect: Arc<dyn Connect>,
    /// uTP, where it is spoken.
    pub utp: Option<Utp>,
    /// All sockets of visits and callers.
    pub sockets: Arc<SocketRegister>,
}

/// What uTP needs.
pub struct Utp {
    /// Opens streams.
    pub connect: Arc<dyn Connect>,
    /// The socket of all of them.
    pub socket: Arc<UtpSocket>,
}

/// The (address, torrent) pairs that an outgoing visit evaluated: a caller
/// from there is turned away, so that nobody is counted twice (thesis,
/// "Already in outgoing").
#[derive(Debug, Default)]
pub struct Contacted {
    set: Mutex<HashSet<PeerKey>>,
}

impl Contacted {
    /// Notes a peer that was evaluated by a call of ours.
    pub fn insert(&self, key: &PeerKey) {
        self.set.lock().insert(key.caller());
    }

    /// Whether the peer's address was evaluated for its torrent.
    pub fn contains(&self, key: &PeerKey) -> bool {
        self.set.lock().contains(&key.caller())
    }
}

impl Engine {
    /// The parameters of a visit.
    pub fn visitor(&self) -> Visitor<'_> {
        Visitor {
            clock: &*self.clock,
            settings: &self.settings.visit,
            own_id: self.own_id,
            stop: &self.stop,
            peer: None,
        }
    }

    /// Reaches the peer at `peer`; the transports stand in the order in which they are
    /// tried.
    fn dialer(&self, peer: IpAddr) -> Dialer<'_> {
        let transports = self.settings.visit.transport.attempts();
        let connector = |transport: &Transport| {
            let connect = match transport {
                Transport::Tcp => &*self.connect,
                Transport::Utp => &*self.utp.as_ref()?.connect,
            };
            Some((*transport, connect))
        };
        Dialer {
            visitor: self.visitor().at(peer),
            transports: transports.iter().filter_map(connector).collect(),
        }
    }

    /// Hands a record to the writer; waits while its queue is full. After the
    /// writer's end it goes nowhere.
    pub fn record(&self, record: Record) {
        // The writer ends last; a record behind it belongs to no run.
        let _ = self.records.send(record);
    }

    /// Hands over a record of the shutdown, which must not wait for ever:
    /// `false` when the writer takes none until `deadline`.
    pub fn record_by(&self, record: Record, deadline: Deadline) -> bool {
        let left = deadline.left(self.clock.now()).unwrap_or_default();
        !matches!(
            self.records.send_timeout(record, left),
            Err(SendTimeoutError::Timeout(_))
        )
    }

    /// When `ticket` is due again, with `history`.
    fn again(&self, ticket: Ticket, history: History, next: Next) -> Option<(Ticket, Instant)> {
        match next {
            Next::Again(delay) => Some((Ticket { history, ..ticket }, self.clock.now() + delay)),
            Next::Done => None,
        }
    }

    /// Takes the peer of `ticket` in hand, to be contacted.
    pub fn in_hand(&self, ticket: Ticket) -> InHand<'_> {
        InHand {
            engine: self,
            ticket: Some(ticket),
        }
    }

    /// A caller was evaluated or turned away.
    pub fn caller_done(
        &self,
        key: Option<PeerKey>,
        from: SocketAddr,
        started: Instant,
        report: &Report,
    ) {
        self.log(Direction::Incoming, from, report);
        self.pass_node(from, report);
        self.hear_of_us(from, report);
        match (report.verdict, key) {
            (Verdict::Counts(_), Some(key)) => {
                self.stats.caller_counted();
                let source = Source::Incoming;
                let whom = Ticket {
                    key,
                    source,
                    exchanged: false,
                    history: History::default(),
                };
                if let Some(visit) = self.visit_record(&whom, started, report) {
                    self.record(Record::Visit(Box::new(visit)));
                }
                self.take_named(key.torrent, source, report);
            }
            (Verdict::Failed(reason), _) => self.caller_failed(reason, report.messages()),
            (Verdict::Counts(_) | Verdict::Interrupted, _) => {}
        }
    }

    /// A caller gave nothing, for `reason`, but for `messages`.
    pub fn caller_failed(&self, reason: Reason, messages: Option<Box<MessageCounts>>) {
        self.stats.caller_failed();
        let at = self.clock.timestamp();
        self.record(Record::Failure(Failure {
            at,
            event: Event::IncomingPeer,
            reason,
            takes_back: None,
            messages,
        }));
    }

    fn visit_record(&self, whom: &Ticket, started: Instant, report: &Report) -> Option<Visit> {
        let Report {
            verdict: Verdict::Counts(ended),
            heard: Some(heard),
            link: Some(link),
            ..
        } = report
        else {
            return None;
        };
        let direction = if whom.source == Source::Incoming {
            Direction::Incoming
        } else {
            Direction::Outgoing
        };
        Some(Visit {
            peer: whom.key,
            source: whom.source,
            exchanged: whom.exchanged,
            direction,
            transport: link.transport,
            encryption: link.encryption,
            at: self.clock.timestamp(),
            duration: self.clock.now().saturating_duration_since(started),
            pieces: heard.pieces.count(),
            messages: heard.counts,
            below: heard.below.map(|moment| self.told(moment)),
            reached: heard.reached.map(|moment| self.told(moment)),
            longest_wait: heard.longest_wait,
            client: report.peer_id.and_then(|id| id.client()),
            ended: *ended,
            takes_back: whom.history.unreached,
            extension: heard.extension(),
        })
    }

    fn told(&self, moment: Moment) -> Told {
        let ago = self.clock.now().saturating_duration_since(moment.at);
        let at = self.clock.timestamp().minus(ago);
        Told {
            at,
            pieces: moment.pieces,
        }
    }

    fn log(&self, direction: Direction, address: SocketAddr, report: &Report) {
        if !log::log_enabled!(log::Level::Debug) {
            return;
        }
        let name = if self.settings.log.addresses {
            address.to_string()
        } else {
            self.pseudonyms.of(address.ip()).to_string()
        };
        let pieces = report
            .heard
            .as_ref()
            .map_or(0, |heard| heard.pieces.count().0);
        log::debug!(
            "peer={name} direction={} verdict={:?} pieces={pieces}",
            direction.as_str(),
            report.verdict
        );
    }
}

/// A peer that is being contacted. Dropped unsettled, which only a panic
/// does, it counts as a failure, so that no contact disappears.
pub struct InHand<'a> {
    engine: &'a Engine,
    ticket: Option<Ticket>,
}

impl InHand<'_> {
    /// Contacts the peer and settles what comes of it.
    pub fn contact(self) {
        let engine = self.engine;
        let Some(ticket) = self.ticket else {
            return;
        };
        let Some(torrent) = engine.directory.by_id(ticket.key.torrent) else {
            return;
        };
        let started = engine.clock.now();
        if engine.scheduler.is_own(&ticket.key.address) {
            let report = Report::without_handshake(Verdict::Failed(Reason::OwnAddress));
            return self.settle(started, &report, torrent.threshold);
        }
        let address = ticket.key.address.socket_addr();
        let worked = ticket.history.worked;
        let report = engine
            .dialer(address.ip())
            .visit(address, &torrent, worked, started);
        engine.pass_node(address, &report);
        self.settle(started, &report, torrent.threshold);
    }

    /// The contact stays in hand until everything that could panic is done.
    fn settle(mut self, started: Instant, report: &Report, threshold: PieceCount) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let engine = self.engine;
        let address = ticket.key.address.socket_addr();
        engine.log(Direction::Outgoing, address, report);
        engine.hear_of_us(address, report);
        let outcome = match report.verdict {
            Verdict::Counts(_) => {
                let now = engine.clock.now();
                let heard = report.heard.as_ref();
                let pieces = heard.map_or(PieceCount(0), |heard| heard.pieces.count());
                let told = heard.and_then(|heard| heard.below).map_or(now, |it| it.at);
                let next = engine.scheduler.revisits().after_success(
                    &engine.settings.policy,
                    ticket.key,
                    (pieces, threshold, told),
                    now,
                );
                let history = History {
                    worked: report.link.map(Way::of),
                    ..ticket.history.with_success()
                };
                Outcome {
                    record: engine
                        .visit_record(&ticket, started, report)
                        .map(|visit| Record::Visit(Box::new(visit))),
                    failure: None,
                    again: engine.again(ticket, history, next),
                }
            }
            Verdict::Failed(reason) => Outcome::failed(engine, ticket, reason, report.messages()),
            Verdict::Interrupted => {
                self.ticket = None;
                engine.scheduler.put_back(ticket, started);
                return;
            }
        };
        self.ticket = None;
        outcome.settle(engine, &ticket);
        engine.take_named(ticket.key.torrent, ticket.source, report);
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let outcome = Outcome::failed(self.engine, ticket, Reason::Aborted, None);
            outcome.settle(self.engine, &ticket);
        }
    }
}

#[cfg(test)]
mod tests;
