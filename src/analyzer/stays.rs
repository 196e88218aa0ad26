//! Staying with peers that are soon to reach the threshold
//! (`revisit.observe = "stay"`): with whom, and the threads there are for it.
//!
//! A visit whose peer is expected to cross soon does not end when the peer has
//! told all it has: it goes on on its connection and thread, reading haves, until
//! the peer has crossed. The pool of contact workers has `observe_threads` more
//! threads for that, and a thread needs a place: one for contacts, of which there
//! are as many as contact threads, or one for stays. Who begins to stay gives its
//! place for contacts back, and a thread that waited for one goes on in its stead:
//! stays cost the contacts no thread, and are never more than configured. A caller
//! is stayed with on its own thread, but needs a place for stays, too.
//!
//! Contact and caller threads; one small lock.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use parking_lot::Mutex;

use crate::config::settings::{Identity, Settings, StaySettings};
use crate::model::have_delay::HaveDelay;
use crate::model::{PeerAddress, PeerId, PeerKey, PieceCount, Source, Torrent};
use crate::stop::StopToken;

use super::engine::Engine;
use super::evaluate::Heard;
use super::policy::LOOK_LISTENS;
use super::scheduler::queue::Ticket;
use super::visit::{Observe, StayTerms};

/// The places of a run.
#[derive(Debug)]
pub struct Stays {
    most: usize,
    /// The places for contacts that are free; `None` where nobody stays and
    /// threads need none.
    contacts: Option<(Sender<()>, Receiver<()>)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// With whom we stay now, by where they listen.
    with: HashSet<PeerKey>,
    counts: StayCounts,
}

/// Stays so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StayCounts {
    /// Begun.
    pub begun: u64,
    /// Not begun since no place was free: the peer is visited again as usual.
    pub without_place: u64,
}

impl Stays {
    /// Places for `contacts` contacts at one time and for the stays of
    /// `settings`.
    pub fn new(settings: Option<&StaySettings>, contacts: usize) -> Self {
        let places = settings.map(|_| {
            let places = bounded(contacts);
            for _ in 0..contacts {
                // There is room for as many.
                let _ = places.0.try_send(());
            }
            places
        });
        Self {
            most: settings.map_or(0, |settings| settings.threads),
            contacts: places,
            state: Mutex::default(),
        }
    }

    /// Waits for a place for contacts; `None` when the run ends.
    pub fn enter(&self, stop: &StopToken) -> Option<ContactPlace<'_>> {
        let Some((_, free)) = &self.contacts else {
            return Some(ContactPlace { back: None });
        };
        let back = self.contacts.as_ref().map(|(back, _)| back);
        select! {
            recv(free) -> _ => Some(ContactPlace { back }),
            recv(stop.channel()) -> _ => None,
        }
    }

    /// A place to stay with `key`, unless all are taken or somebody stays with
    /// it already.
    pub(super) fn begin(&self, key: PeerKey) -> Option<StayPlace<'_>> {
        let mut state = self.state.lock();
        if state.with.contains(&key) {
            return None;
        }
        if state.with.len() >= self.most {
            state.counts.without_place += 1;
            return None;
        }
        state.with.insert(key);
        state.counts.begun += 1;
        Some(StayPlace { stays: self, key })
    }

    /// Whether we stay with `key` now.
    pub fn is_with(&self, key: &PeerKey) -> bool {
        self.contacts.is_some() && self.state.lock().with.contains(key)
    }

    /// Stays so far.
    pub fn counts(&self) -> StayCounts {
        self.state.lock().counts
    }

    /// The places for contacts that are free.
    #[cfg(test)]
    pub(super) fn free(&self) -> Option<Receiver<()>> {
        self.contacts.as_ref().map(|(_, free)| free.clone())
    }

    /// Peers that we stay with now.
    pub fn now(&self) -> usize {
        self.state.lock().with.len()
    }
}

/// A place for contacts, given back when dropped.
#[derive(Debug)]
pub struct ContactPlace<'a> {
    back: Option<&'a Sender<()>>,
}

impl Drop for ContactPlace<'_> {
    fn drop(&mut self) {
        if let Some(back) = self.back {
            // There is room for as many as were taken.
            let _ = back.try_send(());
        }
    }
}

/// A place for a stay, given back when dropped.
#[derive(Debug)]
pub(super) struct StayPlace<'a> {
    stays: &'a Stays,
    key: PeerKey,
}

impl Drop for StayPlace<'_> {
    fn drop(&mut self) {
        self.stays.state.lock().with.remove(&self.key);
    }
}

/// What a visiting thread holds: its place for contacts (`C`) until it stays,
/// a place for stays from then on. Kept to the end of the contact, so that
/// nobody else visits the peer before it is settled.
pub struct Post<'a, C> {
    contact: Cell<Option<C>>,
    stay: Cell<Option<StayPlace<'a>>>,
}

impl<C> Post<'_, C> {
    /// A post with a place for contacts; callers have none.
    pub const fn new(contact: Option<C>) -> Self {
        Self {
            contact: Cell::new(contact),
            stay: Cell::new(None),
        }
    }
}

/// The peer of a visit.
#[derive(Debug, Clone, Copy)]
pub enum Whom {
    /// We called it.
    Called(Ticket),
    /// It calls from there.
    Caller(PeerAddress),
}

impl Whom {
    /// Where it listens and how it was found; `None` for whom no row can be there
    /// before this visit. Its first visit must end as usual: only what a later one
    /// tells makes a confirmed download.
    fn known(
        &self,
        torrent: &Torrent,
        heard: &Heard,
        identity: Identity,
    ) -> Option<(PeerKey, Source)> {
        match self {
            Self::Called(ticket) => {
                let before = ticket.history.successes > 0 || ticket.is_call_back();
                before.then_some((ticket.key, ticket.source))
            }
            Self::Caller(from) => {
                let port = heard.handshake.as_ref()?.port?;
                let key = PeerKey::new(*from, torrent.id).at_port(port);
                (identity == Identity::Extended).then_some((key, Source::Incoming))
            }
        }
    }
}

/// Pieces that a peer may be late with, by its speed, before its silence says that
/// it has stopped, or does not tell any more.
const LATE_PIECES: u32 = 3;

/// How long a peer that is `expected` at the threshold may get nothing.
fn patience(expected: Duration, threshold: PieceCount, pieces: PieceCount) -> Duration {
    let missing = threshold.0.saturating_sub(pieces.0).max(1);
    LATE_PIECES * (expected / missing).max(Duration::from_secs(1))
}

/// How long an unknown client may take to tell a piece that it has: as long as
/// Transmission. rTorrent takes longer.
const UNKNOWN_DELAY: Duration = Duration::from_secs(11);

/// How late a client may tell its pieces, and still tell them to the second.
const TO_THE_SECOND: Duration = Duration::from_secs(1);

/// How long the client of `peer_id` may take to tell a piece that it has.
fn have_delay(settings: &StaySettings, peer_id: &PeerId) -> Duration {
    let of_client = || HaveDelay::of(peer_id).unwrap_or(UNKNOWN_DELAY);
    settings.have_delay.unwrap_or_else(of_client)
}

/// Within what time a peer must be expected to cross to be looked at again and
/// again: one that tells its haves too late to be stayed with, though each new
/// visit hears at once what it has. `None` for all others.
pub(super) fn looks(settings: &Settings, peer_id: Option<&PeerId>) -> Option<Duration> {
    let stay = settings.stay.as_ref()?;
    settings.policy.adaptive.as_ref()?;
    // Clients turn calls away that come soon behind another.
    if !settings.policy.retry {
        return None;
    }
    (have_delay(stay, peer_id?) > TO_THE_SECOND).then_some(stay.within)
}

/// Decides about one visit.
pub struct Candidate<'a, 'p, C> {
    /// Everything else.
    pub engine: &'a Engine,
    /// The thread's.
    pub post: &'p Post<'a, C>,
    /// Who is visited.
    pub whom: Whom,
    /// The visit is but a look at its pieces.
    pub look: bool,
}

impl<C> Observe for Candidate<'_, '_, C> {
    fn look(&self) -> Option<Duration> {
        self.look.then_some(LOOK_LISTENS)
    }

    fn stay(&self, torrent: &Torrent, peer_id: PeerId, heard: &mut Heard) -> Option<StayTerms> {
        let engine = self.engine;
        let settings = engine.settings.stay.as_ref()?;
        let now = engine.clock.now();
        if matches!(self.whom, Whom::Called(_))
            && looks(&engine.settings, Some(&peer_id)).is_some()
            && engine.scheduler.revisits().has_room_for_looks(now)
        {
            return None;
        }
        let told = heard.below.filter(|_| heard.reached.is_none())?;
        let identity = engine.settings.identity;
        let (key, source) = self.whom.known(torrent, heard, identity)?;
        let seen = (told.pieces, torrent.threshold, told.at);
        let expected = engine.scheduler.revisits().expected(key, seen, now)?;
        if expected > settings.within {
            return None;
        }
        self.post.stay.set(Some(engine.stays.begin(key)?));
        self.post.contact.set(None);
        log::debug!(
            "peer={} is stayed with: expected at the threshold in {} s",
            engine.name(key.address.socket_addr()),
            expected.as_secs()
        );
        // Whom it named need not wait for its end.
        engine.take_named(torrent.id, source, &heard.exchange.take_named());
        let have_delay = have_delay(settings, &peer_id);
        Some(StayTerms {
            longest: settings.longest,
            patience: have_delay
                + patience(expected, torrent.threshold, told.pieces)
                    .min(engine.settings.policy.revisit_delay),
            have_delay,
        })
    }
}
