//! Packets of the DHT (BEP 5) as the lab's nodes read and write them. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::bencode::{Found, Item};
use super::super::tracker::compact;

/// Longest transaction id that is echoed.
const TRANSACTION_MAX: usize = 32;

/// A query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) transaction: &'a [u8],
    pub(super) kind: Kind<'a>,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Ping,
    FindNode([u8; 20]),
    GetPeers([u8; 20]),
    Announce {
        info_hash: [u8; 20],
        /// `None`: the port that the packet came from.
        port: Option<u16>,
        token: &'a [u8],
    },
    /// A method that the lab does not know.
    Unknown,
}

impl<'a> Query<'a> {
    /// Reads a packet; `None` when it is no query.
    pub(super) fn read(packet: &'a [u8]) -> Option<Self> {
        let (packet, behind) = Found::read(packet)?;
        let transaction = packet.get(b"t")?.bytes()?;
        let is_query = packet.get(b"y")?.bytes()? == b"q";
        if !is_query || !behind.is_empty() || transaction.len() > TRANSACTION_MAX {
            return None;
        }
        let arguments = packet.get(b"a")?;
        let id = |key: &[u8]| -> Option<[u8; 20]> { arguments.get(key)?.bytes()?.try_into().ok() };
        // Who asks must say who it is.
        id(b"id")?;
        let kind = match packet.get(b"q")?.bytes()? {
            b"ping" => Kind::Ping,
            b"find_node" => Kind::FindNode(id(b"target")?),
            b"get_peers" => Kind::GetPeers(id(b"info_hash")?),
            b"announce_peer" => {
                let implied = arguments.get(b"implied_port").and_then(Found::number);
                let port = arguments.get(b"port").and_then(Found::number);
                Kind::Announce {
                    info_hash: id(b"info_hash")?,
                    port: match implied {
                        Some(1..) => None,
                        _ => Some(u16::try_from(port?).ok()?),
                    },
                    token: arguments.get(b"token")?.bytes()?,
                }
            }
            _ => Kind::Unknown,
        };
        Some(Self { transaction, kind })
    }
}

/// What a response says besides the id.
#[derive(Debug, Default)]
pub(super) struct Response<'a> {
    pub(super) nodes: Option<&'a [([u8; 20], SocketAddr)]>,
    pub(super) peers: &'a [SocketAddr],
    pub(super) token: Option<&'a [u8]>,
}

/// The response of the node `id`.
pub(super) fn respond(transaction: &[u8], id: &[u8; 20], response: &Response<'_>) -> Vec<u8> {
    let mut values = vec![("id", Item::Bytes(id.to_vec()))];
    if let Some(nodes) = response.nodes {
        let bytes = nodes
            .iter()
            .flat_map(|(id, address)| id.iter().copied().chain(compact(*address)));
        values.push(("nodes", Item::Bytes(bytes.collect())));
    }
    if !response.peers.is_empty() {
        let peers = response.peers.iter();
        let peers = peers.map(|it| Item::Bytes(compact(*it)));
        values.push(("values", Item::List(peers.collect())));
    }
    if let Some(token) = response.token {
        values.push(("token", Item::Bytes(token.to_vec())));
    }
    Item::dict([
        ("r", Item::Dict(values.into_iter().collect())),
        ("t", Item::Bytes(transaction.to_vec())),
        ("y", Item::text("r")),
    ])
    .encode()
}

/// An error packet.
pub(super) fn refuse(transaction: &[u8], code: i64, text: &str) -> Vec<u8> {
    Item::dict([
        ("e", Item::List(vec![Item::Number(code), Item::text(text)])),
        ("t", Item::Bytes(transaction.to_vec())),
        ("y", Item::text("e")),
    ])
    .encode()
}

/// The bytes of an address that a token stands for.
pub(super) fn address_bytes(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 20] = *b"abcdefghij0123456789";
    const HASH: [u8; 20] = *b"mnopqrstuvwxyz123456";

    #[test]
    fn the_queries_of_the_specification() {
        let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
        let wanted = Query {
            transaction: b"aa",
            kind: Kind::Ping,
        };
        assert_eq!(Query::read(ping), Some(wanted));
        let get_peers = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e\
                          1:q9:get_peers1:t2:aa1:y1:qe";
        let query = Query::read(get_peers).unwrap();
        assert_eq!(query.kind, Kind::GetPeers(HASH));
        let announce = b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:\
                         mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe\
                         1:q13:announce_peer1:t2:aa1:y1:qe";
        let wanted = Kind::Announce {
            info_hash: HASH,
            port: None,
            token: b"aoeusnth",
        };
        assert_eq!(Query::read(announce).unwrap().kind, wanted);
    }

    #[test]
    fn what_is_no_query_is_none() {
        for packet in [
            &b"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"[..],
            b"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe",
            b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qeX",
            b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe",
            b"garbage",
        ] {
            assert_eq!(Query::read(packet), None);
        }
        let new = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe";
        assert_eq!(Query::read(new).unwrap().kind, Kind::Unknown);
    }

    #[test]
    fn the_responses_of_the_specification() {
        let address: SocketAddr = "97.120.106.101:11893".parse().unwrap();
        let response = Response {
            peers: &[address],
            token: Some(b"aoeusnth"),
            ..Response::default()
        };
        assert_eq!(
            respond(b"aa", &ID, &response),
            b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.uee1:t2:aa1:y1:re"
        );
        let nodes = [(HASH, address)];
        let response = Response {
            nodes: Some(&nodes),
            ..Response::default()
        };
        assert_eq!(
            respond(b"aa", &ID, &response),
            b"d1:rd2:id20:abcdefghij01234567895:nodes26:mnopqrstuvwxyz123456axje.ue1:t2:aa1:y1:re"
        );
        assert_eq!(
            refuse(b"aa", 201, "A Generic Error Ocurred"),
            b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"
        );
    }
}
