//! What a run has stored, held against the clients.

use super::clients::{EXPECTED, FINISHES_IN_COMPANY, Known, OVER_IPV6, PLAIN_TCP, Switches};
use super::common::btda_run::BtdaRun;
use super::common::client::Client;
use super::common::contract::{Waiting, assert_contract};
use super::common::leecher::Leecher;
use super::common::results::{Crossing, Peer, Results, Visit};
use super::common::swarm::Swarm;
use super::world::PIECES;

/// What `run` has yet to do: to meet each leecher that it can meet, and to
/// confirm it if it calls.
pub(crate) fn missing(swarm: &Swarm, run: &BtdaRun, switches: Switches) -> Vec<String> {
    let mut missing = Vec::new();
    for ((client, progress), expected) in swarm.leechers.iter().zip(&EXPECTED) {
        let torrent = &swarm.torrents[0];
        let mut wanted = |met: bool, what: &str| {
            if !met {
                missing.push(format!("{} {what} by {switches:?}", client.name()));
            }
        };
        let loaded = progress.timeline(torrent.hash()).latest();
        wanted(loaded == torrent.pieces(), "complete");
        if !switches.meets(expected.known) {
            continue;
        }
        let stored = stored(run, client.code(), &torrent.hash().to_string());
        let (confirmed, ways) = stored.unwrap_or_default();
        if switches.confirms(expected.known) {
            wanted(confirmed, "confirmed");
        }
        let way = |direction: &str| ways.iter().any(|it| it == direction);
        if switches.calls() && expected.known != Known::Call {
            wanted(way("outgoing"), "visited");
        } else {
            wanted(way("incoming"), "heard");
        }
    }
    missing
}

/// Whether the running btda has confirmed the client, and the directions of
/// its visits; `None` while it has no database.
pub(crate) fn stored(run: &BtdaRun, code: &str, hash: &str) -> Option<(bool, Vec<String>)> {
    let results = Results::open(&run.database()?).ok()?;
    let (id, threshold) = results.torrent(hash).ok()?;
    let peers = results.peers(code, id).ok()?;
    let confirmed = peers.iter().any(|peer| peer.is_confirmed(threshold));
    let mut ways = Vec::new();
    for peer in &peers {
        let visits = results.visits(peer.id).ok()?;
        ways.extend(visits.into_iter().map(|visit| visit.direction));
    }
    Some((confirmed, ways))
}

/// What a run has measured.
pub(crate) struct Measured<'a> {
    pub(crate) results: Results,
    pub(crate) switches: Switches,
    pub(crate) swarm: &'a Swarm,
}

impl<'a> Measured<'a> {
    pub(crate) fn open(run: &BtdaRun, switches: Switches, swarm: &'a Swarm) -> Self {
        let database = run.database().expect("btda left a database");
        let waiting = if switches.calls() {
            Waiting::Nobody
        } else {
            Waiting::Possibly
        };
        assert_contract(&database, waiting);
        Self {
            results: Results::open(&database).expect("database can be read"),
            switches,
            swarm,
        }
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.results.number(sql, ()).expect("results can be read")
    }

    pub(crate) fn peers(&self, client: &dyn Client) -> Vec<Peer> {
        let hash = self.swarm.torrents[0].hash().to_string();
        let (id, _) = self.results.torrent(&hash).expect("torrent is stored");
        let peers = self.results.peers(client.code(), id);
        peers.expect("peers can be read")
    }

    pub(crate) fn visits(&self, client: &dyn Client) -> Vec<Visit> {
        let peers = self.peers(client);
        let visits = peers.iter().map(|peer| self.results.visits(peer.id));
        visits
            .flat_map(|it| it.expect("visits can be read"))
            .collect()
    }

    pub(crate) fn crossings(&self, client: &dyn Client) -> Vec<Crossing> {
        let peers = self.peers(client);
        let crossings = peers.iter().map(|peer| self.results.crossings(peer.id));
        crossings
            .flat_map(|it| it.expect("crossings can be read"))
            .collect()
    }

    /// Every client that such a run can meet is confirmed, and was met in the
    /// way that it demands and no other.
    pub(crate) fn check(&self) {
        let hash = self.swarm.torrents[0].hash();
        for ((client, progress), expected) in self.swarm.leechers.iter().zip(&EXPECTED) {
            let client = client.as_ref();
            let visits = self.visits(client);
            let label = format!("{}, {:?}", client.name(), self.switches);
            if !self.switches.meets(expected.known) {
                assert_eq!(visits.len(), 0, "{label}: {visits:?}");
                continue;
            }
            let timeline = progress.timeline(hash);
            let read = Leecher::read(&self.results, client, hash, &timeline).may_be_silent();
            if self.switches.calls() {
                read.check("tracker");
            } else {
                read.check_called();
            }
            for visit in &visits {
                assert_eq!(visit.transport, expected.transport, "{label}: {visit:?}");
                let right = expected.encryption.is_none_or(|it| it == visit.encryption);
                assert!(right, "{label}: {visit:?}");
                let called = visit.direction == "incoming";
                let may_call = self.switches.is_called();
                let may_be_called = self.switches.calls() && expected.known != Known::Call;
                let right = if called { may_call } else { may_be_called };
                assert!(right, "{label}: {visit:?}");
            }
            // Others may call first.
            let first = visits.first().map(|visit| visit.direction.as_str());
            if expected.known == Known::Exchange {
                assert_eq!(first, Some("outgoing"), "{label}: {visits:?}");
            }
        }
        self.check_seeder();
        if self.switches.calls() {
            self.check_origins();
            self.check_plain();
        }
    }

    /// Who demands nothing was mostly called in the clear, which is tried
    /// first. A client that turned a call away, which busy ones do, may have
    /// been reached in another way from then on.
    pub(crate) fn check_plain(&self) {
        let (client, _) = &self.swarm.leechers[PLAIN_TCP];
        let visits = self.visits(client.as_ref());
        let contacts = visits.iter().filter(|visit| visit.direction == "outgoing");
        let ways: Vec<&str> = contacts.map(|visit| visit.encryption.as_str()).collect();
        let plain = ways.iter().filter(|way| **way == "plain").count();
        assert!(plain * 2 > ways.len(), "{}: {ways:?}", client.name());
    }

    /// Who was named by another peer, and who has an IPv6 address.
    pub(crate) fn check_origins(&self) {
        for (nth, ((client, _), expected)) in self.swarm.leechers.iter().zip(&EXPECTED).enumerate()
        {
            for peer in self.peers(client.as_ref()) {
                let id = peer.id;
                let of = |table: &str| format!("SELECT count(*) FROM {table} WHERE peer = {id}");
                let exchanged = self.number(&(of("origin") + " AND origin = 'pex'"));
                let label = format!("{}, {:?}", client.name(), self.switches);
                let only = expected.known == Known::Exchange;
                assert!(exchanged == 1 || !only, "{label}: {peer:?}");
                let sixth = self.number(&of("peer_ipv6"));
                assert_eq!(
                    sixth,
                    i64::from(OVER_IPV6.contains(&nth)),
                    "{label}: {peer:?}"
                );
            }
        }
        let received = "SELECT sum(received_peers) FROM exchange";
        assert!(self.number(received) > 0, "nobody was named by a peer");
    }

    /// The seeder was found complete in every visit, by a run that calls over
    /// both families.
    pub(crate) fn check_seeder(&self) {
        let seeder = &self.swarm.seeder;
        let visits = self.visits(seeder);
        let complete = visits.iter().all(|visit| visit.pieces == PIECES);
        assert!(complete, "{visits:?}");
        let ids: Vec<i64> = self.peers(seeder).iter().map(|peer| peer.id).collect();
        let sixth = ids
            .iter()
            .map(|id| self.number(&format!("SELECT count(*) FROM peer_ipv6 WHERE peer = {id}")));
        let sixth = usize::try_from(sixth.sum::<i64>()).expect("few peers");
        let both = 0 < sixth && sixth < ids.len();
        assert!(both || !self.switches.calls(), "{sixth} of {}", ids.len());
    }

    /// The client that finishes while we are connected was so from the last
    /// time below the threshold to the first at it. A call of ours ends one of
    /// its own, since it keeps one connection to each peer: the one visit then
    /// goes on where the other ends.
    pub(crate) fn check_company(&self) {
        let (client, _) = &self.swarm.leechers[FINISHES_IN_COMPANY];
        let mut visits = self.visits(client.as_ref());
        visits.sort_by_key(|visit| visit.began_ms);
        for crossing in self.crossings(client.as_ref()) {
            let mut connected_until = crossing.last_below_ms;
            for visit in &visits {
                if visit.began_ms <= connected_until {
                    connected_until = connected_until.max(visit.ended_ms);
                }
            }
            assert!(
                crossing.first_at_ms <= connected_until,
                "{crossing:?}: {visits:?}"
            );
        }
    }

    pub(crate) fn count(&self, transport: &str, encryption: &str) -> usize {
        let sql = "SELECT count(*) FROM visit WHERE transport = ?1 AND encryption = ?2";
        let count = self.results.number(sql, (transport, encryption));
        usize::try_from(count.expect("visits can be read")).expect("not negative")
    }
}

/// Length of the narrowest bracket.
pub(crate) fn bracket(crossings: &[Crossing]) -> String {
    let lengths = crossings.iter().map(|it| it.first_at_ms - it.last_below_ms);
    lengths
        .min()
        .map_or("none".to_owned(), |it| format!("{it} ms"))
}
