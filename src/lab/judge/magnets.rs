//! Whether the torrents of magnet links joined the run, and as what they are.

use super::super::behaviour::Behaviour;
use super::super::manner::MetadataManner;
use super::super::plan::PlannedTorrent;
use super::super::truth::Truth;
use super::judgement::{Judgement, MagnetJudgement};
use super::{Judge, MARGIN};
use crate::model::Timestamp;
use crate::storage::{Results, StoredTorrent};

/// Time in which the metadata of a link must have been fetched from peers that
/// can give it, in milliseconds: bad ones are asked too, each for as long as
/// the analyzer waits.
const ENOUGH: i64 = 20_000;

/// Calls of one address for metadata, at most.
const ATTEMPTS: u64 = 5;

impl Judge<'_> {
    pub(super) fn judge_magnets(
        &self,
        results: &Results,
        truth: &Truth,
        judgement: &mut Judgement,
    ) {
        let stopped = self.terms.stopped.map_or(i64::MAX, Timestamp::millis);
        let whole_story = stopped.saturating_sub(self.started.millis()) >= ENOUGH;
        let mut sums = MagnetJudgement::default();
        let mut wrong = Vec::new();
        for (index, torrent) in self.plan.torrents.iter().enumerate() {
            if torrent.magnet.is_none() {
                continue;
            }
            let counts = truth.magnets.get(&index);
            let whole = counts.and_then(|counts| counts.whole);
            let hash = torrent.info_hash.to_string();
            let stored = results.torrents.iter().find(|it| it.info_hash == hash);
            sums.links += 1;
            sums.asked += u64::from(counts.is_some_and(|it| it.conversations > 0));
            sums.given += u64::from(whole.is_some());
            sums.resolved += u64::from(stored.is_some());
            let exact = stored.is_some_and(|stored| is_exact(stored, torrent));
            sums.exact += u64::from(exact);
            let mut complain = |what: &str| wrong.push(format!("torrent={} {what}", index + 1));
            if stored.is_some() && !exact {
                complain("is not what its metadata say");
            }
            let long_ago = whole.is_some_and(|at| at.millis() < stopped - MARGIN);
            match (stored, whole) {
                (Some(_), None) => complain("joined though nobody gave all of its metadata"),
                (None, Some(_)) if long_ago => complain("did not join though its metadata came"),
                (None, None) if whole_story && self.can_be_resolved(index) => {
                    complain("did not join though its peers can give its metadata");
                }
                _ => {}
            }
        }
        judgement.magnets = sums;
        judgement.find("magnet links", &wrong);
    }

    /// How often the analyzer may have called itself for metadata: its own
    /// listener does not know the torrent yet, which nobody here can see.
    pub(super) fn calls_of_itself(truth: &Truth) -> u64 {
        let itself = truth.magnets.values().filter(|counts| counts.itself);
        itself.count() as u64 * ATTEMPTS
    }

    /// Whether a peer gives all of the metadata to whoever asks.
    fn can_be_resolved(&self, torrent: usize) -> bool {
        let mut peers = self.plan.peers.iter();
        peers.any(|peer| {
            // Who has not even the extension protocol is never asked.
            let answers = peer.behaviour.counts()
                && !matches!(
                    peer.behaviour,
                    Behaviour::HavesOnly | Behaviour::RefusesFirst
                );
            peer.torrent == torrent && answers && peer.manner == MetadataManner::Gives
        })
    }
}

fn is_exact(stored: &StoredTorrent, planned: &PlannedTorrent) -> bool {
    stored.pieces == planned.pieces
        && stored.piece_size == planned.piece_length
        && stored.name.as_deref() == Some(&planned.name)
}
