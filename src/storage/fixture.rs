//! Records and torrents for the tests of this module.

use std::sync::Arc;
use std::time::Duration;

use crate::model::record::{
    Announce, Failure, MessageCounts, Record, Scrape, ScrapeFigures, Tick, Told, TrackerCall,
    TrackerFailure, Visit,
};
use crate::model::{
    Direction, Encryption, Event, Evidence, InfoHash, PeerAddress, PeerKey, PieceCount, Reason,
    Source, Timestamp, Torrent, TorrentId, Transport, VisitEnd,
};

/// Start of every test run: 2015-08-30 18:41:36 UTC.
pub(crate) const START: Timestamp = Timestamp(1_440_960_096_000);

pub(crate) fn id(number: usize) -> TorrentId {
    TorrentId::from_index(number - 1).unwrap()
}

/// `count` torrents of 100 pieces with a threshold of 98.
pub(crate) fn torrents(count: usize) -> Vec<Arc<Torrent>> {
    (1..=count)
        .map(|number| {
            Arc::new(Torrent {
                id: id(number),
                info_hash: InfoHash::of(&[u8::try_from(number).unwrap()]),
                trackers: vec![url(number).to_string(), "udp://b.test:80".to_owned()],
                pieces: PieceCount(100),
                piece_length: 262_144,
                threshold: PieceCount(98),
                path: format!("input/{number}.torrent").into(),
                display_name: (number != 2).then(|| format!("name \"{number}\", é")),
                private: false,
            })
        })
        .collect()
}

pub(crate) fn url(torrent: usize) -> Arc<str> {
    format!("http://a.test:{torrent}/announce?a=1,2").into()
}

pub(crate) fn at(seconds: f64) -> Timestamp {
    START.plus(Duration::from_secs_f64(seconds))
}

pub(crate) fn key(host: u8, port: u16, torrent: usize) -> PeerKey {
    let address = PeerAddress::new(std::net::Ipv4Addr::new(192, 0, 2, host).into(), port);
    PeerKey::new(address, id(torrent))
}

/// A visit outward to `peer` that found `pieces`.
pub(crate) fn visit(peer: PeerKey, time: f64, pieces: u32) -> Visit {
    Visit {
        peer,
        source: Source::Tracker,
        origin: None,
        direction: Direction::Outgoing,
        transport: Transport::Tcp,
        encryption: Encryption::Plain,
        at: at(time),
        duration: Duration::from_millis(6_100),
        pieces: PieceCount(pieces),
        messages: MessageCounts {
            total: 3,
            bitfield: 1,
            have: 2,
            ..MessageCounts::default()
        },
        below: (pieces < 98).then(|| told(time, pieces)),
        reached: (pieces >= 98).then(|| told(time, pieces)),
        longest_wait: Some(Duration::from_millis(1_500)),
        peer_id: None,
        client: Some("-TR3000-".to_owned()),
        ended: VisitEnd::Quiet,
        takes_back: None,
        before: Evidence::Listed,
        extension: None,
    }
}

/// What a peer told at `time`.
pub(crate) fn told(time: f64, pieces: u32) -> Told {
    Told {
        at: at(time),
        pieces: PieceCount(pieces),
    }
}

/// A visit inward.
pub(crate) fn call(peer: PeerKey, time: f64, pieces: u32) -> Visit {
    Visit {
        origin: None,
        direction: Direction::Incoming,
        source: Source::Incoming,
        ..visit(peer, time, pieces)
    }
}

pub(crate) fn failure(event: Event, reason: Reason, takes_back: Option<Reason>) -> Record {
    Record::Failure(Failure {
        at: START,
        event,
        reason,
        takes_back,
        messages: None,
        step: None,
    })
}

pub(crate) fn announce(torrent: usize, received: u32, duplicates: u32) -> Announce {
    Announce {
        at: START,
        torrent: id(torrent),
        url: url(torrent),
        received,
        duplicates,
        duration: Duration::from_millis(250),
        family: None,
        main_scrape: None,
        interval: Some(1800),
        min_interval: None,
        seeders: Some(5),
        leechers: None,
        warning: Some("slow\0down".to_owned()),
    }
}

pub(crate) fn figures(completed: u32) -> ScrapeFigures {
    ScrapeFigures {
        seeders: Some(1),
        completed: Some(completed),
        leechers: None,
    }
}

pub(crate) fn scrape(torrent: usize, completed: u32) -> Record {
    Record::Scrape(Scrape {
        at: START,
        torrent: id(torrent),
        url: url(torrent),
        figures: figures(completed),
    })
}

pub(crate) fn tracker_failure(torrent: usize, call: TrackerCall, reason: &str) -> Record {
    Record::TrackerFailure(Box::new(TrackerFailure {
        at: START,
        torrent: id(torrent),
        url: url(torrent),
        call,
        reason: reason.to_owned(),
    }))
}

pub(crate) fn tick(time: f64, last: bool) -> Record {
    Record::Tick(Box::new(Tick {
        at: at(time),
        peer_queue: 12,
        thread_workload: Some(0.25),
        load_average: None,
        memory_mb: Some(f64::NAN),
        server_threads: 3,
        evaluator_threads: 4,
        last,
    }))
}
