//! The sums between tables and error files. Numbers as in the contract; sum
//! 5 is among the rules for tables, sum 7 in `combine`.

use super::{Findings, FinishedRun, Waiting};

pub(super) fn check(run: &FinishedRun, waiting: Waiting, findings: &mut Findings) {
    check_unique_addresses(run, waiting, findings);
    for torrent in 1..=run.number("SELECT count(*) FROM torrent") {
        check_announces(run, torrent, findings);
        check_scrapes(run, torrent, findings);
    }
    check_callers(run, findings);
    check_contacts(run, findings);
    check_evidence(run, findings);
}

/// What holds at each commit, so also for a run that was killed.
///
/// Exact: sum 2, for an announce and its count are one record and a record is
/// never divided; `visits` of a peer are its rows in `visit`; every row of
/// ours has its peer or request. (Sums 5 and 7 are among the other rules.)
///
/// Bounds: sum 3, because the last scrape of each torrent may have been
/// stored without its announce; sums 4 and 6, because callers and totals are
/// told at ticks. Nothing is left of sum 1: who waits for a first contact is
/// known to memory only.
pub(super) fn check_interrupted(run: &FinishedRun, findings: &mut Findings) {
    for torrent in 1..=run.number("SELECT count(*) FROM torrent") {
        check_announces(run, torrent, findings);
        check_scrapes_within(run, torrent, 1, findings);
    }
    for (rule, rows) in NONE_AT_ANY_COMMIT {
        let number = run.number(&format!("SELECT count(*) FROM {rows}"));
        findings.expect(number == 0, || format!("{number} rows break: {rule}"));
    }
    let visits = run.number("SELECT sum(visits) FROM peer WHERE source = 'incoming'");
    let received = run.number("SELECT sum(received_peers) FROM request WHERE source = 'incoming'");
    findings.expect(received <= visits, || {
        format!("sum 4: {visits} visits of callers, {received} in request rows")
    });
    let callers = run.number("SELECT count(*) FROM peer WHERE source = 'incoming'");
    let unique = last_statistic(run, "unique_incoming");
    findings.expect(unique <= callers, || {
        format!("sum 6: {callers} callers, unique_incoming {unique}")
    });
    let visits = run.number("SELECT sum(visits) FROM peer WHERE source <> 'incoming'");
    let success = last_statistic(run, "success_active");
    findings.expect(success <= visits, || {
        format!("sum 6: {visits} visits of contacted peers, success_active {success}")
    });
}

/// Rows that exist at no commit, because their record was stored as a whole.
const NONE_AT_ANY_COMMIT: [(&str, &str); 4] = [
    (
        "visits are counted by rows",
        "peer WHERE visits <> (SELECT count(*) FROM visit WHERE visit.peer = peer.id)",
    ),
    (
        "each visit and crossing has its peer",
        "(SELECT peer FROM visit UNION SELECT peer FROM crossing) AS ours
         WHERE ours.peer NOT IN (SELECT id FROM peer)",
    ),
    (
        "each announce has its request",
        "announce WHERE request NOT IN (SELECT id FROM request WHERE source = 'tracker')",
    ),
    (
        "each request of a tracker has its announce",
        "request WHERE source = 'tracker' AND id NOT IN (SELECT request FROM announce)",
    ),
];

/// Addresses that were named, each once.
const UNIQUE: &str = "SELECT sum(received_peers - duplicate_peers) FROM
       (SELECT received_peers, duplicate_peers FROM request WHERE source <> 'incoming'
        UNION ALL SELECT received_peers, duplicate_peers FROM exchange)";

/// Sum 1. Addresses that still wait and were never tried are part of the
/// last `peer_queue`; addresses waiting for a revisit are another part, so
/// the queue is only an upper limit for the former.
fn check_unique_addresses(run: &FinishedRun, waiting: Waiting, findings: &mut Findings) {
    let unique = run.number(UNIQUE);
    let errors: i64 = run
        .peer_errors()
        .filter(|line| line.event == "First contact")
        .map(|line| line.count)
        .sum();
    let rows = run.number("SELECT count(*) FROM peer WHERE source <> 'incoming'");
    let most = match waiting {
        Waiting::Nobody => 0,
        Waiting::Possibly => last_statistic(run, "peer_queue"),
    };
    let left = unique - errors - rows;
    findings.expect((0..=most).contains(&left), || {
        format!(
            "sum 1: {unique} unique addresses, {errors} first-contact errors, {rows} rows, \
             {most} waiting at most"
        )
    });
}

/// Each address is in one class of evidence: those that were named, and callers,
/// of whom some were named too. What has rows can be counted in them.
fn check_evidence(run: &FinishedRun, findings: &mut Findings) {
    let unique = run.number(UNIQUE);
    let callers = run.number("SELECT count(*) FROM peer WHERE source = 'incoming'");
    let named_too: i64 = run
        .peer_errors()
        .filter(|line| line.event == "First contact" && line.reason == "Already in incoming")
        .map(|line| line.count)
        .sum();
    let told = "FROM visit WHERE bitfield + have + have_all + have_none > 0";
    let told = run.number(&format!("SELECT count(DISTINCT peer) {told}"));
    let crossed = run.number("SELECT count(DISTINCT peer) FROM crossing");
    let rows = run.number("SELECT count(*) FROM peer");
    for (what, wanted, classes) in [
        ("addresses", unique + callers - named_too, "TRUE"),
        (
            "peers that told pieces",
            told,
            "class IN ('progress seen', 'crossing seen')",
        ),
        ("peers that crossed", crossed, "class = 'crossing seen'"),
    ] {
        let sql = format!("SELECT coalesce(sum(addresses), 0) FROM evidence WHERE {classes}");
        let counted = run.number(&sql);
        findings.expect(counted == wanted, || {
            format!("evidence: {wanted} {what}, but {counted} in the table")
        });
    }
    let above = run.number(
        "SELECT coalesce(sum(addresses), 0) FROM evidence WHERE class NOT IN ('listed', 'answered')",
    );
    findings.expect(above >= rows, || {
        format!("evidence: {rows} peers, but {above} addresses with a handshake")
    });
}

/// Sum 2.
fn check_announces(run: &FinishedRun, torrent: i64, findings: &mut Findings) {
    let successes = count(run, torrent, "announce success", None);
    let rows = run.number(&format!(
        "SELECT count(*) FROM request WHERE source = 'tracker' AND torrent = {torrent}"
    ));
    findings.expect(successes == rows, || {
        format!("sum 2, torrent {torrent}: {successes} announces, {rows} rows")
    });
}

/// Sum 3, for the main tracker, the only one whose figures are columns. A
/// scrape whose announce failed leaves no row, so failed announces are the
/// most that may be missing.
fn check_scrapes(run: &FinishedRun, torrent: i64, findings: &mut Findings) {
    check_scrapes_within(run, torrent, 0, findings);
}

/// The same, with so many announces under way.
fn check_scrapes_within(run: &FinishedRun, torrent: i64, open: i64, findings: &mut Findings) {
    let sql = "SELECT announce_url FROM torrent WHERE id = ?1";
    let urls = run.database.query_row(sql, [torrent], |row| row.get(0));
    // A gap in the ids is a broken rule of its own.
    let urls: String = urls.unwrap_or_default();
    let main = urls.split(',').next();
    let scraped = count(run, torrent, "scrape success", main);
    let failed = count(run, torrent, "announce fail", main);
    let rows = run.number(&format!(
        "SELECT count(*) FROM request WHERE completed IS NOT NULL AND torrent = {torrent}"
    ));
    let possible = scraped - failed - open..=scraped;
    findings.expect(possible.contains(&rows), || {
        format!(
            "sum 3, torrent {torrent}: {scraped} scrapes and {failed} failed announces of the \
             main tracker, {rows} rows with completed"
        )
    });
}

/// Sum 4, and the first half of sum 6.
fn check_callers(run: &FinishedRun, findings: &mut Findings) {
    let visits = run.number("SELECT sum(visits) FROM peer WHERE source = 'incoming'");
    let received = run.number("SELECT sum(received_peers) FROM request WHERE source = 'incoming'");
    findings.expect(visits == received, || {
        format!("sum 4: {visits} visits of callers, {received} in request rows")
    });
    let rows = run.number("SELECT count(*) FROM peer WHERE source = 'incoming'");
    let unique = last_statistic(run, "unique_incoming");
    findings.expect(rows == unique, || {
        format!("sum 6: {rows} callers, unique_incoming {unique}")
    });
}

/// The second half of sum 6.
fn check_contacts(run: &FinishedRun, findings: &mut Findings) {
    let visits = run.number("SELECT sum(visits) FROM peer WHERE source <> 'incoming'");
    let success = last_statistic(run, "success_active");
    findings.expect(visits == success, || {
        format!("sum 6: {visits} visits of contacted peers, success_active {success}")
    });
}

fn last_statistic(run: &FinishedRun, column: &str) -> i64 {
    run.number(&format!(
        "SELECT {column} FROM statistic ORDER BY id DESC LIMIT 1"
    ))
}

/// Counts of the tracker error file, of one tracker or of all.
fn count(run: &FinishedRun, torrent: i64, result: &str, url: Option<&str>) -> i64 {
    run.tracker_results()
        .iter()
        .filter(|line| line.torrent == torrent && line.result == result)
        .filter(|line| url.is_none_or(|url| line.url == url))
        .map(|line| line.count)
        .sum()
}
