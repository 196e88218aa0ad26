//! Items 2 to 4: confirmed downloads.

use std::collections::BTreeMap;

use super::{percent, sum};
use crate::report::inputs::Study;
use crate::report::item::{
    Cell, Column, ColumnKind, Item, Kind, Table, cells, grouped, shown_percent,
};
use crate::report::statistics::hours::hour_name;
use crate::report::tally::StudiedTorrent;

const LOWER_BOUND: &str = "A lower bound: a download counts only if the peer was reached below the \
    threshold and again at or above it. Peers behind a NAT that do not call, downloads shorter than \
    the time between two visits, and peers that leave when they are done are missed. In 2015, and \
    with run.identity = \"2015\", all callers with one address are taken for one peer, which can also \
    make downloads up.";

pub(super) fn confirmed(study: &Study) -> Item {
    let tally = &study.tally;
    let mut by_torrent = with_thresholds(
        Table::new(
            "torrents",
            "Confirmed downloads by torrent",
            &["torrent:i", "set:t"],
        ),
        study,
    );
    for (&id, torrent) in &tally.torrents {
        let mut row = cells![id, torrent.set.as_str()].to_vec();
        row.extend(counts(study, &std::iter::once(id)));
        by_torrent.row(row);
    }
    let mut by_set = with_thresholds(
        Table::new("sets", "Confirmed downloads by set", &["set:t"]),
        study,
    );
    for set in tally.sets() {
        let mut row = cells![set.as_str()].to_vec();
        row.extend(counts(study, &tally.in_set(&set).map(|it| it.row.id)));
        by_set.row(row);
    }
    let mut row = cells!["total"].to_vec();
    row.extend(counts(study, &tally.torrents.keys().copied()));
    by_set.row(row);
    let peers = sum(tally.peers.by_torrent.values().map(|it| it.peers));
    let all = tally.confirmed_in_all();
    Item {
        id: "confirmed",
        title: "Confirmed downloads",
        kind: Kind::Thesis,
        definition: "A peer that had fewer pieces than the threshold when it was first visited, and \
                     at least the threshold at its latest visit.",
        rule: "last_pieces not NULL and first_pieces < ceil(threshold * pieces_count) <= last_pieces \
               (peer), for each threshold up to the run's",
        sample: peers,
        sample_of: "peers visited",
        bias: LOWER_BOUND,
        finding: format!(
            "{} confirmed downloads at threshold {} among {} peers ({}).",
            grouped(all),
            study.thresholds.main(),
            grouped(peers),
            shown_percent(percent(all, peers))
        ),
        tables: vec![by_set, by_torrent],
        figures: Vec::new(),
    }
}

/// Adds a column for each threshold, as `0.98`, and the unit.
fn with_thresholds(mut table: Table, study: &Study) -> Table {
    table
        .columns
        .extend(study.thresholds.values.iter().map(|it| Column {
            name: format!("{it:.2}"),
            kind: ColumnKind::Integer,
            unit: None,
        }));
    table
}

fn counts(study: &Study, torrents: &(impl Iterator<Item = u32> + Clone)) -> Vec<Cell> {
    (0..study.thresholds.values.len())
        .map(|place| sum(torrents.clone().map(|id| study.tally.confirmed(id, place))).into())
        .collect()
}

/// Confirmed, reported and unique of some torrents; reported is unknown if it
/// is for all of them.
struct Compared {
    confirmed: u64,
    reported: Option<i64>,
    unique: u64,
    /// Confirmed and unique of those of which reported is known.
    where_reported: (u64, u64),
}

impl Compared {
    fn of<'a>(study: &Study, torrents: impl Iterator<Item = &'a StudiedTorrent>) -> Self {
        let tally = &study.tally;
        let mut all = Self {
            confirmed: 0,
            reported: None,
            unique: 0,
            where_reported: (0, 0),
        };
        for torrent in torrents {
            let id = torrent.row.id;
            let (confirmed, unique) = (tally.confirmed(id, 0), tally.requests.unique(id));
            all.confirmed += confirmed;
            all.unique = all.unique.saturating_add(unique);
            if let Some(reported) = tally.requests.reported(id) {
                all.where_reported.0 += confirmed;
                all.where_reported.1 = all.where_reported.1.saturating_add(unique);
                all.reported = Some(all.reported.unwrap_or(0).saturating_add(reported));
            }
        }
        all
    }

    fn cells(&self) -> [Cell; 6] {
        let reported = self.reported.and_then(|it| u64::try_from(it).ok());
        let (confirmed, unique) = self.where_reported;
        let of_reported = reported.and_then(|it| percent(confirmed, it));
        let reported_of = reported.and_then(|it| percent(it, unique));
        cells![
            self.confirmed,
            self.reported,
            self.unique,
            of_reported,
            percent(self.confirmed, self.unique),
            reported_of
        ]
    }
}

const COMPARED: [&str; 6] = [
    "confirmed:i",
    "reported:i",
    "unique:i",
    "confirmed_of_reported:r:%",
    "confirmed_of_unique:r:%",
    "reported_of_unique:r:%",
];

pub(super) fn against_reported(study: &Study) -> Item {
    let tally = &study.tally;
    let columns = |first: &[&'static str]| [first, &COMPARED].concat();
    let mut by_set = Table::new(
        "sets",
        "Confirmed, reported and unique by set",
        &columns(&["set:t"]),
    );
    for set in tally.sets() {
        let compared = Compared::of(study, tally.in_set(&set));
        by_set.row(cells![set.as_str()].into_iter().chain(compared.cells()));
    }
    let all = Compared::of(study, tally.torrents.values());
    by_set.row(cells!["total"].into_iter().chain(all.cells()));
    let first = ["torrent:i", "set:t", "size:r:GB"];
    let mut by_torrent = Table::new("torrents", "The same by torrent", &columns(&first));
    for (&id, torrent) in &tally.torrents {
        let compared = Compared::of(study, std::iter::once(torrent));
        let first = cells![id, torrent.set.as_str(), torrent.row.gigabyte];
        by_torrent.row(first.into_iter().chain(compared.cells()));
    }
    let reported = all.reported.and_then(|it| u64::try_from(it).ok());
    let finding = match reported {
        None => {
            "No tracker told its number of downloads, so there is nothing to compare with.".into()
        }
        Some(reported) => format!(
            "Confirmed downloads are {} of the {} that the main trackers report, and {} of the {} unique \
             addresses.",
            shown_percent(percent(all.confirmed, reported)),
            grouped(reported),
            shown_percent(percent(all.confirmed, all.unique)),
            grouped(all.unique)
        ),
    };
    Item {
        id: "confirmed_reported_unique",
        title: "Confirmed against reported downloads and unique addresses, by size",
        kind: Kind::Thesis,
        definition: "Confirmed downloads beside the rise of the main tracker's counter of downloads \
                     and beside unique addresses of all sources.",
        rule: "reported: max(completed) - min(completed) per torrent (request); unique: \
               sum(received_peers - duplicate_peers) per torrent over all sources; shares with reported: of \
               the torrents whose counter was read",
        sample: all.confirmed,
        sample_of: "confirmed downloads",
        bias: "Reported downloads are what clients tell one tracker: those that never tell it are \
               missing, those that tell it twice count twice, and a counter that starts again breaks \
               max - min (see the item on resets). Unique addresses are more than peers.",
        finding,
        tables: vec![by_set, by_torrent],
        figures: Vec::new(),
    }
}

pub(super) fn per_hour(study: &Study) -> Item {
    let tally = &study.tally;
    let reported = tally.requests.reported_by_hour();
    let confirmed = &tally.peers.confirmed_by_hour;
    let mut keys: Vec<(u32, i64)> = confirmed.keys().chain(reported.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let columns = ["torrent:i", "hour:t", "confirmed:i", "reported:i"];
    let mut by_torrent = Table::new("torrents", "Downloads by torrent and hour (UTC)", &columns);
    let mut sets: BTreeMap<(&str, i64), (u64, Option<i64>)> = BTreeMap::new();
    for (torrent, hour) in keys {
        let key = (torrent, hour);
        let count = confirmed.get(&key).copied().unwrap_or(0);
        let rise = reported.get(&key).copied();
        by_torrent.row(cells![torrent, hour_name(hour), count, rise]);
        let set = tally
            .torrents
            .get(&torrent)
            .map_or("", |it| it.set.as_str());
        let sums = sets.entry((set, hour)).or_default();
        sums.0 += count;
        sums.1 = rise.map_or(sums.1, |rise| {
            Some(sums.1.unwrap_or(0).saturating_add(rise))
        });
    }
    let columns = ["set:t", "hour:t", "confirmed:i", "reported:i"];
    let mut by_set = Table::new("sets", "Downloads by set and hour (UTC)", &columns);
    let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
    for ((set, hour), (count, rise)) in sets {
        by_set.row(cells![set, hour_name(hour), count, rise]);
        *hours.entry(hour).or_default() += count;
    }
    let busiest = hours.iter().max_by_key(|(_, count)| **count);
    Item {
        id: "downloads_per_hour",
        title: "Downloads per hour",
        kind: Kind::Thesis,
        definition: "Confirmed downloads by the hour in which the peer was first seen, and reported \
                     downloads by hour.",
        rule: "confirmed: hour of first_seen; reported: differences of the least value of completed in \
               each hour, the last hour dropped; hours are UTC, with year",
        sample: tally.confirmed_in_all(),
        sample_of: "confirmed downloads",
        bias: "The hour is that of the first contact, not of the download: the first hours are too \
               high and the last too low, since peers that were there from the beginning are all first \
               seen then (see the item on crossings). A torrent's hours do not add up to max - min.",
        finding: busiest.map_or_else(
            || "There was no confirmed download.".to_owned(),
            |(hour, count)| {
                format!(
                    "The most confirmed downloads, {}, are of peers first seen in the hour {}; hours with \
                     any: {}.",
                    grouped(*count),
                    hour_name(*hour),
                    hours.len()
                )
            },
        ),
        tables: vec![by_set, by_torrent],
        figures: Vec::new(),
    }
}
