//! What went over the network, recorded by dumpcap and read by tshark: the
//! word of a dissector that shares nothing with this project.
//!
//! It reads connections in the clear. Those under message stream encryption
//! are noise to it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Process, program, wait_until, wait_until_ready};

/// How long dumpcap may take to begin or to end.
const LIMIT: Duration = Duration::from_secs(20);

/// Debian package of both programs.
const PACKAGE: &str = "tshark";

/// Message types of the peer wire (BEP 3, 6, 10).
pub(crate) const REQUEST: u32 = 6;
pub(crate) const PIECE: u32 = 7;
pub(crate) const HAVE_NONE: u32 = 15;
pub(crate) const EXTENDED: u32 = 20;

/// A recording under way.
pub(crate) struct Capture {
    process: Process,
    file: PathBuf,
    devices: usize,
}

/// A packet, or the last of several, in which the dissector saw something of
/// BitTorrent.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) from: IpAddr,
    /// Over uTP; else over TCP.
    pub(crate) utp: bool,
    /// Handshakes that end in it.
    pub(crate) handshakes: usize,
    /// Types of the messages that end in it.
    pub(crate) messages: Vec<u32>,
    /// Something that the dissector takes for no message.
    pub(crate) unclear: bool,
    /// Number of its connection among those of TCP or of uTP.
    pub(crate) connection: Option<u32>,
}

impl Capture {
    /// Records what `filter` (of libpcap) lets through on `devices`.
    pub(crate) fn start(folder: &Path, devices: &[&str], filter: &str) -> Self {
        let file = folder.join("traffic.pcapng");
        let mut command = program("dumpcap", PACKAGE, folder);
        // Megabytes that wait for a busy machine, for each device.
        command.args(["-q", "-B", "64", "-f", filter]);
        for device in devices {
            command.args(["-i", device]);
        }
        command.arg("-w").arg(&file);
        let mut process = Process::spawn("dumpcap", command, folder);
        let log = process.log().to_owned();
        let begun = || fs::read_to_string(&log).is_ok_and(|said| said.contains("File: "));
        if let Err(error) = wait_until_ready(&mut process, LIMIT, begun) {
            panic!(
                "dumpcap does not record ({error}); it needs root, or the capability \
                 CAP_NET_RAW in the network of the test"
            );
        }
        Self {
            process,
            file,
            devices: devices.len(),
        }
    }

    /// Waits until the packet with `marker` in it, sent behind all others, is
    /// recorded: what the kernel still holds would be gone with the program.
    pub(crate) fn wait_for(&self, marker: &[u8]) {
        wait_until("the last packet is recorded", LIMIT, || {
            let recorded = fs::read(&self.file).unwrap_or_default();
            recorded.windows(marker.len()).any(|part| part == marker)
        });
    }

    /// Ends the recording. Fails the test when a packet was lost.
    pub(crate) fn stop(mut self) -> Recording {
        self.process.interrupt();
        let status = self.process.wait(LIMIT).expect("dumpcap ends after SIGINT");
        let said = fs::read_to_string(self.process.log()).expect("own file");
        assert!(status.success(), "dumpcap: {status}\n{said}");
        // Packets received/dropped on interface 'lo': 4321/0 (pcap:0/…
        let counts = said
            .lines()
            .filter(|line| line.contains("received/dropped"));
        let whole = counts.filter(|line| line.contains("/0 (pcap:0/dumpcap:0"));
        assert_eq!(whole.count(), self.devices, "packets were lost: {said}");
        Recording { file: self.file }
    }
}

/// A finished recording.
pub(crate) struct Recording {
    file: PathBuf,
}

impl Recording {
    /// Everything of BitTorrent in it; uTP is looked for at `utp_ports`.
    pub(crate) fn packets(&self, utp_ports: &[u16]) -> Vec<Packet> {
        let folder = self.file.parent().expect("file in a folder");
        let mut command = program("tshark", PACKAGE, folder);
        command.arg("-n").arg("-r").arg(&self.file);
        command.args(["-Y", "bittorrent", "-T", "fields", "-E", "aggregator=,"]);
        for port in utp_ports {
            command.arg("-d").arg(format!("udp.port=={port},bt-utp"));
        }
        for field in [
            "ip.src",
            "ipv6.src",
            "udp.srcport",
            "bittorrent.protocol.name",
            "bittorrent.msg.type",
            "bittorrent.continuous_data",
            "tcp.stream",
            "bt-utp.stream",
        ] {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(packet).collect()
    }
}

impl Recording {
    /// The UDP packets over IPv4 in it: sender and payload.
    pub(crate) fn datagrams(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        let folder = self.file.parent().expect("file in a folder");
        let mut command = program("tshark", PACKAGE, folder);
        command.arg("-n").arg("-r").arg(&self.file);
        command.args(["-Y", "udp", "-T", "fields"]);
        for field in ["ip.src", "udp.srcport", "udp.payload"] {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(datagram).collect()
    }
}

fn datagram(line: &str) -> (SocketAddr, Vec<u8>) {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[from, port, payload] = fields.as_slice() else {
        panic!("no three fields: {line}");
    };
    let from: IpAddr = from.parse().expect("an address");
    let port = port.parse().expect("a port");
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal");
    let (pairs, []) = payload.as_bytes().as_chunks::<2>() else {
        panic!("half a byte: {line}");
    };
    let bytes = pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low));
    let bytes = bytes.map(|byte| u8::try_from(byte).expect("two digits"));
    (SocketAddr::new(from, port), bytes.collect())
}

fn packet(line: &str) -> Packet {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[v4, v6, udp, handshakes, types, unclear, tcp, utp] = fields.as_slice() else {
        panic!("no eight fields: {line}");
    };
    let from = if v4.is_empty() { v6 } else { v4 };
    let list = |text: &str| {
        let items = text.split(',').filter(|item| !item.is_empty());
        items.map(str::to_owned).collect::<Vec<_>>()
    };
    let types = list(types);
    let messages = types.iter().map(|it| it.parse().expect("a number"));
    Packet {
        from: from.parse().expect("an address"),
        utp: !udp.is_empty(),
        handshakes: list(handshakes).len(),
        messages: messages.collect(),
        unclear: !unclear.is_empty(),
        connection: list(if udp.is_empty() { tcp } else { utp })
            .first()
            .map(|number| number.parse().expect("a number")),
    }
}
