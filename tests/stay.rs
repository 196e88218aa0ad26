//! Stays (`revisit.observe = "stay"`) with the real program: a peer or caller that is
//! soon to reach the threshold is not let go until it has, and never asked for
//! anything.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use btda::lab::{ScriptedCaller, ScriptedPeer, ScriptedTracker, Step, wire};
use common::load::tracker_naming;
use common::trial::{LONG, PIECES, STOP_LIMIT, Setup, Trial, info_hash};

fn bitfield(pieces: u32) -> Step {
    Step::Send(wire::bitfield(&wire::bits(PIECES, 0..pieces)))
}

/// A peer that has 30 pieces at the first visit and 33 at the second, behind which
/// it does `steps`.
fn peer(steps: Vec<Step>) -> ScriptedPeer {
    let first = vec![Step::Answer, bitfield(30)];
    let second = [vec![Step::Answer, bitfield(33)], steps].concat();
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    ScriptedPeer::listen_at(any, vec![first, second]).expect("peer starts")
}

/// A run that visits it twice, five seconds apart, and hears one message before it
/// decides whether to stay; the threshold is at 36 pieces.
fn start(peer: &ScriptedPeer) -> (Trial, ScriptedTracker) {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, peer.address().port());
    let keys = [("receive_message_max", "1"), ("peer_revisit_delay", "5")];
    start_with(&[address], &keys)
}

fn start_with(named: &[SocketAddrV4], more: &[(&str, &str)]) -> (Trial, ScriptedTracker) {
    let tracker = tracker_naming(named);
    let keys = [
        ("torrent_complete_threshold", "0.9"),
        ("revisit.mode", "\"fixed\""),
        ("revisit.observe", "\"stay\""),
        ("revisit.observe_threads", "2"),
        ("revisit.have_delay_seconds", "0.1"),
        ("visit.transport", "\"tcp\""),
        ("visit.encryption", "\"plain\""),
        ("log.level", "\"debug\""),
    ];
    let setup = Setup::new().torrent(&tracker.url());
    (setup.config(&keys).config(more).start(), tracker)
}

fn ended(trial: &Trial, how: &str) -> i64 {
    trial.number(&format!("SELECT count(*) FROM visit WHERE ended = '{how}'"))
}

#[test]
fn a_peer_is_listened_to_until_it_crosses() {
    let have = |piece| Step::Send(wire::have(piece));
    let pause = || Step::Wait(Duration::from_millis(400));
    let steps = [pause(), have(33), pause(), have(34), pause(), have(35)];
    let peer = peer(steps.to_vec());
    let (mut trial, _tracker) = start(&peer);
    trial.wait_until("the peer has crossed", |trial| ended(trial, "crossed") == 1);
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    let crossing = "FROM crossing WHERE last_below_pieces BETWEEN 33 AND 35";
    let width = trial.number(&format!("SELECT first_at_ms - last_below_ms {crossing}"));
    let stay = trial.number("SELECT max(duration_ms) FROM visit");
    // It had told a piece 400 ms behind the start of the visit, 100 ms late at most.
    assert!((100..=stay - 300).contains(&width), "{width} ms of {stay}");
    let rows =
        "SELECT count(*) FROM peer WHERE visits = 2 AND first_pieces = 30 AND last_pieces = 36";
    assert_eq!((trial.number(rows), ended(&trial, "message limit")), (1, 1));
    let long = "SELECT max(duration_ms - coalesce(longest_wait_ms, 0)) FROM visit";
    assert!(trial.number(long) >= 1_000, "a stay counts to its visit");
    assert_eq!(
        (trial.fact("stays"), trial.fact("stays_without_place")),
        ("1".into(), "0".into())
    );
    trial.assert_contract();
}

#[test]
fn a_stay_ends_with_the_run() {
    let peer = peer(vec![]);
    let (mut trial, _tracker) = start(&peer);
    trial.wait_until("the peer is stayed with", |trial| {
        trial.log().contains("is stayed with")
    });
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    assert_eq!(
        (ended(&trial, "stopped"), ended(&trial, "message limit")),
        (1, 1)
    );
    assert!(!trial.log().contains("127.0.0.1"), "no address in the log");
    trial.assert_contract();
}

/// A caller that tells where it listens and, after `pause`, that it has `pieces`;
/// then it does `steps` and stays.
fn caller(target: SocketAddr, pause: Duration, pieces: u32, steps: &[Step]) -> ScriptedCaller {
    let extensions = [0, 0, 0, 0, 0, 0x10, 0, 0];
    let hello = wire::handshake(extensions, info_hash().as_bytes(), b"-CA0100-scriptedcall");
    let offer = wire::Offer {
        port: Some(9),
        ..wire::Offer::default()
    };
    let begin = [
        Step::Send(hello),
        Step::ExpectHandshake,
        Step::Send(wire::extended_handshake(&offer)),
        Step::Wait(pause),
        bitfield(pieces),
    ];
    let script = [&begin[..], steps].concat();
    ScriptedCaller::call(None, target, script).expect("a thread for the caller")
}

#[test]
fn a_caller_is_kept_until_it_crosses() {
    // The handshake of its extensions and its pieces are two messages.
    let keys = [("receive_message_max", "2"), ("peer_revisit_delay", "60")];
    let (mut trial, _tracker) = start_with(&[], &keys);
    let target = trial.address();
    let first = caller(target, Duration::ZERO, 30, &[]);
    let visited = first.finish(LONG).expect("the first call ends");
    assert!(visited.expect("the caller connects").finished);
    trial.wait_until("the call is stored", |trial| {
        ended(trial, "message limit") == 1
    });
    // So slow that it is waited for long enough between two pieces.
    let have = |piece| Step::Send(wire::have(piece));
    let pause = || Step::Wait(Duration::from_millis(400));
    let steps = [pause(), have(33), pause(), have(34), pause(), have(35)];
    let second = caller(target, Duration::from_secs(5), 33, &steps);
    trial.wait_until("the caller has crossed", |trial| {
        ended(trial, "crossed") == 1
    });
    let visited = second.finish(LONG).expect("the second call ends");
    assert!(
        visited.expect("the caller connects").finished,
        "it was let go early"
    );
    assert_eq!(trial.stop("INT", STOP_LIMIT), Some(0));
    let row = "SELECT count(*) FROM peer WHERE source = 'incoming' AND visits = 2
               AND first_pieces = 30 AND last_pieces = 36";
    assert_eq!((trial.number(row), trial.fact("stays")), (1, "1".into()));
    let width = "SELECT first_at_ms - last_below_ms FROM crossing WHERE first_at_pieces = 36";
    let call = trial.number("SELECT max(duration_ms) FROM visit");
    let width = trial.number(width);
    assert!((1..=call - 300).contains(&width), "{width} ms of {call}");
    trial.assert_contract();
}
