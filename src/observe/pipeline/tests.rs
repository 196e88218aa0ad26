//! The pipeline from query to files.

use super::*;
use crate::dht::node::hook::AnnounceEvent;
use crate::dht::node::id::NodeId;
use crate::dht::node::random::Random;
use crate::model::InfoHash;
use crate::observe::naming::Addresses;
use crate::observe::slices::{Lines, Slices};
use crate::storage::observatory::Observatory;
use crate::storage::search::{LIMIT, Query, SearchIndex};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// Everybody is in Erlangen.
struct Erlangen;

impl FindPlace for Erlangen {
    fn place(&self, _: IpAddr) -> Option<Place> {
        Some(Place {
            country_iso: Some("DE".to_owned()),
            city: Some("Erlangen".to_owned()),
            latitude: Some(49.5),
            longitude: Some(11.0),
            ..Place::default()
        })
    }
}

fn pipeline(folder: &Path, block: &str, hashes_only: bool) -> Pipeline {
    let random = || Random::from_seed([1; 32]);
    let slices = Slices::new(Files::records(folder), Duration::from_secs(120), random());
    let setup = FilesSetup {
        folder: folder.to_owned(),
        keep: DAY,
        bytes_max: 1 << 30,
    };
    Pipeline::new(PipelineSetup {
        blocked: Arc::new(Blocked::parse(block).unwrap()),
        places: Box::new(Erlangen),
        naming: Naming::new(Addresses::Pseudonym, DAY, random()),
        hashes_only,
        files: Files::open(setup, slices).unwrap(),
        live: Arc::default(),
    })
}

fn announce(number: u8, name: &str) -> QueryEvent {
    QueryEvent {
        timestamp: NOW,
        our_id: NodeId::new([0; 20]),
        sender_id: NodeId::new([number; 20]),
        sender: PeerAddress::from_compact([203, 0, 113, number, 1, 2]),
        read_only: false,
        version: Some(b"LT\x01\x02"[..].into()),
        kind: QueryKind::Announce(AnnounceEvent {
            info_hash: InfoHash::new([0xf0 ^ number; 20]),
            port: 6881,
            implied_port: false,
            name: (!name.is_empty()).then(|| name.as_bytes().into()),
            seed: Some(true),
            token_valid: true,
        }),
        answered: true,
    }
}

fn found(name: &str, file: &str) -> FoundTorrent {
    let info = format!(
        "d5:filesld6:lengthi7e4:pathl{}:{file}eee4:name{}:{name}e",
        file.len(),
        name.len()
    );
    FoundTorrent {
        job: Job {
            info_hash: InfoHash::of(info.as_bytes()),
            our_id: NodeId::new([0; 20]),
            heard: 12,
            sources: vec![SourceNode {
                address: PeerAddress::from_compact([203, 0, 113, 9, 1, 2]),
                id: NodeId::new([9; 20]),
                peer_port: Some(5),
                last_seen: NOW,
                last_sent: Timestamp(NOW.millis() - 7),
            }],
        },
        summary: Summary::of_info(info.as_bytes()).unwrap(),
        at: NOW,
    }
}

fn slices_of(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(Files::records(folder)).sort_by_file_name();
    let files = entries.into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let paths = files.map(walkdir::DirEntry::into_path);
    paths.filter(|path| !path.ends_with("latest.txt")).collect()
}

fn records_of(folder: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for path in slices_of(folder) {
        let mut lines = Lines::open(&path).unwrap();
        while let Some(record) = lines.next_record().unwrap() {
            records.push(record);
        }
        assert_eq!(lines.counts().malformed, 0);
    }
    records
}

fn hits(folder: &Path, words: &str) -> Vec<InfoHash> {
    let index = SearchIndex::read(&folder.join(Files::INDEX)).unwrap();
    let query = Query {
        words: words.to_owned(),
        limit: LIMIT,
        ..Query::default()
    };
    let hits = index.search(&query).unwrap().hits;
    hits.into_iter().map(|hit| hit.info_hash).collect()
}

#[test]
fn a_query_becomes_a_record_a_count_and_a_point() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(folder.path(), "", false);
    let source = pipeline.query(&announce(1, "a name")).unwrap();
    assert_eq!(addresses_of(&source).count(), 2);
    let ping = QueryEvent {
        kind: QueryKind::Ping,
        ..announce(1, "")
    };
    assert_eq!(pipeline.query(&ping), None);
    let live = Arc::clone(&pipeline.setup.live);
    assert_eq!(Live::count(&live.records), 1);
    assert_eq!(live.heat_map()["coordinates"].as_array().unwrap().len(), 1);
    pipeline.finish(NOW.plus(Duration::from_secs(5)));
    let [Record::Heard(heard)] = &records_of(folder.path())[..] else {
        panic!("one record");
    };
    assert!(matches!(heard.their_ip, Some(Named::Pseudonym(_))));
    assert!(matches!(heard.their_id, Some(Named::Pseudonym(_))));
    assert_eq!(heard.name.as_deref(), Some("a name"));
    assert_eq!(
        heard.location.as_ref().unwrap().city.as_deref(),
        Some("Erlangen")
    );
    let store = Observatory::read(&folder.path().join(Files::STORE)).unwrap();
    assert_eq!(store.kinds(0).unwrap(), [("announce".to_owned(), 1)]);
    assert_eq!(store.clients(0).unwrap(), [("LT".to_owned(), 1)]);
    let skipped = ("skipped: other method".to_owned(), 1);
    assert_eq!(store.tallies(0).unwrap(), [skipped]);
}

#[test]
fn no_file_has_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(folder.path(), "", false);
    pipeline.query(&announce(77, "x")).unwrap();
    assert!(pipeline.resolved(&found("torrent", "file.txt")));
    pipeline.finish(NOW);
    drop(pipeline);
    let entries = walkdir::WalkDir::new(folder.path()).into_iter();
    for entry in entries.map(Result::unwrap) {
        let Ok(bytes) = std::fs::read(entry.path()) else {
            continue;
        };
        for needle in [&b"203.0.113"[..], &[203, 0, 113, 77], &[203, 0, 113, 9]] {
            let has = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!has, "{}", entry.path().display());
        }
    }
}

#[test]
fn a_resolved_torrent_is_found_and_a_blocked_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(folder.path(), "secret\n", false);
    let open = found("Open Thing", "some.mkv");
    assert!(pipeline.resolved(&open));
    assert!(!pipeline.resolved(&found("my secret", "x")));
    assert!(!pipeline.resolved(&found("harmless", "secret.txt")));
    assert_eq!(pipeline.query(&announce(1, "the SECRET thing")), None);
    pipeline.finish(NOW);
    let hash = open.summary.infohash;
    assert_eq!(hits(folder.path(), "thing"), [hash]);
    assert_eq!(hits(folder.path(), "mkv"), [hash]);
    assert!(hits(folder.path(), "secret").is_empty());
    let [Record::Resolved(resolved)] = &records_of(folder.path())[..] else {
        panic!("one record");
    };
    assert_eq!((resolved.num_peers, resolved.peers.len()), (12, 1));
    let called = Timestamp(NOW.millis() - 7);
    assert_eq!(resolved.peers[0].last_send_time, called);
    assert_eq!((resolved.size, resolved.files), (7, 1));
    let store = Observatory::read(&folder.path().join(Files::STORE)).unwrap();
    assert_eq!(store.tallies(0).unwrap(), [("blocked".to_owned(), 3)]);
}

#[test]
fn what_was_written_can_be_replayed() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut live = pipeline(first.path(), "", false);
    for number in 1..100 {
        live.query(&announce(number, "")).unwrap();
    }
    live.resolved(&found("thing", "x"));
    live.finish(NOW);
    let records = records_of(first.path());
    assert_eq!(records.len(), 100);
    let mut replay = pipeline(second.path(), "", false);
    records
        .iter()
        .cloned()
        .for_each(|record| replay.record(record));
    replay.finish(NOW);
    assert_eq!(records_of(second.path()), records);
    let count = |folder: &Path| {
        let store = Observatory::read(&folder.join(Files::STORE)).unwrap();
        (store.kinds(0).unwrap(), store.cities(0).unwrap())
    };
    assert_eq!(count(first.path()), count(second.path()));
    assert_eq!(hits(second.path(), "thing").len(), 1);
}

#[test]
fn hashes_only_keeps_no_name() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut all = pipeline(first.path(), "", false);
    all.query(&announce(1, "a name")).unwrap();
    all.resolved(&found("a name", "x"));
    all.finish(NOW);
    let mut hashes = pipeline(second.path(), "", true);
    for record in records_of(first.path()) {
        hashes.record(record);
    }
    hashes.query(&announce(2, "a name")).unwrap();
    hashes.finish(NOW);
    let kept = records_of(second.path());
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|record| record.name().is_none()));
    assert!(hits(second.path(), "name").is_empty());
}

#[test]
fn what_is_blocked_later_is_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = pipeline(folder.path(), "", false);
    let thing = found("a thing", "x");
    before.resolved(&thing);
    before.resolved(&found("my secret", "x"));
    before.resolved(&found("harmless", "x"));
    before.finish(NOW);
    drop(before);
    let kept = archived(folder.path(), thing.summary.infohash);
    std::fs::create_dir(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, "d4:info").unwrap();
    let block = format!("{}\nSecret\n", thing.summary.infohash);
    pipeline(folder.path(), &block, false).forget_blocked();
    assert!(hits(folder.path(), "thing").is_empty());
    assert!(hits(folder.path(), "secret").is_empty());
    assert_eq!(hits(folder.path(), "harmless").len(), 1);
    assert!(!kept.exists());
}

#[test]
fn a_store_that_refuses_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = pipeline(folder.path(), "", false);
    let path = folder.path().join(Files::STORE);
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("ALTER TABLE event RENAME TO away")
        .unwrap();
    pipeline.query(&announce(1, "")).unwrap();
    pipeline.tick(NOW);
    pipeline.tick(NOW.plus(Duration::from_secs(10)));
    assert!(pipeline.files().failures() > 0);
    pipeline.query(&announce(2, "")).unwrap();
    other
        .execute_batch("ALTER TABLE away RENAME TO event")
        .unwrap();
    pipeline.finish(NOW.plus(Duration::from_secs(20)));
    let store = Observatory::read(&path).unwrap();
    assert_eq!(store.kinds(0).unwrap(), [("announce".to_owned(), 2)]);
    assert_eq!(pipeline.files().slice_counts().written, 2);
}
