//! Estimates by capture and recapture: swarm size, and missed downloads.

use super::sum;
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped};
use crate::report::statistics::capture::{Estimate, Schnabel, chao, chapman};
use crate::report::statistics::proportion::wilson;
use crate::report::tally::Leechers;
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

/// What is missed: with its limits.
struct Missed {
    leechers: Estimate,
    downloads: Option<Estimate>,
}

/// Downloads among all peers that were below the threshold, seen or not: the
/// share of those followed that finished, times how many there are.
fn downloads(of: &Leechers) -> Missed {
    let leechers = chao(of.seen, of.once, of.twice);
    let followed = of.followed();
    let downloads = wilson(of.confirmed, followed).map(|(low, high)| {
        let share = of.confirmed as f64 / followed as f64;
        // The limits of the two factors, combined in quadrature.
        let relative = |a: f64, b: f64| (a.powi(2) + b.powi(2)).sqrt();
        let below = relative(
            (share - low) / share.max(f64::MIN_POSITIVE),
            (leechers.value - leechers.low) / leechers.value.max(1.0),
        );
        let above = relative(
            (high - share) / share.max(f64::MIN_POSITIVE),
            (leechers.high - leechers.value) / leechers.value.max(1.0),
        );
        let value = share * leechers.value;
        let seen = of.confirmed as f64;
        Estimate {
            value,
            low: (value * (1.0 - below)).max(seen),
            high: if share > 0.0 {
                value * (1.0 + above)
            } else {
                high * leechers.high
            },
        }
    });
    Missed {
        leechers,
        downloads,
    }
}

/// The table, and the sums of contacted peers.
fn missed_table(study: &Study) -> (Table, Leechers) {
    let columns = [
        "torrent:i",
        "peers:t",
        "below:i",
        "once:i",
        "twice:i",
        "confirmed:i",
        "estimated_below:r",
        "estimated_downloads:r",
        "low:r",
        "high:r",
    ];
    let mut table = Table::new(
        "torrents",
        "Downloads with those that were missed",
        &columns,
    );
    let mut total = Leechers::default();
    for ((torrent, called), of) in &study.tally.peers.leechers {
        let it = downloads(of);
        let kind = if *called { "callers" } else { "contacted" };
        table.row(cells![
            *torrent,
            kind,
            of.seen,
            of.once,
            of.twice,
            of.confirmed,
            it.leechers.value,
            it.downloads.map(|it| it.value),
            it.downloads.map(|it| it.low),
            it.downloads.map(|it| it.high),
        ]);
        if !called {
            total.seen += of.seen;
            total.once += of.once;
            total.twice += of.twice;
            total.confirmed += of.confirmed;
        }
    }
    (table, total)
}

pub(super) fn missed(study: &Study) -> Item {
    let (table, total) = missed_table(study);
    let all = downloads(&total).downloads;
    let finding = all.map_or_else(
        || "No contacted peer below the threshold was visited twice.".to_owned(),
        |it| {
            format!(
                "Of contacted peers {} downloads are confirmed; with those that were missed they are \
                 estimated at {} (95 %: {} to {}).",
                grouped(total.confirmed),
                grouped(whole(it.value)),
                grouped(whole(it.low)),
                grouped(whole(it.high))
            )
        },
    );
    Item {
        id: "missed_downloads",
        title: "Downloads that were missed",
        kind: Kind::Addition,
        definition: "Downloads of all peers that were below the threshold: those followed, those visited \
                     once only, and those that were never reached.",
        rule: "peers below the threshold: Chao's lower bound from those visited once and twice; times the \
               share of confirmed downloads among those visited twice or more (Wilson); limits in \
               quadrature, 95 %; at the run's threshold",
        sample: total.seen,
        sample_of: "contacted peers below the threshold",
        bias: "Assumes that peers which could not be followed finish as often as the others, and that \
               chances of a visit differ between peers but not with their progress. Visits end when a \
               peer is complete, so fast peers have few visits and weigh too much in the bound. Peers \
               that nobody names or that accept no connection are not in it: it is no count of all \
               downloads in the swarm.",
        finding,
        tables: vec![table],
        figures: Vec::new(),
    }
}

/// An estimate as a whole number for a sentence.
fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let number = value.round() as u64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 peers below the threshold, each reached by each of 4 visits with
    /// chance 1/2 (binomial), a third of them downloading: followed are those
    /// seen twice or more.
    #[test]
    fn downloads_of_a_known_population() {
        // Seen 0 to 4 times: 62.5, 250, 375, 250, 62.5 of 1,000.
        let of = Leechers {
            seen: 937,
            once: 250,
            twice: 375,
            confirmed: 229,
        };
        let it = downloads(&of);
        assert!((it.leechers.value - 1000.0).abs() < 40.0);
        let downloads = it.downloads.unwrap();
        assert!(
            downloads.low < 333.0 && 333.0 < downloads.high,
            "{downloads:?}"
        );
        assert!(
            (downloads.value / 333.0 - 1.0).abs() < 0.05,
            "{downloads:?}"
        );
    }

    /// 100 seeded populations of 1,000, each peer visited a binomial number of
    /// times, a third of them downloading: the limits hold the truth at least
    /// as often as they say. Where fast peers are visited less often, which
    /// the item names as its bias, they fail.
    #[test]
    fn limits_hold_the_downloads_of_seeded_populations() {
        let covered = |chance_of_downloaders: u64| {
            let of_seed = |seed: u64| {
                let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut percent = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 11) % 100
                };
                let (mut of, mut truth) = (Leechers::default(), 0);
                for _ in 0..1000 {
                    let finishes = percent() < 33;
                    let chance = if finishes { chance_of_downloaders } else { 50 };
                    let visits = (0..4).filter(|_| percent() < chance).count();
                    truth += u64::from(finishes);
                    of.seen += u64::from(visits > 0);
                    of.once += u64::from(visits == 1);
                    of.twice += u64::from(visits == 2);
                    of.confirmed += u64::from(finishes && visits >= 2);
                }
                let it = downloads(&of).downloads.unwrap();
                it.low <= truth as f64 && truth as f64 <= it.high
            };
            (1..=100).filter(|seed| of_seed(*seed)).count()
        };
        let (equal, faster) = (covered(50), covered(20));
        assert!(equal >= 90, "{equal} of 100");
        assert!(faster <= 10, "{faster} of 100");
    }

    #[test]
    fn nothing_seen_and_nothing_finished() {
        assert!(downloads(&Leechers::default()).downloads.is_none());
        let of = Leechers {
            seen: 10,
            once: 4,
            twice: 6,
            confirmed: 0,
        };
        let it = downloads(&of).downloads.unwrap();
        assert_eq!((it.value, it.low), (0.0, 0.0));
        assert!(it.high > 0.0);
    }
}
