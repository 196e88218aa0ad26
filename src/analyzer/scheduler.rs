//! The scheduler: hands peers to the contact workers when they are due.
//!
//! Tracker and DHT threads put peers in ([`PeerIntake`]), contact workers take
//! them and give them back for a later visit. One mutex guards the queue. Of
//! the workers that find nothing due, one (the leader) waits for the earliest
//! due time, all others wait untimed; a worker that leaves with a peer wakes
//! one other, so that a burst of due peers wakes as many workers as it needs
//! and an idle pool costs nothing.

pub mod queue;
mod votes;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::intake::{Offer, PeerIntake};
use crate::model::{PeerAddress, PeerKey, Source, TorrentId};

use queue::{Queue, Ticket};
use votes::Votes;

/// Blocking queue of peers by due time; see the module's text.
pub struct Scheduler {
    clock: Arc<dyn Clock>,
    reaction: Duration,
    state: Mutex<State>,
    /// Only the leader waits here.
    head_changed: Condvar,
    /// Everyone else waits here.
    wanted: Condvar,
}

struct State {
    queue: Queue,
    closed: bool,
    leader: bool,
    /// Accepted peers that were never contacted.
    fresh: usize,
    own: HashSet<PeerAddress>,
    own_port: Option<u16>,
    /// What peers say of our address.
    votes: Votes,
    /// Peers whose call told that they need no visit more.
    finished: HashSet<PeerKey>,
}

/// A tracker can name any address as ours; a wrong one costs a peer, so there
/// must not be many.
const OWN_ADDRESSES_MAX: usize = 64;

impl Scheduler {
    /// An empty scheduler. The leader sleeps at most `reaction`
    /// (`evaluator_reaction`) at a time.
    pub fn new(clock: Arc<dyn Clock>, reaction: Duration) -> Self {
        let queue = Queue::new(clock.now());
        let state = State {
            queue,
            closed: false,
            leader: false,
            fresh: 0,
            own: HashSet::new(),
            own_port: None,
            votes: Votes::default(),
            finished: HashSet::new(),
        };
        Self {
            clock,
            reaction,
            state: Mutex::new(state),
            head_changed: Condvar::new(),
            wanted: Condvar::new(),
        }
    }

    /// Waits for the next due peer; `None` once the scheduler is closed.
    pub fn take(&self) -> Option<Ticket> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let now = self.clock.now();
            if let Some(ticket) = state.queue.take_due(now) {
                if !state.leader && !state.queue.is_empty() {
                    self.wanted.notify_one();
                }
                return Some(ticket);
            }
            match state.queue.next_due() {
                Some(due) if !state.leader => self.lead(&mut state, due.min(now + self.reaction)),
                _ => self.wanted.wait(&mut state),
            }
        }
    }

    /// The next peer if one is due now.
    #[cfg(test)]
    pub(crate) fn take_now(&self) -> Option<Ticket> {
        self.state.lock().queue.take_due(self.clock.now())
    }

    fn lead(&self, state: &mut MutexGuard<'_, State>, until: Instant) {
        state.leader = true;
        self.head_changed.wait_until(state, until);
        state.leader = false;
    }

    /// Takes a visited peer back, due at `due`; forgotten when closed.
    pub fn put_back(&self, ticket: Ticket, due: Instant) {
        let mut state = self.state.lock();
        let before = state.queue.next_due();
        state.queue.put_back(ticket, due);
        self.wake(&state, before);
    }

    /// The caller that was evaluated just now listens at `key`: it is visited
    /// there from `due` on, unless it was accepted before.
    pub fn call_back(&self, key: PeerKey, due: Instant) {
        let mut state = self.state.lock();
        if !key.address.is_callable() || state.own.contains(&key.address) {
            return;
        }
        let before = state.queue.next_due();
        if state.queue.put_caller(key, due) {
            self.wake(&state, before);
        }
    }

    /// The caller that listens at `key` told that it has the torrent.
    pub fn finish(&self, key: PeerKey) {
        self.state.lock().finished.insert(key);
    }

    /// Whether a visit of `ticket` could tell nothing more: the peer called
    /// and told that it has the torrent.
    pub fn is_finished(&self, ticket: &Ticket) -> bool {
        ticket.is_accounted() && self.state.lock().finished.contains(&ticket.key)
    }

    /// Notes that `ticket`, on its first visit, was reported to the writer.
    pub fn first_contact_done(&self, ticket: &Ticket) {
        if !ticket.is_accounted() {
            let mut state = self.state.lock();
            state.fresh = state.fresh.saturating_sub(1);
        }
    }

    /// Notes an address of our own, so that it is not offered again.
    pub fn add_own(&self, address: PeerAddress) {
        self.state.lock().own.insert(address);
    }

    /// Whether `address` is known to be our own.
    pub fn is_own(&self, address: &PeerAddress) -> bool {
        self.state.lock().own.contains(address)
    }

    /// Notes the port on which we listen; with it, every address that a
    /// tracker says we come from is our own.
    pub fn listens_on(&self, port: u16) {
        self.state.lock().own_port = Some(port);
    }

    /// The peer at `voter` says that we come from `ip` (BEP 10, `yourip`); it
    /// is believed when peers of several networks say the same.
    pub fn vote_own_ip(&self, voter: IpAddr, ip: IpAddr) {
        let mut state = self.state.lock();
        if state.votes.cast(voter, ip) {
            state.note_own_ip(ip);
        }
    }

    /// Peers waiting, those waiting for a revisit included.
    pub fn waiting(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Accepted peers that have not been contacted yet.
    pub fn never_contacted(&self) -> usize {
        self.state.lock().fresh
    }

    /// Sends every worker home; [`Scheduler::take`] gives `None` from now on.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.wanted.notify_all();
        self.head_changed.notify_all();
    }

    /// Wakes one worker if the head of the queue has changed.
    fn wake(&self, state: &State, head_before: Option<Instant>) {
        if state.queue.next_due() == head_before {
            return;
        }
        if state.leader {
            self.head_changed.notify_one();
        } else {
            self.wanted.notify_one();
        }
    }
}

impl State {
    fn note_own_ip(&mut self, ip: IpAddr) {
        if let Some(port) = self.own_port
            && self.own.len() < OWN_ADDRESSES_MAX
        {
            self.own.insert(PeerAddress::new(ip, port));
        }
    }
}

impl PeerIntake for Scheduler {
    fn own_ip(&self, ip: IpAddr) {
        self.state.lock().note_own_ip(ip);
    }

    fn offer(&self, torrent: TorrentId, source: Source, address: PeerAddress) -> Offer {
        if !address.is_callable() {
            return Offer::Uncallable;
        }
        let now = self.clock.now();
        let mut state = self.state.lock();
        if state.own.contains(&address) {
            return Offer::Own;
        }
        let before = state.queue.next_due();
        if !state.queue.put(PeerKey::new(address, torrent), source, now) {
            return Offer::Known;
        }
        state.fresh += 1;
        self.wake(&state, before);
        Offer::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::model::Timestamp;
    use crossbeam_channel::unbounded;

    fn address(n: u8) -> PeerAddress {
        PeerAddress::from_compact([127, 0, 0, n, 0x1a, 0xe1])
    }

    fn torrent() -> TorrentId {
        TorrentId::from_index(0).unwrap()
    }

    fn with_workers(
        workers: usize,
    ) -> (
        Arc<Scheduler>,
        crossbeam_channel::Receiver<Ticket>,
        Vec<std::thread::JoinHandle<()>>,
    ) {
        let scheduler = Arc::new(Scheduler::new(
            Arc::new(SystemClock::new()),
            Duration::from_secs(40),
        ));
        let (sender, receiver) = unbounded();
        let handles = (0..workers)
            .map(|_| {
                let (scheduler, sender) = (Arc::clone(&scheduler), sender.clone());
                std::thread::spawn(move || {
                    while let Some(ticket) = scheduler.take() {
                        sender.send(ticket).unwrap();
                    }
                })
            })
            .collect();
        (scheduler, receiver, handles)
    }

    #[test]
    fn offers_are_judged() {
        let scheduler = Scheduler::new(
            Arc::new(ManualClock::new(Timestamp(0))),
            Duration::from_secs(40),
        );
        scheduler.add_own(address(9));
        scheduler.own_ip(address(8).ip());
        scheduler.listens_on(address(9).port());
        scheduler.own_ip(address(7).ip());
        assert_eq!(
            scheduler.offer(torrent(), Source::Tracker, address(7)),
            Offer::Own
        );
        assert_eq!(
            scheduler.offer(torrent(), Source::Tracker, address(1)),
            Offer::New
        );
        assert_eq!(
            scheduler.offer(torrent(), Source::Dht, address(1)),
            Offer::Known
        );
        assert_eq!(
            scheduler.offer(torrent(), Source::Dht, address(9)),
            Offer::Own
        );
        assert_eq!(
            scheduler.offer(torrent(), Source::Dht, address(1).with_port(0)),
            Offer::Uncallable
        );
        assert_eq!((scheduler.waiting(), scheduler.never_contacted()), (1, 1));
        let ticket = scheduler.take().unwrap();
        scheduler.first_contact_done(&ticket);
        assert_eq!((scheduler.waiting(), scheduler.never_contacted()), (0, 0));
    }

    #[test]
    fn our_address_is_ours_when_several_networks_say_so() {
        let scheduler = Scheduler::new(
            Arc::new(ManualClock::new(Timestamp(0))),
            Duration::from_secs(40),
        );
        scheduler.listens_on(6881);
        let ours = PeerAddress::from_compact([198, 51, 100, 1, 0x1a, 0xe1]);
        for voter in ["192.0.2.1", "192.0.2.2", "203.0.113.1", "2001:db8::1"] {
            assert!(!scheduler.is_own(&ours), "too early");
            scheduler.vote_own_ip(voter.parse().unwrap(), ours.ip());
        }
        assert!(scheduler.is_own(&ours));
    }

    #[test]
    fn callers_are_called_back_once_and_only_elsewhere() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let scheduler = Scheduler::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            Duration::from_secs(40),
        );
        scheduler.add_own(address(9));
        let due = clock.now() + Duration::from_secs(300);
        let key = |n| PeerKey::new(address(n), torrent());
        for key in [key(1), key(1), key(9), key(1).at_port(0)] {
            scheduler.call_back(key, due);
        }
        assert_eq!((scheduler.waiting(), scheduler.never_contacted()), (1, 0));
        assert_eq!(scheduler.take_now(), None, "not before its time");
        let known = scheduler.offer(torrent(), Source::Tracker, address(1));
        assert_eq!(known, Offer::Known);
        clock.advance(Duration::from_secs(301));
        let ticket = scheduler.take_now().unwrap();
        assert!(!scheduler.is_finished(&ticket));
        scheduler.finish(ticket.key);
        assert!(scheduler.is_finished(&ticket));
        scheduler.first_contact_done(&ticket);
        assert_eq!(scheduler.never_contacted(), 0);
        scheduler.finish(key(2));
        scheduler.offer(torrent(), Source::Tracker, address(2));
        let ticket = scheduler.take_now().unwrap();
        assert!(
            !scheduler.is_finished(&ticket),
            "its first contact is to be told"
        );
    }

    #[test]
    fn every_peer_of_a_burst_reaches_a_worker_and_close_ends_all() {
        let (scheduler, taken, handles) = with_workers(8);
        for n in 0..200 {
            scheduler.offer(torrent(), Source::Tracker, address(n));
        }
        for _ in 0..200 {
            taken.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        scheduler.close();
        for handle in handles {
            handle.join().unwrap();
        }
    }

    #[test]
    fn an_earlier_peer_wakes_the_leader() {
        let (scheduler, taken, handles) = with_workers(3);
        scheduler.offer(torrent(), Source::Tracker, address(1));
        let ticket = taken.recv_timeout(Duration::from_secs(30)).unwrap();
        let now = SystemClock::new().now();
        scheduler.put_back(ticket, now + Duration::from_secs(3_600));
        scheduler.offer(torrent(), Source::Tracker, address(2));
        assert_eq!(
            taken
                .recv_timeout(Duration::from_secs(30))
                .unwrap()
                .key
                .address,
            address(2)
        );
        scheduler.put_back(ticket, now);
        assert_eq!(taken.recv_timeout(Duration::from_secs(30)).unwrap(), ticket);
        scheduler.close();
        for handle in handles {
            handle.join().unwrap();
        }
    }

    #[test]
    fn a_revisit_comes_when_due() {
        let (scheduler, taken, handles) = with_workers(2);
        scheduler.offer(torrent(), Source::Tracker, address(1));
        let ticket = taken.recv_timeout(Duration::from_secs(30)).unwrap();
        let clock = SystemClock::new();
        let due = clock.now() + Duration::from_millis(30);
        scheduler.put_back(ticket, due);
        taken.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(clock.now() >= due);
        scheduler.close();
        for handle in handles {
            handle.join().unwrap();
        }
    }
}
