//! The trackers of the swarm: good ones and every misbehaviour in the book.
//!
//! HTTP (BEP 3, 23, 48) on one port with a path a mode, UDP (BEP 15) on a
//! port a mode. What they hand out and report is what the plan has at that
//! moment.

mod bomb;
mod http;
mod udp;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::random::Chance;
use super::scripted_tracker::answer_datagrams;
use super::story::Story;

pub(super) use http::serve;

/// How a tracker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackerMode {
    /// HTTP with compact peers (BEP 23).
    HttpCompact,
    /// HTTP with a list of peer dictionaries (BEP 3).
    HttpDictionary,
    /// UDP (BEP 15).
    Udp,
    /// UDP that sends a late answer and a foreign datagram before each real
    /// answer.
    UdpNoisy,
    /// HTTP: `failure reason`.
    FailureReason,
    /// HTTP: a bencoded list instead of a dictionary.
    NonDictionary,
    /// HTTP: `peers` is an integer.
    IntegerPeers,
    /// HTTP: a web page.
    Html,
    /// HTTP: status 500.
    Status500,
    /// HTTP: accepts and says nothing.
    HttpSilence,
    /// HTTP: a body without end.
    EndlessBody,
    /// HTTP: a small gzip body that unpacks to 64 MiB.
    CompressedBomb,
    /// HTTP: redirects to itself.
    RedirectLoop,
    /// UDP: the connect answer has the wrong transaction id.
    UdpWrongTransaction,
    /// UDP: announce and scrape answers have the wrong action.
    UdpWrongAction,
    /// UDP: announce and scrape answers are cut short.
    UdpShort,
    /// UDP: error packets with a text.
    UdpError,
    /// UDP: no answer at all.
    UdpSilence,
}

impl TrackerMode {
    /// The ones that work.
    pub const GOOD: [Self; 4] = [
        Self::HttpCompact,
        Self::Udp,
        Self::HttpDictionary,
        Self::UdpNoisy,
    ];

    /// The ones that do not.
    pub const BAD: [Self; 14] = [
        Self::FailureReason,
        Self::NonDictionary,
        Self::IntegerPeers,
        Self::Html,
        Self::Status500,
        Self::HttpSilence,
        Self::EndlessBody,
        Self::CompressedBomb,
        Self::RedirectLoop,
        Self::UdpWrongTransaction,
        Self::UdpWrongAction,
        Self::UdpShort,
        Self::UdpError,
        Self::UdpSilence,
    ];

    /// The word in paths and in the truth file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpCompact => "compact",
            Self::HttpDictionary => "dictionary",
            Self::Udp => "udp",
            Self::UdpNoisy => "udp-noisy",
            Self::FailureReason => "failure-reason",
            Self::NonDictionary => "non-dictionary",
            Self::IntegerPeers => "integer-peers",
            Self::Html => "html",
            Self::Status500 => "status-500",
            Self::HttpSilence => "silence",
            Self::EndlessBody => "endless-body",
            Self::CompressedBomb => "compressed-bomb",
            Self::RedirectLoop => "redirect-loop",
            Self::UdpWrongTransaction => "udp-wrong-transaction",
            Self::UdpWrongAction => "udp-wrong-action",
            Self::UdpShort => "udp-short",
            Self::UdpError => "udp-error",
            Self::UdpSilence => "udp-silence",
        }
    }

    /// Every mode.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::GOOD.into_iter().chain(Self::BAD)
    }

    /// Whether it works.
    pub fn is_good(self) -> bool {
        Self::GOOD.contains(&self)
    }

    /// Whether it is on a UDP port of its own.
    pub const fn is_udp(self) -> bool {
        matches!(
            self,
            Self::Udp
                | Self::UdpNoisy
                | Self::UdpWrongTransaction
                | Self::UdpWrongAction
                | Self::UdpShort
                | Self::UdpError
                | Self::UdpSilence
        )
    }
}

/// What one tracker was asked about one torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackerCounts {
    /// Announces of any kind.
    pub announces: u64,
    /// Announces with `event=started`.
    pub started: u64,
    /// Announces with `event=stopped`.
    pub stopped: u64,
    /// Announces with `event=completed`.
    pub completed: u64,
    /// Scrapes.
    pub scrapes: u64,
    /// Peers handed out, the analyzer's own address included.
    pub peers_given: u64,
    /// Distinct addresses of the plan's peers among them.
    pub addresses: BTreeSet<SocketAddr>,
    /// `uploaded` of the last announce.
    pub uploaded: Option<u64>,
    /// `downloaded` of the last announce.
    pub downloaded: Option<u64>,
    /// `left` of the last announce.
    pub left: Option<u64>,
    /// `port` of the last announce.
    pub port: Option<u16>,
}

impl TrackerCounts {
    pub(super) fn json(&self, torrent: usize, mode: TrackerMode) -> Value {
        json!({
            "kind": "tracker",
            "torrent": torrent + 1,
            "mode": mode.as_str(),
            "announces": self.announces,
            "started": self.started,
            "stopped": self.stopped,
            "completed": self.completed,
            "scrapes": self.scrapes,
            "peers_given": self.peers_given,
            "addresses": self.addresses.len(),
            "uploaded": self.uploaded,
            "downloaded": self.downloaded,
            "left": self.left,
            "port": self.port,
        })
    }
}

/// An announce as either protocol has it.
struct AnnounceCall {
    torrent: usize,
    event: Event,
    uploaded: Option<u64>,
    downloaded: Option<u64>,
    left: Option<u64>,
    port: u16,
    wanted: Option<usize>,
    from: IpAddr,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    None,
    Started,
    Stopped,
    Completed,
}

/// What is true of a torrent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Figures {
    seeders: u32,
    completed: u32,
    leechers: u32,
}

/// Callers of the trackers that are handed out like other peers, for each
/// torrent at most.
const ANNOUNCERS_KEPT: usize = 8;

/// What all trackers of a swarm share.
pub(super) struct Trackers {
    story: Arc<Story>,
    chance: Mutex<Chance>,
    counts: Mutex<BTreeMap<(usize, TrackerMode), TrackerCounts>>,
    announcers: Mutex<BTreeMap<usize, Vec<SocketAddr>>>,
}

impl Trackers {
    pub(super) fn new(story: Arc<Story>) -> Self {
        let chance = Chance::new(story.plan.options.seed).fork(9);
        Self {
            story,
            chance: Mutex::new(chance),
            counts: Mutex::default(),
            announcers: Mutex::default(),
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<(usize, TrackerMode), TrackerCounts> {
        self.counts.lock().clone()
    }

    fn torrent(&self, info_hash: &[u8]) -> Option<usize> {
        let torrents = &self.story.plan.torrents;
        torrents
            .iter()
            .position(|torrent| torrent.info_hash.as_bytes() == info_hash)
    }

    /// Counts the announce and picks the peers of the answer: a random part
    /// of those that there are and, as real trackers do, those who announced
    /// themselves before, the asking analyzer too.
    fn announce(&self, mode: TrackerMode, call: &AnnounceCall) -> Vec<SocketAddr> {
        let (peers, announcers) = if call.event == Event::Stopped || !mode.is_good() {
            (Vec::new(), Vec::new())
        } else {
            self.pick(mode, call)
        };
        let mut counts = self.counts.lock();
        let counts = counts.entry((call.torrent, mode)).or_default();
        counts.announces += 1;
        match call.event {
            Event::None => {}
            Event::Started => counts.started += 1,
            Event::Stopped => counts.stopped += 1,
            Event::Completed => counts.completed += 1,
        }
        counts.uploaded = call.uploaded;
        counts.downloaded = call.downloaded;
        counts.left = call.left;
        counts.port = Some(call.port);
        counts.peers_given += (peers.len() + announcers.len()) as u64;
        counts.addresses.extend(&peers);
        peers.into_iter().chain(announcers).collect()
    }

    /// Peers of the plan, and those who announced themselves before. An answer
    /// over UDP has only peers of the family that asks (BEP 15), IPv4 here.
    fn pick(&self, mode: TrackerMode, call: &AnnounceCall) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let story = &self.story;
        let most = story.plan.options.answer_peers;
        let wanted = call.wanted.map_or(most, |wanted| wanted.min(most));
        let peers = story.plan.peers.iter().enumerate();
        let of_torrent =
            peers.filter(|(_, it)| it.torrent == call.torrent && it.named_by.trackers());
        let mut peers: Vec<SocketAddr> = of_torrent
            .filter_map(|(index, _)| story.address_of(index))
            .filter(|address| address.is_ipv4() || !mode.is_udp())
            .collect();
        self.chance.lock().shuffle(&mut peers);
        let mut announcers = self.announcers.lock();
        let known = announcers.entry(call.torrent).or_default();
        peers.truncate(wanted.saturating_sub(known.len()));
        let before: Vec<SocketAddr> = known.iter().take(wanted).copied().collect();
        if !before.is_empty() {
            story.named_itself(call.torrent);
        }
        let announcer = SocketAddr::new(call.from, call.port);
        if call.port != 0 && !known.contains(&announcer) && known.len() < ANNOUNCERS_KEPT {
            known.push(announcer);
        }
        (peers, before)
    }

    fn scraped(&self, mode: TrackerMode, torrent: usize) -> Figures {
        let mut counts = self.counts.lock();
        counts.entry((torrent, mode)).or_default().scrapes += 1;
        drop(counts);
        self.figures(torrent)
    }

    /// Seeders, finished downloads and leechers of the story at this moment.
    fn figures(&self, torrent: usize) -> Figures {
        let elapsed = self.story.elapsed();
        let mut figures = Figures {
            seeders: 0,
            completed: 0,
            leechers: 0,
        };
        for party in self.story.plan.parties_of(torrent) {
            let progress = &party.progress;
            if progress.pieces_at(elapsed) == progress.total {
                figures.seeders += 1;
            } else {
                figures.leechers += 1;
            }
            figures.completed += u32::from(progress.finished_by(elapsed));
        }
        figures
    }

    fn interval(&self) -> u32 {
        let interval = self.story.plan.options.tracker_interval;
        u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)
    }

    /// Answers UDP requests on `socket` until the lab is to stop.
    pub(super) fn serve_udp(&self, socket: &UdpSocket, mode: TrackerMode) {
        answer_datagrams(socket, &self.story.stop, |datagram, from| {
            self.answer_udp(mode, datagram, from)
        });
    }
}

/// The six bytes of BEP 23 and BEP 5, or the eighteen of BEP 7.
pub(super) fn compact(address: SocketAddr) -> Vec<u8> {
    let mut bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend(address.port().to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
