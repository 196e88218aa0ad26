//! Starts a node and speaks to its threads.
//!
//! Called by whoever needs peers, on any thread; no call waits.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;

use super::address::{Family, NodeInfo};
use super::board::Board;
use super::hook::QueryHook;
use super::id::NodeId;
use super::lookup::Tally;
use super::probe::{ProbeAnswer, ProbeOrder, ProbeQuestion};
use super::seat::{Seat, Shared};
use super::settings::DhtSettings;
use super::sink::{LookupEvent, Sink};
use super::status::DhtStatus;
use super::thread::Order;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::intake::NodeIntake;
use crate::model::{InfoHash, PeerAddress, Reason};
use crate::net::NetError;
use crate::net::datagram::{BoundUdp, DatagramSocket};
use crate::net::resolve::Resolver;
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::threads;

/// Bytes of stack for [`DhtHandle::run`]: enough for decoding and encoding in
/// a debug build; nothing recurses.
pub const STACK: usize = 512 * 1024;

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
                "the DHT node cannot use UDP port {port}: {error}; choose another"
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
    /// The node has ended, or its threads have failed and none runs in their
    /// place yet.
    Stopped,
}

impl fmt::Display for LookupRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private torrents are not looked up in the DHT",
            Self::Busy => "too many DHT look-ups are waiting",
            Self::Stopped => "the DHT node has failed or ended",
        })
    }
}

impl std::error::Error for LookupRefused {}

/// Starts nodes.
#[derive(Debug)]
pub struct DhtNode;

/// A node, prepared or running. Dropping it ends the node.
pub struct DhtHandle {
    clock: Arc<dyn Clock>,
    seats: Vec<Arc<Seat>>,
    board: Arc<Board>,
    announce_in: Option<Family>,
    /// Those of [`DhtNode::start`].
    threads: Mutex<Vec<(Family, JoinHandle<()>)>>,
    trigger: StopTrigger,
}

/// Closes a seat when its only thread ends, be it by a panic.
struct LastOn(Arc<Seat>);

impl Drop for LastOn {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl DhtNode {
    /// Binds the sockets and reads the saved nodes. Nothing runs yet: whoever
    /// supervises threads gives each of [`DhtHandle::families`] one that
    /// calls [`DhtHandle::run`]. The node ends with `stop`, with
    /// [`DhtHandle::stop`], or when the handle is dropped. Sees and reports
    /// every query through `hook`.
    ///
    /// # Errors
    /// When a port cannot be had, or the system has no random numbers.
    pub fn prepare(
        settings: DhtSettings,
        clock: Arc<dyn Clock>,
        stop: &StopToken,
        hook: Option<Arc<dyn QueryHook>>,
    ) -> Result<DhtHandle, DhtError> {
        let sockets = bind(&settings)?;
        let announce_in = settings.announce_in;
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
        let seats: Result<Vec<Arc<Seat>>, DhtError> = sockets
            .into_iter()
            .map(|(family, socket)| shared.seat(family, socket).map(Arc::new))
            .collect();
        Ok(DhtHandle {
            clock,
            seats: seats?,
            board: shared.board,
            announce_in,
            threads: Mutex::default(),
            trigger,
        })
    }

    /// The same with a thread for each address family, which nobody starts
    /// again when it fails.
    ///
    /// # Errors
    /// As [`Self::prepare`], or when there is no room for the threads.
    pub fn start(
        settings: DhtSettings,
        clock: Arc<dyn Clock>,
        stop: &StopToken,
        hook: Option<Arc<dyn QueryHook>>,
    ) -> Result<DhtHandle, DhtError> {
        let handle = Self::prepare(settings, clock, stop, hook)?;
        for seat in &handle.seats {
            let last = LastOn(Arc::clone(seat));
            let thread = threads::spawn(seat.family.thread_name(), STACK, move || last.0.run())
                .map_err(DhtError::NoThread)?;
            handle.threads.lock().push((seat.family, thread));
        }
        Ok(handle)
    }
}

/// Whether the host has no such address at all, instead of a taken port.
const fn lacks_family(error: &DhtError) -> bool {
    // EAFNOSUPPORT; EADDRNOTAVAIL.
    matches!(error, DhtError::Bind { error, .. } if matches!(error.reason, Reason::Os(97 | 99)))
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
            Err(error) if lacks_family(&error) => {
                log::info!("the DHT goes without IPv6, since this machine has none: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() {
        return Err(DhtError::NoAddress);
    }
    Ok(sockets)
}

impl DhtHandle {
    /// Looks for peers in both address families. The receiver gets each
    /// peer once and at last [`LookupEvent::Done`], by the time limit; it is
    /// closed without that when the node ends or a thread of it fails
    /// before. Nobody needs to read
    /// it in time: it has room for all.
    pub fn lookup(&self, request: &LookupRequest) -> Result<Receiver<LookupEvent>, LookupRefused> {
        if request.private {
            return Err(LookupRefused::Private);
        }
        let now = self.clock.now();
        let (sink, events) = Sink::new(self.seats.len(), now);
        let sink = Arc::new(sink);
        let until = Deadline::after(now, request.limit);
        let announced = |family| self.announce_in.is_none_or(|only| only == family);
        let port = request.announce_port.filter(|port| *port > 0);
        let mut refused = None;
        let mut taken = 0;
        for seat in &self.seats {
            let order = Order {
                info_hash: request.info_hash,
                announce: port.filter(|_| announced(seat.family)),
                until,
                sink: Arc::clone(&sink),
            };
            match seat.offer(order) {
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

    /// Asks one node one question. The answer comes within the time that a
    /// query may take, after those that wait; the channel is closed without
    /// one when the node is silent, refuses, or is another than `node` says.
    pub fn probe(
        &self,
        node: &NodeInfo,
        question: ProbeQuestion,
    ) -> Result<Receiver<ProbeAnswer>, LookupRefused> {
        let seat = self.seat(Family::of(node.address.ip()));
        let (answer, receiver) = bounded(1);
        seat.ok_or(LookupRefused::Stopped)?.probe(ProbeOrder {
            address: node.address,
            id: Some(node.id),
            question,
            answer,
        })?;
        Ok(receiver)
    }

    /// Of the nodes in our table, those of `family` nearest `target`, at most
    /// `limit`; a few seconds old.
    pub fn nodes_near(&self, family: Family, target: &NodeId, limit: usize) -> Vec<NodeInfo> {
        self.board.closest(family, target, limit)
    }

    /// Names a node, for the routing table: from a `port` message (BEP 5),
    /// say. It is pinged first.
    pub fn add_node(&self, address: SocketAddr) {
        let address = PeerAddress::from(address);
        let family = Family::of(address.ip());
        if let Some(seat) = self.seat(family) {
            seat.name_node(address);
        }
    }

    /// The state, at most a tenth of a second old.
    pub fn status(&self) -> DhtStatus {
        let of = |family| self.seat(family).map(Seat::status);
        DhtStatus {
            v4: of(Family::V4),
            v6: of(Family::V6),
        }
    }

    /// The UDP port of a family, if that is used.
    pub fn port(&self, family: Family) -> Option<u16> {
        self.seat(family).map(|seat| seat.port)
    }

    /// The address families in use; each wants a thread.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        self.seats.iter().map(|seat| seat.family)
    }

    /// Body of the thread of `family` of a prepared node; ends with the node.
    /// A panic is passed on; called again, the node goes on with the same
    /// port, id and nodes, and look-ups that were under way have failed.
    pub fn run(&self, family: Family) {
        if let Some(seat) = self.seat(family) {
            seat.run();
        }
    }

    /// Whether all families take packets, or will as soon as their threads
    /// have begun; `false` after the end, and from the failure of a thread
    /// until another runs in its place.
    pub fn is_running(&self) -> bool {
        self.seats.iter().all(|seat| seat.is_up())
    }

    /// Ends the node and waits for the threads it has started itself, which
    /// takes a tenth of a second.
    pub fn stop(&self) {
        self.trigger.stop();
        for (family, thread) in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                log::error!("DHT thread has failed family={family:?}");
            }
        }
        self.seats.iter().for_each(|seat| seat.close());
    }

    fn seat(&self, family: Family) -> Option<&Seat> {
        let mut seats = self.seats.iter().map(Arc::as_ref);
        seats.find(|seat| seat.family == family)
    }
}

impl NodeIntake for DhtHandle {
    fn node(&self, address: SocketAddr) {
        self.add_node(address);
    }
}

impl fmt::Debug for DhtHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhtHandle").finish_non_exhaustive()
    }
}
