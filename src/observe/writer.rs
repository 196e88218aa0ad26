//! The thread `observe-write`: takes what the nodes hear, what the resolver
//! gets and what is replayed, one after the other, and owns all files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::dht::node::DhtHandle;
use crate::dht::node::hook::{ChannelHook, QueryEvent, QueryKind};
use crate::model::{InfoHash, Timestamp};
use crate::stop::StopToken;

use super::pipeline::{News, Pipeline};
use super::queue::{Entered, ResolveQueue};
use super::record::Record;

/// Time between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// Time between two looks at what the queue may forget.
const FORGET: Duration = Duration::from_secs(60);

/// What the thread works with.
pub struct Writer {
    /// What it does with everything.
    pub pipeline: Pipeline,
    /// Queries of the nodes.
    pub events: Receiver<QueryEvent>,
    /// The hook of the nodes, which counts what the channel did not take.
    pub hook: Option<Arc<ChannelHook>>,
    /// What resolver and surveyor tell.
    pub news: Receiver<News>,
    /// Replayed records.
    pub replayed: Receiver<Record>,
    /// Where torrents wait that were heard of.
    pub queue: Option<Arc<Mutex<ResolveQueue>>>,
    /// Our nodes, whose ids are not to be recorded.
    pub nodes: Vec<Arc<DhtHandle>>,
    /// Packets for them that the system threw away, as far as counted.
    pub overflowed: u64,
    /// Told when nothing more will be sent.
    pub end: StopToken,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The time is that of the records: nothing but a replay feeds us.
    pub replay: bool,
}

impl Writer {
    /// Body of the thread: until the end is told and what was sent before is
    /// done. Gives the pipeline back, for its counts.
    pub fn run(mut self) -> Pipeline {
        self.pipeline.forget_blocked();
        let mut next_tick = self.clock.now();
        let mut next_forget = next_tick;
        loop {
            let now = self.clock.now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.tick(&mut next_forget, now);
            }
            select! {
                recv(self.events) -> event => match event {
                    Ok(event) => self.query(&event),
                    Err(_) => self.events = never(),
                },
                recv(self.news) -> news => match news {
                    Ok(news) => self.pipeline.news(news),
                    Err(_) => self.news = never(),
                },
                recv(self.replayed) -> record => match record {
                    Ok(record) => self.replay(record),
                    Err(_) => self.replayed = never(),
                },
                recv(self.end.channel()) -> _ => break,
                default(next_tick.saturating_duration_since(now)) => {}
            }
        }
        self.finish();
        self.pipeline
    }

    /// Takes what was sent before the end.
    fn finish(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.query(&event);
        }
        while let Ok(news) = self.news.try_recv() {
            self.pipeline.news(news);
        }
        while let Ok(record) = self.replayed.try_recv() {
            self.replay(record);
        }
        self.note_dropped();
        let now = self.time();
        self.pipeline.finish(now);
    }

    fn replay(&mut self, record: Record) {
        self.pipeline.record(record);
        if self.pipeline.is_due() {
            let now = self.pipeline.latest();
            self.pipeline.tick(now);
        }
    }

    fn query(&mut self, event: &QueryEvent) {
        let source = self.pipeline.query(event);
        let (Some(queue), Some(source)) = (&self.queue, source) else {
            return;
        };
        let Some(hash) = hash_of(&event.kind) else {
            return;
        };
        let entered = queue.lock().heard(hash, source, event.our_id);
        if entered == Entered::Refused {
            let at = event.timestamp;
            self.pipeline
                .tally()
                .count(at, "not resolved: queue busy or full", 1);
        }
    }

    fn tick(&mut self, next_forget: &mut Instant, now: Instant) {
        let ids = self.nodes.iter().flat_map(|node| {
            let status = node.status();
            let ids: Vec<_> = status.families().filter_map(|family| family.id).collect();
            ids
        });
        let ids = ids.collect();
        self.pipeline.rules().set_ours(ids);
        self.note_dropped();
        let time = self.time();
        self.pipeline.tick(time);
        if let (true, Some(queue)) = (now >= *next_forget, &self.queue) {
            *next_forget = now + FORGET;
            queue.lock().forget(time);
        }
    }

    /// Counts what channel and system did not take since the last time.
    fn note_dropped(&mut self) {
        let dropped = self.hook.as_ref().map_or(0, |hook| hook.take_dropped());
        let now = self.time();
        self.pipeline
            .note_lost(now, "lost: more queries than can be written", dropped);
        let thrown = self.nodes.iter().map(|node| node.status().overflowed());
        let thrown: u64 = thrown.sum();
        let new = thrown.saturating_sub(self.overflowed);
        // One that could not be read is no fewer.
        self.overflowed = self.overflowed.max(thrown);
        self.pipeline
            .note_lost(now, "lost: more packets than can be read", new);
    }

    fn time(&self) -> Timestamp {
        if self.replay {
            self.pipeline.latest()
        } else {
            self.clock.timestamp()
        }
    }
}

const fn hash_of(kind: &QueryKind) -> Option<InfoHash> {
    match kind {
        QueryKind::GetPeers(hash) => Some(*hash),
        QueryKind::Announce(announce) => Some(announce.info_hash),
        _ => None,
    }
}
