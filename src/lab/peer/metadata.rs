//! A peer that is asked for the metadata of its torrent (BEP 9 over BEP 10).
//!
//! An analyzer that has only a magnet link asks before it measures. Such a
//! conversation is no visit: nothing of it can be stored, so it is written
//! down apart from the contacts.

use std::net::TcpStream;
use std::time::Duration;

use super::super::bencode::Found;
use super::super::manner::MetadataManner;
use super::super::plan::PlannedParty;
use super::super::sockets::{Line, Quit, is_timeout};
use super::super::story::Story;
use super::super::truth::{End, MetadataContact};
use super::super::wire;
use super::{Encounter, Leave, Meeting, exchange};
use crate::deadline::Deadline;

/// How long the first bytes of a handshake may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(2);

/// Longest message that is read.
const MESSAGE_MAX: usize = 64 * 1024;

/// The number of `ut_metadata` among the peers of the lab.
const OWN_NUMBER: u8 = 3;

/// The size that a peer with [`MetadataManner::EndlessSize`] claims.
const ENDLESS: usize = 1 << 31;

/// Whether the caller is here for metadata: its handshake announces the
/// extension protocol and not the fast extension, which visits of btda do.
/// Reads nothing.
pub(in super::super) fn asks_for_metadata(story: &Story, stream: &TcpStream) -> bool {
    let mut bytes = [0; wire::HANDSHAKE_LEN];
    let until = Deadline::after(story.clock.now(), LOOK_LIMIT);
    while until.left(story.clock.now()).is_some() {
        match stream.peek(&mut bytes) {
            Ok(0) => return false,
            Ok(count) if count == bytes.len() => {
                let greeting = wire::Greeting::parse(&bytes);
                return greeting.is_some_and(|it| it.extended() && !it.fast());
            }
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {}
            Err(_) => return false,
        }
        if story.stop.wait(LOOK) {
            return false;
        }
    }
    false
}

/// Acts one conversation out and returns what happened.
pub(in super::super) fn meet_for_metadata(
    story: &Story,
    party: &PlannedParty,
    meeting: &Meeting,
    line: Line<'_>,
) -> MetadataContact {
    let mut encounter = Encounter::new(story, party, meeting, line);
    let left = encounter.act_for_metadata();
    let Encounter {
        mut line,
        contact,
        asked,
        given,
        ..
    } = encounter;
    let end = match left {
        Ok(Leave::Last) => super::ended(line.drain()),
        Ok(Leave::Close) => {
            line.close();
            End::WeClosed
        }
        Ok(Leave::Reset) => {
            line.reset();
            End::WeReset
        }
        Err(quit) => super::ended(quit),
    };
    MetadataContact {
        started: meeting.started,
        ended: story.clock.timestamp(),
        party: meeting.party,
        address: meeting.address,
        torrent: party.torrent,
        behaviour: party.behaviour,
        manner: party.manner,
        handshake: contact.handshake,
        asked,
        given,
        end,
    }
}

impl Encounter<'_> {
    /// As a visit, but with metadata instead of pieces.
    fn act_for_metadata(&mut self) -> Result<Leave, Quit> {
        let behaviour = self.party.behaviour;
        if self.story.is_over() {
            return Ok(Leave::Close);
        }
        if behaviour.fails_before_messages().is_some() {
            return self.spoil(behaviour);
        }
        if !self.greet()? {
            return Ok(Leave::Close);
        }
        let offer = self.extended_handshake();
        self.line.write(&offer)?;
        Err(self.serve_requests())
    }

    /// Whether the analyzer may ask for metadata in this contact.
    pub(super) fn may_be_asked(&self) -> bool {
        let torrent = self.story.plan.torrents.get(self.party.torrent);
        self.extended && torrent.is_some_and(|torrent| torrent.magnet.is_some())
    }

    /// The extended handshake, with the metadata where they may be asked for.
    pub(super) fn extended_handshake(&self) -> Vec<u8> {
        let mut offer = wire::Offer {
            exchange: (!self.party.names.is_empty()).then_some(exchange::OWN_NUMBER),
            port: self.party.listens.map(|port| self.story.ports.told(port)),
            metadata: None,
        };
        if self.may_be_asked() {
            offer.metadata = match self.party.manner {
                MetadataManner::Without => None,
                MetadataManner::EndlessSize => Some((OWN_NUMBER, ENDLESS)),
                _ => Some((OWN_NUMBER, self.metadata().len())),
            };
        }
        wire::extended_handshake(&offer)
    }

    /// Answers requests until the analyzer leaves, or something else ends the
    /// connection.
    pub(super) fn serve_requests(&mut self) -> Quit {
        let mut their_number = self.their_metadata;
        loop {
            let message = match self.read_message() {
                Ok(message) => message,
                Err(quit) => return quit,
            };
            let Some((20, payload)) = message.split_first().map(|(id, rest)| (*id, rest)) else {
                continue;
            };
            let Some((number, payload)) = payload.split_first() else {
                continue;
            };
            if *number == 0 {
                let told = exchange::number_of(payload, b"ut_metadata");
                their_number = told.unwrap_or(their_number);
            } else if let Some(piece) = requested(*number, payload)
                && let Err(quit) = self.answer(their_number, piece)
            {
                return quit;
            }
        }
    }

    fn answer(&mut self, number: u8, piece: u32) -> Result<(), Quit> {
        self.asked = self.asked.saturating_add(1);
        let whole = self.metadata();
        let size = whole.len();
        let start = (piece as usize).saturating_mul(wire::METADATA_BLOCK);
        let rest = whole.get(start..).unwrap_or_default();
        let length = rest.len().min(wire::METADATA_BLOCK);
        let mut block = rest.get(..length).unwrap_or_default().to_vec();
        let reject = wire::metadata_reject(number, piece);
        let reply = match self.party.manner {
            MetadataManner::Silent | MetadataManner::Without => return Ok(()),
            MetadataManner::EndlessSize => {
                wire::metadata_data(number, piece, ENDLESS, &[0; wire::METADATA_BLOCK])
            }
            MetadataManner::Rejects => reject,
            MetadataManner::GivesHalf if piece % 2 == 1 => reject,
            _ if block.is_empty() => reject,
            MetadataManner::WrongBlock => {
                if let Some(last) = block.last_mut() {
                    *last ^= 1;
                }
                wire::metadata_data(number, piece, size, &block)
            }
            MetadataManner::Gives | MetadataManner::GivesHalf => {
                let reply = wire::metadata_data(number, piece, size, &block);
                self.line.write(&reply)?;
                self.given.insert(piece);
                return Ok(());
            }
        };
        self.line.write(&reply)
    }

    fn metadata(&self) -> &[u8] {
        let torrent = self.story.plan.torrents.get(self.party.torrent);
        torrent.map_or(&[], |torrent| &torrent.info)
    }

    /// The next message without its length; empty for a keep-alive.
    pub(super) fn read_message(&mut self) -> Result<Vec<u8>, Quit> {
        let mut length = [0; 4];
        self.line.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MESSAGE_MAX {
            return Err(Quit::Reset);
        }
        let mut message = vec![0; length];
        self.line.read_exact(&mut message)?;
        Ok(message)
    }
}

/// The block that a message to `number` asks for.
fn requested(number: u8, payload: &[u8]) -> Option<u32> {
    let (message, _) = Found::read(payload)?;
    let is_request = message.get(b"msg_type")?.number()? == 0;
    let piece = message.get(b"piece")?.number()?;
    (number == OWN_NUMBER && is_request).then_some(u32::try_from(piece).ok()?)
}

#[cfg(test)]
mod tests;
