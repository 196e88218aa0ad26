//! Tests of `tracker::farewell`.

use super::super::Requester;
use super::super::fake::World;
use super::*;

const GOOD: &str = "http://good.example/announce?passkey=k";
const STUCK: &str = "http://stuck.example/announce";
const DEAD: &str = "http://dead.example/announce";
const TOTAL: Duration = Duration::from_secs(30);

fn stopped(world: &World) -> Vec<String> {
    let asked = world.http.take();
    let stopped = asked
        .into_iter()
        .filter(|url| url.contains("event=stopped"));
    stopped.collect()
}

#[test]
fn whoever_knew_us_is_told_once() {
    let world = World::new();
    world.http.set(GOOD, "d5:peers0:10:tracker id2:ide");
    let trackers = world.trackers(0, &[DEAD, GOOD]);
    let mut requester = Requester::new(world.context.clone(), Arc::clone(&trackers));
    requester.step().unwrap();
    world.http.take();
    let client = &world.context.client;
    let result = farewell(client, &[Arc::clone(&trackers)], TOTAL);
    let expected = Farewell {
        owed: 1,
        acknowledged: 1,
        failed: 0,
    };
    assert_eq!(result, expected);
    let told = stopped(&world);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("http://good.example/announce?passkey=k&info_hash="));
    assert!(told[0].ends_with("&event=stopped&numwant=0&trackerid=id"));
    assert_eq!(farewell(client, &[trackers], TOTAL), Farewell::default());
    assert_eq!(stopped(&world), [""; 0]);
}

#[test]
fn nobody_waits_for_a_stuck_tracker() {
    let world = World::new();
    world.http.set(STUCK, "d5:peers0:e");
    world.http.set(GOOD, "d5:peers0:e");
    let trackers = world.trackers(0, &[STUCK, GOOD]);
    Requester::new(world.context.clone(), Arc::clone(&trackers))
        .step()
        .unwrap();
    let (open, gate) = bounded::<()>(0);
    *world.http.stuck.lock() = Some((STUCK.to_owned(), gate));
    let result = farewell(
        &world.context.client,
        &[trackers],
        Duration::from_millis(200),
    );
    assert_eq!(result.owed, 2);
    assert_eq!(result.failed, 0);
    drop(open);
}

#[test]
fn a_tracker_to_which_a_started_is_under_way_is_told_last() {
    let world = World::new();
    world.http.set(STUCK, "d5:peers0:e");
    world.http.set(GOOD, "d5:peers0:e");
    let trackers = world.trackers(0, &[STUCK, GOOD]);
    // The main tracker never answers, and the run ends meanwhile.
    trackers.trackers[0].greets();
    trackers.trackers[1].acknowledged(None);
    let all = [trackers];
    let names = owed(&all).into_iter().map(|(_, tracker)| tracker.name());
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["http://good.example", "http://stuck.example"]);
    assert!(owed(&all).is_empty(), "once");
    all[0].trackers[0].greets();
    all[0].trackers[0].greeting_failed();
    assert!(owed(&all).is_empty(), "it does not know us");
}

#[test]
fn many_trackers_are_told_by_few_threads() {
    let world = World::new();
    world.http.set("http://t", "d5:peers0:e");
    let urls: Vec<String> = (0..200).map(|n| format!("http://t{n}.example/x")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let trackers = world.trackers(0, &urls);
    Requester::new(world.context.clone(), Arc::clone(&trackers))
        .step()
        .unwrap();
    let result = farewell(&world.context.client, &[trackers], TOTAL);
    assert_eq!((result.owed, result.acknowledged), (200, 200));
}

#[test]
fn a_tracker_that_wants_no_requests_gets_none() {
    let world = World::new();
    world.http.set(GOOD, "d5:peers0:e");
    let trackers = world.trackers(0, &[GOOD]);
    Requester::new(world.context.clone(), Arc::clone(&trackers))
        .step()
        .unwrap();
    trackers.trackers[0].close();
    assert_eq!(
        farewell(&world.context.client, &[trackers], TOTAL),
        Farewell::default()
    );
}
