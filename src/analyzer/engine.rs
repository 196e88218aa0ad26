//! What all measuring threads share, and what happens after a contact.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::model::record::{Failure, MessageCounts, Record, Told, Visit};
use crate::model::{
    Direction, Encryption, Event, PeerId, PeerKey, PseudonymKey, Reason, Source, Transport,
};
use crate::net::Connect;
use crate::net::tcp::SocketRegister;
use crate::stop::StopToken;

use super::directory::Directory;
use super::evaluate::{Moment, Verdict};
use super::policy::{self, Next};
use super::scheduler::Scheduler;
use super::scheduler::queue::{History, Ticket};
use super::stats::Stats;
use super::visit::{Report, Visitor};

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
    /// Opens connections.
    pub connect: Arc<dyn Connect>,
    /// All sockets of visits and callers.
    pub sockets: Arc<SocketRegister>,
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
        }
    }

    /// Hands a record to the writer; waits while its queue is full. After the
    /// writer's end it goes nowhere.
    pub fn record(&self, record: Record) {
        // The writer ends last; a record behind it belongs to no run.
        let _ = self.records.send(record);
    }

    /// Contacts the peer of `ticket` and settles what comes of it.
    pub fn contact(&self, ticket: Ticket) {
        let Some(torrent) = self.directory.by_id(ticket.key.torrent) else {
            return;
        };
        let started = self.clock.now();
        let in_hand = InHand {
            engine: self,
            ticket: Some(ticket),
            started,
        };
        if self.scheduler.is_own(&ticket.key.address) {
            let report = Report::without_handshake(Verdict::Failed(Reason::OwnAddress));
            return in_hand.settle(&report, false);
        }
        let address = ticket.key.address.socket_addr();
        let report = match self
            .connect
            .connect(address, self.settings.visit.quiet_timeout)
        {
            Ok(mut stream) => self.visitor().outgoing(&mut *stream, &torrent, started),
            Err(_) if self.stop.is_stopped() => Report::without_handshake(Verdict::Interrupted),
            Err(error) => Report::without_handshake(Verdict::Failed(error.reason)),
        };
        let reached = report
            .heard
            .as_ref()
            .is_some_and(|heard| heard.pieces.count() >= torrent.threshold);
        in_hand.settle(&report, reached);
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
        match (report.verdict, key) {
            (Verdict::Counts(_), Some(key)) => {
                self.stats.caller_counted();
                let source = Source::Incoming;
                let whom = Ticket {
                    key,
                    source,
                    history: History::default(),
                };
                if let Some(visit) = self.visit_record(&whom, started, report) {
                    self.record(Record::Visit(Box::new(visit)));
                }
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
        let (Verdict::Counts(ended), Some(heard)) = (report.verdict, &report.heard) else {
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
            direction,
            transport: Transport::Tcp,
            encryption: Encryption::Plain,
            at: self.clock.timestamp(),
            duration: self.clock.now().saturating_duration_since(started),
            pieces: heard.pieces.count(),
            messages: heard.counts,
            below: heard.below.map(|moment| self.told(moment)),
            reached: heard.reached.map(|moment| self.told(moment)),
            longest_wait: heard.longest_wait,
            client: report.peer_id.and_then(|id| id.client()),
            ended,
            takes_back: whom.history.unreached,
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
struct InHand<'a> {
    engine: &'a Engine,
    ticket: Option<Ticket>,
    started: Instant,
}

impl InHand<'_> {
    fn settle(mut self, report: &Report, reached_threshold: bool) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let engine = self.engine;
        engine.log(
            Direction::Outgoing,
            ticket.key.address.socket_addr(),
            report,
        );
        match report.verdict {
            Verdict::Counts(_) => self.counted(ticket, report, reached_threshold),
            Verdict::Failed(reason) => failed(engine, ticket, reason, report.messages()),
            Verdict::Interrupted => engine.scheduler.put_back(ticket, self.started),
        }
    }

    fn counted(&self, ticket: Ticket, report: &Report, reached_threshold: bool) {
        let engine = self.engine;
        engine.contacted.insert(&ticket.key);
        engine.stats.contact_counted();
        if let Some(visit) = engine.visit_record(&ticket, self.started, report) {
            engine.record(Record::Visit(Box::new(visit)));
        }
        engine.scheduler.first_contact_done(&ticket);
        let history = ticket.history.with_success();
        again(
            engine,
            Ticket { history, ..ticket },
            policy::after_success(&engine.settings.policy, reached_threshold),
        );
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            failed(self.engine, ticket, Reason::Aborted, None);
        }
    }
}

fn failed(engine: &Engine, ticket: Ticket, reason: Reason, messages: Option<Box<MessageCounts>>) {
    engine.stats.contact_failed();
    let event = if ticket.history.successes == 0 {
        Event::FirstContact
    } else {
        Event::LaterContact
    };
    let at = engine.clock.timestamp();
    let takes_back = ticket.history.unreached;
    engine.record(Record::Failure(Failure {
        at,
        event,
        reason,
        takes_back,
        messages,
    }));
    engine.scheduler.first_contact_done(&ticket);
    if reason == Reason::OwnAddress {
        engine.scheduler.add_own(ticket.key.address);
        return;
    }
    let history = ticket.history.with_failure(reason);
    again(
        engine,
        Ticket { history, ..ticket },
        policy::after_failure(&engine.settings.policy, &history),
    );
}

fn again(engine: &Engine, ticket: Ticket, next: Next) {
    if let Next::Again(delay) = next {
        engine
            .scheduler
            .put_back(ticket, engine.clock.now() + delay);
    }
}

#[cfg(test)]
mod tests;
