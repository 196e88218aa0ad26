//! `btda serve`: the page without a run. Main thread; it waits for a signal.

use std::sync::Arc;

use super::{Page, STACK};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Switches};
use crate::exit::Exit;
use crate::logging;
use crate::signals;
use crate::stop::stop_pair;
use crate::terminal::complain;
use crate::threads;

/// Serves until a signal comes.
pub fn run(config: &Config) -> Exit {
    match serve(config) {
        Ok(()) => Exit::Success,
        Err((exit, text)) => {
            complain(&text);
            exit
        }
    }
}

fn serve(config: &Config) -> Result<(), (Exit, String)> {
    let failed = |what: &'static str| move |error| (Exit::Failed, format!("{what}: {error}"));
    let signals = signals::watch().map_err(failed("signals cannot be handled"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = config.settings(&Switches::default());
    let mut log = settings.log.clone();
    log.to_console = true;
    logging::start(&log, std::path::Path::new(""), Arc::clone(&clock))
        .map_err(|error| (Exit::Failed, error.to_string()))?;
    let (trigger, stop) = stop_pair();
    let page = Page::open(&config.web(), &settings, clock, stop)
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
