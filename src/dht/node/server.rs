//! Answers the queries of others (BEP 5, 32, 33, 42, 51).
//!
//! Pure. Whether a query is answered at all is decided before.

use std::time::{Duration, Instant};

use super::address::Family;
use super::board::Board;
use super::id::NodeId;
use super::krpc::{
    Announce, Body, ErrorCode, ErrorReply, Message, Method, Query, Reply, Samples, TransactionId,
};
use super::peers_store::{PeersStore, Wish};
use super::random::Random;
use super::routing::{BUCKET_SIZE, RoutingTable};
use super::settings::DhtSettings;
use super::tokens::Tokens;
use crate::model::{InfoHash, PeerAddress};

/// Peers in one answer.
pub const VALUES_SENT_MAX: usize = 50;

/// The same of IPv6, each of which takes 21 bytes: with nodes of both families
/// the answer still fits one packet of a usual network.
pub const VALUES6_SENT_MAX: usize = 30;

/// Torrents in one sample (BEP 51).
pub const SAMPLES_SENT_MAX: usize = 20;

/// `v` in everything we send: our letters and version 0.1.
pub const VERSION: &[u8; 4] = b"bD\0\x01";

/// What a node knows about others, and gives away.
#[derive(Debug)]
pub struct Server {
    tokens: Tokens,
    store: PeersStore,
    sample: Vec<InfoHash>,
    sample_until: Instant,
    sample_interval: Duration,
}

/// A query to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) transaction: TransactionId,
    pub(super) query: &'a Query<'a>,
    pub(super) from: PeerAddress,
    pub(super) now: Instant,
}

/// What an answer is made from.
pub(super) struct Surroundings<'a> {
    pub(super) routing: &'a RoutingTable,
    pub(super) board: &'a Board,
    pub(super) random: &'a mut Random,
}

impl Server {
    pub(super) fn new(settings: &DhtSettings, random: &mut Random, now: Instant) -> Self {
        Self {
            tokens: Tokens::new(random, now),
            store: PeersStore::new(settings.store),
            sample: Vec::new(),
            sample_until: now,
            sample_interval: settings.sample_interval,
        }
    }

    /// Whether an announce from `from` would be believed.
    pub(super) fn knows_token(&self, announce: &Announce<'_>, from: PeerAddress) -> bool {
        self.tokens.is_valid(announce.token, from.ip())
    }

    /// Peers that were announced to us.
    pub(super) const fn store(&self) -> &PeersStore {
        &self.store
    }

    /// Forgets what is old; called every few seconds.
    pub(super) fn expire(&mut self, random: &mut Random, now: Instant) {
        self.tokens.rotate(random, now);
        self.store.expire(now);
    }

    /// The packet that answers `asked`.
    pub(super) fn answer(&mut self, asked: &Asked<'_>, around: &mut Surroundings<'_>) -> Vec<u8> {
        let own = around.routing.own();
        let token;
        let mut reply = Reply::from(own);
        match &asked.query.method {
            Method::Ping => {}
            Method::FindNode { target } => add_nodes(&mut reply, asked, target, around),
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => {
                self.tokens.rotate(around.random, asked.now);
                token = self.tokens.token(asked.from.ip());
                reply.token = Some(&token);
                add_nodes(&mut reply, asked, &(*info_hash).into(), around);
                if *scrape {
                    let scrape = self.store.scrape(info_hash, asked.now);
                    reply.scrape = scrape.map(Box::new);
                } else {
                    reply.values = self.values(info_hash, *noseed, asked, around.random);
                }
            }
            Method::AnnouncePeer(announce) => {
                if !self.knows_token(announce, asked.from) {
                    return refuse(asked.transaction, asked.from, ErrorCode::Protocol);
                }
                self.announce(announce, asked);
            }
            Method::SampleInfohashes { target } => {
                add_nodes(&mut reply, asked, target, around);
                reply.samples = Some(self.samples(around.random, asked.now));
            }
            Method::Unknown(_) => {
                return refuse(asked.transaction, asked.from, ErrorCode::MethodUnknown);
            }
        }
        packet(asked.transaction, asked.from, Body::Reply(reply))
    }

    fn values(
        &self,
        info_hash: &InfoHash,
        noseed: bool,
        asked: &Asked<'_>,
        random: &mut Random,
    ) -> Option<Vec<PeerAddress>> {
        let limit = match Family::of(asked.from.ip()) {
            Family::V4 => VALUES_SENT_MAX,
            Family::V6 => VALUES6_SENT_MAX,
        };
        let wish = Wish { noseed, limit };
        let peers = self.store.peers(info_hash, wish, random, asked.now);
        (!peers.is_empty()).then_some(peers)
    }

    fn announce(&mut self, announce: &Announce<'_>, asked: &Asked<'_>) {
        let peer = if announce.implied_port {
            asked.from
        } else {
            asked.from.with_port(announce.port)
        };
        let seed = announce.seed == Some(true);
        self.store
            .announce(announce.info_hash, peer, seed, asked.now);
    }

    /// The sample, which is a new one only when the interval is over.
    fn samples(&mut self, random: &mut Random, now: Instant) -> Samples {
        if now >= self.sample_until {
            self.sample = self.store.sample(SAMPLES_SENT_MAX, random);
            self.sample_until = now + self.sample_interval;
        }
        let left = self.sample_until.saturating_duration_since(now);
        Samples {
            interval: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
            total: u64::try_from(self.store.torrents()).unwrap_or(u64::MAX),
            hashes: self.sample.clone(),
        }
    }
}

/// Adds the nodes closest to `target`, of the families that are wanted.
fn add_nodes(reply: &mut Reply<'_>, asked: &Asked<'_>, target: &NodeId, around: &Surroundings<'_>) {
    let own = Family::of(asked.from.ip());
    let want = asked.query.want;
    let neither = !want.v4 && !want.v6;
    let closest = |family: Family| {
        if family == own {
            around.routing.closest(target, BUCKET_SIZE, asked.now)
        } else {
            around.board.closest(family, target, BUCKET_SIZE)
        }
    };
    if want.v4 || (neither && own == Family::V4) {
        reply.nodes = Some(closest(Family::V4));
    }
    if want.v6 || (neither && own == Family::V6) {
        reply.nodes6 = Some(closest(Family::V6));
    }
}

/// The packet that refuses a query.
pub(super) fn refuse(transaction: TransactionId, to: PeerAddress, code: ErrorCode) -> Vec<u8> {
    let message: &[u8] = match code {
        ErrorCode::Generic => b"Generic Error",
        ErrorCode::Server => b"Server Error",
        ErrorCode::Protocol => b"Protocol Error",
        ErrorCode::MethodUnknown => b"Method Unknown",
    };
    let code = code.number();
    packet(transaction, to, Body::Error(ErrorReply { code, message }))
}

fn packet(transaction: TransactionId, to: PeerAddress, body: Body<'_>) -> Vec<u8> {
    Message {
        transaction,
        version: Some(VERSION),
        read_only: false,
        ip: Some(to),
        body,
    }
    .encode()
}

#[cfg(test)]
mod tests;
