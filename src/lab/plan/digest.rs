//! A plan in twenty bytes, to tell whether two stories are the same.

use std::fmt;

use sha1_smol::Sha1;

use super::{CallerPort, Plan, PlannedParty};

/// SHA-1 over everything in a plan that can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanDigest([u8; 20]);

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Plan {
    /// Plans with the same digest are the same story.
    pub fn digest(&self) -> PlanDigest {
        let mut sha1 = Sha1::new();
        for torrent in &self.torrents {
            sha1.update(torrent.info_hash.as_bytes());
            for tracker in &torrent.trackers {
                sha1.update(tracker.as_str().as_bytes());
            }
            for hint in torrent.magnet.iter().flat_map(|it| &it.hints) {
                sha1.update(&(*hint as u64).to_be_bytes());
            }
        }
        for party in self.peers.iter().chain(&self.callers) {
            add_party(&mut sha1, party);
        }
        for call in &self.calls {
            sha1.update(&call.at.to_be_bytes());
            sha1.update(&(call.caller as u64).to_be_bytes());
        }
        for node in &self.nodes {
            sha1.update(&node.ip.octets());
            sha1.update(&node.id);
            for peer in &node.holds {
                sha1.update(&(*peer as u64).to_be_bytes());
            }
        }
        sha1.update(&self.curfew().to_be_bytes());
        PlanDigest(sha1.digest().bytes())
    }
}

fn add_party(sha1: &mut Sha1, party: &PlannedParty) {
    let progress = &party.progress;
    sha1.update(&party.ip.octets());
    sha1.update(&(party.torrent as u64).to_be_bytes());
    sha1.update(party.behaviour.as_str().as_bytes());
    sha1.update(party.reach.as_str().as_bytes());
    sha1.update(party.named_by.as_str().as_bytes());
    for named in &party.names {
        sha1.update(&(*named as u64).to_be_bytes());
    }
    sha1.update(party.manner.as_str().as_bytes());
    sha1.update(&party.peer_id);
    let listens = party.listens.map_or(0, |port| match port {
        CallerPort::Open => 1,
        CallerPort::Closed(number) => 2 + number as u64,
    });
    sha1.update(&listens.to_be_bytes());
    for number in [
        progress.total,
        progress.start,
        progress.offset,
        progress.step,
    ] {
        sha1.update(&number.to_be_bytes());
    }
    sha1.update(&progress.rate.to_bits().to_be_bytes());
    for (from, to) in &progress.stalls {
        sha1.update(&from.to_be_bytes());
        sha1.update(&to.to_be_bytes());
    }
}
