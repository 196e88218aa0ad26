//! libtorrent, one process for each session, driven by
//! `tests/data/libtorrent_client.py`.
//!
//! Sessions of one process would share the connection id of a UDP tracker,
//! which is bound to one address.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Assignment, Client, Progress};
use super::process::{Process, free_port, isolated, start_with_retries, wait_until_ready};
use super::samples::Sample;

const START_LIMIT: Duration = Duration::from_secs(20);

/// Where it listens in a network of its own.
const PORT: u16 = 6881;

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

/// What a session is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    /// Name for messages.
    pub(crate) name: &'static str,
    /// First eight bytes of its peer id, so that the results tell it from
    /// others; empty for libtorrent's own.
    pub(crate) fingerprint: &'static str,
    /// Has everything from the start.
    pub(crate) seeds: bool,
    /// With and without encryption, as the driver calls it.
    pub(crate) encryption: &'static str,
    /// What carries its connections, as the driver calls it.
    pub(crate) transport: &'static str,
    /// Names its peers to others (BEP 11).
    pub(crate) exchange: bool,
    /// Announces itself in its own network (BEP 14).
    pub(crate) local: bool,
    /// Finishes only while somebody at one of these addresses is connected.
    pub(crate) company: &'static [&'static str],
}

impl Role {
    /// Has everything, calls in the clear over TCP, and takes all callers.
    pub(crate) const SEEDER: Self = Self {
        name: "libtorrent-seeder",
        fingerprint: "-SE2080-",
        seeds: true,
        encryption: "not outward",
        transport: "tcp, utp inward",
        exchange: false,
        local: false,
        company: &[],
    };
    /// The same, but has nothing, and has libtorrent's own fingerprint.
    pub(crate) const LEECHER: Self = Self {
        name: "libtorrent",
        fingerprint: "",
        seeds: false,
        ..Self::SEEDER
    };
    /// Has everything, and talks with and without encryption.
    pub(crate) const EITHER_SEEDER: Self = Self {
        name: "libtorrent-either",
        encryption: "either",
        ..Self::SEEDER
    };
    /// Has nothing, and talks only by RC4.
    pub(crate) const RC4_LEECHER: Self = Self {
        name: "libtorrent-rc4",
        fingerprint: "-LR2080-",
        encryption: "rc4",
        ..Self::LEECHER
    };
    /// Has nothing, and talks only with an encrypted handshake and a stream
    /// in the clear.
    pub(crate) const PLAINTEXT_LEECHER: Self = Self {
        name: "libtorrent-plaintext",
        fingerprint: "-LP2080-",
        encryption: "plaintext",
        ..Self::LEECHER
    };
    /// Has everything, and talks only by uTP.
    pub(crate) const UTP_SEEDER: Self = Self {
        encryption: "either",
        transport: "utp",
        ..Self::SEEDER
    };
    /// Has nothing, and talks only by uTP.
    pub(crate) const UTP_LEECHER: Self = Self {
        name: "libtorrent-utp",
        fingerprint: "-LU2080-",
        encryption: "either",
        transport: "utp",
        ..Self::LEECHER
    };
    /// Has everything, and announces itself in its own network.
    pub(crate) const LSD_SEEDER: Self = Self {
        name: "libtorrent-lsd",
        fingerprint: "-SL2080-",
        local: true,
        ..Self::EITHER_SEEDER
    };
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
        let port = match assignment.network {
            // Nobody else is there.
            Some(_) => PORT,
            None => free_port(assignment.address),
        };
        let further = assignment.further_addresses.iter();
        let addresses: Vec<_> = std::iter::once(&assignment.address)
            .chain(further)
            .collect();
        let at = |address: &&IpAddr| SocketAddr::new(**address, port).to_string();
        let listen: Vec<String> = addresses.iter().map(at).collect();
        let call: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let settings = json!({
            "listen": listen.join(","),
            "call_from": call.join(","),
            "folder": assignment.folder,
            "torrents": assignment.torrents,
            "seed": role.seeds,
            "encryption": role.encryption,
            "transport": role.transport,
            "local": role.local,
            "download_limit": assignment.download_limit,
            "fingerprint": role.fingerprint,
            "dht": assignment.dht.map(|node| node.to_string()),
            "peers": assignment.peers,
            "exchange": role.exchange,
            "company": role.company,
        });
        let file = assignment.folder.join("session.json");
        fs::write(&file, settings.to_string()).map_err(|error| error.to_string())?;
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/libtorrent_client.py");
        let mut command = isolated(Path::new(PYTHON), assignment.folder);
        command.arg(driver).arg(file);
        if let Some(network) = assignment.network {
            command = network.enter(&command);
        }
        let mut session = Self {
            name: role.name,
            process: Process::spawn(role.name, command, assignment.folder),
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
