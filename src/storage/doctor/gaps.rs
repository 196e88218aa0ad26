//! Times in which nothing was measured: pauses between two rows of
//! `statistic`, and a clock that was set.

use super::{Findings, Run};
use crate::model::Timestamp;

pub(super) fn check(run: &Run<'_>, findings: &mut Findings) -> rusqlite::Result<()> {
    let machines: Vec<i64> = if run.kind == super::Kind::Combined {
        let mut query = run
            .database
            .prepare("SELECT DISTINCT vm FROM statistic ORDER BY vm")?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    } else {
        vec![0]
    };
    for machine in machines {
        let (of, whose) = match machine {
            0 => (String::new(), String::new()),
            vm => (format!(" WHERE vm = {vm}"), format!(" (machine {vm})")),
        };
        let times = times(run, &of)?;
        check_backward(&times, &whose, findings);
        let configured = run.facts.configured("statistic_interval");
        let interval = configured.and_then(|seconds| seconds.parse().ok());
        check_pauses(times, interval, &whose, findings);
    }
    Ok(())
}

fn times(run: &Run<'_>, of: &str) -> rusqlite::Result<Vec<i64>> {
    let sql = format!("SELECT timestamp FROM statistic{of} ORDER BY id");
    let mut query = run.database.prepare(&sql)?;
    let rows = query.query_map([], |row| row.get::<_, Option<i64>>(0))?;
    let times: rusqlite::Result<Vec<Option<i64>>> = rows.collect();
    Ok(times?.into_iter().flatten().collect())
}

fn check_backward(times: &[i64], whose: &str, findings: &mut Findings) {
    let steps = times.windows(2).filter(|pair| pair[0] > pair[1]).count();
    if steps > 0 {
        findings.notice(
            "clock",
            format!("time goes back {steps} times from one row of statistic to the next{whose}: the clock was set back, or rows were added later"),
        );
    }
}

/// `interval`: seconds between two ticks; the median where nobody says it.
fn check_pauses(mut times: Vec<i64>, interval: Option<f64>, whose: &str, findings: &mut Findings) {
    times.sort_unstable();
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    let Some(&median) = steps.get(steps.len() / 2) else {
        return;
    };
    #[expect(clippy::cast_possible_truncation, reason = "seconds, from 1 to 86400")]
    let usual = interval.map_or(median, |seconds| seconds.ceil() as i64);
    let most = usual.saturating_add(usual / 2).saturating_add(SLACK);
    let pauses: Vec<(i64, i64)> = times
        .windows(2)
        .map(|pair| (pair[0], pair[1] - pair[0]))
        .filter(|(_, pause)| *pause > most)
        .collect();
    if pauses.is_empty() {
        return;
    }
    let shown: Vec<String> = pauses
        .iter()
        .take(SHOWN)
        .map(|(at, pause)| format!("{pause} s from {}", Timestamp(at.saturating_mul(1000))))
        .collect();
    let more = if pauses.len() > SHOWN { ", …" } else { "" };
    findings.notice(
        "gaps",
        format!(
            "{} pauses between rows of statistic are longer than {most} s{whose} (usual: {usual} s); the machine slept or was overloaded, or rows were lost: {}{more}",
            pauses.len(),
            shown.join(", ")
        ),
    );
}

/// Seconds by which a busy machine may be late.
const SLACK: i64 = 5;
/// Pauses that are told one by one.
const SHOWN: usize = 5;
