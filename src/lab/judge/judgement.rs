//! What comes of the comparison. Pure.

use std::collections::BTreeMap;

use crate::model::Source;

/// What was counted beside what was true.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// One entry for each torrent of the plan.
    pub torrents: Vec<TorrentJudgement>,
    /// What was found of each class of parties that there is.
    pub classes: Vec<ClassJudgement>,
    /// Failed contacts by direction (`true`: callers) and reason.
    pub failures: BTreeMap<(bool, String), Failures>,
    /// Stored crossings of the parties that finish while somebody is connected.
    pub crossings: CrossingJudgement,
    /// The torrents that are given by magnet links only.
    pub magnets: MagnetJudgement,
    /// Contacts of the lab in all.
    pub contacts: u64,
    /// Of these, those that the end of the run broke off or the lab was too
    /// slow for: they are judged within bounds.
    pub open: u64,
    /// Callers that told a port in time: called back, and all.
    pub called_back: (u64, u64),
    /// Confirmed downloads that are none by the story.
    pub false_confirmed: u64,
    /// Peak memory of the analyzer in MB.
    pub memory_mb: Option<f64>,
    /// Threads of the analyzer that ended before their time.
    pub threads_ended_early: u64,
    /// Everything that is not as it must be; empty when the analyzer was
    /// exact.
    pub findings: Vec<String>,
}

/// What was counted beside what was true, of one torrent. The truth is what
/// the contacts that took place could show; where contacts are open it is the
/// value within its bounds that is nearest to what was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorrentJudgement {
    /// Its pieces.
    pub pieces: u32,
    /// Distinct addresses that the analyzer learnt.
    pub addresses: u64,
    /// Distinct addresses that trackers and DHT named.
    pub addresses_named: u64,
    /// Rows of called peers that trackers named: counted and true.
    pub peers: (u64, u64),
    /// Rows of called peers that only the DHT named: counted and true.
    pub dht: (u64, u64),
    /// Rows of callers: counted and true.
    pub callers: (u64, u64),
    /// Stored piece counts that are what the peer told.
    pub exact: u64,
    /// Stored piece counts that are not.
    pub wrong: u64,
    /// Piece counts that were told and are not stored.
    pub missing: u64,
    /// Confirmed downloads: counted and true.
    pub confirmed: (u64, u64),
    /// Downloads that happened in the story, seen or not.
    pub happened: u64,
}

impl TorrentJudgement {
    /// Rows that were found so, counted and true.
    pub(super) const fn rows_of(&mut self, source: Source) -> &mut (u64, u64) {
        match source {
            Source::Tracker => &mut self.peers,
            Source::Dht => &mut self.dht,
            Source::Incoming => &mut self.callers,
        }
    }

    /// Rows of called peers, counted and true.
    pub const fn called(&self) -> (u64, u64) {
        (self.peers.0 + self.dht.0, self.peers.1 + self.dht.1)
    }
}

/// What was counted beside what was true, of the parties that are reached in
/// one way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassJudgement {
    /// Its name.
    pub class: &'static str,
    /// Parties of the plan.
    pub parties: u64,
    /// Confirmed downloads: counted, and true by the contacts.
    pub confirmed: (u64, u64),
    /// Downloads that happened in the story, seen or not.
    pub happened: u64,
    /// Stored visits that are what the party told, over the transport and the
    /// encryption that it was told by.
    pub exact: u64,
    /// Visits that took place and are not stored so.
    pub missing: u64,
}

impl ClassJudgement {
    pub(super) fn new(class: &'static str) -> Self {
        Self {
            class,
            ..Self::default()
        }
    }
}

/// Rows of `crossing` beside the times at which the parties themselves reached
/// the threshold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrossingJudgement {
    /// Rows.
    pub brackets: u64,
    /// Of these, those that hold the party's own time, but for the rounding of
    /// both clocks.
    pub hold: u64,
    /// From the last time below the threshold to the first at it, in
    /// milliseconds, in ascending order.
    pub widths: Vec<i64>,
}

impl CrossingJudgement {
    /// The median of the widths, the upper one of two.
    pub fn median(&self) -> Option<i64> {
        self.widths.get(self.widths.len() / 2).copied()
    }

    /// The greatest width.
    pub fn longest(&self) -> Option<i64> {
        self.widths.last().copied()
    }
}

/// What became of magnet links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MagnetJudgement {
    /// Links.
    pub links: u64,
    /// Links for which a peer was asked for metadata.
    pub asked: u64,
    /// Links whose whole metadata peers gave.
    pub given: u64,
    /// Links whose torrent is in the database.
    pub resolved: u64,
    /// Of these, those whose row is what the metadata say.
    pub exact: u64,
}

/// Failed contacts for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// As counted.
    pub counted: u64,
    /// As they were, by the behaviour of the parties; refused calls leave no trace in the lab.
    pub causes: BTreeMap<&'static str, u64>,
    /// Contacts broken off that are among those counted.
    pub broken_off: u64,
}

impl Failures {
    /// Failures that certainly happened.
    pub fn certain(&self) -> u64 {
        self.causes.values().sum()
    }

    /// The true number; where contacts are open, the one within the bounds
    /// that is nearest to what was counted.
    pub fn happened(&self) -> u64 {
        self.certain() + self.broken_off
    }
}

/// Findings of one kind that are written out.
const EXAMPLES: usize = 10;

impl Judgement {
    /// Whether everything is as it must be.
    pub fn is_exact(&self) -> bool {
        self.findings.is_empty()
    }

    /// Confirmed downloads: counted, true by the contacts, happened.
    pub fn downloads(&self) -> (u64, u64, u64) {
        let all = self.torrents.iter();
        all.fold((0, 0, 0), |(counted, seen, happened), it| {
            (
                counted + it.confirmed.0,
                seen + it.confirmed.1,
                happened + it.happened,
            )
        })
    }

    pub(super) fn find(&mut self, what: &str, examples: &[String]) {
        if examples.is_empty() {
            return;
        }
        self.findings.push(format!("{what}: {}", examples.len()));
        self.findings
            .extend(examples.iter().take(EXAMPLES).cloned());
    }
}
