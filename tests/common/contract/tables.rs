//! Rules 2 to 11: the four tables of 2015.

use super::{Findings, FinishedRun};

/// The four tables with their columns in order.
pub(super) const TABLES: [(&str, &[&str]); 4] = [
    (
        "torrent",
        &[
            "id",
            "announce_url",
            "info_hash",
            "info_hash_hex",
            "pieces_count",
            "piece_size",
            "complete_threshold",
            "filepath",
            "display_name",
            "gigabyte",
        ],
    ),
    (
        "peer",
        &[
            "id",
            "client",
            "continent",
            "country",
            "latitude",
            "longitude",
            "first_pieces",
            "last_pieces",
            "first_seen",
            "last_seen",
            "max_speed",
            "visits",
            "source",
            "torrent",
        ],
    ),
    (
        "request",
        &[
            "id",
            "timestamp",
            "source",
            "received_peers",
            "duplicate_peers",
            "seeders",
            "completed",
            "leechers",
            "duration_sec",
            "torrent",
        ],
    ),
    (
        "statistic",
        &[
            "id",
            "timestamp",
            "peer_queue",
            "visited_queue",
            "unique_incoming",
            "success_active",
            "thread_workload",
            "load_average",
            "memory_mb",
            "server_threads",
            "evaluator_threads",
        ],
    ),
];

/// Rows that must not exist: what they would break, and the question for
/// their number. The first lines are sum 5 of the contract.
const FORBIDDEN: [(&str, &str); 14] = [
    (
        "last_pieces is NULL if and only if visits = 1",
        "peer WHERE (last_pieces IS NULL) <> (visits = 1)",
    ),
    (
        "last_seen is NULL if and only if visits = 1",
        "peer WHERE (last_seen IS NULL) <> (visits = 1)",
    ),
    (
        "max_speed is NULL if and only if visits = 1",
        "peer WHERE (max_speed IS NULL) <> (visits = 1)",
    ),
    (
        "last_seen is not before first_seen",
        "peer WHERE last_seen < first_seen",
    ),
    (
        "pieces lie within the torrent",
        "peer JOIN torrent ON torrent.id = peer.torrent WHERE
         first_pieces NOT BETWEEN 0 AND pieces_count
         OR coalesce(last_pieces, 0) NOT BETWEEN 0 AND pieces_count",
    ),
    ("a peer was visited", "peer WHERE visits < 1"),
    (
        "a client is a text without control characters or NULL",
        "peer WHERE client = '' OR client GLOB '*[' || char(1) || '-' || char(31) || ']*'",
    ),
    (
        "countries are two capital letters or NULL",
        "peer WHERE country NOT GLOB '[A-Z][A-Z]' OR continent NOT GLOB '[A-Z][A-Z]'",
    ),
    (
        "peer times are whole Unix seconds",
        "peer WHERE typeof(first_seen) <> 'integer' OR first_seen > 2147483647
         OR (last_seen IS NOT NULL AND typeof(last_seen) <> 'integer')",
    ),
    (
        "request times are whole Unix seconds",
        "request WHERE typeof(timestamp) <> 'integer' OR timestamp > 2147483647",
    ),
    (
        "statistic times are whole Unix seconds",
        "statistic WHERE typeof(timestamp) <> 'integer' OR timestamp > 2147483647",
    ),
    (
        "only trackers give figures, and only announces and lookups take time",
        "request WHERE source <> 'tracker' AND
         coalesce(seeders, completed, leechers) IS NOT NULL
         OR (source = 'incoming') <> (duration_sec IS NULL)",
    ),
    (
        "no more duplicates than peers",
        "request WHERE duplicate_peers NOT BETWEEN 0 AND received_peers",
    ),
    (
        "a share is from 0 to 1",
        "statistic WHERE thread_workload NOT BETWEEN 0 AND 1",
    ),
];

pub(super) fn check(run: &FinishedRun, findings: &mut Findings) {
    for (table, expected) in TABLES {
        let columns = columns(run, table);
        findings.expect(columns == expected, || {
            format!("table {table} has columns {columns:?}")
        });
    }
    for (rule, rows) in FORBIDDEN {
        let number = run.number(&format!("SELECT count(*) FROM {rows}"));
        findings.expect(number == 0, || format!("{number} rows break: {rule}"));
    }
    let sources = "NOT IN ('tracker', 'dht', 'incoming')";
    for table in ["peer", "request"] {
        let odd = run.number(&format!(
            "SELECT count(*) FROM {table} WHERE source {sources}"
        ));
        findings.expect(odd == 0, || format!("{table} has {odd} unknown sources"));
    }
    let dense = "SELECT count(*) = max(id) AND min(id) = 1 FROM torrent";
    findings.expect(run.number(dense) == 1, || {
        "torrent ids are not dense from 1".to_owned()
    });
    let own = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB 'sqlite_*'";
    findings.expect(run.number(own) == 0, || {
        "there are tables of SQLite's own".to_owned()
    });
}

fn columns(run: &FinishedRun, table: &str) -> Vec<String> {
    let mut query = run
        .database
        .prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")
        .expect("columns can be listed");
    let names = query.query_map([table], |row| row.get(0));
    let names: Result<_, _> = names.expect("columns can be listed").collect();
    names.expect("column names are text")
}
