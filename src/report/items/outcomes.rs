//! Item 5: outcomes of visits, and the labels that the thesis printed wrongly.

use super::{percent, sum};
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped, shown_percent};
use crate::storage::archive::WaySeen;

const EVENTS: [&str; 3] = ["First contact", "Later contact", "Incoming peer"];

/// Successes of an event, from the peers.
/// Visits that counted. Those of a peer with source incoming are calls, unless
/// table visit tells that we called it back, and the other way round.
pub(super) fn successes(study: &Study, event: &str) -> u64 {
    let of = |count: fn(u64, u64) -> u64, called: bool| {
        let visits = study.tally.peers.visits.iter();
        let of_kind = visits.filter(|((way, _), _)| (*way == WaySeen::Incoming) == called);
        sum(of_kind.map(|((_, visits), peers)| count(*visits, *peers)))
    };
    let first = of(|_, peers| peers, false);
    match (event, study.tally.directions) {
        ("First contact", _) => first,
        ("Later contact", Some((outgoing, _))) => outgoing.saturating_sub(first),
        ("Later contact", None) => of(
            |visits, peers| visits.saturating_sub(1).saturating_mul(peers),
            false,
        ),
        ("Incoming peer", Some((_, incoming))) => incoming,
        ("Incoming peer", None) => of(u64::saturating_mul, true),
        _ => 0,
    }
}

pub(super) fn outcomes(study: &Study) -> Item {
    let tally = &study.tally;
    let columns = ["event:t", "outcome:t", "count:i", "share:r:%"];
    let mut table = Table::new("outcomes", "Outcomes of visits", &columns);
    let mut totals = Table::new(
        "totals",
        "Visits and successes",
        &["event:t", "visits:i", "success:i", "success_share:r:%"],
    );
    let mut words = Vec::new();
    let mut all = 0_u64;
    for event in EVENTS {
        let success = successes(study, event);
        let visits = success.saturating_add(tally.errors_of(event));
        all = all.saturating_add(visits);
        table.row(cells![event, "success", success, percent(success, visits)]);
        for ((of, reason), count) in &tally.peer_errors {
            if of == event {
                table.row(cells![
                    event,
                    reason.as_str(),
                    *count,
                    percent(*count, visits)
                ]);
            }
        }
        let share = percent(success, visits);
        totals.row(cells![event, visits, success, share]);
        words.push(format!("{} {}", event.to_lowercase(), shown_percent(share)));
    }
    let finding = if tally.peer_errors.is_empty() {
        "The peer error file is missing or empty: of failures nothing is known.".to_owned()
    } else {
        format!(
            "Successful were, of all visits by kind: {}.",
            words.join(", ")
        )
    };
    Item {
        id: "outcomes",
        title: "Outcomes of visits",
        kind: Kind::Thesis,
        definition: "Visits by how they ended: first contacts of a peer, later ones, and calls of \
                     peers.",
        rule: "errors: peer error file; success of first contacts: peers with source tracker or dht; \
               of later contacts and of callers: rows of table visit by direction, less the first \
               contacts; without that table sum(visits - 1) over these peers, and sum(visits) over peers \
               with source incoming",
        sample: all,
        sample_of: "visits",
        bias: "Errors and successes come from different files: where their runs or torrents differ, \
               the shares are off. In 2015 a failed peer was never tried again; runs of today try \
               again and count a peer by its latest reason.",
        finding,
        tables: vec![totals, table],
        figures: Vec::new(),
    }
}

/// What the form of 2015 printed beside a label, and what belongs there.
const SHIFTED: [(&str, &str); 4] = [
    ("Already in outgoing", "success"),
    ("Peer speaks unknown protocol", "Already in outgoing"),
    ("timed out", "Peer speaks unknown protocol"),
    ("success", "timed out"),
];

pub(super) fn labels(study: &Study) -> Item {
    let tally = &study.tally;
    let event = "Incoming peer";
    let success = successes(study, event);
    let of = |outcome: &str| match outcome {
        "success" => success,
        reason => tally.error(event, reason),
    };
    let all = success.saturating_add(tally.errors_of(event));
    let mut table = Table::new(
        "labels",
        "Outcomes of callers: as they are, and as the form of 2015 printed them",
        &[
            "outcome:t",
            "count:i",
            "share:r:%",
            "printed_in_2015:i",
            "printed_is_really:t",
        ],
    );
    for (label, printed) in SHIFTED {
        let (count, there) = (of(label), of(printed));
        table.row(cells![label, count, percent(count, all), there, printed]);
    }
    for ((_, reason), count) in tally.peer_errors.iter().filter(|((it, _), _)| it == event) {
        if SHIFTED.iter().all(|(label, _)| label != reason) {
            let share = percent(*count, all);
            table.row(cells![
                reason.as_str(),
                *count,
                share,
                *count,
                reason.as_str()
            ]);
        }
    }
    let wrong = of("timed out");
    Item {
        id: "outcomes_of_callers",
        title: "Outcomes of callers with the labels put right",
        kind: Kind::Correction,
        definition: "The part of the outcomes that is about callers. The thesis printed four of its \
                     rows beside the label of another row.",
        rule: "counts by the reasons in the peer error file; success: sum(visits) over peers with source \
               incoming; printed_in_2015: the count that stands beside this label in the thesis's form",
        sample: all,
        sample_of: "calls",
        bias: "The error file holds the proof: it names each reason with its count, and the success \
               count follows from the database alone.",
        finding: format!(
            "Of the calls {} were successful ({} calls); the form of 2015 prints {} there ({}), which is the \
             number that timed out.",
            shown_percent(percent(success, all)),
            grouped(success),
            shown_percent(percent(wrong, all)),
            grouped(wrong)
        ),
        tables: vec![table],
        figures: Vec::new(),
    }
}
