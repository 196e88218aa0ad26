//! The page over real connections, but for what is said on it: each of its
//! limits and each of its gates has a test that fails without it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use hyper::body::Frame;

use super::*;
use crate::clock::SystemClock;
use crate::stop::{StopTrigger, stop_pair};

const TOKEN: &str = "correct horse battery staple";

/// So long that a test that needs it fails.
const LONG: Duration = Duration::from_secs(600);

/// For whoever waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        connections: 256,
        per_address: 32,
        header: LONG,
        request: LONG,
        write: LONG,
    }
}

/// The defaults, with these keys set.
pub(super) fn configured(set: &[(&str, &str)]) -> (WebSettings, Settings) {
    let set = set.iter().map(|(name, value)| {
        let key = crate::config::keys::find(name).unwrap();
        let value = key.parse(value).unwrap();
        let flag = "--set".to_owned();
        crate::config::Override { key, value, flag }
    });
    let sources = crate::config::Sources {
        overrides: set.collect(),
        ..crate::config::Sources::default()
    };
    let config = crate::config::Config::resolve(&sources).unwrap();
    (
        config.web(),
        config.settings(&crate::config::Switches::default()),
    )
}

/// A page on a thread of its own.
struct Served {
    address: SocketAddr,
    trigger: StopTrigger,
    thread: Option<JoinHandle<()>>,
    /// Of the history, and of reports.
    folder: tempfile::TempDir,
    app: Arc<App>,
}

impl Served {
    fn new(limits: Limits, token: Option<&str>, more: Router) -> Self {
        Self::watching(limits, token, more, None)
    }

    fn watching(
        limits: Limits,
        token: Option<&str>,
        more: Router,
        watched: Option<Watched>,
    ) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let access = Access::new(address, Vec::new(), token.map(Token::new));
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (web, settings) = configured(&[("output_path", folder.path().to_str().unwrap())]);
        let tracking = Tracking::open(&web, &settings, None, Arc::clone(&clock)).unwrap();
        let tracking = Arc::new(tracking);
        let visits = Visits::new(&web, None, Arc::clone(&tracking));
        let app = Arc::new(App::new(
            access,
            &web,
            (
                tracking,
                visits,
                watched,
                Studies::new(folder.path().to_owned()),
            ),
            clock,
        ));
        let (trigger, stop) = stop_pair();
        let server = Server::new(listener, limits, more.merge(routes(Arc::clone(&app))), stop);
        let thread = Some(std::thread::spawn(move || server.run()));
        Self {
            address,
            trigger,
            thread,
            folder,
            app,
        }
    }

    /// Whoever asked has not asked.
    fn forget_pace(&self) {
        *self.app.questions.lock() = pace::Pace::new(1, LONG);
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// One request with these lines between the first one and the body.
    fn ask(&self, first: &str, lines: &[&str], body: &str) -> String {
        let mut text = format!(
            "{first} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        for line in lines {
            text = text + line + "\r\n";
        }
        if !body.is_empty() {
            text = format!("{text}Content-Length: {}\r\n", body.len());
        }
        self.send(&format!("{text}\r\n{body}"))
    }

    /// What comes back for `text` until the end of the connection. A server
    /// that has refused may end it before it has read all.
    fn send(&self, text: &str) -> String {
        let mut stream = self.connect();
        let _ = stream.write_all(text.as_bytes());
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.trigger.stop();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

mod attack;
mod outside;

fn page() -> Served {
    Served::new(limits(), None, Router::new())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("(no answer)")
}

#[test]
fn every_answer_is_protected_and_errors_are_json() {
    let page = page();
    let health = page.ask("GET /healthz", &[], "");
    assert!(health.ends_with("{\"status\":\"ok\"}"), "{health}");
    let foreign =
        page.send("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    let lost = page.ask("GET /nowhere", &[], "");
    let method = page.ask("DELETE /healthz", &[], "");
    for (answer, expected) in [
        (&health, "200"),
        (&foreign, "421"),
        (&lost, "404"),
        (&method, "405"),
    ] {
        assert_eq!(status(answer), expected, "{answer}");
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "referrer-policy: same-origin",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
            "content-type: application/json",
        ] {
            assert!(answer.contains(line), "{line}: {answer}");
        }
    }
    for answer in [foreign, lost, method] {
        assert!(answer.contains("\r\n\r\n{\"error\":\""), "{answer}");
    }
}

#[test]
fn a_name_that_is_not_ours_is_refused() {
    let page = page();
    let port = page.address.port();
    for host in ["evil.example", "192.0.2.1", "localhost:1"] {
        let answer = page.send(&format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!(status(&answer), "421", "{host}: {answer}");
    }
    let twice = format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    );
    assert_ne!(status(&page.send(&twice)), "200");
    let good = page.send(&format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(status(&good), "200");
}

#[test]
fn another_page_cannot_post() {
    let page = Served::new(limits(), Some(TOKEN), Router::new());
    let (form, token) = (
        "Content-Type: application/x-www-form-urlencoded",
        format!("token={TOKEN}"),
    );
    for line in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
    ] {
        let answer = page.ask("POST /login", &[form, line], &token);
        assert_eq!(status(&answer), "403", "{line}: {answer}");
    }
    let origin = format!("Origin: http://{}", page.address);
    assert_eq!(
        status(&page.ask("POST /login", &[form, &origin], &token)),
        "303"
    );
}

#[test]
fn with_a_token_nothing_is_open_but_the_way_in() {
    let page = Served::new(limits(), Some(TOKEN), Router::new());
    assert_eq!(status(&page.ask("GET /healthz", &[], "")), "200");
    assert_eq!(status(&page.ask("GET /assets/page.css", &[], "")), "200");
    let closed = page.ask("GET /nowhere", &[], "");
    assert_eq!(status(&closed), "401", "{closed}");
    assert!(closed.contains("www-authenticate: Bearer"), "{closed}");
    let browser = page.ask("GET /nowhere", &["Accept: text/html"], "");
    assert_eq!(status(&browser), "303");
    assert!(browser.contains("location: /login"), "{browser}");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(status(&page.ask("GET /nowhere", &[&bearer], "")), "404");
    assert!(page.ask("GET /login", &[], "").contains("<h1>Log in</h1>"));
    let wrong = page.ask("POST /login", &[], "token=guess");
    assert_eq!(status(&wrong), "401");
    assert!(wrong.contains("This is not the token."), "{wrong}");
    let entered = page.ask(
        "POST /login",
        &[],
        &format!("token={}", TOKEN.replace(' ', "+")),
    );
    assert_eq!(status(&entered), "303");
    let cookie = entered
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(status(&page.ask("GET /nowhere", &[&cookie], "")), "404");
}

#[test]
fn the_token_cannot_be_guessed_quickly() {
    let page = Served::new(limits(), Some(TOKEN), Router::new());
    // One turn comes back every 6 s; nobody is that slow for long.
    let refused = (0..1000)
        .map(|number| page.ask("POST /login", &[], &format!("token={number}")))
        .find(|answer| status(answer) != "401")
        .expect("tries are limited");
    assert_eq!(status(&refused), "429");
    assert!(refused.contains("retry-after: "), "{refused}");
}

#[test]
fn headers_and_bodies_have_limits() {
    let page = page();
    let long = format!("X-Long: {}", "x".repeat(20_000));
    assert_eq!(status(&page.ask("GET /healthz", &[&long], "")), "431");
    let many: Vec<String> = (0..80).map(|number| format!("X-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(status(&page.ask("GET /healthz", &many, "")), "431");
    let body = format!("token={}", "x".repeat(70_000));
    assert_eq!(status(&page.ask("POST /login", &[], &body)), "413");
}

#[test]
fn half_a_header_and_silence_have_a_deadline() {
    let short = Limits {
        header: Duration::from_millis(200),
        ..limits()
    };
    let page = Served::new(short, None, Router::new());
    for begun in ["", "GET /healthz HTTP/1.1\r\nHost:"] {
        let mut stream = page.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut rest = Vec::new();
        // It ends by itself, or this fails after a minute.
        stream.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn half_a_body_has_a_deadline() {
    let short = Limits {
        request: Duration::from_millis(200),
        ..limits()
    };
    let page = Served::new(short, None, Router::new());
    let text = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\ntoken",
        page.address
    );
    let mut stream = page.connect();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

/// A body that never ends.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let bytes = axum::body::Bytes::from_static(&[b'x'; 1 << 14]);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

fn endless() -> Router {
    Router::new().route("/endless", get(|| async { axum::body::Body::new(Endless) }))
}

/// Somebody who asks for much and takes nothing of it.
fn slow_reader(page: &Served) -> TcpStream {
    let mut slow = page.connect();
    let text = format!("GET /endless HTTP/1.1\r\nHost: {}\r\n\r\n", page.address);
    slow.write_all(text.as_bytes()).unwrap();
    let mut begun = [0; 12];
    slow.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    slow
}

#[test]
fn who_does_not_take_the_answer_is_let_go() {
    let one = Limits {
        connections: 1,
        write: Duration::from_millis(200),
        ..limits()
    };
    let page = Served::new(one, None, endless());
    let slow = slow_reader(&page);
    // There is one seat, which is at work until the server has lost patience.
    let began = Instant::now();
    while status(&page.ask("GET /healthz", &[], "")) != "200" {
        assert!(began.elapsed() < PATIENCE, "the slow reader keeps its seat");
    }
    drop(slow);
}

#[test]
fn a_flood_of_half_open_connections_keeps_nobody_waiting() {
    rlimit::increase_nofile_limit(8192).unwrap();
    let page = Served::new(limits(), None, endless());
    let slow = slow_reader(&page);
    let flood: Vec<TcpStream> = (0..2_000)
        .map(|_| {
            let mut stream = page.connect();
            stream.write_all(b"GET / HT").unwrap();
            stream
        })
        .collect();
    // No deadline of the server is shorter than the test's.
    assert_eq!(status(&page.ask("GET /healthz", &[], "")), "200");
    drop((slow, flood));
}

#[test]
fn others_need_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let output = folder.path().join("output");
    let settings = |address: &str, token_file: Option<&Path>| {
        let token_file = token_file.map_or("", |path| path.to_str().unwrap());
        configured(&[
            ("web.address", address),
            ("web.token_file", token_file),
            ("output_path", output.to_str().unwrap()),
        ])
    };
    let open = |(web, settings): (WebSettings, Settings)| {
        let clock = Arc::new(SystemClock::new());
        Page::open(
            &web,
            &settings,
            (None, Inspection::default()),
            (clock, stop_pair().1),
        )
    };
    let error = open(settings("0.0.0.0:0", None)).err().unwrap();
    assert!(matches!(error, WebError::NoToken(_)));
    assert!(error.to_string().contains("web.token_file"), "{error}");
    assert_eq!(error.exit(), Exit::Configuration);
    for everybody in ["[::]:0", "[::ffff:127.0.0.1]:0", "192.0.2.1:0"] {
        let error = open(settings(everybody, None)).err().unwrap();
        assert!(matches!(error, WebError::NoToken(_)), "{everybody}");
    }
    assert!(DEFAULT_ADDRESS.ip().is_loopback());
    assert_eq!(configured(&[]).0.address, None);
    for (text, good) in [("", false), ("too short", false), (TOKEN, true)] {
        std::fs::write(&file, format!("{text}\nmore\n")).unwrap();
        let opened = open(settings("0.0.0.0:0", Some(&file)));
        assert_eq!(opened.is_ok(), good, "{text}");
    }
    let page = open(settings("127.0.0.1:0", None)).unwrap();
    let taken = open(settings(&page.address().to_string(), None))
        .err()
        .unwrap();
    assert_eq!(taken.exit(), Exit::PortUnavailable);
}

/// A result file without rows.
fn empty_results(folder: &Path) -> PathBuf {
    let database = folder.join("run.sqlite");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let tables = include_str!("../storage/schema/1.sql");
    connection.execute_batch(tables).unwrap();
    database
}

#[test]
fn a_run_that_has_just_begun_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched {
        database: empty_results(folder.path()),
        board: Some(Arc::default()),
    };
    let page = Served::watching(limits(), None, Router::new(), Some(watched));
    let text = page.ask("GET /watch", &[], "");
    assert!(text.contains("/assets/watch.js"), "{text}");
    assert!(!text.contains("A finished run."), "{text}");
}

#[test]
fn so_many_watch_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_results(folder.path());
    let many = Limits {
        per_address: 256,
        ..limits()
    };
    let watched = Watched {
        database,
        board: None,
    };
    let page = Served::watching(many, None, Router::new(), Some(watched));
    let listen = || {
        let mut stream = page.connect();
        let text = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", page.address);
        stream.write_all(text.as_bytes()).unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).unwrap();
        (stream, begun)
    };
    let mut listeners: Vec<_> = (0..64).map(|_| listen()).collect();
    assert!(listeners.iter().all(|(_, begun)| begun == b"HTTP/1.1 200"));
    assert_eq!(&listen().1, b"HTTP/1.1 503");
    // Who listens keeps nobody from reading, and gives its seat back.
    assert_eq!(status(&page.ask("GET /api/watch", &[], "")), "200");
    listeners.pop();
    let began = Instant::now();
    while &listen().1 != b"HTTP/1.1 200" {
        assert!(began.elapsed() < PATIENCE, "the seat is not given back");
    }
}
