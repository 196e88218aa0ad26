//! Every rule of the ledger, without a database.

use proptest::prelude::*;

use super::super::fixture::{
    announce, at, call, failure, figures, id, key, scrape, tick, torrents, tracker_failure, visit,
};
use super::super::geo::{Locate, Location, Nowhere};
use super::super::row::{CrossingRow, NewPeer, PeerUpdate};
use super::*;
use crate::model::record::{Told, Visit};
use crate::model::{Event, Reason};
use crate::storage::{peer_error_text, tracker_error_text};

fn ledger() -> Ledger {
    Ledger::new(torrents(2), Box::new(Nowhere))
}

fn take(ledger: &mut Ledger, record: impl Into<Record>) -> Vec<Row> {
    let mut rows = Vec::new();
    ledger.take(record.into(), 7, &mut rows);
    rows
}

impl From<Visit> for Record {
    fn from(visit: Visit) -> Self {
        Self::Visit(Box::new(visit))
    }
}

impl From<Announce> for Record {
    fn from(announce: Announce) -> Self {
        Self::Announce(Box::new(announce))
    }
}

fn new_peer(rows: &[Row]) -> Option<&NewPeer> {
    rows.iter().find_map(|row| match row {
        Row::NewPeer(peer) => Some(peer.as_ref()),
        _ => None,
    })
}

fn update(rows: &[Row]) -> Option<PeerUpdate> {
    rows.iter().find_map(|row| match row {
        Row::PeerUpdate(update) => Some(*update),
        _ => None,
    })
}

fn crossings(rows: &[Row]) -> Vec<CrossingRow> {
    let found = rows.iter().filter_map(|row| match row {
        Row::Crossing(crossing) => Some(*crossing),
        _ => None,
    });
    found.collect()
}

fn requests(rows: &[Row]) -> Vec<(i64, Source, u64, u64, u16)> {
    let found = rows.iter().filter_map(|row| match row {
        Row::Request(row) => Some((
            row.id,
            row.source,
            row.received,
            row.duplicates,
            row.torrent.number(),
        )),
        _ => None,
    });
    found.collect()
}

fn outcomes(rows: &[Row]) -> Vec<String> {
    let found = rows.iter().filter_map(|row| match row {
        Row::Outcome(row) => Some(format!("{},{},{}", row.event, row.reason, row.count)),
        _ => None,
    });
    found.collect()
}

fn statistic(rows: &[Row]) -> &StatisticRow {
    let found = rows.iter().find_map(|row| match row {
        Row::Statistic(row) => Some(row.as_ref()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn first_and_later_visits() {
    let mut ledger = ledger();
    let peer = key(1, 6881, 1);
    let rows = take(&mut ledger, visit(peer, 0.9, 10));
    let first = new_peer(&rows).unwrap();
    assert_eq!((first.id, first.first_pieces), (1, 10));
    assert_eq!(first.first_seen, at(0.0).seconds());
    assert_eq!(first.client.as_deref(), Some("-TR3000-"));
    assert!(update(&rows).is_none());

    let rows = take(&mut ledger, visit(peer, 10.9, 30));
    assert!(new_peer(&rows).is_none());
    let second = update(&rows).unwrap();
    assert_eq!((second.id, second.visits, second.last_pieces), (1, 2, 30));
    assert!((second.max_speed - 2.0).abs() < 1e-9);

    let third = update(&take(&mut ledger, visit(peer, 20.9, 31))).unwrap();
    assert_eq!((third.visits, third.last_seen), (3, at(20.0).seconds()));
    assert!((third.max_speed - 2.0).abs() < 1e-9, "the greatest is kept");
}

#[test]
fn speed_may_be_negative_and_seconds_are_at_least_one() {
    let mut ledger = ledger();
    let peer = key(1, 1, 1);
    take(&mut ledger, visit(peer, 0.0, 50));
    let slower = update(&take(&mut ledger, visit(peer, 10.0, 40))).unwrap();
    assert!((slower.max_speed + 1.0).abs() < 1e-9);
    let at_once = update(&take(&mut ledger, visit(peer, 10.1, 45))).unwrap();
    assert!((at_once.max_speed - 5.0).abs() < 1e-9);
}

#[test]
fn records_out_of_order_do_not_turn_time_back() {
    let mut ledger = ledger();
    let peer = key(1, 1, 1);
    take(&mut ledger, visit(peer, 100.0, 50));
    let update = update(&take(&mut ledger, visit(peer, 40.0, 60))).unwrap();
    assert_eq!(update.last_seen, at(100.0).seconds());
    assert_eq!((update.last_pieces, update.visits), (50, 2));
    assert!(update.max_speed.abs() < 1e-9, "what was before is no speed");
}

#[test]
fn who_is_the_same_peer() {
    let mut ledger = ledger();
    for (peer, id) in [
        (key(1, 1, 1), Some(1)),
        (key(1, 2, 1), Some(2)),
        (key(1, 1, 2), Some(3)),
        (key(1, 1, 1), None),
    ] {
        let rows = take(&mut ledger, visit(peer, 0.0, 0));
        assert_eq!(new_peer(&rows).map(|peer| peer.id), id);
    }
    for (peer, id) in [
        (key(9, 50_001, 1), Some(4)),
        (key(9, 50_002, 1), None),
        (key(9, 50_001, 2), Some(5)),
    ] {
        let rows = take(&mut ledger, call(peer, 0.0, 0));
        assert_eq!(new_peer(&rows).map(|peer| peer.id), id);
        let source = new_peer(&rows).map(|peer| peer.source);
        assert!(source.is_none_or(|source| source == Source::Incoming));
    }
}

#[test]
fn a_caller_contacted_before_is_counted_but_not_stored() {
    let mut ledger = ledger();
    take(&mut ledger, call(key(1, 9, 1), 0.0, 1));
    take(&mut ledger, visit(key(1, 6881, 1), 0.0, 1));
    let rows = take(&mut ledger, call(key(1, 50_001, 1), 1.0, 1));
    assert!(rows.iter().all(|row| row.table() == "peer_error"));
    // For another torrent the address is a new peer.
    assert!(new_peer(&take(&mut ledger, call(key(1, 5, 2), 1.0, 1))).is_some());
    assert_eq!(
        peer_error_text(ledger.peer_errors()),
        "Incoming peer,Already in outgoing,1"
    );
    let totals = ledger.totals();
    assert_eq!((totals.unique_incoming, totals.success_active), (2, 1));
    let rows = take(&mut ledger, tick(5.0, true));
    assert_eq!(
        outcomes(&rows),
        [
            "First contact,success,1",
            "Incoming peer,success,2",
            "Incoming peer,Already in outgoing,1"
        ]
    );
}

#[test]
fn crossings_and_confirmed_downloads() {
    let mut ledger = ledger();
    let peer = key(1, 1, 1);
    assert!(crossings(&take(&mut ledger, visit(peer, 0.0, 97))).is_empty());
    let rows = take(&mut ledger, visit(peer, 300.0, 98));
    assert_eq!(
        crossings(&rows),
        [CrossingRow {
            peer: 1,
            last_below_ms: at(0.0).millis(),
            last_below_pieces: 97,
            first_at_ms: at(300.0).millis(),
            first_at_pieces: 98,
        }]
    );
    assert_eq!(ledger.totals().confirmed, [1, 0]);
    assert!(crossings(&take(&mut ledger, visit(peer, 600.0, 100))).is_empty());
    take(&mut ledger, visit(peer, 900.0, 5));
    assert_eq!(ledger.totals().confirmed, [0, 0], "as the scripts see it");
    assert_eq!(
        crossings(&take(&mut ledger, visit(peer, 901.0, 99))).len(),
        1
    );
    // A peer that was complete when first seen is no download.
    take(&mut ledger, visit(key(2, 1, 2), 0.0, 98));
    take(&mut ledger, visit(key(2, 1, 2), 300.0, 100));
    assert_eq!(ledger.totals().confirmed, [1, 0]);
}

#[test]
fn what_was_told_before_changes_nothing_behind_what_was_told_later() {
    let mut ledger = ledger();
    let peer = key(1, 1, 1);
    take(&mut ledger, visit(peer, 0.0, 50));
    // A call at 302 s, while a visit goes on that heard it at 300 s.
    let rows = take(&mut ledger, visit(peer, 302.0, 98));
    assert_eq!(crossings(&rows).len(), 1);
    let mut slow = visit(peer, 306.0, 90);
    slow.below = Some(Told {
        at: at(300.0),
        pieces: slow.pieces,
    });
    let rows = take(&mut ledger, slow);
    let update = update(&rows).unwrap();
    assert_eq!((update.last_pieces, update.visits), (98, 3));
    assert!(rows.iter().all(|row| !matches!(row, Row::Doubt(_))));
    assert_eq!(ledger.totals().confirmed, [1, 0]);
    assert!(crossings(&take(&mut ledger, visit(peer, 600.0, 98))).is_empty());
}

#[test]
fn a_torrent_joins_with_the_next_number() {
    let mut ledger = ledger();
    let joining = |number: usize| {
        let torrent = Torrent {
            id: TorrentId::from_index(number - 1).unwrap(),
            ..(*torrents(1)[0]).clone()
        };
        Record::Torrent(Arc::new(torrent))
    };
    let mut rows = Vec::new();
    ledger.take(joining(4), 0, &mut rows);
    assert!(rows.is_empty(), "numbers are dense");
    assert_eq!(ledger.take_notices().len(), 1);
    ledger.take(joining(3), 0, &mut rows);
    assert_eq!(rows[0].table(), "torrent");
    take(&mut ledger, visit(key(1, 1, 3), 0.0, 0));
    take(&mut ledger, visit(key(1, 1, 3), 300.0, 100));
    assert_eq!(ledger.totals().confirmed, [0, 0, 1]);
    let rows = take(&mut ledger, tick(301.0, false));
    let requests = rows.iter().filter(|row| row.table() == "request").count();
    assert_eq!(requests, 3, "a row for callers of each torrent");
}

#[test]
fn more_pieces_than_the_torrent_has_are_cut() {
    let rows = take(&mut ledger(), visit(key(1, 1, 1), 0.0, 5_000));
    assert_eq!(new_peer(&rows).unwrap().first_pieces, 100);
}

#[test]
fn incoming_requests_at_every_tick() {
    let mut ledger = ledger();
    let zeros = requests(&take(&mut ledger, tick(0.0, false)));
    assert_eq!(
        zeros,
        [
            (1, Source::Incoming, 0, 0, 1),
            (2, Source::Incoming, 0, 0, 2)
        ]
    );
    for host in [1, 1, 2] {
        take(&mut ledger, call(key(host, 1, 2), 1.0, 0));
    }
    let rows = take(&mut ledger, tick(300.0, false));
    assert_eq!(
        requests(&rows),
        [
            (3, Source::Incoming, 0, 0, 1),
            (4, Source::Incoming, 3, 1, 2)
        ]
    );
    let row = statistic(&rows);
    assert_eq!((row.id, row.visited_queue, row.unique_incoming), (2, 7, 2));
    assert_eq!((row.memory_mb, row.load_average), (None, None));
    take(&mut ledger, call(key(1, 1, 2), 400.0, 0));
    let rows = take(&mut ledger, tick(600.0, true));
    assert_eq!(requests(&rows)[1], (6, Source::Incoming, 1, 1, 2));
}

#[test]
fn messages_since_the_last_tick() {
    let mut ledger = ledger();
    take(&mut ledger, visit(key(1, 1, 1), 0.0, 0));
    take(&mut ledger, call(key(1, 1, 1), 0.0, 0));
    let kinds = |rows: Vec<Row>| -> Vec<(String, u64)> {
        let found = rows.iter().filter_map(|row| match row {
            Row::Message(row) => Some((row.kind.to_string(), row.count)),
            _ => None,
        });
        found.collect()
    };
    assert_eq!(
        kinds(take(&mut ledger, tick(1.0, false))),
        [("messages", 6), ("bitfield", 2), ("have", 4)].map(|(kind, n)| (kind.to_owned(), n))
    );
    assert!(kinds(take(&mut ledger, tick(2.0, false))).is_empty());
}

#[test]
fn first_contacts_are_counted_by_the_latest_reason() {
    let mut ledger = ledger();
    let first = Event::FirstContact;
    take(&mut ledger, failure(first, Reason::TimedOut, None));
    take(&mut ledger, failure(first, Reason::TimedOut, None));
    take(
        &mut ledger,
        failure(first, Reason::REFUSED, Some(Reason::TimedOut)),
    );
    take(
        &mut ledger,
        failure(Event::LaterContact, Reason::Closed, None),
    );
    assert_eq!(
        peer_error_text(ledger.peer_errors()),
        "First contact,timed out,1\nFirst contact,[Errno 111] Connection refused,1\n\
         Later contact,Socket connection broken,1"
    );
    let answered = Visit {
        takes_back: Some(Reason::REFUSED),
        ..visit(key(1, 1, 1), 0.0, 0)
    };
    let rows = take(&mut ledger, answered);
    let gone = rows
        .iter()
        .any(|row| row.sql().starts_with("DELETE FROM peer_error"));
    assert!(gone, "a count of 0 has no row");
    assert_eq!(
        peer_error_text(ledger.peer_errors()),
        "First contact,timed out,1\nLater contact,Socket connection broken,1"
    );
    // Attempts are never taken back.
    assert_eq!(
        outcomes(&take(&mut ledger, tick(1.0, false))),
        [
            "First contact,success,1",
            "First contact,timed out,2",
            "First contact,[Errno 111] Connection refused,1",
            "Later contact,Socket connection broken,1"
        ]
    );
    assert!(outcomes(&take(&mut ledger, tick(2.0, false))).is_empty());
}

#[test]
fn taking_back_what_was_never_counted_does_nothing() {
    let mut ledger = ledger();
    let record = failure(Event::FirstContact, Reason::Closed, Some(Reason::TimedOut));
    assert_eq!(take(&mut ledger, record).len(), 1);
}

#[test]
fn announces_and_scrapes() {
    let mut ledger = ledger();
    let main = Announce {
        main_scrape: Some(figures(70)),
        ..announce(1, 50, 20)
    };
    let rows = take(&mut ledger, main);
    let tables: Vec<_> = rows.iter().map(Row::table).collect();
    assert_eq!(tables, ["request", "announce", "tracker_result"]);
    let Row::Request(request) = &rows[0] else {
        panic!("request first")
    };
    assert_eq!(request.completed, Some(70));
    assert_eq!(request.leechers, None);
    assert_eq!(request.duration_sec, Some(0.25));
    let Row::Announce(row) = &rows[1] else {
        panic!("then announce")
    };
    assert_eq!(row.warning.as_deref(), Some("slow\\u{0}down"));
    take(&mut ledger, scrape(1, 70));
    take(&mut ledger, scrape(1, 71));
    take(
        &mut ledger,
        tracker_failure(2, TrackerCall::Scrape, "say \"no\",\nplease"),
    );
    assert_eq!(
        tracker_error_text(ledger.tracker_results()).unwrap(),
        "1,\"http://a.test:1/announce?a=1,2\",announce success,,1\n\
         1,\"http://a.test:1/announce?a=1,2\",scrape success,,2\n\
         2,\"http://a.test:2/announce?a=1,2\",scrape fail,\"say \"\"no\"\",\\nplease\",1"
    );
}

#[test]
fn a_tracker_that_sets_its_counter_back_is_told() {
    let mut ledger = ledger();
    for completed in [70, 71, 3] {
        let scraped = Announce {
            main_scrape: Some(figures(completed)),
            ..announce(1, 0, 0)
        };
        take(&mut ledger, scraped);
    }
    let notices = ledger.take_notices();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("torrent=1 before=71 now=3"));
}

#[test]
fn reasons_of_a_tracker_are_limited() {
    let mut ledger = ledger();
    for number in 0..60 {
        let reason = format!("request {number} refused");
        take(
            &mut ledger,
            tracker_failure(1, TrackerCall::Announce, &reason),
        );
    }
    take(
        &mut ledger,
        tracker_failure(1, TrackerCall::Scrape, "request 3 refused"),
    );
    take(&mut ledger, tracker_failure(2, TrackerCall::Announce, ""));
    let text = tracker_error_text(ledger.tracker_results()).unwrap();
    assert_eq!(text.lines().count(), 53);
    assert!(text.contains("announce fail,other failure,10"));
    assert!(text.contains("scrape fail,request 3 refused,1"));
    assert!(text.ends_with("announce fail,no reason given,1"));
}

#[test]
fn lookups_are_requests_without_figures() {
    let lookup = Lookup {
        at: at(1.0),
        torrent: id(2),
        received: 0,
        duplicates: 0,
        duration: std::time::Duration::from_secs(5),
    };
    let rows = take(&mut ledger(), Record::Lookup(lookup));
    assert_eq!(requests(&rows), [(1, Source::Dht, 0, 0, 2)]);
}

#[test]
fn an_unknown_torrent_is_told_and_changes_nothing() {
    let mut ledger = ledger();
    assert!(take(&mut ledger, visit(key(1, 1, 9), 0.0, 0)).is_empty());
    assert_eq!(ledger.take_notices().len(), 1);
}

#[test]
fn the_end_counts_what_no_tick_counted() {
    let mut ledger = ledger();
    let mut rows = Vec::new();
    ledger.finish(at(9.0), &mut rows);
    assert!(rows.is_empty());
    take(&mut ledger, call(key(1, 1, 1), 0.0, 0));
    ledger.finish(at(9.0), &mut rows);
    assert_eq!(requests(&rows)[0], (1, Source::Incoming, 1, 0, 1));
    assert_eq!(statistic(&rows).unique_incoming, 1);
    rows.clear();
    ledger.finish(at(9.0), &mut rows);
    assert!(rows.is_empty());
}

#[test]
fn places_are_looked_up_once() {
    struct Munich;
    impl Locate for Munich {
        fn locate(&self, _: std::net::IpAddr) -> Location {
            Location {
                country: Some("DE".to_owned()),
                city: Some("Munich".to_owned()),
                ..Location::default()
            }
        }
    }
    let mut ledger = Ledger::new(torrents(1), Box::new(Munich));
    let rows = take(&mut ledger, visit(key(1, 1, 1), 0.0, 0));
    assert_eq!(new_peer(&rows).unwrap().country.as_deref(), Some("DE"));
    assert!(rows.iter().any(|row| row.table() == "place"));
    let rows = take(&mut ledger, visit(key(1, 1, 1), 1.0, 0));
    assert!(rows.iter().all(|row| row.table() != "place"));
}

#[test]
fn peers_of_ipv6_are_marked() {
    let mut ledger = ledger();
    let mut peer = key(1, 1, 1);
    let marks = |rows: &[Row]| rows.iter().filter(|row| row.table() == "peer_ipv6").count();
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    peer.address = crate::model::PeerAddress::new(mapped, 1);
    assert_eq!(
        marks(&take(&mut ledger, visit(peer, 0.0, 1))),
        0,
        "an IPv4 address"
    );
    peer.address = crate::model::PeerAddress::new("2001:db8::1".parse().unwrap(), 1);
    assert_eq!(marks(&take(&mut ledger, visit(peer, 0.0, 1))), 1);
    assert_eq!(marks(&take(&mut ledger, visit(peer, 300.0, 1))), 0, "once");
}

proptest! {
    /// Sum 5 of the contract, whatever the visits and their order.
    #[test]
    fn any_visits_keep_the_peer_rows_consistent(
        visits in proptest::collection::vec(
            (0_u8..4, 0_u16..3, 1_usize..3, any::<bool>(), 0.0..1e6, 0_u32..200),
            0..60,
        )
    ) {
        let mut ledger = ledger();
        let mut first_seen = std::collections::HashMap::new();
        let mut visits_of = std::collections::HashMap::new();
        for (host, port, torrent, incoming, time, pieces) in visits {
            let peer = key(host, port + 1, torrent);
            let record = if incoming {
                call(peer, time, pieces)
            } else {
                visit(peer, time, pieces)
            };
            for row in take(&mut ledger, record) {
                match row {
                    Row::NewPeer(row) => {
                        prop_assert!(row.first_pieces <= 100);
                        prop_assert_eq!(first_seen.insert(row.id, row.first_seen), None);
                        visits_of.insert(row.id, 1);
                    }
                    Row::PeerUpdate(row) => {
                        prop_assert!(row.last_pieces <= 100);
                        prop_assert!(row.last_seen >= first_seen[&row.id]);
                        prop_assert!(row.max_speed.is_finite());
                        let before = visits_of.insert(row.id, row.visits);
                        prop_assert_eq!(before, Some(row.visits - 1));
                    }
                    Row::Crossing(row) => {
                        prop_assert!(row.last_below_ms <= row.first_at_ms);
                        prop_assert!(row.last_below_pieces < 98 && row.first_at_pieces >= 98);
                    }
                    _ => {}
                }
            }
        }
        prop_assert_eq!(ledger.totals().peers, first_seen.len() as u64);
        let visits: u32 = visits_of.values().sum();
        prop_assert_eq!(ledger.totals().visits, u64::from(visits));
    }
}
