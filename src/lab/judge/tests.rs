//! Tests of `lab::judge`: by hand-made contacts and rows, and what happens
//! when either is changed.

use super::super::plan::{CallerPort, LabOptions, Progress};
use super::super::truth::{End, Rules, Truth};
use super::*;
use crate::storage::{Results, StoredPeer, StoredTorrent};

const TOTAL: u32 = 100;

const TERMS: Terms = Terms {
    rules: Rules::corrected(1_000),
    threshold: 0.98,
    identity: Identity::Thesis2015,
    revisit: 1_000,
    retry: true,
    ways: Ways::ALL,
    stopped: Some(Timestamp(100_000)),
};

/// Two peers and two callers of one torrent; the second caller has the
/// address of the first peer.
fn plan() -> Plan {
    let mut plan = Plan::new(LabOptions {
        torrents: 1,
        peers: 2,
        callers: 2,
        overlap: 0,
        pieces: (TOTAL, TOTAL),
        ..LabOptions::default()
    });
    let progress = Progress {
        total: TOTAL,
        start: 0,
        rate: 10.0,
        stalls: Vec::new(),
        offset: 0,
        step: 1,
    };
    let address = plan.peers[0].ip;
    plan.callers[1].ip = address;
    for party in plan.peers.iter_mut().chain(&mut plan.callers) {
        party.progress = progress.clone();
        party.behaviour = Behaviour::Bitfield;
    }
    plan
}

fn contact(direction: Direction, party: usize, visit: u32, told: u32) -> Contact {
    let started = 1_000 + i64::from(visit) * 10_000;
    Contact {
        started: Timestamp(started),
        ended: Timestamp(started + 1_000),
        direction,
        called_back: false,
        party,
        address: "127.0.0.1:1".parse().unwrap(),
        torrent: 0,
        behaviour: Behaviour::Bitfield,
        reach: Reach::Tcp,
        link: Link::PLAIN_TCP,
        visit,
        unfit: false,
        handshake: true,
        told: Some(told),
        settled: Some(told),
        slowest: 0,
        waited: 1_000,
        arrived: Vec::new(),
        messages: 1,
        fault: None,
        finished: true,
        end: End::TheyClosed,
    }
}

fn called(party: usize, visit: u32, told: u32) -> Contact {
    contact(Direction::Outgoing, party, visit, told)
}

fn calling(party: usize, visit: u32, told: u32) -> Contact {
    contact(Direction::Incoming, party, visit, told)
}

fn turned_away(party: usize, visit: u32) -> Contact {
    Contact {
        handshake: false,
        told: None,
        settled: None,
        ..calling(party, visit, 0)
    }
}

fn row(_: &Plan, party: &PlannedParty, source: &str, pieces: &[u32]) -> StoredPeer {
    StoredPeer {
        torrent: 1,
        source: source.to_owned(),
        client: Some(String::from_utf8(party.peer_id[..8].to_vec()).unwrap()),
        first: pieces[0],
        last: pieces.last().copied().filter(|_| pieces.len() > 1),
        visits: u32::try_from(pieces.len()).unwrap(),
        pieces: pieces.to_vec(),
        links: vec![Some(Link::PLAIN_TCP); pieces.len()],
        ..StoredPeer::default()
    }
}

fn judge(contacts: &[Contact], change: impl FnOnce(&Plan, &mut Results)) -> Judgement {
    judge_by(TERMS, contacts, change)
}

fn judge_by(
    terms: Terms,
    contacts: &[Contact],
    change: impl FnOnce(&Plan, &mut Results),
) -> Judgement {
    judge_plan(&plan(), terms, contacts, change)
}

fn judge_plan(
    plan: &Plan,
    terms: Terms,
    contacts: &[Contact],
    change: impl FnOnce(&Plan, &mut Results),
) -> Judgement {
    let truth = Truth {
        plan: plan.clone(),
        started: Timestamp(0),
        ended: Timestamp(200_000),
        contacts: Vec::new(),
        trackers: BTreeMap::new(),
        magnets: BTreeMap::new(),
        dht: BTreeMap::new(),
        exchanged: BTreeMap::new(),
    };
    let hash = plan.torrents[0].info_hash.to_string();
    let mut results = Results {
        torrents: vec![StoredTorrent {
            info_hash: hash,
            threshold: 98,
            ..StoredTorrent::default()
        }],
        ..Results::default()
    };
    change(plan, &mut results);
    let mut judge = Judge::new(plan, truth.started, terms);
    for contact in contacts {
        judge.take(contact);
    }
    judge.conclude(&results, &truth)
}

fn failed(results: &mut Results, event: &str, reason: Reason, count: u64) {
    let place = (event.to_owned(), reason.label().into_owned());
    results.outcomes.insert(place, count);
}

/// The judgement of one peer that got its 98th piece at 11,500 ms while it was
/// visited, and whose crossing was stored so.
fn finished(bracket: (i64, i64)) -> Judgement {
    let mut plan = plan();
    plan.peers[0].behaviour = Behaviour::Finishes;
    let mut last = called(0, 1, 100);
    last.arrived = [(11_200, 97), (11_500, 99), (11_501, 100)]
        .map(|(at, pieces)| (Timestamp(at), pieces))
        .to_vec();
    judge_plan(&plan, TERMS, &[called(0, 0, 50), last], |plan, results| {
        let row = row(plan, &plan.peers[0], "tracker", &[50, 100]);
        results.peers = vec![StoredPeer {
            crossings: vec![bracket],
            ..row
        }];
    })
}

#[test]
fn a_crossing_holds_the_time_of_the_peer_itself() {
    let right = finished((11_201, 11_502));
    assert_eq!(right.findings, [""; 0]);
    let crossings = &right.crossings;
    assert_eq!((crossings.brackets, crossings.hold), (1, 1));
    assert_eq!(
        (crossings.median(), crossings.longest()),
        (Some(301), Some(301))
    );
    let line = "1 of 1 of class finishes hold the peer's own time; median width 301 ms";
    assert!(right.table().contains(line), "{}", right.table());
    assert_eq!(right.to_json()["crossings"]["hold"], 1);
    // A busy machine reads late, but not that late.
    let late = finished((11_600, 11_610));
    assert_eq!((late.crossings.hold, late.is_exact()), (0, true));
    for wrong in [(12_100, 12_200), (10_000, 10_900)] {
        let judgement = finished(wrong);
        assert!(!judgement.is_exact(), "{wrong:?}");
        let what = "crossings that are not when the peer finished: 1";
        assert!(judgement.findings.iter().any(|it| it == what));
    }
}

#[test]
fn exact() {
    // Contacts come in any order.
    let contacts = [called(0, 1, 99), called(0, 0, 97), calling(0, 0, 5)];
    let judgement = judge(&contacts, |plan, results| {
        results.peers = vec![
            row(plan, &plan.peers[0], "tracker", &[97, 99]),
            row(plan, &plan.callers[0], "incoming", &[5]),
        ];
    });
    assert_eq!(judgement.findings, Vec::<String>::new());
    let torrent = &judgement.torrents[0];
    assert_eq!((torrent.peers, torrent.callers), ((1, 1), (1, 1)));
    assert_eq!((torrent.exact, torrent.wrong, torrent.missing), (3, 0, 0));
    assert_eq!(torrent.confirmed, (1, 1));
    // All four load everything within ten seconds.
    assert_eq!(torrent.happened, 4);
    assert_eq!(judgement.downloads(), (1, 1, 4));
    assert_eq!((judgement.contacts, judgement.open), (3, 0));
    let json = judgement.to_json();
    assert_eq!(json["recall_of_contacts"], 1.0);
    assert_eq!(json["recall_of_story"], 0.25);
    let table = judgement.table();
    assert!(table.contains("verdict: exact"), "{table}");
    assert!(
        table.contains("100.0 %") && table.contains("25.0 %"),
        "{table}"
    );
}

#[test]
fn whatever_is_not_so_is_found() {
    let contacts = [called(0, 0, 97), called(0, 1, 99)];
    let stored = |pieces: &'static [u32]| {
        judge(&contacts, move |plan, results| {
            results.peers = vec![row(plan, &plan.peers[0], "tracker", pieces)];
        })
    };
    assert!(stored(&[97, 99]).is_exact());
    for wrong in [&[97][..], &[97, 98], &[99, 97], &[97, 99, 99], &[0, 97, 99]] {
        let judgement = stored(wrong);
        assert!(!judgement.is_exact(), "{wrong:?}");
        assert!(judgement.torrents[0].wrong > 0 && judgement.torrents[0].missing > 0);
        assert!(judgement.table().contains("NOT EXACT"));
    }
    let missing = judge(&contacts, |_, _| ());
    assert_eq!(missing.torrents[0].confirmed, (0, 1));
    assert!(
        missing
            .findings
            .iter()
            .any(|it| it.contains("without their row"))
    );
    let contradicting = judge(&contacts, |plan, results| {
        let mut row = row(plan, &plan.peers[0], "tracker", &[97, 99]);
        row.first = 96;
        results.peers = vec![row];
    });
    assert!(contradicting.findings[0].contains("contradict"));
    // Of two visits at a time the second to end need not have heard it last.
    for (spans, right) in [([(0, 9), (5, 6)], true), ([(0, 4), (5, 6)], false)] {
        let judged = judge(&contacts, |plan, results| {
            let mut row = row(plan, &plan.peers[0], "tracker", &[97, 99]);
            (row.last, row.spans) = (Some(97), spans.to_vec());
            results.peers = vec![row];
        });
        let odd = judged.findings.iter().any(|it| it.contains("contradict"));
        assert_eq!(odd, !right);
    }
    for change in [
        |row: &mut StoredPeer| row.source = "incoming".to_owned(),
        |row: &mut StoredPeer| row.client = Some("-XX0000-".to_owned()),
        |row: &mut StoredPeer| row.torrent = 2,
    ] {
        let judgement = judge(&contacts, |plan, results| {
            let mut row = row(plan, &plan.peers[0], "tracker", &[97, 99]);
            change(&mut row);
            results.peers = vec![row];
        });
        assert!(!judgement.is_exact());
    }
}

#[test]
fn failures_are_counted_by_reason() {
    let silent = Contact {
        handshake: false,
        told: None,
        fault: Some(Reason::TimedOut),
        ..called(1, 0, 0)
    };
    let counted = |count| {
        judge(std::slice::from_ref(&silent), |_, results| {
            failed(results, "First contact", Reason::TimedOut, count);
            failed(results, "Later contact", Reason::REFUSED, 7);
        })
    };
    let judgement = counted(1);
    assert!(judgement.is_exact(), "{:?}", judgement.findings);
    let timed_out = (false, "timed out".to_owned());
    assert_eq!(judgement.failures[&timed_out].causes["bitfield"], 1);
    assert!(!counted(0).is_exact());
    assert!(!counted(2).is_exact());
    let elsewhere = judge(&[silent], |_, results| {
        failed(results, "Incoming peer", Reason::TimedOut, 1);
    });
    assert!(!elsewhere.is_exact());
}

#[test]
fn the_end_of_the_run_leaves_bounds() {
    let last = Contact {
        started: Timestamp(99_000),
        ended: Timestamp(100_001),
        ..called(0, 1, 99)
    };
    let contacts = [called(0, 0, 97), last];
    for (pieces, right) in [
        (&[97][..], true),
        (&[97, 99], true),
        (&[97, 50], true),
        (&[97, 100], false),
        (&[96], false),
        (&[97, 99, 99], false),
    ] {
        let judgement = judge(&contacts, |plan, results| {
            results.peers = vec![row(plan, &plan.peers[0], "tracker", pieces)];
        });
        assert_eq!(
            judgement.is_exact(),
            right,
            "{pieces:?} {:?}",
            judgement.findings
        );
        assert_eq!(judgement.open, 1);
    }
}

#[test]
fn callers_from_the_address_of_a_peer() {
    let away = Reason::AlreadyInOutgoing;
    // Evaluated before the peer was called, turned away behind it.
    let before = Contact {
        started: Timestamp(0),
        ended: Timestamp(900),
        ..calling(1, 0, 3)
    };
    let contacts = [before.clone(), called(0, 0, 50), turned_away(1, 1)];
    let rows = |plan: &Plan, results: &mut Results| {
        results.peers = vec![
            row(plan, &plan.peers[0], "tracker", &[50]),
            row(plan, &plan.callers[1], "incoming", &[3]),
        ];
    };
    let judgement = judge(&contacts, |plan, results| {
        rows(plan, results);
        failed(results, "Incoming peer", away, 1);
    });
    assert!(judgement.is_exact(), "{:?}", judgement.findings);
    assert!(!judge(&contacts, rows).is_exact(), "not counted");
    // Admitted, but stored only behind the peer: refused by the writer.
    let late = Contact {
        started: Timestamp(1_500),
        ended: Timestamp(4_000),
        ..calling(1, 1, 60)
    };
    let judgement = judge(&[before, called(0, 0, 50), late], |plan, results| {
        rows(plan, results);
        failed(results, "Incoming peer", away, 1);
    });
    assert!(judgement.is_exact(), "{:?}", judgement.findings);
    // Admitted though the peer had been known for long.
    let much_later = calling(1, 2, 60);
    let judgement = judge(&[called(0, 0, 50), much_later], |plan, results| {
        results.peers = vec![row(plan, &plan.peers[0], "tracker", &[50])];
        failed(results, "Incoming peer", away, 1);
    });
    assert!(judgement.findings.iter().any(|it| it.contains("let in")));
    // Nobody was called there.
    let judgement = judge(&[turned_away(1, 0)], |_, results| {
        failed(results, "Incoming peer", away, 1);
    });
    assert!(
        judgement
            .findings
            .iter()
            .any(|it| it.contains("without reason"))
    );
}

#[test]
fn visits_that_should_not_have_been() {
    let contacts = [called(0, 0, 99), called(0, 1, 99)];
    let judgement = judge(&contacts, |plan, results| {
        results.peers = vec![row(plan, &plan.peers[0], "tracker", &[99, 99])];
    });
    assert!(judgement.findings.iter().any(|it| it.contains("threshold")));
    let failing = Contact {
        fault: Some(Reason::Closed),
        told: None,
        ..called(0, 0, 0)
    };
    let contacts = [failing, called(0, 1, 5)];
    let rows = |plan: &Plan, results: &mut Results| {
        results.peers = vec![row(plan, &plan.peers[0], "tracker", &[5])];
        failed(results, "First contact", Reason::Closed, 1);
    };
    assert!(judge(&contacts, rows).is_exact());
    let thesis = Terms {
        rules: Rules::thesis(1_000),
        retry: false,
        ..TERMS
    };
    let judgement = judge_by(thesis, &contacts, rows);
    assert!(
        judgement
            .findings
            .iter()
            .any(|it| it.contains("it had failed"))
    );
}

#[test]
fn a_seed_that_hides_is_no_download() {
    // Had everything after ten seconds, was first seen later and lied.
    let contacts = [called(0, 2, 50), called(0, 3, 99)];
    let judgement = judge(&contacts, |plan, results| {
        results.peers = vec![row(plan, &plan.peers[0], "tracker", &[50, 99])];
    });
    assert!(judgement.is_exact());
    assert_eq!(judgement.false_confirmed, 1);
    assert_eq!(judgement.to_json()["precision"], 0.0);
}

#[test]
fn call_backs_come_behind_a_visit_and_are_counted() {
    let mut plan = plan();
    plan.callers[0].listens = Some(CallerPort::Open);
    let extended = Terms {
        identity: Identity::Extended,
        ..TERMS
    };
    let back = |visit, told| Contact {
        called_back: true,
        ..called(0, visit, told)
    };
    let call = |visit, told| contact(Direction::Incoming, 0, visit, told);
    let judge = |terms, contacts: &[Contact]| {
        let mut judge = Judge::new(&plan, Timestamp(0), terms);
        for contact in contacts {
            judge.take(contact);
        }
        judge.demand()
    };
    let demand = judge(extended, &[call(0, 10), back(1, 20), call(2, 99)]);
    assert_eq!(demand.findings, Vec::<String>::new());
    assert_eq!(demand.called_back, (1, 1));
    let visits: Vec<u32> = vec![10, 20, 99];
    let visits = visits.iter().map(|pieces| (*pieces, Some(Link::PLAIN_TCP)));
    assert_eq!(
        demand.sequences[2].certain(),
        Some(visits.collect()),
        "one peer"
    );
    assert_eq!(judge(extended, &[call(0, 10)]).called_back, (0, 1));
    for (contacts, what) in [
        (vec![back(0, 10), call(1, 20)], "before its visit had ended"),
        (
            vec![call(0, 99), back(1, 99)],
            "it had reached the threshold",
        ),
    ] {
        let demand = judge(extended, &contacts);
        assert!(demand.findings[0].contains(what), "{:?}", demand.findings);
    }
    let demand = judge(TERMS, &[call(0, 10), back(1, 20)]);
    assert!(demand.findings[0].contains("was called back"));
}

#[test]
fn the_columns_of_failures_stand_under_each_other() {
    let reasons = [Reason::TimedOut, Reason::RESET, Reason::REFUSED];
    let failing = reasons.map(|reason| Contact {
        fault: Some(reason),
        handshake: false,
        told: None,
        ..called(0, 0, 0)
    });
    let judgement = judge(&failing, |_, results| {
        for reason in reasons {
            failed(results, "First contact", reason, 1);
        }
    });
    let table = judgement.table();
    let (_, failures) = table.split_once("\n\n").unwrap();
    let mut lines = failures.lines();
    let end_of_counts = lines.next().unwrap().find("counted").unwrap() + "counted".len();
    let rows: Vec<&str> = lines.take(reasons.len()).collect();
    assert_eq!(rows.len(), reasons.len(), "{table}");
    for row in rows {
        let (before, after) = row.split_at(end_of_counts);
        assert!(before.ends_with(" 1") && after.starts_with("  "), "{table}");
    }
}

/// The story of [`plan`] with a torrent that is given by a magnet link.
fn magnet_judgement(
    given: Option<i64>,
    contacts: &[Contact],
    change: impl FnOnce(&Plan, &mut Results),
) -> Judgement {
    let mut plan = plan();
    plan.torrents[0].magnet = Some(crate::lab::PlannedMagnet { hints: Vec::new() });
    let mut magnets = BTreeMap::new();
    if let Some(at) = given {
        let counts = crate::lab::MagnetCounts {
            conversations: 1,
            asked: 1,
            given: [0].into(),
            whole: Some(Timestamp(at)),
            itself: true,
        };
        magnets.insert(0, counts);
    }
    let truth = Truth {
        plan: plan.clone(),
        started: Timestamp(0),
        ended: Timestamp(200_000),
        contacts: Vec::new(),
        trackers: BTreeMap::new(),
        magnets,
        dht: BTreeMap::new(),
        exchanged: BTreeMap::new(),
    };
    let torrent = &plan.torrents[0];
    let mut results = Results {
        torrents: vec![StoredTorrent {
            info_hash: torrent.info_hash.to_string(),
            threshold: 98,
            pieces: torrent.pieces,
            piece_size: torrent.piece_length,
            name: Some(torrent.name.clone()),
        }],
        ..Results::default()
    };
    change(&plan, &mut results);
    let mut judge = Judge::new(&plan, truth.started, TERMS);
    for contact in contacts {
        judge.take(contact);
    }
    judge.conclude(&results, &truth)
}

#[test]
fn magnet_links() {
    let judgement = magnet_judgement(Some(500), &[], |_, _| {});
    assert_eq!(judgement.findings, Vec::<String>::new());
    let wanted = MagnetJudgement {
        links: 1,
        asked: 1,
        given: 1,
        resolved: 1,
        exact: 1,
    };
    assert_eq!(judgement.magnets, wanted);
    assert!(
        judgement
            .table()
            .contains("resolved 1 of 1 that peers gave, exact 1")
    );

    let found =
        |judgement: &Judgement, text: &str| judgement.findings.iter().any(|it| it.contains(text));
    let wrong = magnet_judgement(Some(500), &[], |_, results| results.torrents[0].pieces += 1);
    assert!(found(&wrong, "is not what its metadata say"));
    let missing = magnet_judgement(Some(500), &[], |_, results| results.torrents.clear());
    assert!(found(&missing, "did not join though its metadata came"));
    let late = magnet_judgement(Some(99_900), &[], |_, results| results.torrents.clear());
    assert!(late.is_exact(), "{:?}", late.findings);
    let from_nowhere = magnet_judgement(None, &[], |_, _| {});
    assert!(found(&from_nowhere, "nobody gave"));
    let never = magnet_judgement(None, &[], |_, results| results.torrents.clear());
    assert!(found(&never, "its peers can give"));
}

#[test]
fn callers_of_a_torrent_that_has_not_joined() {
    let unknown = |results: &mut Results| {
        failed(results, "Incoming peer", Reason::UnknownInfoHash, 1);
    };
    // Before the first visit, at 11,000.
    let contacts = [turned_away(0, 0), called(0, 1, 5)];
    let judgement = magnet_judgement(Some(500), &contacts, |plan, results| {
        results.peers = vec![row(plan, &plan.peers[0], "tracker", &[5])];
        unknown(results);
    });
    assert_eq!(judgement.findings, Vec::<String>::new());
    // The analyzer may have called itself, a few times.
    for (surplus, exact) in [(5, true), (6, false)] {
        let judgement = magnet_judgement(Some(500), &contacts, |plan, results| {
            results.peers = vec![row(plan, &plan.peers[0], "tracker", &[5])];
            let unknown = Reason::UnknownInfoHash;
            failed(results, "Incoming peer", unknown, 1 + surplus);
        });
        assert_eq!(judgement.is_exact(), exact, "{:?}", judgement.findings);
    }
    // Behind it there is no such reason.
    let contacts = [turned_away(0, 2), called(0, 1, 5)];
    let judgement = magnet_judgement(Some(500), &contacts, |plan, results| {
        results.peers = vec![row(plan, &plan.peers[0], "tracker", &[5])];
        unknown(results);
    });
    assert!(
        judgement
            .findings
            .iter()
            .any(|it| it.contains("without reason"))
    );
}

#[test]
fn a_peer_of_the_dht_is_none_of_a_tracker() {
    let contacts = [called(0, 0, 5)];
    let judgement = judge(&contacts, |plan, results| {
        results.peers = vec![row(plan, &plan.peers[0], "dht", &[5])];
    });
    assert!(
        judgement
            .findings
            .iter()
            .any(|it| it.contains("no party explains"))
    );
    assert_eq!(judgement.torrents[0].dht.0, 1);
}

/// The second peer of the plan speaks MSE only.
fn with_an_encrypted_peer(plan: &mut Plan) {
    plan.peers[1].reach = Reach::Rc4;
}

fn in_the_clear(visit: u32) -> Contact {
    Contact {
        unfit: true,
        handshake: false,
        told: None,
        settled: None,
        fault: Some(Reason::Closed),
        end: End::WeClosed,
        ..called(1, visit, 0)
    }
}

#[test]
fn who_is_turned_away_for_its_way_tries_another_in_the_same_contact() {
    let mut plan = plan();
    with_an_encrypted_peer(&mut plan);
    let sealed = Contact {
        link: Reach::Rc4.link(),
        ..called(1, 0, 5)
    };
    let slow = Contact {
        slowest: 900,
        ..in_the_clear(0)
    };
    let demand = |ways, contacts: &[Contact]| {
        let terms = Terms { ways, ..TERMS };
        let mut judge = Judge::new(&plan, Timestamp(0), terms);
        for contact in contacts {
            judge.take(contact);
        }
        judge.demand()
    };
    let found = demand(Ways::ALL, &[in_the_clear(0), sealed.clone()]);
    let visits = vec![(Element::Exactly(5), Some(Reach::Rc4.link()))];
    assert_eq!(found.sequences[1], Sequence(visits));
    assert_eq!((found.failures.len(), found.open), (0, [0, 0]));
    // The thesis had no other way.
    let found = demand(Ways::THESIS, &[in_the_clear(0)]);
    let closed = (false, Reason::Closed.label().into_owned());
    assert_eq!(found.failures[&closed].values().sum::<u64>(), 1);
    // Who was closed on too late may have given up before.
    let found = demand(Ways::ALL, &[slow]);
    assert_eq!((found.failures.len(), found.open), (0, [1, 0]));
    let failed = Contact {
        unfit: false,
        ..in_the_clear(0)
    };
    let late = Contact {
        slowest: 900,
        ..in_the_clear(1)
    };
    let found = demand(Ways::ALL, &[failed, late]);
    assert_eq!((found.failures.len(), found.open), (0, [2, 0]));
}

#[test]
fn an_encrypted_caller_speaks_an_unknown_protocol_in_2015() {
    let mut plan = plan();
    plan.callers[0].reach = Reach::Rc4;
    let call = Contact {
        reach: Reach::Rc4,
        ..turned_away(0, 0)
    };
    let over_utp = Contact {
        link: Reach::Utp.link(),
        end: End::NotConnected,
        ..turned_away(0, 1)
    };
    let terms = Terms {
        ways: Ways::THESIS,
        ..TERMS
    };
    let mut judge = Judge::new(&plan, Timestamp(0), terms);
    judge.take(&call);
    judge.take(&over_utp);
    let demand = judge.demand();
    let unknown = (true, Reason::UnknownProtocol.label().into_owned());
    assert_eq!(demand.failures[&unknown].values().sum::<u64>(), 1);
    assert_eq!((demand.failures.len(), demand.open), (1, [0, 0]));
}

#[test]
fn another_transport_than_the_true_one_is_found() {
    let contacts = [called(0, 0, 5), called(0, 1, 7)];
    let judgement = judge(&contacts, |plan, results| {
        let mut peer = row(plan, &plan.peers[0], "tracker", &[5, 7]);
        peer.links[1] = Link::named("utp", "plain");
        results.peers = vec![peer];
    });
    assert!(!judgement.is_exact());
    let class = judgement.classes.iter().find(|it| it.class == "tcp");
    assert_eq!(class.map(|it| (it.exact, it.missing)), Some((0, 2)));
    for change in [
        |peer: &mut StoredPeer| peer.ipv6 = true,
        |peer: &mut StoredPeer| peer.origin = Some("pex".to_owned()),
    ] {
        let judgement = judge(&contacts, |plan, results| {
            let mut peer = row(plan, &plan.peers[0], "tracker", &[5, 7]);
            change(&mut peer);
            results.peers = vec![peer];
        });
        assert!(!judgement.is_exact());
    }
}

#[test]
fn recall_is_told_by_class() {
    let contacts = [called(0, 0, 5), called(0, 1, 99), calling(0, 0, 5)];
    let judgement = judge(&contacts, |plan, results| {
        results.peers = vec![
            row(plan, &plan.peers[0], "tracker", &[5, 99]),
            row(plan, &plan.callers[0], "incoming", &[5]),
        ];
    });
    let told = |name: &str| {
        let class = judgement.classes.iter().find(|it| it.class == name);
        class.map(|it| (it.parties, it.happened, it.confirmed, it.exact))
    };
    assert_eq!(told("tcp"), Some((2, 2, (1, 1), 2)));
    assert_eq!(told("caller"), Some((2, 2, (0, 0), 1)));
    assert_eq!(told("utp"), None);
    let json = judgement.to_json();
    assert_eq!(json["classes"][0]["class"], "tcp");
    assert_eq!(json["classes"][0]["recall"], 0.5);
    let table = judgement.table();
    assert!(table.contains("tcp                     2      2      1        1   50.0 %"));
}
