//! One scrape for all torrents of a tracker.
//!
//! Requester threads of torrents that share a tracker meet here. Whoever
//! comes first asks for every torrent registered there; the others wait for
//! that answer, or find it still fresh. The board itself asks nothing and its
//! lock is held for look-ups only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::TrackerError;
use crate::model::InfoHash;
use crate::model::record::ScrapeFigures;

/// What a scrape gave for one torrent.
pub type Outcome = Result<ScrapeFigures, TrackerError>;

/// Where scrapes are shared, by [`super::url::TrackerUrl::scrape_key`].
#[derive(Debug, Default)]
pub struct ScrapeBoard {
    places: Mutex<HashMap<String, Place>>,
}

#[derive(Debug, Default)]
struct Place {
    hashes: Vec<InfoHash>,
    outcomes: HashMap<InfoHash, (Instant, Outcome)>,
    unreachable: Option<(Instant, TrackerError)>,
    one_by_one: bool,
    asking: Option<Receiver<()>>,
}

/// What somebody who wants figures is to do.
#[derive(Debug)]
pub enum Turn {
    /// Take these, another torrent's requester has got them.
    Fresh(Outcome),
    /// Ask for these torrents, the own one first, and post the answer.
    Ask(Asking),
    /// Somebody is asking; this becomes ready (disconnected) when it is done.
    Wait(Receiver<()>),
}

/// The right to ask a tracker; others wait until it is dropped.
#[derive(Debug)]
pub struct Asking {
    board: Arc<ScrapeBoard>,
    key: String,
    /// What to ask for, the own torrent first.
    pub hashes: Vec<InfoHash>,
    /// `None` when everybody asks for his own.
    done: Option<Sender<()>>,
}

impl ScrapeBoard {
    /// An empty board.
    pub fn new() -> Self {
        Self::default()
    }

    /// The torrent is to be scraped at `key`, now and later.
    pub fn register(&self, key: &str, hash: InfoHash) {
        let mut places = self.places.lock();
        let place = places.entry(key.to_owned()).or_default();
        if !place.hashes.contains(&hash) {
            place.hashes.push(hash);
        }
    }

    /// What to do for `hash` at `key`: outcomes younger than `age` are fresh,
    /// a request may have `most` torrents (1 after a failed announce, where
    /// little is to be hoped for).
    pub fn turn(
        self: &Arc<Self>,
        key: &str,
        hash: InfoHash,
        now: Instant,
        (age, most): (Duration, usize),
    ) -> Turn {
        let mut places = self.places.lock();
        let place = places.entry(key.to_owned()).or_default();
        if let Some(outcome) = place.fresh(hash, now, age) {
            return Turn::Fresh(outcome);
        }
        if place.one_by_one {
            return Turn::Ask(self.asking(key, vec![hash], None));
        }
        if let Some(receiver) = &place.asking {
            return Turn::Wait(receiver.clone());
        }
        let others = place.hashes.iter().copied();
        let others =
            others.filter(|&other| other != hash && place.fresh(other, now, age).is_none());
        let hashes = std::iter::once(hash).chain(others).take(most).collect();
        let (sender, receiver) = bounded(0);
        place.asking = Some(receiver);
        Turn::Ask(self.asking(key, hashes, Some(sender)))
    }

    fn asking(
        self: &Arc<Self>,
        key: &str,
        hashes: Vec<InfoHash>,
        done: Option<Sender<()>>,
    ) -> Asking {
        Asking {
            board: Arc::clone(self),
            key: key.to_owned(),
            hashes,
            done,
        }
    }
}

impl Place {
    fn fresh(&self, hash: InfoHash, now: Instant, age: Duration) -> Option<Outcome> {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < age;
        if let Some((at, error)) = &self.unreachable
            && is_fresh(*at)
        {
            return Some(Err(error.clone()));
        }
        let (at, outcome) = self.outcomes.get(&hash)?;
        is_fresh(*at).then(|| outcome.clone())
    }
}

impl Asking {
    /// Posts what the tracker said about one torrent.
    pub fn post(&self, hash: InfoHash, now: Instant, outcome: Outcome) {
        self.with_place(|place| {
            place.unreachable = None;
            place.outcomes.insert(hash, (now, outcome));
        });
    }

    /// The tracker cannot be reached: posts that for every torrent, so that
    /// not each of them waits for the same timeout.
    pub fn post_unreachable(&self, now: Instant, error: TrackerError) {
        self.with_place(|place| place.unreachable = Some((now, error)));
    }

    /// The tracker answers for single torrents only: from now on everybody
    /// asks for his own.
    pub fn prefer_single(&self) {
        self.with_place(|place| place.one_by_one = true);
    }

    fn with_place(&self, change: impl FnOnce(&mut Place)) {
        if let Some(place) = self.board.places.lock().get_mut(&self.key) {
            change(place);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.done.is_some() {
            // The sender is dropped after this, which wakes who waits.
            self.with_place(|place| place.asking = None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    const AGE: Duration = Duration::from_secs(150);
    const FIGURES: ScrapeFigures = ScrapeFigures {
        seeders: Some(1),
        completed: Some(2),
        leechers: Some(3),
    };

    fn hash(number: u8) -> InfoHash {
        InfoHash::new([number; 20])
    }

    fn board(torrents: u8) -> (Arc<ScrapeBoard>, ManualClock) {
        let board = Arc::new(ScrapeBoard::new());
        (0..torrents).for_each(|number| board.register("k", hash(number)));
        (board, ManualClock::new(Timestamp(0)))
    }

    fn ask(turn: Turn) -> Asking {
        match turn {
            Turn::Ask(asking) => asking,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_asks_for_all_and_the_others_take_it() {
        let (board, clock) = board(3);
        let turn = |number| board.turn("k", hash(number), clock.now(), (AGE, 74));
        let asking = ask(turn(1));
        assert_eq!(asking.hashes, [hash(1), hash(0), hash(2)]);
        let Turn::Wait(done) = turn(2) else {
            panic!("two are asking");
        };
        asking.post(hash(1), clock.now(), Ok(FIGURES));
        asking.post(hash(2), clock.now(), Ok(FIGURES));
        drop(asking);
        assert!(done.recv().is_err(), "disconnected");
        assert!(matches!(turn(2), Turn::Fresh(Ok(FIGURES))));
        assert_eq!(ask(turn(0)).hashes, [hash(0)], "the others are fresh");
        clock.advance(AGE);
        assert_eq!(ask(turn(2)).hashes.len(), 3);
    }

    #[test]
    fn requests_are_limited_and_keys_apart() {
        let (board, clock) = board(100);
        let asking = ask(board.turn("k", hash(99), clock.now(), (AGE, 74)));
        assert_eq!(asking.hashes.len(), 74);
        assert_eq!(asking.hashes[0], hash(99));
        let other = ask(board.turn("other", hash(1), clock.now(), (AGE, 74)));
        assert_eq!(other.hashes, [hash(1)]);
    }

    #[test]
    fn one_by_one_nobody_waits() {
        let (board, clock) = board(3);
        ask(board.turn("k", hash(0), clock.now(), (AGE, 74))).prefer_single();
        let first = ask(board.turn("k", hash(0), clock.now(), (AGE, 74)));
        let second = ask(board.turn("k", hash(1), clock.now(), (AGE, 74)));
        assert_eq!(
            (&first.hashes[..], &second.hashes[..]),
            (&[hash(0)][..], &[hash(1)][..])
        );
    }

    #[test]
    fn an_unreachable_tracker_is_asked_once_for_all() {
        let (board, clock) = board(3);
        let asking = ask(board.turn("k", hash(0), clock.now(), (AGE, 1)));
        asking.post_unreachable(clock.now(), TrackerError::Status(500));
        drop(asking);
        let turn = |number| board.turn("k", hash(number), clock.now(), (AGE, 74));
        assert!(matches!(
            turn(2),
            Turn::Fresh(Err(TrackerError::Status(500)))
        ));
        clock.advance(AGE);
        let asking = ask(turn(2));
        asking.post(hash(2), clock.now(), Ok(FIGURES));
        assert!(matches!(turn(2), Turn::Fresh(Ok(FIGURES))));
    }
}
