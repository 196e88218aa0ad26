//! Configuration: `config.toml`, environment and command line.
//!
//! The order of precedence is flag, environment variable, file, method,
//! default. [`Config`] knows every effective value and where it comes from;
//! [`Config::settings`] makes of it what the program works with. Called once
//! at the start, on the main thread.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

mod convert;
mod duration;
mod file;
mod key;
pub mod keys;
mod problem;
mod render;
pub mod settings;
mod suggest;

pub use convert::Switches;
pub use duration::parse_seconds;
pub use file::{FileText, SIZE_MAX};
pub use key::{Key, Kind, Value, ValueError};
pub use problem::{ConfigError, Place, Problem};
pub use render::default_file;

pub use settings::{Method, Settings};
pub(crate) use suggest::unknown_key;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "config.toml";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The registry.
    Default,
    /// `run.method = "2015"`.
    Method2015,
    /// `rec_dur_analysis = true`.
    Calibration,
    /// A line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, as `--timeout` or `--set retry.factor`.
    Flag(String),
}

impl Origin {
    /// Whether a person wrote the value down.
    pub const fn is_explicit(&self) -> bool {
        !matches!(self, Self::Default | Self::Method2015 | Self::Calibration)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Method2015 => f.write_str("method 2015"),
            Self::Calibration => f.write_str("rec_dur_analysis"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value from the command line, already checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Its key.
    pub key: &'static Key,
    /// The value, in range.
    pub value: Value,
    /// The flag as written.
    pub flag: String,
}

/// Everything that a configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<FileText>,
    /// Environment variables; those without `BTDA_` are ignored.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags; of two for one key the later wins.
    pub overrides: Vec<Override>,
}

/// One effective value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its key.
    pub key: &'static Key,
    /// The value.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// The effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    entries: Vec<Entry>,
    file: Option<PathBuf>,
}

impl Config {
    /// Reads file and environment of this process. Without `file` named,
    /// `config.toml` of the working directory is read where it exists.
    pub fn load(file: Option<&Path>, overrides: Vec<Override>) -> Result<Self, ConfigError> {
        let mut problems = ConfigError::default();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let wanted = file.is_some() || !is_absent(path);
        let text = wanted.then(|| file::read(path)).transpose();
        let sources = Sources {
            file: text.unwrap_or_else(|text| {
                problems.add(Place::File(path.to_owned()), text);
                None
            }),
            environment: std::env::vars_os().collect(),
            overrides,
        };
        Self::build(&sources, problems)
    }

    /// Puts the sources together; reports everything that is wrong with them.
    pub fn resolve(sources: &Sources) -> Result<Self, ConfigError> {
        Self::build(sources, ConfigError::default())
    }

    fn build(sources: &Sources, mut problems: ConfigError) -> Result<Self, ConfigError> {
        let mut config = Self {
            entries: keys::all().map(Entry::of_default).collect(),
            file: sources.file.as_ref().map(|file| file.path.clone()),
        };
        if let Some(file) = &sources.file {
            for found in file::parse(file, &mut problems) {
                if let Place::Line { path, line, .. } = found.place {
                    config.put(found.key, found.value, Origin::File { path, line });
                }
            }
        }
        config.take_environment(&sources.environment, &mut problems);
        for over in &sources.overrides {
            let origin = Origin::Flag(over.flag.clone());
            config.put(over.key, over.value.clone(), origin);
        }
        config.apply_method();
        config.check_together(&mut problems);
        problems.or_else(config)
    }

    /// Every value, in the order of the registry.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The effective value of `key`.
    pub fn value(&self, key: &'static Key) -> &Value {
        self.entry(key).map_or(&key.default, |entry| &entry.value)
    }

    /// What a person should know about this configuration although it can be
    /// used; one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.method() == Method::Thesis2015 {
            for (key, pure) in keys::method_2015() {
                if let Some(entry) = self.entry(key).filter(|entry| entry.value != pure) {
                    warnings.push(format!(
                        "this run is not purely the method of 2015: {} = {} ({})",
                        key.name,
                        key.show(&entry.value),
                        entry.origin
                    ));
                }
            }
        }
        let cut_short = *self.value(&keys::FINISH_WHEN_COMPLETE) == Value::Flag(true);
        if *self.value(&keys::REC_DUR_ANALYSIS) == Value::Flag(true) && cut_short {
            warnings.push(
                "visit.finish_when_complete = true cuts the waits short that rec_dur_analysis is to \
                 measure; remove it"
                    .to_owned(),
            );
        }
        let on = |key| *self.value(key) == Value::Flag(true);
        if on(&keys::LSD_ENABLED) && !on(&keys::CONTACT_ALLOW_PRIVATE) {
            warnings.push(
                "lsd.enabled finds peers of your own network, but those with private addresses are \
                 not contacted; set contact.allow_private = true if they are to be"
                    .to_owned(),
            );
        }
        warnings
    }

    fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.name == key.name)
    }

    fn put(&mut self, key: &Key, value: Value, origin: Origin) {
        if let Some(entry) = self
            .entries
            .iter_mut()
            .find(|entry| entry.key.name == key.name)
        {
            entry.value = value;
            entry.origin = origin;
        }
    }

    fn put_default(&mut self, key: &Key, value: Value, origin: Origin) {
        if !self
            .entry(key)
            .is_some_and(|entry| entry.origin.is_explicit())
        {
            self.put(key, value, origin);
        }
    }

    fn take_environment(&mut self, all: &[(OsString, OsString)], problems: &mut ConfigError) {
        let mut ours: Vec<_> = all
            .iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .filter(|(name, _)| name.starts_with("BTDA_"))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let Some(key) = keys::all().find(|key| key.variable() == name) else {
                let text = suggest::unknown_variable(&name);
                problems.add(Place::Environment(name), text);
                continue;
            };
            match key.parse(&value.to_string_lossy()) {
                Ok(_) if value.to_str().is_none() => problems.add(
                    Place::Environment(name),
                    format!("{}: not UTF-8 text", key.name),
                ),
                Ok(value) => self.put(key, value, Origin::Environment(name)),
                Err(error) => {
                    problems.add(Place::Environment(name), format!("{}: {error}", key.name));
                }
            }
        }
    }

    /// A method and the calibration are other defaults: what a person wrote
    /// down stands.
    fn apply_method(&mut self) {
        if *self.value(&keys::REC_DUR_ANALYSIS) == Value::Flag(true) {
            let off = Value::Flag(false);
            self.put_default(&keys::FINISH_WHEN_COMPLETE, off, Origin::Calibration);
        }
        if self.method() == Method::Thesis2015 {
            for (key, value) in keys::method_2015() {
                self.put_default(key, value, Origin::Method2015);
            }
        }
    }

    /// Values that are impossible only beside each other.
    fn check_together(&self, problems: &mut ConfigError) {
        for (low, high, why) in [
            (
                &keys::NETWORK_TIMEOUT,
                &keys::BUDGET_SECONDS,
                "no visit could last until its timeout",
            ),
            (
                &keys::FIRST_DELAY_SECONDS,
                &keys::MAX_DELAY_SECONDS,
                "the first delay would be above the longest",
            ),
            (
                &keys::TRACKED_DELAY_SECONDS,
                &keys::MAX_DELAY_SECONDS,
                "the first delay would be above the longest",
            ),
        ] {
            if let (Some(low), Some(high)) = (self.entry(low), self.entry(high))
                && let (Value::Number(less), Value::Number(more)) = (&low.value, &high.value)
                && less > more
            {
                let blamed = if high.origin.is_explicit() { high } else { low };
                problems.add(blamed.place(), conflict(low, high, why));
            }
        }
    }
}

impl Entry {
    fn of_default(key: &'static Key) -> Self {
        Self {
            key,
            value: key.default.clone(),
            origin: Origin::Default,
        }
    }

    fn place(&self) -> Place {
        match &self.origin {
            Origin::File { path, line } => Place::Line {
                path: path.clone(),
                line: *line,
                column: 1,
            },
            Origin::Environment(name) => Place::Environment(name.clone()),
            Origin::Flag(flag) => Place::Flag(flag.clone()),
            Origin::Default | Origin::Method2015 | Origin::Calibration => Place::Default,
        }
    }
}

fn conflict(low: &Entry, high: &Entry, why: &str) -> String {
    format!(
        "{} = {} ({}) is greater than {} = {} ({}): {why}; lower the first or raise the second",
        low.key.name,
        low.key.show(&low.value),
        low.origin,
        high.key.name,
        high.key.show(&high.value),
        high.origin,
    )
}

/// Whether there is certainly nothing of that name.
fn is_absent(path: &Path) -> bool {
    matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests;
