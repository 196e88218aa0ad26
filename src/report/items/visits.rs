//! Item 6: visits per peer; and who was due for a second one.

use super::{in_percent, percent, sum};
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};
use crate::report::statistics::proportion::wilson;
use crate::report::statistics::quantile::ecdf;
use crate::report::tally::SecondVisits;
use crate::storage::archive::WaySeen;

/// Visits up to which the histogram of 2015 goes.
pub(in crate::report) const SHOWN: u64 = 20;

pub(super) fn visits(study: &Study) -> Item {
    let visits = &study.tally.peers.visits;
    let columns = ["source:t", "visits:i", "peers:i", "at_most:r:%"];
    let mut table = Table::new("visits", "Peers by number of successful visits", &columns);
    let mut words = Vec::new();
    let mut all = 0;
    for way in WaySeen::ALL {
        let counts: Vec<(u64, u64)> = visits
            .iter()
            .filter(|((of, _), _)| *of == way)
            .map(|((_, visits), peers)| (*visits, *peers))
            .collect();
        let peers = sum(counts.iter().map(|(_, peers)| *peers));
        all += peers;
        for ((visits, share), (_, peers)) in ecdf(counts.iter().copied()).into_iter().zip(&counts) {
            table.row(cells![way.as_str(), visits, *peers, share * 100.0]);
        }
        let once = counts.iter().find(|(visits, _)| *visits == 1);
        let once = once.map_or(0, |(_, peers)| *peers);
        words.push(format!(
            "{} {}",
            way.as_str(),
            shown_percent(percent(once, peers))
        ));
    }
    Item {
        id: "visits",
        title: "Visits per peer",
        kind: Kind::Thesis,
        definition: "Successful visits of each peer that had at least one.",
        rule: "peer.visits by source; the figure shows up to 20 visits, the table all",
        sample: all,
        sample_of: "peers",
        bias: "Contacted peers are not visited again once they are complete, so many visits mean a \
               slow download, or looks (revisit.observe = \"stay\") at a client that tells its \
               pieces late; callers decide themselves how often they call, and in 2015, and with \
               run.identity = \"2015\", all callers of one address are one peer.",
        finding: format!(
            "Only one visit had, of the peers of each source: {}.",
            words.join(", ")
        ),
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// The table, and peers, those visited again, those due and of these visited
/// again, of contacted peers.
fn second_table(study: &Study) -> (Table, SecondVisits) {
    let columns = [
        "source:t",
        "peers:i",
        "second:i",
        "share:r:%",
        "due:i",
        "due_second:i",
        "due_share:r:%",
        "due_share_low:r:%",
        "due_share_high:r:%",
    ];
    let title = "Second visits: of all peers, and of those that were due for one";
    let mut table = Table::new("second", title, &columns);
    let mut contacted = SecondVisits::default();
    for way in WaySeen::ALL {
        let second = &study.tally.peers.second;
        let it = second.get(&way).copied().unwrap_or_default();
        let interval = wilson(it.due_again, it.due);
        table.row(cells![
            way.as_str(),
            it.peers,
            it.again,
            percent(it.again, it.peers),
            it.due,
            it.due_again,
            percent(it.due_again, it.due),
            in_percent(interval.map(|it| it.0)),
            in_percent(interval.map(|it| it.1)),
        ]);
        if way != WaySeen::Incoming {
            contacted.peers += it.peers;
            contacted.again += it.again;
            contacted.due += it.due;
            contacted.due_again += it.due_again;
        }
    }
    (table, contacted)
}

pub(super) fn second_visits(study: &Study) -> Item {
    let (table, contacted) = second_table(study);
    let SecondVisits {
        peers,
        again,
        due,
        due_again,
    } = contacted;
    let seconds = shown_percent(percent(again, peers));
    Item {
        id: "second_visits",
        title: "Second visits among peers that were due for one",
        kind: Kind::Correction,
        definition: "The share of peers with a second successful visit. The thesis counted all peers, \
                     also those that were complete at once and so were never to be visited again.",
        rule: "due: first_pieces < complete_threshold, and first seen at least the revisit delay before \
               the end of the run; second: visits >= 2; interval: Wilson, 95 %",
        sample: due,
        sample_of: "contacted peers that were due",
        bias: "Callers come by themselves, and only those that told where they listen are called back; \
               their figures are given for comparison. \
               Peers that became unreachable and peers that left cannot be told apart.",
        finding: if due == 0 {
            format!("Of contacted peers {seconds} had a second visit; none was due for one.")
        } else {
            format!(
                "Of contacted peers {seconds} had a second visit, but of the {} that were due for one it is {}.",
                grouped(due),
                shown_percent(percent(due_again, due))
            )
        },
        tables: vec![table],
        figures: Vec::new(),
    }
}
