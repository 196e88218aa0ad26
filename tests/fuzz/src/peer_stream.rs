//! Whole visits, outward and inward, against a peer that the fuzzer plays:
//! any bytes in any chunks with any pauses, closing, breaking, in the middle
//! of the end of the run.

mod naive;

use std::path::PathBuf;
use std::time::Duration;

use btda::analyzer::directory::Directory;
use btda::analyzer::evaluate::{Heard, Verdict};
use btda::analyzer::visit::{Report, Visitor};
use btda::clock::{Clock, ManualClock};
use btda::config::settings::{EncryptionPolicy, TransportPolicy, VisitSettings};
use btda::model::{
    InfoHash, Link, PeerId, PieceCount, PseudonymKey, Reason, Timestamp, Torrent, TorrentId,
    VisitEnd,
};
use btda::net::{NetError, Operation, Stream};
use btda::protocol::extension::CLIENT;
use btda::protocol::handshake::{HANDSHAKE_LEN, Handshake, PROTOCOL, Reserved};
use btda::stop::{StopTrigger, stop_pair};

use self::naive::{Spoken, Sum, naive};
use super::input::Input;

const OWN: PeerId = PeerId::new(*b"OWNOWNOWNOWNOWNOWNOW");
const HASH: InfoHash = InfoHash::new(*b"hashhashhashhashhash");
const DHT_PORT: u16 = 17_000;
const QUIET: Duration = Duration::from_secs(6);
const BUDGET: Duration = Duration::from_secs(20);

/// Five bytes choose settings, direction and size of the torrent, the rest is
/// the script of the peer.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let (limit, pieces, writes) = (input.byte(), input.short(), input.byte());
    let (dht, extension) = (writes % 2 == 0, writes & 2 == 0);
    let settings = settings(flags, limit, writes);
    let inward = flag(4);
    let admitted = !flag(5);
    let torrent = torrent(1 + u32::from(pieces));
    let clock = ManualClock::new(Timestamp(0));
    let (trigger, stop) = stop_pair();
    let mut peer = Peer {
        clock: clock.clone(),
        trigger,
        // A correct handshake first, or the fuzzer would have to guess it.
        waiting: if flag(6) {
            let id = PeerId::new(*b"-TR3000-abcdefghijkl");
            handshake(id, flag(7), extension, dht).to_vec()
        } else {
            Vec::new()
        },
        writes,
        input,
        told: Vec::new(),
        heard: Vec::new(),
    };
    let visitor = Visitor {
        clock: &clock,
        settings: &settings,
        own_id: OWN,
        stop: &stop,
        peer: None,
        observe: None,
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
    nothing_but_a_greeting(&peer, &report, &settings);
    heard_what_was_told(&report, &peer, &settings, &torrent);
}

/// The settings that the bytes choose.
fn settings(flags: u8, limit: u8, writes: u8) -> VisitSettings {
    let flag = |bit: u8| flags >> bit & 1 == 1;
    VisitSettings {
        quiet_timeout: QUIET,
        budget: BUDGET,
        message_limit: 1 + u32::from(limit),
        finish_when_complete: flag(0),
        fast_extension: flag(1),
        extension_protocol: writes & 2 == 0,
        peer_exchange: false,
        exchange_wait: Duration::from_secs(2),
        tracker_exchange: false,
        listen_port: None,
        dht_port: writes.is_multiple_of(2).then_some(DHT_PORT),
        keep_partial: flag(2),
        encryption: EncryptionPolicy::Plain,
        ignore_malformed: flag(3),
        message_log_length: 80,
        transport: TransportPolicy::Tcp,
    }
}

fn torrent(pieces: u32) -> Torrent {
    Torrent {
        id: TorrentId::from_index(0).expect("the first id"),
        info_hash: HASH,
        trackers: Vec::new(),
        pieces: PieceCount(pieces),
        piece_length: 16_384,
        threshold: PieceCount(pieces - pieces / 10),
        path: PathBuf::new(),
        display_name: None,
        private: false,
    }
}

fn handshake(peer_id: PeerId, fast: bool, extension: bool, dht: bool) -> [u8; HANDSHAKE_LEN] {
    let mut reserved = Reserved::default();
    if extension {
        reserved = reserved.with_extension();
    }
    if fast {
        reserved = reserved.with_fast();
    }
    if dht {
        reserved = reserved.with_dht();
    }
    let info_hash = HASH;
    Handshake {
        reserved,
        info_hash,
        peer_id,
    }
    .encode()
}

/// The other side. Each step begins with a byte: two bits for the pause, six
/// for what happens.
struct Peer<'a> {
    clock: ManualClock,
    trigger: StopTrigger,
    input: Input<'a>,
    /// Sent, but not yet read by the visit.
    waiting: Vec<u8>,
    /// Writes that work; 254 and 255 are without end.
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
        self.writes -= u8::from(self.writes < 254);
        self.heard.extend(bytes);
        Ok(())
    }

    fn link(&self) -> Link {
        Link::PLAIN_TCP
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
        Verdict::Counts(VisitEnd::Crossed | VisitEnd::StayOver | VisitEnd::Look) => {
            panic!("nobody stays or looks here")
        }
        Verdict::Interrupted => assert!(stopped && !heard.told),
    }
}

/// Our handshake, then `have none`, our extended handshake and the port of our
/// DHT node where both sides know of them, is all that we ever send.
fn nothing_but_a_greeting(peer: &Peer<'_>, report: &Report, settings: &VisitSettings) {
    let dht = settings.dht_port.is_some();
    let extension = settings.extension_protocol;
    let ours = handshake(OWN, settings.fast_extension, extension, dht);
    let sent = &peer.heard;
    let rest = match sent.split_at_checked(HANDSHAKE_LEN) {
        Some((greeting, rest)) => {
            assert_eq!(greeting, ours);
            rest
        }
        None => sent,
    };
    let introduced = report.heard.is_some() && rest == introduction(&peer.told, settings);
    assert!(rest.is_empty() || introduced, "sent {rest:?}");
}

/// What follows our handshake when theirs is the beginning of `told`.
fn introduction(told: &[u8], settings: &VisitSettings) -> Vec<u8> {
    let mut bytes = Vec::new();
    if settings.fast_extension && told[27] & 4 != 0 {
        bytes.extend(b"\0\0\0\x01\x0f");
    }
    if settings.extension_protocol && told[25] & 0x10 != 0 {
        let name = CLIENT.len();
        let told = format!("d1:md11:lt_donthavei1ee4:reqqi250e1:v{name}:{CLIENT}e");
        let length = u32::try_from(told.len() + 2).expect("short");
        bytes.extend(length.to_be_bytes());
        bytes.extend([20, 0]);
        bytes.extend(told.into_bytes());
    }
    if settings.dht_port.is_some() && told[27] & 1 != 0 {
        bytes.extend(b"\0\0\0\x03\x09");
        bytes.extend(DHT_PORT.to_be_bytes());
    }
    bytes
}

/// The same from all bytes that the visit has read, with BEP 3, 6 and 54 beside
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
    let spoken = Spoken {
        fast: settings.fast_extension && told[27] & 4 != 0,
        extension: settings.extension_protocol && told[25] & 0x10 != 0,
    };
    let greeting = HANDSHAKE_LEN + introduction(told, settings).len();
    let stream = if peer.heard.len() < greeting {
        // Could not be introduced to, and was left.
        &[]
    } else {
        &told[HANDSHAKE_LEN..]
    };
    let (mut expected, belows) = naive(stream, spoken, settings, torrent);
    let sum = summary(heard);
    if expected.reached.is_some() {
        // Which one begins the crossing hangs on when each was told.
        assert!(sum.below.is_none_or(|below| belows.contains(&below)));
        expected.below = sum.below;
    }
    assert_eq!(sum, expected);
    if let Some(extension) = heard.extension(&PseudonymKey::new([7; 20])) {
        assert!(spoken.extension && extension.listen_port != Some(0));
        let client = extension.client.unwrap_or_default();
        assert!(!client.contains(char::is_control) && !client.contains("ERROR"));
    }
}

fn summary(heard: &Heard) -> Sum {
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
    if let (Some(below), Some(reached)) = (heard.below, heard.reached) {
        assert!(below.at <= reached.at);
    }
    Sum {
        pieces: heard.pieces.count().0,
        messages: counts.total,
        told: heard.told,
        below: heard.below.map(|moment| moment.pieces.0),
        reached: heard.reached.map(|moment| moment.pieces.0),
    }
}
