//! The command line of the real program: help, exit codes, precedence.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use btda::exit::Exit;

/// Runs the program in `folder` with these variables, and no other `BTDA_`
/// ones.
fn run(folder: &Path, variables: &[(&str, &str)], line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_btda"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BTDA_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .envs(variables.iter().copied())
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The line of `btda config` for `key`, blanks made one.
fn effective(output: &Output, key: &str) -> String {
    let table = text(&output.stdout);
    let line = table
        .lines()
        .find(|line| line.starts_with(&format!("{key} = ")))
        .unwrap_or_else(|| panic!("{key} is missing: {table}{}", text(&output.stderr)));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn help_is_as_written_down() {
    let folder = tempfile::tempdir().unwrap();
    for (line, file) in [
        ("--help", "help.txt"),
        ("config --help", "help_config.txt"),
        ("lab --help", "help_lab.txt"),
        ("report --help", "help_report.txt"),
        ("doctor --help", "help_doctor.txt"),
        ("combine --help", "help_combine.txt"),
        ("export --help", "help_export.txt"),
        ("serve --help", "help_serve.txt"),
        ("observe --help", "help_observe.txt"),
        ("search --help", "help_search.txt"),
    ] {
        let output = run(folder.path(), &[], line);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text(&output.stdout) == golden(file),
            "the help changed; look at it, then: btda {line} > tests/data/{file}\n{}",
            text(&output.stdout)
        );
        let short = run(folder.path(), &[], &line.replace("--help", "-h"));
        assert_eq!(text(&short.stdout), text(&output.stdout));
    }
}

#[test]
fn the_help_tells_every_exit_code() {
    let help = golden("help.txt");
    for exit in [
        Exit::Success,
        Exit::Failed,
        Exit::Usage,
        Exit::Configuration,
        Exit::NothingToImport,
        Exit::OutputNotWritable,
        Exit::DataLost,
        Exit::PortUnavailable,
        Exit::Interrupted,
    ] {
        let code = exit.code().to_string();
        let told = help.split_once("Exit codes:").unwrap().1;
        assert!(
            told.split([' ', '\n', ',']).any(|word| word == code),
            "{code}"
        );
    }
}

#[test]
fn exit_codes_are_what_scripts_know() {
    let codes = [
        (Exit::Success, 0),
        (Exit::Failed, 1),
        (Exit::Usage, 2),
        (Exit::Configuration, 3),
        (Exit::NothingToImport, 4),
        (Exit::OutputNotWritable, 5),
        (Exit::DataLost, 6),
        (Exit::PortUnavailable, 7),
        (Exit::Interrupted, 130),
    ];
    for (exit, code) in codes {
        assert_eq!(exit.code(), code);
    }
}

#[test]
fn version() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["-V", "--version"] {
        let output = run(folder.path(), &[], line);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(
            text(&output.stdout),
            format!("btda {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn wrong_usage_exits_2_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (line, message) in [
        (
            "",
            "nothing to do: give -a (contact peers), -p (listen for peers) or both",
        ),
        ("-g", "nothing to do"),
        ("-d", "nothing to do"),
        ("-x", "unexpected argument '-x'"),
        ("frob", "unrecognized subcommand 'frob'"),
        (
            "-a --timeout 0",
            "expected seconds from 0.1 to 3600, found \"0\"",
        ),
        ("-a --set fish=1", "unknown key \"fish\""),
        (
            "-a --jobs 5 --set peer_evaluation_threads=6",
            "is given twice: by --jobs",
        ),
    ] {
        let output = run(folder.path(), &[], line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_eq!(text(&output.stdout), "", "{line}");
        let complaint = text(&output.stderr);
        assert!(complaint.contains(message), "{line}: {complaint}");
        assert!(
            !complaint.contains('\u{1b}'),
            "colour in a pipe: {complaint}"
        );
    }
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let folder = tempfile::tempdir().unwrap();
    let timeout = |variables: &[(&str, &str)], line: &str| {
        effective(&run(folder.path(), variables, line), "network_timeout")
    };
    assert_eq!(timeout(&[], "config"), "network_timeout = 6 # default");
    fs::write(folder.path().join("config.toml"), "network_timeout = 7").unwrap();
    assert_eq!(
        timeout(&[], "config"),
        "network_timeout = 7 # config.toml:1"
    );
    let variables = [("BTDA_NETWORK_TIMEOUT", "8s")];
    assert_eq!(
        timeout(&variables, "config"),
        "network_timeout = 8 # environment BTDA_NETWORK_TIMEOUT"
    );
    assert_eq!(
        timeout(&variables, "config --timeout 9"),
        "network_timeout = 9 # flag --timeout"
    );
    assert_eq!(
        timeout(&variables, "config --set network_timeout=0.1m"),
        "network_timeout = 6 # flag --set network_timeout"
    );
    fs::write(folder.path().join("other"), "network_timeout = 5").unwrap();
    assert_eq!(
        timeout(&[], "config --config other"),
        "network_timeout = 5 # other:1"
    );
}

#[test]
fn wrong_environment_exits_3() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("BTDA_RETRY_MAX_DELAY_SECONDS", "1x"),
        ("BTDA_RETRY_FACTR", "2"),
    ];
    let output = run(folder.path(), &variables, "-a");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "btda: environment BTDA_RETRY_FACTR: no such setting; did you mean BTDA_RETRY_FACTOR?\n\
         btda: environment BTDA_RETRY_MAX_DELAY_SECONDS: retry.max_delay_seconds: expected seconds \
         from 0.1 to 2592000, found \"1x\"\n"
    );
}

#[test]
fn the_method_is_shown_and_what_goes_before_it_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("config.toml"),
        "[visit]\nkeep_partial = true\n",
    )
    .unwrap();
    let output = run(folder.path(), &[], "config --method 2015");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        effective(&output, "retry.enabled"),
        "retry.enabled = false # method 2015"
    );
    assert_eq!(
        effective(&output, "visit.keep_partial"),
        "visit.keep_partial = true # config.toml:2"
    );
    assert_eq!(
        text(&output.stderr),
        "btda: this run is not purely the method of 2015: visit.keep_partial = true \
         (config.toml:2)\n"
    );
}

#[test]
fn the_default_file_can_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[], "config --default");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), btda::config::default_file());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_btda"))
        .args(["config", "--default"])
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
