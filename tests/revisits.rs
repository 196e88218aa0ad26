//! Fixed and adaptive revisits, and stays, on the same story: how narrow the
//! crossings are, and how many downloads are confirmed.
//!
//! `cargo test --test revisits -- --nocapture` prints the figures; with
//! `LAB="--peers 300 --time 60s"` for another story.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic, and the figures are to be read"
)]

mod common;

use std::path::Path;

use serde_json::Value;

use common::process::isolated;
use common::results::Results;

/// Peers that tell a bitfield and then each piece as it comes.
const STORY: &str = "--torrents 3 --peers 120 --callers 0 --time 60s --timeout 0.5s \
                     --revisit-delay 8s --share all=0 --share live-haves=1 --live 60s --reach all=0 --reach tcp=1";

const MODES: [&str; 3] = [
    "--revisit fixed",
    "--revisit adaptive",
    "--revisit adaptive --observe stay",
];

/// What one mode gave.
#[derive(Debug)]
struct Figures {
    /// Widths of the crossings in milliseconds, in order.
    widths: Vec<i64>,
    visits: i64,
    stays: i64,
    confirmed: u64,
    happened: u64,
}

impl Figures {
    /// At most so many percent are narrower.
    fn width(&self, percent: usize) -> i64 {
        let last = self.widths.len() - 1;
        self.widths[last * percent / 100]
    }
}

fn lab(mode: &str, story: &str) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let output = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder.path())
        .current_dir(folder.path())
        .args(["lab", "--json"])
        .args(mode.split_whitespace())
        .args(story.split_whitespace())
        .output()
        .unwrap();
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["exact"], true, "{value:#}");
    let database = folder
        .path()
        .join(value["files"]["database"].as_str().unwrap());
    let results = Results::open(&database).unwrap();
    let widths = "SELECT first_at_ms - last_below_ms FROM crossing ORDER BY 1";
    let torrents = value["torrents"].as_array().unwrap().iter();
    Figures {
        widths: results.numbers(widths).unwrap(),
        visits: results.number("SELECT count(*) FROM visit", ()).unwrap(),
        stays: results
            .number(
                "SELECT CAST(value AS INTEGER) FROM run WHERE key = 'stays'",
                (),
            )
            .unwrap(),
        confirmed: value["confirmed"].as_u64().unwrap(),
        happened: torrents.map(|it| it["happened"].as_u64().unwrap()).sum(),
    }
}

#[test]
fn whoever_looks_more_closely_finds_narrower_crossings() {
    let story = std::env::var("LAB").unwrap_or_else(|_| STORY.to_owned());
    let modes = std::thread::scope(|scope| {
        let all = MODES.map(|mode| {
            let story = &story;
            (mode, scope.spawn(move || lab(mode, story)))
        });
        all.map(|(mode, trial)| (mode, trial.join().unwrap()))
    });
    eprintln!("btda lab {story} MODE");
    for (mode, it) in &modes {
        eprintln!(
            "{mode:<36} {:>3} crossings, {:>4} ms wide (median), {:>4} ms (9 of 10 below), \
             {} of {} downloads confirmed, {} visits, {} stays",
            it.widths.len(),
            it.width(50),
            it.width(90),
            it.confirmed,
            it.happened,
            it.visits,
            it.stays
        );
    }
    let [(_, fixed), (_, adaptive), (_, stay)] = &modes;
    let all = [fixed, adaptive, stay];
    assert!(all.iter().all(|it| it.widths.len() >= 20), "{modes:?}");
    assert!(adaptive.width(50) < fixed.width(50), "{modes:?}");
    assert!(stay.width(50) < adaptive.width(50), "{modes:?}");
    assert!(
        stay.stays > 0 && adaptive.stays + fixed.stays == 0,
        "{modes:?}"
    );
}
