//! One record, one line: `[DDdHHhMMmSSs:LEVEL:module:thread] text`.
//!
//! The form of 2015, which the scripts of the thesis read. The words ERROR
//! and CRITICAL stand only in the place of the level, so that a search for
//! them finds what a person must look at.

use std::fmt::Write;

use chrono::{DateTime, Local};
use log::{Level, Record};

use super::filter::mask_addresses;
use crate::model::Timestamp;

/// Target that makes CRITICAL of an error: data was lost, or a bug was found.
pub const CRITICAL: &str = "critical";

/// Characters of a text at most.
const LENGTH_MAX: usize = 8192;

/// The line of `record` with its line end.
pub(super) fn line(record: &Record<'_>, at: Timestamp, mask: bool) -> String {
    let mut text = record.args().to_string();
    if mask {
        text = mask_addresses(&text);
    }
    let thread = std::thread::current();
    let mut line = String::with_capacity(text.len() + 64);
    let _ = write!(
        line,
        "[{}:{}:{}:{}] ",
        clock_face(at),
        level(record),
        tame(module(record)),
        tame(thread.name().unwrap_or("unnamed")),
    );
    line.push_str(&tame(&text));
    line.push('\n');
    line
}

/// Local time; the day of the month without month and year, as in 2015.
fn clock_face(at: Timestamp) -> String {
    DateTime::from_timestamp_millis(at.millis()).map_or_else(
        || "--d--h--m--s".to_owned(),
        |time| {
            time.with_timezone(&Local)
                .format("%dd%Hh%Mm%Ss")
                .to_string()
        },
    )
}

/// The level as Python spells it.
fn level(record: &Record<'_>) -> &'static str {
    match record.level() {
        Level::Error if record.target() == CRITICAL => "CRITICAL",
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

fn module<'a>(record: &'a Record<'_>) -> &'a str {
    let path = if record.target() == CRITICAL {
        record.module_path().unwrap_or(CRITICAL)
    } else {
        record.target()
    };
    path.rsplit("::").next().unwrap_or(path)
}

/// `text` on one line, without what could disturb a terminal or pass for a
/// level.
fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == LENGTH_MAX {
            tamed.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            tamed.extend(c.escape_default());
        } else {
            tamed.push(c);
        }
    }
    tamed
        .replace("ERROR", "error")
        .replace("CRITICAL", "critical")
}

/// Marks of direction, joiners and separators of lines, with which text can be
/// made to look like other text.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(target: &str, level: Level, text: &str) -> String {
        let mut record = Record::builder();
        record
            .target(target)
            .module_path(Some("btda::storage::writer"))
            .level(level);
        line(
            &record.args(format_args!("{text}")).build(),
            Timestamp(0),
            true,
        )
    }

    fn in_thread(name: &str, job: impl FnOnce() -> String + Send + 'static) -> String {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(job)
            .unwrap()
            .join()
            .unwrap()
    }

    #[test]
    fn form_of_2015() {
        let line = in_thread("tracker-03", || {
            written("btda::tracker::requester", Level::Warn, "torrent=3 slow")
        });
        let (time, rest) = line.split_once(':').unwrap();
        assert_eq!(rest, "WARNING:requester:tracker-03] torrent=3 slow\n");
        let letters: String = time.chars().filter(|c| !c.is_ascii_digit()).collect();
        assert_eq!((letters.as_str(), time.len()), ("[dhms", 13));
    }

    #[test]
    fn levels() {
        for (target, level, word) in [
            ("btda::x", Level::Trace, "DEBUG:x"),
            ("btda::x", Level::Debug, "DEBUG:x"),
            ("x", Level::Info, "INFO:x"),
            ("btda::x", Level::Warn, "WARNING:x"),
            ("btda::x", Level::Error, "ERROR:x"),
            (CRITICAL, Level::Error, "CRITICAL:writer"),
            (CRITICAL, Level::Warn, "WARNING:writer"),
        ] {
            let line = written(target, level, "text");
            assert!(line.contains(&format!(":{word}:")), "{line}");
        }
    }

    #[test]
    fn text_is_tamed() {
        let text = "a\nb\r\u{1b}[31m ERROR CRITICAL CRITICALERRORS \u{202e}1.2.3.4 ä";
        let line = written("t", Level::Info, text);
        assert!(
            line.ends_with(
                "] a\\nb\\r\\u{1b}[31m error critical criticalerrorS \\u{202e}<address> ä\n"
            ),
            "{line}"
        );
        let long = "x".repeat(100_000);
        assert!(written("t", Level::Info, &long).len() < 9_000);
    }

    proptest! {
        #[test]
        fn always_one_line_without_the_words(text in "(\\PC|[\n\r\t\0]|ERROR|CRITICAL|ERR|OR){0,20}") {
            let line = in_thread(&text.replace('\0', ""), move || written(&text, Level::Info, &text));
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.ends_with('\n'));
            prop_assert!(!line.contains("ERROR") && !line.contains("CRITICAL"), "{}", line);
        }
    }
}
