//! Tests of `tracker::http`.

use proptest::prelude::*;

use super::super::announce::{AnnounceEvent, Totals};
use super::*;
use crate::model::PeerId;
use crate::tracker::PEERS_MAX;

const HASH: InfoHash = InfoHash::new(
    *b"\x12\x34\x56\x78\x9a\xbc\xde\xf1\x23\x45\x67\x89\xab\xcd\xef\x12\x34\x56\x78\x9a",
);

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: HASH,
        peer_id: PeerId::new(*b"ABCDEFGHIJ0123456789"),
        port: 6884,
        totals: Totals {
            uploaded: 1,
            downloaded: 2,
            left: 3,
        },
        event: None,
        num_want: None,
        key: 0xdead_beef,
        tracker_id: None,
    }
}

#[test]
fn announce_urls() {
    // The info hash of the BEP 3 community documents, encoded byte by byte.
    let plain = "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=ABCDEFGHIJ0123456789\
                 &port=6884&uploaded=1&downloaded=2&left=3&compact=1&key=deadbeef";
    let url = |announce| announce_url(announce, &request());
    assert_eq!(
        url("http://t/announce"),
        format!("http://t/announce?{plain}")
    );
    assert_eq!(
        url("http://t/announce?passkey=x"),
        format!("http://t/announce?passkey=x&{plain}")
    );
    assert_eq!(url("http://t/a?"), format!("http://t/a?{plain}"));
    assert_eq!(url("http://t/a?x&"), format!("http://t/a?x&{plain}"));
    let full = AnnounceRequest {
        event: Some(AnnounceEvent::Started),
        num_want: Some(200),
        tracker_id: Some(b"a b&c".to_vec()),
        ..request()
    };
    assert!(
        announce_url("http://t/a", &full)
            .ends_with("&event=started&numwant=200&trackerid=a%20b%26c")
    );
}

#[test]
fn scrape_urls_repeat_the_parameter() {
    let other = InfoHash::new([b'a'; 20]);
    assert_eq!(
        scrape_url("http://t/scrape?k=v", &[HASH, other]),
        "http://t/scrape?k=v&info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A\
         &info_hash=aaaaaaaaaaaaaaaaaaaa"
    );
}

#[test]
fn compact_answer_with_everything() {
    let body = b"d8:completei5e11:external ip4:\x01\x02\x03\x0410:incompletei7e8:intervali1800e\
        12:min intervali900e5:peers12:\x7f\0\0\x01\x1a\xe1\x0a\0\0\x01\0\x506:peers618:\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x5010:tracker id3:abc15:warning message4:slowe";
    let answer = parse_announce(200, body).unwrap();
    assert_eq!(answer.peers.len(), 3);
    assert_eq!(
        answer.peers[0].socket_addr(),
        "127.0.0.1:6881".parse().unwrap()
    );
    assert_eq!(
        answer.peers[2].socket_addr(),
        "[2001:db8::1]:80".parse().unwrap()
    );
    assert_eq!(answer.interval, Some(1800));
    assert_eq!(answer.min_interval, Some(900));
    assert_eq!(answer.tracker_id.as_deref(), Some(&b"abc"[..]));
    assert_eq!(answer.warning.as_deref(), Some(&b"slow"[..]));
    assert_eq!((answer.seeders, answer.leechers), (Some(5), Some(7)));
    assert_eq!(answer.external_ip, Some("1.2.3.4".parse().unwrap()));
}

#[test]
fn listed_peers_without_host_names() {
    let body = b"d8:intervali60e5:peersl\
        d2:ip9:127.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee\
        d2:ip11:2001:db8::14:porti1eed2:ip12:some.example4:porti1ee\
        d2:ip9:127.0.0.24:porti99999eed2:ip9:127.0.0.3e3:abci1eleee";
    let answer = parse_announce(200, body).unwrap();
    let found: Vec<_> = answer.peers.iter().map(PeerAddress::socket_addr).collect();
    assert_eq!(
        found,
        [
            "127.0.0.1:6881".parse().unwrap(),
            "[2001:db8::1]:1".parse().unwrap()
        ]
    );
    let ids: Vec<_> = answer.ids.iter().collect();
    assert_eq!(ids, [(&answer.peers[0], &PeerId::new([b'a'; 20]))]);
}

#[test]
fn wrong_announce_answers() {
    let error = |status, body: &[u8]| parse_announce(status, body).unwrap_err();
    assert_eq!(error(200, b"<html>"), TrackerError::NotBencoded);
    assert_eq!(error(200, b""), TrackerError::NotBencoded);
    assert_eq!(error(200, b"d8:interval"), TrackerError::NotBencoded);
    assert_eq!(error(200, b"i1e"), TrackerError::NotDictionary);
    assert_eq!(error(200, b"le"), TrackerError::NotDictionary);
    assert_eq!(error(200, b"de"), TrackerError::NoPeers);
    assert_eq!(error(200, b"d5:peersi7ee"), TrackerError::PeersType);
    assert_eq!(error(200, b"d5:peersdee"), TrackerError::PeersType);
    assert_eq!(error(200, b"d5:peers7:aaaaaaae"), TrackerError::PeersLength);
    assert_eq!(error(500, b"oops"), TrackerError::Status(500));
    assert_eq!(error(302, b"d5:peers0:e"), TrackerError::Status(302));
    assert!(parse_announce(200, b"d8:intervali60ee").is_ok());
    assert!(parse_announce(200, b"d5:peers0:e\r\n").is_ok());
    assert!(parse_announce(200, b"d5:peers0:6:peers63:abce").is_ok());
}

#[test]
fn refusals_and_when_to_retry() {
    let retry = |body: &[u8]| match parse_announce(404, body).unwrap_err() {
        TrackerError::Refused { text, retry } => {
            assert_eq!(text, b"no");
            retry
        }
        other => panic!("{other:?}"),
    };
    let minutes = |number: u64| Some(RetryIn::After(Duration::from_secs(60 * number)));
    assert_eq!(retry(b"d14:failure reason2:noe"), None);
    assert_eq!(retry(b"d14:failure reason2:no8:retry ini5ee"), minutes(5));
    assert_eq!(retry(b"d14:failure reason2:no8:retry in2:15e"), minutes(15));
    assert_eq!(
        retry(b"d14:failure reason2:no8:retry in5:nevere"),
        Some(RetryIn::Never)
    );
    assert_eq!(retry(b"d14:failure reason2:no8:retry ini-5ee"), None);
    assert_eq!(retry(b"d14:failure reason2:no8:retry in4:soone"), None);
    assert!(matches!(
        parse_announce(200, b"d14:failure reasoni1ee"),
        Err(TrackerError::Refused { .. })
    ));
}

#[test]
fn numbers_out_of_range_are_unknown() {
    let answer = parse_announce(
        200,
        b"d8:completei-1e10:incompletei4294967296e8:interval2:xx12:min intervali-5e5:peers0:e",
    )
    .unwrap();
    assert_eq!((answer.seeders, answer.leechers), (None, None));
    assert_eq!((answer.interval, answer.min_interval), (None, None));
}

#[test]
fn too_many_peers_are_counted() {
    let mut body = format!("d5:peers{}:", 6 * (PEERS_MAX + 5)).into_bytes();
    body.extend(std::iter::repeat_n(1, 6 * (PEERS_MAX + 5)));
    body.push(b'e');
    let answer = parse_announce(200, &body).unwrap();
    assert_eq!((answer.peers.len(), answer.left_out), (PEERS_MAX, 5));
}

#[test]
fn scrape_answers() {
    let unknown = InfoHash::new([9; 20]);
    let mut body = b"d5:filesd20:".to_vec();
    body.extend(HASH.as_bytes());
    body.extend(b"d8:completei1e10:downloadedi2e10:incompletei3eeee");
    let found = parse_scrape(200, &body, &[unknown, HASH]).unwrap();
    let figures = ScrapeFigures {
        seeders: Some(1),
        completed: Some(2),
        leechers: Some(3),
    };
    assert_eq!(found, [None, Some(figures)]);
    let error = |body: &[u8]| parse_scrape(200, body, &[HASH]).unwrap_err();
    assert_eq!(error(b"de"), TrackerError::NoFiles);
    assert_eq!(error(b"d5:filesi1ee"), TrackerError::NoFiles);
    assert_eq!(error(b"x"), TrackerError::NotBencoded);
    assert_eq!(parse_scrape(200, b"d5:filesdee", &[HASH]), Ok(vec![None]));
}

proptest! {
    #[test]
    fn never_panics(
        status in prop::sample::select(&[200_u16, 404][..]),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse_announce(status, &body);
        let _ = parse_scrape(status, &body, &[HASH]);
    }

    #[test]
    fn never_panics_on_near_misses(
        body in "d(8:interval|5:peers|6:peers6|5:files|8:retry in|14:failure reason|i-?[0-9]{1,30}e|[0-9]:|l|d|e){0,12}e"
    ) {
        let _ = parse_announce(200, body.as_bytes());
        let _ = parse_scrape(200, body.as_bytes(), &[HASH]);
    }

    #[test]
    fn compact_peers_round_trip(peers in prop::collection::vec(any::<[u8; 6]>(), 0..50)) {
        let mut body = format!("d5:peers{}:", peers.len() * 6).into_bytes();
        body.extend(peers.iter().flatten());
        body.push(b'e');
        let expected: Vec<_> = peers.iter().map(|&peer| PeerAddress::from_compact(peer)).collect();
        prop_assert_eq!(parse_announce(200, &body).unwrap().peers, expected);
    }

    #[test]
    fn every_byte_of_a_hash_survives_the_url(bytes in any::<[u8; 20]>()) {
        let url = scrape_url("http://t/scrape", &[InfoHash::new(bytes)]);
        let (_, encoded) = url.split_once("info_hash=").unwrap();
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-_.~".contains(&byte)));
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(encoded).collect();
        prop_assert_eq!(decoded, bytes);
    }
}
