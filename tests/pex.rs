//! Peer exchange (BEP 11) with the real program: who is known only to another
//! peer is visited, and the tables say so.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};

use btda::lab::{ScriptedPeer, Step, wire};
use common::load::tracker_naming;
use common::trial::{PIECES, STOP_LIMIT, Setup, Trial};

/// Listens everywhere and does `steps` behind the handshakes.
fn peer(steps: Vec<Step>) -> ScriptedPeer {
    let mut script = vec![Step::Answer];
    script.extend(steps);
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    ScriptedPeer::listen_at(any, vec![script]).expect("peer starts")
}

fn at(host: u8, peer: &ScriptedPeer) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 21, host), peer.address().port())
}

fn complete() -> Step {
    Step::Send(wire::bitfield(&wire::bits(PIECES, 0..PIECES)))
}

/// Speaks `ut_pex` (we: 2), has half of the pieces, names `others`.
fn teller(others: &[SocketAddrV4]) -> ScriptedPeer {
    let mut named = format!("\u{2}d5:added{}:", others.len() * 6).into_bytes();
    for other in others {
        named.extend(other.ip().octets());
        named.extend(other.port().to_be_bytes());
    }
    named.push(b'e');
    peer(vec![
        Step::Send(wire::message(20, b"\0d1:md6:ut_pexi1eee")),
        Step::Send(wire::bitfield(&wire::bits(PIECES, 0..PIECES / 2))),
        Step::Send(wire::message(20, &named)),
        Step::Close,
    ])
}

fn peers_of(trial: &Trial, origin: &str) -> i64 {
    trial.number(&format!(
        "SELECT count(*) FROM origin JOIN peer ON peer.id = origin.peer
         WHERE origin = '{origin}' AND source = 'tracker'"
    ))
}

#[test]
fn a_peer_known_only_to_another_is_visited() {
    let hidden = peer(vec![complete(), Step::Close]);
    let (known, private) = (at(2, &hidden), at(3, &hidden));
    let teller = teller(&[known, private, known]);
    let tracker = tracker_naming(&[at(1, &teller)]);
    let setup = Setup::new().torrent(&tracker.url());
    let list = "127.0.21.3\n";
    std::fs::write(setup.folder().join("input/optout.txt"), list).expect("own folder");
    let keys = [("contact.opt_out_file", "\"optout.txt\"")];
    let mut trial = setup.config(&keys).start();
    trial.wait_until("the hidden peer is visited", |trial| {
        peers_of(trial, "pex") == 1
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert_eq!(trial.number("SELECT count(*) FROM peer"), 2);
    let exchange = "FROM exchange JOIN torrent ON torrent.id = exchange.torrent";
    let received = trial.number(&format!("SELECT sum(received_peers) {exchange}"));
    let duplicates = trial.number(&format!("SELECT sum(duplicate_peers) {exchange}"));
    assert!(received >= 2, "{received}");
    assert_eq!(received - duplicates, 1, "the other has opted out");
    trial.assert_contract();
}

#[test]
fn nobody_is_visited_by_peer_exchange_that_is_switched_off() {
    let hidden = peer(vec![complete(), Step::Close]);
    let teller = teller(&[at(2, &hidden)]);
    let tracker = tracker_naming(&[at(1, &teller)]);
    let setup = Setup::new().torrent(&tracker.url());
    let keys = [
        ("visit.peer_exchange", "false"),
        ("peer_revisit_delay", "0.2"),
    ];
    let mut trial = setup.config(&keys).start();
    trial.wait_until("the peer was visited often", |trial| {
        trial.number("SELECT sum(visits) FROM peer") > 3
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert!(hidden.next_visit(std::time::Duration::ZERO).is_none());
    assert_eq!(trial.number("SELECT count(*) FROM exchange"), 0);
    trial.assert_contract();
}
