//! Surveys of the network: torrents that nodes know (BEP 51), the number of
//! nodes, and sizes of swarms (BEP 33).
//!
//! The thread `survey` asks few questions at a time, from the budget of the
//! node that it uses, and no node for samples before the time is over that
//! the node itself has named.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::dht::node::DhtHandle;
use crate::dht::node::address::{Family, NodeInfo};
use crate::dht::node::id::NodeId;
use crate::dht::node::probe::{ProbeAnswer, ProbeQuestion};
use crate::dht::node::random::Random;
use crate::dht::node::scrape::swarm_size;
use crate::model::{InfoHash, PeerAddress};
use crate::stop::StopToken;
use crate::storage::observatory::{NetworkRow, SurveyRow, SwarmRow};

use super::pipeline::News;
use super::queue::ResolveQueue;
use super::size::network_size;
use super::walk::{NEAREST, Walk};

/// Random places of one survey.
const TARGETS: u32 = 32;

/// Questions under way.
const PARALLEL: usize = 8;

/// Longest wait for an answer; the node itself gives up before.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Nodes whose interval is remembered.
const ASKED_MAX: usize = 65_536;

/// Nodes to begin a way with.
const SEEDS: usize = 2 * NEAREST;

/// Time between two looks at whether a survey is due.
const LOOK: Duration = Duration::from_millis(500);

/// Time after which the first survey begins even when few nodes are known.
const FIRST: Duration = Duration::from_secs(60);

/// Time between the end of a fetch and the measuring of the swarm: who looks
/// a torrent up announces it a little later.
const SWARM_PAUSE: Duration = Duration::from_secs(10);

/// Times that a swarm of which nobody knows is asked for.
const SWARM_TRIES: u8 = 3;

/// Swarms that wait at most.
const SWARMS_MAX: usize = 64;

/// What the thread works with.
pub struct Surveyor {
    /// Nodes that ask, in turns.
    pub nodes: Vec<Arc<DhtHandle>>,
    /// Where sampled torrents wait to be resolved.
    pub queue: Option<Arc<Mutex<ResolveQueue>>>,
    /// Torrents whose swarm is to be measured.
    pub wanted: Receiver<InfoHash>,
    /// Takes results.
    pub news: Sender<News>,
    /// Between two surveys; `None` makes none.
    pub interval: Option<Duration>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The end.
    pub stop: StopToken,
    /// Chooses places.
    pub random: Random,
}

/// When a node may be asked for samples again.
type Due = HashMap<PeerAddress, Instant>;

/// What a survey counts.
#[derive(Default)]
struct Count {
    asked: u32,
    answered: u32,
    known: u64,
    hashes: HashSet<InfoHash>,
    reaches: Vec<f64>,
}

/// The beginning of a way; `None` before the node has an id.
fn start(node: &DhtHandle, family: Family, target: NodeId) -> Option<Walk> {
    let status = node.status();
    let status = match family {
        Family::V4 => status.v4,
        Family::V6 => status.v6,
    };
    let own = status?.id?;
    let near = node.nodes_near(family, &target, SEEDS);
    Some(Walk::new(own, target, &near))
}

impl Surveyor {
    /// Body of the thread.
    pub fn run(mut self) {
        let mut due = Due::new();
        let begun = self.clock.now();
        let mut next = None;
        let mut turn = 0_usize;
        let mut swarms: VecDeque<(Instant, InfoHash, u8)> = VecDeque::new();
        loop {
            select! {
                recv(self.wanted) -> hash => match hash {
                    Ok(hash) if swarms.len() < SWARMS_MAX => {
                        swarms.push_back((self.clock.now() + SWARM_PAUSE, hash, SWARM_TRIES));
                    }
                    Ok(_) => {}
                    Err(_) => return,
                },
                recv(self.stop.channel()) -> _ => return,
                default(LOOK) => {}
            }
            let now = self.clock.now();
            if let Some((_, hash, tries)) = swarms.pop_front_if(|(due, _, _)| *due <= now)
                && !self.measure_swarm(hash, turn)
                && tries > 1
            {
                swarms.push_back((now + SWARM_PAUSE, hash, tries - 1));
            }
            let ready = self.knows_enough() || now >= begun + FIRST;
            if let Some(interval) = self.interval
                && ready
                && next.is_none_or(|next| now >= next)
            {
                let asked = self.survey(turn, &mut due);
                // Nobody was there to be asked.
                let pause = if asked { interval } else { FIRST };
                next = Some(now + pause);
            }
            turn = turn.wrapping_add(1);
        }
    }

    fn knows_enough(&self) -> bool {
        let target = NodeId::new([0; 20]);
        let known = |node: &Arc<DhtHandle>| {
            let families = node.families();
            let near = |family| node.nodes_near(family, &target, NEAREST).len();
            families.map(near).max() == Some(NEAREST)
        };
        self.nodes.iter().any(known)
    }

    fn node(&self, turn: usize) -> Option<Arc<DhtHandle>> {
        let place = turn.checked_rem(self.nodes.len())?;
        self.nodes.get(place).map(Arc::clone)
    }

    /// Whether anybody was asked.
    fn survey(&mut self, turn: usize, due: &mut Due) -> bool {
        let Some(node) = self.node(turn) else {
            return false;
        };
        let now = self.clock.now();
        due.retain(|_, at| *at > now);
        let mut asked = false;
        for family in node.families() {
            let mut count = Count::default();
            for _ in 0..TARGETS {
                if self.stop.is_stopped() {
                    return asked;
                }
                let target = self.random.id();
                self.sample_along(&node, (family, target), &mut count, due);
            }
            asked |= count.asked > 0;
            self.tell(family, &count);
        }
        asked
    }

    /// One way, on which everybody is asked for samples who may be.
    fn sample_along(
        &self,
        node: &DhtHandle,
        (family, target): (Family, NodeId),
        count: &mut Count,
        due: &mut Due,
    ) {
        let Some(mut walk) = start(node, family, target) else {
            return;
        };
        loop {
            let next = walk.next_nodes(PARALLEL);
            if next.is_empty() || self.stop.is_stopped() {
                break;
            }
            let now = self.clock.now();
            let may = |it: &NodeInfo| due.get(&it.address).is_none_or(|at| *at <= now);
            let (sampled, others): (Vec<_>, Vec<_>) = next.into_iter().partition(may);
            let answers = self.ask(node, &sampled, ProbeQuestion::Samples(target));
            let mut silent = others;
            for (asked, answer) in sampled.iter().zip(answers) {
                count.asked += 1;
                match answer {
                    Some(answer) => {
                        walk.add(&answer.nodes);
                        walk.answered(asked, true);
                        self.take_samples(node, asked, &answer, (count, due));
                    }
                    // It may live without knowing what is meant.
                    None => silent.push(*asked),
                }
            }
            let answers = self.ask(node, &silent, ProbeQuestion::Nodes(target));
            for (asked, answer) in silent.iter().zip(answers) {
                walk.answered(asked, answer.is_some());
                walk.add(&answer.map(|it| it.nodes).unwrap_or_default());
            }
        }
        log::debug!(
            "way of a survey ended family={family:?} asked={} whole={}",
            walk.asked(),
            walk.reach().is_some()
        );
        count.reaches.extend(walk.reach());
    }

    fn take_samples(
        &self,
        node: &DhtHandle,
        from: &NodeInfo,
        answer: &ProbeAnswer,
        (count, due): (&mut Count, &mut Due),
    ) {
        let Some(samples) = &answer.samples else {
            return;
        };
        count.answered += 1;
        count.known = count.known.saturating_add(samples.total);
        count.hashes.extend(&samples.hashes);
        if due.len() < ASKED_MAX {
            let wait = Duration::from_secs(samples.interval.into());
            due.insert(from.address, self.clock.now() + wait);
        }
        let status = node.status();
        let our_id = status.families().find_map(|family| family.id);
        if let (Some(queue), Some(our_id)) = (&self.queue, our_id) {
            let now = self.clock.timestamp();
            let mut queue = queue.lock();
            for hash in &samples.hashes {
                queue.sampled(*hash, from.address, our_id, now);
            }
        }
    }

    /// Asks all of `nodes` at one time, and waits for their answers.
    fn ask(
        &self,
        node: &DhtHandle,
        nodes: &[NodeInfo],
        question: ProbeQuestion,
    ) -> Vec<Option<ProbeAnswer>> {
        let asked = nodes.iter();
        let asked: Vec<_> = asked.map(|it| node.probe(it, question).ok()).collect();
        let deadline = Deadline::after(self.clock.now(), ANSWER_WAIT);
        let wait = |answer: &Option<Receiver<ProbeAnswer>>| {
            let left = deadline.left(self.clock.now()).unwrap_or_default();
            answer.as_ref()?.recv_timeout(left).ok()
        };
        asked.iter().map(wait).collect()
    }

    fn tell(&self, family: Family, count: &Count) {
        let at = self.clock.timestamp();
        let family = match family {
            Family::V4 => "v4",
            Family::V6 => "v6",
        };
        if count.asked == 0 {
            return;
        }
        let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        // The writer outlives this thread, or has failed.
        let _ = self.news.send(News::Survey(SurveyRow {
            at,
            family,
            asked: count.asked,
            answered: count.answered,
            hashes: whole(count.hashes.len()),
            known: count.known,
        }));
        let nearest = whole(NEAREST);
        if let Some(size) = network_size(&count.reaches, nearest) {
            let _ = self.news.send(News::Network(NetworkRow {
                at,
                family,
                nodes: size.nodes,
                low: size.low,
                high: size.high,
                targets: whole(count.reaches.len()),
                nearest,
            }));
        }
    }

    /// Asks the nodes nearest a torrent for their filters; whether one had
    /// any.
    fn measure_swarm(&self, info_hash: InfoHash, turn: usize) -> bool {
        let Some(node) = self.node(turn) else {
            return false;
        };
        let target = NodeId::from(info_hash);
        let mut scrapes = Vec::new();
        for family in node.families() {
            let Some(mut walk) = start(&node, family, target) else {
                continue;
            };
            loop {
                let next = walk.next_nodes(PARALLEL);
                if next.is_empty() || self.stop.is_stopped() {
                    break;
                }
                let answers = self.ask(&node, &next, ProbeQuestion::Scrape(info_hash));
                for (asked, answer) in next.iter().zip(answers) {
                    walk.answered(asked, answer.is_some());
                    if let Some(answer) = answer {
                        walk.add(&answer.nodes);
                        scrapes.extend(answer.scrape);
                    }
                }
            }
        }
        if scrapes.is_empty() {
            return false;
        }
        let size = swarm_size(scrapes.iter().map(|scrape| &**scrape));
        let _ = self.news.send(News::Swarm(SwarmRow {
            at: self.clock.timestamp(),
            info_hash,
            seeds: size.seeds,
            peers: size.peers,
            responders: u32::try_from(scrapes.len()).unwrap_or(u32::MAX),
        }));
        true
    }
}
