//! Downloads that were missed: capture and recapture for peers that were never
//! reached, a life table for those that were lost from sight.

use super::estimates::whole;
use crate::report::inputs::Study;
use crate::report::item::{Item, Kind, Table, cells, grouped};
use crate::report::statistics::capture::{Estimate, chao_unseen, lognormal};
use crate::report::statistics::follow_up::{Expected, FollowUp};
use crate::report::tally::Leechers;

/// Downloads of peers that were below the threshold: expected ones with their
/// variances.
#[derive(Debug, Clone, Copy, Default)]
struct Missed {
    confirmed: u64,
    /// Of peers that were seen, after their last visit.
    lost: Expected,
    /// Peers that were never seen.
    unseen: f64,
    /// Their downloads.
    unreached: Expected,
}

impl Missed {
    /// Of peers of one kind; `None` if they were hardly followed.
    fn of(of: &Leechers, followed: &FollowUp) -> Option<Self> {
        let lost = followed.unseen_events()?;
        let unseen = chao_unseen(of.seen, of.once, of.twice);
        let share = (of.confirmed as f64 + lost.value) / of.seen.max(1) as f64;
        let share = share.min(1.0);
        let ratio = unseen.value / of.seen.max(1) as f64;
        // The lost are in both parts, and the share is estimated.
        let variance = share * share * unseen.variance
            + (1.0 + ratio) * share * (1.0 - share) * unseen.value
            + ratio * (2.0 + ratio) * lost.variance;
        Some(Self {
            confirmed: of.confirmed,
            lost,
            unseen: unseen.value,
            unreached: Expected {
                value: share * unseen.value,
                variance,
            },
        })
    }

    fn add(&mut self, other: &Self) {
        let sum = |a: Expected, b: Expected| Expected {
            value: a.value + b.value,
            variance: a.variance + b.variance,
        };
        self.confirmed += other.confirmed;
        self.lost = sum(self.lost, other.lost);
        self.unseen += other.unseen;
        self.unreached = sum(self.unreached, other.unreached);
    }

    /// All downloads.
    fn estimate(&self) -> Estimate {
        let seen = self.confirmed as f64;
        let value = seen + self.lost.value + self.unreached.value;
        lognormal(seen, value, self.lost.variance + self.unreached.variance)
    }
}

/// The table, and the sums of contacted peers and of callers.
fn table(study: &Study) -> (Table, [Missed; 2]) {
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
        "lost:r",
        "unreached:r",
    ];
    let title = "Downloads with those that were missed";
    let mut table = Table::new("torrents", title, &columns);
    let mut totals = [Missed::default(); 2];
    let nobody = FollowUp::default();
    for (key, of) in &study.tally.peers.leechers {
        let (torrent, called) = *key;
        let followed = study.tally.peers.follow_ups.get(key).unwrap_or(&nobody);
        let it = Missed::of(of, followed);
        let estimate = it.map(|it| it.estimate());
        table.row(cells![
            torrent,
            if called { "callers" } else { "contacted" },
            of.seen,
            of.once,
            of.twice,
            of.confirmed,
            it.map(|it| of.seen as f64 + it.unseen),
            estimate.map(|it| it.value),
            estimate.map(|it| it.low),
            estimate.map(|it| it.high),
            it.map(|it| it.lost.value),
            it.map(|it| it.unreached.value),
        ]);
        if let Some(total) = totals.get_mut(usize::from(called)) {
            total.add(&it.unwrap_or(Missed {
                confirmed: of.confirmed,
                ..Missed::default()
            }));
        }
    }
    (table, totals)
}

/// What the sum of peers of one kind says.
fn sentence(kind: &str, of: &Missed) -> String {
    let it = of.estimate();
    format!(
        "Of {kind} {} downloads are confirmed; with some {} after the last visit and {} of peers never \
         reached they are estimated at {} (95 %: {} to {}).",
        grouped(of.confirmed),
        grouped(whole(of.lost.value)),
        grouped(whole(of.unreached.value)),
        grouped(whole(it.value)),
        grouped(whole(it.low)),
        grouped(whole(it.high))
    )
}

pub(super) fn missed(study: &Study) -> Item {
    let (table, totals) = table(study);
    let kinds = ["contacted peers", "callers"].into_iter().zip(&totals);
    let known = kinds.filter(|(_, of)| of.confirmed > 0 || of.lost.value > 0.0);
    let finding: Vec<_> = known.map(|(kind, of)| sentence(kind, of)).collect();
    let leechers = &study.tally.peers.leechers;
    Item {
        id: "missed_downloads",
        title: "Downloads that were missed",
        kind: Kind::Addition,
        definition: "Downloads in the time of the run of all peers that were below the threshold at \
                     their first visit: those confirmed, those after the last visit of peers that were \
                     lost from sight (lost), and those of peers that were never reached (unreached).",
        rule: "lost: life table with a constant hazard in each 16th of the run since the first visit, \
               confirmed downloads as events, all others censored at their last visit, and the chance of \
               each to finish before the end of the run, if it had not by its last visit. unreached: \
               Chao's lower bound of the peers below the threshold that were never seen, from those \
               visited once and twice, times the share of the seen that finish. Limits: log-normal, 95 %, \
               above the confirmed; of a sum, variances added. At the run's threshold",
        sample: super::sum(leechers.values().map(|it| it.seen)),
        sample_of: "peers below the threshold",
        bias: "Assumes that being lost from sight says nothing of finishing, and that all peers of a \
               torrent and kind are alike but for the time since their first visit. Peers that leave \
               when they are done are lost because they finish: the estimate is then too small. Peers \
               that fail because they have given up make it too large. Peers that nobody names or that \
               accept no connection at any time have no chance of a visit and are not in it, nor are \
               downloads that ended before the first visit: it is no count of all downloads in the \
               swarm. Visits are made at planned times and end when a peer is complete, so peers seen \
               once and twice are fewer or more than chance would have it: Chao's part is rough where \
               it is large, and limits then hold the truth less often than 95 %: they leave out what \
               the assumptions cost. Rows without an estimate, of peers that were followed for less than \
               one whole run in all, are in the sums with their confirmed downloads alone. On practice swarms of known truth the README shows how far each takes it.",
        finding: if finding.is_empty() {
            "Nobody below the threshold was followed for long enough for an estimate.".to_owned()
        } else {
            finding.join(" ")
        },
        tables: vec![table],
        figures: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: nobody is lost, and 40 seen once and 20 twice stand for 37.1
    /// that were never seen, of whom as many finish as of the 100 seen.
    #[test]
    fn peers_never_reached_finish_as_often_as_others() {
        let of = Leechers {
            seen: 100,
            once: 40,
            twice: 20,
            confirmed: 50,
        };
        let mut followed = FollowUp::default();
        (0..50).for_each(|_| followed.event(0.5));
        let it = Missed::of(&of, &followed).unwrap();
        assert_eq!(it.lost, Expected::default());
        let unseen = 1560.0 / 42.0;
        assert!((it.unseen - unseen).abs() < 1e-9);
        assert!((it.unreached.value - unseen / 2.0).abs() < 1e-9);
        let all = it.estimate();
        assert!((all.value - 50.0 - unseen / 2.0).abs() < 1e-9);
        assert!(50.0 < all.low && all.low < all.value && all.value < all.high);
        assert!(Missed::of(&of, &FollowUp::default()).is_none());
    }

    /// Who was followed to the end of the run is certain.
    #[test]
    fn nothing_is_missed_of_peers_that_were_never_lost() {
        let of = Leechers {
            seen: 8,
            once: 0,
            twice: 8,
            confirmed: 3,
        };
        let mut followed = FollowUp::default();
        (0..3).for_each(|_| followed.event(0.25));
        (0..5).for_each(|_| followed.lost(0.75, 0.75));
        let it = Missed::of(&of, &followed).unwrap().estimate();
        assert_eq!((it.value, it.low, it.high), (3.0, 3.0, 3.0));
    }
}
