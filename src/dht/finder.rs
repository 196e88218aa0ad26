//! Single look-ups for the page, by our own node; one that is not there yet
//! is started by the first of them. On threads of the page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::inspection::FindPeers;
use crate::model::{InfoHash, PeerAddress};
use crate::stop::StopToken;

use super::node::{DhtHandle, DhtNode, DhtSettings};
use super::own::OwnNode;
use super::requester::{DhtBackend, DhtError};

/// Good nodes with which a look-up begins at once.
const NODES_ENOUGH: usize = 8;

/// How long a node that knows somebody waits for more.
const FEW_NODES: Duration = Duration::from_secs(3);

/// How long a new node waits for the first one.
const NO_NODES: Duration = Duration::from_secs(10);

/// Between two looks at a node that begins.
const LOOK: Duration = Duration::from_millis(50);

/// Peers of one look-up that are kept.
const PEERS_MAX: usize = 10_000;

/// Looks torrents up.
pub struct Finder {
    clock: Arc<dyn Clock>,
    stop: StopToken,
    node: Mutex<Node>,
}

enum Node {
    /// Of a run.
    There(Arc<DhtHandle>),
    /// Not needed so far.
    Wanted(Box<DhtSettings>),
}

impl Finder {
    /// By the node of a run.
    pub fn of(handle: Arc<DhtHandle>, clock: Arc<dyn Clock>, stop: StopToken) -> Self {
        Self {
            clock,
            stop,
            node: Mutex::new(Node::There(handle)),
        }
    }

    /// By a node that is started when somebody looks up, and ends with `stop`.
    pub fn later(settings: DhtSettings, clock: Arc<dyn Clock>, stop: StopToken) -> Self {
        Self {
            clock,
            stop,
            node: Mutex::new(Node::Wanted(Box::new(settings))),
        }
    }

    fn handle(&self) -> Result<Arc<DhtHandle>, String> {
        let mut node = self.node.lock();
        let settings = match &*node {
            Node::There(handle) => return Ok(Arc::clone(handle)),
            Node::Wanted(settings) => (**settings).clone(),
        };
        if settings.bootstrap.is_empty() {
            return Err("the DHT has no node to begin with (dht.bootstrap)".to_owned());
        }
        let started = DhtNode::start(settings, Arc::clone(&self.clock), &self.stop, None);
        let handle = Arc::new(started.map_err(|error| error.to_string())?);
        *node = Node::There(Arc::clone(&handle));
        Ok(handle)
    }

    /// Waits until `handle` knows others.
    fn wait_for_nodes(&self, handle: &DhtHandle, began: Instant, deadline: Deadline) {
        loop {
            let (now, good) = (self.clock.now(), handle.status().nodes_good());
            let waited = now.saturating_duration_since(began);
            let enough = match good {
                0 => waited >= NO_NODES,
                good => good >= NODES_ENOUGH || waited >= FEW_NODES,
            };
            if enough || deadline.left(now).is_none() || self.stop.wait(LOOK) {
                return;
            }
        }
    }
}

impl FindPeers for Finder {
    fn find(&self, info_hash: InfoHash, limit: Duration) -> Result<Vec<PeerAddress>, String> {
        let began = self.clock.now();
        let deadline = Deadline::after(began, limit);
        let handle = self.handle()?;
        self.wait_for_nodes(&handle, began, deadline);
        if handle.status().nodes_good() == 0 {
            return Err("no node of the DHT answers".to_owned());
        }
        let mut found = Vec::new();
        let mut node = OwnNode::new(handle, Arc::clone(&self.clock), self.stop.clone());
        let ended = node.lookup(info_hash, None, deadline, &mut |peer| {
            if found.len() < PEERS_MAX {
                found.push(peer);
            }
        });
        match ended {
            Ok(()) => Ok(found),
            Err(DhtError::TimedOut) if !found.is_empty() => Ok(found),
            Err(error) => Err(error.to_string()),
        }
    }
}
