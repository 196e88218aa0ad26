//! Packets of UDP trackers, and the whole dialogue with one that the fuzzer
//! plays.

use std::cell::RefCell;
use std::time::Duration;

use btda::clock::{Clock, ManualClock};
use btda::deadline::Deadline;
use btda::model::{InfoHash, Timestamp};
use btda::net::udp::Datagram;
use btda::net::{NetError, Operation};
use btda::tracker::exchange::{Connection, Exchange};
use btda::tracker::udp::{Request, Response, SCRAPE_MAX};
use btda::tracker::{Random, TrackerError};

use super::http_tracker::{is_bounded, is_presentable};
use super::input::Input;

const PATIENCE: Duration = Duration::from_secs(6);

/// The first byte chooses what the rest is.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        0 => response(input.rest(), false),
        1 => response(input.rest(), true),
        2 => request(input.rest()),
        _ => dialogue(input),
    }
}

fn response(packet: &[u8], ipv6: bool) {
    let Ok((transaction, response)) = Response::decode(packet, ipv6) else {
        return;
    };
    match &response {
        Response::Announce(answer) => is_bounded(answer, packet),
        Response::Scrape(figures) => assert!(figures.len() <= SCRAPE_MAX),
        Response::Error(text) => {
            is_presentable(&TrackerError::Refused {
                text: text.clone(),
                retry: None,
            });
            if text.ends_with(b"\0") {
                // Only one NUL at the end is not of the text.
                return;
            }
        }
        Response::Connect(_) => {}
    }
    let holds_all = !matches!(&response, Response::Announce(answer) if answer.left_out > 0);
    if !ipv6 && holds_all {
        let again = Response::decode(&response.encode(transaction), false);
        assert_eq!(again, Ok((transaction, response)));
    }
}

fn request(packet: &[u8]) {
    let Ok((transaction, request)) = Request::decode(packet) else {
        return;
    };
    let again = Request::decode(&request.encode(transaction));
    assert_eq!(again, Ok((transaction, request)));
}

fn dialogue(mut input: Input<'_>) {
    let clock = ManualClock::new(Timestamp(0));
    let tracker = Tracker {
        clock: clock.clone(),
        input: RefCell::new(Input::new(input.rest())),
    };
    let connection = Connection::default();
    let exchange = Exchange {
        clock: &clock,
        random: &Ones,
        socket: &tracker,
        connection: &connection,
        deadline: Deadline::after(clock.now(), PATIENCE),
        first_wait: PATIENCE / 6,
    };
    let start = clock.now();
    let hashes = vec![InfoHash::new([b'a'; 20])];
    for _ in 0..2 {
        let answer = exchange.run(|connection| Request::Scrape {
            connection,
            hashes: hashes.clone(),
        });
        match answer {
            Ok(Response::Scrape(_)) => {}
            Ok(other) => panic!("asked for a scrape, got {other:?}"),
            Err(error) => is_presentable(&error),
        }
    }
    assert!(clock.now() - start <= PATIENCE, "took too long");
}

/// The transaction ids, which a fuzzer cannot guess.
struct Ones;

impl Random for Ones {
    fn next(&self) -> Result<u32, TrackerError> {
        Ok(0x0101_0101)
    }
}

/// Each datagram begins with a byte: two bits for the pause, six for its
/// length.
struct Tracker<'a> {
    clock: ManualClock,
    input: RefCell<Input<'a>>,
}

impl Datagram for Tracker<'_> {
    fn send(&self, bytes: &[u8]) -> Result<(), NetError> {
        assert!(Request::decode(bytes).is_ok(), "we sent {bytes:?}");
        Ok(())
    }

    fn receive(&self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        assert!(!wait.is_zero() && wait <= PATIENCE);
        let mut input = self.input.borrow_mut();
        let step = input.byte();
        let silent = input.is_empty();
        let pause = Duration::from_millis([0, 10, 900, 5_000][usize::from(step >> 6)]);
        self.clock
            .advance(if silent { wait } else { pause.min(wait) });
        if silent || pause > wait {
            return Err(NetError::timed_out(Operation::Read));
        }
        let packet = input.take(usize::from(step & 0x3f));
        buffer[..packet.len()].copy_from_slice(packet);
        Ok(packet.len())
    }
}
