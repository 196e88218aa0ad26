//! Every value comes back as it was, in all three formats.

use proptest::prelude::*;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::*;
use crate::storage::database::SCHEMA;

fn database(sql: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sqlite");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA synchronous = OFF; BEGIN")
        .unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    (folder, path)
}

fn written(path: &Path, table: &str, format: Format) -> String {
    let mut text = Vec::new();
    Export::open(path)
        .unwrap()
        .write(table, format, &mut text)
        .unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn the_three_forms() {
    let (_folder, path) = database(
        "CREATE TABLE odd (a, \"b \"\"\" TEXT);
         INSERT INTO odd VALUES (1, NULL), (-0.5, ''), (x'00ff', 'a,\"b\"' || char(10) || 'é'), (1e300, char(0)), (9e999, 'x'), (CAST(x'ff' AS TEXT), 3.0);",
    );
    assert_eq!(
        written(&path, "odd", Format::Csv),
        "a,\"b \"\"\"\n1,\n-0.5,\"\"\n00ff,\"a,\"\"b\"\"\né\"\n1e300,\0\n9e999,x\n\u{fffd},3.0\n"
    );
    assert_eq!(
        written(&path, "odd", Format::JsonLines),
        "{\"a\":1,\"b \\\"\":null}\n{\"a\":-0.5,\"b \\\"\":\"\"}\n{\"a\":\"00ff\",\"b \\\"\":\"a,\\\"b\\\"\\né\"}\n\
         {\"a\":1e300,\"b \\\"\":\"\\u0000\"}\n{\"a\":9e999,\"b \\\"\":\"x\"}\n{\"a\":\"\u{fffd}\",\"b \\\"\":\"3.0\"}\n"
    );
    let json = written(&path, "odd", Format::Json);
    assert!(
        json.starts_with("[\n{\"a\":1,\"b \\\"\":null},\n{"),
        "{json}"
    );
    assert!(json.ends_with("}\n]\n"), "{json}");
    assert_eq!(written(&path, "peer", Format::Json), "[]\n");
    assert_eq!(written(&path, "peer", Format::JsonLines), "");
    assert!(written(&path, "peer", Format::Csv).starts_with("id,client,continent,"));
}

#[test]
fn what_is_not_there_is_told() {
    let (_folder, path) = database("");
    let export = Export::open(&path).unwrap();
    let error = export
        .write("pear", Format::Csv, &mut Vec::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"pear\"") && error.contains(" peer peer_error "),
        "{error}"
    );
    let error = export.write("sqlite_master", Format::Csv, &mut Vec::new());
    assert!(matches!(error, Err(ExportError::NoTable(..))));
    std::fs::write(&path, "x").unwrap();
    assert!(matches!(
        Export::open(&path),
        Err(ExportError::NoResults(..))
    ));
}

#[test]
fn every_column_of_the_schema_is_explained() {
    let (_folder, path) = database("");
    let dictionary = Export::open(&path).unwrap().dictionary().unwrap();
    let dictionary: serde_json::Value = serde_json::from_str(&dictionary).unwrap();
    let tables = dictionary.as_array().unwrap();
    assert!(tables.len() > 10);
    for table in tables {
        assert!(table["meaning"].is_string(), "{table}");
        for column in table["columns"].as_array().unwrap() {
            assert!(column["meaning"].is_string(), "{} {column}", table["table"]);
        }
    }
    let hash = &tables.iter().find(|it| it["table"] == "torrent").unwrap()["columns"][2];
    assert_eq!(
        *hash,
        serde_json::json!({"name": "info_hash", "type": "hexadecimal", "null": false,
            "meaning": "SHA-1 of the info dictionary, 20 raw bytes"})
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>()
            .prop_filter("NULL in SQLite", |it| it.is_finite())
            .prop_map(Value::Real),
        any::<String>().prop_map(Value::Text),
        "[\",\\\\\n\r\t 'é\u{2028}=]{0,6}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::Blob),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn values_come_back(rows in proptest::collection::vec((any_value(), any_value()), 1..9)) {
        let (_folder, path) = database("CREATE TABLE odd (a, b)");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        for (a, b) in &rows {
            connection.execute("INSERT INTO odd VALUES (?, ?)", (a, b)).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        let lines = written(&path, "odd", Format::JsonLines);
        let objects: Vec<serde_json::Value> = lines
            .split_terminator('\n')
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let json: Vec<serde_json::Value> =
            serde_json::from_str(&written(&path, "odd", Format::Json)).unwrap();
        prop_assert_eq!(&json, &objects);
        let csv = written(&path, "odd", Format::Csv);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), rows.len());
        prop_assert_eq!(objects.len(), rows.len());
        for ((row, object), record) in rows.iter().zip(&objects).zip(&records) {
            for (value, (name, field)) in [&row.0, &row.1].into_iter().zip(["a", "b"].into_iter().zip(record)) {
                let found = &object[name];
                match value {
                    Value::Null => prop_assert!(found.is_null() && field.is_empty()),
                    Value::Integer(number) => {
                        prop_assert_eq!(found.as_i64(), Some(*number));
                        prop_assert_eq!(field.parse::<i64>().unwrap(), *number);
                    }
                    Value::Real(number) => {
                        prop_assert_eq!(found.as_f64(), Some(*number));
                        prop_assert_eq!(field.parse::<f64>().unwrap().to_bits(), number.to_bits());
                    }
                    Value::Text(text) => {
                        prop_assert_eq!(found.as_str(), Some(text.as_str()));
                        prop_assert_eq!(field, text);
                    }
                    Value::Blob(bytes) => {
                        let digits = hexadecimal(bytes);
                        prop_assert_eq!(found.as_str(), Some(digits.as_str()));
                        prop_assert_eq!(field.len(), 2 * bytes.len());
                    }
                }
            }
        }
    }
}
