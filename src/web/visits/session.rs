//! The visits to the peers of one swarm, and how far they are.

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use crate::inspection::Seen;
use crate::model::{InfoHash, PeerAddress, PieceCount, Timestamp};
use crate::storage::history::{PeerVisit, TrackedPeer};

/// Visits to the peers of one swarm.
pub(in crate::web) struct Session {
    /// Its number.
    pub(in crate::web) number: u64,
    /// The torrent.
    pub(in crate::web) info_hash: InfoHash,
    /// When it began.
    pub(in crate::web) at: Timestamp,
    /// Whom it is to.
    pub(super) peers: Vec<PeerAddress>,
    progress: Mutex<Progress>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

/// Where visits stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Peers are asked for the metadata, without which their progress means
    /// nothing.
    Metadata,
    /// Peers are visited.
    Visiting,
    /// Nothing follows.
    Done,
}

/// Where one visit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    /// It is still to come.
    Waiting,
    /// Somebody is there.
    Visiting,
    /// It is over.
    Done,
    /// There was no time for it.
    Skipped,
}

struct Progress {
    phase: Phase,
    pieces: Option<PieceCount>,
    stored: bool,
    peers: Vec<Visited>,
}

/// One peer and what its visit has shown.
#[derive(Debug, Clone, Serialize)]
struct Visited {
    #[serde(flatten)]
    peer: TrackedPeer,
    step: Step,
}

/// Everything that is told of the visits.
#[derive(Debug, Serialize)]
pub(in crate::web) struct State {
    number: u64,
    info_hash: String,
    timestamp: String,
    phase: Phase,
    /// Pieces of the torrent, where they are known.
    pieces_count: Option<u32>,
    /// Peers.
    total: usize,
    /// Of these, those with whom nothing more happens.
    done: usize,
    /// Those that answered as a peer of the torrent.
    reached: usize,
    /// Those that have everything.
    complete: usize,
    /// Whether the reports have it.
    stored: bool,
    peers: Vec<Visited>,
}

impl Session {
    /// Nobody is visited yet.
    pub(super) fn new(
        number: u64,
        (info_hash, at): (InfoHash, Timestamp),
        peers: Vec<(PeerAddress, TrackedPeer)>,
    ) -> Self {
        let (addresses, told): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
        let waiting = |peer| Visited {
            peer: TrackedPeer {
                visit: None,
                ..peer
            },
            step: Step::Waiting,
        };
        Self {
            number,
            info_hash,
            at,
            peers: addresses,
            progress: Mutex::new(Progress {
                phase: Phase::Metadata,
                pieces: None,
                stored: false,
                peers: told.into_iter().map(waiting).collect(),
            }),
            changes: watch::Sender::new(0),
        }
    }

    /// Whether nothing follows.
    pub(in crate::web) fn is_over(&self) -> bool {
        self.progress.lock().phase == Phase::Done
    }

    /// Learns of changes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
        self.changes.send_modify(|number| *number += 1);
    }

    /// The visits begin, of a torrent of so many pieces.
    pub(super) fn visits_begin(&self, pieces: Option<PieceCount>) {
        self.change(|it| {
            it.phase = Phase::Visiting;
            it.pieces = pieces;
        });
    }

    /// The visit at `place` begins.
    pub(super) fn begins(&self, place: usize) {
        self.change(|it| {
            if let Some(visited) = it.peers.get_mut(place) {
                visited.step = Step::Visiting;
            }
        });
    }

    /// The visit at `place` is over.
    pub(super) fn ends(&self, place: usize, seen: Seen) {
        self.change(|it| {
            let pieces = it.pieces;
            if let Some(visited) = it.peers.get_mut(place) {
                visited.step = Step::Done;
                visited.peer.visit = Some(visit(&seen, pieces));
                if seen.client.is_some() {
                    visited.peer.client = seen.client;
                }
            }
        });
    }

    /// The peer at `place` is not contacted.
    pub(super) fn leaves(&self, place: usize) {
        self.change(|it| {
            if let Some(visited) = it.peers.get_mut(place) {
                visited.step = Step::Skipped;
            }
        });
    }

    /// Nothing follows; `stored` when the reports have it.
    pub(super) fn ends_all(&self, stored: bool) {
        self.change(|it| {
            it.phase = Phase::Done;
            it.stored = stored;
            for visited in &mut it.peers {
                if visited.step != Step::Done {
                    visited.step = Step::Skipped;
                }
            }
        });
    }

    /// What the visits that are over have shown.
    pub(super) fn brought(&self) -> Vec<(PeerAddress, TrackedPeer)> {
        let progress = self.progress.lock();
        let visited = self.peers.iter().zip(&progress.peers);
        visited
            .filter(|(_, visited)| visited.step == Step::Done)
            .map(|(address, visited)| (*address, visited.peer.clone()))
            .collect()
    }

    /// All of it, as of now.
    pub(in crate::web) fn state(&self) -> State {
        let progress = self.progress.lock();
        let of = |wanted: fn(&PeerVisit) -> bool| {
            let visits = progress
                .peers
                .iter()
                .filter_map(|it| it.peer.visit.as_ref());
            visits.filter(|it| wanted(it)).count()
        };
        let over = |step| matches!(step, Step::Done | Step::Skipped);
        State {
            number: self.number,
            info_hash: self.info_hash.to_string(),
            timestamp: self.at.to_string(),
            phase: progress.phase,
            pieces_count: progress.pieces.map(|pieces| pieces.0),
            total: progress.peers.len(),
            done: progress.peers.iter().filter(|it| over(it.step)).count(),
            reached: of(|visit| visit.transport.is_some()),
            complete: of(|visit| visit.complete == Some(true)),
            stored: progress.stored,
            peers: progress.peers.clone(),
        }
    }
}

fn visit(seen: &Seen, pieces: Option<PieceCount>) -> PeerVisit {
    let over = seen.over;
    PeerVisit {
        outcome: seen.failure.map_or_else(
            || "success".to_owned(),
            |reason| reason.label().into_owned(),
        ),
        pieces: seen.pieces.map(|pieces| pieces.0),
        pieces_count: pieces.map(|pieces| pieces.0),
        complete: seen.complete,
        transport: over.map(|(transport, _)| transport.as_str().to_owned()),
        encryption: over.map(|(_, encryption)| encryption.as_str().to_owned()),
    }
}
