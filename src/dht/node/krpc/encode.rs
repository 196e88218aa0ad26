//! Writes packets, keys in order.

use bendy::encoding::{AsString, Error, SingleItemEncoder, SortedDictEncoder, ToBencode};

use super::{Announce, Body, Message, Method, Query, Reply, Want};
use crate::dht::node::address::{append_compact, nodes_to_compact};

impl Message<'_> {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        // Fails on unsorted keys and on depth only, and both are fixed below.
        self.to_bencode().unwrap_or_default()
    }
}

impl ToBencode for Message<'_> {
    const MAX_DEPTH: usize = 3;

    fn encode(&self, encoder: SingleItemEncoder) -> Result<(), Error> {
        encoder.emit_dict(|mut dict| {
            match &self.body {
                Body::Query(query) => {
                    dict.emit_pair_with(b"a", |encoder| encode_arguments(query, encoder))?;
                }
                Body::Error(error) => dict.emit_pair_with(b"e", |encoder| {
                    encoder.emit_list(|list| {
                        list.emit_int(error.code)?;
                        list.emit_bytes(error.message)
                    })
                })?,
                Body::Reply(_) => {}
            }
            if let Some(ip) = self.ip {
                let mut bytes = Vec::with_capacity(18);
                append_compact(&mut bytes, ip);
                dict.emit_pair(b"ip", AsString(bytes))?;
            }
            if let Body::Query(query) = &self.body {
                dict.emit_pair(b"q", AsString(name(&query.method)))?;
            }
            if let Body::Reply(reply) = &self.body {
                dict.emit_pair_with(b"r", |encoder| encode_reply(reply, encoder))?;
            }
            if self.read_only {
                dict.emit_pair(b"ro", 1)?;
            }
            dict.emit_pair(b"t", AsString(self.transaction.as_bytes()))?;
            if let Some(version) = self.version {
                dict.emit_pair(b"v", AsString(version))?;
            }
            let kind = match self.body {
                Body::Query(_) => "q",
                Body::Reply(_) => "r",
                Body::Error(_) => "e",
            };
            dict.emit_pair(b"y", kind)
        })
    }
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

fn encode_arguments(query: &Query<'_>, encoder: SingleItemEncoder) -> Result<(), Error> {
    encoder.emit_dict(|mut dict| {
        dict.emit_pair(b"id", AsString(query.sender.as_bytes()))?;
        match &query.method {
            Method::Ping | Method::Unknown(_) => {}
            Method::FindNode { target } | Method::SampleInfohashes { target } => {
                dict.emit_pair(b"target", AsString(target.as_bytes()))?;
            }
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => {
                dict.emit_pair(b"info_hash", AsString(info_hash.as_bytes()))?;
                if *noseed {
                    dict.emit_pair(b"noseed", 1)?;
                }
                if *scrape {
                    dict.emit_pair(b"scrape", 1)?;
                }
            }
            Method::AnnouncePeer(announce) => encode_announce(announce, &mut dict)?,
        }
        encode_want(query.want, &mut dict)
    })
}

fn encode_announce(announce: &Announce<'_>, dict: &mut SortedDictEncoder) -> Result<(), Error> {
    if announce.implied_port {
        dict.emit_pair(b"implied_port", 1)?;
    }
    dict.emit_pair(b"info_hash", AsString(announce.info_hash.as_bytes()))?;
    if let Some(name) = announce.name {
        dict.emit_pair(b"name", AsString(name))?;
    }
    dict.emit_pair(b"port", announce.port)?;
    if let Some(seed) = announce.seed {
        dict.emit_pair(b"seed", u8::from(seed))?;
    }
    dict.emit_pair(b"token", AsString(announce.token))
}

fn encode_want(want: Want, dict: &mut SortedDictEncoder) -> Result<(), Error> {
    if want == Want::default() {
        return Ok(());
    }
    dict.emit_pair_with(b"want", |encoder| {
        encoder.emit_list(|list| {
            if want.v4 {
                list.emit_str("n4")?;
            }
            if want.v6 {
                list.emit_str("n6")?;
            }
            Ok(())
        })
    })
}

fn encode_reply(reply: &Reply<'_>, encoder: SingleItemEncoder) -> Result<(), Error> {
    encoder.emit_dict(|mut dict| {
        if let Some(scrape) = &reply.scrape {
            dict.emit_pair(b"BFpe", AsString(scrape.peers.as_bytes()))?;
            dict.emit_pair(b"BFsd", AsString(scrape.seeds.as_bytes()))?;
        }
        dict.emit_pair(b"id", AsString(reply.sender.as_bytes()))?;
        if let Some(samples) = &reply.samples {
            dict.emit_pair(b"interval", samples.interval)?;
        }
        if let Some(nodes) = &reply.nodes {
            dict.emit_pair(b"nodes", AsString(nodes_to_compact(nodes)))?;
        }
        if let Some(nodes) = &reply.nodes6 {
            dict.emit_pair(b"nodes6", AsString(nodes_to_compact(nodes)))?;
        }
        if let Some(samples) = &reply.samples {
            dict.emit_pair(b"num", samples.total)?;
            let hashes: Vec<u8> = samples
                .hashes
                .iter()
                .flat_map(|hash| *hash.as_bytes())
                .collect();
            dict.emit_pair(b"samples", AsString(hashes))?;
        }
        if let Some(token) = reply.token {
            dict.emit_pair(b"token", AsString(token))?;
        }
        if let Some(values) = &reply.values {
            dict.emit_pair_with(b"values", |encoder| {
                encoder.emit_list(|list| {
                    for peer in values {
                        let mut bytes = Vec::with_capacity(18);
                        append_compact(&mut bytes, *peer);
                        list.emit_bytes(&bytes)?;
                    }
                    Ok(())
                })
            })?;
        }
        Ok(())
    })
}
