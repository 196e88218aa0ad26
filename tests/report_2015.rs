//! The published figures of 2015, recomputed from the published data.
//!
//! The data are not part of the project. They are looked for in the folder
//! that `BTDA_THESIS_DATA` names, or else in `../shared/thesis-2015` beside
//! the project; without them these tests say so and check nothing.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test stops with a panic, says why it did not start, and compares rounded numbers"
)]

mod common;

use std::path::PathBuf;
use std::sync::OnceLock;

use btda::report::item::Cell;
use btda::report::statistics::proportion::percent;
use btda::report::tally::add_tracker_results;
use btda::report::{Report, ReportOptions, inputs};
use common::thesis;
use serde_json::Value;

/// Torrents of the second machine, by their published numbers.
const SECOND: std::ops::RangeInclusive<u32> = 11..=20;

struct Data {
    folder: PathBuf,
    expected: Value,
    report: Report,
}

/// The report on all that is published, made once.
fn data() -> Option<&'static Data> {
    static DATA: OnceLock<Option<Data>> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = thesis::folder()?;
        let unpacked = tempfile::tempdir().unwrap();
        let database = thesis::second_machine(&folder, unpacked.path());
        let report = Report::read(&ReportOptions {
            databases: vec![database],
            sets: Some(folder.join("2015-08-30_20-combined.sqlite.csv")),
            peer_errors: vec![folder.join("2015-08-30_20-combined_peer-error.txt")],
            tracker_errors: vec![folder.join("2015-08-30_20-combined_tracker-error.txt")],
            timeouts: Some(thesis::unpacked(
                &folder,
                "2015-08-14_17-46-44_faui1-246_timeout.txt",
                unpacked.path(),
            )),
            first_torrent: 11,
            ..ReportOptions::default()
        })
        .unwrap();
        let expected = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        Some(Data {
            expected: serde_json::from_str(&expected).unwrap(),
            folder,
            report,
        })
    })
    .as_ref()
}

impl Data {
    fn cell(&self, item: &str, table: &str, row: &str, column: &str) -> &Cell {
        let table = self.report.item(item).unwrap().table(table).unwrap();
        table
            .cell(row, column)
            .unwrap_or_else(|| panic!("{item}: no cell {row} {column}"))
    }

    fn count(&self, item: &str, table: &str, row: &str, column: &str) -> u64 {
        match self.cell(item, table, row, column) {
            Cell::Integer(number) => u64::try_from(*number).unwrap(),
            other => panic!("{item} {row} {column}: {other:?}"),
        }
    }

    fn real(&self, item: &str, table: &str, row: &str, column: &str) -> f64 {
        match self.cell(item, table, row, column) {
            Cell::Real(number) => *number,
            other => panic!("{item} {row} {column}: {other:?}"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

fn rounded(share: Option<f64>) -> f64 {
    (share.unwrap() * 100.0).round() / 100.0
}

#[test]
fn torrents_are_exact() {
    let Some(data) = data() else { return };
    let rows = data.expected["torrents"]["rows"].as_array().unwrap();
    let mut checked = 0;
    for row in rows {
        let id = u32::try_from(number(&row[0])).unwrap();
        if !SECOND.contains(&id) {
            continue;
        }
        let name = id.to_string();
        let of = |column| data.count("torrents", "torrents", &name, column);
        assert_eq!(of("pieces"), number(&row[2]), "{id}");
        assert_eq!(of("trackers"), number(&row[4]), "{id}");
        let set = data.cell("torrents", "torrents", &name, "set");
        assert_eq!(set, &Cell::from(row[1].as_str().unwrap()), "{id}");
        let size = data.real("torrents", "torrents", &name, "size");
        assert_eq!(
            (size * 100.0).round() / 100.0,
            row[3].as_f64().unwrap(),
            "{id}"
        );
        checked += 1;
    }
    assert_eq!(checked, 10);
}

#[test]
fn error_counts_of_visits_are_exact() {
    let Some(data) = data() else { return };
    let outcomes = &data.expected["contact_outcomes"];
    let mut sum =
        inputs::peer_errors(&data.file("2015-08-30_20-34-06_faui1-246_peer-error.txt")).unwrap();
    let second =
        inputs::peer_errors(&data.file("2015-08-30_20-41-36_faui1-246_peer-error.txt")).unwrap();
    btda::report::tally::add_peer_errors(&mut sum, second);
    let combined = &data.report.tally().peer_errors;
    assert_eq!(
        combined, &sum,
        "both machines' files add up to the combined one"
    );
    let mut checked = 0;
    for (key, event) in [
        ("first_contact", "First contact"),
        ("later_contact", "Later contact"),
        ("incoming", "Incoming peer"),
    ] {
        for (reason, count) in outcomes[key]["errors"].as_object().unwrap() {
            assert_eq!(
                data.report.tally().error(event, reason),
                number(count),
                "{reason}"
            );
            checked += 1;
        }
    }
    assert_eq!((checked, combined.len()), (20, 20));
}

/// With the published successes the shares are the published ones; the
/// successes of one machine are below those of both.
#[test]
fn shares_of_outcomes_and_the_shifted_labels() {
    let Some(data) = data() else { return };
    for (key, event) in [
        ("first_contact", "First contact"),
        ("later_contact", "Later contact"),
        ("incoming", "Incoming peer"),
    ] {
        let published = &data.expected["contact_outcomes"][key];
        let (success, total) = (number(&published["success"]), number(&published["total"]));
        let errors = data.report.tally().errors_of(event);
        assert_eq!(success + errors, total, "{key}");
        let share = rounded(percent(success as f64, total as f64));
        assert_eq!(
            share,
            published["success_percent"].as_f64().unwrap(),
            "{key}"
        );
        let ours = data.count("outcomes", "totals", event, "success");
        assert!(ours > 0 && ours < success, "{key}: {ours}");
    }
    let first = data.count("outcomes", "totals", "First contact", "success");
    assert_eq!(first, 58_624 + 26_423);
    // What the form of 2015 prints as the successes is what timed out.
    for (label, printed) in [
        ("success", 1_059_055),
        ("timed out", 2_144_463),
        ("Peer speaks unknown protocol", 2_283_818),
    ] {
        let there = data.count("outcomes_of_callers", "labels", label, "printed_in_2015");
        assert_eq!(there, printed, "{label}");
    }
    let success = data.count("outcomes_of_callers", "labels", "success", "count");
    assert!(
        success > 3_000_000,
        "more than the thesis prints for both machines"
    );
}

#[test]
fn tracker_figure_is_exact() {
    let Some(data) = data() else { return };
    let first =
        inputs::tracker_results(&data.file("2015-08-30_20-34-06_faui1-246_tracker-error.txt"));
    let second =
        inputs::tracker_results(&data.file("2015-08-30_20-41-36_faui1-246_tracker-error.txt"));
    let mut sum = first.unwrap();
    add_tracker_results(&mut sum, second.unwrap(), 10);
    assert_eq!(data.report.tally().tracker_results, sum);
    let figure = &data.expected["tracker_figure"];
    let columns = figure["columns"].as_array().unwrap();
    let rows = figure["rows"].as_object().unwrap();
    assert_eq!(rows.len(), 20);
    for (torrent, counts) in rows {
        for (column, count) in columns.iter().zip(counts.as_array().unwrap()) {
            let column = column.as_str().unwrap();
            let ours = data.count("trackers", "torrents", torrent, column);
            assert_eq!(ours, number(count), "{torrent} {column}");
        }
    }
}

#[test]
fn timeout_calibration_is_exact() {
    let Some(data) = data() else { return };
    let published = &data.expected["timeout_calibration"];
    for (second, count) in published["histogram_rounded_seconds"].as_object().unwrap() {
        let ours = data.count("timeout", "histogram", second, "visits");
        assert_eq!(ours, number(count), "{second} s");
    }
    let of = |row: &str| data.count("timeout", "counts", row, "visits");
    assert_eq!(of("in the list"), number(&published["list_length"]));
    assert_eq!(
        of("rounded above 31 s"),
        number(&published["rounded_above_31"])
    );
    let within = of("at most the timeout, before rounding");
    assert_eq!(within, number(&published["below_or_equal_6_s"]));
    assert_eq!(of("of so many"), number(&published["contacts"]));
    let waits = &data.report.tally().waits;
    assert_eq!((waits.at_most(5), waits.at_most(6)), (974_329, 979_794));
    let share = percent(within as f64, of("of so many") as f64).unwrap();
    assert_eq!(
        (share * 10.0).round() / 10.0,
        published["percent"].as_f64().unwrap()
    );
}

/// The typed table of 2015 holds both machines; one of them is below it, and
/// its own counts are those that the data give.
#[test]
fn confirmed_downloads_of_the_second_machine() {
    let Some(data) = data() else { return };
    let confirmed = |row: &str, column: &str| data.count("confirmed", "torrents", row, column);
    let wanted = [968, 1592, 1848, 118, 1446, 828, 372, 511, 357, 140];
    for (torrent, wanted) in SECOND.zip(wanted) {
        assert_eq!(confirmed(&torrent.to_string(), "0.98"), wanted, "{torrent}");
    }
    let of_set = |set: &str, column: &str| data.count("confirmed", "sets", set, column);
    let totals = ["0.98", "0.75", "0.50", "0.25", "0.02"].map(|column| of_set("total", column));
    assert_eq!(totals, [8180, 8843, 8723, 7923, 5571]);
    let figure = &data.expected["threshold_figure"];
    let csv = std::fs::read_to_string(data.file("2015-08-30_20-combined_threshold.csv")).unwrap();
    for (set, counts) in figure["rows"].as_object().unwrap() {
        let counts: Vec<_> = counts.as_array().unwrap().iter().map(number).collect();
        let line = counts
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(",");
        assert!(
            csv.contains(&format!("{set},{line}")),
            "{set}: the copy of the csv"
        );
        for (column, both) in figure["columns"].as_array().unwrap().iter().zip(counts) {
            let ours = of_set(set, column.as_str().unwrap());
            assert!(ours > 0 && ours < both, "{set} {column}: {ours}");
        }
    }
}

#[test]
fn confirmed_reported_and_unique() {
    let Some(data) = data() else { return };
    let item = "confirmed_reported_unique";
    for (set, confirmed, reported) in [
        ("set_a", 5258, 61_674),
        ("set_b", 2664, 10_677),
        ("set_c", 258, 422),
    ] {
        assert_eq!(data.count(item, "sets", set, "confirmed"), confirmed);
        assert_eq!(data.count(item, "sets", set, "reported"), reported);
    }
    let unique = [
        71_575, 180_118, 188_132, 40_506, 136_090, 85_288, 113_473, 52_536, 45_911, 25_827,
    ];
    for (torrent, unique) in SECOND.zip(unique) {
        let ours = data.count(item, "torrents", &torrent.to_string(), "unique");
        assert_eq!(ours, unique, "{torrent}");
    }
    for (set, published) in data.expected["confirmed_table"]["rows"]
        .as_object()
        .unwrap()
    {
        let of = |key: &str| number(&published[key]);
        for (key, part, whole) in [
            ("c_r_percent", "confirmed", "reported"),
            ("c_u_percent", "confirmed", "unique"),
            ("r_u_percent", "reported", "unique"),
        ] {
            let share = rounded(percent(of(part) as f64, of(whole) as f64));
            assert_eq!(share, published[key].as_f64().unwrap(), "{set} {key}");
        }
        for key in ["confirmed", "reported", "unique"] {
            let ours = data.count(item, "sets", set, key);
            assert!(ours > 0 && ours < of(key), "{set} {key}: {ours}");
        }
    }
    // Claims about single torrents.
    let share = |torrent: &str| data.real(item, "torrents", torrent, "confirmed_of_reported");
    assert!((share("16") / 100.0 - 1.2).abs() < 0.05, "{}", share("16"));
    for torrent in ["14", "20"] {
        let whole = share(torrent).round();
        assert!((39.0..=64.0).contains(&whole), "{torrent}: {whole}");
    }
}

#[test]
fn addresses_by_source() {
    let Some(data) = data() else { return };
    let mut sums = (0, 0);
    for (source, published) in data.expected["peer_source_table"]["rows"]
        .as_object()
        .unwrap()
    {
        let (total, unique) = (number(&published["total"]), number(&published["unique"]));
        let share = rounded(percent(unique as f64, total as f64));
        assert_eq!(
            share,
            published["new_percent"].as_f64().unwrap(),
            "{source}"
        );
        let ours = ["total", "unique"].map(|it| data.count("addresses", "sources", source, it));
        assert!(ours[0] > 0 && ours[0] < total, "{source}: {ours:?}");
        assert!(ours[1] > 0 && ours[1] < unique, "{source}: {ours:?}");
        if source != "total" {
            sums = (sums.0 + ours[0], sums.1 + ours[1]);
        }
    }
    let total = ["total", "unique"].map(|it| data.count("addresses", "sources", "total", it));
    assert_eq!(total, [sums.0, sums.1]);
    // UDP trackers gave 200 addresses at a time, HTTP trackers 50.
    let answers = data
        .report
        .item("addresses")
        .unwrap()
        .table("answers")
        .unwrap();
    let commonest: Vec<_> = answers
        .rows
        .iter()
        .take(2)
        .map(|row| row[1].clone())
        .collect();
    assert!(commonest.contains(&Cell::Integer(200)) && commonest.contains(&Cell::Integer(50)));
}

#[test]
fn second_visits_and_speeds() {
    let Some(data) = data() else { return };
    for (source, share) in [("tracker", 15.6), ("dht", 17.3), ("incoming", 84.1)] {
        let ours = data.real("second_visits", "second", source, "share");
        assert_eq!((ours * 10.0).round() / 10.0, share, "{source}");
        let due = data.real("second_visits", "second", source, "due_share");
        assert!(due > ours || source == "incoming", "{source}: {due}");
    }
    assert_eq!(data.count("speed", "countries", "total", "n"), 98_080);
    let median = data.real("speed", "countries", "total", "median");
    assert_eq!((median * 10.0).round() / 10.0, 83.0);
}

/// At most 500 contact threads, 300 MB, a load below 2.
#[test]
fn claims_about_the_machine() {
    let Some(data) = data() else { return };
    let table = data
        .report
        .item("workload")
        .unwrap()
        .table("summary")
        .unwrap();
    let greatest = |figure: &str| {
        let row = table
            .rows
            .iter()
            .find(|row| row[1] == Cell::from(figure))
            .unwrap();
        match row[2] {
            Cell::Real(number) => number,
            ref other => panic!("{figure}: {other:?}"),
        }
    };
    assert!(greatest("evaluator_threads") <= 500.0);
    assert!(greatest("memory_mb") <= 300.0);
    assert!(greatest("load_average") < 2.0);
}

/// µTorrent and its kin announce pieces late, Vuze does not.
#[test]
fn the_fault_shows_in_the_clients_that_have_it() {
    let Some(data) = data() else { return };
    for (client, wanted) in [
        ("µTorrent", "yes"),
        ("BitTorrent", "yes"),
        ("qBittorrent", "yes"),
        ("Vuze (Azureus)", "no"),
        ("Transmission", "no"),
    ] {
        let ours = data.cell("have_fault", "clients", client, "signature");
        assert_eq!(ours, &Cell::from(wanted), "{client}");
    }
}

/// The log names 978 rows that the database had lost; the raw database says
/// so in a note, and its counts are lower.
#[test]
fn the_log_of_the_run_is_noticed() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let stem = "2015-08-30_20-41-36_faui1-246";
    let database = thesis::unpacked(&data.folder, &format!("{stem}.sqlite"), folder.path());
    thesis::unpacked(&data.folder, &format!("{stem}.log"), folder.path());
    let raw = Report::read(&ReportOptions {
        databases: vec![database],
        ..ReportOptions::default()
    })
    .unwrap();
    assert!(
        raw.notes.iter().any(|note| note.contains("names 978 rows")),
        "{:?}",
        raw.notes
    );
    let of = |report: &Report| report.item("addresses").unwrap().sample;
    assert!(of(&raw) < of(&data.report));
    let unique = [
        67_479, 175_686, 182_597, 39_698, 132_332, 82_556, 110_683, 50_713, 43_718, 24_636,
    ];
    for (torrent, unique) in (1..).zip(unique) {
        assert_eq!(raw.tally().requests.unique(torrent), unique, "{torrent}");
    }
    // Among the lost rows was the highest count of a tracker.
    let reported = |report: &Report, set: &str| {
        let item = report.item("confirmed_reported_unique").unwrap();
        item.table("sets").unwrap().cell(set, "reported").cloned()
    };
    assert_eq!(reported(&raw, "total"), Some(Cell::Integer(72_753)));
    assert_eq!(reported(&data.report, "total"), Some(Cell::Integer(72_773)));
}
