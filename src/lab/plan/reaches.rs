//! How the parties of a story are reached, and who names those that only
//! other peers know. Pure.

use super::super::behaviour::Behaviour;
use super::super::random::Chance;
use super::super::reach::Reach;
use super::parties::deal;
use super::{NamedBy, PlannedParty, PlannedTorrent};

/// A peer that only others know is named by so many of them.
const TELLERS: usize = 3;

/// Gives parties their class: those of whom every contact counts, so that
/// what a contact is worth never depends on how it came about.
pub(super) fn deal_reach(
    shares: &[(Reach, u32)],
    torrents: &[PlannedTorrent],
    parties: &mut [PlannedParty],
    chance: &mut Chance,
) {
    let eligible =
        |party: &&mut PlannedParty| party.behaviour.is_steady() && !party.is_translated();
    let mut eligible: Vec<&mut PlannedParty> = parties.iter_mut().filter(eligible).collect();
    let dealt = deal(shares, eligible.len(), chance);
    for (party, reach) in eligible.iter_mut().zip(dealt) {
        let torrent = torrents.get(party.torrent);
        let trackerless = torrent.is_none_or(|torrent| torrent.trackers.is_empty());
        party.reach = match reach.unwrap_or(Reach::Tcp) {
            // The practice DHT is one of IPv4.
            Reach::Ipv6 if trackerless => Reach::Tcp,
            reach => reach,
        };
        if party.reach == Reach::Ipv6 {
            party.named_by = NamedBy::Trackers;
        }
    }
}

/// Finds peers that name those of the class [`Reach::Pex`]: of the same
/// torrent, all named in the same way themselves, since a peer that others
/// name is stored with the source of who named it.
pub(super) fn plan_exchange(
    torrents: &[PlannedTorrent],
    peers: &mut [PlannedParty],
    chance: &mut Chance,
) {
    for torrent in 0..torrents.len() {
        let mut tellers: Vec<usize> = (0..peers.len())
            .filter(|index| peers.get(*index).is_some_and(|it| tells(it, torrent)))
            .collect();
        let by = |named_by: NamedBy| {
            let of = |index: &&usize| peers.get(**index).is_some_and(|it| it.named_by == named_by);
            tellers.iter().filter(of).count()
        };
        let source = if by(NamedBy::Trackers) > 0 {
            NamedBy::Trackers
        } else {
            NamedBy::Dht
        };
        tellers.retain(|index| peers.get(*index).is_some_and(|it| it.named_by == source));
        for index in 0..peers.len() {
            let Some(peer) = peers.get_mut(index) else {
                continue;
            };
            if peer.torrent != torrent || peer.reach != Reach::Pex {
                continue;
            }
            if tellers.is_empty() {
                // Nobody would ever hear of it.
                peer.reach = Reach::Tcp;
                continue;
            }
            peer.named_by = NamedBy::Pex;
            chance.shuffle(&mut tellers);
            for teller in tellers.iter().take(TELLERS) {
                if let Some(teller) = peers.get_mut(*teller) {
                    teller.names.push(index);
                }
            }
        }
    }
}

/// Whether the peer may name others: one that is found in the usual way and
/// speaks the extension protocol.
fn tells(peer: &PlannedParty, torrent: usize) -> bool {
    peer.torrent == torrent
        && peer.reach == Reach::Tcp
        && matches!(peer.named_by, NamedBy::Trackers | NamedBy::Dht)
        && matches!(
            peer.behaviour,
            Behaviour::Bitfield
                | Behaviour::LazyBitfield
                | Behaviour::RedundantHaves
                | Behaviour::HaveAllNone
                | Behaviour::LiveHaves
                | Behaviour::Seed
                | Behaviour::Chatty
        )
}
