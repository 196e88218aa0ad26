//! What one key of the configuration is: its name, kind, range and default.
//!
//! Used by the file reader, the environment and the command line alike, so
//! that a value is judged the same way wherever it was written.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::duration::parse_seconds;

/// One key; all of them are in [`super::keys`].
#[derive(Debug, PartialEq)]
pub struct Key {
    /// Dotted path, as `retry.factor`; the keys of 2015 have no dot.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// Value where nobody says otherwise.
    pub default: Value,
    /// Meaning, line by line, each with one leading blank.
    pub doc: &'static [&'static str],
    /// Where the default comes from.
    pub source: &'static str,
}

/// A value of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; also seconds.
    Number(f64),
    /// Text, a path, an address or a choice.
    Text(Cow<'static, str>),
}

/// Type and range of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer {
        /// Smallest.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// A number with or without a fraction.
    Number {
        /// Smallest.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// A part of a whole, above 0 up to 1.
    Share,
    /// A time; a plain number in the file, also `1h30m` elsewhere.
    Seconds {
        /// Smallest.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// A path that is not empty.
    Path,
    /// A path, or empty text for none.
    OptionalPath,
    /// An IP address to bind to.
    Address,
    /// An IPv6 address to bind to, or empty text for none.
    OptionalAddress6,
    /// An IP address and a port to bind to, or empty text for none.
    OptionalSocket,
    /// `host:port` of several hosts, with blanks between; empty for none.
    Hosts,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A value that its key does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// What the key takes.
    expected: String,
    /// What was there.
    found: String,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for ValueError {}

impl Key {
    /// The table in the file and the name in it; the table is empty at top
    /// level.
    pub fn path(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// Name of the environment variable: `BTDA_RETRY_FACTOR`.
    pub fn variable(&self) -> String {
        format!("BTDA_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Reads a value from the command line or the environment.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        let value = match self.kind {
            Kind::Flag => text.parse().ok().map(Value::Flag),
            Kind::Integer { .. } => text.parse().ok().map(Value::Integer),
            Kind::Number { .. } | Kind::Share => text.parse().ok().map(Value::Number),
            Kind::Seconds { .. } => parse_seconds(text).map(Value::Number),
            Kind::Path
            | Kind::OptionalPath
            | Kind::Address
            | Kind::OptionalAddress6
            | Kind::OptionalSocket
            | Kind::Hosts
            | Kind::Choice(_) => Some(Value::Text(Cow::Owned(text.to_owned()))),
        };
        value
            .and_then(|value| self.kind.accept(value))
            .ok_or_else(|| self.refusal(quoted(text)))
    }

    /// Takes a value of the right type, if it is in range.
    pub fn check(&self, value: Value) -> Result<Value, ValueError> {
        let found = match &value {
            Value::Text(text) => quoted(text),
            other => self.show(other),
        };
        self.kind.accept(value).ok_or_else(|| self.refusal(found))
    }

    /// The error for `found`, a description of what was there.
    pub fn refusal(&self, found: String) -> ValueError {
        ValueError {
            expected: self.kind.to_string(),
            found,
        }
    }

    /// `value` as the file has it.
    pub fn show(&self, value: &Value) -> String {
        match (value, self.kind) {
            (Value::Flag(flag), _) => flag.to_string(),
            (Value::Integer(number), _) => number.to_string(),
            (Value::Number(number), Kind::Seconds { .. }) => number.to_string(),
            (Value::Number(number), _) => format!("{number:?}"),
            (Value::Text(text), _) => toml::Value::String(text.to_string()).to_string(),
        }
    }
}

impl Kind {
    /// The value in its normal form; `None` when of another type or out of
    /// range.
    fn accept(self, value: Value) -> Option<Value> {
        match (self, value) {
            (Self::Flag, value @ Value::Flag(_)) => Some(value),
            (Self::Integer { min, max }, Value::Integer(number)) => (min..=max)
                .contains(&number)
                .then_some(Value::Integer(number)),
            (Self::Number { min, max } | Self::Seconds { min, max }, value) => {
                in_range(&value, |number| min <= number && number <= max)
            }
            (Self::Share, value) => in_range(&value, |number| 0.0 < number && number <= 1.0),
            (kind, Value::Text(text)) => kind.accept_text(text).map(Value::Text),
            _ => None,
        }
    }

    fn accept_text(self, text: Cow<'static, str>) -> Option<Cow<'static, str>> {
        match self {
            Self::Path => (!text.is_empty() && !text.contains('\0')).then_some(text),
            Self::OptionalPath => (!text.contains('\0')).then_some(text),
            Self::Address => text.parse::<IpAddr>().is_ok().then_some(text),
            Self::OptionalAddress6 => {
                (text.is_empty() || text.parse::<Ipv6Addr>().is_ok()).then_some(text)
            }
            Self::OptionalSocket => {
                (text.is_empty() || text.parse::<SocketAddr>().is_ok()).then_some(text)
            }
            Self::Hosts => text.split_whitespace().all(is_host).then_some(text),
            Self::Choice(words) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(&text))
                .map(|word| Cow::Borrowed(*word)),
            _ => None,
        }
    }
}

/// `host:port`, the host not looked up.
fn is_host(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        // Who writes commas between several means several.
        let one = !host.is_empty() && !host.contains([',', ';', '/']);
        one && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn in_range(value: &Value, fits: impl Fn(f64) -> bool) -> Option<Value> {
    let number = match *value {
        Value::Integer(number) => number as f64,
        Value::Number(number) => number,
        Value::Flag(_) | Value::Text(_) => return None,
    };
    fits(number).then_some(Value::Number(number))
}

/// What the key takes, in words that follow "expected".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Share => f.write_str("a number above 0 up to 1"),
            Self::Seconds { min, max } => write!(f, "seconds from {min} to {max}"),
            Self::Path => f.write_str("a path"),
            Self::OptionalPath => f.write_str("a path or \"\" for none"),
            Self::Address => f.write_str("an IP address"),
            Self::OptionalAddress6 => f.write_str("an IPv6 address or \"\" for none"),
            Self::OptionalSocket => {
                f.write_str("an IP address with its port, as 127.0.0.1:5000, or \"\" for none")
            }
            Self::Hosts => f.write_str("host:port, with blanks between several, or \"\" for none"),
            Self::Choice(words) => {
                f.write_str("one of")?;
                words.iter().try_for_each(|word| write!(f, " \"{word}\""))
            }
        }
    }
}

/// Text from outside as it may stand in a message: quoted, escaped, and cut
/// after 60 characters.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_have_blanks_between_them() {
        let accepted = |text: &str| {
            let value = Value::Text(Cow::Owned(text.to_owned()));
            Kind::Hosts.accept(value).is_some()
        };
        for good in ["", "a.example:6881", "127.0.0.1:1 [::1]:2", "a:1  b:2"] {
            assert!(accepted(good), "{good}");
        }
        for bad in ["a.example", "a:0", ":1", "a:1,b:2", "a:1;b:2", "udp://a:1"] {
            assert!(!accepted(bad), "{bad}");
        }
    }
}
