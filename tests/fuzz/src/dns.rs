//! Answers of name servers: names of addresses (PTR) and services (SRV).

use std::fmt::Debug;
use std::net::Ipv4Addr;

use btda::hosts::message::{self, Name, Reply};
use btda::hosts::service;

use super::input::Input;

/// Number of the question.
const ID: u16 = 7;

/// The first byte chooses: the bytes as they are, or behind an honest
/// beginning, whose number of records is the second byte.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let honest = input.byte().is_multiple_of(2);
    let records = input.byte();
    let rest = input.rest();
    let begun = |question: Vec<u8>| {
        if !honest {
            return rest.to_vec();
        }
        let mut answer = question;
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[7] = records;
        answer.extend(rest);
        answer
    };
    let address = message::question(Ipv4Addr::new(192, 0, 2, 7).into());
    a_name(&begun(message::query(ID, &address)), &address);
    let tracker = ["_bittorrent-tracker", "_tcp", "example", "net"];
    let tracker: Name = tracker.map(|label| label.as_bytes().to_vec()).into();
    let question = service::query(ID, &tracker).expect("short");
    services(&begun(question), &tracker);
}

fn a_name(answer: &[u8], asked: &Name) {
    let read = |id| message::reply(answer, id, asked);
    if let Some(Reply::Name(name)) = of_one_question(read) {
        is_bounded(&name);
    }
}

/// What is read for our question: the same each time, and nothing for another
/// question as well.
fn of_one_question<T: PartialEq + Debug>(read: impl Fn(u16) -> Option<T>) -> Option<T> {
    let ours = read(ID);
    assert_eq!(ours, read(ID), "not the same twice");
    let other = read(ID ^ 1);
    assert!(
        ours.is_none() || other.is_none(),
        "for two questions: {other:?}"
    );
    ours
}

fn services(answer: &[u8], asked: &Name) {
    let read = of_one_question(|id| service::reply(answer, id, asked));
    let services = read.unwrap_or_default();
    assert!(services.len() <= 8);
    assert!(services.is_sorted_by_key(|service| service.priority));
    for service in services {
        assert!(service.port != 0 && !service.target.is_empty());
        is_bounded(&service.target);
        assert!(
            service::query(ID, &service.target).is_some(),
            "can be asked for"
        );
    }
}

fn is_bounded(name: &Name) {
    let length: usize = name.iter().map(|label| label.len() + 1).sum();
    assert!(length <= 254, "{length}");
    for label in name {
        assert!((1..=63).contains(&label.len()));
        assert!(!label.iter().any(u8::is_ascii_uppercase));
    }
}
