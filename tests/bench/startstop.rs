//! The real program: from its start to the first visit, and from Ctrl+C to
//! its end while visits are open and callers are there.

use std::time::Duration;

use super::Scale;
use super::load::{Callers, Crowd, Manner};
use super::peers::{Kind, Peers, listen};
use super::run::{Plan, Run};
use super::table::{Row, Spread};
use super::world::wait_until;

const LONG: Duration = Duration::from_secs(60);

pub(crate) fn measure(scale: Scale) {
    for (load, torrents) in [("1×", 25), ("4×", 100), ("16×", 400)] {
        let torrents = scale.pick(torrents, torrents / 10);
        let times = (0..scale.pick(5, 1)).map(|_| start(torrents));
        let times = Spread::of(times);
        let row = Row::new(
            "start to first visit",
            format!("{load}: {torrents} torrents"),
        );
        let row = row.figure(times.seconds());
        // The goal is for a hundred.
        let row = if load == "4×" {
            row.goal("< 1 s", times.median < 1.0)
        } else {
            row
        };
        row.tell();
    }
    for (load, visits, calls) in [("1×", 64, 188), ("4×", 256, 750), ("16×", 1_024, 3_000)] {
        let (visits, calls) = scale.pick((visits, calls), (visits / 8, calls / 8));
        let times = (0..scale.pick(3, 1)).map(|_| stop(visits, calls));
        let times = Spread::of(times);
        let load = format!("{load}: {visits} visits, {calls} callers");
        Row::new("stop", load)
            .figure(times.seconds())
            .goal("< 1 s", times.median < 1.0)
            .tell();
    }
}

fn start(torrents: usize) -> f64 {
    let peer = listen();
    let run = Run::start(&Plan {
        torrents,
        peers: 1,
        port: peer.local_addr().expect("bound").port(),
        jobs: 1_024,
    });
    let (_visit, _) = peer.accept().expect("a visit");
    let time = run.started.elapsed();
    run.interrupt();
    time.as_secs_f64()
}

fn stop(visits: usize, calls: usize) -> f64 {
    let mut peers = Peers::start(Kind::Quiet, visits * 2);
    let run = Run::start(&Plan {
        torrents: 1,
        peers: visits,
        port: peers.port,
        jobs: visits,
    });
    let mut callers = Callers::start(&Crowd {
        manner: Manner::Live,
        target: run.address,
        count: calls,
        rate: 4_000.0,
        first: 1,
    });
    assert_eq!(callers.seen().greeted, calls, "all callers are served");
    let open = wait_until(LONG, || peers.accepted() >= visits);
    assert!(open, "all visits are open");
    run.interrupt().as_secs_f64()
}
