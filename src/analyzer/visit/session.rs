//! The conversation of one visit: handshakes, then messages to the end. All
//! reading and writing is bounded by the quiet timeout and the budget.

mod cut;
mod enough;
mod stay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::analyzer::directory::Directory;
use crate::analyzer::evaluate::{End, Heard};
use crate::deadline::Deadline;
use crate::model::{Link, PieceSet, Reason, Torrent};
use crate::net::Stream;
use crate::protocol::frame::{FrameDecoder, FrameLimits};
use crate::protocol::handshake::{Handshake, HandshakeDecoder, Reserved};
use crate::protocol::message::{self, Message};

use super::Visitor;

pub(super) use cut::Cut;

/// Largest message that is read at all; what is larger than a bitfield or a
/// have is skipped without memory.
const MESSAGE_LENGTH_MAX: u32 = 1 << 20;

/// Longest extended message that is read (BEP 10): handshakes have some
/// hundred bytes, a hundred peers by PEX two thousand.
const EXTENDED_LENGTH_MAX: usize = 4096;

/// Bytes read from a socket at one time.
const READ_SIZE: usize = 2048;

/// Reads without waiting behind a quiet deadline: on a busy machine what came
/// in time may lie there unread until this thread gets the processor.
pub(super) const LATE_READS: u32 = 32;

pub(super) struct Session<'a> {
    visitor: Visitor<'a>,
    stream: &'a mut dyn Stream,
    budget: Deadline,
    quiet: Deadline,
    late_reads: u32,
    /// Until when one who has told enough may still say more.
    linger: Option<Deadline>,
    /// Messages read at most.
    message_limit: u32,
    /// The visit has become a stay.
    staying: bool,
    /// When we last said something.
    written: Instant,
    decoder: HandshakeDecoder,
    /// Bytes that came behind the handshake in the same read.
    unread: Vec<u8>,
}

impl<'a> Session<'a> {
    /// A conversation over `stream` whose budget began at `started`.
    pub(super) fn new(visitor: Visitor<'a>, stream: &'a mut dyn Stream, started: Instant) -> Self {
        let now = visitor.clock.now();
        Self {
            budget: Deadline::after(started, visitor.settings.budget),
            quiet: Deadline::after(now, visitor.settings.quiet_timeout),
            late_reads: LATE_READS,
            linger: None,
            message_limit: visitor.settings.message_limit,
            staying: false,
            written: now,
            visitor,
            stream,
            decoder: HandshakeDecoder::default(),
            unread: Vec::new(),
        }
    }

    /// What the conversation goes over.
    pub(super) fn link(&self) -> Link {
        self.stream.link()
    }

    /// Our handshake first, then theirs.
    pub(super) fn greet(&mut self, torrent: &Torrent) -> Result<Handshake, Cut> {
        let mut buffer = [0; READ_SIZE];
        self.write(&self.visitor.own_handshake(torrent).encode())?;
        self.read_until(&mut buffer, |decoder| decoder.header().is_some())?;
        match self.decoder.header() {
            Some((_, info_hash)) if info_hash == torrent.info_hash => {
                self.rest_of_handshake(&mut buffer)
            }
            _ => Err(Cut::Broken(Reason::InfoHashMismatch)),
        }
    }

    /// Theirs up to the info hash, then ours, then their peer id.
    pub(super) fn answer(
        &mut self,
        directory: &Directory,
        admit: &dyn Fn(&Torrent) -> Result<(), Reason>,
    ) -> (Option<Arc<Torrent>>, Result<Handshake, Cut>) {
        let mut buffer = [0; READ_SIZE];
        if let Err(cut) = self.read_until(&mut buffer, |decoder| decoder.header().is_some()) {
            return (None, Err(cut));
        }
        let torrent = self
            .decoder
            .header()
            .and_then(|(_, info_hash)| directory.find(&info_hash));
        let Some(torrent) = torrent else {
            return (None, Err(Cut::Broken(self.whose_unknown_torrent())));
        };
        let theirs = admit(&torrent)
            .map_err(Cut::Broken)
            .and_then(|()| self.write(&self.visitor.own_handshake(&torrent).encode()))
            .and_then(|()| self.rest_of_handshake(&mut buffer));
        (Some(torrent), theirs)
    }

    /// Who calls for a torrent that is not measured may be ourselves, who want
    /// the metadata of a magnet link. The peer id came with the rest, if it is
    /// ours.
    fn whose_unknown_torrent(&self) -> Reason {
        match self.decoder.handshake() {
            Some(theirs) if theirs.peer_id == self.visitor.own_id => Reason::OwnAddress,
            _ => Reason::UnknownInfoHash,
        }
    }

    fn rest_of_handshake(&mut self, buffer: &mut [u8]) -> Result<Handshake, Cut> {
        self.read_until(buffer, |decoder| decoder.handshake().is_some())?;
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
    /// timeout from the start of the session. All of it shares one `buffer`:
    /// a page of stack is a quarter of what ten thousand callers may cost.
    fn read_until(
        &mut self,
        buffer: &mut [u8],
        enough: impl Fn(&HandshakeDecoder) -> bool,
    ) -> Result<(), Cut> {
        while !enough(&self.decoder) {
            let read = self.read(buffer)?;
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

    /// What follows our handshake: that we have nothing (BEP 6, right after
    /// it), what we are (BEP 10), and where our DHT node is (BEP 5).
    pub(super) fn introduce(
        &mut self,
        torrent: &Torrent,
        theirs: Reserved,
        fast: bool,
    ) -> Result<(), Cut> {
        // The handshake may have come at the last moment.
        self.start_quiet(self.visitor.clock.now());
        let mut bytes = Vec::with_capacity(12);
        if fast {
            message::encode_have_none(&mut bytes);
        }
        if self.visitor.settings.extension_protocol && theirs.supports_extension() {
            self.visitor.extended_handshake(torrent).encode(&mut bytes);
        }
        if let Some(port) = self.visitor.dht_port(torrent)
            && theirs.supports_dht()
        {
            message::encode_port(port, &mut bytes);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.write(&bytes)
    }

    /// Reads messages to the end of the visit.
    pub(super) fn listen(&mut self, heard: &mut Heard, torrent: &Torrent) -> End {
        let bitfield = PieceSet::bitfield_len(torrent.pieces);
        let longest = u32::try_from(bitfield.saturating_add(1)).unwrap_or(u32::MAX);
        let keep = if self.visitor.settings.extension_protocol {
            EXTENDED_LENGTH_MAX
        } else {
            16
        };
        let limits = FrameLimits {
            keep: bitfield.max(keep),
            max_length: longest.max(MESSAGE_LENGTH_MAX),
        };
        let mut frames = FrameDecoder::new(limits);
        let end = self.hear_out(&mut frames, heard);
        if heard.told
            && matches!(end, End::Quiet | End::Budget | End::MessageLimit)
            && let Some(observe) = self.visitor.observe
            && let Some(theirs) = self.decoder.handshake()
            && let Some(terms) = observe.stay(torrent, theirs.peer_id, heard)
        {
            return End::Stayed(self.stay(&mut frames, heard, terms));
        }
        end
    }

    /// Reads messages until the peer has told all it has.
    fn hear_out(&mut self, frames: &mut FrameDecoder, heard: &mut Heard) -> End {
        let mut last = self.visitor.clock.now();
        self.start_quiet(self.visitor.clock.now());
        let early = std::mem::take(&mut self.unread);
        if let Some(end) = self.take_messages(frames, &early, heard, &mut last) {
            return end;
        }
        let mut buffer = [0; READ_SIZE];
        loop {
            let read = match self.read(&mut buffer) {
                Ok(read) => read,
                Err(Cut::Quiet) if self.linger.is_some() => return self.lingered(heard),
                Err(cut) => return cut.into_end(frames.is_mid_frame()),
            };
            let input = buffer.get(..read).unwrap_or_default();
            if let Some(end) = self.take_messages(frames, input, heard, &mut last) {
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
            let haves = self.take_haves(frames, input, heard, now);
            if haves > 0 {
                self.note_wait(heard, last, now);
                input = input.get(haves..).unwrap_or_default();
                if let Some(end) = self.is_enough(heard) {
                    return Some(self.keep_rest(end, input));
                }
                continue;
            }
            let Ok((used, frame)) = frames.feed(input) else {
                return Some(End::Broken(Reason::MessageTooLong));
            };
            if let Some(frame) = frame {
                self.note_wait(heard, last, now);
                let message = Message::parse(frame);
                log_message(&message, settings.message_log_length);
                if let Err(reason) = heard.take(&message, now)
                    && (!settings.ignore_malformed || reason == Reason::PieceReceived)
                {
                    return Some(End::Broken(reason));
                }
                if let Some(end) = self.is_enough(heard) {
                    let rest = input.get(used..).unwrap_or_default();
                    return Some(self.keep_rest(end, rest));
                }
            }
            input = input.get(used..).unwrap_or_default();
        }
        None
    }

    /// A whole message is there. How long a peer takes between two pieces says
    /// nothing of how long one has to listen, so a stay's waits do not count; nor do
    /// those of a look, which waits for none that is slow.
    fn note_wait(&mut self, heard: &mut Heard, last: &mut Instant, now: Instant) {
        if !self.staying && self.visitor.look().is_none() {
            heard.waited(now.saturating_duration_since(*last));
        }
        *last = now;
        self.start_quiet(now);
    }

    /// Takes haves in bulk between two messages, unless each is to be logged;
    /// returns their bytes.
    fn take_haves(
        &self,
        frames: &FrameDecoder,
        input: &[u8],
        heard: &mut Heard,
        now: Instant,
    ) -> usize {
        if frames.is_mid_frame() || log::log_enabled!(log::Level::Trace) {
            return 0;
        }
        let left = self.message_limit.saturating_sub(heard.counts.total);
        heard.take_haves(input, left, now)
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
        let now = self.visitor.clock.now();
        let wait = self.budget.left(now).ok_or(Cut::Budget)?;
        self.written = now;
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
        let end = self.quiet.earlier(self.budget);
        if let Some(linger) = self.linger
            && linger <= end
        {
            let left = linger.left(now).ok_or(Cut::Quiet)?;
            return Ok((left, Cut::Quiet));
        }
        let left = end.left(now).ok_or(cut)?;
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
