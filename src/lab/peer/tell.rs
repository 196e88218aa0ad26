//! What a party tells after the handshakes.

use super::super::behaviour::Behaviour;
use super::super::plan::millis;
use super::super::sockets::Quit;
use super::super::wire;
use super::said::Told;
use super::{Encounter, Leave};
use crate::model::{PieceCount, Reason, Torrent};

/// Pieces that a lazy bitfield leaves out, at most.
const HOLES: usize = 8;

/// The share of the pieces before whose last one somebody who finishes makes a
/// pause, so that a time between the last two messages can be told from theirs:
/// `torrent_complete_threshold` by default.
const THRESHOLD: f64 = 0.98;

/// Pauses before that one: with those of usual length the download ends behind
/// the first second of the visit, which counts as one statement.
const STEPS: usize = 8;

/// Bytes in the flood behind a huge length prefix.
const FLOOD: usize = 4 * 1024 * 1024;

impl Encounter<'_> {
    pub(super) fn tell(&mut self, behaviour: Behaviour) -> Result<Leave, Quit> {
        let mut pieces = self.pieces_now();
        if self.extended {
            let handshake = self.extended_handshake();
            self.say(&handshake, &Told::Nothing)?;
            if let Some(named) = self.exchange()? {
                self.say(&named, &Told::Nothing)?;
            }
        }
        match behaviour {
            Behaviour::LazyBitfield => {
                let holes = pieces.split_off(pieces.len().saturating_sub(HOLES));
                self.say_bitfield(&pieces)?;
                self.say_haves(&holes)?;
            }
            Behaviour::HavesOnly => self.say_haves(&pieces)?,
            Behaviour::RedundantHaves => {
                self.say_bitfield(&pieces)?;
                let again = pieces.get(..pieces.len().min(5)).unwrap_or_default();
                self.say_haves(again)?;
                self.say_haves(again)?;
            }
            Behaviour::HaveAllNone => self.say_all_or_none(&pieces)?,
            Behaviour::LiveHaves => self.tell_live(pieces)?,
            Behaviour::Chatty => self.tell_chatty(&pieces)?,
            Behaviour::KeepAlives => {
                let pause = self.story.plan.options.live_pause;
                for _ in 0..3 {
                    self.line.pause(pause)?;
                    self.say(&wire::KEEP_ALIVE, &Told::Nothing)?;
                }
            }
            Behaviour::Finishes => self.tell_to_the_end(&pieces)?,
            Behaviour::Fluctuates => {
                if self.contact.visit % 2 == 1 {
                    pieces.truncate(pieces.len() / 2);
                }
                self.say_bitfield(&pieces)?;
            }
            _ if is_plain(behaviour) => {
                if !pieces.is_empty() {
                    self.say_bitfield(&pieces)?;
                }
            }
            faulty => return self.tell_wrong(faulty, &pieces),
        }
        Ok(Leave::Last)
    }

    /// The messages that no analyzer should accept.
    fn tell_wrong(&mut self, behaviour: Behaviour, pieces: &[u32]) -> Result<Leave, Quit> {
        let total = self.party.progress.total;
        match behaviour {
            Behaviour::ClosesAfterHandshake => {
                self.contact.fault = Some(Reason::Closed);
                return Ok(Leave::Close);
            }
            Behaviour::SpareBits if !total.is_multiple_of(8) => {
                let mut bits = wire::bits(total, pieces.iter().copied());
                if let Some(last) = bits.last_mut() {
                    *last |= 1;
                }
                self.say_wrong(&wire::bitfield(&bits), Reason::SpareBits)?;
            }
            Behaviour::BadBitfieldLength | Behaviour::SpareBits => {
                let mut bits = wire::bits(total, pieces.iter().copied());
                bits.push(0);
                self.say_wrong(&wire::bitfield(&bits), Reason::BitfieldLength)?;
            }
            Behaviour::HugeLengthSilent => {
                self.say_wrong(&HUGE, Reason::MessageTooLong)?;
            }
            other => {
                self.say_bitfield(pieces)?;
                self.tell_wrong_after(other)?;
            }
        }
        Ok(Leave::Last)
    }

    /// The faults behind a good bitfield.
    fn tell_wrong_after(&mut self, behaviour: Behaviour) -> Result<(), Quit> {
        let total = self.party.progress.total;
        match behaviour {
            Behaviour::HaveOutOfRange => self.say_wrong(&wire::have(total), Reason::HaveOutOfRange),
            Behaviour::HaveBadPayload => {
                self.say_wrong(&wire::message(4, &[0; 3]), Reason::PayloadLength)
            }
            Behaviour::SendsPiece => self.say_wrong(&wire::piece(1024), Reason::PieceReceived),
            Behaviour::HugeLengthFlood => {
                self.say_wrong(&HUGE, Reason::MessageTooLong)?;
                let chunk = vec![0xaa; 16 * 1024];
                let mut sent = 0;
                while sent < FLOOD {
                    self.line.write(&chunk)?;
                    sent += chunk.len();
                }
                Ok(())
            }
            Behaviour::DripsMessage => {
                // All that counts is told; the rest only takes time, and the
                // message is never whole.
                self.contact.finished = true;
                let pause = self.story.plan.options.drip;
                for byte in wire::message(20, &[b'x'; 1000]) {
                    self.line.pause(pause)?;
                    self.line.write(&[byte])?;
                    self.contact.fault = Some(Reason::TimedOut);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn tell_live(&mut self, mut pieces: Vec<u32>) -> Result<(), Quit> {
        let options = &self.story.plan.options;
        let (pause, time) = (options.live_pause, millis(options.live_time));
        self.say_bitfield(&pieces)?;
        let until = (self.story.elapsed() + time).min(self.story.plan.curfew());
        while self.story.elapsed() < until {
            self.line.pause(pause)?;
            let now = self.pieces_now();
            self.say_haves(now.get(pieces.len()..).unwrap_or_default())?;
            pieces = now;
        }
        Ok(())
    }

    /// What is missing arrives while the analyzer stays, from its second
    /// contact on: what is below [`THRESHOLD`] in [`STEPS`] parts with a pause
    /// before each, and after one more the rest.
    fn tell_to_the_end(&mut self, pieces: &[u32]) -> Result<(), Quit> {
        self.say_bitfield(pieces)?;
        if self.contact.visit == 0 {
            return Ok(());
        }
        let progress = &self.party.progress;
        let missing: Vec<u32> = progress.order(progress.total).skip(pieces.len()).collect();
        let enough = Torrent::threshold_of(PieceCount(progress.total), THRESHOLD).0 as usize;
        let below = enough.saturating_sub(pieces.len() + 1).min(missing.len());
        let (below, rest) = missing.split_at(below);
        let parts = below.chunks(below.len().div_ceil(STEPS).max(1));
        let mut count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        for part in parts.chain([rest]) {
            self.line.pause(self.story.plan.options.live_pause)?;
            for piece in part {
                count += 1;
                self.arrive(count);
                self.say(&wire::have(*piece), &Told::More(*piece))?;
            }
        }
        Ok(())
    }

    /// The party has `count` pieces from now on.
    fn arrive(&mut self, count: u32) {
        let now = self.story.clock.timestamp();
        match self.contact.arrived.last_mut() {
            Some((at, has)) if *at == now => *has = count,
            _ => self.contact.arrived.push((now, count)),
        }
    }

    fn tell_chatty(&mut self, pieces: &[u32]) -> Result<(), Quit> {
        self.say_bitfield(pieces)?;
        for other in [
            wire::port(6881),
            wire::message(1, &[]),
            wire::message(2, &[]),
            wire::message(99, b"unknown"),
            wire::message(6, &[0; 12]),
            wire::message(17, &[0; 4]),
            wire::KEEP_ALIVE.to_vec(),
        ] {
            self.say(&other, &Told::Nothing)?;
        }
        Ok(())
    }

    fn say_all_or_none(&mut self, pieces: &[u32]) -> Result<(), Quit> {
        let all = pieces.len() == self.party.progress.total as usize;
        match (self.fast, pieces.is_empty()) {
            (true, true) => self.say(&wire::have_none(), &Told::Exactly(&[])),
            (true, false) if all => self.say(&wire::have_all(), &Told::Exactly(pieces)),
            _ => self.say_bitfield(pieces),
        }
    }

    fn say_bitfield(&mut self, pieces: &[u32]) -> Result<(), Quit> {
        let bits = wire::bits(self.party.progress.total, pieces.iter().copied());
        self.say(&wire::bitfield(&bits), &Told::Exactly(pieces))
    }

    fn say_haves(&mut self, pieces: &[u32]) -> Result<(), Quit> {
        pieces
            .iter()
            .try_for_each(|piece| self.say(&wire::have(*piece), &Told::More(*piece)))
    }

    fn say(&mut self, bytes: &[u8], told: &Told<'_>) -> Result<(), Quit> {
        // The wait that follows is measured from before the message: it may
        // take this thread long to get on.
        let before = self.story.clock.timestamp();
        self.line.write(bytes)?;
        self.said.note(told, self.story.clock.timestamp());
        // The end itself is found where the party waits.
        if self.line.check_open().is_ok() {
            self.said.land();
        }
        self.said.begin(before);
        Ok(())
    }

    /// Sends a fault; it is one from its first byte on.
    fn say_wrong(&mut self, bytes: &[u8], reason: Reason) -> Result<(), Quit> {
        self.contact.fault = Some(reason);
        self.line.write(bytes)?;
        self.said.spoke(self.story.clock.timestamp());
        Ok(())
    }

    fn pieces_now(&self) -> Vec<u32> {
        let progress = &self.party.progress;
        let count = progress.pieces_at(self.story.elapsed());
        progress.order(count).collect()
    }
}

/// Tells a bitfield and nothing else.
const fn is_plain(behaviour: Behaviour) -> bool {
    matches!(
        behaviour,
        Behaviour::Bitfield | Behaviour::Seed | Behaviour::RefusesFirst | Behaviour::ClosesFirst
    )
}

/// The largest length prefix there is.
const HUGE: [u8; 4] = [0xff; 4];
