//! The UDP thread of one address family, `dht4` or `dht6`.
//!
//! It waits for packets at most [`WAIT_IDLE`] at a time, then looks at its
//! channels and at the stop; while packets come, every [`TURN`]. A datagram to ourselves could end the wait at
//! once, but everybody can send such, a firewall may eat it, and a look-up
//! every few minutes can wait a tenth of a second.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::core::{Core, Now, Wanted};
use super::krpc::PACKET_MAX;
use super::persist::{SavedNodes, save};
use super::probe::ProbeOrder;
use super::routing::BUCKET_SIZE;
use super::sink::Sink;
use super::status::FamilyStatus;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{InfoHash, PeerAddress};
use crate::net::datagram::DatagramSocket;
use crate::net::resolve::Resolver;
use crate::stop::StopToken;
use crate::{model::Reason, threads};

/// Longest wait for a packet, and so for the stop and for commands.
const WAIT_IDLE: Duration = Duration::from_millis(100);

/// The same while look-ups are under way, which count on timers.
const WAIT_BUSY: Duration = Duration::from_millis(10);

/// Time for which packets are answered without a look at anything else.
const TURN: Duration = Duration::from_millis(10);

/// Time between two writings of the node file.
const SAVE_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Time for looking up one bootstrap name.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Time between two looks at what the system threw away.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Pause after an error of the socket, so that a broken one takes no core.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Looks up a few names; the resolver has a thread of its own for each.
const RESOLVE_STACK: usize = 128 * 1024;

/// A look-up that waits for the thread.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) info_hash: InfoHash,
    pub(super) announce: Option<u16>,
    pub(super) until: Deadline,
    pub(super) sink: Arc<Sink>,
}

/// Other news for the thread.
#[derive(Debug)]
pub(super) enum Notice {
    /// Addresses of the bootstrap nodes.
    Resolved(Vec<PeerAddress>),
    /// Somebody named a node.
    Node(PeerAddress),
}

/// What the thread owns.
pub(super) struct NodeThread {
    pub(super) core: Core,
    pub(super) socket: Box<dyn DatagramSocket>,
    pub(super) clock: Arc<dyn Clock>,
    /// The end of the run, and the end of the node.
    pub(super) stops: [StopToken; 2],
    pub(super) orders: Receiver<Order>,
    pub(super) probes: Receiver<ProbeOrder>,
    pub(super) notices: (Sender<Notice>, Receiver<Notice>),
    pub(super) status: Arc<Mutex<FamilyStatus>>,
    pub(super) bootstrap: Arc<[String]>,
    pub(super) resolver: Resolver,
    pub(super) state_file: Option<PathBuf>,
}

impl NodeThread {
    /// Runs until the stop.
    pub(super) fn run(&mut self) {
        let mut buffer = vec![0; PACKET_MAX + 1];
        let mut next_save = self.clock.now() + SAVE_PAUSE;
        let mut next_look = self.clock.now();
        while !self.stops.iter().any(StopToken::is_stopped) {
            self.take_orders();
            let now = self.now();
            if now.instant >= next_look {
                self.core.overflowed(self.socket.overflowed());
                next_look = now.instant + LOOK_PAUSE;
            }
            self.tick(now);
            if now.instant >= next_save {
                self.save(now.instant);
                next_save = now.instant + SAVE_PAUSE;
            }
            self.flush();
            self.serve(&mut buffer, now.instant + TURN);
        }
        self.core.overflowed(self.socket.overflowed());
        *self.status.lock() = self.core.status(self.clock.now());
        self.save(self.clock.now());
    }

    /// Puts a fresh core in the place of one that a panic left in any state:
    /// look-ups under way end, id and nodes stay.
    pub(super) fn recover(&mut self) {
        let now = self.clock.now();
        let (core, status) = (&mut self.core, &self.status);
        let successor = catch_unwind(AssertUnwindSafe(|| core.successor(now)));
        // What cannot be read any more is left to the next failure.
        if let Ok(mut successor) = successor {
            *status.lock() = successor.status(now);
            self.core = successor;
        }
    }

    fn now(&self) -> Now {
        let (instant, stamp) = self.clock.both();
        Now { instant, stamp }
    }

    /// Takes and answers packets until none comes for a while, or one has
    /// come behind `until`: in a flood, the rest of the loop costs each of
    /// them next to nothing.
    fn serve(&mut self, buffer: &mut [u8], until: Instant) {
        while let Some(at) = self.receive(buffer) {
            self.flush();
            if at >= until {
                return;
            }
        }
    }

    fn tick(&mut self, now: Now) {
        self.core.tick(now);
        if self.core.wants_resolve() {
            self.resolve();
        }
        let status = self.core.status(now.instant);
        *self.status.lock() = status;
    }

    fn take_orders(&mut self) {
        while let Ok(notice) = self.notices.1.try_recv() {
            match notice {
                Notice::Resolved(addresses) => self.core.resolved(&addresses, self.clock.now()),
                Notice::Node(address) => self.core.add_node(address),
            }
        }
        let now = self.clock.now();
        while self.core.may_probe(now) {
            let Ok(order) = self.probes.try_recv() else {
                break;
            };
            self.core.probe(order, now);
        }
        while self.core.has_room() {
            let Ok(order) = self.orders.try_recv() else {
                break;
            };
            let now = self.now();
            // One that waited too long ends at its first step.
            let limit = order.until.left(now.instant).unwrap_or_default();
            let wanted = Wanted {
                info_hash: order.info_hash,
                announce: order.announce,
                limit,
                sink: order.sink,
            };
            self.core.look_up(wanted, now);
        }
    }

    fn flush(&mut self) {
        while let Some(packet) = self.core.next_outgoing() {
            if self.socket.send_to(&packet.bytes, packet.to).is_err() {
                self.core.not_sent(packet.transaction);
            }
        }
    }

    /// Waits for a packet and takes it; when it came, if one did.
    fn receive(&mut self, buffer: &mut [u8]) -> Option<Instant> {
        let wait = if self.core.is_busy(self.clock.now()) {
            WAIT_BUSY
        } else {
            WAIT_IDLE
        };
        match self.socket.receive_from(buffer, wait) {
            Ok((length, from)) => {
                let now = self.now();
                let packet = buffer.get(..length).unwrap_or_default();
                self.core.receive(packet, from, now);
                return Some(now.instant);
            }
            Err(error) if error.reason == Reason::TimedOut => {}
            Err(error) => {
                log::debug!("socket fails error={error}");
                // The loop sees a stop by itself.
                let [run, _] = &self.stops;
                let _ = run.wait(ERROR_PAUSE);
            }
        }
        None
    }

    /// Looks up the bootstrap names on a thread of its own.
    fn resolve(&mut self) {
        let names = Arc::clone(&self.bootstrap);
        let (resolver, stops) = (self.resolver.clone(), self.stops.clone());
        let notices = self.notices.0.clone();
        let started = threads::spawn("dht-resolve", RESOLVE_STACK, move || {
            let going = |_: &&String| !stops.iter().any(StopToken::is_stopped);
            let found = names.iter().take_while(going);
            let found: Vec<PeerAddress> = found
                .flat_map(|name| resolve_name(&resolver, name))
                .collect();
            log::debug!(
                "bootstrap nodes looked up names={} addresses={}",
                names.len(),
                found.len()
            );
            // The node may have ended.
            let _ = notices.try_send(Notice::Resolved(found));
        });
        if started.is_err() {
            self.core.resolved(&[], self.clock.now());
        }
    }

    /// Writes the node file, unless so few nodes are known that an earlier
    /// file is worth more.
    fn save(&self, now: Instant) {
        let Some(path) = &self.state_file else {
            return;
        };
        let saved: SavedNodes = self.core.saved(now);
        if saved.nodes.len() < BUCKET_SIZE && path.exists() {
            return;
        }
        if let Err(error) = save(path, &saved) {
            let path = path.display();
            log::warn!("DHT nodes cannot be kept for the next run file={path} error={error}");
        }
    }
}

fn resolve_name(resolver: &Resolver, name: &str) -> Vec<PeerAddress> {
    let found = name
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .and_then(|(host, port)| resolver.resolve(host, port, RESOLVE_LIMIT).ok());
    let found = found.unwrap_or_default();
    found.into_iter().map(PeerAddress::from).collect()
}
