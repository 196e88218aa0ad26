//! What the measuring threads tell the writer thread.
//!
//! Every record travels over one bounded channel to the only thread that
//! writes (`storage::writer`). When the channel is full the measuring thread
//! waits: observations are never dropped.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Direction, Encryption, Event, Evidence, InfoHash, IpFamily, Origin, PeerId, PeerKey,
    PieceCount, Pseudonym, Reason, Source, Timestamp, Torrent, TorrentId, TrackerOrigin, Transport,
    VisitEnd,
};

/// One thing measured.
#[derive(Debug, Clone)]
pub enum Record {
    /// A torrent that joins the run, in the order of the ids.
    Torrent(Arc<Torrent>),
    /// A file or link that was considered for import after the start.
    Input(Box<InputFile>),
    /// A visit that counts.
    Visit(Box<Visit>),
    /// A contact that gave nothing.
    Failure(Failure),
    /// A tracker answered an announce.
    Announce(Box<Announce>),
    /// A tracker answered a scrape for one torrent.
    Scrape(Scrape),
    /// An announce or scrape failed.
    TrackerFailure(Box<TrackerFailure>),
    /// A tracker was found that no torrent file names.
    FoundTracker(Box<FoundTracker>),
    /// What became of the question for a peer's host name.
    Host(Box<HostName>),
    /// A DHT lookup ended.
    Lookup(Lookup),
    /// Others than trackers and the DHT named peers.
    Exchange(Exchanged),
    /// A statistics tick; [`Tick::last`] marks the one at shutdown.
    Tick(Box<Tick>),
    /// A fact for the run's manifest (table `run`), replacing an older value
    /// of the same key.
    Manifest {
        /// Name of the fact.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

/// What may be stored of a peer's host name, see [`crate::hosts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// `peer.id`.
    pub peer: i64,
    /// When the answer came.
    pub at: Timestamp,
    /// `name`, or why there is none.
    pub outcome: &'static str,
    /// Last two labels.
    pub host: Option<String>,
    /// Registrable domain.
    pub domain: Option<String>,
}

/// A visit that counts: handshake done and progress told, or nothing told
/// until the quiet timeout (which means zero pieces).
#[derive(Debug, Clone)]
pub struct Visit {
    /// Who; for callers the port is the one they called from.
    pub peer: PeerKey,
    /// How the peer was found first.
    pub source: Source,
    /// Who named it first, where `source` does not tell it.
    pub origin: Option<Origin>,
    /// Who opened the connection.
    pub direction: Direction,
    /// What carried it.
    pub transport: Transport,
    /// How it was encrypted.
    pub encryption: Encryption,
    /// When the visit ended.
    pub at: Timestamp,
    /// From the start of the connection to the end of the visit.
    pub duration: Duration,
    /// Distinct pieces announced.
    pub pieces: PieceCount,
    /// Messages by kind.
    pub messages: MessageCounts,
    /// The last time that the peer told fewer pieces than the threshold, in
    /// this visit; `None` when it never did.
    pub below: Option<Told>,
    /// The first time in this visit that it told as many as the threshold or
    /// more, and stayed there.
    pub reached: Option<Told>,
    /// Longest wait for one whole message, from the end of the message before
    /// (the handshake for the first); `None` when no message came.
    pub longest_wait: Option<Duration>,
    /// How the peer names itself; its `client` column comes from it.
    pub peer_id: Option<PeerId>,
    /// `client` column: see [`super::PeerId::client`].
    pub client: Option<String>,
    /// How it ended.
    pub ended: VisitEnd,
    /// Reason of the last failure of this peer, if it failed before and has
    /// no row yet: the first-contact error that this visit takes back.
    pub takes_back: Option<Reason>,
    /// What the contacts of its address before its first visit that counts
    /// had shown.
    pub before: Evidence,
    /// What the peer told of itself in its extended handshake, if it sent one.
    pub extension: Option<Box<ExtensionHandshake>>,
}

/// What a peer told of itself in its extended handshake (BEP 10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtensionHandshake {
    /// `v`: name and version of the client, one harmless line.
    pub client: Option<String>,
    /// `p`: the port on which the peer listens, never 0.
    pub listen_port: Option<u16>,
    /// `reqq`: requests that the peer lets wait.
    pub request_queue: Option<u32>,
    /// `upload_only` (BEP 21): whether it wants no more pieces.
    pub upload_only: Option<bool>,
    /// `metadata_size`: bytes of the info dictionary, as claimed.
    pub metadata_size: Option<i64>,
    /// `yourip`: where it sees us. An address, so only its pseudonym among
    /// those of addresses that peers claim.
    pub your_ip: Option<Pseudonym>,
}

/// What a peer told at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When it told, or when a peer that told nothing was left.
    pub at: Timestamp,
    /// Distinct pieces that it had told by then.
    pub pieces: PieceCount,
}

/// Messages of one visit by kind; keep-alives count as messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageCounts {
    /// All messages.
    pub total: u32,
    /// `bitfield` (5).
    pub bitfield: u32,
    /// `have` (4).
    pub have: u32,
    /// `have all` (14).
    pub have_all: u32,
    /// `have none` (15).
    pub have_none: u32,
    /// Keep-alives (length 0).
    pub keep_alive: u32,
    /// `choke`, `unchoke`, `interested`, `not interested` (0 to 3).
    pub state: u32,
    /// `extended` (20, BEP 10).
    pub extended: u32,
    /// `port` (9, BEP 5).
    pub port: u32,
    /// `request`, `cancel`, `suggest`, `reject`, `allowed fast`.
    pub transfer: u32,
    /// `piece` (7): payload that was never asked for; it ends the visit.
    pub piece: u32,
    /// Any other message id.
    pub unknown: u32,
}

/// A contact that gave no evaluation.
#[derive(Debug, Clone)]
pub struct Failure {
    /// When it ended.
    pub at: Timestamp,
    /// First or later contact, or a caller.
    pub event: Event,
    /// Why.
    pub reason: Reason,
    /// For a first contact that is a retry: the reason counted before. The
    /// error file counts peers by their latest reason, not attempts, so that
    /// sum 1 of the contract holds with retries.
    pub takes_back: Option<Reason>,
    /// Messages read before it failed, if any.
    pub messages: Option<Box<MessageCounts>>,
    /// What it showed that earlier contacts of an address without a row had
    /// not.
    pub step: Option<EvidenceStep>,
}

/// An address that never had a visit that counts rises to another class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceStep {
    /// For which torrent.
    pub torrent: TorrentId,
    /// Where it was.
    pub before: Evidence,
    /// Where it is now; at most [`Evidence::Handshake`].
    pub now: Evidence,
}

/// A tracker's good answer to an announce.
#[derive(Debug, Clone)]
pub struct Announce {
    /// When it came.
    pub at: Timestamp,
    /// For which torrent.
    pub torrent: TorrentId,
    /// The announce URL as in the torrent file.
    pub url: Arc<str>,
    /// Peers in the answer, ourselves left out.
    pub received: u32,
    /// Of these, already known.
    pub duplicates: u32,
    /// Time of the announce, scrape not included.
    pub duration: Duration,
    /// Over which address family; `None` where that was not ours to choose.
    pub family: Option<IpFamily>,
    /// Figures of the scrape of the same round; only on the main tracker, as
    /// the 2015 columns demand, and only if that scrape succeeded.
    pub main_scrape: Option<ScrapeFigures>,
    /// Seconds that the tracker wants between announces.
    pub interval: Option<u32>,
    /// Seconds that it demands (`min interval`).
    pub min_interval: Option<u32>,
    /// `complete` in the announce answer.
    pub seeders: Option<u32>,
    /// `incomplete` in the announce answer.
    pub leechers: Option<u32>,
    /// `warning message`, as received.
    pub warning: Option<String>,
}

/// The three figures of a scrape; unknown is `None`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeFigures {
    /// Peers with everything (`complete`).
    pub seeders: Option<u32>,
    /// Downloads registered since the tracker started (`downloaded`).
    pub completed: Option<u32>,
    /// Peers still loading (`incomplete`).
    pub leechers: Option<u32>,
}

/// A tracker's good answer to a scrape, for one torrent.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// When it came.
    pub at: Timestamp,
    /// For which torrent.
    pub torrent: TorrentId,
    /// The announce URL of the tracker.
    pub url: Arc<str>,
    /// What it said.
    pub figures: ScrapeFigures,
}

/// What was asked of a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackerCall {
    /// For peers.
    Announce,
    /// For figures.
    Scrape,
}

impl TrackerCall {
    /// First word of the `result` column of the tracker error file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Scrape => "scrape",
        }
    }
}

/// A failed announce or scrape.
#[derive(Debug, Clone)]
pub struct TrackerFailure {
    /// When it failed.
    pub at: Timestamp,
    /// For which torrent.
    pub torrent: TorrentId,
    /// The announce URL as in the torrent file.
    pub url: Arc<str>,
    /// What was asked.
    pub call: TrackerCall,
    /// Why, without numbers that change from time to time.
    pub reason: String,
}

/// A tracker of a torrent that no torrent file names.
#[derive(Debug, Clone)]
pub struct FoundTracker {
    /// When it was named first.
    pub at: Timestamp,
    /// For which torrent.
    pub torrent: TorrentId,
    /// Its announce URL.
    pub url: String,
    /// By whom.
    pub origin: TrackerOrigin,
    /// Whether it is asked, too; otherwise there were too many before it.
    pub asked: bool,
}

/// The end of a DHT lookup.
#[derive(Debug, Clone, Copy)]
pub struct Lookup {
    /// When it ended.
    pub at: Timestamp,
    /// For which torrent.
    pub torrent: TorrentId,
    /// Peers found, ourselves left out; 0 also when it failed.
    pub received: u32,
    /// Of these, already known.
    pub duplicates: u32,
    /// How long it took.
    pub duration: Duration,
}

/// What one peer named in one visit (BEP 11), or one neighbour in one announce
/// (BEP 14).
#[derive(Debug, Clone, Copy)]
pub struct Exchanged {
    /// For which torrent.
    pub torrent: TorrentId,
    /// In which way.
    pub origin: Origin,
    /// Peers named, ourselves and who may not be contacted left out.
    pub received: u32,
    /// Of these, already known.
    pub duplicates: u32,
}

/// A row of table `statistic`, less what the writer itself knows
/// (`visited_queue`, `unique_incoming`, `success_active`).
#[derive(Debug, Clone)]
pub struct Tick {
    /// When.
    pub at: Timestamp,
    /// Peers waiting for a contact, those waiting for a revisit included.
    pub peer_queue: u64,
    /// Mean share of the time since the last tick in which contact workers
    /// were busy, 0 to 1; `None` at the start.
    pub thread_workload: Option<f64>,
    /// 15-minute load average of the machine.
    pub load_average: Option<f64>,
    /// Peak resident memory in kB / 1000.
    pub memory_mb: Option<f64>,
    /// Callers being evaluated now.
    pub server_threads: u64,
    /// Contacts in progress now.
    pub evaluator_threads: u64,
    /// Whether this is the tick at shutdown, behind every other record.
    pub last: bool,
}

/// A file that was considered for import; goes into table `input`.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Its path as found.
    pub path: std::path::PathBuf,
    /// SHA-1 of the whole file, `None` when it could not be read.
    pub sha1: Option<InfoHash>,
    /// The torrent it became or was merged into.
    pub torrent: Option<TorrentId>,
    /// Why it was skipped, or what was odd about it.
    pub note: Option<String>,
}
