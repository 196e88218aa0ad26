//! One bucket of the routing table.

use std::time::{Duration, Instant};

use super::{BUCKET_SIZE, QUIET, Quality, is_verified};
use crate::dht::node::address::{NodeInfo, network};

/// Missed answers in a row that make a node bad.
const FAILURES_BAD: u8 = 2;

/// Missed answers in a row after which a node is forgotten.
const FAILURES_MAX: u8 = 5;

/// Time between two pings of the same node.
const CHECK_PAUSE: Duration = Duration::from_secs(60);

/// Nodes of one network in a bucket.
const NETWORK_IN_BUCKET: usize = 2;

/// A node that has answered at least once.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) node: NodeInfo,
    /// Whether its id is bound to its address (BEP 42).
    verified: bool,
    replied: Instant,
    queried: Option<Instant>,
    checked: Option<Instant>,
    failures: u8,
}

impl Entry {
    pub(super) fn new(node: NodeInfo, now: Instant) -> Self {
        Self {
            node,
            verified: is_verified(&node),
            replied: now,
            queried: None,
            checked: None,
            failures: 0,
        }
    }

    pub(super) fn quality(&self, now: Instant) -> Quality {
        if self.failures >= FAILURES_BAD {
            Quality::Bad
        } else if now.saturating_duration_since(self.heard()) < QUIET {
            Quality::Good
        } else {
            Quality::Questionable
        }
    }

    fn heard(&self) -> Instant {
        self.queried
            .map_or(self.replied, |queried| queried.max(self.replied))
    }

    fn may_be_checked(&self, now: Instant) -> bool {
        self.checked
            .is_none_or(|checked| now.saturating_duration_since(checked) >= CHECK_PAUSE)
    }
}

/// Up to [`BUCKET_SIZE`] nodes and as many replacements.
#[derive(Debug)]
pub(super) struct Bucket {
    entries: Vec<Entry>,
    /// Nodes that answered when there was no room, the latest last.
    replacements: Vec<Entry>,
    changed: Instant,
}

impl Bucket {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            entries: Vec::new(),
            replacements: Vec::new(),
            changed: now,
        }
    }

    /// Notes the answer of a node that is here. Also `true` when there is
    /// another node of that id that still works: ids are not taken over.
    pub(super) fn confirm(&mut self, node: &NodeInfo, now: Instant) -> bool {
        let Some(at) = self
            .entries
            .iter()
            .position(|entry| entry.node.id == node.id)
        else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(at) else {
            return false;
        };
        if entry.node.address == node.address {
            entry.replied = now;
            entry.failures = 0;
            self.changed = now;
        } else if entry.quality(now) == Quality::Bad {
            *entry = Entry::new(*node, now);
            self.changed = now;
        }
        true
    }

    /// Whether the address of a new node is too close to those of others.
    pub(super) fn is_crowded(&self, node: &NodeInfo) -> bool {
        let ip = node.address.ip();
        let same_ip = self
            .entries
            .iter()
            .any(|entry| entry.node.address.ip() == ip);
        let same_network = self
            .entries
            .iter()
            .filter(|entry| network(entry.node.address.ip()) == network(ip));
        same_ip || same_network.count() >= NETWORK_IN_BUCKET
    }

    /// Takes a new node: into free room, for a bad node, for one with a
    /// wrong id, or as a replacement. Returns a quiet node that should be
    /// pinged, when its answer decides.
    pub(super) fn insert(&mut self, new: Entry, now: Instant) -> Option<NodeInfo> {
        if self.entries.len() < BUCKET_SIZE {
            self.entries.push(new);
            self.changed = now;
            return None;
        }
        let bad = |entry: &Entry| entry.quality(now) == Quality::Bad;
        let worse = |entry: &Entry| new.verified && !entry.verified;
        let loser = self
            .entries
            .iter()
            .position(bad)
            .or_else(|| self.entries.iter().position(worse));
        if let Some(loser) = loser.and_then(|at| self.entries.get_mut(at)) {
            *loser = new;
            self.changed = now;
            return None;
        }
        self.keep_as_replacement(new);
        self.check_due(now)
    }

    fn keep_as_replacement(&mut self, new: Entry) {
        self.replacements
            .retain(|entry| entry.node.id != new.node.id && entry.node.address != new.node.address);
        if self.replacements.len() >= BUCKET_SIZE {
            self.replacements.remove(0);
        }
        self.replacements.push(new);
    }

    /// Whether `node` is here; then its query is noted.
    pub(super) fn heard_query(&mut self, node: &NodeInfo, now: Instant) -> bool {
        let known = self.entries.iter_mut().find(|entry| entry.node == *node);
        let known = known.map(|entry| entry.queried = Some(now));
        known.is_some() || self.replacements.iter().any(|entry| entry.node == *node)
    }

    pub(super) fn has_use_for_more(&self, now: Instant) -> bool {
        self.entries.len() < BUCKET_SIZE
            || self
                .entries
                .iter()
                .any(|entry| entry.quality(now) != Quality::Good)
    }

    /// Counts a missed answer; a bad node makes room for a replacement.
    pub(super) fn failed(&mut self, node: &NodeInfo) {
        self.replacements.retain(|entry| entry.node != *node);
        let Some(at) = self.entries.iter().position(|entry| entry.node == *node) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(at) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures < FAILURES_BAD {
            return;
        }
        let verified = self.replacements.iter().rposition(|entry| entry.verified);
        let best = verified.or_else(|| self.replacements.len().checked_sub(1));
        if let Some(best) = best {
            *entry = self.replacements.remove(best);
        } else if entry.failures >= FAILURES_MAX {
            self.entries.remove(at);
        }
    }

    /// The node that was quiet longest, if it was for too long and was not
    /// pinged within a minute.
    pub(super) fn check_due(&mut self, now: Instant) -> Option<NodeInfo> {
        let entry = self
            .entries
            .iter_mut()
            .filter(|entry| entry.quality(now) != Quality::Good || entry.failures > 0)
            .filter(|entry| entry.may_be_checked(now))
            .min_by_key(|entry| entry.heard())?;
        entry.checked = Some(now);
        Some(entry.node)
    }

    pub(super) fn usable(&self, now: Instant) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.quality(now) != Quality::Bad)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.changed) >= QUIET
    }

    pub(super) const fn touch(&mut self, now: Instant) {
        self.changed = now;
    }
}
