//! Tests of `tracker::requester`.

use std::thread;

use super::super::fake::{FakeHttp, WISH, World, hash, scrape_body, settings, timed_out};
use super::super::families::Place;
use super::*;
use crate::clock::Clock;
use crate::model::IpFamily;
use crate::net::http::HttpError;

const URL: &str = "http://one.example/announce";
const SCRAPE: &str = "http://one.example/scrape";
const PEERS: &[u8] = b"d8:intervali60e5:peers24:\
    \x01\x01\x01\x01\0\x09\x01\x01\x01\x01\0\x09\x02\x02\x02\x02\0\x01\x03\x03\x03\x03\0\0e";

fn requester(world: &World, index: u8, urls: &[&str]) -> Requester {
    Requester::new(world.context.clone(), world.trackers(index, urls))
}

fn seconds(requester: &mut Requester) -> u64 {
    requester.step().unwrap().unwrap().as_secs()
}

fn events(http: &FakeHttp) -> Vec<&'static str> {
    let kind = |url: &String| {
        if url.contains("scrape") {
            "scrape"
        } else if url.contains("event=started") {
            "started"
        } else if url.contains("event=stopped") {
            "stopped"
        } else {
            "announce"
        }
    };
    http.take().iter().map(kind).collect()
}

#[test]
fn peers_are_offered_counted_and_scraped() {
    let world = World::new();
    world.http.set(URL, PEERS);
    world.http.set(SCRAPE, scrape_body(&[0]));
    let mut requester = requester(&world, 0, &[URL]);
    assert_eq!(seconds(&mut requester), 300);
    // Ourselves and what cannot be called are not counted.
    assert_eq!(
        world.told(),
        ["scrape Some(10)", "announce 2 1 Some(Some(10))"]
    );
    assert_eq!(events(&world.http), ["started", "scrape"]);
    assert_eq!(seconds(&mut requester), 300, "nothing is due");
    assert_eq!(world.told(), [""; 0]);
    world.clock.advance(WISH);
    requester.step().unwrap();
    assert_eq!(events(&world.http), ["announce", "scrape"]);
    assert_eq!(
        world.told(),
        ["scrape Some(10)", "announce 2 2 Some(Some(10))"]
    );
}

#[test]
fn only_the_first_tracker_fills_the_columns_of_2015() {
    let world = World::new();
    let second = "http://two.example/announce.php?k=v";
    let third = "http://three.example/x";
    world.http.set(URL, b"d5:peers0:e");
    world.http.set(second, b"d5:peers0:e");
    world.http.set(third, b"d5:peers0:e");
    world.http.set(
        "http://two.example/scrape.php?k=v&info_hash=",
        scrape_body(&[0]),
    );
    requester(&world, 0, &[URL, second, third]).step().unwrap();
    assert_eq!(
        world.told(),
        [
            "scrape failed: timed out",
            "announce 0 0 None",
            "scrape Some(10)",
            "announce 0 0 None",
            "announce 0 0 None",
        ]
    );
}

#[test]
fn a_second_family_has_a_rhythm_of_its_own() {
    let (world, other) = World::over(&IpFamily::ALL);
    world.http.set(URL, b"d8:intervali1800e5:peers0:e");
    world.http.set(SCRAPE, scrape_body(&[0]));
    let mut requester = requester(&world, 0, &[URL]);
    assert_eq!(seconds(&mut requester), 300);
    // One failed, which is no failure of the other, and is told apart.
    let announced = ["scrape Some(10)", "announce 0 0 Some(Some(10))"];
    let failed = "announce failed: timed out (IPv6)";
    assert_eq!(world.told(), [announced[0], announced[1], failed]);
    assert_eq!(world.context.health.counts(Place::First), (1, 0));
    assert_eq!(world.context.health.counts(Place::Second), (1, 1));
    other.set(URL, PEERS);
    world.clock.advance(WISH);
    assert_eq!(seconds(&mut requester), 300);
    assert_eq!(world.told(), ["announce 2 1 None"], "the other is not due");
    assert_eq!(events(&other), ["started", "started"], "never a scrape");
    assert_eq!(events(&world.http), ["started", "scrape"]);
    assert_eq!(world.context.health.counts(Place::Second), (1, 0));
    world.clock.advance(WISH);
    requester.step().unwrap();
    assert_eq!(events(&other), ["announce"]);
}

#[test]
fn one_family_is_asked_once() {
    for (family, name) in [(IpFamily::V4, "first"), (IpFamily::V6, "second")] {
        let (world, other) = World::over(&[family]);
        for http in [&world.http, &other] {
            http.set(URL, PEERS);
            http.set(SCRAPE, scrape_body(&[0]));
        }
        let mut requester = requester(&world, 0, &[URL]);
        assert_eq!(seconds(&mut requester), 300);
        let told = world.told();
        assert_eq!(told, ["scrape Some(10)", "announce 2 1 Some(Some(10))"]);
        let asked = [events(&world.http), events(&other)];
        let by_name = ["first", "second"].map(|it| it == name);
        for (asked, is_it) in asked.iter().zip(by_name) {
            assert_eq!(asked.len(), if is_it { 2 } else { 0 }, "{name}");
        }
        assert_eq!(world.context.health.counts(Place::Second), (0, 0));
    }
}

#[test]
fn a_name_that_is_not_found_fails_once() {
    let (world, _other) = World::over(&[]);
    requester(&world, 0, &[URL]).step().unwrap();
    let failed = ["announce", "scrape"].map(|it| format!("{it} failed: Host name not found"));
    assert_eq!(world.told(), failed);
}

#[test]
fn started_until_acknowledged_once() {
    let world = World::new();
    let mut requester = requester(&world, 0, &["http://one.example/x"]);
    world.http.set_status("http://one", 500, "oops");
    requester.step().unwrap();
    world.clock.advance(WISH);
    world.http.set("http://one", "d14:failure reason4:busye");
    requester.step().unwrap();
    world.clock.advance(2 * WISH);
    world
        .http
        .set("http://one", "d8:intervali1e5:peers0:10:tracker id3:a/be");
    requester.step().unwrap();
    world.clock.advance(WISH);
    requester.step().unwrap();
    let asked = world.http.take();
    assert!(asked[..3].iter().all(|url| url.contains("&event=started")));
    assert!(!asked[3].contains("event"));
    assert!(asked[3].ends_with("&trackerid=a%2Fb"));
    let shared = Arc::clone(&requester.shared);
    let mut restarted = Requester::new(world.context.clone(), shared);
    world.clock.advance(WISH);
    restarted.step().unwrap();
    assert!(!world.http.take()[0].contains("event"));
}

#[test]
fn a_new_requester_waits_for_the_interval_of_the_old_one() {
    let world = World::new();
    let other = "http://two.example/announce";
    world.http.set(URL, b"d8:intervali1800e5:peers0:e");
    world
        .http
        .set(other, b"d14:failure reason4:none8:retry in5:nevere");
    let mut first = requester(&world, 0, &[URL, other]);
    assert_eq!(first.shared.next_due(), None, "nobody was asked");
    assert_eq!(seconds(&mut first), 1_800);
    world.http.take();
    let shared = Arc::clone(&first.shared);
    drop(first);
    world.clock.advance(Duration::from_secs(600));
    let due = world.clock.now() + Duration::from_secs(1_200);
    assert_eq!(shared.next_due(), Some(due), "the other one is closed");
    let mut second = Requester::new(world.context.clone(), shared);
    assert_eq!(seconds(&mut second), 1_200);
    assert_eq!(events(&world.http), [""; 0], "BEP 3");
    world.clock.advance(Duration::from_secs(1_200));
    second.step().unwrap();
    assert_eq!(events(&world.http), ["announce", "scrape"]);
}

#[test]
fn statistics_are_bytes() {
    let world = World::new();
    requester(&world, 0, &[URL]).step().unwrap();
    let asked = world.http.take();
    assert!(asked[0].contains("&uploaded=20000&downloaded=50000&left=50000&"));
    assert!(asked[0].contains("&port=6884&"));
}

#[test]
fn intervals_are_honoured_unless_ignored() {
    let body = |interval, min| format!("d8:intervali{interval}e12:min intervali{min}e5:peers0:e");
    for (interval, min, ignored, expected) in [
        (60, 30, false, 300),
        (1800, 60, false, 1800),
        (60, 900, false, 900),
        (1800, 900, true, 300),
        (4_000_000_000_u64, 0, false, 24 * 3600),
    ] {
        let mut settings = settings();
        settings.ignore_interval = ignored;
        let world = World::with(settings, Arc::new(super::super::fake::NoUdp));
        world.http.set(URL, body(interval, min));
        let mut requester = requester(&world, 0, &[URL]);
        assert_eq!(seconds(&mut requester), expected, "{interval} {min}");
    }
}

#[test]
fn each_tracker_has_its_own_rhythm() {
    let world = World::new();
    let (slow, quick) = ("http://slow.example/", "http://quick.example/");
    world.http.set(slow, "d8:intervali900e5:peers0:e");
    world.http.set(quick, "d8:intervali60e5:peers0:e");
    let mut requester = requester(&world, 0, &[slow, quick]);
    assert_eq!(seconds(&mut requester), 300);
    world.http.take();
    for _ in 0..2 {
        world.clock.advance(WISH);
        assert_eq!(seconds(&mut requester), 300);
        let asked = world.http.take();
        assert_eq!(asked.len(), 1);
        assert!(asked[0].starts_with(quick));
    }
    world.clock.advance(WISH);
    requester.step().unwrap();
    assert_eq!(world.http.take().len(), 2);
}

#[test]
fn failures_are_retried_with_growing_waits() {
    let world = World::new();
    let url = "http://one.example/";
    let mut requester = requester(&world, 0, &[url]);
    for expected in [300, 600, 1200, 1200, 1200] {
        assert_eq!(seconds(&mut requester), expected);
        world.clock.advance(Duration::from_secs(expected));
    }
    assert_eq!(world.context.health.counts(Place::First), (1, 1));
    let status = &world.context.health.snapshot()[0];
    assert_eq!((status.failures, status.last_success), (5, None));
    assert_eq!(status.reason.as_deref(), Some("timed out"));
    world.http.set(url, "d5:peers0:e");
    assert_eq!(seconds(&mut requester), 300);
    assert_eq!(world.context.health.counts(Place::First), (1, 0));
    world.http.fail(url, HttpError::BodyTooLong);
    world.clock.advance(WISH);
    assert_eq!(seconds(&mut requester), 300, "counted anew");
}

#[test]
fn retry_in_is_honoured() {
    let world = World::new();
    world.http.set(URL, "d14:failure reason2:no8:retry ini20ee");
    world.http.set(SCRAPE, scrape_body(&[0]));
    let mut first = requester(&world, 0, &[URL]);
    assert_eq!(seconds(&mut first), 1200);
    assert_eq!(
        world.told(),
        ["announce failed: Refused: no", "scrape Some(10)"]
    );
    world
        .http
        .set(URL, "d14:failure reason2:no8:retry in5:nevere");
    world.clock.advance(Duration::from_secs(1200));
    assert_eq!(first.step(), Ok(None));
    assert_eq!(
        world.told(),
        ["announce failed: Refused: no"],
        "no scrape either"
    );
    world.clock.advance(100 * WISH);
    world.http.take();
    assert_eq!(first.step(), Ok(None));
    assert_eq!(world.http.take(), [""; 0]);
}

#[test]
fn unusable_urls_fail_once() {
    let world = World::new();
    let mut requester = requester(&world, 0, &["wss://one.example/", "nonsense"]);
    assert_eq!(requester.step(), Ok(None));
    assert_eq!(
        world.told(),
        [
            "announce failed: Announce URL of unknown scheme",
            "announce failed: Announce URL is malformed"
        ]
    );
    assert_eq!(requester.step(), Ok(None));
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn no_answer_ends_the_requester() {
    let world = World::new();
    let mut requester = requester(&world, 0, &[URL]);
    let bodies: [(&[u8], &str); 8] = [
        (b"<html><body>busy</body></html>", "Answer is not bencoded"),
        (b"", "Answer is not bencoded"),
        (b"i5e", "Answer is no dictionary"),
        (b"le", "Answer is no dictionary"),
        (b"d5:peersi0ee", "Peers are neither string nor list"),
        (b"d5:peers5:abcdee", "Compact peers of wrong length"),
        (b"de", "Answer without peers"),
        (
            b"d14:failure reason11:CRITICAL\n12e",
            "Refused: critical\\n#",
        ),
    ];
    for (body, reason) in bodies {
        world.http.set(URL, body);
        world.http.set(SCRAPE, body);
        requester.step().unwrap();
        world.clock.advance(4 * WISH);
        let told = world.told();
        assert_eq!(told[0], format!("announce failed: {reason}"));
        assert!(told[1].starts_with("scrape failed: "), "{told:?}");
        assert_eq!(told.len(), 2);
    }
    for error in [
        HttpError::TooManyRedirects,
        HttpError::BodyTooLong,
        HttpError::Tls,
    ] {
        world.http.fail(URL, error);
        requester.step().unwrap();
        world.clock.advance(4 * WISH);
        assert_eq!(world.told()[0], format!("announce failed: {error}"));
    }
    world.http.set(URL, PEERS);
    requester.step().unwrap();
    assert!(world.told().last().unwrap().starts_with("announce 2"));
}

#[test]
fn a_scrape_without_downloads_is_a_failure() {
    let world = World::new();
    world.http.set(URL, "d5:peers0:e");
    let mut body = b"d5:filesd20:".to_vec();
    body.extend(hash(0).as_bytes());
    body.extend(b"d8:completei1eeee");
    world.http.set(SCRAPE, body);
    requester(&world, 0, &[URL]).step().unwrap();
    assert_eq!(
        world.told(),
        [
            "scrape failed: Scrape answer without downloads",
            "announce 0 0 None"
        ]
    );
}

#[test]
fn one_scrape_serves_all_torrents_of_a_tracker() {
    let world = World::new();
    world.http.set(URL, "d5:peers0:e");
    world.http.set(SCRAPE, scrape_body(&[0, 1, 2]));
    let mut all: Vec<Requester> = (0..3)
        .map(|index| requester(&world, index, &[URL]))
        .collect();
    for requester in &mut all {
        requester.step().unwrap();
    }
    assert_eq!(
        events(&world.http),
        ["started", "scrape", "started", "started"]
    );
    assert_eq!(
        world.told(),
        [
            "scrape Some(10)",
            "announce 0 0 Some(Some(10))",
            "scrape Some(20)",
            "announce 0 0 Some(Some(20))",
            "scrape Some(30)",
            "announce 0 0 Some(Some(30))"
        ]
    );
    // The next round finds the outcomes too old.
    world.clock.advance(WISH);
    all[1].step().unwrap();
    assert_eq!(events(&world.http), ["announce", "scrape"]);
    all[0].step().unwrap();
    assert_eq!(events(&world.http), ["announce"]);
}

#[test]
fn a_tracker_that_scrapes_single_torrents_only() {
    let world = World::new();
    world.http.set(URL, "d5:peers0:e");
    // Whatever is asked for, the answer has the last torrent only.
    world.http.set(SCRAPE, scrape_body(&[1]));
    let single = format!("{SCRAPE}?info_hash={}", "a".repeat(20));
    let both = format!("{single}&");
    world.http.set(&single, scrape_body(&[0]));
    world.http.set(&both, "d5:filesdee");
    let mut first = requester(&world, 0, &[URL]);
    let mut second = requester(&world, 1, &[URL]);
    first.step().unwrap();
    assert_eq!(events(&world.http), ["started", "scrape", "scrape"]);
    second.step().unwrap();
    assert_eq!(
        events(&world.http),
        ["started", "scrape"],
        "it is known now"
    );
    world.clock.advance(WISH);
    first.step().unwrap();
    assert_eq!(events(&world.http), ["announce", "scrape"]);
    let scrapes = world.told();
    let scrapes = scrapes.iter().filter(|line| line.starts_with("scrape"));
    assert_eq!(
        scrapes.collect::<Vec<_>>(),
        ["scrape Some(10)", "scrape Some(20)", "scrape Some(10)"]
    );
}

#[test]
fn torrents_do_not_wait_one_after_the_other_for_a_dead_scrape() {
    let world = World::new();
    world.http.set(URL, "d5:peers0:e");
    world.http.fail(SCRAPE, timed_out());
    for index in 0..5 {
        requester(&world, index, &[URL]).step().unwrap();
    }
    let asked = events(&world.http);
    assert_eq!(asked.iter().filter(|kind| **kind == "scrape").count(), 1);
    let told = world.told();
    let failed = told.iter().filter(|line| line.starts_with("scrape failed"));
    assert_eq!(failed.count(), 5, "each torrent has its outcome");
}

#[test]
fn others_wait_for_the_scrape_under_way_but_not_beyond_the_end() {
    let world = World::new();
    world.http.set(URL, "d5:peers0:e");
    world.http.set(SCRAPE, scrape_body(&[0, 1]));
    let (open, gate) = bounded::<()>(0);
    *world.http.stuck.lock() = Some((SCRAPE.to_owned(), gate));
    let mut threads = Vec::new();
    for mut requester in [0, 1].map(|index| requester(&world, index, &[URL])) {
        threads.push(thread::spawn(move || requester.step()));
    }
    world.http.wait_for(3);
    drop(open);
    for thread in threads {
        assert!(thread.join().unwrap().is_ok());
    }
    assert_eq!(world.http.take().len(), 3, "one scrape for both");
    assert_eq!(world.told().len(), 4);

    world.clock.advance(WISH);
    let (open, gate) = bounded::<()>(0);
    *world.http.stuck.lock() = Some((SCRAPE.to_owned(), gate));
    let threads = [0, 1].map(|index| {
        let requester = requester(&world, index, &[URL]);
        thread::spawn(move || run(requester))
    });
    world.http.wait_for(3);
    world.trigger.stop();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(open);
}

#[test]
fn no_scrape_when_switched_off() {
    let mut settings = settings();
    settings.scrape = false;
    let world = World::with(settings, Arc::new(super::super::fake::NoUdp));
    world.http.set(URL, "d5:peers0:e");
    requester(&world, 0, &[URL]).step().unwrap();
    assert_eq!(events(&world.http), ["started"]);
    assert_eq!(world.told(), ["announce 0 0 None"]);
}

#[test]
fn the_thread_ends_on_stop_even_in_a_stuck_request() {
    let world = World::new();
    let (open, gate) = bounded::<()>(0);
    *world.http.stuck.lock() = Some((URL.to_owned(), gate));
    let requester = requester(&world, 0, &[URL]);
    let thread = thread::spawn(move || run(requester));
    world.http.wait_for(1);
    world.trigger.stop();
    thread.join().unwrap();
    drop(open);
}

#[test]
fn the_thread_ends_without_trackers_and_when_the_writer_is_gone() {
    let world = World::new();
    let idle = requester(&world, 0, &[]);
    let thread = thread::spawn(move || run(idle));
    world.trigger.stop();
    thread.join().unwrap();
    let mut world = World::new();
    world.http.set(URL, "d5:peers0:e");
    world.records = crossbeam_channel::never();
    assert_eq!(requester(&world, 0, &[URL]).step(), Err(Ended));
    run(requester(&world, 1, &[URL]));
}
