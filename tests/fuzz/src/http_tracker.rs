//! Answers of HTTP trackers to announces and scrapes.

use btda::model::{InfoHash, PeerId};
use btda::outside::OUTSIDE_TEXT_MAX;
use btda::tracker::announce::{AnnounceAnswer, AnnounceRequest, Totals};
use btda::tracker::http::{announce_url, parse_announce, parse_scrape};
use btda::tracker::{PEERS_MAX, TrackerError};

use super::input::{Input, is_harmless};

/// The first byte chooses the status, the rest is the body.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let status = [200, 206, 301, 400, 404, 500][usize::from(input.byte() % 6)];
    let body = input.rest();
    let announced = parse_announce(status, body);
    assert_eq!(
        announced,
        parse_announce(status, body),
        "not the same twice"
    );
    match &announced {
        Ok(answer) => {
            assert!((200..300).contains(&status), "success by status {status}");
            is_bounded(answer, body);
            goes_into_the_next_url(answer);
        }
        Err(error) => is_presentable(error),
    }
    let hashes = [InfoHash::new([b'a'; 20]), InfoHash::new([b'b'; 20])];
    match parse_scrape(status, body, &hashes) {
        Ok(figures) => assert_eq!(figures.len(), hashes.len()),
        Err(error) => is_presentable(&error),
    }
}

pub(super) fn is_bounded(answer: &AnnounceAnswer, body: &[u8]) {
    let all = answer.peers.len() + answer.left_out;
    assert!(answer.peers.len() <= PEERS_MAX);
    assert!(answer.left_out == 0 || answer.peers.len() == PEERS_MAX);
    assert!(all <= body.len() / 6, "{all} peers in {} bytes", body.len());
}

/// A hostile `tracker id` stays within its parameter.
fn goes_into_the_next_url(answer: &AnnounceAnswer) {
    let request = AnnounceRequest {
        info_hash: InfoHash::new([0; 20]),
        peer_id: PeerId::new([0; 20]),
        port: 1,
        totals: Totals {
            uploaded: 0,
            downloaded: 0,
            left: 1,
        },
        event: None,
        num_want: None,
        key: 0,
        tracker_id: None,
    };
    let plain = announce_url("http://t.example/announce", &request);
    let with = announce_url(
        "http://t.example/announce",
        &AnnounceRequest {
            tracker_id: answer.tracker_id.clone(),
            ..request
        },
    );
    let added = with.strip_prefix(&plain).expect("another beginning");
    assert!(added.len() <= "&trackerid=".len() + 3 * 512);
    assert!(
        !added.chars().skip(1).any(|c| "&#?/ ".contains(c)),
        "{added}"
    );
    assert!(added.is_ascii() && is_harmless(added));
}

/// Labels become lines of the error file: one short line that does not change
/// from request to request.
pub(super) fn is_presentable(error: &TrackerError) {
    let label = error.label();
    assert!(is_harmless(&label) && is_harmless(&error.to_string()));
    assert!(label.chars().count() <= OUTSIDE_TEXT_MAX + 20, "{label}");
    assert!(!label.contains("ERROR") && !label.contains("CRITICAL"));
    if matches!(error, TrackerError::Refused { .. }) {
        assert!(!label.contains(|c: char| c.is_ascii_digit()), "{label}");
    }
}
