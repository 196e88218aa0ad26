//! Columns, types and rows that must not be: sections 3 and 11.5 of the
//! output contract with the scripts of 2015.

use super::kind::{Kind, has_table};
use super::{Findings, Run};
use rusqlite::Connection;

/// The columns of the tables of 2015, in order.
pub(in crate::storage) const COLUMNS: [(&str, &str); 4] = [
    (
        "torrent",
        "id announce_url info_hash info_hash_hex pieces_count piece_size complete_threshold filepath display_name gigabyte",
    ),
    (
        "peer",
        "id client continent country latitude longitude first_pieces last_pieces first_seen last_seen max_speed visits source torrent",
    ),
    (
        "request",
        "id timestamp source received_peers duplicate_peers seeders completed leechers duration_sec torrent",
    ),
    (
        "statistic",
        "id timestamp peer_queue visited_queue unique_incoming success_active thread_workload load_average memory_mb server_threads evaluator_threads",
    ),
];

/// The names of the columns of `table`, in order.
pub(in crate::storage) fn columns(
    database: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<String>> {
    let mut query = database.prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid")?;
    query.query_map([table], |row| row.get(0))?.collect()
}

pub(super) fn check(run: &Run<'_>, findings: &mut Findings) -> rusqlite::Result<()> {
    check_columns(run, findings)?;
    for rule in RULES {
        check_rule(run, rule, findings)?;
    }
    if run.kind != Kind::Thesis2015 {
        for rule in OWN_RULES {
            if has_table(run.database, rule.table)? {
                check_rule(run, rule, findings)?;
            }
        }
    }
    let gaps = run.number("SELECT max(id) - count(*) + (min(id) <> 1) FROM torrent")?;
    if gaps != 0 {
        findings.problem("torrent ids", "torrents are not numbered 1, 2, 3 and so on");
    }
    let foreign = "SELECT count(*) FROM sqlite_master WHERE name GLOB 'sqlite_stat*' OR name = 'sqlite_sequence' OR sql GLOB 'CREATE VIRTUAL*'";
    if run.number(foreign)? != 0 {
        findings.problem(
            "tables of SQLite",
            "the combine step of 2015 fails on this file: ANALYZE was run on it, or a table is virtual or has AUTOINCREMENT; use btda combine",
        );
    }
    Ok(())
}

fn check_columns(run: &Run<'_>, findings: &mut Findings) -> rusqlite::Result<()> {
    for (table, expected) in COLUMNS {
        let found = columns(run.database, table)?;
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        let mut expected: Vec<&str> = expected.split(' ').collect();
        if table == "statistic" && run.kind == Kind::Combined {
            expected.push("vm");
        }
        let with_host = table == "peer" && run.kind == Kind::Thesis2015;
        let plain: Vec<&str> = found.iter().copied().filter(|it| *it != "host").collect();
        if found == expected || with_host && plain == expected {
            continue;
        }
        findings.problem(
            "columns",
            format!(
                "table {table} has the columns {}",
                super::super::text::clean(&found.join(" "), 500)
            ),
        );
    }
    Ok(())
}

fn check_rule(run: &Run<'_>, rule: &Rule, findings: &mut Findings) -> rusqlite::Result<()> {
    let sql = format!("SELECT count(*) FROM {} WHERE {}", rule.table, rule.broken);
    let rows = run.number(&sql)?;
    if rows == 0 {
        return Ok(());
    }
    let text = format!(
        "{rows} rows of {} break the rule: {}",
        rule.table, rule.says
    );
    if run.kind == Kind::Thesis2015 && rule.fault_of_2015 {
        findings.notice(
            rule.check,
            format!("{text} (a fault of the program of 2015)"),
        );
    } else {
        findings.problem(rule.check, text);
    }
    Ok(())
}

/// Rows that must not be.
struct Rule {
    check: &'static str,
    says: &'static str,
    table: &'static str,
    /// What is true of such a row.
    broken: &'static str,
    /// The program of 2015 made such rows.
    fault_of_2015: bool,
}

const fn rule(
    check: &'static str,
    table: &'static str,
    says: &'static str,
    broken: &'static str,
) -> Rule {
    Rule {
        check,
        says,
        table,
        broken,
        fault_of_2015: false,
    }
}

const fn fault(
    check: &'static str,
    table: &'static str,
    says: &'static str,
    broken: &'static str,
) -> Rule {
    Rule {
        fault_of_2015: true,
        ..rule(check, table, says, broken)
    }
}

const RULES: &[Rule] = &[
    rule(
        "visits",
        "peer",
        "last_pieces, last_seen and max_speed are NULL if and only if visits is 1",
        "visits IS NULL OR visits < 1 OR (visits = 1) <> (last_pieces IS NULL) OR (visits = 1) <> (last_seen IS NULL) OR (visits = 1) <> (max_speed IS NULL)",
    ),
    rule(
        "times",
        "peer",
        "last_seen is not before first_seen",
        "last_seen < first_seen",
    ),
    fault(
        "pieces",
        "peer",
        "pieces are from 0 to pieces_count",
        "first_pieces < 0 OR last_pieces < 0 OR max(first_pieces, coalesce(last_pieces, 0)) > (SELECT pieces_count FROM torrent WHERE torrent.id = peer.torrent)",
    ),
    rule(
        "references",
        "peer",
        "the torrent is in table torrent",
        "torrent IS NULL OR torrent NOT IN (SELECT id FROM torrent)",
    ),
    rule(
        "references",
        "request",
        "the torrent is in table torrent",
        "torrent IS NULL OR torrent NOT IN (SELECT id FROM torrent)",
    ),
    fault(
        "clients",
        "peer",
        "a client is NULL or a text without control characters",
        "client = '' OR client GLOB '*[' || char(1) || '-' || char(31) || ']*' OR instr(client, char(0)) > 0",
    ),
    rule(
        "places",
        "peer",
        "country and continent are two capital letters or NULL",
        "NOT coalesce(country, 'AA') GLOB '[A-Z][A-Z]' OR NOT coalesce(continent, 'AA') GLOB '[A-Z][A-Z]'",
    ),
    rule(
        "places",
        "peer",
        "coordinates are degrees",
        "latitude NOT BETWEEN -90 AND 90 OR longitude NOT BETWEEN -180 AND 180",
    ),
    rule(
        "types",
        "peer",
        "times are whole Unix seconds, pieces and visits whole numbers",
        "typeof(first_seen) <> 'integer' OR typeof(last_seen) NOT IN ('integer', 'null') OR max(first_seen, coalesce(last_seen, 0)) > 2147483647 OR typeof(first_pieces) <> 'integer' OR typeof(visits) <> 'integer'",
    ),
    rule(
        "types",
        "request",
        "times are whole Unix seconds, numbers of peers whole numbers",
        "typeof(timestamp) <> 'integer' OR timestamp > 2147483647 OR typeof(received_peers) <> 'integer' OR typeof(duplicate_peers) <> 'integer'",
    ),
    rule(
        "types",
        "statistic",
        "times are whole Unix seconds",
        "typeof(timestamp) <> 'integer' OR timestamp > 2147483647",
    ),
    rule(
        "types",
        "torrent",
        "an info hash has 20 bytes, the same as its 40 digits; there is a piece at least; the threshold is within the torrent",
        "length(info_hash) <> 20 OR lower(hex(info_hash)) <> info_hash_hex OR pieces_count < 1 OR complete_threshold NOT BETWEEN 1 AND pieces_count",
    ),
    rule(
        "sources",
        "peer",
        "the source is tracker, dht or incoming",
        "coalesce(source, '') NOT IN ('tracker', 'dht', 'incoming')",
    ),
    rule(
        "sources",
        "request",
        "the source is tracker, dht or incoming",
        "coalesce(source, '') NOT IN ('tracker', 'dht', 'incoming')",
    ),
    rule(
        "figures",
        "request",
        "only trackers tell seeders, completed and leechers, and only rows of callers have no duration",
        "source <> 'tracker' AND coalesce(seeders, completed, leechers) IS NOT NULL OR (source = 'incoming') <> (duration_sec IS NULL)",
    ),
    rule(
        "figures",
        "request",
        "there are no more duplicates than peers",
        "duplicate_peers NOT BETWEEN 0 AND received_peers",
    ),
    fault(
        "figures",
        "statistic",
        "a share is from 0 to 1",
        "thread_workload NOT BETWEEN 0 AND 1",
    ),
];

/// Rules for tables that 2015 did not have.
const OWN_RULES: &[Rule] = &[
    rule(
        "visits",
        "peer",
        "each counted visit has its row in table visit",
        "EXISTS (SELECT 1 FROM visit) AND id IN (SELECT id FROM peer LEFT JOIN (SELECT peer AS whose, count(*) AS counted FROM visit GROUP BY peer) ON whose = id WHERE visits <> coalesce(counted, 0))",
    ),
    rule(
        "references",
        "visit",
        "its peer is in table peer",
        "peer NOT IN (SELECT id FROM peer)",
    ),
    rule(
        "references",
        "crossing",
        "its peer is in table peer",
        "peer NOT IN (SELECT id FROM peer)",
    ),
    rule(
        "references",
        "announce",
        "its request is in table request",
        "request NOT IN (SELECT id FROM request WHERE source = 'tracker')",
    ),
    rule(
        "crossings",
        "crossing",
        "the last moment below the threshold is not after the first at it",
        "last_below_ms > first_at_ms OR last_below_pieces >= first_at_pieces",
    ),
];
