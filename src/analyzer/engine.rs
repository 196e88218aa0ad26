//! What all measuring threads share, and what happens after a contact.

mod contacted;
mod outcome;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam_channel::{SendTimeoutError, Sender};

use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::deadline::Deadline;
use crate::intake::{NodeIntake, TrackerIntake};
use crate::model::record::{Failure, MessageCounts, Record, Visit};
use crate::model::{Direction, Event, PeerId, PeerKey, PieceCount, PseudonymKey, Reason, Source};
use crate::net::Connect;
use crate::net::tcp::SocketRegister;
use crate::stop::StopToken;

use super::dial::{self, Dialer, Utp, Way};
use super::directory::Directory;
use super::evaluate::Verdict;
use super::policy::{self, Next};
use super::revisits::Told;
use super::scheduler::Scheduler;
use super::scheduler::queue::{History, Ticket};
use super::stats::Stats;
use super::stays::{self, Candidate, Post, Stays, Whom};
use super::visit::{Observe, Report, Visitor};
use outcome::{Outcome, Showed};

pub use contacted::Contacted;

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
    /// With whom we stay.
    pub stays: Stays,
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
    /// Takes the trackers that peers name (BEP 28); empty unless they are
    /// asked.
    pub found_trackers: OnceLock<Arc<dyn TrackerIntake>>,
    /// Opens TCP connections.
    pub connect: Arc<dyn Connect>,
    /// uTP, where it is spoken.
    pub utp: Option<Utp>,
    /// All sockets of visits and callers.
    pub sockets: Arc<SocketRegister>,
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
            observe: None,
        }
    }

    /// Reaches the peer at `peer`; the transports stand in the order in which they are
    /// tried. `observe` decides whether the visit becomes a stay.
    fn dialer<'a>(&'a self, peer: IpAddr, observe: Option<&'a dyn Observe>) -> Dialer<'a> {
        Dialer {
            visitor: Visitor {
                observe,
                ..self.visitor().at(peer)
            },
            transports: dial::transports(
                self.settings.visit.transport,
                &*self.connect,
                self.utp.as_ref(),
            ),
            again: None,
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
            Next::Again(delay) | Next::Look(delay) => {
                Some((Ticket { history, ..ticket }, self.clock.now() + delay))
            }
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
                    origin: None,
                    history: History::default(),
                };
                let direction = Direction::Incoming;
                if let Some(visit) = self.visit_record(&whom, direction, started, report) {
                    self.record(Record::Visit(Box::new(visit)));
                }
                self.follow_up(key, report);
                self.take_named(key.torrent, source, report.named());
                self.take_trackers(key.torrent, report);
            }
            // It has our peer id: we wanted metadata of ourselves, or somebody
            // who was told it says so. The word of one network, as any other.
            (Verdict::Failed(Reason::OwnAddress), None) => {
                self.scheduler.vote_own_ip(from.ip(), from.ip());
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
            step: None,
        }));
    }

    fn visit_record(
        &self,
        whom: &Ticket,
        direction: Direction,
        started: Instant,
        report: &Report,
    ) -> Option<Visit> {
        let Report {
            verdict: Verdict::Counts(ended),
            heard: Some(heard),
            link: Some(link),
            ..
        } = report
        else {
            return None;
        };
        Some(Visit {
            peer: whom.key,
            source: whom.source,
            origin: whom.origin,
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
            peer_id: report.peer_id,
            client: report.peer_id.and_then(|id| id.client()),
            ended: *ended,
            takes_back: whom.takes_back(),
            before: whom.history.shown,
            extension: heard.extension(&self.pseudonyms),
        })
    }
}

/// A peer that is being contacted. Dropped unsettled, which only a panic
/// does, it counts as a failure, so that no contact disappears.
pub struct InHand<'a> {
    engine: &'a Engine,
    ticket: Option<Ticket>,
}

impl<'a> InHand<'a> {
    /// Contacts the peer and settles what comes of it. The thread has the `post`
    /// that it may stay at.
    pub fn contact<C>(mut self, post: &Post<'a, C>) {
        let engine = self.engine;
        let Some(ticket) = self.ticket else {
            return;
        };
        if engine.stays.is_with(&ticket.key) {
            // It called, and is heard there.
            engine.scheduler.revisits().no_look(&ticket.key);
            let due = engine.clock.now() + engine.settings.policy.revisit_delay;
            self.ticket = None;
            return engine.scheduler.put_back(ticket, due);
        }
        let Some(torrent) = engine.directory.by_id(ticket.key.torrent) else {
            return;
        };
        let started = engine.clock.now();
        if engine.scheduler.is_finished(&ticket) {
            engine.scheduler.revisits().forget(&ticket.key);
            self.ticket = None;
            return;
        }
        if engine.scheduler.is_own(&ticket.key.address) {
            let report = Report::without_handshake(Verdict::Failed(Reason::OwnAddress));
            return self.settle(started, &report, torrent.threshold);
        }
        let address = ticket.key.address.socket_addr();
        let worked = ticket.history.worked;
        let candidate = Candidate {
            engine,
            post,
            whom: Whom::Called(ticket),
            look: engine.scheduler.revisits().is_look(&ticket.key),
        };
        let again = || engine.scheduler.connects_again(&ticket.key);
        let dialer = Dialer {
            again: Some(&again),
            ..engine.dialer(address.ip(), Some(&candidate))
        };
        let report = dialer.visit(address, &torrent, worked, started);
        if !matches!(report.verdict, Verdict::Interrupted) {
            let counted = matches!(report.verdict, Verdict::Counts(_));
            let led = report.link.filter(|_| counted).map(Way::of);
            engine.stats.ways_tried(report.tried, led.map(Way::code));
        }
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
                let told = Told {
                    pieces: heard.map_or(PieceCount(0), |heard| heard.pieces.count()),
                    threshold,
                    at: heard.and_then(|heard| heard.below).map_or(now, |it| it.at),
                    looks: stays::looks(&engine.settings, report.peer_id.as_ref()),
                };
                let settings = &engine.settings.policy;
                let revisits = engine.scheduler.revisits();
                let next = revisits.after_success(settings, ticket.key, told, now);
                let next = match heard {
                    Some(heard) if heard.was_stay() => {
                        let took = now.saturating_duration_since(started);
                        policy::after_stay(settings, next, took)
                    }
                    _ => next,
                };
                let history = History {
                    worked: report.link.map(Way::of),
                    ..ticket.history.with_success()
                };
                Outcome {
                    record: engine
                        .visit_record(&ticket, Direction::Outgoing, started, report)
                        .map(|visit| Record::Visit(Box::new(visit))),
                    failure: None,
                    again: engine.again(ticket, history, next),
                }
            }
            Verdict::Failed(reason) => Outcome::failed(engine, ticket, reason, Showed::by(report)),
            Verdict::Interrupted => {
                self.ticket = None;
                engine.scheduler.put_back(ticket, started);
                return;
            }
        };
        self.ticket = None;
        outcome.settle(engine, &ticket);
        engine.take_named(ticket.key.torrent, ticket.source, report.named());
        engine.take_trackers(ticket.key.torrent, report);
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let outcome = Outcome::failed(self.engine, ticket, Reason::Aborted, Showed::default());
            outcome.settle(self.engine, &ticket);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
