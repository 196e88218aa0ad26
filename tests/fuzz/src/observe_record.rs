//! Lines of records of the observatory, ours and those of others, which a
//! replay reads.

use std::io::Cursor;
use std::time::Duration;

use btda::dht::node::random::Random;
use btda::model::Timestamp;
use btda::observe::naming::{Addresses, Naming};
use btda::observe::record::{LINE_MAX, Named, PEERS_MAX, Record, parse, write_line};
use btda::observe::slices::Lines;
use btda::storage::geo::Place;

use super::input::is_harmless;

/// Longest name that is kept, in characters.
const NAME_MAX: usize = 1024;

/// The bytes are a file of records.
pub fn check(data: &[u8]) {
    let mut records = Vec::new();
    let mut lines = Lines::of(Box::new(Cursor::new(data.to_vec())));
    while let Some(record) = lines.next_record().expect("memory can be read") {
        records.push(record);
    }
    let mut malformed = 0;
    let mut naive = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() && line.len() < LINE_MAX {
            continue;
        }
        match parse(line) {
            // The limit of a reader is that of a line with its end.
            Ok(_) if line.len() >= LINE_MAX => return,
            Ok(record) => naive.push(record),
            Err(_) => malformed += 1,
        }
    }
    assert_eq!(records, naive, "another reader finds others");
    let counts = lines.counts();
    assert_eq!(counts.malformed, malformed);
    assert_eq!(counts.records, records.len() as u64);
    for record in records {
        is_bounded(&record);
        is_written_as_it_is_read(record.clone());
        has_no_address(record);
    }
}

fn is_bounded(record: &Record) {
    let name = record.name().unwrap_or_default();
    assert!(name.chars().count() <= NAME_MAX);
    match record {
        Record::Heard(heard) => {
            let version = heard.version.as_deref().unwrap_or_default();
            assert!(version.len() <= 64);
        }
        Record::Resolved(resolved) => assert!(resolved.peers.len() <= PEERS_MAX),
    }
}

/// One line, which means the same and is written the same again.
fn is_written_as_it_is_read(mut record: Record) {
    without_degrees(&mut record);
    let written = line_of(&record);
    let text = std::str::from_utf8(&written).expect("text");
    let text = text.strip_suffix('\n').expect("a line end");
    assert!(is_harmless(text), "{text}");
    if written.len() > LINE_MAX {
        return;
    }
    let again = parse(text.as_bytes()).expect("what is written can be read");
    assert_eq!(again.info_hash(), record.info_hash());
    assert_eq!((again.kind(), again.at()), (record.kind(), record.at()));
    assert_eq!(line_of(&again), written, "not the same twice");
}

/// The last digit of a fraction may change when it is read.
fn without_degrees(record: &mut Record) {
    let places = match record {
        Record::Heard(heard) => vec![&mut heard.location],
        Record::Resolved(resolved) => {
            let peers = resolved.peers.iter_mut();
            peers.map(|peer| &mut peer.location).collect()
        }
    };
    for known in places {
        if let Some(place) = known {
            (place.latitude, place.longitude) = (None, None);
            // A place of which nothing is known is none.
            *known = known.take().filter(|place| **place != Place::default());
        }
    }
}

/// Under a pseudonym nothing of an address is left, and the line can be read.
fn has_no_address(mut record: Record) {
    let random = Random::from_seed([1; 32]);
    let mut naming = Naming::new(Addresses::Pseudonym, Duration::from_secs(60), random);
    naming.turn(Timestamp(0));
    naming.rename(&mut record);
    match &record {
        Record::Heard(heard) => {
            assert!(!matches!(heard.their_ip, Some(Named::Plain(_))));
            assert!(!matches!(heard.their_id, Some(Named::Plain(_))));
        }
        Record::Resolved(resolved) => {
            for peer in &resolved.peers {
                assert!(!matches!(peer.ip, Some(Named::Plain(_))));
                assert!(!matches!(peer.node_id, Some(Named::Plain(_))));
            }
        }
    }
    let written = line_of(&record);
    if written.len() <= LINE_MAX {
        assert_eq!(
            parse(&written).map(|it| it.info_hash()),
            Ok(record.info_hash())
        );
    }
}

fn line_of(record: &Record) -> Vec<u8> {
    let mut line = Vec::new();
    write_line(record, &mut line);
    line
}
