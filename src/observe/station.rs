//! What listening and replaying share: log, files, the thread that writes,
//! and the end of it all. Main thread.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, never};
use parking_lot::Mutex;

use crate::clock::{Clock, SystemClock};
use crate::dht::node::DhtHandle;
use crate::dht::node::hook::{ChannelHook, QueryEvent};
use crate::dht::node::random::Random;
use crate::exit::Exit;
use crate::logging;
use crate::stop::{StopTrigger, stop_pair};
use crate::storage::Stem;
use crate::storage::geo::{FindPlace, GeoDatabase, Nowhere};
use crate::terminal::complain;
use crate::threads::{self, LARGE_STACK};

use super::block::Blocked;
use super::live::Live;
use super::naming::Naming;
use super::pipeline::{Files, FilesSetup, News, Pipeline, PipelineSetup};
use super::queue::ResolveQueue;
use super::record::Record;
use super::settings::ObserveSettings;
use super::slices::Slices;
use super::writer::Writer;

/// Records and torrents that wait for the writer at most; who sends waits.
const WAITING_MAX: usize = 4096;

/// Why there is no observatory.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) text: String,
    pub(super) exit: Exit,
}

/// A reason with its exit code.
pub(super) fn refused(exit: Exit, error: &impl ToString) -> Refused {
    let text = error.to_string();
    Refused { text, exit }
}

/// What feeds the writer beside replayed records.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) events: Option<(Receiver<QueryEvent>, Arc<ChannelHook>)>,
    pub(super) news: Option<Receiver<News>>,
    pub(super) queue: Option<Arc<Mutex<ResolveQueue>>>,
    pub(super) nodes: Vec<Arc<DhtHandle>>,
}

/// What is there before anything runs.
pub(super) struct Station {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) live: Arc<Live>,
    pub(super) blocked: Arc<Blocked>,
    settings: ObserveSettings,
}

/// The running writer.
pub(super) struct Running {
    pub(super) replayed: Sender<Record>,
    pub(super) done: Receiver<Pipeline>,
    end: StopTrigger,
    thread: JoinHandle<()>,
}

impl Station {
    /// Folder, log and block list.
    pub(super) fn new(settings: &ObserveSettings) -> Result<Self, Refused> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let folder = settings.folder.display();
        let host = sysinfo::System::host_name().unwrap_or_else(|_| "localhost".to_owned());
        let claimed = Stem::claim(&settings.folder, clock.timestamp(), &host);
        let (stem, _claim) = claimed.map_err(|error| {
            let text =
                format!("folder {folder} cannot be written: {error}; choose another with --folder");
            refused(Exit::OutputNotWritable, &text)
        })?;
        logging::start(&settings.log, &stem.with_suffix(".log"), Arc::clone(&clock))
            .map_err(|error| refused(Exit::OutputNotWritable, &error))?;
        let blocked = settings.block_file.as_deref().map(Blocked::load);
        let blocked = blocked.transpose();
        let blocked = blocked.map_err(|error| refused(Exit::Configuration, &error))?;
        Ok(Self {
            clock,
            live: Arc::default(),
            blocked: Arc::new(blocked.unwrap_or_default()),
            settings: settings.clone(),
        })
    }

    /// Opens the files and starts the writer.
    pub(super) fn start(&self, sources: Sources) -> Result<Running, Refused> {
        let pipeline = self.pipeline()?;
        let (replayed_send, replayed) = bounded(WAITING_MAX);
        let (end, ended) = stop_pair();
        let (done_send, done) = bounded(1);
        let (events, hook) = sources.events.unzip();
        let writer = Writer {
            pipeline,
            replay: events.is_none(),
            events: events.unwrap_or_else(never),
            hook,
            news: sources.news.unwrap_or_else(never),
            replayed,
            queue: sources.queue,
            nodes: sources.nodes,
            overflowed: 0,
            end: ended,
            clock: Arc::clone(&self.clock),
        };
        let thread = threads::spawn("observe-write", LARGE_STACK, move || {
            let pipeline = writer.run();
            // The main thread waits for it.
            let _ = done_send.send(pipeline);
        });
        let thread = thread.map_err(|error| refused(Exit::Failed, &error))?;
        Ok(Running {
            replayed: replayed_send,
            done,
            end,
            thread,
        })
    }

    fn pipeline(&self) -> Result<Pipeline, Refused> {
        let settings = &self.settings;
        let random = || {
            Random::from_system()
                .map_err(|_| refused(Exit::Failed, &"the system gives no random numbers"))
        };
        let records = Files::records(&settings.folder);
        let slices = Slices::new(records, settings.slice, random()?);
        let setup = FilesSetup {
            folder: settings.folder.clone(),
            keep: settings.keep,
            bytes_max: settings.bytes_max,
        };
        let files =
            Files::open(setup, slices).map_err(|error| refused(Exit::OutputNotWritable, &error))?;
        Ok(Pipeline::new(PipelineSetup {
            blocked: Arc::clone(&self.blocked),
            places: self.places(),
            naming: Naming::new(settings.addresses, settings.key_period, random()?),
            hashes_only: settings.hashes_only,
            files,
            live: Arc::clone(&self.live),
        }))
    }

    /// Without a database of places, records have none.
    fn places(&self) -> Box<dyn FindPlace> {
        let Some(path) = &self.settings.geolocation else {
            return Box::new(Nowhere);
        };
        match GeoDatabase::open(path) {
            Ok(database) => Box::new(database),
            Err(error) => {
                log::warn!("{error}");
                complain(&error.to_string());
                Box::new(Nowhere)
            }
        }
    }
}

impl Running {
    /// Lets the writer take what was sent, and end. `None` when it failed.
    pub(super) fn finish(self) -> Option<Pipeline> {
        self.end.stop();
        let pipeline = self.done.recv().ok();
        // A panic of it has closed the channel and is in the log.
        let _ = self.thread.join();
        pipeline
    }
}
