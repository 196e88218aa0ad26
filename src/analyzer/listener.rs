//! The listener: one thread for each socket accepts, others take callers over
//! uTP, and a pool made on demand evaluates all.
//!
//! The accept thread never dies: when descriptors run out or a connection is
//! aborted it counts, waits a moment and goes on. A caller is handed to an
//! idle pool thread or to a new one, up to `listen.callers_max` callers in
//! all and `listen.callers_per_address_max` from one address; the others are
//! turned away at once, each counted with its reason; so is whoever is on the
//! opt-out list. Pool threads that stay idle end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use parking_lot::{Condvar, Mutex};

use crate::deadline::Deadline;
use crate::model::{PeerAddress, PeerKey, Reason, Torrent};
use crate::net::Stream;
use crate::net::tcp::ListenSocket;
use crate::threads::{VISIT_STACK, spawn};

use super::encrypted;
use super::engine::Engine;
use super::stays::{Candidate, Post, Whom};
use super::visit::{Report, Visitor};

/// Pause after an error of `accept`, so that a lack of descriptors does not
/// become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Idle time after which a pool thread ends.
const IDLE: Duration = Duration::from_secs(30);

/// Accepts callers and evaluates them.
pub struct Listener {
    engine: Arc<Engine>,
    sockets: Vec<ListenSocket>,
    seats: Arc<Seats>,
    handover: (Sender<Caller>, Receiver<Caller>),
    threads: AtomicU64,
}

/// A connection to evaluate, with its seat.
struct Caller {
    stream: Box<dyn Stream>,
    from: SocketAddr,
    _seat: Seat,
}

impl Listener {
    /// A listener on `sockets`.
    pub fn new(engine: Arc<Engine>, sockets: Vec<ListenSocket>) -> Self {
        let seats = Arc::new(Seats {
            total: engine.settings.listen.callers_max,
            per_address: engine.settings.listen.per_address_max,
            taken: Mutex::default(),
            empty: Condvar::new(),
        });
        Self {
            engine,
            sockets,
            seats,
            handover: bounded(0),
            threads: AtomicU64::new(0),
        }
    }

    /// How many sockets there are.
    pub const fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Body of the accept thread of the socket at `index`; ends when the
    /// sockets are shut.
    pub fn run(&self, index: usize) {
        let Some(socket) = self.sockets.get(index) else {
            return;
        };
        while !self.engine.stop.is_stopped() {
            match socket.accept() {
                Ok((stream, from)) => self.admit(Box::new(stream), from),
                Err(error) => {
                    if self.engine.stop.is_stopped() || self.engine.sockets.is_shut() {
                        return;
                    }
                    self.engine.stats.accept_failed();
                    log::debug!(
                        "accept failed: {}",
                        crate::model::Reason::Os(error.raw_os_error().unwrap_or(0)).label()
                    );
                    if self.engine.stop.wait(ACCEPT_PAUSE) {
                        return;
                    }
                }
            }
        }
    }

    /// Body of the thread that takes callers over uTP from the socket at
    /// `index`; ends when it is shut, at once where there is none.
    pub fn run_utp(&self, index: usize) {
        let utp = self.engine.utp.as_ref();
        let Some(socket) = utp.and_then(|utp| utp.sockets.get(index)) else {
            return;
        };
        while let Some((stream, from)) = socket.accept() {
            self.admit(Box::new(stream), from);
        }
    }

    /// The places of its callers, to wait for their end.
    pub fn seats(&self) -> Arc<Seats> {
        Arc::clone(&self.seats)
    }

    fn admit(&self, stream: Box<dyn Stream>, from: SocketAddr) {
        if self.engine.scheduler.has_opted_out(from.ip()) {
            return self.engine.caller_failed(Reason::OptedOut, None);
        }
        let seat = match Seats::take(&self.seats, from.ip()) {
            Ok(seat) => seat,
            Err(reason) => return self.engine.caller_failed(reason, None),
        };
        let caller = Caller {
            stream,
            from,
            _seat: seat,
        };
        if let Err(error) = self.handover.0.try_send(caller) {
            self.start_thread(error.into_inner());
        }
    }

    fn start_thread(&self, caller: Caller) {
        let number = self.threads.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        let (engine, next) = (Arc::clone(&self.engine), self.handover.1.clone());
        let body = move || evaluate_callers(&engine, caller, &next);
        if let Err(error) = spawn(&format!("caller-{number}"), VISIT_STACK, body) {
            log::debug!("no thread for a caller: {error}");
            self.engine.caller_failed(Reason::NoThread, None);
        }
    }
}

/// Body of a pool thread: its first caller, then those handed over.
fn evaluate_callers(engine: &Engine, first: Caller, next: &Receiver<Caller>) {
    let mut caller = first;
    loop {
        evaluate(engine, caller);
        select! {
            recv(next) -> handed => match handed {
                Ok(handed) => caller = handed,
                Err(_) => return,
            },
            recv(engine.stop.channel()) -> _ => return,
            default(IDLE) => return,
        }
    }
}

fn evaluate(engine: &Engine, mut caller: Caller) {
    let started = engine.clock.now();
    let _busy = Busy::begin(engine);
    let address = PeerAddress::from(caller.from);
    let admit = |torrent: &Torrent| {
        // Empty unless identities are those of 2015.
        let known = engine
            .contacted
            .contains(&PeerKey::new(address, torrent.id));
        if known {
            Err(Reason::AlreadyInOutgoing)
        } else {
            Ok(())
        }
    };
    let post = Post::new(None::<Infallible>);
    let candidate = Candidate {
        engine,
        post: &post,
        whom: Whom::Caller(address),
        look: false,
    };
    let visitor = engine.visitor().at(address.ip()).observed_by(&candidate);
    let (torrent, report) = talk(engine, &visitor, &mut *caller.stream, &admit);
    let key = torrent.map(|torrent| PeerKey::new(address, torrent.id));
    engine.caller_done(key, caller.from, started, &report);
}

/// Visits a caller in the way that its first bytes ask for.
fn talk(
    engine: &Engine,
    visitor: &Visitor<'_>,
    stream: &mut dyn Stream,
    admit: &dyn Fn(&Torrent) -> Result<(), Reason>,
) -> (Option<Arc<Torrent>>, Report) {
    let settings = &engine.settings.visit;
    let directory = &engine.directory;
    let terms = encrypted::Terms {
        torrents: directory,
        policy: settings.encryption,
        chance: encrypted::system_chance,
    };
    let (clock, patience) = (&*engine.clock, settings.quiet_timeout);
    let mut stream = encrypted::Incoming::new(stream, clock, patience, terms);
    let (torrent, mut report) = visitor.incoming(&mut stream, directory, admit);
    report.verdict = stream.judge(report.verdict);
    (torrent, report)
}

/// Counts a caller as being evaluated until dropped. A panic drops it too;
/// the caller is then counted as failed.
struct Busy<'a> {
    engine: &'a Engine,
}

impl<'a> Busy<'a> {
    fn begin(engine: &'a Engine) -> Self {
        engine.stats.caller_begins(engine.clock.now());
        Self { engine }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.engine.stats.caller_ends(self.engine.clock.now());
        if std::thread::panicking() {
            self.engine.caller_failed(Reason::Aborted, None);
        }
    }
}

/// Places for callers, in all and per address.
pub struct Seats {
    total: usize,
    per_address: usize,
    taken: Mutex<Taken>,
    /// The last caller has left.
    empty: Condvar,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One place, given back when dropped.
struct Seat {
    seats: Arc<Seats>,
    ip: IpAddr,
}

impl Seats {
    /// Waits until no caller is left, at most until `deadline`; tells how
    /// many are.
    pub fn wait_until_empty(&self, deadline: Deadline) -> usize {
        let mut taken = self.taken.lock();
        while taken.total > 0 {
            if self
                .empty
                .wait_until(&mut taken, deadline.instant())
                .timed_out()
            {
                break;
            }
        }
        taken.total
    }

    fn take(seats: &Arc<Self>, ip: IpAddr) -> Result<Seat, Reason> {
        let mut taken = seats.taken.lock();
        if taken.total >= seats.total {
            return Err(Reason::TooManyCallers);
        }
        let here = taken.by_address.entry(ip).or_default();
        if *here >= seats.per_address {
            return Err(Reason::TooManyFromAddress);
        }
        *here += 1;
        taken.total += 1;
        Ok(Seat {
            seats: Arc::clone(seats),
            ip,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        taken.total = taken.total.saturating_sub(1);
        if taken.total == 0 {
            self.seats.empty.notify_all();
        }
        if let Some(here) = taken.by_address.get_mut(&self.ip) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests;
