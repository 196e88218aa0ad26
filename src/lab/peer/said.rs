//! What a party has told so far, and what of it the analyzer must have read.

use super::super::truth::End;
use super::super::truth::contact::CROSSING;
use crate::model::Timestamp;

/// Keeps count of the pieces that the analyzer can know.
pub(super) struct Said {
    has: Vec<bool>,
    count: u32,
    told: bool,
    messages: u32,
    limit: u32,
    /// What was told after each of the last milliseconds with a message, and
    /// the newest that is older than [`CROSSING`].
    states: Vec<(Timestamp, Option<u32>)>,
    /// What was told when the analyzer was last known not to have closed.
    landed: Option<u32>,
    in_time: bool,
    last: Option<Timestamp>,
    /// The last time that anything was said, or the beginning.
    spoken: Option<Timestamp>,
    slowest: u32,
}

impl Said {
    pub(super) fn new(total: u32, limit: u32) -> Self {
        Self {
            has: vec![false; total as usize],
            count: 0,
            told: false,
            messages: 0,
            limit,
            states: Vec::new(),
            landed: None,
            in_time: false,
            last: None,
            spoken: None,
            slowest: 0,
        }
    }

    /// Distinct pieces told; `None` when nothing was told about pieces.
    pub(super) const fn told(&self) -> Option<u32> {
        if self.told { Some(self.count) } else { None }
    }

    /// What the analyzer must have read. Whoever closes in order has read
    /// what had landed; whoever closes with something unread resets, and then
    /// what was told [`CROSSING`] before is certain.
    pub(super) fn settled(&self, end: End, ended: Timestamp) -> Option<u32> {
        if end == End::TheyClosed {
            return self.landed;
        }
        let mut states = self.states.iter().rev();
        states
            .find(|(at, _)| at.millis() <= ended.millis() - CROSSING)
            .and_then(|(_, told)| *told)
    }

    /// Longest time before a message, in milliseconds.
    pub(super) const fn slowest(&self) -> u32 {
        self.slowest
    }

    /// From the last message to `ended`, in milliseconds.
    pub(super) fn waited(&self, ended: Timestamp) -> u32 {
        let last = self.spoken.unwrap_or(ended);
        u32::try_from(ended.millis() - last.millis()).unwrap_or(0)
    }

    /// From here on the analyzer waits for the party.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.last = Some(now);
        self.spoken.get_or_insert(now);
    }

    /// Something was done that the analyzer waits for.
    pub(super) fn spoke(&mut self, now: Timestamp) {
        self.spoken = Some(now);
        let last = self.last.replace(now).unwrap_or(now);
        let wait = u32::try_from(now.millis() - last.millis()).unwrap_or(0);
        self.slowest = self.slowest.max(wait);
    }

    /// The analyzer had closed before the party came to its part.
    pub(super) const fn missed_it(&mut self) {
        self.slowest = u32::MAX;
    }

    pub(super) const fn messages(&self) -> u32 {
        self.messages
    }

    /// The analyzer has not closed.
    pub(super) const fn land(&mut self) {
        self.in_time = true;
        self.landed = self.told();
    }

    /// Whether the analyzer was there after the handshakes.
    pub(super) const fn in_time(&self) -> bool {
        self.in_time
    }

    /// That was said now.
    pub(super) fn note(&mut self, what: &Told<'_>, now: Timestamp) {
        self.spoke(now);
        self.take(what);
        let told = self.told();
        match self.states.last_mut() {
            Some((at, state)) if *at == now => *state = told,
            _ => self.states.push((now, told)),
        }
        let old = |(at, _): &(Timestamp, _)| at.millis() <= now.millis() - CROSSING;
        let settled = self.states.iter().rposition(old).unwrap_or(0);
        self.states.drain(..settled);
    }

    fn take(&mut self, what: &Told<'_>) {
        self.messages = self.messages.saturating_add(1);
        if self.messages > self.limit {
            return;
        }
        match what {
            Told::Nothing => {}
            Told::Exactly(pieces) => {
                self.told = true;
                self.has.fill(false);
                self.count = 0;
                pieces.iter().for_each(|piece| self.add(*piece));
            }
            Told::More(piece) => {
                self.told = true;
                self.add(*piece);
            }
        }
    }

    fn add(&mut self, piece: u32) {
        if let Some(has) = self.has.get_mut(piece as usize) {
            self.count += u32::from(!*has);
            *has = true;
        }
    }
}

/// What one message says about pieces.
pub(super) enum Told<'a> {
    Nothing,
    Exactly(&'a [u32]),
    More(u32),
}
