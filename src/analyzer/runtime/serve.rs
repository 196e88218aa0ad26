//! `btda serve`: the page without a run. Main thread; it waits for a signal.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Switches};
use crate::exit::Exit;
use crate::logging;
use crate::signals;
use crate::stop::stop_pair;
use crate::storage::overview::Overview;
use crate::terminal::complain;
use crate::threads;
use crate::web::{Page, STACK, Watched};

use super::inspection;

/// Serves until a signal comes; shows the result file `database`, if there is
/// one.
pub fn run(config: &Config, database: Option<PathBuf>) -> Exit {
    match serve(config, database) {
        Ok(()) => Exit::Success,
        Err((exit, text)) => {
            complain(&text);
            exit
        }
    }
}

fn serve(config: &Config, database: Option<PathBuf>) -> Result<(), (Exit, String)> {
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
    let shown = (watched(database)?, inspection);
    let page = Page::open(&web, &settings, shown, (clock, stop))
        .map_err(|error| (error.exit(), error.to_string()))?;
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
