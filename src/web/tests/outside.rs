//! Text from outside stays text: on pages, in files, in metrics.

use super::*;
use crate::model::{InfoHash, Timestamp};
use crate::storage::history::{FILE, History, TrackEntry, TrackedPeer};

/// Breaks out of text, attributes, lines and cells where it is not escaped.
const BAD: &str = "x\"'><script>alert(1)</script>\n=evil{} 1\n</title><img src=x onerror=alert(2)>";

/// A result file with bad text wherever somebody else had a say.
fn bad_results(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let tables = include_str!("../../storage/schema/1.sql");
    connection.execute_batch(tables).unwrap();
    let say = |statement: &str| connection.execute(statement, [BAD]).unwrap();
    say("INSERT INTO torrent VALUES (1, ?1, x'00', '00', 9, 9, 9, ?1, ?1, 1.0)");
    say("INSERT INTO peer VALUES (1, ?1, ?1, ?1, 1.0, 1.0, 1, 9, 1, 2, 1.0, 2, 'tracker', 1)");
    say("INSERT INTO crossing SELECT 1, 1, 1, 1, 2, 9 WHERE ?1 != ''");
    say("INSERT INTO outcome VALUES (1, 1, ?1, ?1, 1)");
    say("INSERT INTO tracker_result VALUES (1, ?1, 'announce success', ?1, 1)");
    say("INSERT INTO tracker_result VALUES (1, 'http://t.example/' || ?1, 'announce fail', ?1, 1)");
    say("INSERT OR REPLACE INTO run (key, value) VALUES (?1, ?1)");
}

fn watching_bad_results() -> (Served, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("run\"'><script>alert(3)<.sqlite");
    bad_results(&database);
    let watched = Watched {
        database,
        board: None,
    };
    let page = Served::watching(limits(), None, Router::new(), Some(watched));
    (page, folder)
}

/// Scripts of a page are those that we put there.
fn assert_harmless(path: &str, answer: &str) {
    assert_eq!(status(answer), "200", "{path}: {answer}");
    let ours = answer.matches("<script src=\"/assets/").count();
    assert_eq!(answer.matches("<script").count(), ours, "{path}: {answer}");
    assert!(!answer.contains("<img src=x"), "{path}: {answer}");
    assert!(!answer.contains("\"'>"), "{path}: {answer}");
}

#[test]
fn nothing_stored_becomes_script() {
    let (page, _folder) = watching_bad_results();
    let history = History::open(&page.folder.path().join(FILE), 10, None).unwrap();
    // An entry shows its error or its peers.
    for error in [None, Some(BAD.to_owned())] {
        let entry = TrackEntry {
            id: 0,
            at: Timestamp(1),
            info_hash: InfoHash::new([7; 20]),
            tracker_url: BAD.to_owned(),
            peer_count: 0,
            interval: 0,
            complete: 0,
            incomplete: 0,
            downloaded: 0,
            error,
            next: Timestamp(0),
            peers: vec![TrackedPeer {
                ip: BAD.to_owned(),
                port: 1,
                country: Some(BAD.to_owned()),
                client: Some(BAD.to_owned()),
                visit: None,
            }],
        };
        history.add(&entry).unwrap();
    }
    let report = page.folder.path().join("a\"'><script>alert(4)_report");
    std::fs::create_dir(&report).unwrap();
    std::fs::write(report.join("report.html"), "").unwrap();
    let bad: String = url::form_urlencoded::byte_serialize(BAD.as_bytes()).collect();
    let swarm = format!(
        "/reports/swarm?info_hash={}&tracker_url={bad}",
        InfoHash::new([7; 20])
    );
    for (path, shows) in [
        ("/watch", "alert(1)"),
        ("/watch", "alert(3)"),
        ("/watch/torrents/1", "alert(1)"),
        ("/watch/trackers/1", "alert(1)"),
        ("/watch/trackers/2", "(unusable)"),
        ("/reports", "alert(1)"),
        (&swarm[..], "alert(1)"),
        ("/studies", "alert%284%29"),
    ] {
        let answer = page.ask(&format!("GET {path}"), &[], "");
        assert!(answer.contains("text/html"), "{path}: {answer}");
        assert!(answer.contains(shows), "{path} shows it: {answer}");
        assert_harmless(path, &answer);
    }
    for path in ["/api/watch", "/api/reports", "/events"] {
        let mut stream = page.connect();
        let text = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", page.address);
        stream.write_all(text.as_bytes()).unwrap();
        let mut begun = [0; 1024];
        let length = stream.read(&mut begun).unwrap();
        let head = String::from_utf8_lossy(&begun[..length]).into_owned();
        // No browser takes these for a page.
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(!head.contains("text/html"), "{head}");
    }
}

#[test]
fn nothing_asked_for_becomes_script() {
    let page = page();
    let bad: String = url::form_urlencoded::byte_serialize(BAD.as_bytes()).collect();
    for path in [
        format!("/reports?q={bad}&state={bad}&page={bad}"),
        format!("/?{bad}"),
        format!("/watch?q={bad}"),
        format!("/studies?q={bad}"),
    ] {
        assert_harmless(&path, &page.ask(&format!("GET {path}"), &[], ""));
    }
    // Errors are JSON, and have nothing of what was asked for.
    for path in [
        format!("/{bad}"),
        format!("/watch/torrents/{bad}"),
        format!("/studies/{bad}_report/report.html"),
        format!("/reports/chart.svg?info_hash={bad}"),
    ] {
        let answer = page.ask(&format!("GET {path}"), &[], "");
        assert!(
            answer.contains("content-type: application/json"),
            "{answer}"
        );
        assert!(!answer.contains("script>"), "{answer}");
    }
}

#[test]
fn a_metric_is_one_line() {
    let (page, _folder) = watching_bad_results();
    let answer = page.ask("GET /metrics", &[], "");
    let (_, metrics) = answer.split_once("\r\n\r\n").unwrap();
    assert!(metrics.contains("evil"), "the names are there: {metrics}");
    for line in metrics.lines() {
        assert!(line.starts_with('#') || line.starts_with("btda_"), "{line}");
        assert!(!line.starts_with("=evil"), "{line}");
    }
}

#[test]
fn no_search_becomes_script() {
    let page = page();
    let bad: String = url::form_urlencoded::byte_serialize(BAD.as_bytes()).collect();
    for path in [
        format!("/search?q={bad}&page={bad}"),
        format!("/torrent/{bad}"),
        format!("/observatory?{bad}={bad}"),
        format!("/observatory/statistics?{bad}={bad}"),
        format!("/api/observatory?{bad}={bad}"),
        format!("/visits/{bad}"),
    ] {
        let answer = page.ask(&format!("GET {path}"), &[], "");
        assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
        assert!(!answer.contains("<script>"), "{path}: {answer}");
        assert!(!answer.contains("<img src=x"), "{path}: {answer}");
    }
}

/// What is put into the observatory's pages as it is: parts that are templates
/// of their own, and escape (`observatory/parts.rs`).
const PARTS: [&str; 9] = [
    "map",
    "chart",
    "countries",
    "cities",
    "clients",
    "kinds",
    "resolved",
    "outcome.countries",
    "outcome.cities",
];

/// Our templates and scripts never take text for anything else.
#[test]
fn templates_escape_and_scripts_build_no_markup() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let mut seen = 0;
    for folder in ["pages", "assets"] {
        for entry in walkdir::WalkDir::new(web.join(folder)) {
            let path = entry.unwrap().into_path();
            let ending = path.extension().unwrap_or_default();
            let forbidden: &[&str] = if ending == "html" {
                // An event handler or style of its own would need a weaker policy.
                &[
                    "|safe",
                    "| safe",
                    "autoescape",
                    "|escape(",
                    " onclick",
                    " onload",
                    " style=",
                    "javascript:",
                    "<style",
                ]
            } else if ending == "js" {
                &[
                    "innerHTML",
                    "outerHTML",
                    "insertAdjacentHTML",
                    "document.write",
                    "eval(",
                    "Function(",
                    "srcdoc",
                    "http://",
                    "https://",
                    "localStorage",
                ]
            } else {
                continue;
            };
            let text = std::fs::read_to_string(&path).unwrap();
            // The name of a kind of elements, which nobody loads.
            let mut text = text.replace("http://www.w3.org/2000/svg", "");
            for part in PARTS {
                text = text.replace(&format!("{{{{ {part}|safe }}}}"), "");
            }
            for word in forbidden {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
            if ending == "html" {
                let scripts = text.matches("<script").count();
                assert_eq!(
                    scripts,
                    text.matches("<script src=\"/assets/").count(),
                    "{}",
                    path.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} files");
}
