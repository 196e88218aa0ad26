//! Rows to disk and back, caps, places, and replay into a database.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::model::record::MessageCounts;
use crate::model::{InfoHash, Source, TorrentId};
use crate::storage::database::Database;
use crate::storage::reader;
use crate::storage::row::{
    AnnounceRow, CountRow, CrossingRow, DoubtRow, ErrorRow, EvidenceRow, ExchangeRow,
    FoundTrackerRow, HostRow, InputRow, MessageRow, NewPeer, OriginRow, PeerUpdate, PlaceRow,
    RequestRow, Row, ScrapeRow, StatisticRow, TorrentRow, TrackerRow, VisitRow,
};

const RUN: &str = "2015-08-30T18:41:36.000Z";

fn fact(value: &str) -> Row {
    Row::Fact {
        key: "key".into(),
        value: value.to_owned(),
    }
}

fn message(count: u64) -> Row {
    Row::Message(MessageRow {
        time_ms: 1,
        kind: "have".into(),
        count,
    })
}

fn spool(folders: &[&Path], limit: u64) -> Spool {
    Spool::new(Place {
        folders: folders.iter().map(|&folder| folder.to_owned()).collect(),
        stem: "stem".to_owned(),
        run: RUN.to_owned(),
        limit,
    })
}

fn queue(records: impl IntoIterator<Item = Vec<Row>>) -> Queue {
    let mut queue = Queue::default();
    records.into_iter().for_each(|record| queue.push(record));
    queue
}

fn rows(queue: &Queue) -> Vec<Row> {
    queue.first(queue.len()).cloned().collect()
}

/// Rows of every kind with any content that the ledger can make.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of row")]
fn any_row() -> impl Strategy<Value = Row> {
    let number = 0..i64::MAX;
    let texts = ("\\PC{0,20}", any::<Option<String>>(), "[a-z \"\\\\\n]{0,9}");
    let small = (any::<u32>(), any::<Option<u32>>(), 0..60_000_usize);
    let real = proptest::num::f64::NORMAL | proptest::num::f64::ZERO;
    let reals = (real, proptest::option::of(real));
    let source = prop_oneof![
        Just(Source::Tracker),
        Just(Source::Dht),
        Just(Source::Incoming)
    ];
    let any = (0..22_u8, number, texts, small, reals, source);
    any.prop_map(|(kind, id, texts, (n, option, index), reals, source)| {
        let torrent = TorrentId::from_index(index).unwrap();
        let (text, maybe, word) = texts;
        let (real, maybe_real) = reals;
        match kind {
            14 => Row::Torrent(Box::new(TorrentRow {
                id: torrent,
                announce_url: text.clone(),
                info_hash: InfoHash::new([u8::try_from(n % 256).unwrap(); 20]),
                pieces_count: n,
                piece_size: id,
                complete_threshold: n,
                filepath: text,
                display_name: maybe,
                gigabyte: real,
            })),
            15 => Row::Input(Box::new(InputRow {
                path: text.clone(),
                sha1: maybe,
                torrent: u16::try_from(index).ok(),
                note: Some(text),
            })),
            0 => Row::NewPeer(Box::new(NewPeer {
                id,
                client: maybe.clone(),
                continent: maybe,
                country: None,
                latitude: maybe_real,
                longitude: Some(real),
                first_pieces: n,
                first_seen: id,
                source,
                torrent,
            })),
            1 => Row::PeerUpdate(PeerUpdate {
                id,
                last_pieces: n,
                last_seen: -id,
                max_speed: real,
                visits: n,
            }),
            16 => Row::Host(Box::new(HostRow {
                peer: id,
                time_ms: n.into(),
                outcome: word.into(),
                host: maybe,
                domain: Some(text),
            })),
            17 => Row::Evidence(EvidenceRow {
                torrent,
                class: word.into(),
                addresses: n.into(),
            }),
            18 => Row::Doubt(DoubtRow {
                peer: id,
                reason: word.into(),
                since_ms: -id,
                last_ms: id,
                times: n,
                figure: option.unwrap_or(0),
            }),
            19 => Row::FoundTracker(Box::new(FoundTrackerRow {
                time_ms: id,
                torrent,
                url: text,
                origin: word.into(),
                asked: option.is_some(),
            })),
            20 => Row::Exchange(ExchangeRow {
                time_ms: id,
                torrent,
                origin: word.into(),
                received: n.into(),
                duplicates: 0,
            }),
            21 => Row::Origin(OriginRow {
                peer: id,
                origin: word.into(),
            }),
            2 => Row::Place(Box::new(PlaceRow {
                peer: id,
                city: maybe,
                accuracy_km: u16::try_from(index).ok(),
            })),
            3 => Row::Visit(Box::new(VisitRow {
                id,
                peer: id,
                time_ms: id,
                pieces: n,
                messages: MessageCounts {
                    total: n,
                    bitfield: 1,
                    have: 2,
                    have_all: 3,
                    have_none: 4,
                    keep_alive: 5,
                    state: 6,
                    extended: 7,
                    port: 8,
                    transfer: 9,
                    piece: 10,
                    unknown: n / 2,
                },
                longest_wait_ms: option.map(i64::from),
                duration_ms: id,
                direction: word.clone().into(),
                transport: "tcp".into(),
                encryption: word.into(),
                ended: text.into(),
            })),
            4 => Row::Crossing(CrossingRow {
                peer: id,
                last_below_ms: id,
                last_below_pieces: n,
                first_at_ms: -1,
                first_at_pieces: 0,
            }),
            5 => Row::Request(Box::new(RequestRow {
                id,
                timestamp: id,
                source,
                received: id.unsigned_abs(),
                duplicates: 0,
                seeders: option,
                completed: None,
                leechers: Some(n),
                duration_sec: maybe_real,
                torrent,
            })),
            6 => Row::Statistic(Box::new(StatisticRow {
                id,
                timestamp: id,
                peer_queue: 1,
                visited_queue: 2,
                unique_incoming: u64::MAX,
                success_active: 4,
                thread_workload: maybe_real,
                load_average: None,
                memory_mb: Some(real),
                server_threads: 5,
                evaluator_threads: 6,
            })),
            7 => Row::Outcome(CountRow {
                time_ms: id,
                event: word.into(),
                reason: text,
                count: n.into(),
            }),
            8 => Row::Message(MessageRow {
                time_ms: id,
                kind: word.into(),
                count: n.into(),
            }),
            9 => Row::PeerError(ErrorRow {
                event: word.into(),
                reason: text.into(),
                count: n.into(),
            }),
            10 => Row::TrackerResult(Box::new(TrackerRow {
                torrent,
                url: text.clone(),
                result: word.into(),
                reason: text,
                count: n.into(),
            })),
            11 => Row::Announce(Box::new(AnnounceRow {
                request: id,
                time_ms: id,
                url: text,
                interval: option,
                min_interval: Some(n),
                seeders: None,
                leechers: option,
                warning: maybe,
                family: Some(6),
            })),
            12 => Row::Scrape(Box::new(ScrapeRow {
                time_ms: id,
                torrent,
                url: text,
                seeders: option,
                completed: Some(n),
                leechers: None,
            })),
            _ => Row::Fact {
                key: word.into(),
                value: text,
            },
        }
    })
}

proptest! {
    #[test]
    fn every_row_comes_back_as_it_was(record in proptest::collection::vec(any_row(), 0..6)) {
        let queue = queue([record.clone()]);
        let line = form::lines(queue.first_records(1));
        let end = line.iter().position(|&byte| byte == b'\n');
        prop_assert_eq!(end, Some(line.len() - 1));
        prop_assert_eq!(form::record(&line).unwrap(), record);
    }

    #[test]
    fn every_row_has_a_value_for_each_place_of_its_statement(row in any_row()) {
        let places = row.sql().matches('?').count();
        prop_assert_eq!(row.with_values(|values| values.iter().len()), places);
    }

    #[test]
    fn no_line_breaks_the_reader(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = form::record(&line);
    }
}

#[test]
fn the_form_is_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(&[folder.path()], 1 << 20);
    let error = Row::PeerError(ErrorRow {
        event: "First contact".into(),
        reason: "timed out".into(),
        count: 7,
    });
    spool.append(&mut queue([vec![error]])).unwrap();
    let text = std::fs::read_to_string(folder.path().join("stem_spool.jsonl")).unwrap();
    assert_eq!(
        text,
        "{\"btda_spool\":1,\"schema\":1,\"run\":\"2015-08-30T18:41:36.000Z\",\"number\":1}\n\
         [{\"peer_error\":{\"event\":\"First contact\",\"reason\":\"timed out\",\"count\":7}}]\n"
    );
}

#[test]
fn rows_come_back_in_order_while_others_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(&[folder.path()], 1 << 20);
    let mut first = queue([vec![fact("a"), fact("b")], vec![fact("c")]]);
    spool.append(&mut first).unwrap();
    assert_eq!((first.len(), spool.rows(), spool.rows_ever()), (0, 3, 3));
    let mut back = Queue::default();
    assert_eq!(spool.read(1, &mut back).unwrap(), 0);
    assert_eq!(rows(&back), [fact("a"), fact("b")]);
    assert_eq!(
        spool.mark(0),
        Some(Mark {
            number: 1,
            lines: 1
        })
    );
    spool.append(&mut queue([vec![fact("d")]])).unwrap();
    spool.remove_finished();
    assert!(!spool.is_empty());
    spool.read(99, &mut back).unwrap();
    assert_eq!(rows(&back)[2..], [fact("c"), fact("d")]);
    assert_eq!(
        spool.mark(2),
        Some(Mark {
            number: 1,
            lines: 1
        })
    );
    assert_eq!(spool.rows(), 0);
    spool.remove_finished();
    assert!(spool.is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // The next file has the next number.
    spool.append(&mut queue([vec![fact("e")]])).unwrap();
    assert_eq!(
        spool.mark(0),
        Some(Mark {
            number: 2,
            lines: 0
        })
    );
}

#[test]
fn the_second_folder_takes_what_the_first_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let mut both = spool(&[&gone, folder.path()], 1 << 20);
    // Files of others in a folder for everybody are left alone.
    let foreign = folder.path().join("stem_spool.jsonl");
    std::os::unix::fs::symlink("/dev/null", &foreign).unwrap();
    both.append(&mut queue([vec![fact("a")]])).unwrap();
    let paths: Vec<_> = both.paths().collect();
    assert_eq!(paths, [folder.path().join("stem_spool-1-2.jsonl")]);
    let mut none = spool(&[&gone], 1 << 20);
    let mut waiting = queue([vec![fact("a")]]);
    let error = none.append(&mut waiting).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    assert_eq!((waiting.len(), none.is_empty()), (1, true));
}

#[test]
fn the_cap_holds_for_all_files_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(&[folder.path()], 3_000);
    let record = || vec![fact(&"x".repeat(400))];
    let mut taken = 0;
    let error = loop {
        let mut one = queue([record()]);
        match spool.append(&mut one) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(taken, 6);
    assert!(error.to_string().contains("spool_max_bytes"), "{error}");
    let size = std::fs::metadata(folder.path().join("stem_spool.jsonl")).unwrap();
    assert!(size.len() <= 3_000);
}

fn database(folder: &Path) -> PathBuf {
    let path = folder.join("stem.sqlite");
    let mut database = Database::create(path.clone()).unwrap();
    let start = Row::Fact {
        key: "start".into(),
        value: RUN.to_owned(),
    };
    database.describe(&[], &[], &[start]).unwrap();
    path
}

fn messages(database: &Path) -> i64 {
    let database = reader::open(database).unwrap();
    let sql = "SELECT count(*) FROM message";
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_replay_stores_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut spool = spool(&[folder.path()], 1 << 20);
    let records = (0..1_200).map(|count| vec![message(count), message(count)]);
    spool.append(&mut queue(records)).unwrap();
    let file: Vec<PathBuf> = spool.paths().collect();
    // The first 100 records were stored before the crash.
    let mut store = Database::open_existing(&database).unwrap();
    let mut back = Queue::default();
    spool.read(200, &mut back).unwrap();
    store.write(back.first(back.len()), spool.mark(0)).unwrap();
    drop((store, spool));
    let replayed = replay(&database, &file).unwrap();
    assert_eq!((replayed.rows, replayed.lines_done_before), (2_200, 100));
    assert_eq!(messages(&database), 2_400);
    let again = replay(&database, &file).unwrap();
    assert_eq!((again.rows, again.lines_done_before), (0, 1_200));
    assert_eq!(messages(&database), 2_400);
}

#[test]
fn files_are_replayed_by_number_and_rows_that_never_fit_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut files = Vec::new();
    for number in [2, 1] {
        let header = Header::new(RUN, number);
        let mut segment = segment::Segment::create(folder.path(), "stem", &header).unwrap();
        let place = Row::Place(Box::new(PlaceRow {
            peer: 1,
            city: None,
            accuracy_km: None,
        }));
        let text = form::lines(queue([vec![place, fact(&number.to_string())]]).first_records(1));
        segment.append(&text, 1, 2).unwrap();
        files.push(segment.path().to_owned());
    }
    let replayed = replay(&database, &files).unwrap();
    assert_eq!((replayed.rows, replayed.lost), (3, 1), "place 1 is taken");
    let reader = reader::open(&database).unwrap();
    let sql = "SELECT value FROM run WHERE key = 'key'";
    let last: String = reader.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(last, "2");
}

#[test]
fn damaged_and_foreign_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let file = folder.path().join("x_spool.jsonl");
    let attempt = |text: &str| {
        std::fs::write(&file, text).unwrap();
        replay(&database, std::slice::from_ref(&file))
    };
    assert!(matches!(attempt(""), Err(ReplayError::NoSpool(_))));
    assert!(matches!(attempt("{}\n"), Err(ReplayError::NoSpool(_))));
    let header = |version: u32, run: &str| {
        format!("{{\"btda_spool\":{version},\"schema\":1,\"run\":\"{run}\",\"number\":1}}\n")
    };
    let other = attempt(&header(9, RUN));
    assert!(matches!(other, Err(ReplayError::OtherVersion(_))));
    let other = attempt(&header(1, "1999-01-01T00:00:00.000Z"));
    assert!(matches!(other, Err(ReplayError::OtherRun(_))));
    let line = "[{\"message\":{\"time_ms\":1,\"kind\":\"have\",\"count\":2}}]";
    let text = format!("{}{line}\nno json\n{line}\n[{{\"mess", header(1, RUN));
    let replayed = attempt(&text).unwrap();
    assert_eq!((replayed.rows, replayed.lost, replayed.cut_off), (2, 1, 1));
    assert_eq!(messages(&database), 2);
    assert_eq!(attempt(&text).unwrap().rows, 0);
}
