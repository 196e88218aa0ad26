//! opentracker: HTTP and UDP on one port, for listed torrents only.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use btda::model::InfoHash;
use btda::protocol::bencode::Value;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::http;
use super::process::{
    Process, free_port, program, start_with_retries, wait_until, wait_until_ready,
};

/// How long it may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The running tracker.
pub(crate) struct OpenTracker {
    process: Process,
    address: SocketAddrV4,
    agent: ureq::Agent,
}

/// What its scrape says of one torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Peers with everything.
    pub(crate) complete: i64,
    /// Downloads since its start.
    pub(crate) downloaded: i64,
    /// Peers still loading.
    pub(crate) incomplete: i64,
}

impl OpenTracker {
    /// Starts it in `folder` on `address` and waits until it answers on TCP
    /// and on UDP.
    pub(crate) fn start(folder: &Path, address: Ipv4Addr, hashes: &[InfoHash]) -> Self {
        // It changes its root to this folder and then its user to nobody.
        let root = folder.join("root");
        fs::create_dir(&root).expect("folder can be made");
        fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("own folder");
        let list = root.join("whitelist");
        let lines: Vec<String> = hashes.iter().map(InfoHash::to_string).collect();
        fs::write(&list, lines.join("\n") + "\n").expect("whitelist can be written");
        fs::set_permissions(&list, Permissions::from_mode(0o644)).expect("own file");
        start_with_retries("opentracker", || Self::attempt(folder, &root, address))
    }

    fn attempt(folder: &Path, root: &Path, address: Ipv4Addr) -> Result<Self, String> {
        let port = free_port(address);
        let mut command = program("opentracker", "opentracker", folder);
        command
            .args(["-i", &address.to_string()])
            .args(["-p", &port.to_string(), "-P", &port.to_string()])
            .args(["-u", "nobody", "-w", "whitelist", "-d"])
            .arg(root);
        let mut tracker = Self {
            process: Process::spawn("opentracker", command, folder),
            address: SocketAddrV4::new(address, port),
            agent: http::agent(),
        };
        let address = tracker.address;
        wait_until_ready(&mut tracker.process, START_LIMIT, || {
            TcpStream::connect(address).is_ok() && answers_udp(address)
        })?;
        Ok(tracker)
    }

    /// Announce URL for HTTP.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    /// Announce URL for UDP.
    pub(crate) fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.address)
    }

    /// Announces somebody on this machine who is not there, again until it is
    /// taken: the tracker says no until it has read its list of torrents.
    pub(crate) fn announce(&self, hash: InfoHash, peer_id: &str, port: u16, left: u64) {
        let url = format!(
            "{}?info_hash={}&peer_id={peer_id}&port={port}&uploaded=0&downloaded=0&left={left}&compact=1&event=started",
            self.http_url(),
            percent_encode(hash.as_bytes(), NON_ALPHANUMERIC),
        );
        let mut last = String::new();
        wait_until("the tracker takes the peer", START_LIMIT, || {
            let answer = http::fetch(&self.agent, &url).map(|body| {
                let text = String::from_utf8_lossy(&body).into_owned();
                (!text.contains("failure reason"), text)
            });
            let said = match answer {
                Ok((true, _)) => return true,
                Ok((false, said)) | Err(said) => said,
            };
            if said != last {
                eprintln!("opentracker does not take port {port}: {said}");
                last = said;
            }
            false
        });
    }

    /// Fails the test when it has ended.
    pub(crate) fn assert_running(&mut self) {
        self.process.assert_running();
    }

    /// Its figures for a torrent; zeros when it knows nobody.
    pub(crate) fn scrape(&self, hash: InfoHash) -> Figures {
        let hash = hash.as_bytes();
        let query = percent_encode(hash, NON_ALPHANUMERIC);
        let url = format!("http://{}/scrape?info_hash={query}", self.address);
        let body = http::fetch(&self.agent, &url).unwrap_or_default();
        let figures = Value::parse(&body).ok().and_then(|answer| {
            let torrent = answer.get(b"files")?.get(hash)?;
            let number = |key: &[u8]| torrent.get(key).and_then(Value::integer);
            Some(Figures {
                complete: number(b"complete")?,
                downloaded: number(b"downloaded")?,
                incomplete: number(b"incomplete")?,
            })
        });
        figures.unwrap_or_default()
    }
}

/// Whether a BEP 15 connect request is answered.
fn answers_udp(address: SocketAddrV4) -> bool {
    let mut request = 0x0417_2710_1980_u64.to_be_bytes().to_vec();
    request.extend([0, 0, 0, 0, 1, 2, 3, 4]);
    let exchange = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect(address)?;
        socket.send(&request)?;
        socket.recv(&mut [0; 16])
    };
    matches!(exchange(), Ok(16))
}
