//! Reads packets. Every list is cut off at its limit before memory is taken.

use super::{
    Announce, Body, ErrorReply, KrpcProblem, Message, Method, NAME_MAX, NODES_MAX, PACKET_MAX,
    Query, Reply, Samples, TransactionId, Undecodable, VALUES_MAX, Want,
};
use crate::dht::node::address::{Family, NodeInfo, from_compact, nodes_from_compact};
use crate::dht::node::id::NodeId;
use crate::dht::node::scrape::{AddressBloom, Scrape};
use crate::model::{InfoHash, PeerAddress};
use crate::protocol::bencode::Value;

/// Longest interval of BEP 51, six hours.
const INTERVAL_MAX: u32 = 21_600;

/// Hashes taken from one sample.
const SAMPLES_MAX: usize = 200;

/// The values of the top level.
#[derive(Default)]
struct Top<'a> {
    transaction: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    read_only: bool,
    ip: Option<PeerAddress>,
    query: Option<&'a [u8]>,
    arguments: Option<Value<'a>>,
    reply: Option<Value<'a>>,
    error: Option<Value<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a packet.
    pub fn decode(packet: &'a [u8]) -> Result<Self, Undecodable> {
        let plain = |problem| Undecodable {
            problem,
            query: None,
        };
        if packet.len() > PACKET_MAX {
            return Err(plain(KrpcProblem::TooLong));
        }
        let value =
            Value::parse(packet).map_err(|malformed| plain(KrpcProblem::Bencoding(malformed)))?;
        let top = Top::read(value).ok_or(plain(KrpcProblem::NoMessage))?;
        let transaction = top
            .transaction
            .and_then(TransactionId::new)
            .ok_or(plain(KrpcProblem::Transaction))?;
        let is_query = top.kind == Some(b"q");
        let body = top.body().map_err(|problem| Undecodable {
            problem,
            query: is_query.then_some(transaction),
        })?;
        Ok(Self {
            transaction,
            version: top.version,
            read_only: top.read_only,
            ip: top.ip,
            body,
        })
    }
}

impl<'a> Top<'a> {
    /// One walk over the dictionary; of repeated keys the first counts.
    fn read(value: Value<'a>) -> Option<Self> {
        let mut top = Self::default();
        for (key, value) in value.dict()? {
            match key {
                b"t" => first(&mut top.transaction, value.bytes()),
                b"y" => first(&mut top.kind, value.bytes()),
                b"v" => first(&mut top.version, value.bytes()),
                b"ro" => top.read_only |= value.integer() == Some(1),
                b"ip" => first(&mut top.ip, value.bytes().and_then(from_compact)),
                b"q" => first(&mut top.query, value.bytes()),
                b"a" => first(&mut top.arguments, Some(value)),
                b"r" => first(&mut top.reply, Some(value)),
                b"e" => first(&mut top.error, Some(value)),
                _ => {}
            }
        }
        Some(top)
    }

    fn body(&self) -> Result<Body<'a>, KrpcProblem> {
        match self.kind {
            Some(b"q") => {
                let name = self.query.ok_or(KrpcProblem::Key("q"))?;
                let arguments = self.arguments.ok_or(KrpcProblem::Key("a"))?;
                Arguments::read(arguments)?.query(name).map(Body::Query)
            }
            Some(b"r") => {
                let reply = self.reply.ok_or(KrpcProblem::Key("r"))?;
                read_reply(reply).map(Body::Reply)
            }
            Some(b"e") => Ok(Body::Error(read_error(self.error))),
            _ => Err(KrpcProblem::NoMessage),
        }
    }
}

/// Sets what is not yet set.
fn first<T>(place: &mut Option<T>, value: Option<T>) {
    if place.is_none() {
        *place = value;
    }
}

fn twenty(value: Value<'_>) -> Option<[u8; 20]> {
    value.bytes()?.try_into().ok()
}

/// The arguments of any query.
#[derive(Default)]
struct Arguments<'a> {
    sender: Option<[u8; 20]>,
    target: Option<[u8; 20]>,
    info_hash: Option<[u8; 20]>,
    port: Option<i64>,
    implied_port: bool,
    token: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    seed: Option<bool>,
    noseed: bool,
    scrape: bool,
    want: Want,
}

impl<'a> Arguments<'a> {
    fn read(value: Value<'a>) -> Result<Self, KrpcProblem> {
        let mut arguments = Self::default();
        let truth = |value: Value<'_>| value.integer().is_some_and(|number| number != 0);
        for (key, value) in value.dict().ok_or(KrpcProblem::Key("a"))? {
            match key {
                b"id" => first(&mut arguments.sender, twenty(value)),
                b"target" => first(&mut arguments.target, twenty(value)),
                b"info_hash" => first(&mut arguments.info_hash, twenty(value)),
                b"port" => first(&mut arguments.port, value.integer()),
                b"implied_port" => arguments.implied_port |= truth(value),
                b"token" => first(&mut arguments.token, value.bytes()),
                b"name" => first(&mut arguments.name, value.bytes().map(cut)),
                b"seed" => first(&mut arguments.seed, Some(truth(value))),
                b"noseed" => arguments.noseed |= truth(value),
                b"scrape" => arguments.scrape |= truth(value),
                b"want" => arguments.want = read_want(value),
                _ => {}
            }
        }
        Ok(arguments)
    }

    fn query(self, name: &'a [u8]) -> Result<Query<'a>, KrpcProblem> {
        let target = self.target.map(NodeId::new);
        let target = target.ok_or(KrpcProblem::Key("target"));
        let info_hash = self.info_hash.map(InfoHash::new);
        let info_hash = info_hash.ok_or(KrpcProblem::Key("info_hash"));
        let method = match name {
            b"ping" => Method::Ping,
            b"find_node" => Method::FindNode { target: target? },
            b"get_peers" => Method::GetPeers {
                info_hash: info_hash?,
                noseed: self.noseed,
                scrape: self.scrape,
            },
            b"announce_peer" => Method::AnnouncePeer(Announce {
                info_hash: info_hash?,
                port: self.peer_port()?,
                implied_port: self.implied_port,
                token: self.token.ok_or(KrpcProblem::Key("token"))?,
                name: self.name,
                seed: self.seed,
            }),
            b"sample_infohashes" => Method::SampleInfohashes { target: target? },
            other => Method::Unknown(cut(other)),
        };
        let sender = self.sender.ok_or(KrpcProblem::Key("id"))?;
        Ok(Query {
            sender: NodeId::new(sender),
            want: self.want,
            method,
        })
    }

    /// A port nobody can be called at is wrong, unless it is not used.
    fn peer_port(&self) -> Result<u16, KrpcProblem> {
        let port = self.port.and_then(|port| u16::try_from(port).ok());
        match port {
            Some(port) if port > 0 || self.implied_port => Ok(port),
            None if self.implied_port => Ok(0),
            _ => Err(KrpcProblem::Key("port")),
        }
    }
}

fn cut(name: &[u8]) -> &[u8] {
    name.get(..NAME_MAX).unwrap_or(name)
}

fn read_want(value: Value<'_>) -> Want {
    let mut want = Want::default();
    for family in value.list().into_iter().flatten().take(4) {
        match family.bytes() {
            Some(b"n4") => want.v4 = true,
            Some(b"n6") => want.v6 = true,
            _ => {}
        }
    }
    want
}

fn read_reply(value: Value<'_>) -> Result<Reply<'_>, KrpcProblem> {
    let mut sender = None;
    let mut reply = Reply::from(NodeId::new([0; 20]));
    let (mut interval, mut total, mut hashes) = (None, None, None);
    let (mut seeds, mut peers) = (None, None);
    for (key, value) in value.dict().ok_or(KrpcProblem::Key("r"))? {
        match key {
            b"id" => first(&mut sender, twenty(value)),
            b"nodes" => first(&mut reply.nodes, read_nodes(value, Family::V4)),
            b"nodes6" => first(&mut reply.nodes6, read_nodes(value, Family::V6)),
            b"values" => first(&mut reply.values, read_values(value)),
            b"token" => first(&mut reply.token, value.bytes()),
            b"samples" => first(&mut hashes, read_hashes(value)),
            b"interval" => first(&mut interval, value.integer()),
            b"BFsd" => first(&mut seeds, read_filter(value)),
            b"BFpe" => first(&mut peers, read_filter(value)),
            b"num" => first(&mut total, value.integer()),
            _ => {}
        }
    }
    reply.samples = hashes.map(|hashes| Samples {
        interval: interval
            .and_then(|interval| u32::try_from(interval).ok())
            .unwrap_or(0)
            .min(INTERVAL_MAX),
        total: total
            .and_then(|total| u64::try_from(total).ok())
            .unwrap_or(0),
        hashes,
    });
    if seeds.is_some() || peers.is_some() {
        let filter = |filter: Option<AddressBloom>| filter.unwrap_or(AddressBloom::empty());
        reply.scrape = Some(Box::new(Scrape {
            seeds: filter(seeds),
            peers: filter(peers),
        }));
    }
    reply.sender = NodeId::new(sender.ok_or(KrpcProblem::Key("id"))?);
    Ok(reply)
}

fn read_nodes(value: Value<'_>, family: Family) -> Option<Vec<NodeInfo>> {
    let bytes = value.bytes()?;
    let limit = NODES_MAX * (20 + family.compact_length());
    let bytes = bytes.get(..limit).unwrap_or(bytes);
    Some(nodes_from_compact(bytes, family))
}

/// Peers in one string each. A few old programs put all IPv4 peers into one
/// long string; that is no address and ignored.
fn read_values(value: Value<'_>) -> Option<Vec<PeerAddress>> {
    let values = value.list()?.take(VALUES_MAX);
    Some(
        values
            .filter_map(|value| from_compact(value.bytes()?))
            .collect(),
    )
}

fn read_filter(value: Value<'_>) -> Option<AddressBloom> {
    value.bytes()?.try_into().ok().map(AddressBloom::new)
}

fn read_hashes(value: Value<'_>) -> Option<Vec<InfoHash>> {
    let (hashes, _) = value.bytes()?.as_chunks::<20>();
    let hashes = hashes.iter().take(SAMPLES_MAX);
    Some(hashes.map(|hash| InfoHash::new(*hash)).collect())
}

/// An error of any form is an error.
fn read_error(value: Option<Value<'_>>) -> ErrorReply<'_> {
    let mut elements = value.and_then(Value::list).into_iter().flatten();
    ErrorReply {
        code: elements.next().and_then(Value::integer).unwrap_or(0),
        message: elements.next().and_then(Value::bytes).unwrap_or_default(),
    }
}
