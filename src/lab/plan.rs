//! The story of a practice swarm, made from a seed before anything starts.
//!
//! Pure: the same options give the same plan on every machine. Ports are the
//! only thing that it leaves open, because the system chooses them.

mod options;
mod progress;

use std::net::Ipv4Addr;

pub use options::LabOptions;
pub use progress::Progress;

use super::behaviour::Behaviour;
use super::bencode::{Item, append_bytes};
use super::random::Chance;
use super::tracker::TrackerMode;
use crate::model::InfoHash;

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
}

/// A peer or caller of the story.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedParty {
    /// Where it listens or calls from, in 127.0.0.0/8. A peer has it alone,
    /// callers may share one.
    pub ip: Ipv4Addr,
    /// Index of its torrent.
    pub torrent: usize,
    /// What it does.
    pub behaviour: Behaviour,
    /// What it has when.
    pub progress: Progress,
    /// How it names itself.
    pub peer_id: [u8; 20],
}

/// One call of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedCall {
    /// Milliseconds of the story.
    pub at: u64,
    /// Index of the caller.
    pub caller: usize,
}

/// Client prefixes that the parties carry in turn.
const CLIENTS: [&[u8; 8]; 4] = [b"-TR4000-", b"-UT3550-", b"-qB4520-", b"-lt20A0-"];

/// Peer `i` is on 127.16.0.0/12, its own address each.
const PEERS_FROM: u32 = 0x7f10_0000;

/// Caller `i` is on 127.64.0.0/12, its own address each, ...
const CALLERS_FROM: u32 = 0x7f40_0000;

/// ... or behind one of these, one caller a torrent, ...
const SHARED_FROM: u32 = 0x7f60_0000;

/// ... or, when it never gets to messages, behind this one.
const CROWDED: Ipv4Addr = Ipv4Addr::new(127, 112, 0, 1);

impl Plan {
    /// The story of `options`.
    pub fn new(options: LabOptions) -> Self {
        let chance = Chance::new(options.seed);
        let torrents = plan_torrents(&options, &mut chance.fork(1));
        let peers = plan_peers(&options, &torrents, &mut chance.fork(2));
        let callers = plan_callers(&options, &torrents, &mut chance.fork(3));
        let calls = plan_calls(&options, callers.len(), &mut chance.fork(4));
        Self {
            options,
            torrents,
            peers,
            callers,
            calls,
        }
    }

    /// When (milliseconds of the story) peers that refuse first begin to
    /// listen.
    pub fn late_opening(&self) -> u64 {
        millis(self.options.duration) / 5
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
            let info = info(&name, pieces, piece_length, chance);
            PlannedTorrent {
                info_hash: InfoHash::of(&info),
                name,
                pieces,
                piece_length,
                info,
                trackers: plan_trackers(options, index),
            }
        })
        .collect()
}

/// A well-behaved main tracker, one more of another kind, then (where wanted)
/// two that misbehave; all kinds occur once there are enough torrents.
fn plan_trackers(options: &LabOptions, index: usize) -> Vec<TrackerMode> {
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

fn info(name: &str, pieces: u32, piece_length: u32, chance: &mut Chance) -> Vec<u8> {
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
    Item::dict([
        ("length", Item::Number(length)),
        ("name", Item::text(name)),
        ("piece length", Item::Number(piece_length.into())),
        ("pieces", Item::Bytes(hashes)),
    ])
    .encode()
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
}

fn plan_peers(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    chance: &mut Chance,
) -> Vec<PlannedParty> {
    deal(&options.shares, options.peers, chance)
        .into_iter()
        .enumerate()
        .map(|(index, behaviour)| PlannedParty {
            ip: address(PEERS_FROM, index),
            ..party(options, torrents, index, behaviour, chance)
        })
        .collect()
}

/// A quarter of the callers share addresses, one of each torrent behind one,
/// so that (address, torrent) still tells them apart. Callers that are
/// never evaluated need not be told apart: half of them call from a single
/// address.
fn plan_callers(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    chance: &mut Chance,
) -> Vec<PlannedParty> {
    let shares: Vec<_> = options
        .shares
        .iter()
        .filter(|(behaviour, _)| !behaviour.is_for_peers_only())
        .copied()
        .collect();
    deal(&shares, options.callers, chance)
        .into_iter()
        .enumerate()
        .map(|(index, behaviour)| {
            let number = index + options.peers;
            let mut caller = party(options, torrents, number, behaviour, chance);
            caller.ip = if index < options.callers / 4 {
                caller.torrent = index % torrents.len();
                let pieces = torrents.get(caller.torrent).map_or(1, |it| it.pieces);
                caller.progress = progress(options, pieces, behaviour, chance);
                address(SHARED_FROM, index / torrents.len())
            } else if behaviour.fails_before_messages().is_some() && chance.percent(50) {
                CROWDED
            } else {
                address(CALLERS_FROM, index)
            };
            caller
        })
        .collect()
}

fn party(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    index: usize,
    behaviour: Behaviour,
    chance: &mut Chance,
) -> PlannedParty {
    let torrent = chance.index(torrents.len());
    let pieces = torrents.get(torrent).map_or(1, |it| it.pieces);
    let mut peer_id = [b'-'; 20];
    let prefix = CLIENTS
        .get(index % CLIENTS.len())
        .map_or(b"-LB0100-", |it| it);
    let name = prefix
        .iter()
        .copied()
        .chain(format!("{index:012}").into_bytes());
    peer_id
        .iter_mut()
        .zip(name)
        .for_each(|(to, from)| *to = from);
    PlannedParty {
        ip: Ipv4Addr::LOCALHOST,
        torrent,
        behaviour,
        progress: progress(options, pieces, behaviour, chance),
        peer_id,
    }
}

/// Starts anywhere (a third from nothing) and loads at a speed of its own.
fn progress(
    options: &LabOptions,
    pieces: u32,
    behaviour: Behaviour,
    chance: &mut Chance,
) -> Progress {
    if behaviour == Behaviour::Seed {
        return Progress::new(pieces, pieces, 0.0, chance);
    }
    let start = if chance.percent(33) {
        0
    } else {
        u32::try_from(chance.below(u64::from(pieces))).unwrap_or(0)
    };
    let (shortest, longest) = options.download;
    let whole = chance.between(millis(shortest).max(1), millis(longest).max(1));
    let rate = f64::from(pieces) * 1000.0 / whole as f64;
    let mut progress = Progress::new(pieces, start, rate, chance);
    if chance.percent(options.stalls.into()) {
        let story = millis(options.duration);
        let from = chance.below(story.max(1));
        progress.stalls.push((from, from + story / 4));
    }
    progress
}

/// As many behaviours as parties: each with a weight once, the rest by
/// weight, in random order.
fn deal(shares: &[(Behaviour, u32)], count: usize, chance: &mut Chance) -> Vec<Behaviour> {
    let mut dealt: Vec<Behaviour> = shares
        .iter()
        .filter(|(_, weight)| *weight > 0)
        .map(|(behaviour, _)| *behaviour)
        .collect();
    let total: u64 = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
    while dealt.len() < count {
        let mut drawn = chance.below(total);
        let found = shares.iter().find(|(_, weight)| {
            let hit = drawn < u64::from(*weight);
            drawn = drawn.saturating_sub(u64::from(*weight));
            hit
        });
        dealt.push(found.map_or(Behaviour::Bitfield, |(behaviour, _)| *behaviour));
    }
    chance.shuffle(&mut dealt);
    dealt.truncate(count);
    dealt
}

/// Every caller calls a few times: singly at its own times, and a third of
/// them together in each of two storms.
fn plan_calls(options: &LabOptions, callers: usize, chance: &mut Chance) -> Vec<PlannedCall> {
    let story = millis(options.duration).max(4);
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

/// Address number `index` of a block, without the ones that end in 0 or 255.
fn address(block: u32, index: usize) -> Ipv4Addr {
    let index = u32::try_from(index).unwrap_or(0);
    Ipv4Addr::from_bits(block + (index / 250) * 256 + index % 250 + 1)
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
