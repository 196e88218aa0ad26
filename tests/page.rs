//! The page tracks real swarms: opentracker over HTTP and UDP, asked by
//! programs and by a browser.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use btda::lab::{Reply, ScriptedTracker};
use btda::model::InfoHash;
use common::browser::Browser;
use common::openapi::Contract;
use common::opentracker::OpenTracker;
use common::page::Page;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

const HASH: [u8; 20] = *b"0123456789abcdefghij";
const LISTED: [u8; 20] = *b"another torrent here";

/// A tracker with five peers: two seeders and three leechers.
struct World {
    folder: TempDir,
    tracker: OpenTracker,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hashes = [HASH, LISTED].map(InfoHash::new);
        let tracker = OpenTracker::start(folder.path(), Ipv4Addr::LOCALHOST, &hashes);
        let world = Self { folder, tracker };
        for (port, left) in (20_001..).zip([0, 0, 5, 5, 5]) {
            let peer_id = format!("-XX0000-0000000{port}");
            world
                .tracker
                .announce(InfoHash::new(HASH), &peer_id, port, left);
        }
        world
    }

    fn serve(&self, arguments: &[&str]) -> Page {
        Page::serve(
            self.folder.path(),
            &[
                &["--set", "web.allow_private=true", "--set", "web.dht=false"],
                arguments,
            ]
            .concat(),
        )
    }

    fn question(&self) -> Value {
        json!({ "info_hash": InfoHash::new(HASH).to_string(), "tracker_url": self.tracker.http_url(), "port": 7001 })
    }
}

/// The ports of a result's peers.
fn ports(result: &Value) -> Vec<u64> {
    let peers = result["peers"].as_array().unwrap().iter();
    let mut ports: Vec<u64> = peers.map(|peer| peer["port"].as_u64().unwrap()).collect();
    ports.sort_unstable();
    ports
}

#[test]
fn the_endpoints_of_the_torrent_peer_tracker() {
    let world = World::new();
    let page = world.serve(&[]);
    let start = page.get("/");
    assert!(start.kind.starts_with("text/html") && start.text.contains("<form id=\"track\">"));
    for path in ["/export/csv", "/export/json"] {
        let answer = page.get(path);
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({ "error": "no data to export" }))
        );
    }
    assert_eq!(page.get("/api/reports").json(), json!([]));

    let first = page.track(&world.question());
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json();
    // The tracker counts us too, as what we are: somebody without anything.
    assert_eq!(
        (&first["complete"], &first["incomplete"]),
        (&json!(2), &json!(4)),
        "{first}"
    );
    assert_eq!(first["from_last_result"], false);
    assert!(first["interval"].as_u64().unwrap() > 60);
    let mut others = ports(&first);
    others.retain(|port| *port != 7001);
    assert_eq!(others, [20_001, 20_002, 20_003, 20_004, 20_005]);
    assert_eq!(first["peers"][0]["ip"], "127.0.0.1");
    // And we have left.
    let figures = world.tracker.scrape(InfoHash::new(HASH));
    assert_eq!((figures.complete, figures.incomplete), (2, 3));

    let second = page.track(&world.question()).json();
    assert_eq!(second["from_last_result"], true);
    assert_eq!(
        (&second["peers"], &second["timestamp"]),
        (&first["peers"], &first["timestamp"])
    );

    let mut over_udp = world.question();
    over_udp["tracker_url"] = world.tracker.udp_url().into();
    let over_udp = page.track(&over_udp).json();
    assert_eq!(over_udp["complete"], 2, "{over_udp}");
    assert!(ports(&over_udp).contains(&20_005));

    let list = page.get("/api/reports").json();
    let entries = list.as_array().unwrap();
    assert_eq!(entries.len(), 2, "the repeated answer is none of its own");
    let entry = &entries[1];
    assert_eq!(entry["tracker_url"], world.tracker.http_url());
    assert_eq!(entry["info_hash"], InfoHash::new(HASH).to_string());
    assert_eq!(ports(&entry["response"]), ports(&first));
    for peer in entry["response"]["peers"].as_array().unwrap() {
        let name = peer["ip"].as_str().unwrap();
        assert!(
            name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{name}"
        );
    }
    check_exports(&page, &list);
    check_contract(&world, &page);
    check_page(&page);
    page.stop();
    check_restart(&world, &first);
}

fn check_exports(page: &Page, list: &Value) {
    let file = page.get("/export/json");
    assert_eq!(
        file.disposition,
        "attachment; filename=\"tracker_report.json\""
    );
    assert_eq!(&file.json(), list);
    assert!(
        file.text.starts_with("[\n  {\n    \"info_hash\""),
        "{}",
        file.text
    );
    let file = page.get("/export/csv");
    assert_eq!(
        file.disposition,
        "attachment; filename=\"tracker_report.csv\""
    );
    assert!(file.kind.starts_with("text/csv"));
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let columns = "timestamp,info_hash,tracker_url,peer_count,seeders,leechers,peers_list";
    assert_eq!(
        reader
            .headers()
            .unwrap()
            .iter()
            .collect::<Vec<_>>()
            .join(","),
        columns
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let entries = list.as_array().unwrap();
    assert_eq!(rows.len(), entries.len());
    for (row, entry) in rows.iter().zip(entries) {
        let response = &entry["response"];
        assert_eq!(row[0], *entry["timestamp"].as_str().unwrap());
        assert_eq!(row[4], response["complete"].to_string());
        let peers = response["peers"].as_array().unwrap();
        assert_eq!(row[3], peers.len().to_string());
        let told: Vec<String> = peers
            .iter()
            .map(|peer| format!("{}:{}", peer["ip"].as_str().unwrap(), peer["port"]))
            .collect();
        assert_eq!(row[6], told.join("; "));
    }
    let udp = page.get("/export/json?q=udp%3A").json();
    assert_eq!(udp.as_array().unwrap().len(), 1);
}

/// The `OpenAPI` document promises what comes.
fn check_contract(world: &World, page: &Page) {
    let contract = Contract::new(page.get("/openapi.json").json());
    for path in [
        "/healthz",
        "/api/reports",
        "/export/json",
        "/export/csv",
        "/api/watch",
        "/metrics",
        "/events",
    ] {
        contract.check("get", path, &page.get(path));
    }
    contract.check(
        "get",
        "/export/json",
        &page.get("/export/json?q=nothing+of+it"),
    );
    contract.check("post", "/track", &page.track(&world.question()));
    contract.check("post", "/track", &page.track(&json!({})));
    contract.check("post", "/track", &page.post("/track", "text/plain", b"{}"));
    let nobody = json!({ "info_hash": InfoHash::new(HASH).to_string(), "tracker_url": "http://127.0.0.1:9/x" });
    contract.check("post", "/track", &page.track(&nobody));
    contract.check(
        "get",
        "/api/reports",
        &page.get("/api/reports?state=failed"),
    );
}

fn check_page(page: &Page) {
    let reports = page.get("/reports").text;
    assert_eq!(reports.matches("<article").count(), 3, "{reports}");
    assert_eq!(
        page.get("/reports?q=nothing+of+it")
            .text
            .matches("<article")
            .count(),
        0
    );
    assert_eq!(
        page.get("/reports?state=failed")
            .text
            .matches("<article")
            .count(),
        1
    );
    let hash = InfoHash::new(HASH);
    let chart = page.get(&format!(
        "/reports/chart.svg?info_hash={hash}&tracker_url=x"
    ));
    assert_eq!(chart.kind, "image/svg+xml");
    assert!(chart.text.starts_with("<svg"), "{}", chart.text);
    assert_eq!(page.get("/reports/chart.svg?info_hash=x").status, 400);
}

/// The history and its intervals outlive the program.
fn check_restart(world: &World, first: &Value) {
    let page = world.serve(&["--set", "web.store_addresses=true"]);
    let again = page.track(&world.question()).json();
    assert_eq!(again["from_last_result"], true, "{again}");
    assert_eq!(again["timestamp"], first["timestamp"]);
    assert_eq!(page.get("/api/reports").json().as_array().unwrap().len(), 3);
    // With addresses stored, exports have them.
    let mut other = world.question();
    other["info_hash"] = InfoHash::new(LISTED).to_string().into();
    assert_eq!(page.track(&other).status, 200);
    let stored = &page.get("/api/reports").json()[0]["response"]["peers"];
    for peer in stored.as_array().unwrap() {
        assert_eq!(peer["ip"], "127.0.0.1");
    }
    page.stop();
}

/// A tracker that names peers one by one tells their ids, too.
#[test]
fn clients_that_a_tracker_tells_are_shown_and_stored() {
    let body = b"d8:completei1e8:intervali1800e5:peersl\
        d2:ip9:127.0.0.17:peer id20:-TR3000-aaaaaaaaaaaa4:porti7009ee\
        d2:ip9:127.0.0.14:porti7010eeee";
    let tracker = ScriptedTracker::http(move |_| Reply::ok(body)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let page = Page::serve(folder.path(), &["--set", "web.allow_private=true"]);
    let question =
        json!({ "info_hash": InfoHash::new(HASH).to_string(), "tracker_url": tracker.url() });
    let answer = page.track(&question).json();
    let stored = &page.get("/api/reports").json()[0]["response"];
    for peers in [&answer["peers"], &stored["peers"]] {
        assert_eq!(peers[0]["client"], "-TR3000-", "{answer}");
        assert_eq!(peers[1]["client"], Value::Null, "{answer}");
    }
    assert_eq!(answer["peers"][0]["sources"], json!(["tracker"]));
    page.stop();
}

#[test]
fn links_files_and_failures() {
    let world = World::new();
    let page = world.serve(&[]);
    let hash = InfoHash::new(HASH);
    let tracker = percent_encode(world.tracker.udp_url().as_bytes(), NON_ALPHANUMERIC).to_string();
    let link =
        format!("magnet:?xt=urn:btih:{hash}&tr=http%3A%2F%2F127.0.0.1%3A9%2Fannounce&tr={tracker}");
    let answer = page.track(&json!({ "magnet": link }));
    assert_eq!(
        (answer.status, &answer.json()["complete"]),
        (200, &json!(2)),
        "{answer:?}"
    );
    // The first tracker of the link has failed, which is in the reports too.
    let failed = page.get("/api/reports?state=failed").json();
    assert_eq!(failed[0]["tracker_url"], "http://127.0.0.1:9/announce");
    assert!(
        failed[0]["response"]["error"]
            .as_str()
            .unwrap()
            .contains("refused"),
        "{failed}"
    );

    let file = format!(
        "d8:announce{0}:{1}4:infod6:lengthi5e4:name1:x12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        world.tracker.http_url().len(),
        world.tracker.http_url()
    );
    // The tracker lists other torrents only, and says so.
    let answer = page.post(
        "/track?port=7002",
        "application/x-bittorrent",
        file.as_bytes(),
    );
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("refused: "),
        "{answer:?}"
    );

    refuse_nonsense(&page, hash);
    page.stop();
}

fn refuse_nonsense(page: &Page, hash: InfoHash) {
    for (question, status) in [
        (json!({}), 400),
        (
            json!({ "info_hash": "x", "tracker_url": "http://127.0.0.1/" }),
            400,
        ),
        (
            json!({ "info_hash": hash.to_string(), "tracker_url": "wss://127.0.0.1/" }),
            400,
        ),
    ] {
        let answer = page.track(&question);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(page.post("/track", "text/plain", b"{}").status, 415);
    assert_eq!(
        page.post("/track", "application/json", &vec![b' '; 100_000])
            .status,
        413
    );
}

#[test]
fn text_from_outside_stays_text() {
    let world = World::new();
    let page = world.serve(&[]);
    // Nobody listens there; the URL is stored all the same.
    let bad = "<script>alert(1)</script>";
    let url = format!("http://127.0.0.1:9/{bad}\"'>");
    let question = json!({ "info_hash": InfoHash::new(HASH).to_string(), "tracker_url": url });
    assert_eq!(page.track(&question).status, 502);
    let reflected = percent_encode(format!("\"'>{bad}").as_bytes(), NON_ALPHANUMERIC).to_string();
    for path in [
        "/reports".to_owned(),
        format!("/reports?q={reflected}&state={reflected}&page={reflected}"),
    ] {
        let text = page.get(&path).text;
        assert!(
            text.contains("alert(1)") && !text.contains("<script"),
            "{text}"
        );
    }
    let list = page.get("/api/reports");
    assert_eq!(list.kind, "application/json");
    assert_eq!(list.json()[0]["tracker_url"], url);
    let large = vec![b'd'; 3 << 20];
    assert_eq!(
        page.post("/track", "application/x-bittorrent", &large)
            .status,
        413
    );
    page.stop();
}

#[test]
fn nobody_is_sent_to_private_addresses_or_too_often() {
    let world = World::new();
    let page = Page::serve(world.folder.path(), &["--set", "web.track_per_minute=4"]);
    let port = world
        .tracker
        .http_url()
        .rsplit_once(':')
        .unwrap()
        .1
        .to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let mut question = world.question();
        question["tracker_url"] = format!("http://{host}:{port}").into();
        let answer = page.track(&question);
        assert_eq!(answer.status, 403, "{host}: {answer:?}");
    }
    let mut over_udp = world.question();
    over_udp["tracker_url"] = world.tracker.udp_url().into();
    assert_eq!(page.track(&over_udp).status, 403);
    assert_eq!(world.tracker.scrape(InfoHash::new(HASH)).incomplete, 3);
    assert_eq!(
        page.get("/api/reports").json(),
        json!([]),
        "nobody was asked"
    );
    let refused = page.track(&world.question());
    assert_eq!(refused.status, 429, "{refused:?}");
    page.stop();
}

#[test]
fn no_proxy_of_the_environment_is_asked() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", proxy.local_addr().unwrap());
    let variables = ["ALL_PROXY", "HTTP_PROXY", "http_proxy", "all_proxy"].map(|it| (it, &at[..]));
    let folder = tempfile::tempdir().unwrap();
    // A proxy at loopback would be refused itself.
    let arguments = ["--set", "web.allow_private=true", "--set", "web.dht=false"];
    let page = Page::serve_in(folder.path(), &arguments, &variables);
    // Nobody is there; the proxy would not know.
    let question = json!({
        "info_hash": InfoHash::new(HASH).to_string(), "tracker_url": "http://127.0.0.1:9/announce",
    });
    let answer = page.track(&question);
    assert_eq!(answer.status, 502, "{answer:?}");
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "the proxy was asked");
    page.stop();
}

#[test]
fn a_browser_logs_in_and_the_log_keeps_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let token = "correct horse battery staple";
    std::fs::write(folder.path().join("token"), token).unwrap();
    let arguments = [
        "--set",
        "web.token_file=token",
        "--set",
        "log.level=DEBUG",
        "--set",
        "web.dht=false",
    ];
    let page = Page::serve(folder.path(), &arguments);
    let mut browser = Browser::start(800, 600);
    browser.open(&format!("{}/reports", page.url));
    assert_eq!(browser.url(), format!("{}/login", page.url));
    common::page_checks::check(&browser, "login");
    browser.element("#token").type_in("correct horse battery");
    browser.follow("button");
    assert_eq!(browser.element(".error").text(), "This is not the token.");
    browser.element("#token").type_in(token);
    browser.follow("button");
    browser.wait_for(
        "the way in",
        "return document.title.startsWith('Track now')",
    );
    browser.open(&format!("{}/reports", page.url));
    assert_eq!(browser.element("h1").text(), "Reports");
    let cookies = browser.script("return document.cookie", &[]);
    assert_eq!(cookies, "", "no script sees the cookie");
    // The wrong token was answered by 401, of which a browser complains.
    let complaints = browser.complaints();
    assert!(
        complaints.iter().all(|it| it.contains("401")),
        "{complaints:?}"
    );

    let answer = page.get("/export/json");
    assert_eq!(answer.status, 401, "{answer:?}");
    for text in [
        "GET /x HTTP/1.1\r\nHost: a\nERROR forged\r\n\r\n",
        "GET /\u{1b}[2Jforged HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n",
        "forged\n",
    ] {
        let address = page.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let _ = stream.read(&mut [0; 64]);
    }
    page.stop();
    let log = std::fs::read_to_string(folder.path().join("page.log")).unwrap();
    assert!(
        log.contains("a connection to the page ended"),
        "it says so: {log}"
    );
    for secret in ["horse", "btda_session", "198.51.100.7", "forged"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

/// Where pictures go for whoever wants to look at them.
fn picture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn a_browser_tracks_a_swarm() {
    let world = World::new();
    let page = world.serve(&[]);
    let mut browser = Browser::start(1000, 800);
    browser.open(&page.url);
    common::page_checks::check(&browser, "start");
    let hash = InfoHash::new(HASH).to_string();
    browser.element("#info_hash").type_in(&hash);
    browser
        .element("#tracker_url")
        .type_in(&world.tracker.http_url());
    browser.element("#track button").click();
    browser.wait_for(
        "the result",
        "return !document.getElementById('result').hidden",
    );
    assert_eq!(browser.element("#seeders").text(), "2");
    assert_eq!(browser.element("#peers_total").text(), "6");
    assert_eq!(browser.elements("#peers tr").len(), 6);
    common::page_checks::check(&browser, "result");
    browser.screenshot(&picture("track-light.png"));

    // It is still there when the page is loaded again.
    browser.open(&format!("{}/reports", page.url));
    browser.reload();
    assert_eq!(browser.element("#total").text(), "1");
    assert_eq!(browser.element("article .hash").text(), hash);
    assert!(
        browser
            .element(".summary")
            .text()
            .starts_with("6 peers, 2 seeders, 4 leechers")
    );
    compare_files(&browser, &page);
    common::page_checks::check(&browser, "reports");
    browser.screenshot(&picture("reports-light.png"));
    look_at_all(&browser, &page);
    let ours = |url: &String| url.starts_with(&page.url) || url.starts_with("data:");
    let requests = browser.requests();
    assert!(
        requests.len() > 5 && requests.iter().all(ours),
        "{requests:?}"
    );
    assert_eq!(browser.complaints(), [""; 0]);
    page.stop();
}

fn look_at_all(browser: &Browser, page: &Page) {
    for (width, scheme) in [(1000, "dark"), (360, "light"), (360, "dark")] {
        browser.resize(width, 800);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", &media);
        for (name, path) in [("start", "/"), ("reports", "/reports")] {
            browser.open(&format!("{}{path}", page.url));
            common::page_checks::check(browser, &format!("{name} {width} {scheme}"));
            browser.screenshot(&picture(&format!("{name}-{width}-{scheme}.png")));
        }
    }
}

/// Both files are of the same entry.
fn compare_files(browser: &Browser, page: &Page) {
    let files = browser.script(
        "return [...document.querySelectorAll('a.button')].map(it => it.href)",
        &[],
    );
    let export = |number: usize| {
        page.get(
            files[number]
                .as_str()
                .unwrap()
                .strip_prefix(&page.url)
                .unwrap(),
        )
    };
    let (table, list) = (export(0), export(1).json());
    let peers = list[0]["response"]["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 6);
    for peer in peers {
        assert!(table.text.contains(&format!(
            "{}:{}",
            peer["ip"].as_str().unwrap(),
            peer["port"]
        )));
    }
}
