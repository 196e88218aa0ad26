//! Result files of every age.

use super::*;
use crate::storage::database::SCHEMA;

fn file(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

#[test]
fn a_file_of_ours() {
    let (_folder, path) = file(&format!(
        "{SCHEMA}
         INSERT INTO torrent VALUES (1, 'a,b', x'00', 'ab', 10, 16384, 9, 'f', 'n', 0.1);
         INSERT INTO peer VALUES (1, '-UT3440-', 'EU', 'DE', 1.0, 2.0, 3, 9, 100, 160, 0.1, 2,
                                  'dht', 1);
         INSERT INTO crossing VALUES (1, 1, 100500, 3, 160200, 9);
         INSERT INTO run VALUES ('method', '2015');
         INSERT INTO peer_error VALUES ('First contact', 'timed out', 4);"
    ));
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.torrents().unwrap()[0].trackers, 2);
    let mut seen = Vec::new();
    archive
        .each_peer(|peer| seen.push((peer.country, peer.way, peer.last_pieces)))
        .unwrap();
    assert_eq!(seen, [(Some(*b"DE"), Some(WaySeen::Dht), Some(9))]);
    let mut crossings = Vec::new();
    archive
        .each_crossing(|it| crossings.push((it.torrent, it.first_at_ms)))
        .unwrap();
    assert_eq!(crossings, [(1, 160_200)]);
    assert_eq!(archive.facts().unwrap()["method"], "2015");
    let mut errors = Vec::new();
    archive
        .each_peer_error(|event, reason, count| errors.push((event, reason, count)))
        .unwrap();
    assert_eq!(
        errors,
        [("First contact".to_owned(), "timed out".to_owned(), 4)]
    );
    assert!(!archive.has_names().unwrap());
}

/// What peers named stands among the requests, in order of time; names come
/// from our table.
#[test]
fn exchanged_addresses_and_host_names() {
    let (_folder, path) = file(&format!(
        "PRAGMA foreign_keys = OFF; {SCHEMA}
         INSERT INTO request (timestamp, source, received_peers, duplicate_peers, torrent)
         VALUES (10, 'tracker', 50, 0, 1), (30, 'dht', 60, 30, 1);
         INSERT INTO exchange VALUES (1, 20500, 1, 'pex', 9, 4);
         INSERT INTO host VALUES (1, 0, 'name', 'co.uk', 'a.co.uk'), (2, 0, 'name', 'co.uk', 'b.co.uk'),
                                 (3, 0, 'name', 'b.de', 'b.de'), (4, 0, 'timed out', NULL, NULL);"
    ));
    let archive = Archive::open(&path).unwrap();
    let mut seen = Vec::new();
    archive
        .each_request(|it| seen.push((it.timestamp, it.way, it.received, it.duplicate)))
        .unwrap();
    let wanted = [
        (10, Some(WaySeen::Tracker), 50, 0),
        (20, Some(WaySeen::Exchange), 9, 4),
        (30, Some(WaySeen::Dht), 60, 30),
    ];
    assert_eq!(seen, wanted);
    assert!(archive.has_names().unwrap());
    let hosts = archive.names(NameColumn::Host, 1).unwrap();
    assert_eq!(hosts.commonest, [("co.uk".to_owned(), 2)]);
    assert_eq!(hosts.named, 3);
    let mut domains = archive.names(NameColumn::Domain, 50).unwrap();
    assert_eq!(domains.commonest.len(), 3);
    domains.add(domains.clone(), 2);
    assert_eq!(domains.commonest[1], ("b.co.uk".to_owned(), 2));
    assert_eq!((domains.commonest.len(), domains.named), (2, 6));
    let outcomes = archive.name_outcomes().unwrap();
    assert_eq!(
        outcomes,
        [("name".to_owned(), 3), ("timed out".to_owned(), 1)]
    );
}

/// Other columns, in another order, with cells of other types.
#[test]
fn an_older_file() {
    let (_folder, path) = file(
        "CREATE TABLE torrent (gigabyte FLOAT, id INTEGER, pieces_count INTEGER,
            piece_size INTEGER, complete_threshold INTEGER);
         CREATE TABLE peer (host VARCHAR, visits INTEGER, source VARCHAR, torrent INTEGER,
            first_pieces INTEGER, country VARCHAR, city VARCHAR);
         CREATE TABLE request (timestamp, source, received_peers, duplicate_peers, torrent);
         CREATE TABLE statistic (timestamp INTEGER, vm INTEGER, memory_mb FLOAT);
         INSERT INTO torrent VALUES (0.1, 1, 10, 16384, 9), (NULL, NULL, NULL, NULL, NULL);
         INSERT INTO peer VALUES ('a.de', 1, 'tracker', 1, 5, 'Germany', 'Ulm'),
                                 ('a.de', 1, 'pex', 1, 5, 'DE', NULL), (NULL, 1, 'dht', 1, 5, '', 1);
         INSERT INTO request VALUES (1.0, 'tracker', 'many', -4, 1);
         INSERT INTO statistic VALUES (5, 2, 7.5);",
    );
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.torrents().unwrap().len(), 1);
    let mut peers = Vec::new();
    archive
        .each_peer(|it| peers.push((it.country, it.way)))
        .unwrap();
    let germany = Some(*b"DE");
    assert_eq!(
        peers,
        [
            (None, Some(WaySeen::Tracker)),
            (germany, None),
            (None, Some(WaySeen::Dht))
        ]
    );
    let mut requests = Vec::new();
    archive
        .each_request(|it| requests.push((it.timestamp, it.received)))
        .unwrap();
    assert_eq!(requests, [(1, 0)]);
    assert!(archive.has_names().unwrap());
    let names = Names {
        commonest: vec![("a.de".to_owned(), 2)],
        named: 2,
    };
    assert_eq!(archive.names(NameColumn::Host, 50).unwrap(), names);
    let none = archive.names(NameColumn::Domain, 50).unwrap();
    assert_eq!(none, Names::default());
    let mut memory = Vec::new();
    archive
        .each_monitoring(|it| memory.push((it.vm, it.values[6])))
        .unwrap();
    assert_eq!(memory, [(Some(2), Some(7.5))]);
    archive.each_scrape(|_| panic!("there are none")).unwrap();
}

#[test]
fn a_file_that_is_no_result() {
    let (_folder, path) = file("CREATE TABLE torrent (id)");
    let message = Archive::open(&path).unwrap_err().to_string();
    assert!(message.contains("no table peer"), "{message}");
    std::fs::write(&path, "some text, and more of it, but no database").unwrap();
    let message = Archive::open(&path).unwrap_err().to_string();
    assert!(message.contains("not a database"), "{message}");
    assert!(Archive::open(&path.with_file_name("absent")).is_err());
}

#[test]
fn the_sorter_sorts() {
    let mut sorter = Sorter::new().unwrap();
    for number in 0..120_000_u32 {
        sorter
            .push(number % 3, f64::from(number.wrapping_mul(7919) % 1000))
            .unwrap();
    }
    let mut before = (0, -1.0);
    let mut count = 0;
    sorter
        .each_by_group(|part, value| {
            assert!((part, value) >= before);
            before = (part, value);
            count += 1;
        })
        .unwrap();
    assert_eq!((count, before), (120_000, (2, 999.0)));
    let mut last = -1.0;
    sorter
        .each_by_value(|_, value| {
            assert!(value >= last);
            last = value;
        })
        .unwrap();
}
