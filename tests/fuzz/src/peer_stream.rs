//! Whole visits, outward and inward, against a peer that the fuzzer plays:
//! any bytes in any chunks with any pauses, closing, breaking, in the middle
//! of the end of the run.

use std::path::PathBuf;
use std::time::Duration;

use btda::analyzer::directory::Directory;
use btda::analyzer::evaluate::{Heard, Verdict};
use btda::analyzer::visit::{Report, Visitor};
use btda::clock::{Clock, ManualClock};
use btda::config::settings::VisitSettings;
use btda::model::{InfoHash, PeerId, PieceCount, Reason, Timestamp, Torrent, TorrentId, VisitEnd};
use btda::net::{NetError, Operation, Stream};
use btda::protocol::handshake::{HANDSHAKE_LEN, Handshake, PROTOCOL, Reserved};
use btda::stop::{StopTrigger, stop_pair};

use super::input::Input;

const OWN: PeerId = PeerId::new(*b"OWNOWNOWNOWNOWNOWNOW");
const HASH: InfoHash = InfoHash::new(*b"hashhashhashhashhash");
const QUIET: Duration = Duration::from_secs(6);
const BUDGET: Duration = Duration::from_secs(20);

/// Five bytes choose settings, direction and size of the torrent, the rest is
/// the script of the peer.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let settings = VisitSettings {
        quiet_timeout: QUIET,
        budget: BUDGET,
        message_limit: 1 + u32::from(input.byte()),
        finish_when_complete: flag(0),
        fast_extension: flag(1),
        dht_port: None,
        keep_partial: flag(2),
        ignore_malformed: flag(3),
        message_log_length: 80,
    };
    let inward = flag(4);
    let admitted = !flag(5);
    let torrent = torrent(1 + u32::from(input.short()));
    let clock = ManualClock::new(Timestamp(0));
    let (trigger, stop) = stop_pair();
    let mut peer = Peer {
        clock: clock.clone(),
        trigger,
        // A correct handshake first, or the fuzzer would have to guess it.
        waiting: if flag(6) {
            handshake(flag(7))
        } else {
            Vec::new()
        },
        writes: input.byte(),
        input,
        told: Vec::new(),
        heard: Vec::new(),
    };
    let visitor = Visitor {
        clock: &clock,
        settings: &settings,
        own_id: OWN,
        stop: &stop,
    };
    let start = clock.now();
    let report = if inward {
        let admit = |_: &Torrent| admitted.then_some(()).ok_or(Reason::AlreadyInOutgoing);
        let directory = Directory::new(vec![torrent.clone()]);
        let (found, report) = visitor.incoming(&mut peer, &directory, &admit);
        assert!(found.is_some() || report.heard.is_none());
        report
    } else {
        visitor.outgoing(&mut peer, &torrent, start)
    };
    assert!(clock.now() - start <= BUDGET, "the visit took too long");
    judged_by_the_rules(&report, &torrent, stop.is_stopped());
    nothing_but_a_greeting(&peer.heard, &report, &settings);
    heard_what_was_told(&report, &peer, &settings, &torrent);
}

fn torrent(pieces: u32) -> Torrent {
    Torrent {
        id: TorrentId::from_index(0).expect("the first id"),
        info_hash: HASH,
        trackers: Vec::new(),
        pieces: PieceCount(pieces),
        piece_length: 16_384,
        threshold: PieceCount(pieces),
        path: PathBuf::new(),
        display_name: None,
        private: false,
    }
}

fn handshake(fast: bool) -> Vec<u8> {
    let reserved = if fast {
        Reserved::default().with_fast()
    } else {
        Reserved::default()
    };
    let theirs = Handshake {
        reserved,
        info_hash: HASH,
        peer_id: PeerId::new(*b"-TR3000-abcdefghijkl"),
    };
    theirs.encode().to_vec()
}

/// The other side. Each step begins with a byte: two bits for the pause, six
/// for what happens.
struct Peer<'a> {
    clock: ManualClock,
    trigger: StopTrigger,
    input: Input<'a>,
    /// Sent, but not yet read by the visit.
    waiting: Vec<u8>,
    /// Writes that work; 255 is without end.
    writes: u8,
    /// Everything that the visit has read.
    told: Vec<u8>,
    /// Everything that the visit has written.
    heard: Vec<u8>,
}

impl Peer<'_> {
    /// Lets `pause` pass, or as much of it as the visit waits.
    fn pause(&self, pause: Duration, wait: Duration) -> Result<(), NetError> {
        self.clock.advance(pause.min(wait));
        if pause > wait {
            return Err(NetError::timed_out(Operation::Read));
        }
        Ok(())
    }

    fn hand_over(&mut self, buffer: &mut [u8]) -> usize {
        let length = self.waiting.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.waiting[..length]);
        self.told.extend(self.waiting.drain(..length));
        length
    }
}

impl Stream for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        assert!(!buffer.is_empty() && !wait.is_zero() && wait <= QUIET);
        if !self.waiting.is_empty() {
            return Ok(self.hand_over(buffer));
        }
        if self.input.is_empty() {
            self.clock.advance(wait);
            return Err(NetError::timed_out(Operation::Read));
        }
        let step = self.input.byte();
        let pause = [0, 900, 5_900, 7_000][usize::from(step >> 6)];
        self.pause(Duration::from_millis(pause), wait)?;
        let reason = match step & 0x3f {
            0 => return Ok(0),
            1 => Reason::Os(104),
            2 => {
                self.trigger.stop();
                Reason::TimedOut
            }
            3 => {
                let (byte, count) = (self.input.byte(), self.input.short());
                self.waiting = vec![byte; 1 + usize::from(count)];
                return Ok(self.hand_over(buffer));
            }
            length => {
                self.waiting = self.input.take(usize::from(length) - 3).to_vec();
                return Ok(self.hand_over(buffer));
            }
        };
        Err(NetError {
            operation: Operation::Read,
            reason,
        })
    }

    fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        assert!(!wait.is_zero() && wait <= QUIET);
        if self.writes == 0 {
            return Err(NetError {
                operation: Operation::Write,
                reason: Reason::Os(32),
            });
        }
        self.writes = self.writes.saturating_sub(u8::from(self.writes < 255));
        self.heard.extend(bytes);
        Ok(())
    }
}

fn judged_by_the_rules(report: &Report, torrent: &Torrent, stopped: bool) {
    let Some(heard) = &report.heard else {
        assert!(!matches!(report.verdict, Verdict::Counts(_)));
        assert!(stopped || report.verdict != Verdict::Interrupted);
        return;
    };
    assert!(report.peer_id.is_some());
    assert!(heard.pieces.count() <= torrent.pieces);
    assert!(heard.told || heard.pieces.count().0 == 0);
    match report.verdict {
        Verdict::Counts(VisitEnd::Complete) => assert!(heard.told && heard.pieces.is_complete()),
        Verdict::Counts(VisitEnd::Stopped) => assert!(stopped && heard.told),
        Verdict::Counts(VisitEnd::Broken(_) | VisitEnd::Budget) => assert!(heard.told),
        Verdict::Counts(VisitEnd::Quiet | VisitEnd::MessageLimit) | Verdict::Failed(_) => {}
        Verdict::Interrupted => assert!(stopped && !heard.told),
    }
}

/// Our handshake and `have none` is all that we ever send.
fn nothing_but_a_greeting(sent: &[u8], report: &Report, settings: &VisitSettings) {
    let reserved = if settings.fast_extension {
        Reserved::default().with_fast()
    } else {
        Reserved::default()
    };
    let ours = Handshake {
        reserved,
        info_hash: HASH,
        peer_id: OWN,
    };
    let rest = match sent.split_at_checked(HANDSHAKE_LEN) {
        Some((greeting, rest)) => {
            assert_eq!(greeting, ours.encode());
            rest
        }
        None => sent,
    };
    let have_none = report.heard.is_some() && settings.fast_extension && rest == b"\0\0\0\x01\x0f";
    assert!(rest.is_empty() || have_none, "sent {rest:?}");
}

/// The same from all bytes that the visit has read, with BEP 3 and 6 beside
/// it and without any state but a list of pieces.
fn heard_what_was_told(
    report: &Report,
    peer: &Peer<'_>,
    settings: &VisitSettings,
    torrent: &Torrent,
) {
    let told = &peer.told;
    let greeted = peer.heard.len() >= HANDSHAKE_LEN
        && told.len() >= HANDSHAKE_LEN
        && told.starts_with(&PROTOCOL)
        && told[28..48] == *HASH.as_bytes()
        && told[48..68] != *OWN.as_bytes();
    assert_eq!(report.heard.is_some(), greeted);
    let Some(heard) = &report.heard else {
        return;
    };
    let fast = settings.fast_extension && told[27] & 4 != 0;
    let stream = if fast && peer.heard.len() < HANDSHAKE_LEN + 5 {
        // Could not be told of our having nothing, and was left.
        &[]
    } else {
        &told[HANDSHAKE_LEN..]
    };
    let expected = naive(stream, fast, settings, torrent);
    assert_eq!(summary(heard), expected);
}

fn summary(heard: &Heard) -> (u32, u32, bool) {
    let counts = &heard.counts;
    let kinds = [
        counts.state,
        counts.have,
        counts.bitfield,
        counts.transfer,
        counts.piece,
        counts.port,
        counts.have_all,
        counts.have_none,
        counts.extended,
        counts.keep_alive,
        counts.unknown,
    ];
    assert_eq!(kinds.iter().sum::<u32>(), counts.total);
    (heard.pieces.count().0, counts.total, heard.told)
}

/// Pieces, messages, and whether anything was told of pieces.
fn naive(
    stream: &[u8],
    fast: bool,
    settings: &VisitSettings,
    torrent: &Torrent,
) -> (u32, u32, bool) {
    let count = torrent.pieces.0 as usize;
    let mut pieces = vec![false; count];
    let (mut total, mut told) = (0, false);
    let mut rest = stream;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > 1 << 20 {
            break;
        }
        let long = length > count.div_ceil(8).max(16) + 1;
        let known = if long {
            1.min(behind.len())
        } else {
            behind.len().min(length)
        };
        if known < if long { 1 } else { length } {
            break;
        }
        total += 1;
        let message = &behind[..known];
        match naive_message(message, long, fast, &mut pieces) {
            Taken::Told => told = true,
            Taken::Nothing => {}
            Taken::Malformed if settings.ignore_malformed => {}
            Taken::Piece | Taken::Malformed => break,
        }
        let complete = told && pieces.iter().all(|piece| *piece);
        if settings.finish_when_complete && complete || total >= settings.message_limit {
            break;
        }
        let Some(next) = behind.get(length..) else {
            break;
        };
        rest = next;
    }
    let pieces = pieces.iter().filter(|piece| **piece).count();
    (u32::try_from(pieces).expect("a count"), total, told)
}

enum Taken {
    Told,
    Nothing,
    Piece,
    Malformed,
}

fn naive_message(message: &[u8], long: bool, fast: bool, pieces: &mut [bool]) -> Taken {
    let Some((&id, payload)) = message.split_first() else {
        return Taken::Nothing;
    };
    match id {
        7 => Taken::Piece,
        5 => naive_bitfield(payload, long, pieces),
        0..=3 | 14 | 15 if long || !payload.is_empty() => Taken::Malformed,
        14 | 15 if fast => {
            pieces.fill(id == 14);
            Taken::Told
        }
        4 | 13 | 17 if long || payload.len() != 4 => Taken::Malformed,
        4 => {
            let index = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
            match pieces.get_mut(index as usize) {
                Some(piece) => {
                    *piece = true;
                    Taken::Told
                }
                None => Taken::Malformed,
            }
        }
        6 | 8 | 16 if long || payload.len() != 12 => Taken::Malformed,
        9 if long || payload.len() != 2 => Taken::Malformed,
        _ => Taken::Nothing,
    }
}

fn naive_bitfield(payload: &[u8], long: bool, pieces: &mut [bool]) -> Taken {
    let bit = |index: usize| payload[index / 8] >> (7 - index % 8) & 1 == 1;
    let right_length = !long && payload.len() == pieces.len().div_ceil(8);
    if !right_length || (pieces.len()..payload.len() * 8).any(bit) {
        return Taken::Malformed;
    }
    for (index, piece) in pieces.iter_mut().enumerate() {
        *piece = bit(index);
    }
    Taken::Told
}
