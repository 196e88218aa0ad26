//! A run of the real program that something happens to: signals, limits, a
//! broken clock. Everything it writes is below a temporary folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use btda::lab::Swarm;
use btda::model::InfoHash;
use tempfile::TempDir;

use super::contract::{Waiting, beside, violations};
use super::process::{Process, isolated, wait_until};
use super::results::Results;
use super::torrent::TestTorrent;

/// No wait of a test is longer unless something is broken.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// How long a run may take to end when nothing remote is slow.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Pieces of the torrent of a trial.
pub(crate) const PIECES: u32 = 40;

/// Any port, quick rounds, and nobody but loopback.
const CONFIG: &str = r#"
peer_evaluation_threads = 16
bittorrent_listen_port = 0
network_timeout = 20
tracker_request_interval = 1
ignore_interval = true
statistic_interval = 1
listen.address = "127.0.0.1"
contact.allow_private = true
contact.per_second_network_max = 0
tracker.scrape = false
storage.batch_interval_seconds = 0.05
retry.first_delay_seconds = 1
retry.tracked_delay_seconds = 1
retry.max_delay_seconds = 1
retry.attempts = 200
"#;

/// What is to be started.
pub(crate) struct Setup {
    folder: TempDir,
    config: String,
    wrapper: Vec<String>,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Setup {
    /// `btda -ap` with nothing to measure yet.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["input", "output"] {
            fs::create_dir(folder.path().join(name)).expect("folder can be made");
        }
        Self {
            folder,
            config: CONFIG.to_owned(),
            wrapper: Vec::new(),
            variables: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// One torrent at the announce URL `tracker`.
    pub(crate) fn torrent(self, tracker: &str) -> Self {
        let path = self.folder.path().join("input/trial.torrent");
        fs::write(path, TORRENT.file(&[tracker.to_owned()])).expect("torrent can be written");
        self
    }

    /// All torrents of `swarm`.
    pub(crate) fn swarm(self, swarm: &Swarm) -> Self {
        let input = self.folder.path().join("input");
        swarm
            .torrent_files(&input)
            .expect("torrents can be written");
        self
    }

    /// Keys that differ from those of every trial.
    pub(crate) fn config(mut self, keys: &[(&str, &str)]) -> Self {
        for (key, value) in keys {
            let other = |line: &&str| line.split('=').next().is_none_or(|it| it.trim() != *key);
            let mut lines: Vec<&str> = self.config.lines().filter(other).collect();
            let line = format!("{key} = {value}");
            lines.push(&line);
            self.config = lines.join("\n");
        }
        self
    }

    /// Further arguments.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    /// A program that becomes btda by `exec`, before its command line.
    pub(crate) fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// The shell becomes btda after `script`, in which `"$@"` is its command
    /// line.
    pub(crate) fn by_shell(self, script: &str) -> Self {
        self.wrapped(&["bash", "-c", script, "bash"])
    }

    /// An environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder of the trial.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the program.
    pub(crate) fn start(self) -> Trial {
        let folder = self.folder.path();
        fs::write(folder.join("config.toml"), &self.config).expect("configuration");
        let program = env!("CARGO_BIN_EXE_btda");
        let mut command = match self.wrapper.split_first() {
            None => isolated(Path::new(program), folder),
            Some((first, rest)) => {
                let mut command = isolated(Path::new(first), folder);
                command.args(rest).arg(program);
                command
            }
        };
        command
            .current_dir(folder)
            .args(["-ap", "--config", "config.toml"])
            .args(["--input", "input", "--output", "output"])
            .args(&self.arguments)
            .envs(self.variables);
        Trial {
            process: Process::spawn("btda", command, folder),
            folder: self.folder,
        }
    }
}

/// The torrent of [`Setup::torrent`].
static TORRENT: LazyLock<TestTorrent> =
    LazyLock::new(|| TestTorrent::generate("trial.bin", 5, PIECES, 16_384));

/// Its info hash.
pub(crate) fn info_hash() -> InfoHash {
    static HASH: LazyLock<InfoHash> = LazyLock::new(|| TORRENT.hash());
    *HASH
}

/// A run under test.
pub(crate) struct Trial {
    process: Process,
    folder: TempDir,
}

impl Trial {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it said on its terminal so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.process.log()).unwrap_or_default()
    }

    /// Waits until it has said `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        wait_until(text, LONG, || {
            self.process.assert_running();
            self.said().contains(text)
        });
    }

    /// Where it listens.
    pub(crate) fn address(&mut self) -> SocketAddr {
        self.wait_for("listening on port ");
        let said = self.said();
        let (_, rest) = said.split_once("listening on port ").expect("just seen");
        let port = rest.split(',').next().and_then(|port| port.parse().ok());
        (Ipv4Addr::LOCALHOST, port.expect("a port is a number")).into()
    }

    /// Waits until `condition` holds while the run goes on.
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_until(what, LONG, || {
            self.process.assert_running();
            condition(self)
        });
    }

    /// Waits until it handles signals, which it does before anything else.
    pub(crate) fn wait_until_it_handles_signals(&mut self) {
        self.wait_until("signals are handled", |trial| {
            let status = fs::read_to_string(format!("/proc/{}/status", trial.id()));
            let status = status.unwrap_or_default();
            let mut lines = status.lines();
            let mask = lines
                .find_map(|line| line.strip_prefix("SigCgt:"))
                .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            // SIGINT is 2, SIGTERM 15.
            mask.is_some_and(|mask| mask >> 1 & 1 == 1 && mask >> 14 & 1 == 1)
        });
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    /// Threads.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.id())).map_or(0, Iterator::count)
    }

    /// Sends the signal called `name`, without its SIG.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Sends a signal and waits for the end; fails the test when it takes
    /// longer than `limit`. The exit code; `None` when a signal ended it.
    pub(crate) fn stop(&mut self, signal: &str, limit: Duration) -> Option<i32> {
        let began = Instant::now();
        self.signal(signal);
        // A machine that is busy with other things takes long to start the
        // shell that sends the signal, and that much longer for all else.
        let limit = limit + began.elapsed() * 10;
        let status = self.end(limit + LONG);
        let took = began.elapsed();
        assert!(
            took <= limit,
            "SIG{signal}: ended after {took:?}:\n{}",
            self.said()
        );
        status.code()
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self, limit: Duration) -> ExitStatus {
        let status = self.process.wait(limit);
        status.unwrap_or_else(|| panic!("not ended within {limit:?}:\n{}", self.said()))
    }

    /// Fails the test when the program has ended.
    pub(crate) fn assert_running(&mut self) {
        self.process.assert_running();
    }

    /// The result database, as soon as it exists.
    pub(crate) fn database(&self) -> Option<PathBuf> {
        let files = fs::read_dir(self.folder.path().join("output")).expect("own folder");
        let mut paths = files.flatten().map(|file| file.path());
        paths.find(|path| {
            let name = path.to_string_lossy();
            let made_from_it = ["_hosts.sqlite", "_r.sqlite"];
            name.ends_with(".sqlite") && !made_from_it.iter().any(|end| name.ends_with(end))
        })
    }

    /// The number that `sql` asks for; 0 while there is no database.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let results = self.database().and_then(|path| Results::open(&path).ok());
        results.map_or(0, |results| results.number(sql, []).unwrap_or(0))
    }

    /// A fact of the manifest in the database.
    pub(crate) fn fact(&self, key: &str) -> String {
        let database = self.database().expect("a run leaves a database");
        let text = fs::read_to_string(beside(&database, "_run.json")).expect("manifest");
        let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        match &manifest[key] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The file of the run that ends in `suffix`; empty while there is none.
    pub(crate) fn file(&self, suffix: &str) -> String {
        let path = self.database().map(|path| beside(&path, suffix));
        path.map_or(String::new(), |path| {
            fs::read_to_string(path).unwrap_or_default()
        })
    }

    /// The log.
    pub(crate) fn log(&self) -> String {
        self.file(".log")
    }

    /// Count of `event` with `reason` in the peer error file.
    pub(crate) fn peer_errors(&self, event: &str, reason: &str) -> u64 {
        let start = format!("{event},{reason}");
        let file = self.file("_peer-error.txt");
        let lines = file.lines().filter_map(|line| line.rsplit_once(','));
        lines
            .filter(|(text, _)| text.starts_with(&start))
            .filter_map(|(_, count)| count.parse::<u64>().ok())
            .sum()
    }

    /// Everything in the output folder.
    pub(crate) fn output_files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path().join("output")).expect("own folder");
        files.flatten().map(|file| file.path()).collect()
    }

    /// Fails the test when the finished run breaks a rule of the output
    /// contract.
    pub(crate) fn assert_contract(&self) {
        self.assert_rules(|_| true);
    }

    /// The same for a run whose log has lines that a person must look at.
    pub(crate) fn assert_contract_but_for_log(&self) {
        self.assert_rules(|rule| !rule.starts_with("log: "));
    }

    fn assert_rules(&self, counts: impl Fn(&str) -> bool) {
        let database = self.database().expect("a run leaves a database");
        let mut broken = violations(&database, Waiting::Possibly);
        broken.retain(|rule| counts(rule));
        assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), self.log());
    }
}

/// Runs `program` of the Debian package `package` to its end.
pub(crate) fn run_to_end(mut command: Command, package: &str) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| {
        panic!("{command:?}: {error}; it is in the Debian package {package}")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
