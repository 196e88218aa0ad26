//! Tests of `lab::truth`.

use super::super::behaviour::Behaviour;
use super::super::plan::LabOptions;
use super::super::reach::Reach;
use super::*;
use crate::model::{Direction, Link, PieceCount, Reason};
use serde_json::Value;

const TOTAL: u32 = 100;

fn contact(address: &str, direction: Direction, told: u32, ended: i64) -> Contact {
    Contact {
        started: Timestamp(ended - 10),
        ended: Timestamp(ended),
        direction,
        called_back: false,
        party: 0,
        address: address.parse().unwrap(),
        torrent: 0,
        behaviour: Behaviour::Bitfield,
        reach: Reach::Tcp,
        link: Link::PLAIN_TCP,
        visit: 0,
        unfit: false,
        handshake: true,
        told: Some(told),
        settled: Some(told),
        slowest: 3,
        arrived: vec![(Timestamp(5), 7)],
        waited: 1_000,
        messages: 1,
        fault: None,
        finished: true,
        end: End::TheyClosed,
    }
}

fn truth(contacts: Vec<Contact>) -> Truth {
    let plan = Plan::new(LabOptions {
        torrents: 1,
        peers: 1,
        callers: 0,
        pieces: (TOTAL, TOTAL),
        ..LabOptions::default()
    });
    Truth {
        plan,
        started: Timestamp(0),
        ended: Timestamp(1_000),
        contacts,
        trackers: BTreeMap::new(),
        magnets: BTreeMap::new(),
        dht: BTreeMap::new(),
        exchanged: BTreeMap::new(),
    }
}

#[test]
fn faults_and_rules() {
    let base = contact("127.16.0.1:5", Direction::Outgoing, 7, 1);
    let expected = |change: fn(&mut Contact), rules: Rules| {
        let mut contact = base.clone();
        change(&mut contact);
        contact.expected(rules, TOTAL, 256)
    };
    let seven = Expected::Counts(PieceCount(7));
    let lenient = Rules::thesis(1_000);
    let malformed = |it: &mut Contact| it.fault = Some(Reason::HaveOutOfRange);
    assert_eq!(expected(malformed, Rules::corrected(1_000)), seven);
    assert_eq!(expected(malformed, lenient), seven);
    let flood = |it: &mut Contact| it.fault = Some(Reason::MessageTooLong);
    assert_eq!(expected(flood, Rules::corrected(1_000)), seven);
    let failed = Expected::Fails(Reason::MessageTooLong);
    assert_eq!(expected(flood, lenient), failed);
    let untold = |it: &mut Contact| {
        it.told = None;
        it.fault = Some(Reason::MessageTooLong);
    };
    assert_eq!(expected(untold, Rules::corrected(1_000)), failed);
    let corrected = Rules::corrected(1_000);
    let nothing = |it: &mut Contact| (it.told, it.settled) = (None, None);
    assert_eq!(
        expected(nothing, corrected),
        Expected::Counts(PieceCount(0))
    );
    let limit = |it: &mut Contact| {
        it.settled = None;
        it.messages = 256;
    };
    assert_eq!(expected(limit, corrected), seven);
    let dripping = |it: &mut Contact| it.fault = Some(Reason::TimedOut);
    assert_eq!(expected(dripping, corrected), seven);
    let timed_out = Expected::Fails(Reason::TimedOut);
    assert_eq!(expected(dripping, lenient), timed_out);
}

#[test]
fn what_the_lab_cannot_know_is_open_or_bounded() {
    let base = contact("127.16.0.1:5", Direction::Outgoing, 7, 1);
    let expected = |change: fn(&mut Contact)| {
        let mut contact = base.clone();
        change(&mut contact);
        contact.expected(Rules::corrected(1_000), TOTAL, 256)
    };
    let open = Expected::Open(PieceCount(7));
    for end in [End::Stopped, End::NotConnected, End::NotServed] {
        let mut contact = base.clone();
        contact.end = end;
        assert_eq!(contact.expected(Rules::corrected(1_000), TOTAL, 256), open);
    }
    assert_eq!(expected(|it| it.slowest = 800), open);
    assert_eq!(
        expected(|it| it.slowest = 700),
        Expected::Counts(PieceCount(7))
    );
    let crossing = expected(|it| it.settled = Some(5));
    assert_eq!(crossing, Expected::Between(PieceCount(5), PieceCount(7)));
    assert_eq!(expected(|it| it.handshake = false), open);
    let turned_away = expected(|it| {
        it.handshake = false;
        it.direction = Direction::Incoming;
    });
    assert_eq!(turned_away, Expected::TurnedAway);
}

#[test]
fn what_may_have_come_late_over_utp_is_open() {
    let mut over_utp = contact("127.16.0.1:5", Direction::Outgoing, 7, 1);
    over_utp.link = Reach::Utp.link();
    let expected = |told: u32, fault, waited| {
        let mut contact = over_utp.clone();
        (contact.told, contact.settled) = (Some(told), Some(told));
        (contact.fault, contact.waited) = (fault, waited);
        contact.expected(Rules::corrected(1_000), TOTAL, 256)
    };
    let counts = |told| Expected::Counts(PieceCount(told));
    let open = |told| Expected::Open(PieceCount(told));
    let wrong = Some(Reason::HaveOutOfRange);
    // Who listens to the end leaves after a quiet second, ...
    assert_eq!(expected(7, None, 1_000), counts(7));
    assert_eq!(expected(7, None, 999), open(7));
    assert_eq!(expected(7, None, 1_250), open(7));
    // ... and who has heard enough at once.
    assert_eq!(expected(TOTAL, None, 20), counts(TOTAL));
    assert_eq!(expected(TOTAL, None, 750), open(TOTAL));
    assert_eq!(expected(7, wrong, 20), counts(7));
    assert_eq!(expected(7, wrong, 750), open(7));
}

#[test]
fn ends_have_names_that_come_back() {
    for end in [End::TheyClosed, End::NotServed, End::WeReset, End::Deadline] {
        assert_eq!(End::named(end.as_str()), Some(end));
    }
    assert_eq!(End::named("never"), None);
}

#[test]
fn written_as_json_lines() {
    let truth = truth(vec![contact("127.16.0.1:5", Direction::Outgoing, 7, 99)]);
    let mut bytes = Vec::new();
    truth.write(&mut bytes).unwrap();
    let lines: Vec<Value> = String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["kind"], "story");
    assert_eq!(lines[0]["plan"], truth.plan.digest().to_string());
    assert_eq!(lines[0]["torrents"][0]["pieces"], TOTAL);
    assert_eq!(lines[1]["told"], 7);
    assert_eq!(lines[1]["ended"], 99);
    assert_eq!(lines[2]["kind"], "end");
    assert_eq!(lines[2]["contacts"], 1);
}

#[test]
fn the_file_is_read_back() {
    let mut second = contact("127.64.0.9:6", Direction::Incoming, 0, 77);
    second.fault = Some(Reason::RESET);
    second.told = None;
    second.end = End::WeReset;
    second.reach = Reach::UtpRc4;
    second.link = Reach::UtpRc4.link();
    second.unfit = true;
    let truth = truth(vec![
        contact("127.16.0.1:5", Direction::Outgoing, 7, 99),
        second,
    ]);
    let mut bytes = Vec::new();
    truth.write(&mut bytes).unwrap();
    let mut found = Vec::new();
    read_contacts(&bytes[..], |contact| found.push(contact.clone())).unwrap();
    assert_eq!(found, truth.contacts);
    let broken = b"{\"kind\": \"contact\", \"party\": 3}\n";
    let error = read_contacts(&broken[..], |_| ()).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
    assert!(read_contacts(&b"no object\n"[..], |_| ()).is_err());
}

#[test]
fn contacts_go_into_a_file_as_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let truth = truth(Vec::new());
    let mut record = TruthRecord::file(&path, &truth.plan, Timestamp(0)).unwrap();
    for at in 0..5 {
        record.add(contact("127.16.0.1:5", Direction::Outgoing, 7, at));
    }
    assert_eq!((record.len(), record.contacts().len()), (5, 0));
    record.finish(&truth).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 7);
    assert!(text.lines().last().unwrap().contains("\"contacts\":5"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_at_the_end() {
    let truth = truth(Vec::new());
    let started = Timestamp(0);
    let path = std::path::Path::new("/dev/full");
    let finished = TruthRecord::file(path, &truth.plan, started).and_then(|mut record| {
        record.add(contact("127.16.0.1:5", Direction::Outgoing, 7, 1));
        record.finish(&truth)
    });
    assert!(finished.is_err());
}
