//! What an observatory must survive, on loopback: a full disk, a flood,
//! packets without sense, and a disk that is too
//! small for what is kept. What is lost is counted and said.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops with a panic, one that is left out says why"
)]

mod common;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use btda::model::InfoHash;
use btda::observe::record::Record;
use common::observatory::{ALONE, Asker, Observatory, btda, records};
use common::process::wait_until;
use common::small_disk::{SmallDisk, is_root};

const LIMIT: Duration = Duration::from_secs(90);

/// A small disk where the files go; `None` where mounting is not permitted.
fn small_disk(folder: &Path) -> Option<SmallDisk> {
    let own = folder.join("observatory");
    fs::create_dir(&own).unwrap();
    let disk = SmallDisk::mount(&own);
    if disk.is_none() {
        assert!(!is_root(), "root cannot mount a tmpfs here");
        println!("skipped: mounting a small disk needs root");
    }
    disk
}

/// Looks up `count` torrents; nobody's id is near them.
fn look_up(asker: &Asker, what: &str, count: usize) {
    for number in 0..count {
        let mut hash = *InfoHash::of(format!("{what}{number}").as_bytes()).as_bytes();
        hash[0] = !asker.id().as_bytes()[0];
        asker.look_up(InfoHash::new(hash));
    }
}

/// What the log says.
fn logged(observatory: &Observatory) -> String {
    let files = fs::read_dir(&observatory.folder).unwrap();
    let files = files.map(|it| it.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|it| it == "log"));
    logs.map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect()
}

/// The number in front of `word` in the last line that has one there.
fn number_before(said: &str, word: &str) -> u64 {
    let in_line = |line: &str| -> Option<u64> {
        let (before, _) = line.rsplit_once(word)?;
        let digits = before.trim_end().rsplit(|c: char| !c.is_ascii_digit());
        digits.into_iter().next()?.parse().ok()
    };
    let number = said.lines().rev().find_map(in_line);
    number.unwrap_or_else(|| panic!("no number before '{word}': {said}"))
}

#[test]
fn a_full_disk_delays_records_but_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(folder.path()) else {
        return;
    };
    let mut more = ALONE.to_vec();
    more.extend(["--set", "statistic_interval=1"]);
    let mut observatory = Observatory::start(folder.path(), 61, &more);
    let asker = Asker::new(62, observatory.address);
    look_up(&asker, "before", 50);
    disk.fill();
    look_up(&asker, "while it is full", 50);
    // The log is on that disk, too: what is said of it comes to the screen.
    wait_until("it notices", LIMIT, || {
        let said = observatory.said();
        said.contains("refusals") && number_before(&said, "refusals") > 0
    });
    disk.empty();
    look_up(&asker, "after", 50);
    let stored = "SELECT CAST(sum(events) AS REAL) FROM event";
    wait_until("the counts are stored", LIMIT, || {
        observatory.number(stored) >= Some(149.0)
    });
    let records = observatory.end();
    // A query that was not answered in time is sent again.
    assert!((150..160).contains(&records.len()), "{}", records.len());
    assert_eq!(number_before(&observatory.said(), "lost, "), 0);
    drop(observatory);
    drop(disk);
}

/// Look-ups as lines, one each `step` milliseconds.
fn write_traffic(path: &Path, records: u64, step: u64) {
    let mut file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    for number in 0..records {
        let hash = InfoHash::of(&number.to_be_bytes()).to_string();
        let at = 1_700_000_000_000 + number * step;
        writeln!(
            file,
            "{{\"type\":\"get_peers\",\"v\":4,\"infohash\":\"{hash}\",\"our_id\":\"{hash}\",\
             \"their_id\":\"{hash}\",\"their_ip\":\"192.0.2.1\",\"timestamp\":{at}}}"
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// Replays `file` into `observatory`, with further settings `set`.
fn replay(folder: &Path, file: &Path, set: &[&str]) -> Output {
    let set = set.iter().flat_map(|it| ["--set", it]);
    let mut arguments = vec!["observe", "--folder", "observatory"];
    arguments.extend(["--set", "storage.geolocation_database="]);
    arguments.extend(set);
    arguments.extend(["--replay", file.to_str().unwrap()]);
    btda(folder, &arguments)
}

#[test]
fn what_a_full_disk_does_not_take_is_counted_to_the_record() {
    const RECORDS: u64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(folder.path()) else {
        return;
    };
    let file = folder.path().join("traffic");
    write_traffic(&file, RECORDS, 10);
    // So that all of it belongs to one slice.
    let replayed = replay(folder.path(), &file, &["observe.slice_seconds=86400"]);
    let said = String::from_utf8_lossy(&replayed.stderr);
    assert_eq!(replayed.status.code(), Some(6), "{said}");
    let lost = number_before(&said, "queries or records were lost");
    let written = number_before(&said, "records in ");
    assert!(lost > 0 && written > 0, "{said}");
    assert_eq!(written + lost, RECORDS, "{said}");
    let whole = lines_below(&folder.path().join("observatory/records"));
    assert_eq!(whole, written, "what is written is whole lines");
    drop(disk);
}

/// Lines of all slices, whole or not.
fn lines_below(records: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(records).into_iter();
    let files = entries.map(Result::unwrap).filter(|it| {
        let name = it.file_name().to_str().unwrap();
        name.starts_with("boonlog")
    });
    let lines = files.map(|file| {
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        u64::try_from(text.lines().count()).unwrap()
    });
    lines.sum()
}

#[test]
fn a_flood_is_survived_and_what_was_not_read_is_counted() {
    const FLOOD: u64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let more = [
        "--set",
        // Nobody is there.
        "dht.bootstrap=127.0.9.70:9",
        "--set",
        "observe.survey_seconds=0",
    ];
    let mut observatory = Observatory::start(folder.path(), 71, &more);
    let long = vec![b'l'; 60_000];
    let hostile: [&[u8]; 6] = [
        b"",
        &long,
        &[b'd'; 4096],
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t99999999999:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:shorte1:q9:get_peers1:t1:a1:y1:qe",
    ];
    let mut sent = 0;
    let senders: Vec<UdpSocket> = (0..8)
        .map(|host| UdpSocket::bind((Ipv4Addr::new(127, 0, 9, 72 + host), 0)).unwrap())
        .collect();
    for number in 0..FLOOD {
        let socket = &senders[usize::try_from(number % 8).unwrap()];
        if number % 1000 == 0 {
            let packet = hostile[usize::try_from(number / 1000 % 6).unwrap()];
            // More than an interface takes at one time is refused.
            let _ = socket.send_to(packet, observatory.address);
            continue;
        }
        let mut packet = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:".to_vec();
        packet.extend(InfoHash::of(&number.to_be_bytes()).as_bytes());
        packet.extend(b"e1:q9:get_peers1:t2:aa1:y1:qe");
        socket.send_to(&packet, observatory.address).unwrap();
        sent += 1;
    }
    // It answers as before.
    let asker = Asker::new(80, observatory.address);
    look_up(&asker, "behind the flood", 20);
    observatory.process.interrupt();
    let status = observatory.process.wait(LIMIT).expect("it ends");
    let said = observatory.said();
    let count = |word| number_before(&said, word);
    println!("{sent} sent; {said}");
    let (queries, lost) = (count("queries,"), count("lost, "));
    assert_eq!(status.code(), Some(if lost > 0 { 6 } else { 0 }), "{said}");
    let kept = count("records (") + count("skipped,");
    assert_eq!(kept, queries, "a record, or skipped: {said}");
    // What the system threw away may also be of those without sense.
    let all = sent + 20;
    assert!(queries + lost >= all, "{sent} sent: {said}");
    assert!(queries <= all + 100, "{sent} sent: {said}");
    let whole = records(&observatory.folder.join("records"));
    let heard = whole.iter().filter(|it| matches!(it, Record::Heard(_)));
    assert_eq!(u64::try_from(heard.count()).unwrap(), count("records ("));
    assert!(!logged(&observatory).contains("127.0.9."));
}

#[test]
fn the_oldest_go_when_there_is_too_much() {
    const RECORDS: u64 = 40_000;
    // What is there is looked at every ten minutes.
    const STEP: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("traffic");
    write_traffic(&file, RECORDS, STEP);
    let replayed = replay(
        folder.path(),
        &file,
        &["observe.disk_max_bytes=4194304", "observe.slice_seconds=60"],
    );
    let said = String::from_utf8_lossy(&replayed.stderr);
    assert!(replayed.status.success(), "{said}");
    assert_eq!(number_before(&said, "records in "), RECORDS);
    let left = records(&folder.path().join("observatory/records"));
    let left: Vec<i64> = left.iter().map(|it| it.at().millis()).collect();
    let newest = 1_700_000_000_000 + i64::try_from((RECORDS - 1) * STEP).unwrap();
    assert_eq!(left.last(), Some(&newest), "the newest are there");
    assert!(left.len() < usize::try_from(RECORDS).unwrap());
    assert!(left.is_sorted() && left.windows(2).all(|it| it[1] - it[0] == 40));
}
