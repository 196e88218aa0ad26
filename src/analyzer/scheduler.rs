//! The scheduler: hands peers to the contact workers when they are due.
//!
//! Tracker and DHT threads put peers in ([`PeerIntake`](crate::intake::PeerIntake)), contact workers take
//! them and give them back for a later visit. One mutex guards the queue. Of
//! the workers that find nothing due, one (the leader) waits for the earliest
//! due time, all others wait untimed; a worker that leaves with a peer wakes
//! one other, so that a burst of due peers wakes as many workers as it needs
//! and an idle pool costs nothing.
//!
//! On the way in it turns away who may not be contacted; on the way out it
//! holds back what comes faster than the limits allow (`pace`).

mod offers;
pub mod pace;
pub mod queue;
mod votes;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::config::settings::PaceSettings;
use crate::model::{AddressRules, Barred, PeerAddress, PeerKey};

use super::revisits::Revisits;
use pace::{HeldBack, Pace};
use queue::{Queue, Ticket};
use votes::Votes;

/// Blocking queue of peers by due time; see the module's text.
pub struct Scheduler {
    clock: Arc<dyn Clock>,
    reaction: Duration,
    rules: Arc<AddressRules>,
    revisits: Revisits,
    state: Mutex<State>,
    /// Only the leader waits here.
    head_changed: Condvar,
    /// Everyone else waits here.
    wanted: Condvar,
}

struct State {
    queue: Queue,
    pace: Pace,
    barred: BarredOffers,
    /// Peers that are accepted for one torrent at most.
    per_torrent: usize,
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

/// Offers that were turned away, each time they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BarredOffers {
    /// Of reserved addresses.
    pub reserved: u64,
    /// Of addresses on the opt-out list.
    pub opted_out: u64,
    /// Of IPv6 addresses, where only IPv4 is contacted.
    pub ipv6: u64,
    /// Of peers beyond those that a torrent may have.
    pub beyond: u64,
}

/// Tickets that are looked at before another thread gets the lock.
const LOOKS_MAX: u32 = 256;

/// A tracker can name any address as ours; a wrong one costs a peer, so there
/// must not be many.
const OWN_ADDRESSES_MAX: usize = 64;

impl Scheduler {
    /// An empty scheduler without rules or limits. The leader sleeps at most
    /// `reaction` (`evaluator_reaction`) at a time.
    pub fn new(clock: Arc<dyn Clock>, reaction: Duration) -> Self {
        let rules = Arc::new(AddressRules::none());
        Self::with_rules(clock, reaction, &PaceSettings::default(), rules)
    }

    /// An empty scheduler that keeps to the limits of `pace` and turns away
    /// whom `rules` do not let in.
    pub fn with_rules(
        clock: Arc<dyn Clock>,
        reaction: Duration,
        pace: &PaceSettings,
        rules: Arc<AddressRules>,
    ) -> Self {
        let now = clock.now();
        let state = State {
            queue: Queue::new(now),
            pace: Pace::new(pace, now),
            barred: BarredOffers::default(),
            per_torrent: usize::MAX,
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
            rules,
            revisits: Revisits::default(),
            state: Mutex::new(state),
            head_changed: Condvar::new(),
            wanted: Condvar::new(),
        }
    }

    /// The same with at most so many peers for one torrent; whoever is offered
    /// beyond is turned away and counted. A peer that is known takes a few
    /// dozen bytes to the end of the run.
    #[must_use]
    pub fn with_room(mut self, per_torrent: usize) -> Self {
        self.state.get_mut().per_torrent = per_torrent;
        self
    }

    /// Waits for the next due peer; `None` once the scheduler is closed.
    pub fn take(&self) -> Option<Ticket> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let now = self.clock.now();
            match state.take(now) {
                Taken::Ticket(ticket) => {
                    if !state.leader && !state.queue.is_empty() {
                        self.wanted.notify_one();
                    }
                    return Some(ticket);
                }
                Taken::Later(at) if !state.leader => {
                    self.lead(&mut state, at.min(now + self.reaction));
                }
                Taken::Later(_) | Taken::Nobody => self.wanted.wait(&mut state),
                Taken::Held => MutexGuard::bump(&mut state),
            }
        }
    }

    /// The next peer if one is due now.
    #[cfg(test)]
    pub(crate) fn take_now(&self) -> Option<Ticket> {
        loop {
            return match self.state.lock().take(self.clock.now()) {
                Taken::Ticket(ticket) => Some(ticket),
                Taken::Held => continue,
                Taken::Later(_) | Taken::Nobody => None,
            };
        }
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
        let callable = key.address.is_callable() && self.rules.check(key.address.ip()).is_ok();
        if !callable || state.own.contains(&key.address) {
            return;
        }
        if !state.has_room(&key) {
            return;
        }
        let before = state.queue.next_due();
        if state.queue.put_caller(key, due) {
            self.wake(&state, before);
        }
    }

    /// The caller that listens at `key` told that it has the torrent. Anybody
    /// can name any port, so only who is known is noted.
    pub fn finish(&self, key: PeerKey) {
        let mut state = self.state.lock();
        if state.queue.knows(&key) {
            state.finished.insert(key);
        }
    }

    /// Whether a visit of `ticket` could tell nothing more: the peer called
    /// and told that it has the torrent.
    pub fn is_finished(&self, ticket: &Ticket) -> bool {
        ticket.is_accounted() && self.state.lock().finished.contains(&ticket.key)
    }

    /// The contact with `key` takes one connection more. It is not held back,
    /// but what comes after it waits so much longer, so that the limits hold
    /// on average for connections too.
    pub fn connects_again(&self, key: &PeerKey) {
        let now = self.clock.now();
        self.state.lock().pace.use_one(key, now);
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

    /// Who may be contacted.
    pub fn rules(&self) -> Arc<AddressRules> {
        Arc::clone(&self.rules)
    }

    /// Whether `ip` is on the opt-out list.
    pub fn has_opted_out(&self, ip: IpAddr) -> bool {
        self.rules.check(ip) == Err(Barred::OptedOut)
    }

    /// The addresses that are known to be our own, in no order.
    pub fn own_ips(&self) -> HashSet<IpAddr> {
        let state = self.state.lock();
        state.own.iter().map(PeerAddress::ip).collect()
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

    /// Whether the peer was ever accepted.
    pub fn knows(&self, key: &PeerKey) -> bool {
        self.state.lock().queue.knows(key)
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

    /// What is known of the peers that will come again.
    pub const fn revisits(&self) -> &Revisits {
        &self.revisits
    }

    /// Contacts that had to wait for a limit so far.
    pub fn held_back(&self) -> HeldBack {
        self.state.lock().pace.held()
    }

    /// Offers turned away so far because of their address.
    pub fn barred(&self) -> BarredOffers {
        self.state.lock().barred
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

/// What there is to do now.
enum Taken {
    /// This contact.
    Ticket(Ticket),
    /// Nothing before this time.
    Later(Instant),
    /// Nothing: nobody waits.
    Nobody,
    /// Some were held back; there may be more.
    Held,
}

impl State {
    fn take(&mut self, now: Instant) -> Taken {
        for _ in 0..LOOKS_MAX {
            let Some(due) = self.queue.next_due() else {
                return Taken::Nobody;
            };
            if due > now {
                return Taken::Later(due);
            }
            if let Some(open) = self.pace.next_open(now) {
                return Taken::Later(open);
            }
            let Some(ticket) = self.queue.take_due(now) else {
                return Taken::Nobody;
            };
            match self.pace.admit(&ticket.key, now) {
                Ok(()) => return Taken::Ticket(ticket),
                Err(slot) => self.queue.put_back(ticket, slot),
            }
        }
        Taken::Held
    }

    /// Whether there is room for the peer, or it is known; counts it if not.
    fn has_room(&mut self, key: &PeerKey) -> bool {
        let room = self.queue.accepted_for(key.torrent) < self.per_torrent;
        let taken = room || self.queue.knows(key);
        self.barred.beyond += u64::from(!taken);
        taken
    }

    fn note_own_ip(&mut self, ip: IpAddr) {
        if let Some(port) = self.own_port
            && self.own.len() < OWN_ADDRESSES_MAX
        {
            self.own.insert(PeerAddress::new(ip, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::intake::{Offer, PeerIntake};
    use crate::model::{Origin, Source, Timestamp, TorrentId};
    use crate::protocol::pex::NamedPeer;
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
    fn a_torrent_has_no_more_peers_than_it_may() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let scheduler = Scheduler::new(clock.clone(), Duration::from_secs(40)).with_room(2);
        let offer = |torrent, n| scheduler.offer(torrent, Source::Tracker, address(n));
        let other = TorrentId::from_index(1).unwrap();
        assert_eq!(
            [1, 2, 3, 1].map(|n| offer(torrent(), n)),
            [Offer::New, Offer::New, Offer::Barred, Offer::Known]
        );
        assert_eq!(offer(other, 3), Offer::New, "another torrent");
        let six = PeerAddress::new("2001:db8::3".parse().unwrap(), 6881);
        let named = NamedPeer {
            address: six,
            flags: 0,
        };
        assert_eq!(
            scheduler.offer_named(torrent(), Source::Dht, &named),
            Offer::Barred
        );
        assert_eq!(scheduler.offer_local(torrent(), address(4)), Offer::Barred);
        let key = |n| PeerKey::new(address(n), torrent());
        scheduler.call_back(key(5), clock.now());
        assert_eq!(scheduler.barred().beyond, 4);
        assert_eq!((scheduler.waiting(), scheduler.never_contacted()), (3, 3));
        // Who is not known leaves no trace either by being called finished.
        for n in 6..200 {
            scheduler.finish(key(n));
        }
        scheduler.finish(key(1));
        assert_eq!(scheduler.state.lock().finished.len(), 1);
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
    fn who_may_not_be_contacted_is_turned_away_and_counted() {
        let rules = AddressRules {
            allow_private: false,
            ipv4_only: false,
            opt_out: crate::model::NetworkSet::parse("8.8.8.0/24").unwrap(),
        };
        let scheduler = Scheduler::with_rules(
            Arc::new(ManualClock::new(Timestamp(0))),
            Duration::from_secs(40),
            &PaceSettings::default(),
            Arc::new(rules),
        );
        let offer = |ip: [u8; 4]| {
            let address = PeerAddress::new(ip.into(), 6881);
            scheduler.offer(torrent(), Source::Tracker, address)
        };
        assert_eq!(offer([127, 0, 0, 1]), Offer::Barred);
        assert_eq!(offer([8, 8, 8, 8]), Offer::Barred);
        assert_eq!(offer([8, 8, 8, 8]), Offer::Barred);
        assert_eq!(offer([8, 8, 4, 4]), Offer::New);
        let counted = BarredOffers {
            reserved: 1,
            opted_out: 2,
            ipv6: 0,
            ..BarredOffers::default()
        };
        assert_eq!((scheduler.barred(), scheduler.waiting()), (counted, 1));
    }

    #[test]
    fn a_flood_keeps_to_the_limits_and_nobody_is_lost() {
        let clock = ManualClock::new(Timestamp(0));
        let pace = PaceSettings {
            per_second: Some(50.0),
            per_network: Some(10.0),
            per_torrent: None,
        };
        let rules = Arc::new(AddressRules::none());
        let reaction = Duration::from_secs(40);
        let scheduler = Scheduler::with_rules(Arc::new(clock.clone()), reaction, &pace, rules);
        for n in 0..200_u8 {
            // Two networks, and two hundred of one host each.
            for ip in [[60, 0, n % 2, n], [60, 1, n, 1]] {
                let address = PeerAddress::new(ip.into(), 6881);
                scheduler.offer(torrent(), Source::Tracker, address);
            }
        }
        let (mut taken, mut last_second) = (0, 0);
        for second in 0..60 {
            let in_second = std::iter::from_fn(|| scheduler.take_now()).count();
            assert!(in_second <= 50, "{in_second} in second {second}");
            assert_eq!(taken + in_second + scheduler.waiting(), 400);
            taken += in_second;
            if in_second > 0 {
                last_second = second;
            }
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(taken, 400);
        assert!((7..=12).contains(&last_second), "{last_second}");
        let held = scheduler.held_back();
        assert!(held.by_network > 100 && held.in_all > 0 && held.by_torrent == 0);
    }

    #[test]
    fn workers_wait_for_a_limit_without_being_woken_by_others() {
        let clock = Arc::new(SystemClock::new());
        let pace = PaceSettings {
            per_second: Some(100.0),
            ..PaceSettings::default()
        };
        let rules = Arc::new(AddressRules::none());
        let reaction = Duration::from_secs(40);
        let scheduler = Scheduler::with_rules(clock.clone(), reaction, &pace, rules);
        let scheduler = Arc::new(scheduler);
        let start = clock.now();
        for n in 0..130 {
            scheduler.offer(torrent(), Source::Tracker, address(n));
        }
        let (sender, taken) = unbounded();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (scheduler, sender) = (Arc::clone(&scheduler), sender.clone());
                std::thread::spawn(move || {
                    while scheduler.take().is_some() {
                        sender.send(()).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..130 {
            taken.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        assert!(clock.now() - start >= Duration::from_millis(290));
        scheduler.close();
        for worker in workers {
            worker.join().unwrap();
        }
    }

    #[test]
    fn whom_peers_name_is_new_once_and_keeps_their_source() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let scheduler = Scheduler::new(clock, Duration::from_secs(40));
        let name = |source, host, flags| {
            let named = NamedPeer {
                address: address(host),
                flags,
            };
            scheduler.offer_named(torrent(), source, &named)
        };
        assert_eq!(name(Source::Dht, 1, 1), Offer::New);
        assert_eq!(name(Source::Incoming, 2, 0), Offer::New);
        assert_eq!(name(Source::Tracker, 1, 0), Offer::Known);
        let known = scheduler.offer(torrent(), Source::Tracker, address(1));
        assert_eq!(known, Offer::Known);
        let first = scheduler.take_now().unwrap();
        assert_eq!(
            (first.source, first.origin),
            (Source::Dht, Some(Origin::Pex))
        );
        assert!(first.history.worked.is_some_and(|way| way.encrypted));
        assert!(first.history.is_fresh());
        let second = scheduler.take_now().unwrap();
        assert_eq!(
            (second.source, second.origin),
            (Source::Tracker, Some(Origin::Pex))
        );
        assert_eq!(second.history.worked, None);
        assert_eq!(scheduler.never_contacted(), 2);
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
