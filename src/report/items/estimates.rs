//! The size of swarms, estimated by capture and recapture.

use super::sum;
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped};
use crate::report::statistics::capture::{Estimate, Schnabel, chapman};
use crate::storage::archive::WaySeen;

/// The estimates of a study.
struct Sizes {
    table: Table,
    /// Sum of those of the first hour.
    at_start: f64,
    /// Addresses that were seen.
    seen: u64,
    /// Estimates whose assumptions do not hold.
    contradicted: u64,
}

fn sizes(study: &Study) -> Sizes {
    let requests = &study.tally.requests;
    let columns = [
        "torrent:i",
        "method:t",
        "samples:i",
        "recaptures:i",
        "seen:i",
        "estimate:r",
        "low:r",
        "high:r",
        "assumptions:t",
    ];
    let mut table = Table::new("torrents", "Addresses in the swarm, estimated", &columns);
    let mut contradicted = 0;
    let mut row = |torrent: u32, method: &str, census: &Schnabel, seen: u64| {
        let (samples, again) = (census.samples, census.recaptured);
        if let Some(it) = census.estimate() {
            let holds = it.high >= seen as f64;
            contradicted += u64::from(!holds);
            let verdict = if holds {
                "not contradicted"
            } else {
                "contradicted"
            };
            let Estimate { value, low, high } = it;
            table.row(cells![
                torrent, method, samples, again, seen, value, low, high, verdict
            ]);
        }
    };
    let (mut at_start, mut seen) = (0.0, 0);
    for &torrent in study.tally.torrents.keys() {
        if let Some(census) = requests.census_at_start.get(&torrent) {
            row(torrent, "first hour", census, census.marked);
            at_start += census.estimate().map_or(0.0, |it| it.value);
        }
        let of_all = requests.census_of_all.get(&torrent);
        let marked = of_all.map_or(0, |it| it.marked);
        if let Some(census) = of_all {
            row(torrent, "whole run", census, marked);
            seen += marked;
        }
        for (way, method) in [
            (WaySeen::Tracker, "whole run, trackers alone"),
            (WaySeen::Dht, "whole run, DHT alone"),
        ] {
            if let Some(census) = requests.census.get(&(torrent, way)) {
                row(torrent, method, census, marked);
            }
        }
    }
    first_answers(study, &mut table);
    Sizes {
        table,
        at_start,
        seen,
        contradicted,
    }
}

/// Estimates from two samples: what was known, and the first answer of another
/// source.
fn first_answers(study: &Study, table: &mut Table) {
    let requests = &study.tally.requests;
    for it in requests.first_answers.iter().filter(|it| it.known > 0) {
        let duplicate = it.duplicate.min(it.received).min(it.known);
        if let Some(estimate) = chapman(it.known, it.received, duplicate) {
            let Estimate { value, low, high } = estimate;
            let method = format!("first answer of {}", it.of);
            let seen = it.known.saturating_add(it.received - duplicate);
            let verdict = "not contradicted";
            table.row(cells![
                it.torrent, method, 2_u64, duplicate, seen, value, low, high, verdict
            ]);
        }
    }
}

pub(super) fn swarm_size(study: &Study) -> Item {
    let requests = &study.tally.requests;
    let Sizes {
        table,
        at_start,
        seen,
        contradicted,
    } = sizes(study);
    Item {
        id: "swarm_size",
        title: "Swarm size by capture and recapture",
        kind: Kind::Addition,
        definition: "How many addresses a swarm has, seen and unseen, from how often trackers and the \
                     DHT named addresses that were known.",
        rule: "Schnabel's census with Chapman's correction: sum(received * known before) / \
               (sum(duplicates) + 1), answers in order of time; limits: Poisson, 95 %. First answers: \
               Chapman, two samples, log-normal limits",
        sample: sum(requests.census_of_all.values().map(|it| it.samples)),
        sample_of: "answers",
        bias: "Assumes a closed swarm, answers drawn at random, and the same chance for every address. \
               Sources that name the same addresses again and again make it too small, addresses that \
               leave make it too large. What peers named each other counts as known, not as an answer. An estimate that is surely below the number of addresses seen \
               is marked as contradicted: the assumptions do not hold there, as is usual for a run of \
               hours, and the limits mean nothing. If trackers alone and the DHT alone differ by more \
               than their limits, the chances are not the same either.",
        finding: match seen {
            0 => "No address was named by trackers or the DHT.".to_owned(),
            _ => format!(
                "In the first hour the swarms had about {} addresses by this estimate; {} were seen in \
                 the whole run. The assumptions are contradicted in {contradicted} of {} estimates.",
                grouped(whole(at_start)),
                grouped(seen),
                table.rows.len()
            ),
        },
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// An estimate as a whole number for a sentence.
pub(super) fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let number = value.round() as u64;
    number
}
