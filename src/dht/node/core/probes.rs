//! Single questions that somebody outside asks.

use std::time::Instant;

use super::Core;
use crate::dht::node::address::Family;
use crate::dht::node::krpc::{Method, Reply};
use crate::dht::node::probe::{ProbeAnswer, ProbeOrder, ProbeQuestion};
use crate::dht::node::transactions::{Pending, Purpose};

/// Single questions under way at most.
const PROBES_MAX: usize = 64;

impl Core {
    /// Whether another single question may be asked now: it takes from the
    /// same budget as look-ups.
    pub(in crate::dht::node) fn may_probe(&mut self, now: Instant) -> bool {
        self.probes.len() < PROBES_MAX && self.queries.available(now) > 0
    }

    /// Asks it; one that may not be asked is dropped, which tells the asker.
    pub(in crate::dht::node) fn probe(&mut self, order: ProbeOrder, now: Instant) {
        if !self.filter.admits(order.address) {
            return;
        }
        self.next_probe = self.next_probe.wrapping_add(1);
        self.last_probe = Some(now);
        let number = self.next_probe;
        let method = match order.question {
            ProbeQuestion::Nodes(target) => Method::FindNode { target },
            ProbeQuestion::Samples(target) => Method::SampleInfohashes { target },
            ProbeQuestion::Scrape(info_hash) => Method::GetPeers {
                info_hash,
                noseed: false,
                scrape: true,
            },
        };
        let pending = Pending {
            address: order.address,
            id: order.id,
            purpose: Purpose::Probe(number),
        };
        self.queries.take(now);
        if self.ask(pending, method, now) {
            self.probes.insert(number, order.answer);
        }
    }

    pub(super) fn probe_answer(&mut self, number: u32, reply: &Reply<'_>) {
        let Some(asker) = self.probes.remove(&number) else {
            return;
        };
        let filter = self.filter;
        let nodes = match self.family {
            Family::V4 => &reply.nodes,
            Family::V6 => &reply.nodes6,
        };
        let nodes = nodes.iter().flatten();
        let answer = ProbeAnswer {
            sender: reply.sender,
            nodes: nodes
                .filter(|node| filter.admits(node.address))
                .copied()
                .collect(),
            samples: reply.samples.clone(),
            scrape: reply.scrape.clone(),
        };
        // Has room for one; whoever asked may have left.
        let _ = asker.try_send(answer);
    }

    pub(super) fn probe_failed(&mut self, number: u32) {
        self.probes.remove(&number);
    }
}
