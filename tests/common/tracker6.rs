//! A tracker over IPv6 (BEP 7), which Debian's opentracker is not: it names
//! to everybody who announced all that announced before.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest request that is read.
const REQUEST_MAX: u64 = 8192;

/// How long a client may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The running tracker.
pub(crate) struct Tracker6 {
    address: SocketAddr,
    peers: Arc<Mutex<BTreeSet<SocketAddrV6>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tracker6 {
    /// Starts it on any port of `address`.
    pub(crate) fn start(address: Ipv6Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("own address can be bound");
        let address = listener.local_addr().expect("bound");
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let peers = Arc::new(Mutex::new(BTreeSet::new()));
        let announced = Arc::clone(&peers);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                // A client that breaks off asks again.
                let _ = stream.and_then(|stream| answer(stream, &announced));
            }
        });
        Self {
            address,
            peers,
            ended,
            thread: Some(thread),
        }
    }

    /// Its announce URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/announce", self.address)
    }
}

impl Tracker6 {
    /// Whether somebody at `address` has announced.
    pub(crate) fn knows(&self, address: Ipv6Addr) -> bool {
        let peers = self.peers.lock().expect("nobody panics");
        peers.iter().any(|peer| *peer.ip() == address)
    }
}

impl Drop for Tracker6 {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one request.
fn answer(mut stream: TcpStream, peers: &Mutex<BTreeSet<SocketAddrV6>>) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut request = Vec::new();
    let mut limited = (&stream).take(REQUEST_MAX);
    let mut buffer = [0; 512];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match limited.read(&mut buffer)? {
            0 => return Ok(()),
            count => request.extend(buffer.iter().take(count)),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let SocketAddr::V6(from) = stream.peer_addr()? else {
        return Ok(());
    };
    let found = request.starts_with("GET /announce?");
    let body = if found {
        announce(&request, from, &mut peers.lock().expect("nobody panics"))
    } else {
        Vec::new()
    };
    let status = if found { "200 OK" } else { "404 Not Found" };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

/// Who announced before, and from now on this one too, unless it takes leave.
fn announce(request: &str, from: SocketAddrV6, peers: &mut BTreeSet<SocketAddrV6>) -> Vec<u8> {
    let line = request.lines().next().unwrap_or_default();
    let query = line.split([' ', '?']).nth(2).unwrap_or_default();
    let value = |key: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(its, value)| (its == key).then_some(value))
    };
    let port = value("port").and_then(|port| port.parse().ok());
    let own = SocketAddrV6::new(*from.ip(), port.unwrap_or(0), 0, 0);
    peers.remove(&own);
    let mut body = format!("d8:intervali5e5:peers0:6:peers6{}:", peers.len() * 18).into_bytes();
    for peer in &*peers {
        body.extend(peer.ip().octets());
        body.extend(peer.port().to_be_bytes());
    }
    body.push(b'e');
    if own.port() != 0 && value("event") != Some("stopped") {
        peers.insert(own);
    }
    body
}
