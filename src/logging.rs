//! The log: to `<stem>.log`, or with `--debug` to standard output.
//!
//! Started once on the main thread; written to by every thread through the
//! macros of the `log` crate. A line that cannot be written is dropped and
//! counted: a full disk never stops a measurement. Every panic is logged with
//! its place.

use std::any::Any;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use env_logger::{Builder, Target, WriteStyle};
use log::{Level, LevelFilter, error};

use crate::clock::Clock;
use crate::config::settings::LogSettings;

mod file;
mod filter;
mod line;

pub use filter::{MASK, mask_addresses};
pub use line::CRITICAL;

/// Libraries whose chatter below a warning is not ours to log.
const LIBRARIES: [&str; 4] = ["ureq", "ureq_proto", "rustls", "maxminddb"];

/// Numbers of the log, shared with the status line and the manifest.
#[derive(Debug, Clone, Default)]
pub struct LogCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    warnings: AtomicU64,
    errors: AtomicU64,
    lost: AtomicU64,
}

impl LogCounts {
    /// Lines of level WARNING.
    pub fn warnings(&self) -> u64 {
        self.0.warnings.load(Ordering::Relaxed)
    }

    /// Lines of level ERROR and CRITICAL.
    pub fn errors(&self) -> u64 {
        self.0.errors.load(Ordering::Relaxed)
    }

    /// Lines that could not be written.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    fn count(&self, level: Level) {
        match level {
            Level::Error => self.0.errors.fetch_add(1, Ordering::Relaxed),
            Level::Warn => self.0.warnings.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// Why the log could not be started.
#[derive(Debug)]
pub enum LoggingError {
    /// The file could not be created or opened.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// This process has a log already.
    Started,
}

impl fmt::Display for LoggingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(
                f,
                "{}: the log cannot be written: {error}; is the output folder there and writable?",
                path.display()
            ),
            Self::Started => f.write_str("the log was started already"),
        }
    }
}

impl std::error::Error for LoggingError {}

/// Starts the log of this process and the logging of panics. `file` is
/// `<stem>.log`, and not touched when the log goes to the console.
pub fn start(
    settings: &LogSettings,
    file: &Path,
    clock: Arc<dyn Clock>,
) -> Result<LogCounts, LoggingError> {
    let counts = LogCounts::default();
    let output: Box<dyn Write + Send> = if settings.to_console {
        Box::new(io::stdout())
    } else {
        let opened = file::LogFile::open(file);
        let path = file.to_owned();
        Box::new(opened.map_err(|error| LoggingError::File { path, error })?)
    };
    let colour = settings.to_console && wants_colour();
    builder(
        settings,
        output,
        Parts {
            clock,
            counts: counts.clone(),
            colour,
        },
    )
    .try_init()
    .map_err(|_| LoggingError::Started)?;
    log_panics();
    Ok(counts)
}

/// Whether standard output is a terminal and `NO_COLOR` is unset or empty.
fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stdout().is_terminal()
}

/// What a line is made with.
struct Parts {
    clock: Arc<dyn Clock>,
    counts: LogCounts,
    colour: bool,
}

fn builder(settings: &LogSettings, output: Box<dyn Write + Send>, parts: Parts) -> Builder {
    let mask = !settings.addresses;
    let lossy = Lossy {
        output,
        counts: parts.counts.clone(),
    };
    let mut builder = Builder::new();
    builder
        .filter_level(settings.level)
        .write_style(WriteStyle::Always)
        .target(Target::Pipe(Box::new(lossy)))
        .format(move |buffer, record| {
            parts.counts.count(record.level());
            let line = line::line(record, parts.clock.timestamp(), mask);
            if parts.colour {
                buffer.write_all(coloured(record.level(), &line).as_bytes())
            } else {
                buffer.write_all(line.as_bytes())
            }
        });
    for library in LIBRARIES {
        builder.filter_module(library, settings.level.min(LevelFilter::Warn));
    }
    builder
}

fn coloured(level: Level, line: &str) -> String {
    let code = match level {
        Level::Error => "31",
        Level::Warn => "33",
        Level::Info => "32",
        Level::Debug | Level::Trace => return line.to_owned(),
    };
    format!("\u{1b}[{code}m{}\u{1b}[0m\n", line.trim_end_matches('\n'))
}

/// Takes every line, and counts those that did not arrive.
struct Lossy {
    output: Box<dyn Write + Send>,
    counts: LogCounts,
}

impl Write for Lossy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self
            .output
            .write_all(line)
            .and_then(|()| self.output.flush())
            .is_err()
        {
            self.counts.0.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs each panic, without what looks like an address; the thread that died
/// is in the line.
fn log_panics() {
    panic::set_hook(Box::new(
        |info| error!(target: CRITICAL, "{}", describe(info)),
    ));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(
        || "unknown place".to_owned(),
        |place| format!("{}:{}", place.file(), place.line()),
    );
    format!(
        "panic at {place}: {}",
        mask_addresses(message(info.payload()))
    )
}

fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

#[cfg(test)]
mod tests;
