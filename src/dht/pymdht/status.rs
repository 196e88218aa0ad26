//! How the external node is doing, for the status line.
//!
//! The DHT thread writes, whoever shows the status reads a copy.

use std::fmt;

use parking_lot::Mutex;

use super::PymdhtError;

/// Whether the node does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeState {
    /// Not asked yet.
    #[default]
    Unknown,
    /// The last lookup came to its end.
    Up,
    /// The last attempt failed.
    Down,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "starting",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// The state at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PymdhtFigures {
    /// Whether the node does its work.
    pub state: NodeState,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Why the last attempt failed, while the node is down.
    pub reason: Option<PymdhtError>,
    /// Lookups ended, well or badly.
    pub lookups: u64,
    /// Peers that they named.
    pub peers: u64,
}

/// The state of one node.
#[derive(Debug, Default)]
pub struct PymdhtStatus(Mutex<PymdhtFigures>);

impl PymdhtStatus {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy.
    pub fn figures(&self) -> PymdhtFigures {
        self.0.lock().clone()
    }

    /// An attempt failed; `true` when the node was not down before.
    pub(super) fn failed(&self, error: &PymdhtError) -> bool {
        let mut figures = self.0.lock();
        let news = figures.state != NodeState::Down;
        figures.state = NodeState::Down;
        figures.failures = figures.failures.saturating_add(1);
        figures.reason = Some(error.clone());
        news
    }

    /// A lookup came to its end; `true` when the node was down before.
    pub(super) fn succeeded(&self) -> bool {
        let mut figures = self.0.lock();
        let news = figures.state == NodeState::Down;
        figures.state = NodeState::Up;
        figures.failures = 0;
        figures.reason = None;
        news
    }

    /// A lookup ended, well or badly.
    pub(super) fn looked_up(&self, peers: usize) {
        let mut figures = self.0.lock();
        figures.lookups = figures.lookups.saturating_add(1);
        let peers = u64::try_from(peers).unwrap_or(u64::MAX);
        figures.peers = figures.peers.saturating_add(peers);
    }
}
