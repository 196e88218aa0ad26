//! The real program in a folder of its own, with a tracker and torrents made
//! for it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use btda::lab::{Reply, ScriptedTracker};
use btda::torrent::{NewTorrent, build};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::peers::PIECES;
use super::world::loopback;

/// A running program.
pub(crate) struct Run {
    process: Child,
    /// When it was started.
    pub(crate) started: Instant,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where its page is, if it has one.
    pub(crate) page: Option<SocketAddr>,
    /// Holds its standard error open.
    _said: BufReader<ChildStderr>,
    _tracker: ScriptedTracker,
    _folder: TempDir,
}

/// What a run measures.
pub(crate) struct Plan {
    /// Torrents, each with its own info hash.
    pub(crate) torrents: usize,
    /// Peers that the tracker names for each.
    pub(crate) peers: usize,
    /// Where they listen.
    pub(crate) port: u16,
    /// Contact threads.
    pub(crate) jobs: usize,
}

impl Run {
    /// Starts the program and waits until it says where it listens.
    pub(crate) fn start(plan: &Plan) -> Self {
        Self::with(plan, false)
    }

    /// The same with a page, and visits of a second, one behind the other.
    pub(crate) fn start_with_page(plan: &Plan) -> Self {
        Self::with(plan, true)
    }

    fn with(plan: &Plan, paged: bool) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let answer = answer(plan);
        let tracker = ScriptedTracker::http(move |_| Reply::ok(&answer)).expect("a tracker");
        let input = folder.path().join("input");
        std::fs::create_dir(&input).expect("folder can be made");
        for number in 0..plan.torrents {
            let file = torrent_file(PIECES, number, Some(tracker.url()));
            let path = input.join(format!("{number:04}.torrent"));
            std::fs::write(path, file).expect("torrent can be written");
        }
        let started = Instant::now();
        let page = [
            "--web",
            "127.0.0.1:0",
            "--revisit-delay",
            "0.1s",
            "--set",
            "revisit.mode=fixed",
        ];
        let (timeout, page) = if paged {
            ("1s", &page[..])
        } else {
            ("60s", &[][..])
        };
        let mut process = Command::new(env!("CARGO_BIN_EXE_btda"))
            .env_clear()
            .env("BTDA_CONTACT_ALLOW_PRIVATE", "true")
            .env("BTDA_CONTACT_PER_SECOND_MAX", "0")
            .env("BTDA_CONTACT_PER_SECOND_NETWORK_MAX", "0")
            .env("BTDA_CONTACT_PER_SECOND_TORRENT_MAX", "0")
            .current_dir(folder.path())
            .args(["-ap", "--port", "0", "--timeout", timeout])
            .args(["--jobs", &plan.jobs.to_string()])
            .args(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("btda starts");
        let mut said = BufReader::new(process.stderr.take().expect("piped"));
        let (address, page) = places(&mut said, paged);
        Self {
            process,
            started,
            address,
            page,
            _said: said,
            _tracker: tracker,
            _folder: folder,
        }
    }

    /// Its number, as in `/proc`.
    pub(crate) fn id(&self) -> String {
        self.process.id().to_string()
    }

    /// Ends it as Ctrl+C does; how long that took.
    pub(crate) fn interrupt(mut self) -> Duration {
        let start = Instant::now();
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::INT).expect("it runs");
        self.process.wait().expect("it ends");
        start.elapsed()
    }
}

/// Where it listens and, if it is `paged`, where its page is: lines of the
/// start say `listening on port N` and `the page is at http://A/`.
fn places(said: &mut impl BufRead, paged: bool) -> (SocketAddr, Option<SocketAddr>) {
    let (mut line, mut listens, mut page) = (String::new(), None, None);
    loop {
        line.clear();
        let read = said.read_line(&mut line).expect("it talks");
        assert!(read > 0, "btda ended before it listened");
        if let Some((_, rest)) = line.split_once("listening on port ") {
            let digits = rest.split(|it: char| !it.is_ascii_digit()).next();
            let port: u16 = digits.and_then(|it| it.parse().ok()).expect("a port");
            listens = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        }
        if let Some((_, rest)) = line.split_once("the page is at http://") {
            let at = rest.split('/').next().and_then(|it| it.parse().ok());
            page = Some(at.expect("an address"));
        }
        if let Some(listens) = listens.filter(|_| page.is_some() || !paged) {
            return (listens, page);
        }
    }
}

/// The tracker's answer: every peer at an address of its own.
fn answer(plan: &Plan) -> Vec<u8> {
    let mut bytes = format!("d8:intervali1800e5:peers{}:", plan.peers * 6).into_bytes();
    for number in 0..plan.peers {
        bytes.extend(loopback(number));
        bytes.extend(plan.port.to_be_bytes());
    }
    bytes.push(b'e');
    bytes
}

/// The torrent file of that number.
pub(crate) fn torrent_file(pieces: u32, number: usize, announce: Option<String>) -> Vec<u8> {
    build(&NewTorrent {
        announce,
        name: format!("bench-{number}"),
        piece_length: 1 << 18,
        pieces: vec![[1; 20]; pieces as usize],
        length: u64::from(pieces) << 18,
        ..NewTorrent::default()
    })
}
