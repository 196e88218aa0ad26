//! The peers evaluated so far and what a further visit changes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::geo::Locate;
use super::super::row::{
    CrossingRow, ExtensionHandshakeRow, NewPeer, OriginRow, PeerUpdate, PlaceRow, Row, VisitRow,
};
use super::super::text;
use super::Totals;
use crate::model::record::{Told, Visit};
use crate::model::{Direction, PeerKey, Source, Torrent};

/// Known peers of a run.
#[derive(Debug)]
pub(super) struct Peers {
    contacted: HashMap<PeerKey, Known>,
    callers: HashMap<PeerKey, Known>,
    /// (address, torrent) of every contacted peer, to turn callers away.
    contacted_addresses: HashSet<PeerKey>,
    totals: Totals,
}

/// What became of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// A caller that was evaluated by an outgoing visit before; not stored.
    Refused,
    /// A contacted peer.
    Contacted {
        /// Whether this was its first evaluation.
        first: bool,
    },
    /// A caller.
    Caller {
        /// Whether this was its first evaluation.
        first: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    first_pieces: u32,
    last_pieces: u32,
    last_ms: i64,
    visits: u32,
    max_speed: f64,
    /// What it told last, while that is below the threshold.
    below: Option<Told>,
}

impl Peers {
    pub(super) fn new(torrents: usize) -> Self {
        Self {
            contacted: HashMap::new(),
            callers: HashMap::new(),
            contacted_addresses: HashSet::new(),
            totals: Totals {
                confirmed: vec![0; torrents],
                ..Totals::default()
            },
        }
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
        mut visit: Visit,
        torrent: &Torrent,
        geo: &dyn Locate,
        rows: &mut Vec<Row>,
    ) -> Taken {
        let caller = visit.peer.caller();
        visit.pieces = visit.pieces.min(torrent.pieces);
        let incoming = visit.direction == Direction::Incoming;
        if incoming && self.contacted_addresses.contains(&caller) {
            return Taken::Refused;
        }
        let entry = if incoming {
            visit.source = Source::Incoming;
            self.callers.entry(caller)
        } else {
            self.contacted_addresses.insert(caller);
            self.contacted.entry(visit.peer)
        };
        let (id, first) = match entry {
            Entry::Vacant(vacant) => {
                self.totals.peers += 1;
                let mut known =
                    Known::new(i64::try_from(self.totals.peers).unwrap_or(i64::MAX), &visit);
                new_peer(known.id, &mut visit, geo, rows);
                known.cross(&visit, rows);
                vacant.insert(known);
                (known.id, true)
            }
            Entry::Occupied(mut occupied) => {
                let known = occupied.get_mut();
                let before = known.is_confirmed(torrent);
                known.revisit(&visit, rows);
                let after = known.is_confirmed(torrent);
                if let Some(confirmed) = self.totals.confirmed.get_mut(torrent.id.index()) {
                    *confirmed += u64::from(after);
                    *confirmed -= u64::from(before);
                }
                (known.id, false)
            }
        };
        self.totals.visits += 1;
        let number = i64::try_from(self.totals.visits).unwrap_or(i64::MAX);
        rows.push(visit_row(number, id, &visit));
        rows.extend(extension_row(number, &visit));
        self.totals.success_active += u64::from(!incoming);
        self.totals.unique_incoming += u64::from(incoming && first);
        if incoming {
            Taken::Caller { first }
        } else {
            Taken::Contacted { first }
        }
    }
}

impl Known {
    fn new(id: i64, visit: &Visit) -> Self {
        Self {
            id,
            first_pieces: visit.pieces.0,
            last_pieces: visit.pieces.0,
            last_ms: visit.at.millis(),
            visits: 1,
            max_speed: f64::NEG_INFINITY,
            below: None,
        }
    }

    /// The definition of the R scripts.
    fn is_confirmed(&self, torrent: &Torrent) -> bool {
        let threshold = torrent.threshold.0;
        self.visits > 1 && self.first_pieces < threshold && self.last_pieces >= threshold
    }

    fn revisit(&mut self, visit: &Visit, rows: &mut Vec<Row>) {
        // Records of one peer may overtake each other: time never goes back.
        let now = visit.at.millis().max(self.last_ms);
        let pieces = visit.pieces.0;
        // Two visits closer than a second would make a speed out of noise.
        let seconds = ((now - self.last_ms) as f64 / 1000.0).max(1.0);
        let speed = (f64::from(pieces) - f64::from(self.last_pieces)) / seconds;
        self.max_speed = self.max_speed.max(speed);
        self.last_pieces = pieces;
        self.last_ms = now;
        self.visits = self.visits.saturating_add(1);
        rows.push(Row::PeerUpdate(PeerUpdate {
            id: self.id,
            last_pieces: pieces,
            last_seen: now.div_euclid(1000),
            max_speed: self.max_speed,
            visits: self.visits,
        }));
        self.cross(visit, rows);
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
    if visit.exchanged {
        rows.push(Row::Origin(OriginRow {
            peer: id,
            origin: "pex".into(),
        }));
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
        ended: visit.ended.label().into_owned(),
    }))
}

fn rounded_millis(time: Duration) -> i64 {
    let rounded = time.saturating_add(Duration::from_micros(500)).as_millis();
    i64::try_from(rounded).unwrap_or(i64::MAX)
}
