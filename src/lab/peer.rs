//! One contact with the analyzer, acted out by the party's behaviour.
//!
//! The same code for peers that are called and for callers: they differ only
//! in who greets first. Runs on a thread of the lab's pool; every wait has a
//! deadline.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::behaviour::Behaviour;
use super::channel::Channel;
use super::plan::PlannedParty;
use super::sockets::{Line, Quit};
use super::story::Story;
use super::truth::{Contact, End};
use super::{tunnel, wire};
use crate::deadline::Deadline;
use crate::model::{Direction, InfoHash, Reason, Timestamp};

mod exchange;
mod metadata;
mod opening;
mod said;
mod tell;

pub(super) use metadata::{asks_for_metadata, meet_for_metadata};
pub(super) use opening::{Opening, look, refuse};

/// How long a connection may last, whatever the analyzer does. Longer than
/// any sensible visit: it is a net, not a part of the story.
const CONNECTION_LIMIT: Duration = Duration::from_secs(150);

/// What the lab knows about a contact before its first byte.
#[derive(Clone, Copy)]
pub(super) struct Meeting {
    pub(super) direction: Direction,
    /// The party is a caller, though the analyzer calls.
    pub(super) called_back: bool,
    pub(super) party: usize,
    pub(super) address: SocketAddr,
    pub(super) visit: u32,
    pub(super) started: Timestamp,
}

impl Meeting {
    /// The contact as far as it is known.
    pub(super) fn contact(&self, party: &PlannedParty, end: End, ended: Timestamp) -> Contact {
        Contact {
            started: self.started,
            ended,
            direction: self.direction,
            called_back: self.called_back,
            party: self.party,
            address: self.address,
            torrent: party.torrent,
            behaviour: party.behaviour,
            reach: party.reach,
            link: party.reach.link(),
            visit: self.visit,
            unfit: false,
            handshake: false,
            told: None,
            settled: None,
            slowest: 0,
            waited: 0,
            messages: 0,
            arrived: Vec::new(),
            fault: None,
            finished: false,
            end,
        }
    }
}

/// How a party leaves once it has done its part.
enum Leave {
    /// Stays, without a word, until the analyzer closes.
    Last,
    Close,
    Reset,
}

/// One contact in progress.
struct Encounter<'a> {
    line: Line<'a>,
    story: &'a Story,
    party: &'a PlannedParty,
    contact: Contact,
    said: said::Said,
    /// The analyzer's handshake announced BEP 6.
    fast: bool,
    /// Both sides announced BEP 10.
    extended: bool,
    /// The analyzer's number for `ut_metadata`; 0 while it told none.
    their_metadata: u8,
    /// Blocks of the metadata that were asked for.
    asked: u32,
    /// Blocks that were given as they are.
    given: BTreeSet<u32>,
}

/// A connection of the story, not yet used.
pub(super) fn line(story: &Story, channel: Channel) -> Line<'_> {
    let clock = &*story.clock;
    Line {
        channel,
        clock,
        stop: &story.stop,
        deadline: Deadline::after(clock.now(), CONNECTION_LIMIT),
        // Requests for metadata may come early.
        early: Some(VecDeque::new()),
    }
}

/// Acts out one contact and returns what happened.
pub(super) fn meet(
    story: &Story,
    party: &PlannedParty,
    meeting: &Meeting,
    line: Line<'_>,
) -> Contact {
    let clock = &*story.clock;
    let mut encounter = Encounter::new(story, party, meeting, line);
    let left = encounter.act();
    let Encounter {
        mut line,
        mut contact,
        mut said,
        ..
    } = encounter;
    contact.link = line.channel.link();
    contact.end = match left {
        Ok(leave) => {
            contact.finished = true;
            match leave {
                Leave::Last => ended(line.drain()),
                Leave::Close => {
                    // Waiting for the analyzer to close too is courtesy, not
                    // part of the contact.
                    let ended = clock.timestamp();
                    line.close();
                    contact.ended = ended;
                    End::WeClosed
                }
                Leave::Reset => {
                    line.reset();
                    End::WeReset
                }
            }
        }
        Err(quit) => ended(quit),
    };
    if contact.end != End::WeClosed {
        contact.ended = clock.timestamp();
    }
    if contact.handshake && contact.fault.is_none() && !said.in_time() {
        said.missed_it();
    }
    contact.told = said.told();
    contact.settled = said.settled(contact.end, contact.ended);
    contact.slowest = said.slowest();
    contact.waited = said.waited(contact.ended);
    contact.messages = said.messages();
    contact
}

const fn ended(quit: Quit) -> End {
    match quit {
        Quit::Closed => End::TheyClosed,
        Quit::Reset => End::TheyReset,
        Quit::Deadline => End::Deadline,
        Quit::Stopped => End::Stopped,
    }
}

impl<'a> Encounter<'a> {
    fn new(story: &'a Story, party: &'a PlannedParty, meeting: &Meeting, line: Line<'a>) -> Self {
        let mut encounter = Self {
            line,
            story,
            party,
            contact: meeting.contact(party, End::TheyClosed, meeting.started),
            said: said::Said::new(party.progress.total, story.plan.options.message_limit),
            fast: false,
            extended: false,
            their_metadata: 0,
            asked: 0,
            given: BTreeSet::new(),
        };
        encounter.said.begin(meeting.started);
        encounter
    }
}

impl Encounter<'_> {
    fn act(&mut self) -> Result<Leave, Quit> {
        if self.story.is_over() {
            self.come_in_time()?;
            self.contact.fault = Some(Reason::Closed);
            return Ok(Leave::Close);
        }
        self.shake_in_secret()?;
        let behaviour = match self.party.behaviour {
            Behaviour::ClosesFirst if self.contact.visit == 0 => Behaviour::ClosesAtOnce,
            other => other,
        };
        if let Some(reason) = behaviour.fails_before_messages() {
            self.contact.fault = Some(match (reason, self.contact.direction) {
                (Reason::InfoHashMismatch, Direction::Incoming) => Reason::UnknownInfoHash,
                (reason, _) => reason,
            });
            return self.spoil(behaviour);
        }
        if !self.greet()? {
            self.contact.fault = Some(Reason::Closed);
            return Ok(Leave::Close);
        }
        let asked = self.may_be_asked();
        let leave = self.tell(behaviour)?;
        if asked && matches!(leave, Leave::Last) {
            self.contact.finished = true;
            return Err(self.serve_requests());
        }
        Ok(leave)
    }

    /// The handshake of MSE, where the party speaks it: peers when they are
    /// called, callers when they call.
    fn shake_in_secret(&mut self) -> Result<(), Quit> {
        let Some(method) = tunnel::method_of(self.party.reach.link().encryption) else {
            return Ok(());
        };
        let torrent = InfoHash::new(self.info_hash());
        match (self.contact.direction, self.contact.called_back) {
            (_, true) => return Ok(()),
            (Direction::Incoming, false) => tunnel::begin(&mut self.line, torrent, method)?,
            (Direction::Outgoing, false) => tunnel::answer(&mut self.line, torrent, method)?,
        }
        self.said.spoke(self.story.clock.timestamp());
        Ok(())
    }

    /// The contacts that never get to messages.
    fn spoil(&mut self, behaviour: Behaviour) -> Result<Leave, Quit> {
        let drip = self.story.plan.options.drip;
        match behaviour {
            Behaviour::ClosesAtOnce => {
                self.come_in_time()?;
                return Ok(Leave::Close);
            }
            Behaviour::Resets => {
                if self.contact.direction == Direction::Outgoing {
                    self.read_greeting()?;
                }
                self.come_in_time()?;
                return Ok(Leave::Reset);
            }
            Behaviour::Garbage => self.write_in_time(GARBAGE)?,
            Behaviour::TlsHello => self.write_in_time(TLS_HELLO)?,
            Behaviour::HalfHandshake => {
                let handshake = self.handshake();
                self.line.write(handshake.get(..30).unwrap_or_default())?;
            }
            Behaviour::DripsHandshake => {
                for byte in self.handshake() {
                    self.line.pause(drip)?;
                    self.line.write(&[byte])?;
                }
            }
            Behaviour::WrongInfoHash => {
                if self.contact.direction == Direction::Outgoing {
                    self.read_greeting()?;
                }
                let other = self.info_hash().map(|byte| !byte);
                let handshake = wire::handshake(EXTENDED, &other, &self.party.peer_id);
                self.write_in_time(&handshake)?;
            }
            _ => {}
        }
        Ok(Leave::Last)
    }

    /// Notes when the analyzer was gone before the party came to its part.
    fn come_in_time(&mut self) -> Result<(), Quit> {
        let open = self.line.check_open();
        match open {
            Ok(()) => self.said.spoke(self.story.clock.timestamp()),
            Err(_) => self.said.missed_it(),
        }
        open
    }

    /// Writes what decides the contact.
    fn write_in_time(&mut self, bytes: &[u8]) -> Result<(), Quit> {
        self.come_in_time()?;
        self.line.write(bytes)?;
        self.said.spoke(self.story.clock.timestamp());
        Ok(())
    }

    /// Both handshakes; `false` when the analyzer wants another torrent.
    fn greet(&mut self) -> Result<bool, Quit> {
        let handshake = self.handshake();
        if self.contact.direction == Direction::Incoming {
            self.write_in_time(&handshake)?;
        }
        let greeting = self.read_greeting()?;
        let wanted = self.info_hash();
        let Some(greeting) = greeting.filter(|it| it.info_hash == wanted) else {
            return Ok(false);
        };
        if self.contact.direction == Direction::Outgoing {
            // Who has left for lack of an answer must not get one.
            self.line.check_open()?;
            self.said.begin(self.story.clock.timestamp());
            self.line.write(&handshake)?;
        }
        if self.line.check_open().is_ok() {
            self.said.land();
        }
        self.fast = greeting.fast();
        self.extended = greeting.extended() && self.reserved() != wire::NO_EXTENSIONS;
        self.contact.handshake = true;
        Ok(true)
    }

    fn read_greeting(&mut self) -> Result<Option<wire::Greeting>, Quit> {
        let mut bytes = [0; wire::HANDSHAKE_LEN];
        self.line.read_exact(&mut bytes)?;
        Ok(wire::Greeting::parse(&bytes))
    }

    fn handshake(&self) -> Vec<u8> {
        wire::handshake(self.reserved(), &self.info_hash(), &self.party.peer_id)
    }

    const fn reserved(&self) -> [u8; 8] {
        match self.party.behaviour {
            Behaviour::HaveAllNone | Behaviour::Chatty => wire::FAST_AND_EXTENDED,
            Behaviour::HavesOnly => wire::NO_EXTENSIONS,
            _ => EXTENDED,
        }
    }

    fn info_hash(&self) -> [u8; 20] {
        let torrent = self.story.plan.torrents.get(self.party.torrent);
        torrent.map_or([0; 20], |torrent| *torrent.info_hash.as_bytes())
    }
}

/// Reserved bits of a client with the extension protocol only.
const EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

/// More bytes than a handshake has, and none.
const GARBAGE: &[u8] = &[0x5a; 96];

/// The beginning of a TLS 1.2 client hello, padded to more than a handshake.
const TLS_HELLO: &[u8] = &{
    let mut hello = [0x2c; 96];
    let head = [0x16, 3, 1, 0, 91, 1, 0, 0, 87, 3, 3];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    hello
};
