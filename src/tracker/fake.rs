//! Trackers played without sockets, for the tests of the requester and the
//! farewell.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::TrackerHealth;
use super::{Door, Families, FindFamilies};
use super::{ScrapeBoard, SystemRandom, TorrentTrackers, TrackerClient, TrackerContext};
use crate::clock::ManualClock;
use crate::config::settings::TrackerSettings;
use crate::intake::{Offer, PeerIntake};
use crate::model::record::{Record, TrackerCall};
use crate::model::{
    InfoHash, IpFamily, PeerAddress, PeerId, PieceCount, Reason, Source, Timestamp, Torrent,
    TorrentId,
};
use crate::net::http::{HttpAnswer, HttpError, HttpGet};
use crate::net::udp::{Datagram, OpenDatagram};
use crate::net::{NetError, Operation};
use crate::stop::{StopToken, StopTrigger, stop_pair};

pub(super) const WISH: Duration = Duration::from_secs(300);

/// Answers URLs by what they begin with; remembers what was asked.
pub(super) struct FakeHttp {
    notice: (Sender<()>, Receiver<()>),
    answers: Mutex<HashMap<String, Result<HttpAnswer, HttpError>>>,
    pub(super) asked: Mutex<Vec<String>>,
    /// Requests to URLs that begin with this wait for the channel to close.
    pub(super) stuck: Mutex<Option<(String, Receiver<()>)>>,
}

impl FakeHttp {
    fn new() -> Self {
        Self {
            notice: unbounded(),
            answers: Mutex::default(),
            asked: Mutex::default(),
            stuck: Mutex::default(),
        }
    }

    /// Waits for `count` further requests.
    pub(super) fn wait_for(&self, count: usize) {
        for _ in 0..count {
            let limit = Duration::from_secs(60);
            self.notice.1.recv_timeout(limit).expect("a request");
        }
    }

    pub(super) fn set(&self, prefix: &str, body: impl Into<Vec<u8>>) {
        self.set_status(prefix, 200, body);
    }

    pub(super) fn set_status(&self, prefix: &str, status: u16, body: impl Into<Vec<u8>>) {
        let body = body.into();
        let answer = Ok(HttpAnswer { status, body });
        self.answers.lock().insert(prefix.to_owned(), answer);
    }

    pub(super) fn fail(&self, prefix: &str, error: HttpError) {
        self.answers.lock().insert(prefix.to_owned(), Err(error));
    }

    /// Requests since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }
}

impl HttpGet for FakeHttp {
    fn get(&self, url: &str, _: usize, _: Duration) -> Result<HttpAnswer, HttpError> {
        self.asked.lock().push(url.to_owned());
        let _ = self.notice.0.send(());
        let stuck = self.stuck.lock().clone();
        if let Some((_, gate)) = stuck.filter(|(prefix, _)| url.starts_with(prefix)) {
            let _ = gate.recv_timeout(Duration::from_secs(60));
        }
        let answers = self.answers.lock();
        let longest = answers
            .iter()
            .filter(|(prefix, _)| url.starts_with(*prefix))
            .max_by_key(|(prefix, _)| prefix.len());
        let timed_out = NetError::timed_out(Operation::Read);
        longest.map_or(Err(HttpError::Net(timed_out)), |(_, answer)| answer.clone())
    }
}

/// No UDP at all.
pub(super) struct NoUdp;

impl OpenDatagram for NoUdp {
    fn open(&self, _: &str, _: u16, _: Duration) -> Result<Box<dyn Datagram>, NetError> {
        Err(NetError::timed_out(Operation::Resolve))
    }
}

/// Names with addresses of these families; none is not to be found.
struct FakeNames(Vec<IpFamily>);

impl FindFamilies for FakeNames {
    fn families(&self, _: &str, _: u16, _: Duration) -> Result<Vec<IpFamily>, NetError> {
        let none = NetError {
            operation: Operation::Resolve,
            reason: Reason::Closed,
        };
        Some(self.0.clone()).filter(|it| !it.is_empty()).ok_or(none)
    }
}

/// Takes peers: port 1 is ourselves, port 0 cannot be called.
#[derive(Default)]
pub(super) struct FakeIntake(Mutex<Vec<PeerAddress>>);

impl PeerIntake for FakeIntake {
    fn own_ip(&self, ip: IpAddr) {
        self.0.lock().push(PeerAddress::new(ip, 0));
    }

    fn offer(&self, _: TorrentId, source: Source, address: PeerAddress) -> Offer {
        assert_eq!(source, Source::Tracker);
        let mut known = self.0.lock();
        match address.port() {
            0 => Offer::Uncallable,
            1 => Offer::Own,
            _ if known.contains(&address) => Offer::Known,
            _ => {
                known.push(address);
                Offer::New
            }
        }
    }
}

/// A run with everything but the requesters.
pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) http: Arc<FakeHttp>,
    pub(super) context: TrackerContext,
    pub(super) records: Receiver<Record>,
    pub(super) trigger: StopTrigger,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(settings(), Arc::new(NoUdp))
    }

    /// Every name has addresses of `families`; what is asked over IPv6 goes to
    /// the second HTTP.
    pub(super) fn over(families: &[IpFamily]) -> (Self, Arc<FakeHttp>) {
        let mut world = Self::new();
        let other = Arc::new(FakeHttp::new());
        let door = |http: &Arc<FakeHttp>| Door {
            http: Some(Arc::clone(http) as Arc<dyn HttpGet>),
            udp: Arc::new(NoUdp),
        };
        let families = Families {
            find: Arc::new(FakeNames(families.to_vec())),
            v4: door(&world.http),
            v6: door(&other),
        };
        let client = Arc::get_mut(&mut world.context.client);
        let client = client.expect("nobody else has it");
        client.families = Some(Arc::new(families));
        client.settings.ipv6 = true;
        (world, other)
    }

    pub(super) fn with(settings: TrackerSettings, udp: Arc<dyn OpenDatagram>) -> Self {
        let clock = ManualClock::new(Timestamp(1_000));
        let http = Arc::new(FakeHttp::new());
        let (sender, records): (Sender<Record>, _) = unbounded();
        let (trigger, stop): (_, StopToken) = stop_pair();
        let context = TrackerContext {
            client: Arc::new(TrackerClient {
                clock: Arc::new(clock.clone()),
                random: Arc::new(SystemRandom),
                http: Arc::clone(&http) as Arc<dyn HttpGet>,
                udp,
                families: None,
                settings,
                peer_id: PeerId::new([b'p'; 20]),
                key: 1,
            }),
            intake: Arc::new(FakeIntake::default()),
            records: sender,
            stop,
            board: Arc::new(ScrapeBoard::new()),
            health: Arc::new(TrackerHealth::new()),
        };
        Self {
            clock,
            http,
            context,
            records,
            trigger,
        }
    }

    pub(super) fn trackers(&self, index: u8, urls: &[&str]) -> Arc<TorrentTrackers> {
        let torrent = Arc::new(torrent(index, urls));
        Arc::new(TorrentTrackers::new(torrent, &self.context.client.settings))
    }

    /// Records since the last call, in words.
    pub(super) fn told(&self) -> Vec<String> {
        self.records
            .try_iter()
            .map(|record| words(&record))
            .collect()
    }
}

fn words(record: &Record) -> String {
    match record {
        Record::Announce(announce) => {
            let completed = announce.main_scrape.map(|figures| figures.completed);
            let (received, duplicates) = (announce.received, announce.duplicates);
            format!("announce {received} {duplicates} {completed:?}")
        }
        Record::Scrape(scrape) => format!("scrape {:?}", scrape.figures.completed),
        Record::TrackerFailure(failure) => {
            let call = match failure.call {
                TrackerCall::Announce => "announce",
                TrackerCall::Scrape => "scrape",
            };
            format!("{call} failed: {}", failure.reason)
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn hash(index: u8) -> InfoHash {
    InfoHash::new([b'a' + index; 20])
}

fn torrent(index: u8, urls: &[&str]) -> Torrent {
    Torrent {
        id: TorrentId::from_index(index.into()).unwrap(),
        info_hash: hash(index),
        trackers: urls.iter().map(|&url| url.to_owned()).collect(),
        pieces: PieceCount(100),
        piece_length: 1_000,
        threshold: PieceCount(98),
        path: PathBuf::new(),
        display_name: None,
        private: false,
    }
}

pub(super) fn settings() -> TrackerSettings {
    TrackerSettings {
        interval: WISH,
        ignore_interval: false,
        timeout: Duration::from_secs(6),
        fake_downloaded: 0.5,
        fake_left: 0.5,
        fake_uploaded: 0.2,
        num_want: None,
        udp_default_port: 80,
        body_limit: 1 << 20,
        redirects_max: 3,
        scrape: true,
        ipv6: false,
        announce_port: 6884,
    }
}

/// The body of a scrape answer; `completed` is 10 × the torrent's number.
pub(super) fn scrape_body(indices: &[u8]) -> Vec<u8> {
    let mut body = b"d5:filesd".to_vec();
    for &index in indices {
        body.extend(b"20:");
        body.extend(hash(index).as_bytes());
        let completed = 10 * u32::from(index + 1);
        body.extend(format!("d8:completei1e10:downloadedi{completed}e10:incompletei2ee").bytes());
    }
    body.extend(b"ee");
    body
}

pub(super) fn timed_out() -> HttpError {
    HttpError::Net(NetError::timed_out(Operation::Read))
}
