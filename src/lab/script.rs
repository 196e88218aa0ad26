//! Single peers and callers that do exactly what a test tells them.
//!
//! A test writes the steps of one connection; the peer does them on its own
//! thread, on a loopback port chosen by the system. Everything ends when the
//! value is dropped.
//!
//! ```
//! use std::io::{Read, Write};
//! use btda::lab::{ScriptedPeer, Step, wire};
//! let bitfield = wire::bitfield(&[0xe0]);
//! let peer = ScriptedPeer::listen(vec![Step::Answer, Step::Send(bitfield.clone()), Step::Close])?;
//! let mut stream = std::net::TcpStream::connect(peer.address())?;
//! stream.write_all(&wire::handshake(wire::NO_EXTENSIONS, &[1; 20], &[2; 20]))?;
//! let mut told = Vec::new();
//! stream.read_to_end(&mut told)?;
//! assert!(told.ends_with(&bitfield));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::sockets::{self, Line, Quit};
use super::wire;
use crate::clock::{Clock, SystemClock};
use crate::deadline::Deadline;
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::threads;

/// One thing that a scripted peer does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Read the 68 bytes of a handshake.
    ExpectHandshake,
    /// Read a handshake and answer it for the same torrent, with fast
    /// extension and extension protocol announced.
    Answer,
    /// Read as many bytes.
    Expect(usize),
    /// Send these bytes in one call.
    Send(Vec<u8>),
    /// Send these bytes one by one, with this pause before each.
    Drip(Vec<u8>, Duration),
    /// Send these bytes over and over until the other side is gone or as
    /// many bytes in all were sent.
    Flood(Vec<u8>, usize),
    /// Send nothing for this time.
    Wait(Duration),
    /// Close the sending half and go on reading.
    CloseSending,
    /// Close in order.
    Close,
    /// Close with a reset (`SO_LINGER` 0).
    Reset,
}

/// The peer id of scripted peers.
pub const SCRIPTED_ID: [u8; 20] = *b"-LB0100-scriptedpeer";

/// How long one scripted connection may last, whatever its steps.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);

/// Connections kept for [`ScriptedPeer::next_visit`].
const VISITS_KEPT: usize = 1024;

const STACK: usize = 256 * 1024;

/// What happened on one scripted connection.
#[derive(Debug, Clone)]
pub struct Visited {
    /// The address at the other end.
    pub from: SocketAddr,
    /// The handshake that was read, if one was.
    pub greeting: Option<wire::Greeting>,
    /// All bytes read in steps (not those read while waiting or at the end).
    pub received: Vec<u8>,
    /// Whether every step was done before the other side was gone.
    pub finished: bool,
}

/// A listening peer with a script.
#[derive(Debug)]
pub struct ScriptedPeer {
    address: SocketAddr,
    visits: Receiver<Visited>,
    worker: Worker,
}

#[derive(Debug)]
struct Worker {
    trigger: StopTrigger,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(name: &str, body: impl FnOnce(StopToken) + Send + 'static) -> io::Result<Self> {
        let (trigger, stop) = stop_pair();
        let thread = threads::spawn(name, STACK, move || body(stop))?;
        Ok(Self {
            trigger,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.trigger.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl ScriptedPeer {
    /// Listens on 127.0.0.1 and does `script` on every connection, one after
    /// the other. After the last step the connection stays open, without a
    /// word, until the other side closes.
    pub fn listen(script: Vec<Step>) -> io::Result<Self> {
        Self::listen_at(sockets::any_port(), vec![script])
    }

    /// The same on the address given (port 0: chosen by the system) with one
    /// script a connection; the last one also serves all further ones.
    pub fn listen_at(address: SocketAddr, scripts: Vec<Vec<Step>>) -> io::Result<Self> {
        let listener = sockets::listen(address)?;
        let address = listener.local_addr()?;
        let (told, visits) = bounded(VISITS_KEPT);
        let worker = Worker::start("lab-scripted", move |stop| {
            serve_all(&listener, &scripts, &told, &stop);
        })?;
        Ok(Self {
            address,
            visits,
            worker,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection that has ended; `None` when none ends within
    /// `wait`.
    pub fn next_visit(&self, wait: Duration) -> Option<Visited> {
        self.visits.recv_timeout(wait).ok()
    }

    /// Closes everything now.
    pub fn stop(self) {
        drop(self.worker);
    }
}

fn serve_all(
    listener: &TcpListener,
    scripts: &[Vec<Step>],
    told: &Sender<Visited>,
    stop: &StopToken,
) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut next = 0;
    while let Some((stream, from)) = sockets::accept(listener, stop) {
        let script = scripts.get(next).or(scripts.last());
        next += 1;
        let visited = run(
            stream,
            from,
            script.map_or(&[][..], Vec::as_slice),
            &*clock,
            stop,
        );
        // Nobody has to ask for the visits; when enough wait, the rest is
        // not kept.
        drop(told.try_send(visited));
    }
}

/// A caller with a script, on a thread of its own.
#[derive(Debug)]
pub struct ScriptedCaller {
    visits: Receiver<io::Result<Visited>>,
    worker: Worker,
}

impl ScriptedCaller {
    /// Calls `target` from `source` (`None`: as the system likes) and does
    /// `script`; after the last step it waits until the other side closes.
    pub fn call(source: Option<IpAddr>, target: SocketAddr, script: Vec<Step>) -> io::Result<Self> {
        let (told, visits) = bounded(1);
        let worker = Worker::start("lab-caller", move |stop| {
            let clock = SystemClock::new();
            let visited = sockets::connect(source, target, Duration::from_secs(5))
                .map(|stream| run(stream, target, &script, &clock, &stop));
            drop(told.try_send(visited));
        })?;
        Ok(Self { visits, worker })
    }

    /// What happened, once the connection has ended; `None` when it does not
    /// end within `wait`. The error is that of connecting.
    pub fn finish(self, wait: Duration) -> Option<io::Result<Visited>> {
        let visited = self.visits.recv_timeout(wait).ok();
        drop(self.worker);
        visited
    }
}

fn run(
    stream: TcpStream,
    from: SocketAddr,
    script: &[Step],
    clock: &dyn Clock,
    stop: &StopToken,
) -> Visited {
    let mut line = Line {
        channel: stream.into(),
        clock,
        stop,
        deadline: Deadline::after(clock.now(), CONNECTION_LIMIT),
        early: None,
    };
    let mut visited = Visited {
        from,
        greeting: None,
        received: Vec::new(),
        finished: false,
    };
    for step in script {
        match step {
            Step::Close => {
                visited.finished = true;
                line.close();
                return visited;
            }
            Step::Reset => {
                visited.finished = true;
                line.reset();
                return visited;
            }
            other => {
                if act(&mut line, other, &mut visited).is_err() {
                    return visited;
                }
            }
        }
    }
    visited.finished = true;
    line.drain();
    visited
}

fn act(line: &mut Line<'_>, step: &Step, visited: &mut Visited) -> Result<(), Quit> {
    match step {
        Step::ExpectHandshake => read_greeting(line, visited).map(drop),
        Step::Answer => {
            let info_hash = read_greeting(line, visited)?.map_or([0; 20], |it| it.info_hash);
            line.write(&wire::handshake(
                wire::FAST_AND_EXTENDED,
                &info_hash,
                &SCRIPTED_ID,
            ))
        }
        Step::Expect(count) => {
            let mut buffer = vec![0; *count];
            line.read_exact(&mut buffer)?;
            visited.received.append(&mut buffer);
            Ok(())
        }
        Step::Send(bytes) => line.write(bytes),
        Step::Drip(bytes, pause) => bytes.iter().try_for_each(|byte| {
            line.pause(*pause)?;
            line.write(&[*byte])
        }),
        Step::Flood(bytes, limit) => flood(line, bytes, *limit),
        Step::Wait(time) => line.pause(*time),
        Step::CloseSending => {
            line.channel.end_writing();
            Ok(())
        }
        Step::Close | Step::Reset => Ok(()),
    }
}

fn flood(line: &mut Line<'_>, bytes: &[u8], limit: usize) -> Result<(), Quit> {
    let mut sent = 0;
    while sent < limit && !bytes.is_empty() {
        line.write(bytes)?;
        sent += bytes.len();
    }
    Ok(())
}

fn read_greeting(
    line: &mut Line<'_>,
    visited: &mut Visited,
) -> Result<Option<wire::Greeting>, Quit> {
    let mut bytes = [0; wire::HANDSHAKE_LEN];
    line.read_exact(&mut bytes)?;
    visited.received.extend_from_slice(&bytes);
    visited.greeting = wire::Greeting::parse(&bytes);
    Ok(visited.greeting)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn client(peer: &ScriptedPeer) -> TcpStream {
        let stream = TcpStream::connect(peer.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    #[test]
    fn one_script_a_connection() {
        let scripts = vec![
            vec![Step::Close],
            vec![Step::Send(b"later".to_vec()), Step::Close],
        ];
        let peer = ScriptedPeer::listen_at(sockets::any_port(), scripts).unwrap();
        for wanted in ["", "later", "later"] {
            let mut told = String::new();
            client(&peer).read_to_string(&mut told).unwrap();
            assert_eq!(told, wanted);
            assert!(peer.next_visit(SOON).unwrap().finished);
        }
    }

    #[test]
    fn resets() {
        let peer = ScriptedPeer::listen(vec![Step::Expect(1), Step::Reset]).unwrap();
        let mut stream = client(&peer);
        stream.write_all(b"x").unwrap();
        let error = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn drips_floods_and_remembers() {
        let peer = ScriptedPeer::listen(vec![
            Step::ExpectHandshake,
            Step::Drip(b"abc".to_vec(), Duration::from_millis(1)),
            Step::Flood(b"xy".to_vec(), 5),
            Step::CloseSending,
        ])
        .unwrap();
        let mut stream = client(&peer);
        let hello = wire::handshake(wire::NO_EXTENSIONS, &[3; 20], &[4; 20]);
        stream.write_all(&hello).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        assert_eq!(told, "abcxyxyxy");
        drop(stream);
        let visited = peer.next_visit(SOON).unwrap();
        assert!(visited.finished);
        assert_eq!(visited.greeting.unwrap().info_hash, [3; 20]);
        assert_eq!(visited.received, hello);
    }

    #[test]
    fn callers_come_from_their_address() {
        let peer = ScriptedPeer::listen(vec![Step::Answer]).unwrap();
        let source = IpAddr::from([127, 9, 8, 7]);
        let caller = ScriptedCaller::call(
            Some(source),
            peer.address(),
            vec![
                Step::Send(wire::handshake(wire::NO_EXTENSIONS, &[3; 20], &[4; 20])),
                Step::ExpectHandshake,
                Step::Close,
            ],
        )
        .unwrap();
        let visited = caller.finish(SOON).unwrap().unwrap();
        assert_eq!(visited.greeting.unwrap().peer_id, SCRIPTED_ID);
        assert_eq!(peer.next_visit(SOON).unwrap().from.ip(), source);
    }

    #[test]
    fn stops_while_somebody_is_connected() {
        let peer = ScriptedPeer::listen(vec![Step::Wait(SOON)]).unwrap();
        let mut stream = client(&peer);
        peer.stop();
        let _ = stream.read(&mut [0; 1]);
    }
}
