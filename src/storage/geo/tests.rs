//! Lookups in databases made here, by a minimal writer of the mmdb file format,
//! version 2.0.

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// A value of the data section.
#[derive(Clone)]
enum Value {
    Text(&'static str),
    Double(f64),
    Float(f32),
    Unsigned(u64, u8),
    Map(Vec<(&'static str, Value)>),
    Array(Vec<Value>),
}

use Value::{Array, Double, Float, Map, Text, Unsigned};

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Text(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Double(number) => {
            control(3, 8, out);
            out.extend(number.to_be_bytes());
        }
        Float(number) => {
            control(15, 4, out);
            out.extend(number.to_be_bytes());
        }
        Unsigned(number, kind) => {
            let bytes = number.to_be_bytes();
            let significant = &bytes[(number.leading_zeros() / 8) as usize..];
            control(*kind, significant.len(), out);
            out.extend(significant);
        }
        Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in entries {
                encode(&Text(key), out);
                encode(value, out);
            }
        }
        Array(values) => {
            control(11, values.len(), out);
            for value in values {
                encode(value, out);
            }
        }
    }
}

fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (size, more) = if size < 29 {
        (u8::try_from(size).unwrap(), None)
    } else {
        (29, Some(u8::try_from(size - 29).unwrap()))
    };
    if kind < 8 {
        out.push(kind << 5 | size);
    } else {
        out.extend([size, kind - 7]);
    }
    out.extend(more);
}

/// Two children of a node of the search tree.
#[derive(Clone, Copy, Default)]
enum Child {
    #[default]
    Nothing,
    Node(usize),
    Data(usize),
}

/// An IPv6 tree of 24-bit records with the given networks.
fn database(kind: &'static str, built: u64, networks: &[(&str, u8, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Child::Nothing; 2]];
    let mut data = Vec::new();
    for (address, length, value) in networks {
        let offset = data.len();
        encode(value, &mut data);
        let (bits, length) = match address.parse().unwrap() {
            // IPv4 lives in ::/96.
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), length + 96),
            IpAddr::V6(v6) => (u128::from(v6), *length),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                nodes[node][side] = Child::Data(offset);
            } else if let Child::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Child::Nothing; 2]);
                nodes[node][side] = Child::Node(nodes.len() - 1);
                node = nodes.len() - 1;
            }
        }
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for child in nodes.into_iter().flatten() {
        let record = match child {
            Child::Nothing => count,
            Child::Node(node) => node,
            Child::Data(offset) => count + 16 + offset,
        };
        file.extend(&u32::try_from(record).unwrap().to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Map(vec![
        ("binary_format_major_version", Unsigned(2, 5)),
        ("binary_format_minor_version", Unsigned(0, 5)),
        ("build_epoch", Unsigned(built, 9)),
        ("database_type", Text(kind)),
        ("description", Map(vec![("en", Text("made for a test"))])),
        ("ip_version", Unsigned(6, 5)),
        ("languages", Array(vec![Text("en")])),
        ("node_count", Unsigned(count as u64, 6)),
        ("record_size", Unsigned(24, 5)),
    ]);
    encode(&metadata, &mut file);
    file
}

fn city() -> Value {
    Map(vec![
        (
            "city",
            Map(vec![("names", Map(vec![("en", Text("Nürnberg"))]))]),
        ),
        ("continent", Map(vec![("code", Text("EU"))])),
        ("country", Map(vec![("iso_code", Text("DE"))])),
        (
            "location",
            Map(vec![
                ("accuracy_radius", Unsigned(20, 5)),
                ("latitude", Double(49.45)),
                ("longitude", Double(11.08)),
            ]),
        ),
    ])
}

fn flat(country: &'static str, latitude: f32) -> Value {
    Map(vec![
        ("city", Text("Windhoek")),
        ("country_code", Text(country)),
        ("latitude", Float(latitude)),
        ("longitude", Float(17.0)),
    ])
}

fn open(bytes: &[u8]) -> Result<GeoDatabase, GeoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mmdb");
    std::fs::write(&path, bytes).unwrap();
    GeoDatabase::open(&path)
}

fn locate(database: &GeoDatabase, address: &str) -> Location {
    database.locate(address.parse().unwrap())
}

#[test]
fn city_schema() {
    let bytes = database(
        "GeoLite2-City",
        1_440_000_000,
        &[
            ("192.0.2.0", 24, city()),
            (
                "2001:db8::",
                32,
                Map(vec![("country", Map(vec![("iso_code", Text("FR"))]))]),
            ),
        ],
    );
    let database = open(&bytes).unwrap();
    assert_eq!(
        locate(&database, "192.0.2.77"),
        Location {
            continent: Some("EU".to_owned()),
            country: Some("DE".to_owned()),
            latitude: Some(49.45),
            longitude: Some(11.08),
            city: Some("Nürnberg".to_owned()),
            accuracy_km: Some(20),
        }
    );
    // The continent is filled in where only the country is known.
    let french = locate(&database, "2001:db8::1");
    assert_eq!(french.country.as_deref(), Some("FR"));
    assert_eq!(french.continent.as_deref(), Some("EU"));
    assert_eq!(locate(&database, "198.51.100.1"), Location::default());
    assert_eq!(database.kind(), "GeoLite2-City");
    assert_eq!(database.built(), Timestamp(1_440_000_000_000));
}

#[test]
fn country_schema() {
    let value = Map(vec![
        ("continent", Map(vec![("code", Text("AF"))])),
        ("country", Map(vec![("iso_code", Text("NA"))])),
    ]);
    let bytes = database("GeoLite2-Country", 0, &[("192.0.2.0", 24, value)]);
    let found = locate(&open(&bytes).unwrap(), "192.0.2.1");
    assert_eq!(found.country.as_deref(), Some("NA"));
    assert_eq!(found.continent.as_deref(), Some("AF"));
    assert_eq!((found.city, found.latitude), (None, None));
}

#[test]
fn flat_schema_with_continents_of_our_own() {
    let networks = [
        ("192.0.2.0", 24, flat("NA", -22.5)),
        ("198.51.100.0", 24, flat("na", 95.0)),
        ("203.0.113.0", 24, flat("", 1.0)),
    ];
    let database = open(&database("city", 0, &networks)).unwrap();
    let found = locate(&database, "192.0.2.1");
    assert_eq!(found.country.as_deref(), Some("NA"));
    assert_eq!(found.continent.as_deref(), Some("AF"));
    assert_eq!(found.city.as_deref(), Some("Windhoek"));
    assert_eq!((found.latitude, found.longitude), (Some(-22.5), Some(17.0)));
    // Anything but two capital letters, and no place on earth, is unknown.
    let odd = locate(&database, "198.51.100.1");
    assert_eq!(
        (odd.country, odd.continent, odd.latitude),
        (None, None, None)
    );
    assert_eq!(locate(&database, "203.0.113.9").country, None);
}

#[test]
fn values_of_another_type_are_unknown() {
    let value = Map(vec![
        ("country", Text("DE")),
        ("location", Unsigned(5, 6)),
        ("city", Map(vec![("names", Text("x"))])),
        ("latitude", Text("49")),
    ]);
    let bytes = database("odd", 0, &[("192.0.2.0", 24, value)]);
    assert_eq!(
        locate(&open(&bytes).unwrap(), "192.0.2.1"),
        Location::default()
    );
}

#[test]
fn age_in_days() {
    let database = open(&database("x", 1_440_000_000, &[("192.0.2.0", 24, city())])).unwrap();
    let day = 24 * 3600 * 1000;
    let built = database.built().millis();
    assert_eq!(database.age_days(Timestamp(built + 31 * day)), 31);
    assert_eq!(database.age_days(Timestamp(built + 31 * day - 1)), 30);
    assert_eq!(database.age_days(Timestamp(0)), 0);
}

#[test]
fn absent_and_unusable_files_say_what_to_do() {
    let Err(absent) = GeoDatabase::open(Path::new("no/such.mmdb")) else {
        panic!("there is no such file");
    };
    assert!(matches!(absent, GeoError::Absent(_)));
    assert!(absent.to_string().contains("storage.geolocation_database"));
    for bytes in [&b""[..], b"not a database", &[0xab; 200]] {
        let Err(unusable) = open(bytes) else {
            panic!("no database");
        };
        assert!(matches!(unusable, GeoError::Unusable(..)));
    }
}

#[test]
fn only_regular_files_of_a_sane_size_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.mmdb");
    let file = File::create(&path).unwrap();
    file.set_len(SIZE_MAX + 1).unwrap();
    for (path, reason) in [
        (path.as_path(), "larger than 2048 MiB"),
        (folder.path(), "not a regular file"),
        (Path::new("/dev/zero"), "not a regular file"),
    ] {
        match GeoDatabase::open(path) {
            Err(GeoError::Unusable(_, told)) => assert_eq!(told, reason),
            _ => panic!("{} is no database", path.display()),
        }
    }
}

proptest! {
    #[test]
    fn corrupt_data_never_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<proptest::sample::Index>(),
        address in any::<u128>(),
    ) {
        let networks = [("192.0.2.0", 24, city()), ("2001:db8::", 32, flat("DE", 1.0))];
        let mut bytes = database("GeoLite2-City", 0, &networks);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let mut short = bytes.clone();
        short.truncate(cut.index(bytes.len()));
        for bytes in [bytes, short] {
            let Ok(database) = GeoDatabase::parse(bytes) else { continue };
            locate(&database, "192.0.2.1");
            locate(&database, "2001:db8::1");
            database.locate(Ipv6Addr::from(address).into());
        }
    }
}
