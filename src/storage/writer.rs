//! The writer thread: the only one that writes results.
//!
//! [`Writer::create`] runs on the starting thread, so that a run that cannot
//! store anything never begins; [`Writer::run`] is the body of the thread
//! `writer`. It ends when every sender is gone and the channel is empty.

mod commit;
mod ending;
mod home;
mod pending;
mod rescue;
mod turn;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::database::{Database, SCHEMA_VERSION};
use super::error::StorageError;
use super::geo::{GeoDatabase, Locate, Nowhere};
use super::ledger::Ledger;
use super::manifest::{Facts, manifest_json};
use super::names::{AskName, PlacesAndNames};
use super::progress::Progress;
use super::row::Row;
use super::spool::{Place, Spool};
use super::stem::Stem;
use super::{files, text};
use crate::clock::Clock;
use crate::config::settings::StorageSettings;
use crate::model::Torrent;
use crate::model::record::{InputFile, Record};
use pending::{MemoryLimit, Pending};

/// What a writer needs.
pub struct WriterSetup {
    /// Where the files go.
    pub stem: Stem,
    /// Batches, geolocation, calibration.
    pub settings: StorageSettings,
    /// Torrents in order of their ids.
    pub torrents: Vec<Arc<Torrent>>,
    /// Files considered for import.
    pub inputs: Vec<InputFile>,
    /// Facts of the manifest known at the start: `version`, `method`,
    /// `configuration` (as JSON), `host` …
    pub manifest: Vec<(&'static str, String)>,
    /// Asked for the host name of each new peer.
    pub names: Option<Box<dyn AskName>>,
    /// Figures for others.
    pub progress: Arc<Progress>,
    /// Time of commits, `start` and `stop`.
    pub clock: Arc<dyn Clock>,
}

/// How long a failing database is endured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long one statement waits for another connection to let go, until
    /// one waited in vain: from then on hardly at all, so that records are
    /// taken in meanwhile.
    pub statement: Duration,
    /// Pause after the first failure; it doubles from failure to failure.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// Sum of the pauses at the end of the run, after which what is left
    /// stays in the spool.
    pub at_end: Duration,
    /// Time for reading back the spool at the end of the run, if the database
    /// takes it.
    pub replay_at_end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            statement: Duration::from_millis(500),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            at_end: Duration::from_secs(10),
            replay_at_end: Duration::from_secs(60),
        }
    }
}

/// What the writer has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Rows committed, changes of older rows included.
    pub rows: u64,
    /// Rows lost for good.
    pub lost: u64,
    /// Rows that the database did not take until the end; they are in
    /// `spool_files`.
    pub in_spool: u64,
    /// Spool files left behind, for [`super::spool::replay`].
    pub spool_files: Vec<PathBuf>,
    /// Where the database is: not at its place, when that could not be
    /// written.
    pub database: PathBuf,
    /// Peers evaluated at least once.
    pub peers: u64,
    /// Successful visits.
    pub visits: u64,
    /// Confirmed downloads; with 0 the 2015 scripts stop, which the user
    /// should be told.
    pub confirmed: u64,
    /// The fact `ended` of the manifest.
    pub ended: String,
    /// Whether the database is one plain file, without a write-ahead log.
    pub plain: bool,
}

/// Owner of the connection, the ledger and the files.
pub struct Writer {
    stem: Stem,
    settings: StorageSettings,
    inputs: Vec<InputFile>,
    facts: Facts,
    progress: Arc<Progress>,
    clock: Arc<dyn Clock>,
    database: Database,
    ledger: Ledger,
    pending: Pending,
    /// Rows of the last record, before they wait.
    rows: Vec<Row>,
    /// When the waiting rows are to be committed.
    due: Option<Instant>,
    patience: Patience,
    home: home::Home,
    /// The error files could not be written at the last attempt.
    files_failed: bool,
    /// The tick at shutdown has come.
    ended: bool,
    /// Host names are asked for.
    with_names: bool,
}

impl Writer {
    /// Makes the database and writes what is known before the first record.
    pub fn create(setup: WriterSetup) -> Result<Self, StorageError> {
        let WriterSetup {
            stem,
            settings,
            torrents,
            inputs,
            manifest,
            names,
            progress,
            clock,
        } = setup;
        for warning in stem.warnings() {
            log::warn!("{warning}");
        }
        let mut facts = Facts::from([
            ("start", clock.timestamp().to_string()),
            ("ended", "running".to_owned()),
            ("state", "running".to_owned()),
            ("schema_version", SCHEMA_VERSION.to_string()),
            ("sqlite_version", rusqlite::version().to_owned()),
        ]);
        let geo = open_geolocation(&settings, clock.as_ref(), &mut facts);
        let with_names = names.is_some();
        let geo = PlacesAndNames::around(geo, names);
        for (key, value) in manifest {
            facts.insert(key, text::clean_lines(&value));
        }
        let mut database = Database::create(stem.with_suffix(".sqlite"))?;
        database.describe(&torrents, &inputs, &fact_rows(&facts))?;
        let spool = Spool::new(Place {
            folders: vec![stem.folder().to_owned(), settings.spool_folder.clone()],
            stem: stem.name().to_owned(),
            run: facts.get("start").cloned().unwrap_or_default(),
            limit: settings.spool_max_bytes,
        });
        let limit = MemoryLimit {
            rows: settings.memory_rows,
            bytes: MEMORY_BYTES,
        };
        let writer = Self {
            ended: false,
            with_names,
            home: home::Home::default(),
            files_failed: false,
            ledger: Ledger::new(torrents, geo)
                .measuring(settings.identity, settings.speed_gap)
                .doubting(settings.zero_visits, settings.zero_time),
            pending: Pending::new(limit, spool),
            stem,
            settings,
            inputs,
            facts,
            progress,
            clock,
            database,
            rows: Vec::new(),
            due: None,
            patience: Patience::default(),
        };
        writer.write_manifest()?;
        Ok(writer.with_patience(Patience::default()))
    }

    /// The same with another patience; before the first record.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.database.set_busy_timeout(patience.statement);
        self.patience = patience;
        self
    }

    /// Writes until the tick at shutdown has come or every sender is gone,
    /// then finishes all files. What a thread sends behind that tick belongs
    /// to no run.
    ///
    /// # Panics
    /// When a defect made it panic, after what it had taken is stored.
    pub fn run(mut self, records: &Receiver<Record>) -> Summary {
        let whole = catch_unwind(AssertUnwindSafe(|| {
            while self.turn(records) {}
            self.finish()
        }));
        match whole {
            Ok(left) => self.close(left),
            Err(defect) => {
                self.rescue(records);
                resume_unwind(defect)
            }
        }
    }

    fn take(&mut self, record: Record, waiting: usize) {
        let tick = matches!(record, Record::Tick(_));
        self.ended = matches!(&record, Record::Tick(tick) if tick.last);
        let record = self.remember_fact(record);
        self.ledger.take(record, waiting, &mut self.rows);
        self.queue_rows();
        for notice in self.ledger.take_notices() {
            log::warn!("{notice}");
        }
        if tick {
            if !self.pending.is_failing() {
                self.commit();
            }
            self.keep_home();
            self.write_error_files();
        }
    }

    fn remember_fact(&mut self, record: Record) -> Record {
        let (key, value) = match record {
            Record::Manifest { key, value } => (key, value),
            Record::Input(input) => {
                self.inputs.push((*input).clone());
                return Record::Input(input);
            }
            other => return other,
        };
        let value = text::clean_lines(&value);
        self.facts.insert(key, value.clone());
        Record::Manifest { key, value }
    }

    /// Rewrites both error files; a failure is logged once, and each tick
    /// tries again.
    fn write_error_files(&mut self) {
        let peers = files::peer_error_text(self.ledger.peer_errors());
        let path = self.stem.with_suffix("_peer-error.txt");
        let mut written = files::replace(&path, peers.as_bytes());
        match files::tracker_error_text(self.ledger.tracker_results()) {
            Ok(trackers) => {
                let path = self.stem.with_suffix("_tracker-error.txt");
                written = written.and(files::replace(&path, trackers.as_bytes()));
            }
            Err(error) => log::error!("tracker error file not written reason={error}"),
        }
        let failed = written.is_err();
        if !self.files_failed {
            log_failure(written);
        }
        self.files_failed = failed;
    }

    fn write_manifest(&self) -> Result<(), StorageError> {
        let json = manifest_json(&self.facts, &self.inputs);
        files::replace(&self.stem.with_suffix("_run.json"), json.as_bytes())
    }
}

fn log_failure(result: Result<(), StorageError>) {
    if let Err(error) = result {
        log::error!("{error}");
    }
}

fn fact_rows(facts: &Facts) -> Vec<Row> {
    facts
        .iter()
        .map(|(&key, value)| Row::Fact {
            key: key.into(),
            value: value.clone(),
        })
        .collect()
}

fn open_geolocation(
    settings: &StorageSettings,
    clock: &dyn Clock,
    facts: &mut Facts,
) -> Box<dyn Locate> {
    let Some(path) = &settings.geolocation else {
        log::info!("no geolocation database configured: countries stay unknown");
        return Box::new(Nowhere);
    };
    match GeoDatabase::open(path) {
        Ok(database) => {
            let age = database.age_days(clock.timestamp());
            facts.insert("geolocation", database.kind());
            facts.insert("geolocation_built", database.built().to_string());
            if age > OLD_DAYS {
                log::warn!(
                    "geolocation database is old, addresses may have moved: fetch a newer one path={} days={age}",
                    path.display()
                );
            }
            Box::new(database)
        }
        Err(error) => {
            log::warn!("{error}");
            Box::new(Nowhere)
        }
    }
}

/// Age in days above which a geolocation database is warned about.
const OLD_DAYS: u64 = 30;
/// Memory for rows that the database does not take, beside
/// `storage.memory_rows`.
const MEMORY_BYTES: usize = 64 << 20;

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
