//! Resident memory: per contact thread, idle and busy; per known peer; per
//! row.

use std::time::{Duration, Instant};

use super::peers::{Kind, PIECES, Peers};
use super::run::{Plan, Run};
use super::table::{Row, short};
use super::world::{World, settings, wait_until};
use super::{Scale, cpu, scheduler, storing};

const LONG: Duration = Duration::from_secs(60);

/// What the goal allows, in bytes.
const LIMIT: f64 = 40e6;

/// The real program with its threads, first without and then with peers.
pub(crate) fn threads(scale: Scale) {
    for (load, jobs) in [("1×", 256), ("4×", 1_024), ("16×", 4_096)] {
        let jobs = scale.pick(jobs, jobs / 16);
        for (what, visits) in [("idle", 0), ("busy", jobs)] {
            let bytes = of_run(jobs, visits);
            let each = bytes / jobs as f64 / 1024.0;
            let load = format!("{load}: {jobs} threads, {what}");
            let row = Row::new("RSS of btda", load);
            let text = format!("{} MB ({} KiB a thread)", short(bytes / 1e6), short(each));
            let row = row.figure(text);
            // The goal is for 1,024.
            let row = if load_is_goal(jobs, scale) {
                row.goal("≤ 40 MB", bytes <= LIMIT)
            } else {
                row
            };
            row.tell();
        }
    }
}

fn load_is_goal(jobs: usize, scale: Scale) -> bool {
    jobs == scale.pick(1_024, 64)
}

fn of_run(jobs: usize, visits: usize) -> f64 {
    let mut peers = Peers::start(Kind::Quiet, visits * 2 + 1);
    let run = Run::start(&Plan {
        torrents: 1,
        peers: visits,
        port: peers.port,
        jobs,
    });
    let ready = wait_until(LONG, || {
        cpu::threads(&run.id()) >= jobs as f64 && peers.accepted() >= visits
    });
    assert!(ready, "all threads are there, and all visits open");
    std::thread::sleep(Duration::from_millis(300));
    let bytes = cpu::resident(&run.id());
    run.interrupt();
    bytes
}

/// Growth with the peers that trackers name.
pub(crate) fn known(scale: Scale) {
    let scheduler = scheduler::scheduler();
    let before = cpu::resident("self");
    let mut known = 0;
    for (load, full) in [("1×", 125_000), ("4×", 500_000), ("16×", 2_000_000)] {
        let wanted = scale.pick(full, full / 50);
        scheduler::offer(&scheduler, known..wanted);
        known = wanted;
        let bytes = cpu::resident("self") - before;
        Row::new(
            "RSS growth by known peers",
            format!("{load}: {known} peers"),
        )
        .figure(format!(
            "{} MB ({} B a peer)",
            short(bytes / 1e6),
            short(bytes / known as f64)
        ))
        .goal("stated", true)
        .tell();
    }
}

/// Growth with the rows that the writer stores.
pub(crate) fn rows(scale: Scale) {
    let world = World::new(PIECES, settings());
    let store = world.store();
    let before = cpu::resident("self");
    // Four records make seven rows: more than 200,000 in all.
    let all = scale.pick(133_334, 13_334);
    let mut sent = 0;
    for (load, part) in [("1×", 16), ("4×", 4), ("16×", 1)] {
        let start = Instant::now();
        while sent < all / part {
            world.engine.record(storing::record(sent, all));
            sent += 1;
        }
        let interval = world.engine.settings.storage.batch_interval;
        wait_until(LONG, || {
            world.records.is_empty() && store.progress.waiting() == 0 && start.elapsed() > interval
        });
        let (bytes, rows) = (cpu::resident("self") - before, store.progress.rows());
        Row::new("RSS growth by rows", format!("{load}: {rows} rows"))
            .figure(format!(
                "{} MB ({} B a row)",
                short(bytes / 1e6),
                short(bytes / rows.max(1) as f64)
            ))
            .goal("stated", true)
            .tell();
    }
    drop(world);
    store.finish();
}
