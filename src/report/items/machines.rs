//! Items 10 to 13: trackers, workload, timeout, torrents.

use std::collections::BTreeMap;

use super::percent;
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};
use crate::storage::archive::MonitoringRow;

const RESULTS: [&str; 4] = [
    "announce success",
    "announce fail",
    "scrape success",
    "scrape fail",
];
/// Seconds up to which the histogram of 2015 goes.
pub(in crate::report) const SECONDS_SHOWN: u64 = 31;

pub(super) fn trackers(study: &Study) -> Item {
    let mut by_torrent: BTreeMap<u32, [u64; 4]> = BTreeMap::new();
    let mut reasons: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut sums = [0_u64; 4];
    for ((torrent, _, result, reason), count) in &study.tally.tracker_results {
        let Some(place) = RESULTS.iter().position(|it| it == result) else {
            continue;
        };
        let counts = by_torrent.entry(*torrent).or_default();
        for counts in [counts, &mut sums] {
            if let Some(sum) = counts.get_mut(place) {
                *sum = sum.saturating_add(*count);
            }
        }
        if !reason.is_empty() {
            *reasons.entry((result, reason)).or_default() += count;
        }
    }
    let columns = [
        "torrent:i",
        "announce success:i",
        "announce fail:i",
        "scrape success:i",
        "scrape fail:i",
    ];
    let mut table = Table::new("torrents", "Requests to trackers by torrent", &columns);
    for (torrent, [a, b, c, d]) in by_torrent {
        table.row(cells![torrent, a, b, c, d]);
    }
    let mut failures = Table::new(
        "reasons",
        "Failures by reason",
        &["result:t", "reason:t", "count:i"],
    );
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    for ((result, reason), count) in sorted {
        failures.row(cells![result, reason, count]);
    }
    let [good, bad, scraped, unscraped] = sums;
    Item {
        id: "trackers",
        title: "Responsiveness of trackers",
        kind: Kind::Thesis,
        definition: "Announces and scrapes that were answered, and those that were not.",
        rule: "sum of counts in the tracker error file by torrent and result",
        sample: sums.iter().fold(0, |sum, it| sum.saturating_add(*it)),
        sample_of: "requests to trackers",
        bias: "In 2015 only the main tracker was scraped, and a torrent whose requester had died \
               stopped to appear. Torrents that the result file lacks may be in the error file.",
        finding: format!(
            "Answered were {} of {} announces and {} of {} scrapes.",
            shown_percent(percent(good, good + bad)),
            grouped(good + bad),
            shown_percent(percent(scraped, scraped + unscraped)),
            grouped(scraped + unscraped)
        ),
        tables: vec![table, failures],
        figures: Vec::new(),
    }
}

pub(super) fn workload(study: &Study) -> Item {
    let monitoring = &study.tally.monitoring;
    let columns = ["machine:i", "figure:t", "greatest:r", "mean:r", "values:i"];
    let mut summary = Table::new("summary", "Workload by machine", &columns);
    let columns: Vec<&'static str> = [
        "machine:i",
        "timestamp:i:s",
        "peer_queue:r",
        "visited_queue:r",
        "unique_incoming:r",
        "success_active:r",
        "thread_workload:r",
        "load_average:r",
        "memory_mb:r:MB",
        "server_threads:r",
        "evaluator_threads:r",
    ]
    .into();
    let mut series = Table::new("series", "Workload over time", &columns);
    let mut rows = 0;
    let mut greatest = [None::<f64>; 9];
    for (&machine, of_machine) in &monitoring.machines {
        for (place, name) in MonitoringRow::NAMES.iter().enumerate() {
            if let Some((top, mean, count)) = monitoring.summary(machine, place) {
                summary.row(cells![machine, *name, top, mean, count as u64]);
                if let Some(it) = greatest.get_mut(place) {
                    *it = Some(it.map_or(top, |it| it.max(top)));
                }
            }
        }
        for row in of_machine {
            rows += 1;
            let first = cells![machine, row.timestamp];
            series.row(first.into_iter().chain(row.values.map(Into::into)));
        }
    }
    let [_, _, _, _, workload, load, memory, _, threads] = greatest;
    let shown = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
    Item {
        id: "workload",
        title: "Workload of the machines",
        kind: Kind::Thesis,
        definition: "What the machines and the program's queues did, every statistics interval.",
        rule: "table statistic; machines are column vm, or else the files in their order",
        sample: rows,
        sample_of: "rows",
        bias: "memory_mb is the peak so far, not the present use; load_average is the 15-minute one, so \
               short peaks do not show. Threads and queues are those of the moment of a tick: between two \
               there may have been more.",
        finding: format!(
            "At the ticks at most {} contact threads worked at once (workload up to {} %), with {} MB and a load of {}.",
            threads.map_or_else(|| "-".to_owned(), |it| format!("{it:.0}")),
            shown(workload.map(|it| it * 100.0)),
            shown(memory),
            shown(load)
        ),
        tables: vec![summary, series],
        figures: Vec::new(),
    }
}

pub(super) fn timeout(study: &Study) -> Item {
    let waits = &study.tally.waits;
    let total = waits.total();
    let columns = ["seconds:i:s", "visits:i", "at_most:r:%"];
    let mut table = Table::new(
        "histogram",
        "Longest wait for one message, rounded",
        &columns,
    );
    for second in 0..=SECONDS_SHOWN {
        let count = waits.seconds.get(&second).copied().unwrap_or(0);
        table.row(cells![second, count, percent(waits.at_most(second), total)]);
    }
    let above = total - waits.at_most(SECONDS_SHOWN);
    let mut counts = Table::new("counts", "Counts", &["count:t", "visits:i"]);
    counts.row(cells!["in the list", total]);
    counts.row(cells!["rounded above 31 s", above]);
    let finding = match (waits.within, total) {
        (Some((within, all)), _) => {
            counts.row(cells!["at most the timeout, before rounding", within]);
            counts.row(cells!["of so many", all]);
            format!(
                "In {} of {} visits ({}) every message came within {} s.",
                grouped(within),
                grouped(all),
                shown_percent(percent(within, all)),
                waits.timeout.as_deref().unwrap_or("?")
            )
        }
        (None, 0) => "There is neither a timeout file nor a table of visits.".to_owned(),
        (None, _) => format!(
            "In {} of {} visits every message came within 6 s (rounded).",
            shown_percent(percent(waits.at_most(6), total)),
            grouped(total)
        ),
    };
    Item {
        id: "timeout",
        title: "Calibration of the timeout",
        kind: Kind::Thesis,
        definition: "The longest time that a peer took for one message of a visit.",
        rule: "timeout file, or else visit.longest_wait_ms; rounded to whole seconds, halves to even",
        sample: total,
        sample_of: "visits with a message",
        bias: "Waits above the timeout of the run itself cannot be seen: calibrate with a long one. The \
               list of 2015 has 13 entries fewer than its last line says.",
        finding,
        tables: vec![table, counts],
        figures: Vec::new(),
    }
}

pub(super) fn torrents(study: &Study) -> Item {
    let columns = [
        "torrent:i",
        "set:t",
        "pieces:i",
        "piece_size:i:byte",
        "size:r:GB",
        "trackers:i",
        "threshold:i:pieces",
        "peers:i",
        "name:t",
    ];
    let mut table = Table::new("torrents", "Torrents and sets", &columns);
    let tally = &study.tally;
    for (&id, torrent) in &tally.torrents {
        let row = &torrent.row;
        let peers = tally.peers.by_torrent.get(&id).map_or(0, |it| it.peers);
        table.row(cells![
            id,
            torrent.set.as_str(),
            row.pieces,
            row.piece_size,
            row.gigabyte,
            row.trackers,
            row.threshold,
            peers,
            row.name.clone(),
        ]);
    }
    let count = tally.torrents.len() as u64;
    Item {
        id: "torrents",
        title: "Torrents and sets",
        kind: Kind::Thesis,
        definition: "The torrents of the study. Sets by size, unless a sets file says otherwise: set_a \
                     up to 5 GB, set_b up to 20 GB, set_c above.",
        rule: "table torrent; trackers: number of URLs in announce_url; 1 GB is 10^9 bytes, the last \
               piece counted in full",
        sample: count,
        sample_of: "torrents",
        bias: "The torrents were chosen, not drawn: nothing here says anything about other torrents.",
        finding: format!(
            "Torrents: {}; sets: {}; {:.1} GB in all.",
            grouped(count),
            tally.sets().len(),
            tally
                .torrents
                .values()
                .map(|it| it.row.gigabyte)
                .sum::<f64>()
        ),
        tables: vec![table],
        figures: Vec::new(),
    }
}
