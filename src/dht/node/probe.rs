//! Single questions to single nodes, for surveys and estimates.
//!
//! Plain values: made by whoever asks, kept by `core` until the
//! answer comes.

use crossbeam_channel::Sender;

use super::address::NodeInfo;
use super::id::NodeId;
use super::krpc::Samples;
use super::scrape::Scrape;
use crate::model::{InfoHash, PeerAddress};

/// What one node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeQuestion {
    /// Nodes near a place (`find_node`).
    Nodes(NodeId),
    /// Torrents it knows, and nodes near a place (BEP 51).
    Samples(NodeId),
    /// How large a swarm is, as filters (BEP 33), and nodes near it.
    Scrape(InfoHash),
}

/// What it answered; which parts are there depends on node and question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Who answered.
    pub sender: NodeId,
    /// Nodes it named, of the family that was asked.
    pub nodes: Vec<NodeInfo>,
    /// Torrents it knows.
    pub samples: Option<Samples>,
    /// Filters of the swarm.
    pub scrape: Option<Box<Scrape>>,
}

/// A question on its way. The channel is closed without an answer when none
/// comes in time, when the node refuses, or when ours ends.
#[derive(Debug)]
pub(super) struct ProbeOrder {
    pub(super) address: PeerAddress,
    pub(super) id: Option<NodeId>,
    pub(super) question: ProbeQuestion,
    pub(super) answer: Sender<ProbeAnswer>,
}
