//! The pure core of the scheduler: a binary heap by due time and the set of
//! peers that were ever accepted. No locks, no clock: callers pass `now`.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::analyzer::dial::Way;
use crate::model::{Evidence, Origin, PeerKey, Reason, Source, TorrentId};

/// What happened to a peer so far; decides with the latest outcome about the
/// next visit (`analyzer::policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Visits that counted.
    pub successes: u16,
    /// Failures since the last visit that counted.
    pub failures: u8,
    /// Reason of the last failure, while the peer never had a visit that
    /// counted.
    pub unreached: Option<Reason>,
    /// How it was reached by the last visit that counted; the next one tries
    /// that first.
    pub worked: Option<Way>,
    /// The most that failed contacts showed, while the peer never had a visit
    /// that counted: at most [`Evidence::Handshake`].
    pub shown: Evidence,
}

impl History {
    /// Whether the peer was never contacted at all.
    pub const fn is_fresh(&self) -> bool {
        self.successes == 0 && self.failures == 0
    }

    /// After one more visit that counted.
    #[must_use]
    pub const fn with_success(self) -> Self {
        Self {
            successes: self.successes.saturating_add(1),
            failures: 0,
            unreached: None,
            shown: Evidence::Listed,
            ..self
        }
    }

    /// After a failed contact that showed so much.
    #[must_use]
    pub fn showing(self, evidence: Evidence) -> Self {
        let shown = if self.successes == 0 {
            self.shown.max(evidence.min(Evidence::Handshake))
        } else {
            Evidence::Listed
        };
        Self { shown, ..self }
    }

    /// After one more failure.
    #[must_use]
    pub const fn with_failure(self, reason: Reason) -> Self {
        let unreached = if self.successes == 0 {
            Some(reason)
        } else {
            None
        };
        Self {
            failures: self.failures.saturating_add(1),
            unreached,
            ..self
        }
    }
}

/// A peer on its way between the scheduler and a contact worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Whom to visit, and for what.
    pub key: PeerKey,
    /// How it was found first.
    pub source: Source,
    /// Who named it first, where `source` does not tell it.
    pub origin: Option<Origin>,
    /// What happened to it before.
    pub history: History,
}

impl Ticket {
    /// Whether the peer is known by a call of its own and has a row by it:
    /// this ticket is to call it back.
    pub fn is_call_back(&self) -> bool {
        self.source == Source::Incoming
    }

    /// Whether a contact was reported, or a call: nobody waits for the first
    /// word of this peer.
    pub fn is_accounted(&self) -> bool {
        self.is_call_back() || !self.history.is_fresh()
    }

    /// Reason of the first-contact error that a success takes back.
    pub fn takes_back(&self) -> Option<Reason> {
        self.history.unreached.filter(|_| !self.is_call_back())
    }
}

/// Peers ordered by due time; first in, first out among equals.
#[derive(Debug)]
pub struct Queue {
    epoch: Instant,
    sequence: u32,
    heap: BinaryHeap<Entry>,
    accepted: Accepted,
}

impl Queue {
    /// An empty queue; `epoch` must not be later than any due time (earlier
    /// ones count as due at once).
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            sequence: 0,
            heap: BinaryHeap::new(),
            accepted: Accepted::default(),
        }
    }

    /// Takes a peer found by `source`, due at `now`, unless it was ever taken
    /// before; tells whether it was new.
    pub fn put(&mut self, key: PeerKey, source: Source, now: Instant) -> bool {
        let history = History::default();
        self.put_ticket(
            Ticket {
                key,
                source,
                origin: None,
                history,
            },
            now,
        )
    }

    /// The same for a peer of which more is known.
    pub fn put_ticket(&mut self, ticket: Ticket, now: Instant) -> bool {
        let new = self.accepted.insert(ticket.key);
        if new {
            // Rounded down, so that it is due at once.
            self.push(
                ticket,
                now.saturating_duration_since(self.epoch).as_millis(),
            );
        }
        new
    }

    /// Takes a caller by where it listens, due at `due` or up to a millisecond
    /// later, unless it was ever taken before; tells whether it was new.
    pub fn put_caller(&mut self, key: PeerKey, due: Instant) -> bool {
        let new = self.accepted.insert(key);
        if new {
            let (source, history) = (Source::Incoming, History::default());
            let ticket = Ticket {
                key,
                source,
                origin: None,
                history,
            };
            self.put_back(ticket, due);
        }
        new
    }

    /// Takes a known peer back, due at `due` or up to a millisecond later.
    pub fn put_back(&mut self, ticket: Ticket, due: Instant) {
        let due = due.saturating_duration_since(self.epoch);
        self.push(ticket, due.as_nanos().div_ceil(1_000_000));
    }

    fn push(&mut self, ticket: Ticket, due_ms: u128) {
        self.sequence = self.sequence.wrapping_add(1);
        let rank = rank(due_ms, self.sequence);
        self.heap.push(Entry::new(rank, ticket));
    }

    /// The earliest peer if it is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<Ticket> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.ticket())
    }

    /// When the earliest peer is due, to the millisecond.
    pub fn next_due(&self) -> Option<Instant> {
        self.heap
            .peek()
            .map(|entry| self.epoch + Duration::from_millis(entry.due_ms()))
    }

    /// Peers waiting, due or not.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Peers ever accepted: unique (address, port, torrent).
    pub fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// Of these, for one torrent.
    pub fn accepted_for(&self, torrent: TorrentId) -> usize {
        self.accepted.of.get(&torrent).copied().unwrap_or(0)
    }

    /// Whether the peer was ever accepted.
    pub fn knows(&self, key: &PeerKey) -> bool {
        self.accepted.contains(key)
    }
}

/// The peers ever accepted. There may be millions, nearly all of them with
/// IPv4, whose keys fit into eight bytes.
#[derive(Debug, Default)]
struct Accepted {
    v4: HashSet<u64>,
    v6: HashSet<PeerKey>,
    /// How many for each torrent.
    of: HashMap<TorrentId, usize>,
}

impl Accepted {
    /// Whether `key` was not there yet.
    fn insert(&mut self, key: PeerKey) -> bool {
        let new = match short(&key) {
            Some(short) => self.v4.insert(short),
            None => self.v6.insert(key),
        };
        if new {
            *self.of.entry(key.torrent).or_default() += 1;
        }
        new
    }

    fn contains(&self, key: &PeerKey) -> bool {
        short(key).map_or_else(|| self.v6.contains(key), |short| self.v4.contains(&short))
    }

    fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

/// The key of a peer with IPv4.
fn short(key: &PeerKey) -> Option<u64> {
    let IpAddr::V4(ip) = key.address.ip() else {
        return None;
    };
    let [ip, port] = [u64::from(ip.to_bits()), u64::from(key.address.port())];
    Some(ip << 32 | port << 16 | u64::from(key.torrent.number()))
}

/// Kept small (there may be millions): the parts of a [`Ticket`] side by side,
/// without the padding of its nested types.
#[derive(Debug)]
struct Entry {
    /// See [`rank`].
    rank: u64,
    key: PeerKey,
    unreached: Option<Reason>,
    successes: u16,
    failures: u8,
    tags: Tags,
}

/// Source, [`Ticket::origin`], [`History::shown`] and [`History::worked`] in one
/// byte: the digits of a number, the source lowest, the way highest.
#[derive(Debug, Clone, Copy)]
struct Tags(u8);

const SOURCES: [Source; 3] = [Source::Tracker, Source::Dht, Source::Incoming];

const ORIGINS: [Option<Origin>; 3] = [None, Some(Origin::Pex), Some(Origin::Lsd)];

/// What an address without a visit that counts can have shown.
const SHOWN: [Evidence; 3] = [Evidence::Listed, Evidence::Answered, Evidence::Handshake];

impl Tags {
    fn new(ticket: &Ticket) -> Self {
        let way = ticket.history.worked.map_or(0, |way| 1 + way.code());
        let [source, origin, shown] = [
            SOURCES.iter().position(|it| *it == ticket.source),
            ORIGINS.iter().position(|it| *it == ticket.origin),
            SHOWN.iter().position(|it| *it == ticket.history.shown),
        ]
        .map(|digit| {
            digit
                .and_then(|digit| u8::try_from(digit).ok())
                .unwrap_or(0)
        });
        Self(((way * 3 + shown) * 3 + origin) * 3 + source)
    }

    fn source(self) -> Source {
        let digit = usize::from(self.0 % 3);
        SOURCES.get(digit).copied().unwrap_or(Source::Tracker)
    }

    fn origin(self) -> Option<Origin> {
        let digit = usize::from(self.0 / 3 % 3);
        ORIGINS.get(digit).copied().flatten()
    }

    fn shown(self) -> Evidence {
        let digit = usize::from(self.0 / 9 % 3);
        SHOWN.get(digit).copied().unwrap_or_default()
    }

    const fn worked(self) -> Option<Way> {
        match (self.0 / 27).checked_sub(1) {
            None => None,
            Some(code) => Some(Way::from_code(code)),
        }
    }
}

/// Bits of the sequence in a rank; the 40 bits above are the due time in
/// milliseconds since the queue's epoch, good for 34 years.
const SEQUENCE_BITS: u32 = 24;

/// Order of the entries. The sequence wraps after 16 million entries; then
/// order among equally due peers is off once, and nothing else.
fn rank(due_ms: u128, sequence: u32) -> u64 {
    let longest = u64::MAX >> SEQUENCE_BITS;
    let due_ms = u64::try_from(due_ms).unwrap_or(longest).min(longest);
    let sequence = u64::from(sequence) & ((1 << SEQUENCE_BITS) - 1);
    due_ms << SEQUENCE_BITS | sequence
}

impl Entry {
    fn new(rank: u64, ticket: Ticket) -> Self {
        let Ticket { key, history, .. } = ticket;
        Self {
            rank,
            key,
            unreached: history.unreached,
            successes: history.successes,
            failures: history.failures,
            tags: Tags::new(&ticket),
        }
    }

    fn ticket(&self) -> Ticket {
        Ticket {
            key: self.key,
            source: self.tags.source(),
            origin: self.tags.origin(),
            history: History {
                successes: self.successes,
                failures: self.failures,
                unreached: self.unreached,
                worked: self.tags.worked(),
                shown: self.tags.shown(),
            },
        }
    }

    const fn due_ms(&self) -> u64 {
        self.rank >> SEQUENCE_BITS
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank.cmp(&self.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PeerAddress, TorrentId};
    use proptest::prelude::*;

    fn key(n: u16, torrent: usize) -> PeerKey {
        let [high, low] = n.to_be_bytes();
        PeerKey::new(
            PeerAddress::from_compact([127, 0, high, low, 0x1a, 0xe1]),
            TorrentId::from_index(torrent).unwrap(),
        )
    }

    #[test]
    fn callers_are_taken_once_and_are_known_then() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        let due = now + Duration::from_secs(300);
        assert!(queue.put_caller(key(1, 0), due));
        assert!(!queue.put_caller(key(1, 0), now));
        assert!(!queue.put(key(1, 0), Source::Tracker, now));
        assert_eq!(queue.take_due(now), None);
        let ticket = queue.take_due(due).unwrap();
        assert!(ticket.is_call_back() && ticket.is_accounted());
        let failed = ticket.history.with_failure(Reason::TimedOut);
        let failed = Ticket {
            history: failed,
            ..ticket
        };
        assert_eq!(failed.takes_back(), None, "it has its row");
        assert!(queue.put(key(2, 0), Source::Dht, now));
        assert!(!queue.put_caller(key(2, 0), now));
        let named = queue.take_due(now).unwrap();
        assert!(!named.is_call_back() && !named.is_accounted());
    }

    #[test]
    fn each_address_port_torrent_is_new_once() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        assert!(queue.put(key(1, 0), Source::Tracker, now));
        assert!(!queue.put(key(1, 0), Source::Dht, now));
        assert!(queue.put(key(1, 1), Source::Dht, now), "another torrent");
        let ticket = queue.take_due(now).unwrap();
        assert_eq!((ticket.key, ticket.source), (key(1, 0), Source::Tracker));
        assert!(
            !queue.put(key(1, 0), Source::Tracker, now),
            "known though not waiting"
        );
        assert_eq!((queue.len(), queue.accepted()), (1, 2));
    }

    #[test]
    fn a_known_peer_waits_for_its_new_due_time() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        queue.put(key(1, 0), Source::Tracker, now);
        let mut ticket = queue.take_due(now).unwrap();
        ticket.history = ticket.history.with_success();
        let due = now + Duration::from_secs(300);
        queue.put_back(ticket, due);
        assert_eq!(queue.next_due(), Some(due));
        assert_eq!(
            queue.take_due(due.checked_sub(Duration::from_millis(1)).unwrap()),
            None
        );
        assert_eq!(queue.take_due(due), Some(ticket));
        assert!(queue.is_empty());
    }

    #[test]
    fn history_remembers_what_counts() {
        let failed = History::default()
            .with_failure(Reason::TimedOut)
            .with_failure(Reason::Closed);
        assert_eq!(
            failed,
            History {
                successes: 0,
                failures: 2,
                unreached: Some(Reason::Closed),
                worked: None,
                shown: Evidence::Listed,
            }
        );
        let tracked = failed.with_success().with_failure(Reason::TimedOut);
        assert_eq!(
            tracked,
            History {
                successes: 1,
                failures: 1,
                unreached: None,
                worked: None,
                shown: Evidence::Listed,
            }
        );
        assert!(!failed.is_fresh() && History::default().is_fresh());
    }

    #[test]
    fn a_ticket_is_the_same_after_waiting() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        let ways = Way::ALL.map(Some).into_iter().chain([None]);
        let mut histories = Vec::new();
        for worked in ways {
            histories.extend(SHOWN.map(|shown| History {
                successes: 3,
                failures: 2,
                unreached: Some(Reason::REFUSED),
                worked,
                shown,
            }));
        }
        let named = SOURCES
            .iter()
            .flat_map(|source| ORIGINS.map(|origin| (*source, origin)));
        for (source, origin) in named {
            for history in &histories {
                let ticket = Ticket {
                    key: key(1, 0),
                    source,
                    origin,
                    history: *history,
                };
                queue.put_back(ticket, now);
                assert_eq!(queue.take_due(now), Some(ticket));
            }
        }
    }

    #[test]
    fn what_failed_contacts_showed_is_kept_until_a_visit_counts() {
        let shown = |history: History| history.shown;
        let history = History::default()
            .with_failure(Reason::Closed)
            .showing(Evidence::Answered);
        assert_eq!(shown(history), Evidence::Answered);
        let later = history
            .with_failure(Reason::TimedOut)
            .showing(Evidence::Listed);
        assert_eq!(shown(later), Evidence::Answered, "never less");
        assert_eq!(
            shown(later.showing(Evidence::Progress)),
            Evidence::Handshake
        );
        let counted = later.with_success();
        assert_eq!(shown(counted), Evidence::Listed);
        let failed = counted.with_failure(Reason::Closed);
        assert_eq!(shown(failed.showing(Evidence::Answered)), Evidence::Listed);
    }

    #[test]
    fn entries_stay_small() {
        assert!(size_of::<Entry>() <= 40, "{}", size_of::<Entry>());
    }

    proptest! {
        #[test]
        fn leaves_in_order_of_due_time_then_arrival(dues in prop::collection::vec(0_u64..50, 1..100)) {
            let now = Instant::now();
            let mut queue = Queue::new(now);
            let mut wanted = Vec::new();
            for (n, due) in dues.iter().enumerate() {
                let ticket = Ticket { key: key(u16::try_from(n).unwrap(), 0), source: Source::Dht, origin: None, history: History::default() };
                queue.put_back(ticket, now + Duration::from_millis(*due));
                wanted.push((*due, n, ticket));
            }
            wanted.sort_by_key(|(due, n, _)| (*due, *n));
            let end = now + Duration::from_secs(1);
            let taken: Vec<Ticket> = std::iter::from_fn(|| queue.take_due(end)).collect();
            prop_assert_eq!(taken, wanted.into_iter().map(|(_, _, ticket)| ticket).collect::<Vec<_>>());
        }
    }
}
