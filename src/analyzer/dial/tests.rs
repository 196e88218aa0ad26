//! Plans of ways, and contacts over scripted connections.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::analyzer::encrypted::fake::{Far, SKEY};
use crate::analyzer::visit::tests::settings;
use crate::clock::{Clock, ManualClock};
use crate::config::settings::VisitSettings;
use crate::model::{PeerId, Timestamp};
use crate::net::fake::{FakeStream, Step};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::handshake::{Handshake, Reserved};
use crate::protocol::message::encode_bitfield;
use crate::protocol::mse::Method;
use crate::stop::{StopTrigger, stop_pair};

/// What the next connection becomes.
enum Line {
    Refused,
    Open(Vec<Step>),
    Encrypted(Box<Far>),
}

/// Connects as its lines say, each after a second; behind them nobody answers.
struct Lines {
    clock: ManualClock,
    lines: Mutex<VecDeque<Line>>,
}

impl Connect for Lines {
    fn connect(&self, _: SocketAddr, wait: Duration) -> Result<Box<dyn Stream>, NetError> {
        let line = self.lines.lock().pop_front();
        self.clock.advance(match line {
            Some(_) => Duration::from_secs(1).min(wait),
            None => wait,
        });
        match line {
            None => Err(NetError::timed_out(Operation::Connect)),
            Some(Line::Refused) => Err(NetError {
                operation: Operation::Connect,
                reason: Reason::REFUSED,
            }),
            Some(Line::Open(script)) => Ok(Box::new(FakeStream::new(&self.clock, script))),
            Some(Line::Encrypted(far)) => Ok(far),
        }
    }
}

struct World {
    clock: ManualClock,
    /// Connections behind the first of a contact.
    again: std::cell::Cell<u32>,
    settings: VisitSettings,
    stop: crate::stop::StopToken,
    trigger: StopTrigger,
    tcp: Lines,
    utp: Option<Lines>,
}

impl World {
    fn new(lines: Vec<Line>) -> Self {
        let clock = ManualClock::new(Timestamp(0));
        let (trigger, stop) = stop_pair();
        Self {
            settings: settings(),
            stop,
            trigger,
            tcp: Lines {
                clock: clock.clone(),
                lines: Mutex::new(lines.into()),
            },
            utp: None,
            again: std::cell::Cell::new(0),
            clock,
        }
    }

    /// A peer that is called over uTP after TCP.
    fn with_utp(tcp: Vec<Line>, utp: Vec<Line>) -> Self {
        let mut world = Self::new(tcp);
        world.utp = Some(Lines {
            clock: world.clock.clone(),
            lines: Mutex::new(utp.into()),
        });
        world
    }

    fn transports(&self) -> Vec<(Transport, &dyn Connect)> {
        let utp = self
            .utp
            .as_ref()
            .map(|utp| (Transport::Utp, utp as &dyn Connect));
        [(Transport::Tcp, &self.tcp as &dyn Connect)]
            .into_iter()
            .chain(utp)
            .collect()
    }

    /// The report, and the seconds that the contact took.
    fn visit(&self, worked: Option<Way>) -> (Report, u64) {
        let again = || self.again.set(self.again.get() + 1);
        let dialer = Dialer {
            visitor: Visitor {
                clock: &self.clock,
                settings: &self.settings,
                own_id: PeerId::new([b'O'; 20]),
                stop: &self.stop,
                peer: None,
                observe: None,
            },
            transports: self.transports(),
            again: Some(&again),
        };
        let started = self.clock.now();
        let address = "127.0.0.9:6881".parse().unwrap();
        let report = dialer.visit(address, &Torrent::sample(8), worked, started);
        (report, (self.clock.now() - started).as_secs())
    }
}

fn closes() -> Line {
    Line::Open(vec![Step::Close(Duration::ZERO)])
}

#[test]
fn a_refusal_and_a_silence_are_failures_with_their_reason() {
    let (report, seconds) = World::new(vec![Line::Refused]).visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::REFUSED));
    assert_eq!(seconds, 1);
    let (report, seconds) = World::new(vec![]).visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::TimedOut));
    assert_eq!(seconds, 6);
}

#[test]
fn a_connection_that_breaks_at_the_end_of_the_run_is_no_failure() {
    let world = World::new(vec![Line::Refused]);
    world.trigger.stop();
    assert_eq!(world.visit(None).0.verdict, Verdict::Interrupted);
}

#[test]
fn nothing_is_tried_without_a_budget() {
    let mut world = World::new(vec![closes()]);
    world.settings.budget = Duration::ZERO;
    let (report, seconds) = world.visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::TimedOut));
    assert_eq!((seconds, world.tcp.lines.lock().len()), (0, 1));
}

fn plain() -> Line {
    Line::Open(vec![Step::Send(Duration::ZERO, talk())])
}

fn encrypted() -> Line {
    Line::Encrypted(Box::new(Far::called(Method::Rc4, 100, talk())))
}

/// A handshake and a bitfield.
fn talk() -> Vec<u8> {
    let handshake = Handshake {
        reserved: Reserved::default(),
        info_hash: SKEY,
        peer_id: PeerId::new([b'x'; 20]),
    };
    let mut bytes = handshake.encode().to_vec();
    encode_bitfield(&[0xff], &mut bytes);
    bytes
}

const PLAIN: Way = Way::ALL[0];
const ENCRYPTED: Way = Way::ALL[1];

impl World {
    fn with(policy: EncryptionPolicy, lines: Vec<Line>) -> Self {
        let mut world = Self::new(lines);
        world.settings.encryption = policy;
        world
    }

    /// The way that led to a visit that counts, and the connections made.
    fn way(&self, worked: Option<Way>) -> (Option<Way>, usize) {
        let before = self.tcp.lines.lock().len();
        let (report, _) = self.visit(worked);
        let counts = matches!(report.verdict, Verdict::Counts(_));
        assert_eq!(counts, report.link.is_some());
        let made = before - self.tcp.lines.lock().len();
        let again = usize::try_from(self.again.take()).unwrap();
        assert_eq!(again, made.saturating_sub(1), "each but the first is told");
        (report.link.map(Way::of), made)
    }
}

#[test]
fn a_peer_that_closes_on_one_way_is_tried_on_the_other() {
    use EncryptionPolicy::{Encrypted, Plain, PreferEncrypted, PreferPlain};
    let reset = || Line::Open(vec![Step::Fail(Duration::ZERO, Reason::RESET)]);
    for (policy, lines, wanted) in [
        (PreferPlain, vec![plain(), encrypted()], (Some(PLAIN), 1)),
        (
            PreferPlain,
            vec![closes(), encrypted()],
            (Some(ENCRYPTED), 2),
        ),
        (
            PreferPlain,
            vec![reset(), encrypted()],
            (Some(ENCRYPTED), 2),
        ),
        (
            PreferEncrypted,
            vec![encrypted(), plain()],
            (Some(ENCRYPTED), 1),
        ),
        (PreferEncrypted, vec![closes(), plain()], (Some(PLAIN), 2)),
        // It answers in the clear, whatever it is asked.
        (PreferEncrypted, vec![plain(), plain()], (None, 1)),
        (Plain, vec![closes(), encrypted()], (None, 1)),
        (Encrypted, vec![closes(), plain()], (None, 1)),
        (Encrypted, vec![encrypted()], (Some(ENCRYPTED), 1)),
        // No connection: another kind of bytes over it would not help.
        (PreferPlain, vec![Line::Refused, encrypted()], (None, 1)),
        // Silence is no refusal.
        (
            PreferPlain,
            vec![Line::Open(vec![]), encrypted()],
            (None, 1),
        ),
    ] {
        assert_eq!(World::with(policy, lines).way(None), wanted, "{policy:?}");
    }
}

#[test]
fn what_worked_the_last_time_comes_first() {
    let world = World::with(EncryptionPolicy::PreferPlain, vec![encrypted()]);
    assert_eq!(world.way(Some(ENCRYPTED)), (Some(ENCRYPTED), 1));
    let lines = vec![closes(), plain()];
    let world = World::with(EncryptionPolicy::PreferPlain, lines);
    assert_eq!(world.way(Some(ENCRYPTED)), (Some(PLAIN), 2));
    // What the configuration forbids stays so.
    let world = World::with(EncryptionPolicy::Plain, vec![plain()]);
    assert_eq!(world.way(Some(ENCRYPTED)), (Some(PLAIN), 1));
}

#[test]
fn the_report_is_that_of_the_attempt_that_came_furthest() {
    for (second, reason) in [
        (Line::Refused, Reason::Closed),
        (closes(), Reason::Closed),
        (
            Line::Open(vec![Step::Fail(Duration::ZERO, Reason::RESET)]),
            Reason::Closed,
        ),
    ] {
        let world = World::with(EncryptionPolicy::PreferPlain, vec![closes(), second]);
        let (report, seconds) = world.visit(None);
        assert_eq!(report.verdict, Verdict::Failed(reason));
        assert_eq!(seconds, 2, "two connections");
    }
    // What is found out about the peer counts, whichever attempt found it.
    let mut other = talk();
    other[30] ^= 1;
    let other = Line::Encrypted(Box::new(Far::called(Method::Rc4, 100, other)));
    let world = World::with(EncryptionPolicy::PreferPlain, vec![closes(), other]);
    let (report, _) = world.visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::InfoHashMismatch));
}

#[test]
fn all_attempts_share_one_budget() {
    let late = Line::Open(vec![Step::Close(Duration::from_secs(5))]);
    let mut world = World::with(EncryptionPolicy::PreferPlain, vec![late, encrypted()]);
    world.settings.budget = Duration::from_secs(6);
    let (report, seconds) = world.visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::Closed));
    assert_eq!((seconds, world.tcp.lines.lock().len()), (6, 1));
}

#[test]
fn the_number_of_a_way_gives_it_back() {
    for (number, way) in Way::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(way.code()), number);
        assert_eq!(Way::from_code(way.code()), way);
    }
}

#[test]
fn who_is_not_reached_over_tcp_is_called_over_utp() {
    for (tcp, until_utp) in [(vec![Line::Refused], 1), (vec![], 6)] {
        let world = World::with_utp(tcp, vec![plain()]);
        let (report, seconds) = world.visit(None);
        assert!(report.link.is_some(), "{report:?}");
        assert_eq!(seconds, until_utp + 1);
    }
}

#[test]
fn the_second_transport_is_waited_for_half_as_long_and_adds_no_failure() {
    let (report, seconds) = World::with_utp(vec![Line::Refused], vec![]).visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::REFUSED));
    assert_eq!(seconds, 1 + 3);
    let (report, seconds) = World::with_utp(vec![], vec![]).visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::TimedOut));
    assert_eq!(seconds, 6 + 3);
    let (report, seconds) = World::with_utp(vec![closes()], vec![]).visit(None);
    assert_eq!(report.verdict, Verdict::Failed(Reason::Closed));
    assert_eq!(seconds, 1 + 3);
}

#[test]
fn who_turns_us_away_over_tcp_is_called_over_utp_in_both_ways() {
    let mut world = World::with_utp(vec![closes(), closes()], vec![closes(), encrypted()]);
    world.settings.encryption = EncryptionPolicy::PreferPlain;
    let (report, _) = world.visit(None);
    let link = report.link.unwrap();
    assert_eq!(link.encryption, Encryption::Rc4);
    let worked = Way {
        transport: Transport::Utp,
        encrypted: true,
    };
    world
        .utp
        .as_ref()
        .unwrap()
        .lines
        .lock()
        .push_back(encrypted());
    let (report, _) = world.visit(Some(worked));
    assert!(
        report.link.is_some(),
        "tried first, without TCP: {report:?}"
    );
}
