//! The observatory: what a record costs on its way from a line to the files,
//! and how long a search takes.
//!
//! Yardsticks: the same lines read by bare `serde_json` and written to a file
//! as they are; the same index asked by a bare statement of SQLite.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use btda::dht::node::id::NodeId;
use btda::dht::node::random::Random;
use btda::model::{InfoHash, Timestamp};
use btda::observe::block::Blocked;
use btda::observe::naming::{Addresses, Naming};
use btda::observe::pipeline::{Files, FilesSetup, Pipeline, PipelineSetup};
use btda::observe::record::{Heard, Kind, Named, Record, parse, write_line};
use btda::observe::slices::Slices;
use btda::storage::geo::{FindPlace, GeoDatabase};
use btda::storage::search::{Document, LIMIT, Query, SearchIndex};
use rusqlite::Connection;

use super::Scale;
use super::mmdb;
use super::table::{Row, Spread, paired, short};

/// Records a second of the monitor of 2018.
const RATE_2018: usize = 81;

/// The places of [`mmdb::file`], by the library and the code of a run.
fn places(folder: &Path) -> GeoDatabase {
    let path = folder.join("places.mmdb");
    std::fs::write(&path, mmdb::file()).expect("written");
    let places = GeoDatabase::open(&path).expect("a database");
    let place = places
        .place(IpAddr::from([198, 51, 100, 1]))
        .expect("a place");
    let wanted = "City 529".to_owned();
    assert_eq!((place.city, place.accuracy), (Some(wanted), Some(20)));
    places
}

/// Lines with plain addresses, at the rate of 2018: of five, one announces.
fn lines(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random::from_seed([7; 32]);
    let line = |number: usize| {
        let [a, b, c, d] = random.bytes();
        let kind = if number.is_multiple_of(5) {
            Kind::Announce
        } else {
            Kind::Lookup
        };
        // Some torrents are asked for often.
        let torrent = random.below(if number.is_multiple_of(2) { 100 } else { count });
        let millis = i64::try_from(number * 1000 / RATE_2018).expect("small");
        let record = Record::Heard(Box::new(Heard {
            kind,
            info_hash: InfoHash::of(&torrent.to_be_bytes()),
            name: None,
            our_id: NodeId::new([1; 20]),
            their_id: Some(Named::Plain(random.id())),
            their_ip: Some(Named::Plain(IpAddr::from([a, b, c, d]))),
            version: Some(b"LT\x01\x02"[..].into()),
            is_seed: false,
            at: Timestamp(1_700_000_000_000 + millis),
            location: None,
        }));
        let mut line = Vec::new();
        write_line(&record, &mut line);
        line
    };
    (0..count).map(line).collect()
}

pub(crate) fn records(scale: Scale) {
    let count = scale.pick(400_000, 2_000);
    let lines = lines(count);
    let rounds: Vec<(f64, f64)> = (0..scale.pick(5, 1))
        .map(|_| (through(&lines), bare(&lines)))
        .collect();
    let (figure, yardstick, ratio) = paired(&rounds);
    let goal = (10 * RATE_2018) as f64;
    Row::new(
        "observatory: records/s on one core",
        format!("{count} lines"),
    )
    .figure(figure.with_unit(1.0, "/s"))
    .yardstick(format!("bare JSON and file {}/s", short(yardstick.median)))
    .ratio(&ratio)
    .goal("≥ 810/s", figure.median >= goal)
    .tell();
}

/// Lines a second through parse, place, pseudonym, counts, line and files.
fn through(lines: &[Vec<u8>]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let random = || Random::from_seed([1; 32]);
    let two_minutes = Duration::from_secs(120);
    let slices = Slices::new(Files::records(folder.path()), two_minutes, random());
    let setup = FilesSetup {
        folder: folder.path().to_owned(),
        keep: Duration::from_secs(30 * 86_400),
        bytes_max: 1 << 34,
    };
    let mut pipeline = Pipeline::new(PipelineSetup {
        blocked: Arc::new(Blocked::parse("secret\n").expect("a list")),
        places: Box::new(places(folder.path())),
        naming: Naming::new(Addresses::Pseudonym, Duration::from_secs(86_400), random()),
        hashes_only: false,
        files: Files::open(setup, slices).expect("files"),
        live: Arc::default(),
    });
    let begun = Instant::now();
    let mut next_tick = Timestamp(0);
    for line in lines {
        let record = parse(line).expect("a record");
        let at = record.at();
        pipeline.record(record);
        if at >= next_tick {
            next_tick = at.plus(Duration::from_secs(1));
            pipeline.tick(at);
        }
    }
    pipeline.finish(pipeline.latest());
    let written = pipeline.files().slice_counts().written;
    assert_eq!(written, lines.len() as u64, "nothing is lost");
    lines.len() as f64 / begun.elapsed().as_secs_f64()
}

fn bare(lines: &[Vec<u8>]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let file = std::fs::File::create(folder.path().join("lines")).expect("a file");
    let begun = Instant::now();
    let mut file = std::io::BufWriter::new(file);
    for line in lines {
        let value: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        serde_json::to_writer(&mut file, &value).expect("written");
        file.write_all(b"\n").expect("written");
    }
    file.flush().expect("written");
    lines.len() as f64 / begun.elapsed().as_secs_f64()
}

/// Words of names: the first are frequent, as those of real names are.
fn word(number: usize) -> String {
    format!("word{number}")
}

fn documents(from: usize, to: usize, random: &mut Random) -> Vec<Document> {
    let document = |number: usize| {
        let mut name = String::new();
        for _ in 0..6 {
            // The square of an even number is often small.
            let place = random.below(1000) * random.below(1000) / 10;
            name.push_str(&word(place));
            name.push('.');
        }
        Document {
            info_hash: Some(InfoHash::of(&number.to_be_bytes())),
            paths: format!("{name}mkv\nsample/{name}nfo\nreadme.txt"),
            name,
            files: 3,
            size: u64::try_from(number).expect("fits") * 1000,
            at: Timestamp(1_700_000_000_000),
            kinds: 2,
            place: None,
        }
    };
    (from..to).map(document).collect()
}

pub(crate) fn search(scale: Scale) {
    let count = scale.pick(1_200_000, 5_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("search.sqlite");
    let mut index = SearchIndex::open(&path).expect("an index");
    let mut random = Random::from_seed([3; 32]);
    let begun = Instant::now();
    for from in (0..count).step_by(10_000) {
        let to = (from + 10_000).min(count);
        index.put(&documents(from, to, &mut random)).expect("put");
    }
    let seconds = begun.elapsed().as_secs_f64();
    Row::new(
        "observatory: torrents indexed/s",
        format!("{count} torrents"),
    )
    .figure(format!("{}/s", short(count as f64 / seconds)))
    .tell();
    let plain = Connection::open(&path).expect("the same file");
    for (what, words) in [
        ("rare word", word(54_321)),
        ("frequent word", word(0)),
        (
            "three words",
            format!("{} {} {}", word(0), word(1), word(2)),
        ),
        ("word of all", "readme".to_owned()),
    ] {
        one_search(scale, (&path, &plain), (what, &words), count);
    }
}

fn one_search(
    scale: Scale,
    (path, plain): (&Path, &Connection),
    (what, words): (&str, &str),
    count: usize,
) {
    let index = SearchIndex::read(path).expect("an index");
    let query = Query {
        words: words.to_owned(),
        limit: LIMIT,
        ..Query::default()
    };
    let terms: Vec<String> = words.split(' ').map(|word| format!("\"{word}\"")).collect();
    let expression = terms.join(" AND ");
    let mut matches = 0;
    let rounds: Vec<(f64, f64)> = (0..scale.pick(9, 1))
        .map(|_| {
            let begun = Instant::now();
            matches = index.search(&query).expect("searched").matches;
            let ours = begun.elapsed().as_secs_f64();
            (ours, bare_search(plain, &expression))
        })
        .collect();
    let (ours, bare, ratio) = paired(&rounds);
    Row::new(
        "observatory: search",
        format!("{count} torrents, {what}: {matches} ranked"),
    )
    .figure(Spread::seconds(&ours))
    .yardstick(format!("bare SQLite, all ranked: {}", bare.seconds()))
    .ratio(&ratio)
    .goal("≤ 0.5 s", ours.median <= 0.5)
    .tell();
}

/// The same question by the statement of the manual: every match is ranked.
fn bare_search(plain: &Connection, expression: &str) -> f64 {
    let begun = Instant::now();
    let sql = "SELECT torrent.info_hash, torrent.name FROM words JOIN torrent ON torrent.id = words.rowid \
               WHERE words MATCH ? ORDER BY words.rank LIMIT 50";
    let mut statement = plain.prepare_cached(sql).expect("prepared");
    let names = statement.query_map([expression], |row| row.get::<_, String>(1));
    let names: Vec<String> = names
        .expect("asked")
        .map(|name| name.expect("text"))
        .collect();
    assert!(names.len() <= LIMIT);
    begun.elapsed().as_secs_f64()
}
