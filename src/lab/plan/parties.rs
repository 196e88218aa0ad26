//! Who takes part in a story: addresses, behaviours, downloads. Pure.

use std::net::Ipv4Addr;

use super::super::behaviour::Behaviour;
use super::super::manner::MetadataManner;
use super::super::random::Chance;
use super::super::reach::Reach;
use super::{CallerPort, LabOptions, NamedBy, PlannedParty, PlannedTorrent, Progress, millis};

/// Client prefixes that the parties carry in turn.
const CLIENTS: [&[u8; 8]; 4] = [b"-TR4000-", b"-UT3550-", b"-qB4520-", b"-lt20A0-"];

/// Peer `i` is on 127.16.0.0/12, its own address each.
const PEERS_FROM: u32 = 0x7f10_0000;

/// Caller `i` is on 127.64.0.0/12, its own address each, ...
const CALLERS_FROM: u32 = 0x7f40_0000;

/// ... or behind one of these, one caller a torrent, ...
const SHARED_FROM: u32 = 0x7f60_0000;

/// ... or four of one torrent behind one of these, each telling another port
/// on which it listens, ...
const NAT_FROM: u32 = 0x7f68_0000;

/// ... or, when it never gets to messages, behind this one.
pub(super) const CROWDED: Ipv4Addr = Ipv4Addr::new(127, 112, 0, 1);

pub(super) fn plan_peers(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    chance: &mut Chance,
) -> Vec<PlannedParty> {
    deal(&options.shares, options.peers, chance)
        .into_iter()
        .enumerate()
        .map(|(index, behaviour)| {
            let behaviour = behaviour.unwrap_or(Behaviour::Bitfield);
            PlannedParty {
                ip: address(PEERS_FROM, index),
                ..party(options, torrents, index, behaviour, chance)
            }
        })
        .collect()
}

/// A quarter of the callers share addresses, one of each torrent behind one,
/// so that (address, torrent) still tells them apart. Callers that are
/// never evaluated need not be told apart: half of them call from a single
/// address. Of those on an address of their own half tell where they listen.
/// The last eighth is behind address translation.
pub(super) fn plan_callers(
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
            let behaviour = behaviour.unwrap_or(Behaviour::Bitfield);
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
                let tells = behaviour != Behaviour::HavesOnly && chance.percent(50);
                caller.listens = tells.then_some(CallerPort::Open);
                address(CALLERS_FROM, index)
            };
            let translated_from = options.callers - options.callers / 8;
            match index.checked_sub(translated_from) {
                Some(index) => translated(options, torrents, (index, caller), chance),
                None => caller,
            }
        })
        .collect()
}

/// The caller number `index` of those behind address translation: four of one
/// torrent share an address and a client, and one of them can be called.
fn translated(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    (index, mut caller): (usize, PlannedParty),
    chance: &mut Chance,
) -> PlannedParty {
    let behind = 1 + CallerPort::CLOSED;
    caller.ip = address(NAT_FROM, index / behind);
    caller.listens = Some(match (index % behind).checked_sub(1) {
        Some(number) => CallerPort::Closed(number),
        None => CallerPort::Open,
    });
    caller.torrent = index / behind % torrents.len();
    let [first, second] = [Behaviour::Bitfield, Behaviour::Chatty];
    caller.behaviour = if chance.percent(50) { first } else { second };
    let pieces = torrents.get(caller.torrent).map_or(1, |it| it.pieces);
    caller.progress = progress(options, pieces, caller.behaviour, chance);
    let prefix = CLIENTS.get(index / behind % CLIENTS.len());
    let prefix = prefix.into_iter().flat_map(|prefix| prefix.iter());
    (caller.peer_id.iter_mut().zip(prefix)).for_each(|(to, from)| *to = *from);
    caller
}

impl PlannedParty {
    /// Whether it is one of several callers behind one address.
    pub(in super::super) fn is_translated(&self) -> bool {
        (NAT_FROM..NAT_FROM + 0x8_0000).contains(&self.ip.to_bits())
    }
}

/// Moves some callers to the address of a peer of their own torrent, at most
/// one to each: a peer that also calls.
pub(super) fn overlap(
    options: &LabOptions,
    peers: &[PlannedParty],
    callers: &mut [PlannedParty],
    chance: &mut Chance,
) {
    let mut free: Vec<&PlannedParty> = peers.iter().collect();
    chance.shuffle(&mut free);
    for caller in callers {
        if caller.is_translated() || !chance.percent(options.overlap.into()) {
            continue;
        }
        if let Some(found) = free.iter().position(|peer| peer.torrent == caller.torrent) {
            caller.ip = free.swap_remove(found).ip;
            caller.listens = None;
        }
    }
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
        listens: None,
        torrent,
        reach: Reach::Tcp,
        behaviour,
        progress: progress(options, pieces, behaviour, chance),
        peer_id,
        named_by: NamedBy::Trackers,
        names: Vec::new(),
        manner: MetadataManner::Gives,
    }
}

/// Per cent of those who start from nothing that have nothing for a third of
/// the story, so that it is seen too.
const FIRST_WAITS: u64 = 40;

/// Pieces that [`Behaviour::Finishes`] misses at most: a visit reads that many
/// messages.
const MISSING_MAX: u32 = 100;

/// Starts anywhere (a third from nothing) and loads at a speed of its own.
fn progress(
    options: &LabOptions,
    pieces: u32,
    behaviour: Behaviour,
    chance: &mut Chance,
) -> Progress {
    match behaviour {
        Behaviour::Seed => return Progress::new(pieces, pieces, 0.0, chance),
        Behaviour::Finishes => {
            let missing = (pieces / 2).min(MISSING_MAX);
            return Progress::new(pieces, pieces - missing, 0.0, chance);
        }
        _ => {}
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
    if start == 0 && options.stalls > 0 && chance.percent(FIRST_WAITS) {
        progress.stalls.push((0, millis(options.duration) / 3));
    } else if chance.percent(options.stalls.into()) {
        let story = millis(options.duration);
        let from = chance.below(story.max(1));
        progress.stalls.push((from, from + story / 4));
    }
    progress
}

/// As many behaviours (or whatever there are shares of) as parties: each with
/// a weight once, the rest by weight, in random order. `None` where no share
/// has a weight.
pub(super) fn deal<T: Copy>(
    shares: &[(T, u32)],
    count: usize,
    chance: &mut Chance,
) -> Vec<Option<T>> {
    let mut dealt: Vec<Option<T>> = shares
        .iter()
        .filter(|(_, weight)| *weight > 0)
        .map(|(one, _)| Some(*one))
        .collect();
    let total: u64 = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
    while dealt.len() < count {
        let mut drawn = chance.below(total);
        let found = shares.iter().find(|(_, weight)| {
            let hit = drawn < u64::from(*weight);
            drawn = drawn.saturating_sub(u64::from(*weight));
            hit
        });
        dealt.push(found.map(|(one, _)| *one));
    }
    chance.shuffle(&mut dealt);
    dealt.truncate(count);
    dealt
}

/// Address number `index` of a block, without the ones that end in 0 or 255.
pub(super) fn address(block: u32, index: usize) -> Ipv4Addr {
    let index = u32::try_from(index).unwrap_or(0);
    Ipv4Addr::from_bits(block + (index / 250) * 256 + index % 250 + 1)
}
