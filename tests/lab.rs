//! `btda lab`: the real program on the practice swarm, exact to the piece.
//!
//! The heavy trials run one after the other: each has thousands of threads
//! on both sides.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

use btda::lab::wire;
use common::contract::{Waiting, assert_contract};
use common::libtorrent_dht::LibtorrentNode;
use common::process::{Process, isolated, wait_until};

/// Memory of the analyzer with 2,000 peers and 500 callers, in MB: a debug
/// build needs about 80, nearly all of it for the stacks of its threads.
const MEMORY_MAX: f64 = 250.0;

/// Longest wait for something that takes a moment.
const SOON: Duration = Duration::from_secs(60);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // A trial that failed does not spoil the next.
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn lab(folder: &Path, line: &str) -> Output {
    isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder)
        .current_dir(folder)
        .arg("lab")
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A judgement that must be exact; on failure everything is shown.
fn judgement(folder: &Path, line: &str) -> Value {
    let output = lab(folder, &format!("{line} --json"));
    let told = text(&output.stdout);
    let value: Value = serde_json::from_str(&told)
        .unwrap_or_else(|error| panic!("{error}: {told}{}", text(&output.stderr)));
    assert_eq!(value["findings"], serde_json::json!([]), "{value:#}");
    assert_eq!(value["exact"], true);
    assert_eq!(output.status.code(), Some(0));
    value
}

fn database(folder: &Path, value: &Value) -> PathBuf {
    folder.join(value["files"]["database"].as_str().unwrap())
}

/// The sum of `key` below `group` over all torrents.
fn sum(value: &Value, group: &str, key: &str) -> u64 {
    let torrents = value["torrents"].as_array().unwrap().iter();
    torrents.map(|it| it[group][key].as_u64().unwrap()).sum()
}

/// Classes of reach that only an analyzer of today knows.
const BEYOND_2015: [&str; 10] = [
    "rc4",
    "mse-plain",
    "utp",
    "utp-rc4",
    "ipv6",
    "pex",
    "caller-rc4",
    "caller-mse-plain",
    "caller-utp",
    "caller-utp-rc4",
];

/// The class of that name in a judgement.
fn class<'a>(value: &'a Value, name: &str) -> &'a Value {
    let mut classes = value["classes"].as_array().unwrap().iter();
    classes
        .find(|it| it["class"] == name)
        .unwrap_or_else(|| panic!("no class {name}: {value:#}"))
}

/// Every behaviour and every class of reach on, 2,000 peers, 500 callers, 10 torrents.
fn heavy(options: &str) -> Value {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "--torrents 10 --peers 2000 --callers 500 --time 28s --timeout 2s --speed 1.2 {options}"
    );
    let value = judgement(folder.path(), &line);
    // What was judged within bounds are the last seconds' contacts, which the
    // parties close at once and the analyzer then tries over uTP, and a few for
    // which the machine was too slow.
    let (contacts, open) = (value["contacts"].as_u64(), value["open"].as_u64());
    assert!(contacts > Some(5_000), "{value:#}");
    assert!(open < contacts.map(|all| all / 8), "{value:#}");
    assert_eq!(sum(&value, "piece_counts", "wrong"), 0);
    assert_eq!(sum(&value, "piece_counts", "missing"), 0);
    assert!(sum(&value, "piece_counts", "exact") > 3_000);
    assert_eq!(
        sum(&value, "confirmed", "counted"),
        sum(&value, "confirmed", "true")
    );
    assert_eq!(value["recall_of_contacts"], 1.0);
    assert_eq!(value["recall_of_story"], value["expected_recall_of_story"]);
    for class in value["classes"].as_array().unwrap() {
        assert_eq!(class["piece_counts"]["missing"], 0, "{class}");
        assert_eq!(
            class["confirmed"]["counted"], class["confirmed"]["true"],
            "{class}"
        );
    }
    assert_eq!(value["threads_ended_early"], 0);
    assert!(
        value["memory_mb"].as_f64().unwrap() < MEMORY_MAX,
        "{value:#}"
    );
    assert_contract(&database(folder.path(), &value), Waiting::Possibly);
    value
}

#[test]
fn exact_with_every_behaviour_first_seed() {
    let value = heavy("--seed 1");
    // Whatever a party can do wrong, and being turned away, has occurred.
    let failures = value["failures"].as_array().unwrap();
    for reason in [
        "timed out",
        "Socket connection broken",
        "Peer speaks unknown protocol",
        "Mismatch on received info hash",
        "Unknown info hash",
        "Already in outgoing",
        "Bitfield of wrong length",
        "Bitfield with spare bits set",
        "Message longer than the limit",
        "[Errno 104] Connection reset by peer",
        "[Errno 111] Connection refused",
    ] {
        let found = failures.iter().find(|it| it["reason"] == reason);
        assert!(found.is_some_and(|it| it["counted"] != 0), "{reason}");
    }
    assert!(value["confirmed"].as_u64() > Some(300), "{value:#}");
    // Nobody is lost for the way in which it is reached.
    for name in BEYOND_2015
        .into_iter()
        .chain(["tcp", "finishes", "caller-nat"])
    {
        let class = class(&value, name);
        assert!(
            class["piece_counts"]["exact"].as_u64() > Some(20),
            "{class}"
        );
        assert!(class["confirmed"]["counted"].as_u64() > Some(0), "{class}");
    }
    let back = |key: &str| value["called_back"][key].as_u64().unwrap();
    let (seen, due) = (back("seen"), back("due"));
    assert!(
        due > 10 && seen * 10 >= due * 9,
        "called back: {seen} of {due}"
    );
}

#[test]
fn exact_with_every_behaviour_second_seed() {
    heavy("--seed 2");
}

#[test]
fn exact_with_every_behaviour_third_seed() {
    heavy("--seed 3");
}

#[test]
fn the_method_of_2015_gives_what_it_must() {
    let value = heavy("--seed 1 --method 2015");
    assert_eq!(value["method"], "2015");
    // It loses every peer at its first failure.
    assert!(value["confirmed"].as_u64() > Some(100), "{value:#}");
    // Callers are known by their address alone, and nobody is called back.
    let failures = value["failures"].as_array().unwrap();
    let known = |it: &&Value| it["reason"] == "Already in outgoing" && it["counted"] != 0;
    assert!(failures.iter().any(|it| known(&it)), "{value:#}");
    assert_eq!(value["called_back"]["due"], 0);
    // What the thesis could not reach is lost, and nothing else for that.
    for name in BEYOND_2015 {
        let class = class(&value, name);
        assert!(class["happened"].as_u64() > Some(0), "{class}");
        assert_eq!(class["confirmed"]["counted"], 0, "{class}");
        assert_eq!(class["piece_counts"]["exact"], 0, "{class}");
    }
    for name in ["tcp", "finishes", "caller", "caller-nat"] {
        let counted = &class(&value, name)["confirmed"]["counted"];
        assert!(counted.as_u64() > Some(0), "{name}: {value:#}");
    }
}

/// Every way to (not) give metadata as often as the others; two links, one of
/// them without trackers; many peers that only the DHT names.
fn by_links_and_dht(options: &str) {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "--torrents 4 --magnets 2 --peers 160 --callers 40 --time 12s --seed 4 --speed 3 \
         --metadata all=1 --dht-share 40 {options}"
    );
    let value = judgement(folder.path(), &line);
    let resolved = serde_json::json!({
        "links": 2, "asked": 2, "given": 2, "resolved": 2, "exact": 2
    });
    assert_eq!(value["magnets"], resolved);
    for source in ["tracker", "dht", "incoming"] {
        let [counted, happened] = ["counted", "true"].map(|key| &value["sources"][source][key]);
        assert!(counted.as_u64() >= Some(20), "{source}: {value:#}");
        assert_eq!(counted, happened);
    }
    assert!(value["confirmed"].as_u64() > Some(20), "{value:#}");
    let database = database(folder.path(), &value);
    assert_contract(&database, Waiting::Possibly);
    let truth = folder
        .path()
        .join(value["files"]["truth"].as_str().unwrap());
    let truth = fs::read_to_string(truth).unwrap();
    let lines = truth
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let kind = |kind: &'static str| lines.iter().filter(move |line| line["kind"] == kind);
    // What the DHT was told is where the analyzer listens.
    let results = common::results::Results::open(&database).unwrap();
    let sql = "SELECT CAST(value AS INTEGER) FROM run WHERE key = 'listen_port'";
    let port = results.number(sql, ()).unwrap();
    assert_eq!(kind("dht").count(), 4);
    for line in kind("dht") {
        assert_eq!(line["port"], port, "{line}");
        assert!(
            line["announces"].as_u64() > Some(0) && line["refused"] == 0,
            "{line}"
        );
    }
    let manners: BTreeSet<&str> = kind("metadata")
        .map(|line| line["manner"].as_str().unwrap())
        .collect();
    assert!(manners.len() > 3, "asked were: {manners:?}");
}

#[test]
fn exact_with_links_and_our_own_dht_node() {
    by_links_and_dht("--dht own");
}

#[test]
fn exact_with_links_and_a_pymdht() {
    by_links_and_dht("--dht pymdht");
}

/// The practice DHT is one for others too.
#[test]
fn libtorrent_finds_the_peers_of_the_swarm_by_its_dht() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder.path());
    command.current_dir(folder.path()).args(
        "lab --only-swarm --json --torrents 1 --magnets 1 --peers 5 --callers 0 --share all=0 \
         --share seed=1 --reach all=0 --reach tcp=1"
            .split_whitespace(),
    );
    let mut swarm = Process::spawn("swarm", command, folder.path());
    let told = places(&swarm);
    let hash = told["torrents"][0]["info_hash"].as_str().unwrap();
    let link = told["torrents"][0]["magnet"].as_str().unwrap();
    assert_eq!(link, format!("magnet:?xt=urn:btih:{hash}"));
    let input = folder.path().join(told["folder"].as_str().unwrap());
    let list = fs::read_to_string(input.join("magnet.txt")).unwrap();
    assert_eq!(list, format!("{link}\n"));
    assert!(told["control_port"].is_u64());
    let node = told["dht_nodes"][0].as_str().unwrap().parse().unwrap();
    let address = std::net::Ipv4Addr::new(127, 0, 1, 90);
    let mut client = LibtorrentNode::start(address.into(), node, folder.path());
    for peer in told["peers"].as_array().unwrap() {
        assert_eq!(peer["named_by"], "dht");
        let peer = peer["address"].as_str().unwrap().parse().unwrap();
        client.wait_to_find(hash.parse().unwrap(), peer);
    }
    swarm.interrupt();
    let status = swarm.wait(SOON).expect("ends on Ctrl+C");
    assert_eq!(status.code(), Some(0));
}

/// What `--only-swarm --json` says, once it says it.
fn places(swarm: &Process) -> Value {
    let mut told = Value::Null;
    wait_until("the swarm tells its places", SOON, || {
        let said = fs::read_to_string(swarm.log()).unwrap();
        let object = said.find('{').map_or("", |at| &said[at..]);
        told = serde_json::from_str(object).unwrap_or_default();
        told.is_object()
    });
    told
}

#[test]
fn a_small_trial_prints_its_table() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = "--torrents 2 --peers 40 --callers 10 --time 10s --seed 5 --speed 2 --output out";
    let output = lab(folder.path(), line);
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{table}{said}");
    for part in [
        "practice swarm of seed 5 (plan ",
        "confirmed downloads",
        "peers by source: tracker ",
        ", dht ",
        "precision",
        "recall",
        "class             parties",
        "utp-rc4",
        "verdict: exact",
        "_truth.jsonl",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let found = walkdir::WalkDir::new(folder.path().join("out"));
    let names: Vec<String> = found
        .into_iter()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for end in [
        ".sqlite",
        "_truth.jsonl",
        "_run.json",
        "_peer-error.txt",
        "config.toml",
    ] {
        assert!(
            names.iter().any(|name| name.ends_with(end)),
            "{end}: {names:?}"
        );
    }
}

#[test]
fn a_seed_is_a_story() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let digest = |seed: u32| {
        let line = format!(
            "--only-swarm --json --torrents 1 --peers 20 --callers 5 --time 0.2s --seed {seed}"
        );
        let output = lab(folder.path(), &line);
        assert_eq!(output.status.code(), Some(0));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["plan"].as_str().unwrap().to_owned()
    };
    let first = digest(7);
    assert_eq!(first.len(), 40);
    assert_eq!(digest(7), first);
    assert_ne!(digest(8), first);
}

/// An analyzer in a few lines: asks a tracker, calls one peer.
#[test]
fn only_the_swarm_for_a_client_made_by_hand() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder.path());
    command.current_dir(folder.path()).args(
        "lab --only-swarm --json --torrents 1 --peers 3 --callers 0 --share all=0 --share seed=1 \
         --reach all=0 --reach tcp=1"
            .split_whitespace(),
    );
    let mut swarm = Process::spawn("swarm", command, folder.path());
    let told = places(&swarm);
    let files = fs::read_dir(folder.path().join(told["folder"].as_str().unwrap())).unwrap();
    assert_eq!(files.count(), 1);
    let hash = told["torrents"][0]["info_hash"].as_str().unwrap();
    assert!(told["torrents"][0]["trackers"][0].is_string());
    let info_hash: btda::model::InfoHash = hash.parse().unwrap();
    let mut peer = TcpStream::connect(told["peers"][0]["address"].as_str().unwrap()).unwrap();
    peer.set_read_timeout(Some(SOON)).unwrap();
    let hello = wire::handshake(wire::NO_EXTENSIONS, info_hash.as_bytes(), &[b'c'; 20]);
    peer.write_all(&hello).unwrap();
    let mut answer = [0; 73];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer[28..48], info_hash.as_bytes());
    assert_eq!(answer[72], 5, "a seed tells a bitfield");
    drop(peer);
    swarm.interrupt();
    let status = swarm.wait(SOON).expect("ends on Ctrl+C");
    assert_eq!(status.code(), Some(0));
    let truth = fs::read_to_string(folder.path().join(told["truth"].as_str().unwrap())).unwrap();
    let lines: Vec<Value> = truth
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let contact = lines.iter().find(|line| line["kind"] == "contact").unwrap();
    assert_eq!(
        (&contact["behaviour"], &contact["handshake"]),
        (&"seed".into(), &true.into())
    );
    assert_eq!(lines.last().unwrap()["kind"], "end");
}

#[test]
fn ctrl_c_ends_a_trial_in_order_with_a_judgement() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder.path());
    command
        .current_dir(folder.path())
        .args("lab --torrents 1 --peers 30 --callers 10 --time 10m --json".split_whitespace());
    let mut lab = Process::spawn("lab", command, folder.path());
    let contacts = || -> usize {
        let files = walkdir::WalkDir::new(folder.path()).into_iter().flatten();
        let databases =
            files.filter(|file| file.path().extension().is_some_and(|it| it == "sqlite"));
        let rows = databases.filter_map(|file| {
            let results = common::results::Results::open(file.path()).ok()?;
            results.number("SELECT count(*) FROM visit", ()).ok()
        });
        usize::try_from(rows.sum::<i64>()).unwrap()
    };
    wait_until("visits are stored", SOON, || contacts() > 20);
    lab.interrupt();
    let status = lab.wait(SOON).expect("ends on Ctrl+C");
    let said = fs::read_to_string(lab.log()).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("\"exact\": true"), "{said}");
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("out"), "a file").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_btda"))
        .current_dir(folder.path())
        .args(["lab", "--output", "out"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot be written"));
}
