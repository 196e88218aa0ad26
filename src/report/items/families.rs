//! What was found over IPv4 and over IPv6.

use super::{percent, sum};
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};

fn peers(study: &Study) -> Table {
    let columns = ["torrent:i", "family:i", "peers:i", "confirmed:i"];
    let mut table = Table::new("peers", "Evaluated peers by address family", &columns);
    for ((torrent, family), of) in &study.tally.families.peers {
        let family = u32::from(*family);
        table.row(cells![*torrent, family, of.peers, of.confirmed]);
    }
    table
}

fn answers(study: &Study) -> Table {
    let columns = [
        "torrent:i",
        "family:i",
        "answers:i",
        "received:i",
        "new:i",
        "seeders_max:i",
        "leechers_max:i",
    ];
    let title = "Answers of trackers by the family they were asked over";
    let mut table = Table::new("answers", title, &columns);
    for ((torrent, family), of) in &study.tally.families.answers {
        let family = u32::from(*family);
        let new = of.received.saturating_sub(of.duplicate);
        table.row(cells![
            *torrent,
            family,
            of.answers,
            of.received,
            new,
            of.seeders,
            of.leechers
        ]);
    }
    table
}

/// `sixth` of `peers` peers, and of `confirmed` downloads, are of IPv6.
fn finding(peers: u64, sixth: u64, confirmed: (u64, u64)) -> String {
    if peers == 0 {
        return "The results say nothing of it: they are of 2015 or without peers.".to_owned();
    }
    format!(
        "{} of {} evaluated peers ({}) have an IPv6 address, and {} of {} confirmed downloads are theirs.",
        grouped(sixth),
        grouped(peers),
        shown_percent(percent(sixth, peers)),
        grouped(confirmed.1),
        grouped(confirmed.0)
    )
}

pub(super) fn families(study: &Study) -> Item {
    let all = &study.tally.families.peers;
    let sixth = || all.iter().filter(|((_, family), _)| *family == 6);
    let count = sum(all.values().map(|of| of.peers));
    let confirmed = sum(all.values().map(|of| of.confirmed));
    let of_sixth = sum(sixth().map(|(_, of)| of.confirmed));
    let sixth = sum(sixth().map(|(_, of)| of.peers));
    Item {
        id: "families",
        title: "IPv4 and IPv6",
        kind: Kind::Addition,
        definition: "Peers by the family of their address, confirmed by the threshold of their own \
                     run; answers by the family over which the tracker was asked, with the peers in \
                     them, and the most seeders and leechers that one of them told.",
        rule: "peers: peer with a row in peer_ipv6 or without; answers: announce.family, with \
               received_peers and duplicate_peers of the row of request",
        sample: count,
        sample_of: "peers",
        bias: "Somebody with an address of each family is two peers. An answer over IPv4 may name \
               peers of IPv6 and the reverse. Trackers asked by a proxy, and those that strangers \
               named, are in no row of answers.",
        finding: finding(count, sixth, (confirmed, of_sixth)),
        tables: vec![peers(study), answers(study)],
        figures: Vec::new(),
    }
}
