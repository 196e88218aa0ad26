//! Writes packets, keys in order.

use super::{Announce, Body, Message, Method, Query, Reply, Want};
use crate::dht::node::address::{Family, NodeInfo, append_compact};
use crate::model::PeerAddress;
use crate::protocol::bencode::write;

/// Room that an answer with eight nodes and a token needs, and to spare.
const USUAL_LENGTH: usize = 512;

impl Message<'_> {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(USUAL_LENGTH);
        let out = &mut packet;
        write::dict(out);
        match &self.body {
            Body::Query(query) => {
                write::bytes(out, b"a");
                write_arguments(out, query);
            }
            Body::Error(error) => {
                write::bytes(out, b"e");
                write::list(out);
                write::integer(out, error.code);
                write::bytes(out, error.message);
                write::end(out);
            }
            Body::Reply(_) => {}
        }
        if let Some(ip) = self.ip {
            write::bytes(out, b"ip");
            write_address(out, ip);
        }
        let kind = match &self.body {
            Body::Query(query) => {
                pair(out, b"q", name(&query.method));
                b"q"
            }
            Body::Reply(reply) => {
                write::bytes(out, b"r");
                write_reply(out, reply);
                b"r"
            }
            Body::Error(_) => b"e",
        };
        if self.read_only {
            set(out, b"ro");
        }
        pair(out, b"t", self.transaction.as_bytes());
        if let Some(version) = self.version {
            pair(out, b"v", version);
        }
        pair(out, b"y", kind);
        write::end(out);
        packet
    }
}

fn pair(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    write::bytes(out, key);
    write::bytes(out, value);
}

fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    write::bytes(out, key);
    write::unsigned(out, value);
}

fn set(out: &mut Vec<u8>, key: &[u8]) {
    number(out, key, 1);
}

const fn name<'a>(method: &Method<'a>) -> &'a [u8] {
    match method {
        Method::Ping => b"ping",
        Method::FindNode { .. } => b"find_node",
        Method::GetPeers { .. } => b"get_peers",
        Method::AnnouncePeer(_) => b"announce_peer",
        Method::SampleInfohashes { .. } => b"sample_infohashes",
        Method::Unknown(name) => name,
    }
}

fn write_arguments(out: &mut Vec<u8>, query: &Query<'_>) {
    write::dict(out);
    pair(out, b"id", query.sender.as_bytes());
    match &query.method {
        Method::Ping | Method::Unknown(_) => {}
        Method::FindNode { target } | Method::SampleInfohashes { target } => {
            pair(out, b"target", target.as_bytes());
        }
        Method::GetPeers {
            info_hash,
            noseed,
            scrape,
        } => {
            pair(out, b"info_hash", info_hash.as_bytes());
            if *noseed {
                set(out, b"noseed");
            }
            if *scrape {
                set(out, b"scrape");
            }
        }
        Method::AnnouncePeer(announce) => write_announce(out, announce),
    }
    write_want(out, query.want);
    write::end(out);
}

fn write_announce(out: &mut Vec<u8>, announce: &Announce<'_>) {
    if announce.implied_port {
        set(out, b"implied_port");
    }
    pair(out, b"info_hash", announce.info_hash.as_bytes());
    if let Some(name) = announce.name {
        pair(out, b"name", name);
    }
    number(out, b"port", announce.port.into());
    if let Some(seed) = announce.seed {
        number(out, b"seed", seed.into());
    }
    pair(out, b"token", announce.token);
}

fn write_want(out: &mut Vec<u8>, want: Want) {
    if want == Want::default() {
        return;
    }
    write::bytes(out, b"want");
    write::list(out);
    if want.v4 {
        write::bytes(out, b"n4");
    }
    if want.v6 {
        write::bytes(out, b"n6");
    }
    write::end(out);
}

fn write_reply(out: &mut Vec<u8>, reply: &Reply<'_>) {
    write::dict(out);
    if let Some(scrape) = &reply.scrape {
        pair(out, b"BFpe", scrape.peers.as_bytes());
        pair(out, b"BFsd", scrape.seeds.as_bytes());
    }
    pair(out, b"id", reply.sender.as_bytes());
    if let Some(samples) = &reply.samples {
        number(out, b"interval", samples.interval.into());
    }
    if let Some(nodes) = &reply.nodes {
        write::bytes(out, b"nodes");
        write_nodes(out, nodes);
    }
    if let Some(nodes) = &reply.nodes6 {
        write::bytes(out, b"nodes6");
        write_nodes(out, nodes);
    }
    if let Some(samples) = &reply.samples {
        number(out, b"num", samples.total);
        write::bytes(out, b"samples");
        write::length(out, samples.hashes.len() * 20);
        for hash in &samples.hashes {
            out.extend_from_slice(hash.as_bytes());
        }
    }
    if let Some(token) = reply.token {
        pair(out, b"token", token);
    }
    if let Some(values) = &reply.values {
        write::bytes(out, b"values");
        write::list(out);
        for peer in values {
            write_address(out, *peer);
        }
        write::end(out);
    }
    write::end(out);
}

/// The nodes of one string, each with its id in front of its address.
fn write_nodes(out: &mut Vec<u8>, nodes: &[NodeInfo]) {
    let lengths = nodes.iter().map(|node| 20 + compact_length(node.address));
    write::length(out, lengths.sum());
    for node in nodes {
        out.extend_from_slice(node.id.as_bytes());
        append_compact(out, node.address);
    }
}

fn write_address(out: &mut Vec<u8>, address: PeerAddress) {
    write::length(out, compact_length(address));
    append_compact(out, address);
}

const fn compact_length(address: PeerAddress) -> usize {
    Family::of(address.ip()).compact_length()
}
