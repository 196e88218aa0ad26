//! Tests of `lab::truth`.

use super::super::plan::LabOptions;
use super::*;

const TOTAL: u32 = 100;

fn contact(address: &str, direction: Direction, told: u32, ended: i64) -> Contact {
    Contact {
        started: Timestamp(ended - 10),
        ended: Timestamp(ended),
        direction,
        party: 0,
        address: address.parse().unwrap(),
        torrent: 0,
        behaviour: Behaviour::Bitfield,
        visit: 0,
        handshake: true,
        told: Some(told),
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
        contacts,
        trackers: BTreeMap::new(),
    }
}

fn of(contacts: Vec<Contact>) -> TorrentTruth {
    truth(contacts)
        .of_torrents(Rules::CORRECTED, 0.98)
        .remove(0)
}

#[test]
fn confirmed_needs_below_and_then_at_the_threshold() {
    use Direction::Outgoing;
    let visits = |counts: &[u32]| -> Vec<Contact> {
        counts
            .iter()
            .zip(1..)
            .map(|(told, at)| contact("127.16.0.1:5", Outgoing, *told, at * 100))
            .collect()
    };
    for (counts, confirmed) in [
        (&[97, 98][..], 1),
        (&[0, 50, 100], 1),
        (&[98, 100], 0),
        (&[97], 0),
        (&[98], 0),
        (&[10, 97], 0),
        (&[10, 100, 50], 0),
    ] {
        let found = of(visits(counts));
        assert_eq!(found.confirmed, confirmed, "{counts:?}");
        assert_eq!((found.peers, found.callers), (1, 0));
        assert_eq!(found.peer_visits, counts.len() as u64);
    }
}

#[test]
fn called_by_port_callers_by_address() {
    use Direction::{Incoming, Outgoing};
    let found = of(vec![
        contact("127.16.0.1:5", Outgoing, 1, 100),
        contact("127.16.0.1:6", Outgoing, 100, 200),
        contact("127.64.0.1:5", Incoming, 1, 300),
        contact("127.64.0.1:6", Incoming, 100, 400),
        contact("127.16.0.1:7", Incoming, 100, 500),
    ]);
    assert_eq!((found.peers, found.callers, found.confirmed), (2, 1, 1));
    assert_eq!(found.failures[&Reason::AlreadyInOutgoing], 1);
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
    let lenient = Rules {
        keep_partial: false,
        ignore_malformed: true,
        finish_when_complete: false,
    };
    let malformed = |it: &mut Contact| it.fault = Some(Reason::HaveOutOfRange);
    assert_eq!(expected(malformed, Rules::CORRECTED), seven);
    assert_eq!(expected(malformed, lenient), seven);
    let flood = |it: &mut Contact| it.fault = Some(Reason::MessageTooLong);
    assert_eq!(expected(flood, Rules::CORRECTED), seven);
    let failed = Expected::Fails(Reason::MessageTooLong);
    assert_eq!(expected(flood, lenient), failed);
    let untold = |it: &mut Contact| {
        it.told = None;
        it.fault = Some(Reason::MessageTooLong);
    };
    assert_eq!(expected(untold, Rules::CORRECTED), failed);
    let nothing = |it: &mut Contact| it.told = None;
    assert_eq!(
        expected(nothing, Rules::CORRECTED),
        Expected::Counts(PieceCount(0))
    );
    let cut = |it: &mut Contact| it.finished = false;
    assert_eq!(expected(cut, Rules::CORRECTED), Expected::Open);
    let limit = |it: &mut Contact| {
        it.finished = false;
        it.messages = 256;
    };
    assert_eq!(expected(limit, Rules::CORRECTED), seven);
    let stopped = |it: &mut Contact| it.end = End::Stopped;
    assert_eq!(expected(stopped, Rules::CORRECTED), Expected::Open);
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
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["kind"], "story");
    assert_eq!(lines[0]["torrents"][0]["pieces"], TOTAL);
    assert_eq!(lines[1]["told"], 7);
    assert_eq!(lines[1]["ended"], 99);
}
