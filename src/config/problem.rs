//! What is wrong with a configuration, all of it at once.

use std::fmt;
use std::path::PathBuf;

/// Problems that are kept; of more, only their number.
const KEPT: usize = 50;

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File(PathBuf),
    /// A position in the file, both numbers from 1.
    Line {
        /// The file.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column in characters.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
    /// A default, which another value does not go with.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment {}", name.escape_debug()),
            Self::Flag(flag) => f.write_str(flag),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do; names the key and its range.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigError {
    problems: Vec<Problem>,
    more: usize,
}

impl ConfigError {
    /// What is wrong, in order of position; at most the first 50.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Adds a problem, or only counts it when there are many.
    pub(super) fn add(&mut self, place: Place, text: String) {
        self.add_with(place, || text);
    }

    /// The same with a text that is made only where it is kept.
    pub(super) fn add_with(&mut self, place: Place, text: impl FnOnce() -> String) {
        if self.problems.len() < KEPT {
            let text = text();
            self.problems.push(Problem { place, text });
        } else {
            self.more += 1;
        }
    }

    /// Adds the problems of another step.
    pub(super) fn append(&mut self, other: Self) {
        self.more += other.more;
        for problem in other.problems {
            self.add(problem.place, problem.text);
        }
    }

    /// Brings the problems of the file into the order of their lines.
    pub(super) fn sort_by_line(&mut self) {
        self.problems.sort_by_key(|problem| match problem.place {
            Place::Line { line, column, .. } => (line, column),
            _ => (0, 0),
        });
    }

    /// `good` where nothing is wrong.
    pub(super) fn or_else<T>(self, good: T) -> Result<T, Self> {
        if self.problems.is_empty() {
            Ok(good)
        } else {
            Err(self)
        }
    }
}

/// One line a problem.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
