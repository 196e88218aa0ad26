//! Who is who, and that nobody is counted twice, through the ledger.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::config::settings::Identity;
use crate::model::record::{ExtensionHandshake, Record, Visit};
use crate::model::{Event, PeerId, PeerKey, Reason, Source};
use crate::storage::fixture::{call, failure, key, tick, torrents, visit};
use crate::storage::geo::Nowhere;
use crate::storage::ledger::Ledger;
use crate::storage::row::Row;

fn ledger(identity: Identity) -> Ledger {
    Ledger::new(torrents(1), Box::new(Nowhere)).measuring(identity, Duration::ZERO)
}

fn take(ledger: &mut Ledger, record: Record) -> Vec<Row> {
    let mut rows = Vec::new();
    ledger.take(record, 0, &mut rows);
    rows
}

/// The id of the peer whose visit this is.
fn whose(ledger: &mut Ledger, visit: Visit) -> i64 {
    let rows = take(ledger, Record::Visit(Box::new(visit)));
    let mut ids = rows.iter().filter_map(|row| match row {
        Row::Visit(visit) => Some(visit.peer),
        _ => None,
    });
    ids.next().unwrap()
}

fn named(id: u8, visit: Visit) -> Visit {
    Visit {
        peer_id: Some(PeerId::new([id; 20])),
        ..visit
    }
}

/// A call from `host` of the peer `id` that says it listens at `port`.
fn tells(host: u8, id: u8, port: Option<u16>) -> Visit {
    let told = ExtensionHandshake {
        listen_port: port,
        ..ExtensionHandshake::default()
    };
    Visit {
        extension: Some(Box::new(told)),
        ..named(id, call(key(host, 50_000 + u16::from(id), 1), 0.0, 1))
    }
}

fn contact(host: u8, id: u8, port: u16) -> Visit {
    named(id, visit(key(host, port, 1), 0.0, 1))
}

#[test]
fn a_listening_port_tells_callers_behind_one_address_apart() {
    let mut ledger = ledger(Identity::Extended);
    assert_eq!(whose(&mut ledger, tells(1, 1, Some(6881))), 1);
    assert_eq!(whose(&mut ledger, tells(1, 2, Some(6882))), 2);
    // Some clients have another peer id in every connection.
    assert_eq!(whose(&mut ledger, tells(1, 3, Some(6881))), 1);
    assert_eq!(whose(&mut ledger, tells(2, 3, Some(6881))), 3, "elsewhere");
    assert_eq!(ledger.totals().unique_incoming, 3);
}

#[test]
fn without_a_port_the_peer_id_decides() {
    let mut ledger = ledger(Identity::Extended);
    assert_eq!(whose(&mut ledger, tells(1, 1, None)), 1);
    assert_eq!(whose(&mut ledger, tells(1, 2, None)), 2);
    assert_eq!(whose(&mut ledger, tells(1, 1, None)), 1);
    // It tells its port later, ...
    assert_eq!(whose(&mut ledger, tells(1, 1, Some(6881))), 1);
    assert_eq!(whose(&mut ledger, tells(1, 9, Some(6881))), 1);
    // ... and another with the same id is somebody else.
    assert_eq!(whose(&mut ledger, tells(1, 9, Some(6999))), 3);
    assert_eq!(whose(&mut ledger, contact(1, 2, 7000)), 2, "called by us");
}

#[test]
fn a_caller_and_a_contacted_peer_are_one() {
    let mut ledger = ledger(Identity::Extended);
    assert_eq!(whose(&mut ledger, contact(1, 1, 6881)), 1);
    assert_eq!(whose(&mut ledger, tells(1, 2, Some(6881))), 1);
    assert_eq!(whose(&mut ledger, tells(1, 2, None)), 1, "by its latest id");
    let totals = ledger.totals();
    assert_eq!((totals.peers, totals.unique_incoming), (1, 0));
    assert_eq!(totals.success_active, 3, "sum 6: visits of that row");
    // The other way round, called back and then named by a tracker.
    assert_eq!(whose(&mut ledger, tells(2, 1, Some(6881))), 2);
    let back = Visit {
        source: Source::Incoming,
        ..contact(2, 1, 6881)
    };
    assert_eq!(whose(&mut ledger, back), 2);
    assert_eq!(ledger.peer_errors().lines().count(), 0);
    for _ in 0..2 {
        assert_eq!(whose(&mut ledger, contact(2, 1, 6881)), 2);
    }
    let errors: Vec<_> = ledger.peer_errors().lines().collect();
    let reason = Reason::AlreadyInIncoming.label();
    assert_eq!(errors, [("First contact", reason, 1)]);
    assert_eq!(ledger.totals().unique_incoming, 1);
}

#[test]
fn a_caller_without_a_port_may_be_a_contacted_peer() {
    let mut ledger = ledger(Identity::Extended);
    assert_eq!(whose(&mut ledger, tells(1, 7, None)), 1);
    assert_eq!(whose(&mut ledger, contact(1, 1, 6881)), 2);
    // Some clients have another id in every connection and tell no port.
    let unknown = Record::Visit(Box::new(tells(1, 2, None)));
    let rows = take(&mut ledger, unknown);
    assert!(rows.iter().all(|row| row.table() != "visit"));
    let reason = Reason::AlreadyInOutgoing.label();
    let errors: Vec<_> = ledger.peer_errors().lines().collect();
    assert_eq!(errors, [("Incoming peer", reason, 1)]);
    assert_eq!(whose(&mut ledger, tells(1, 1, None)), 2, "its id is known");
    assert_eq!(whose(&mut ledger, tells(1, 7, None)), 1, "so is this one");
    assert_eq!(
        whose(&mut ledger, tells(1, 3, Some(6882))),
        3,
        "tells a port"
    );
}

#[test]
fn in_2015_a_caller_is_an_address() {
    let mut ledger = ledger(Identity::Thesis2015);
    assert_eq!(whose(&mut ledger, tells(1, 1, Some(6881))), 1);
    assert_eq!(whose(&mut ledger, tells(1, 2, Some(6882))), 1);
    assert_eq!(whose(&mut ledger, contact(1, 1, 6881)), 2);
    let refused = Record::Visit(Box::new(tells(1, 1, Some(6881))));
    assert!(
        take(&mut ledger, refused)
            .iter()
            .all(|row| row.table() != "visit")
    );
}

#[test]
fn ids_that_change_take_no_memory() {
    let mut ledger = ledger(Identity::Extended);
    for id in 0..=255 {
        assert_eq!(whose(&mut ledger, contact(1, id, 6881)), 1);
    }
    let mut identities = super::Identities::new(Identity::Extended);
    for id in 0..=255 {
        identities.find(&contact(1, id, 6881), 0);
    }
    assert_eq!(
        (identities.by_name.len(), identities.by_address.len()),
        (1, 1)
    );
}

#[test]
fn close_visits_make_no_speed() {
    let gap = Duration::from_secs(60);
    let mut ledger = Ledger::new(torrents(1), Box::new(Nowhere)).measuring(Identity::Extended, gap);
    let mut speed = |time, pieces| {
        let record = Record::Visit(Box::new(visit(key(1, 1, 1), time, pieces)));
        let rows = take(&mut ledger, record);
        rows.iter().find_map(|row| match row {
            Row::PeerUpdate(update) => Some(update.max_speed),
            _ => None,
        })
    };
    assert_eq!(speed(0.0, 10), None);
    assert_eq!(speed(1.0, 30), Some(0.0), "not NULL, and no speed");
    assert_eq!(speed(60.0, 40), Some(0.5), "from the first visit on");
    assert_eq!(speed(61.0, 90), Some(0.5));
    assert_eq!(speed(160.0, 90), Some(0.5));
}

/// One address as the engine sees it.
#[derive(Default)]
struct Address {
    source: Option<Source>,
    successes: u32,
    unreached: Option<Reason>,
}

/// Lets the engine contact an address that a tracker named, unless a caller
/// had told it before.
fn contacted(address: &mut Address, key: PeerKey, id: u8, works: bool) -> Record {
    let source = *address.source.get_or_insert(Source::Tracker);
    let takes_back = address.unreached.filter(|_| source == Source::Tracker);
    if works {
        address.successes += 1;
        address.unreached = None;
        return Record::Visit(Box::new(Visit {
            source,
            takes_back,
            ..named(id, visit(key, 0.0, 1))
        }));
    }
    let later = address.successes > 0 || source == Source::Incoming;
    if later {
        return failure(Event::LaterContact, Reason::TimedOut, takes_back);
    }
    address.unreached = Some(Reason::TimedOut);
    failure(Event::FirstContact, Reason::TimedOut, takes_back)
}

proptest! {
    /// Sums 1, 4 and 6 of the contract, and no port with two rows.
    #[test]
    fn nobody_is_counted_twice(
        contacts in prop::collection::vec((0..4_u8, 0..2_u8, 0..3_u16, 0..3_u8), 0..80),
    ) {
        let mut ledger = ledger(Identity::Extended);
        let mut addresses: HashMap<PeerKey, Address> = HashMap::new();
        let mut rows = Vec::new();
        let mut listening: HashMap<PeerKey, i64> = HashMap::new();
        for (kind, host, port, id) in contacts {
            let at = key(host, 6881 + port, 1);
            let address = addresses.entry(at).or_default();
            let record = match kind {
                0 | 1 => contacted(address, at, id, kind == 0),
                2 => {
                    address.source.get_or_insert(Source::Incoming);
                    Record::Visit(Box::new(tells(host, id, Some(at.address.port()))))
                }
                _ => Record::Visit(Box::new(tells(host, id, None))),
            };
            let new = take(&mut ledger, record);
            if kind % 2 == 0 {
                // Told its port, whoever called whom.
                let mut ids = new.iter().filter_map(|row| match row {
                    Row::Visit(row) => Some(row.peer),
                    _ => None,
                });
                let id = ids.next().unwrap();
                prop_assert_eq!(*listening.entry(at).or_insert(id), id);
            }
            rows.extend(new);
        }
        rows.extend(take(&mut ledger, tick(9.0, true)));
        check_sums(&ledger, &rows, &addresses);
    }
}

fn check_sums(ledger: &Ledger, rows: &[Row], addresses: &HashMap<PeerKey, Address>) {
    let named = addresses
        .values()
        .filter(|it| it.source == Some(Source::Tracker));
    let errors = ledger.peer_errors().lines();
    let errors = errors.filter(|(event, ..)| *event == "First contact");
    let errors: u64 = errors.map(|(.., count)| count).sum();
    let mut callers = HashMap::new();
    let (mut visits, mut received) = ([0, 0], 0);
    for row in rows {
        match row {
            Row::NewPeer(row) => {
                callers.insert(row.id, row.source == Source::Incoming);
            }
            Row::Visit(row) => visits[usize::from(callers[&row.peer])] += 1,
            Row::Request(row) => received += row.received,
            _ => {}
        }
    }
    let totals = ledger.totals();
    let incoming = callers.values().filter(|caller| **caller).count() as u64;
    assert_eq!(
        named.count() as u64,
        errors + totals.peers - incoming,
        "sum 1"
    );
    assert_eq!(visits[1], received, "sum 4");
    assert_eq!(incoming, totals.unique_incoming, "sum 6");
    assert_eq!(visits[0], totals.success_active, "sum 6");
}
