//! Tests of the log as a whole, without installing it.

use std::sync::mpsc::{Sender, channel};

use log::{Log, Record};

use super::*;
use crate::clock::ManualClock;
use crate::model::Timestamp;

fn settings(level: LevelFilter) -> LogSettings {
    LogSettings {
        level,
        to_console: false,
        addresses: false,
    }
}

/// Passes on what is written.
struct Wire(Sender<Vec<u8>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parts(colour: bool) -> (Parts, LogCounts) {
    let counts = LogCounts::default();
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let parts = Parts {
        clock,
        counts: counts.clone(),
        colour,
    };
    (parts, counts)
}

fn send(logger: &dyn Log, target: &str, level: Level, text: &str) {
    let mut record = Record::builder();
    record.target(target).level(level);
    if logger.enabled(record.build().metadata()) {
        logger.log(&record.args(format_args!("{text}")).build());
    }
}

fn written(
    settings: &LogSettings,
    colour: bool,
    records: &[(&str, Level, &str)],
) -> (String, LogCounts) {
    let (sender, receiver) = channel();
    let (parts, counts) = parts(colour);
    let logger = builder(settings, Box::new(Wire(sender)), parts).build();
    for (target, level, text) in records {
        send(&logger, target, *level, text);
    }
    drop(logger);
    let bytes: Vec<u8> = receiver.iter().flatten().collect();
    (String::from_utf8(bytes).unwrap(), counts)
}

#[test]
fn level_and_counts() {
    let records = [
        ("btda::a", Level::Info, "one"),
        ("btda::a", Level::Warn, "two 192.0.2.1"),
        ("btda::b", Level::Error, "three"),
        (CRITICAL, Level::Error, "four"),
    ];
    let (text, counts) = written(&settings(LevelFilter::Warn), false, &records);
    let ends: Vec<_> = text
        .lines()
        .map(|line| line.split_once("] ").map_or("", |(_, text)| text))
        .collect();
    assert_eq!(ends, ["two <address>", "three", "four"]);
    assert_eq!(
        (counts.warnings(), counts.errors(), counts.lost()),
        (1, 2, 0)
    );
}

#[test]
fn libraries_do_not_chatter() {
    let records = [
        ("ureq::run", Level::Debug, "one"),
        ("rustls::client", Level::Trace, "two"),
        ("ureq::run", Level::Warn, "three"),
        ("btda::visit", Level::Trace, "four"),
    ];
    let (text, _) = written(&settings(LevelFilter::Trace), false, &records);
    assert_eq!(text.lines().count(), 2, "{text}");
    let (text, _) = written(&settings(LevelFilter::Error), false, &records);
    assert_eq!(text, "");
}

#[test]
fn addresses_only_when_wanted() {
    let records = [("a", Level::Warn, "192.0.2.1")];
    let mut settings = settings(LevelFilter::Warn);
    assert!(!written(&settings, false, &records).0.contains("192.0.2.1"));
    settings.addresses = true;
    assert!(written(&settings, false, &records).0.contains("192.0.2.1"));
}

#[test]
fn colour_only_when_wanted() {
    let records = [("a", Level::Error, "text")];
    let (plain, _) = written(&settings(LevelFilter::Warn), false, &records);
    assert!(!plain.contains('\u{1b}'));
    let (coloured, _) = written(&settings(LevelFilter::Warn), true, &records);
    assert_eq!(
        coloured,
        format!("\u{1b}[31m{}\u{1b}[0m\n", plain.trim_end())
    );
}

#[test]
fn a_broken_file_loses_lines_and_nothing_else() {
    let (sender, receiver) = channel();
    drop(receiver);
    let (parts, counts) = parts(false);
    let logger = builder(&settings(LevelFilter::Warn), Box::new(Wire(sender)), parts).build();
    for _ in 0..3 {
        send(&logger, "a", Level::Error, "text");
    }
    assert_eq!((counts.errors(), counts.lost()), (3, 3));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let (parts, counts) = parts(false);
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let logger = builder(&settings(LevelFilter::Warn), Box::new(full), parts).build();
    send(&logger, "a", Level::Error, "text");
    assert_eq!(counts.lost(), 1);
}

#[test]
fn messages_of_panics() {
    let static_text: Box<dyn Any + Send> = Box::new("static");
    let owned: Box<dyn Any + Send> = Box::new(String::from("owned"));
    let other: Box<dyn Any + Send> = Box::new(7);
    assert_eq!(message(&*static_text), "static");
    assert_eq!(message(&*owned), "owned");
    assert_eq!(message(&*other), "no message");
}
