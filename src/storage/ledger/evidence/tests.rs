//! Addresses on their way through the classes, and peers that are doubted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Ledger;
use super::*;
use crate::config::settings::Identity;
use crate::model::record::{ExtensionHandshake, Failure, MessageCounts, Record, Visit};
use crate::model::{Event, Reason, VisitEnd};
use crate::storage::fixture::{announce, at, call, failure, id, key, tick, told, torrents, visit};
use crate::storage::geo::Nowhere;
use crate::storage::row::Row;

struct Bench {
    ledger: Ledger,
    evidence: BTreeMap<(u16, String), u64>,
    doubts: BTreeMap<(i64, String), (u32, u32)>,
}

impl Bench {
    fn new() -> Self {
        let ledger = Ledger::new(torrents(2), Box::new(Nowhere))
            .measuring(Identity::Extended, Duration::ZERO)
            .doubting(3, Duration::from_secs(1000));
        Self {
            ledger,
            evidence: BTreeMap::new(),
            doubts: BTreeMap::new(),
        }
    }

    fn take(&mut self, record: Record) {
        let mut rows = Vec::new();
        self.ledger.take(record, 0, &mut rows);
        for row in rows {
            match row {
                Row::Evidence(row) => {
                    let key = (row.torrent.number(), row.class.into_owned());
                    self.evidence.insert(key, row.addresses);
                }
                Row::Doubt(row) => {
                    let key = (row.peer, row.reason.into_owned());
                    if row.times == 0 {
                        assert!(self.doubts.remove(&key).is_some());
                    } else {
                        self.doubts.insert(key, (row.times, row.figure));
                    }
                }
                _ => {}
            }
        }
    }

    fn visit(&mut self, visit: Visit) {
        self.take(Record::Visit(Box::new(visit)));
    }

    /// The counts of the first torrent at the next tick.
    fn classes(&mut self) -> [u64; Evidence::COUNT] {
        self.take(tick(9.0, false));
        Evidence::ALL.map(|class| {
            let key = (1, class.as_str().to_owned());
            self.evidence.get(&key).copied().unwrap_or(0)
        })
    }
}

fn rises(before: Evidence, now: Evidence) -> Record {
    let Record::Failure(failed) = failure(Event::FirstContact, Reason::Closed, None) else {
        panic!("a failure")
    };
    Record::Failure(Failure {
        step: Some(EvidenceStep {
            torrent: id(1),
            before,
            now,
        }),
        ..failed
    })
}

/// A visit in which nothing was said.
fn silent(visit: Visit) -> Visit {
    Visit {
        messages: MessageCounts::default(),
        ..visit
    }
}

#[test]
fn each_address_is_in_its_highest_class() {
    let mut bench = Bench::new();
    assert_eq!(bench.classes(), [0; 5]);
    bench.take(Record::Announce(Box::new(announce(1, 9, 3))));
    assert_eq!(bench.classes(), [6, 0, 0, 0, 0]);
    bench.take(rises(Evidence::Listed, Evidence::Answered));
    bench.take(rises(Evidence::Listed, Evidence::Answered));
    bench.take(rises(Evidence::Answered, Evidence::Handshake));
    assert_eq!(bench.classes(), [4, 1, 1, 0, 0]);
    // The one that answered is reached.
    let answered = Visit {
        before: Evidence::Answered,
        ..silent(visit(key(1, 1, 1), 0.0, 0))
    };
    bench.visit(answered);
    assert_eq!(bench.classes(), [4, 0, 2, 0, 0]);
    bench.visit(visit(key(1, 1, 1), 100.0, 50));
    assert_eq!(bench.classes(), [4, 0, 1, 1, 0]);
    bench.visit(visit(key(1, 1, 1), 200.0, 98));
    assert_eq!(bench.classes(), [4, 0, 1, 0, 1]);
    // It never falls.
    bench.visit(silent(visit(key(1, 1, 1), 300.0, 0)));
    assert_eq!(bench.classes(), [4, 0, 1, 0, 1]);
    // A failure without a rise changes nothing.
    bench.take(failure(Event::FirstContact, Reason::TimedOut, None));
    assert_eq!(bench.classes(), [4, 0, 1, 0, 1]);
}

#[test]
fn a_caller_that_was_named_too_is_one_address() {
    let mut bench = Bench::new();
    bench.take(Record::Announce(Box::new(announce(1, 1, 0))));
    let handshake = ExtensionHandshake {
        listen_port: Some(6881),
        ..ExtensionHandshake::default()
    };
    bench.visit(Visit {
        extension: Some(Box::new(handshake)),
        ..call(key(1, 50_000, 1), 0.0, 5)
    });
    assert_eq!(bench.classes(), [1, 0, 0, 1, 0], "not yet known to be one");
    bench.visit(visit(key(1, 6881, 1), 100.0, 6));
    assert_eq!(bench.classes(), [0, 0, 0, 1, 0]);
    bench.visit(visit(key(1, 6881, 1), 200.0, 7));
    assert_eq!(bench.classes(), [0, 0, 0, 1, 0]);
}

#[test]
fn a_visit_before_its_announce_is_no_negative_count() {
    let mut bench = Bench::new();
    bench.visit(visit(key(1, 1, 1), 0.0, 5));
    assert_eq!(bench.classes(), [0, 0, 0, 1, 0]);
    bench.take(Record::Announce(Box::new(announce(1, 1, 0))));
    assert_eq!(bench.classes(), [0, 0, 0, 1, 0]);
}

#[test]
fn only_what_changed_is_told() {
    let mut bench = Bench::new();
    bench.take(Record::Announce(Box::new(announce(1, 1, 0))));
    let mut tell = || {
        let mut rows = Vec::new();
        bench.ledger.take(tick(1.0, false), 0, &mut rows);
        rows.iter().filter(|row| row.table() == "evidence").count()
    };
    assert_eq!(tell(), Evidence::COUNT);
    assert_eq!(tell(), 0);
}

#[test]
fn who_has_nothing_for_long_is_doubted_until_it_has_something() {
    let mut bench = Bench::new();
    let always = |bench: &Bench, peer: i64| {
        let key = (peer, "always zero".to_owned());
        bench.doubts.get(&key).copied()
    };
    for (time, wanted) in [
        (0.0, None),
        (500.0, None),
        (999.0, None),
        (1000.0, Some((4, 4))),
    ] {
        bench.visit(visit(key(1, 1, 1), time, 0));
        assert_eq!(always(&bench, 1), wanted, "{time}");
    }
    bench.visit(silent(visit(key(1, 1, 1), 2000.0, 0)));
    assert_eq!(always(&bench, 1), Some((5, 4)));
    bench.visit(visit(key(1, 1, 1), 3000.0, 1));
    assert_eq!(always(&bench, 1), None);
    // Long enough, but too few; and never doubted before it told pieces.
    bench.visit(visit(key(2, 1, 1), 0.0, 0));
    bench.visit(visit(key(2, 1, 1), 9000.0, 0));
    assert_eq!(always(&bench, 2), None);
    bench.visit(visit(key(2, 1, 1), 9100.0, 3));
    for time in [9200.0, 19_000.0, 29_000.0] {
        bench.visit(visit(key(2, 1, 1), time, 0));
    }
    assert_eq!(always(&bench, 2), None, "it told pieces once");
}

#[test]
fn who_loses_pieces_is_doubted_if_it_was_heard_out() {
    let mut bench = Bench::new();
    let lost = |bench: &Bench| {
        let key = (1, "lost pieces".to_owned());
        bench.doubts.get(&key).copied()
    };
    bench.visit(visit(key(1, 1, 1), 0.0, 50));
    bench.visit(Visit {
        ended: VisitEnd::MessageLimit,
        ..visit(key(1, 1, 1), 100.0, 40)
    });
    bench.visit(visit(key(1, 1, 1), 200.0, 50));
    bench.visit(silent(visit(key(1, 1, 1), 300.0, 0)));
    bench.visit(visit(key(1, 1, 1), 400.0, 50));
    assert_eq!(lost(&bench), None);
    bench.visit(visit(key(1, 1, 1), 500.0, 30));
    bench.visit(visit(key(1, 1, 1), 600.0, 25));
    assert_eq!(lost(&bench), Some((2, 20)));
}

#[test]
fn a_crossing_within_a_first_visit_counts() {
    let mut bench = Bench::new();
    bench.take(Record::Announce(Box::new(announce(1, 1, 0))));
    bench.visit(Visit {
        below: Some(told(1.0, 97)),
        reached: Some(told(2.0, 98)),
        at: at(3.0),
        ..visit(key(1, 1, 1), 3.0, 98)
    });
    assert_eq!(bench.classes(), [0, 0, 0, 0, 1]);
}
