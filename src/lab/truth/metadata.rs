//! What became of the metadata of torrents that are given by a magnet link
//! only. Filled in by `lab::peer`, read by `lab::judge`. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::behaviour::Behaviour;
use super::super::manner::MetadataManner;
use super::contact::End;
use crate::model::Timestamp;

/// One connection in which the analyzer asked a peer for metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataContact {
    /// When it was accepted.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Index among the plan's peers.
    pub party: usize,
    /// Where the peer listens.
    pub address: SocketAddr,
    /// Index of the torrent.
    pub torrent: usize,
    /// The plan's behaviour.
    pub behaviour: Behaviour,
    /// The plan's way to give metadata.
    pub manner: MetadataManner,
    /// Whether both handshakes were done.
    pub handshake: bool,
    /// Blocks that were asked for.
    pub asked: u32,
    /// Blocks that were given as they are.
    pub given: BTreeSet<u32>,
    /// How it ended.
    pub end: End,
}

impl MetadataContact {
    pub(super) fn json(&self) -> Value {
        json!({
            "kind": "metadata",
            "started": self.started.millis(),
            "ended": self.ended.millis(),
            "party": self.party,
            "address": self.address.to_string(),
            "torrent": self.torrent + 1,
            "behaviour": self.behaviour.as_str(),
            "manner": self.manner.as_str(),
            "handshake": self.handshake,
            "asked": self.asked,
            "given": self.given,
            "end": self.end.as_str(),
        })
    }
}

/// All of them, for one torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MagnetCounts {
    /// Connections.
    pub conversations: u64,
    /// Blocks that were asked for.
    pub asked: u64,
    /// Distinct blocks that were given as they are.
    pub given: BTreeSet<u32>,
    /// When the connection was over that completed them.
    pub whole: Option<Timestamp>,
    /// Whether a tracker named the analyzer to itself before that: it may
    /// have asked itself.
    pub itself: bool,
}

impl MagnetCounts {
    /// Adds a conversation about metadata of so many `blocks`.
    pub(in super::super) fn add(&mut self, contact: &MetadataContact, blocks: u32) {
        self.conversations += 1;
        self.asked += u64::from(contact.asked);
        self.given.extend(&contact.given);
        if self.whole.is_none() && self.given.len() >= blocks as usize {
            self.whole = Some(contact.ended);
        }
    }

    pub(super) fn json(&self, torrent: usize) -> Value {
        json!({
            "kind": "magnet",
            "torrent": torrent + 1,
            "conversations": self.conversations,
            "asked": self.asked,
            "given": self.given,
            "whole": self.whole.map(Timestamp::millis),
            "itself": self.itself,
        })
    }
}
