//! Peers on loopback that give metadata (BEP 9), well or badly.
//!
//! Written by hand on the lab's wire format: no line is shared with what is
//! tested.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use btda::lab::wire;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16 * 1024;

/// Longest wait for anything in a test that is not broken.
const LONG: Duration = Duration::from_secs(60);

/// The number that these peers give `ut_metadata`.
const OWN_NUMBER: u8 = 9;

/// What a peer does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Gives every block.
    Good,
    /// Gives even or odd blocks and rejects the others.
    Half(u32),
    /// Rejects everything.
    Rejects,
    /// Claims a size of its own and gives blocks of zeros to fit.
    LiesAboutSize(i64),
    /// Claims a size and says nothing more.
    Silent(i64),
    /// Gives blocks with one byte changed.
    Spoils,
    /// Sends the first byte of each block, and a keep-alive now and then.
    Drips,
    /// Gives the first block and closes.
    ClosesMidway,
}

/// A listening peer.
pub(crate) struct MetadataPeer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Ids of the messages that it received.
    ids: Arc<Mutex<Vec<u8>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetadataPeer {
    /// A peer on 127.0.0.1 that has `metadata`, with info hash `info_hash`.
    pub(crate) fn start(info_hash: [u8; 20], metadata: &[u8], manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let ids: Arc<Mutex<Vec<u8>>> = Arc::default();
        let served = Served {
            info_hash,
            metadata: metadata.to_vec(),
            manner,
            ids: Arc::clone(&ids),
            ended: Arc::clone(&ended),
        };
        let count = Arc::clone(&connections);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if served.ended.load(Ordering::Acquire) {
                    return;
                }
                count.fetch_add(1, Ordering::AcqRel);
                // A conversation that breaks off is the other side's affair.
                let _ = served.converse(stream.expect("accepts"));
            }
        });
        Self {
            address,
            connections,
            ids,
            ended,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Fails when it was sent anything but extended messages.
    pub(crate) fn assert_only_extended(&self) {
        let ids = self.ids.lock().expect("no panic");
        assert!(ids.iter().all(|id| *id == 20), "{ids:?}");
    }
}

impl Drop for MetadataPeer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Served {
    info_hash: [u8; 20],
    metadata: Vec<u8>,
    manner: Manner,
    ids: Arc<Mutex<Vec<u8>>>,
    ended: Arc<AtomicBool>,
}

impl Served {
    fn converse(&self, mut stream: TcpStream) -> std::io::Result<()> {
        // Short, so that the end of the test is noticed.
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        stream.set_write_timeout(Some(LONG))?;
        let mut greeting = [0; wire::HANDSHAKE_LEN];
        self.read_exact(&mut stream, &mut greeting)?;
        let greeting = wire::Greeting::parse(&greeting).expect("a handshake");
        assert_eq!(greeting.reserved[5] & 0x10, 0x10, "extension bit");
        let reserved = wire::FAST_AND_EXTENDED;
        let mut hello = wire::handshake(reserved, &self.info_hash, b"-MP0100-metadatapeer");
        hello.extend(wire::have_all());
        hello.extend(wire::message(20, self.extended_handshake().as_bytes()));
        stream.write_all(&hello)?;
        loop {
            let Some((id, payload)) = self.message(&mut stream)? else {
                continue;
            };
            self.ids.lock().expect("no panic").push(id);
            if let Some((&OWN_NUMBER, request)) = payload.split_first() {
                let request = String::from_utf8_lossy(request);
                let piece = request
                    .strip_prefix("d8:msg_typei0e5:piecei")
                    .and_then(|rest| rest.strip_suffix("ee"))
                    .expect("a request");
                let piece = piece.parse().expect("a block number");
                if self.answer(&mut stream, piece)?.is_none() {
                    return Ok(());
                }
            }
        }
    }

    fn extended_handshake(&self) -> String {
        let size = match self.manner {
            Manner::LiesAboutSize(size) | Manner::Silent(size) => size,
            _ => i64::try_from(self.metadata.len()).expect("fits"),
        };
        format!("\0d1:md11:ut_metadatai{OWN_NUMBER}ee13:metadata_sizei{size}e4:reqqi250ee")
    }

    /// Answers the request for one block; `None` closes.
    fn answer(&self, stream: &mut TcpStream, piece: u32) -> std::io::Result<Option<()>> {
        match self.manner {
            Manner::Good | Manner::ClosesMidway => self.give(stream, piece, 0)?,
            Manner::Half(half) if piece % 2 == half => self.give(stream, piece, 0)?,
            Manner::Half(_) | Manner::Rejects => {
                let text = format!("\x04d8:msg_typei2e5:piecei{piece}ee");
                stream.write_all(&wire::message(20, text.as_bytes()))?;
            }
            Manner::LiesAboutSize(size) => {
                let size = usize::try_from(size).expect("positive");
                let start = piece as usize * BLOCK;
                let length = BLOCK.min(size - start);
                let header = format!("\x04d8:msg_typei1e5:piecei{piece}e10:total_sizei{size}ee");
                let payload = [header.as_bytes(), &vec![0; length]].concat();
                stream.write_all(&wire::message(20, &payload))?;
            }
            Manner::Silent(_) => {}
            Manner::Spoils => self.give(stream, piece, 1)?,
            Manner::Drips => {
                stream.write_all(&wire::KEEP_ALIVE)?;
                stream.write_all(&[0, 0, 0x40, 0x40, 20, 4])?;
            }
        }
        Ok((self.manner != Manner::ClosesMidway).then_some(()))
    }

    fn give(&self, stream: &mut TcpStream, piece: u32, change: u8) -> std::io::Result<()> {
        let block = self.metadata.chunks(BLOCK).nth(piece as usize);
        let mut block = block.expect("a block of ours").to_vec();
        block[0] ^= change;
        let size = self.metadata.len();
        let header = format!("\x04d8:msg_typei1e5:piecei{piece}e10:total_sizei{size}ee");
        let payload = [header.as_bytes(), &block].concat();
        stream.write_all(&wire::message(20, &payload))
    }

    /// The next message; `None` for a keep-alive.
    fn message(&self, stream: &mut TcpStream) -> std::io::Result<Option<(u8, Vec<u8>)>> {
        let mut length = [0; 4];
        self.read_exact(stream, &mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        assert!(length <= 4096, "a message of {length} bytes");
        let mut message = vec![0; length];
        self.read_exact(stream, &mut message)?;
        Ok(message.split_first().map(|(&id, rest)| (id, rest.to_vec())))
    }

    fn read_exact(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if self.ended.load(Ordering::Acquire) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
