//! The page of an observatory that runs, on a thread of its own. Opened and
//! closed by the main thread; nothing of the observatory waits for it.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::analyzer::runtime::say;
use crate::config::settings::Settings;
use crate::config::{Config, Switches, WebSettings};
use crate::exit::Exit;
use crate::inspection::Inspection;
use crate::stop::{StopTrigger, stop_pair};
use crate::threads;
use crate::web::{Observed, Page, STACK};

use super::settings::ObserveSettings;
use super::station::{Refused, Station, refused};

/// Whether and where there is a page.
pub(super) struct PageSettings {
    web: WebSettings,
    /// With the observatory's folder for everything that the page keeps.
    settings: Settings,
}

impl PageSettings {
    /// Of a configuration.
    pub(super) fn of(config: &Config, observe: &ObserveSettings) -> Self {
        let settings = config.settings(&Switches::default());
        Self {
            web: config.web(),
            settings: Settings {
                output: observe.folder.clone(),
                ..settings
            },
        }
    }
}

/// A page that is served.
pub(super) struct OpenPage {
    trigger: StopTrigger,
    thread: JoinHandle<()>,
}

impl OpenPage {
    /// Opens the page, if `web.address` says where.
    pub(super) fn open(
        page: &PageSettings,
        settings: &ObserveSettings,
        station: &Station,
    ) -> Result<Option<Self>, Refused> {
        if page.web.address.is_none() {
            return Ok(None);
        }
        let observed = Observed::running(
            settings.folder.clone(),
            Arc::clone(&station.live),
            Arc::clone(&station.blocked),
            settings.hashes_only,
        );
        // From here nobody is looked up or visited: an observatory listens.
        let shown = (observed, Inspection::default());
        let (trigger, stop) = stop_pair();
        let time = (Arc::clone(&station.clock), stop);
        let page = Page::open_observatory(&page.web, &page.settings, shown, time)
            .map_err(|error| refused(error.exit(), &error))?;
        say(&format!(
            "the page is at http://{0}/ and the map at http://{0}/observatory",
            page.address()
        ));
        let thread = threads::spawn("web", STACK, move || page.run());
        let thread = thread.map_err(|error| refused(Exit::Failed, &error))?;
        Ok(Some(Self { trigger, thread }))
    }

    /// Ends it.
    pub(super) fn close(self) {
        self.trigger.stop();
        // A panic of it is counted and in the log.
        let _ = self.thread.join();
    }
}
