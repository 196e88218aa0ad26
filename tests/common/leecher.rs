//! One client's download as btda stored it, held against what the client's
//! own interface said.

use btda::model::InfoHash;

use super::client::Client;
use super::results::{Crossing, Peer, Results, Visit};
use super::samples::Timeline;

/// A client may tell peers of a piece later than its user, or sooner, by so
/// many milliseconds: the time between two samples of its interface.
const SAMPLE_MS: i64 = 500;

/// What is known of one client's download from both sides.
pub(crate) struct Leecher<'a> {
    label: String,
    results: &'a Results,
    timeline: &'a Timeline,
    threshold: u32,
    peers: Vec<Peer>,
    may_be_silent: bool,
}

impl<'a> Leecher<'a> {
    /// Reads what btda stored of the client; `timeline` is what the client
    /// said.
    pub(crate) fn read(
        results: &'a Results,
        client: &dyn Client,
        hash: InfoHash,
        timeline: &'a Timeline,
    ) -> Self {
        let (torrent, threshold) = results
            .torrent(&hash.to_string())
            .expect("torrent is stored");
        let peers = results.peers(client.code(), torrent);
        Self {
            label: format!("{} ({}), torrent {torrent}", client.name(), client.code()),
            results,
            timeline,
            threshold,
            peers: peers.expect("peers can be read"),
            may_be_silent: false,
        }
    }

    /// The same for a client that may say nothing for seconds behind both
    /// handshakes, so that it seems to have nothing. libtorrent does so now and
    /// then when it has called with encryption: a recording showed no byte from
    /// it. Supposed is that its rate limit lets other connections go first.
    pub(crate) fn may_be_silent(self) -> Self {
        Self {
            may_be_silent: true,
            ..self
        }
    }

    /// Fails the test unless the download is confirmed, with figures that the
    /// client agrees with, for a peer that `source` named or that called.
    pub(crate) fn check(&self, source: &str) {
        let (label, threshold) = (&self.label, self.threshold);
        let confirmed = self.peers.iter().filter(|p| p.is_confirmed(threshold));
        let confirmed: Vec<&Peer> = confirmed.collect();
        assert!(!confirmed.is_empty(), "{label}: {:?}", self.peers);
        // As a peer that was named, or as a caller that told where it listens
        // before it was named; one that does not tell may have both rows.
        let named = self.peers.iter().filter(|p| p.source == source);
        assert!(named.count() <= 1, "{label}: {:?}", self.peers);
        let known = |p: &&Peer| p.source == source || p.source == "incoming";
        assert!(confirmed.iter().all(known), "{label}: {:?}", self.peers);
        self.check_all_visits();
        for peer in confirmed {
            self.check_crossing(peer);
        }
    }

    /// Fails the test unless the client was evaluated as a caller and in no
    /// other way, with figures that it agrees with.
    pub(crate) fn check_called(&self) {
        let label = &self.label;
        assert!(!self.peers.is_empty(), "{label}: never heard");
        for peer in &self.peers {
            assert_eq!(peer.source, "incoming", "{label}");
        }
        self.check_all_visits();
    }

    fn check_all_visits(&self) {
        let silent: i64 = self.peers.iter().map(|peer| self.check_visits(peer)).sum();
        let all: i64 = self.peers.iter().map(|peer| peer.visits).sum();
        let label = &self.label;
        assert!(silent * 2 <= all, "{label}: {silent} of {all} silent");
    }

    /// How many of the visits are excused by silence.
    fn check_visits(&self, peer: &Peer) -> i64 {
        let label = &self.label;
        let visits = self.results.visits(peer.id).expect("visits can be read");
        let count = i64::try_from(visits.len()).expect("few visits");
        assert_eq!(count, peer.visits, "{label}: visits");
        let mut silent = 0;
        for visit in &visits {
            let (least, greatest) = self.timeline.bounds(visit.began_ms, visit.ended_ms);
            if (least..=greatest).contains(&visit.pieces) {
                continue;
            }
            let excused = self.may_be_silent && visit.messages == 0 && visit.pieces == 0;
            assert!(
                excused,
                "{label}: {visit:?}, but the client says {least} to {greatest}"
            );
            silent += 1;
        }
        let called = visits.first().is_some_and(|it| it.direction == "incoming");
        assert_eq!(called, peer.source == "incoming", "{label}: {visits:?}");
        let first = visits.first().map(|visit| visit.pieces);
        assert_eq!(first, Some(peer.first_pieces), "{label}: first_pieces");
        let last = visits.get(1..).and_then(<[Visit]>::last);
        let last = last.map(|visit| visit.pieces);
        // A visit that ends last may have heard it before the one that told most.
        let most = visits.iter().skip(1).map(|visit| visit.pieces).max();
        let right = [last, most].contains(&peer.last_pieces);
        assert!(right, "{label}: last_pieces of {peer:?}, {visits:?}");
        silent
    }

    /// The client's own time of reaching the threshold lies in the bracket.
    fn check_crossing(&self, peer: &Peer) {
        let (label, threshold) = (&self.label, self.threshold);
        let crossings = self.results.crossings(peer.id);
        let crossings = crossings.expect("crossings can be read");
        let [crossing] = crossings.as_slice() else {
            panic!("{label}: {crossings:?}");
        };
        let &Crossing {
            last_below_ms,
            last_below_pieces,
            first_at_ms,
            first_at_pieces,
        } = crossing;
        let bracket = last_below_pieces < threshold && threshold <= first_at_pieces;
        assert!(bracket, "{label}: threshold {threshold}, {crossing:?}");
        let visits = self.results.visits(peer.id).expect("visits can be read");
        let (after, until) = self
            .timeline
            .reached(threshold)
            .expect("the client finished");
        assert!(
            until >= last_below_ms - SAMPLE_MS && after <= first_at_ms + SAMPLE_MS,
            "{label}: {crossing:?}, but the client between {after} and {until}"
        );
        // A call of ours may begin while it tells us of it in a call of its own.
        let showing = |v: &&Visit| v.began_ms <= first_at_ms && first_at_ms <= v.ended_ms;
        let seen = visits.iter().filter(showing).map(|v| v.ended_ms).max();
        let seen = seen.unwrap_or(first_at_ms) + SAMPLE_MS;
        let again = visits.iter().filter(|v| v.began_ms > seen);
        let again = again.filter(|visit| visit.direction == "outgoing").count();
        assert_eq!(again, 0, "{label}: visited again behind the threshold");
    }
}

/// Fails the test unless most contacts of the run went the way that is tried
/// first. A client that turned one away, which busy ones do, may have been
/// reached in another way from then on. Callers choose theirs.
#[expect(clippy::print_stdout, reason = "a figure for who reads the test")]
pub(crate) fn check_ways(results: &Results) {
    let sql = "SELECT count(*) FROM visit WHERE direction = 'outgoing'";
    let all = results.number(sql, ()).expect("visits can be read");
    let sql = format!("{sql} AND transport = 'tcp' AND encryption = 'plain'");
    let first = results.number(&sql, ()).expect("visits can be read");
    println!("{first} of {all} contacts by TCP in the clear");
    assert!(first * 2 > all, "{first} of {all} by TCP in the clear");
}
