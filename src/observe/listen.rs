//! Nodes and resolver of a listening observatory: started and stopped
//! together. Main thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::analyzer::runtime::address_rules;
use crate::clock::Clock;
use crate::dht::node::DhtHandle;
use crate::dht::node::address::Family;
use crate::dht::node::hook::{ChannelHook, QueryEvent};
use crate::dht::node::random::Random;
use crate::exit::Exit;
use crate::model::{InfoHash, PeerId};
use crate::net::guard::Guarded;
use crate::net::tcp::{SocketRegister, TcpConnector};
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::threads::{self, LARGE_STACK};
use crate::torrent::metadata::{FetchContext, FetchSettings, Fetcher};

use super::nodes;
use super::pipeline::News;
use super::queue::ResolveQueue;
use super::resolver::{Archive, ResolveCounts, Resolver};
use super::settings::ObserveSettings;
use super::station::{Refused, Sources, Station, refused};
use super::survey::Surveyor;

/// Queries that wait for the writer; those beyond are lost and counted.
const EVENTS_MAX: usize = 65_536;

/// Results that wait for the writer; who sends waits.
const NEWS_MAX: usize = 64;

/// Torrents whose swarm waits to be measured; there are enough others.
const MEASURED_MAX: usize = 64;

fn random() -> Result<Random, Refused> {
    Random::from_system().map_err(|_| refused(Exit::Failed, &"the system gives no random numbers"))
}

/// Everything that speaks to the network.
pub(super) struct Listening {
    nodes: Vec<Arc<DhtHandle>>,
    events: Option<(Receiver<QueryEvent>, Arc<ChannelHook>)>,
    news: Option<Receiver<News>>,
    resolver: Option<Arc<Resolver>>,
    measured: Option<Sender<InfoHash>>,
    sockets: Arc<SocketRegister>,
    trigger: StopTrigger,
    threads: Vec<JoinHandle<()>>,
}

impl Listening {
    pub(super) fn start(settings: &ObserveSettings, station: &Station) -> Result<Self, Refused> {
        let (trigger, stop) = stop_pair();
        let (hook, events) = ChannelHook::new(EVENTS_MAX);
        let nodes = nodes::start(settings, &station.clock, &stop, &hook)
            .map_err(|error| refused(Exit::PortUnavailable, &format!("{error} (observe.port)")))?;
        let mut listening = Self {
            nodes,
            events: Some((events, hook)),
            news: None,
            resolver: None,
            measured: None,
            sockets: Arc::default(),
            trigger,
            threads: Vec::new(),
        };
        let (news_send, news) = bounded(NEWS_MAX);
        let (measured, wanted) = bounded(MEASURED_MAX);
        if settings.resolve_threads > 0 && !settings.hashes_only {
            let channels = (news_send.clone(), measured.clone());
            listening.start_resolver(settings, station, (&stop, channels))?;
        }
        listening.start_surveyor(settings, station, (&stop, news_send, wanted))?;
        // Without a resolver nobody else would keep the thread going.
        listening.measured = Some(measured);
        listening.news = Some(news);
        Ok(listening)
    }

    fn start_resolver(
        &mut self,
        settings: &ObserveSettings,
        station: &Station,
        (stop, (news, measured)): (&StopToken, (Sender<News>, Sender<InfoHash>)),
    ) -> Result<(), Refused> {
        let mut random = random()?;
        let resolver = Arc::new(Resolver {
            queue: Arc::new(Mutex::new(ResolveQueue::new(random.bytes()))),
            fetcher: self.fetcher(settings, (&station.clock, stop), &mut random)?,
            nodes: self.nodes.clone(),
            blocked: Arc::clone(&station.blocked),
            archive: Archive::new(settings.folder.clone(), settings.bytes_max / 4),
            news,
            measured,
            clock: Arc::clone(&station.clock),
            stop: stop.clone(),
            counts: ResolveCounts::default(),
        });
        for number in 0..settings.resolve_threads {
            let own = Arc::clone(&resolver);
            let thread = threads::spawn(&format!("resolve-{number}"), LARGE_STACK, move || {
                own.run(number);
            });
            let thread = thread.map_err(|error| refused(Exit::Failed, &error))?;
            self.threads.push(thread);
        }
        self.resolver = Some(resolver);
        Ok(())
    }

    fn start_surveyor(
        &mut self,
        settings: &ObserveSettings,
        station: &Station,
        (stop, news, wanted): (&StopToken, Sender<News>, Receiver<InfoHash>),
    ) -> Result<(), Refused> {
        let surveyor = Surveyor {
            nodes: self.nodes.clone(),
            queue: self.resolver.as_ref().map(|it| Arc::clone(&it.queue)),
            wanted,
            news,
            interval: settings.survey_interval,
            clock: Arc::clone(&station.clock),
            stop: stop.clone(),
            random: random()?,
        };
        let thread = threads::spawn("survey", LARGE_STACK, move || surveyor.run());
        let thread = thread.map_err(|error| refused(Exit::Failed, &error))?;
        self.threads.push(thread);
        Ok(())
    }

    fn fetcher(
        &self,
        settings: &ObserveSettings,
        (clock, stop): (&Arc<dyn Clock>, &StopToken),
        random: &mut Random,
    ) -> Result<Fetcher, Refused> {
        let mut rules =
            address_rules(&settings.contact).map_err(|error| refused(error.exit, &error.text))?;
        rules.allow_private |= settings.allow_private;
        let tcp = TcpConnector::new(Arc::clone(&self.sockets), Arc::clone(clock));
        Ok(Fetcher {
            connect: Arc::new(Guarded::new(Arc::new(tcp), Arc::new(rules))),
            context: FetchContext {
                clock: Arc::clone(clock),
                stop: stop.clone(),
                own_id: PeerId::alphanumeric(random.bytes()),
                settings: FetchSettings {
                    quiet_timeout: settings.visit.quiet_timeout,
                    budget: settings.visit.budget,
                    attempts: 1,
                    metadata_number: settings.metadata_number,
                    dht: true,
                    ..FetchSettings::default()
                },
            },
        })
    }

    /// What feeds the writer; to be taken once.
    pub(super) fn sources(&mut self) -> Sources {
        Sources {
            events: self.events.take(),
            news: self.news.take(),
            queue: self.resolver.as_ref().map(|it| Arc::clone(&it.queue)),
            nodes: self.nodes.clone(),
        }
    }

    /// Where we listen, in a line.
    pub(super) fn describe(&self, settings: &ObserveSettings) -> String {
        let ports = |family| {
            let ports = self.nodes.iter().filter_map(|node| node.port(family));
            let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
            if ports.is_empty() {
                "none".to_owned()
            } else {
                ports.join(" ")
            }
        };
        format!(
            "listening on UDP ports (IPv4: {}; IPv6: {}), files in {}",
            ports(Family::V4),
            ports(Family::V6),
            settings.folder.display()
        )
    }

    /// How nodes and resolver do, in a line.
    pub(super) fn figures(&self) -> String {
        let (mut good, mut malformed) = (0, 0);
        for node in &self.nodes {
            let status = node.status();
            good += status.nodes_good();
            malformed += status.malformed();
        }
        let known = format!("{good} nodes known, {malformed} packets without sense");
        let Some(resolver) = &self.resolver else {
            return known;
        };
        let waiting = resolver.queue.lock().lengths();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{known}; to resolve: {} priority, {} initial, {} failed, {} in hand; \
             {} not kept, {} ended by a defect",
            waiting.priority,
            waiting.initial,
            waiting.failed,
            waiting.in_hand,
            count(&resolver.counts.not_archived),
            count(&resolver.counts.panics)
        )
    }

    /// Ends nodes and resolver, and waits for their threads.
    pub(super) fn stop(&mut self) {
        self.trigger.stop();
        self.sockets.shut_all();
        for thread in self.threads.drain(..) {
            // A panic is counted and in the log.
            let _ = thread.join();
        }
        for node in &self.nodes {
            node.stop();
        }
    }
}
