//! A visit that goes on as a stay: the peer is soon to reach the threshold, and
//! its haves are read until it does. Called by the session on its thread; all
//! waiting is bounded by the terms of the stay.

use std::time::{Duration, Instant};

use super::{Cut, READ_SIZE, Session};
use crate::analyzer::evaluate::{End, Heard};
use crate::analyzer::visit::StayTerms;
use crate::deadline::Deadline;
use crate::model::{Reason, VisitEnd};
use crate::protocol::frame::FrameDecoder;
use crate::protocol::message;

/// After so long without a word of ours a keep-alive is sent: clients drop
/// whoever says nothing for two minutes (BEP 3).
const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// Messages read in a visit with a stay at most: far more than the pieces that
/// a peer has left, far less than a count can hold.
const MESSAGES_MAX: u32 = 1_000_000;

impl Session<'_> {
    /// Reads on until the peer has reached the threshold, makes no progress for
    /// the time of `terms`, breaks off, or has been stayed with for long enough.
    pub(super) fn stay(
        &mut self,
        frames: &mut FrameDecoder,
        heard: &mut Heard,
        terms: StayTerms,
    ) -> VisitEnd {
        let mut last = self.visitor.clock.now();
        self.budget = Deadline::after(last, terms.longest);
        self.staying = true;
        self.message_limit = MESSAGES_MAX;
        heard.stay(terms.have_delay);
        let early = std::mem::take(&mut self.unread);
        if let Some(end) = self.take_more(frames, &early, heard, &mut last) {
            return end;
        }
        loop {
            let mut buffer = [0; READ_SIZE];
            let read = match self.wait_for_more(&mut buffer, heard, terms.patience) {
                Ok(read) => read,
                Err(Cut::Quiet) => return VisitEnd::Quiet,
                Err(Cut::Budget) => return VisitEnd::StayOver,
                Err(Cut::Stopped) => return VisitEnd::Stopped,
                Err(Cut::Broken(reason)) => return VisitEnd::Broken(reason),
            };
            let input = buffer.get(..read).unwrap_or_default();
            if let Some(end) = self.take_more(frames, input, heard, &mut last) {
                return end;
            }
        }
    }

    /// Takes what came with one read, which is one statement; the end of the
    /// stay, if it is one.
    fn take_more(
        &mut self,
        frames: &mut FrameDecoder,
        input: &[u8],
        heard: &mut Heard,
        last: &mut Instant,
    ) -> Option<VisitEnd> {
        match self.take_messages(frames, input, heard, last) {
            Some(End::Broken(reason)) => Some(VisitEnd::Broken(reason)),
            Some(End::MessageLimit) => Some(VisitEnd::MessageLimit),
            _ if heard.pieces.is_complete() => Some(VisitEnd::Complete),
            _ => heard.reached.map(|_| VisitEnd::Crossed),
        }
    }

    /// Bytes read, at least one; keep-alives go out meanwhile. Quiet is a peer
    /// without progress for `patience`: only pieces count, not words.
    fn wait_for_more(
        &mut self,
        buffer: &mut [u8],
        heard: &Heard,
        patience: Duration,
    ) -> Result<usize, Cut> {
        loop {
            let now = self.visitor.clock.now();
            let left = self.budget.left(now).ok_or(Cut::Budget)?;
            let progress = heard.below.map_or(now, |below| below.at);
            let quiet = Deadline::after(progress, patience).left(now);
            let left = left.min(quiet.ok_or(Cut::Quiet)?);
            let Some(silent) = Deadline::after(self.written, KEEP_ALIVE).left(now) else {
                let mut bytes = Vec::with_capacity(4);
                message::encode_keep_alive(&mut bytes);
                self.write(&bytes)?;
                continue;
            };
            match self.stream.read(buffer, left.min(silent)) {
                Ok(0) => return Err(self.broken(Reason::Closed)),
                Ok(read) => return Ok(read),
                Err(error) if error.reason != Reason::TimedOut => {
                    return Err(self.broken(error.reason));
                }
                Err(_) if self.visitor.stop.is_stopped() => return Err(Cut::Stopped),
                Err(_) => {}
            }
        }
    }
}
