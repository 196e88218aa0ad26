//! What a story is made from.

use std::time::Duration;

use super::super::behaviour::Behaviour;
use super::super::manner::MetadataManner;
use super::super::reach::Reach;

/// Size and manner of a practice swarm; the same options give the same story.
#[derive(Debug, Clone, PartialEq)]
pub struct LabOptions {
    /// Torrents, at least 1.
    pub torrents: usize,
    /// Peers that can be called, each on an address of its own.
    pub peers: usize,
    /// Parties that call.
    pub callers: usize,
    /// Everything that looks random follows from it.
    pub seed: u64,
    /// Length of the story; calls are spread over it.
    pub duration: Duration,
    /// The last part of the duration, in which the parties take part no more:
    /// see [`super::Plan::curfew`]. Zero: they do to the end.
    pub ending: Duration,
    /// Per cent of the callers that have a peer's address: once that peer was
    /// evaluated by a call of the analyzer's own, they are turned away.
    pub overlap: u8,
    /// How often each behaviour is dealt, as weights; every one with a
    /// weight occurs at least once where there are as many parties.
    pub shares: Vec<(Behaviour, u32)>,
    /// How often each class of reach is dealt, as weights, among the parties
    /// of whom a contact counts; all others are [`Reach::Tcp`].
    pub reach: Vec<(Reach, u32)>,
    /// Fewest and most pieces of a torrent.
    pub pieces: (u32, u32),
    /// Shortest and longest time of a whole download.
    pub download: (Duration, Duration),
    /// Per cent of the parties whose download stalls for a while.
    pub stalls: u8,
    /// Messages that the analyzer reads in one visit (`receive_message_max`);
    /// what is told after them cannot count.
    pub message_limit: u32,
    /// Pause between two bytes of the dripping behaviours.
    pub drip: Duration,
    /// Pause between two looks for new pieces while connected.
    pub live_pause: Duration,
    /// How long pieces are told while connected; must stay below the
    /// analyzer's quiet timeout by one pause.
    pub live_time: Duration,
    /// Whether each torrent also names misbehaving trackers.
    pub bad_trackers: bool,
    /// Of the torrents, those that are given by a magnet link only: the last
    /// ones.
    pub magnets: usize,
    /// How often each way to give metadata is dealt among the peers of a
    /// magnet torrent, as weights.
    pub manners: Vec<(MetadataManner, u32)>,
    /// Per cent of the peers that the DHT names and not the trackers; 0 is a
    /// story without DHT.
    pub dht: u8,
    /// Nodes of the DHT.
    pub dht_nodes: usize,
    /// Peers in a tracker's answer at most.
    pub answer_peers: usize,
    /// `interval` in the trackers' answers.
    pub tracker_interval: Duration,
}

impl LabOptions {
    /// Weights of a realistic swarm with every fault in it.
    pub fn usual_shares() -> Vec<(Behaviour, u32)> {
        Behaviour::ALL
            .into_iter()
            .map(|behaviour| {
                let weight = match behaviour {
                    Behaviour::Bitfield => 30,
                    Behaviour::LazyBitfield | Behaviour::HaveAllNone => 12,
                    Behaviour::HavesOnly | Behaviour::LiveHaves | Behaviour::Seed => 8,
                    Behaviour::Refuses | Behaviour::RefusesFirst | Behaviour::ClosesFirst => 4,
                    _ => 2,
                };
                (behaviour, weight)
            })
            .collect()
    }

    /// Only peers that do nothing wrong.
    pub fn honest_shares() -> Vec<(Behaviour, u32)> {
        Self::usual_shares()
            .into_iter()
            .filter(|(behaviour, _)| *behaviour <= Behaviour::Chatty)
            .collect()
    }
}

impl Default for LabOptions {
    /// A story of one minute for `btda lab`.
    fn default() -> Self {
        Self {
            torrents: 3,
            peers: 200,
            callers: 50,
            seed: 1,
            duration: Duration::from_secs(60),
            ending: Duration::ZERO,
            overlap: 5,
            shares: Self::usual_shares(),
            reach: Reach::only_tcp(),
            pieces: (40, 200),
            download: (Duration::from_secs(20), Duration::from_secs(120)),
            stalls: 10,
            message_limit: 256,
            drip: Duration::from_millis(500),
            live_pause: Duration::from_millis(150),
            live_time: Duration::from_millis(1_500),
            bad_trackers: true,
            magnets: 0,
            manners: MetadataManner::usual_shares(),
            dht: 0,
            dht_nodes: 12,
            answer_peers: 50,
            tracker_interval: Duration::from_secs(1_800),
        }
    }
}
