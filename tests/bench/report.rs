//! `btda report`: its time on the database of 2015 against that of the
//! `sqlite3` program for the same aggregates, and its memory by the size of
//! the database.
//!
//! The data of 2015 are looked for as in `tests/common/thesis.rs`; without
//! them a made database of as many peers stands for them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Scale;
use super::made;
use super::table::{Row, Spread, paired, short};

/// Peers of the published database.
const PEERS: u64 = 205_339;
/// Its name, without the ending of the packed file.
const DATABASE: &str = "2015-08-30_20-41-36_faui1-246.sqlite";
/// Between two looks at the memory of the report.
const LOOK: Duration = Duration::from_millis(2);

/// Time on one database, both ways in turn.
pub(crate) fn time(scale: Scale) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let peers = scale.pick(PEERS, PEERS / 100);
    let (database, name) = match of_2015(folder.path()).filter(|_| !scale.short) {
        Some(database) => (database, format!("2015: {PEERS} peers")),
        None => (
            made_of(folder.path(), peers),
            format!("made: {peers} peers"),
        ),
    };
    let rounds = (0..scale.pick(7, 1)).map(|_| {
        let ours = timed(reporting(&database)).0;
        (ours, timed(aggregating(&database)).0)
    });
    let (figure, yardstick, ratio) = paired(&rounds.collect::<Vec<_>>());
    Row::new("report as JSON", name)
        .figure(figure.seconds())
        .yardstick(format!("sqlite3, same aggregates {}", yardstick.seconds()))
        .ratio(&ratio)
        .goal("< 5 s", figure.median < 5.0)
        .tell();
}

/// Peak memory on made databases, each with as many visits as peers.
pub(crate) fn memory(scale: Scale) {
    let mut first = None;
    for (load, full) in [("1×", 1_000_000), ("10×", 10_000_000)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let peers = scale.pick(full, full / 100);
        let database = made_of(folder.path(), peers);
        let size = fs::metadata(&database).expect("just made").len();
        let (seconds, peak) = timed(reporting(&database));
        let before = *first.get_or_insert(peak);
        let load = format!("{load}: {peers} peers, {} MB", size / 1_000_000);
        Row::new("RSS of btda report", load)
            .figure(format!("{} MB", short(peak / 1e6)))
            .yardstick(format!("in {}", Spread::of([seconds]).seconds()))
            .ratio(&Spread::of([peak / before]))
            .goal("≤ 1.2 times the first", peak <= before * 1.2)
            .tell();
    }
}

/// The published database where it is, with the rows that it had lost.
fn of_2015(folder: &Path) -> Option<PathBuf> {
    let named = std::env::var_os("BTDA_THESIS_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/thesis-2015");
    let data = named.unwrap_or_else(beside);
    let packed = data.join(format!("{DATABASE}.xz"));
    if !packed.is_file() {
        return None;
    }
    let database = folder.join(DATABASE);
    let mut unpacking = Command::new("xz");
    unpacking.args(["--decompress", "--stdout"]).arg(packed);
    let to = File::create(&database).expect("own folder");
    let done = unpacking.stdout(to).status();
    assert!(done.expect("xz runs").success(), "the database unpacks");
    Some(database)
}

fn made_of(folder: &Path, peers: u64) -> PathBuf {
    let database = folder.join("made.sqlite");
    made::write(&database, peers).expect("there is room for the database");
    database
}

fn reporting(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_btda"));
    command.arg("report").arg(database).arg("--json");
    command
}

fn aggregating(database: &Path) -> Command {
    let mut command = Command::new("sqlite3");
    command.arg("-readonly").arg(database).arg(AGGREGATES);
    command
}

/// Runs it; its seconds, and the most resident memory in bytes that was seen.
fn timed(mut command: Command) -> (f64, f64) {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    let ended = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        peak = highest(&text).unwrap_or(0.0).max(peak);
        if let Some(ended) = child.try_wait().expect("own child") {
            break ended;
        }
        std::thread::sleep(LOOK);
    };
    assert!(ended.success(), "{command:?}: {ended}");
    (begun.elapsed().as_secs_f64(), peak)
}

/// Peak resident bytes in `/proc/<id>/status`.
fn highest(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

/// What the items of the report count, in SQL, without their figures.
const AGGREGATES: &str = "
SELECT source, count(*), sum(received_peers), sum(duplicate_peers) FROM request GROUP BY source;
SELECT torrent, source, count(*), sum(received_peers), sum(duplicate_peers) FROM request GROUP BY 1, 2;
SELECT timestamp / 3600, source, sum(received_peers), sum(duplicate_peers) FROM request GROUP BY 1, 2;
SELECT source, received_peers, count(*) FROM request GROUP BY 1, 2;
SELECT torrent, max(completed) - min(completed) FROM request GROUP BY 1;
SELECT torrent, timestamp / 3600, min(completed) FROM request WHERE completed NOT NULL GROUP BY 1, 2;
SELECT torrent, sum(max(0, step)) FROM (
  SELECT torrent, completed - lag(completed) OVER (PARTITION BY torrent ORDER BY timestamp) AS step
  FROM request WHERE completed NOT NULL) GROUP BY 1;
SELECT torrent, count(*),
  sum(first_pieces < ceil(0.98 * pieces_count) AND last_pieces >= ceil(0.98 * pieces_count)),
  sum(first_pieces < ceil(0.75 * pieces_count) AND last_pieces >= ceil(0.75 * pieces_count)),
  sum(first_pieces < ceil(0.50 * pieces_count) AND last_pieces >= ceil(0.50 * pieces_count)),
  sum(first_pieces < ceil(0.25 * pieces_count) AND last_pieces >= ceil(0.25 * pieces_count)),
  sum(first_pieces < ceil(0.02 * pieces_count) AND last_pieces >= ceil(0.02 * pieces_count))
FROM peer JOIN torrent ON torrent.id = torrent GROUP BY 1;
SELECT torrent, first_seen / 3600, count(*) FROM peer JOIN torrent ON torrent.id = torrent
WHERE first_pieces < complete_threshold AND last_pieces >= complete_threshold GROUP BY 1, 2;
SELECT torrent, source = 'incoming', count(*), sum(visits = 1), sum(visits = 2),
  sum(last_pieces >= complete_threshold)
FROM peer JOIN torrent ON torrent.id = torrent WHERE first_pieces < complete_threshold GROUP BY 1, 2;
SELECT source, visits, count(*) FROM peer GROUP BY 1, 2;
SELECT source, count(*), sum(visits > 1) FROM peer GROUP BY 1;
SELECT country, count(*) FROM peer GROUP BY 1;
SELECT substr(client, 1, 3), count(*), sum(max(first_pieces, last_pieces) >= pieces_count)
FROM peer JOIN torrent ON torrent.id = torrent GROUP BY 1;
SELECT country, quarter, count(*), min(speed), max(speed) FROM (
  SELECT country, speed, ntile(4) OVER (PARTITION BY country ORDER BY speed) AS quarter FROM (
    SELECT country, max_speed * piece_size AS speed FROM peer JOIN torrent ON torrent.id = torrent
    WHERE max_speed > 0)) GROUP BY 1, 2;
SELECT quarter, count(*), min(speed), max(speed) FROM (
  SELECT speed, ntile(4) OVER (ORDER BY speed) AS quarter FROM (
    SELECT max_speed * piece_size AS speed FROM peer JOIN torrent ON torrent.id = torrent
    WHERE max_speed > 0)) GROUP BY 1;
SELECT country, quarter, count(*), min(speed), max(speed) FROM (
  SELECT country, speed, ntile(4) OVER (PARTITION BY country ORDER BY speed) AS quarter FROM (
    SELECT country, max_speed * piece_size AS speed FROM peer JOIN torrent ON torrent.id = torrent
    WHERE max_speed > 0 AND source <> 'incoming')) GROUP BY 1, 2;
SELECT quarter, count(*), min(speed), max(speed) FROM (
  SELECT speed, ntile(4) OVER (ORDER BY speed) AS quarter FROM (
    SELECT max_speed * piece_size AS speed FROM peer JOIN torrent ON torrent.id = torrent
    WHERE max_speed > 0 AND source <> 'incoming')) GROUP BY 1;
SELECT max(evaluator_threads), avg(evaluator_threads), max(memory_mb), max(load_average),
  max(thread_workload), avg(thread_workload), max(peer_queue), max(visited_queue) FROM statistic;";
