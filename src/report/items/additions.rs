//! Corrections and additions that are counts: downloads by crossing, counters
//! that start again, overlap, clients, and the fault of 2015.

use std::collections::BTreeMap;

use super::{percent, sum};
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};
use crate::report::statistics::hours::hour_name;
use crate::report::tally::ClientPeers;
use crate::storage::archive::WaySeen;

pub(super) fn by_crossing(study: &Study) -> Item {
    let peers = &study.tally.peers;
    let mut hours: BTreeMap<(&str, i64), (f64, u64)> = BTreeMap::new();
    let set = |torrent: &u32| {
        study
            .tally
            .torrents
            .get(torrent)
            .map_or("", |it| it.set.as_str())
    };
    for ((torrent, hour), share) in &peers.crossed_by_hour {
        hours.entry((set(torrent), *hour)).or_default().0 += share;
    }
    for ((torrent, hour), count) in &peers.confirmed_by_hour {
        hours.entry((set(torrent), *hour)).or_default().1 += count;
    }
    let columns = ["set:t", "hour:t", "crossed:r", "first_seen:i"];
    let mut table = Table::new("sets", "Downloads by set and hour (UTC)", &columns);
    for ((set, hour), (share, count)) in hours {
        table.row(cells![set, hour_name(hour), share, count]);
    }
    let (seconds, brackets) = peers.brackets;
    let mean = (brackets > 0).then(|| seconds / brackets as f64);
    Item {
        id: "downloads_by_crossing",
        title: "Downloads per hour by the time of crossing",
        kind: Kind::Correction,
        definition: "Confirmed downloads by the hour in which the threshold was reached, instead of \
                     the hour of the first contact.",
        rule: "each confirmed download spread evenly over its bracket: the time between the last visit \
               below and the first at or above the threshold (the first row of the peer in table \
               crossing); without that table between first_seen and last_seen",
        sample: brackets,
        sample_of: "brackets",
        bias: "Within its bracket the time of a download is unknown; the wider the brackets, the \
               smoother the curve. Brackets of 2015 are as wide as the peer was watched; of callers, \
               which go on calling, they end too late.",
        finding: mean.map_or_else(
            || "There was no confirmed download.".to_owned(),
            |mean| {
                format!(
                    "The time of each of {} downloads is known to {} on average.",
                    grouped(brackets),
                    shown_time(mean)
                )
            },
        ),
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// Seconds below two minutes, minutes above.
fn shown_time(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} minutes", seconds / 60.0)
    }
}

pub(super) fn resets(study: &Study) -> Item {
    let requests = &study.tally.requests;
    let columns = [
        "torrent:i",
        "tracker:t",
        "readings:i",
        "max_minus_min:i",
        "increase:i",
        "resets:i",
    ];
    let mut table = Table::new("trackers", "Rise of the counters of downloads", &columns);
    let mut resets = 0;
    let mut counters = 0;
    let main = requests
        .completed
        .iter()
        .map(|(torrent, it)| (*torrent, "main tracker (request)", it));
    let all = requests
        .scrapes
        .iter()
        .map(|((torrent, url), it)| (*torrent, url.as_str(), it));
    for (torrent, tracker, it) in main.chain(all) {
        counters += 1;
        resets += it.resets;
        table.row(cells![
            torrent,
            tracker,
            it.readings,
            it.range,
            it.risen,
            it.resets
        ]);
    }
    let fallen = requests.completed.values().chain(requests.scrapes.values());
    let fallen = fallen.filter(|it| it.resets > 0).count();
    let finding = match counters {
        0 => "No tracker told its counter.".to_owned(),
        _ => format!(
            "Of {counters} counters, {fallen} fell at least once ({} falls in all).",
            grouped(resets)
        ),
    };
    Item {
        id: "reported_resets",
        title: "Reported downloads of every tracker, with counters that start again",
        kind: Kind::Correction,
        definition: "How much each tracker's counter of downloads rose. max - min, the rule of 2015, \
                     takes a counter that starts again for downloads.",
        rule: "increase: sum of all rises between consecutive readings; a fall counts as a new start \
               and adds nothing (table scrape; the main tracker also from request.completed)",
        sample: counters,
        sample_of: "counters",
        bias: "The increase is a lower bound: what was counted around a new start is not seen. Several \
               trackers must not be added up, since clients tell all of them. A tracker behind several \
               servers with counters of their own looks as if it started again at each reading.",
        finding,
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// Addresses by tracker, and callers that had been contacted before.
fn overlap_tables(study: &Study) -> (Table, Table) {
    let requests = &study.tally.requests;
    let columns = [
        "torrent:i",
        "tracker:t",
        "answers:i",
        "total:i",
        "unique:i",
        "new:r:%",
    ];
    let mut trackers = Table::new("trackers", "Addresses by tracker", &columns);
    for ((torrent, url), it) in &requests.trackers {
        let new = percent(it.unique(), it.received);
        trackers.row(cells![
            *torrent,
            url.as_str(),
            it.requests,
            it.received,
            it.unique(),
            new
        ]);
    }
    let twice = study.tally.error("Incoming peer", "Already in outgoing");
    let calls = super::outcomes::successes(study, "Incoming peer");
    let mut callers = Table::new(
        "callers",
        "Callers that had been contacted before",
        &["what:t", "calls:i"],
    );
    callers.row(cells!["already in outgoing", twice]);
    callers.row(cells!["successful calls", calls]);
    (trackers, callers)
}

pub(super) fn overlap(study: &Study) -> Item {
    let requests = &study.tally.requests;
    let columns = [
        "torrent:i",
        "source:t",
        "known_before:i",
        "received:i",
        "already_known:i",
        "overlap:r:%",
    ];
    let mut first = Table::new(
        "first_answers",
        "First answer of each source to a torrent",
        &columns,
    );
    let (mut received, mut known) = (0, 0);
    for it in requests.first_answers.iter().filter(|it| it.known > 0) {
        let share = percent(it.duplicate, it.received);
        first.row(cells![
            it.torrent,
            it.of.as_str(),
            it.known,
            it.received,
            it.duplicate,
            share
        ]);
        if it.of == WaySeen::Dht.as_str() {
            received += it.received;
            known += it.duplicate;
        }
    }
    let (trackers, callers) = overlap_tables(study);
    Item {
        id: "overlap",
        title: "Overlap of sources and of trackers",
        kind: Kind::Addition,
        definition: "How many addresses of a source were known already: of its first answer to a \
                     torrent, which holds no repetition of its own.",
        rule: "duplicate_peers / received_peers of the first row of each tracker (by announce.url) and \
               of the first lookup that found peers, where something was known before",
        sample: first.rows.len() as u64,
        sample_of: "first answers",
        bias: "One answer of a tracker is at most 50 or 200 addresses of many, so the overlap of the \
               whole lists is larger. A lookup can hold an address twice, which counts as known. \
               Results of 2015 do not say which tracker answered: only the DHT is shown for them.",
        finding: match percent(known, received) {
            None => "No lookup of the DHT found peers behind an answer of a tracker.".to_owned(),
            share => format!(
                "Of the addresses in first lookups of the DHT, {} were known from trackers.",
                shown_percent(share)
            ),
        },
        tables: vec![first, trackers, callers],
        figures: Vec::new(),
    }
}

pub(super) fn clients(study: &Study) -> Item {
    let clients = &study.tally.peers.clients;
    let all = sum(clients.values().map(|it| it.peers));
    let mut sorted: Vec<_> = clients.iter().collect();
    sorted.sort_by(|a, b| b.1.peers.cmp(&a.1.peers).then(a.0.cmp(b.0)));
    let columns = ["client:t", "code:t", "peers:i", "share:r:%"];
    let mut table = Table::new("clients", "Peers by client", &columns);
    for (client, counts) in &sorted {
        let share = percent(counts.peers, all);
        table.row(cells![
            client.to_string(),
            client.code(),
            counts.peers,
            share
        ]);
    }
    let most: Vec<_> = sorted
        .iter()
        .take(3)
        .map(|(client, it)| format!("{client} {}", shown_percent(percent(it.peers, all))))
        .collect();
    Item {
        id: "clients",
        title: "Clients",
        kind: Kind::Addition,
        definition: "Peers by the client that their peer id names.",
        rule: "peer.client: two characters behind a hyphen (Azureus style), or one letter before a \
               version with hyphens (Mainline style); all else is other",
        sample: all,
        sample_of: "peers",
        bias: "A peer id is a claim: some clients name another. Some put random characters, which are \
               under other.",
        finding: if most.is_empty() {
            "There are no peers.".to_owned()
        } else {
            format!("The commonest clients are {}.", most.join(", "))
        },
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// Clients with the signature marked, and the names of the commonest of them.
fn marked_clients(study: &Study) -> (Table, Vec<String>) {
    let peers = &study.tally.peers;
    let columns = [
        "client:t",
        "code:t",
        "peers:i",
        "complete:i",
        "with_every_piece:i",
        "share:r:%",
        "nearly:i",
        "count_fell:i",
        "signature:t",
    ];
    let mut clients = Table::new("clients", "Clients and the fault's signature", &columns);
    let mut sorted: Vec<_> = peers
        .clients
        .iter()
        .filter(|(_, it)| it.complete > 0)
        .collect();
    sorted.sort_by(|a, b| b.1.complete.cmp(&a.1.complete).then(a.0.cmp(b.0)));
    let mut marked = Vec::new();
    for (client, it) in sorted {
        if it.is_suspect() && marked.len() < 4 {
            marked.push(client.to_string());
        }
        clients.row(cells![
            client.to_string(),
            client.code(),
            it.peers,
            it.complete,
            it.whole,
            percent(it.whole, it.complete),
            it.nearly,
            it.fallen,
            if it.is_suspect() { "yes" } else { "no" },
        ]);
    }
    (clients, marked)
}

/// Suspect downloads by torrent; all confirmed downloads, and the suspect ones.
fn suspect_downloads(study: &Study) -> (Table, u64, u64) {
    let peers = &study.tally.peers;
    let mut by_torrent: BTreeMap<u32, [u64; 3]> = BTreeMap::new();
    for ((torrent, client), (all, late)) in &peers.confirmed_by_client {
        let [confirmed, of_marked, suspect] = by_torrent.entry(*torrent).or_default();
        *confirmed += all;
        if peers
            .clients
            .get(client)
            .is_some_and(ClientPeers::is_suspect)
        {
            *of_marked += all;
            *suspect += late;
        }
    }
    let columns = [
        "torrent:i",
        "confirmed:i",
        "of_marked_clients:i",
        "suspect:i",
        "suspect_share:r:%",
    ];
    let mut torrents = Table::new("torrents", "Suspect confirmed downloads", &columns);
    let (mut confirmed, mut suspect) = (0, 0);
    for (torrent, [all, of_marked, late]) in by_torrent {
        confirmed += all;
        suspect += late;
        torrents.row(cells![torrent, all, of_marked, late, percent(late, all)]);
    }
    (torrents, confirmed, suspect)
}

pub(super) fn have_fault(study: &Study) -> Item {
    let (clients, marked) = marked_clients(study);
    let (torrents, confirmed, suspect) = suspect_downloads(study);
    Item {
        id: "have_fault",
        title: "Signature of the have-message fault of 2015",
        kind: Kind::Addition,
        definition: "The program of 2015 counted pieces wrongly that a peer announced by have messages. \
                     Clients that leave pieces out of their bitfield and announce them afterwards then \
                     never show every piece, and a seed can fall below the threshold and rise again.",
        rule: "signature: at least 30 peers at or above the threshold, fewer than 5 % of them with every \
               piece; suspect: a confirmed download of such a client that had 90 % of the pieces or \
               more when first seen; count_fell: max_speed < 0",
        sample: confirmed,
        sample_of: "confirmed downloads",
        bias: "A suspect download may be real: somebody who had 90 % and finished. One that is not \
               suspect may be wrong too, if more pieces were left out. Runs of today should show no \
               client with the signature.",
        finding: if marked.is_empty() {
            "No client shows the signature.".to_owned()
        } else {
            format!(
                "Clients with the signature: {} and others alike; {} of {} confirmed downloads ({}) are \
                 suspect.",
                marked.join(", "),
                grouped(suspect),
                grouped(confirmed),
                shown_percent(percent(suspect, confirmed))
            )
        },
        tables: vec![clients, torrents],
        figures: Vec::new(),
    }
}
