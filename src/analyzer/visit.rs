//! One visit, from the open connection to what was heard; the same code
//! outward and inward.
//!
//! 1. Outward we send our handshake (BEP 3) and read theirs; inward we read
//!    theirs up to the info hash, turn unknown torrents away, answer with the
//!    same info hash, and read their peer id.
//! 2. When both sides announced the fast extension (BEP 6) we send `have
//!    none`, as it demands of a side without pieces.
//! 3. We read messages until quiet, the message limit, completeness, the
//!    whole-visit budget, a break, or the end of the run. Nothing is
//!    requested and no payload is sent: there is no code for it.
//!
//! Runs on contact and caller threads; all its waiting is in the [`Stream`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::settings::VisitSettings;
use crate::deadline::Deadline;
use crate::model::{PeerId, PieceSet, Reason, Torrent};
use crate::net::Stream;
use crate::protocol::frame::{FrameDecoder, FrameLimits};
use crate::protocol::handshake::{Handshake, HandshakeDecoder, Reserved};
use crate::protocol::message::{self, Message};
use crate::stop::StopToken;

use super::directory::Directory;
use super::evaluate::{End, Heard, Verdict, judge};

/// What every visit needs.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// Time.
    pub clock: &'a dyn Clock,
    /// The visit's parameters.
    pub settings: &'a VisitSettings,
    /// Our peer id.
    pub own_id: PeerId,
    /// End of the run.
    pub stop: &'a StopToken,
}

/// What came of a visit.
#[derive(Debug)]
pub struct Report {
    /// What it is worth.
    pub verdict: Verdict,
    /// Who answered, once the handshake was done.
    pub peer_id: Option<PeerId>,
    /// What was heard, once the handshake was done.
    pub heard: Option<Heard>,
}

impl Report {
    /// A contact that ended before the handshake was done.
    pub const fn without_handshake(verdict: Verdict) -> Self {
        Self {
            verdict,
            peer_id: None,
            heard: None,
        }
    }
}

/// Largest message that is read; what is no bitfield or have is skipped.
const MESSAGE_LENGTH_MAX: u32 = 1 << 20;

/// Bytes read from a socket at one time.
const READ_SIZE: usize = 2048;

/// Reads without waiting behind a quiet deadline: on a busy machine what came
/// in time may lie there unread until this thread gets the processor.
const LATE_READS: u32 = 32;

impl Visitor<'_> {
    /// Visits the peer at the other end of `stream`, which we opened.
    pub fn outgoing(&self, stream: &mut dyn Stream, torrent: &Torrent) -> Report {
        let mut session = self.session(stream);
        let theirs = session.greet(torrent);
        self.finish(session, torrent, theirs)
    }

    /// Evaluates a caller. `admit` may turn it away once the torrent is
    /// known. Also returns the torrent, where it is one of ours.
    pub fn incoming(
        &self,
        stream: &mut dyn Stream,
        directory: &Directory,
        admit: &dyn Fn(&Torrent) -> Result<(), Reason>,
    ) -> (Option<Arc<Torrent>>, Report) {
        let mut session = self.session(stream);
        let (torrent, theirs) = session.answer(directory, admit);
        let report = match &torrent {
            Some(torrent) => self.finish(session, torrent, theirs),
            None => Report::without_handshake(
                self.verdict_of(theirs.err().unwrap_or(Cut::Broken(Reason::Aborted))),
            ),
        };
        (torrent, report)
    }

    fn session<'s>(&'s self, stream: &'s mut dyn Stream) -> Session<'s> {
        let now = self.clock.now();
        Session {
            visitor: *self,
            stream,
            budget: Deadline::after(now, self.settings.budget),
            quiet: Deadline::after(now, self.settings.quiet_timeout),
            late_reads: LATE_READS,
            decoder: HandshakeDecoder::default(),
            unread: Vec::new(),
        }
    }

    fn finish(
        &self,
        mut session: Session<'_>,
        torrent: &Torrent,
        theirs: Result<Handshake, Cut>,
    ) -> Report {
        let theirs = match theirs {
            Ok(theirs) => theirs,
            Err(cut) => return Report::without_handshake(self.verdict_of(cut)),
        };
        let fast = self.settings.fast_extension && theirs.reserved.supports_fast();
        let mut heard = Heard::new(torrent.pieces, fast);
        let end = match session.tell_nothing_is_here(fast) {
            Ok(()) => session.listen(&mut heard, torrent),
            Err(cut) => cut.into_end(false),
        };
        let verdict = judge(end, heard.told, self.settings);
        Report {
            verdict,
            peer_id: Some(theirs.peer_id),
            heard: Some(heard),
        }
    }

    /// The worth of a contact that was cut before the end of the handshake.
    fn verdict_of(&self, cut: Cut) -> Verdict {
        if self.stop.is_stopped() {
            return Verdict::Interrupted;
        }
        Verdict::Failed(match cut {
            Cut::Quiet | Cut::Budget => Reason::TimedOut,
            Cut::Broken(reason) => reason,
            Cut::Stopped => return Verdict::Interrupted,
        })
    }

    fn own_handshake(&self, torrent: &Torrent) -> Handshake {
        let reserved = if self.settings.fast_extension {
            Reserved::default().with_fast()
        } else {
            Reserved::default()
        };
        Handshake {
            reserved,
            info_hash: torrent.info_hash,
            peer_id: self.own_id,
        }
    }
}

/// Why reading or writing went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Quiet,
    Budget,
    Stopped,
    Broken(Reason),
}

impl Cut {
    /// The end of the reading; quiet in the middle of a message is a break.
    const fn into_end(self, mid_frame: bool) -> End {
        match self {
            Self::Quiet if mid_frame => End::Broken(Reason::TimedOut),
            Self::Quiet => End::Quiet,
            Self::Budget => End::Budget,
            Self::Stopped => End::Stopped,
            Self::Broken(reason) => End::Broken(reason),
        }
    }
}

struct Session<'a> {
    visitor: Visitor<'a>,
    stream: &'a mut dyn Stream,
    budget: Deadline,
    quiet: Deadline,
    late_reads: u32,
    decoder: HandshakeDecoder,
    /// Bytes that came behind the handshake in the same read.
    unread: Vec<u8>,
}

impl Session<'_> {
    /// Our handshake first, then theirs.
    fn greet(&mut self, torrent: &Torrent) -> Result<Handshake, Cut> {
        self.write(&self.visitor.own_handshake(torrent).encode())?;
        self.read_until(|decoder| decoder.header().is_some())?;
        match self.decoder.header() {
            Some((_, info_hash)) if info_hash == torrent.info_hash => self.rest_of_handshake(),
            _ => Err(Cut::Broken(Reason::InfoHashMismatch)),
        }
    }

    /// Theirs up to the info hash, then ours, then their peer id.
    fn answer(
        &mut self,
        directory: &Directory,
        admit: &dyn Fn(&Torrent) -> Result<(), Reason>,
    ) -> (Option<Arc<Torrent>>, Result<Handshake, Cut>) {
        if let Err(cut) = self.read_until(|decoder| decoder.header().is_some()) {
            return (None, Err(cut));
        }
        let torrent = self
            .decoder
            .header()
            .and_then(|(_, info_hash)| directory.find(&info_hash))
            .cloned();
        let Some(torrent) = torrent else {
            return (None, Err(Cut::Broken(Reason::UnknownInfoHash)));
        };
        let theirs = admit(&torrent)
            .map_err(Cut::Broken)
            .and_then(|()| self.write(&self.visitor.own_handshake(&torrent).encode()))
            .and_then(|()| self.rest_of_handshake());
        (Some(torrent), theirs)
    }

    fn rest_of_handshake(&mut self) -> Result<Handshake, Cut> {
        self.read_until(|decoder| decoder.handshake().is_some())?;
        let theirs = self
            .decoder
            .handshake()
            .ok_or(Cut::Broken(Reason::UnknownProtocol))?;
        if theirs.peer_id == self.visitor.own_id {
            return Err(Cut::Broken(Reason::OwnAddress));
        }
        Ok(theirs)
    }

    /// Feeds the handshake decoder until `enough`, all within one quiet
    /// timeout from the start of the session.
    fn read_until(&mut self, enough: impl Fn(&HandshakeDecoder) -> bool) -> Result<(), Cut> {
        let mut buffer = [0; READ_SIZE];
        while !enough(&self.decoder) {
            let read = self.read(&mut buffer)?;
            let input = buffer.get(..read).unwrap_or_default();
            let used = self
                .decoder
                .feed(input)
                .map_err(|_| Cut::Broken(Reason::UnknownProtocol))?;
            self.unread
                .extend_from_slice(input.get(used..).unwrap_or_default());
        }
        Ok(())
    }

    /// BEP 6: a side that has nothing says so right after the handshake.
    fn tell_nothing_is_here(&mut self, fast: bool) -> Result<(), Cut> {
        if !fast {
            return Ok(());
        }
        // The handshake may have come at the last moment.
        self.start_quiet(self.visitor.clock.now());
        let mut bytes = Vec::with_capacity(5);
        message::encode_have_none(&mut bytes);
        self.write(&bytes)
    }

    /// Reads messages to the end of the visit.
    fn listen(&mut self, heard: &mut Heard, torrent: &Torrent) -> End {
        let bitfield = PieceSet::bitfield_len(torrent.pieces);
        let longest = u32::try_from(bitfield.saturating_add(1)).unwrap_or(u32::MAX);
        let limits = FrameLimits {
            keep: bitfield.max(16),
            max_length: longest.max(MESSAGE_LENGTH_MAX),
        };
        let mut frames = FrameDecoder::new(limits);
        let mut last = self.visitor.clock.now();
        self.start_quiet(last);
        let early = std::mem::take(&mut self.unread);
        if let Some(end) = self.take_messages(&mut frames, &early, heard, &mut last) {
            return end;
        }
        let mut buffer = [0; READ_SIZE];
        loop {
            let read = match self.read(&mut buffer) {
                Ok(read) => read,
                Err(cut) => return cut.into_end(frames.is_mid_frame()),
            };
            let input = buffer.get(..read).unwrap_or_default();
            if let Some(end) = self.take_messages(&mut frames, input, heard, &mut last) {
                return end;
            }
        }
    }

    /// Takes all whole messages in `input`; the end, if one of them is it.
    fn take_messages(
        &mut self,
        frames: &mut FrameDecoder,
        mut input: &[u8],
        heard: &mut Heard,
        last: &mut Instant,
    ) -> Option<End> {
        let settings = self.visitor.settings;
        let now = self.visitor.clock.now();
        while !input.is_empty() {
            let Ok((used, frame)) = frames.feed(input) else {
                return Some(End::Broken(Reason::MessageTooLong));
            };
            if let Some(frame) = frame {
                heard.waited(now.saturating_duration_since(*last));
                *last = now;
                self.start_quiet(now);
                let message = Message::parse(frame);
                log_message(&message, settings.message_log_length);
                if let Err(reason) = heard.take(&message)
                    && (!settings.ignore_malformed || reason == Reason::PieceReceived)
                {
                    return Some(End::Broken(reason));
                }
                if settings.finish_when_complete && heard.told && heard.pieces.is_complete() {
                    return Some(End::Complete);
                }
                if heard.counts.total >= settings.message_limit {
                    return Some(End::MessageLimit);
                }
            }
            input = input.get(used..).unwrap_or_default();
        }
        None
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Cut> {
        let spent = self.budget.left(self.visitor.clock.now()).is_none();
        let (wait, cut) = match self.time_left() {
            Err(Cut::Quiet) if self.late_reads > 0 && !spent => {
                self.late_reads -= 1;
                (Duration::ZERO, Cut::Quiet)
            }
            left => left?,
        };
        match self.stream.read(buffer, wait) {
            Ok(0) => Err(self.broken(Reason::Closed)),
            Ok(read) => Ok(read),
            Err(error) if error.reason != Reason::TimedOut => Err(self.broken(error.reason)),
            Err(_) if self.visitor.stop.is_stopped() => Err(Cut::Stopped),
            Err(_) => Err(cut),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        // Ours to do: the peer is not quiet because we come late to it.
        let wait = self.budget.left(self.visitor.clock.now());
        let wait = wait.ok_or(Cut::Budget)?;
        self.stream
            .write_all(bytes, wait.min(self.visitor.settings.quiet_timeout))
            .map_err(|error| self.broken(error.reason))
    }

    fn start_quiet(&mut self, now: Instant) {
        self.quiet = Deadline::after(now, self.visitor.settings.quiet_timeout);
        self.late_reads = LATE_READS;
    }

    /// The time left, and what it means when it runs out.
    fn time_left(&self) -> Result<(Duration, Cut), Cut> {
        let now = self.visitor.clock.now();
        let cut = if self.quiet <= self.budget {
            Cut::Quiet
        } else {
            Cut::Budget
        };
        let left = self.quiet.earlier(self.budget).left(now).ok_or(cut)?;
        Ok((left, cut))
    }

    /// At the end of the run all sockets are shut, which looks like a close.
    fn broken(&self, reason: Reason) -> Cut {
        if self.visitor.stop.is_stopped() {
            Cut::Stopped
        } else {
            Cut::Broken(reason)
        }
    }
}

fn log_message(message: &Result<Message<'_>, message::WrongLength>, length: usize) {
    if log::log_enabled!(log::Level::Trace) {
        let text: String = format!("{message:?}").chars().take(length).collect();
        log::trace!("message={text}");
    }
}

#[cfg(test)]
pub(crate) mod tests;
