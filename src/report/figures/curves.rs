//! Figures of curves over time: addresses, downloads and workload.

use super::columns::{hours, numbers, points, texts};
use super::panels::{self, Panel, Series};
use super::{BLUE, Drawn, ORANGE, colour};
use crate::report::item::Table;

/// Panels for torrents; further ones are in the tables only.
const TORRENTS_SHOWN: usize = 40;

/// Sources with their names in figures.
const SOURCES: [(&str, &str); 4] = [
    ("tracker", "Trackers"),
    ("dht", "DHT"),
    ("incoming", "Callers"),
    ("pex", "Other peers"),
];

pub(super) fn addresses(table: &Table) -> Drawn {
    let (keys, x) = (texts(table, "source"), hours(table));
    let unique = points(&keys, &x, &numbers(table, "unique"));
    let mut duplicate = points(&keys, &x, &numbers(table, "duplicate"));
    let panels = SOURCES.into_iter().filter_map(|(key, title)| {
        let unique = unique.get(key)?.clone();
        Some(Panel {
            title: format!("{title}: addresses per hour"),
            series: vec![
                Series::new("new", BLUE, unique),
                Series::new("known", ORANGE, duplicate.remove(key).unwrap_or_default()),
            ],
        })
    });
    panels::draw(
        "Addresses per hour and source",
        &panels.collect::<Vec<_>>(),
        1,
    )
}

/// New addresses of each torrent, a curve for each source.
pub(super) fn addresses_by_torrent(table: &Table) -> Drawn {
    let (torrents, sources) = (texts(table, "torrent"), texts(table, "source"));
    let (x, unique) = (hours(table), numbers(table, "unique"));
    let panels = shown(&torrents).into_iter().map(|torrent| {
        let series = SOURCES.into_iter().enumerate();
        let series = series.filter_map(|(place, (key, name))| {
            let is_here = |row: &usize| {
                torrents.get(*row) == Some(&torrent)
                    && sources.get(*row).is_some_and(|it| it == key)
            };
            let rows = (0..torrents.len()).filter(is_here);
            let at = |of: &[Option<f64>], row: usize| of.get(row).copied().flatten();
            let points = rows.filter_map(|row| Some((at(&x, row)?, at(&unique, row)?)));
            let points: Vec<_> = points.collect();
            (!points.is_empty()).then(|| Series::new(name, colour(place), points))
        });
        Panel {
            title: format!("Torrent {torrent}: new addresses per hour"),
            series: series.collect(),
        }
    });
    let title = "New addresses per hour and torrent";
    panels::draw(title, &panels.collect::<Vec<_>>(), 2)
}

/// Downloads per hour of each set: a curve for each column.
pub(super) fn by_set(title: &str, table: &Table, columns: &[(&str, &str)]) -> Drawn {
    let mut sets = texts(table, "set");
    sets.sort();
    sets.dedup();
    let names = sets.into_iter().map(|set| (set.clone(), set));
    panels::draw(title, &per_hour(table, "set", names, columns), 1)
}

/// Downloads per hour of each torrent.
pub(super) fn by_torrent(title: &str, table: &Table, columns: &[(&str, &str)]) -> Drawn {
    let shown = shown(&texts(table, "torrent")).into_iter();
    let names = shown.map(|torrent| (torrent.clone(), format!("Torrent {torrent}")));
    panels::draw(title, &per_hour(table, "torrent", names, columns), 2)
}

/// A panel for each value of the column `key`, with its name.
fn per_hour(
    table: &Table,
    key: &str,
    names: impl Iterator<Item = (String, String)>,
    columns: &[(&str, &str)],
) -> Vec<Panel> {
    let (keys, x) = (texts(table, key), hours(table));
    let mut series: Vec<_> = columns
        .iter()
        .map(|(column, name)| (*name, points(&keys, &x, &numbers(table, column))))
        .collect();
    let panel = |(value, name): (String, String)| {
        let series = series.iter_mut().enumerate();
        let series = series.map(|(place, (name, points))| {
            let points = points.remove(&value).unwrap_or_default();
            Series::new(name, colour(place), points)
        });
        Panel {
            title: format!("{name}: downloads per hour"),
            series: series.collect(),
        }
    };
    names.map(panel).collect()
}

/// The torrents of a column that have a panel, in order of their numbers.
fn shown(torrents: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = torrents.to_vec();
    shown.sort_by_key(|it| (it.len(), it.clone()));
    shown.dedup();
    shown.truncate(TORRENTS_SHOWN);
    shown
}

pub(super) fn workload(table: &Table) -> Drawn {
    let machines = texts(table, "machine");
    let x: Vec<_> = numbers(table, "timestamp")
        .into_iter()
        .map(|it| it.map(|it| it / 3600.0))
        .collect();
    let shown = [
        ("thread_workload", "Share of busy contact threads"),
        ("evaluator_threads", "Contacts in progress"),
        ("server_threads", "Callers being evaluated"),
        ("peer_queue", "Peers that wait for a contact"),
        ("visited_queue", "Visits that wait to be stored"),
        ("memory_mb", "Peak memory / MB"),
        ("load_average", "Load average, 15 minutes"),
        ("unique_incoming", "Unique callers so far"),
    ];
    let panels = shown.into_iter().map(|(column, title)| {
        let by_machine = points(&machines, &x, &numbers(table, column));
        let series = by_machine.into_iter().enumerate();
        Panel {
            title: title.to_owned(),
            series: series
                .map(|(place, (machine, points))| {
                    Series::new(&format!("machine {machine}"), colour(place), points)
                })
                .collect(),
        }
    });
    panels::draw("Workload of the machines", &panels.collect::<Vec<_>>(), 2)
}
