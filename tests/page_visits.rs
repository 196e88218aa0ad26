//! The page looks a swarm up at a tracker and in the DHT and visits its peers,
//! all of them real programs: a browser sees it happen, finds it in the
//! reports, and both exports have it, without an address.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest};
use btda::stop::{StopTrigger, stop_pair};
use common::aria2::Aria2;
use common::browser::Browser;
use common::client::{Assignment, Client, Progress};
use common::libtorrent::{Libtorrent, Role};
use common::openapi::Contract;
use common::opentracker::OpenTracker;
use common::page::Page;
use common::page_checks::check;
use common::process::wait_until;
use common::torrent::TestTorrent;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

const PIECES: u32 = 400;

fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 86, host)
}

/// A node of ours, outside the program under test.
struct Node {
    handle: DhtHandle,
    address: SocketAddr,
    _trigger: StopTrigger,
}

impl Node {
    fn start(host: u8) -> Self {
        let (trigger, stop) = stop_pair();
        let settings = DhtSettings::loopback(address(host));
        let handle = DhtNode::start(settings, Arc::new(SystemClock::new()), &stop, None).unwrap();
        let port = handle.port(Family::V4).unwrap();
        Self {
            handle,
            address: SocketAddr::new(address(host).into(), port),
            _trigger: trigger,
        }
    }

    fn knows_a_peer_of(&self, torrent: &TestTorrent) -> bool {
        let request = LookupRequest {
            info_hash: torrent.hash(),
            announce_port: None,
            private: false,
            limit: Duration::from_secs(5),
        };
        let events = self.handle.lookup(&request).unwrap();
        events
            .iter()
            .any(|event| matches!(event, LookupEvent::Peers(peers) if !peers.is_empty()))
    }
}

/// A swarm: by the tracker a seeder, a slow leecher, and somebody who is not
/// there; by the DHT alone a seeder that talks only over uTP. Fields are
/// dropped in this order: programs, then the folder they work in.
struct World {
    seeder: Libtorrent,
    hidden: Libtorrent,
    leecher: Aria2,
    tracker: OpenTracker,
    nodes: [Node; 2],
    nobody: u16,
    torrent: TestTorrent,
    folder: TempDir,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let torrent = TestTorrent::generate("tracked.bin", 86, PIECES, 16 * 1024);
        let sub = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let tracker = OpenTracker::start(&sub("tracker"), address(2), &[torrent.hash()]);
        let file = |name: &str, trackers: &[String]| {
            let path = folder.path().join(name);
            fs::write(&path, torrent.file(trackers)).unwrap();
            path
        };
        let with = [file("with.torrent", &[tracker.http_url()])];
        let without = [file("without.torrent", &[])];
        let nodes = [11, 12].map(Node::start);
        nodes[1].handle.add_node(nodes[0].address);
        wait_until("our nodes know each other", LIMIT, || {
            nodes.iter().all(|it| it.handle.status().nodes_good() == 1)
        });
        let (known, unknown, slow) = (sub("seeder"), sub("hidden"), sub("leecher"));
        for folder in [&known, &unknown] {
            fs::write(folder.join(torrent.name), &torrent.data).unwrap();
        }
        let at = Assignment::new(address(21), &known, &with);
        let seeder = Libtorrent::start(Role::SEEDER, &at);
        let at = Assignment {
            dht: Some(nodes[0].address),
            ..Assignment::new(address(22), &unknown, &without)
        };
        let hidden = Libtorrent::start(Role::UTP_SEEDER, &at);
        let at = Assignment {
            // Two pieces a second: it is on its way all the time.
            download_limit: 32 * 1024,
            ..Assignment::new(address(23), &slow, &with)
        };
        let leecher = Aria2::start(&at);
        let world = Self {
            seeder,
            hidden,
            leecher,
            tracker,
            nodes,
            nobody: free_port(),
            torrent,
            folder,
        };
        let (hash, nobody) = (world.torrent.hash(), world.nobody);
        world
            .tracker
            .announce(hash, "-XX0000-000000000000", nobody, 5);
        world.wait_until_known();
        world
    }

    fn wait_until_known(&self) {
        wait_until("the tracker knows all", LIMIT, || {
            let figures = self.tracker.scrape(self.torrent.hash());
            (figures.complete, figures.incomplete) == (1, 2)
        });
        wait_until("the DHT knows the hidden seeder", LIMIT, || {
            self.nodes[1].knows_a_peer_of(&self.torrent)
        });
    }

    fn page(&self, more: &[&str]) -> Page {
        let bootstrap = format!("dht.bootstrap={}", self.nodes[0].address);
        let listen = format!("listen.address={}", address(1));
        let set = [
            "web.allow_private=true",
            "dht.allow_private=true",
            "network_timeout=2",
            &bootstrap,
            &listen,
        ];
        let arguments: Vec<&str> = set.iter().flat_map(|it| ["--set", *it]).collect();
        let folder = self.folder.path().join("page");
        fs::create_dir_all(&folder).unwrap();
        Page::serve(&folder, &[&arguments[..], more].concat())
    }

    fn link(&self) -> String {
        let tracker = self.tracker.http_url();
        let tracker = percent_encode(tracker.as_bytes(), NON_ALPHANUMERIC);
        format!("magnet:?xt=urn:btih:{}&tr={tracker}", self.torrent.hash())
    }

    /// Pieces that the leecher has.
    fn loaded(&mut self) -> u32 {
        let mut progress = Progress::default();
        self.leecher.sample(&mut progress).unwrap();
        progress.timeline(self.torrent.hash()).latest()
    }
}

/// Nobody listens there.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Where pictures go for whoever wants to look at them.
fn picture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn a_browser_sees_peers_being_visited() {
    let mut world = World::start();
    let page = world.page(&[]);
    let mut browser = Browser::start(1100, 900);
    browser.open(&page.url);
    browser.element("#magnet").type_in(&world.link());
    browser.element("#track button").click();
    browser.wait_for(
        "the result",
        "return !document.getElementById('result').hidden",
    );
    assert_eq!(browser.elements("#sources li").len(), 2);
    assert_eq!(browser.elements("#sources li.bad").len(), 0);
    // The tracker names us, too.
    assert_eq!(browser.element("#peers_total").text(), "5");
    check(&browser, "result");
    watch(&browser);
    let before = world.loaded();
    browser.element("#visit").click();
    browser.wait_for(
        "the end of the visits",
        "return document.getElementById('visits_state').textContent.startsWith('Done.')",
    );
    let after = world.loaded();
    check(&browser, "visits");
    browser.screenshot(&picture("visits-light.png"));
    let seen = browser.script("return window.seen", &[]);
    let steps: BTreeSet<&str> = seen
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        steps.contains("5") && steps.len() > 2,
        "it came step by step: {seen}"
    );

    let told = rows(&browser);
    check_rows(&world, &told, before..=after);
    look_at_all(&browser);
    find_in_reports(&browser, &page);
    compare_exports(&world, &page);
    check_programs(&world, &page);
    let ours = |url: &String| url.starts_with(&page.url) || url.starts_with("data:");
    let requests = browser.requests();
    assert!(requests.iter().all(ours), "{requests:?}");
    assert_eq!(browser.complaints(), [""; 0]);
    world.seeder.assert_running();
    world.hidden.assert_running();
    page.stop();
    nobody_is_named(&world);
}

/// Notes every number of visits that the page shows.
fn watch(browser: &Browser) {
    browser.script(
        "window.seen = [];
        const at = document.getElementById('visits_done');
        new MutationObserver(() => window.seen.push(at.textContent)).observe(at, { childList: true, characterData: true, subtree: true });",
        &[],
    );
}

/// The cells of every peer, by its address and port.
fn rows(browser: &Browser) -> Vec<Vec<String>> {
    let cells = browser.script(
        "return [...document.querySelectorAll('#peers tr')].map((row) => [...row.cells].map((it) => it.textContent.trim()))",
        &[],
    );
    serde_json::from_value(cells).unwrap()
}

fn check_rows(world: &World, rows: &[Vec<String>], loaded: std::ops::RangeInclusive<u32>) {
    let of = |host: Ipv4Addr, port: u16| {
        let found = rows
            .iter()
            .find(|row| row[0] == host.to_string() && row[1] == port.to_string());
        found.unwrap_or_else(|| panic!("{host}:{port}: {rows:#?}"))
    };
    let seeder = of(address(21), world.seeder.port());
    assert_eq!(
        (seeder[2].as_str(), seeder[5].as_str()),
        ("tracker", "100 %")
    );
    assert!(seeder[4].starts_with("libtorrent/"), "{seeder:?}");
    assert_eq!(
        (seeder[6].as_str(), seeder[7].as_str()),
        ("tcp, plain", "success")
    );
    let hidden = of(address(22), world.hidden.port());
    assert_eq!((hidden[2].as_str(), hidden[5].as_str()), ("DHT", "100 %"));
    assert!(
        hidden[6].starts_with("utp, ") && hidden[7] == "success",
        "{hidden:?}"
    );
    let leecher = of(address(23), world.leecher.port());
    assert_eq!(leecher[2], "tracker");
    assert!(leecher[4].starts_with("aria2/"), "{leecher:?}");
    let share: u32 = leecher[5].strip_suffix(" %").unwrap().parse().unwrap();
    let percent = |pieces: u32| pieces * 100 / PIECES;
    // Its own interface counts a piece when the file has it, a moment later or
    // sooner than peers are told.
    let wanted = percent(loaded.start().saturating_sub(4))..=percent(loaded.end() + 4);
    assert!(
        wanted.contains(&share),
        "{leecher:?}, itself {loaded:?} pieces"
    );
    let nobody = of(Ipv4Addr::LOCALHOST, world.nobody);
    assert_eq!((nobody[5].as_str(), nobody[6].as_str()), ("", ""));
    assert!(nobody[7].ends_with("Connection refused"), "{nobody:?}");
}

fn look_at_all(browser: &Browser) {
    for (width, scheme) in [
        (1100, "dark"),
        (360, "light"),
        (360, "dark"),
        (1100, "light"),
    ] {
        browser.resize(width, 900);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", &media);
        check(browser, &format!("visits {width} {scheme}"));
        browser.screenshot(&picture(&format!("visits-{width}-{scheme}.png")));
    }
}

fn find_in_reports(browser: &Browser, page: &Page) {
    browser.open(&format!("{}/reports", page.url));
    assert_eq!(browser.element("#total").text(), "2");
    let summaries: Vec<String> = browser
        .elements(".summary")
        .iter()
        .map(common::browser::Element::text)
        .collect();
    let of = |begin: &str| summaries.iter().find(|it| it.starts_with(begin)).unwrap();
    assert!(of("1 peer;").ends_with("1 visited, 1 reached, 1 with everything"));
    let tracker = of("4 peers, 1 seeders, 3 leechers");
    assert!(
        tracker.ends_with("4 visited, 2 reached, 1 with everything"),
        "{tracker}"
    );
    for details in browser.elements("summary") {
        details.click();
    }
    check(browser, "reports with visits");
    browser.screenshot(&picture("reports-visits.png"));
    browser.follow("article a.hash");
    assert_eq!(browser.element("h1").text(), "A swarm over time");
    assert_eq!(browser.elements("tbody tr").len(), 2);
    browser.wait_for(
        "the chart",
        "const it = document.querySelector('img.chart'); return it.complete && it.naturalWidth > 0",
    );
    check(browser, "swarm");
    browser.screenshot(&picture("swarm-light.png"));
}

/// Both files tell the same, in pseudonyms.
fn compare_exports(world: &World, page: &Page) {
    let list = page.get("/export/json").json();
    let table = page.get("/export/csv").text;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let entries = list.as_array().unwrap();
    assert_eq!((entries.len(), lines.len()), (2, 2));
    let mut visited = 0;
    for (entry, line) in entries.iter().zip(&lines) {
        let peers = entry["response"]["peers"].as_array().unwrap();
        assert_eq!(line[3], peers.len().to_string());
        for peer in peers {
            let name = peer["ip"].as_str().unwrap();
            assert!(name.len() == 16 && line[6].contains(name), "{peer}");
            if peer["visit"]["complete"] == true {
                assert_eq!(peer["visit"]["pieces"], world.torrent.pieces());
                assert_eq!(peer["visit"]["pieces_count"], world.torrent.pieces());
                visited += 1;
            }
        }
    }
    assert_eq!(visited, 2, "{list:#}");
}

/// Programs read the same, within the contract, and nobody is visited again.
fn check_programs(world: &World, page: &Page) {
    let contract = Contract::new(page.get("/openapi.json").json());
    let hash = world.torrent.hash().to_string();
    let again = page.post(
        "/visits",
        "application/json",
        json!({ "info_hash": hash }).to_string().as_bytes(),
    );
    assert_eq!(
        (again.status, &again.json()["from_last_result"]),
        (202, &json!(true))
    );
    contract.check("post", "/visits", &again);
    let path = format!("/visits/{}", again.json()["number"]);
    let state = page.get(&path);
    contract.check("get", "/visits/{number}", &state);
    let state = state.json();
    assert_eq!(
        (&state["phase"], &state["done"], &state["reached"]),
        (&json!("done"), &json!(5), &json!(3))
    );
    let events = page.get(&format!("{path}/events"));
    contract.check("get", "/visits/{number}/events", &events);
    let data = events
        .text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), state);
    let unknown = page.get("/visits/99");
    assert_eq!(unknown.status, 404);
    contract.check("get", "/visits/{number}", &unknown);
    let tracked = page.track(&json!({ "magnet": world.link(), "dht": true }));
    assert_eq!(tracked.json()["from_last_result"], true);
    contract.check("post", "/track", &tracked);
    let alone = page.track(&json!({ "info_hash": hash, "dht": true }));
    contract.check("post", "/track", &alone);
    let alone = alone.json();
    assert_eq!(
        (&alone["tracker_url"], &alone["peer_count"]),
        (&json!("dht:"), &json!(1))
    );
    let none = page.post(
        "/visits",
        "application/json",
        br#"{"info_hash":"0123456789abcdef0123456789abcdef01234567"}"#,
    );
    assert_eq!(none.status, 409, "{none:?}");
    contract.check("post", "/visits", &none);
}

/// No file of the page has an address of the swarm.
fn nobody_is_named(world: &World) {
    let files: Vec<PathBuf> = walkdir::WalkDir::new(world.folder.path().join("page"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    assert!(
        files.iter().any(|it| it.ends_with("track_history.db")),
        "{files:?}"
    );
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for text in [21, 22, 23].map(|host| address(host).to_string()) {
            let found = bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes());
            assert!(!found, "{} names {text}", file.display());
        }
    }
}

#[test]
fn what_is_off_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let page = Page::serve(
        folder.path(),
        &["--set", "web.dht=false", "--set", "web.visits_max=0"],
    );
    let start = page.get("/").text;
    assert!(
        !start.contains("id=\"dht\"") && !start.contains("id=\"visit\""),
        "{start}"
    );
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let answer = page.track(&json!({ "magnet": format!("magnet:?xt=urn:btih:{hash}") }));
    assert_eq!(answer.status, 404);
    assert!(
        answer.json()["error"].as_str().unwrap().contains("web.dht"),
        "{answer:?}"
    );
    let body = json!({ "info_hash": hash }).to_string();
    let answer = page.post("/visits", "application/json", body.as_bytes());
    assert_eq!(answer.status, 404);
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .contains("web.visits_max"),
        "{answer:?}"
    );
    assert_eq!(
        page.post("/visits", "text/plain", body.as_bytes()).status,
        415
    );
    page.stop();
}
