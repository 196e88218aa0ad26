//! What a person sees while a run goes on: a status line on a terminal, else
//! a plain line at intervals. Both go to standard error.

use std::collections::VecDeque;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::analyzer::stats::Snapshot;
use crate::live::DhtFigures;
use crate::outside::one_line;

/// Interval of plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(60);

/// Visits per second are the mean of this time.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Everything the line shows.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    /// The engine's figures now.
    pub(super) now: Snapshot,
    /// Contacts ended per second since the line before.
    pub(super) visits_per_second: f64,
    /// Peers waiting.
    pub(super) queue: usize,
    /// Contacts that had to wait for a limit so far.
    pub(super) held_back: u64,
    /// Offers turned away so far because of their address.
    pub(super) barred: u64,
    /// Configured workers.
    pub(super) workers: usize,
    /// Peers that we stay with now, with `revisit.observe = "stay"`.
    pub(super) stays: Option<usize>,
    /// Trackers asked so far (each once for each of its torrents), and those
    /// of them that failed at the last request; the same for those that are
    /// asked over IPv6 beside IPv4.
    pub(super) trackers: [(usize, usize); 2],
    /// State of the DHT node, with `-d`.
    pub(super) dht: Option<String>,
    /// Figures of our own DHT node.
    pub(super) dht_node: Option<DhtFigures>,
    /// Magnet links without metadata.
    pub(super) magnets: usize,
    /// Confirmed downloads stored so far.
    pub(super) confirmed: u64,
    /// Rows stored so far.
    pub(super) rows: u64,
    /// Records that wait for the writer.
    pub(super) unwritten: usize,
    /// Rows in spool files, because the database takes none.
    pub(super) spooled: u64,
    /// Rows lost for good.
    pub(super) lost: u64,
    /// Log lines of level WARNING and up so far.
    pub(super) warnings: u64,
    /// Threads that ended before their time.
    pub(super) restarts: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = &self.now;
        write!(
            f,
            "confirmed {}, {:.1} visits/s, ",
            self.confirmed, self.visits_per_second
        )?;
        match now.contacts() {
            0 => write!(f, "success -, ")?,
            all => write!(
                f,
                "success {:.1} %, ",
                now.contacts_counted as f64 / all as f64 * 100.0
            )?,
        }
        write!(
            f,
            "queue {}, contacts {}/{}, ",
            self.queue, now.contacts_active, self.workers
        )?;
        if let Some(stays) = self.stays {
            write!(f, "stays {stays}, ")?;
        }
        let names = ["trackers", "over IPv6 too"];
        for (name, (asked, failing)) in names.into_iter().zip(self.trackers) {
            if asked > 0 {
                write!(f, "{name} {}/{asked}, ", asked.saturating_sub(failing))?;
            }
        }
        if let Some(dht) = &self.dht {
            write!(f, "dht {dht}, ")?;
        }
        write!(
            f,
            "callers {} ({} evaluated), ",
            now.callers_active, now.callers_counted
        )?;
        write!(
            f,
            "rows {} (+{} waiting), warnings {}",
            self.rows, self.unwritten, self.warnings
        )?;
        if self.held_back > 0 {
            write!(f, ", held back {}", self.held_back)?;
        }
        if self.barred > 0 {
            write!(f, ", barred {}", self.barred)?;
        }
        if self.spooled > 0 {
            write!(f, ", spooled {}", self.spooled)?;
        }
        if self.lost > 0 {
            write!(f, ", LOST {}", self.lost)?;
        }
        if self.magnets > 0 {
            write!(f, ", magnets {} pending", self.magnets)?;
        }
        if self.restarts > 0 {
            write!(f, ", threads ended early {}", self.restarts)?;
        }
        Ok(())
    }
}

/// Shows the figures in the way that fits standard error.
pub(super) struct Status {
    bar: Option<ProgressBar>,
    /// Snapshots shown within [`RATE_WINDOW`], the oldest first.
    shown: VecDeque<Snapshot>,
    last_plain: Option<Instant>,
}

impl Status {
    /// `quiet` when the log itself goes to the console.
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
            let style = ProgressStyle::with_template("[{elapsed}] {wide_msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self {
            // A terminal that cannot move its cursor gets plain lines.
            bar: bar.filter(|bar| !bar.is_hidden()),
            shown: VecDeque::new(),
            last_plain: None,
        }
    }

    /// Contacts ended per second over the last [`RATE_WINDOW`] or since the
    /// line before, whichever is longer.
    pub(super) fn rate(&self, now: &Snapshot) -> f64 {
        let Some(last) = self.shown.front() else {
            return 0.0;
        };
        let seconds = now.at.saturating_duration_since(last.at).as_secs_f64();
        if seconds > 0.0 {
            (now.contacts() - last.contacts()) as f64 / seconds
        } else {
            0.0
        }
    }

    /// Whether a line is due at `now`: on a terminal always.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.bar.is_some()
            || self
                .last_plain
                .is_none_or(|last| now.saturating_duration_since(last) >= PLAIN_INTERVAL)
    }

    /// Shows `figures`.
    pub(super) fn show(&mut self, figures: &Figures) {
        let now = figures.now;
        let old = |then: &Snapshot| now.at.saturating_duration_since(then.at) > RATE_WINDOW;
        while self.shown.front().is_some_and(old) {
            self.shown.pop_front();
        }
        self.shown.push_back(now);
        if let Some(bar) = &self.bar {
            bar.set_message(figures.to_string());
            bar.tick();
        } else {
            self.last_plain = Some(figures.now.at);
            say(&figures.to_string());
        }
    }

    /// Says one thing that stays on the screen.
    pub(super) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Takes the status line away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line on standard error; when nobody can read it, nothing is lost. Names
/// of files in it cannot disturb the terminal.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", one_line(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::stats::Stats;

    fn figures(now: Snapshot) -> Figures {
        Figures {
            now,
            visits_per_second: 12.34,
            queue: 900,
            held_back: 0,
            barred: 0,
            workers: 64,
            stays: None,
            trackers: [(4, 1), (0, 0)],
            dht: Some("9 nodes".to_owned()),
            dht_node: None,
            magnets: 0,
            confirmed: 3,
            rows: 42,
            unwritten: 1,
            spooled: 0,
            lost: 0,
            warnings: 2,
            restarts: 0,
        }
    }

    #[test]
    fn the_line_reads_well() {
        let start = Instant::now();
        let stats = Stats::new(start);
        let text = figures(stats.snapshot(start)).to_string();
        assert!(
            text.starts_with("confirmed 3, 12.3 visits/s, success -, queue 900, contacts 0/64, "),
            "{text}"
        );
        stats.contact_counted();
        (0..3).for_each(|_| stats.contact_failed());
        let text = figures(stats.snapshot(start)).to_string();
        assert!(
            text.contains("success 25.0 %") && text.ends_with("rows 42 (+1 waiting), warnings 2"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_in_the_database_is_shown() {
        let start = Instant::now();
        let text = Figures {
            stays: Some(0),
            held_back: 5,
            barred: 6,
            spooled: 7,
            lost: 1,
            restarts: 2,
            ..figures(Stats::new(start).snapshot(start))
        };
        let wanted = "warnings 2, held back 5, barred 6, spooled 7, LOST 1, threads ended early 2";
        assert!(text.to_string().ends_with(wanted), "{text}");
        assert!(
            text.to_string().contains("contacts 0/64, stays 0, "),
            "{text}"
        );
    }

    #[test]
    fn rates_are_between_two_lines() {
        let start = Instant::now();
        let stats = Stats::new(start);
        let mut shown = Status {
            bar: None,
            shown: VecDeque::new(),
            last_plain: None,
        };
        let first = stats.snapshot(start);
        assert!(shown.rate(&first).abs() < f64::EPSILON);
        shown.shown.push_back(first);
        (0..30).for_each(|_| stats.contact_failed());
        let later = stats.snapshot(start + Duration::from_secs(10));
        assert!((shown.rate(&later) - 3.0).abs() < 1e-9);
        assert!(shown.is_due(start));
        shown.last_plain = Some(start);
        assert!(!shown.is_due(start + Duration::from_secs(59)));
        assert!(shown.is_due(start + Duration::from_secs(60)));
    }
}
