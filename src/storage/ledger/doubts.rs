//! Peers whose announced pieces are to be doubted: those that claim to have
//! none for a long time, and those whose count falls.

use std::collections::HashMap;
use std::time::Duration;

use super::super::row::{DoubtRow, Row};
use crate::model::record::Visit;
use crate::model::{Evidence, VisitEnd};

/// What was seen of the peers in question; of all others nothing is kept.
#[derive(Debug)]
pub(super) struct Doubts {
    /// From so many visits without a piece on, over so many milliseconds.
    least: (u32, i64),
    /// Peers that never told a piece.
    zeros: HashMap<i64, Course>,
    falls: HashMap<i64, Course>,
}

/// Visits of one kind.
#[derive(Debug, Clone, Copy)]
struct Course {
    since_ms: i64,
    last_ms: i64,
    times: u32,
    /// Of zeros: visits in which a message said so. Of falls: the greatest.
    figure: u32,
}

/// Reasons, as in table `doubt`.
const ALWAYS_ZERO: &str = "always zero";
const LOST_PIECES: &str = "lost pieces";

impl Doubts {
    /// A peer that told no piece is doubted from `visits` on that are `time`
    /// apart.
    pub(super) fn new(visits: u32, time: Duration) -> Self {
        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self {
            least: (visits, time),
            zeros: HashMap::new(),
            falls: HashMap::new(),
        }
    }

    /// A visit of the peer `id`, which told `before` pieces at the visit
    /// before; `None` at its first.
    pub(super) fn visited(
        &mut self,
        id: i64,
        before: Option<u32>,
        visit: &Visit,
        rows: &mut Vec<Row>,
    ) {
        // Who told a piece at the visit before is in `zeros` no more, and who
        // tells one at its first never was.
        if before.unwrap_or(visit.pieces.0) == 0 {
            self.zero(id, before.is_none(), visit, rows);
        }
        if let Some(before) = before {
            self.fall(id, before, visit, rows);
        }
    }

    fn zero(&mut self, id: i64, first: bool, visit: &Visit, rows: &mut Vec<Row>) {
        let now = visit.at.millis();
        if visit.pieces.0 > 0 {
            let known = self.zeros.remove(&id);
            if let Some(course) = known.filter(|course| self.is_long(course)) {
                let over = Course { times: 0, ..course };
                rows.push(over.row(id, ALWAYS_ZERO));
            }
            return;
        }
        if first {
            self.zeros.insert(id, Course::new(now));
        }
        let Some(course) = self.zeros.get_mut(&id) else {
            return;
        };
        course.seen(now);
        course.figure += u32::from(evidence_of(visit) == Evidence::Progress);
        let course = *course;
        if self.is_long(&course) {
            rows.push(course.row(id, ALWAYS_ZERO));
        }
    }

    const fn is_long(&self, course: &Course) -> bool {
        let (visits, time) = self.least;
        course.times >= visits && course.last_ms - course.since_ms >= time
    }

    /// Only visits that heard the peer out can tell that it has less.
    fn fall(&mut self, id: i64, before: u32, visit: &Visit, rows: &mut Vec<Row>) {
        let whole = matches!(visit.ended, VisitEnd::Quiet | VisitEnd::Complete);
        let told = evidence_of(visit) == Evidence::Progress;
        let lost = before.saturating_sub(visit.pieces.0);
        if lost > 0 && whole && told {
            let now = visit.at.millis();
            let course = self.falls.entry(id).or_insert(Course::new(now));
            course.seen(now);
            course.figure = course.figure.max(lost);
            rows.push(course.row(id, LOST_PIECES));
        }
    }
}

impl Course {
    const fn new(now: i64) -> Self {
        Self {
            since_ms: now,
            last_ms: now,
            times: 0,
            figure: 0,
        }
    }

    fn seen(&mut self, now: i64) {
        self.last_ms = self.last_ms.max(now);
        self.times = self.times.saturating_add(1);
    }

    fn row(&self, peer: i64, reason: &'static str) -> Row {
        Row::Doubt(DoubtRow {
            peer,
            reason: reason.into(),
            since_ms: self.since_ms,
            last_ms: self.last_ms,
            times: self.times,
            figure: self.figure,
        })
    }
}

/// What a visit that counts shows by itself, by its messages: table `visit`
/// tells the same.
pub(super) const fn evidence_of(visit: &Visit) -> Evidence {
    let it = &visit.messages;
    let told = it.bitfield > 0 || it.have > 0 || it.have_all > 0 || it.have_none > 0;
    if told {
        Evidence::Progress
    } else {
        Evidence::Handshake
    }
}
