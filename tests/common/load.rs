//! What a run is loaded with: trackers that name given peers, addresses that
//! are silent or hang, callers from many addresses.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use btda::lab::scripted_tracker::Asked;
use btda::lab::{Reply, ScriptedTracker, wire};
use socket2::{Domain, Socket, Type};

use super::trial::{LONG, PIECES, info_hash};

/// A tracker that answers every announce with `peers`.
pub(crate) fn tracker_naming(peers: &[SocketAddrV4]) -> ScriptedTracker {
    let answer = announce_answer(peers);
    ScriptedTracker::http(move |_| Reply::ok(&answer)).expect("tracker starts")
}

/// The body of an announce's answer.
pub(crate) fn announce_answer(peers: &[SocketAddrV4]) -> Vec<u8> {
    let mut body = format!("d8:intervali1800e5:peers{}:", peers.len() * 6).into_bytes();
    for peer in peers {
        body.extend(peer.ip().octets());
        body.extend(peer.port().to_be_bytes());
    }
    body.push(b'e');
    body
}

/// The `event` of every announce that `tracker` got so far, regular ones
/// empty.
pub(crate) fn events(tracker: &ScriptedTracker) -> Vec<String> {
    let requests = std::iter::from_fn(|| tracker.next_request(Duration::ZERO));
    requests.filter_map(event).collect()
}

/// Waits for the next announce; its event.
pub(crate) fn next_event(tracker: &ScriptedTracker) -> String {
    let asked = tracker.next_request(LONG).expect("an announce comes");
    event(asked).expect("by HTTP")
}

fn event(asked: Asked) -> Option<String> {
    match asked {
        Asked::Http(request) => Some(request.value("event").unwrap_or_default()),
        Asked::Udp(_) => None,
    }
}

/// Addresses on loopback, all with the port of one socket.
pub(crate) struct Addresses {
    port: u16,
    /// Keeps the port and, where there are any, the callers that fill it.
    sockets: Vec<Socket>,
}

impl Addresses {
    /// Connections are made and then nothing is said.
    pub(crate) fn silent() -> Self {
        Self::listening(4096)
    }

    /// Connections never come about: there is no room for one.
    pub(crate) fn hanging() -> Self {
        let mut addresses = Self::listening(0);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, addresses.port));
        for _ in 0..8 {
            let caller = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
            caller.set_nonblocking(true).expect("own socket");
            // Under way when it would block, which is what is wanted.
            let _ = caller.connect(&target.into());
            addresses.sockets.push(caller);
        }
        addresses
    }

    /// Connections are refused.
    pub(crate) fn refusing() -> Self {
        let (port, socket) = bound();
        Self {
            port,
            sockets: vec![socket],
        }
    }

    fn listening(backlog: i32) -> Self {
        let (port, socket) = bound();
        socket.listen(backlog).expect("own socket");
        Self {
            port,
            sockets: vec![socket],
        }
    }

    /// The first `count` addresses.
    pub(crate) fn first(&self, count: usize) -> Vec<SocketAddrV4> {
        (0..count)
            .map(|index| SocketAddrV4::new(nth(31, index), self.port))
            .collect()
    }
}

/// A socket with a port on every address, and the port.
fn bound() -> (u16, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    socket.bind(&any.into()).expect("some port is free");
    let local = socket.local_addr().ok().and_then(|it| it.as_socket());
    (local.expect("bound").port(), socket)
}

/// Address number `index` of 127.`block`.0.0/16.
pub(crate) fn nth(block: u8, index: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(index + 256).expect("few").to_be_bytes();
    Ipv4Addr::new(127, block, high, low)
}

/// Calls `target` from `source` and greets for the torrent of the trial.
pub(crate) fn call(source: Ipv4Addr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect_timeout(&target.into(), LONG)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LONG))?;
    let hash = *info_hash().as_bytes();
    stream.write_all(&wire::handshake(
        wire::NO_EXTENSIONS,
        &hash,
        b"-LB0100-trialcaller0",
    ))?;
    Ok(stream)
}

/// Whether the handshake is answered on `stream`.
pub(crate) fn is_answered(stream: &mut TcpStream) -> bool {
    stream.read_exact(&mut [0; wire::HANDSHAKE_LEN]).is_ok()
}

/// A whole call: greeting, all pieces, and the other side lets go.
pub(crate) fn call_and_tell(source: Ipv4Addr, target: SocketAddr) -> std::io::Result<()> {
    let mut stream = call(source, target)?;
    let all = wire::bits(PIECES, 0..PIECES);
    stream.write_all(&wire::bitfield(&all))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.len() < wire::HANDSHAKE_LEN {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Callers that call one after the other, as fast as they are let, until
/// dropped.
pub(crate) struct Storm {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Storm {
    /// Calls `target` from `lines` threads at a time.
    pub(crate) fn start(target: SocketAddr, lines: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicUsize::new(0));
        let threads = (0..lines)
            .map(|_| {
                let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let number = calls.fetch_add(1, Ordering::Relaxed);
                        // Who is turned away tries again: that is what a storm is.
                        let told = call_and_tell(nth(41, number % 20_000), target);
                        if told.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                            // Nobody listens any more.
                            return;
                        }
                    }
                })
            })
            .collect();
        Self {
            stop,
            calls,
            threads,
        }
    }

    /// Calls begun so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
