//! The requester against scripted trackers on loopback, with real sockets.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use btda::clock::SystemClock;
use btda::config::settings::TrackerSettings;
use btda::intake::{Offer, PeerIntake};
use btda::model::record::{Announce, Record, ScrapeFigures};
use btda::model::{
    InfoHash, IpFamily, PeerAddress, PeerId, PieceCount, Source, Torrent, TorrentId,
};
use btda::net::NetError;
use btda::net::http::{HttpAnswer, HttpError, HttpGet, SystemHttp};
use btda::net::resolve::Resolver;
use btda::net::udp::{Datagram, OpenDatagram, SystemUdp};
use btda::stop::{StopTrigger, stop_pair};
use btda::tracker::announce::{AnnounceAnswer, AnnounceEvent};
use btda::tracker::udp::{ConnectionId, Request, Response, TransactionId};
use btda::tracker::{
    Door, Families, FindFamilies, Requester, ScrapeBoard, SystemRandom, TorrentTrackers,
    TrackerClient, TrackerContext, TrackerHealth, farewell, run,
};
use crossbeam_channel::{Receiver, Sender, unbounded};

const WAIT: Duration = Duration::from_secs(30);
const ID: ConnectionId = ConnectionId(0x1122_3344_5566_7788);

struct Everyone;

impl PeerIntake for Everyone {
    fn own_ip(&self, _: IpAddr) {}

    fn offer(&self, _: TorrentId, _: Source, _: PeerAddress) -> Offer {
        Offer::New
    }
}

struct Run {
    context: TrackerContext,
    records: Receiver<Record>,
    trigger: StopTrigger,
}

fn start(timeout: Duration) -> Run {
    let families = Families::system(0, &Resolver::new());
    start_with(timeout, families)
}

fn start_with(timeout: Duration, families: Families) -> Run {
    let resolver = Resolver::new();
    let (sender, records) = unbounded();
    let (trigger, stop) = stop_pair();
    let settings = TrackerSettings {
        interval: Duration::from_secs(300),
        ignore_interval: false,
        timeout,
        fake_downloaded: 0.5,
        fake_left: 0.5,
        fake_uploaded: 0.2,
        num_want: Some(50),
        udp_default_port: 80,
        body_limit: 1 << 20,
        redirects_max: 3,
        scrape: true,
        ipv6: true,
        announce_port: 6884,
    };
    let context = TrackerContext {
        client: Arc::new(TrackerClient {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            http: Arc::new(SystemHttp::new(settings.redirects_max, resolver.clone())),
            families: Some(Arc::new(families)),
            udp: Arc::new(SystemUdp::new(resolver)),
            settings,
            peer_id: PeerId::new([b'p'; 20]),
            key: 99,
        }),
        intake: Arc::new(Everyone),
        records: sender,
        stop,
        board: Arc::new(ScrapeBoard::new()),
        health: Arc::new(TrackerHealth::new()),
    };
    Run {
        context,
        records,
        trigger,
    }
}

impl Run {
    /// Starts the requester of one torrent.
    fn ask(&self, urls: &[String]) -> (Arc<TorrentTrackers>, JoinHandle<()>) {
        let torrent = Torrent {
            id: TorrentId::from_index(0).unwrap(),
            info_hash: InfoHash::new([b'h'; 20]),
            trackers: urls.to_vec(),
            pieces: PieceCount(10),
            piece_length: 100,
            threshold: PieceCount(10),
            path: PathBuf::new(),
            display_name: None,
            private: false,
        };
        let settings = &self.context.client.settings;
        let trackers = Arc::new(TorrentTrackers::new(Arc::new(torrent), settings));
        let requester = Requester::new(self.context.clone(), Arc::clone(&trackers));
        (trackers, thread::spawn(move || run(requester)))
    }

    fn record(&self) -> Record {
        self.records.recv_timeout(WAIT).unwrap()
    }

    fn announce(&self) -> Announce {
        match self.record() {
            Record::Announce(announce) => *announce,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> String {
        match self.record() {
            Record::TrackerFailure(failure) => {
                format!("{} {}", failure.call.as_str(), failure.reason)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Plays a UDP tracker: `answer` maps each request to datagrams. Returns its
/// URL and what it received.
fn udp_tracker(
    answer: impl FnMut(usize, TransactionId, &Request) -> Vec<Vec<u8>> + Send + 'static,
) -> (String, Receiver<Request>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let received = serve_udp(socket, answer);
    (format!("udp://{address}/announce?key=1"), received)
}

fn serve_udp(
    socket: UdpSocket,
    mut answer: impl FnMut(usize, TransactionId, &Request) -> Vec<Vec<u8>> + Send + 'static,
) -> Receiver<Request> {
    let (sender, received): (Sender<Request>, _) = unbounded();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        for number in 0.. {
            let (length, from): (usize, SocketAddr) = socket.recv_from(&mut buffer).unwrap();
            let (id, request) = Request::decode(&buffer[..length]).unwrap();
            for packet in answer(number, id, &request) {
                socket.send_to(&packet, from).unwrap();
            }
            let _ = sender.send(request);
        }
    });
    received
}

fn good(id: TransactionId, request: &Request) -> Vec<u8> {
    let response = match request {
        Request::Connect => Response::Connect(ID),
        Request::Announce { connection, .. } => {
            assert_eq!(*connection, ID);
            Response::Announce(AnnounceAnswer {
                interval: Some(1800),
                leechers: Some(1),
                seeders: Some(2),
                peers: vec![PeerAddress::from_compact([127, 0, 0, 9, 0, 80])],
                ..AnnounceAnswer::default()
            })
        }
        Request::Scrape { hashes, .. } => Response::Scrape(vec![
            ScrapeFigures {
                seeders: Some(1),
                completed: Some(7),
                leechers: Some(3),
            };
            hashes.len()
        ]),
    };
    response.encode(id)
}

#[test]
fn a_udp_tracker_from_started_to_stopped() {
    let run = start(WAIT);
    let (url, received) = udp_tracker(|_, id, request| vec![good(id, request)]);
    let (trackers, thread) = run.ask(std::slice::from_ref(&url));
    assert!(matches!(run.record(), Record::Scrape(_)));
    let announce = run.announce();
    assert_eq!((announce.received, announce.duplicates), (1, 0));
    assert_eq!(announce.interval, Some(1800));
    assert_eq!(announce.main_scrape.unwrap().completed, Some(7));
    assert_eq!(*announce.url, *url);
    run.trigger.stop();
    thread.join().unwrap();
    let told = farewell(&run.context.client, &[trackers], WAIT);
    assert_eq!(told.acknowledged, 1);
    let received: Vec<Request> = received.iter().take(4).collect();
    assert_eq!(received[0], Request::Connect);
    let Request::Announce {
        announce, url_data, ..
    } = &received[1]
    else {
        panic!("{received:?}");
    };
    assert_eq!(announce.event, Some(AnnounceEvent::Started));
    assert_eq!((announce.key, announce.num_want), (99, Some(50)));
    assert_eq!(announce.totals.downloaded, 500);
    assert_eq!(url_data, b"/announce?key=1");
    assert!(matches!(received[2], Request::Scrape { .. }));
    assert!(matches!(&received[3], Request::Announce { announce, .. }
        if announce.event == Some(AnnounceEvent::Stopped)));
}

#[test]
fn a_lost_datagram_and_confusing_ones() {
    let run = start(Duration::from_secs(12));
    let (url, _received) = udp_tracker(|number, id, request| {
        if number == 0 {
            return vec![];
        }
        let foreign = TransactionId(id.0.wrapping_add(1));
        vec![
            good(foreign, request),
            Response::Error(b"foreign".to_vec()).encode(foreign),
            b"\0\0".to_vec(),
            Response::Scrape(vec![]).encode(id)[..6].to_vec(),
            good(id, request),
            good(id, request),
        ]
    });
    let (_, thread) = run.ask(&[url]);
    assert!(matches!(run.record(), Record::Scrape(_)));
    assert_eq!(run.announce().received, 1);
    run.trigger.stop();
    thread.join().unwrap();
}

/// A port that nobody else gets and that refuses: its socket hears somebody
/// else only.
fn refusing_port() -> (String, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    (format!("udp://{}", socket.local_addr().unwrap()), socket)
}

/// Every tracker fails, first the announces, then the scrapes, and the thread
/// ends when told to.
fn expect_failures(run: &Run, urls: &[String], reasons: &[&str]) {
    let (_, thread) = run.ask(urls);
    for call in ["announce", "scrape"] {
        for reason in reasons {
            assert_eq!(run.failure(), format!("{call} {reason}"));
        }
    }
    run.trigger.stop();
    thread.join().unwrap();
}

#[test]
fn the_thread_survives_udp_trackers_that_refuse() {
    let (refusing, _received) =
        udp_tracker(|_, id, _| vec![Response::Error(b"no, 17 times".to_vec()).encode(id)]);
    let (closed, _socket) = refusing_port();
    let reasons = ["Refused: no, # times", "[Errno 111] Connection refused"];
    expect_failures(&start(WAIT), &[refusing, closed], &reasons);
}

#[test]
fn the_thread_survives_udp_trackers_that_say_nothing_of_use() {
    let wrong = Response::Connect(ID);
    let (silent, _a) = udp_tracker(|_, _, _| vec![]);
    let (confused, _b) = udp_tracker(move |_, id, request| match request {
        Request::Connect => vec![Response::Scrape(vec![]).encode(id)],
        _ => vec![wrong.encode(id)],
    });
    let (short, _c) = udp_tracker(|_, id, request| vec![good(id, request)[..9].to_vec()]);
    let run = start(Duration::from_millis(300));
    expect_failures(&run, &[silent, confused, short], &["timed out"; 3]);
}

#[test]
fn an_http_tracker_with_a_passkey_and_its_requests() {
    let run = start(WAIT);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, paths) = unbounded();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = head_of(&stream);
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let body: &[u8] = if path.starts_with("/scrape") {
                b"d5:filesd20:hhhhhhhhhhhhhhhhhhhhd8:completei1e10:downloadedi7e10:incompletei2eeee"
            } else {
                b"d8:intervali900e5:peersl\
                  d2:ip9:127.0.0.94:porti80eee10:tracker id1:x15:warning message4:slowe"
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body).unwrap();
            let _ = sender.send((path, request.contains("btda/")));
        }
    });
    let (trackers, thread) = run.ask(&[format!("http://{address}/announce?passkey=k")]);
    assert!(matches!(run.record(), Record::Scrape(_)));
    let announce = run.announce();
    assert_eq!(announce.received, 1);
    assert_eq!(announce.main_scrape.unwrap().completed, Some(7));
    assert_eq!(announce.warning.as_deref(), Some("slow"));
    run.trigger.stop();
    thread.join().unwrap();
    assert_eq!(
        farewell(&run.context.client, &[trackers], WAIT).acknowledged,
        1
    );
    let paths: Vec<(String, bool)> = paths.iter().take(3).collect();
    assert!(paths.iter().all(|(_, user_agent)| *user_agent));
    let (first, scrape, last) = (&paths[0].0, &paths[1].0, &paths[2].0);
    assert!(first.starts_with("/announce?passkey=k&info_hash=hhhhhhhhhhhhhhhhhhhh&peer_id="));
    assert!(first.ends_with("&compact=1&key=00000063&event=started&numwant=50"));
    assert_eq!(scrape, "/scrape?passkey=k&info_hash=hhhhhhhhhhhhhhhhhhhh");
    assert!(last.ends_with("&event=stopped&numwant=0&trackerid=x"));
}

/// What the name of a tracker leads to, as the name servers would say.
struct Named(&'static str);

impl FindFamilies for Named {
    fn families(&self, _: &str, _: u16, _: Duration) -> Result<Vec<IpFamily>, NetError> {
        Ok(IpFamily::ALL.to_vec())
    }
}

impl OpenDatagram for Named {
    fn open(&self, host: &str, port: u16, wait: Duration) -> Result<Box<dyn Datagram>, NetError> {
        assert_eq!(host, "tracker.test");
        SystemUdp::default().open(self.0, port, wait)
    }
}

impl HttpGet for Named {
    fn get(&self, url: &str, limit: usize, wait: Duration) -> Result<HttpAnswer, HttpError> {
        let url = url.replace("tracker.test", self.0);
        SystemHttp::direct(0, Resolver::new()).get(&url, limit, wait)
    }
}

/// `tracker.test` is at both loopback addresses.
fn both_families() -> Families {
    let door = |host| Door {
        http: Some(Arc::new(Named(host))),
        udp: Arc::new(Named(host)),
    };
    Families {
        find: Arc::new(Named("")),
        v4: door("127.0.0.1"),
        v6: door("[::1]"),
    }
}

/// Sockets at one port of both loopback addresses, made by `bind`; `None`
/// where there is no `::1`.
#[expect(clippy::print_stderr, reason = "says why nothing was tried")]
fn at_both<T>(bind: impl Fn(SocketAddr) -> std::io::Result<T>) -> Option<(u16, [T; 2])> {
    if let Err(error) = UdpSocket::bind("[::1]:0") {
        eprintln!("skipped: this machine has no ::1 ({error})");
        return None;
    }
    let found = std::iter::repeat_with(|| {
        let v6 = UdpSocket::bind("[::1]:0").unwrap();
        let port = v6.local_addr().unwrap().port();
        drop(v6);
        let at = |host: &str| bind(format!("{host}:{port}").parse().unwrap());
        Some((port, [at("127.0.0.1").ok()?, at("[::1]").ok()?]))
    });
    found.take(100).flatten().next()
}

#[test]
fn a_udp_tracker_is_asked_over_both_families() {
    const ID_6: ConnectionId = ConnectionId(0x6666);
    let Some((port, [v4, v6])) = at_both(UdpSocket::bind) else {
        return;
    };
    let received_4 = serve_udp(v4, |_, id, request| vec![good(id, request)]);
    // In the format of the other family (BEP 15), with ids of its own.
    let received_6 = serve_udp(v6, |_, id, request| {
        let Request::Announce { connection, .. } = request else {
            assert_eq!(*request, Request::Connect, "figures are asked for once");
            return vec![Response::Connect(ID_6).encode(id)];
        };
        assert_eq!(*connection, ID_6);
        let answer = AnnounceAnswer {
            leechers: Some(4),
            ..AnnounceAnswer::default()
        };
        let mut packet = Response::Announce(answer).encode(id);
        for last in [7, 8] {
            packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0]);
            packet.extend([0, 0, 0, 0, 0, 0, 0, last, 0, 80]);
        }
        vec![packet]
    });
    let run = start_with(WAIT, both_families());
    let (trackers, thread) = run.ask(&[format!("udp://tracker.test:{port}/announce")]);
    assert!(matches!(run.record(), Record::Scrape(_)));
    let [first, second] = [run.announce(), run.announce()];
    assert_eq!(first.family, Some(IpFamily::V4));
    assert_eq!((first.received, first.leechers), (1, Some(1)));
    assert!(first.main_scrape.is_some());
    assert_eq!(second.family, Some(IpFamily::V6));
    assert_eq!((second.received, second.leechers), (2, Some(4)));
    assert!(second.main_scrape.is_none(), "one row with figures a round");
    run.trigger.stop();
    thread.join().unwrap();
    let told = farewell(&run.context.client, &[trackers], WAIT);
    assert_eq!((told.owed, told.acknowledged), (2, 2));
    for received in [received_4, received_6] {
        let events = received.iter().filter_map(|request| match request {
            Request::Announce { announce, .. } => Some(announce.event),
            _ => None,
        });
        let wanted = [AnnounceEvent::Started, AnnounceEvent::Stopped].map(Some);
        assert_eq!(events.take(2).collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn an_http_tracker_is_asked_over_both_families() {
    let Some((port, [v4, v6])) = at_both(TcpListener::bind) else {
        return;
    };
    let peers_6 = b"d6:peers636:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\x50e";
    let asked = [
        serve_http(v4, b"d5:peers6:\x05\x06\x07\x08\0\x50e"),
        serve_http(v6, peers_6),
    ];
    let run = start_with(WAIT, both_families());
    // No scrape by BEP 48.
    let (trackers, thread) = run.ask(&[format!("http://tracker.test:{port}/a")]);
    for (family, received) in [(IpFamily::V4, 1), (IpFamily::V6, 2)] {
        let announce = run.announce();
        let told = (announce.family, announce.received);
        assert_eq!(told, (Some(family), received));
    }
    run.trigger.stop();
    thread.join().unwrap();
    let told = farewell(&run.context.client, &[trackers], WAIT);
    assert_eq!((told.owed, told.acknowledged), (2, 2));
    for asked in asked {
        let asked: Vec<String> = asked.iter().take(2).collect();
        assert!(asked[0].contains("event=started"), "{asked:?}");
        assert!(asked[1].contains("event=stopped"), "{asked:?}");
    }
}

/// A request without its end.
fn head_of(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while reader
        .read_line(&mut request)
        .is_ok_and(|length| length > 2)
    {}
    request
}

/// Answers every request with `body`; gives the paths asked for.
fn serve_http(listener: TcpListener, body: &'static [u8]) -> Receiver<String> {
    let (sender, paths) = unbounded();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = head_of(&stream);
            let _ = sender.send(request.split(' ').nth(1).unwrap().to_owned());
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ";
            stream
                .write_all(format!("{head}{length}\r\n\r\n").as_bytes())
                .unwrap();
            stream.write_all(body).unwrap();
        }
    });
    paths
}
