//! Starts a node and speaks to its threads.
//!
//! Called by whoever needs peers, on any thread; no call waits.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::address::Family;
use super::board::Board;
use super::core::{Core, Setup};
use super::hook::QueryHook;
use super::lookup::Tally;
use super::persist::{self, SavedNodes};
use super::random::Random;
use super::settings::DhtSettings;
use super::sink::{LookupEvent, Sink};
use super::status::{DhtStatus, FamilyStatus};
use super::thread::{NodeThread, Notice, Order};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{InfoHash, PeerAddress};
use crate::net::NetError;
use crate::net::datagram::{BoundUdp, DatagramSocket};
use crate::net::resolve::Resolver;
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::threads;

/// Look-ups that wait for a thread at most.
const ORDERS_MAX: usize = 1024;

/// Other news that waits.
const NOTICES_MAX: usize = 256;

/// Enough for decoding and encoding in a debug build; nothing recurses.
const STACK: usize = 512 * 1024;

/// Why a node cannot start.
#[derive(Debug)]
pub enum DhtError {
    /// The settings name neither an IPv4 nor an IPv6 address.
    NoAddress,
    /// The UDP port could not be bound: taken, not allowed, or there is no
    /// such address here.
    Bind {
        /// The wanted port.
        port: u16,
        /// What the system says.
        error: NetError,
    },
    /// The system has no random numbers.
    NoRandom,
    /// The system has no room for another thread.
    NoThread(io::Error),
}

impl fmt::Display for DhtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the DHT node has neither an IPv4 nor an IPv6 address"),
            Self::Bind { port, error } => write!(
                f,
                "the DHT node cannot use UDP port {port}: {error}; choose another port"
            ),
            Self::NoRandom => f.write_str("the system gives no random numbers for the DHT node"),
            Self::NoThread(error) => write!(f, "the DHT node gets no thread: {error}"),
        }
    }
}

impl std::error::Error for DhtError {}

/// A look-up that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupRequest {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Announce this port of ours to the closest nodes afterwards; `None`
    /// or 0 announces nothing.
    pub announce_port: Option<u16>,
    /// The torrent is private (BEP 27): refused.
    pub private: bool,
    /// Time for everything, at most half an hour. While
    /// [`DhtSettings::lookups_max`] others are under way it runs already.
    pub limit: Duration,
}

/// Why a look-up does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupRefused {
    /// Private torrents are neither looked up nor announced (BEP 27).
    Private,
    /// Too many look-ups wait.
    Busy,
    /// The node has ended.
    Stopped,
}

impl fmt::Display for LookupRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private torrents are not looked up in the DHT",
            Self::Busy => "too many DHT look-ups are waiting",
            Self::Stopped => "the DHT node has ended",
        })
    }
}

impl std::error::Error for LookupRefused {}

/// Starts nodes.
#[derive(Debug)]
pub struct DhtNode;

/// A running node. Dropping it ends the node.
pub struct DhtHandle {
    clock: Arc<dyn Clock>,
    families: Vec<Running>,
    trigger: StopTrigger,
}

struct Running {
    family: Family,
    port: u16,
    orders: Sender<Order>,
    notices: Sender<Notice>,
    status: Arc<Mutex<FamilyStatus>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DhtNode {
    /// Binds the sockets and starts a thread for each address family. The
    /// node ends with `stop`, with [`DhtHandle::stop`], or when the handle is
    /// dropped. Sees and reports every query through `hook`.
    pub fn start(
        settings: DhtSettings,
        clock: Arc<dyn Clock>,
        stop: &StopToken,
        hook: Option<Arc<dyn QueryHook>>,
    ) -> Result<DhtHandle, DhtError> {
        let sockets = bind(&settings)?;
        let (trigger, own_stop) = stop_pair();
        let shared = Shared {
            bootstrap: settings.bootstrap.clone().into(),
            settings: Arc::new(settings),
            clock: Arc::clone(&clock),
            stops: [stop.clone(), own_stop],
            hook,
            board: Arc::default(),
            resolver: Resolver::new(),
        };
        let families: Result<Vec<Running>, DhtError> = sockets
            .into_iter()
            .map(|(family, socket)| shared.start(family, socket))
            .collect();
        Ok(DhtHandle {
            clock,
            families: families?,
            trigger,
        })
    }
}

/// The sockets of both families. A host without IPv6 does with IPv4 alone.
fn bind(settings: &DhtSettings) -> Result<Vec<(Family, BoundUdp)>, DhtError> {
    let open = |ip: std::net::IpAddr, port: u16| {
        BoundUdp::bind(SocketAddr::new(ip, port)).map_err(|error| DhtError::Bind { port, error })
    };
    let mut sockets = Vec::new();
    let mut port = settings.port;
    if let Some(ip) = settings.address {
        let socket = open(ip.into(), port)?;
        port = socket.port();
        sockets.push((Family::V4, socket));
    }
    if let Some(ip) = settings.address6 {
        let socket = open(ip.into(), port).or_else(|error| {
            if settings.port == 0 {
                open(ip.into(), 0)
            } else {
                Err(error)
            }
        });
        match socket {
            Ok(socket) => sockets.push((Family::V6, socket)),
            Err(error) if sockets.is_empty() => return Err(error),
            Err(error) => log::info!("DHT goes without IPv6: {error}"),
        }
    }
    if sockets.is_empty() {
        return Err(DhtError::NoAddress);
    }
    Ok(sockets)
}

/// What the threads are made from.
struct Shared {
    settings: Arc<DhtSettings>,
    bootstrap: Arc<[String]>,
    clock: Arc<dyn Clock>,
    stops: [StopToken; 2],
    hook: Option<Arc<dyn QueryHook>>,
    board: Arc<Board>,
    resolver: Resolver,
}

impl Shared {
    fn start(&self, family: Family, socket: BoundUdp) -> Result<Running, DhtError> {
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
        // it the sinks, when the thread ends. `offer` keeps it short.
        let (orders, orders_in) = unbounded();
        let (notices, notices_in) = bounded(NOTICES_MAX);
        let status: Arc<Mutex<FamilyStatus>> = Arc::default();
        let port = socket.port();
        let thread = NodeThread {
            core: Core::new(setup, self.clock.now()),
            socket: Box::new(socket),
            clock: Arc::clone(&self.clock),
            stops: self.stops.clone(),
            orders: orders_in,
            notices: (notices.clone(), notices_in),
            status: Arc::clone(&status),
            bootstrap: Arc::clone(&self.bootstrap),
            resolver: self.resolver.clone(),
            state_file,
        };
        let name = match family {
            Family::V4 => "dht4",
            Family::V6 => "dht6",
        };
        let thread =
            threads::spawn(name, STACK, move || thread.run()).map_err(DhtError::NoThread)?;
        Ok(Running {
            family,
            port,
            orders,
            notices,
            status,
            thread: Mutex::new(Some(thread)),
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

impl DhtHandle {
    /// Looks for peers in both address families. The receiver gets each
    /// peer once and at last [`LookupEvent::Done`], by the time limit; it is
    /// closed without that when the node ends before. Nobody needs to read
    /// it in time: it has room for all.
    pub fn lookup(&self, request: &LookupRequest) -> Result<Receiver<LookupEvent>, LookupRefused> {
        if request.private {
            return Err(LookupRefused::Private);
        }
        let now = self.clock.now();
        let (sink, events) = Sink::new(self.families.len(), now);
        let sink = Arc::new(sink);
        let order = Order {
            info_hash: request.info_hash,
            announce: request.announce_port.filter(|port| *port > 0),
            until: Deadline::after(now, request.limit),
            sink: Arc::clone(&sink),
        };
        let mut refused = None;
        let mut taken = 0;
        for family in &self.families {
            match family.offer(order.clone()) {
                Ok(()) => taken += 1,
                Err(error) => {
                    refused = Some(error);
                    sink.finish(Tally::default(), now);
                }
            }
        }
        match refused {
            Some(refused) if taken == 0 => Err(refused),
            _ => Ok(events),
        }
    }

    /// Names a node, for the routing table: from a `port` message (BEP 5),
    /// say. It is pinged first.
    pub fn add_node(&self, address: SocketAddr) {
        let address = PeerAddress::from(address);
        let family = Family::of(address.ip());
        for running in self.families.iter().filter(|one| one.family == family) {
            // There are enough others when too many wait.
            let _ = running.notices.try_send(Notice::Node(address));
        }
    }

    /// The state, at most a tenth of a second old.
    pub fn status(&self) -> DhtStatus {
        let of = |family| {
            let running = self.families.iter().find(|one| one.family == family);
            running.map(|running| *running.status.lock())
        };
        DhtStatus {
            v4: of(Family::V4),
            v6: of(Family::V6),
        }
    }

    /// The UDP port of a family, if that is used.
    pub fn port(&self, family: Family) -> Option<u16> {
        let running = self.families.iter().find(|one| one.family == family);
        running.map(|running| running.port)
    }

    /// Whether all its threads run; `false` after a stop, or when one of
    /// them failed.
    pub fn is_running(&self) -> bool {
        self.families.iter().all(|family| {
            let thread = family.thread.lock();
            thread.as_ref().is_some_and(|thread| !thread.is_finished())
        })
    }

    /// Ends the node and waits for its threads, which takes a tenth of a
    /// second.
    pub fn stop(&self) {
        self.trigger.stop();
        for family in &self.families {
            let thread = family.thread.lock().take();
            if let Some(Err(_)) = thread.map(JoinHandle::join) {
                log::error!("DHT thread has failed family={:?}", family.family);
            }
        }
    }
}

impl Running {
    fn offer(&self, order: Order) -> Result<(), LookupRefused> {
        if self.orders.len() >= ORDERS_MAX {
            return Err(LookupRefused::Busy);
        }
        self.orders.send(order).map_err(|_| LookupRefused::Stopped)
    }
}

impl fmt::Debug for DhtHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhtHandle").finish_non_exhaustive()
    }
}
