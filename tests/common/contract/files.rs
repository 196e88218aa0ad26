//! Rules 1 and 12 to 14: the files beside the database and its state.

use std::collections::BTreeSet;

use super::{Findings, FinishedRun, beside, read};

const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

pub(super) fn check(run: &FinishedRun, findings: &mut Findings) {
    check_state(run, findings);
    check_log(run, findings);
    check_manifest(run, findings);
    check_errors(run, findings);
}

/// The two error files.
pub(super) fn check_errors(run: &FinishedRun, findings: &mut Findings) {
    check_text("peer error file", &run.peer_errors, findings);
    check_text("tracker error file", &run.tracker_errors, findings);
    check_peer_errors(run, findings);
    check_tracker_results(run, findings);
}

fn check_state(run: &FinishedRun, findings: &mut Findings) {
    let mode: String = run
        .database
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .expect("a database has a journal mode");
    findings.expect(mode == "delete", || format!("journal mode is {mode}"));
    for suffix in [".sqlite-wal", ".sqlite-shm", ".sqlite-journal"] {
        let left = beside(&run.path, suffix);
        findings.expect(!left.exists(), || format!("{suffix} was left behind"));
    }
}

fn check_log(run: &FinishedRun, findings: &mut Findings) {
    for line in read(&beside(&run.path, ".log")).lines() {
        let alarming = line.contains("ERROR") || line.contains("CRITICAL");
        findings.expect(!alarming, || format!("log: {line}"));
        let head = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("] "));
        let level = head.and_then(|(head, _)| head.split(':').nth(1));
        let known = level.is_some_and(|level| LEVELS.contains(&level));
        findings.expect(known, || format!("log line of another form: {line}"));
    }
}

fn check_manifest(run: &FinishedRun, findings: &mut Findings) {
    let text = read(&beside(&run.path, "_run.json"));
    let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
    let good = value.is_ok_and(|value| value.is_object());
    findings.expect(good, || "_run.json is no JSON object".to_owned());
}

fn check_text(name: &str, text: &str, findings: &mut Findings) {
    let blank = text.lines().any(|line| line.trim().is_empty()) || text.contains('\r');
    findings.expect(!blank, || format!("{name} has an empty line or a CR"));
    findings.expect(!text.contains('\0'), || format!("{name} has a NUL"));
}

fn check_peer_errors(run: &FinishedRun, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for line in run.peer_errors() {
        let (event, reason) = (line.event, line.reason);
        let known = ["First contact", "Later contact", "Incoming peer"].contains(&event);
        findings.expect(known, || format!("unknown event in error file: {event}"));
        let plain = !reason.is_empty() && !reason.contains('"');
        findings.expect(plain, || format!("odd reason in error file: {reason}"));
        findings.expect(line.count >= 0, || format!("{event}: {reason} below 0"));
        let new = seen.insert((event, reason));
        findings.expect(new, || format!("two lines of {event}: {reason}"));
    }
}

fn check_tracker_results(run: &FinishedRun, findings: &mut Findings) {
    let torrents = run.number("SELECT count(*) FROM torrent");
    let mut seen = BTreeSet::new();
    for line in run.tracker_results() {
        let (call, success) = match line.result.as_str() {
            "announce success" | "scrape success" => (true, true),
            "announce fail" | "scrape fail" => (true, false),
            _ => (false, false),
        };
        let result = &line.result;
        findings.expect(call, || format!("unknown result of a tracker: {result}"));
        let fits = line.reason.is_empty() == success;
        findings.expect(fits, || format!("{result} with reason {:?}", line.reason));
        let known = (1..=torrents).contains(&line.torrent);
        findings.expect(known, || format!("unknown torrent {}", line.torrent));
        let key = (line.torrent, line.url, line.result, line.reason);
        let text = format!("{key:?}");
        findings.expect(seen.insert(key), || format!("two lines of {text}"));
    }
}
