//! The pages of the observatory, as a browser has them: a small file is
//! replayed, and the map moves when more is heard.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use btda::torrent::summary::Summary;
use common::browser::Browser;
use common::openapi::Contract;
use common::page::{Page, agent, get, url_in};
use common::page_checks::check;
use common::process::{Process, isolated, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(90);

/// When the last record of the file was heard.
const END: i64 = 1_795_262_400_000;

/// A stranger's name for a torrent.
const EVIL: &str = "<img src=x onerror=document.title='taken'> linux";

/// An address in the file, and what must be nowhere.
const ADDRESS: &str = "198.51.100.77";

/// A torrent that nobody heard of, and a filter that makes no sense.
const NOWHERE: &str = "/torrent/00000000000000000000000000000000000000FF";
const WRONG: &str = "/search?q=linux&min=5X";

/// Places of the file: code, country, subdivision, city, latitude, longitude.
const PLACES: [(&str, &str, &str, &str, f64, f64); 12] = [
    ("DE", "Germany", "Bavaria", "Erlangen", 49.6, 11.0),
    ("DE", "Germany", "Berlin", "Berlin", 52.5, 13.4),
    ("US", "United States", "Texas", "Houston", 29.8, -95.4),
    ("BR", "Brazil", "Sao Paulo", "Sao Paulo", -23.5, -46.6),
    ("IN", "India", "Maharashtra", "Mumbai", 19.1, 72.9),
    ("JP", "Japan", "Tokyo", "Tokyo", 35.7, 139.7),
    ("FR", "France", "Ile-de-France", "Paris", 48.9, 2.4),
    ("GB", "United Kingdom", "England", "London", 51.5, -0.1),
    ("ZA", "South Africa", "Gauteng", "Johannesburg", -26.2, 28.0),
    ("AU", "Australia", "New South Wales", "Sydney", -33.9, 151.2),
    ("CA", "Canada", "Ontario", "Toronto", 43.7, -79.4),
    ("EG", "Egypt", "Cairo", "Cairo", 30.0, 31.2),
];

fn location(number: usize) -> Value {
    let (iso, country, subdivision, city, latitude, longitude) = PLACES[number % PLACES.len()];
    json!({
        "country_iso": iso, "country": country, "subdivision": subdivision, "city": city,
        "latitude": latitude, "longitude": longitude, "accuracy": 20,
    })
}

fn hash(number: usize) -> String {
    format!("{number:040X}")
}

fn heard(number: usize, at: i64) -> Value {
    let kind = ["get_peers", "get_peers", "announce"][number % 3];
    let (version, version_hex) = [("LT", "4C54"), ("UT", "5554")][number % 2];
    let mut record = json!({
        "type": kind, "v": 4, "infohash": hash(number % 40), "our_id": hash(7),
        "their_id": hash(1000 + number), "their_ip": ADDRESS, "timestamp": at,
        "version": version, "version_hex": version_hex,
        "location": location(number * number),
    });
    if kind == "announce" {
        record["is_seed"] = true.into();
    }
    record
}

fn resolved(number: usize, hash: &str, name: &str) -> Value {
    json!({
        "type": "resolve", "v": 4, "infohash": hash, "name": name, "our_id": self::hash(7),
        "timestamp": END - 50_000, "size": 1_000_000 * (number + 1), "files": 3, "num_peers": 2,
        "peers": [{"ip": ADDRESS, "last_send_time": 0, "last_seen": END, "location": location(number)}],
    })
}

/// A torrent with files of several kinds: its hash and its file.
fn torrent() -> (String, Vec<u8>) {
    let mut files = String::new();
    for name in [
        "a.jpg", "b.mkv", "c.flac", "d.epub", "e.zip", "f.pdf", "<b>g",
    ] {
        let _ = write!(
            files,
            "d6:lengthi700000e4:pathl6:folder{}:{name}ee",
            name.len()
        );
    }
    let info = format!("d5:filesl{files}e4:name{}:{EVIL}e", EVIL.len());
    let file = format!("d4:info{info}e").into_bytes();
    let hash = Summary::of_file(&file).unwrap().infohash;
    (hash.to_string().to_uppercase(), file)
}

/// An observatory that replays a file and then what it is told.
struct Observatory {
    process: Process,
    url: String,
    torrent: String,
}

impl Observatory {
    fn start(folder: &Path) -> Self {
        let (torrent, file) = torrent();
        let own = folder.join("observatory");
        fs::create_dir_all(own.join("torrents")).unwrap();
        fs::write(own.join(format!("torrents/{torrent}.torrent")), file).unwrap();
        let mut records: Vec<Value> = (0..600)
            .map(|number| {
                heard(
                    number,
                    END - 3_000_000 + 5_000 * i64::try_from(number).unwrap(),
                )
            })
            .collect();
        let names = ["Linux distribution", "Linux kernel", "A book on linux"];
        let many = (0..60).map(|number| resolved(number, &hash(100 + number), names[number % 3]));
        records.extend(many);
        records.push(resolved(0, &torrent, EVIL));
        records.sort_by_key(|record| record["timestamp"].as_i64());
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        fs::write(folder.join("records"), lines.join("\n")).unwrap();
        let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
        command
            .current_dir(folder)
            .args(["observe", "--replay", "records", "--replay", "-"])
            .args(["--web", "127.0.0.1:0", "--folder"])
            .arg(&own)
            .args(["--set", "storage.geolocation_database="]);
        let process = Process::spawn("observe", command, folder);
        let mut url = None;
        wait_until("the page says where it is", LIMIT, || {
            url = url_in(&fs::read_to_string(process.log()).unwrap_or_default());
            url.is_some()
        });
        Self {
            process,
            url: url.unwrap(),
            torrent,
        }
    }
}

/// Where pictures go for whoever wants to look at them.
fn picture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("observatory");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn a_browser_sees_the_dht() {
    let folder = tempfile::tempdir().unwrap();
    let mut observatory = Observatory::start(folder.path());
    let url = observatory.url.clone();
    let mut browser = Browser::start(1100, 800);
    browser.open(&format!("{url}/observatory"));
    browser.wait_for(
        "the whole file",
        "return document.getElementById('connection').textContent === 'Live'
            && document.querySelectorAll('#cells .spot').length === 12
            && document.querySelector('[data-figure=torrents]').textContent === '61'",
    );
    // A mark that a reload would wipe away.
    browser.script("window.loaded = 'once'", &[]);
    let mut more = heard(0, END + 15_000);
    more["location"] = json!({"country_iso": "IS", "latitude": 64.1, "longitude": -21.9});
    for _ in 0..40 {
        observatory.process.tell(&more.to_string());
    }
    browser.wait_for(
        "records from Iceland",
        "return [...document.querySelectorAll('#cells .spot')].some((it) => it.getAttribute('cx') === '1581')
            && [...document.querySelectorAll('#countries th')].some((it) => it.textContent === 'Iceland')",
    );
    assert_eq!(browser.script("return window.loaded", &[]), "once");
    look_at_all(&browser, &observatory);
    find_on_the_map(&browser, &url);
    let requests = browser.requests();
    // The icons of its own fields, Chromium has as data.
    let ours = |it: &String| it.starts_with(&url) || it.starts_with("data:");
    assert!(requests.iter().all(ours), "{requests:?}");
    let events = requests.iter().filter(|it| it.ends_with("/events"));
    assert!(events.count() >= 1, "{requests:?}");
    // Of its own account, a browser complains of an error's status.
    let mut complaints = browser.complaints();
    complaints.retain(|it| !it.contains(NOWHERE) && !it.contains(WRONG));
    assert_eq!(complaints, [""; 0]);
    read_as_programs_do(&observatory);

    // Standard input is being read, and nobody closes it.
    browser.open(&format!("{url}/observatory"));
    observatory.process.interrupt();
    let ended = observatory.process.wait(LIMIT);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    browser.wait_for(
        "the break",
        "return document.getElementById('connection').className === 'broken'",
    );
    drop(browser);
    look_into_the_folder(&observatory, folder.path());
}

fn look_at_all(browser: &Browser, observatory: &Observatory) {
    let torrent = format!("/torrent/{}", observatory.torrent);
    let pages = [
        ("torrent", torrent.as_str()),
        (
            "unarchived",
            "/torrent/0000000000000000000000000000000000000065",
        ),
        ("nothing", NOWHERE),
        ("form", "/search"),
        ("wrong", WRONG),
        ("none", "/search?q=nowhere"),
        ("search", "/search?q=linux"),
        ("statistics", "/observatory/statistics?window=hour"),
        ("map", "/observatory"),
    ];
    for (width, scheme) in [(1100, "light"), (360, "dark")] {
        browser.resize(width, 800);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", &media);
        for (name, path) in pages {
            browser.open(&format!("{}{path}", observatory.url));
            check(browser, &format!("{name} {width} {scheme}"));
            browser.screenshot(&picture(&format!("{name}-{width}-{scheme}.png")));
        }
    }
    browser.resize(1100, 800);
}

/// From the form to a point of the map, to its result, to the torrent.
fn find_on_the_map(browser: &Browser, url: &str) {
    browser.open(&format!("{url}/search"));
    browser.element("#q").type_in("onerror");
    browser.follow("form.search button");
    assert_eq!(browser.element("#matches").text(), "1");
    assert_eq!(browser.elements("#by_country .slice").len(), 1);
    browser.element(".marker").click();
    let popup = browser.element("#popup");
    assert!(popup.is_shown());
    let told = popup.text();
    for part in [EVIL, "Erlangen, Bavaria, Germany", "1.0 MB", "3 files"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    browser.follow("#popup a");
    assert_eq!(browser.element("h1").text(), EVIL);
    assert_eq!(
        browser.script("return document.title", &[]),
        format!("{EVIL} - btda")
    );
    assert_eq!(browser.elements("#files tr").len(), 7);
    assert_eq!(browser.elements("#files [aria-label=video]").len(), 1);
    assert_eq!(browser.elements(".kinds_list li").len(), 7);
}

fn read_as_programs_do(observatory: &Observatory) {
    let agent = agent();
    let url = &observatory.url;
    let contract = Contract::new(get(&agent, &format!("{url}/openapi.json")).json());
    let torrent = format!("/torrent/{}", observatory.torrent);
    for (path, promised) in [
        ("/reMap", "/reMap"),
        ("/api/observatory", "/api/observatory"),
        ("/search?q=linux", "/search"),
        ("/search?q=linux&kind=film", "/search"),
        (torrent.as_str(), "/torrent/{infohash}"),
        ("/torrent/x", "/torrent/{infohash}"),
        (NOWHERE, "/torrent/{infohash}"),
        ("/torrent", "/torrent"),
    ] {
        let answer = get(&agent, &format!("{url}{path}"));
        contract.check("get", promised, &answer);
        assert!(!answer.text.contains(ADDRESS), "{path}");
    }
    let found = get(&agent, &format!("{url}/search?q=linux&page=2")).json();
    assert_eq!(found["matches"], 61);
    assert_eq!(found["results"].as_array().unwrap().len(), 11);
    let state = get(&agent, &format!("{url}/api/observatory")).json();
    assert_eq!(state["figures"]["records"], 701, "{state:#}");
}

/// The same pages of what was left, without an observatory.
fn look_into_the_folder(observatory: &Observatory, folder: &Path) {
    fs::create_dir_all(folder.join("input")).unwrap();
    fs::write(folder.join("input/block"), "distribution\n").unwrap();
    let page = Page::serve(
        folder,
        &["observatory", "--set", "observe.block_file=block"],
    );
    let state = page.get("/api/observatory").json();
    assert_eq!(
        (&state["live"], &state["figures"]),
        (&json!(false), &Value::Null)
    );
    assert!(!state["cells"].as_array().unwrap().is_empty());
    let map = page.get("/reMap").json();
    assert!(!map["coordinates"].as_array().unwrap().is_empty());
    let found = page.get("/search?q=linux").text;
    assert!(found.contains("Linux kernel") && !found.contains("Linux distribution"));
    let torrent = page
        .get(&format!("/torrent/{}", observatory.torrent))
        .json();
    assert_eq!(torrent["num_files"], 7);
    // Plain addresses were read; none was written.
    for entry in walkdir::WalkDir::new(folder.join("observatory")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let has = bytes
                .windows(ADDRESS.len())
                .any(|it| it == ADDRESS.as_bytes());
            assert!(!has, "{}", entry.path().display());
        }
    }
    page.stop();
}
