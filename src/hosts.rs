//! Host names of peers: reverse DNS in threads of its own (`hosts-N`), never
//! on a thread that measures or writes.
//!
//! The writer offers each new peer to a bounded queue, without waiting; a peer
//! for which there is no room is counted and stays without a name. The threads
//! keep to a rate, remember what they learnt of an address, and send what may
//! be stored of a name as a record. The full name of a host often spells out
//! its address, so no more of it than the contract with the scripts of 2015
//! needs leaves this module, see `name`.

mod local;
mod lookup;
pub mod message;
mod name;
mod pace;
pub mod server;
pub mod service;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::settings::HostSettings;
use crate::model::record::{HostName, Record};
use crate::net::udp::OpenDatagram;
use crate::stop::StopToken;
use crate::storage::AskName;
use crate::threads;
use lookup::{Answer, Lookup};
use name::Stored;
use pace::Pace;

/// What the threads share with the rest of a run.
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Opens a socket for each query.
    pub udp: Arc<dyn OpenDatagram>,
    /// To the writer.
    pub records: Sender<Record>,
    /// End of the run.
    pub stop: StopToken,
}

/// The threads that ask, and their queue.
pub struct Hosts {
    around: Surroundings,
    settings: HostSettings,
    jobs: Receiver<Job>,
    dropped: Arc<AtomicU64>,
    pace: Pace,
    known: Mutex<Cache>,
}

/// A peer whose name is wanted.
#[derive(Debug, Clone, Copy)]
struct Job {
    peer: i64,
    address: IpAddr,
}

/// The writer's end of the queue.
struct Offers {
    jobs: Sender<Job>,
    dropped: Arc<AtomicU64>,
}

impl AskName for Offers {
    fn ask(&self, peer: i64, address: IpAddr) {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(Job { peer, address }) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Hosts {
    /// The threads to be, and what the writer offers new peers to.
    pub fn new(settings: HostSettings, around: Surroundings) -> (Arc<Self>, Box<dyn AskName>) {
        let (send, jobs) = bounded(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let offers = Offers {
            jobs: send,
            dropped: Arc::clone(&dropped),
        };
        let hosts = Self {
            pace: Pace::new(around.clock.now(), settings.queries_per_second),
            around,
            settings,
            jobs,
            dropped,
            known: Mutex::default(),
        };
        (Arc::new(hosts), Box::new(offers))
    }

    /// Starts the threads. Nobody waits for them: they end with the run, at
    /// the latest when their query has timed out.
    pub fn start(self: &Arc<Self>) -> io::Result<()> {
        for number in 1..=THREADS {
            let hosts = Arc::clone(self);
            threads::spawn(&format!("hosts-{number}"), STACK, move || hosts.work())?;
        }
        Ok(())
    }

    /// Peers for which the queue had no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn work(&self) {
        loop {
            let job = select! {
                recv(self.jobs) -> job => job,
                recv(self.around.stop.channel()) -> _ => return,
            };
            let Ok(job) = job else { return };
            let Some(stored) = self.name_of(job.address) else {
                return;
            };
            let record = Record::Host(Box::new(HostName {
                peer: job.peer,
                at: self.around.clock.timestamp(),
                outcome: stored.outcome,
                host: stored.host,
                domain: stored.domain,
            }));
            if self.around.records.send(record).is_err() {
                return;
            }
        }
    }

    /// What may be stored of the name of `address`; `None` when the run ends.
    fn name_of(&self, address: IpAddr) -> Option<Stored> {
        if let Some(known) = self.known.lock().find(address) {
            return Some(known);
        }
        let wait = self.pace.turn(self.around.clock.now());
        if self.around.stop.wait(wait) {
            return None;
        }
        let lookup = Lookup {
            clock: &*self.around.clock,
            udp: &*self.around.udp,
            servers: &self.settings.servers,
            timeout: self.settings.timeout,
        };
        let answer = lookup.name_of(address);
        let stored = match &answer {
            Answer::Name(labels) => name::of(labels, address),
            Answer::NoName => Stored::nothing("no name"),
            Answer::TimedOut => Stored::nothing("timed out"),
            Answer::Failed => Stored::nothing("failed"),
        };
        if matches!(answer, Answer::Name(_) | Answer::NoName) {
            self.known.lock().insert(address, stored.clone());
        }
        Some(stored)
    }
}

/// What was learnt of addresses: two generations, so that it stays bounded
/// and keeps what is used.
#[derive(Debug, Default)]
struct Cache {
    young: HashMap<IpAddr, Stored>,
    old: HashMap<IpAddr, Stored>,
}

impl Cache {
    fn find(&mut self, address: IpAddr) -> Option<Stored> {
        if let Some(known) = self.young.get(&address) {
            return Some(known.clone());
        }
        let known = self.old.remove(&address)?;
        self.insert(address, known.clone());
        Some(known)
    }

    fn insert(&mut self, address: IpAddr, stored: Stored) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(address, stored);
    }
}

/// The announce URLs of the trackers that the network of `address` names (BEP
/// 22), best first; takes as long as a few queries may.
pub fn local_trackers(
    settings: &HostSettings,
    around: (&dyn Clock, &dyn OpenDatagram),
    address: IpAddr,
) -> Vec<String> {
    let (clock, udp) = around;
    let lookup = Lookup {
        clock,
        udp,
        servers: &settings.servers,
        timeout: settings.timeout,
    };
    local::trackers(&lookup, address)
}

/// Threads that ask.
const THREADS: usize = 4;
/// They keep a datagram on the stack.
const STACK: usize = 256 * 1024;
/// Peers that wait for their name.
const QUEUE: usize = 16_384;
/// Addresses of one generation of the cache.
const GENERATION: usize = 32_768;

#[cfg(test)]
#[path = "hosts/tests.rs"]
mod tests;
