//! The page of a run: a browser sees downloads happen, programs read the same
//! figures, and a finished database is opened.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest};
use btda::lab::{Behaviour, LabOptions, Plan, Swarm};
use btda::model::InfoHash;
use btda::stop::{StopTrigger, stop_pair};
use common::browser::Browser;
use common::openapi::Contract;
use common::page::{Page, agent, get, url_in};
use common::page_checks::check;
use common::process::{free_port, program};
use common::trial::{STOP_LIMIT, Setup, Trial};
use serde_json::{Value, json};

fn swarm() -> Swarm {
    let options = LabOptions {
        torrents: 2,
        peers: 30,
        callers: 0,
        duration: Duration::from_secs(3600),
        shares: vec![(Behaviour::Bitfield, 3), (Behaviour::Silent, 1)],
        pieces: (400, 800),
        // Some have finished before the browser is there, some never will.
        download: (Duration::from_secs(5), Duration::from_secs(300)),
        stalls: 0,
        ..LabOptions::default()
    };
    Swarm::start(Plan::new(options), Arc::new(SystemClock::new())).unwrap()
}

/// A node of the DHT outside of the run, and what ends it.
fn dht_node() -> (DhtHandle, StopTrigger) {
    let (trigger, stop) = stop_pair();
    let settings = DhtSettings::loopback(Ipv4Addr::LOCALHOST);
    let clock = Arc::new(SystemClock::new());
    let node = DhtNode::start(settings, clock, &stop, None).unwrap();
    (node, trigger)
}

fn run_on(swarm: &Swarm, node: &DhtHandle) -> (Trial, String) {
    let bootstrap = format!("\"127.0.0.1:{}\"", node.port(Family::V4).unwrap());
    let mut trial = Setup::new()
        .swarm(swarm)
        .config(&[
            ("network_timeout", "1"),
            ("peer_revisit_delay", "1"),
            ("tracker.scrape", "true"),
            ("dht.backend", "\"own\""),
            ("dht.bootstrap", &bootstrap),
            ("dht.allow_private", "true"),
            ("dht_node_port", &free_port(Ipv4Addr::LOCALHOST).to_string()),
        ])
        .arguments(&["--web", "127.0.0.1:0", "-d"])
        .start();
    let mut url = None;
    trial.wait_until("the page says where it is", |trial| {
        url = url_in(&trial.said());
        url.is_some()
    });
    (trial, url.unwrap())
}

/// Where pictures go for whoever wants to look at them.
fn picture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn a_browser_sees_a_download_happen() {
    let swarm = swarm();
    let (node, _trigger) = dht_node();
    let (mut trial, url) = run_on(&swarm, &node);
    let mut browser = Browser::start(1000, 800);
    browser.open(&format!("{url}/watch"));
    // A mark that a reload would wipe away.
    browser.script("window.loaded = 'once'; window.before = Number(document.querySelector('[data-live=confirmed]').textContent)", &[]);
    browser.wait_for(
        "events",
        "return document.getElementById('connection').textContent === 'Live.'",
    );
    browser.wait_for(
        "a further confirmed download",
        "return Number(document.querySelector('[data-live=confirmed]').textContent) > window.before
            && document.querySelectorAll('#crossings tr').length > 0
            && [...document.querySelectorAll('#torrents tr')].some((row) => Number(row.cells[3].textContent) > 0)",
    );
    assert_eq!(browser.script("return window.loaded", &[]), "once");
    assert_eq!(browser.elements("#torrents tr").len(), 2);
    assert!(!browser.elements("#trackers tr").is_empty());
    browser.wait_for(
        "health of the DHT, threads, and success by transport",
        "const live = (name) => Number(document.querySelector(`[data-live='${name}']`).textContent);
         const way = document.querySelector('#ways tr');
         return live('dht_node.nodes_good') === 1 && live('workers') > 0 && live('queue') > 0
            && way.cells[0].textContent === 'tcp' && /^[1-9][0-9]* %$/.test(way.cells[4].textContent)
            && document.querySelectorAll('#notices li').length > 0",
    );
    ask_the_node_of_the_run(&url, &node);
    a_torrent_changes_too(&browser, &url);
    look_at_all(&browser, &url);
    let ours = |it: &String| it.starts_with(&url) || it.starts_with("data:");
    let requests = browser.requests();
    assert!(
        requests.iter().any(|it| it.ends_with("/events")),
        "{requests:?}"
    );
    assert!(requests.iter().all(ours), "{requests:?}");
    assert_eq!(browser.complaints(), [""; 0]);

    read_as_programs_do(&url);
    // The open stream of events does not keep the run from ending.
    assert_eq!(trial.stop("INT", STOP_LIMIT * 5), Some(0));
    trial.assert_contract();
    browser.wait_for(
        "the break",
        "return document.getElementById('connection').textContent.startsWith('The connection is broken')",
    );
    look_into_the_database(&trial);
}

/// The page of a run looks torrents up by the node of the run.
fn ask_the_node_of_the_run(url: &str, node: &DhtHandle) {
    let info_hash = InfoHash::new([9; 20]);
    let request = LookupRequest {
        info_hash,
        announce_port: Some(7007),
        private: false,
        limit: Duration::from_secs(30),
    };
    let events = node.lookup(&request).unwrap();
    let done = events.iter().find_map(|event| match event {
        LookupEvent::Done(summary) => Some(summary),
        LookupEvent::Peers(_) => None,
    });
    assert_eq!(done.unwrap().announced, 1, "the node of the run is there");
    let question = json!({ "info_hash": info_hash.to_string(), "dht": true }).to_string();
    let request = agent().post(format!("{url}/track"));
    let request = request.header("content-type", "application/json");
    let mut answer = request.send(question).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["peers"][0]["port"], 7007, "{answer}");
    assert_eq!(answer["peers"][0]["sources"], json!(["dht"]));
}

/// Its own page is live, too.
fn a_torrent_changes_too(browser: &Browser, url: &str) {
    browser.open(&format!("{url}/watch/torrents/1"));
    browser.script("document.querySelector('[data-figure=peers]').textContent = 'old'; document.getElementById('trackers').replaceChildren()", &[]);
    browser.wait_for(
        "the torrent's figures",
        "return Number(document.querySelector('[data-figure=peers]').textContent) > 0
            && document.querySelectorAll('#trackers tr').length > 0",
    );
    browser.follow("#trackers a");
    browser.script("document.getElementById('trackers').replaceChildren()", &[]);
    browser.wait_for(
        "the tracker's figures",
        "return Number(document.querySelector('#trackers tr')?.cells[1].textContent) > 0",
    );
}

fn look_at_all(browser: &Browser, url: &str) {
    for (width, scheme) in [
        (1000, "light"),
        (1000, "dark"),
        (360, "light"),
        (360, "dark"),
    ] {
        browser.resize(width, 800);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", &media);
        let pages = [
            ("tracker", "/watch/trackers/1"),
            ("torrent", "/watch/torrents/1"),
            ("watch", "/watch"),
        ];
        for (name, path) in pages {
            browser.open(&format!("{url}{path}"));
            check(browser, &format!("{name} {width} {scheme}"));
            browser.screenshot(&picture(&format!("{name}-{width}-{scheme}.png")));
        }
    }
    // The last page stays open.
    browser.wait_for(
        "events",
        "return document.getElementById('connection').textContent === 'Live.'",
    );
}

fn read_as_programs_do(url: &str) {
    let agent = agent();
    let contract = Contract::new(get(&agent, &format!("{url}/openapi.json")).json());
    let answer = get(&agent, &format!("{url}/api/watch"));
    contract.check("get", "/api/watch", &answer);
    let state = answer.json();
    let confirmed = state["live"]["confirmed"].as_u64().unwrap();
    assert!(confirmed > 0, "{state:#}");
    assert!(state["live"]["contacts_counted"].as_u64().unwrap() > 10);
    let names = state["stored"]["tracker_names"].as_array().unwrap();
    assert!(
        names
            .iter()
            .all(|name| !name.as_str().unwrap().ends_with("/announce")),
        "{names:?}"
    );
    let metrics = get(&agent, &format!("{url}/metrics"));
    assert!(metrics.kind.starts_with("text/plain; version=0.0.4"));
    check_metrics(&metrics.text);
    let first = first_event(url);
    assert!(first["live"]["confirmed"].as_u64().unwrap() >= confirmed);
    for (path, status) in [
        ("/watch/torrents/3", 404),
        ("/watch/trackers/99", 404),
        ("/watch/torrents/x", 404),
    ] {
        assert_eq!(
            get(&agent, &format!("{url}{path}")).status,
            status,
            "{path}"
        );
    }
}

/// Every line is a comment or a sample of the family above it, and every
/// family is described once.
fn check_metrics(text: &str) {
    let (mut families, mut samples) = (Vec::new(), 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(!families.contains(&name), "{line}");
            families.push(name);
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            assert_eq!(Some(&family), families.last(), "{line}");
            value.parse::<f64>().unwrap();
            samples += 1;
        }
    }
    assert!(families.len() > 10 && samples > families.len(), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("promtool", "prometheus", folder.path());
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success(), "promtool refuses:\n{text}");
}

fn first_event(url: &str) -> Value {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut lines = lines.skip_while(|line| !line.starts_with("retry: "));
    assert_eq!(lines.next().unwrap(), "retry: 2000");
    assert_eq!(lines.next().unwrap(), "id: 1");
    assert_eq!(lines.next().unwrap(), "event: state");
    let data = lines.next().unwrap();
    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
}

fn look_into_the_database(trial: &Trial) {
    let database = trial.database().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let page = Page::serve(folder.path(), &[database.to_str().unwrap()]);
    let state = page.get("/api/watch").json();
    assert_eq!(state["live"], Value::Null);
    let torrents = state["stored"]["torrents"].as_array().unwrap();
    let confirmed: i64 = torrents
        .iter()
        .map(|it| it["confirmed"].as_i64().unwrap())
        .sum();
    let needed = "SELECT count(*) FROM peer JOIN torrent ON torrent.id = peer.torrent
        WHERE first_pieces < complete_threshold AND last_pieces >= complete_threshold";
    assert_eq!(confirmed, trial.number(needed));
    let peers: i64 = torrents
        .iter()
        .map(|it| it["peers"].as_i64().unwrap())
        .sum();
    assert_eq!(peers, trial.number("SELECT count(*) FROM peer"));
    let contract = Contract::new(page.get("/openapi.json").json());
    contract.check("get", "/api/watch", &page.get("/api/watch"));
    // Without script everything can be read.
    let text = page.get("/watch").text;
    assert!(
        text.contains("A finished run.") && !text.contains("<script"),
        "{text}"
    );
    for torrent in torrents {
        assert!(text.contains(torrent["name"].as_str().unwrap()));
    }
    page.stop();
    look_into_a_report(&database);
}

/// What `btda report` makes beside the database opens from the page, and a map
/// is there where countries are known.
fn look_into_a_report(database: &Path) {
    let connection = rusqlite::Connection::open(database).unwrap();
    let placed = "UPDATE peer SET country = CASE WHEN id % 3 = 0 THEN 'BR' ELSE 'DE' END";
    let peers = connection.execute(placed, []).unwrap();
    drop(connection);
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_btda"))
        .arg("report")
        .arg(database)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let folder = tempfile::tempdir().unwrap();
    let page = Page::serve(folder.path(), &[database.to_str().unwrap()]);
    let mut browser = Browser::start(1000, 800);
    browser.open(&format!("{}/studies", page.url));
    check(&browser, "studies");
    browser.follow("main li a");
    assert_eq!(browser.element("h1").text(), "btda report");
    assert!(browser.elements("figure svg").len() > 3);
    browser.open(&format!("{}/watch", page.url));
    browser.wait_for(
        "the map",
        "const map = document.getElementById('map_picture'); map.scrollIntoView();
         return map.complete && map.naturalWidth > 0",
    );
    let counted = browser.script(
        "return [...document.querySelectorAll('#countries span')].map((it) => Number(it.textContent.slice(3)))",
        &[],
    );
    let counted: Vec<usize> = serde_json::from_value(counted).unwrap();
    assert_eq!((counted.len(), counted.iter().sum()), (2, peers));
    check(&browser, "map");
    browser.screenshot(&picture("map-light.png"));
    assert_eq!(browser.complaints(), [""; 0]);
    drop(browser);
    page.stop();
}

#[test]
fn what_cannot_be_served_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("no.sqlite"), "no database").unwrap();
    let serve = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_btda"));
        let output = command
            .current_dir(folder.path())
            .arg("serve")
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, said) = serve(&["no.sqlite", "--web", "127.0.0.1:0"]);
    assert!(code == Some(1) && said.contains("no.sqlite"), "{said}");
    let (code, said) = serve(&["--web", "0.0.0.0:0"]);
    assert!(code == Some(3) && said.contains("web.token_file"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, said) = serve(&["--web", &taken.local_addr().unwrap().to_string()]);
    assert!(code == Some(7) && said.contains("--web"), "{said}");
    let page = Page::serve(folder.path(), &[]);
    assert_eq!(page.get("/api/watch").status, 404);
    assert!(
        page.get("/watch")
            .text
            .contains("There is nothing to watch")
    );
    page.stop();
}
