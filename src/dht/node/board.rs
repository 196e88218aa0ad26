//! What the two address families tell each other (BEP 32).
//!
//! Each has a thread and a routing table of its own. An asker may want nodes
//! of the other family, so each thread puts its nodes on the board every few
//! seconds; and nodes of the other family that are named to it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::address::{Family, NodeInfo};
use super::id::NodeId;

/// Named nodes that wait for the other family at most.
const HINTS_MAX: usize = 32;

/// Shared by the threads of one node. Its locks are held for a copy only.
#[derive(Debug, Default)]
pub(super) struct Board {
    v4: Shelf,
    v6: Shelf,
}

#[derive(Debug, Default)]
struct Shelf {
    nodes: Mutex<Arc<[NodeInfo]>>,
    hints: Mutex<Vec<NodeInfo>>,
}

impl Board {
    const fn shelf(&self, family: Family) -> &Shelf {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Puts up the nodes that `family` has.
    pub(super) fn put(&self, family: Family, nodes: Vec<NodeInfo>) {
        let nodes: Arc<[NodeInfo]> = nodes.into();
        *self.shelf(family).nodes.lock() = nodes;
    }

    /// The nodes of `family` that are closest to `target`.
    pub(super) fn closest(&self, family: Family, target: &NodeId, limit: usize) -> Vec<NodeInfo> {
        let nodes = Arc::clone(&self.shelf(family).nodes.lock());
        let mut nodes = nodes.to_vec();
        nodes.sort_by_cached_key(|node| node.id.distance(target));
        nodes.truncate(limit);
        nodes
    }

    /// How many nodes `family` has.
    pub(super) fn count(&self, family: Family) -> usize {
        self.shelf(family).nodes.lock().len()
    }

    /// Tells `family` of nodes that somebody named.
    pub(super) fn hint(&self, family: Family, nodes: &[NodeInfo]) {
        let mut hints = self.shelf(family).hints.lock();
        let room = HINTS_MAX.saturating_sub(hints.len());
        hints.extend(nodes.iter().take(room));
    }

    /// What `family` was told since the last time.
    pub(super) fn take_hints(&self, family: Family) -> Vec<NodeInfo> {
        std::mem::take(&mut *self.shelf(family).hints.lock())
    }
}
