//! The threads that visit the peers of one swarm.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::session::Session;
use crate::inspection::{Subject, VisitPeers};
use crate::model::{Reason, Timestamp};
use crate::threads::{VISIT_STACK, spawn};
use crate::web::track::Tracking;

/// Threads of one swarm.
const THREADS: usize = 8;

/// For the metadata, where only the info hash is known.
const METADATA: Duration = Duration::from_secs(30);

/// After that no further visit begins.
const WHOLE: Duration = Duration::from_secs(300);

/// What the thread `page-visits` works on.
pub(super) struct Work {
    pub(super) session: Arc<Session>,
    pub(super) visitor: Arc<dyn VisitPeers>,
    pub(super) tracking: Arc<Tracking>,
}

/// Ends the session however the work ends.
struct End<'a> {
    session: &'a Session,
    stored: bool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.session.ends_all(self.stored);
    }
}

impl Work {
    /// Body of the thread `page-visits`.
    pub(super) fn run(self) {
        let mut end = End {
            session: &self.session,
            stored: false,
        };
        let hash = self.session.info_hash;
        let until = self.tracking.now().plus(WHOLE);
        let asked = || {
            let size = self.visitor.pieces(hash, &self.session.peers, METADATA)?;
            self.tracking.note(hash, size);
            Some(size)
        };
        let size = self.tracking.size(hash).or_else(asked);
        self.session.visits_begin(size.map(|(pieces, _)| pieces));
        let subject = Subject {
            info_hash: hash,
            pieces: size.map(|(pieces, _)| pieces),
            private: size.is_some_and(|(_, private)| private),
        };
        let turn = Turn {
            session: Arc::clone(&self.session),
            visitor: Arc::clone(&self.visitor),
            tracking: Arc::clone(&self.tracking),
            next: Arc::default(),
            until,
            subject,
        };
        let threads: Vec<_> = (0..THREADS.min(self.session.peers.len()))
            .map_while(|_| {
                let turn = turn.clone();
                spawn("page-visit", VISIT_STACK, move || turn.run()).ok()
            })
            .collect();
        if threads.is_empty() {
            turn.run();
        }
        for thread in threads {
            // A panic is counted; its peer is told as left out.
            let _ = thread.join();
        }
        end.stored = self.store();
    }

    fn store(&self) -> bool {
        let brought: HashMap<_, _> = self
            .session
            .brought()
            .into_iter()
            .filter_map(|(address, peer)| Some((address, (peer.client, peer.visit?))))
            .collect();
        let stored = self.tracking.add_visits(self.session.info_hash, &brought);
        stored.inspect_err(|error| log::error!("{error}")).is_ok()
    }
}

/// What all threads of a swarm share.
#[derive(Clone)]
struct Turn {
    session: Arc<Session>,
    visitor: Arc<dyn VisitPeers>,
    tracking: Arc<Tracking>,
    next: Arc<AtomicUsize>,
    until: Timestamp,
    subject: Subject,
}

impl Turn {
    /// Visits one peer after the other while there are some.
    fn run(&self) {
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(address) = self.session.peers.get(place) else {
                return;
            };
            if self.tracking.now() >= self.until {
                return;
            }
            self.session.begins(place);
            let seen = self.visitor.visit(self.subject, *address);
            if seen.failure == Some(Reason::Aborted) {
                self.session.leaves(place);
            } else {
                self.session.ends(place, seen);
            }
        }
    }
}
