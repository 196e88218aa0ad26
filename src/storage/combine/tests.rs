//! Keys, references and texts on their way into one database.

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::storage::database::Database;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A finished run of ours that began at `start`, of one torrent.
    fn run(&self, name: &str, start: &str, more: &str) -> PathBuf {
        let path = self.path(name);
        let database = Database::create(path.clone()).unwrap();
        database.make_plain().unwrap();
        database.close().unwrap();
        let rows = format!(
            "INSERT INTO run VALUES ('state', 'finished'), ('start', '{start}'), ('host', 'h');
             INSERT INTO torrent VALUES (1, '', zeroblob(20), '{start}', 100, 16384, 98, 'a', NULL, 0.1);
             INSERT INTO peer (id, client, first_pieces, last_pieces, first_seen, last_seen, max_speed, visits, source, torrent)
               VALUES (1, 'a', 3, 99, 1, 2, 0.5, 2, 'dht', 1), (7, 'b', 3, NULL, 1, NULL, NULL, 1, 'dht', 1);
             INSERT INTO request VALUES (4, 1, 'tracker', 2, 0, NULL, NULL, NULL, 0.5, 1);
             INSERT INTO announce VALUES (4, 1000, 'u', NULL, NULL, NULL, NULL, NULL, 4);
             INSERT INTO outcome VALUES (1, 1000, 'First contact', 'timed out', 1);
             INSERT INTO input VALUES (1, 'x', NULL, NULL, 'skipped'), (2, 'y', NULL, 1, NULL);
             INSERT INTO peer_error VALUES ('First contact', 'timed out', 5), ('Later contact', 'x', 0);
             INSERT INTO tracker_result VALUES (1, 'u,v', 'announce success', '', 1);
             INSERT INTO statistic VALUES (1, 1, 0, 0, 0, 3, NULL, NULL, NULL, 0, 0);
             {more}"
        );
        Connection::open(&path)
            .unwrap()
            .execute_batch(&rows)
            .unwrap();
        path
    }
}

fn column(database: &Path, sql: &str) -> Vec<String> {
    let database = Connection::open(database).unwrap();
    let mut query = database.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// What must be in the whole of three runs.
const MOVED: [(&str, &str); 16] = [
    ("SELECT group_concat(id) FROM peer", "1,7,8,14,15,21"),
    ("SELECT group_concat(torrent) FROM peer", "1,1,2,2,3,3"),
    ("SELECT group_concat(request) FROM announce", "4,8,12"),
    (
        "SELECT group_concat(peer || word) FROM extra",
        "7seven,14seven",
    ),
    ("SELECT group_concat(word || vm) FROM loose", "l1,l2"),
    (
        "SELECT group_concat(id || ':' || vm) FROM outcome",
        "1:1,2:2,3:3",
    ),
    (
        "SELECT group_concat(coalesce(torrent, '-') || vm) FROM input",
        "-1,11,-2,22,-3,33",
    ),
    ("SELECT group_concat(vm) FROM statistic", "1,2,3"),
    (
        "SELECT group_concat(event || count) FROM peer_error",
        "First contact15",
    ),
    (
        "SELECT group_concat(torrent || url) FROM tracker_result",
        "1u,v,2u,v,3u,v",
    ),
    (
        "SELECT group_concat(file) FROM combined",
        "a.sqlite,b b?#%.sqlite,c.sqlite",
    ),
    ("SELECT group_concat(peer_offset) FROM combined", "0,7,14"),
    (
        "SELECT value FROM run WHERE key = 'vm2_start'",
        "2015-01-02",
    ),
    ("SELECT value FROM run WHERE key = 'start'", "2015-01-01"),
    ("SELECT value FROM run WHERE key = 'state'", "combined"),
    ("SELECT value FROM run WHERE key = 'host'", "h"),
];

#[test]
fn every_key_and_reference_moves_by_the_highest_before() {
    let folder = Folder::new();
    let more = "CREATE TABLE extra (peer INTEGER PRIMARY KEY REFERENCES peer (id), word TEXT);
                INSERT INTO extra VALUES (7, 'seven');
                CREATE TABLE loose (word TEXT); INSERT INTO loose VALUES ('l');";
    let runs = [
        folder.run("a.sqlite", "2015-01-01", more),
        folder.run("b b?#%.sqlite", "2015-01-02", more),
        folder.run("c.sqlite", "2015-01-03", ""),
    ];
    let output = folder.path("all.sqlite");
    let made = combine(&runs, &output, Purpose::Combine).unwrap();
    assert_eq!(made.notices, [""; 0]);
    for (sql, wanted) in MOVED {
        assert_eq!(column(&output, sql), [wanted], "{sql}");
    }
    let text = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    assert_eq!(
        text("all.sqlite.csv"),
        "torrent,set\n1,set_a\n2,set_a\n3,set_a\n"
    );
    assert_eq!(
        text("all_threshold.csv"),
        "set,\"0.98\",\"0.75\",\"0.50\",\"0.25\",\"0.02\"\nset_a,3,3,3,3,0\n"
    );
    assert_eq!(text("all_peer-error.txt"), "First contact,timed out,15");
    assert!(text("all_tracker-error.txt").ends_with("\n3,\"u,v\",announce success,,1"));
    assert!(!with_ending(&output, ".tmp").exists());
}

#[test]
fn host_names_of_all_runs_are_in_one_file() {
    let folder = Folder::new();
    let named = |name: &str| format!("INSERT INTO host VALUES (7, 1, 'name', '{name}', '{name}');");
    let runs = [
        folder.run("a.sqlite", "2015-01-01", &named("a.net")),
        folder.run("b.sqlite", "2015-01-02", &named("b.net")),
    ];
    let output = folder.path("all.sqlite");
    let made = combine(&runs, &output, Purpose::Combine).unwrap();
    let hosts = folder.path("all_hosts.sqlite");
    assert_eq!(made.files.last(), Some(&hosts));
    let stored = "SELECT id || ' ' || torrent || ' ' || host FROM peer WHERE host IS NOT NULL";
    assert_eq!(column(&hosts, stored), ["7 1 a.net", "14 2 b.net"]);
    assert_eq!(column(&hosts, "SELECT count(*) || '' FROM peer"), ["4"]);
    // One that is there is nobody's to overwrite.
    let other = folder.path("other.sqlite");
    std::fs::write(folder.path("other_hosts.sqlite"), "mine").unwrap();
    let refused = combine(&runs, &other, Purpose::Combine).unwrap_err();
    assert!(
        refused.to_string().contains("other_hosts.sqlite"),
        "{refused}"
    );
    assert!(!other.exists());
    // Without names there is none.
    let runs = [
        folder.run("c.sqlite", "2015-01-03", ""),
        folder.run("d.sqlite", "2015-01-04", ""),
    ];
    let made = combine(&runs, &folder.path("none.sqlite"), Purpose::Combine).unwrap();
    assert_eq!(made.files.len(), 5);
    assert!(!folder.path("none_hosts.sqlite").exists());
}

#[test]
fn odd_texts_stay_as_they_are() {
    let folder = Folder::new();
    let odd = "UPDATE peer SET client = 'x' || char(0) || 'y''\"' || char(10) WHERE id = 1";
    let runs = [
        folder.run("a.sqlite", "2015-01-01", ""),
        folder.run("b.sqlite", "2015-01-02", odd),
    ];
    let output = folder.path("all.sqlite");
    combine(&runs, &output, Purpose::Combine).unwrap();
    let clients = column(&output, "SELECT client FROM peer ORDER BY id");
    assert_eq!(clients, ["a", "b", "x\0y'\"\n", "b"]);
}

#[test]
fn a_failure_leaves_nothing() {
    let folder = Folder::new();
    let runs = [
        folder.run("a.sqlite", "2015-01-01", ""),
        folder.run(
            "b.sqlite",
            "2015-01-02",
            "DROP TABLE statistic; CREATE TABLE statistic AS SELECT 1 AS id, NULL AS timestamp",
        ),
    ];
    let output = folder.path("all.sqlite");
    let error = combine(&runs, &output, Purpose::Combine)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("b.sqlite") && error.contains("copying it failed"),
        "{error}"
    );
    let left = std::fs::read_dir(folder.0.path()).unwrap();
    assert_eq!(left.count(), 2);
}

#[test]
fn a_single_run_gets_its_machine() {
    let folder = Folder::new();
    let run = folder.run(
        "a.sqlite",
        "2015-01-01",
        "UPDATE run SET value = 'running' WHERE key = 'state'",
    );
    let output = folder.path("a_r.sqlite");
    combine(std::slice::from_ref(&run), &output, Purpose::SingleRun).unwrap();
    assert_eq!(
        column(&output, "SELECT CAST(vm AS TEXT) FROM statistic"),
        ["1"]
    );
    assert!(matches!(
        combine(&[run], &folder.path("x.sqlite"), Purpose::Combine),
        Err(CombineError::TooFew)
    ));
}
