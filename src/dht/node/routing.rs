//! The routing table: the nodes we know, sorted by how far away they are
//! (BEP 5).
//!
//! Pure; one for each address family. Bucket `n` holds nodes whose ids have
//! exactly `n` bits in common with ours, [`BUCKET_SIZE`] at most: the table
//! that BEP 5 reaches by splitting. A node gets in by answering one of our
//! queries, never because somebody named it. Nodes for which there is no
//! room wait in a short list of replacements.

mod bucket;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use self::bucket::{Bucket, Entry};
use super::address::{NodeInfo, network};
use super::id::{BITS, NodeId};
use super::random::Random;
use crate::model::PeerAddress;

/// Nodes in a bucket (k), and in an answer.
pub const BUCKET_SIZE: usize = 8;

/// Quiet time after which a node is no longer good, and a bucket is
/// refreshed.
pub const QUIET: Duration = Duration::from_secs(15 * 60);

/// How good a node is (BEP 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// It answered within 15 minutes, or answered once and asked us
    /// something within 15 minutes.
    Good,
    /// Quiet for 15 minutes.
    Questionable,
    /// It missed several answers in a row.
    Bad,
}

/// Nodes and buckets.
#[derive(Debug)]
pub struct RoutingTable {
    own: NodeId,
    /// Limits against one person owning the table; off on loopback.
    restrict: bool,
    buckets: Vec<Bucket>,
}

impl RoutingTable {
    /// An empty table around `own`. With `restrict` a bucket takes one node
    /// of each IP address and two of each network (/24 or /64), and the
    /// table takes eight of each network.
    pub const fn new(own: NodeId, restrict: bool) -> Self {
        Self {
            own,
            restrict,
            buckets: Vec::new(),
        }
    }

    /// A node answered: it is let in, if there is room. Returns a node that
    /// should be pinged to see whether there could be.
    pub fn heard_reply(&mut self, node: NodeInfo, now: Instant) -> Option<NodeInfo> {
        let index = self.index(&node.id)?;
        let crowded = self.restrict && self.in_network(&node) >= NETWORK_IN_TABLE;
        let restrict = self.restrict;
        let bucket = self.bucket_mut(index, now)?;
        if bucket.confirm(&node, now) {
            return None;
        }
        if crowded || (restrict && bucket.is_crowded(&node)) {
            return None;
        }
        bucket.insert(Entry::new(node, now), now)
    }

    /// A node asked us something. Returns whether it is one that the table
    /// lacks and has use for, and should be pinged.
    pub fn heard_query(&mut self, node: &NodeInfo, now: Instant) -> bool {
        let Some(index) = self.index(&node.id) else {
            return false;
        };
        let Some(bucket) = self.buckets.get_mut(index) else {
            // It would be the first in its bucket.
            return true;
        };
        !bucket.heard_query(node, now) && bucket.has_use_for_more(now)
    }

    /// A node did not answer.
    pub fn failed(&mut self, node: &NodeInfo) {
        if let Some(bucket) = self.bucket_of(&node.id) {
            bucket.failed(node);
        }
    }

    /// The `limit` nodes closest to `target`, without bad ones.
    pub fn closest(&self, target: &NodeId, limit: usize, now: Instant) -> Vec<NodeInfo> {
        let split = self.own.distance(target).common_bits();
        // Nodes of bucket `split` agree with the target in more bits than
        // all others, those of the deeper buckets in exactly as many as we
        // do, and those of each shallower bucket in fewer and fewer.
        let deeper = split.saturating_add(1)..self.buckets.len();
        let groups = [split..split.saturating_add(1), deeper].into_iter().chain(
            (0..split.min(self.buckets.len()))
                .rev()
                .map(|at| at..at + 1),
        );
        let mut found: Vec<NodeInfo> = Vec::with_capacity(limit + BUCKET_SIZE);
        for group in groups {
            if found.len() >= limit {
                break;
            }
            let start = group.start.min(self.buckets.len());
            let buckets = self.buckets.get(start..group.end.min(self.buckets.len()));
            for bucket in buckets.unwrap_or_default() {
                found.extend(bucket.usable(now).map(|entry| entry.node));
            }
        }
        found.sort_by(|one, other| one.id.closer(&other.id, target));
        found.truncate(limit);
        found
    }

    /// A target whose look-up refreshes a bucket that saw no change for 15
    /// minutes; the bucket counts as refreshed from now on.
    pub fn refresh_due(&mut self, random: &mut Random, now: Instant) -> Option<NodeId> {
        let index = self
            .buckets
            .iter()
            .position(|bucket| !bucket.is_empty() && bucket.is_stale(now))?;
        self.buckets.get_mut(index)?.touch(now);
        Some(self.own.random_beside(index, random))
    }

    /// A node that was quiet for too long and should be pinged; it is not
    /// named again for a while.
    pub fn check_due(&mut self, now: Instant) -> Option<NodeInfo> {
        self.buckets
            .iter_mut()
            .find_map(|bucket| bucket.check_due(now))
    }

    /// Every node that is not bad.
    pub fn usable(&self, now: Instant) -> impl Iterator<Item = NodeInfo> {
        self.buckets
            .iter()
            .flat_map(move |bucket| bucket.usable(now).map(|entry| entry.node))
    }

    /// Nodes of a quality and nodes altogether.
    pub fn count(&self, quality: Quality, now: Instant) -> (usize, usize) {
        let entries = || self.buckets.iter().flat_map(Bucket::entries);
        let those = entries().filter(|entry| entry.quality(now) == quality);
        (those.count(), entries().count())
    }

    /// Buckets down to the deepest that was ever used.
    pub const fn depth(&self) -> usize {
        self.buckets.len()
    }

    /// Our id.
    pub const fn own(&self) -> NodeId {
        self.own
    }

    /// Takes a new id; the nodes find their new places.
    pub fn move_to(&mut self, own: NodeId, now: Instant) {
        let entries: Vec<Entry> = self
            .buckets
            .drain(..)
            .flat_map(Bucket::into_entries)
            .collect();
        self.own = own;
        for entry in entries {
            if let Some(index) = self.index(&entry.node.id)
                && let Some(bucket) = self.bucket_mut(index, now)
            {
                // There is nobody to ping in a table that is being filled.
                let _ = bucket.insert(entry, now);
            }
        }
    }

    /// The bucket of `id`, none for our own.
    fn index(&self, id: &NodeId) -> Option<usize> {
        let bits = self.own.distance(id).common_bits();
        (bits < BITS).then_some(bits)
    }

    fn bucket_of(&mut self, id: &NodeId) -> Option<&mut Bucket> {
        let index = self.index(id)?;
        self.buckets.get_mut(index)
    }

    fn bucket_mut(&mut self, index: usize, now: Instant) -> Option<&mut Bucket> {
        if index >= BITS {
            return None;
        }
        while self.buckets.len() <= index {
            self.buckets.push(Bucket::new(now));
        }
        self.buckets.get_mut(index)
    }

    fn in_network(&self, node: &NodeInfo) -> usize {
        let wanted = network(node.address.ip());
        self.buckets
            .iter()
            .flat_map(Bucket::entries)
            .filter(|entry| network(entry.node.address.ip()) == wanted)
            .count()
    }
}

/// Nodes of one network in the whole table at most.
const NETWORK_IN_TABLE: usize = 8;

/// Whether `id` is one the node at `ip` may have (BEP 42).
fn is_verified(node: &NodeInfo) -> bool {
    let address: PeerAddress = node.address;
    let ip: IpAddr = address.ip();
    node.id.is_bound_to(ip)
}

#[cfg(test)]
mod tests;
