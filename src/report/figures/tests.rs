//! Figures of few numbers.

use super::columns::hours;
use super::*;
use crate::report::item::cells;

#[test]
fn axes_name_units_and_series() {
    let mut table = Table::new(
        "hours",
        "",
        &["hour:t", "source:t", "unique:i", "duplicate:i"],
    );
    for (hour, count) in [("2015-12-31T23Z", 4_u64), ("2016-01-01T00Z", 9)] {
        table.row(cells![hour, "tracker", count, 2_u64]);
    }
    let svg = curves::addresses(&table).unwrap();
    for text in [
        "Trackers: addresses per hour",
        "new",
        "known",
        "UTC, from 2015-12-31 23:00",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    let times = hours(&table);
    assert!((times[1].unwrap() - times[0].unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn names_from_outside_are_escaped() {
    let mut table = Table::new(
        "sets",
        "",
        &["set:t", "hour:t", "confirmed:i", "reported:i"],
    );
    table.row(cells!["<script>", "2015-12-31T23Z", 1_u64, None::<u64>]);
    let columns = [("confirmed", "confirmed")];
    let svg = curves::by_set("t", &table, &columns).unwrap();
    assert!(
        !svg.contains("<script>") && svg.contains("&lt;script&gt;"),
        "{svg}"
    );
}

#[test]
fn numbers_on_axes_are_short() {
    let shown = [0.0, 0.25, 7.0, 9_999.0, 25_000.0, 1_500_000.0].map(panels::short);
    assert_eq!(shown, ["0", "0.25", "7", "9999", "25k", "1.5M"]);
}

/// One panel for each torrent, by number and not by letters.
#[test]
fn a_decade_has_three_names() {
    let named = |log| {
        let values = (1..=10).map(|it| marks::on_axis(f64::from(it), log));
        values.filter(|it| !it.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(named(true), ["1", "2", "5", "10"]);
    assert_eq!(named(false).len(), 10);
    for (value, name) in [(0.02, "0.02"), (0.03, ""), (1000.0, "1000"), (2e6, "2M")] {
        assert_eq!(marks::on_axis(value, true), name);
    }
}

#[test]
fn torrents_have_panels_in_order() {
    let columns = ["torrent:i", "hour:t", "confirmed:i", "reported:i"];
    let mut table = Table::new("torrents", "", &columns);
    for torrent in [10_u64, 9, 100] {
        table.row(cells![torrent, "2015-12-31T23Z", 1_u64, None::<u64>]);
    }
    let svg = curves::by_torrent("t", &table, &PER_HOUR).unwrap();
    let place = |torrent| svg.find(&format!("Torrent {torrent}:")).unwrap();
    assert!(place(9) < place(10) && place(10) < place(100));
}

/// Names of a time axis are at round times, few, and of a form that fits: for
/// a run of a minute as for one of a month.
#[test]
fn times_are_round() {
    let mut table = Table::new(
        "hours",
        "",
        &["hour:t", "source:t", "unique:i", "duplicate:i"],
    );
    for hour in ["2015-08-30T18Z", "2015-08-31T08Z", "2015-09-01T05Z"] {
        table.row(cells![hour, "tracker", 4_u64, 2_u64]);
    }
    let svg = curves::addresses(&table).unwrap();
    for text in ["08-31 00:00", "08-31 06:00", "09-01 00:00"] {
        assert!(svg.contains(text), "{text}");
    }
    let shown = |from: f64, to: f64| {
        let points = vec![(from, 1.0), (to, 2.0)];
        let panel = panels::Panel {
            title: String::new(),
            series: vec![panels::Series::new("", BLUE, points)],
        };
        panels::draw("t", &[panel], 1).unwrap()
    };
    let day = 400_008.0;
    assert!(shown(day, day + 1.0 / 30.0).contains("00:01:00"));
    assert!(shown(day + 0.1, day + 0.9).contains("00:30"));
    assert!(shown(day, day + 24.0 * 20.0).contains("08-27"));
    assert!(shown(day, day + 24.0 * 3000.0).contains("2015-"));
    // What has other names in each panel is named in each, what has the same
    // ones is named once.
    let svg = |names: [&str; 2]| {
        let panel = |name: &str| panels::Panel {
            title: String::new(),
            series: [name, "both"]
                .iter()
                .zip([BLUE, GREEN])
                .map(|(name, colour)| panels::Series::new(name, colour, vec![(day, 1.0)]))
                .collect(),
        };
        panels::draw("t", &names.map(panel), 1).unwrap()
    };
    let count = |svg: String, name: &str| svg.matches(name).count();
    assert_eq!(count(svg(["one", "one"]), "\nboth\n"), 1);
    assert_eq!(count(svg(["one", "other"]), "\nboth\n"), 2);
    // One time only: a point that can be seen.
    assert!(svg(["one", "one"]).contains("<circle"));
    assert!(!shown(day, day + 1.0).contains("<circle"));
}
