//! The page of a run: opened before there are files, fed by the supervisor.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::analyzer::dial::Way;
use crate::analyzer::engine::Engine;
use crate::analyzer::stats::Snapshot;
use crate::config::WebSettings;
use crate::live::{Board, LiveFigures, WayFigures};
use crate::storage::{Progress, Stem};
use crate::web::{self, Page, Watched};

use super::crew::{Stage, Unit};
use super::dht::Dht;
use super::inspection;
use super::prepare::{Refusal, refuse};
use super::status::Figures;

/// Visits per second are the mean of this time.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The page and where its figures are posted.
pub(super) struct Shown {
    page: Arc<Page>,
    board: Arc<Board>,
    /// Snapshots of the last [`RATE_WINDOW`], the oldest first.
    recent: Mutex<VecDeque<Snapshot>>,
}

impl Shown {
    /// Binds the page's port, if there is to be a page.
    pub(super) fn open(
        web: Option<&WebSettings>,
        engine: &Engine,
        dht: Option<&Dht>,
        stem: &Stem,
    ) -> Result<Option<Self>, Refusal> {
        let Some(web) = web else { return Ok(None) };
        let board = Arc::new(Board::default());
        let watched = Watched {
            database: stem.with_suffix(".sqlite"),
            board: Some(Arc::clone(&board)),
        };
        let page = Page::open(
            web,
            &engine.settings,
            (Some(watched), inspection::of_run(web, engine, dht)?),
            (Arc::clone(&engine.clock), engine.stop.clone()),
        );
        let page = page.map_err(|error| refuse(error.exit(), error.to_string()))?;
        Ok(Some(Self {
            page: Arc::new(page),
            board,
            recent: Mutex::default(),
        }))
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.page.address()
    }

    /// Its thread.
    pub(super) fn unit(&self) -> Unit {
        let page = Arc::clone(&self.page);
        Unit {
            name: "web".into(),
            stack: web::STACK,
            stage: Stage::Page,
            restart: true,
            body: Arc::new(move || page.run()),
        }
    }

    /// The figures now, for the page.
    pub(super) fn post(&self, figures: &Figures, engine: &Engine, progress: &Progress) {
        let now = figures.now;
        let torrents = engine.directory.all();
        self.board.post(LiveFigures {
            time_ms: engine.clock.timestamp().millis(),
            visits_per_second: self.rate(now),
            success: (now.contacts() > 0)
                .then(|| now.contacts_counted as f64 / now.contacts() as f64),
            contacts_counted: now.contacts_counted,
            contacts_failed: now.contacts_failed,
            callers_counted: now.callers_counted,
            callers_failed: now.callers_failed,
            contacts_active: now.contacts_active,
            workers: if engine.settings.active {
                figures.workers
            } else {
                0
            },
            callers_active: now.callers_active,
            queue: figures.queue,
            confirmed: figures.confirmed,
            confirmed_by_torrent: torrents
                .iter()
                .map(|it| progress.confirmed_of(it.id))
                .collect(),
            rows: figures.rows,
            unwritten: figures.unwritten,
            spooled: figures.spooled,
            lost: figures.lost,
            warnings: figures.warnings,
            threads_ended_early: figures.restarts,
            trackers_asked: figures.trackers[0].0,
            trackers_failing: figures.trackers[0].1,
            dht: figures.dht.clone(),
            dht_node: figures.dht_node.clone(),
            ways: ways(engine),
            stays: engine.settings.stay.map(|_| engine.stays.now()),
            held_back: figures.held_back,
            barred: figures.barred,
            magnets_pending: figures.magnets,
        });
    }

    /// Contacts ended per second since the oldest snapshot of the window.
    fn rate(&self, now: Snapshot) -> f64 {
        let mut recent = self.recent.lock();
        recent.push_back(now);
        while recent.len() > 2
            && recent
                .front()
                .is_some_and(|old| now.at.saturating_duration_since(old.at) > RATE_WINDOW)
        {
            recent.pop_front();
        }
        let Some(old) = recent.front() else {
            return 0.0;
        };
        let seconds = now.at.saturating_duration_since(old.at).as_secs_f64();
        if seconds > 0.0 {
            (now.contacts() - old.contacts()) as f64 / seconds
        } else {
            0.0
        }
    }
}

/// Outgoing contacts by way, those that nobody tried left out.
fn ways(engine: &Engine) -> Vec<WayFigures> {
    let figures = Way::ALL.into_iter().zip(engine.stats.ways());
    figures
        .filter(|(_, (tried, _))| *tried > 0)
        .map(|(way, (tried, counted))| WayFigures {
            transport: way.transport.as_str(),
            encrypted: way.encrypted,
            tried,
            counted,
        })
        .collect()
}
