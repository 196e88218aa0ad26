//! The real program given what a hostile stranger would give it: names of
//! files that speak to terminals.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on stops with a panic"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `btda -a` for a moment in `folder`, on the torrents in its `input`.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_btda"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BTDA_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .args(["-a", "--jobs", "2", "--timeout", "1", "--duration", "1"])
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// Everything that the run wrote: its two outputs and the text files.
fn written(folder: &Path, output: &Output) -> Vec<String> {
    let mut texts = vec![output.stdout.clone(), output.stderr.clone()];
    for entry in fs::read_dir(folder.join("output")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end != "sqlite") {
            texts.push(fs::read(path).unwrap());
        }
    }
    texts
        .into_iter()
        .map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
        .collect()
}

fn torrent(name: &str, announce: &str) -> Vec<u8> {
    format!(
        "d8:announce{}:{announce}4:infod6:lengthi5e4:name{}:{name}12:piece lengthi16384e6:pieces20:{}ee",
        announce.len(),
        name.len(),
        "x".repeat(20)
    )
    .into_bytes()
}

#[test]
fn names_do_not_speak_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    let evil = "\u{1b}[31m\u{1b}]0;title\u{7}\r\n\u{202e}ERROR CRITICAL,\"";
    let announce = "http://user:s3cret@127.0.0.1:1/passkey1\u{1b}[2J/announce";
    fs::write(input.join(format!("{evil}1.torrent")), "garbage").unwrap();
    fs::write(
        input.join(format!("{evil}2.torrent")),
        torrent(evil, announce),
    )
    .unwrap();
    fs::create_dir(input.join(format!("{evil}3"))).unwrap();
    let output = run(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for text in written(folder.path(), &output) {
        let odd = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        assert!(!text.chars().any(|c| odd(&c)), "{text:?}");
    }
    let log = fs::read_dir(folder.path().join("output"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "log"))
        .unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("ERROR") && !log.contains("CRITICAL"), "{log}");
}
