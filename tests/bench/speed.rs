//! Speed: what the analyzer costs, each figure against a yardstick that is
//! measured in the same run.
//!
//! `cargo bench` measures in full (but for three items of minutes),
//! `cargo bench -- --short` only that every measure still works. `--only NAME` measures one item. Every item runs in a
//! process of its own, so that none inherits the memory of another; the table
//! is printed at the end. The exit code tells whether every measure came to its
//! end, and nothing about the goals.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measure that cannot go on stops with a panic, and a table is to be read"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are made from rates and shares, all small and positive"
)]

mod callers;
mod child;
mod cpu;
mod dht;
mod load;
#[path = "../common/study.rs"]
mod made;
mod memory;
mod mmdb;
mod observe;
mod parsing;
mod peers;
mod report;
mod run;
mod scheduler;
mod startstop;
mod storing;
mod table;
mod throughput;
mod utp;
mod visit;
mod web;
mod world;

use std::process::ExitCode;
use std::time::Instant;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Only whether it works.
    pub(crate) short: bool,
}

impl Scale {
    /// One of two values.
    pub(crate) fn pick<T>(self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

/// An item: its name and what measures it.
type Item = (&'static str, fn(Scale));

const ITEMS: [Item; 25] = [
    ("parsing", parsing::measure),
    ("visit", visit::measure),
    ("encrypted", visit::encrypted),
    ("utp-visit", utp::visit),
    ("utp-streams", utp::streams),
    ("scheduler-1", scheduler::small),
    ("scheduler-4", scheduler::middle),
    ("scheduler-16", scheduler::large),
    ("storing", storing::measure),
    ("callers-1", callers::few),
    ("callers-4", callers::more),
    ("callers-16", callers::many),
    ("callers-huge", callers::huge),
    ("newcomers", callers::newcomers),
    ("known", memory::known),
    ("rows", memory::rows),
    ("threads", memory::threads),
    ("startstop", startstop::measure),
    ("throughput", throughput::measure),
    ("dht", dht::measure),
    ("report-time", report::time),
    ("report-memory", report::memory),
    ("observe-records", observe::records),
    ("observe-search", observe::search),
    ("web", web::measure),
];

/// Items of minutes that are measured when they are named, and in short form.
const APART: [&str; 3] = ["report-memory", "observe-search", "web"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let scale = Scale {
        short: has("--short"),
    };
    match arguments.first().map(String::as_str) {
        Some("--peers") => peers::child(&arguments[1..]),
        Some("--callers") => load::child(&arguments[1..]),
        Some("--readers") => web::child(&arguments[1..]),
        Some("--measure") => measure(&arguments[1], scale),
        _ => return measure_all(&arguments, scale),
    }
    ExitCode::SUCCESS
}

fn measure_all(arguments: &[String], scale: Scale) -> ExitCode {
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|place| arguments.get(place + 1));
    let begun = Instant::now();
    let (mut lines, mut broken) = (Vec::new(), false);
    for (name, _) in ITEMS {
        let wanted = only.map_or_else(
            || scale.short || !APART.contains(&name),
            |only| name.starts_with(only.as_str()),
        );
        if wanted {
            broken |= !measure_apart(name, scale, &mut lines);
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\n{}", table::render(&lines));
    println!(
        "{} measured in {:.0} s on {cores} cores; median (min–max) of the rounds",
        scale.pick("full", "short form, figures mean nothing:"),
        begun.elapsed().as_secs_f64()
    );
    ExitCode::from(u8::from(broken))
}

fn measure(name: &str, scale: Scale) {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let (_, measure) = ITEMS
        .iter()
        .find(|(item, _)| *item == name)
        .expect("an item");
    measure(scale);
}

/// Measures an item in a process of its own, which gives lines of the table;
/// tells whether it came to its end.
fn measure_apart(name: &str, scale: Scale, lines: &mut Vec<String>) -> bool {
    let begun = Instant::now();
    let mut arguments = vec!["--measure", name];
    if scale.short {
        arguments.push("--short");
    }
    let mut other = child::Other::start(&arguments);
    loop {
        let line = other.line();
        if line.is_empty() {
            break;
        }
        if let Some(row) = line.strip_prefix(table::ROW) {
            eprintln!("{}", row.replace('\t', " | "));
            lines.push(row.to_owned());
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{name}: {seconds:.0} s");
    let well = other.ended_well();
    if !well {
        lines.push(format!("{name}\t\tthe measure broke off\t\t\t\t"));
    }
    well
}
