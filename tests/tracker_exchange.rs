//! Tracker exchange (BEP 28) with the real program: trackers that a peer names
//! are asked, within limits and under the rules about addresses.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use btda::lab::{ScriptedPeer, ScriptedTracker, Step, wire};
use common::load::{Addresses, tracker_naming};
use common::trial::{PIECES, STOP_LIMIT, Setup, Trial};

/// Speaks `lt_tex` (we: 3), has half of the pieces, names `trackers`.
fn teller(trackers: &[String]) -> ScriptedPeer {
    let urls = trackers.iter().map(|url| format!("{}:{url}", url.len()));
    let named = format!("\u{3}d5:addedl{}ee", urls.collect::<String>());
    let script = vec![
        Step::Answer,
        Step::Send(wire::message(20, b"\0d1:md6:lt_texi1eee")),
        Step::Send(wire::bitfield(&wire::bits(PIECES, 0..PIECES / 2))),
        Step::Send(wire::message(20, named.as_bytes())),
        Step::Close,
    ];
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    ScriptedPeer::listen_at(any, vec![script]).expect("peer starts")
}

fn complete() -> ScriptedPeer {
    let bits = wire::bitfield(&wire::bits(PIECES, 0..PIECES));
    let script = vec![Step::Answer, Step::Send(bits), Step::Close];
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    ScriptedPeer::listen_at(any, vec![script]).expect("peer starts")
}

fn at(host: u8, peer: &ScriptedPeer) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 28, host), peer.address().port())
}

/// By a name, since addresses are never taken from strangers.
fn by_name(tracker: &ScriptedTracker) -> String {
    tracker.url().replace("127.0.0.1", "localhost")
}

fn was_asked(tracker: &ScriptedTracker) -> bool {
    tracker.next_request(Duration::ZERO).is_some()
}

fn stored(trial: &Trial, and: &str) -> i64 {
    trial.number(&format!(
        "SELECT count(*) FROM found_tracker WHERE origin = 'exchange' AND {and}"
    ))
}

#[test]
fn a_tracker_that_only_a_peer_knows_is_asked() {
    let hidden = complete();
    let other = tracker_naming(&[at(2, &hidden)]);
    let by_address = tracker_naming(&[]);
    let mut named = vec![by_address.url(), "no url".to_owned(), by_name(&other)];
    // Nobody is there; the fourth of these is one too many to be asked.
    let nobody = Addresses::refusing();
    let port = nobody.first(1).first().expect("one").port();
    named.extend((1..=4).map(|number| format!("http://localhost:{port}/{number}")));
    let teller = teller(&named);
    let tracker = tracker_naming(&[at(1, &teller)]);
    let setup = Setup::new().torrent(&tracker.url());
    let mut trial = setup.config(&[("tracker.exchange", "true")]).start();
    trial.wait_until("the hidden peer is visited", |trial| {
        trial.number("SELECT count(*) FROM peer WHERE source = 'tracker'") == 2
    });
    trial.wait_until("every tracker is told", |trial| stored(trial, "TRUE") == 5);
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert_eq!(stored(&trial, "asked"), 4);
    assert!(!was_asked(&by_address), "strangers name no addresses");
    // Its figures are not those of the main tracker.
    let url = by_name(&other);
    let answers = trial.number(&format!(
        "SELECT count(*) FROM request JOIN announce ON announce.request = request.id
         WHERE url = '{url}' AND completed IS NULL"
    ));
    assert!(answers > 0);
    assert_ne!(trial.fact("trackers_named"), "0");
    assert_ne!(trial.fact("trackers_refused"), "0");
    trial.assert_contract();
}

#[test]
fn nobody_is_asked_unless_it_is_switched_on() {
    let other = tracker_naming(&[]);
    let teller = teller(&[by_name(&other)]);
    let tracker = tracker_naming(&[at(1, &teller)]);
    let setup = Setup::new().torrent(&tracker.url());
    let mut trial = setup.config(&[("peer_revisit_delay", "0.2")]).start();
    trial.wait_until("the peer was visited often", |trial| {
        trial.number("SELECT sum(visits) FROM peer") > 3
    });
    assert_eq!(trial.stop("TERM", STOP_LIMIT), Some(0));
    assert!(!was_asked(&other));
    assert_eq!(stored(&trial, "TRUE"), 0);
    trial.assert_contract();
}
