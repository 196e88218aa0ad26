//! The observatory under the traffic of days: a replay of records at a pace,
//! whose memory must not grow and of which no record may be lost.
//!
//! `cargo test --release --test observe_soak -- --ignored --nocapture` for
//! three minutes; `SOAK_SECONDS=3600 SOAK_SPEED=24 SOAK_RATE=81` in front of
//! it for the 24 hours of 2018 in one, `SOAK_RATE=810` for ten times as much.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

mod common;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use btda::dht::node::random::Random;
use btda::model::InfoHash;
use common::process::{Process, isolated, now_ms};
use common::rise::rise_and_mean;
use rusqlite::{Connection, OpenFlags};

/// Samples of a soak, whatever its length.
const SAMPLES: u32 = 90;

/// Time between two readings; a sample is the mean of those since the one
/// before.
const READING: Duration = Duration::from_millis(500);

/// How much the least-squares line through the second half may rise, in KiB:
/// a byte kept of each record would be 3,400 of them in an hour.
const RISE_MAX: f64 = 2_048.0;

/// Of so many records one is what the resolver got: 40,000 a day, as in 2018.
const RESOLVED_EACH: u64 = 175;

/// Of so many lines one is none.
const BROKEN_EACH: u64 = 10_000;

/// Torrents that half of the queries are for.
const POPULAR: u64 = 20_000;

/// Torrents that the other half is for.
const TORRENTS: u64 = 5_000_000;

/// What to try.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Records in a second of their own time.
    rate: u64,
    /// How much faster than that time they come.
    speed: u64,
    /// Real seconds.
    seconds: u64,
}

impl Load {
    fn from_environment() -> Self {
        fn number<T: FromStr>(name: &str, usual: T) -> T {
            let text = std::env::var(name).ok();
            text.map_or(usual, |text| {
                text.parse()
                    .unwrap_or_else(|_| panic!("{name} is a number"))
            })
        }
        Self {
            rate: number("SOAK_RATE", 81),
            speed: number("SOAK_SPEED", 24),
            seconds: number("SOAK_SECONDS", 180),
        }
    }

    const fn records(self) -> u64 {
        self.rate * self.speed * self.seconds
    }
}

/// What went into the pipe.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sent {
    records: u64,
    resolved: u64,
    broken: u64,
}

/// Writes records as they were heard at the rate of `load`, in the time of
/// the day that ends now; as fast as somebody reads them.
fn send(load: Load, pipe: &Path) -> Sent {
    let mut out =
        BufWriter::with_capacity(64 * 1024, File::options().write(true).open(pipe).unwrap());
    let length = load.speed * load.seconds * 1000;
    let begin = u64::try_from(now_ms()).unwrap() - length;
    let mut random = Random::from_seed([9; 32]);
    let mut sent = Sent::default();
    let mut line = String::new();
    for number in 0..load.records() {
        let at = begin + number * 1000 / load.rate;
        line.clear();
        if number % RESOLVED_EACH == 0 {
            resolved(&mut line, number, at);
            sent.resolved += 1;
        } else {
            heard(&mut line, number, at, &mut random);
        }
        out.write_all(line.as_bytes()).unwrap();
        sent.records += 1;
        if number % BROKEN_EACH == 0 {
            let half = line.get(..line.len() / 2).unwrap();
            writeln!(out, "{half}").unwrap();
            sent.broken += 1;
        }
    }
    out.flush().unwrap();
    sent
}

/// Somebody looks for a torrent, or announces one.
fn heard(line: &mut String, number: u64, at: u64, random: &mut Random) {
    let torrent = random.below(if number.is_multiple_of(2) {
        usize::try_from(POPULAR).unwrap()
    } else {
        usize::try_from(TORRENTS).unwrap()
    });
    let [a, b, c, d]: [u8; 4] = random.bytes();
    let announce = if number.is_multiple_of(5) {
        (r#""announce""#, r#""is_seed":true,"#)
    } else {
        (r#""get_peers""#, "")
    };
    writeln!(
        line,
        "{{\"type\":{},\"v\":4,\"infohash\":\"{}\",\"our_id\":\"{}\",\"their_id\":\"{}\",\
         \"their_ip\":\"{a}.{b}.{c}.{d}\",\"version\":\"LT\",\"version_hex\":\"4C540102\",\
         {}\"timestamp\":{at},\"location\":{}}}",
        announce.0,
        hash(torrent),
        hash(0),
        random.id().to_string().to_uppercase(),
        announce.1,
        place(u64::from(a) * 16 + u64::from(b) % 16),
    )
    .unwrap();
}

/// Metadata came.
fn resolved(line: &mut String, number: u64, at: u64) {
    let source = number % 4096;
    writeln!(
        line,
        "{{\"type\":\"resolve\",\"v\":4,\"infohash\":\"{}\",\"name\":\"A.Thing.{number}.Word{}.mkv\",\
         \"our_id\":\"{}\",\"timestamp\":{at},\"size\":{},\"files\":3,\"num_peers\":1,\
         \"peers\":[{{\"ip\":\"192.0.2.1\",\"node_id\":\"{}\",\"last_send_time\":0,\"last_seen\":{at},\
         \"location\":{}}}]}}",
        hash(usize::try_from(number).unwrap()),
        number % 1000,
        hash(0),
        number * 1_000_003,
        hash(1),
        place(source),
    )
    .unwrap();
}

fn hash(number: usize) -> String {
    InfoHash::of(&number.to_be_bytes())
        .to_string()
        .to_uppercase()
}

/// One of 4,096 cities in 64 countries.
fn place(number: u64) -> String {
    let letter = |at: u64| char::from(b'A' + u8::try_from(at % 8).unwrap());
    let country = number / 64;
    format!(
        "{{\"country_iso\":\"{}{}\",\"country\":\"Country {country}\",\"subdivision\":\"Part\",\
         \"city\":\"City {number}\",\"latitude\":{}.5,\"longitude\":{}.25,\"accuracy\":20}}",
        letter(country / 8),
        letter(country),
        number / 64,
        number % 64,
    )
}

/// The program reads a pipe that the test writes.
fn start(load: Load, folder: &Path, pipe: &Path) -> Process {
    let made = Command::new("mkfifo").arg(pipe).status().unwrap();
    assert!(made.success(), "a pipe");
    let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
    command
        .current_dir(folder)
        .args(["observe", "--set", "storage.geolocation_database="])
        // Nothing is to be removed: everything is counted in the end.
        .args(["--set", "observe.disk_max_bytes=1099511627776"])
        .args(["--folder", "observatory", "--speed"])
        .arg(load.speed.to_string())
        .arg("--replay")
        .arg(pipe);
    Process::spawn("observe", command, folder)
}

/// Memory in KiB and seconds, until the program ends.
fn watch(process: &mut Process, length: Duration) -> Vec<(f64, f64)> {
    let status = format!("/proc/{}/status", process.id());
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut readings: Vec<f64> = Vec::new();
    while process.ended().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let memory = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|it| it.trim().trim_end_matches(" kB").parse::<f64>().ok());
        readings.extend(memory);
        let seconds = began.elapsed().as_secs_f64();
        let due = length.as_secs_f64() / f64::from(SAMPLES) * (samples.len() + 1) as f64;
        if seconds >= due && !readings.is_empty() {
            samples.push((
                seconds,
                readings.iter().sum::<f64>() / readings.len() as f64,
            ));
            readings.clear();
        }
        thread::sleep(READING);
    }
    samples
}

/// Seconds of a processor that children of this test used so far.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let rest = text.rsplit_once(") ").unwrap().1;
    let ticks = |at: usize| -> f64 { rest.split(' ').nth(at).unwrap().parse().unwrap() };
    // Fields 16 and 17: user and system time of children; 100 ticks a second.
    (ticks(13) + ticks(14)) / 100.0
}

fn write(samples: &[(f64, f64)]) -> PathBuf {
    let mut text = "seconds,memory_kb\n".to_owned();
    for (seconds, memory) in samples {
        writeln!(text, "{seconds:.1},{memory:.1}").unwrap();
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("observe_soak.csv");
    fs::write(&path, text).unwrap();
    path
}

/// Lines in all whole slices; nothing else may be left there.
fn lines_below(records: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(records)
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    let mut lines = 0;
    for file in files.filter(|entry| entry.file_name() != "latest.txt") {
        assert_eq!(file.path().extension(), None, "a slice that is not whole");
        let mut reader = BufReader::new(File::open(file.path()).unwrap());
        loop {
            let length = {
                let bytes = reader.fill_buf().unwrap();
                lines += u64::try_from(bytes.split(|byte| *byte == b'\n').count() - 1).unwrap();
                bytes.len()
            };
            if length == 0 {
                break;
            }
            reader.consume(length);
        }
    }
    lines
}

fn number(file: &Path, sql: &str) -> u64 {
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let number: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
    u64::try_from(number).unwrap()
}

#[test]
#[ignore = "takes three minutes, an hour on request"]
fn days_of_traffic_leave_memory_flat_and_lose_nothing() {
    let load = Load::from_environment();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pipe = folder.path().join("traffic");
    let mut process = start(load, folder.path(), &pipe);
    let writer = {
        let pipe = pipe.clone();
        thread::spawn(move || send(load, &pipe))
    };
    let length = Duration::from_secs(load.seconds);
    let began = Instant::now();
    let samples = watch(&mut process, length);
    let took = began.elapsed().as_secs_f64();
    let status = process.ended().unwrap();
    let said = fs::read_to_string(process.log()).unwrap();
    assert!(status.success(), "{status}: {said}");
    let sent = writer.join().unwrap();
    println!(
        "{load:?}, {took:.0} s, {:.0} s of a processor",
        processor_seconds()
    );
    println!("{sent:?}\n{said}samples in {}", write(&samples).display());

    let observatory = folder.path().join("observatory");
    let store = observatory.join("observatory.sqlite");
    let index = observatory.join("search.sqlite");
    assert_eq!(sent.records, load.records());
    assert_eq!(lines_below(&observatory.join("records")), sent.records);
    assert_eq!(
        number(&store, "SELECT sum(events) FROM event"),
        sent.records
    );
    assert_eq!(
        number(&store, "SELECT count(*) FROM tally"),
        0,
        "nothing is lost"
    );
    assert_eq!(
        number(&index, "SELECT count(*) FROM torrent"),
        sent.resolved
    );
    let broken = format!("{} lines are no records", sent.broken);
    assert!(said.contains(&broken), "{said}");
    let late = took - length.as_secs_f64();
    assert!(late < 60.0, "it kept the pace but for {late:.0} s");

    let half = &samples[samples.len() / 2..];
    let (rise, mean) = rise_and_mean(half);
    let (_, before) = rise_and_mean(&samples[..samples.len() / 2]);
    println!(
        "memory: mean {before:.0} KiB, then {mean:.0} KiB, rise {rise:.0} KiB in the second half"
    );
    assert!(rise < RISE_MAX, "memory grows");
}
