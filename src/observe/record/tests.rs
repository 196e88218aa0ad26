//! Lines of records.

use proptest::prelude::*;

use super::*;

const HASH: &str = "00FF10A0B0C0D0E0F0112233445566778899AABB";

fn text(record: &Record) -> String {
    let mut out = Vec::new();
    write_line(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn heard(kind: Kind) -> Heard {
    Heard {
        kind,
        info_hash: HASH.parse().unwrap(),
        name: None,
        our_id: NodeId::new([0xab; 20]),
        their_id: Some(Named::Plain(NodeId::new([1; 20]))),
        their_ip: Some(Named::Plain("192.0.2.1".parse().unwrap())),
        version: Some(b"LT\x01\x02"[..].into()),
        is_seed: false,
        at: Timestamp(1_500_000_000_123),
        location: None,
    }
}

#[test]
fn a_lookup_is_written_as_in_2018() {
    let mut lookup = heard(Kind::Lookup);
    lookup.location = Some(Box::new(Place {
        country_iso: Some("DE".to_owned()),
        country: Some("Germany".to_owned()),
        latitude: Some(49.5),
        longitude: Some(11.25),
        accuracy: Some(20),
        ..Place::default()
    }));
    let ours = "AB".repeat(20);
    let theirs = "01".repeat(20);
    let expected = format!(
        "{{\"type\":\"get_peers\",\"v\":4,\"infohash\":\"{HASH}\",\"our_id\":\"{ours}\",\
         \"their_id\":\"{theirs}\",\"their_ip\":\"192.0.2.1\",\"version\":\"LT\",\
         \"version_hex\":\"4C540102\",\"timestamp\":1500000000123,\"location\":\
         {{\"country_iso\":\"DE\",\"country\":\"Germany\",\"latitude\":49.5,\"longitude\":11.25,\
         \"accuracy\":20}}}}\n"
    );
    let record = Record::Heard(Box::new(lookup));
    assert_eq!(text(&record), expected);
    assert_eq!(parse(expected.as_bytes()), Ok(record));
}

#[test]
fn an_announce_has_name_and_seed() {
    let mut announce = heard(Kind::Announce);
    announce.name = Some("a\nb".to_owned());
    announce.version = Some(b"\xff\x00"[..].into());
    announce.is_seed = true;
    let line = text(&Record::Heard(Box::new(announce)));
    assert!(line.contains("\"name\":\"a b\""), "{line}");
    assert!(line.contains("\"is_seed\":true"), "{line}");
    assert!(!line.contains("\"version\":"), "{line}");
    assert!(line.contains("\"version_hex\":\"FF00\""), "{line}");
    let lookup = text(&Record::Heard(Box::new(heard(Kind::Lookup))));
    assert!(!lookup.contains("is_seed"), "{lookup}");
}

#[test]
fn a_place_of_others_is_made_plausible() {
    let mut lookup = heard(Kind::Lookup);
    lookup.location = Some(Box::new(Place {
        country_iso: Some("d\u{1b}".to_owned()),
        country: Some("a\u{7f}\u{85}b".to_owned()),
        city: Some("c".repeat(5_000)),
        latitude: Some(91.0),
        longitude: Some(-180.0),
        accuracy: Some(3),
        ..Place::default()
    }));
    let line = text(&Record::Heard(Box::new(lookup)));
    let Ok(Record::Heard(back)) = parse(line.as_bytes()) else {
        panic!("{line}");
    };
    let wanted = Place {
        country: Some("a  b".to_owned()),
        city: Some("c".repeat(1_024)),
        longitude: Some(-180.0),
        accuracy: Some(3),
        ..Place::default()
    };
    assert_eq!(back.location.as_deref(), Some(&wanted));
    let mut nowhere = heard(Kind::Lookup);
    nowhere.location = Some(Box::new(Place {
        latitude: Some(1e300),
        ..Place::default()
    }));
    let line = text(&Record::Heard(Box::new(nowhere)));
    let Ok(Record::Heard(back)) = parse(line.as_bytes()) else {
        panic!("{line}");
    };
    assert_eq!(back.location, None);
}

#[test]
fn a_resolve_names_ten_sources() {
    let peer = |seen| SourcePeer {
        ip: Some(Named::Pseudonym(Pseudonym([1; 8]))),
        node_id: None,
        last_send_time: Timestamp(0),
        last_seen: Timestamp(seen),
        location: None,
    };
    let resolved = Resolved {
        info_hash: HASH.parse().unwrap(),
        name: "x".to_owned(),
        our_id: NodeId::new([2; 20]),
        at: Timestamp(5),
        size: 7,
        files: 3,
        num_peers: 12,
        peers: (0..12).map(peer).collect(),
    };
    let line = text(&Record::Resolved(Box::new(resolved.clone())));
    let Ok(Record::Resolved(back)) = parse(line.as_bytes()) else {
        panic!("{line}");
    };
    assert_eq!((back.num_peers, back.peers.len()), (12, PEERS_MAX));
    assert_eq!(back.peers, resolved.peers[..PEERS_MAX]);
    assert!(line.contains("\"ip\":\"0101010101010101\""), "{line}");
}

#[test]
fn what_is_no_record_is_told_apart() {
    let good = text(&Record::Heard(Box::new(heard(Kind::Lookup))));
    for (line, error) in [
        (String::new(), LineError::NotJson),
        (good[..60].to_owned(), LineError::NotJson),
        (good.replace("\"v\":4", "\"v\":3"), LineError::OtherVersion),
        (good.replace("get_peers", "ping"), LineError::UnknownType),
        (good.replace(HASH, "00"), LineError::Key("infohash")),
        (
            good.replace("192.0.2.1", "1.2.3"),
            LineError::Key("their_ip"),
        ),
        (good.replace("4C54", "4X54"), LineError::Key("version_hex")),
        (" ".repeat(LINE_MAX + 1), LineError::TooLong),
        ("[".repeat(50_000), LineError::NotJson),
    ] {
        assert_eq!(parse(line.as_bytes()), Err(error), "{line:.80}");
    }
}

#[test]
fn no_plain_value_is_printed() {
    let debug = format!("{:?}", heard(Kind::Lookup));
    assert!(!debug.contains("192.0"), "{debug}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        (hash, ours, theirs) in any::<([u8; 20], [u8; 20], [u8; 20])>(),
        ip in any::<IpAddr>(),
        name in prop::option::of("[^\\p{Cc}]{0,40}"),
        version in prop::option::of(prop::collection::vec(any::<u8>(), 0..64)),
        (seed, hidden, at) in any::<(bool, bool, i64)>(),
    ) {
        let pseudonym = Pseudonym([hash[0]; 8]);
        let record = Record::Heard(Box::new(Heard {
            kind: Kind::Announce,
            info_hash: InfoHash::new(hash),
            name,
            our_id: NodeId::new(ours),
            their_id: Some(if hidden { Named::Pseudonym(pseudonym) } else { Named::Plain(NodeId::new(theirs)) }),
            their_ip: Some(if hidden { Named::Pseudonym(pseudonym) } else { Named::Plain(ip) }),
            version: version.map(Into::into),
            is_seed: seed,
            at: Timestamp(at),
            location: None,
        }));
        prop_assert_eq!(parse(text(&record).as_bytes()), Ok(record));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index) {
        let _ = parse(&bytes);
        let mut line = text(&Record::Heard(Box::new(heard(Kind::Announce)))).into_bytes();
        let at = at.index(line.len());
        line[at] = bytes.first().copied().unwrap_or(0);
        let _ = parse(&line);
    }
}
