//! A pymdht's telnet control port that does exactly what a test tells it.
//!
//! A closure turns each lookup into steps, so that a node can be well, die,
//! hang, restart or talk nonsense at every point of the dialogue. One thread,
//! one client at a time, as the real one. Independent of `crate::dht`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::sockets::{self, Line, Quit};
use crate::clock::{Clock, SystemClock};
use crate::deadline::Deadline;
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::threads;

/// Lines kept for [`ScriptedPymdht::next_line`].
const LINES_KEPT: usize = 4096;

/// Longest line that is taken.
const LINE_LIMIT: usize = 4096;

/// How long a connection may last.
const CONNECTION_LIMIT: Duration = Duration::from_secs(24 * 3600);

const STACK: usize = 256 * 1024;

/// One lookup as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PymdhtLookup {
    /// Lookups before it, over all connections.
    pub number: usize,
    /// What is looked for.
    pub info_hash: [u8; 20],
    /// The port to announce; 0 announces nothing.
    pub port: u16,
    /// The client's number of the lookup.
    pub channel: u32,
    /// The node's number of it.
    pub own_channel: u32,
}

impl PymdhtLookup {
    /// The line with which the lookup begins.
    pub fn open(&self) -> PymdhtStep {
        PymdhtStep::say(&format!("{} OPEN {}\r\n", self.channel, self.own_channel))
    }

    /// The line of one peer.
    pub fn peer(&self, address: SocketAddr) -> PymdhtStep {
        PymdhtStep::say(&format!("{} PEER {address}\r\n", self.channel))
    }

    /// The line with which the lookup ends.
    pub fn close(&self) -> PymdhtStep {
        PymdhtStep::say(&format!("{} CLOSE\r\n", self.channel))
    }

    /// The steps of a node that is well.
    pub fn answer(&self, peers: &[SocketAddr]) -> Vec<PymdhtStep> {
        let peers = peers.iter().map(|&address| self.peer(address));
        std::iter::once(self.open())
            .chain(peers)
            .chain(std::iter::once(self.close()))
            .collect()
    }
}

/// One thing that a scripted node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PymdhtStep {
    /// Send these bytes in one call.
    Say(Vec<u8>),
    /// Send these bytes one by one.
    Dribble(Vec<u8>),
    /// Send these bytes over and over until the client is gone.
    Flood(Vec<u8>),
    /// Say nothing more on this connection until the client has left.
    Hang,
    /// Break the connection with a reset and take the next one: a restart.
    Restart,
    /// Close the connection in order and take the next one.
    Close,
    /// Break the connection and never take another.
    Die,
}

impl PymdhtStep {
    /// Send this text.
    pub fn say(text: &str) -> Self {
        Self::Say(text.as_bytes().to_vec())
    }
}

/// A node under the test's control.
pub struct ScriptedPymdht {
    address: SocketAddr,
    lines: Receiver<String>,
    trigger: StopTrigger,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for ScriptedPymdht {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptedPymdht({})", self.address)
    }
}

impl ScriptedPymdht {
    /// A node on 127.0.0.1, on a port that the system chooses.
    pub fn start(
        answer: impl FnMut(&PymdhtLookup) -> Vec<PymdhtStep> + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_on(sockets::listen(sockets::any_port())?, answer)
    }

    /// The same on a socket that listens already.
    fn start_on(
        listener: TcpListener,
        answer: impl FnMut(&PymdhtLookup) -> Vec<PymdhtStep> + Send + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (told, lines) = bounded(LINES_KEPT);
        let (trigger, stop) = stop_pair();
        let thread = threads::spawn("lab-pymdht", STACK, move || {
            let mut node = Node {
                answer: Box::new(answer),
                told,
                stop,
                lookups: 0,
            };
            node.serve(&listener);
        })?;
        Ok(Self {
            address,
            lines,
            trigger,
            thread: Some(thread),
        })
    }

    /// Where its control port is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next line that a client sent, in upper case, or `+` for a new
    /// connection and `-` for the end of one; `None` when none comes within
    /// `wait`.
    pub fn next_line(&self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }
}

impl Drop for ScriptedPymdht {
    fn drop(&mut self) {
        self.trigger.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Makes the steps of a lookup.
type Answer = Box<dyn FnMut(&PymdhtLookup) -> Vec<PymdhtStep> + Send>;

struct Node {
    answer: Answer,
    told: Sender<String>,
    stop: StopToken,
    lookups: usize,
}

/// How a connection ended.
enum Outcome {
    Left,
    Reset,
    Dead,
}

impl Node {
    fn serve(&mut self, listener: &TcpListener) {
        let clock = SystemClock::new();
        let stop = self.stop.clone();
        while let Some((stream, _)) = sockets::accept(listener, &stop) {
            self.tell("+");
            let outcome = self.converse(stream, &clock, &stop);
            self.tell("-");
            if matches!(outcome, Outcome::Dead) {
                return;
            }
        }
    }

    fn tell(&self, line: &str) {
        drop(self.told.try_send(line.to_owned()));
    }

    fn converse(&mut self, stream: TcpStream, clock: &dyn Clock, stop: &StopToken) -> Outcome {
        let mut session = Session {
            line: Line {
                channel: stream.into(),
                clock,
                stop,
                deadline: Deadline::after(clock.now(), CONNECTION_LIMIT),
                early: None,
            },
            unread: Vec::new(),
            channels: Vec::new(),
        };
        let outcome = loop {
            let Ok(text) = session.next_line() else {
                break Outcome::Left;
            };
            self.tell(&text);
            if text == "EXIT" {
                break Outcome::Left;
            }
            match self.obey(&text, &mut session) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(outcome)) => break outcome,
                Err(_) => break Outcome::Left,
            }
        };
        match outcome {
            Outcome::Left => session.line.close(),
            Outcome::Reset | Outcome::Dead => session.line.reset(),
        }
        outcome
    }

    fn obey(
        &mut self,
        text: &str,
        session: &mut Session<'_>,
    ) -> Result<ControlFlow<Outcome>, Quit> {
        let words: Vec<&str> = text.split(' ').collect();
        let reply = match words.as_slice() {
            ["0", "OPEN", channel, "HASH", hash, port] => {
                match self.lookup(channel, hash, port, session) {
                    Some(lookup) => {
                        let steps = (self.answer)(&lookup);
                        return self.perform(steps, session);
                    }
                    None => "? Invalid OPEN message\r\n".to_owned(),
                }
            }
            [number, "CLOSE"] => match session.forget(number) {
                Some(channel) => format!("{channel} CLOSE\r\n"),
                None => "? Wrong channel\r\n".to_owned(),
            },
            _ => "? Channel must be a number\r\n".to_owned(),
        };
        session.line.write(reply.as_bytes())?;
        Ok(ControlFlow::Continue(()))
    }

    fn lookup(
        &mut self,
        channel: &str,
        hash: &str,
        port: &str,
        session: &mut Session<'_>,
    ) -> Option<PymdhtLookup> {
        let channel = channel.parse().ok()?;
        let hash: crate::model::InfoHash = hash.parse().ok()?;
        let own_channel = session.open(channel);
        let number = self.lookups;
        self.lookups += 1;
        Some(PymdhtLookup {
            number,
            info_hash: *hash.as_bytes(),
            port: port.parse().ok()?,
            channel,
            own_channel,
        })
    }

    fn perform(
        &self,
        steps: Vec<PymdhtStep>,
        session: &mut Session<'_>,
    ) -> Result<ControlFlow<Outcome>, Quit> {
        for step in steps {
            match step {
                PymdhtStep::Say(bytes) => session.line.write(&bytes)?,
                PymdhtStep::Dribble(bytes) => {
                    for byte in bytes {
                        session.line.write(&[byte])?;
                    }
                }
                PymdhtStep::Flood(bytes) => loop {
                    session.line.write(&bytes)?;
                },
                PymdhtStep::Hang => loop {
                    let text = session.next_line()?;
                    self.tell(&text);
                    if text == "EXIT" {
                        return Ok(ControlFlow::Break(Outcome::Left));
                    }
                },
                PymdhtStep::Restart => return Ok(ControlFlow::Break(Outcome::Reset)),
                PymdhtStep::Close => return Ok(ControlFlow::Break(Outcome::Left)),
                PymdhtStep::Die => return Ok(ControlFlow::Break(Outcome::Dead)),
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// One connection of the node.
struct Session<'a> {
    line: Line<'a>,
    unread: Vec<u8>,
    /// The client's number of each lookup; the node's is the index from 1.
    channels: Vec<Option<u32>>,
}

impl Session<'_> {
    /// The next line in upper case, without its end.
    fn next_line(&mut self) -> Result<String, Quit> {
        let mut buffer = [0; 1024];
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line);
                return Ok(text.trim().to_uppercase());
            }
            if self.unread.len() > LINE_LIMIT {
                return Err(Quit::Closed);
            }
            let count = self.line.read(&mut buffer)?;
            let read = buffer.get(..count).unwrap_or_default();
            self.unread.extend_from_slice(read);
        }
    }

    fn open(&mut self, channel: u32) -> u32 {
        self.channels.push(Some(channel));
        u32::try_from(self.channels.len()).unwrap_or(u32::MAX)
    }

    fn forget(&mut self, number: &str) -> Option<u32> {
        let index = number.parse::<usize>().ok()?.checked_sub(1)?;
        self.channels.get_mut(index)?.take()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn speaks_the_dialect() {
        let peers: Vec<SocketAddr> = vec!["192.0.2.7:6881".parse().unwrap()];
        let node = ScriptedPymdht::start(move |lookup| lookup.answer(&peers)).unwrap();
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let hash = "0a".repeat(20);
        let text = format!("0 open 5 hash {hash} 6884\r\n1 CLOSE\r\n9 close\r\nwhat\r\nEXIT\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
        assert_eq!(
            lines,
            [
                "5 OPEN 1",
                "5 PEER 192.0.2.7:6881",
                "5 CLOSE",
                "5 CLOSE",
                "? Wrong channel",
                "? Channel must be a number"
            ]
        );
        let told: Vec<String> = (0..7).map_while(|_| node.next_line(SOON)).collect();
        assert_eq!(told[0], "+");
        assert_eq!(told[1], format!("0 OPEN 5 HASH {} 6884", "0A".repeat(20)));
        assert_eq!(told[2..], ["1 CLOSE", "9 CLOSE", "WHAT", "EXIT", "-"]);
    }
}
