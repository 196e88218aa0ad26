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
        "01-01 00:00",
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
