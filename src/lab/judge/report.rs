//! The judgement as a table for people and as JSON for programs. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use super::judgement::{Failures, Judgement, TorrentJudgement};
use crate::model::Reason;

/// Least width of the column of reasons.
const REASON_WIDTH: usize = 33;

impl Judgement {
    /// Several lines, each with its end.
    pub fn table(&self) -> String {
        let mut text = String::new();
        self.write_torrents(&mut text);
        self.write_failures(&mut text);
        self.write_classes(&mut text);
        self.write_rates(&mut text);
        for finding in &self.findings {
            line(&mut text, format_args!("  {finding}"));
        }
        text
    }

    fn write_torrents(&self, text: &mut String) {
        line(
            text,
            format_args!(
                "                  addresses   called peers        callers            piece counts    confirmed downloads"
            ),
        );
        line(
            text,
            format_args!(
                "torrent pieces  learnt  named  counted   true  counted   true    exact  wrong missing  counted  true  story"
            ),
        );
        let mut all = TorrentJudgement::default();
        for (number, torrent) in (1..).zip(&self.torrents) {
            write_torrent(text, &format!("{number}"), torrent);
            all.add(torrent);
        }
        write_torrent(text, "all", &all);
    }

    fn write_failures(&self, text: &mut String) {
        let reasons = self.failures.keys();
        let longest = reasons.map(|(_, reason)| reason.chars().count()).max();
        let width = longest.unwrap_or(0).max(REASON_WIDTH);
        line(
            text,
            format_args!(
                "\n{:<head$} {:>9} {:>6}  caused by",
                "failed contacts",
                "counted",
                "true",
                head = width + "caller ".len(),
            ),
        );
        for ((calls, reason), failures) in &self.failures {
            let who = if *calls { "caller" } else { "called" };
            let (counted, causes) = (failures.counted, failures.causes());
            if is_unseen(*calls, reason) {
                let cause = "refuses, refuses-first; the system answers, the lab sees nothing";
                line(
                    text,
                    format_args!("{who} {reason:<width$} {counted:>9}      -  {cause}"),
                );
            } else {
                let happened = failures.happened();
                line(
                    text,
                    format_args!("{who} {reason:<width$} {counted:>9} {happened:>6}  {causes}"),
                );
            }
        }
    }

    fn write_classes(&self, text: &mut String) {
        line(
            text,
            format_args!(
                "\nclass             parties  story   true  counted   recall  piece counts exact  missing"
            ),
        );
        for it in &self.classes {
            let (counted, seen) = it.confirmed;
            line(
                text,
                format_args!(
                    "{:<17} {:>7} {:>6} {seen:>6} {counted:>8} {:>8} {:>19} {:>8}",
                    it.class,
                    it.parties,
                    it.happened,
                    percent(counted.min(it.happened), it.happened),
                    it.exact,
                    it.missing,
                ),
            );
        }
    }

    fn classes_json(&self) -> Vec<Value> {
        let classes = self.classes.iter().map(|it| {
            let (counted, seen) = it.confirmed;
            json!({
                "class": it.class,
                "parties": it.parties,
                "happened": it.happened,
                "confirmed": {"counted": counted, "true": seen},
                "recall": share(counted.min(it.happened), it.happened),
                "piece_counts": {"exact": it.exact, "missing": it.missing},
            })
        });
        classes.collect()
    }

    fn write_rates(&self, text: &mut String) {
        let (counted, seen, happened) = self.downloads();
        let [peers, dht, callers] = self.sources();
        let real = counted.saturating_sub(self.false_confirmed);
        line(
            text,
            format_args!(
                "\npeers by source: tracker {} of {}, dht {} of {}, incoming {} of {}",
                peers.0, peers.1, dht.0, dht.1, callers.0, callers.1
            ),
        );
        self.write_magnets(text);
        line(
            text,
            format_args!(
                "precision {:>8}  {real} of {counted} confirmed downloads took place",
                percent(real, counted)
            ),
        );
        line(
            text,
            format_args!(
                "recall    {:>8}  {counted} of {seen} downloads that the contacts could show",
                percent(counted.min(seen), seen)
            ),
        );
        line(
            text,
            format_args!(
                "          {:>8}  {counted} of {happened} downloads that happened in the story, seen or not",
                percent(counted.min(happened), happened)
            ),
        );
        line(
            text,
            format_args!(
                "callers   {:>8}  of {} that told where they listen were called back in time",
                self.called_back.0, self.called_back.1
            ),
        );
        self.write_crossings(text);
        self.write_effort(text);
        let verdict = if self.is_exact() {
            "exact"
        } else {
            "NOT EXACT"
        };
        line(text, format_args!("verdict: {verdict}"));
    }

    fn write_crossings(&self, text: &mut String) {
        let it = &self.crossings;
        if let (Some(median), Some(longest)) = (it.median(), it.longest()) {
            line(
                text,
                format_args!(
                    "crossings {:>8}  {} of {} of class finishes hold the peer's own time; median width {median} ms, at most {longest} ms",
                    percent(it.hold, it.brackets),
                    it.hold,
                    it.brackets
                ),
            );
        }
    }

    fn write_effort(&self, text: &mut String) {
        line(
            text,
            format_args!(
                "contacts  {:>8}  {} of them broken off or too slow, judged within bounds",
                self.contacts, self.open
            ),
        );
        let memory = self
            .memory_mb
            .map_or("-".to_owned(), |it| format!("{it:.0} MB"));
        line(
            text,
            format_args!(
                "analyzer: at most {memory} of memory, threads that ended early: {}",
                self.threads_ended_early
            ),
        );
    }

    fn write_magnets(&self, text: &mut String) {
        let it = &self.magnets;
        if it.links > 0 {
            line(
                text,
                format_args!(
                    "magnet links: {}, asked for {}, resolved {} of {} that peers gave, exact {}",
                    it.links, it.asked, it.resolved, it.given, it.exact
                ),
            );
        }
    }

    /// Rows of peers of trackers, of peers of the DHT and of callers, counted
    /// and true.
    fn sources(&self) -> [(u64, u64); 3] {
        let sum = |pair: fn(&TorrentJudgement) -> (u64, u64)| {
            let all = self.torrents.iter().map(pair);
            all.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
        };
        [sum(|it| it.peers), sum(|it| it.dht), sum(|it| it.callers)]
    }

    /// One object with everything of the table.
    pub fn to_json(&self) -> Value {
        let pair = |(counted, truth): (u64, u64)| json!({"counted": counted, "true": truth});
        let torrents: Vec<Value> = (1..)
            .zip(&self.torrents)
            .map(|(number, it)| {
                json!({
                    "torrent": number,
                    "pieces": it.pieces,
                    "addresses": {"learnt": it.addresses, "named": it.addresses_named},
                    "called_peers": pair(it.called()),
                    "of_the_dht": pair(it.dht),
                    "callers": pair(it.callers),
                    "piece_counts": {"exact": it.exact, "wrong": it.wrong, "missing": it.missing},
                    "confirmed": pair(it.confirmed),
                    "happened": it.happened,
                })
            })
            .collect();
        let (counted, seen, happened) = self.downloads();
        let [peers, dht, callers] = self.sources();
        let magnets = &self.magnets;
        json!({
            "exact": self.is_exact(),
            "findings": self.findings,
            "torrents": torrents,
            "classes": self.classes_json(),
            "failures": self.failures_json(),
            "sources": {"tracker": pair(peers), "dht": pair(dht), "incoming": pair(callers)},
            "magnets": {
                "links": magnets.links,
                "asked": magnets.asked,
                "given": magnets.given,
                "resolved": magnets.resolved,
                "exact": magnets.exact,
            },
            "confirmed": counted,
            "false_confirmed": self.false_confirmed,
            "precision": share(counted.saturating_sub(self.false_confirmed), counted),
            "recall_of_contacts": share(counted.min(seen), seen),
            "recall_of_story": share(counted.min(happened), happened),
            "expected_recall_of_story": share(seen.min(happened), happened),
            "contacts": self.contacts,
            "open": self.open,
            "crossings": {
                "brackets": self.crossings.brackets,
                "hold": self.crossings.hold,
                "median_width_ms": self.crossings.median(),
                "longest_width_ms": self.crossings.longest(),
            },
            "called_back": {"seen": self.called_back.0, "due": self.called_back.1},
            "memory_mb": self.memory_mb,
            "threads_ended_early": self.threads_ended_early,
        })
    }

    fn failures_json(&self) -> Vec<Value> {
        self.failures
            .iter()
            .map(|((calls, reason), it)| {
                let causes = it.causes.iter().map(|(by, count)| (*by, *count));
                let seen = !is_unseen(*calls, reason);
                json!({
                    "direction": if *calls { "incoming" } else { "outgoing" },
                    "reason": reason,
                    "counted": it.counted,
                    "true": seen.then(|| it.happened()),
                    "broken_off": it.broken_off,
                    "by_behaviour": causes.collect::<std::collections::BTreeMap<_, _>>(),
                })
            })
            .collect()
    }
}

impl TorrentJudgement {
    fn add(&mut self, other: &Self) {
        let sum = |a: (u64, u64), b: (u64, u64)| (a.0 + b.0, a.1 + b.1);
        self.addresses += other.addresses;
        self.addresses_named += other.addresses_named;
        self.peers = sum(self.peers, other.peers);
        self.dht = sum(self.dht, other.dht);
        self.callers = sum(self.callers, other.callers);
        self.exact += other.exact;
        self.wrong += other.wrong;
        self.missing += other.missing;
        self.confirmed = sum(self.confirmed, other.confirmed);
        self.happened += other.happened;
    }
}

impl Failures {
    fn causes(&self) -> String {
        let broken_off = (self.broken_off > 0).then_some(("broken off", self.broken_off));
        let causes = self.causes.iter().map(|(by, count)| (*by, *count));
        let causes: Vec<_> = causes
            .chain(broken_off)
            .map(|(by, count)| format!("{by} {count}"))
            .collect();
        causes.join(", ")
    }
}

fn write_torrent(text: &mut String, name: &str, it: &TorrentJudgement) {
    // The sum of all torrents has none.
    let pieces = match it.pieces {
        0 => String::new(),
        pieces => pieces.to_string(),
    };
    line(
        text,
        format_args!(
            "{name:>7} {:>6} {:>7} {:>6} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>7} {:>8} {:>5} {:>6}",
            pieces,
            it.addresses,
            it.addresses_named,
            it.called().0,
            it.called().1,
            it.callers.0,
            it.callers.1,
            it.exact,
            it.wrong,
            it.missing,
            it.confirmed.0,
            it.confirmed.1,
            it.happened,
        ),
    );
}

fn is_unseen(calls: bool, reason: &str) -> bool {
    !calls && reason == Reason::REFUSED.label()
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{line}");
}

/// `None` of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(part: u64, whole: u64) -> String {
    share(part, whole).map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}
