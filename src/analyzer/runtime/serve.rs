//! `btda serve`: the page without a run. Main thread; it waits for a signal.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Switches};
use crate::exit::Exit;
use crate::logging;
use crate::observe::block::Blocked;
use crate::signals;
use crate::stop::stop_pair;
use crate::storage::overview::Overview;
use crate::terminal::complain;
use crate::threads;
use crate::web::{Observed, Page, STACK, Watched};

use super::inspection;

/// Serves until a signal comes; shows the result file or the folder of an
/// observatory at `shown`, if there is one.
pub fn run(config: &Config, shown: Option<PathBuf>) -> Exit {
    match serve(config, shown) {
        Ok(()) => Exit::Success,
        Err((exit, text)) => {
            complain(&text);
            exit
        }
    }
}

fn serve(config: &Config, shown: Option<PathBuf>) -> Result<(), (Exit, String)> {
    let failed = |what: &'static str| move |error| (Exit::Failed, format!("{what}: {error}"));
    let signals = signals::watch().map_err(failed("signals cannot be handled"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let switches = Switches {
        dht: true,
        ..Switches::default()
    };
    let (web, settings) = (config.web(), config.settings(&switches));
    let mut log = settings.log.clone();
    log.to_console = true;
    logging::start(&log, std::path::Path::new(""), Arc::clone(&clock))
        .map_err(|error| (Exit::Failed, error.to_string()))?;
    let (trigger, stop) = stop_pair();
    let inspection = inspection::alone(&web, &settings, (&clock, &stop))
        .map_err(|refusal| (refusal.exit, refusal.text))?;
    let time = (clock, stop);
    let page = match shown {
        Some(folder) if folder.is_dir() => {
            let observed = finished(config, folder)?;
            Page::open_observatory(&web, &settings, (observed, inspection), time)
        }
        shown => Page::open(&web, &settings, (watched(shown)?, inspection), time),
    };
    let page = page.map_err(|error| (error.exit(), error.to_string()))?;
    complain(&format!(
        "the page is at http://{}/ (Ctrl+C ends it)",
        page.address()
    ));
    let thread = threads::spawn("web", STACK, move || page.run())
        .map_err(failed("no thread for the page"))?;
    // The sender lives as long as the process.
    let _ = signals.recv();
    trigger.stop();
    thread
        .join()
        .map_err(|_| (Exit::Failed, "the page ended by a defect".to_owned()))
}

/// The result file, if there is one, after a look into it.
fn watched(database: Option<PathBuf>) -> Result<Option<Watched>, (Exit, String)> {
    let Some(database) = database else {
        return Ok(None);
    };
    Overview::read(&database).map_err(|error| (Exit::Failed, error.to_string()))?;
    Ok(Some(Watched {
        database,
        board: None,
    }))
}

/// What an observatory left in `folder`, without what is blocked by now.
fn finished(config: &Config, folder: PathBuf) -> Result<Observed, (Exit, String)> {
    let settings = config.observe();
    let blocked = settings.block_file.as_deref().map(Blocked::load);
    let blocked = blocked.transpose();
    let blocked = blocked.map_err(|error| (Exit::Configuration, error.to_string()))?;
    Observed::finished(folder, blocked.unwrap_or_default(), settings.hashes_only)
        .map_err(|error| (Exit::Failed, error.to_string()))
}
