//! Slices on a real file system.

use super::*;
use crate::dht::node::id::NodeId;
use crate::model::InfoHash;
use crate::observe::record::{Heard, Kind, Record, write_line};

/// 2018-04-05 06:07:08 UTC.
const START: Timestamp = Timestamp(1_522_908_428_000);

fn line(number: u8) -> Vec<u8> {
    let record = Record::Heard(Box::new(Heard {
        kind: Kind::Lookup,
        info_hash: InfoHash::new([number; 20]),
        name: None,
        our_id: NodeId::new([1; 20]),
        their_id: None,
        their_ip: None,
        version: None,
        is_seed: false,
        at: START,
        location: None,
    }));
    let mut line = Vec::new();
    write_line(&record, &mut line);
    line
}

fn slices(folder: &Path) -> Slices {
    let random = Random::from_seed([3; 32]);
    Slices::new(folder.to_owned(), Duration::from_secs(120), random)
}

fn files(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name();
    let files = entries.into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect()
}

fn hashes(path: &Path) -> Vec<u8> {
    let mut lines = Lines::open(path).unwrap();
    let next = || lines.next_record().unwrap();
    std::iter::from_fn(next)
        .map(|record| record.info_hash().as_bytes()[0])
        .collect()
}

#[test]
fn a_slice_has_its_name_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = slices(folder.path());
    slices.push(START, &line(1));
    slices.push(START.plus(Duration::from_secs(119)), &line(2));
    slices.tick(START.plus(Duration::from_secs(119)));
    let part = files(folder.path());
    assert_eq!(part.len(), 1);
    assert_eq!(Path::new(&part[0]).extension().unwrap(), "part");
    slices.push(START.plus(Duration::from_secs(120)), &line(3));
    slices.tick(START.plus(Duration::from_secs(120)));
    let all = files(folder.path());
    let whole = all[0].clone();
    assert!(
        whole.starts_with("2018/04/05/06/boonlog-firehose-1-2018-04-05-06-07-08-"),
        "{whole}"
    );
    let uuid = &whole[whole.len() - 36..];
    assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
    assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    assert_eq!(hashes(&folder.path().join(&whole)), [1, 2]);
    let latest = fs::read_to_string(folder.path().join(LATEST)).unwrap();
    assert_eq!(latest, format!("{whole}\n"));
    slices.close(START.plus(Duration::from_secs(240)));
    assert_eq!(files(folder.path()).len(), 3);
    let expected = SliceCounts {
        written: 3,
        slices: 2,
        ..SliceCounts::default()
    };
    assert_eq!(slices.counts(), expected);
}

#[test]
fn a_folder_that_cannot_be_written_loses_only_what_is_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("slices");
    fs::write(&blocked, "a file stands in the way").unwrap();
    let mut slices = slices(&blocked);
    slices.push(START, &line(1));
    slices.tick(START);
    assert_eq!(slices.counts().failures, 1);
    assert!(slices.take_error().is_some());
    slices.tick(START.plus(Duration::from_millis(500)));
    assert_eq!(slices.counts().failures, 1, "not again at once");
    let long = vec![b'x'; WAITING_MAX];
    slices.push(START, &long);
    assert_eq!(slices.counts().lost, 1);
    fs::remove_file(&blocked).unwrap();
    slices.tick(START.plus(Duration::from_secs(2)));
    assert_eq!(slices.counts().written, 1);
    slices.close(START.plus(Duration::from_secs(3)));
    let whole = files(&blocked);
    assert_eq!(hashes(&blocked.join(&whole[0])), [1]);
}

#[test]
fn old_slices_and_too_many_bytes_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = slices(folder.path());
    for hour in 0..5 {
        slices.push(START.plus(Duration::from_secs(hour * 3600)), &line(1));
    }
    slices.close(START.plus(Duration::from_secs(5 * 3600)));
    fs::write(folder.path().join("other"), "stays").unwrap();
    let bytes = line(1).len() as u64;
    let now = START.plus(Duration::from_secs(4 * 3600));
    let keep = Duration::from_secs(3 * 3600);
    let pruned = prune(folder.path(), now, keep, u64::MAX);
    assert_eq!((pruned.removed, pruned.bytes), (1, 4 * bytes));
    let pruned = prune(folder.path(), now, keep, 2 * bytes + 1);
    assert_eq!((pruned.removed, pruned.bytes), (2, 2 * bytes));
    assert!(!folder.path().join("2018/04/05/06").exists());
    let left = files(folder.path());
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn odd_lines_are_counted_and_passed_over() {
    let mut text = line(1);
    text.extend(b"\n{}\nnonsense\n");
    text.extend(vec![b'x'; 3 * crate::observe::record::LINE_MAX]);
    text.push(b'\n');
    text.extend(line(2));
    text.extend(&line(3)[..50]);
    let mut lines = Lines::of(Box::new(io::Cursor::new(text)));
    let mut found = Vec::new();
    while let Some(record) = lines.next_record().unwrap() {
        found.push(record.info_hash().as_bytes()[0]);
    }
    assert_eq!(found, [1, 2]);
    let expected = ReadCounts {
        records: 2,
        malformed: 4,
    };
    assert_eq!(lines.counts(), expected);
}
