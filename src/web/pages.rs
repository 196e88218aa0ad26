//! The pages, filled in and checked when the program is compiled (askama);
//! whatever is put into them is escaped.

use askama::Template;

use super::reports::PEERS_SHOWN;
use super::track::entry::DHT;
use super::watch::RunState;
use crate::model::Reason;
use crate::storage::history::{PeerVisit, TrackEntry, TrackedPeer};
use crate::storage::overview::{CrossingOverview, TorrentOverview, TrackerOverview};

/// `GET /login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    /// The token was tried and is not the one.
    pub(super) wrong: bool,
}

/// `GET /`.
#[derive(Template)]
#[template(path = "start.html")]
pub(super) struct StartPage {
    /// The port of the form.
    pub(super) port: u16,
    /// Whether addresses are stored.
    pub(super) store_addresses: bool,
    /// Whether the DHT can be asked.
    pub(super) dht: bool,
    /// Peers that are visited at most; 0: none.
    pub(super) visits: usize,
}

/// `GET /reports`.
#[derive(Template)]
#[template(path = "reports.html")]
pub(super) struct ReportsPage {
    /// Entries in all.
    pub(super) total: u64,
    /// This page, from 1.
    pub(super) number: u64,
    /// Pages there are.
    pub(super) pages: u64,
    /// The search as part of an address.
    pub(super) query: String,
    /// What was searched for.
    pub(super) q: String,
    /// `answered`, `failed` or all.
    pub(super) state: String,
    /// Those of this page.
    pub(super) entries: Vec<ReportEntry>,
}

/// An entry of the reports.
pub(super) struct ReportEntry {
    id: i64,
    at: String,
    info_hash: String,
    tracker_url: String,
    error: Option<String>,
    peer_count: u64,
    complete: u32,
    incomplete: u32,
    downloaded: u32,
    interval: u32,
    /// Hash and tracker as part of an address.
    swarm: String,
    /// It is of the DHT.
    dht: bool,
    /// Peers that were visited, those that answered, and those that have
    /// everything.
    visited: usize,
    reached: usize,
    whole: usize,
    peers: Vec<TrackedPeer>,
    /// Peers that are only in the files.
    more: usize,
}

impl ReportEntry {
    /// As it is shown.
    pub(super) fn of(mut entry: TrackEntry) -> Self {
        let count = |wanted: fn(&PeerVisit) -> bool| {
            let visits = entry.peers.iter().filter_map(|peer| peer.visit.as_ref());
            visits.filter(|visit| wanted(visit)).count()
        };
        // Whom the rules bar was not contacted.
        let barred = [Reason::ReservedAddress, Reason::OptedOut].map(Reason::label);
        let visits = entry.peers.iter().filter_map(|peer| peer.visit.as_ref());
        let visited = visits
            .filter(|it| !barred.contains(&it.outcome.as_str().into()))
            .count();
        let reached = count(|it| it.transport.is_some());
        let whole = count(|it| it.complete == Some(true));
        let more = entry.peers.len().saturating_sub(PEERS_SHOWN);
        entry.peers.truncate(PEERS_SHOWN);
        let info_hash = entry.info_hash.to_string();
        let swarm = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("info_hash", &info_hash)
            .append_pair("tracker_url", &entry.tracker_url)
            .finish();
        Self {
            id: entry.id,
            at: entry.at.to_string(),
            info_hash,
            error: entry.error,
            peer_count: entry.peer_count,
            complete: entry.complete,
            incomplete: entry.incomplete,
            downloaded: entry.downloaded,
            interval: entry.interval,
            dht: entry.tracker_url == DHT,
            visited,
            reached,
            whole,
            tracker_url: entry.tracker_url,
            swarm,
            peers: entry.peers,
            more,
        }
    }
}

/// `GET /reports/swarm`.
#[derive(Template)]
#[template(path = "swarm.html")]
pub(super) struct SwarmPage {
    /// The torrent.
    pub(super) info_hash: String,
    /// Who was asked: name, answers, hash and tracker as part of an address.
    pub(super) sources: Vec<(String, u64, String)>,
}

/// What a visit has shown of a peer's progress, for a table.
pub(super) fn progress(visit: &PeerVisit) -> String {
    match (visit.pieces, visit.pieces_count) {
        _ if visit.complete == Some(true) => "100 %".to_owned(),
        (Some(has), Some(all @ 1..)) => {
            format!("{} %", (u64::from(has) * 100 / u64::from(all)).min(99))
        }
        _ => String::new(),
    }
}

/// `GET /watch`.
#[derive(Template)]
#[template(path = "watch.html")]
pub(super) struct WatchPage {
    /// The run; `None` when there is none to watch.
    pub(super) state: Option<RunState>,
}

/// `GET /watch/torrents/{number}`.
#[derive(Template)]
#[template(path = "torrent.html")]
pub(super) struct TorrentPage {
    /// The run goes on.
    pub(super) live: bool,
    /// The torrent.
    pub(super) torrent: TorrentOverview,
    /// Its trackers: number, name, figures.
    pub(super) trackers: Vec<(usize, String, TrackerOverview)>,
    /// Its crossings among the newest of the run.
    pub(super) crossings: Vec<CrossingOverview>,
}

/// `GET /watch/trackers/{number}`.
#[derive(Template)]
#[template(path = "tracker.html")]
pub(super) struct TrackerPage {
    /// The run goes on.
    pub(super) live: bool,
    /// Scheme, host and port.
    pub(super) name: String,
    /// Its figures for each torrent.
    pub(super) rows: Vec<TrackerOverview>,
}

/// `GET /studies`.
#[derive(Template)]
#[template(path = "studies.html")]
pub(super) struct StudiesPage {
    /// Folders of reports.
    pub(super) names: Vec<String>,
}
