//! aria2 with its JSON-RPC interface.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Assignment, Client, Progress};
use super::http;
use super::process::{Process, free_port, now_ms, program, start_with_retries, wait_until_ready};
use super::samples::Sample;

const START_LIMIT: Duration = Duration::from_secs(20);

/// A running aria2.
pub(crate) struct Aria2 {
    process: Process,
    agent: ureq::Agent,
    url: String,
    code: String,
    port: u16,
}

impl Aria2 {
    /// Starts it with its torrents.
    pub(crate) fn start(assignment: &Assignment) -> Self {
        start_with_retries("aria2", || Self::attempt(assignment))
    }

    /// The port on which it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn attempt(assignment: &Assignment) -> Result<Self, String> {
        let rpc_port = free_port(Ipv4Addr::LOCALHOST);
        let port = free_port(assignment.address);
        let folder = assignment.folder;
        let mut command = program("aria2c", "aria2", folder);
        command
            .args(fixed_arguments())
            .arg(format!("--stop-with-process={}", std::process::id()))
            .arg(format!("--rpc-listen-port={rpc_port}"))
            .arg(format!("--listen-port={port}"))
            .args(dht_arguments(assignment, port))
            .arg(format!("--interface={}", assignment.address))
            .arg(format!(
                "--max-download-limit={}",
                assignment.download_limit
            ))
            .arg(format!("--dir={}", folder.display()))
            .args(assignment.torrents);
        let mut aria2 = Self {
            process: Process::spawn("aria2", command, folder),
            agent: http::agent(),
            url: format!("http://127.0.0.1:{rpc_port}/jsonrpc"),
            code: String::new(),
            port,
        };
        let (agent, url) = (aria2.agent.clone(), aria2.url.clone());
        wait_until_ready(&mut aria2.process, START_LIMIT, || {
            call(&agent, &url, "aria2.getVersion", &json!([])).is_ok()
        })?;
        let answer = call(&aria2.agent, &aria2.url, "aria2.getVersion", &json!([]))?;
        let version = answer["version"].as_str().ok_or("no version")?;
        // Its peer id begins with A2-1-36-0- for version 1.36.0.
        let code = format!("A2-{}-", version.replace('.', "-"));
        aria2.code = code.chars().take(8).collect();
        Ok(aria2)
    }
}

impl Client for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn code(&self) -> &str {
        &self.code
    }

    fn sample(&mut self, progress: &mut Progress) -> Result<(), String> {
        let from_ms = now_ms();
        let keys = json!([["infoHash", "bitfield"]]);
        let answer = call(&self.agent, &self.url, "aria2.tellActive", &keys)?;
        let to_ms = now_ms();
        for download in answer.as_array().ok_or("no list of downloads")? {
            let hash = download["infoHash"].as_str().ok_or("no info hash")?;
            // Without any piece there may be no bitfield yet.
            let bitfield = download["bitfield"].as_str().unwrap_or("");
            let pieces = bitfield.chars().filter_map(|digit| digit.to_digit(16));
            let sample = Sample {
                from_ms,
                to_ms,
                pieces: pieces.map(u32::count_ones).sum(),
            };
            progress.push(hash, sample);
        }
        Ok(())
    }

    fn assert_running(&mut self) {
        self.process.assert_running();
    }
}

fn fixed_arguments() -> &'static [&'static str] {
    &[
        "--no-conf=true",
        "--enable-rpc=true",
        "--rpc-listen-all=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        "--disable-ipv6=true",
        "--async-dns=false",
        "--bt-min-crypto-level=plain",
        "--bt-require-crypto=false",
        // Data that lie in the folder already are checked and seeded.
        "--check-integrity=true",
        // Keep seeding after the download.
        "--seed-ratio=0.0",
        // Without this it looks for more and more peers while it is slow.
        "--bt-request-peer-speed-limit=1",
        "--file-allocation=none",
        "--summary-interval=0",
        "--console-log-level=info",
        "--enable-color=false",
        "--auto-save-interval=0",
    ]
}

/// Its node uses the port of its listener.
fn dht_arguments(assignment: &Assignment, port: u16) -> Vec<String> {
    let Some(node) = assignment.dht else {
        return vec!["--enable-dht=false".to_owned()];
    };
    let file = assignment.folder.join("dht.dat");
    vec![
        "--enable-dht=true".to_owned(),
        format!("--dht-listen-port={port}"),
        format!("--dht-entry-point={node}"),
        format!("--dht-file-path={}", file.display()),
    ]
}

fn call(agent: &ureq::Agent, url: &str, method: &str, params: &Value) -> Result<Value, String> {
    let request = json!({"jsonrpc": "2.0", "id": "1", "method": method, "params": params});
    let mut answer = http::post_json(agent, url, &request)?;
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(format!("{method}: {answer}")),
    }
}
