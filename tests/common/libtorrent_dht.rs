//! A DHT node of libtorrent, driven by `tests/data/libtorrent_dht.py`.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use btda::model::InfoHash;
use serde_json::Value;

use super::process::{
    Process, free_port, isolated, start_with_retries, wait_until, wait_until_ready,
};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(90);

/// Debian's Python: a Python of the user's own would not see the package.
const PYTHON: &str = "/usr/bin/python3";

/// A running node.
pub(crate) struct LibtorrentNode {
    process: Process,
    address: SocketAddr,
}

impl LibtorrentNode {
    /// Starts it in a subfolder of `folder` and waits until it is in the
    /// network. It finds the others through `bootstrap`, which it keeps out of
    /// its own table.
    pub(crate) fn start(address: IpAddr, bootstrap: SocketAddr, folder: &Path) -> Self {
        let found = isolated(Path::new(PYTHON), folder)
            .args(["-c", "import libtorrent"])
            .output();
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "libtorrent is missing for {PYTHON}: install the Debian package python3-libtorrent"
        );
        // Several may share ::1.
        let folder = tempfile::tempdir_in(folder).expect("own folder").keep();
        start_with_retries("libtorrent", || {
            let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/libtorrent_dht.py");
            let mut command = isolated(Path::new(PYTHON), &folder);
            let own = SocketAddr::new(address, free_port(address));
            command
                .arg(driver)
                .arg(address.to_string())
                .arg(own.port().to_string())
                .arg(bootstrap.to_string());
            let mut process = Process::spawn("libtorrent-dht", command, &folder);
            let log = process.log().to_owned();
            wait_until_ready(&mut process, LIMIT, || knows_somebody(&log))?;
            Ok(Self {
                process,
                address: own,
            })
        })
    }

    /// Where it is.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to download a torrent, and so announces it.
    pub(crate) fn join(&mut self, hash: InfoHash, folder: &Path) {
        let folder = folder.display();
        self.process.tell(&format!("join {hash} {folder}"));
    }

    /// Asks it for peers until it names `wanted`.
    pub(crate) fn wait_to_find(&mut self, hash: InfoHash, wanted: SocketAddr) {
        let wanted = Value::from(wanted.to_string());
        let mut asked_after = usize::MAX;
        wait_until("libtorrent finds it", LIMIT, || {
            let lines = lines(self.process.log());
            if asked_after != lines.len() {
                self.process.tell(&format!("find {hash}"));
                asked_after = lines.len();
            }
            lines.iter().any(|line| {
                let peers = line["peers"].as_array();
                line["hash"] == hash.to_string()
                    && peers.is_some_and(|peers| peers.contains(&wanted))
            })
        });
    }
}

fn knows_somebody(log: &Path) -> bool {
    let lines = lines(log);
    lines.iter().any(|line| line["nodes"].as_u64() > Some(0))
}

/// The whole lines of JSON in a log; other lines are the session's alerts.
fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parsed = whole.lines().map(serde_json::from_str);
    parsed.filter_map(Result::ok).collect()
}
