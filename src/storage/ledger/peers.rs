//! The peers evaluated so far and what a further visit changes.

use std::time::Duration;

use super::super::geo::Locate;
use super::super::row::{
    CrossingRow, ExtensionHandshakeRow, NewPeer, OriginRow, PeerUpdate, PlaceRow, Row, VisitRow,
};
use super::super::text;
use super::Totals;
use super::doubts::{Doubts, evidence_of};
use super::identity::{Identities, Whose};
use crate::config::settings::Identity;
use crate::model::record::{Told, Visit};
use crate::model::{Direction, Evidence, Source, Torrent};

/// Known peers of a run.
#[derive(Debug)]
pub(super) struct Peers {
    identities: Identities,
    /// In order of their ids, which begin with 1.
    known: Vec<Known>,
    /// Least milliseconds between two visits that make a speed; 0: any.
    speed_gap: i64,
    doubts: Doubts,
    totals: Totals,
}

/// What became of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// A caller that was evaluated by an outgoing visit before; not stored.
    Refused,
    /// Stored as a visit of a peer.
    Stored {
        /// Whether this was its first evaluation.
        first: bool,
        /// Whether its row is that of a caller: the visit is one more of
        /// those in the rows of `request`, whoever opened the connection.
        caller: bool,
        /// Whether a tracker or the DHT had named where this caller listens,
        /// which comes out now: not one peer more (sum 1 of the contract).
        named_too: bool,
        /// The peer's class before this visit, `None` at its first, and now.
        evidence: (Option<Evidence>, Evidence),
    },
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    /// Its row has the source `incoming`.
    caller: bool,
    /// See [`Taken::Stored`].
    named_too: bool,
    first_pieces: u32,
    last_pieces: u32,
    last_ms: i64,
    /// When it told its `last_pieces`.
    told_ms: i64,
    /// The visit from which the next speed is taken: time and pieces.
    measured: (i64, u32),
    visits: u32,
    /// `None` while no two visits were far enough apart.
    max_speed: Option<f64>,
    /// What it told last, while that is below the threshold.
    below: Option<Told>,
    /// The most that it has shown.
    evidence: Evidence,
}

impl Peers {
    pub(super) fn new(torrents: usize) -> Self {
        Self {
            identities: Identities::new(Identity::Thesis2015),
            known: Vec::new(),
            speed_gap: 0,
            doubts: Doubts::new(u32::MAX, Duration::ZERO),
            totals: Totals {
                confirmed: vec![0; torrents],
                ..Totals::default()
            },
        }
    }

    /// Before the first visit: who callers are, and the least time between
    /// two visits that make a speed.
    pub(super) fn measure(&mut self, identity: Identity, speed_gap: Duration) {
        self.identities = Identities::new(identity);
        self.speed_gap = i64::try_from(speed_gap.as_millis()).unwrap_or(i64::MAX);
    }

    /// Before the first visit: from so many visits without a piece on, over
    /// such a time, a peer is doubted.
    pub(super) fn doubt(&mut self, visits: u32, time: Duration) {
        self.doubts = Doubts::new(visits, time);
    }

    /// One more torrent.
    pub(super) fn join(&mut self) {
        self.totals.confirmed.push(0);
    }

    pub(super) const fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn take(
        &mut self,
        visit: &mut Visit,
        torrent: &Torrent,
        geo: &dyn Locate,
        rows: &mut Vec<Row>,
    ) -> Taken {
        visit.pieces = visit.pieces.min(torrent.pieces);
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let whose = self.identities.find(visit, next);
        let first = whose == Whose::New;
        let index = match whose {
            Whose::Refused => return Taken::Refused,
            Whose::New => self.meet(visit, geo, rows),
            Whose::Known(number) => number as usize,
        };
        let Some(known) = self.known.get_mut(index) else {
            return Taken::Refused;
        };
        // What is old news can be no fall.
        let last = if known.is_older(visit) {
            known.last_pieces.min(visit.pieces.0)
        } else {
            known.last_pieces
        };
        let before = (!first).then_some((known.evidence, last));
        if !first {
            let before = known.is_confirmed(torrent);
            known.revisit(visit, self.speed_gap, rows);
            let after = known.is_confirmed(torrent);
            if let Some(confirmed) = self.totals.confirmed.get_mut(torrent.id.index()) {
                *confirmed += u64::from(after);
                *confirmed -= u64::from(before);
            }
        }
        let (id, caller) = (known.id, known.caller);
        let elsewhere = visit.direction == Direction::Outgoing && visit.source != Source::Incoming;
        let named_too = caller && elsewhere && !known.named_too;
        known.named_too |= named_too;
        known.evidence = known.evidence.max(evidence_of(visit));
        let evidence = (before.map(|before| before.0), known.evidence);
        let pieces = before.map(|before| before.1);
        self.doubts.visited(id, pieces, visit, rows);
        self.totals.visits += 1;
        let number = i64::try_from(self.totals.visits).unwrap_or(i64::MAX);
        rows.push(visit_row(number, id, visit));
        rows.extend(extension_row(number, visit));
        self.totals.success_active += u64::from(!caller);
        self.totals.unique_incoming += u64::from(caller && first);
        Taken::Stored {
            first,
            caller,
            named_too,
            evidence,
        }
    }

    /// A peer's first visit; returns its place.
    fn meet(&mut self, visit: &mut Visit, geo: &dyn Locate, rows: &mut Vec<Row>) -> usize {
        if visit.direction == Direction::Incoming {
            visit.source = Source::Incoming;
        }
        self.totals.peers += 1;
        let id = i64::try_from(self.totals.peers).unwrap_or(i64::MAX);
        let mut known = Known::new(id, visit);
        new_peer(id, visit, geo, rows);
        known.cross(visit, rows);
        self.known.push(known);
        self.known.len() - 1
    }
}

impl Known {
    fn new(id: i64, visit: &Visit) -> Self {
        Self {
            id,
            caller: visit.source == Source::Incoming,
            named_too: false,
            first_pieces: visit.pieces.0,
            last_pieces: visit.pieces.0,
            last_ms: visit.at.millis(),
            told_ms: told_ms(visit),
            measured: (visit.at.millis(), visit.pieces.0),
            visits: 1,
            max_speed: None,
            below: None,
            evidence: Evidence::Handshake,
        }
    }

    /// The definition of the R scripts.
    fn is_confirmed(&self, torrent: &Torrent) -> bool {
        let threshold = torrent.threshold.0;
        self.visits > 1 && self.first_pieces < threshold && self.last_pieces >= threshold
    }

    fn revisit(&mut self, visit: &Visit, speed_gap: i64, rows: &mut Vec<Row>) {
        // Records of one peer may overtake each other: time never goes back.
        let now = visit.at.millis().max(self.last_ms);
        let older = self.is_older(visit);
        let pieces = if older {
            self.last_pieces
        } else {
            visit.pieces.0
        };
        let (then, before) = self.measured;
        if now - then >= speed_gap && !older {
            // Two visits closer than a second would make a speed out of noise.
            let seconds = ((now - then) as f64 / 1000.0).max(1.0);
            let speed = (f64::from(pieces) - f64::from(before)) / seconds;
            self.max_speed = Some(self.max_speed.map_or(speed, |most| most.max(speed)));
            self.measured = (now, pieces);
        }
        self.last_pieces = pieces;
        self.last_ms = now;
        self.visits = self.visits.saturating_add(1);
        rows.push(Row::PeerUpdate(PeerUpdate {
            id: self.id,
            last_pieces: pieces,
            last_seen: now.div_euclid(1000),
            // Never NULL behind the second visit, and 0 is no speed to anybody.
            max_speed: self.max_speed.unwrap_or(0.0),
            visits: self.visits,
        }));
        if !older {
            self.told_ms = told_ms(visit);
            self.cross(visit, rows);
        }
    }

    /// Whether the visit tells what was so before the visits that we know of: a call
    /// may be over while a visit that began earlier still goes on.
    fn is_older(&self, visit: &Visit) -> bool {
        told_ms(visit) < self.told_ms
    }

    /// Brackets a crossing of the threshold between the last moment at which
    /// the peer told less and the first at which it told as much: in this
    /// visit, or between the one before and this.
    fn cross(&mut self, visit: &Visit, rows: &mut Vec<Row>) {
        let before = visit.below.or(self.below);
        self.below = match visit.reached {
            Some(_) => None,
            None => before,
        };
        if let (Some(below), Some(reached)) = (before, visit.reached) {
            self.evidence = Evidence::Crossing;
            rows.push(Row::Crossing(CrossingRow {
                peer: self.id,
                last_below_ms: below.at.millis().min(reached.at.millis()),
                last_below_pieces: below.pieces.0,
                first_at_ms: reached.at.millis(),
                first_at_pieces: reached.pieces.0,
            }));
        }
    }
}

/// When the peer told what it has, as far as the visit has kept it.
fn told_ms(visit: &Visit) -> i64 {
    let told = visit.reached.or(visit.below);
    told.map_or(visit.at, |told| told.at).millis()
}

fn new_peer(id: i64, visit: &mut Visit, geo: &dyn Locate, rows: &mut Vec<Row>) {
    let place = geo.locate(visit.peer.address.ip());
    let client = visit.client.take();
    rows.push(Row::NewPeer(Box::new(NewPeer {
        id,
        client: client
            .map(|client| text::clean(&client, text::NAME_LIMIT))
            .filter(|client| !client.is_empty()),
        continent: place.continent,
        country: place.country,
        latitude: place.latitude,
        longitude: place.longitude,
        first_pieces: visit.pieces.0,
        first_seen: visit.at.seconds(),
        source: visit.source,
        torrent: visit.peer.torrent,
    })));
    rows.extend(visit.origin.map(|origin| {
        Row::Origin(OriginRow {
            peer: id,
            origin: origin.as_str().into(),
        })
    }));
    geo.stored(id, visit.peer.address.ip());
    if visit.peer.address.ip().is_ipv6() {
        rows.push(Row::Ipv6 { peer: id });
    }
    if place.city.is_some() || place.accuracy_km.is_some() {
        rows.push(Row::Place(Box::new(PlaceRow {
            peer: id,
            city: place.city,
            accuracy_km: place.accuracy_km,
        })));
    }
}

fn extension_row(number: i64, visit: &Visit) -> Option<Row> {
    let told = visit.extension.as_ref()?;
    let client = told.client.as_deref();
    Some(Row::ExtensionHandshake(Box::new(ExtensionHandshakeRow {
        visit: number,
        client: client.map(|client| text::clean(client, text::NAME_LIMIT)),
        listen_port: told.listen_port,
        request_queue: told.request_queue,
        upload_only: told.upload_only,
        metadata_size: told.metadata_size,
        your_ip: told.your_ip.map(|name| name.to_string()),
    })))
}

fn visit_row(number: i64, peer: i64, visit: &Visit) -> Row {
    Row::Visit(Box::new(VisitRow {
        id: number,
        peer,
        time_ms: visit.at.millis(),
        pieces: visit.pieces.0,
        messages: visit.messages,
        longest_wait_ms: visit.longest_wait.map(rounded_millis),
        duration_ms: rounded_millis(visit.duration),
        direction: visit.direction.as_str().into(),
        transport: visit.transport.as_str().into(),
        encryption: visit.encryption.as_str().into(),
        ended: visit.ended.label(),
    }))
}

fn rounded_millis(time: Duration) -> i64 {
    let rounded = time.saturating_add(Duration::from_micros(500)).as_millis();
    i64::try_from(rounded).unwrap_or(i64::MAX)
}
