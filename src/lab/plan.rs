//! The story of a practice swarm, made from a seed before anything starts.
//!
//! Pure: the same options give the same plan on every machine. Ports are the
//! only thing that it leaves open, because the system chooses them.

mod digest;
mod options;
mod parties;
mod progress;
mod reaches;
mod sources;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

pub use digest::PlanDigest;
pub use options::LabOptions;
pub use progress::Progress;
pub(super) use sources::closest;
pub use sources::{NamedBy, PlannedMagnet, PlannedNode};

use super::behaviour::Behaviour;
use super::bencode::{Item, append_bytes};
use super::manner::MetadataManner;
use super::random::Chance;
use super::reach::Reach;
use super::tracker::TrackerMode;
use crate::model::InfoHash;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use parties::{overlap, plan_callers, plan_peers};
use reaches::{deal_reach, plan_exchange};
use sources::{deal_manners, is_magnet, is_trackerless, name_peers, plan_hints, plan_nodes};

/// A whole story.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it was made from.
    pub options: LabOptions,
    /// The torrents.
    pub torrents: Vec<PlannedTorrent>,
    /// Who can be called.
    pub peers: Vec<PlannedParty>,
    /// Who calls.
    pub callers: Vec<PlannedParty>,
    /// Every call, in order of time.
    pub calls: Vec<PlannedCall>,
    /// The nodes of the DHT; none in a story without.
    pub nodes: Vec<PlannedNode>,
}

/// A torrent of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTorrent {
    /// Name in the info dictionary.
    pub name: String,
    /// Number of pieces.
    pub pieces: u32,
    /// Bytes a piece.
    pub piece_length: u32,
    /// The encoded info dictionary.
    pub info: Vec<u8>,
    /// Its hash.
    pub info_hash: InfoHash,
    /// Its trackers, the main one first.
    pub trackers: Vec<TrackerMode>,
    /// That of a torrent that is given by a magnet link only.
    pub magnet: Option<PlannedMagnet>,
}

/// A peer or caller of the story.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedParty {
    /// Where it listens or calls from, in 127.0.0.0/8. Among peers one has it
    /// alone; callers may share one, also with a peer. A peer that is reached
    /// by IPv6 only is at `::1` instead. No two parties that
    /// are ever evaluated share address, torrent and direction, but for
    /// callers that tell different ports.
    pub ip: Ipv4Addr,
    /// Where a caller says that it listens (BEP 10, `p`).
    pub listens: Option<CallerPort>,
    /// Index of its torrent.
    pub torrent: usize,
    /// How it is reached.
    pub reach: Reach,
    /// What it does.
    pub behaviour: Behaviour,
    /// What it has when.
    pub progress: Progress,
    /// How it names itself.
    pub peer_id: [u8; 20],
    /// Who names it; without meaning for callers.
    pub named_by: NamedBy,
    /// Peers (indices) that it names in its contacts (BEP 11).
    pub names: Vec<usize>,
    /// How it gives the metadata of a magnet torrent.
    pub manner: MetadataManner,
}

/// A port that a caller tells. Behind one address every one occurs once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerPort {
    /// Where it can be called back.
    Open,
    /// Where nobody listens: the number of one of [`CallerPort::CLOSED`].
    Closed(usize),
}

impl CallerPort {
    /// Ports on which nobody ever listens.
    pub const CLOSED: usize = 3;
}

/// One call of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedCall {
    /// Milliseconds of the story.
    pub at: u64,
    /// Index of the caller.
    pub caller: usize,
}

impl Plan {
    /// The story of `options`.
    pub fn new(options: LabOptions) -> Self {
        let chance = Chance::new(options.seed);
        let mut torrents = plan_torrents(&options, &mut chance.fork(1));
        let mut peers = plan_peers(&options, &torrents, &mut chance.fork(2));
        let mut callers = plan_callers(&options, &torrents, &mut chance.fork(3));
        overlap(&options, &peers, &mut callers, &mut chance.fork(5));
        let calls = plan_calls(&options, callers.len(), &mut chance.fork(4));
        name_peers(&options, &torrents, &mut peers, &mut chance.fork(6));
        let mut reached = chance.fork(11);
        deal_reach(&options.reach, &torrents, &mut peers, &mut reached);
        let mut for_callers = options.reach.clone();
        for_callers.retain(|(reach, _)| !reach.is_for_peers_only());
        deal_reach(&for_callers, &torrents, &mut callers, &mut reached);
        plan_exchange(&torrents, &mut peers, &mut chance.fork(12));
        deal_manners(&options, &torrents, &mut peers, &mut chance.fork(7));
        plan_hints(&mut torrents, &peers, &mut chance.fork(8));
        let nodes = plan_nodes(&options, &torrents, &peers, &mut chance.fork(10));
        Self {
            options,
            torrents,
            peers,
            callers,
            calls,
            nodes,
        }
    }

    /// When (milliseconds of the story) peers that refuse first begin to
    /// listen.
    pub fn late_opening(&self) -> u64 {
        millis(self.options.duration) / 5
    }

    /// When (milliseconds of the story) the parties stop taking part: from
    /// then on peers close every connection at once and callers do not call,
    /// so that whoever is measuring can end with nothing left open.
    pub fn curfew(&self) -> u64 {
        millis(self.options.duration).saturating_sub(millis(self.options.ending))
    }

    /// Pieces of the torrent at `index`; 0 without it.
    pub fn pieces_of(&self, index: usize) -> u32 {
        self.torrents.get(index).map_or(0, |it| it.pieces)
    }

    /// Peers and callers of the torrent at `index`.
    pub fn parties_of(&self, index: usize) -> impl Iterator<Item = &PlannedParty> {
        self.peers
            .iter()
            .chain(&self.callers)
            .filter(move |party| party.torrent == index)
    }
}

fn plan_torrents(options: &LabOptions, chance: &mut Chance) -> Vec<PlannedTorrent> {
    (0..options.torrents.max(1))
        .map(|index| {
            let (fewest, most) = options.pieces;
            let pieces = chance.between(u64::from(fewest.max(1)), u64::from(most));
            let pieces = u32::try_from(pieces).unwrap_or(1);
            let piece_length = 16_384 << chance.below(4);
            let name = format!("practice {} of seed {}", index + 1, options.seed);
            let magnet = is_magnet(options, index);
            let info = info(&name, (pieces, piece_length), magnet, chance);
            PlannedTorrent {
                info_hash: InfoHash::of(&info),
                name,
                pieces,
                piece_length,
                info,
                trackers: plan_trackers(options, index),
                magnet: magnet.then(|| PlannedMagnet { hints: Vec::new() }),
            }
        })
        .collect()
}

/// A well-behaved main tracker, one more of another kind, then (where wanted)
/// two that misbehave; all kinds occur once there are enough torrents.
fn plan_trackers(options: &LabOptions, index: usize) -> Vec<TrackerMode> {
    if is_trackerless(options, index) {
        return Vec::new();
    }
    let good = TrackerMode::GOOD;
    let mut trackers = Vec::new();
    for offset in 0..2 {
        trackers.extend(good.get((index + offset) % good.len()).copied());
    }
    if options.bad_trackers {
        let bad = TrackerMode::BAD;
        for offset in 0..2 {
            trackers.extend(bad.get((2 * index + offset) % bad.len()).copied());
        }
    }
    trackers
}

/// Bytes of noise in the metadata of magnet torrents, so that they are
/// several blocks (BEP 9) of different kinds.
const PADDING: usize = 40_000;

fn info(
    name: &str,
    (pieces, piece_length): (u32, u32),
    padded: bool,
    chance: &mut Chance,
) -> Vec<u8> {
    let hashes: Vec<u8> = (0..pieces)
        .flat_map(|_| [chance.number(), chance.number(), chance.number()])
        .flat_map(u64::to_be_bytes)
        .collect();
    let hashes = hashes
        .get(..pieces as usize * 20)
        .unwrap_or_default()
        .to_vec();
    // The last piece is short by a few bytes, as in most torrents.
    let length = i64::from(pieces) * i64::from(piece_length) - 7;
    let mut info = BTreeMap::from([
        ("length", Item::Number(length)),
        ("name", Item::text(name)),
        ("piece length", Item::Number(piece_length.into())),
        ("pieces", Item::Bytes(hashes)),
    ]);
    if padded {
        // A stream of its own: what follows stays as it would be without.
        let mut noise = chance.fork(1);
        let noise = (0..PADDING / 8).flat_map(|_| noise.number().to_be_bytes());
        info.insert("practice", Item::Bytes(noise.collect()));
    }
    Item::Dict(info).encode()
}

impl PlannedTorrent {
    /// The torrent file with these announce URLs (main one first).
    pub fn file(&self, announce: &[String]) -> Vec<u8> {
        let mut file = b"d".to_vec();
        if let Some(first) = announce.first() {
            append_bytes(&mut file, b"announce");
            append_bytes(&mut file, first.as_bytes());
            append_bytes(&mut file, b"announce-list");
            let tiers = announce
                .iter()
                .map(|url| Item::List(vec![Item::text(url)]))
                .collect();
            file.extend_from_slice(&Item::List(tiers).encode());
        }
        append_bytes(&mut file, b"info");
        file.extend_from_slice(&self.info);
        file.push(b'e');
        file
    }

    /// Blocks of its metadata (BEP 9).
    pub fn metadata_blocks(&self) -> u32 {
        let blocks = self.info.len().div_ceil(super::wire::METADATA_BLOCK);
        u32::try_from(blocks).unwrap_or(u32::MAX)
    }

    /// The magnet link (BEP 9) with these announce URLs and peers.
    pub fn link(&self, announce: &[String], hints: &[SocketAddr]) -> String {
        let mut link = format!("magnet:?xt=urn:btih:{}", self.info_hash);
        for url in announce {
            link.push_str("&tr=");
            link.extend(percent_encode(url.as_bytes(), NON_ALPHANUMERIC));
        }
        for hint in hints {
            // Writing to a text does not fail.
            let _ = write!(link, "&x.pe={hint}");
        }
        link
    }
}

/// Every caller calls a few times: singly at its own times, and a third of
/// them together in each of two storms.
fn plan_calls(options: &LabOptions, callers: usize, chance: &mut Chance) -> Vec<PlannedCall> {
    let story = millis(options.duration.saturating_sub(options.ending)).max(4);
    let storms = [story / 3, story / 3 * 2];
    let mut calls = Vec::new();
    for caller in 0..callers {
        let mut at = chance.below(story / 4);
        while at < story {
            calls.push(PlannedCall { at, caller });
            at += chance.between(story / 6, story / 2).max(1);
        }
        for storm in storms {
            if chance.percent(33) {
                calls.push(PlannedCall { at: storm, caller });
            }
        }
    }
    calls.sort_unstable();
    calls
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
