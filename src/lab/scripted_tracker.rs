//! Trackers that answer exactly what a test tells them, by HTTP or UDP.
//!
//! The answer is made by a closure from the request, so that a test can put
//! the right transaction id into a wrong packet. One thread each.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::sockets::{self, Line, Quit, TICK};
use crate::clock::{Clock, SystemClock};
use crate::deadline::Deadline;
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::threads;

/// Longest request head that is read.
const HEAD_LIMIT: usize = 16 * 1024;

/// How long one HTTP exchange may last.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(60);

/// Requests kept for [`ScriptedTracker::next_request`].
const REQUESTS_KEPT: usize = 1024;

const STACK: usize = 256 * 1024;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Path and query of the request line.
    pub target: String,
    /// The header lines, without the request line.
    pub headers: String,
}

impl HttpRequest {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The values of `key` in the query, percent-decoded.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .filter_map(move |pair| pair.split_once('=').filter(|(name, _)| *name == key))
            .map(|(_, value)| percent_encoding::percent_decode_str(value).collect())
    }

    /// The first value of `key` as text.
    pub fn value(&self, key: &str) -> Option<String> {
        String::from_utf8(self.values(key).next()?).ok()
    }
}

/// What a scripted tracker was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// By HTTP.
    Http(HttpRequest),
    /// By UDP: the bytes of one datagram.
    Udp(Vec<u8>),
}

/// What an HTTP tracker does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Send these bytes (status line, headers and all), then close.
    Bytes(Vec<u8>),
    /// Send the first, then the second over and over until the other side
    /// is gone.
    Endless(Vec<u8>, Vec<u8>),
    /// Send the bytes one by one with this pause before each, then close.
    Drip(Vec<u8>, Duration),
    /// Say nothing until the other side is gone.
    Silence,
}

impl Reply {
    /// Status 200 with this body.
    pub fn ok(body: &[u8]) -> Self {
        Self::with_headers("200 OK", "", body)
    }

    /// `status` ("500 Internal Server Error") with this body; `headers` is
    /// empty or whole lines, each with its CRLF.
    pub fn with_headers(status: &str, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }
}

/// A tracker under the test's control.
pub struct ScriptedTracker {
    address: SocketAddr,
    scheme: &'static str,
    asked: Receiver<Asked>,
    trigger: StopTrigger,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for ScriptedTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptedTracker({})", self.url())
    }
}

impl ScriptedTracker {
    /// An HTTP tracker on 127.0.0.1 that serves one connection after the
    /// other with one request each.
    pub fn http(answer: impl FnMut(&HttpRequest) -> Reply + Send + 'static) -> io::Result<Self> {
        let listener = sockets::listen(sockets::any_port())?;
        let address = listener.local_addr()?;
        Self::start("http", address, move |told, stop| {
            let clock = SystemClock::new();
            let mut answer = answer;
            while let Some((stream, _)) = sockets::accept(&listener, &stop) {
                // An exchange that breaks off is the client's affair.
                let _ = exchange(stream, &clock, &stop, &mut |request| {
                    drop(told.try_send(Asked::Http(request.clone())));
                    answer(request)
                });
            }
        })
    }

    /// A UDP tracker on 127.0.0.1; each datagram is answered by as many
    /// datagrams as the closure returns.
    pub fn udp(answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> io::Result<Self> {
        let socket = UdpSocket::bind(sockets::any_port())?;
        socket.set_read_timeout(Some(TICK))?;
        let address = socket.local_addr()?;
        Self::start("udp", address, move |told, stop| {
            let mut answer = answer;
            answer_datagrams(&socket, &stop, |datagram, _| {
                drop(told.try_send(Asked::Udp(datagram.to_vec())));
                answer(datagram)
            });
        })
    }

    fn start(
        scheme: &'static str,
        address: SocketAddr,
        body: impl FnOnce(Sender<Asked>, StopToken) + Send + 'static,
    ) -> io::Result<Self> {
        let (told, asked) = bounded(REQUESTS_KEPT);
        let (trigger, stop) = stop_pair();
        let thread = threads::spawn("lab-tracker", STACK, move || body(told, stop))?;
        Ok(Self {
            address,
            scheme,
            asked,
            trigger,
            thread: Some(thread),
        })
    }

    /// Its announce URL.
    pub fn url(&self) -> String {
        format!("{}://{}/announce", self.scheme, self.address)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request; `None` when none comes within `wait`.
    pub fn next_request(&self, wait: Duration) -> Option<Asked> {
        self.asked.recv_timeout(wait).ok()
    }
}

impl Drop for ScriptedTracker {
    fn drop(&mut self) {
        self.trigger.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Answers datagrams until the lab is to stop.
pub(super) fn answer_datagrams(
    socket: &UdpSocket,
    stop: &StopToken,
    mut answer: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>>,
) {
    let mut buffer = [0; 2048];
    while !stop.is_stopped() {
        match socket.recv_from(&mut buffer) {
            Ok((count, from)) if from.ip().is_loopback() => {
                for reply in answer(buffer.get(..count).unwrap_or_default(), from) {
                    // As on the internet, a datagram may be lost.
                    drop(socket.send_to(&reply, from));
                }
            }
            Ok(_) => {}
            Err(error) if sockets::is_timeout(&error) => {}
            // A destination that is gone shows up here (ECONNREFUSED).
            Err(_) => {
                if stop.wait(Duration::from_millis(5)) {
                    return;
                }
            }
        }
    }
}

/// Reads one request and sends what `answer` makes of it.
pub(super) fn exchange(
    stream: TcpStream,
    clock: &dyn Clock,
    stop: &StopToken,
    answer: &mut dyn FnMut(&HttpRequest) -> Reply,
) -> Result<(), Quit> {
    let mut line = Line {
        channel: stream.into(),
        clock,
        stop,
        deadline: Deadline::after(clock.now(), EXCHANGE_LIMIT),
        early: None,
    };
    let Some(request) = read_head(&mut line)? else {
        return Ok(());
    };
    match answer(&request) {
        Reply::Bytes(bytes) => {
            line.write(&bytes)?;
            line.close();
            Ok(())
        }
        Reply::Endless(head, body) => {
            line.write(&head)?;
            loop {
                line.write(&body)?;
            }
        }
        Reply::Drip(bytes, pause) => {
            for byte in bytes {
                line.pause(pause)?;
                line.write(&[byte])?;
            }
            line.close();
            Ok(())
        }
        Reply::Silence => Err(line.drain()),
    }
}

/// The head of a request; `None` when it is too long or no HTTP.
fn read_head(line: &mut Line<'_>) -> Result<Option<HttpRequest>, Quit> {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > HEAD_LIMIT {
            return Ok(None);
        }
        let count = line.read(&mut buffer)?;
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&head);
    let Some((first, headers)) = text.split_once("\r\n") else {
        return Ok(None);
    };
    Ok(first.split(' ').nth(1).map(|target| HttpRequest {
        target: target.to_owned(),
        headers: headers.trim_end().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn http_answers_and_remembers() {
        let tracker =
            ScriptedTracker::http(|request| Reply::ok(request.path().as_bytes())).unwrap();
        let mut stream = TcpStream::connect(tracker.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
            .write_all(
                b"GET /announce?info_hash=%00%ffA&left=5&info_hash=b HTTP/1.1\r\nHost: x\r\n\r\n",
            )
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"));
        assert!(text.ends_with("\r\n\r\n/announce"));
        let Some(Asked::Http(request)) = tracker.next_request(SOON) else {
            panic!("no request");
        };
        assert_eq!(
            request.values("info_hash").collect::<Vec<_>>(),
            [b"\0\xffA".to_vec(), b"b".to_vec()]
        );
        assert_eq!(request.value("left").as_deref(), Some("5"));
        assert!(request.headers.contains("Host: x"));
    }

    #[test]
    fn udp_answers_each_datagram() {
        let tracker =
            ScriptedTracker::udp(|datagram| vec![datagram.to_vec(), b"again".to_vec()]).unwrap();
        assert!(tracker.url().starts_with("udp://127.0.0.1:"));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.send_to(b"hello", tracker.address()).unwrap();
        let mut buffer = [0; 100];
        let count = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"hello");
        let count = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"again");
        assert_eq!(
            tracker.next_request(SOON),
            Some(Asked::Udp(b"hello".to_vec()))
        );
    }
}
