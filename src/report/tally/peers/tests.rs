//! Few peers with known counts.

use super::*;

fn torrent() -> TorrentRow {
    TorrentRow {
        id: 3,
        trackers: 1,
        info_hash: String::new(),
        pieces: 100,
        piece_size: 262_144,
        threshold: 98,
        name: None,
        gigabyte: 0.03,
    }
}

fn peer(first: i64, last: Option<i64>, visits: u64) -> PeerRow<'static> {
    PeerRow {
        client: Some("-UT3440-".into()),
        country: Some(*b"DE"),
        first_pieces: first,
        last_pieces: last,
        first_seen: 3_600_000,
        last_seen: last.map(|_| 3_603_600),
        max_speed: last.map(|last| (last - first) as f64 / 3600.0),
        visits,
        way: Some(WaySeen::Dht),
        torrent: 3,
    }
}

fn tally(rows: &[PeerRow<'_>]) -> (PeerTally, Vec<(u32, f64)>) {
    let mut tally = PeerTally::default();
    let torrent = torrent();
    let judging = Judging {
        torrent: &torrent,
        thresholds: &[0.98, 0.5],
        due_until: 3_600_000,
        has_crossings: false,
        run: Some(Run {
            start: 3_600_000,
            end: 3_607_200,
        }),
        knows_crossings: false,
    };
    let speeds = rows
        .iter()
        .filter_map(|row| tally.push(row, &judging))
        .collect();
    (tally, speeds)
}

#[test]
fn confirmed_downloads_of_two_thresholds() {
    let (tally, speeds) = tally(&[
        peer(10, Some(98), 4),
        peer(10, Some(97), 2),
        peer(97, Some(98), 2),
        peer(98, Some(100), 2),
        peer(10, None, 1),
        peer(60, Some(40), 2),
    ]);
    let counts = &tally.by_torrent[&3];
    assert_eq!((counts.peers, counts.complete_at_first), (6, 1));
    assert_eq!(counts.confirmed, [2, 2]);
    assert_eq!(tally.confirmed_by_hour[&(3, 1000)], 2);
    assert!((tally.crossed_by_hour[&(3, 1000)] - 2.0).abs() < 1e-9);
    assert_eq!(tally.brackets, (7200.0, 2));
    assert_eq!(tally.visits[&(WaySeen::Dht, 2)], 4);
    let wanted = SecondVisits {
        peers: 6,
        again: 5,
        due: 5,
        due_again: 4,
    };
    assert_eq!(tally.second[&WaySeen::Dht], wanted);
    let wanted = Leechers {
        seen: 5,
        once: 1,
        twice: 3,
        confirmed: 2,
    };
    assert_eq!(tally.leechers[&(3, false)], wanted);
    assert_eq!(speeds.len(), 4);
    assert!((speeds[0].1 - 88.0 / 3600.0 * 262.144).abs() < 1e-9);
}

#[test]
fn clients_and_suspect_downloads() {
    let (tally, _) = tally(&[
        peer(10, Some(99), 4),
        peer(95, Some(99), 2),
        peer(95, Some(90), 2),
        peer(100, None, 1),
    ]);
    let client = Client::Azureus(*b"UT");
    let wanted = ClientPeers {
        peers: 4,
        complete: 3,
        whole: 1,
        nearly: 1,
        fallen: 1,
    };
    assert_eq!(tally.clients[&client], wanted);
    assert_eq!(tally.confirmed_by_client[&(3, client)], (2, 1));
}

#[test]
fn who_is_due_for_a_second_visit() {
    let mut late = peer(10, None, 1);
    late.first_seen += 1;
    let (tally, _) = tally(&[late, peer(10, None, 1)]);
    let second = tally.second[&WaySeen::Dht];
    assert_eq!((second.due, second.due_again), (1, 0));
}

#[test]
fn keys_of_countries() {
    for country in [None, Some(*b"AA"), Some(*b"DE"), Some(*b"ZZ")] {
        for (way, called) in [(WaySeen::Incoming, true), (WaySeen::Tracker, false)] {
            let key = sort_key(country, Some(way));
            assert_eq!(country_of(key), (country, called));
        }
    }
}

/// Of a run of two hours: crossed after one, lost after one and at once. With
/// our table a crossing is of when it tells; only the first of a peer whose
/// download is confirmed counts.
#[test]
fn how_long_peers_are_followed() {
    let mut wanted = FollowUp::default();
    wanted.event(0.5);
    wanted.lost(0.5, 1.0);
    wanted.lost(0.0, 1.0);
    let rows = [
        peer(10, Some(98), 4),
        peer(10, Some(97), 2),
        peer(10, None, 1),
        peer(98, Some(100), 2),
    ];
    let (tally, _) = tally(&rows);
    assert_eq!(tally.follow_ups[&(3, false)], wanted);

    let mut tally = PeerTally::default();
    let run = Run::with(Run::with(None, 3_607_200), 3_600_000);
    let crossing = |peer, hours: i64, last| CrossingRow {
        torrent: 3,
        last_below_ms: 3_600_000_000,
        first_at_ms: 3_600_000_000 + hours * 7_200_000,
        peer,
        first_seen: 3_600_000,
        first_pieces: 10,
        last_pieces: Some(last),
        way: Some(WaySeen::Incoming),
    };
    for row in [crossing(1, 1, 98), crossing(1, 2, 98), crossing(2, 2, 90)] {
        tally.crossed(&torrent(), &row, run);
    }
    let mut wanted = FollowUp::default();
    wanted.event(0.5);
    assert_eq!(tally.follow_ups[&(3, true)], wanted);
}
