//! transmission-daemon with its RPC interface.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Assignment, Client, Progress};
use super::http;
use super::process::{
    Process, free_port, now_ms, program, start_with_retries, wait_until, wait_until_ready,
};
use super::samples::Sample;

/// Longest time to check a few megabytes.
const SEED_LIMIT: Duration = Duration::from_secs(60);

/// `status` of a torrent.
const STOPPED: u64 = 0;
const SEEDING: u64 = 6;

const START_LIMIT: Duration = Duration::from_secs(20);

/// A running transmission-daemon.
pub(crate) struct Transmission {
    process: Process,
    interface: Interface,
    code: String,
    port: u16,
}

impl Transmission {
    /// Starts it and gives it its torrents.
    pub(crate) fn start(assignment: &Assignment) -> Self {
        Self::start_with(assignment, &json!({}))
    }

    /// The same, but it talks to nobody without encryption, and over TCP only.
    pub(crate) fn start_encrypted(assignment: &Assignment) -> Self {
        Self::start_with(assignment, &json!({"encryption": 2, "utp-enabled": false}))
    }

    /// With other values for some of its settings.
    fn start_with(assignment: &Assignment, others: &Value) -> Self {
        let mut daemon = start_with_retries("transmission", || Self::attempt(assignment, others));
        for torrent in assignment.torrents {
            let path = torrent.to_str().expect("path is text");
            daemon
                .add(path, assignment.download_limit)
                .unwrap_or_else(|error| panic!("transmission does not take a torrent: {error}"));
        }
        daemon
    }

    /// The port on which it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it has checked the data of its torrents and offers them. A
    /// start is forgotten when it comes in the middle of the check.
    pub(crate) fn wait_until_seeding(&mut self) {
        wait_until("transmission seeds", SEED_LIMIT, || {
            self.process.assert_running();
            let fields = json!({"fields": ["status"]});
            let answer = self.interface.call("torrent-get", &fields);
            let answer = answer.unwrap_or_default();
            let torrents = answer["torrents"].as_array();
            let states = torrents.into_iter().flatten();
            let states: Vec<Option<u64>> = states.map(|it| it["status"].as_u64()).collect();
            if states.contains(&Some(STOPPED)) {
                // Without ids it means all torrents.
                let _ = self.interface.call("torrent-start-now", &json!({}));
            }
            !states.is_empty() && states.iter().all(|it| *it == Some(SEEDING))
        });
    }

    fn attempt(assignment: &Assignment, others: &Value) -> Result<Self, String> {
        let rpc_port = free_port(Ipv4Addr::LOCALHOST);
        let port = free_port(assignment.address);
        let folder = assignment.folder;
        let mut settings = settings(assignment, port, rpc_port);
        for (key, value) in others.as_object().into_iter().flatten() {
            settings[key] = value.clone();
        }
        fs::write(folder.join("settings.json"), settings.to_string())
            .map_err(|error| error.to_string())?;
        let mut command = program("transmission-daemon", "transmission-daemon", folder);
        command
            .args(["--foreground", "--log-info", "--config-dir"])
            .arg(folder);
        let mut process = Process::spawn("transmission", command, folder);
        let mut interface = Interface {
            agent: http::agent(),
            url: format!("http://127.0.0.1:{rpc_port}/transmission/rpc"),
            session: String::new(),
        };
        let mut version = None;
        wait_until_ready(&mut process, START_LIMIT, || {
            version = interface.call("session-get", &json!({})).ok();
            version.is_some()
        })?;
        let answer = version.unwrap_or_default();
        let version = answer["version"].as_str().ok_or("no version")?;
        // Its peer id begins with -TR3000- for version 3.00.
        let digits = version.chars().take_while(|c| !c.is_whitespace());
        let digits: String = digits.filter(char::is_ascii_digit).collect();
        let code = format!("-TR{digits:0<4}-");
        Ok(Self {
            process,
            interface,
            code,
            port,
        })
    }

    /// Adds a torrent, limits it and only then lets it start.
    fn add(&mut self, path: &str, download_limit: u32) -> Result<(), String> {
        let added = json!({"filename": path, "paused": true});
        let answer = self.interface.call("torrent-add", &added)?;
        let id = &answer["torrent-added"]["id"];
        let limits = json!({
            "ids": [id],
            "downloadLimit": download_limit / 1000,
            "downloadLimited": download_limit > 0,
        });
        self.interface.call("torrent-set", &limits)?;
        self.interface
            .call("torrent-start-now", &json!({"ids": [id]}))?;
        Ok(())
    }
}

impl Client for Transmission {
    fn name(&self) -> &'static str {
        "transmission"
    }

    fn code(&self) -> &str {
        &self.code
    }

    fn sample(&mut self, progress: &mut Progress) -> Result<(), String> {
        let from_ms = now_ms();
        let fields = json!({"fields": ["hashString", "pieces"]});
        let answer = self.interface.call("torrent-get", &fields)?;
        let to_ms = now_ms();
        for torrent in answer["torrents"].as_array().ok_or("no list of torrents")? {
            let hash = torrent["hashString"].as_str().ok_or("no info hash")?;
            let bitfield = torrent["pieces"].as_str().ok_or("no pieces")?;
            let sample = Sample {
                from_ms,
                to_ms,
                pieces: ones_in_base64(bitfield),
            };
            progress.push(hash, sample);
        }
        Ok(())
    }

    fn assert_running(&mut self) {
        self.process.assert_running();
    }
}

struct Interface {
    agent: ureq::Agent,
    url: String,
    session: String,
}

impl Interface {
    /// One call; the first answer of a daemon is 409 with the session id that
    /// every later request must carry.
    fn call(&mut self, method: &str, arguments: &Value) -> Result<Value, String> {
        let body = json!({"method": method, "arguments": arguments}).to_string();
        for _ in 0..2 {
            let mut answer = self
                .agent
                .post(&self.url)
                .header("X-Transmission-Session-Id", &self.session)
                .send(&body)
                .map_err(|error| error.to_string())?;
            if answer.status() == 409 {
                let id = answer.headers().get("X-Transmission-Session-Id");
                let id = id.and_then(|id| id.to_str().ok());
                self.session = id.map(str::to_owned).ok_or("409 without session id")?;
                continue;
            }
            let text = answer.body_mut().read_to_string();
            let text = text.map_err(|error| error.to_string())?;
            let mut answer: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            return match answer["result"].as_str() {
                Some("success") => Ok(answer["arguments"].take()),
                _ => Err(format!("{method}: {answer}")),
            };
        }
        Err(format!("{method}: refused twice with 409"))
    }
}

fn settings(assignment: &Assignment, port: u16, rpc_port: u16) -> Value {
    json!({
        "bind-address-ipv4": assignment.address.to_string(),
        "bind-address-ipv6": "::1",
        "peer-port": port,
        "peer-port-random-on-start": false,
        "port-forwarding-enabled": false,
        "dht-enabled": false,
        "lpd-enabled": false,
        "pex-enabled": false,
        // Without uTP and DHT it has no UDP socket to ask UDP trackers with.
        "utp-enabled": true,
        // Prefer plain connections.
        "encryption": 0,
        "rpc-bind-address": "127.0.0.1",
        "rpc-port": rpc_port,
        "rpc-authentication-required": false,
        "download-dir": assignment.folder.to_str().expect("path is text"),
        "incomplete-dir-enabled": false,
        "start-added-torrents": false,
        "blocklist-enabled": false,
    })
}

/// Number of set bits in base64 text (every digit stands for six bits).
pub(crate) fn ones_in_base64(text: &str) -> u32 {
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => 0,
    };
    text.bytes().map(|digit| value(digit).count_ones()).sum()
}
