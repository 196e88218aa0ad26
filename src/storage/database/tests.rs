//! The schema, and what the database refuses.

use super::*;
use crate::storage::fixture::torrents;

fn stored_definitions(connection: &Connection) -> String {
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
        .unwrap();
    let definitions = statement.query_map([], |row| row.get::<_, String>(0));
    let lines: Vec<String> = definitions
        .unwrap()
        .map(|definition| format!("{};\n", definition.unwrap()))
        .collect();
    lines.concat()
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid")
        .unwrap();
    let names = statement.query_map([table], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn created() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("x.sqlite")).unwrap();
    (folder, database)
}

#[test]
fn schema_is_the_golden_file() {
    let (_folder, database) = created();
    let stored = stored_definitions(&database.connection);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema.sql");
    if std::env::var_os("BTDA_UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &stored).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        stored == expected,
        "the schema differs from tests/data/schema.sql. The 2015 scripts depend on it: if the \
         change is meant, run `BTDA_UPDATE_GOLDEN=1 cargo test schema_is_the_golden_file`, look \
         at the difference, and raise SCHEMA_VERSION if files of the old schema exist.\n{stored}"
    );
}

#[test]
fn the_four_tables_have_the_columns_of_2015() {
    let (_folder, database) = created();
    for (table, expected) in [
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
    ] {
        assert_eq!(columns(&database.connection, table).join(" "), expected);
    }
}

#[test]
fn every_table_and_column_is_documented() {
    let (_folder, database) = created();
    let mut statement = database
        .connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let tables = statement.query_map([], |row| row.get::<_, String>(0));
    for table in tables.unwrap().map(Result::unwrap) {
        let (_, entry) = SCHEMA
            .split_once(&format!("-- {table}: "))
            .unwrap_or_else(|| panic!("table {table} has no comment"));
        let (entry, _) = entry.split_once("CREATE TABLE").unwrap();
        let documented: Vec<&str> = entry
            .lines()
            .filter_map(|line| line.strip_prefix("--   ")?.split_once(": "))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(documented, columns(&database.connection, &table), "{table}");
    }
}

/// What the combine step does: replay the stored definitions, add `vm`, insert
/// by position with NULL as id.
#[test]
fn definitions_can_be_replayed_and_extended() {
    let (_folder, database) = created();
    let copy = Connection::open_in_memory().unwrap();
    copy.execute_batch(&stored_definitions(&database.connection))
        .unwrap();
    copy.execute_batch(
        "PRAGMA foreign_keys = OFF;
         ALTER TABLE statistic ADD COLUMN vm INTEGER;
         INSERT INTO statistic VALUES (NULL, 1, 2, 3, 4, 5, NULL, NULL, NULL, 6, 7, 1);
         INSERT INTO peer VALUES (NULL, 'c', NULL, NULL, NULL, NULL, 1, NULL, 2, NULL, NULL, 1, 'dht', 11);
         INSERT INTO request VALUES (NULL, 1, 'incoming', 0, 0, NULL, NULL, NULL, NULL, 11);",
    )
    .unwrap();
    let vm = columns(&copy, "statistic");
    assert_eq!(vm.last().map(String::as_str), Some("vm"));
    let internal: i64 = copy
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE 'sqlite%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(internal, 0);
}

#[test]
fn the_file_says_what_it_is() {
    let (_folder, database) = created();
    let pragma = |name| -> i32 {
        database
            .connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(pragma("application_id"), APPLICATION_ID);
    assert_eq!(pragma("user_version"), SCHEMA_VERSION);
    assert_eq!(pragma("synchronous"), 2);
}

#[test]
fn torrents_are_stored_as_the_contract_says() {
    let (_folder, mut database) = created();
    database.describe(&torrents(2), &[], &[]).unwrap();
    let row: (String, Vec<u8>, String, i64, i64, Option<String>, f64) = database
        .connection
        .query_row(
            "SELECT announce_url, info_hash, info_hash_hex, piece_size, complete_threshold, display_name, gigabyte FROM torrent WHERE id = 2",
            [],
            |row| row.try_into(),
        )
        .unwrap();
    assert_eq!(row.0, "http://a.test:2/announce?a=1,2,udp://b.test:80");
    assert_eq!(row.1, torrents(2)[1].info_hash.as_bytes());
    assert_eq!(row.2.len(), 40);
    assert_eq!((row.3, row.4, row.5), (262_144, 98, None));
    assert!((row.6 - 0.026_214_4).abs() < 1e-12);
}

#[test]
fn refuses_an_existing_file_and_a_wrong_folder() {
    let (folder, _database) = created();
    let again = Database::create(folder.path().join("x.sqlite"));
    assert!(matches!(again, Err(StorageError::Exists(_))));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let Err(error) = Database::create(file.join("y.sqlite")) else {
        panic!("a file is no folder");
    };
    assert!(error.to_string().contains("correct output_path"), "{error}");
}

#[test]
fn a_row_that_is_refused_is_named() {
    let (_folder, mut database) = created();
    let fact = |key: &'static str| Row::Fact {
        key: key.into(),
        value: String::new(),
    };
    let place = Row::Place(Box::new(crate::storage::row::PlaceRow {
        peer: 1,
        city: None,
        accuracy_km: None,
    }));
    let rows = [fact("a"), place.clone(), place];
    let error = database.write(rows.iter(), None).unwrap_err();
    assert_eq!((error.row, error.passing), (Some(2), false));
    let count: i64 = database
        .connection
        .query_row("SELECT count(*) FROM run", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 0, "the whole transaction is rolled back");
}

#[test]
fn of_the_counts_of_a_line_only_the_latest_is_written() {
    let (_folder, mut database) = created();
    let count = |event: &'static str, reason: &'static str, count| {
        Row::PeerError(ErrorRow {
            event: event.into(),
            reason: reason.into(),
            count,
        })
    };
    let first = [
        count("First contact", "timed out", 1),
        count("First contact", "refused", 1),
        count("Later contact", "timed out", 1),
        count("First contact", "timed out", 2),
        count("First contact", "refused", 0),
        count("First contact", "timed out", 3),
    ];
    let before = database.connection.total_changes();
    let without_effect = database.write(first.iter(), None).unwrap();
    assert_eq!(without_effect, Vec::<usize>::new());
    // Two lines, and one that is taken back before it was ever written.
    assert_eq!(database.connection.total_changes() - before, 2);
    let second = [
        count("Later contact", "timed out", 0),
        count("First contact", "timed out", 4),
    ];
    database.write(second.iter(), None).unwrap();
    let mut statement = database
        .connection
        .prepare("SELECT event || ', ' || reason || ', ' || count FROM peer_error")
        .unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(0));
    let lines: Vec<String> = lines.unwrap().map(Result::unwrap).collect();
    assert_eq!(lines, ["First contact, timed out, 4"]);
}
