//! The store on a real file.

use super::*;
use crate::model::{InfoHash, Timestamp};

fn key(minute: i64, number: u8) -> EventKey {
    EventKey {
        minute,
        kind: "announce",
        country: number.is_multiple_of(2).then_some(*b"DE"),
        info_hash: Some(InfoHash::new([number; 20])),
    }
}

fn batch(minute: i64) -> Batch {
    let mut batch = Batch::default();
    for number in 0..10 {
        batch.events.insert(key(minute, number), 3);
    }
    let place = PlaceKey {
        minute,
        ten_thousandths: (PlaceKey::rounded(49.45).unwrap(), -110_800),
        country: "DE".to_owned(),
        subdivision: "Bavaria".to_owned(),
        city: "Erlangen".to_owned(),
    };
    batch.places.insert(place, 4);
    batch.clients.insert((minute, "LT".to_owned()), 5);
    batch.tallies.insert((minute, "blocked"), 6);
    batch
}

#[test]
fn batches_are_added_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("observatory.sqlite");
    let mut store = Observatory::open(&path).unwrap();
    store.store(&batch(7)).unwrap();
    store.store(&batch(7)).unwrap();
    store.store(&batch(9)).unwrap();
    drop(store);
    let store = Observatory::read(&path).unwrap();
    let one = |text: &str, count| vec![(text.to_owned(), count)];
    assert_eq!(store.kinds(0).unwrap(), one("announce", 90));
    assert_eq!(store.countries(0).unwrap(), one("DE", 45));
    assert_eq!(store.countries(8).unwrap(), one("DE", 15));
    assert_eq!(store.cities(0).unwrap(), one("Erlangen, DE", 12));
    assert_eq!(store.clients(0).unwrap(), one("LT", 15));
    assert_eq!(store.tallies(0).unwrap(), one("blocked", 18));
    let degrees = "SELECT latitude, longitude FROM place WHERE minute = 9";
    let degrees: (f64, f64) = store
        .connection
        .query_row(degrees, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(degrees, (49.45, -11.08));
}

#[test]
fn another_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(other);
    assert!(matches!(
        Observatory::open(&path),
        Err(StorageError::OtherForm(_))
    ));
    std::fs::write(&path, "no database, but long enough to be looked at").unwrap();
    assert!(Observatory::open(&path).is_err());
}

#[test]
fn what_is_old_or_too_much_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("observatory.sqlite");
    let mut store = Observatory::open(&path).unwrap();
    for minute in 0..600 {
        let mut batch = batch(minute);
        batch.swarms.push(SwarmRow {
            at: Timestamp(minute * 60_000),
            info_hash: InfoHash::new([1; 20]),
            seeds: 1.0,
            peers: 2.0,
            responders: 3,
        });
        store.store(&batch).unwrap();
    }
    let trimmed = store.trim(100, u64::MAX).unwrap();
    assert_eq!(trimmed.removed, 100 * 14);
    assert_eq!(store.kinds(0).unwrap()[0].1, 500 * 30);
    let goal = trimmed.bytes / 2;
    let trimmed = store.trim(100, goal).unwrap();
    assert!(trimmed.bytes <= goal, "{trimmed:?}");
    assert!(trimmed.removed > 0);
    let left = store.kinds(0).unwrap()[0].1;
    assert!((1..500 * 30).contains(&left), "{left}");
    assert_eq!(store.kinds(599).unwrap()[0].1, 30, "the newest stay");
    let nothing = store.trim(i64::MAX, u64::MAX).unwrap();
    assert!(nothing.removed > 0);
    assert!(store.kinds(0).unwrap().is_empty());
}

#[test]
fn the_page_reads_what_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("observatory.sqlite");
    let mut store = Observatory::open(&path).unwrap();
    assert_eq!(store.newest_minute().unwrap(), None);
    assert_eq!(store.networks().unwrap(), []);
    let hash = InfoHash::new([3; 20]);
    for minute in [7, 9] {
        let mut batch = batch(minute);
        let at = Timestamp(minute * 60_000);
        batch.swarms.push(SwarmRow {
            at,
            info_hash: hash,
            seeds: 1.0,
            peers: minute as f64,
            responders: 3,
        });
        batch.networks.push(NetworkRow {
            at,
            family: "v4",
            nodes: minute as f64,
            low: 1.0,
            high: 20.0,
            targets: 32,
            nearest: 8,
        });
        store.store(&batch).unwrap();
    }
    let store = Observatory::read(&path).unwrap();
    assert_eq!(store.newest_minute().unwrap(), Some(9));
    let mut rows = Vec::new();
    store.activity(8, |row| rows.push(row)).unwrap();
    let row = |country: &str| ActivityRow {
        minute: 9,
        kind: "announce".to_owned(),
        country: country.to_owned(),
        events: 15,
    };
    assert_eq!(rows, [row(""), row("DE")]);
    let place = PlaceCount {
        latitude: 49.45,
        longitude: -11.08,
        country: "DE".to_owned(),
        events: 8,
    };
    assert_eq!(store.places(7).unwrap(), [place]);
    assert_eq!(store.places(10).unwrap(), []);
    let announced = ("announce".to_owned(), 6);
    assert_eq!(store.asked_for(hash, 0).unwrap(), [announced]);
    assert!((store.swarm(hash).unwrap().unwrap().peers - 9.0).abs() < 1e-9);
    assert_eq!(store.swarm(InfoHash::new([9; 20])).unwrap(), None);
    let networks = store.networks().unwrap();
    assert_eq!((networks.len(), networks[0].nodes), (1, 9.0));
}
