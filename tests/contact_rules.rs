//! Whom the real program contacts, and how fast: reserved addresses, the
//! opt-out list, the limits.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use btda::lab::{ScriptedPeer, ScriptedTracker, Step, wire};
use common::load::{call, is_answered, nth, tracker_naming};
use common::trial::{PIECES, STOP_LIMIT, Setup};

/// A peer with everything, and a tracker that names it and another address
/// of each of `named`.
fn peer_and_tracker(named: &[Ipv4Addr]) -> (ScriptedPeer, ScriptedTracker) {
    let all = wire::bitfield(&wire::bits(PIECES, 0..PIECES));
    let script = vec![Step::Answer, Step::Send(all), Step::Close];
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    let scripts = vec![script; named.len()];
    let peer = ScriptedPeer::listen_at(any, scripts).expect("peer starts");
    let port = peer.address().port();
    let named: Vec<_> = named
        .iter()
        .map(|ip| SocketAddrV4::new(*ip, port))
        .collect();
    let tracker = tracker_naming(&named);
    (peer, tracker)
}

const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 7, 1);
const FREE: Ipv4Addr = Ipv4Addr::new(127, 0, 8, 1);

#[test]
fn reserved_addresses_are_left_alone_unless_allowed() {
    let (peer, tracker) = peer_and_tracker(&[FREE]);
    let setup = Setup::new().torrent(&tracker.url());
    let mut trial = setup.config(&[("contact.allow_private", "false")]).start();
    trial.wait_until("the tracker was asked", |trial| {
        trial.number("SELECT count(*) FROM request WHERE source = 'tracker'") > 1
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert!(peer.next_visit(Duration::ZERO).is_none());
    assert_eq!(trial.number("SELECT sum(received_peers) FROM request"), 0);
    assert!(
        trial
            .fact("offers_reserved")
            .parse::<u64>()
            .is_ok_and(|count| count > 1)
    );
    trial.assert_contract();
}

#[test]
fn who_has_opted_out_is_neither_contacted_nor_heard() {
    let (peer, tracker) = peer_and_tracker(&[LISTED, FREE]);
    let setup = Setup::new().torrent(&tracker.url());
    let list = "# by mail\n127.0.7.0/24 # all of them\n";
    fs::write(setup.folder().join("input/optout.txt"), list).expect("own folder");
    let keys = [("contact.opt_out_file", "\"optout.txt\"")];
    let mut trial = setup.config(&keys).start();
    let target = trial.address();
    let mut refused = call(LISTED, target).expect("connections are completed by the kernel");
    assert!(!is_answered(&mut refused));
    let mut served = call(nth(73, 0), target).expect("callers are accepted");
    assert!(is_answered(&mut served));
    trial.wait_until("the other was visited", |trial| {
        trial.number("SELECT count(*) FROM peer WHERE source = 'tracker'") == 1
    });
    drop(served);
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert!(peer.next_visit(Duration::ZERO).is_some());
    assert!(
        peer.next_visit(Duration::ZERO).is_none(),
        "only one was called"
    );
    assert_eq!(trial.peer_errors("Incoming peer", "Opted out"), 1);
    assert_ne!(trial.fact("offers_opted_out"), "0");
    assert_eq!(trial.fact("opt_out_networks"), "1");
    trial.assert_contract();
}

#[test]
fn a_bad_opt_out_list_refuses_the_run() {
    let setup = Setup::new().torrent("http://127.0.0.1:1/announce");
    let list = "127.0.7.0/24\n127.0.7.1/24\n";
    fs::write(setup.folder().join("input/optout.txt"), list).expect("own folder");
    let keys = [("contact.opt_out_file", "\"optout.txt\"")];
    let mut trial = setup.config(&keys).start();
    assert_eq!(trial.end(STOP_LIMIT * 10).code(), Some(3));
    assert!(
        trial
            .said()
            .contains("optout.txt:2: the address has bits behind")
    );
}

#[test]
fn what_comes_too_fast_waits_and_is_not_lost() {
    let named: Vec<_> = (1..=30)
        .map(|host| Ipv4Addr::new(127, 0, 9, host))
        .collect();
    let (_peer, tracker) = peer_and_tracker(&named);
    let setup = Setup::new().torrent(&tracker.url());
    let keys = [("contact.per_second_network_max", "20")];
    let mut trial = setup.config(&keys).start();
    trial.wait_until("all were visited", |trial| {
        trial.number("SELECT count(*) FROM peer") == 30
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert!(
        trial
            .fact("contacts_held_back_by_network")
            .parse::<u64>()
            .is_ok_and(|it| it >= 9)
    );
    assert_eq!(trial.fact("contacts_held_back"), "0");
    trial.assert_contract();
}
