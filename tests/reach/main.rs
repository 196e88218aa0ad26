//! Real clients that the tool of 2015 could not measure, all in one swarm:
//! with encryption forced, with uTP only, with IPv6 only, with both, known only to
//! another peer, behind address translation, and one that finishes while we
//! are connected; beside one that speaks plain TCP. libtorrent, transmission,
//! aria2 and opentracker are Debian packages.
//!
//! Three runs of the real program measure it at the same time with the default
//! settings: one calls and is called, one is only called, one only calls. What
//! they say and hear is also recorded and read by another program (`tshark`).
//!
//! Transmission calls nobody on loopback, so all of it takes place in a
//! network of its own with other addresses, and the latter
//! two runs, the peers of IPv6 and the one behind translation each in a network
//! that is linked to it.
//! That needs root or user namespaces.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they saw"
)]

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod measured;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use clients::{EXPECTED, Switches};
use common::btda_run::BtdaRun;
use common::capture::{EXTENDED, HAVE_NONE, PIECE, Packet, REQUEST};
use common::network;
use common::results::Visit;
use common::swarm::Swarm;
use measured::{Measured, bracket, missing};
use world::{PORT, World, ours};

/// The downloads are over and everything is known by then; usually it takes
/// a minute.
const LIMIT: Duration = Duration::from_secs(240);

const STOP_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn every_kind_of_client_is_confirmed() {
    network::run_inside("inside_a_network_of_its_own");
}

#[test]
#[ignore = "started by every_kind_of_client_is_confirmed in a network of its own"]
fn inside_a_network_of_its_own() {
    let mut world = World::begin();
    let switches = [Switches::Both, Switches::Called, Switches::Calling];
    let mut runs = switches.map(|it| world.start(it));
    world.wait_until_known(&mut runs);
    world.start_leechers();
    let mut before = Vec::new();
    let what = "everybody is confirmed";
    world.swarm.sample_until(what, LIMIT, |swarm| {
        runs.iter_mut().for_each(BtdaRun::assert_running);
        let all = switches.iter().zip(&runs);
        let wanted = all.map(|(it, run)| missing(swarm, run, *it));
        let wanted: Vec<String> = wanted.flatten().collect();
        if !wanted.is_empty() && wanted.len() < 8 && wanted != before {
            println!("to come: {}", wanted.join(", "));
            before.clone_from(&wanted);
        }
        wanted.is_empty()
    });
    runs.iter_mut().for_each(stop);
    // One more sample behind the last visit.
    world.swarm.sample();
    let recording = world.capture.take().expect("it was started").stop();
    println!("{}", world.swarm.report());

    let mut all = switches.iter().zip(&runs);
    let measured = [(); 3].map(|()| {
        let (switches, run) = all.next().expect("three of them");
        Measured::open(run, *switches, &world.swarm)
    });
    measured.iter().for_each(Measured::check);
    measured[0].check_company();
    print_table(&world.swarm, &measured);
    let ports = [&[PORT], &world.utp_ports[..]].concat();
    check_packets(&recording.packets(&ports), &measured);
}

fn stop(run: &mut BtdaRun) {
    let (status, _) = run.interrupt(STOP_LIMIT).expect("btda ends after SIGINT");
    assert_eq!(status.code(), Some(0), "exit code of btda");
}

/// Prints what was measured as the table of the README.
fn print_table(swarm: &Swarm, measured: &[Measured; 3]) {
    let [both, _, calling] = measured;
    println!(
        "| Client | What it is | Transport | We called | It called | Bracket, `-ap` | \
         Bracket, `-a` |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for ((client, _), expected) in swarm.leechers.iter().zip(&EXPECTED) {
        let client = client.as_ref();
        let visits = measured.iter().flat_map(|run| run.visits(client));
        let visits: Vec<Visit> = visits.collect();
        let name = both.results.text(
            "SELECT e.client FROM extension_handshake e JOIN visit v ON v.id = e.visit
             JOIN peer p ON p.id = v.peer WHERE p.client = ?1 AND e.client <> '' LIMIT 1",
            [client.code()],
        );
        println!(
            "| {} | {} | `{}` | {} | {} | {} | {} |",
            name.unwrap_or_else(|_| client.name().to_owned()),
            expected.what,
            expected.transport,
            encryptions(&visits, "outgoing"),
            encryptions(&visits, "incoming"),
            bracket(&both.crossings(client)),
            bracket(&calling.crossings(client)),
        );
    }
}

/// How many of `visits` had which encryption.
fn encryptions(visits: &[Visit], direction: &str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for visit in visits.iter().filter(|visit| visit.direction == direction) {
        *counts.entry(&visit.encryption).or_default() += 1;
    }
    let parts = counts.iter().map(|(way, count)| format!("{count} `{way}`"));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return "never".to_owned();
    }
    parts.join(", ")
}

/// The dissector saw every visit in the clear, and in none of them a request
/// or a piece from us, though it saw those of others.
fn check_packets(packets: &[Packet], measured: &[Measured]) {
    let (from_us, from_others): (Vec<&Packet>, Vec<&Packet>) =
        packets.iter().partition(|it| ours().contains(&it.from));
    let count = |packets: &[&Packet], kind: u32| {
        let messages = packets.iter().flat_map(|it| &it.messages);
        messages.filter(|it| **it == kind).count()
    };
    for kind in [REQUEST, PIECE] {
        assert_eq!(count(&from_us, kind), 0, "type {kind} from us");
        assert!(count(&from_others, kind) > 0, "no type {kind} from others");
    }
    for kind in [HAVE_NONE, EXTENDED] {
        assert!(count(&from_us, kind) > 0, "no type {kind} from us");
    }
    // Who turns a call in the clear away is called again with encryption, of
    // which nothing is to be read; at the ports that a dissector knows it tries.
    let place = |it: &Packet| (it.utp, it.connection);
    let clear = from_us.iter().filter(|it| it.handshakes > 0);
    let clear: HashSet<_> = clear.map(|it| place(it)).collect();
    let (of_clear, sealed): (Vec<&Packet>, Vec<&Packet>) = from_us
        .iter()
        .filter(|it| it.unclear)
        .partition(|it| clear.contains(&place(it)));
    assert!(of_clear.is_empty(), "no message of ours: {of_clear:?}");
    println!("{} packets of encrypted calls", sealed.len());
    for (utp, transport) in [(false, "tcp"), (true, "utp")] {
        let ways = from_us.iter().filter(|it| it.utp == utp);
        let handshakes: usize = ways.map(|it| it.handshakes).sum();
        let visits = measured.iter().map(|run| run.count(transport, "plain"));
        let visits: usize = visits.sum();
        println!("{transport} in the clear: {visits} visits, {handshakes} handshakes recorded");
        assert!(
            handshakes >= visits,
            "{handshakes} of {visits} over {transport}"
        );
    }
    println!(
        "recorded from us: {} have none, {} extended, 0 request, 0 piece; from others {} request, {} piece",
        count(&from_us, HAVE_NONE),
        count(&from_us, EXTENDED),
        count(&from_others, REQUEST),
        count(&from_others, PIECE),
    );
}
