//! The real program against real programs on loopback.
//!
//! opentracker (HTTP and UDP), a libtorrent seeder, and transmission, aria2
//! and libtorrent as leechers, all Debian packages.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::swarm::Swarm;

/// All leechers have everything by then; at their limit it takes a minute.
const DOWNLOADS_LIMIT: Duration = Duration::from_secs(180);

/// Time between two samples of the clients' own interfaces.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// For developers: whether the swarm itself works on this machine.
#[test]
#[ignore = "takes a minute and tests the clients, not btda"]
fn the_swarm_finishes_by_itself() {
    let began = Instant::now();
    let mut swarm = Swarm::start();
    println!("tracker and seeder after {:?}", began.elapsed());
    swarm.start_leechers();
    println!("leechers after {:?}", began.elapsed());
    sample_until("all downloads finish", &mut swarm, Swarm::is_finished);
    println!("done after {:?}\n{}", began.elapsed(), swarm.report());
    for torrent in &swarm.torrents {
        println!(
            "{}: {:?}",
            torrent.name,
            swarm.tracker.scrape(torrent.hash())
        );
    }
}

/// Samples the clients twice a second until `done`.
fn sample_until(what: &str, swarm: &mut Swarm, mut done: impl FnMut(&Swarm) -> bool) {
    let began = Instant::now();
    let mut next = began;
    loop {
        swarm.sample();
        if done(swarm) {
            return;
        }
        assert!(
            began.elapsed() < DOWNLOADS_LIMIT,
            "not within {DOWNLOADS_LIMIT:?}: {what}\n{}",
            swarm.report()
        );
        next += SAMPLE_INTERVAL;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
