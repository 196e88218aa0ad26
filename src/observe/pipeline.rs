//! What becomes of a query, a resolved torrent and a replayed record: rules,
//! block list, place, names, counts, line.
//!
//! Owned by the thread `observe-write` (or by a test); it reads no clock, the
//! time comes with what it is given.

mod files;
mod tally;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::dht::node::hook::{QueryEvent, QueryKind};
use crate::model::{PeerAddress, Timestamp};
use crate::storage::geo::{FindPlace, Place};
use crate::storage::observatory::{NetworkRow, SurveyRow, SwarmRow};
use crate::storage::search::Document;
use crate::torrent::summary::Summary;

use super::block::Blocked;
use super::live::Live;
use super::naming::Naming;
use super::queue::{Job, SourceNode};
use super::record::{Heard, Kind, Named, Record, Resolved, SourcePeer, write_line};
use super::rules::Rules;

pub use files::{ARCHIVE, Files, FilesSetup, archived};
pub use tally::Tally;

/// What a pipeline is made of.
pub struct PipelineSetup {
    /// What is neither shown nor stored.
    pub blocked: Arc<Blocked>,
    /// Finds places.
    pub places: Box<dyn FindPlace>,
    /// Names addresses.
    pub naming: Naming,
    /// No names of torrents are kept.
    pub hashes_only: bool,
    /// Where everything goes.
    pub files: Files,
    /// Counters to keep up.
    pub live: Arc<Live>,
}

/// A torrent whose metadata we got, with its sources as they are.
#[derive(Debug, Clone)]
pub struct FoundTorrent {
    /// What was wanted.
    pub job: Job,
    /// What it holds.
    pub summary: Summary,
    /// When it was there.
    pub at: Timestamp,
}

/// What resolver and surveyor tell.
#[derive(Debug, Clone)]
pub enum News {
    /// A torrent was resolved.
    Found(Box<FoundTorrent>),
    /// A swarm was measured.
    Swarm(SwarmRow),
    /// The network was measured.
    Network(NetworkRow),
    /// A survey has ended.
    Survey(SurveyRow),
}

/// The pipeline.
pub struct Pipeline {
    rules: Rules,
    setup: PipelineSetup,
    tally: Tally,
    documents: Vec<Document>,
    line: Vec<u8>,
    next_store: Option<Timestamp>,
    latest: Timestamp,
}

impl Pipeline {
    /// Nothing has gone through yet.
    pub fn new(setup: PipelineSetup) -> Self {
        Self {
            rules: Rules::new(),
            setup,
            tally: Tally::default(),
            documents: Vec::new(),
            line: Vec::new(),
            next_store: None,
            latest: Timestamp(0),
        }
    }

    /// The rules, to be told our ids.
    pub const fn rules(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// Takes out of the files what the block list has by now.
    pub fn forget_blocked(&mut self) {
        let blocked = Arc::clone(&self.setup.blocked);
        let count = self.setup.files.forget(&blocked);
        if count > 0 {
            log::info!("blocked torrents taken out count={count}");
        }
    }

    /// The time of the latest record.
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// The files, for what they count.
    pub const fn files(&self) -> &Files {
        &self.setup.files
    }

    /// Takes a query that a node of ours received. Whether it became a
    /// record: then its source may be asked for the torrent.
    pub fn query(&mut self, event: &QueryEvent) -> Option<SourceNode> {
        Live::add(&self.setup.live.queries, 1);
        if let Err(skip) = self.rules.judge(event) {
            Live::add(&self.setup.live.skipped, 1);
            self.tally.count(event.timestamp, skip.as_str(), 1);
            return None;
        }
        self.setup.naming.turn(event.timestamp);
        let heard = self.heard(event)?;
        let (hash, ip) = (heard.info_hash, event.sender.ip());
        if self.setup.blocked.blocks(&hash, heard.name.as_deref()) {
            self.note_blocked(event.timestamp);
            return None;
        }
        let place = self.setup.places.place(ip);
        let record = Record::Heard(Box::new(Heard {
            location: place.map(Box::new),
            ..heard
        }));
        self.write(&record);
        let peer_port = match &event.kind {
            QueryKind::Announce(announce) => Some(announce.port),
            _ => None,
        };
        Some(SourceNode {
            address: event.sender,
            id: event.sender_id,
            peer_port,
            last_seen: event.timestamp,
            last_sent: Timestamp(0),
        })
    }

    /// The record of a query, without its place.
    fn heard(&self, event: &QueryEvent) -> Option<Heard> {
        let (kind, info_hash, name, seed) = match &event.kind {
            QueryKind::GetPeers(hash) => (Kind::Lookup, *hash, None, false),
            QueryKind::Announce(announce) => {
                let name = announce.name.as_deref().map(String::from_utf8_lossy);
                let name = name.filter(|name| !name.is_empty()).map(Into::into);
                let seed = announce.seed.unwrap_or(false);
                (Kind::Announce, announce.info_hash, name, seed)
            }
            _ => return None,
        };
        Some(Heard {
            kind,
            info_hash,
            name: name.filter(|_| !self.setup.hashes_only),
            our_id: event.our_id,
            their_id: self.setup.naming.id(event.sender_id),
            their_ip: self.setup.naming.ip(event.sender.ip()),
            version: event.version.clone(),
            is_seed: seed,
            at: event.timestamp,
            location: None,
        })
    }

    /// Takes what was resolved or measured. Measurements that wait for the
    /// disk too long are the oldest to go.
    pub fn news(&mut self, news: News) {
        let batch = self.tally.batch();
        match news {
            News::Found(found) => {
                self.resolved(&found);
            }
            News::Swarm(row) => keep(&mut batch.swarms, row),
            News::Network(row) => keep(&mut batch.networks, row),
            News::Survey(row) => keep(&mut batch.surveys, row),
        }
    }

    /// Takes a torrent that was resolved; `false` when it is blocked.
    pub fn resolved(&mut self, found: &FoundTorrent) -> bool {
        let (summary, job) = (&found.summary, &found.job);
        if is_blocked(&self.setup.blocked, summary) {
            self.note_blocked(found.at);
            return false;
        }
        self.setup.naming.turn(found.at);
        let peers: Vec<SourcePeer> = job.sources.iter().map(|it| self.source(it)).collect();
        let record = Record::Resolved(Box::new(Resolved {
            info_hash: summary.infohash,
            name: summary.name.clone(),
            our_id: job.our_id,
            at: found.at,
            size: summary.size,
            files: summary.num_files,
            num_peers: job.heard,
            peers,
        }));
        self.write(&record);
        let paths: Vec<String> = summary.files.iter().map(|it| it.path.join("/")).collect();
        self.index(&record, paths.join("\n"), summary.kinds());
        true
    }

    fn source(&self, source: &SourceNode) -> SourcePeer {
        let ip = source.address.ip();
        SourcePeer {
            ip: self.setup.naming.ip(ip),
            node_id: self.setup.naming.id(source.id),
            last_send_time: source.last_sent,
            last_seen: source.last_seen,
            location: self.setup.places.place(ip).map(Box::new),
        }
    }

    /// Takes a record that was read: blocked, placed and named as one that
    /// was heard.
    pub fn record(&mut self, mut record: Record) {
        let at = record.at();
        let blocked = &self.setup.blocked;
        if blocked.blocks(&record.info_hash(), record.name()) {
            self.note_blocked(at);
            return;
        }
        if self.setup.hashes_only {
            match &mut record {
                Record::Heard(heard) => heard.name = None,
                Record::Resolved(_) => {
                    self.tally.count(at, "skipped: hashes only", 1);
                    return;
                }
            }
        }
        self.setup.naming.turn(at);
        self.add_places(&mut record);
        self.setup.naming.rename(&mut record);
        self.write(&record);
        if matches!(record, Record::Resolved(_)) {
            self.index(&record, String::new(), 0);
        }
    }

    /// Places what was read with an address and without a place.
    fn add_places(&self, record: &mut Record) {
        let find = |ip, location: &mut Option<Box<Place>>| {
            if let (Some(Named::Plain(ip)), None) = (ip, &location) {
                *location = self.setup.places.place(ip).map(Box::new);
            }
        };
        match record {
            Record::Heard(heard) => find(heard.their_ip, &mut heard.location),
            Record::Resolved(resolved) => {
                for peer in &mut resolved.peers {
                    find(peer.ip, &mut peer.location);
                }
            }
        }
    }

    /// Counts and writes a record that is as it shall be.
    fn write(&mut self, record: &Record) {
        let at = record.at();
        self.latest = self.latest.max(at);
        Live::add(&self.setup.live.records, 1);
        if let Some(place) = record.place() {
            self.setup.live.point(at, place);
        }
        self.tally.record(record);
        self.line.clear();
        write_line(record, &mut self.line);
        self.setup.files.slices.push(at, &self.line);
    }

    fn index(&mut self, record: &Record, paths: String, kinds: u8) {
        let Record::Resolved(resolved) = record else {
            return;
        };
        Live::add(&self.setup.live.resolved, 1);
        if resolved.name.is_empty() {
            // As in 2018: nobody could find it.
            return;
        }
        self.documents.push(Document {
            info_hash: Some(resolved.info_hash),
            name: resolved.name.clone(),
            paths,
            files: resolved.files,
            size: resolved.size,
            at: resolved.at,
            kinds,
            place: record.place().cloned(),
        });
    }

    fn note_blocked(&mut self, at: Timestamp) {
        Live::add(&self.setup.live.blocked, 1);
        self.tally.count(at, "blocked", 1);
    }

    /// Counts what was lost before it came here.
    pub fn note_lost(&mut self, at: Timestamp, what: &'static str, count: u64) {
        if count > 0 {
            Live::add(&self.setup.live.lost, count);
            self.tally.count(at, what, count);
        }
    }

    /// Rows that others measured, for the next batch.
    pub const fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Whether [`Self::tick`] is due by the time of the records, which in a
    /// replay runs faster than ours.
    pub fn is_due(&self) -> bool {
        let due = self.next_store.is_some_and(|due| self.latest >= due);
        due || self.is_urgent()
    }

    /// Much waits, and the disk is not known to refuse it.
    fn is_urgent(&self) -> bool {
        self.tally.is_large() && !self.setup.files.is_refused()
    }

    /// Lets time pass: about once a second, with the time of the records.
    pub fn tick(&mut self, now: Timestamp) {
        self.setup.naming.turn(now);
        self.setup.live.expire(now);
        self.setup.files.slices.tick(now);
        let pause = self.setup.files.pause();
        let due = *self.next_store.get_or_insert(now.plus(pause));
        if now >= due || now.plus(pause) < due || self.is_urgent() {
            self.store(now);
        }
    }

    fn store(&mut self, now: Timestamp) {
        let lost = self.setup.files.take_lost();
        self.note_lost(now, "lost: records not written", lost);
        self.setup.files.store(&mut self.tally, &mut self.documents);
        self.next_store = Some(now.plus(self.setup.files.pause()));
        let refusals = self.setup.files.failures();
        self.setup.live.refusals.store(refusals, Ordering::Relaxed);
        if let Some(count) = self.setup.files.indexed() {
            let indexed = &self.setup.live.indexed;
            indexed.store(count, Ordering::Relaxed);
        }
        self.setup.files.trim(now);
    }

    /// Ends the slice and stores what waits.
    pub fn finish(&mut self, now: Timestamp) {
        self.setup.live.expire(now);
        self.setup.files.slices.close(now);
        self.store(now);
    }
}

/// Adds a row to those that wait, 1,000 at most.
fn keep<T>(rows: &mut Vec<T>, row: T) {
    if rows.len() >= 1000 {
        rows.remove(0);
    }
    rows.push(row);
}

/// Whether name or a path is blocked.
pub fn is_blocked(blocked: &Blocked, summary: &Summary) -> bool {
    let paths = || summary.files.iter().flat_map(|file| &file.path);
    blocked.blocks(&summary.infohash, Some(&summary.name))
        || paths().any(|part| blocked.blocks_text(part))
}

/// Addresses at which a source may give metadata: where it announced that it
/// listens, and the port of its DHT node, which most programs share.
pub fn addresses_of(source: &SourceNode) -> impl Iterator<Item = PeerAddress> {
    let announced = source.peer_port.filter(|port| *port != 0);
    let announced = announced.map(|port| source.address.with_port(port));
    announced.into_iter().chain([source.address])
}

#[cfg(test)]
mod tests;
