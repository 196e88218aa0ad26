//! Dialogues with a scripted socket and a clock moved by hand.

use std::collections::VecDeque;

use super::*;
use crate::clock::ManualClock;
use crate::model::record::ScrapeFigures;
use crate::model::{InfoHash, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
const FIGURES: ScrapeFigures = ScrapeFigures {
    seeders: Some(1),
    completed: Some(2),
    leechers: Some(3),
};

/// What the network does when something is awaited.
enum Event {
    /// Brings this.
    Bring(Vec<u8>),
    /// Answers the latest packet with this.
    Answer(Response),
    /// Is silent for as long as anybody waits.
    Silence,
    /// Fails.
    Fail(Reason),
}

struct Script {
    clock: ManualClock,
    events: Mutex<VecDeque<Event>>,
    sent: Mutex<Vec<(Duration, TransactionId, Request)>>,
    start: Instant,
}

impl Script {
    fn new(events: impl IntoIterator<Item = Event>) -> Self {
        let clock = ManualClock::new(Timestamp(0));
        Self {
            start: clock.now(),
            clock,
            events: Mutex::new(events.into_iter().collect()),
            sent: Mutex::default(),
        }
    }

    fn kinds(&self) -> Vec<(u64, &'static str)> {
        let sent = self.sent.lock();
        let kind = |request: &Request| match request {
            Request::Connect => "connect",
            Request::Announce { .. } => "announce",
            Request::Scrape { .. } => "scrape",
        };
        sent.iter()
            .map(|(at, _, request)| (at.as_secs(), kind(request)))
            .collect()
    }

    fn run(&self, connection: &Connection) -> Result<Response, TrackerError> {
        let exchange = Exchange {
            clock: &self.clock,
            random: &Counter::default(),
            socket: self,
            connection,
            deadline: Deadline::after(self.clock.now(), 6 * SECOND),
            first_wait: SECOND,
        };
        exchange.run(|connection| Request::Scrape {
            connection,
            hashes: vec![InfoHash::new([1; 20])],
        })
    }
}

impl Datagram for Script {
    fn send(&self, bytes: &[u8]) -> Result<(), NetError> {
        let (id, request) = Request::decode(bytes).unwrap();
        let at = self.clock.now() - self.start;
        self.sent.lock().push((at, id, request));
        Ok(())
    }

    fn receive(&self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let event = self.events.lock().pop_front().unwrap_or(Event::Silence);
        let bytes = match event {
            Event::Bring(bytes) => bytes,
            Event::Answer(response) => {
                let id = self.sent.lock().last().unwrap().1;
                response.encode(id)
            }
            Event::Silence => {
                self.clock.advance(wait);
                return Err(NetError::timed_out(Operation::Read));
            }
            Event::Fail(reason) => {
                let operation = Operation::Read;
                return Err(NetError { operation, reason });
            }
        };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

#[derive(Default)]
struct Counter(Mutex<u32>);

impl Random for Counter {
    fn next(&self) -> Result<u32, TrackerError> {
        let mut number = self.0.lock();
        *number += 1000;
        Ok(*number)
    }
}

fn connected() -> Event {
    Event::Answer(Response::Connect(ConnectionId(77)))
}

fn scraped() -> Event {
    Event::Answer(Response::Scrape(vec![FIGURES]))
}

fn refused() -> Event {
    Event::Answer(Response::Error(b"connection id unknown".to_vec()))
}

#[test]
fn connects_then_asks_and_keeps_the_id_for_a_minute() {
    let connection = Connection::default();
    let script = Script::new([connected(), scraped(), scraped(), connected(), scraped()]);
    let good = Ok(Response::Scrape(vec![FIGURES]));
    assert_eq!(script.run(&connection), good);
    script.clock.advance(59 * SECOND);
    assert_eq!(script.run(&connection), good);
    script.clock.advance(SECOND);
    assert_eq!(script.run(&connection), good);
    assert_eq!(
        script.kinds(),
        [
            (0, "connect"),
            (0, "scrape"),
            (59, "scrape"),
            (60, "connect"),
            (60, "scrape")
        ]
    );
    assert!(
        script
            .sent
            .lock()
            .iter()
            .all(|(_, _, request)| match request {
                Request::Scrape { connection, .. } => *connection == ConnectionId(77),
                _ => true,
            })
    );
}

#[test]
fn lost_packets_are_sent_again_with_growing_waits() {
    let connection = Connection::default();
    let script = Script::new([
        Event::Silence,
        connected(),
        Event::Silence,
        Event::Silence,
        scraped(),
    ]);
    assert!(script.run(&connection).is_ok());
    assert_eq!(
        script.kinds(),
        [
            (0, "connect"),
            (1, "connect"),
            (1, "scrape"),
            (2, "scrape"),
            (4, "scrape")
        ]
    );
    let sent = script.sent.lock();
    assert_eq!(sent[0].1, sent[1].1, "the same transaction again");
    assert_ne!(sent[1].1, sent[2].1);
}

#[test]
fn silence_ends_at_the_deadline() {
    let script = Script::new([]);
    let error = script.run(&Connection::default()).unwrap_err();
    assert_eq!(error.label(), "timed out");
    assert_eq!(
        script.kinds(),
        [(0, "connect"), (1, "connect"), (3, "connect")]
    );
    assert_eq!(script.clock.now() - script.start, 6 * SECOND);
}

#[test]
fn late_foreign_and_malformed_datagrams_are_skipped() {
    let foreign = Response::Connect(ConnectionId(666)).encode(TransactionId(1));
    let foreign_error = Response::Error(b"x".to_vec()).encode(TransactionId(1));
    let script = Script::new([
        Event::Bring(foreign),
        Event::Bring(foreign_error),
        Event::Bring(vec![]),
        Event::Bring(b"\0\0\0\0\0\0\x03".to_vec()),
        // Our transaction, but another action, or too short.
        scraped(),
        Event::Bring(b"\0\0\0\0\0\0\x03\xe8\0\0".to_vec()),
        connected(),
        Event::Bring(Response::Connect(ConnectionId(1)).encode(TransactionId(1000))),
        scraped(),
    ]);
    assert!(script.run(&Connection::default()).is_ok());
    assert_eq!(script.kinds(), [(0, "connect"), (0, "scrape")]);
}

#[test]
fn an_error_packet_gives_its_text() {
    let script = Script::new([connected(), refused()]);
    let error = script.run(&Connection::default()).unwrap_err();
    assert_eq!(error.label(), "Refused: connection id unknown");
}

#[test]
fn an_old_id_that_is_refused_is_renewed_once() {
    let connection = Connection::default();
    let script = Script::new([connected(), scraped()]);
    script.run(&connection).unwrap();
    script
        .events
        .lock()
        .extend([refused(), connected(), refused()]);
    assert!(script.run(&connection).is_err());
    assert_eq!(
        script.kinds()[2..],
        [(0, "scrape"), (0, "connect"), (0, "scrape")]
    );
    assert_eq!(connection.fresh(script.clock.now()), None);
}

#[test]
fn a_refused_port_fails_at_once() {
    let script = Script::new([Event::Fail(Reason::REFUSED)]);
    let error = script.run(&Connection::default()).unwrap_err();
    assert_eq!(error.label(), "[Errno 111] Connection refused");
    assert_eq!(script.clock.now(), script.start);
}
