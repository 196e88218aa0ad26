//! The place of one thread of a node, kept when the thread fails, so that
//! another can go on with the same socket, id and routing table.
//!
//! Made by [`super::handle`]; [`Seat::run`] is the body of the threads `dht4`
//! and `dht6`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::address::Family;
use super::board::Board;
use super::core::{Core, Setup};
use super::handle::{DhtError, LookupRefused};
use super::hook::QueryHook;
use super::persist::{self, SavedNodes};
use super::probe::ProbeOrder;
use super::random::Random;
use super::settings::DhtSettings;
use super::status::FamilyStatus;
use super::thread::{NodeThread, Notice, Order};
use crate::clock::Clock;
use crate::model::PeerAddress;
use crate::net::datagram::{BoundUdp, DatagramSocket};
use crate::net::resolve::Resolver;
use crate::stop::StopToken;

/// Look-ups that wait for a thread at most.
const ORDERS_MAX: usize = 1024;

/// Other news that waits.
const NOTICES_MAX: usize = 256;

/// Single questions that wait for a thread at most.
const PROBES_MAX: usize = 256;

/// Takes packets, or will soon.
const UP: u8 = 0;

/// The thread failed, and no other has begun.
const DOWN: u8 = 1;

/// Ended in order; nobody will begin.
const OVER: u8 = 2;

/// What all seats of a node are made from.
pub(super) struct Shared {
    pub(super) settings: Arc<DhtSettings>,
    pub(super) bootstrap: Arc<[String]>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stops: [StopToken; 2],
    pub(super) hook: Option<Arc<dyn QueryHook>>,
    pub(super) board: Arc<Board>,
    pub(super) resolver: Resolver,
}

/// The place of the thread of one address family.
pub(super) struct Seat {
    pub(super) family: Family,
    pub(super) port: u16,
    orders: Sender<Order>,
    probes: Sender<ProbeOrder>,
    notices: Sender<Notice>,
    status: Arc<Mutex<FamilyStatus>>,
    state: AtomicU8,
    /// Locked while a thread runs; nothing once the node has ended.
    kept: Mutex<Option<NodeThread>>,
}

impl Shared {
    /// A seat that nobody has taken yet.
    pub(super) fn seat(&self, family: Family, socket: BoundUdp) -> Result<Seat, DhtError> {
        let state_file = self.settings.state_file.as_deref();
        let state_file = state_file.map(|base| persist::file_of(base, family));
        let saved = state_file.as_deref().map(load).unwrap_or_default();
        let setup = Setup {
            settings: Arc::clone(&self.settings),
            family,
            hook: self.hook.clone(),
            board: Arc::clone(&self.board),
            saved,
            random: Random::from_system().map_err(|_| DhtError::NoRandom)?,
        };
        // Unbounded, as only such a channel drops what waits in it, and with
        // it the sinks, when the node ends. `offer` keeps it short.
        let (orders, orders_in) = unbounded();
        let (probes, probes_in) = bounded(PROBES_MAX);
        let (notices, notices_in) = bounded(NOTICES_MAX);
        let status: Arc<Mutex<FamilyStatus>> = Arc::default();
        let port = socket.port();
        let thread = NodeThread {
            core: Core::new(setup, self.clock.now()),
            socket: Box::new(socket),
            clock: Arc::clone(&self.clock),
            stops: self.stops.clone(),
            orders: orders_in,
            probes: probes_in,
            notices: (notices.clone(), notices_in),
            status: Arc::clone(&status),
            bootstrap: Arc::clone(&self.bootstrap),
            resolver: self.resolver.clone(),
            state_file,
        };
        Ok(Seat {
            family,
            port,
            orders,
            probes,
            notices,
            status,
            state: AtomicU8::new(UP),
            kept: Mutex::new(Some(thread)),
        })
    }
}

fn load(path: &std::path::Path) -> SavedNodes {
    persist::load(path).unwrap_or_else(|error| {
        let path = path.display();
        log::warn!(
            "kept DHT nodes cannot be read, starting without; delete the file if this stays \
             file={path} error={error}"
        );
        SavedNodes::default()
    })
}

impl Seat {
    /// Runs until the stop. After a panic, which is passed on, it can be
    /// called again: look-ups under way have failed, those that wait go on.
    pub(super) fn run(&self) {
        let mut kept = self.kept.lock();
        let Some(thread) = kept.as_mut() else {
            return;
        };
        self.state.store(UP, Ordering::Relaxed);
        match catch_unwind(AssertUnwindSafe(|| thread.run())) {
            Ok(()) => {
                *kept = None;
                self.state.store(OVER, Ordering::Relaxed);
            }
            Err(panic) => {
                self.state.store(DOWN, Ordering::Relaxed);
                thread.recover();
                drop(kept);
                resume_unwind(panic);
            }
        }
    }

    /// Nobody will run it any more: what waits is dropped. A thread that is
    /// still there drops it itself.
    pub(super) fn close(&self) {
        self.state.store(OVER, Ordering::Relaxed);
        if let Some(mut kept) = self.kept.try_lock() {
            *kept = None;
        }
    }

    /// Whether it takes packets, or will as soon as its thread has begun.
    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    pub(super) fn offer(&self, order: Order) -> Result<(), LookupRefused> {
        if !self.is_up() {
            return Err(LookupRefused::Stopped);
        }
        if self.orders.len() >= ORDERS_MAX {
            return Err(LookupRefused::Busy);
        }
        self.orders.send(order).map_err(|_| LookupRefused::Stopped)
    }

    pub(super) fn probe(&self, order: ProbeOrder) -> Result<(), LookupRefused> {
        if !self.is_up() {
            return Err(LookupRefused::Stopped);
        }
        self.probes.try_send(order).map_err(|_| LookupRefused::Busy)
    }

    pub(super) fn name_node(&self, address: PeerAddress) {
        // There are enough others when too many wait.
        let _ = self.notices.try_send(Notice::Node(address));
    }

    pub(super) fn status(&self) -> FamilyStatus {
        *self.status.lock()
    }
}
