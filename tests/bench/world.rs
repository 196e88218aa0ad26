//! The engine as a run builds it, on real loopback sockets, without trackers.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use btda::analyzer::dial::Utp;
use btda::analyzer::directory::Directory;
use btda::analyzer::engine::{Contacted, Engine};
use btda::analyzer::scheduler::Scheduler;
use btda::analyzer::stats::Stats;
use btda::analyzer::stays::Stays;
use btda::clock::{Clock, SystemClock};
use btda::config::{Config, Settings, Sources, Switches};
use btda::intake::PeerIntake;
use btda::model::record::Record;
use btda::model::{
    InfoHash, PeerAddress, PeerId, PieceCount, PseudonymKey, Source, Torrent, TorrentId,
};
use btda::net::tcp::{SocketRegister, TcpConnector};
use btda::net::utp::{UtpConnector, UtpSocket};
use btda::stop::{StopTrigger, stop_pair};
use btda::storage::{Progress, Stem, Summary, Writer, WriterSetup};
use crossbeam_channel::{Receiver, bounded};
use tempfile::TempDir;

use super::peers::PIECES;

/// Info hash of the torrent of all measures: the first that `run` makes.
pub(crate) fn info_hash() -> InfoHash {
    let file = super::run::torrent_file(PIECES, 0, None);
    let key = b"4:info";
    let start = file.windows(key.len()).position(|it| it == key);
    let start = start.expect("every torrent has one") + key.len();
    InfoHash::of(&file[start..file.len() - 1])
}

/// An engine and the other end of its records.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) records: Receiver<Record>,
    pub(crate) trigger: StopTrigger,
}

/// The torrent of all measures.
pub(crate) fn torrent(pieces: u32) -> Torrent {
    Torrent {
        id: torrent_id(),
        info_hash: info_hash(),
        trackers: Vec::new(),
        pieces: PieceCount(pieces),
        piece_length: 1 << 18,
        threshold: PieceCount(pieces),
        path: "bench.torrent".into(),
        display_name: None,
        private: false,
    }
}

/// Its number.
pub(crate) fn torrent_id() -> TorrentId {
    TorrentId::from_index(0).expect("there is a first")
}

/// The default settings.
pub(crate) fn settings() -> Settings {
    let switches = Switches {
        active: true,
        passive: true,
        ..Switches::default()
    };
    Config::resolve(&Sources::default())
        .expect("defaults are valid")
        .settings(&switches)
}

impl World {
    /// An engine for one torrent of `pieces` pieces.
    pub(crate) fn new(pieces: u32, settings: Settings) -> Self {
        Self::build(pieces, settings, None)
    }

    /// The same with uTP.
    pub(crate) fn over_utp(pieces: u32, settings: Settings, socket: &Arc<UtpSocket>) -> Self {
        let utp = Utp {
            connect: Arc::new(UtpConnector::new(Arc::clone(socket))),
            sockets: vec![Arc::clone(socket)],
        };
        Self::build(pieces, settings, Some(utp))
    }

    fn build(pieces: u32, settings: Settings, utp: Option<Utp>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let sockets = Arc::new(SocketRegister::default());
        let (trigger, stop) = stop_pair();
        let (sender, records) = bounded(settings.storage.queue_length);
        let engine = Arc::new(Engine {
            stays: Stays::new(settings.stay.as_ref(), settings.workers),
            scheduler: Arc::new(Scheduler::new(Arc::clone(&clock), settings.reaction)),
            connect: Arc::new(TcpConnector::new(Arc::clone(&sockets), Arc::clone(&clock))),
            utp,
            stats: Arc::new(Stats::new(clock.now())),
            own_id: PeerId::new([b'O'; 20]),
            directory: Directory::new(vec![torrent(pieces)]),
            contacted: Contacted::default(),
            nodes: OnceLock::new(),
            found_trackers: OnceLock::new(),
            records: sender,
            stop,
            pseudonyms: PseudonymKey::new([1; 20]),
            settings,
            sockets,
            clock,
        });
        Self {
            engine,
            records,
            trigger,
        }
    }

    /// Offers `count` peers that listen on `port`, each at an address of its
    /// own.
    pub(crate) fn offer(&self, count: usize, port: u16) {
        for number in 0..count {
            let address = loopback(number);
            let address = PeerAddress::new(address.into(), port);
            let source = Source::Tracker;
            self.engine.scheduler.offer(torrent_id(), source, address);
        }
    }

    /// Ends everything that waits.
    pub(crate) fn stop(&self) {
        self.trigger.stop();
        self.engine.scheduler.close();
        self.engine.sockets.shut_all();
    }

    /// Starts the writer on the records of this world.
    pub(crate) fn store(&self) -> Store {
        Store::start(&self.engine.settings, &self.engine.directory, &self.records)
    }
}

/// A loopback address for each number.
pub(crate) fn loopback(number: usize) -> [u8; 4] {
    let bytes = u32::try_from(number % (1 << 22))
        .expect("fits")
        .to_be_bytes();
    // Neither 127.0.0.0 nor the callers' part of the network.
    [127, 1 + bytes[1], bytes[2], bytes[3]]
}

/// A writer at work in a folder of its own.
pub(crate) struct Store {
    pub(crate) progress: Arc<Progress>,
    thread: JoinHandle<Summary>,
    _folder: TempDir,
}

impl Store {
    fn start(settings: &Settings, directory: &Directory, records: &Receiver<Record>) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder can be made");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let progress = Arc::new(Progress::new(1));
        let writer = Writer::create(WriterSetup {
            stem: Stem::claim(folder.path(), clock.timestamp(), "bench")
                .expect("a name")
                .0,
            settings: settings.storage.clone(),
            torrents: directory.all(),
            inputs: Vec::new(),
            names: None,
            manifest: Vec::new(),
            progress: Arc::clone(&progress),
            clock,
        })
        .expect("a database can be made");
        let records = records.clone();
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || writer.run(&records))
            .expect("threads can be started");
        Self {
            progress,
            thread,
            _folder: folder,
        }
    }

    /// Waits for the writer, whose senders must be gone.
    pub(crate) fn finish(self) -> Summary {
        self.thread.join().expect("the writer ends well")
    }
}

/// Waits until `done`, at most for `limit`; tells whether it is.
pub(crate) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = std::time::Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
