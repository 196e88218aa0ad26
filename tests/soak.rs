//! A run that has to last: the real program against a practice swarm with
//! callers, whose memory, threads and descriptors must not grow.
//!
//! `cargo test --test soak -- --ignored --nocapture` for three minutes;
//! `SOAK_SECONDS=7200` in front of it for two hours.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use btda::clock::SystemClock;
use btda::lab::{LabOptions, Plan, Swarm};
use common::rise::rise_and_mean;
use common::trial::{Setup, Trial};

/// Without `SOAK_SECONDS`.
const USUAL_SECONDS: u64 = 180;

/// Samples of a soak, whatever its length; a least-squares line over half of
/// them does not follow single outliers.
const SAMPLES: u32 = 90;

/// Time between two readings; a sample is the mean of those since the one
/// before. Visits of 4 s that are in step with single readings far apart would
/// look like growth.
const READING: Duration = Duration::from_millis(500);

/// Telling the trackers of three torrents goodbye takes 1.5 s at most.
const STOP_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
struct Sample {
    seconds: f64,
    memory_kb: f64,
    threads: f64,
    descriptors: f64,
}

impl Sample {
    /// The means, and the time of the last.
    fn mean(readings: &[Self]) -> Self {
        let count = readings.len() as f64;
        let mean = |value: fn(&Self) -> f64| readings.iter().map(value).sum::<f64>() / count;
        Self {
            seconds: readings.last().map_or(0.0, |last| last.seconds),
            memory_kb: mean(|it| it.memory_kb),
            threads: mean(|it| it.threads),
            descriptors: mean(|it| it.descriptors),
        }
    }

    fn take(trial: &Trial, began: Instant) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", trial.id()));
        let status = status.expect("it runs");
        let number = |key: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let word = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            word.expect("the kernel tells it")
        };
        Self {
            seconds: began.elapsed().as_secs_f64(),
            memory_kb: number("VmRSS:"),
            threads: number("Threads:"),
            descriptors: f64::from(u32::try_from(trial.descriptors()).expect("few")),
        }
    }
}

#[test]
fn rises_are_computed() {
    let line: Vec<(f64, f64)> = (0..10)
        .map(|x| (f64::from(x), f64::from(3 * x + 1)))
        .collect();
    let (rise, mean) = rise_and_mean(&line);
    assert!(
        (rise - 27.0).abs() < 1e-9 && (mean - 14.5).abs() < 1e-9,
        "{rise} {mean}"
    );
    let zigzag: Vec<(f64, f64)> = (0..100).map(|x| (f64::from(x), f64::from(x % 2))).collect();
    let (rise, _) = rise_and_mean(&zigzag);
    assert!(rise.abs() < 0.1, "{rise}");
}

/// Everybody in it is visited and calls from the first to the last minute:
/// no download ends within the soak.
fn swarm(length: Duration) -> Swarm {
    let plan = Plan::new(LabOptions {
        torrents: 3,
        peers: 300,
        callers: 150,
        duration: length,
        download: (length * 4, length * 8),
        pieces: (100, 400),
        ..LabOptions::default()
    });
    Swarm::start(plan, Arc::new(SystemClock::new())).expect("swarm starts")
}

#[test]
#[ignore = "takes three minutes, hours on request"]
fn nothing_grows() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(USUAL_SECONDS, |text| {
        text.parse().expect("SOAK_SECONDS is a number")
    });
    let length = Duration::from_secs(seconds);
    let mut swarm = swarm(length);
    let setup = Setup::new().swarm(&swarm).config(&[
        ("peer_evaluation_threads", "128"),
        ("network_timeout", "2"),
        ("peer_revisit_delay", "2"),
        ("retry.first_delay_seconds", "2"),
        ("retry.tracked_delay_seconds", "2"),
        ("retry.max_delay_seconds", "5"),
        ("tracker_request_interval", "5"),
        ("tracker.scrape", "true"),
        ("storage.batch_interval_seconds", "1"),
        ("statistic_interval", "5"),
    ]);
    let mut trial = setup.start();
    let target = trial.address();
    swarm.call(target).expect("callers start");
    let samples = watch(&mut trial, length);
    println!("samples in {}", write(&samples).display());
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    trial.assert_contract();
    assert_eq!(trial.fact("threads_ended_early"), "0");
    let visits = trial.number("SELECT count(*) FROM visit");
    println!("{visits} visits in {seconds} s");
    assert!(
        visits.unsigned_abs() > seconds * 10,
        "{visits} visits are no load"
    );
    let half = &samples[samples.len() / 2..];
    let mut grown = false;
    for bound in BOUNDS {
        let (rise, mean) = bound.rise_and_mean(half);
        let Bound { name, most, .. } = bound;
        println!("{name}: mean {mean:.0}, rise {rise:.1} in the second half, {most} at most");
        grown |= rise > most;
    }
    assert!(!grown, "something has grown");
}

fn watch(trial: &mut Trial, length: Duration) -> Vec<Sample> {
    let began = Instant::now();
    let until = |end: Duration| thread::sleep(end.saturating_sub(began.elapsed()));
    let mut sample = |end: Duration| {
        let mut readings = Vec::new();
        loop {
            until(end.min(began.elapsed() + READING));
            trial.assert_running();
            readings.push(Sample::take(trial, began));
            if began.elapsed() >= end {
                return Sample::mean(&readings);
            }
        }
    };
    (1..=SAMPLES)
        .map(|number| sample(length / SAMPLES * number))
        .collect()
}

fn write(samples: &[Sample]) -> PathBuf {
    let mut text = "seconds,memory_kb,threads,descriptors\n".to_owned();
    for sample in samples {
        let Sample {
            seconds,
            memory_kb,
            threads,
            descriptors,
        } = sample;
        let line = writeln!(
            text,
            "{seconds:.1},{memory_kb:.1},{threads:.1},{descriptors:.1}"
        );
        line.expect("text takes everything");
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak.csv");
    fs::write(&path, text).expect("folder for tests is writable");
    path
}

/// A figure and how much it may rise in the second half.
struct Bound {
    name: &'static str,
    value: fn(&Sample) -> f64,
    most: f64,
}

impl Bound {
    fn rise_and_mean(&self, samples: &[Sample]) -> (f64, f64) {
        let points: Vec<_> = samples
            .iter()
            .map(|sample| (sample.seconds, (self.value)(sample)))
            .collect();
        rise_and_mean(&points)
    }
}

/// The same for every length, so that a longer soak asks for more.
///
/// Memory: SQLite fills its page cache (2,000 kB) while the database grows,
/// which in a short soak it does until the end. A kilobyte lost with each
/// visit would be 5,000 kB in the second 90 seconds. Threads and
/// descriptors: the callers come in storms, one of them in the second half,
/// and a line through few tens of callers swings by some of them.
const BOUNDS: [Bound; 3] = [
    Bound {
        name: "memory in kB",
        value: |sample| sample.memory_kb,
        most: 2_000.0,
    },
    Bound {
        name: "threads",
        value: |sample| sample.threads,
        most: 20.0,
    },
    Bound {
        name: "descriptors",
        value: |sample| sample.descriptors,
        most: 20.0,
    },
];
