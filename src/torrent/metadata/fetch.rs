//! The conversation with one peer that may have the metadata.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::METADATA_SIZE_MAX;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{PeerId, Reason};
use crate::net::{NetError, Stream};
use crate::protocol::extension::{
    self, ExtendedHandshake, InvalidHandshake, OwnHandshake, UT_METADATA,
};
use crate::protocol::frame::{FrameDecoder, FrameLimits, TooLong};
use crate::protocol::handshake::{Handshake, HandshakeDecoder, Reserved};
use crate::protocol::message::Message;
use crate::protocol::metadata::{
    BLOCK_LEN, BlockError, JoinError, MetadataAssembly, MetadataMessage, PeerNumber, encode_request,
};
use crate::stop::StopToken;

/// Longest time in one read, so that the end of the run and the success of
/// another peer are noticed soon.
const SLICE: Duration = Duration::from_millis(250);

/// Bytes read from a socket at one time.
const READ_SIZE: usize = 16 * 1024;

/// Longest payload that is kept: a block with its header.
const KEPT_LEN: usize = BLOCK_LEN + 4096;

/// Largest message that is read at all; a bitfield of eight million pieces.
const MESSAGE_LENGTH_MAX: u32 = 1 << 20;

/// Messages of one peer, useful or not.
const MESSAGES_MAX: u32 = 100_000;

/// How metadata are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchSettings {
    /// `network_timeout`: for the connection, the handshake, and the quiet
    /// after each message.
    pub quiet_timeout: Duration,
    /// For one peer in all, whatever it sends.
    pub budget: Duration,
    /// Largest info dictionary, in bytes.
    pub size_max: usize,
    /// Peers asked at one time.
    pub parallel: usize,
    /// Pause before a peer that failed is asked again.
    pub retry_delay: Duration,
    /// Conversations with one peer at most.
    pub attempts: u8,
    /// `extension_ut_metadata_id`: our number for `ut_metadata`, not 0.
    pub metadata_number: u8,
    /// Announce the DHT bit (BEP 5), as 2015 did.
    pub dht: bool,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            quiet_timeout: Duration::from_secs(6),
            budget: Duration::from_secs(60),
            size_max: METADATA_SIZE_MAX,
            parallel: 8,
            retry_delay: Duration::from_secs(60),
            attempts: 5,
            metadata_number: 4,
            dht: false,
        }
    }
}

/// What every conversation needs.
#[derive(Clone)]
pub struct FetchContext {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends every conversation within a fraction of a second.
    pub stop: StopToken,
    /// Our peer id.
    pub own_id: PeerId,
    /// How.
    pub settings: FetchSettings,
}

/// Why a peer gave nothing, or not all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// The connection failed, broke, or fell silent ([`Reason::TimedOut`]).
    Net(Reason),
    /// The first bytes are not the handshake of BEP 3.
    NotBitTorrent,
    /// It answered for another torrent.
    OtherTorrent,
    /// It is ourselves.
    OwnAddress,
    /// It does not speak the extension protocol (BEP 10).
    NoExtensions,
    /// It does not speak `ut_metadata`, or has no metadata either.
    NoMetadata,
    /// Its extended handshake makes no sense.
    BadHandshake(InvalidHandshake),
    /// The assembly does not want it.
    NotWanted(JoinError),
    /// It sent a block that is of no use.
    Block(BlockError),
    /// It rejected what is still missing.
    Rejected,
    /// A length prefix is over the limit, or there were too many messages.
    TooMuch,
    /// The budget ran out.
    BudgetSpent,
    /// The run ends.
    Stopped,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(reason) => f.write_str(&reason.label()),
            Self::NotBitTorrent => f.write_str(&Reason::UnknownProtocol.label()),
            Self::OtherTorrent => f.write_str(&Reason::InfoHashMismatch.label()),
            Self::OwnAddress => f.write_str(&Reason::OwnAddress.label()),
            Self::NoExtensions => f.write_str("no extension protocol"),
            Self::NoMetadata => f.write_str("no metadata to give"),
            Self::BadHandshake(error) => error.fmt(f),
            Self::NotWanted(error) => error.fmt(f),
            Self::Block(error) => error.fmt(f),
            Self::Rejected => f.write_str("metadata requests rejected"),
            Self::TooMuch => f.write_str("too long or too many messages"),
            Self::BudgetSpent => f.write_str("budget spent"),
            Self::Stopped => f.write_str("the run ends"),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<TooLong> for FetchError {
    fn from(_: TooLong) -> Self {
        Self::TooMuch
    }
}

/// Asks the peer at the other end of `stream`, which we opened, until the
/// metadata are there, whoever gave them, or this peer gives no more.
pub fn fetch(
    context: &FetchContext,
    assembly: &Mutex<MetadataAssembly>,
    peer: PeerNumber,
    stream: &mut dyn Stream,
) -> Result<(), FetchError> {
    let now = context.clock.now();
    let mut conversation = Conversation {
        context,
        assembly,
        peer,
        stream,
        budget: Deadline::after(now, context.settings.budget),
        quiet: Deadline::after(now, context.settings.quiet_timeout),
        their_number: None,
    };
    let result = conversation.hold();
    assembly.lock().leave(peer);
    result
}

struct Conversation<'a> {
    context: &'a FetchContext,
    assembly: &'a Mutex<MetadataAssembly>,
    peer: PeerNumber,
    stream: &'a mut dyn Stream,
    budget: Deadline,
    quiet: Deadline,
    /// The number that the peer gave `ut_metadata`, once it takes part.
    their_number: Option<u8>,
}

impl Conversation<'_> {
    fn hold(&mut self) -> Result<(), FetchError> {
        let mut early = self.greet()?;
        let mut frames = FrameDecoder::new(FrameLimits {
            keep: KEPT_LEN,
            max_length: MESSAGE_LENGTH_MAX,
        });
        let mut ours = Vec::new();
        let number = self.context.settings.metadata_number;
        OwnHandshake {
            extensions: &[(UT_METADATA, number)],
            client: extension::CLIENT,
            ..OwnHandshake::default()
        }
        .encode(&mut ours);
        self.write(&ours)?;
        let mut messages = 0_u32;
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let mut input = early.as_slice();
            while !input.is_empty() {
                let (used, frame) = frames.feed(input)?;
                if let Some(frame) = frame {
                    messages = messages.saturating_add(1);
                    self.renew_quiet();
                    // A wrong message of another kind is none of our business.
                    if let Ok(Message::Extended(payload)) = Message::parse(frame) {
                        self.take(payload)?;
                    }
                }
                input = input.get(used..).unwrap_or_default();
            }
            if self.is_done() {
                return Ok(());
            }
            if messages > MESSAGES_MAX {
                return Err(FetchError::TooMuch);
            }
            self.ask()?;
            let Some(read) = self.read(&mut buffer)? else {
                return Ok(());
            };
            early.clear();
            early.extend_from_slice(buffer.get(..read).unwrap_or_default());
        }
    }

    /// Both handshakes; returns what came behind theirs.
    fn greet(&mut self) -> Result<Vec<u8>, FetchError> {
        let info_hash = self.assembly.lock().info_hash();
        let reserved = Reserved::default().with_extension();
        let reserved = if self.context.settings.dht {
            reserved.with_dht()
        } else {
            reserved
        };
        let ours = Handshake {
            reserved,
            info_hash,
            peer_id: self.context.own_id,
        };
        self.write(&ours.encode())?;
        let mut decoder = HandshakeDecoder::default();
        let mut buffer = [0; 2048];
        loop {
            // Another peer's success ends the conversation later.
            let Some(read) = self.read(&mut buffer)? else {
                return Ok(Vec::new());
            };
            let input = buffer.get(..read).unwrap_or_default();
            let used = decoder.feed(input).map_err(|_| FetchError::NotBitTorrent)?;
            if let Some((_, theirs)) = decoder.header()
                && theirs != info_hash
            {
                return Err(FetchError::OtherTorrent);
            }
            if let Some(theirs) = decoder.handshake() {
                self.renew_quiet();
                return match theirs {
                    _ if theirs.peer_id == self.context.own_id => Err(FetchError::OwnAddress),
                    _ if !theirs.reserved.supports_extension() => Err(FetchError::NoExtensions),
                    _ => Ok(input.get(used..).unwrap_or_default().to_vec()),
                };
            }
        }
    }

    /// Takes an extended message.
    fn take(&mut self, payload: &[u8]) -> Result<(), FetchError> {
        match extension::split(payload) {
            Some((extension::HANDSHAKE, handshake)) => self.take_handshake(handshake),
            Some((number, message)) if number == self.context.settings.metadata_number => {
                self.take_message(message)
            }
            // Another extension, which was not offered.
            _ => Ok(()),
        }
    }

    fn take_handshake(&mut self, payload: &[u8]) -> Result<(), FetchError> {
        let theirs = ExtendedHandshake::parse(payload).map_err(FetchError::BadHandshake)?;
        if self.their_number.is_some() {
            // A later handshake may only renumber.
            self.their_number = theirs.number_of(UT_METADATA).or(self.their_number);
            return Ok(());
        }
        let number = theirs
            .number_of(UT_METADATA)
            .ok_or(FetchError::NoMetadata)?;
        let size = theirs.metadata_size.ok_or(FetchError::NoMetadata)?;
        let joined = self.assembly.lock().join(self.peer, size);
        joined.map_err(FetchError::NotWanted)?;
        self.their_number = Some(number);
        Ok(())
    }

    fn take_message(&mut self, payload: &[u8]) -> Result<(), FetchError> {
        let mut assembly = self.assembly.lock();
        match MetadataMessage::parse(payload) {
            Ok(MetadataMessage::Data {
                piece,
                total_size,
                block,
            }) => match assembly.block(self.peer, piece, total_size, block) {
                Ok(_) | Err(BlockError::Unasked) => Ok(()),
                Err(error) => Err(FetchError::Block(error)),
            },
            Ok(MetadataMessage::Reject { piece }) => {
                assembly.reject(self.peer, piece);
                Ok(())
            }
            // We have nothing to give, and what makes no sense is no answer.
            Ok(MetadataMessage::Request { .. } | MetadataMessage::Unknown) | Err(_) => Ok(()),
        }
    }

    /// Sends as many requests as the peer may have.
    fn ask(&mut self) -> Result<(), FetchError> {
        let Some(their_number) = self.their_number else {
            return Ok(());
        };
        let mut requests = Vec::new();
        let unanswered = {
            let mut assembly = self.assembly.lock();
            while let Some(piece) = assembly.next_request(self.peer) {
                encode_request(their_number, piece, &mut requests);
            }
            assembly.unanswered(self.peer)
        };
        if unanswered == 0 && !self.is_done() {
            return Err(FetchError::Rejected);
        }
        if requests.is_empty() {
            return Ok(());
        }
        self.write(&requests)
    }

    fn is_done(&self) -> bool {
        self.assembly.lock().metadata().is_some()
    }

    fn renew_quiet(&mut self) {
        let now = self.context.clock.now();
        self.quiet = Deadline::after(now, self.context.settings.quiet_timeout);
    }

    /// Reads what is there; `None` when the metadata are there meanwhile.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, FetchError> {
        loop {
            if self.is_done() {
                return Ok(None);
            }
            let left = self.time_left()?;
            match self.stream.read(buffer, left.min(SLICE)) {
                Ok(0) => return Err(self.broken(Reason::Closed)),
                Ok(read) => return Ok(Some(read)),
                Err(NetError {
                    reason: Reason::TimedOut,
                    ..
                }) => {}
                Err(error) => return Err(self.broken(error.reason)),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let left = self.time_left()?;
        let sent = self.stream.write_all(bytes, left);
        sent.map_err(|error| self.broken(error.reason))
    }

    fn time_left(&self) -> Result<Duration, FetchError> {
        if self.context.stop.is_stopped() {
            return Err(FetchError::Stopped);
        }
        let now = self.context.clock.now();
        let budget = self.budget.left(now).ok_or(FetchError::BudgetSpent)?;
        let quiet = self.quiet.left(now);
        Ok(budget.min(quiet.ok_or(FetchError::Net(Reason::TimedOut))?))
    }

    /// At the end of the run all sockets are shut, which looks like a close.
    fn broken(&self, reason: Reason) -> FetchError {
        if self.context.stop.is_stopped() {
            FetchError::Stopped
        } else {
            FetchError::Net(reason)
        }
    }
}

#[cfg(test)]
mod tests;
