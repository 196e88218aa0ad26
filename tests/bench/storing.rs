//! Rows stored per second, from the record to the commit.
//!
//! Yardstick: the same rows in the same batches with the same schema and the
//! same settings of SQLite, by bare prepared statements that take each value
//! from the row as it stands, alone on the machine.

use std::time::{Duration, Instant};

use btda::model::record::{Failure, MessageCounts, Record, Told, Visit};
use btda::model::{
    Direction, Encryption, Event, Evidence, PieceCount, Reason, Source, Timestamp, Transport,
    VisitEnd,
};
use btda::storage::geo::Nowhere;
use btda::storage::ledger::Ledger;
use btda::storage::row::{Row as Stored, VisitRow};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, TransactionBehavior, params};

use super::peers::PIECES;
use super::scheduler::key;
use super::table::{Row, paired, short};
use super::world::{World, settings, torrent, torrent_id, wait_until};
use super::{Scale, cpu};

const SCHEMA: &str = include_str!("../../src/storage/schema/1.sql");
const SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;";

/// Longest wait for the writer.
const LONG: Duration = Duration::from_secs(120);

pub(crate) fn measure(scale: Scale) {
    for (factor, load) in [(1, "1×"), (4, "4×"), (16, "16×")] {
        let count = factor * scale.pick(12_500, 1_000);
        let rounds: Vec<(Rates, Rates)> = (0..scale.pick(5, 1))
            .map(|_| (stored(count), bare(count)))
            .collect();
        let load = format!("{load}: {count} records");
        let of = |rate: fn(&Rates) -> f64| {
            let pairs = rounds.iter().map(|(ours, bare)| (rate(ours), rate(bare)));
            paired(&pairs.collect::<Vec<_>>())
        };
        let (figure, yardstick, ratio) = of(|rates| rates.wall);
        Row::new("rows stored/s, alone", load.as_str())
            .figure(figure.with_unit(1.0, "/s"))
            .yardstick(format!("bare {}/s", short(yardstick.median)))
            .ratio(&ratio)
            .goal("≥ 0.7", ratio.median >= 0.7)
            .tell();
        let (figure, yardstick, ratio) = of(|rates| rates.cpu);
        Row::new("the same by CPU second of the writer", load.as_str())
            .figure(figure.with_unit(1.0, "/s"))
            .yardstick(format!("bare {}/s", short(yardstick.median)))
            .ratio(&ratio)
            .tell();
    }
}

/// Rows stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// In a second.
    pub(crate) wall: f64,
    /// In a second of CPU time of the thread that stores them.
    pub(crate) cpu: f64,
}

impl Rates {
    fn of(rows: f64, since: Instant, used: Duration) -> Self {
        Self {
            wall: rows / since.elapsed().as_secs_f64(),
            cpu: rows / used.as_secs_f64(),
        }
    }
}

/// The record of that number: of four, three are visits to a peer that is
/// seen four times in all, and one is a failure.
pub(crate) fn record(number: usize, count: usize) -> Record {
    let at = Timestamp(1_700_000_000_000 + i64::try_from(number).expect("fits"));
    if number % 4 == 3 {
        return Record::Failure(Failure {
            at,
            event: Event::FirstContact,
            reason: Reason::TimedOut,
            takes_back: None,
            messages: None,
            step: None,
        });
    }
    let peers = (count / 4).max(1);
    let mut peer = key(number % peers);
    peer.torrent = torrent_id();
    let turn = u32::try_from(number / peers).expect("small");
    let pieces = PieceCount((turn * 100).min(PIECES - 1));
    Record::Visit(Box::new(Visit {
        peer,
        source: Source::Tracker,
        origin: None,
        direction: Direction::Outgoing,
        transport: Transport::Tcp,
        encryption: Encryption::Plain,
        at,
        duration: Duration::from_secs(6),
        pieces,
        messages: MessageCounts {
            total: 1,
            bitfield: 1,
            ..MessageCounts::default()
        },
        below: Some(Told { at, pieces }),
        reached: None,
        longest_wait: Some(Duration::from_millis(20)),
        peer_id: None,
        client: Some("libtorrent 2.0".to_owned()),
        ended: VisitEnd::Quiet,
        takes_back: None,
        before: Evidence::Listed,
        extension: None,
    }))
}

/// Rows of the writer, fed as fast as it takes.
fn stored(count: usize) -> Rates {
    let whole = whole_batches(count) as u64;
    let world = World::new(PIECES, settings());
    let store = world.store();
    let before = store.progress.rows();
    let start = Instant::now();
    for number in 0..count {
        world.engine.record(record(number, count));
    }
    let done = wait_until(LONG, || store.progress.rows() - before >= whole);
    assert!(done, "the writer goes on");
    let used = cpu::of_thread("writer");
    let rates = Rates::of((store.progress.rows() - before) as f64, start, used);
    drop(world);
    store.finish();
    rates
}

/// The rows of so many records.
fn rows(count: usize) -> Vec<Stored> {
    let torrents = vec![std::sync::Arc::new(torrent(PIECES))];
    let mut ledger = Ledger::new(torrents, Box::new(Nowhere));
    let mut rows = Vec::new();
    for number in 0..count {
        ledger.take(record(number, count), 0, &mut rows);
    }
    rows
}

/// Rows of whole batches: the last ones wait for the batch interval.
fn whole_batches(count: usize) -> usize {
    let batch = settings().storage.batch_rows;
    rows(count).len().saturating_sub(1) / batch * batch
}

/// Rows of the yardstick.
pub(crate) fn bare(count: usize) -> Rates {
    let rows = rows(count);
    let folder = tempfile::tempdir().expect("temporary folder can be made");
    let mut connection = Connection::open(folder.path().join("bare.sqlite")).expect("opens");
    connection.execute_batch(SETTINGS).expect("settings");
    connection.execute_batch(SCHEMA).expect("schema");
    let (start, used) = (Instant::now(), cpu::of_this_thread());
    for batch in rows.chunks(settings().storage.batch_rows) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .expect("begins");
        for row in batch {
            insert(&transaction, row).expect("rows are valid");
        }
        transaction.commit().expect("commits");
    }
    let used = cpu::of_this_thread().saturating_sub(used);
    Rates::of(rows.len() as f64, start, used)
}

fn insert(connection: &Connection, row: &Stored) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(row.sql())?;
    match row {
        Stored::NewPeer(row) => statement.execute(params![
            row.id,
            row.client,
            row.continent,
            row.country,
            row.latitude,
            row.longitude,
            row.first_pieces,
            None::<u32>,
            row.first_seen,
            None::<i64>,
            None::<f64>,
            1,
            row.source.as_str(),
            row.torrent.number(),
        ]),
        Stored::PeerUpdate(row) => statement.execute(params![
            row.last_pieces,
            row.last_seen,
            row.max_speed,
            row.visits,
            row.id,
            row.visits,
        ]),
        Stored::Visit(row) => insert_visit(&mut statement, row),
        Stored::PeerError(row) => statement.execute(params![
            row.event,
            row.reason,
            i64::try_from(row.count).unwrap_or(i64::MAX)
        ]),
        other => other.with_values(|values| {
            let values = values.iter().copied().map(ToSqlOutput::Borrowed);
            statement.execute(rusqlite::params_from_iter(values))
        }),
    }
}

fn insert_visit(
    statement: &mut rusqlite::CachedStatement<'_>,
    row: &VisitRow,
) -> rusqlite::Result<usize> {
    let messages = &row.messages;
    statement.execute(params![
        row.id,
        row.peer,
        row.time_ms,
        row.pieces,
        messages.total,
        messages.bitfield,
        messages.have,
        messages.have_all,
        messages.have_none,
        messages.keep_alive,
        messages.state,
        messages.extended,
        messages.port,
        messages.transfer,
        messages.piece,
        messages.unknown,
        row.longest_wait_ms,
        row.duration_ms,
        row.direction,
        row.transport,
        row.encryption,
        row.ended,
    ])
}
