//! One contact and what a correct analyzer makes of it.
//!
//! Filled in by `lab::peer` and `lab::caller`, read by `lab::judge`. Pure.

use std::net::SocketAddr;

use super::super::behaviour::Behaviour;
use super::super::reach::Reach;
use crate::model::{Direction, Link, PieceCount, Reason, Timestamp, Transport};

/// How a contact ended, seen from the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The analyzer closed in order; on Linux this also says that it had
    /// read everything.
    TheyClosed,
    /// The analyzer reset the connection (closed with bytes unread).
    TheyReset,
    /// The party closed in order.
    WeClosed,
    /// The party reset the connection.
    WeReset,
    /// The lab's own limit for one connection was reached.
    Deadline,
    /// The lab was stopped.
    Stopped,
    /// A caller could not connect.
    NotConnected,
    /// The lab had no thread for it; the analyzer found it closed.
    NotServed,
}

impl End {
    /// The word in the truth file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TheyClosed => "they-closed",
            Self::TheyReset => "they-reset",
            Self::WeClosed => "we-closed",
            Self::WeReset => "we-reset",
            Self::Deadline => "deadline",
            Self::Stopped => "stopped",
            Self::NotConnected => "not-connected",
            Self::NotServed => "not-served",
        }
    }

    /// The end of that name.
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::TheyClosed,
            Self::TheyReset,
            Self::WeClosed,
            Self::WeReset,
            Self::Deadline,
            Self::Stopped,
            Self::NotConnected,
            Self::NotServed,
        ]
        .into_iter()
        .find(|end| end.as_str() == name)
    }
}

/// One connection between the analyzer and a party of the lab. Refused calls
/// leave no contact: the system answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// When it was accepted, or when the caller began to connect.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Seen from the analyzer: `Outgoing` to peers, `Incoming` from callers.
    pub direction: Direction,
    /// A call of the analyzer to where a caller said that it listens.
    pub called_back: bool,
    /// Index among the plan's peers, or callers where it came in or was called
    /// back.
    pub party: usize,
    /// Where the peer listens, or where the caller calls from.
    pub address: SocketAddr,
    /// Index of the torrent.
    pub torrent: usize,
    /// The plan's behaviour.
    pub behaviour: Behaviour,
    /// The plan's class of reach.
    pub reach: Reach,
    /// What it went over; the plan's where there was no connection.
    pub link: Link,
    /// Contacts of this party before.
    pub visit: u32,
    /// The analyzer spoke in the clear to a party that speaks MSE only, or the
    /// reverse, and was closed on. An analyzer that then tries another way is
    /// in the same contact still.
    pub unfit: bool,
    /// Whether both handshakes were done.
    pub handshake: bool,
    /// Distinct pieces told in the messages that the analyzer reads
    /// (`message_limit`); `None` when nothing was told about pieces.
    pub told: Option<u32>,
    /// The same for what the analyzer must have read: later messages may have
    /// crossed its closing on their way.
    pub settled: Option<u32>,
    /// Longest time in milliseconds that the party let the analyzer wait for
    /// its next message (or whatever else decides the contact): how slow it
    /// was. 4,294,967,295 when the analyzer had left before.
    pub slowest: u32,
    /// Milliseconds from the last message to the end; from the beginning where
    /// there was none.
    pub waited: u32,
    /// Messages sent.
    pub messages: u32,
    /// When more pieces arrived at the party while the contact went on, and how
    /// many it then had; only of [`Behaviour::Finishes`].
    pub arrived: Vec<(Timestamp, u32)>,
    /// The fault that was shown.
    pub fault: Option<Reason>,
    /// Whether everything there was to tell was sent.
    pub finished: bool,
    /// How it ended.
    pub end: End,
}

/// Messages sent in the last so many milliseconds before a reset may not have
/// been read by an analyzer that was about to close.
pub(in super::super) const CROSSING: i64 = 100;

/// Switches of an analyzer that change what a contact counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What was told before a failure counts (`visit.keep_partial`).
    pub keep_partial: bool,
    /// Wrong bitfields and haves are overlooked (`visit.ignore_malformed`).
    pub ignore_malformed: bool,
    /// Complete peers are let go at once (`visit.finish_when_complete`).
    pub finish_when_complete: bool,
    /// Milliseconds without a message after which the analyzer may leave
    /// (`network_timeout`).
    pub quiet: u32,
}

impl Rules {
    /// The corrected method with a timeout of so many milliseconds.
    pub const fn corrected(quiet: u32) -> Self {
        Self {
            keep_partial: true,
            ignore_malformed: false,
            finish_when_complete: true,
            quiet,
        }
    }

    /// The method of 2015.
    pub const fn thesis(quiet: u32) -> Self {
        Self {
            keep_partial: false,
            ignore_malformed: true,
            finish_when_complete: false,
            quiet,
        }
    }
}

/// What a correct analyzer makes of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A successful visit with so many pieces.
    Counts(PieceCount),
    /// A successful visit with a number of pieces between these two: the last
    /// messages crossed the analyzer's closing.
    Between(PieceCount, PieceCount),
    /// A failure for this reason.
    Fails(Reason),
    /// A caller that the analyzer turned away at the handshake: a failure for
    /// [`Reason::AlreadyInOutgoing`], if there was a reason to.
    TurnedAway,
    /// Broken off by the end of the run, or the lab was too slow for it: it
    /// may count with at most so many pieces, fail, or not be there.
    Open(PieceCount),
}

impl Contact {
    /// What a correct analyzer with these rules makes of it. `total` is the
    /// torrent's piece count, `limit` the messages it reads in a visit.
    pub fn expected(&self, rules: Rules, total: u32, limit: u32) -> Expected {
        let told = PieceCount(self.told.unwrap_or(0));
        // A quarter is for the way and for rounding.
        let too_slow = self.slowest >= rules.quiet / 4 * 3;
        if matches!(self.end, End::Stopped | End::NotConnected | End::NotServed) || too_slow {
            return Expected::Open(told);
        }
        let complete = self.handshake && rules.finish_when_complete && told.0 == total;
        let at_once = complete || self.fault.is_some() || self.messages >= limit;
        if self.may_have_come_late(rules, at_once) {
            return Expected::Open(told);
        }
        if complete {
            return Expected::Counts(told);
        }
        match self.fault {
            Some(reason) => self.spoilt(reason, rules),
            None if self.handshake => self.heard_out(limit),
            None if self.direction == Direction::Incoming => Expected::TurnedAway,
            None => Expected::Open(told),
        }
    }

    /// Over TCP, what is sent in time is there in time, however busy the machine
    /// is: the analyzer finds it when it gets to look. Over uTP a thread on
    /// each side has to pass it on. So an analyzer that should leave `at_once`
    /// and did not, or that should leave after the quiet and came too soon or
    /// much too late, may have heard less.
    fn may_have_come_late(&self, rules: Rules, at_once: bool) -> bool {
        let over_utp = self.link.transport == Transport::Utp;
        over_utp
            && self.end != End::WeClosed
            && if at_once {
                self.waited >= rules.quiet / 4 * 3
            } else {
                !(rules.quiet..rules.quiet / 4 * 5).contains(&self.waited)
            }
    }

    /// The worth of a contact with a fault.
    fn spoilt(&self, reason: Reason, rules: Rules) -> Expected {
        let malformed = matches!(
            reason,
            Reason::BitfieldLength
                | Reason::SpareBits
                | Reason::HaveOutOfRange
                | Reason::PayloadLength
        );
        let told = PieceCount(self.told.unwrap_or(0));
        if !self.handshake {
            return Expected::Fails(reason);
        }
        if (malformed && rules.ignore_malformed) || (rules.keep_partial && self.told.is_some()) {
            return Expected::Counts(told);
        }
        Expected::Fails(reason)
    }

    /// The worth of a contact in which the analyzer listened to the end.
    fn heard_out(&self, limit: u32) -> Expected {
        let told = PieceCount(self.told.unwrap_or(0));
        let settled = PieceCount(self.settled.unwrap_or(0));
        if settled == told || self.messages >= limit {
            return Expected::Counts(told);
        }
        Expected::Between(settled.min(told), settled.max(told))
    }
}
