//! Item 1: addresses per source, in all and per hour.

use std::collections::BTreeMap;

use super::{percent, sum};
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};
use crate::report::statistics::hours::hour_name;
use crate::report::tally::Asked;
use crate::storage::archive::WaySeen;

pub(super) fn addresses(study: &Study) -> Item {
    let requests = &study.tally.requests;
    let of = |way: WaySeen| {
        let asked = requests.asked.iter().filter(|((_, of), _)| *of == way);
        asked.fold(Asked::default(), |sum, (_, asked)| sum.plus(*asked))
    };
    let mut table = Table::new(
        "sources",
        "Addresses by source",
        &["source:t", "requests:i", "total:i", "unique:i", "new:r:%"],
    );
    let mut all = Asked::default();
    let mut shares = Vec::new();
    for way in requests.ways() {
        let asked = of(way);
        all = all.plus(asked);
        let (name, new) = (way.as_str(), percent(asked.unique(), asked.received));
        shares.push(format!("{name} {}", shown_percent(new)));
        let (requests, total, unique) = (asked.requests, asked.received, asked.unique());
        table.row(cells![name, requests, total, unique, new]);
    }
    let new = percent(all.unique(), all.received);
    table.row(cells![
        "total",
        all.requests,
        all.received,
        all.unique(),
        new
    ]);
    Item {
        id: "addresses",
        title: "Addresses per source",
        kind: Kind::Thesis,
        definition: "Addresses that trackers, the DHT and callers brought (and other peers, pex, which \
                     2015 did not ask), and how many of them were new. An address is an address and \
                     port of one torrent (of a caller: without its port, but where it listens if it told \
                     that).",
        rule: "by source: sum(received_peers); sum(received_peers - duplicate_peers) from request, \
               and of pex from exchange; hours are UTC",
        sample: all.received,
        sample_of: "addresses received",
        bias: "Unique addresses are more than peers: one peer has several over time (dynamic \
               addresses), and the same address may be in several torrents. The sources \
               overlap, since an address counts for the source that was first; callers are counted \
               apart from the others, so an address can be in both.",
        finding: format!(
            "{} of {} addresses were new ({}): {}.",
            grouped(all.unique()),
            grouped(all.received),
            shown_percent(new),
            shares.join(", ")
        ),
        tables: vec![
            table,
            per_torrent(study),
            per_hour(study),
            per_torrent_and_hour(study),
            sizes(study),
        ],
        figures: Vec::new(),
    }
}

fn per_torrent(study: &Study) -> Table {
    let mut table = Table::new(
        "torrents",
        "Addresses by torrent and source",
        &["torrent:i", "source:t", "requests:i", "total:i", "unique:i"],
    );
    for &torrent in study.tally.torrents.keys() {
        for way in study.tally.requests.ways() {
            let it = study.tally.requests.of(torrent, way);
            table.row(cells![
                torrent,
                way.as_str(),
                it.requests,
                it.received,
                it.unique()
            ]);
        }
    }
    table
}

fn per_hour(study: &Study) -> Table {
    let mut hours: BTreeMap<(i64, WaySeen), Asked> = BTreeMap::new();
    for ((_, hour, way), asked) in &study.tally.requests.by_hour {
        let sum = hours.entry((*hour, *way)).or_default();
        *sum = sum.plus(*asked);
    }
    let mut table = Table::new(
        "hours",
        "Addresses by hour (UTC) and source",
        &["hour:t", "source:t", "unique:i", "duplicate:i"],
    );
    for ((hour, way), asked) in hours {
        table.row(cells![
            hour_name(hour),
            way.as_str(),
            asked.unique(),
            asked.duplicate
        ]);
    }
    table
}

fn per_torrent_and_hour(study: &Study) -> Table {
    let columns = ["torrent:i", "hour:t", "source:t", "unique:i", "duplicate:i"];
    let title = "Addresses by torrent, hour (UTC) and source";
    let mut table = Table::new("torrent_hours", title, &columns);
    for ((torrent, hour, way), asked) in &study.tally.requests.by_hour {
        table.row(cells![
            *torrent,
            hour_name(*hour),
            way.as_str(),
            asked.unique(),
            asked.duplicate
        ]);
    }
    table
}

/// Commonest sizes of an answer.
fn sizes(study: &Study) -> Table {
    let mut table = Table::new(
        "answers",
        "Commonest numbers of addresses in one answer",
        &["source:t", "addresses:i", "answers:i", "share:r:%"],
    );
    for way in [WaySeen::Tracker, WaySeen::Dht] {
        let sizes = study.tally.requests.sizes.iter();
        let mut sizes: Vec<_> = sizes
            .filter(|((of, _), _)| *of == way)
            .map(|((_, size), count)| (*size, *count))
            .collect();
        let all = sum(sizes.iter().map(|(_, count)| *count));
        sizes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        for (size, count) in sizes.into_iter().take(5) {
            table.row(cells![way.as_str(), size, count, percent(count, all)]);
        }
    }
    table
}
