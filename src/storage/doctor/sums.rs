//! The sums between tables and error files: section 11 of the output contract
//! with the scripts of 2015, numbers 1 to 4 and 6. (5 is among the rules, 7 is
//! what `btda combine` is tested by.)
//!
//! Exact for a run that came to its end. One that was killed has told callers
//! and totals at its last tick, so there a bound is left. The runs of 2015
//! stored their last tick before their last visits.

use super::beside::Errors;
use super::kind::Kind;
use super::{Findings, Run};

pub(super) fn check(run: &Run<'_>, findings: &mut Findings) -> rusqlite::Result<()> {
    if let Some(errors) = Errors::of(run)? {
        check_addresses(run, &errors, findings)?;
        check_trackers(run, &errors, findings)?;
    } else {
        findings.notice(
            "error files",
            "the error files are not beside the database: sums 1 to 3 of the contract were not checked",
        );
    }
    let callers = "FROM peer WHERE source = 'incoming'";
    let visits = run.number(&format!("SELECT sum(visits) {callers}"))?;
    let received =
        run.number("SELECT sum(received_peers) FROM request WHERE source = 'incoming'")?;
    let told = ("incoming in request", received);
    expect(run, "sum 4", ("visits of callers", visits), told, findings);
    let rows = run.number(&format!("SELECT count(*) {callers}"))?;
    let told = ("unique_incoming", last(run, "unique_incoming")?);
    expect(run, "sum 6", ("callers", rows), told, findings);
    let visits = run.number("SELECT sum(visits) FROM peer WHERE source <> 'incoming'")?;
    let told = ("success_active", last(run, "success_active")?);
    let visits = ("visits of contacted peers", visits);
    expect(run, "sum 6", visits, told, findings);
    Ok(())
}

/// The value of the last row of `statistic`, of all machines together.
fn last(run: &Run<'_>, column: &str) -> rusqlite::Result<i64> {
    if run.kind == Kind::Combined {
        return run.number(&format!(
            "SELECT sum(most) FROM (SELECT max({column}) AS most FROM statistic GROUP BY vm)"
        ));
    }
    run.number(&format!("SELECT max({column}) FROM statistic"))
}

/// `stored` must be `told`, or no less for a run that did not come to its end.
fn expect(
    run: &Run<'_>,
    sum: &'static str,
    (what, stored): (&str, i64),
    (whom, told): (&str, i64),
    findings: &mut Findings,
) {
    if stored == told || !run.is_finished() && told <= stored {
        return;
    }
    let text = format!("{stored} {what}, but {told} {whom}");
    // 0.1 % was seen in the runs of the thesis; combined ones may be of 2015.
    let close = stored.abs_diff(told) <= stored.unsigned_abs() / 200;
    if run.kind != Kind::Btda && close {
        findings.notice(
            sum,
            format!("{text} (what came after the last tick of 2015)"),
        );
    } else {
        findings.problem(sum, text);
    }
}

/// Addresses that only peers named; databases of 2015 and of earlier versions
/// know none.
fn exchanged(run: &Run<'_>) -> rusqlite::Result<i64> {
    let there = run.number("SELECT count(*) FROM sqlite_schema WHERE name = 'exchange'")?;
    if there == 0 {
        return Ok(0);
    }
    run.number("SELECT sum(received_peers - duplicate_peers) FROM exchange")
}

/// Sum 1.
fn check_addresses(
    run: &Run<'_>,
    errors: &Errors,
    findings: &mut Findings,
) -> rusqlite::Result<()> {
    let unique = run.number(
        "SELECT sum(received_peers - duplicate_peers) FROM request WHERE source <> 'incoming'",
    )? + exchanged(run)?;
    let failed = errors.first_contacts();
    let rows = run.number("SELECT count(*) FROM peer WHERE source <> 'incoming'")?;
    let left = unique - failed - rows;
    let waiting = run.facts.value("addresses_never_contacted");
    let waiting: Option<i64> = waiting.and_then(|count| count.parse().ok());
    let fits = match (run.is_finished(), waiting) {
        // How many wait is known to memory only.
        (false, _) => true,
        (true, Some(waiting)) => left == waiting,
        (true, None) if run.kind == Kind::Combined => left >= 0,
        (true, None) => left == 0,
    };
    if !fits {
        let text = format!(
            "{unique} unique addresses, but {failed} first contacts that failed, {rows} peers and {} that were never contacted",
            waiting.unwrap_or(0)
        );
        if run.kind == Kind::Thesis2015 {
            findings.problem(
                "sum 1",
                format!("{text}; statements may be lost, see its log"),
            );
        } else {
            findings.problem("sum 1", text);
        }
    }
    Ok(())
}

/// Sums 2 and 3.
fn check_trackers(run: &Run<'_>, errors: &Errors, findings: &mut Findings) -> rusqlite::Result<()> {
    let mut query = run.database.prepare(
        "SELECT torrent.id, announce_url,
           (SELECT count(*) FROM request WHERE source = 'tracker' AND torrent = torrent.id),
           (SELECT count(*) FROM request WHERE completed IS NOT NULL AND torrent = torrent.id)
         FROM torrent ORDER BY torrent.id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (torrent, urls): (i64, String) = (row.get(0)?, row.get(1)?);
        let (answers, with_figures): (i64, i64) = (row.get(2)?, row.get(3)?);
        let announces = errors.tracker(torrent, "announce success", None);
        if announces != answers {
            findings.problem(
                "sum 2",
                format!("torrent {torrent}: {announces} announces were answered, but request has {answers} rows of trackers"),
            );
        }
        let main = urls.split(',').next();
        let scrapes = errors.tracker(torrent, "scrape success", main);
        let failed = errors.tracker(torrent, "announce fail", main);
        let open = i64::from(!run.is_finished());
        if !(scrapes - failed - open..=scrapes).contains(&with_figures) {
            findings.problem(
                "sum 3",
                format!("torrent {torrent}: its main tracker answered {scrapes} scrapes and failed {failed} announces, but request has {with_figures} rows with completed"),
            );
        }
    }
    Ok(())
}
