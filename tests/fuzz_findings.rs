//! The seeds of the fuzz targets and everything they ever found, checked
//! without a fuzzer.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops with a panic, and says at which input"
)]

#[expect(unreachable_pub, reason = "a library of its own when it is fuzzed")]
#[path = "fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use targets::{
    config_file, dns, extension, geolocation, http_tracker, krpc, lsd, magnet, messages, mse,
    observe_record, peer_stream, pymdht_line, tex, torrent_file, udp_tracker, utp,
};

/// Every input of a target, seeds first.
fn inputs(target: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = root.join("tests/fuzz/corpus").join(target);
    let findings = root.join("tests/data/fuzz").join(target);
    let mut paths = Vec::new();
    for folder in [seeds, findings] {
        if folder.exists() {
            paths.extend(
                fs::read_dir(folder)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    assert!(paths.len() >= 3, "no seeds of {target}");
    paths.sort();
    paths
}

/// Each input, then each of its beginnings.
fn replay(target: &str, check: fn(&[u8])) {
    for path in inputs(target) {
        println!("{}", path.display());
        let bytes = fs::read(path).unwrap();
        let step = bytes.len().div_ceil(200).max(1);
        check(&bytes);
        for end in (0..bytes.len()).step_by(step) {
            check(&bytes[..end]);
        }
    }
}

#[test]
fn torrent_files() {
    replay("torrent_file", torrent_file::check);
}

#[test]
fn peer_streams() {
    replay("peer_stream", peer_stream::check);
}

#[test]
fn message_streams() {
    replay("messages", messages::check);
}

#[test]
fn encrypted_handshakes() {
    replay("mse", mse::check);
}

#[test]
fn http_trackers() {
    replay("http_tracker", http_tracker::check);
}

#[test]
fn udp_trackers() {
    replay("udp_tracker", udp_tracker::check);
}

#[test]
fn utp_packets() {
    replay("utp", utp::check);
}

#[test]
fn config_files() {
    replay("config_file", config_file::check);
}

#[test]
fn geolocation_databases() {
    replay("geolocation", geolocation::check);
}

#[test]
fn krpc_packets() {
    replay("krpc", krpc::check);
}

#[test]
fn lines_of_pymdht() {
    replay("pymdht_line", pymdht_line::check);
}

#[test]
fn magnet_links() {
    replay("magnet", magnet::check);
}

#[test]
fn extension_messages() {
    replay("extension", extension::check);
}

#[test]
fn records_of_the_observatory() {
    replay("observe_record", observe_record::check);
}

#[test]
fn announces_of_neighbours() {
    replay("lsd", lsd::check);
}

#[test]
fn trackers_that_peers_name() {
    replay("tex", tex::check);
}

#[test]
fn answers_of_name_servers() {
    replay("dns", dns::check);
}

/// A target without a test here would keep its findings to itself.
#[test]
fn every_target_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = fs::read_to_string(root.join("tests/fuzz_findings.rs")).unwrap();
    for entry in fs::read_dir(root.join("tests/fuzz/targets")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".rs").unwrap().to_owned();
        assert!(here.contains(&format!("{name}::check")), "{name}");
        assert!(
            root.join("tests/fuzz/dictionaries").join(&name).exists(),
            "{name}"
        );
    }
}
