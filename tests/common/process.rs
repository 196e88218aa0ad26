//! Programs started by a test: found, logged, waited for and ended.

use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Lines of a program's log that are shown when a test fails.
const TAIL_LINES: usize = 40;

/// Pause between two looks of [`wait_until`]; it bounds how late a condition
/// is noticed, nothing depends on it.
const POLL: Duration = Duration::from_millis(20);

/// A running program with its log. Dropping it kills it, by its own id; when
/// the test is failing the end of the log is printed first.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; standard output and error go to `<name>.log` in
    /// `folder`, appended, so that a second attempt keeps the first one's.
    pub(crate) fn spawn(name: &'static str, mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = append(&log);
        let errors = output.try_clone().expect("log can be opened twice");
        let child = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name, child, log }
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("input is piped");
        writeln!(input, "{line}").expect("the program reads its input");
        input.flush().expect("the program reads its input");
    }

    /// How it ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("own child can be waited for")
    }

    /// Fails the test when the program has ended by itself.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended too early: {status}", self.name);
        }
    }

    /// Sends SIGINT, as a terminal does on Ctrl+C.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends the signal called `name`, without its SIG.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -\"$1\" \"$2\"", "sh", name])
            .arg(self.id().to_string())
            .status()
            .expect("sh runs");
        assert!(status.success(), "{} takes no signal", self.name);
    }

    /// Waits until it has ended by itself; `None` after `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll(limit, || self.ended())
    }

    fn print_tail(&self) {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Lines of JSON are samples; the report of the swarm sums them up.
        let lines = text.lines().filter(|line| !line.starts_with('{'));
        let lines: Vec<&str> = lines.collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        eprintln!("--- log of {} ends with\n{}", self.name, tail.join("\n"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print_tail();
        }
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls `attempt` until the program it starts is ready. A free port may be
/// taken by somebody else before the program binds it: then the program ends
/// and the next attempt takes another port.
pub(crate) fn start_with_retries<T>(
    name: &str,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let mut problem = String::new();
    for _ in 0..3 {
        match attempt() {
            Ok(started) => return started,
            Err(error) => problem = error,
        }
    }
    panic!("{name} does not get ready: {problem}");
}

/// Waits until `ready` or the program has ended; for `start_with_retries`.
pub(crate) fn wait_until_ready(
    process: &mut Process,
    limit: Duration,
    mut ready: impl FnMut() -> bool,
) -> Result<(), String> {
    let outcome = poll(limit, || match process.ended() {
        Some(status) => Some(Err(format!("it ended: {status}"))),
        None => ready().then_some(Ok(())),
    });
    outcome
        .unwrap_or_else(|| Err(format!("not ready after {limit:?}")))
        .inspect_err(|_| process.print_tail())
}

/// Waits until `condition` holds; fails the test with `what` after `limit`.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let met = poll(limit, || condition().then_some(()));
    assert!(met.is_some(), "not within {limit:?}: {what}");
}

fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if began.elapsed() >= limit {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// A command for `program` of the Debian package `package`, with an empty
/// environment but for the search path: no proxy and no user configuration
/// reaches it. Fails the test when the program is missing.
pub(crate) fn program(program: &str, package: &str, home: &Path) -> Command {
    let path = search_path();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: install the Debian package {package}"));
    isolated(&found, home)
}

/// A command for the file `program` with an environment of its own.
pub(crate) fn isolated(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", home)
        .env("LANG", "C.UTF-8");
    command
}

/// The search path, with the folders of system programs even where a plain
/// user's path lacks them.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/bin:/usr/sbin:/bin")
}

/// A port that is free now for TCP and UDP on `address`. Somebody else may
/// take it before it is used: see [`start_with_retries`].
pub(crate) fn free_port(address: impl Into<IpAddr>) -> u16 {
    let address = address.into();
    for _ in 0..50 {
        let listener = TcpListener::bind((address, 0)).expect("loopback address can be bound");
        let port = listener.local_addr().expect("bound").port();
        if UdpSocket::bind((address, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for TCP and UDP");
}

/// Unix time in milliseconds, as the result database has it.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("clock is after 1970").as_millis()).expect("fits")
}

fn append(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("log can be written")
}
