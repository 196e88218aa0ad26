//! The observatory as a program of its own, those who ask it, and nodes of
//! ours around it, all on loopback.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::id::NodeId;
use btda::dht::node::krpc::{Body, Message, Method, Query, Reply, TransactionId, Want};
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest, LookupSummary};
use btda::model::{InfoHash, PeerAddress};
use btda::observe::record::Record;
use btda::observe::slices::Lines;
use btda::stop::{StopTrigger, stop_pair};
use crossbeam_channel::Receiver;
use rusqlite::{Connection, OpenFlags};

use super::process::{Process, isolated, wait_until};

/// No other nodes, no surveys.
pub(crate) const ALONE: [&str; 4] = [
    "--set",
    "dht.bootstrap=",
    "--set",
    "observe.survey_seconds=0",
];

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(90);

/// The program, listening at an address of loopback.
pub(crate) struct Observatory {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) folder: PathBuf,
}

impl Observatory {
    /// Starts it at 127.0.9.`host`, with `more` arguments.
    pub(crate) fn start(folder: &Path, host: u8, more: &[&str]) -> Self {
        Self::start_at(folder, Ipv4Addr::new(127, 0, 9, host), more)
    }

    /// Starts it with its files in a folder below `folder`, at ports that
    /// the system chooses.
    pub(crate) fn start_at(folder: &Path, address: Ipv4Addr, more: &[&str]) -> Self {
        let own = folder.join("observatory");
        let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
        command
            .current_dir(folder)
            .args(["observe", "--port", "0", "--folder"])
            .arg(&own)
            .args([
                "--set",
                "dht.allow_private=true",
                "--set",
                "dht.packets_per_second=5000",
            ])
            .args(["--set", "storage.geolocation_database=", "--set"])
            .arg(format!("listen.address={address}"))
            .args(more);
        if !more.iter().any(|it| it.starts_with("dht.address6=")) {
            command.args(["--set", "dht.address6="]);
        }
        let process = Process::spawn("observe", command, folder);
        let mut observatory = Self {
            process,
            address: SocketAddr::from((address, 0)),
            folder: own,
        };
        wait_until("it listens", LIMIT, || {
            observatory.said().contains("listening on UDP")
        });
        let port = observatory.ports("IPv4").first().copied();
        observatory.address.set_port(port.expect("it has a port"));
        observatory
    }

    /// Its ports of a family, `IPv4` or `IPv6`, one for each node.
    pub(crate) fn ports(&self, family: &str) -> Vec<u16> {
        let said = self.said();
        let (_, rest) = said
            .split_once(&format!("{family}: "))
            .expect("it says where");
        let ports = rest.split([';', ')']).next().unwrap_or_default();
        let ports = ports.split(' ').filter_map(|port| port.parse().ok());
        ports.collect()
    }

    /// What it printed so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.process.log()).unwrap_or_default()
    }

    /// A number from its store, while it runs; `None` before there is one.
    pub(crate) fn number(&self, sql: &str) -> Option<f64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let path = self.folder.join("observatory.sqlite");
        let store = Connection::open_with_flags(path, flags).ok()?;
        store.query_row(sql, [], |row| row.get(0)).ok()
    }

    /// Presses Ctrl+C; the records it left.
    pub(crate) fn end(&mut self) -> Vec<Record> {
        self.process.interrupt();
        let status = self.process.wait(LIMIT).expect("it ends");
        assert!(status.success(), "{}", self.said());
        records(&self.folder.join("records"))
    }
}

/// All records in the slices of `folder`.
pub(crate) fn records(folder: &Path) -> Vec<Record> {
    if !folder.exists() {
        return Vec::new();
    }
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name();
    let files = entries.into_iter().map(|it| it.expect("readable"));
    let files = files.filter(|entry| entry.file_type().is_file());
    let mut records = Vec::new();
    for file in files.filter(|entry| entry.file_name() != "latest.txt") {
        let name = file.file_name().to_str().expect("it works");
        assert!(name.starts_with("boonlog-firehose-1-"), "{name}");
        assert_eq!(file.path().extension(), None, "{name}");
        let mut lines = Lines::open(file.path()).expect("it works");
        while let Some(record) = lines.next_record().expect("it works") {
            records.push(record);
        }
        assert_eq!(lines.counts().malformed, 0);
    }
    records
}

pub(crate) fn btda(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("it works")
}

/// Somebody in the DHT who only asks.
pub(crate) struct Asker {
    socket: UdpSocket,
    id: NodeId,
}

impl Asker {
    /// At 127.0.9.`host`, with an id of that byte alone.
    pub(crate) fn new(host: u8, to: SocketAddr) -> Self {
        Self::at(Ipv4Addr::new(127, 0, 9, host).into(), host, to)
    }

    /// At `address`, with an id of the byte `letter` alone.
    pub(crate) fn at(address: IpAddr, letter: u8, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("own address");
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("it works");
        socket.connect(to).expect("it works");
        Self {
            socket,
            id: NodeId::new([letter; 20]),
        }
    }

    /// Asks until it is answered, which on loopback is at once; the token,
    /// if one was given, and how often it was asked.
    pub(crate) fn ask(&self, method: &Method<'_>) -> (Option<Vec<u8>>, usize) {
        let (answer, times) = self.answer(method);
        let reply = reply(&answer);
        (reply.token.map(<[u8]>::to_vec), times)
    }

    /// Its id.
    pub(crate) const fn id(&self) -> NodeId {
        self.id
    }

    /// Sends anything, once; whether somebody is there matters to nobody.
    pub(crate) fn send(&self, packet: &[u8]) {
        let _ = self.socket.send(packet);
    }

    /// The id of who is asked.
    pub(crate) fn their_id(&self) -> NodeId {
        reply(&self.answer(&Method::Ping).0).sender
    }

    /// The packet that answers, and how often was asked.
    fn answer(&self, method: &Method<'_>) -> (Vec<u8>, usize) {
        let message = Message {
            transaction: TransactionId::new(b"tt").expect("short"),
            version: Some(b"XX\x01\x02"),
            read_only: true,
            ip: None,
            body: Body::Query(Query {
                sender: self.id,
                want: Want::default(),
                method: method.clone(),
            }),
        };
        let packet = message.encode();
        for asked in 1..=5 {
            self.socket.send(&packet).expect("loopback takes it");
            let mut answer = vec![0; 4096];
            if let Ok(length) = self.socket.recv(&mut answer) {
                answer.truncate(length);
                return (answer, asked);
            }
        }
        panic!("no answer");
    }

    /// The same with a look-up.
    pub(crate) fn look_up(&self, info_hash: InfoHash) -> (Option<Vec<u8>>, usize) {
        self.ask(&Method::GetPeers {
            info_hash,
            noseed: false,
            scrape: false,
        })
    }
}

fn reply(packet: &[u8]) -> Reply<'_> {
    match Message::decode(packet).expect("it speaks").body {
        Body::Reply(reply) => reply,
        other => panic!("it refuses: {other:?}"),
    }
}

/// A node of ours.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) handle: DhtHandle,
    _trigger: StopTrigger,
}

impl Node {
    /// At 127.0.9.`host`; finds the others through `first`.
    pub(crate) fn start(host: u8, id: Option<NodeId>, first: SocketAddr) -> Self {
        Self::start_at(Ipv4Addr::new(127, 0, 9, host), id, first)
    }

    /// The same anywhere.
    pub(crate) fn start_at(address: Ipv4Addr, id: Option<NodeId>, first: SocketAddr) -> Self {
        let (trigger, stop) = stop_pair();
        let clock = Arc::new(SystemClock::new());
        let settings = DhtSettings {
            bootstrap: vec![first.to_string()],
            node_id: id,
            ..DhtSettings::loopback(address)
        };
        let handle = DhtNode::start(settings, clock, &stop, None).expect("it works");
        let port = handle.port(Family::V4).expect("it works");
        Self {
            address: SocketAddr::from((address, port)),
            handle,
            _trigger: trigger,
        }
    }

    /// Looks a torrent up and announces it; the peers that others had.
    pub(crate) fn announce(&self, info_hash: InfoHash) -> Vec<PeerAddress> {
        let (found, summary) = collect(&self.begin(info_hash, Some(6881)));
        assert!(summary.announced > 0);
        found
    }

    /// Begins to look a torrent up, and to announce it with a port.
    pub(crate) fn begin(&self, info_hash: InfoHash, port: Option<u16>) -> Receiver<LookupEvent> {
        let request = LookupRequest {
            info_hash,
            announce_port: port,
            private: false,
            limit: Duration::from_secs(20),
        };
        self.handle.lookup(&request).expect("it runs")
    }
}

/// All peers that a look-up found, and how it ended.
pub(crate) fn collect(events: &Receiver<LookupEvent>) -> (Vec<PeerAddress>, LookupSummary) {
    let mut found = Vec::new();
    loop {
        match events.recv_timeout(LIMIT).expect("it ends") {
            LookupEvent::Peers(peers) => found.extend(peers),
            LookupEvent::Done(summary) => return (found, summary),
        }
    }
}
