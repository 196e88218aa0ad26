//! Scripted HTTP servers on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::*;

const WAIT: Duration = Duration::from_secs(20);
/// For servers that never finish; whatever the machine does, they do not
/// answer earlier.
const SHORT: Duration = Duration::from_millis(200);
const LIMIT: usize = 64 * 1024;

/// Serves every connection by `answer`, which gets the path asked for.
fn serve(answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_write_timeout(Some(WAIT)).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut first = String::new();
            let mut line = String::new();
            let _ = reader.read_line(&mut first);
            while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let path = first.split(' ').nth(1).unwrap_or_default();
            // The client leaves early in several tests.
            let _ = answer(path, &mut stream);
        }
    });
    format!("http://{address}")
}

fn client() -> SystemHttp {
    SystemHttp::with_proxy(3, Resolver::new(), None)
}

fn get(url: &str) -> Result<HttpAnswer, HttpError> {
    client().get(url, LIMIT, WAIT)
}

fn head(status: &str, extra: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{extra}\r\n")
}

/// Some 26 kB that become 4 MiB.
fn gzip_bomb() -> Vec<u8> {
    deflate_zeros(4 * 1024 * 1024)
}

/// A gzip member of `length` zero bytes with fixed Huffman codes: one literal
/// 0, then matches of 258 bytes at distance 1.
fn deflate_zeros(length: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(0b1, 1);
    bits.push(0b01, 2);
    bits.push_reversed(0b0011_0000, 8);
    for _ in 0..(length - 1) / 258 {
        bits.push_reversed(0b1100_0101, 8);
        bits.push_reversed(0, 5);
    }
    bits.push_reversed(0, 7);
    let mut bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    bytes.extend(bits.bytes);
    bytes.extend([0; 8]);
    bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn push(&mut self, value: u32, count: usize) {
        for index in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = u8::from(value >> index & 1 == 1);
            *self.bytes.last_mut().unwrap() |= bit << (self.used % 8);
            self.used += 1;
        }
    }

    fn push_reversed(&mut self, value: u32, count: usize) {
        for index in (0..count).rev() {
            self.push(value >> index & 1, 1);
        }
    }
}

#[test]
fn the_query_is_sent_as_it_stands() {
    let url = serve(|path, stream| {
        let answer = head("200 OK", &format!("Content-Length: {}\r\n", path.len()));
        stream.write_all(answer.as_bytes())?;
        stream.write_all(path.as_bytes())
    });
    let answer = get(&format!("{url}/a b/announce?info_hash=%00%fF&x=1")).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, b"/a%20b/announce?info_hash=%00%fF&x=1");
}

#[test]
fn any_status_is_an_answer() {
    let url = serve(|_, stream| {
        stream.write_all(head("500 Oops", "").as_bytes())?;
        stream.write_all(b"body")
    });
    let answer = get(&url).unwrap();
    assert_eq!((answer.status, &answer.body[..]), (500, &b"body"[..]));
}

#[test]
fn an_endless_body_ends_at_the_limit() {
    let url = serve(|_, stream| {
        stream.write_all(head("200 OK", "").as_bytes())?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    assert_eq!(get(&url), Err(HttpError::BodyTooLong));
}

#[test]
fn the_limit_counts_decompressed_bytes() {
    let url = serve(|_, stream| {
        stream.write_all(head("200 OK", "Content-Encoding: gzip\r\n").as_bytes())?;
        stream.write_all(&gzip_bomb())
    });
    assert!(gzip_bomb().len() < LIMIT);
    assert_eq!(get(&url), Err(HttpError::BodyTooLong));
}

#[test]
fn bad_compression_has_its_reason() {
    let url = serve(|_, stream| {
        stream.write_all(head("200 OK", "Content-Encoding: gzip\r\n").as_bytes())?;
        stream.write_all(b"this is no gzip at all")
    });
    assert_eq!(get(&url), Err(HttpError::Compression));
}

#[test]
fn redirects_are_followed_to_a_limit() {
    let url = serve(|path, stream| {
        if path == "/once" {
            return stream.write_all(head("302 Found", "Location: /end\r\n").as_bytes());
        }
        if path == "/end" {
            stream.write_all(head("200 OK", "").as_bytes())?;
            return stream.write_all(b"end");
        }
        stream.write_all(head("302 Found", "Location: /loop\r\n").as_bytes())
    });
    assert_eq!(get(&format!("{url}/once")).unwrap().body, b"end");
    assert_eq!(
        get(&format!("{url}/loop")),
        Err(HttpError::TooManyRedirects)
    );
}

#[test]
fn silence_and_dripping_end_at_the_deadline() {
    let timed_out = Err(HttpError::Net(NetError::timed_out(Operation::Read)));
    let (open, gate) = crossbeam_channel::bounded::<()>(0);
    let silent = gate.clone();
    let url = serve(move |_, _| {
        let _ = silent.recv_timeout(WAIT);
        Ok(())
    });
    assert_eq!(client().get(&url, LIMIT, SHORT), timed_out);
    let url = serve(move |_, stream| {
        stream.write_all(head("200 OK", "").as_bytes())?;
        loop {
            stream.write_all(b"x")?;
            let _ = gate.recv_timeout(Duration::from_millis(20));
        }
    });
    assert_eq!(client().get(&url, LIMIT, SHORT), timed_out);
    drop(open);
}

#[test]
fn garbage_refusal_and_early_close() {
    let url = serve(|_, stream| stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n"));
    assert_eq!(get(&url), Err(HttpError::Malformed));
    let url = serve(|_, _| Ok(()));
    assert_eq!(get(&url).unwrap_err().label(), "Socket connection broken");
    let url = serve(|_, stream| {
        stream.write_all(head("200 OK", "Content-Length: 100\r\n").as_bytes())?;
        stream.write_all(b"short")
    });
    assert_eq!(get(&url).unwrap_err().label(), "Socket connection broken");
    // Bound, so that nobody else gets the port, but not listening.
    let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    closed.bind(&any.into()).unwrap();
    let address = closed.local_addr().unwrap().as_socket().unwrap();
    let url = format!("http://{address}");
    assert_eq!(
        get(&url).unwrap_err().label(),
        "[Errno 111] Connection refused"
    );
}

#[test]
fn plain_answers_to_tls_fail() {
    let url = serve(|_, stream| stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n"));
    let url = url.replace("http://", "https://");
    let error = client().get(&url, LIMIT, SHORT * 5).unwrap_err();
    assert!(
        matches!(error, HttpError::Tls | HttpError::Net(_)),
        "{error:?}"
    );
}

#[test]
fn no_url_and_no_label_with_a_comma() {
    assert_eq!(get("http://"), Err(HttpError::BadUrl));
    assert_eq!(get("nonsense"), Err(HttpError::BadUrl));
    for error in [HttpError::Other, HttpError::Proxy, HttpError::HeaderTooLong] {
        assert!(!error.label().contains(','));
    }
}

#[test]
fn a_guarded_client_is_not_sent_to_barred_addresses() {
    use crate::model::{AddressRules, NetworkSet};
    use std::sync::Arc;

    let barred =
        serve(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let port = barred.rsplit_once(':').unwrap().1.to_owned();
    let target = format!("http://127.0.0.2:{port}/secret");
    let moved = target.clone();
    let open = serve(move |_, stream| {
        let head = head(
            "302 Found",
            &format!("Location: {moved}\r\nContent-Length: 0\r\n"),
        );
        stream.write_all(head.as_bytes())
    });
    let rules = AddressRules {
        opt_out: NetworkSet::parse("127.0.0.2").unwrap(),
        ..AddressRules::none()
    };
    let client = SystemHttp::direct(3, Resolver::new().under(Arc::new(rules)));
    for url in [target, format!("{open}/announce")] {
        let error = client.get(&url, LIMIT, WAIT).unwrap_err();
        let expected = NetError {
            operation: Operation::Resolve,
            reason: Reason::ReservedAddress,
        };
        assert_eq!(error, HttpError::Net(expected), "{url}");
    }
}

/// A name that leads elsewhere every other time: to 127.0.0.1, whom these
/// tests take for a public address, then to 127.0.0.2, which is barred.
fn rebound(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    static LOOKUPS: std::sync::Mutex<std::collections::BTreeMap<String, u8>> =
        std::sync::Mutex::new(std::collections::BTreeMap::new());
    let lookups = LOOKUPS.lock();
    let mut lookups = lookups.map_err(|_| io::Error::other("a test has failed"))?;
    let number = lookups.entry(name.to_owned()).or_default();
    *number += 1;
    let last = if number.is_multiple_of(2) { 2 } else { 1 };
    Ok(vec![SocketAddr::from(([127, 0, 0, last], port))])
}

fn guarded_by_names() -> Resolver {
    use crate::model::{AddressRules, NetworkSet};
    let rules = AddressRules {
        opt_out: NetworkSet::parse("127.0.0.2").unwrap(),
        ..AddressRules::none()
    };
    Resolver::of(rebound).under(std::sync::Arc::new(rules))
}

const BARRED: HttpError = HttpError::Net(NetError {
    operation: Operation::Resolve,
    reason: Reason::ReservedAddress,
});

#[test]
fn the_address_that_was_looked_at_is_the_one_that_is_asked() {
    let open = serve(|path, stream| {
        if path == "/again" {
            // To the same name, which leads elsewhere by now.
            let location = "Location: /announce\r\nContent-Length: 0\r\n";
            return stream.write_all(head("302 Found", location).as_bytes());
        }
        stream.write_all(head("200 OK", "").as_bytes())?;
        stream.write_all(b"the open one")
    });
    let port: u16 = open.rsplit_once(':').unwrap().1.parse().unwrap();
    let inside = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let client = SystemHttp::direct(3, guarded_by_names());
    let url = |name: &str, path: &str| format!("http://{name}.example:{port}{path}");
    // Looked up once: a second time would lead inside.
    let answer = client.get(&url("once", "/announce"), LIMIT, WAIT).unwrap();
    assert_eq!(answer.body, b"the open one");
    assert_eq!(
        client.get(&url("once", "/announce"), LIMIT, WAIT),
        Err(BARRED)
    );
    assert_eq!(
        client.get(&url("moved", "/again"), LIMIT, WAIT),
        Err(BARRED)
    );
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "somebody was sent inside");
}

#[test]
fn datagrams_go_to_the_address_that_was_looked_at() {
    use crate::net::udp::{OpenDatagram, SystemUdp};
    let open = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    open.set_read_timeout(Some(WAIT)).unwrap();
    let port = open.local_addr().unwrap().port();
    let udp = SystemUdp::new(guarded_by_names());
    let socket = udp.open("datagram.example", port, WAIT).unwrap();
    socket.send(b"ask").unwrap();
    assert_eq!(open.recv(&mut [0; 8]).unwrap(), 3);
    let error = udp.open("datagram.example", port, WAIT).err().unwrap();
    assert_eq!(error.reason, Reason::ReservedAddress);
}
