//! Everything that must be there before the first thread of a run starts.
//! What is missing refuses the run, with the reason and what to do.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::analyzer::dial::Utp;
use crate::analyzer::directory::Directory;
use crate::analyzer::engine::{Contacted, Engine};
use crate::analyzer::listener::{Listener, Seats};
use crate::analyzer::neighbours::Neighbours;
use crate::analyzer::scheduler::Scheduler;
use crate::analyzer::statistics::Statistics;
use crate::analyzer::stats::Stats;
use crate::analyzer::stays::Stays;
use crate::clock::{Clock, SystemClock};
use crate::config::settings::Settings;
use crate::exit::Exit;
use crate::hosts::Hosts;
use crate::logging::{self, LogCounts};
use crate::model::record::{InputFile, Record};
use crate::model::{AddressRules, PeerAddress, PeerId, PseudonymKey};
use crate::net::guard::Guarded;
use crate::net::tcp::{SocketRegister, TcpConnector, local_address_towards};
use crate::net::utp::{UtpConnector, UtpSocket};
use crate::stop::{StopToken, StopTrigger, stop_pair};
use crate::storage::{AskName, Claim, Progress, Stem, Summary, Writer, WriterSetup};
use crate::torrent::import::{Import, Link, import};
use crate::torrent::metadata::MetadataCache;

use super::Request;
use super::dht::Dht;
use super::found::{self, FoundTrackers};
use super::hosts;
use super::limits;
use super::links::{self, Wanted};
use super::local_trackers::{self, LocalTrackers};
use super::magnets::Magnets;
use super::neighbours;
use super::opt_out::address_rules;
use super::page::Shown;
use super::random::{RandomBytes, random_bytes};
use super::sockets::Sockets;
use super::status::say;
use super::trackers::Trackers;

/// A run that is ready to start.
pub(super) struct Run {
    pub(super) engine: Arc<Engine>,
    pub(super) trigger: StopTrigger,
    pub(super) trackers: Arc<Trackers>,
    pub(super) statistics: Arc<Statistics>,
    pub(super) progress: Arc<Progress>,
    pub(super) summary: Arc<Mutex<Option<Summary>>>,
    pub(super) writer: Option<(Writer, Receiver<Record>)>,
    pub(super) listener: Option<Listener>,
    pub(super) seats: Option<Arc<Seats>>,
    pub(super) listen_port: Option<u16>,
    pub(super) dht: Option<Arc<Dht>>,
    pub(super) magnets: Option<Arc<Magnets>>,
    pub(super) hosts: Option<Arc<Hosts>>,
    pub(super) neighbours: Option<Arc<Neighbours>>,
    pub(super) found: Option<Arc<FoundTrackers>>,
    pub(super) local_trackers: Option<Arc<LocalTrackers>>,
    pub(super) page: Option<Shown>,
    pub(super) database: PathBuf,
    pub(super) log_counts: LogCounts,
}

/// Why a run does not start.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) text: String,
    pub(crate) exit: Exit,
}

pub(super) fn refuse(exit: Exit, text: String) -> Refusal {
    Refusal { text, exit }
}

/// Makes a run from what was asked for.
pub(super) fn prepare(request: Request) -> Result<Run, Refusal> {
    let Request {
        mut settings,
        configuration,
        warnings,
        web,
    } = request;
    let (clock, stem, _claim, log_counts) = start_log(&settings, &warnings)?;
    let rules = address_rules(&settings.contact)?;
    let opted_out = rules.opt_out.listed();
    let cache = MetadataCache::new(settings.output.join(METADATA_FOLDER));
    let (import, wanted) = import_torrents(&settings, &cache)?;
    limits::fit(&mut settings, import.torrents.len(), wanted.len());
    let random = random_bytes()?;
    let sockets = Sockets::open(&settings, &clock)?;
    let socket = sockets.listen;
    let listen_port = socket.first().map(|socket| socket.local_addr().port());
    settings.tracker.announce_port = announced_port(&settings, listen_port);
    settings.visit.listen_port = listen_port;
    let directory = Directory::new(import.torrents);
    let progress = Arc::new(Progress::new(directory.all().len()));
    let (records, to_write) = bounded(settings.storage.queue_length);
    let (trigger, stop) = stop_pair();
    let engine = Arc::new(engine(
        clock,
        (settings, directory),
        (records, stop),
        (&random, rules),
        (sockets.register, sockets.utp),
    ));
    note_own_addresses(&engine.scheduler, &engine.settings);
    let dht = Dht::prepare(&engine, listen_port, stem.folder())?;
    let (hosts, names) = hosts::prepare(&engine)?;
    let (neighbours, found, local_trackers) = found_beside(&engine)?;
    let page = Shown::open(web.as_ref(), &engine, dht.as_ref(), &stem)?;
    // From here on there are files, so nothing else may refuse the run.
    let facts = manifest(&engine.settings, &configuration, (listen_port, opted_out));
    let writer = create_writer(&engine, &stem, (import.files, facts, names), &progress)?;
    let listener = listen_port.map(|_| Listener::new(Arc::clone(&engine), socket));
    let trackers = Arc::new(Trackers::new(&engine, random.key));
    let magnets = magnets(&engine, &trackers, dht.as_ref(), cache, wanted);
    Ok(Run {
        trackers,
        magnets,
        statistics: Arc::new(Statistics::new(Arc::clone(&engine))),
        seats: listener.as_ref().map(Listener::seats),
        listener,
        writer: Some((writer, to_write)),
        summary: Arc::default(),
        database: stem.with_suffix(".sqlite"),
        log_counts,
        engine,
        trigger,
        progress,
        listen_port,
        dht: dht.map(Arc::new),
        hosts,
        neighbours,
        found,
        local_trackers,
        page,
    })
}

/// What finds peers and trackers beside those of the torrents.
type Beside = (
    Option<Arc<Neighbours>>,
    Option<Arc<FoundTrackers>>,
    Option<Arc<LocalTrackers>>,
);

fn found_beside(engine: &Arc<Engine>) -> Result<Beside, Refusal> {
    let neighbours = neighbours::prepare(engine)?;
    let found = found::prepare(engine);
    let local_trackers = local_trackers::prepare(engine, found.as_ref())?;
    Ok((neighbours, found, local_trackers))
}

fn magnets(
    engine: &Arc<Engine>,
    trackers: &Arc<Trackers>,
    dht: Option<&Dht>,
    cache: MetadataCache,
    wanted: Vec<Wanted>,
) -> Option<Arc<Magnets>> {
    if wanted.is_empty() {
        return None;
    }
    let lookups = dht.map(Dht::pending);
    let magnets = Magnets::new(engine, trackers, lookups, cache, wanted);
    Some(Arc::new(magnets))
}

fn engine(
    clock: Arc<dyn Clock>,
    (settings, directory): (Settings, Directory),
    (records, stop): (Sender<Record>, StopToken),
    (random, rules): (&RandomBytes, AddressRules),
    (sockets, utp): (Arc<SocketRegister>, Vec<Arc<UtpSocket>>),
) -> Engine {
    let (rules, pace) = (Arc::new(rules), &settings.contact.pace);
    let reaction = settings.reaction;
    let scheduler = Scheduler::with_rules(Arc::clone(&clock), reaction, pace, Arc::clone(&rules))
        .with_room(settings.contact.peers_max);
    let connect = TcpConnector::new(Arc::clone(&sockets), Arc::clone(&clock));
    let utp = (!utp.is_empty()).then(|| {
        let connect = Arc::new(UtpConnector::over(utp.clone()));
        let connect = Arc::new(Guarded::new(connect, Arc::clone(&rules)));
        let sockets = utp;
        Utp { connect, sockets }
    });
    Engine {
        scheduler: Arc::new(scheduler),
        connect: Arc::new(Guarded::new(Arc::new(connect), rules)),
        utp,
        stats: Arc::new(Stats::new(clock.now())),
        contacted: Contacted::default(),
        stays: Stays::new(settings.stay.as_ref(), settings.workers),
        nodes: OnceLock::new(),
        found_trackers: OnceLock::new(),
        own_id: PeerId::alphanumeric(random.own_id),
        pseudonyms: PseudonymKey::new(random.pseudonym_key),
        clock,
        settings,
        directory,
        records,
        stop,
        sockets,
    }
}

/// Takes the name of the run, which is to be held until its files are there,
/// and starts the log, with the clock of the run; what is odd about the configuration comes first.
fn start_log(
    settings: &Settings,
    warnings: &[String],
) -> Result<(Arc<dyn Clock>, Stem, Claim, LogCounts), Refusal> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let not_writable = |error: std::io::Error| {
        let folder = settings.output.display();
        refuse(
            Exit::OutputNotWritable,
            format!(
                "output folder {folder} cannot be written: {error}; make it writable or choose another with --output"
            ),
        )
    };
    let host = sysinfo::System::host_name().unwrap_or_else(|_| "localhost".to_owned());
    let (stem, claim) =
        Stem::claim(&settings.output, clock.timestamp(), &host).map_err(not_writable)?;
    let counts = logging::start(&settings.log, &stem.with_suffix(".log"), Arc::clone(&clock))
        .map_err(|error| refuse(Exit::OutputNotWritable, error.to_string()))?;
    #[cfg(feature = "faults")]
    let clock = super::fault::clock(clock);
    for warning in warnings {
        log::warn!("{warning}");
    }
    Ok((clock, stem, claim, counts))
}

/// Folder of the metadata of magnet links, in the output folder.
const METADATA_FOLDER: &str = "metadata";

/// The torrents that are there, and the links that wait for their metadata.
fn import_torrents(
    settings: &Settings,
    cache: &MetadataCache,
) -> Result<(Import, Vec<Wanted>), Refusal> {
    let links = links::read(&settings.input);
    let mut wanted = links.wanted;
    let link = |link: &Wanted| Link {
        info_hash: link.info_hash,
        trackers: link.trackers.clone(),
        kept: cache
            .load(link.info_hash)
            .map(|_| cache.path(link.info_hash)),
    };
    let known: Vec<Link> = wanted.iter().map(link).collect();
    let mut import = import(&settings.input, settings.complete_threshold, &known);
    for file in &import.files {
        if let (None, Some(note)) = (file.torrent, &file.note) {
            say(&format!("btda: {}: {note}", file.path.display()));
        }
    }
    import.files.splice(0..0, links.file);
    let there: HashSet<_> = import.torrents.iter().map(|it| it.info_hash).collect();
    wanted.retain(|link| !there.contains(&link.info_hash));
    if import.torrents.is_empty() && wanted.is_empty() {
        let folder = settings.input.folder.display();
        let text = format!(
            "no torrent to measure: put .torrent files into {folder}, or name one with --file or --magnet"
        );
        log::warn!("{text}");
        return Err(refuse(Exit::NothingToImport, text));
    }
    Ok((import, wanted))
}

/// The port to announce. Without `-p` nobody listens there, but trackers
/// refuse an announce without a port.
fn announced_port(settings: &Settings, listen_port: Option<u16>) -> u16 {
    match listen_port.unwrap_or(settings.listen.port) {
        0 => DEFAULT_PORT,
        port => port,
    }
}

/// `bittorrent_listen_port` of 2015.
const DEFAULT_PORT: u16 = 6884;

/// Trackers and DHT hand our own address back. What is known of it before a
/// tracker says so: where we listen, and where the system would send from.
/// Anything else is recognised by our own peer id at the first contact.
fn note_own_addresses(scheduler: &Scheduler, settings: &Settings) {
    let (ip, port) = (settings.listen.address, settings.tracker.announce_port);
    scheduler.listens_on(port);
    if !ip.is_unspecified() && settings.passive {
        scheduler.add_own(PeerAddress::new(ip, port));
        return;
    }
    // Documentation addresses (RFC 5737, 3849): only the route is looked up.
    let outside4 = SocketAddr::from(([192, 0, 2, 1], 9));
    let outside6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9));
    let routed = [outside4, outside6].map(local_address_towards);
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for ip in routed.into_iter().flatten().chain(loopback) {
        scheduler.add_own(PeerAddress::new(ip, port));
    }
}

/// What the writer is told of the run: files, facts, who finds out names.
type Inputs = (
    Vec<InputFile>,
    Vec<(&'static str, String)>,
    Option<Box<dyn AskName>>,
);

fn create_writer(
    engine: &Engine,
    stem: &Stem,
    (inputs, manifest, names): Inputs,
    progress: &Arc<Progress>,
) -> Result<Writer, Refusal> {
    Writer::create(WriterSetup {
        stem: stem.clone(),
        settings: engine.settings.storage.clone(),
        torrents: engine.directory.all(),
        inputs,
        manifest,
        names,
        progress: Arc::clone(progress),
        clock: Arc::clone(&engine.clock),
    })
    .map_err(|error| refuse(Exit::OutputNotWritable, error.to_string()))
}

fn manifest(
    settings: &Settings,
    configuration: &serde_json::Value,
    (listen_port, opted_out): (Option<u16>, usize),
) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("method", settings.method.as_str().to_owned()),
        ("active", settings.active.to_string()),
        ("passive", settings.passive.to_string()),
        ("host", sysinfo::System::host_name().unwrap_or_default()),
        ("contact_threads", settings.workers.to_string()),
        ("callers_max", settings.listen.callers_max.to_string()),
        ("opt_out_networks", opted_out.to_string()),
        ("configuration", configuration.to_string()),
    ];
    if let Some(port) = listen_port {
        facts.push(("listen_port", port.to_string()));
    }
    if let Some(stay) = settings.stay {
        facts.push(("observe_threads", stay.threads.to_string()));
    }
    facts
}
