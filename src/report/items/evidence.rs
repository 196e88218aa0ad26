//! How much the addresses of a study have shown, and whose pieces are to be
//! doubted.

use super::{percent, sum};
use crate::model::Evidence;
use crate::model::misreporting::Misreporting;
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};

/// Addresses by torrent and class, and of all torrents.
fn classes(study: &Study) -> Table {
    let columns = [
        "torrent:i",
        "listed:i",
        "answered:i",
        "handshake:i",
        "progress_seen:i",
        "crossing_seen:i",
        "addresses:i",
    ];
    let title = "Addresses by the most that they have shown";
    let mut table = Table::new("classes", title, &columns);
    for (torrent, counts) in &study.tally.evidence.classes {
        let [listed, answered, handshake, progress, crossing] = *counts;
        let all = sum(counts.iter().copied());
        table.row(cells![
            *torrent, listed, answered, handshake, progress, crossing, all
        ]);
    }
    table
}

/// Doubted peers by reason and client.
fn doubts(study: &Study) -> Table {
    let columns = ["reason:t", "client:t", "doubted:i", "peers:i", "share:r:%"];
    let title = "Peers whose pieces are to be doubted";
    let mut table = Table::new("doubts", title, &columns);
    for ((reason, client), doubted) in &study.tally.evidence.doubts {
        let peers = study.tally.peers.clients.get(client);
        let peers = peers.map_or(0, |it| it.peers);
        table.row(cells![
            reason.as_str(),
            client.to_string(),
            *doubted,
            peers,
            percent(*doubted, peers)
        ]);
    }
    table
}

/// The list of known behaviours with the peers of each client.
fn known(study: &Study) -> Table {
    let columns = [
        "prefix:t",
        "client:t",
        "behaviour:t",
        "effect:t",
        "source:t",
        "peers:i",
    ];
    let title = "Clients that are known to announce something else than they have";
    let mut table = Table::new("known", title, &columns);
    let clients = &study.tally.peers.clients;
    for it in Misreporting::all() {
        let peers = clients
            .iter()
            .filter(|(client, _)| it.prefix.is_empty() || client.code() == it.prefix);
        table.row(cells![
            it.prefix,
            it.client,
            it.behaviour,
            it.effect,
            it.source,
            sum(peers.map(|(_, it)| it.peers))
        ]);
    }
    table
}

fn finding(all: [u64; Evidence::COUNT], doubted: u64) -> String {
    let addresses = sum(all.iter().copied());
    if addresses == 0 {
        return "The results say nothing of it: they are of 2015 or of an earlier version, or no \
                address was heard of."
            .to_owned();
    }
    let [listed, .., progress, crossing] = all;
    format!(
        "Of {} addresses {} never took a connection, {} told their pieces and {} ({}) were seen to \
         cross the threshold; {} peers are to be doubted.",
        grouped(addresses),
        shown_percent(percent(listed, addresses)),
        shown_percent(percent(progress.saturating_add(crossing), addresses)),
        grouped(crossing),
        shown_percent(percent(crossing, addresses)),
        grouped(doubted)
    )
}

pub(super) fn evidence(study: &Study) -> Item {
    let tally = &study.tally.evidence;
    let all = tally.all();
    let doubted = sum(tally.doubts.values().copied());
    Item {
        id: "evidence",
        title: "What addresses have shown",
        kind: Kind::Addition,
        definition: "Each address of a torrent in the highest class that it reached: listed (named, \
                     never a connection), answered (a connection, no handshake), handshake (no pieces \
                     told), progress seen, crossing seen (below the threshold and then at it). Doubted \
                     are peers that never told a piece for long, and those whose count fell.",
        rule: "classes: table evidence; doubts: table doubt; known: the program's own list by the first \
               three characters of peer.client, an empty prefix meaning any client",
        sample: sum(all.iter().copied()),
        sample_of: "addresses",
        bias: "Listed addresses were not all tried: some had not had their turn, some were held back. \
               A refused connection leaves an address listed, since a host is no peer. A peer that \
               only called and was named elsewhere, but never reached there, counts in two classes. \
               Pieces taken back in good faith (BEP 54) count as lost; a client on the list of known \
               ones need not do what it can.",
        finding: finding(all, doubted),
        tables: vec![classes(study), doubts(study), known(study)],
        figures: Vec::new(),
    }
}

/// Whether the list and the reader of peer ids mean the same by a client.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tally::Client;

    #[test]
    fn prefixes_are_codes_of_clients() {
        for it in Misreporting::all().filter(|it| !it.prefix.is_empty()) {
            let id = format!("{}1230-", it.prefix);
            assert_eq!(Client::of(Some(&id)).code(), it.prefix);
        }
    }

    #[test]
    fn the_sentence_adds_up() {
        let said = finding([50, 10, 10, 20, 10], 3);
        assert!(said.starts_with("Of 100 addresses 50"), "{said}");
        assert!(said.contains("and 10 (10"), "{said}");
        assert!(finding([0; 5], 0).contains("of 2015"));
    }
}
