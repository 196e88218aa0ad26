//! Requests that nobody sends by mistake.

use std::net::{Ipv4Addr, TcpListener};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::model::{InfoHash, Timestamp};
use crate::storage::history::{FILE, History, TrackEntry, TrackedPeer};

/// A connection from another address of loopback.
fn connect_from(page: &Served, last: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Little lies between two sockets.
    socket.set_recv_buffer_size(8192).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&page.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The statuses of all answers of a connection.
fn statuses(answers: &str) -> Vec<&str> {
    // The next one follows the body without a line's end.
    let begins = answers.match_indices("HTTP/1.1 ");
    begins.map(|(at, _)| status(&answers[at..])).collect()
}

#[test]
fn a_request_is_one_request() {
    let page = page();
    let host = page.address.to_string();
    let post = |lines: &str, body: &str| {
        format!(
            "POST /track HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{lines}\r\n{body}"
        )
    };
    let hidden = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let chunk = "Transfer-Encoding: chunked\r\n";
    for (lines, body) in [
        // Two lengths, of which a proxy may believe the other one.
        (
            format!("Content-Length: 4\r\n{chunk}"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            format!("{chunk}Content-Length: 4\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (chunk.to_owned(), format!("0\r\n\r\n{hidden}")),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), hidden.clone()),
        (
            "Transfer-Encoding : chunked\r\n".to_owned(),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
            hidden.clone(),
        ),
        (
            "Content-Length: 1\r\nContent-Length: 2\r\n".to_owned(),
            hidden.clone(),
        ),
        ("Content-Length: +0\r\n".to_owned(), hidden.clone()),
        ("Content-Length: 0x0\r\n".to_owned(), hidden.clone()),
        ("Content-Length: -1\r\n".to_owned(), hidden.clone()),
        (" folded: 1\r\n".to_owned(), hidden.clone()),
        ("X: a\0b\r\n".to_owned(), hidden.clone()),
    ] {
        let answers = page.send(&post(&lines, &body));
        let found = statuses(&answers);
        assert!(matches!(found[..], ["400" | "411"]), "{lines:?}: {answers}");
    }
    // Several requests one behind the other are several.
    let three = format!(
        "GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: {host}\r\n\r\n{hidden}"
    );
    assert_eq!(statuses(&page.send(&three)), ["200", "404", "200"]);
}

/// Requests, `HOST` for the page, and the status that each gets.
const ODD: [(&str, &str); 13] = [
    ("GET / HTTP/1.0\r\nHost: HOST\r\n\r\n", "200"),
    ("GET /healthz HTTP/1.0\r\n\r\n", "421"),
    ("GET /healthz HTTP/1.1\r\nEND", "421"),
    (
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: HOST\r\nEND",
        "421",
    ),
    (
        "GET http://a@HOST/healthz HTTP/1.1\r\nHost: HOST\r\nEND",
        "421",
    ),
    (
        "GET http://HOST/healthz HTTP/1.1\r\nHost: HOST\r\nEND",
        "200",
    ),
    (
        "CONNECT evil.example:80 HTTP/1.1\r\nHost: HOST\r\nEND",
        "421",
    ),
    ("OPTIONS * HTTP/1.1\r\nHost: HOST\r\nEND", "404"),
    ("TRACE / HTTP/1.1\r\nHost: HOST\r\nEND", "405"),
    // Nobody is taken along to another protocol.
    (
        "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nEND",
        "200",
    ),
    (
        "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\
         Connection: HTTP2-Settings, Upgrade\r\nEND",
        "200",
    ),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "(no answer)"),
    ("GET / HTTP/9.9\r\nHost: HOST\r\n\r\n", "400"),
];

#[test]
fn what_is_no_request_of_ours_gets_an_error() {
    let page = page();
    let host = page.address.to_string();
    let said = |text: &str| {
        let text = text.replace("HOST", &host);
        text.replace("END", "Connection: close\r\n\r\n")
    };
    let long = format!("GET /{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "x".repeat(70_000));
    let tls = "\x16\x03\x01\0\u{5}hello".repeat(10);
    let more = [(&long[..], "431"), (&tls[..], "400")];
    for (request, expected) in ODD.into_iter().chain(more) {
        let answer = page.send(&said(request));
        let shown: String = request.chars().take(100).collect();
        assert_eq!(status(&answer), expected, "{shown:?}: {answer}");
    }
}

#[test]
fn no_path_leads_out() {
    let page = page();
    std::fs::create_dir(page.folder.path().join("a_report")).unwrap();
    std::fs::write(page.folder.path().join("a_report/report.html"), "<p>here").unwrap();
    std::fs::write(page.folder.path().join("secret.csv"), "secret").unwrap();
    std::fs::write(page.folder.path().join("a_report/run.db"), "secret").unwrap();
    let report = page.ask("GET /studies/a_report/report.html", &[], "");
    assert!(report.ends_with("<p>here"), "{report}");
    // Whatever somebody puts into a report, it runs nothing.
    let policy = "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:;";
    assert!(
        report.contains(policy) && !report.contains("script-src"),
        "{report}"
    );
    for path in [
        "/studies/a_report/../secret.csv",
        "/studies/a_report/..%2fsecret.csv",
        "/studies/a_report/%2e%2e%2fsecret.csv",
        "/studies/..%2fa_report/report.html",
        "/studies/%2e%2e/secret.csv",
        "/studies//secret.csv",
        "/studies/a_report%00/report.html",
        "/studies/a_report/report.html%00.csv",
        "/studies/a_report/run.db",
        "/assets/../reports",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "//evil.example/",
        "/\\evil.example/",
    ] {
        let answer = page.ask(&format!("GET {path}"), &[], "");
        assert!(matches!(status(&answer), "404" | "400"), "{path}: {answer}");
        assert!(
            !answer.contains("secret") && !answer.contains("location:"),
            "{path}: {answer}"
        );
    }
}

#[test]
fn a_form_of_another_page_asks_no_tracker() {
    let page = page();
    let question = "{\"info_hash\":\"0123456789abcdef0123456789abcdef01234567\",\"tracker_url\":\"http://127.0.0.1:9/\"}";
    // What a form can send without the consent of CORS.
    for kind in [
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Type: text/plain; application/json",
        "X-None: 1",
    ] {
        let answer = page.ask("POST /track", &[kind], question);
        assert_eq!(status(&answer), "415", "{kind}: {answer}");
        let answer = page.ask("POST /visits", &[kind], question);
        assert_eq!(status(&answer), "415", "{kind}: {answer}");
    }
    let json = "Content-Type: application/json";
    let foreign = page.ask(
        "POST /track",
        &[json, "Origin: http://evil.example"],
        question,
    );
    assert_eq!(status(&foreign), "403", "{foreign}");
    let twice = page.ask(
        "POST /track",
        &[
            json,
            &format!("Origin: http://{}", page.address),
            "Origin: http://evil.example",
            "Sec-Fetch-Site: cross-site",
        ],
        question,
    );
    assert_eq!(status(&twice), "403", "{twice}");
    let asks = page.ask(
        "OPTIONS /track",
        &[
            "Origin: http://evil.example",
            "Access-Control-Request-Method: POST",
        ],
        "",
    );
    assert!(
        status(&asks) == "403" && !asks.contains("access-control-allow"),
        "{asks}"
    );
    // Reading changes nothing, whoever asks.
    let get = page.ask(
        &format!("GET /track?{question}").replace('"', "%22"),
        &[],
        "",
    );
    assert_eq!(status(&get), "405", "{get}");
}

#[test]
fn the_token_is_not_guessed_by_programs_either() {
    let page = Served::new(limits(), Some(TOKEN), Router::new());
    let right = format!("Authorization: Bearer {TOKEN}");
    let wrong = |number: u32| {
        page.ask(
            "GET /nowhere",
            &[&format!("Authorization: Bearer guess {number}")],
            "",
        )
    };
    // The right one costs nothing.
    for _ in 0..30 {
        assert_eq!(status(&page.ask("GET /nowhere", &[&right], "")), "404");
    }
    // A turn comes back every 6 s; nobody is that slow for long.
    let refused = (0..1000).map(wrong).find(|answer| status(answer) != "401");
    let refused = refused.expect("guesses are limited");
    assert_eq!(status(&refused), "429");
    assert!(refused.contains("retry-after: "), "{refused}");
    let mut last = String::new();
    // Then the right one tells nothing either, but while a turn comes back.
    let told = (0..1000).any(|number| {
        let _ = wrong(number);
        last = page.ask("GET /nowhere", &[&right], "");
        status(&last) == "429"
    });
    assert!(told, "{last}");
    // Other tries are the same tries.
    let login = (0..1000).map(|_| page.ask("POST /login", &[], "token=guess"));
    assert!(login.into_iter().any(|answer| status(&answer) == "429"));
    assert_eq!(status(&page.ask("GET /healthz", &[&right], "")), "200");
}

#[test]
fn half_a_body_holds_no_seat() {
    let few = Limits {
        connections: 8,
        per_address: 2,
        ..limits()
    };
    let page = Served::new(few, None, Router::new());
    let text = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        page.address
    );
    // As many as there are seats, each address with less than its share.
    let halves: Vec<TcpStream> = (10..18)
        .map(|last| {
            let mut stream = connect_from(&page, last);
            stream.write_all(text.as_bytes()).unwrap();
            // The body is waited for by now, and half of it comes.
            let mut begun = [0; 25];
            stream.read_exact(&mut begun).unwrap();
            assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
            stream.write_all(b"token").unwrap();
            stream
        })
        .collect();
    // No deadline of the server is shorter than the test's.
    assert_eq!(status(&page.ask("GET /healthz", &[], "")), "200");
    drop(halves);
}

#[test]
fn who_makes_room_is_hung_up_on() {
    let few = Limits {
        connections: 8,
        per_address: 2,
        ..limits()
    };
    let page = Served::new(few, None, Router::new());
    let mut idle: Vec<TcpStream> = (0..6).map(|_| page.connect()).collect();
    // No deadline of the server is shorter than the test's.
    for stream in &mut idle[..4] {
        let end = stream.read(&mut [0; 1]);
        let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(
            matches!(end, Ok(0)) || end.as_ref().is_err_and(reset),
            "{end:?}"
        );
    }
}

#[test]
fn one_address_takes_no_more_than_its_share() {
    let few = Limits {
        connections: 8,
        per_address: 2,
        ..limits()
    };
    let page = Served::new(few, None, endless());
    let slow = [slow_reader(&page), slow_reader(&page)];
    // Both of its seats are at work.
    assert_eq!(page.ask("GET /healthz", &[], ""), "");
    let mut other = connect_from(&page, 2);
    let text = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", page.address);
    other.write_all(text.as_bytes()).unwrap();
    let mut begun = [0; 12];
    other.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    drop(slow);
}

#[test]
fn all_together_take_no_more_than_all_seats() {
    let few = Limits {
        connections: 2,
        per_address: 2,
        ..limits()
    };
    let page = Served::new(few, None, endless());
    let slow = [slow_reader(&page), slow_reader(&page)];
    let mut other = connect_from(&page, 2);
    // It may be closed before or after it has asked.
    let text = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", page.address);
    let _ = other.write_all(text.as_bytes());
    assert!(!matches!(other.read(&mut [0; 12]), Ok(1..)));
    drop(slow);
}

/// A history whose files do not fit into what lies between two sockets.
fn fill(history: &History) {
    let peer = |number: u32| TrackedPeer {
        ip: format!("{:016x}", u64::from(number) * 0x9e37_79b9),
        port: 6881,
        country: Some("DE".to_owned()),
        client: None,
        visit: None,
    };
    for number in 0..40 {
        history
            .add(&TrackEntry {
                id: 0,
                at: Timestamp(1_700_000_000_000 + number),
                info_hash: InfoHash::new([7; 20]),
                tracker_url: "http://t.example/announce".to_owned(),
                peer_count: 1000,
                interval: 1800,
                complete: 500,
                incomplete: 500,
                downloaded: 9,
                error: None,
                next: Timestamp(0),
                peers: (0..1000).map(peer).collect(),
            })
            .unwrap();
    }
}

#[test]
fn slow_readers_of_files_keep_nobody_waiting() {
    let page = page();
    let history = History::open(&page.folder.path().join(FILE), 10_000, None).unwrap();
    fill(&history);
    let text = format!(
        "GET /export/json HTTP/1.1\r\nHost: {}\r\n\r\n",
        page.address
    );
    let slow: Vec<TcpStream> = (0..18)
        .map(|_| {
            let mut stream = connect_from(&page, 1);
            stream.write_all(text.as_bytes()).unwrap();
            let mut begun = [0; 12];
            stream.read_exact(&mut begun).unwrap();
            assert_eq!(&begun, b"HTTP/1.1 200");
            stream
        })
        .collect();
    // Each of them has a file under way, and takes nothing of it.
    assert_eq!(status(&page.ask("GET /reports", &[], "")), "200");
    drop(slow);
}

/// Hosts that all mean an address nobody may be sent to, in any notation.
const INSIDE: [&str; 24] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "127.0.0.2",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
];

#[test]
fn no_notation_leads_to_addresses_inside() {
    let page = page();
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = std::net::UdpSocket::bind(inside.local_addr().unwrap()).unwrap();
    let port = inside.local_addr().unwrap().port();
    let only_here = [
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "[fd00::1]",
        "[::127.0.0.1]",
    ];
    let hosts = INSIDE.iter().chain(&only_here);
    let http = hosts.map(|host| format!("http://{host}:{port}/announce"));
    let udp = INSIDE.iter().map(|host| format!("udp://{host}:{port}"));
    for (number, url) in http.chain(udp).enumerate() {
        // Each hash anew: no answer is that of the question before.
        let question =
            serde_json::json!({ "info_hash": format!("{number:040x}"), "tracker_url": url });
        let question = question.to_string();
        page.forget_pace();
        let answer = page.ask(
            "POST /track",
            &["Content-Type: application/json"],
            &question,
        );
        assert_eq!(status(&answer), "403", "{url}: {answer}");
    }
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "somebody was sent there");
    datagrams.set_nonblocking(true).unwrap();
    assert!(
        datagrams.recv(&mut [0; 1]).is_err(),
        "somebody was sent there"
    );
}

#[test]
fn so_often_and_no_more_is_a_tracker_asked_for() {
    let page = page();
    let question = "{\"info_hash\":\"0123456789abcdef0123456789abcdef01234567\",\"tracker_url\":\"http://127.0.0.1:9/\"}";
    let ask = || page.ask("POST /track", &["Content-Type: application/json"], question);
    let refused = (0..1000)
        .map(|_| ask())
        .find(|answer| status(answer) != "403");
    let refused = refused.expect("questions are limited");
    assert_eq!(status(&refused), "429");
    assert!(refused.contains("retry-after: "), "{refused}");
}
