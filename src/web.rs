//! The page: track a swarm now, watch a run or an observatory, read results.
//! `btda serve`, or `--web` on a run or an observatory.
//!
//! ```text
//! accept ─▶ seats (who may stay) ─▶ http1 (limits, deadlines) ─▶ admit (Host, Origin, token) ─▶ routes
//! ```
//!
//! One thread, `web`, with an async runtime that nobody else sees: a page has
//! many slow readers and does little. Whatever takes time (a tracker, SQLite)
//! runs on threads of its own, and the measuring threads never wait for any of
//! it.

mod access;
mod answer;
mod app;
mod asking;
mod chunks;
mod input;
mod job;
mod login;
mod observatory;
mod pace;
mod pages;
mod reports;
mod seats;
mod server;
mod stream;
mod studies;
mod telling;
mod track;
mod visits;
mod watch;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::{Access, TOKEN_LEN_MIN, Token};
use app::{App, routes};
use server::{Limits, Server};
use studies::Studies;
use track::Tracking;
use visits::Visits;

pub use observatory::Observed;
pub use watch::Watched;

use crate::clock::Clock;
use crate::config::WebSettings;
use crate::config::settings::Settings;
use crate::exit::Exit;
use crate::inspection::Inspection;
use crate::net::listen::listen;
use crate::stop::StopToken;
use crate::storage::StorageError;

/// Where `btda serve` is, unless it is told otherwise: the port of the
/// Torrent Peer Tracker.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// Stack of the thread `web`.
pub const STACK: usize = 1024 * 1024;

/// Largest token file, in bytes.
const TOKEN_FILE_MAX: u64 = 4096;

/// Why there is no page.
#[derive(Debug)]
pub enum WebError {
    /// An address that others reach, and no token.
    NoToken(SocketAddr),
    /// The token file cannot be used.
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The history cannot be opened.
    History(StorageError),
    /// The port is taken or not allowed, or the address is not ours.
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl WebError {
    /// How the program ends by it.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoToken(_) | Self::Token { .. } => Exit::Configuration,
            Self::History(_) => Exit::OutputNotWritable,
            Self::Bind { .. } => Exit::PortUnavailable,
        }
    }
}

impl fmt::Display for WebError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(address) => write!(
                f,
                "the page at {address} could be used by others: write a token of {TOKEN_LEN_MIN} characters or more \
                 into a file and name it by web.token_file, or choose a loopback address as {DEFAULT_ADDRESS}"
            ),
            Self::Token { path, reason } => write!(
                f,
                "token file {} (web.token_file) cannot be used: {reason}",
                path.display()
            ),
            Self::History(error) => error.fmt(f),
            Self::Bind { address, source } => write!(
                f,
                "the page cannot be served at {address}: {source}; stop the program that uses the port or choose \
                 another with --web"
            ),
        }
    }
}

impl std::error::Error for WebError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::History(error) => Some(error),
            _ => None,
        }
    }
}

/// A page whose port is bound.
pub struct Page {
    server: Server,
    address: SocketAddr,
}

impl Page {
    /// Opens the history in `settings.output` and binds the page to
    /// `web.address`; `watched` is the run that it shows, `inspection` what
    /// it can have done in a swarm.
    pub fn open(
        web: &WebSettings,
        settings: &Settings,
        (watched, inspection): (Option<Watched>, Inspection),
        time: (Arc<dyn Clock>, StopToken),
    ) -> Result<Self, WebError> {
        Self::open_with(web, settings, (watched, None, inspection), time)
    }

    /// The same with an observatory instead of a run.
    pub fn open_observatory(
        web: &WebSettings,
        settings: &Settings,
        (observed, inspection): (Observed, Inspection),
        time: (Arc<dyn Clock>, StopToken),
    ) -> Result<Self, WebError> {
        Self::open_with(web, settings, (None, Some(observed), inspection), time)
    }

    fn open_with(
        web: &WebSettings,
        settings: &Settings,
        (watched, observed, inspection): (Option<Watched>, Option<Observed>, Inspection),
        (clock, stop): (Arc<dyn Clock>, StopToken),
    ) -> Result<Self, WebError> {
        let wanted = web.address.unwrap_or(DEFAULT_ADDRESS);
        let token = web.token_file.as_deref().map(read_token).transpose()?;
        if token.is_none() && !wanted.ip().is_loopback() {
            return Err(WebError::NoToken(wanted));
        }
        let bind = |source| WebError::Bind {
            address: wanted,
            source,
        };
        let listener = listen(wanted).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let access = Access::new(address, web.host_names.clone(), token);
        let tracking = Tracking::open(web, settings, inspection.finder, Arc::clone(&clock))
            .map_err(WebError::History)?;
        let tracking = Arc::new(tracking);
        let visits = Visits::new(web, inspection.visitor, Arc::clone(&tracking));
        // Of a file in the working directory, the folder's name is empty.
        let beside = watched
            .as_ref()
            .and_then(|it| it.database.parent())
            .map(|it| Path::new(".").join(it));
        let studies = Studies::new(beside.unwrap_or_else(|| settings.output.clone()));
        let app = App::new(access, web, (tracking, visits, watched, studies), clock);
        let app = Arc::new(app.observing(observed));
        let limits = Limits {
            connections: web.connections,
            per_address: web.connections_per_address,
            header: Duration::from_secs(5),
            request: Duration::from_secs(60),
            write: Duration::from_secs(20),
        };
        Ok(Self {
            server: Server::new(listener, limits, routes(app), stop),
            address,
        })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the stop; may be called again after a panic. Body of the
    /// thread `web`.
    pub fn run(&self) {
        self.server.run();
    }
}

/// The first line of the file at `path`.
fn read_token(path: &Path) -> Result<Token, WebError> {
    let refused = |reason: String| WebError::Token {
        path: path.to_owned(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > TOKEN_FILE_MAX {
        return Err(refused(format!(
            "it is no file of at most {TOKEN_FILE_MAX} bytes"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.chars().count() < TOKEN_LEN_MIN {
        return Err(refused(format!(
            "its first line has fewer than {TOKEN_LEN_MIN} characters"
        )));
    }
    Ok(Token::new(line))
}

#[cfg(test)]
mod tests;
