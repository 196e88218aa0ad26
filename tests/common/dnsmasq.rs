//! A name server on loopback: dnsmasq, a Debian package.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use super::process::{Process, isolated, start_with_retries, wait_until};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// dnsmasq that knows what its options say. Nothing else is asked or read.
pub(crate) struct Names {
    process: Process,
    /// Where it answers, on 127.0.0.1.
    pub(crate) port: u16,
}

/// A port that is free for TCP and UDP: dnsmasq wants both.
fn free_for_both() -> u16 {
    // Other tests have many ports.
    let both = (0..1000).find_map(|_| {
        let stream = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let address = stream.local_addr().expect("bound");
        UdpSocket::bind(address).is_ok().then_some(address.port())
    });
    both.expect("some port is free for both")
}

impl Names {
    /// Starts it with `options`.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Self {
        start_with_retries("dnsmasq", || {
            let port = free_for_both();
            let mut command = isolated(Path::new("dnsmasq"), folder);
            command.args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
            ]);
            command.args([
                "--conf-file=/dev/null",
                "--listen-address=127.0.0.1",
                "--user=",
            ]);
            command.args(["--pid-file=", "--log-facility=-", "--log-queries"]);
            command.args(options);
            command.arg(format!("--port={port}"));
            let mut process = Process::spawn("dnsmasq", command, folder);
            let mut started = false;
            wait_until("dnsmasq answers or ends", SOON, || {
                let said = fs::read_to_string(process.log()).unwrap_or_default();
                started = said.contains("started");
                started || process.ended().is_some()
            });
            if started {
                Ok(Self { process, port })
            } else {
                Err("its port was taken".to_owned())
            }
        })
    }

    /// Addresses whose names were asked for.
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        let said = fs::read_to_string(self.process.log()).unwrap_or_default();
        let queries = said
            .lines()
            .filter_map(|line| line.split_once("query[PTR] "));
        let names = queries.filter_map(|(_, query)| query.split_once(".in-addr.arpa"));
        names
            .map(|(name, _)| name.split('.').rev().collect::<Vec<_>>().join("."))
            .collect()
    }
}
