//! Visits to the peers that were tracked, for whoever asks for them: a few
//! threads, each swarm once in a while, nobody who was not named by a tracker
//! or the DHT, and nothing of the content.
//!
//! ```text
//! POST /visits ─▶ Visits ─▶ Session ─▶ page-visits ─▶ page-visit, some ─▶ inspection::VisitPeers
//!                              └── state, told by events while it changes
//! ```

pub(super) mod request;
mod session;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;

use super::answer::Refused;
use super::track::Tracking;
use crate::config::WebSettings;
use crate::inspection::VisitPeers;
use crate::model::InfoHash;
use crate::threads::{LARGE_STACK, spawn};
use session::Session;

/// Swarms that are visited at one time.
const RUNNING_MAX: usize = 2;

/// Swarms whose visits are remembered.
const SESSIONS_MAX: usize = 32;

/// Before a swarm is visited again.
const AGAIN: Duration = Duration::from_secs(600);

/// All visits.
pub(super) struct Visits {
    most: usize,
    visitor: Option<Arc<dyn VisitPeers>>,
    tracking: Arc<Tracking>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    last: u64,
    /// The oldest first.
    all: VecDeque<Arc<Session>>,
}

impl Visits {
    /// By `visitor`, as `web` allows.
    pub(super) fn new(
        web: &WebSettings,
        visitor: Option<Arc<dyn VisitPeers>>,
        tracking: Arc<Tracking>,
    ) -> Self {
        Self {
            most: web.visits,
            visitor,
            tracking,
            sessions: Mutex::default(),
        }
    }

    /// Peers of a swarm that are visited at most; 0: none.
    pub(super) fn most(&self) -> usize {
        if self.visitor.is_some() { self.most } else { 0 }
    }

    /// Visits the peers of the last answers for `info_hash`; those that are
    /// under way or have just been made are told instead (`true`).
    pub(super) fn begin(&self, info_hash: InfoHash) -> Result<(Arc<Session>, bool), Refused> {
        let visitor = self.visitor.as_ref().ok_or_else(|| {
            let text = "visits are off (web.visits_max = 0)";
            Refused::new(StatusCode::NOT_FOUND, text)
        })?;
        let now = self.tracking.now();
        let mut sessions = self.sessions.lock();
        let of_it = sessions
            .all
            .iter()
            .rev()
            .find(|it| it.info_hash == info_hash);
        if let Some(last) = of_it.filter(|it| !it.is_over() || it.at.plus(AGAIN) > now) {
            return Ok((Arc::clone(last), true));
        }
        let running = sessions.all.iter().filter(|it| !it.is_over()).count();
        if running >= RUNNING_MAX {
            let text = "peers of other swarms are being visited: try again when they are done";
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        if sessions.all.len() >= SESSIONS_MAX {
            let old = |it: &Arc<Session>| it.is_over() && it.at.plus(AGAIN) <= now;
            let Some(oldest) = sessions.all.iter().position(old) else {
                let text = "many swarms were visited just now: try again in ten minutes";
                return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
            };
            sessions.all.remove(oldest);
        }
        let mut peers = self.tracking.peers(info_hash);
        if peers.is_empty() {
            let text = "no peer of this torrent is known: track it first, or again when its interval is over";
            return Err(Refused::new(StatusCode::CONFLICT, text));
        }
        peers.truncate(self.most);
        sessions.last += 1;
        let session = Arc::new(Session::new(sessions.last, (info_hash, now), peers));
        let work = work::Work {
            session: Arc::clone(&session),
            visitor: Arc::clone(visitor),
            tracking: Arc::clone(&self.tracking),
        };
        spawn("page-visits", LARGE_STACK, move || work.run()).map_err(|_| {
            let text = "the system has no room for another thread: try again later";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })?;
        sessions.all.push_back(Arc::clone(&session));
        Ok((session, false))
    }

    /// The visits of that number.
    pub(super) fn of(&self, number: &str) -> Option<Arc<Session>> {
        let number: u64 = number.parse().ok()?;
        let sessions = self.sessions.lock();
        sessions.all.iter().find(|it| it.number == number).cloned()
    }
}

#[cfg(test)]
mod tests;
