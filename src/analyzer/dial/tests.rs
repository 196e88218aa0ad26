//! Plans of ways, and contacts over scripted connections.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::analyzer::visit::tests::settings;
use crate::clock::{Clock, ManualClock};
use crate::config::settings::VisitSettings;
use crate::model::{PeerId, Timestamp};
use crate::net::fake::{FakeStream, Step};
use crate::net::{NetError, Operation, Stream};
use crate::stop::{StopTrigger, stop_pair};

/// What the next connection becomes.
enum Line {
    Refused,
    Open(Vec<Step>),
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
        }
    }
}

struct World {
    clock: ManualClock,
    settings: VisitSettings,
    stop: crate::stop::StopToken,
    trigger: StopTrigger,
    tcp: Lines,
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
            clock,
        }
    }

    /// The report, and the seconds that the contact took.
    fn visit(&self, worked: Option<Way>) -> (Report, u64) {
        let dialer = Dialer {
            visitor: Visitor {
                clock: &self.clock,
                settings: &self.settings,
                own_id: PeerId::new([b'O'; 20]),
                stop: &self.stop,
            },
            transports: vec![(Transport::Tcp, &self.tcp)],
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

#[test]
fn the_number_of_a_way_gives_it_back() {
    for (number, way) in Way::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(way.code()), number);
        assert_eq!(Way::from_code(way.code()), way);
    }
}
