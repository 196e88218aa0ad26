//! The scheduler: put, take and take back, with few and many workers and
//! millions of known peers; and what a known peer costs in memory.
//!
//! Yardstick: one thread with a `BinaryHeap` and a `HashSet` of the same keys
//! and no lock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use btda::analyzer::scheduler::Scheduler;
use btda::clock::SystemClock;
use btda::intake::PeerIntake;
use btda::model::{PeerAddress, PeerKey, Source, TorrentId};

use super::table::{Row, Spread, paired, per, short};
use super::{Scale, cpu};

pub(crate) fn small(scale: Scale) {
    measure(scale, "1×", 312_500);
}

pub(crate) fn middle(scale: Scale) {
    measure(scale, "4×", 1_250_000);
}

pub(crate) fn large(scale: Scale) {
    measure(scale, "16×", 5_000_000);
}

/// The key of a peer: one of a hundred torrents, any address and port.
pub(crate) fn key(number: usize) -> PeerKey {
    let [_, a, b, c] = u32::try_from(number).expect("fits").to_be_bytes();
    let address = PeerAddress::from_compact([60 + a, c, b, 7, 0x1a, c]);
    let torrent = TorrentId::from_index(number % 100).expect("small");
    PeerKey::new(address, torrent)
}

/// A scheduler that waits for nobody.
pub(crate) fn scheduler() -> Arc<Scheduler> {
    let clock = Arc::new(SystemClock::new());
    Arc::new(Scheduler::new(clock, Duration::from_secs(40)))
}

/// Offers peers to `scheduler`; gives seconds per peer.
pub(crate) fn offer(scheduler: &Scheduler, numbers: std::ops::Range<usize>) -> f64 {
    let (start, count) = (Instant::now(), numbers.len());
    for number in numbers {
        let key = key(number);
        scheduler.offer(key.torrent, Source::Tracker, key.address);
    }
    per(start.elapsed(), count)
}

fn measure(scale: Scale, load: &str, full: usize) {
    let known = scale.pick(full, full / 50);
    let scheduler = scheduler();
    let before = cpu::resident("self");
    let put = offer(&scheduler, 0..known);
    let bytes = (cpu::resident("self") - before) / known as f64;
    assert_eq!(scheduler.waiting(), known, "all keys differ");
    let mut bare = Bare::new();
    let bare_put = bare.put(known);
    let load = format!("{load}: {known} known");
    Row::new("scheduler, put", load.as_str())
        .figure(Spread::of([put]).seconds())
        .yardstick(format!("bare {}", Spread::of([bare_put]).seconds()))
        .ratio(&Spread::of([put / bare_put]))
        .goal("stated", true)
        .tell();
    Row::new("memory of a known peer", load.as_str())
        .figure(format!("{} B", short(bytes)))
        .goal("≤ 64 B", bytes <= 64.0)
        .tell();
    for workers in [1_usize, 1_024, 4_096] {
        let workers = scale.pick(workers, workers.div_ceil(16));
        let turns = scale.pick(200_000, 20_000) / workers * workers;
        let rounds: Vec<(f64, f64)> = (0..scale.pick(3, 1))
            .map(|_| (turn(&scheduler, workers, turns), bare.turn(turns)))
            .collect();
        let (figure, yardstick, ratio) = paired(&rounds);
        let load = format!("{load}, {workers} workers");
        Row::new("scheduler, take and take back", load)
            .figure(figure.seconds())
            .yardstick(format!("bare {}", yardstick.seconds()))
            .ratio(&ratio)
            .goal("stated", true)
            .tell();
    }
}

/// `turns` times take and take back in all; seconds per turn, from the first
/// start of a worker to the last end of one.
fn turn(scheduler: &Arc<Scheduler>, workers: usize, turns: usize) -> f64 {
    let gate = Arc::new(Barrier::new(workers));
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let (scheduler, gate) = (Arc::clone(scheduler), Arc::clone(&gate));
            let body = move || {
                gate.wait();
                let start = Instant::now();
                for _ in 0..turns / workers {
                    let ticket = scheduler.take().expect("open");
                    scheduler.put_back(ticket, Instant::now());
                }
                (start, Instant::now())
            };
            let builder = std::thread::Builder::new().stack_size(128 * 1024);
            builder.spawn(body).expect("room for it")
        })
        .collect();
    let times = threads.into_iter().map(|it| it.join().expect("no panic"));
    let (starts, ends): (Vec<Instant>, Vec<Instant>) = times.unzip();
    let (start, end) = (starts.iter().min(), ends.iter().max());
    let took = end
        .zip(start)
        .map(|(end, start)| end.duration_since(*start));
    per(took.expect("there are workers"), turns)
}

/// What one thread would do without a scheduler.
struct Bare {
    start: Instant,
    sequence: u32,
    heap: BinaryHeap<Reverse<(Instant, u32, PeerOrd)>>,
    known: HashSet<PeerKey>,
}

/// Keys have no order, and need none: the sequence differs.
struct PeerOrd(PeerKey);

impl PartialEq for PeerOrd {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PeerOrd {}

impl PartialOrd for PeerOrd {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PeerOrd {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Bare {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            sequence: 0,
            heap: BinaryHeap::new(),
            known: HashSet::new(),
        }
    }

    fn push(&mut self, due: Instant, key: PeerKey) {
        self.sequence += 1;
        self.heap.push(Reverse((due, self.sequence, PeerOrd(key))));
    }

    fn put(&mut self, count: usize) -> f64 {
        let start = Instant::now();
        for number in 0..count {
            let key = key(number);
            if self.known.insert(key) {
                self.push(Instant::now(), key);
            }
        }
        per(start.elapsed(), count)
    }

    fn turn(&mut self, turns: usize) -> f64 {
        let start = Instant::now();
        for _ in 0..turns {
            let Some(Reverse((due, _, key))) = self.heap.pop() else {
                break;
            };
            black_box(due > self.start);
            self.push(Instant::now(), key.0);
        }
        per(start.elapsed(), turns)
    }
}
