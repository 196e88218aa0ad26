//! Callers by the thousand from one thread of a process of its own, each
//! from an address of its own.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use btda::lab::wire;
use btda::model::PieceIndex;
use btda::protocol::message::encode_have;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use socket2::{Domain, Protocol, Socket, Type};

use super::child::Other;
use super::peers::{PIECES, bitfield};
use super::table::quantile;
use super::world::info_hash;

/// Pause between two haves of a caller.
const HAVE_PAUSE: Duration = Duration::from_secs(3);

/// How long after the last call the handshakes are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Handshake, half a bitfield, then a have every three seconds.
    Live,
    /// Handshake, no bitfield, then a have every three seconds.
    Haves,
    /// Handshake and half a bitfield, then nothing.
    Stay,
    /// Hang up as soon as they are connected.
    HangUp,
}

impl Manner {
    const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Haves => "haves",
            Self::Stay => "stay",
            Self::HangUp => "hangup",
        }
    }
}

/// Who calls whom, and how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) manner: Manner,
    pub(crate) target: SocketAddr,
    pub(crate) count: usize,
    /// Calls per second.
    pub(crate) rate: f64,
    /// Number of the first caller's address.
    pub(crate) first: usize,
}

/// What the callers saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Connections that were made.
    pub(crate) connected: usize,
    /// Of these, answered by a handshake.
    pub(crate) greeted: usize,
    /// Wait for that, from the call, in seconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// Callers at work; they hang up when this is dropped.
pub(crate) struct Callers {
    other: Other,
}

impl Callers {
    pub(crate) fn start(crowd: &Crowd) -> Self {
        let Crowd {
            manner,
            target,
            count,
            rate,
            first,
        } = crowd;
        let [target, count] = [target.to_string(), count.to_string()];
        let [rate, first] = [rate.to_string(), first.to_string()];
        let other = Other::start(&["--callers", manner.word(), &target, &count, &rate, &first]);
        Self { other }
    }

    /// Waits until all have called and been greeted, or given up.
    pub(crate) fn seen(&mut self) -> Seen {
        let line = self.other.line();
        let numbers: Vec<f64> = line.split(' ').map(|it| it.parse().expect(it)).collect();
        let whole = |place: usize| numbers[place] as usize;
        Seen {
            connected: whole(0),
            greeted: whole(1),
            p50: numbers[2],
            p99: numbers[3],
            max: numbers[4],
        }
    }
}

/// Body of the child.
pub(crate) fn child(arguments: &[String]) {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let crowd = Crowd {
        manner: [Manner::Live, Manner::Haves, Manner::Stay, Manner::HangUp]
            .into_iter()
            .find(|manner| manner.word() == arguments[0])
            .expect("a manner"),
        target: arguments[1].parse().expect("an address"),
        count: arguments[2].parse().expect("a number"),
        rate: arguments[3].parse().expect("a number"),
        first: arguments[4].parse().expect("a number"),
    };
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            drop(line);
        }
        told.store(true, Ordering::Relaxed);
    });
    let mut call = Call::new(crowd);
    call.all();
    call.report();
    call.until(&over);
    std::process::exit(0);
}

/// One caller.
struct Caller {
    stream: TcpStream,
    called: Instant,
    read: usize,
    wait: Option<Duration>,
}

/// All callers of the child.
struct Call {
    crowd: Crowd,
    speech: Vec<u8>,
    poll: OwnedFd,
    callers: Vec<Option<Caller>>,
    waits: Vec<f64>,
    connected: usize,
    start: Instant,
    haves: usize,
    first_have: Option<Instant>,
}

impl Call {
    fn new(crowd: Crowd) -> Self {
        let mut speech = wire::handshake(
            wire::NO_EXTENSIONS,
            info_hash().as_bytes(),
            b"-BN0001-callercaller",
        );
        if crowd.manner != Manner::Haves {
            speech.extend(bitfield(PIECES, 0x55));
        }
        Self {
            crowd,
            speech,
            poll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll"),
            callers: Vec::new(),
            waits: Vec::new(),
            connected: 0,
            start: Instant::now(),
            haves: 0,
            first_have: None,
        }
    }

    /// Makes all calls at their times, then waits for the last answers.
    fn all(&mut self) {
        while self.callers.len() < self.crowd.count {
            let due = self.callers.len() as f64 / self.crowd.rate;
            let due = self.start + Duration::from_secs_f64(due);
            let now = Instant::now();
            if due > now {
                self.listen((due - now).min(Duration::from_millis(10)));
                self.tell_haves();
            } else {
                let caller = self.call();
                self.callers.push(caller);
                // Also when the calls are late, answers are read as they come.
                if self.callers.len().is_multiple_of(8) {
                    self.listen(Duration::ZERO);
                }
            }
        }
        let end = Instant::now() + PATIENCE;
        let wanted = self.crowd.manner != Manner::HangUp;
        while wanted && self.waits.len() < self.connected && Instant::now() < end {
            self.listen(Duration::from_millis(10));
            self.tell_haves();
        }
    }

    fn call(&mut self) -> Option<Caller> {
        let number = self.crowd.first + self.callers.len();
        let [_, a, b, c] = u32::try_from(number % (1 << 22)).ok()?.to_be_bytes();
        let from = SocketAddr::from(([127, 128 + a, b, c], 0));
        let called = Instant::now();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).ok()?;
        socket.bind(&from.into()).ok()?;
        socket.connect(&self.crowd.target.into()).ok()?;
        self.connected += 1;
        if self.crowd.manner == Manner::HangUp {
            return None;
        }
        socket.set_nonblocking(true).ok()?;
        let mut stream = TcpStream::from(socket);
        stream.write_all(&self.speech).ok()?;
        let data = epoll::EventData::new_u64(self.callers.len() as u64);
        epoll::add(&self.poll, &stream, data, epoll::EventFlags::IN).ok()?;
        Some(Caller {
            stream,
            called,
            read: 0,
            wait: None,
        })
    }

    /// Reads what comes, for `wait` at most.
    fn listen(&mut self, wait: Duration) {
        let mut events = Vec::with_capacity(1024);
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let room = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.poll, room, Some(&wait)).is_err() {
            return;
        }
        for event in events {
            let place = usize::try_from(event.data.u64()).expect("fits");
            self.read(place);
        }
    }

    fn read(&mut self, place: usize) {
        let Some(Some(caller)) = self.callers.get_mut(place) else {
            return;
        };
        match caller.stream.read(&mut [0; 256]) {
            Ok(read) if read > 0 => {
                caller.read += read;
                if caller.read >= wire::HANDSHAKE_LEN && caller.wait.is_none() {
                    let wait = caller.called.elapsed();
                    caller.wait = Some(wait);
                    self.waits.push(wait.as_secs_f64());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => self.callers[place] = None,
        }
    }

    /// Sends those haves that are due, to one caller after the other.
    fn tell_haves(&mut self) {
        let tells = matches!(self.crowd.manner, Manner::Live | Manner::Haves);
        if !tells || self.callers.is_empty() {
            return;
        }
        let start = *self.first_have.get_or_insert_with(Instant::now);
        let rate = self.callers.len() as f64 / HAVE_PAUSE.as_secs_f64();
        let due = (start.elapsed().as_secs_f64() * rate) as usize;
        // A burst after a delay would be a load of its own.
        self.haves = self.haves.max(due.saturating_sub(self.callers.len()));
        while self.haves < due {
            let turns = u32::try_from(self.haves / self.callers.len()).unwrap_or(0);
            let place = self.haves % self.callers.len();
            let mut bytes = Vec::new();
            encode_have(PieceIndex((turns * 2) % PIECES), &mut bytes);
            if let Some(Some(caller)) = self.callers.get_mut(place) {
                let _ = caller.stream.write(&bytes);
            }
            self.haves += 1;
        }
    }

    fn report(&mut self) {
        self.waits.sort_by(f64::total_cmp);
        println!(
            "{} {} {} {} {}",
            self.connected,
            self.waits.len(),
            quantile(&self.waits, 0.5),
            quantile(&self.waits, 0.99),
            quantile(&self.waits, 1.0)
        );
    }

    fn until(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            self.listen(Duration::from_millis(10));
            self.tell_haves();
        }
    }
}
