//! The pages, filled in and checked when the program is compiled (askama);
//! whatever is put into them is escaped.

use askama::Template;

use super::reports::PEERS_SHOWN;
use super::watch::RunState;
use crate::storage::history::{TrackEntry, TrackedPeer};
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
    peers: Vec<TrackedPeer>,
    /// Peers that are only in the files.
    more: usize,
}

impl ReportEntry {
    /// As it is shown.
    pub(super) fn of(mut entry: TrackEntry) -> Self {
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
            tracker_url: entry.tracker_url,
            swarm,
            peers: entry.peers,
            more,
        }
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
