//! Visits over encrypted streams, outward and inward.

use std::sync::Arc;

use proptest::prelude::*;

use super::fake::{Far, SKEY, chance};
use super::*;
use crate::analyzer::directory::Directory;
use crate::analyzer::evaluate::Verdict;
use crate::analyzer::visit::tests::settings;
use crate::analyzer::visit::{Report, Visitor};
use crate::clock::{Clock, ManualClock};
use crate::config::settings::{EncryptionPolicy, VisitSettings};
use crate::model::{InfoHash, Link, PeerId, PieceCount, Timestamp, Torrent};
use crate::net::fake::{FakeStream, Step};
use crate::protocol::handshake::{Handshake, Reserved};
use crate::protocol::message::encode_bitfield;
use crate::protocol::mse::Methods;
use crate::stop::{StopTrigger, stop_pair};

const QUIET: Duration = Duration::from_secs(6);

struct World {
    clock: ManualClock,
    settings: VisitSettings,
    stop: crate::stop::StopToken,
    directory: Directory,
    _trigger: StopTrigger,
}

fn torrent() -> Torrent {
    Torrent::sample(8)
}

fn handshake() -> Vec<u8> {
    let handshake = Handshake {
        reserved: Reserved::default(),
        info_hash: SKEY,
        peer_id: PeerId::new(*b"-XX0001-abcdefghijkl"),
    };
    handshake.encode().to_vec()
}

fn bitfield() -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_bitfield(&[0xfe], &mut bytes);
    bytes
}

fn whole() -> Vec<u8> {
    [handshake(), bitfield()].concat()
}

impl World {
    fn new() -> Self {
        let (trigger, stop) = stop_pair();
        Self {
            clock: ManualClock::new(Timestamp(0)),
            settings: settings(),
            stop,
            directory: Directory::new(vec![torrent()]),
            _trigger: trigger,
        }
    }

    fn visitor(&self) -> Visitor<'_> {
        Visitor {
            clock: &self.clock,
            settings: &self.settings,
            own_id: PeerId::new([b'O'; 20]),
            stop: &self.stop,
            peer: None,
            observe: None,
        }
    }

    fn outgoing(&self, far: &mut dyn Stream) -> Report {
        let mut stream = Outgoing::new(far, &self.clock, QUIET, SKEY, chance(1, 512));
        self.visitor()
            .outgoing(&mut stream, &torrent(), self.clock.now())
    }

    fn incoming(
        &self,
        policy: EncryptionPolicy,
        far: &mut dyn Stream,
    ) -> (Option<Arc<Torrent>>, Report) {
        let terms = Terms {
            torrents: &self.directory,
            policy,
            chance: || Ok(chance(1, 512)),
        };
        let mut stream = Incoming::new(far, &self.clock, QUIET, terms);
        let (torrent, mut report) = self
            .visitor()
            .incoming(&mut stream, &self.directory, &|_| Ok(()));
        report.verdict = stream.judge(report.verdict);
        (torrent, report)
    }

    /// What comes of a caller that sends `bytes` and then does `step`.
    fn caller(&self, policy: EncryptionPolicy, bytes: &[u8], end: Option<Step>) -> Verdict {
        let mut script = vec![Step::Send(Duration::ZERO, bytes.to_vec())];
        script.extend(end);
        self.incoming(policy, &mut FakeStream::new(&self.clock, script))
            .1
            .verdict
    }
}

fn seven_pieces_over(report: &Report, encryption: Encryption) {
    assert!(matches!(report.verdict, Verdict::Counts(_)), "{report:?}");
    let heard = report.heard.as_ref().unwrap();
    assert_eq!(heard.pieces.count(), PieceCount(7));
    let link = Link::PLAIN_TCP.with_encryption(encryption);
    assert_eq!(report.link, Some(link));
}

const BOTH: [(Method, Encryption); 2] = [
    (Method::Rc4, Encryption::Rc4),
    (Method::Plaintext, Encryption::MsePlain),
];

#[test]
fn a_peer_that_we_call_is_heard_in_chunks_of_any_size() {
    for (method, encryption) in BOTH {
        for chunk in [1, 2, 7, 96, 500, 5000] {
            let world = World::new();
            let mut far = Far::called(method, chunk, whole());
            let report = world.outgoing(&mut far);
            seven_pieces_over(&report, encryption);
            // Our handshake, which came with ours of MSE, and nothing else.
            assert_eq!(far.heard.len(), 68);
        }
    }
}

#[test]
fn what_follows_our_handshake_is_encrypted_too() {
    let mut world = World::new();
    world.settings.dht_port = Some(17_000);
    let dht = Handshake {
        reserved: Reserved::default().with_fast().with_dht(),
        info_hash: SKEY,
        peer_id: PeerId::new([b'x'; 20]),
    };
    let mut far = Far::called(Method::Rc4, 9, dht.encode().to_vec());
    let _ = world.outgoing(&mut far);
    // Have none, then the port of our node.
    assert_eq!(far.heard[68..], [0, 0, 0, 1, 15, 0, 0, 0, 3, 9, 66, 104]);
}

#[test]
fn a_caller_is_heard_in_chunks_of_any_size() {
    for (policy, offers, encryption) in [
        (
            EncryptionPolicy::PreferPlain,
            Methods::BOTH,
            Encryption::MsePlain,
        ),
        (
            EncryptionPolicy::PreferEncrypted,
            Methods::BOTH,
            Encryption::Rc4,
        ),
        (
            EncryptionPolicy::Encrypted,
            Methods::only(Method::Plaintext),
            Encryption::MsePlain,
        ),
        (
            EncryptionPolicy::PreferPlain,
            Methods::only(Method::Rc4),
            Encryption::Rc4,
        ),
    ] {
        for chunk in [1, 2, 7, 96, 500, 5000] {
            // All of it with the handshake of MSE, or only after ours.
            for (initial, says) in [(whole(), vec![]), (handshake(), bitfield())] {
                let world = World::new();
                let mut far = Far::calls((SKEY, offers), chunk, &initial, says);
                let (torrent, report) = world.incoming(policy, &mut far);
                seven_pieces_over(&report, encryption);
                assert_eq!(torrent.unwrap().info_hash, SKEY);
                assert_eq!(far.heard[28..48], [7; 20]);
            }
        }
    }
}

#[test]
fn a_plain_caller_is_heard_unless_only_encrypted_ones_are() {
    for (policy, plain) in [
        (EncryptionPolicy::PreferPlain, true),
        (EncryptionPolicy::PreferEncrypted, true),
        (EncryptionPolicy::Plain, true),
        (EncryptionPolicy::Encrypted, false),
    ] {
        for chunk in [1, 3, 20, 100] {
            let world = World::new();
            let bytes = whole();
            let script = bytes
                .chunks(chunk)
                .map(|part| Step::Send(Duration::ZERO, part.to_vec()));
            let mut far = FakeStream::new(&world.clock, script.collect());
            let (_, report) = world.incoming(policy, &mut far);
            if plain {
                seven_pieces_over(&report, Encryption::Plain);
            } else {
                assert_eq!(report.verdict, Verdict::Failed(Reason::NotEncrypted));
                assert!(far.written.is_empty());
            }
        }
    }
}

#[test]
fn an_encrypted_caller_is_an_unknown_protocol_where_it_is_not_wanted() {
    let world = World::new();
    let mut far = Far::calls((SKEY, Methods::BOTH), 5000, &whole(), vec![]);
    let (_, report) = world.incoming(EncryptionPolicy::Plain, &mut far);
    assert_eq!(report.verdict, Verdict::Failed(Reason::UnknownProtocol));
}

#[test]
fn a_caller_for_an_unknown_torrent_has_that_reason() {
    let stranger = (InfoHash::new([8; 20]), Methods::BOTH);
    let world = World::new();
    let mut far = Far::calls(stranger, 5000, &whole(), vec![]);
    let (torrent, report) = world.incoming(EncryptionPolicy::PreferPlain, &mut far);
    assert_eq!(report.verdict, Verdict::Failed(Reason::UnknownInfoHash));
    assert!(torrent.is_none());
}

#[test]
fn bytes_of_neither_protocol_are_counted_as_such() {
    let policy = EncryptionPolicy::PreferPlain;
    let close = || Some(Step::Close(Duration::ZERO));
    let reset = Some(Step::Fail(Duration::ZERO, Reason::RESET));
    let unknown = Verdict::Failed(Reason::UnknownProtocol);
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let world = World::new();
    for end in [None, close(), reset] {
        assert_eq!(world.caller(policy, request, end.clone()), unknown);
        assert_eq!(world.caller(policy, &[0; 300], end), unknown);
    }
    assert_eq!(world.caller(policy, &[0; 4000], None), unknown);
    // A handshake of BEP 3 that ends early is nothing strange.
    let begun = &handshake()[..12];
    let silent = Verdict::Failed(Reason::TimedOut);
    assert_eq!(world.caller(policy, begun, None), silent);
    let closed = Verdict::Failed(Reason::Closed);
    assert_eq!(world.caller(policy, begun, close()), closed);
}

#[test]
fn a_peer_that_breaks_the_rules_has_a_reason() {
    for (script, reason) in [
        (vec![Step::Close(Duration::ZERO)], Reason::Closed),
        (vec![], Reason::TimedOut),
        (
            vec![Step::Send(Duration::ZERO, vec![1; 2000])],
            Reason::UnknownProtocol,
        ),
        (
            vec![Step::Send(Duration::ZERO, handshake())],
            Reason::TimedOut,
        ),
    ] {
        let world = World::new();
        let report = world.outgoing(&mut FakeStream::new(&world.clock, script));
        assert_eq!(report.verdict, Verdict::Failed(reason));
        assert!(report.link.is_none());
    }
}

/// One timeout for both handshakes, however slowly the bytes drip.
#[test]
fn a_dripping_key_does_not_outlast_the_timeout() {
    for inward in [false, true] {
        let world = World::new();
        let drops = (0..90).map(|_| Step::Send(Duration::from_secs(1), vec![0x77]));
        let mut far = FakeStream::new(&world.clock, drops.collect());
        let start = world.clock.now();
        let report = if inward {
            world.incoming(EncryptionPolicy::PreferPlain, &mut far).1
        } else {
            world.outgoing(&mut far)
        };
        assert!(matches!(report.verdict, Verdict::Failed(_)));
        let seconds = (world.clock.now() - start).as_secs();
        assert!((6..=7).contains(&seconds), "{seconds}");
    }
}

#[test]
fn the_system_has_random_numbers() {
    let (one, other) = (system_chance().unwrap(), system_chance().unwrap());
    assert_ne!(one.exponent, other.exponent);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_end_within_the_budget(
        steps in prop::collection::vec((0_u64..3, prop::collection::vec(any::<u8>(), 1..400)), 0..12),
        inward: bool,
    ) {
        let world = World::new();
        let script = steps.into_iter().map(|(pause, bytes)| Step::Send(Duration::from_secs(pause), bytes));
        let mut far = FakeStream::new(&world.clock, script.collect());
        let start = world.clock.now();
        let report = if inward {
            world.incoming(EncryptionPolicy::PreferPlain, &mut far).1
        } else {
            world.outgoing(&mut far)
        };
        prop_assert!(matches!(report.verdict, Verdict::Failed(_)));
        prop_assert!(world.clock.now() - start <= world.settings.budget + QUIET);
    }
}
