//! Fast peers: one thread that accepts for all addresses of loopback, talks
//! once, and keeps the newest connections in a ring.

use std::collections::VecDeque;
use std::io::{BufRead, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use btda::lab::wire;
use btda::model::InfoHash;
use btda::protocol::mse::{Chance, DIGEST_LEN, Method, Responder, Torrents};
use socket2::{Domain, Socket, Type};

use super::child::Other;
use super::world::info_hash;

/// Pieces of the torrent that the peers speak about.
pub(crate) const PIECES: u32 = 2048;

/// What a peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Handshake, then nothing.
    Quiet,
    /// Handshake and half a bitfield, then nothing.
    Partial,
    /// The same, then it closes.
    Close,
    /// Handshake and the whole bitfield, then nothing.
    Complete,
    /// One address in four is [`Kind::Complete`], the others [`Kind::Quiet`].
    Mixed,
    /// The same as [`Kind::Complete`], by RC4 and in no other way.
    Encrypted,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Quiet, "quiet"),
    (Kind::Partial, "partial"),
    (Kind::Close, "close"),
    (Kind::Complete, "complete"),
    (Kind::Mixed, "mixed"),
    (Kind::Encrypted, "encrypted"),
];

impl Kind {
    fn word(self) -> &'static str {
        KINDS[self as usize].1
    }

    fn speech(self) -> Vec<u8> {
        let bits = match self {
            Self::Quiet | Self::Mixed => None,
            Self::Partial | Self::Close => Some(0x55),
            Self::Complete | Self::Encrypted => Some(0xff),
        };
        let mut bytes = wire::handshake(
            wire::NO_EXTENSIONS,
            info_hash().as_bytes(),
            b"-BN0001-peerpeerpeer",
        );
        if let Some(bits) = bits {
            bytes.extend(bitfield(PIECES, bits));
        }
        bytes
    }
}

/// A `bitfield` message whose bytes are all `bits`.
pub(crate) fn bitfield(pieces: u32, bits: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let bits = vec![bits; pieces.div_ceil(8) as usize];
    btda::protocol::message::encode_bitfield(&bits, &mut bytes);
    bytes
}

/// Listens on every address of this machine, on a port of its own.
pub(crate) fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets can be made");
    let address: SocketAddr = "0.0.0.0:0".parse().expect("valid");
    socket
        .bind(&address.into())
        .and_then(|()| socket.listen(4096))
        .expect("loopback can be listened on");
    socket.into()
}

/// Accepts for ever.
pub(crate) fn serve(listener: &TcpListener, kind: Kind, ring: usize, accepted: &AtomicUsize) {
    let speech = kind.speech();
    let complete = Kind::Complete.speech();
    let mut open = VecDeque::with_capacity(ring + 1);
    while let Ok((mut stream, _)) = listener.accept() {
        let said = match kind {
            Kind::Mixed if called(&stream).is_some_and(|it| it % 4 == 0) => &complete,
            _ => &speech,
        };
        if kind == Kind::Close {
            // Unread bytes would make the close a reset.
            let _ = stream.read_exact(&mut [0; wire::HANDSHAKE_LEN]);
        }
        if kind == Kind::Encrypted {
            let _ = talk_encrypted(&mut stream, said);
        } else {
            let _ = stream.write_all(said);
        }
        accepted.fetch_add(1, Ordering::Relaxed);
        if kind != Kind::Close {
            open.push_back(stream);
            if open.len() > ring {
                open.pop_front();
            }
        }
    }
}

/// Shakes hands, and says `said` once a handshake has come.
fn talk_encrypted(stream: &mut TcpStream, said: &[u8]) -> std::io::Result<()> {
    struct One;
    impl Torrents for One {
        fn by_torrent_hash(&self, _: &[u8; DIGEST_LEN]) -> Option<InfoHash> {
            Some(info_hash())
        }
    }
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_nodelay(true)?;
    let chance = Chance::draw(getrandom::fill).map_err(std::io::Error::other)?;
    let mut responder = Responder::new(Method::Rc4, &chance);
    let mut buffer = [0; 2048];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut out = Vec::new();
        let taken = responder.feed(&buffer[..read], &One, &mut out);
        taken.map_err(std::io::Error::other)?;
        let sealed = responder.sealed();
        if let Some(mut sealed) = sealed {
            let mut said = said.to_vec();
            sealed.encrypt.apply(&mut said);
            out.extend(said);
            return stream.write_all(&out);
        }
        stream.write_all(&out)?;
    }
}

fn called(stream: &TcpStream) -> Option<u8> {
    match stream.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip.octets()[3]),
        IpAddr::V6(_) => None,
    }
}

/// Body of the child: tells its port, then how many it accepted whenever it
/// is asked, until its orders end.
pub(crate) fn child(arguments: &[String]) {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let kind = KINDS.iter().find(|(_, word)| *word == arguments[0]);
    let kind = kind.expect("a kind of peer").0;
    let ring = arguments[1].parse().expect("a number");
    let listener = listen();
    let accepted = Arc::new(AtomicUsize::new(0));
    println!("{}", listener.local_addr().expect("bound").port());
    let count = Arc::clone(&accepted);
    std::thread::spawn(move || serve(&listener, kind, ring, &count));
    for line in std::io::stdin().lock().lines() {
        line.expect("orders are text");
        println!("{}", accepted.load(Ordering::Relaxed));
    }
    std::process::exit(0);
}

/// Peers in a process of their own.
pub(crate) struct Peers {
    other: Other,
    pub(crate) port: u16,
}

impl Peers {
    pub(crate) fn start(kind: Kind, ring: usize) -> Self {
        let mut other = Other::start(&["--peers", kind.word(), &ring.to_string()]);
        let port = other.line().parse().expect("the child tells its port");
        Self { other, port }
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&mut self) -> usize {
        self.other.ask("count").parse().expect("a number")
    }
}
