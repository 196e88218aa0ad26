//! What a packet that came does.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Core, Now, Outgoing};
use crate::dht::node::address::{Family, NodeInfo};
use crate::dht::node::hook::{QueryEvent, QueryKind};
use crate::dht::node::id::NodeId;
use crate::dht::node::krpc::{Body, ErrorCode, Message, Method, Query, Reply};
use crate::dht::node::server::{Asked, Surroundings, refuse};
use crate::dht::node::transactions::{Pending, Purpose};
use crate::model::{PeerAddress, Timestamp};

/// Bytes of `v` that an event keeps.
const VERSION_MAX: usize = 64;

impl Core {
    /// Takes one packet.
    pub(in crate::dht::node) fn receive(&mut self, packet: &[u8], from: SocketAddr, now: Now) {
        self.last_heard = Some(now.instant);
        let from = PeerAddress::from(from);
        match Message::decode(packet) {
            Ok(message) => match &message.body {
                Body::Query(query) => self.query(&message, query, from, now),
                Body::Reply(reply) => self.reply(&message, reply, from, now),
                Body::Error(_) => self.error(&message, from),
            },
            Err(undecodable) => {
                self.counts.malformed += 1;
                let Some(transaction) = undecodable.query else {
                    return;
                };
                if self.admits(from, now.instant) {
                    self.send(from, refuse(transaction, from, ErrorCode::Protocol));
                }
            }
        }
    }

    /// Whether a query from there is answered.
    fn admits(&mut self, from: PeerAddress, now: Instant) -> bool {
        self.filter.admits(from)
            && !self.reach.is_read_only(now)
            && self.inbound.admits(from.ip(), now)
            && self.answers.take(now)
    }

    fn send(&mut self, to: PeerAddress, bytes: Vec<u8>) {
        self.counts.replies_out += 1;
        self.outbox.push_back(Outgoing {
            to: to.socket_addr(),
            bytes,
            transaction: None,
        });
    }

    fn query(&mut self, message: &Message<'_>, query: &Query<'_>, from: PeerAddress, now: Now) {
        self.counts.queries_in += 1;
        let ourselves = query.sender == self.routing.own();
        if self.filter.admits(from) && !ourselves {
            self.reach.queried(from, now.instant);
        }
        let answered = !ourselves && self.admits(from, now.instant);
        let asked = Asked {
            transaction: message.transaction,
            query,
            from,
            now: now.instant,
        };
        self.report(message, &asked, answered, now.stamp);
        if !answered {
            self.counts.dropped += 1;
            return;
        }
        let mut around = Surroundings {
            routing: &self.routing,
            board: &self.board,
            random: &mut self.random,
        };
        let packet = self.server.answer(&asked, &mut around);
        self.send(from, packet);
        let node = NodeInfo {
            id: query.sender,
            address: from,
        };
        if !message.read_only && self.routing.heard_query(&node, now.instant) {
            self.upkeep.want_ping(node);
        }
    }

    fn report(
        &self,
        message: &Message<'_>,
        asked: &Asked<'_>,
        answered: bool,
        timestamp: Timestamp,
    ) {
        let (query, from) = (asked.query, asked.from);
        let Some(hook) = &self.hook else {
            return;
        };
        let token_valid = match &query.method {
            Method::AnnouncePeer(announce) => self.server.knows_token(announce, from),
            _ => false,
        };
        let version = message
            .version
            .map(|version| version.get(..VERSION_MAX).unwrap_or(version).into());
        hook.query(&QueryEvent {
            timestamp,
            our_id: self.routing.own(),
            sender_id: query.sender,
            sender: from,
            read_only: message.read_only,
            version,
            kind: QueryKind::of(&query.method, from.port(), token_valid),
            answered,
        });
    }

    fn reply(&mut self, message: &Message<'_>, reply: &Reply<'_>, from: PeerAddress, now: Now) {
        let Some(pending) = self.transactions.take(message.transaction.as_bytes(), from) else {
            self.counts.unasked += 1;
            return;
        };
        if !self.is_expected(&pending, reply.sender) {
            self.counts.unasked += 1;
            self.unanswered(&pending, true);
            return;
        }
        self.counts.replies_in += 1;
        self.reach.answered(now.instant);
        if let Some(ip) = message.ip {
            self.hear_vote(from, ip, now.instant);
        }
        let node = NodeInfo {
            id: reply.sender,
            address: from,
        };
        let quiet = self.routing.heard_reply(node, now.instant);
        if let Some(quiet) = quiet {
            self.upkeep.want_ping(quiet);
        }
        match pending.purpose {
            Purpose::Ping => {}
            Purpose::Lookup(number) => self.lookup_answer(number, from, reply, now),
            Purpose::Announce(number) => self.lookup_announced(number, from, now),
            Purpose::Probe(number) => self.probe_answer(number, reply),
        }
        self.pass_hints(reply);
    }

    /// The node at the address is the one that was asked, and not ourselves.
    fn is_expected(&self, pending: &Pending, sender: NodeId) -> bool {
        sender != self.routing.own() && pending.id.is_none_or(|id| id == sender)
    }

    /// Hands nodes of the other family over to it.
    fn pass_hints(&self, reply: &Reply<'_>) {
        let nodes = match self.family {
            Family::V4 => &reply.nodes6,
            Family::V6 => &reply.nodes,
        };
        if let (Some(nodes), true) = (nodes, self.other_wants_nodes()) {
            self.board.hint(self.family.other(), nodes);
        }
    }

    /// A refusal shows that somebody is there, but is no answer.
    fn error(&mut self, message: &Message<'_>, from: PeerAddress) {
        let pending = self.transactions.take(message.transaction.as_bytes(), from);
        match pending {
            Some(pending) => {
                self.counts.errors_in += 1;
                self.unanswered(&pending, false);
            }
            None => self.counts.unasked += 1,
        }
    }

    /// No answer will come. `count` tells whether that is the node's fault.
    pub(super) fn unanswered(&mut self, pending: &Pending, count: bool) {
        if let (Some(id), true) = (pending.id, count) {
            let address = pending.address;
            self.routing.failed(&NodeInfo { id, address });
        }
        match pending.purpose {
            Purpose::Ping => {}
            Purpose::Lookup(number) | Purpose::Announce(number) => {
                self.lookup_failed(number, pending.address);
            }
            Purpose::Probe(number) => self.probe_failed(number),
        }
    }

    /// Somebody says where we are; when enough agree, our id must suit the
    /// address (BEP 42).
    fn hear_vote(&mut self, voter: PeerAddress, ip: PeerAddress, now: Instant) {
        let ip = ip.ip();
        if Family::of(ip) != self.family || crate::dht::node::address::is_local(ip) {
            return;
        }
        let Some(ip) = self.votes.vote(voter.ip(), ip) else {
            return;
        };
        if self.settings.node_id.is_none() && !self.routing.own().is_bound_to(ip) {
            let id = NodeId::bound_at(ip, self.settings.place, &mut self.random);
            log::info!(
                "node took an id that suits its address family={:?}",
                self.family
            );
            self.routing.move_to(id, now);
            self.upkeep.start_again(now);
        }
    }
}
