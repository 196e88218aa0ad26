//! libtorrent, one process for each session, driven by
//! `tests/data/libtorrent_client.py`.
//!
//! Sessions of one process would share the connection id of a UDP tracker,
//! which is bound to one address.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Assignment, Client, Progress};
use super::process::{Process, free_port, isolated, start_with_retries, wait_until_ready};
use super::samples::Sample;

const START_LIMIT: Duration = Duration::from_secs(20);

/// Debian's Python: a Python of the user's own would not see the package.
const PYTHON: &str = "/usr/bin/python3";

/// A running session.
pub(crate) struct Libtorrent {
    name: &'static str,
    process: Process,
    port: u16,
    code: String,
    lines_read: usize,
}

/// What the session does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Has everything from the start. Bears a fingerprint of its own so that
    /// the results tell it from the leecher.
    Seeder,
    /// Has nothing.
    Leecher,
    /// Has everything, and talks with and without encryption.
    EitherSeeder,
    /// Has nothing, and talks only by RC4.
    Rc4Leecher,
    /// Has nothing, and talks only with an encrypted handshake and a stream
    /// in the clear.
    PlaintextLeecher,
    /// Has everything, and talks only by uTP.
    UtpSeeder,
    /// Has nothing, and talks only by uTP.
    UtpLeecher,
    /// Has everything, and announces itself in its own network.
    LsdSeeder,
}

impl Role {
    const fn seeds(self) -> bool {
        matches!(
            self,
            Self::Seeder | Self::EitherSeeder | Self::UtpSeeder | Self::LsdSeeder
        )
    }

    /// Word of the driver.
    const fn encryption(self) -> &'static str {
        match self {
            Self::Seeder | Self::Leecher => "not outward",
            Self::EitherSeeder | Self::UtpSeeder | Self::UtpLeecher | Self::LsdSeeder => "either",
            Self::Rc4Leecher => "rc4",
            Self::PlaintextLeecher => "plaintext",
        }
    }

    const fn is_utp_only(self) -> bool {
        matches!(self, Self::UtpSeeder | Self::UtpLeecher)
    }
}

impl Libtorrent {
    /// Starts a session; a seeder's data must lie in the folder.
    pub(crate) fn start(role: Role, assignment: &Assignment) -> Self {
        let found = isolated(Path::new(PYTHON), assignment.folder)
            .args(["-c", "import libtorrent"])
            .output();
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "libtorrent is missing for {PYTHON}: install the Debian package python3-libtorrent"
        );
        start_with_retries("libtorrent", || Self::attempt(role, assignment))
    }

    /// The port on which it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn attempt(role: Role, assignment: &Assignment) -> Result<Self, String> {
        let (name, fingerprint) = match role {
            Role::Seeder | Role::UtpSeeder => ("libtorrent-seeder", "-SE2080-"),
            Role::Leecher => ("libtorrent", ""),
            Role::EitherSeeder => ("libtorrent-either", "-SE2080-"),
            Role::LsdSeeder => ("libtorrent-lsd", "-SL2080-"),
            Role::Rc4Leecher => ("libtorrent-rc4", "-LR2080-"),
            Role::PlaintextLeecher => ("libtorrent-plaintext", "-LP2080-"),
            Role::UtpLeecher => ("libtorrent-utp", "-LU2080-"),
        };
        let port = free_port(assignment.address);
        let settings = json!({
            "address": assignment.address.to_string(),
            "port": port,
            "folder": assignment.folder,
            "torrents": assignment.torrents,
            "seed": role.seeds(),
            "encryption": role.encryption(),
            "utp_only": role.is_utp_only(),
            "lsd": role == Role::LsdSeeder,
            "download_limit": assignment.download_limit,
            "fingerprint": fingerprint,
            "dht": assignment.dht.map(|node| node.to_string()),
            "peers": assignment.peers,
        });
        let file = assignment.folder.join("session.json");
        fs::write(&file, settings.to_string()).map_err(|error| error.to_string())?;
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/libtorrent_client.py");
        let mut command = isolated(Path::new(PYTHON), assignment.folder);
        command.arg(driver).arg(file);
        let mut session = Self {
            name,
            process: Process::spawn(name, command, assignment.folder),
            port,
            code: String::new(),
            lines_read: 0,
        };
        let log = session.process.log().to_owned();
        wait_until_ready(&mut session.process, START_LIMIT, || {
            fingerprint_in(&log).is_some()
        })?;
        session.code = fingerprint_in(&log).unwrap_or_default();
        Ok(session)
    }
}

impl Client for Libtorrent {
    fn name(&self) -> &'static str {
        self.name
    }

    fn code(&self) -> &str {
        &self.code
    }

    /// Reads the lines that the driver printed since the last call.
    fn sample(&mut self, progress: &mut Progress) -> Result<(), String> {
        let lines = json_lines(self.process.log());
        let new = lines.get(self.lines_read..).unwrap_or_default();
        for line in new {
            let Some(pieces) = line["pieces"].as_object() else {
                continue;
            };
            let time = |key: &str| line[key].as_i64().ok_or("no time");
            for (hash, pieces) in pieces {
                let pieces = pieces.as_u64().and_then(|n| u32::try_from(n).ok());
                let sample = Sample {
                    from_ms: time("from_ms")?,
                    to_ms: time("to_ms")?,
                    pieces: pieces.ok_or("no number of pieces")?,
                };
                progress.push(hash, sample);
            }
        }
        self.lines_read = lines.len();
        Ok(())
    }

    fn assert_running(&mut self) {
        self.process.assert_running();
    }
}

fn fingerprint_in(log: &Path) -> Option<String> {
    let lines = json_lines(log);
    let code = lines.iter().find_map(|line| line["fingerprint"].as_str());
    code.map(str::to_owned)
}

/// The whole lines of JSON in a log; other lines are the session's alerts.
fn json_lines(log: &Path) -> Vec<Value> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
