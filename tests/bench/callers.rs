//! Callers: thousands at once that go on telling haves, new ones every
//! second that stay, and others that hang up at once; with the writer at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use btda::analyzer::listener::Listener;
use btda::clock::{Clock, SystemClock};
use btda::net::tcp::ListenSocket;

use super::load::{Callers, Crowd, Manner, Seen};
use super::peers::PIECES;
use super::table::{Row, Spread, short};
use super::world::{Store, World, settings, wait_until};
use super::{Scale, cpu, storing};

const LONG: Duration = Duration::from_secs(30);

/// A listener and its writer.
struct Host {
    world: World,
    store: Store,
    crowd: Crowd,
    thread: std::thread::JoinHandle<()>,
}

impl Host {
    fn start(scale: Scale) -> Self {
        Self::with_pieces(scale, PIECES)
    }

    /// The same for a torrent of so many pieces.
    fn with_pieces(scale: Scale, pieces: u32) -> Self {
        let mut settings = settings();
        settings.visit.quiet_timeout = Duration::from_secs(scale.pick(6, 1));
        settings.listen.callers_max = 15_000;
        settings.listen.per_address_max = 64;
        let world = World::new(pieces, settings);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let address = "127.0.0.1:0".parse().expect("valid");
        let socket = ListenSocket::bind(address, &world.engine.sockets, clock);
        let socket = socket.expect("loopback can be listened on");
        let crowd = Crowd {
            manner: Manner::Live,
            target: socket.local_addr(),
            count: 0,
            rate: 4_000.0,
            first: 1,
        };
        let listener = Listener::new(Arc::clone(&world.engine), vec![socket]);
        let thread = std::thread::spawn(move || listener.run(0));
        Self {
            store: world.store(),
            world,
            crowd,
            thread,
        }
    }

    fn active(&self) -> usize {
        let now = self.world.engine.stats.snapshot(Instant::now());
        usize::try_from(now.callers_active).expect("fits")
    }

    /// Callers that were counted, and those that gave nothing.
    fn done(&self) -> (usize, usize) {
        let now = self.world.engine.stats.snapshot(Instant::now());
        let count = |it: u64| usize::try_from(it).expect("fits");
        (count(now.callers_counted), count(now.callers_failed))
    }

    fn end(self) {
        self.world.stop();
        wait_until(LONG, || self.active() == 0);
        self.thread.join().expect("no panic");
        drop(self.world);
        self.store.finish();
    }
}

/// The longest the visited queue gets, sampled by a thread of its own.
struct Peak {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Peak {
    fn watch(world: &World) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (told, records) = (Arc::clone(&over), world.records.clone());
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !told.load(Ordering::Relaxed) {
                peak = peak.max(records.len());
                std::thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        Self { over, thread }
    }

    fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

pub(crate) fn few(scale: Scale) {
    at_once(scale, "1×", 625);
}

pub(crate) fn more(scale: Scale) {
    at_once(scale, "4×", 2_500);
}

pub(crate) fn many(scale: Scale) {
    at_once(scale, "16×", 10_000);
}

fn at_once(scale: Scale, load: &str, full: usize) {
    let count = scale.pick(full, full / 25);
    let bare: Vec<storing::Rates> = (0..scale.pick(3, 1))
        .map(|_| storing::bare(scale.pick(50_000, 1_000)))
        .collect();
    let host = Host::start(scale);
    let before = cpu::resident("self");
    let crowd = Crowd {
        count,
        ..host.crowd
    };
    let mut callers = Callers::start(&crowd);
    let seen = callers.seen();
    std::thread::sleep(scale.pick(Duration::from_secs(4), Duration::from_millis(100)));
    let open = host.active();
    let memory = (cpu::resident("self") - before) / open.max(1) as f64 / 1024.0;
    let load = format!("{load}: {count} at once");
    lost(&load, count, seen.greeted.min(open));
    waited(&load, &seen);
    Row::new("RSS per caller", load.as_str())
        .figure(format!("{} KiB", short(memory)))
        .goal("≤ 16 KiB", memory <= 16.0)
        .tell();
    flood(scale, &host, &load, &bare);
    drop(callers);
    assert!(wait_until(LONG, || host.active() == 0), "callers leave");
    host.end();
}

/// Callers that got no handshake or were not evaluated.
fn lost(load: &str, called: usize, served: usize) {
    let lost = called.saturating_sub(served);
    Row::new("callers dropped or refused", load)
        .figure(lost.to_string())
        .yardstick(format!("{called} called"))
        .goal("0", lost == 0)
        .tell();
}

fn waited(load: &str, seen: &Seen) {
    let [p50, p99, max] = [seen.p50, seen.p99, seen.max].map(|it| short(it * 1e3));
    Row::new("wait for our handshake, p99", load)
        .figure(format!("{p99} ms (median {p50}, longest {max})"))
        .goal("< 50 ms", seen.p99 < 0.05)
        .tell();
}

/// Rows stored while the callers are there, of a writer that always has more
/// to do.
fn flood(scale: Scale, host: &Host, load: &str, bare: &[storing::Rates]) {
    let over = Arc::new(AtomicBool::new(false));
    let (told, records) = (Arc::clone(&over), host.world.engine.records.clone());
    let feeder = std::thread::spawn(move || {
        let numbers = (0..).take_while(|_| !told.load(Ordering::Relaxed));
        for number in numbers {
            if records
                .send(storing::record(number, scale.pick(400_000, 4_000)))
                .is_err()
            {
                return;
            }
        }
    });
    let rates: Vec<(f64, f64)> = (0..scale.pick(5, 1)).map(|_| rate(scale, host)).collect();
    over.store(true, Ordering::Relaxed);
    feeder.join().expect("no panic");
    let wall = Spread::of(rates.iter().map(|rate| rate.0));
    let of_cpu = Spread::of(rates.iter().map(|rate| rate.1));
    let alone = Spread::of(bare.iter().map(|rates| rates.wall)).median;
    let ratio = wall.scaled(1.0 / alone);
    Row::new("rows stored/s beside the callers", load)
        .figure(wall.with_unit(1.0, "/s"))
        .yardstick(format!("bare, alone {}/s", short(alone)))
        .ratio(&ratio)
        .goal("≥ 0.7", ratio.median >= 0.7)
        .tell();
    let alone = Spread::of(bare.iter().map(|rates| rates.cpu)).median;
    let ratio = of_cpu.scaled(1.0 / alone);
    Row::new("the same by CPU second of the writer", load)
        .figure(of_cpu.with_unit(1.0, "/s"))
        .yardstick(format!("bare, alone {}/s", short(alone)))
        .ratio(&ratio)
        .tell();
}

fn rate(scale: Scale, host: &Host) -> (f64, f64) {
    let rows = || host.store.progress.rows();
    let (start, used, before) = (Instant::now(), cpu::of_thread("writer"), rows());
    std::thread::sleep(Duration::from_millis(scale.pick(1_000, 100)));
    let stored = (rows() - before) as f64;
    let used = cpu::of_thread("writer").saturating_sub(used);
    (
        stored / start.elapsed().as_secs_f64(),
        stored / used.as_secs_f64(),
    )
}

/// Callers of a torrent with millions of pieces, of whom each tells a have now
/// and then: the set of its pieces is what such a caller costs.
pub(crate) fn huge(scale: Scale) {
    let pieces = 3_000_000;
    let host = Host::with_pieces(scale, pieces);
    let before = cpu::resident("self");
    let (mut open, mut first) = (Vec::new(), 1);
    for (load, full) in [("4×", 250), ("16×", 1_000)] {
        let all = scale.pick(full, full / 25);
        let crowd = Crowd {
            manner: Manner::Haves,
            count: all + 1 - first,
            first,
            ..host.crowd
        };
        first = all + 1;
        let mut callers = Callers::start(&crowd);
        callers.seen();
        open.push(callers);
        // Within three seconds each has told its first.
        std::thread::sleep(scale.pick(Duration::from_millis(3_500), Duration::ZERO));
        let bytes = cpu::resident("self") - before;
        let each = bytes / host.active().max(1) as f64;
        let load = format!("{load}: {all} at once, {pieces} pieces");
        Row::new("RSS of callers of a huge torrent", load)
            .figure(format!(
                "{} MB ({} KiB a caller)",
                short(bytes / 1e6),
                short(each / 1024.0)
            ))
            .yardstick(format!("its bits {} KiB", pieces / 8 / 1024))
            .tell();
    }
    drop(open);
    assert!(wait_until(LONG, || host.active() == 0), "callers leave");
    host.end();
}

/// New callers every second.
pub(crate) fn newcomers(scale: Scale) {
    let host = Host::start(scale);
    let mut first = 1;
    for (load, stay, hang_up) in [
        ("1×", 125_u32, 312_u32),
        ("4×", 500, 1_250),
        ("16×", 2_000, 5_000),
    ] {
        for (manner, rate) in [(Manner::Stay, stay), (Manner::HangUp, hang_up)] {
            let seconds = scale.pick(if load == "16×" { 9.0 } else { 5.0 }, 0.2);
            let rate = f64::from(scale.pick(rate, rate / 4));
            let crowd = Crowd {
                manner,
                count: (rate * seconds) as usize,
                rate,
                first,
                ..host.crowd
            };
            first += crowd.count;
            host.serve(load, crowd);
        }
    }
    host.end();
}

impl Host {
    /// Serves a crowd to its end.
    fn serve(&self, load: &str, crowd: Crowd) {
        let before = self.done();
        let memory = cpu::resident("self");
        let start = Instant::now();
        let peak = Peak::watch(&self.world);
        let mut callers = Callers::start(&crowd);
        let seen = callers.seen();
        let took = start.elapsed().as_secs_f64();
        let (open, used) = (self.active(), cpu::resident("self"));
        let all = || {
            let (counted, failed) = self.done();
            (counted - before.0, failed - before.1)
        };
        wait_until(LONG, || {
            let (counted, failed) = all();
            counted + failed >= crowd.count
        });
        let (counted, failed) = all();
        let (done, peak) = (counted + failed, peak.end());
        drop(callers);
        let rate = crowd.count as f64 / took.max(0.001);
        let interval = self.world.engine.settings.storage.batch_interval;
        let worth = rate * interval.as_secs_f64();
        let stay = crowd.manner == Manner::Stay;
        let what = if stay { "stay" } else { "hang up at once" };
        let load = format!("{load}: {}/s that {what}", crowd.rate);
        let served = if stay {
            seen.greeted.min(counted)
        } else {
            seen.connected.min(done)
        };
        lost(&load, crowd.count, served);
        if stay {
            waited(&load, &seen);
            Row::new("RSS per caller", load.as_str())
                .figure(format!(
                    "{} KiB of {open} open",
                    short((used - memory) / open.max(1) as f64 / 1024.0)
                ))
                .tell();
        }
        Row::new("visited queue, peak", load.as_str())
            .figure(peak.to_string())
            .yardstick(format!(
                "records of {} s: {worth:.0}",
                interval.as_secs_f64()
            ))
            .goal("≤ yardstick", peak as f64 <= worth)
            .tell();
    }
}
