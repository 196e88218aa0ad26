//! Tests of `tracker::udp`.

use proptest::prelude::*;

use super::*;
use crate::model::PeerAddress;

const ID: TransactionId = TransactionId(0x0102_0304);

fn announce() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash::new([b'h'; 20]),
        peer_id: PeerId::new([b'p'; 20]),
        port: 6884,
        totals: Totals {
            uploaded: 3,
            downloaded: 1,
            left: 2,
        },
        event: Some(AnnounceEvent::Started),
        num_want: None,
        key: 0xaabb_ccdd,
        tracker_id: None,
    }
}

#[test]
fn the_packets_of_bep_15() {
    assert_eq!(
        Request::Connect.encode(ID),
        b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x01\x02\x03\x04"
    );
    let packet = Request::Announce {
        connection: ConnectionId(7),
        announce: Box::new(announce()),
        url_data: b"/a?b".to_vec(),
    }
    .encode(ID);
    let mut expected = b"\0\0\0\0\0\0\0\x07\0\0\0\x01\x01\x02\x03\x04".to_vec();
    expected.extend([b'h'; 20]);
    expected.extend([b'p'; 20]);
    expected.extend(b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03");
    expected.extend(b"\0\0\0\x02\0\0\0\0\xaa\xbb\xcc\xdd\xff\xff\xff\xff\x1a\xe4");
    assert_eq!(expected.len(), 98);
    expected.extend(b"\x02\x04/a?b");
    assert_eq!(packet, expected);
    let scrape = Request::Scrape {
        connection: ConnectionId(7),
        hashes: vec![InfoHash::new([1; 20]); 80],
    };
    assert_eq!(scrape.encode(ID).len(), 16 + 20 * SCRAPE_MAX);
}

#[test]
fn long_url_data_takes_several_options() {
    for length in [0, 1, 255, 256, 1000] {
        let data = vec![b'x'; length];
        let request = Request::Announce {
            connection: ConnectionId(7),
            announce: Box::new(announce()),
            url_data: data.clone(),
        };
        let packet = request.encode(ID);
        assert_eq!(packet.len(), 98 + length + 2 * length.div_ceil(255));
        assert_eq!(Request::decode(&packet), Ok((ID, request)));
    }
}

#[test]
fn options_are_read_tolerantly() {
    assert_eq!(
        decode_url_data(b"\x01\x01\x02\x02/a\x07\x01z\x02\x01b\0\x02\x01c"),
        b"/ab"
    );
    assert_eq!(decode_url_data(b"\x02\xff/a"), b"");
    assert_eq!(decode_url_data(b"\x02"), b"");
}

#[test]
fn every_short_length_is_refused() {
    let answers = [
        Response::Connect(ConnectionId(9)),
        Response::Announce(AnnounceAnswer {
            interval: Some(1),
            leechers: Some(2),
            seeders: Some(3),
            ..AnnounceAnswer::default()
        }),
    ];
    for answer in answers {
        let packet = answer.encode(ID);
        assert_eq!(Response::decode(&packet, false), Ok((ID, answer)));
        for end in 0..packet.len() {
            assert_eq!(
                Response::decode(&packet[..end], false),
                Err(MalformedPacket)
            );
        }
    }
    let requests = [
        Request::Connect,
        Request::Announce {
            connection: ConnectionId(1),
            announce: Box::new(announce()),
            url_data: vec![],
        },
    ];
    for request in requests {
        let packet = request.encode(ID);
        for end in 0..packet.len() {
            assert_eq!(Request::decode(&packet[..end]), Err(MalformedPacket));
        }
    }
}

#[test]
fn unknown_actions_are_refused() {
    let mut packet = Response::Connect(ConnectionId(9)).encode(ID);
    packet[3] = 9;
    assert_eq!(Response::decode(&packet, false), Err(MalformedPacket));
    let mut packet = Request::Connect.encode(ID);
    packet[0] = 1;
    assert_eq!(Request::decode(&packet), Err(MalformedPacket));
}

#[test]
fn a_cut_off_peer_is_left_out_and_ipv6_has_18_bytes() {
    let mut packet = b"\0\0\0\x01\x01\x02\x03\x04\0\0\x07\x08\0\0\0\x01\0\0\0\x02".to_vec();
    packet.extend([127, 0, 0, 1, 0x1a, 0xe1, 9, 9]);
    let peers = |packet: &[u8], ipv6| match Response::decode(packet, ipv6).unwrap().1 {
        Response::Announce(answer) => answer.peers,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        peers(&packet, false),
        [PeerAddress::from_compact([127, 0, 0, 1, 0x1a, 0xe1])]
    );
    assert_eq!(peers(&packet, true), []);
    packet.extend([0; 10]);
    assert_eq!(peers(&packet, true).len(), 1);
}

#[test]
fn error_text_may_end_in_nul() {
    let packet = b"\0\0\0\x03\x01\x02\x03\x04go away\0";
    assert_eq!(
        Response::decode(packet, false),
        Ok((ID, Response::Error(b"go away".to_vec())))
    );
}

proptest! {
    #[test]
    fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..300), ipv6 in any::<bool>()) {
        let _ = Response::decode(&packet, ipv6);
        let _ = Request::decode(&packet);
    }

    #[test]
    fn never_panics_with_a_known_action(action in 0_u32..4, rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut packet = action.to_be_bytes().to_vec();
        packet.extend(&rest);
        let _ = Response::decode(&packet, false);
        let mut packet = PROTOCOL.to_be_bytes().to_vec();
        packet.extend(action.to_be_bytes());
        packet.extend(&rest);
        let _ = Request::decode(&packet);
    }

    #[test]
    fn responses_round_trip(
        id in any::<u32>(),
        numbers in any::<[u32; 3]>(),
        peers in prop::collection::vec(any::<[u8; 6]>(), 0..100),
        text in prop::collection::vec(1_u8.., 0..50),
    ) {
        let [first, second, third] = numbers;
        let announce = AnnounceAnswer {
            interval: Some(first),
            leechers: Some(second),
            seeders: Some(third),
            peers: peers.iter().map(|&peer| PeerAddress::from_compact(peer)).collect(),
            ..AnnounceAnswer::default()
        };
        let figures = ScrapeFigures { seeders: Some(first), completed: Some(second), leechers: Some(third) };
        for response in [
            Response::Connect(ConnectionId(u64::from(first) << 32 | u64::from(second))),
            Response::Announce(announce),
            Response::Scrape(vec![figures; peers.len().min(SCRAPE_MAX)]),
            Response::Error(text),
        ] {
            let packet = response.encode(TransactionId(id));
            prop_assert_eq!(Response::decode(&packet, false), Ok((TransactionId(id), response)));
        }
    }

    #[test]
    fn requests_round_trip(
        id in any::<u32>(),
        connection in any::<u64>(),
        totals in any::<[u64; 3]>(),
        wanted in prop::option::of(0..=i32::MAX.cast_unsigned()),
        hashes in prop::collection::vec(any::<[u8; 20]>(), 0..SCRAPE_MAX),
    ) {
        let announce = AnnounceRequest {
            totals: Totals { uploaded: totals[0], downloaded: totals[1], left: totals[2] },
            num_want: wanted,
            event: None,
            ..announce()
        };
        for request in [
            Request::Connect,
            Request::Announce { connection: ConnectionId(connection), announce: Box::new(announce), url_data: vec![b'/'; hashes.len()] },
            Request::Scrape { connection: ConnectionId(connection), hashes: hashes.iter().map(|&hash| InfoHash::new(hash)).collect() },
        ] {
            let packet = request.encode(TransactionId(id));
            prop_assert_eq!(Request::decode(&packet), Ok((TransactionId(id), request)));
        }
    }
}
