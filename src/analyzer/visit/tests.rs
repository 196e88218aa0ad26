//! Visits against scripted streams: every behaviour of a peer, no socket, no
//! pause.

mod stay;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::config::settings::{EncryptionPolicy, TransportPolicy};
use crate::model::record::MessageCounts;
use crate::model::{InfoHash, Link, PeerAddress, PieceCount, PseudonymKey, Timestamp, VisitEnd};
use crate::net::NetError;
use crate::net::fake::{FakeStream, Step};
use crate::protocol::message::{
    encode_bitfield, encode_have, encode_have_all, encode_keep_alive, encode_port, encode_raw,
};
use crate::stop::{StopTrigger, stop_pair};

pub(crate) fn settings() -> VisitSettings {
    VisitSettings {
        quiet_timeout: Duration::from_secs(6),
        budget: Duration::from_secs(60),
        message_limit: 256,
        finish_when_complete: true,
        fast_extension: true,
        extension_protocol: true,
        peer_exchange: true,
        exchange_wait: Duration::from_secs(2),
        tracker_exchange: false,
        listen_port: None,
        dht_port: None,
        keep_partial: true,
        ignore_malformed: false,
        encryption: EncryptionPolicy::Plain,
        transport: TransportPolicy::Tcp,
        message_log_length: 80,
    }
}

const OWN: PeerId = PeerId::new(*b"OWNOWNOWNOWNOWNOWNOW");
const THEIRS: PeerId = PeerId::new(*b"-TR3000-abcdefghijkl");

fn torrent() -> Torrent {
    Torrent::sample(20)
}

struct World {
    clock: ManualClock,
    settings: VisitSettings,
    trigger: StopTrigger,
    stop: StopToken,
}

impl World {
    fn new() -> Self {
        let (trigger, stop) = stop_pair();
        Self {
            clock: ManualClock::new(Timestamp(0)),
            settings: settings(),
            trigger,
            stop,
        }
    }

    fn thesis() -> Self {
        let mut world = Self::new();
        world.settings.finish_when_complete = false;
        world.settings.fast_extension = false;
        world.settings.extension_protocol = false;
        world.settings.keep_partial = false;
        world.settings.ignore_malformed = true;
        world
    }

    fn visitor(&self) -> Visitor<'_> {
        Visitor {
            clock: &self.clock,
            settings: &self.settings,
            own_id: OWN,
            stop: &self.stop,
            peer: None,
            observe: None,
        }
    }

    /// Visits a peer that shakes hands (with the fast extension) and then
    /// plays `script`; also tells how many seconds it took.
    fn visit(&self, script: Vec<Step>) -> (Report, u64) {
        let mut all = vec![send(&handshake(true))];
        all.extend(script);
        self.visit_raw(all)
    }

    fn visit_raw(&self, script: Vec<Step>) -> (Report, u64) {
        let start = self.clock.now();
        let report =
            self.visitor()
                .outgoing(&mut FakeStream::new(&self.clock, script), &torrent(), start);
        (report, (self.clock.now() - start).as_secs())
    }

    fn answer(&self, script: Vec<Step>) -> (Option<Arc<Torrent>>, Report, Vec<u8>) {
        let directory = Directory::new(vec![torrent()]);
        let mut stream = FakeStream::new(&self.clock, script);
        let (found, report) = self
            .visitor()
            .incoming(&mut stream, &directory, &|_| Ok(()));
        (found, report, stream.written)
    }
}

fn handshake(fast: bool) -> Vec<u8> {
    let reserved = if fast {
        Reserved::default().with_fast()
    } else {
        Reserved::default()
    };
    Handshake {
        reserved,
        info_hash: InfoHash::new([7; 20]),
        peer_id: THEIRS,
    }
    .encode()
    .to_vec()
}

fn send(bytes: &[u8]) -> Step {
    Step::Send(Duration::ZERO, bytes.to_vec())
}

fn close() -> Step {
    Step::Close(Duration::ZERO)
}

fn message(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

fn bitfield(bits: [u8; 3]) -> Vec<u8> {
    message(|out| encode_bitfield(&bits, out))
}

fn have(index: u32) -> Vec<u8> {
    message(|out| encode_have(crate::model::PieceIndex(index), out))
}

fn pieces(report: &Report) -> u32 {
    report.heard.as_ref().unwrap().pieces.count().0
}

fn broken(reason: Reason) -> Verdict {
    Verdict::Counts(VisitEnd::Broken(reason))
}

#[test]
fn bitfield_and_haves_until_quiet() {
    let world = World::new();
    let late = Step::Send(Duration::from_secs(5), have(19));
    let (report, seconds) = world.visit(vec![
        send(&bitfield([0xff, 0, 0])),
        send(&have(8)),
        send(&have(8)),
        late,
    ]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!(report.peer_id, Some(THEIRS));
    assert_eq!(pieces(&report), 10);
    assert_eq!(seconds, 11, "quiet restarts at each message");
    let heard = report.heard.unwrap();
    assert_eq!(heard.longest_wait, Some(Duration::from_secs(5)));
    assert_eq!(
        heard.counts,
        MessageCounts {
            total: 4,
            bitfield: 1,
            have: 3,
            ..MessageCounts::default()
        }
    );
}

#[test]
fn silence_after_the_handshake_is_zero_pieces() {
    let (report, seconds) = World::new().visit(vec![]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!((pieces(&report), seconds), (0, 6));
    assert_eq!(report.heard.unwrap().longest_wait, None);
}

#[test]
fn everything_in_one_read_with_the_handshake() {
    let mut bytes = handshake(true);
    bytes.extend(bitfield([0xff, 0xff, 0]));
    bytes.extend(have(16));
    let (report, _) = World::new().visit_raw(vec![send(&bytes)]);
    assert_eq!(pieces(&report), 17);
}

#[test]
fn a_complete_peer_is_let_go_at_once() {
    let world = World::new();
    for script in [
        vec![send(&bitfield([0xff, 0xff, 0xf0]))],
        vec![send(&message(encode_have_all))],
        vec![send(&bitfield([0xff, 0xff, 0xe0])), send(&have(19))],
    ] {
        let (report, seconds) = world.visit(script);
        assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Complete));
        assert_eq!((pieces(&report), seconds), (20, 0));
    }
    let (report, seconds) = World::thesis().visit(vec![send(&bitfield([0xff, 0xff, 0xf0]))]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!((pieces(&report), seconds), (20, 6));
}

#[test]
fn have_all_needs_both_sides() {
    let script = |fast| vec![send(&handshake(fast)), send(&message(encode_have_all))];
    assert_eq!(pieces(&World::new().visit_raw(script(true)).0), 20);
    assert_eq!(
        pieces(&World::new().visit_raw(script(false)).0),
        0,
        "theirs is missing"
    );
    assert_eq!(
        pieces(&World::thesis().visit_raw(script(true)).0),
        0,
        "ours is missing"
    );
}

#[test]
fn we_send_a_handshake_and_have_none_and_nothing_else() {
    let world = World::new();
    let mut stream = FakeStream::new(
        &world.clock,
        vec![send(&handshake(true)), send(&bitfield([1, 0, 0]))],
    );
    world
        .visitor()
        .outgoing(&mut stream, &torrent(), world.clock.now());
    let ours = Handshake {
        reserved: Reserved::default().with_fast().with_extension(),
        info_hash: InfoHash::new([7; 20]),
        peer_id: OWN,
    };
    let mut wanted = ours.encode().to_vec();
    wanted.extend([0, 0, 0, 1, 15]);
    assert_eq!(stream.written, wanted);
    let world = World::thesis();
    let mut stream = FakeStream::new(&world.clock, vec![send(&handshake(true))]);
    world
        .visitor()
        .outgoing(&mut stream, &torrent(), world.clock.now());
    assert_eq!(stream.written.len(), 68);
}

#[test]
fn peers_with_a_dht_node_are_told_ours() {
    let mut world = World::new();
    world.settings.extension_protocol = false;
    world.settings.dht_port = Some(17_000);
    for (theirs, told) in [
        (Reserved::default().with_dht(), true),
        (Reserved::default(), false),
    ] {
        let info_hash = InfoHash::new([7; 20]);
        let handshake = Handshake {
            reserved: theirs,
            info_hash,
            peer_id: THEIRS,
        }
        .encode();
        let mut stream = FakeStream::new(&world.clock, vec![send(&handshake)]);
        world
            .visitor()
            .outgoing(&mut stream, &torrent(), world.clock.now());
        let ours = Reserved::default().with_fast().with_dht();
        assert_eq!(stream.written[20..28], *ours.as_bytes());
        let port: &[u8] = if told {
            &[0, 0, 0, 3, 9, 0x42, 0x68]
        } else {
            &[]
        };
        assert_eq!(&stream.written[68..], port);
        let private = Torrent {
            private: true,
            ..torrent()
        };
        let mut stream = FakeStream::new(&world.clock, vec![send(&handshake)]);
        let now = world.clock.now();
        world.visitor().outgoing(&mut stream, &private, now);
        let ours = Reserved::default().with_fast();
        assert_eq!(stream.written[20..28], *ours.as_bytes(), "BEP 27");
        assert_eq!(stream.written.len(), 68);
    }
}

#[test]
fn the_dht_node_of_a_peer_is_heard_unless_the_torrent_is_private() {
    let world = World::new();
    let port = |number: u16| {
        let mut bytes = Vec::new();
        encode_port(number, &mut bytes);
        send(&bytes)
    };
    for (ports, private, heard) in [
        (&[7, 6_881][..], false, Some(6_881)),
        (&[6_881, 0], false, None),
        (&[], false, None),
        (&[6_881], true, None),
    ] {
        let mut script = vec![send(&handshake(false))];
        script.extend(ports.iter().map(|number| port(*number)));
        let torrent = Torrent {
            private,
            ..torrent()
        };
        let mut stream = FakeStream::new(&world.clock, script);
        let now = world.clock.now();
        let report = world.visitor().outgoing(&mut stream, &torrent, now);
        assert_eq!(report.heard.unwrap().dht_port, heard, "{ports:?}");
    }
}

#[test]
fn peers_that_speak_the_extension_protocol_are_told_of_us_and_heard() {
    let mut world = World::new();
    world.settings.fast_extension = false;
    world.settings.listen_port = Some(6884);
    let theirs = Handshake {
        reserved: Reserved::default().with_extension(),
        info_hash: InfoHash::new([7; 20]),
        peer_id: THEIRS,
    };
    let told = message(|out| encode_raw(20, b"\0d1:pi51413e1:v3:a/1e", out));
    let lost = message(|out| encode_raw(20, &[1, 0, 0, 0, 0], out));
    let script = vec![
        send(&theirs.encode()),
        send(&told),
        send(&bitfield([0xf0, 0, 0])),
        send(&lost),
    ];
    let mut stream = FakeStream::new(&world.clock, script);
    let visitor = world.visitor().at([192, 0, 2, 9].into());
    let report = visitor.outgoing(&mut stream, &torrent(), world.clock.now());
    let ours = b"\0d1:md11:lt_donthavei1e6:ut_pexi2ee1:pi6884e4:reqqi250e1:v";
    let name = crate::protocol::extension::CLIENT;
    let mut wanted = ours.to_vec();
    wanted.extend(format!("{}:{name}6:yourip4:", name.len()).into_bytes());
    wanted.extend([192, 0, 2, 9, b'e']);
    assert_eq!(stream.written[73..], wanted);
    assert_eq!(pieces(&report), 3);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    let heard = report.heard.unwrap();
    let told = heard.extension(&PseudonymKey::new([7; 20])).unwrap();
    assert_eq!(
        (told.listen_port, told.client.as_deref()),
        (Some(51_413), Some("a/1"))
    );
    assert_eq!(heard.counts.extended, 2);
}

#[test]
fn a_complete_peer_stays_until_it_has_told_of_itself() {
    let mut world = World::new();
    world.settings.fast_extension = false;
    let theirs = Handshake {
        reserved: Reserved::default().with_extension(),
        info_hash: InfoHash::new([7; 20]),
        peer_id: THEIRS,
    };
    let complete = bitfield([0xff, 0xff, 0xf0]);
    let told = message(|out| encode_raw(20, b"\0d1:pi51413ee", out));
    let late = Step::Send(Duration::from_secs(2), told);
    let (report, seconds) = world.visit_raw(vec![send(&theirs.encode()), send(&complete), late]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Complete));
    assert_eq!(seconds, 2);
    assert!(report.heard.unwrap().handshake.is_some());
    let (report, seconds) = world.visit_raw(vec![send(&theirs.encode()), send(&complete)]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!((pieces(&report), seconds), (20, 6));
}

/// Says which extensions it speaks, that it is complete, and whom it knows.
fn names_others(pause: Duration) -> Vec<Step> {
    let theirs = Handshake {
        reserved: Reserved::default().with_extension(),
        info_hash: InfoHash::new([7; 20]),
        peer_id: THEIRS,
    };
    let speaks = message(|out| encode_raw(20, b"\0d1:md6:ut_pexi7eee", out));
    let mut named = b"\x02d5:added6:".to_vec();
    named.extend([9, 9, 9, 9, 0x1a, 0xe1]);
    named.extend(b"7:added.f1:\x01e");
    let named = message(|out| encode_raw(20, &named, out));
    vec![
        send(&theirs.encode()),
        send(&speaks),
        send(&bitfield([0xff, 0xff, 0xf0])),
        Step::Send(pause, named),
    ]
}

#[test]
fn a_complete_peer_may_name_others_for_a_moment() {
    let mut world = World::new();
    world.settings.fast_extension = false;
    let (report, seconds) = world.visit_raw(names_others(Duration::from_secs(1)));
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Complete));
    assert_eq!((pieces(&report), seconds), (20, 1));
    let heard = report.heard.unwrap();
    let address = PeerAddress::from_compact([9, 9, 9, 9, 0x1a, 0xe1]);
    let named = heard.exchange.named();
    assert_eq!(named.len(), 1);
    assert!(named[0].address == address && named[0].prefers_encryption());
    let (report, seconds) = world.visit_raw(names_others(Duration::from_secs(5)));
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Complete));
    assert_eq!((pieces(&report), seconds), (20, 2), "no longer than that");
}

#[test]
fn whom_peers_name_is_not_heard_where_it_must_not_be() {
    let mut off = World::new();
    off.settings.peer_exchange = false;
    let private = Torrent {
        private: true,
        ..torrent()
    };
    for (world, torrent) in [(off, torrent()), (World::new(), private)] {
        let script = names_others(Duration::ZERO);
        let mut stream = FakeStream::new(&world.clock, script);
        let now = world.clock.now();
        let report = world.visitor().outgoing(&mut stream, &torrent, now);
        let told = stream.written.windows(6).any(|bytes| bytes == b"ut_pex");
        assert!(!told, "BEP 27");
        assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Complete));
        assert!(report.heard.unwrap().exchange.named().is_empty());
    }
}

#[test]
fn failures_before_the_handshake() {
    let mut other = handshake(true);
    other[30] ^= 1;
    let mut own = handshake(true);
    own[48..].copy_from_slice(OWN.as_bytes());
    for (script, reason, seconds) in [
        (vec![], Reason::TimedOut, 6),
        (vec![send(&handshake(true)[..40])], Reason::TimedOut, 6),
        (vec![close()], Reason::Closed, 0),
        (
            vec![Step::Fail(Duration::ZERO, Reason::RESET)],
            Reason::RESET,
            0,
        ),
        (
            vec![send(b"\x16\x03\x01\x02\x00")],
            Reason::UnknownProtocol,
            0,
        ),
        (
            vec![send(b"\x13BitTorrent protocoX")],
            Reason::UnknownProtocol,
            0,
        ),
        (vec![send(&other[..48])], Reason::InfoHashMismatch, 0),
        (vec![send(&own)], Reason::OwnAddress, 0),
    ] {
        let (report, took) = World::new().visit_raw(script);
        assert_eq!((report.verdict, took), (Verdict::Failed(reason), seconds));
        assert_eq!(report.peer_id, None);
    }
}

#[test]
fn a_handshake_at_the_last_moment_leaves_time_for_messages() {
    let late = Step::Send(Duration::from_millis(5_999), handshake(true));
    let bits = Step::Send(Duration::from_secs(5), bitfield([0xff, 0, 0]));
    let (report, seconds) = World::new().visit_raw(vec![late, bits]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!((pieces(&report), seconds), (8, 16));
}

#[test]
fn a_dripping_handshake_does_not_outlast_the_timeout() {
    let drip = handshake(true)
        .into_iter()
        .map(|byte| Step::Send(Duration::from_millis(500), vec![byte]))
        .collect();
    let (report, seconds) = World::new().visit_raw(drip);
    assert_eq!(
        (report.verdict, seconds),
        (Verdict::Failed(Reason::TimedOut), 6)
    );
}

#[test]
fn a_dripping_message_does_not_outlast_the_timeout() {
    let drip = [bitfield([0xff, 0, 0]), vec![0, 0, 32, 0, 20], vec![0; 90]].concat();
    let drip = drip
        .into_iter()
        .map(|byte| Step::Send(Duration::from_secs(1), vec![byte]))
        .collect();
    let mut world = World::new();
    world.settings.quiet_timeout = Duration::from_secs(9);
    let (report, seconds) = world.visit(drip);
    assert_eq!(
        report.verdict,
        broken(Reason::TimedOut),
        "the bitfield was whole after 8 s and counts"
    );
    // The skipped message counts at its header, after 13 s; its payload
    // never comes to an end within the next 9 s.
    assert_eq!((pieces(&report), seconds), (8, 22));
}

#[test]
fn the_budget_ends_an_endless_visit() {
    let chatter =
        || (0..1_000).map(|_| Step::Send(Duration::from_secs(1), message(encode_keep_alive)));
    let (report, seconds) = World::new().visit(chatter().collect());
    assert_eq!(
        (report.verdict, seconds),
        (Verdict::Failed(Reason::BudgetSpent), 60)
    );
    let told = std::iter::once(send(&have(3))).chain(chatter()).collect();
    let (report, seconds) = World::new().visit(told);
    assert_eq!(
        (report.verdict, seconds),
        (Verdict::Counts(VisitEnd::Budget), 60)
    );
    assert_eq!(pieces(&report), 1);
}

#[test]
fn the_message_limit_ends_a_visit() {
    let mut world = World::new();
    world.settings.message_limit = 5;
    let haves: Vec<u8> = (0..10).flat_map(have).collect();
    let (report, seconds) = world.visit(vec![send(&haves)]);
    assert_eq!(
        (report.verdict, seconds),
        (Verdict::Counts(VisitEnd::MessageLimit), 0)
    );
    assert_eq!(pieces(&report), 5);
}

/// What breaks the protocol, with the reason it must have.
fn violations() -> Vec<(Vec<u8>, Reason)> {
    vec![
        (
            message(|out| encode_bitfield(&[0xff; 2], out)),
            Reason::BitfieldLength,
        ),
        (
            message(|out| encode_bitfield(&[0xff; 4], out)),
            Reason::BitfieldLength,
        ),
        (
            message(|out| encode_bitfield(&[0xff; 4_000], out)),
            Reason::BitfieldLength,
        ),
        (bitfield([0xff, 0xff, 0xff]), Reason::SpareBits),
        (have(20), Reason::HaveOutOfRange),
        (have(u32::MAX), Reason::HaveOutOfRange),
        (
            message(|out| encode_raw(4, &[0, 0, 1], out)),
            Reason::PayloadLength,
        ),
        (
            message(|out| encode_raw(1, &[0], out)),
            Reason::PayloadLength,
        ),
        (
            message(|out| encode_raw(14, &[0], out)),
            Reason::PayloadLength,
        ),
        (
            message(|out| encode_raw(7, &[0; 16_392], out)),
            Reason::PieceReceived,
        ),
        (vec![0xff; 4], Reason::MessageTooLong),
        (b"GET / HTTP/1.1\r\n".to_vec(), Reason::MessageTooLong),
    ]
}

#[test]
fn violations_end_the_visit_at_once_with_their_reason() {
    for (bytes, reason) in violations() {
        let (report, seconds) = World::new().visit(vec![send(&bytes)]);
        assert_eq!(
            (report.verdict, seconds),
            (Verdict::Failed(reason), 0),
            "{bytes:?}"
        );
        let (report, seconds) =
            World::new().visit(vec![send(&bitfield([0xf0, 0, 0])), send(&bytes)]);
        assert_eq!(
            (report.verdict, seconds),
            (broken(reason), 0),
            "what was told before counts"
        );
        assert_eq!(pieces(&report), 4);
    }
}

#[test]
fn the_thesis_overlooks_wrong_bitfields_and_haves() {
    for (bytes, reason) in violations() {
        let (report, _) = World::thesis().visit(vec![send(&bitfield([0xf0, 0, 0])), send(&bytes)]);
        match reason {
            Reason::MessageTooLong | Reason::PieceReceived => {
                assert_eq!(report.verdict, Verdict::Failed(reason));
            }
            _ => assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet)),
        }
        assert_eq!(pieces(&report), 4);
    }
}

#[test]
fn a_break_after_the_handshake_counts_what_was_told() {
    for (step, reason) in [
        (close(), Reason::Closed),
        (Step::Fail(Duration::ZERO, Reason::RESET), Reason::RESET),
    ] {
        let (report, _) = World::new().visit(vec![step.clone()]);
        assert_eq!(
            report.verdict,
            Verdict::Failed(reason),
            "nothing told: it may have everything"
        );
        let (report, _) = World::new().visit(vec![send(&have(1)), step.clone()]);
        assert_eq!(report.verdict, broken(reason));
        let (report, _) = World::thesis().visit(vec![send(&have(1)), step]);
        assert_eq!(report.verdict, Verdict::Failed(reason));
    }
}

#[test]
fn other_messages_are_skipped_whatever_their_size() {
    let large = message(|out| encode_raw(20, &vec![0; 100_000], out));
    let (report, _) = World::new().visit(vec![
        send(&large),
        send(&have(5)),
        send(&message(|out| encode_raw(77, &[1; 9], out))),
    ]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!(pieces(&report), 1);
    let counts = report.heard.unwrap().counts;
    assert_eq!((counts.extended, counts.unknown, counts.total), (1, 1, 3));
}

#[test]
fn the_end_of_the_run_interrupts_what_has_told_nothing() {
    let world = World::new();
    world.trigger.stop();
    assert_eq!(world.visit(vec![close()]).0.verdict, Verdict::Interrupted);
    assert_eq!(
        world.visit_raw(vec![close()]).0.verdict,
        Verdict::Interrupted
    );
    let (report, _) = world.visit(vec![send(&have(1)), close()]);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Stopped));
}

#[test]
fn a_caller_is_evaluated_like_a_peer() {
    let world = World::new();
    let (found, report, written) =
        world.answer(vec![send(&handshake(true)), send(&bitfield([0xff, 0, 0]))]);
    assert_eq!(found.unwrap().id, torrent().id);
    assert_eq!(report.verdict, Verdict::Counts(VisitEnd::Quiet));
    assert_eq!((pieces(&report), report.peer_id), (8, Some(THEIRS)));
    assert_eq!(written.len(), 73);
}

#[test]
fn a_caller_may_hold_its_peer_id_back() {
    let bytes = handshake(false);
    let late = Step::Send(Duration::from_secs(2), bytes[48..].to_vec());
    let (_, report, written) = World::new().answer(vec![send(&bytes[..48]), late, send(&have(0))]);
    assert_eq!(pieces(&report), 1);
    assert_eq!(written.len(), 68);
    let (found, report, _) = World::new().answer(vec![send(&bytes[..48])]);
    assert!(found.is_some());
    assert_eq!(report.verdict, Verdict::Failed(Reason::TimedOut));
}

#[test]
fn unknown_torrents_are_turned_away_without_an_answer() {
    let mut bytes = handshake(true);
    bytes[28..48].fill(9);
    let (found, report, written) = World::new().answer(vec![send(&bytes)]);
    assert!(found.is_none() && written.is_empty());
    assert_eq!(report.verdict, Verdict::Failed(Reason::UnknownInfoHash));
}

#[test]
fn a_call_of_our_own_for_a_torrent_to_come_is_known_to_be_ours() {
    let mut bytes = handshake(true);
    bytes[28..48].fill(9);
    bytes[48..].copy_from_slice(OWN.as_bytes());
    let (found, report, written) = World::new().answer(vec![send(&bytes)]);
    assert!(found.is_none() && written.is_empty());
    assert_eq!(report.verdict, Verdict::Failed(Reason::OwnAddress));
}

#[test]
fn admission_is_asked_before_we_answer() {
    let world = World::new();
    let directory = Directory::new(vec![torrent()]);
    let mut stream = FakeStream::new(&world.clock, vec![send(&handshake(true))]);
    let (found, report) = world
        .visitor()
        .incoming(&mut stream, &directory, &|_| Err(Reason::AlreadyInOutgoing));
    assert!(found.is_some() && stream.written.is_empty());
    assert_eq!(report.verdict, Verdict::Failed(Reason::AlreadyInOutgoing));
}

#[test]
fn a_caller_that_is_ourselves_is_refused() {
    let mut own = handshake(true);
    own[48..].copy_from_slice(OWN.as_bytes());
    let (_, report, _) = World::new().answer(vec![send(&own)]);
    assert_eq!(report.verdict, Verdict::Failed(Reason::OwnAddress));
}

#[test]
fn a_write_that_fails_has_its_reason() {
    let world = World::new();
    let mut stream = FakeStream::new(&world.clock, vec![]);
    stream.write_error = Some(Reason::Os(32));
    let report = world
        .visitor()
        .outgoing(&mut stream, &torrent(), world.clock.now());
    assert_eq!(report.verdict, Verdict::Failed(Reason::Os(32)));
}

/// A busy machine: after every call to the stream this thread does not get
/// the processor for a while.
struct Starved {
    inner: FakeStream,
    clock: ManualClock,
    pause: Duration,
}

impl Stream for Starved {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let read = self.inner.read(buffer, wait);
        self.clock.advance(self.pause);
        read
    }

    fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        let written = self.inner.write_all(bytes, wait);
        self.clock.advance(self.pause);
        written
    }

    fn link(&self) -> Link {
        self.inner.link()
    }
}

/// The report, and how many seconds it took.
fn visit_starved(world: &World, script: Vec<Step>) -> (Report, i64) {
    let mut stream = Starved {
        inner: FakeStream::new(&world.clock, script),
        clock: world.clock.clone(),
        pause: Duration::from_secs(7),
    };
    let report = world
        .visitor()
        .outgoing(&mut stream, &torrent(), world.clock.now());
    (report, world.clock.timestamp().millis() / 1000)
}

#[test]
fn what_came_in_time_counts_however_late_it_is_read() {
    let whole = bitfield([0xff, 0, 0]);
    let (head, tail) = whole.split_at(4);
    for script in [
        vec![send(&handshake(true)), send(&whole)],
        vec![send(&handshake(false)), send(head), send(tail)],
        vec![send(&[handshake(false), whole.clone()].concat())],
    ] {
        let (report, _) = visit_starved(&World::new(), script);
        assert!(matches!(report.verdict, Verdict::Counts(_)), "{report:?}");
        assert_eq!(report.heard.unwrap().pieces.count(), PieceCount(8));
    }
}

#[test]
fn a_caller_is_answered_however_late_it_is_read() {
    let world = World::new();
    let directory = Directory::new(vec![torrent()]);
    let mut stream = Starved {
        inner: FakeStream::new(
            &world.clock,
            vec![send(&handshake(true)), send(&bitfield([0xff, 0, 0]))],
        ),
        clock: world.clock.clone(),
        pause: Duration::from_secs(7),
    };
    let (_, report) = world
        .visitor()
        .incoming(&mut stream, &directory, &|_| Ok(()));
    assert_eq!(report.heard.unwrap().pieces.count(), PieceCount(8));
}

#[test]
fn late_reads_have_an_end() {
    // Seven seconds each, and no message is ever whole: the budget ends it.
    let mut script = vec![send(&handshake(false)), send(&100_000_u32.to_be_bytes())];
    script.extend((0..10_000).map(|_| send(&[20])));
    let (report, seconds) = visit_starved(&World::new(), script);
    assert_eq!(report.verdict, Verdict::Failed(Reason::TimedOut));
    assert!(seconds <= 75, "{seconds}");
    let mut world = World::new();
    world.settings.budget = Duration::from_secs(100_000);
    let script = handshake(false).iter().map(|byte| send(&[*byte])).collect();
    let (report, seconds) = visit_starved(&world, script);
    assert_eq!(report.verdict, Verdict::Failed(Reason::TimedOut));
    // Our handshake, the reads in time and those behind the deadline.
    assert!(
        seconds <= 7 * (i64::from(session::LATE_READS) + 3),
        "{seconds}"
    );
}

proptest! {
    #[test]
    fn any_bytes_in_any_chunks_end_within_the_budget(bytes in prop::collection::vec(any::<u8>(), 0..600), chunk in 1_usize..80, greet in any::<bool>()) {
        let world = World::new();
        let mut script = Vec::new();
        if greet { script.push(send(&handshake(true))); }
        script.extend(bytes.chunks(chunk).map(|part| Step::Send(Duration::from_millis(700), part.to_vec())));
        let (_, seconds) = world.visit_raw(script);
        prop_assert!(seconds <= 60);
    }

    #[test]
    fn chunks_do_not_change_what_is_heard(haves in prop::collection::vec(0_u32..20, 0..60), cuts in prop::collection::vec(1_usize..40, 1..50)) {
        let mut bytes = handshake(true);
        bytes.extend(bitfield([0x80, 0x01, 0x10]));
        bytes.extend(haves.iter().flat_map(|&index| have(index)));
        let whole = World::new().visit_raw(vec![send(&bytes)]).0;
        let mut rest = &bytes[..];
        let mut script = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            script.push(send(now));
            rest = later;
        }
        let parts = World::new().visit_raw(script).0;
        prop_assert_eq!(whole.verdict, parts.verdict);
        if let (Some(whole), Some(parts)) = (whole.heard, parts.heard) {
            prop_assert_eq!(whole.pieces, parts.pieces);
            prop_assert_eq!(whole.counts.total, parts.counts.total);
        }
    }
}
