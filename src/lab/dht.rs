//! The practice DHT: a few nodes that know each other and a part of the
//! peers each, and a pymdht that knows what they know.
//!
//! The nodes speak BEP 5 on a UDP socket each, on addresses of their own; the
//! pymdht speaks on a control port (`lab::pymdht`). Both hand out only peers
//! that the plan gives to the DHT and, as real ones do, whoever announced
//! itself, the asking analyzer too. One thread a node.

mod krpc;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sha1_smol::Sha1;

use super::plan::closest;
use super::pymdht::{PymdhtLookup, ScriptedPymdht};
use super::scripted_tracker::answer_datagrams;
use super::sockets::TICK;
use super::story::Story;
use krpc::{Kind, Query, Response};

/// Peers that announced themselves and are kept, for each torrent.
const ANNOUNCERS_KEPT: usize = 8;

/// What the DHT was asked about one torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DhtCounts {
    /// `get_peers` queries that nodes answered.
    pub get_peers: u64,
    /// Lookups on the control port.
    pub lookups: u64,
    /// Announces that were taken, by nodes and by the control port.
    pub announces: u64,
    /// Announces with a wrong token.
    pub refused: u64,
    /// Peers handed out, those who announced themselves included.
    pub peers_given: u64,
    /// Distinct addresses of the plan's peers among them.
    pub addresses: BTreeSet<SocketAddr>,
    /// The port of the last announce.
    pub port: Option<u16>,
}

impl DhtCounts {
    pub(super) fn json(&self, torrent: usize) -> Value {
        json!({
            "kind": "dht",
            "torrent": torrent + 1,
            "get_peers": self.get_peers,
            "lookups": self.lookups,
            "announces": self.announces,
            "refused": self.refused,
            "peers_given": self.peers_given,
            "addresses": self.addresses.len(),
            "port": self.port,
        })
    }
}

/// What all nodes share.
pub(super) struct Dht {
    story: Arc<Story>,
    /// Id and place of each node of the plan.
    nodes: Vec<([u8; 20], SocketAddr)>,
    /// By torrent.
    counts: Mutex<BTreeMap<usize, DhtCounts>>,
    announcers: Mutex<BTreeMap<usize, Vec<SocketAddr>>>,
}

impl Dht {
    /// The nodes of the plan with a socket for each.
    pub(super) fn bind(story: &Arc<Story>) -> io::Result<(Arc<Self>, Vec<UdpSocket>)> {
        let mut nodes = Vec::new();
        let mut sockets = Vec::new();
        for node in &story.plan.nodes {
            let socket = UdpSocket::bind((node.ip, 0))?;
            socket.set_read_timeout(Some(TICK))?;
            nodes.push((node.id, socket.local_addr()?));
            sockets.push(socket);
        }
        let dht = Self {
            story: Arc::clone(story),
            nodes,
            counts: Mutex::default(),
            announcers: Mutex::default(),
        };
        Ok((Arc::new(dht), sockets))
    }

    /// Where the nodes are.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|(_, address)| *address).collect()
    }

    pub(super) fn counts(&self) -> BTreeMap<usize, DhtCounts> {
        self.counts.lock().clone()
    }

    /// Answers queries to the node at `index` until the lab is to stop.
    pub(super) fn serve(&self, index: usize, socket: &UdpSocket) {
        answer_datagrams(socket, &self.story.stop, |packet, from| {
            let answer = Query::read(packet).and_then(|query| self.answer(index, &query, from));
            answer.into_iter().collect()
        });
    }

    fn answer(&self, index: usize, query: &Query<'_>, from: SocketAddr) -> Option<Vec<u8>> {
        let (id, _) = self.nodes.get(index)?;
        let token = token(id, from.ip());
        let transaction = query.transaction;
        let respond = |response: &Response<'_>| krpc::respond(transaction, id, response);
        Some(match &query.kind {
            Kind::Ping => respond(&Response::default()),
            Kind::FindNode(target) => respond(&Response {
                nodes: Some(&self.closest(target)),
                ..Response::default()
            }),
            Kind::GetPeers(hash) => {
                let peers = self.peers_of(index, hash);
                respond(&Response {
                    nodes: Some(&self.closest(hash)),
                    peers: &peers,
                    token: Some(&token),
                })
            }
            Kind::Announce {
                info_hash,
                port,
                token: given,
            } => {
                let is_valid = *given == token.as_slice();
                let announcer = SocketAddr::new(from.ip(), port.unwrap_or(from.port()));
                self.announced(info_hash, announcer, is_valid);
                if is_valid {
                    respond(&Response::default())
                } else {
                    krpc::refuse(transaction, 203, "Bad token")
                }
            }
            Kind::Unknown => krpc::refuse(transaction, 204, "Method Unknown"),
        })
    }

    fn closest(&self, target: &[u8; 20]) -> Vec<([u8; 20], SocketAddr)> {
        let closest = closest(&self.story.plan.nodes, target);
        let nodes = closest.iter().filter_map(|index| self.nodes.get(*index));
        nodes.copied().collect()
    }

    fn torrent(&self, info_hash: &[u8; 20]) -> Option<usize> {
        let mut torrents = self.story.plan.torrents.iter();
        torrents.position(|torrent| torrent.info_hash.as_bytes() == info_hash)
    }

    /// What the node at `index` knows of a torrent.
    fn peers_of(&self, index: usize, info_hash: &[u8; 20]) -> Vec<SocketAddr> {
        let Some(torrent) = self.torrent(info_hash) else {
            return Vec::new();
        };
        let held = self.story.plan.nodes.get(index).map(|node| &node.holds);
        let peers = held.into_iter().flatten();
        let mut counts = self.counts.lock();
        let counts = counts.entry(torrent).or_default();
        counts.get_peers += 1;
        self.give(torrent, peers.copied(), counts)
    }

    /// Peers of the plan (of `torrent` among `peers`), and those who
    /// announced themselves.
    fn give(
        &self,
        torrent: usize,
        peers: impl Iterator<Item = usize>,
        counts: &mut DhtCounts,
    ) -> Vec<SocketAddr> {
        let story = &self.story;
        let is_of = |peer: usize| story.plan.peers.get(peer).map(|it| it.torrent);
        let of_torrent = peers.filter(|peer| is_of(*peer) == Some(torrent));
        let given = of_torrent.filter_map(|peer| story.address_of(peer));
        let mut given: Vec<SocketAddr> = given.collect();
        counts.addresses.extend(&given);
        let announcers = self.announcers.lock();
        given.extend(announcers.get(&torrent).into_iter().flatten());
        counts.peers_given += given.len() as u64;
        given
    }

    fn announced(&self, info_hash: &[u8; 20], announcer: SocketAddr, is_valid: bool) {
        let Some(torrent) = self.torrent(info_hash) else {
            return;
        };
        let mut counts = self.counts.lock();
        let counts = counts.entry(torrent).or_default();
        if !is_valid {
            counts.refused += 1;
            return;
        }
        counts.announces += 1;
        counts.port = Some(announcer.port());
        let mut announcers = self.announcers.lock();
        let known = announcers.entry(torrent).or_default();
        if !known.contains(&announcer) && known.len() < ANNOUNCERS_KEPT {
            known.push(announcer);
        }
    }

    /// A lookup on the control port: everything that the nodes know, then
    /// the announce that it asks for.
    fn look_up(&self, lookup: &PymdhtLookup) -> Vec<SocketAddr> {
        let Some(torrent) = self.torrent(&lookup.info_hash) else {
            return Vec::new();
        };
        let named = self.story.plan.peers.iter().enumerate();
        let named = named.filter(|(_, peer)| peer.named_by.dht());
        let given = {
            let mut counts = self.counts.lock();
            let counts = counts.entry(torrent).or_default();
            counts.lookups += 1;
            self.give(torrent, named.map(|(index, _)| index), counts)
        };
        if lookup.port > 0 {
            let announcer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), lookup.port);
            self.announced(&lookup.info_hash, announcer, true);
        }
        given
    }
}

/// The pymdht that answers from `dht`.
pub(super) fn control_port(dht: &Arc<Dht>) -> io::Result<ScriptedPymdht> {
    let dht = Arc::clone(dht);
    ScriptedPymdht::start(move |lookup| lookup.answer(&dht.look_up(lookup)))
}

/// What lets `from` announce itself to the node `id`. That others could
/// compute it does not matter here.
fn token(id: &[u8; 20], from: IpAddr) -> [u8; 8] {
    let mut sha1 = Sha1::new();
    sha1.update(id);
    sha1.update(&krpc::address_bytes(from));
    let digest = sha1.digest().bytes();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
