//! The observatory's pages without a socket: what they show, what they never
//! show, and what they make of hostile questions.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::clock::SystemClock;
use crate::config::settings::Settings;
use crate::config::{Config, Sources, Switches};
use crate::model::{FileKind, Timestamp};
use crate::observe::pipeline::archived;
use crate::storage::geo::Place;
use crate::storage::observatory::{Batch, EventKey, NetworkRow, PlaceKey, SwarmRow};
use crate::storage::search::Document;
use crate::torrent::summary::Summary;
use crate::web::access::Access;
use crate::web::app::{App, routes};
use crate::web::studies::Studies;
use crate::web::track::Tracking;
use crate::web::visits::Visits;

/// A name as a hostile stranger would choose it.
const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> linux";

const MINUTE: i64 = 29_000_000;

fn hash(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

fn erlangen() -> Place {
    Place {
        country_iso: Some("DE".to_owned()),
        country: Some("Germany".to_owned()),
        subdivision: Some("Bavaria".to_owned()),
        city: Some("Erlangen".to_owned()),
        latitude: Some(49.6),
        longitude: Some(11.0),
        ..Place::default()
    }
}

/// A torrent file of two files, and its hash.
fn torrent_file(name: &str, path: &str) -> (InfoHash, Vec<u8>) {
    let info = format!(
        "d5:filesld6:lengthi7e4:pathl{}:{path}eed6:lengthi3e4:pathl5:a.mkveee4:name{}:{name}e",
        path.len(),
        name.len()
    );
    let file = format!("d4:info{info}e").into_bytes();
    (Summary::of_file(&file).unwrap().infohash, file)
}

fn document(info_hash: InfoHash, name: &str, paths: &str) -> Document {
    Document {
        info_hash: Some(info_hash),
        name: name.to_owned(),
        paths: paths.to_owned(),
        files: 2,
        size: 1_500_000_000,
        at: Timestamp(MINUTE * 60_000),
        kinds: FileKind::Video.bit(),
        place: Some(erlangen()),
    }
}

/// An observatory that has ended: two minutes of records, and torrents.
struct Sky {
    folder: TempDir,
    /// Of the one in the archive.
    archived: InfoHash,
}

impl Sky {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (archived_hash, file) = torrent_file(EVIL, "<b>x</b>.pdf");
        let path = archived(folder.path(), archived_hash);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
        let mut index = SearchIndex::open(&folder.path().join(Files::INDEX)).unwrap();
        let mut documents = vec![
            document(archived_hash, EVIL, "<b>x</b>.pdf"),
            document(hash(1), "Linux one", "secret/kernel"),
            document(hash(2), "Linux forbidden", ""),
            document(hash(3), "Linux three", ""),
        ];
        let others = (0..60).map(|number| document(hash(100 + number), "Many linux", ""));
        documents.extend(others);
        index.put(&documents).unwrap();
        let mut store = Observatory::open(&folder.path().join(Files::STORE)).unwrap();
        store.store(&batch(archived_hash)).unwrap();
        Self {
            folder,
            archived: archived_hash,
        }
    }

    fn finished(&self, blocked: &str, hashes_only: bool) -> Site {
        let blocked = Blocked::parse(blocked).unwrap();
        let folder = self.folder.path().to_owned();
        let observed = Observed::finished(folder, blocked, hashes_only).unwrap();
        Site::new(Some(observed), self.folder.path())
    }
}

fn batch(info_hash: InfoHash) -> Batch {
    let mut batch = Batch::default();
    for minute in [MINUTE - 30, MINUTE] {
        let key = EventKey {
            minute,
            kind: "announce",
            country: Some(*b"DE"),
            info_hash: Some(info_hash),
        };
        batch.events.insert(key, 5);
        let place = PlaceKey {
            minute,
            ten_thousandths: (496_000, 110_000),
            country: "DE".to_owned(),
            subdivision: "Bavaria".to_owned(),
            city: "<i>Erlangen".to_owned(),
        };
        batch.places.insert(place, 5);
        batch.clients.insert((minute, "<u".to_owned()), 5);
    }
    batch.tallies.insert((MINUTE, "blocked"), 2);
    let at = Timestamp(MINUTE * 60_000);
    batch.swarms.push(SwarmRow {
        at,
        info_hash,
        seeds: 12.4,
        peers: 3456.0,
        responders: 8,
    });
    batch.networks.push(NetworkRow {
        at,
        family: "v4",
        nodes: 5_000_000.0,
        low: 4_000_000.0,
        high: 6_000_000.0,
        targets: 32,
        nearest: 8,
    });
    batch
}

/// All routes, asked without a network.
struct Site {
    router: Router,
}

struct Answer {
    status: u16,
    policy: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Site {
    fn new(observed: Option<Observed>, folder: &Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let config = Config::resolve(&Sources::default()).unwrap();
        let web = config.web();
        let settings = Settings {
            output: folder.to_owned(),
            ..config.settings(&Switches::default())
        };
        let tracking = Tracking::open(&web, &settings, None, Arc::clone(&clock)).unwrap();
        let tracking = Arc::new(tracking);
        let visits = Visits::new(&web, None, Arc::clone(&tracking));
        let access = Access::new("127.0.0.1:80".parse().unwrap(), Vec::new(), None);
        let studies = Studies::new(folder.to_owned());
        let app = App::new(access, &web, (tracking, visits, None, studies), clock);
        Self {
            router: routes(Arc::new(app.observing(observed))),
        }
    }

    fn ask(&self, path: &str, accept: &str) -> Answer {
        let request = Request::get(path)
            .header("host", "127.0.0.1")
            .header("accept", accept)
            .body(Body::empty())
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let service = TowerToHyperService::new(self.router.clone());
        runtime.block_on(async {
            let answer = service.call(request).await.unwrap();
            let policy = answer.headers()["content-security-policy"].to_str();
            let policy = policy.unwrap().to_owned();
            let status = answer.status().as_u16();
            let bytes = to_bytes(answer.into_body(), 64 << 20).await.unwrap();
            Answer {
                status,
                policy,
                text: String::from_utf8(bytes.to_vec()).unwrap(),
            }
        })
    }

    fn page(&self, path: &str) -> Answer {
        self.ask(path, "text/html,*/*")
    }

    fn program(&self, path: &str) -> Answer {
        self.ask(path, "*/*")
    }
}

#[test]
fn programs_find_what_they_found_in_2018() {
    let sky = Sky::new();
    let site = sky.finished("", false);
    let map = site.program("/reMap").json();
    let point = json!({"lat": 49.6, "lon": 11.0, "country": "DE"});
    let expected = json!({"coordinates": vec![point; 5], "torrents": 64});
    assert_eq!(map, expected);
    let hash = sky.archived.to_string().to_uppercase();
    let answer = site.program(&format!("/torrent/{hash}"));
    let expected = json!({
        "infohash": hash, "name": EVIL, "num_files": 2, "size": 10,
        "files": [{"size": 7, "path": ["<b>x</b>.pdf"]}, {"size": 3, "path": ["a.mkv"]}],
    });
    assert_eq!(answer.json(), expected);
    assert!(answer.text.starts_with("{\"infohash\":"), "{}", answer.text);
    // In the index only: no files are known.
    let three = site.program(&format!("/torrent/{}", self::hash(3)));
    assert_eq!(three.json()["num_files"], 2);
    assert_eq!(three.json()["files"], json!([]));
    for path in ["/torrent", "/torrent/", "/torrent/abc", "/torrent/%FF"] {
        assert_eq!(site.program(path).status, 400, "{path}");
    }
    let unknown = site.program(&format!("/torrent/{}", self::hash(99)));
    assert_eq!(unknown.status, 404);
    let found = site.program("/search?q=linux+three").json();
    let hit = &found["results"][0];
    let keys: Vec<&str> = hit
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for key in [
        "name",
        "infohash",
        "files",
        "size",
        "timestamp",
        "subdivision",
        "city",
        "country",
        "location",
        "score",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    assert_eq!(hit["location"], json!({"lat": 49.6, "lon": 11.0}));
    assert_eq!(hit["score"], 100.0);
}

#[test]
fn the_pages_show_what_there_is() {
    let sky = Sky::new();
    let site = sky.finished("", false);
    let map = site.page("/observatory").text;
    // 11 degrees east are 1910 tenths from the left, 49.6 north 344 from above.
    assert!(
        map.contains("class=\"spot heat2\" cx=\"1910\" cy=\"344\""),
        "{map}"
    );
    assert!(map.contains("data-figure=\"torrents\">64<"), "{map}");
    assert!(!map.contains("data-events"), "nothing happens any more");
    let statistics = site.page("/observatory/statistics?window=hour").text;
    for shown in [
        "5,000,000",
        "4,000,000 to 6,000,000",
        "<bdi>announce</bdi>",
        "&#60;i&#62;Erlangen, DE",
        "<bdi>&#60;u</bdi>",
        "id=\"records\">10<",
    ] {
        assert!(statistics.contains(shown), "{shown}: {statistics}");
    }
    let first = site.page("/search?q=linux").text;
    assert_eq!(first.matches("<li id=\"result").count(), 50);
    assert!(first.contains("Page 1 of 2"), "{first}");
    let second = site.page("/search?q=linux&page=2").text;
    assert_eq!(second.matches("<li id=\"result").count(), 14);
    assert!(second.contains("<li id=\"result51\">"), "{second}");
    let none = site.page("/search?q=nowhere").text;
    assert!(none.contains("<h2 id=\"none\">No results</h2>"), "{none}");
    let torrent = site.page(&format!("/torrent/{}", sky.archived)).text;
    for shown in [
        "12 + 3,456",
        "announce, last hour</dt><dd>10<",
        "#kind_pdf",
        "Erlangen, Bavaria, Germany",
    ] {
        assert!(torrent.contains(shown), "{shown}: {torrent}");
    }
}

#[test]
fn names_of_strangers_are_only_text() {
    let sky = Sky::new();
    let site = sky.finished("", false);
    let torrent = format!("/torrent/{}", sky.archived);
    for path in [
        torrent.as_str(),
        "/search?q=script+alert",
        "/search?q=%3Cscript%3Ealert(1)%3C/script%3E&country=%22%3E%3Cb",
        "/search?q=linux&kind=%22onfocus=alert(1)%20x=%22",
        "/observatory/statistics",
        "/observatory/statistics?window=%3Cscript%3Ealert(1)",
        "/torrent/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    ] {
        let answer = site.page(path);
        for evil in ["<script>alert", "<img src=x", "<b>x", "<i>", "\"onfocus"] {
            assert!(!answer.text.contains(evil), "{path}: {}", answer.text);
        }
        assert!(answer.policy.contains("script-src 'self';"), "{path}");
    }
    let found = site.page("/search?q=script+alert").text;
    assert!(found.contains("&#60;script&#62;alert(1)"), "{found}");
}

#[test]
fn what_is_blocked_is_nowhere() {
    let sky = Sky::new();
    let list = format!("{}\nforbidden\nsecret\nx\n", hash(3));
    let site = sky.finished(&list, false);
    let all = ["Linux one", "Linux forbidden", "Linux three", "alert(1)"];
    for page in 1..=2 {
        let path = format!("/search?q=linux&page={page}");
        for answer in [site.page(&path), site.program(&path)] {
            for name in all {
                assert!(!answer.text.contains(name), "{name}: {}", answer.text);
            }
        }
    }
    for hash in [hash(1), hash(2), hash(3), sky.archived] {
        let path = format!("/torrent/{hash}");
        assert_eq!(site.page(&path).status, 404);
        assert_eq!(site.program(&path).status, 404);
    }
    let shown = site.program(&format!("/torrent/{}", hash(100)));
    assert_eq!(shown.json()["name"], "Many linux");
}

#[test]
fn without_names_there_are_none() {
    let sky = Sky::new();
    let site = sky.finished("", true);
    for answer in [
        site.page("/search?q=linux"),
        site.program("/search?q=linux"),
    ] {
        assert_eq!(answer.status, 404);
        assert!(answer.text.contains("observe.hashes_only"));
        assert!(!answer.text.contains("Linux"), "{}", answer.text);
    }
    let path = format!("/torrent/{}", sky.archived);
    assert_eq!(site.program(&path).status, 404);
    let page = site.page(&path);
    assert_eq!(page.status, 200);
    assert!(page.text.contains("last hour</dt><dd>10<"), "{}", page.text);
    assert!(!page.text.contains("alert") && !page.text.contains("a.mkv"));
}

#[test]
fn wrong_and_huge_questions_are_answered() {
    let sky = Sky::new();
    let site = sky.finished("", false);
    let long = format!("/search?q={}", "x+".repeat(3_000));
    let words = format!("/search?q={}", "linux*+-".repeat(500));
    for (path, status) in [
        (long.as_str(), 200),
        (words.as_str(), 200),
        ("/search", 200),
        ("/search?q=%FF%00%22*)(", 200),
        ("/search?q=linux&page=0", 200),
        ("/search?q=linux&page=18446744073709551616", 200),
        ("/search?q=linux&page=-1", 200),
        ("/search?q=linux&min=99999999999999999999999", 400),
        ("/search?q=linux&min=18446744073709551615T", 400),
        ("/search?q=linux&since=99999999-01-01", 400),
        ("/search?q=linux&country=xyz", 400),
        ("/search?q=linux&kind=film", 400),
    ] {
        for answer in [site.page(path), site.program(path)] {
            assert_eq!(answer.status, status, "{path}: {}", answer.text);
        }
    }
}

#[test]
fn one_that_runs_shows_its_last_two_minutes() {
    let sky = Sky::new();
    let live: Arc<Live> = Arc::default();
    for _ in 0..3 {
        live.point(Timestamp(0), &erlangen());
    }
    Live::add(&live.lost, 4);
    let folder = sky.folder.path().to_owned();
    let observed = Observed::running(folder, Arc::clone(&live), Arc::default(), false);
    let site = Site::new(Some(observed), sky.folder.path());
    let state = site.program("/api/observatory").json();
    assert_eq!(state["cells"], json!([[49.6, 11.0, 3]]));
    assert_eq!(
        (&state["placed"], &state["live"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(state["figures"]["lost"], 4);
    assert_eq!(state["per_second"], 0.0);
    assert_eq!(state["countries"][0]["name"], "DE");
    assert_eq!(state["minutes"].as_array().unwrap().len(), 60);
    assert_eq!(state["minutes"][59]["announce"], 5);
    let map = site.program("/reMap").json();
    assert_eq!(map["coordinates"].as_array().unwrap().len(), 3);
    assert_eq!(map["torrents"], 64);
    let page = site.page("/observatory").text;
    assert!(page.contains("data-events=\"/observatory/events\""));
}

#[test]
fn without_an_observatory_every_page_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(None, folder.path());
    for path in [
        "/observatory",
        "/observatory/statistics",
        "/observatory/events",
        "/api/observatory",
        "/reMap",
        "/search?q=x",
        "/search?q=x&min=y",
        "/torrent/0000000000000000000000000000000000000000",
    ] {
        let answer = site.page(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains("btda observe"), "{}", answer.text);
    }
    let missing = folder.path().join("missing");
    assert!(Observed::finished(missing, Blocked::default(), false).is_err());
}

#[test]
fn a_reading_without_end_is_given_up() {
    use super::reading::within;
    use crate::web::job::Jobs;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (release, held) = crossbeam_channel::bounded::<()>(1);
    let jobs = Jobs::new();
    let given_up = runtime.block_on(within(
        &jobs,
        std::time::Duration::from_millis(20),
        move |_| {
            // It ends when the test does.
            let _ = held.recv();
            Ok(())
        },
    ));
    assert_eq!(
        given_up.unwrap_err().status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop(release);
}
