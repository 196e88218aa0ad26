//! The report's estimate of missed downloads against whole runs of the program
//! on the practice swarm, which knows all downloads: where the assumptions hold
//! the intervals contain the truth, and it is far from what was confirmed;
//! where one is broken the estimate errs in the direction that the report
//! states.
//!
//! `MISSED=10 cargo test --test report_missed -- --nocapture` measures ten runs
//! of each kind of 40 s: the table in the README.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::lab::{Behaviour, Contact, LabOptions, NamedBy, Plan, PlannedParty, Swarm, Truth};
use btda::model::{Direction, Timestamp};
use btda::report::item::{Cell, Table};
use btda::report::{Report, ReportOptions};
use common::process::wait_until;
use common::trial::{LONG, Setup, Trial};

/// Downloads of peers of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Truths {
    /// Of those below the threshold at their first visit, until the end.
    of_seen: u64,
    /// Of all in the plan, visited or not, from the start of the run.
    of_all: u64,
}

/// What the report says of peers of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    confirmed: f64,
    value: f64,
    low: f64,
    high: f64,
}

/// A story: what its parties do, and how many of them nobody names.
#[derive(Clone)]
struct Kind {
    name: &'static str,
    shares: Vec<(Behaviour, u32)>,
    /// Shortest and longest download as shares of the story.
    download: (f64, f64),
    /// Per cent of the peers that only the DHT names, which nobody asks.
    unnamed: u8,
}

fn kinds() -> Vec<Kind> {
    let equal = Kind {
        name: "as assumed",
        shares: vec![(Behaviour::Bitfield, 1)],
        download: (0.5, 2.0),
        unnamed: 0,
    };
    vec![
        Kind {
            name: "speeds from 1 to 40",
            download: (0.1, 4.0),
            ..equal.clone()
        },
        Kind {
            name: "a third accepts no connection",
            shares: vec![(Behaviour::Bitfield, 2), (Behaviour::Refuses, 1)],
            ..equal.clone()
        },
        Kind {
            name: "a third is named by nobody",
            unnamed: 33,
            ..equal.clone()
        },
        equal,
    ]
}

fn swarm(kind: &Kind, seconds: u64, seed: u64) -> Swarm {
    let part = |share: f64| Duration::from_secs(seconds).mul_f64(share);
    let options = LabOptions {
        torrents: 1,
        peers: 200,
        callers: 200,
        seed,
        duration: Duration::from_secs(seconds),
        overlap: 0,
        shares: kind.shares.clone(),
        download: (part(kind.download.0), part(kind.download.1)),
        stalls: 0,
        bad_trackers: false,
        tracker_interval: Duration::from_secs(1),
        dht: kind.unnamed,
        answer_peers: 200,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).unwrap()
}

/// Measures a story to its end; gives its time (milliseconds) then, too.
fn run_on(swarm: &mut Swarm, seconds: u64) -> (Trial, u64) {
    let delay = (seconds / 6).to_string();
    let config = [
        ("network_timeout", "0.3"),
        ("peer_revisit_delay", delay.as_str()),
        ("revisit.mode", "\"fixed\""),
        ("peer_evaluation_threads", "128"),
        ("listen.callers_per_address_max", "512"),
        ("retry.attempts", "2"),
    ];
    let mut trial = Setup::new().swarm(swarm).config(&config).start();
    let address = trial.address();
    swarm.call(address).unwrap();
    let end = Duration::from_secs(seconds);
    let left = end.saturating_sub(Duration::from_millis(swarm.elapsed()));
    wait_until("the end of the story", left + LONG, || {
        trial.assert_running();
        Duration::from_millis(swarm.elapsed()) >= end
    });
    let end = swarm.elapsed();
    assert_eq!(trial.stop("INT", Duration::from_secs(20)), Some(0));
    (trial, end)
}

/// Downloads that took place until `end`, of contacted peers and of callers.
fn truths(truth: &Truth, end: u64) -> [Truths; 2] {
    let pieces = |party: &PlannedParty| truth.plan.pieces_of(party.torrent);
    let enough = |party: &PlannedParty, elapsed: u64| {
        let needed = (f64::from(pieces(party)) * 0.98).ceil();
        f64::from(party.progress.pieces_at(elapsed)) >= needed
    };
    let since = |at: Timestamp| {
        let elapsed = at.millis() - truth.started.millis();
        u64::try_from(elapsed).unwrap_or(0)
    };
    let of = |parties: &[PlannedParty], callers: bool| {
        let mut sum = Truths::default();
        for (index, party) in parties.iter().enumerate() {
            // Callers are visited by their calls, and where they say that they
            // listen.
            let theirs = |it: &&Contact| {
                let called = it.direction == Direction::Incoming || it.called_back;
                called == callers && it.party == index && it.handshake
            };
            let contacts = truth.contacts.iter().filter(theirs);
            let first = contacts.map(|it| since(it.started)).min();
            let finished = enough(party, end);
            let seen_below = first.is_some_and(|at| !enough(party, at));
            sum.of_seen += u64::from(finished && seen_below);
            sum.of_all += u64::from(finished && !enough(party, 0));
        }
        sum
    };
    [of(&truth.plan.peers, false), of(&truth.plan.callers, true)]
}

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Integer(number) => *number as f64,
        Cell::Real(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

/// The row of the only torrent, of contacted peers and of callers.
fn said(table: &Table) -> [Said; 2] {
    ["contacted", "callers"].map(|kind| {
        let row = table.rows.iter().find(|row| row[1] == Cell::from(kind));
        let row = row.unwrap();
        let cell = |name: &str| {
            let place = table.columns.iter().position(|it| it.name == name);
            number(&row[place.unwrap()])
        };
        Said {
            confirmed: cell("confirmed"),
            value: cell("estimated_downloads"),
            low: cell("low"),
            high: cell("high"),
        }
    })
}

fn measured(kind: &Kind, seconds: u64, seed: u64) -> [(Truths, Said); 2] {
    let mut swarm = swarm(kind, seconds, seed);
    let hidden = swarm.plan().peers.iter();
    let hidden = hidden.filter(|it| it.named_by == NamedBy::Dht).count();
    assert_eq!(hidden > 0, kind.unnamed > 0);
    let (trial, end) = run_on(&mut swarm, seconds);
    let truth = swarm.stop();
    let report = Report::read(&ReportOptions {
        databases: vec![trial.database().unwrap()],
        ..ReportOptions::default()
    });
    let report = report.unwrap();
    let item = report.item("missed_downloads").unwrap();
    let said = said(item.table("torrents").unwrap());
    let [contacted, callers] = truths(&truth, end);
    [(contacted, said[0]), (callers, said[1])]
}

/// One short run, in which a third of the peers accepts no connection.
#[test]
fn the_estimate_reaches_what_happened_behind_the_last_visit() {
    let kind = &kinds()[1];
    let [(contacted, peers), (called, callers)] = measured(kind, 15, 1);
    println!("{contacted:?} {peers:?}\n{called:?} {callers:?}");
    for (truth, said) in [(contacted, peers), (called, callers)] {
        let truth = truth.of_seen as f64;
        // Four times the standard error instead of 1.96: no luck is needed.
        let reach = |end: f64| (end - said.value) * 2.1;
        let limits = said.value + reach(said.low)..=said.value + reach(said.high);
        assert!(limits.contains(&truth), "{truth} {said:?}");
        assert!(said.confirmed <= truth, "{truth} {said:?}");
    }
    // Callers are lost after their last call: what was confirmed is too low,
    // and the estimate nearer to the truth.
    let truth = called.of_seen as f64;
    let (counted, estimated) = (truth - callers.confirmed, (truth - callers.value).abs());
    assert!(counted >= 5.0, "{counted} {truth}");
    assert!(estimated < counted * 0.8, "{estimated} {counted}");
    // Who accepts no connection is in no estimate, as the report says.
    assert!(
        peers.high < contacted.of_all as f64,
        "{contacted:?} {peers:?}"
    );
}

/// The figures of the README.
#[test]
fn long_runs_as_in_the_readme() {
    let Some(runs) = std::env::var("MISSED").ok().and_then(|it| it.parse().ok()) else {
        return;
    };
    println!(
        "story                           peers      confirmed  estimate  of seen  of all  held"
    );
    for kind in kinds() {
        let mut sums = [(0.0, 0.0, 0, 0, 0_u32); 2];
        for seed in 1..=runs {
            for (sum, (truth, said)) in sums.iter_mut().zip(measured(&kind, 40, seed)) {
                let held = (said.low..=said.high).contains(&(truth.of_seen as f64));
                *sum = (
                    sum.0 + said.confirmed,
                    sum.1 + said.value,
                    sum.2 + truth.of_seen,
                    sum.3 + truth.of_all,
                    sum.4 + u32::from(held),
                );
            }
        }
        for (name, sum) in ["contacted", "callers"].iter().zip(sums) {
            println!(
                "{:<31} {name:<10} {:>9} {:>9.0} {:>8} {:>7}  {} of {runs}",
                kind.name, sum.0, sum.1, sum.2, sum.3, sum.4
            );
        }
    }
}
