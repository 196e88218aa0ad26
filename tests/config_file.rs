//! The committed `config.toml`, and the program's answer to wrong files.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use btda::config::{Config, FileText, Origin, Sources, default_file, keys};

/// The program in an empty folder, without settings from the environment.
fn btda(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_btda"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BTDA_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_committed_file_is_the_default_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let committed = fs::read_to_string(path).unwrap();
    assert!(
        committed == default_file(),
        "config.toml differs from the registry of keys; write it anew: \
         cargo run -- config --default > config.toml.new && mv config.toml.new config.toml"
    );
}

#[test]
fn the_committed_file_is_read_without_a_word() {
    let output = btda(Path::new(env!("CARGO_MANIFEST_DIR")), &["config"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
    let table = stdout(&output);
    assert!(table.starts_with("# configuration file: config.toml\n"));
    for key in keys::all() {
        assert!(
            table.contains(&format!("\n{} = ", key.name)),
            "{}",
            key.name
        );
    }
}

#[test]
fn all_problems_at_once_with_file_line_key_and_range() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("config.toml"),
        "network_timout = 6\npeer_evaluation_threads = 0\n[visit]\nbudget_seconds = true\n\
         network_timeout = 5\n[retries]\nx = 1\n",
    )
    .unwrap();
    for arguments in [&["config"][..], &["-a"]] {
        let output = btda(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(stdout(&output), "");
        assert_eq!(
            stderr(&output),
            "btda: config.toml:1:1: unknown key \"network_timout\"; did you mean network_timeout?\n\
             btda: config.toml:2:27: peer_evaluation_threads: expected a whole number from 1 to \
             32768, found 0\n\
             btda: config.toml:4:18: visit.budget_seconds: expected seconds from 0.1 to 86400, \
             found true\n\
             btda: config.toml:5:1: unknown key \"visit.network_timeout\"; did you mean \
             network_timeout, which stands at top level, before the first [table]?\n\
             btda: config.toml:6:2: unknown table \"retries\"; there are run visit revisit retry contact \
             listen tracker dht lsd storage evidence privacy hosts log web observe\n"
        );
    }
}

#[test]
fn not_toml() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c"), "\nnetwork_timeout = 6s\n").unwrap();
    let output = btda(folder.path(), &["config", "--config", "c"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).starts_with("btda: c:2:"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("not TOML"), "{}", stderr(&output));
}

#[test]
fn unreadable_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("large"), vec![b'#'; (1 << 20) + 1]).unwrap();
    fs::write(folder.path().join("binary"), b"a\n\xff").unwrap();
    for (file, message) in [
        (
            "none",
            "btda: none: no such file; `btda config --default` prints one to start with\n",
        ),
        ("folder", "btda: folder: is a folder, not a file\n"),
        (
            "large",
            "btda: large: larger than 1048576 bytes: not a configuration file\n",
        ),
        ("binary", "btda: binary:2:1: not UTF-8 text\n"),
    ] {
        let output = btda(folder.path(), &["config", "--config", file]);
        assert_eq!(output.status.code(), Some(3), "{file}");
        assert_eq!(stderr(&output), message);
    }
}

#[test]
fn a_folder_named_as_the_default_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("config.toml")).unwrap();
    let output = btda(folder.path(), &["config"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        stderr(&output),
        "btda: config.toml: is a folder, not a file\n"
    );
}

#[test]
fn without_a_file_all_is_default() {
    let folder = tempfile::tempdir().unwrap();
    let output = btda(folder.path(), &["config"]);
    assert_eq!(output.status.code(), Some(0));
    let table = stdout(&output);
    assert!(table.starts_with("# configuration file: none\n"));
    assert!(
        table
            .lines()
            .skip(1)
            .all(|line| line.ends_with("# default")),
        "{table}"
    );
}

proptest::proptest! {
    /// Random bytes are refused or read, and never more.
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        let file = FileText { path: "c".into(), bytes };
        let _ = Config::resolve(&Sources { file: Some(file), ..Sources::default() });
    }

    /// A good file that was cut or in which a byte was changed is refused or
    /// read, and every value that is taken is one that its key allows.
    #[test]
    fn damaged_files_never_panic(at in 0usize..9000, byte: u8, cut: bool) {
        let mut bytes = default_file().into_bytes();
        let at = at % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        let file = FileText { path: "c".into(), bytes };
        if let Ok(config) = Config::resolve(&Sources { file: Some(file), ..Sources::default() }) {
            for entry in config.entries() {
                assert!(entry.key.check(entry.value.clone()).is_ok());
                assert!(matches!(entry.origin, Origin::Default | Origin::File { .. } | Origin::Method2015 | Origin::Calibration));
            }
        }
    }
}
